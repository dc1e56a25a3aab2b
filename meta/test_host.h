// A process of several cores in one thread, for the tests of the meta service: work and jobs run in an order
// drawn from a seed, blocking files are storage::MemoryFiles. Destroying it at any moment is a crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "runtime/random.h"
#include "runtime/runtime.h"
#include "runtime/timer_queue.h"
#include "storage/memory_files.h"

namespace stele::meta {

class TestHost {
 public:
  TestHost(storage::MemoryFiles& disk, std::uint32_t cores, std::uint64_t seed) : disk_(disk), random_(seed) {
    for (std::uint32_t id = 0; id < cores; ++id) cores_.push_back(std::make_unique<Core>(*this, CoreId(id)));
  }

  runtime::Runtime& core(std::uint32_t id) { return *cores_[id]; }

  // Runs one piece of work. False when there is none.
  bool step() {
    std::vector<std::deque<runtime::Work>*> ready;
    for (auto& [between, queue] : posts_) {
      if (!queue.empty()) ready.push_back(&queue);
    }
    const std::size_t choices = ready.size() + jobs_.size();
    if (choices == 0) return false;
    const std::size_t choice = random_.below(choices);
    if (choice < ready.size()) {
      runtime::Work work = std::move(ready[choice]->front());
      ready[choice]->pop_front();
      work();
      return true;
    }
    const auto at = jobs_.begin() + static_cast<std::ptrdiff_t>(choice - ready.size());
    Job job = std::move(*at);
    jobs_.erase(at);
    if (job.work) {
      std::exchange(job.work, {})(disk_);
      jobs_.push_back(std::move(job));
    } else {
      job.done();
    }
    return true;
  }

 private:
  struct Job {
    runtime::BlockingWork work;  // empty once it ran
    runtime::Work done;
  };

  // Directories only: the rest goes through jobs.
  class Directories final : public runtime::Files {
   public:
    explicit Directories(storage::MemoryFiles& disk) : disk_(disk) {}
    runtime::Task<Result<std::unique_ptr<runtime::File>>> open(std::string, runtime::OpenOptions) override {
      co_return unused();
    }
    runtime::Task<Result<std::vector<runtime::DirectoryEntry>>> list(std::string) override {
      co_return std::vector<runtime::DirectoryEntry>();
    }
    runtime::Task<Result<void>> make_directory(std::string) override { co_return Result<void>(); }
    runtime::Task<Result<void>> rename(std::string, std::string) override { co_return unused(); }
    runtime::Task<Result<void>> remove(std::string) override { co_return unused(); }
    runtime::Task<Result<void>> sync_directory(std::string path) override {
      co_return disk_.sync_directory(path);
    }
    runtime::Task<Result<std::unique_ptr<Lock>>> lock(std::string) override { co_return unused(); }

   private:
    static std::unexpected<Error> unused() { return error(ErrorCode::kUnsupported, "not in this test"); }
    storage::MemoryFiles& disk_;
  };

  class Silence final : public runtime::Log {
    bool enabled(runtime::LogLevel) const override { return false; }
    void write(runtime::LogLevel, std::string_view, std::string_view) override {}
  };

  class Core final : public runtime::Runtime {
   public:
    Core(TestHost& host, CoreId id)
        : host_(host), id_(id), random_(host.random_.fork()), files_(host.disk_) {}
    CoreId core() const override { return id_; }
    std::uint32_t core_count() const override { return static_cast<std::uint32_t>(host_.cores_.size()); }
    runtime::Instant now() const override { return {}; }
    WallTime wall_now() const override { return WallTime{1'700'000'000'000}; }
    runtime::Random& random() override { return random_; }
    runtime::Log& log() override { return log_; }
    runtime::Network& network() override { STELE_ASSERT(!"no network in this test"); }
    runtime::Files& files() override { return files_; }
    void arm(runtime::Timer&, runtime::Instant) override { STELE_ASSERT(!"no timers in this test"); }
    void disarm(runtime::Timer&) override {}
    void post(CoreId to, runtime::Work work) override { host_.posts_[{id_, to}].push_back(std::move(work)); }
    void at_turn_end(runtime::TurnEndHook&) override { STELE_ASSERT(!"no hooks in this test"); }
    void offload(runtime::BlockingWork work, runtime::Work done) override {
      host_.jobs_.push_back({std::move(work), std::move(done)});
    }

   private:
    TestHost& host_;
    CoreId id_;
    runtime::Random random_;
    Silence log_;
    Directories files_;
  };

  storage::MemoryFiles& disk_;
  runtime::Random random_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::map<std::pair<CoreId, CoreId>, std::deque<runtime::Work>> posts_;
  std::vector<Job> jobs_;
};

}  // namespace stele::meta
