// Preloaded into the node: a thread that gets the signal of core_pause.h stands still, wherever it is, locks
// in its hands and all. What it was waiting for in the kernel is interrupted, as by any signal.
#include "tests/field/core_pause.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace {

// Not the library's functions: another preloaded library has some of its own, which may hold a lock.
void stand_still(int, siginfo_t* info, void*) {
  const int before = errno;
  const std::int64_t ms = info->si_value.sival_int;
  timespec left{.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1'000'000};
  while (::syscall(SYS_nanosleep, &left, &left) != 0 && errno == EINTR) {
  }
  errno = before;
}

[[gnu::constructor]] void handle() {
  struct sigaction action{};
  action.sa_sigaction = stand_still;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(stele::field::core_pause_signal(), &action, nullptr);
}

}  // namespace
