// Fetch: reads several partitions, on whatever cores their shards live, and waits until there is enough.
#include <algorithm>

#include "base/assert.h"
#include "base/buggify.h"
#include "broker/core.h"
#include "broker/shard.h"
#include "runtime/notification.h"

namespace stele::broker {

using runtime::Task;

// Woken by a shard that has records, by the deadline, or by the connection's end. Leaves the shards' lists
// when destroyed, also with a frame that is given up.
class Core::FetchWait final : private runtime::Timer {
 public:
  explicit FetchWait(Core& core) : core_(core), id_(core.next_fetch_wait_++) {
    core_.fetch_waits_[id_] = this;
  }
  ~FetchWait() override {
    core_.fetch_waits_.erase(id_);
    for (const auto& [shard, stream] : watched_) {
      core_.send(core_.core_of(shard),
                 CallMail([shard, stream, id = id_, back = core_.runtime_.core()](Core& there) {
                   if (Shard* here = there.shard(shard)) here->remove_reader(stream, back, id);
                 }));
    }
  }

  void watch(ShardId shard, StreamId stream, Offset beyond) {
    watched_.emplace_back(shard, stream);
    core_.send(core_.core_of(shard), CallMail([=, id = id_, back = core_.runtime_.core()](Core& there) {
                 if (Shard* here = there.shard(shard)) {
                   here->add_reader(stream, beyond, back, id);
                 } else {
                   there.send(back, CallMail([id](Core& core) { core.wake_fetch(id); }));
                 }
               }));
  }
  void wake() {
    woken_ = true;
    notification_.wake_all();
  }
  Task<void> wait(runtime::Instant deadline, runtime::StopToken stop) {
    core_.runtime_.arm(*this, deadline);
    runtime::StopCallback on_stop(stop, [this] { core_.runtime_.arm(*this, core_.runtime_.now()); });
    while (!woken_) co_await notification_.wait();
    core_.runtime_.disarm(*this);
  }

 private:
  void on_timer() override { wake(); }
  Core& core_;
  const std::uint64_t id_;
  bool woken_ = false;
  runtime::Notification notification_;
  std::vector<std::pair<ShardId, StreamId>> watched_;
};

void Core::wake_fetch(std::uint64_t wait) {
  auto found = fetch_waits_.find(wait);
  if (found != fetch_waits_.end()) found->second->wake();
}

Task<std::vector<Result<FetchOk>>> Core::read_here(Core& there, std::vector<FetchRead> reads,
                                                   std::vector<ShardId> shards, std::size_t max_bytes) {
  std::vector<Result<FetchOk>> results;
  std::size_t left = max_bytes;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    FetchRead read = reads[i];
    read.max_bytes = std::min(read.max_bytes, left);
    results.push_back(co_await Shard::read_stream(there, shards[i], read));
    if (results.back()) left -= std::min(left, results.back()->bytes);
  }
  co_return results;
}

// One call per core, one core after the other: what one core found is not left for the next.
Task<void> Core::read_all(const std::vector<FetchRead>& reads, const std::vector<ShardId>& shards,
                          std::size_t max_bytes, std::vector<Result<FetchOk>>& results) {
  std::size_t left = max_bytes;
  for (std::uint32_t core = 0; core < core_count(); ++core) {
    std::vector<std::size_t> places;
    std::vector<FetchRead> here;
    std::vector<ShardId> their_shards;
    for (std::size_t i = 0; i < reads.size(); ++i) {
      if (!results[i] || core_of(shards[i]) != CoreId(core)) continue;
      places.push_back(i);
      here.push_back(reads[i]);
      their_shards.push_back(shards[i]);
    }
    if (places.empty()) continue;
    auto found = co_await on_core<std::vector<Result<FetchOk>>>(
        CoreId(core),
        [here, their_shards, left](Core& there) { return read_here(there, here, their_shards, left); });
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (found[i]) left -= std::min(left, found[i]->bytes);
      results[places[i]] = std::move(found[i]);
    }
  }
}

Task<std::vector<Result<FetchOk>>> Core::fetch(Principal who, std::vector<FetchRead> reads,
                                               std::size_t min_bytes, std::size_t max_bytes,
                                               runtime::Instant deadline, runtime::StopToken stop) {
  std::vector<Result<FetchOk>> results(reads.size());
  std::vector<ShardId> shards(reads.size());
  max_bytes = std::max<std::size_t>(max_bytes, 1);
  while (true) {
    // Each time: what may be read can change while it waits.
    for (std::size_t i = 0; i < reads.size(); ++i) {
      auto topic = find_stream(who, Action::kFetch, reads[i].stream);
      if (topic) {
        shards[i] = (*topic)->shards[static_cast<std::size_t>(reads[i].stream.partition.value)];
        reads[i].max_bytes = std::max<std::size_t>(reads[i].max_bytes, 1);
      } else {
        results[i] = std::unexpected(std::move(topic).error());
      }
    }
    co_await read_all(reads, shards, max_bytes, results);
    std::size_t bytes = 0;
    bool failed = false;
    for (const auto& result : results) {
      failed |= !result;
      if (result) bytes += result->bytes;
    }
    if (failed || bytes >= min_bytes || runtime_.now() >= deadline || stop.stop_requested() || stopping_ ||
        buggify(Buggify::kShortFetch)) {
      break;
    }
    FetchWait wait(*this);
    for (std::size_t i = 0; i < reads.size(); ++i)
      wait.watch(shards[i], reads[i].stream, results[i]->high_watermark);
    co_await wait.wait(deadline, stop);
  }
  co_return results;
}

}  // namespace stele::broker
