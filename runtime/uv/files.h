// Files of a core: each call is a job on libuv's pool, or on the file's own thread.
#pragma once

#include "runtime/files.h"

namespace stele::runtime::uv {

class UvCore;

class UvFiles final : public Files {
 public:
  explicit UvFiles(UvCore& core) : core_(core) {}
  Task<Result<std::unique_ptr<File>>> open(std::string path, OpenOptions options) override;
  Task<Result<std::vector<DirectoryEntry>>> list(std::string directory) override;
  Task<Result<void>> make_directory(std::string path) override;
  Task<Result<void>> rename(std::string from, std::string to) override;
  Task<Result<void>> remove(std::string path) override;
  Task<Result<void>> sync_directory(std::string path) override;
  Task<Result<std::unique_ptr<Lock>>> lock(std::string path) override;

 private:
  UvCore& core_;
};

}  // namespace stele::runtime::uv
