// Files by plain system calls, for worker threads: what offload() lends, and what the asynchronous files of a
// core run on.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/files.h"

namespace stele::runtime::uv {

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

class SystemFile final : public BlockingFile {
 public:
  SystemFile(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Result<std::uint64_t> size() override;
  Result<std::size_t> read(Position position, char* to, std::size_t length) override;
  Result<void> write(Position position, std::string_view from) override;
  Result<void> sync() override;
  Result<void> truncate(std::uint64_t size) override;

  Result<Bytes> read(Position position, std::size_t length);
  Result<void> write(Position position, std::span<const Bytes> slices);
  Result<void> close();
  const std::string& path() const { return path_; }

 private:
  std::unexpected<Error> failed(std::string_view doing) const;
  Descriptor descriptor_;
  std::string path_;
};

class SystemFiles final : public BlockingFiles {
 public:
  Result<std::unique_ptr<BlockingFile>> open(const std::string& path, OpenMode mode) override;
  Result<bool> exists(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;

  static Result<std::shared_ptr<SystemFile>> open_shared(const std::string& path, OpenMode mode);
  static Result<std::vector<DirectoryEntry>> list(const std::string& directory);
  static Result<void> make_directory(const std::string& path);
  // An exclusive lock that goes with the descriptor.
  static Result<Descriptor> lock(const std::string& path);
};

}  // namespace stele::runtime::uv
