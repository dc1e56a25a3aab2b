// What the process takes from the machine, for metrics and for limits at start.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "runtime/time.h"

namespace stele::runtime::uv {

struct ProcessStats {
  Duration cpu_user{}, cpu_system{};  // of all threads, since the process started
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t open_files_max = 0;  // the soft limit
  std::uint64_t threads = 0;
  std::int64_t started_at_ms = 0;  // wall time
};

// Reads /proc/self and the limits; some tens of microseconds.
Result<ProcessStats> process_stats();

// Raises the soft limit of open files to the hard one, and gives it.
Result<std::uint64_t> raise_open_files_limit();

}  // namespace stele::runtime::uv
