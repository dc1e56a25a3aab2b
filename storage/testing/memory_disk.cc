#include "storage/testing/memory_disk.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace stele::storage::testing {

using runtime::Task;

std::uint64_t MemoryDisk::used() const {
  std::uint64_t sum = 0;
  for (const auto& [name, node] : names_) sum += node->cached.size();
  return sum;
}

std::vector<std::string> MemoryDisk::names() const {
  std::vector<std::string> all;
  for (const auto& [name, node] : names_) all.push_back(name);
  return all;
}

std::shared_ptr<MemoryDisk::Node> MemoryDisk::find(const std::string& path) const {
  const auto it = names_.find(path);
  return it == names_.end() ? nullptr : it->second;
}

void MemoryDisk::flip_bit(const std::string& path, std::uint64_t position, int bit) {
  Node& node = *names_.at(path);
  for (std::string* content : {&node.cached, &node.durable}) {
    if (position < content->size()) (*content)[position] = char((*content)[position] ^ (1 << bit));
  }
}

void MemoryDisk::put(const std::string& path, std::string content) {
  auto node = std::make_shared<Node>();
  node->cached = node->durable = std::move(content);
  names_[path] = durable_names_[path] = std::move(node);
}

void MemoryDisk::mark(Node& node, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t sector = from / kSector; sector * kSector < to; ++sector) node.dirty.insert(sector);
}

Result<void> MemoryDisk::write(Node& node, std::uint64_t position, std::string_view bytes) {
  if (failing_writes > 0 && random_.chance(failing_writes, 1000)) {
    return error(ErrorCode::kIo, "the write failed");
  }
  const std::uint64_t end = position + bytes.size();
  bool full = false;
  if (end > node.cached.size() && used() + (end - node.cached.size()) > capacity) {
    full = true;
    const std::uint64_t grow = capacity > used() ? capacity - used() : 0;
    const std::uint64_t fits = node.cached.size() + grow;
    bytes = bytes.substr(0, fits > position ? fits - position : 0);
  }
  if (!bytes.empty()) {
    if (position + bytes.size() > node.cached.size()) {
      node.cached.resize(position + bytes.size(), '\0');
      node.size_dirty = true;
    }
    node.cached.replace(position, bytes.size(), bytes);
    mark(node, position, position + bytes.size());
  }
  if (full) return error(ErrorCode::kNoSpace, "no space left");
  return {};
}

Result<void> MemoryDisk::finish_sync(Node& node, const std::set<std::uint64_t>& sectors) {
  ++syncs_;
  const bool fails = syncs_until_failure == 0 || (failing_syncs > 0 && random_.chance(failing_syncs, 1000));
  if (syncs_until_failure >= 0) --syncs_until_failure;
  node.durable.resize(std::max(node.durable.size(), node.cached.size()), '\0');
  if (node.cached.size() < node.durable.size()) node.durable.resize(node.cached.size());
  node.size_dirty = false;
  for (const std::uint64_t sector : sectors) {
    node.dirty.erase(sector);
    if (fails && random_.chance(1, 2)) continue;  // its page counts as clean now, and was never written
    const std::uint64_t at = sector * kSector;
    if (at >= node.cached.size()) continue;
    const std::uint64_t size = std::min<std::uint64_t>(kSector, node.cached.size() - at);
    node.durable.replace(at, size, node.cached, at, size);
  }
  if (fails) return error(ErrorCode::kIo, "the sync failed");
  return {};
}

void MemoryDisk::crash() {
  if (random_.chance(1, 2)) {
    names_ = durable_names_;
  } else {
    durable_names_ = names_;
  }
  for (auto& [name, node] : names_) {
    if (node->size_dirty && random_.chance(1, 2)) node->durable.resize(node->cached.size(), '\0');
    for (const std::uint64_t sector : node->dirty) {
      const std::uint64_t at = sector * kSector;
      if (at >= node->durable.size() || at >= node->cached.size()) continue;
      std::uint64_t size = std::min({kSector, node->durable.size() - at, node->cached.size() - at});
      const std::uint64_t fate = random_.below(20);
      if (fate < 9) continue;                          // lost
      if (fate == 19) size = random_.below(size + 1);  // torn
      node->durable.replace(at, size, node->cached, at, size);
    }
    node->cached = node->durable;
    node->dirty.clear();
    node->size_dirty = false;
  }
}

namespace {

class NoLog final : public runtime::Log {
 public:
  explicit NoLog(std::string& last) : last_(last) {}
  bool enabled(runtime::LogLevel) const override { return true; }
  void write(runtime::LogLevel, std::string_view component, std::string_view line) override {
    last_ = std::string(component) + ": " + std::string(line);
  }

 private:
  std::string& last_;
};

Task<void> io_delay(runtime::Runtime& runtime) {
  const auto delay = std::chrono::microseconds(20 + runtime.random().below(200));
  co_await runtime::sleep(runtime, delay);
}

}  // namespace

class MemoryFile final : public runtime::File {
 public:
  MemoryFile(runtime::Runtime& runtime, MemoryDisk& disk, std::shared_ptr<MemoryDisk::Node> node)
      : runtime_(runtime), disk_(disk), node_(std::move(node)) {}

