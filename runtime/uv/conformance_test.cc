// The libuv backend against the body of tests that every backend passes.
#include "runtime/conformance.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "runtime/scope.h"
#include "runtime/uv/uv_process.h"

namespace stele::runtime::uv {
namespace {

using namespace std::chrono_literals;

// A listener whose queue of connections is full: the kernel drops further attempts, which never end.
class BlackHole {
 public:
  BlackHole() {
    const int listening = socket();
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    STELE_ASSERT(::bind(listening, reinterpret_cast<sockaddr*>(&at), size) == 0);
    STELE_ASSERT(::listen(listening, 0) == 0);
    STELE_ASSERT(::getsockname(listening, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port_ = ntohs(at.sin_port);
    for (int i = 0; i < 3; ++i) {
      [[maybe_unused]] const int status = ::connect(socket(), reinterpret_cast<sockaddr*>(&at), size);
    }
  }
  ~BlackHole() {
    for (const int descriptor : sockets_) ::close(descriptor);
  }
  Endpoint endpoint() const { return {"127.0.0.1", port_}; }

 private:
  int socket() {
    sockets_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    STELE_ASSERT(sockets_.back() >= 0);
    return sockets_.back();
  }
  std::vector<int> sockets_;
  std::uint16_t port_ = 0;
};

class UvEnvironment final : public ConformanceEnvironment {
 public:
  UvEnvironment() {
    std::string name = std::filesystem::temp_directory_path() / "stele-conformance-XXXXXX";
    STELE_ASSERT(::mkdtemp(name.data()) != nullptr);
    scratch_ = name;
  }
  ~UvEnvironment() override { std::filesystem::remove_all(scratch_); }

  bool run(std::uint32_t cores, Body body) override {
    UvProcess process({.cores = cores, .log_level = LogLevel::kError});
    Scope scope;
    bool done = false;
    ConformanceProcess p;
    for (std::uint32_t i = 0; i < cores; ++i) p.cores.push_back(&process.core(CoreId(i)));
    p.scratch = scratch_;
    p.host = "127.0.0.1";
    p.foreign_host = "192.0.2.1";
    p.black_hole = black_hole_.endpoint();
    p.leave_room = [](std::optional<std::uint64_t> bytes) { limit_files(bytes); };
    process.run([&](Runtime& runtime) {
      if (runtime.core() != CoreId(0)) return;
      scope.spawn(drive(&process, body(p), &done));
      scope.spawn(give_up(&process, &runtime));
    });
    return done;
  }

 private:
  // A file that was small is all that is written then.
  static void limit_files(std::optional<std::uint64_t> bytes) {
    rlimit limit{};
    STELE_ASSERT(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes ? *bytes : limit.rlim_max;
    STELE_ASSERT(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    ::signal(SIGXFSZ, bytes ? SIG_IGN : SIG_DFL);
  }
  static Task<void> drive(UvProcess* process, Task<void> body, bool* done) {
    co_await std::move(body);
    *done = true;
    process->stop();
  }
  static Task<void> give_up(UvProcess* process, Runtime* runtime) {
    co_await sleep(*runtime, 120s);
    process->stop();
  }

  std::string scratch_;
  BlackHole black_hole_;
};

std::unique_ptr<ConformanceEnvironment> make_uv_environment() {
  return std::make_unique<UvEnvironment>();
}

}  // namespace
}  // namespace stele::runtime::uv

namespace stele::runtime {
INSTANTIATE_TEST_SUITE_P(Uv, RuntimeConformance, testing::Values(&uv::make_uv_environment));
}  // namespace stele::runtime
