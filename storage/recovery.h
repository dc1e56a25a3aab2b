// Start-up: from a directory to what it holds. Reads only; the store then begins a new file behind it, so
// that no remains of a torn write are ever followed by something new.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/files.h"
#include "runtime/task.h"
#include "storage/block.h"
#include "storage/log_index.h"
#include "storage/log_scan.h"

namespace stele::storage {

// The files of a log's directory, by what their names say.
struct LogDirectory {
  std::vector<FileSequence> logs;          // ascending
  std::vector<std::uint64_t> spares;       // ascending
  std::vector<std::uint64_t> checkpoints;  // ascending
  std::vector<std::string> leftovers;      // of work that did not complete
};
runtime::Task<Result<LogDirectory>> list_log_directory(runtime::Files& files, std::string directory);

struct Recovered {
  explicit Recovered(IndexGrain grain) : index(grain) {}
  LogIndex index;
  std::uint64_t incarnation = 0;
  FileSequence last;               // 0: the directory holds no log
  Position last_synced;            // of it, as far as is known
  std::uint64_t last_size = 0;     // of that file
  std::vector<FileSequence> dead;  // files that were freed
  TailState tail = TailState::kClean;
  bool clean = false;  // closed in order
  std::uint64_t scanned_bytes = 0;
  std::uint64_t checkpointed_files = 0;
};

struct RecoveryOptions {
  std::string directory;
  IndexGrain grain;
  std::size_t chunk = 1 << 20;
};
// kCorrupt with file and position: damage anywhere but in the torn tail of the last file. kUnsupported: a
// newer format.
runtime::Task<Result<Recovered>> recover(runtime::Files& files, LogDirectory found, RecoveryOptions options);

}  // namespace stele::storage