  Task<Result<std::uint64_t>> size() override {
    co_await io_delay(runtime_);
    co_return node_->cached.size();
  }
  Task<Result<Bytes>> read(Position position, std::size_t length) override {
    co_await io_delay(runtime_);
    if (position.value >= node_->cached.size()) co_return Bytes();
    const std::string_view found = std::string_view(node_->cached).substr(position.value, length);
    disk_.read_bytes_ += found.size();
    co_return Bytes::copy(found);
  }
  Task<Result<void>> write(Position position, std::vector<Bytes> slices) override {
    auto written = disk_.write(*node_, position.value, join(slices));
    co_await io_delay(runtime_);
    co_return written;
  }
  Task<Result<void>> sync() override {
    const auto sectors = node_->dirty;
    co_await io_delay(runtime_);
    co_return disk_.finish_sync(*node_, sectors);
  }
  Task<Result<void>> write_and_sync(Position position, std::vector<Bytes> slices) override {
    auto written = disk_.write(*node_, position.value, join(slices));
    const auto sectors = node_->dirty;
    co_await io_delay(runtime_);
    if (!written) co_return written;
    co_return disk_.finish_sync(*node_, sectors);
  }
  Task<Result<void>> truncate(std::uint64_t size) override {
    co_await io_delay(runtime_);
    node_->cached.resize(size, '\0');
    if (node_->durable.size() > size && runtime_.random().chance(1, 2)) node_->durable.resize(size);
    node_->size_dirty = true;
    co_return Result<void>();
  }
  Task<Result<void>> close() override { co_return Result<void>(); }

 private:
  static std::string join(const std::vector<Bytes>& slices) {
    std::string all;
    for (const Bytes& slice : slices) all.append(slice.view());
    return all;
  }
  runtime::Runtime& runtime_;
  MemoryDisk& disk_;
  std::shared_ptr<MemoryDisk::Node> node_;
};

class MemoryFiles final : public runtime::Files {
 public:
  MemoryFiles(runtime::Runtime& runtime, MemoryDisk& disk) : runtime_(runtime), disk_(disk) {}

  Task<Result<std::unique_ptr<runtime::File>>> open(std::string path, runtime::OpenOptions options) override {
    co_await io_delay(runtime_);
    auto node = disk_.find(path);
    const bool make =
        options.mode == runtime::OpenMode::kCreate || options.mode == runtime::OpenMode::kCreateNew;
    if (!node && !make) co_return error(ErrorCode::kNotFound, path + " is not there");
    if (node && options.mode == runtime::OpenMode::kCreateNew) {
      co_return error(ErrorCode::kAlreadyExists, path + " is there");
    }
    if (!node) node = disk_.names_[path] = std::make_shared<MemoryDisk::Node>();
    co_return std::make_unique<MemoryFile>(runtime_, disk_, std::move(node));
  }
  Task<Result<std::vector<runtime::DirectoryEntry>>> list(std::string directory) override {
    co_await io_delay(runtime_);
    std::vector<runtime::DirectoryEntry> entries;
    for (const auto& [name, node] : disk_.names_) {
      if (name.starts_with(directory + "/")) entries.push_back({name.substr(directory.size() + 1), false});
    }
    co_return entries;
  }
  Task<Result<void>> make_directory(std::string) override { co_return Result<void>(); }
  Task<Result<void>> rename(std::string from, std::string to) override {
    co_await io_delay(runtime_);
    const auto it = disk_.names_.find(from);
    if (it == disk_.names_.end()) co_return error(ErrorCode::kNotFound, from + " is not there");
    disk_.names_[to] = it->second;
    disk_.names_.erase(from);
    co_return Result<void>();
  }
  Task<Result<void>> remove(std::string path) override {
    co_await io_delay(runtime_);
    if (!disk_.removes) co_return error(ErrorCode::kIo, path + " cannot be removed");
    if (disk_.names_.erase(path) == 0) co_return error(ErrorCode::kNotFound, path + " is not there");
    co_return Result<void>();
  }
  Task<Result<void>> sync_directory(std::string) override {
    co_await io_delay(runtime_);
    disk_.durable_names_ = disk_.names_;
    co_return Result<void>();
  }
  Task<Result<std::unique_ptr<Lock>>> lock(std::string) override {
    co_return error(ErrorCode::kUnsupported, "no locks here");
  }

 private:
  runtime::Runtime& runtime_;
  MemoryDisk& disk_;
};

struct MemoryRuntime::Inside {
  MemoryFiles files;
  NoLog log;
};

MemoryRuntime::MemoryRuntime(MemoryDisk& disk, std::uint64_t seed)
    : random_(seed), inside_(new Inside{MemoryFiles(*this, disk), NoLog(last_log)}) {}
MemoryRuntime::~MemoryRuntime() = default;

runtime::Log& MemoryRuntime::log() {
  return inside_->log;
}
runtime::Network& MemoryRuntime::network() {
  STELE_ASSERT(!"there is no network here");
  __builtin_unreachable();
}
runtime::Files& MemoryRuntime::files() {
  return inside_->files;
}
void MemoryRuntime::post(CoreId to, runtime::Work work) {
  STELE_ASSERT(to == core());
  posted_.push(std::move(work));
}
void MemoryRuntime::offload(runtime::BlockingWork, runtime::Work) {
  STELE_ASSERT(!"there are no worker threads here");
}

bool MemoryRuntime::turn() {
  if (!posted_.empty()) {
    auto work = std::move(posted_.front());
    posted_.pop();
    work();
  } else if (timers_.next() != runtime::kNever) {
    now_ = std::max(now_, timers_.next());
    timers_.fire(now_);
  } else if (hooks_.empty()) {
    return false;
  }
  while (!hooks_.empty()) hooks_.pop_front().on_turn_end();
  return true;
}

}  // namespace stele::storage::testing
