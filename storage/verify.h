// An offline check of a log's directory: reads everything, changes nothing. Not while a store has it open.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/files.h"
#include "runtime/task.h"

namespace stele::storage {

struct VerifyFinding {
  std::string file;  // name in the directory; empty: it is about the log as a whole
  std::uint64_t position = 0;
  std::string what;
  bool damage = true;  // false: a start copes with it and loses nothing
  std::string to_string() const;
};

struct VerifyReport {
  std::vector<VerifyFinding> findings;
  std::uint64_t files = 0;
  std::uint64_t spares = 0;
  std::uint64_t blocks = 0;
  std::uint64_t entries = 0;  // copies of moved entries included
  std::uint64_t bytes = 0;
  std::uint64_t segments = 0;  // that a start would find
  bool sound() const;          // no finding is damage
  std::string summary() const;
};

// Errors: the directory can't be read (kNotFound, kUnauthorized, kIo). What is wrong in it are findings.
runtime::Task<Result<VerifyReport>> verify(runtime::Files& files, std::string directory);

}  // namespace stele::storage
