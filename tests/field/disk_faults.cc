// Preloaded into the node: its file operations meet the faults that a field run asks for (disk_control.h). A
// sync that fails has not happened; a write that fails for want of room has not either. Paths and directories
// are left alone: only what goes through a descriptor with a position, and syncs.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "tests/field/disk_control.h"

namespace {

using stele::field::DiskControl;

DiskControl* map_control() {
  const char* path = std::getenv(stele::field::kDiskControlVariable);
  if (path == nullptr) return nullptr;
  const int descriptor = ::open(path, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return nullptr;
  void* at = ::mmap(nullptr, sizeof(DiskControl), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  ::close(descriptor);
  return at == MAP_FAILED ? nullptr : static_cast<DiskControl*>(at);
}

DiskControl* control() {
  static DiskControl* const mapped = map_control();
  return mapped;
}

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

std::int64_t now_ns() {
  timespec time{};
  ::syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);  // what another preloaded library does not see
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

void wait_ns(std::int64_t ns) {
  if (ns <= 0) return;
  const timespec time{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  ::syscall(SYS_nanosleep, &time, nullptr);
}

// Takes one of those that are left.
bool take_one(std::atomic<std::int64_t>& left) {
  std::int64_t count = left.load();
  while (count > 0) {
    if (left.compare_exchange_weak(count, count - 1)) return true;
  }
  return false;
}

bool take(std::atomic<std::int64_t>& left, std::int64_t size) {
  std::int64_t room = left.load();
  if (room >= DiskControl::kUnlimited) return true;
  while (room >= size) {
    if (left.compare_exchange_weak(room, room - size)) return true;
  }
  return false;
}

// Every operation begins here: late, or never. True: the process dies when it is done.
bool begin() {
  DiskControl* const all = control();
  if (all == nullptr) return false;
  const std::int64_t alone = all->next_takes.exchange(0);
  if (alone > 0 || all->stall_until.load() > now_ns()) ++all->stalled;
  wait_ns(alone);
  wait_ns(all->takes.load());
  while (all->stall_until.load() > now_ns()) wait_ns(5'000'000);
  if (!take_one(all->kill_in) || all->kill_in.load() > 0) return false;
  // Before it or after it: by whether the clock is odd.
  if (now_ns() % 2 == 0) ::raise(SIGKILL);
  return true;
}

ssize_t end(bool dies, ssize_t result) {
  if (dies) ::raise(SIGKILL);
  return result;
}

// Of a write that was let through: the file system itself may have had no room for it, or for all of it.
ssize_t written(ssize_t result, std::int64_t size) {
  DiskControl* const all = control();
  if (all == nullptr) return result;
  if (result < 0 && errno == ENOSPC) {
    ++all->failed;
    ++all->full;
  } else if (result >= 0 && result < size) {
    ++all->stopped;
  }
  return result;
}

ssize_t fail(int with) {
  ++control()->failed;
  errno = with;
  return -1;
}

// 0, or the errno of a write that is not to be.
int refusal(std::int64_t size) {
  DiskControl* const all = control();
  if (all == nullptr) return 0;
  if (take_one(all->writes_to_fail)) return EIO;
  return take(all->room, size) ? 0 : ENOSPC;
}

int sync(int descriptor, const char* name) {
  const bool dies = begin();
  if (control() != nullptr && take_one(control()->syncs_to_fail)) return static_cast<int>(fail(EIO));
  return static_cast<int>(end(dies, real<int (*)(int)>(name)(descriptor)));
}

ssize_t read_at(int descriptor, void* to, size_t size, off64_t at) {
  const bool dies = begin();
  if (control() != nullptr && take_one(control()->reads_to_fail)) return fail(EIO);
  static const auto next = real<ssize_t (*)(int, void*, size_t, off64_t)>("pread64");
  return end(dies, next(descriptor, to, size, at));
}

ssize_t write_at(int descriptor, const void* from, size_t size, off64_t at) {
  const bool dies = begin();
  if (const int with = refusal(static_cast<std::int64_t>(size)); with != 0) return fail(with);
  static const auto next = real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  return end(dies, written(next(descriptor, from, size, at), static_cast<std::int64_t>(size)));
}

ssize_t write_parts_at(int descriptor, const iovec* parts, int count, off64_t at) {
  const bool dies = begin();
  std::int64_t size = 0;
  for (int i = 0; i < count; ++i) size += static_cast<std::int64_t>(parts[i].iov_len);
  if (const int with = refusal(size); with != 0) return fail(with);
  static const auto next = real<ssize_t (*)(int, const iovec*, int, off64_t)>("pwritev64");
  return end(dies, written(next(descriptor, parts, count, at), size));
}

}  // namespace

// Under all names that libc has for them.
extern "C" {
int fsync(int descriptor) {
  return sync(descriptor, "fsync");
}
int fdatasync(int descriptor) {
  return sync(descriptor, "fdatasync");
}
ssize_t pread(int descriptor, void* to, size_t size, off_t at) {
  return read_at(descriptor, to, size, at);
}
ssize_t pread64(int descriptor, void* to, size_t size, off64_t at) {
  return read_at(descriptor, to, size, at);
}
ssize_t pwrite(int descriptor, const void* from, size_t size, off_t at) {
  return write_at(descriptor, from, size, at);
}
ssize_t pwrite64(int descriptor, const void* from, size_t size, off64_t at) {
  return write_at(descriptor, from, size, at);
}
ssize_t pwritev(int descriptor, const iovec* parts, int count, off_t at) {
  return write_parts_at(descriptor, parts, count, at);
}
ssize_t pwritev64(int descriptor, const iovec* parts, int count, off64_t at) {
  return write_parts_at(descriptor, parts, count, at);
}
}
