// A disk in memory and a runtime to use it from, for tests of what is written to disks: unsynced sectors get
// lost in any subset at a crash, the last is torn, syncs fail and forget, space runs out. Virtual time, one
// core, no network. Everything it chooses comes from a seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/assert.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/timer_queue.h"

namespace stele::storage::testing {

class MemoryDisk {
 public:
  static constexpr std::uint64_t kSector = 512;

  explicit MemoryDisk(std::uint64_t seed) : random_(seed) {}

  struct Node {
    std::string cached;   // what reads see
    std::string durable;  // what is on the disk
    std::set<std::uint64_t> dirty;
    bool size_dirty = false;
  };

  // Faults. Probabilities in 1/1000, per operation.
  std::uint32_t failing_syncs = 0;
  std::uint32_t failing_writes = 0;
  std::uint64_t capacity = UINT64_MAX;  // of all files together
  bool removes = true;                  // false: every removal fails
  int syncs_until_failure = -1;         // fails that one sync; -1 never

  std::uint64_t used() const;
  std::vector<std::string> names() const;
  bool exists(const std::string& path) const { return names_.contains(path); }
  // The content as reads see it; flips and cuts reach the disk as well.
  const std::string& content(const std::string& path) const { return names_.at(path)->cached; }
  void flip_bit(const std::string& path, std::uint64_t position, int bit = 0);
  void erase(const std::string& path) { durable_names_.erase(path), names_.erase(path); }
  void put(const std::string& path, std::string content);
  std::uint64_t syncs() const { return syncs_; }
  std::uint64_t read_bytes() const { return read_bytes_; }

  // The machine stops: what was not synced is lost in part.
  void crash();

 private:
  friend class MemoryFile;
  friend class MemoryFiles;
  std::shared_ptr<Node> find(const std::string& path) const;
  Result<void> write(Node& node, std::uint64_t position, std::string_view bytes);
  void mark(Node& node, std::uint64_t from, std::uint64_t to);
  Result<void> finish_sync(Node& node, const std::set<std::uint64_t>& sectors);

  runtime::Random random_;
  std::map<std::string, std::shared_ptr<Node>> names_, durable_names_;
  std::uint64_t syncs_ = 0;
  std::uint64_t read_bytes_ = 0;
};

class MemoryRuntime final : public runtime::Runtime {
 public:
  MemoryRuntime(MemoryDisk& disk, std::uint64_t seed);
  ~MemoryRuntime() override;

  CoreId core() const override { return CoreId(0); }
  std::uint32_t core_count() const override { return 1; }
  runtime::Instant now() const override { return now_; }
  WallTime wall_now() const override { return {}; }
  runtime::Random& random() override { return random_; }
  runtime::Log& log() override;
  runtime::Network& network() override;
  runtime::Files& files() override;
  void arm(runtime::Timer& timer, runtime::Instant deadline) override { timers_.arm(timer, deadline); }
  void disarm(runtime::Timer& timer) override { timers_.disarm(timer); }
  void post(CoreId to, runtime::Work work) override;
  void at_turn_end(runtime::TurnEndHook& hook) override { hooks_.push_back(hook); }
  void offload(runtime::BlockingWork job, runtime::Work done) override;

  // One turn: false when there is nothing left to happen.
  bool turn();
  void turns(std::uint64_t count) {
    while (count-- > 0 && turn()) {
    }
  }
  // Runs the task to its end; what else happens meanwhile happens.
  template <class T>
  T run(runtime::Task<T> task);
  std::string last_log;

 private:
  template <class T>
  static runtime::Task<void> capture(runtime::Task<T> task, std::optional<T>& out) {
    out.emplace(co_await std::move(task));
  }

  struct Inside;
  runtime::Random random_;
  runtime::Instant now_{};
  runtime::TimerQueue timers_;
  std::queue<runtime::Work> posted_;
  IntrusiveList<runtime::TurnEndHook> hooks_;
  std::unique_ptr<Inside> inside_;
};

template <class T>
T MemoryRuntime::run(runtime::Task<T> task) {
  std::optional<T> out;
  runtime::Scope scope;
  scope.spawn(capture(std::move(task), out));
  while (!out) STELE_ASSERT(turn());
  return *std::move(out);
}

}  // namespace stele::storage::testing
