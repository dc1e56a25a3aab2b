// What can be asked of streams, wherever their shards live: offsets, sizes, and whose records are whose.
#include "broker/core.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;

Task<Result<OffsetAndTime>> Core::list_offset(Principal who, StreamId stream, std::int64_t timestamp_ms) {
  STELE_CO_TRY(const meta::Topic* topic, find_stream(who, Action::kDescribe, stream));
  const ShardId shard = topic->shards[static_cast<std::size_t>(stream.partition.value)];
  co_return co_await on_core<Result<OffsetAndTime>>(
      core_of(shard), [shard, stream, timestamp_ms](Core& there) {
        return Shard::list_offset(there, shard, stream, timestamp_ms);
      });
}

Task<Result<StreamStatus>> Core::stream_status(Principal who, StreamId stream) {
  STELE_CO_TRY(const meta::Topic* topic, find_stream(who, Action::kDescribe, stream));
  const ShardId shard = topic->shards[static_cast<std::size_t>(stream.partition.value)];
  co_return co_await on_core<Result<StreamStatus>>(
      core_of(shard), [shard, stream](Core& there) { return Shard::stream_status(there, shard, stream); });
}

namespace {

Task<std::vector<Result<StreamStatus>>> statuses_here(Core& there, std::vector<StreamId> streams,
                                                      std::vector<ShardId> shards) {
  std::vector<Result<StreamStatus>> out;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    out.push_back(co_await Shard::stream_status(there, shards[i], streams[i]));
  }
  co_return out;
}

}  // namespace

// One call per core.
Task<std::vector<Result<StreamStatus>>> Core::stream_statuses(Principal who, std::vector<StreamId> streams) {
  std::vector<Result<StreamStatus>> results(streams.size());
  std::vector<std::vector<std::size_t>> places(core_count());
  std::vector<std::vector<StreamId>> there(core_count());
  std::vector<std::vector<ShardId>> shards(core_count());
  for (std::size_t i = 0; i < streams.size(); ++i) {
    auto topic = find_stream(who, Action::kDescribe, streams[i]);
    if (!topic) {
      results[i] = std::unexpected(std::move(topic).error());
      continue;
    }
    const ShardId shard = (*topic)->shards[static_cast<std::size_t>(streams[i].partition.value)];
    const std::size_t core = core_of(shard).value;
    places[core].push_back(i);
    there[core].push_back(streams[i]);
    shards[core].push_back(shard);
  }
  for (std::uint32_t core = 0; core < core_count(); ++core) {
    if (places[core].empty()) continue;
    auto found = co_await on_core<std::vector<Result<StreamStatus>>>(
        CoreId(core), [asked = std::move(there[core]), in = std::move(shards[core])](Core& home) {
          return statuses_here(home, asked, in);
        });
    for (std::size_t i = 0; i < found.size(); ++i) results[places[core][i]] = std::move(found[i]);
  }
  co_return results;
}

Task<Result<EpochEnd>> Core::epoch_end(Principal who, StreamId stream, std::int32_t leader_epoch) {
  STELE_CO_TRY(const meta::Topic* topic, find_stream(who, Action::kDescribe, stream));
  const ShardId shard = topic->shards[static_cast<std::size_t>(stream.partition.value)];
  co_return co_await on_core<Result<EpochEnd>>(core_of(shard), [shard, stream, leader_epoch](Core& there) {
    return Shard::epoch_end(there, shard, stream, leader_epoch);
  });
}

}  // namespace stele::broker
