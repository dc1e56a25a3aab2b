// Blocking files in memory, for tests: a disk that crashes at any call and then holds any subset of what was
// not synced, sector by sector; that fails a sync, or is full.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/files.h"
#include "runtime/random.h"

namespace stele::storage {

class MemoryFiles final : public runtime::BlockingFiles {
 public:
  static constexpr std::size_t kSectorBytes = 512;

  MemoryFiles();
  ~MemoryFiles() override;

  // Faults. A crash fails this call (the first has number 1) and all later ones until restart().
  std::optional<std::uint64_t> crash_at_call;
  std::optional<std::uint64_t> fail_sync_at_call;  // the first sync at or after it fails
  std::uint64_t capacity_bytes = UINT64_MAX;

  std::uint64_t calls() const { return calls_; }
  bool crashed() const { return crashed_; }
  // Power comes back: of every unsynced write, truncation and name, `random` says whether it reached the
  // disk.
  void restart(runtime::Random& random);

  bool has(const std::string& path) const { return names_.contains(path); }
  std::string& content(const std::string& path);

  Result<std::unique_ptr<runtime::BlockingFile>> open(const std::string& path,
                                                      runtime::OpenMode mode) override;
  Result<bool> exists(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;

 private:
  struct Change {
    std::uint64_t position = 0;
    std::string data;
    bool truncation = false;  // to `position`
  };
  struct Inode {
    std::string content;
    std::string synced;
    std::vector<Change> unsynced;
  };
  class Opened;
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  Result<void> begin_call(const std::string& path);
  std::uint64_t used_bytes() const;
  static void apply(std::string& content, const Change& change);
  static void keep_some(Inode& inode, runtime::Random& random);

  Names names_;
  Names synced_names_;
  std::uint64_t calls_ = 0;
  bool crashed_ = false;
};

}  // namespace stele::storage
