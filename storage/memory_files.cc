#include "storage/memory_files.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "base/assert.h"

namespace stele::storage {

class MemoryFiles::Opened final : public runtime::BlockingFile {
 public:
  Opened(MemoryFiles& disk, std::string path, std::shared_ptr<Inode> inode)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}

  Result<std::uint64_t> size() override {
    STELE_CHECK(disk_.begin_call(path_));
    return inode_->content.size();
  }
  Result<std::size_t> read(Position position, char* to, std::size_t length) override {
    STELE_CHECK(disk_.begin_call(path_));
    if (position.value >= inode_->content.size()) return std::size_t(0);
    return inode_->content.copy(to, length, position.value);
  }
  Result<void> write(Position position, std::string_view from) override {
    STELE_CHECK(disk_.begin_call(path_));
    const std::uint64_t end = position.value + from.size();
    if (end > inode_->content.size() &&
        disk_.used_bytes() + end - inode_->content.size() > disk_.capacity_bytes) {
      return error(ErrorCode::kNoSpace, path_ + ": the disk is full");
    }
    change({.position = position.value, .data = std::string(from), .truncation = false});
    return {};
  }
  Result<void> sync() override {
    STELE_CHECK(disk_.begin_call(path_));
    if (disk_.fail_sync_at_call && disk_.calls_ >= *disk_.fail_sync_at_call) {
      disk_.fail_sync_at_call.reset();
      inode_->unsynced.clear();  // taken for clean, and gone at the next crash
      return error(ErrorCode::kIo, path_ + ": sync failed");
    }
    inode_->synced = inode_->content;
    inode_->unsynced.clear();
    return {};
  }
  Result<void> truncate(std::uint64_t size) override {
    STELE_CHECK(disk_.begin_call(path_));
    change({.position = size, .data = {}, .truncation = true});
    return {};
  }

 private:
  void change(Change change) {
    MemoryFiles::apply(inode_->content, change);
    inode_->unsynced.push_back(std::move(change));
  }
  MemoryFiles& disk_;
  std::string path_;
  std::shared_ptr<Inode> inode_;
};

MemoryFiles::MemoryFiles() = default;
MemoryFiles::~MemoryFiles() = default;

Result<void> MemoryFiles::begin_call(const std::string& path) {
  ++calls_;
  if (crash_at_call && calls_ >= *crash_at_call) crashed_ = true;
  if (crashed_) return error(ErrorCode::kIo, path + ": the machine is down");
  return {};
}

std::uint64_t MemoryFiles::used_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, inode] : names_) bytes += inode->content.size();
  return bytes;
}

std::string& MemoryFiles::content(const std::string& path) {
  STELE_ASSERT(names_.contains(path));
  return names_[path]->content;
}

void MemoryFiles::apply(std::string& content, const Change& change) {
  if (change.truncation) {
    content.resize(change.position);
    return;
  }
  content.resize(std::max<std::size_t>(content.size(), change.position + change.data.size()));
  std::memcpy(content.data() + change.position, change.data.data(), change.data.size());
}

void MemoryFiles::keep_some(Inode& inode, runtime::Random& random) {
  for (const Change& change : inode.unsynced) {
    if (change.truncation) {
      if (random.chance(1, 2)) apply(inode.synced, change);
      continue;
    }
    for (std::size_t begin = 0; begin < change.data.size();) {
      const std::size_t sector_end = ((change.position + begin) / kSectorBytes + 1) * kSectorBytes;
      const std::size_t size = std::min(change.data.size() - begin, sector_end - change.position - begin);
      if (random.chance(1, 2)) {
        apply(inode.synced, {change.position + begin, change.data.substr(begin, size), false});
      }
      begin += size;
    }
  }
  inode.unsynced.clear();
  inode.content = inode.synced;
}

void MemoryFiles::restart(runtime::Random& random) {
  std::set<std::string> paths;
  for (const auto& [path, inode] : names_) paths.insert(path);
  for (const auto& [path, inode] : synced_names_) paths.insert(path);
  Names kept;
  for (const std::string& path : paths) {
    const Names& from = random.chance(1, 2) ? names_ : synced_names_;
    auto found = from.find(path);
    if (found != from.end()) kept.insert(*found);
  }
  for (auto& [path, inode] : kept) keep_some(*inode, random);
  names_ = synced_names_ = std::move(kept);
  crashed_ = false;
  crash_at_call.reset();
}

Result<std::unique_ptr<runtime::BlockingFile>> MemoryFiles::open(const std::string& path,
                                                                 runtime::OpenMode mode) {
  STELE_CHECK(begin_call(path));
  auto found = names_.find(path);
  if (found == names_.end()) {
    if (mode == runtime::OpenMode::kRead || mode == runtime::OpenMode::kReadWrite) {
      return error(ErrorCode::kNotFound, path + ": no such file");
    }
    found = names_.emplace(path, std::make_shared<Inode>()).first;
  } else if (mode == runtime::OpenMode::kCreateNew) {
    return error(ErrorCode::kAlreadyExists, path + ": is there already");
  }
  return std::make_unique<Opened>(*this, path, found->second);
}

Result<bool> MemoryFiles::exists(const std::string& path) {
  STELE_CHECK(begin_call(path));
  return names_.contains(path);
}

Result<void> MemoryFiles::rename(const std::string& from, const std::string& to) {
  STELE_CHECK(begin_call(from));
  const auto found = names_.find(from);
  if (found == names_.end()) return error(ErrorCode::kNotFound, from + ": no such file");
  names_[to] = found->second;
  names_.erase(from);
  return {};
}

Result<void> MemoryFiles::remove(const std::string& path) {
  STELE_CHECK(begin_call(path));
  if (names_.erase(path) == 0) return error(ErrorCode::kNotFound, path + ": no such file");
  return {};
}

Result<void> MemoryFiles::sync_directory(const std::string& path) {
  STELE_CHECK(begin_call(path));
  synced_names_ = names_;
  return {};
}

}  // namespace stele::storage
