// The files of a core, on its host's disk.
//
// An operation takes time, and takes effect at one moment within it, drawn: when it is asked for, or when it
// ends. So a crash finds operations that were under way done or not done, and what overlaps has no order. An
// operation whose task is destroyed takes effect all the same, unless the process is dead: disk I/O is never
// cancelled.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/files.h"
#include "sim/disk.h"

namespace stele::sim {

class Core;

class FilesOfCore final : public runtime::Files {
 public:
  explicit FilesOfCore(Core& core) : core_(core) {}
  runtime::Task<Result<std::unique_ptr<runtime::File>>> open(std::string path,
                                                             runtime::OpenOptions options) override;
  runtime::Task<Result<std::vector<runtime::DirectoryEntry>>> list(std::string directory) override;
  runtime::Task<Result<void>> make_directory(std::string path) override;
  runtime::Task<Result<void>> rename(std::string from, std::string to) override;
  runtime::Task<Result<void>> remove(std::string path) override;
  runtime::Task<Result<void>> sync_directory(std::string path) override;
  runtime::Task<Result<std::unique_ptr<Lock>>> lock(std::string path) override;

 private:
  Core& core_;
};

// Inside an offloaded job. Calls of a dead process fail with kIo and do nothing: a library that still runs
// gives up by itself.
class BlockingFilesOfCore final : public runtime::BlockingFiles {
 public:
  explicit BlockingFilesOfCore(Core& core) : core_(core) {}
  Result<std::unique_ptr<runtime::BlockingFile>> open(const std::string& path,
                                                      runtime::OpenMode mode) override;
  Result<bool> exists(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;

 private:
  Core& core_;
};

}  // namespace stele::sim
