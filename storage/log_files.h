// The files of a log's directory: open ones for reading, and spares.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/files.h"
#include "runtime/task.h"
#include "storage/block.h"

namespace stele::storage {

class LogFiles {
 public:
  LogFiles(runtime::Files& files, std::string directory, std::uint32_t max_open)
      : files_(files), directory_(std::move(directory)), max_open_(max_open) {}

  runtime::Files& files() { return files_; }
  const std::string& directory() const { return directory_; }
  std::string path(std::string_view name) const { return directory_ + "/" + std::string(name); }

  // A log file for reading. Those used last stay open. Whoever reads keeps it until he is done.
  runtime::Task<Result<std::shared_ptr<runtime::File>>> open(FileSequence file);
  void forget(FileSequence file) { open_.erase(file); }

  // Sequence numbers for new files and spares: each is given once.
  FileSequence next_sequence() { return FileSequence(++last_sequence_); }
  void seen(std::uint64_t sequence) { last_sequence_ = std::max(last_sequence_, sequence); }

  // Files of full size that hold nothing, for the log to go on in.
  std::deque<std::uint64_t>& spares() { return spares_; }

  // Makes a spare of a log file that nobody needs, if it has the size and there are few; or removes it.
  runtime::Task<void> retire(FileSequence file, std::uint64_t spare_bytes, std::uint32_t max_spares);
  // Makes a new spare: written with zeros once, because growing a file costs more than filling it.
  runtime::Task<Result<void>> make_spare(std::uint64_t bytes);

 private:
  struct Open {
    std::shared_ptr<runtime::File> file;
    std::uint64_t used = 0;
  };
  runtime::Files& files_;
  const std::string directory_;
  const std::uint32_t max_open_;
  std::map<FileSequence, Open> open_;
  std::uint64_t uses_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::deque<std::uint64_t> spares_;
};

}  // namespace stele::storage
