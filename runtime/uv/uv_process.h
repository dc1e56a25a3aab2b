// The process on libuv: N cores, one thread each, core 0 on the thread that calls run(). For main and for
// tests of main; everything else is handed a Runtime.
//
//   UvProcess process({.cores = 4});
//   process.install_signals([&](int signal) { … close everything, then process.stop(); });
//   process.run([&](Runtime& runtime) { … });   // on each core
//
// What lives on a core may be destroyed on its core, or on the main thread once run() has returned, and
// always before the process is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/runtime.h"

namespace stele::runtime::uv {

struct ProcessOptions {
  std::uint32_t cores = 1;
  LogLevel log_level = LogLevel::kInfo;
  int log_descriptor = 2;
  std::optional<std::uint64_t> seed = std::nullopt;  // of the random numbers; from the system unless set
};

class UvProcess {
 public:
  // Makes the cores and ignores SIGPIPE and SIGXFSZ; no thread starts yet.
  explicit UvProcess(ProcessOptions options);
  UvProcess(const UvProcess&) = delete;
  UvProcess& operator=(const UvProcess&) = delete;
  // Waits for blocking jobs that are under way; drops what is posted.
  ~UvProcess();

  std::uint32_t core_count() const;
  Runtime& core(CoreId core);
  Log& log();

  // Calls `start` on each core, in the first turn of its loop and so at the same time on several threads,
  // then runs the loops. Returns once they have all stopped. May be called again.
  void run(std::function<void(Runtime&)> start);
  // From any thread: each core ends its current turn and stops.
  void stop();

  // SIGTERM and SIGINT call `on_signal` on core 0 instead of ending the process. Once, before run().
  void install_signals(std::function<void(int signal)> on_signal);

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace stele::runtime::uv
