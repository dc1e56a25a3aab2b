#include "runtime/uv/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "runtime/uv/system_error.h"

namespace stele::runtime::uv {
namespace {

Result<std::string> read_whole(const char* path) {
  const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::unexpected(system_error(errno, std::string("opening ") + path));
  std::string text(4096, '\0');
  const ssize_t got = ::read(descriptor, text.data(), text.size());
  const int number = errno;
  ::close(descriptor);
  if (got < 0) return std::unexpected(system_error(number, std::string("reading ") + path));
  text.resize(static_cast<std::size_t>(got));
  return text;
}

// Since Linux 6.2 the size of /proc/self/fd is the number of open descriptors; before, it is 0.
std::uint64_t count_open_files() {
  struct stat status{};
  if (::stat("/proc/self/fd", &status) == 0 && status.st_size > 0) {
    return static_cast<std::uint64_t>(status.st_size);
  }
  std::uint64_t count = 0;
  if (DIR* directory = ::opendir("/proc/self/fd")) {
    while (const dirent* entry = ::readdir(directory)) count += entry->d_name[0] != '.';
    ::closedir(directory);
    --count;  // the directory itself
  }
  return count;
}

Duration of_ticks(unsigned long ticks) {
  return std::chrono::nanoseconds(1'000'000'000 / ::sysconf(_SC_CLK_TCK)) * static_cast<std::int64_t>(ticks);
}

std::int64_t milliseconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

Result<ProcessStats> process_stats() {
  ProcessStats stats;
  STELE_TRY(const std::string text, read_whole("/proc/self/stat"));
  // proc(5). The name, in parentheses, may hold anything; the fields after it are counted from 3.
  const std::size_t name_end = text.rfind(')');
  unsigned long user = 0, system = 0, threads = 0, resident_pages = 0, virtual_bytes = 0;
  unsigned long long start = 0;
  if (name_end == std::string::npos ||
      std::sscanf(text.c_str() + name_end + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %lu %*d %llu %lu %lu",
                  &user, &system, &threads, &start, &virtual_bytes, &resident_pages) != 6) {
    return error(ErrorCode::kMalformed, "reading /proc/self/stat: its fields are not as in proc(5)");
  }
  stats.cpu_user = of_ticks(user);
  stats.cpu_system = of_ticks(system);
  stats.threads = threads;
  stats.virtual_bytes = virtual_bytes;
  stats.resident_bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::int64_t boot_ms = milliseconds_of(CLOCK_REALTIME) - milliseconds_of(CLOCK_BOOTTIME);
  stats.started_at_ms = boot_ms + of_ticks(start) / std::chrono::milliseconds(1);
  stats.open_files = count_open_files();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return std::unexpected(system_error(errno, "reading the limit of open files"));
  }
  stats.open_files_max = limit.rlim_cur;
  return stats;
}

Result<std::uint64_t> raise_open_files_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return std::unexpected(system_error(errno, "reading the limit of open files"));
  }
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return std::unexpected(system_error(errno, "raising the limit of open files"));
  }
  return limit.rlim_cur;
}

}  // namespace stele::runtime::uv
