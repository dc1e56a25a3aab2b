// Directories that are there after a crash.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/files.h"
#include "runtime/task.h"

namespace stele::storage {

// Makes the directory with its missing parents, and makes durable that they are there. Directories above it
// that were there before are synced too, for an earlier start may have crashed before it came to that; but
// with them it is no error if that is refused.
runtime::Task<Result<void>> make_durable_directory(runtime::Files& files, std::string path);

}  // namespace stele::storage
