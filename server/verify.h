// `stele verify`: an offline check of a data directory. Reads everything and repairs nothing.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::server {

struct VerifyOutcome {
  std::vector<std::string> damage;   // each names its file
  std::vector<std::string> remarks;  // what a start copes with, losing nothing
  std::vector<std::string> summary;  // what there is, a line for each part
};

// Checks the log, the metadata, and the snapshot of each shard. Errors: it cannot be looked at: no data
// directory, in use by another process, of a newer version, not readable.
runtime::Task<Result<VerifyOutcome>> verify_directory(runtime::Runtime& runtime, std::string directory);

}  // namespace stele::server
