// `stele serve` as a child process: started, looked at, signalled, and started again on its directory.
//
// Belongs to one thread, and never blocks it. Nothing that it started outlives it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace stele::field {

struct Ports {
  std::uint16_t mqtt = 0, kafka = 0, http = 0;
};
// "ready mqtt=127.0.0.1:1883 kafka=127.0.0.1:9092 http=127.0.0.1:8080", whatever follows. None: it is not
// whole, or something else.
std::optional<Ports> parse_ready(const std::string& line);

class NodeProcess {
 public:
  // `said`: what it writes to standard output and standard error is kept in `said`.out and `said`.log.
  explicit NodeProcess(std::string said) : said_(std::move(said)) {}
  ~NodeProcess();
  NodeProcess(const NodeProcess&) = delete;
  NodeProcess& operator=(const NodeProcess&) = delete;

  // None may be running. `environment`: NAME=VALUE, besides what this process has.
  Result<void> start(const std::vector<std::string>& argv, const std::vector<std::string>& environment);
  // How the last process ended, once after it did.
  struct Ended {
    int status = 0;  // of exit(); -1: by a signal
    int signal = 0;
    pid_t process = -1;
    std::string to_string() const;
  };
  std::optional<Ended> look();
  // Once it said so.
  std::optional<Ports> ready();

  bool running() const { return pid_ > 0; }
  void signal(int number) const;
  // SIGKILL, and waits for its end, which comes at once. Its number; -1: none was running.
  pid_t end_at_once();
  // That core (of so many, again and again) stands still for so long, while the others go on: it needs
  // core_pauses.cc in it. False: there is no such thread.
  bool pause_core(std::uint64_t number, std::chrono::milliseconds how_long) const;

  std::uint64_t starts() const { return starts_; }
  const std::string& log_file() const { return log_; }

 private:
  const std::string said_;
  const std::string out_ = said_ + ".out", log_ = said_ + ".log";
  pid_t pid_ = -1;
  std::uint64_t starts_ = 0;
};

}  // namespace stele::field
