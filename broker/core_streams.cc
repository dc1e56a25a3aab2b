// What can be asked of streams, wherever their shards live: offsets, sizes, and whose records are whose.
#include <optional>
#include <utility>

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

template <class Answer>
Task<std::vector<Result<Answer>>> Core::ask_streams(
    Principal who, Action action, std::vector<StreamAsked> asked,
    Task<std::vector<Result<Answer>>> (*ask)(Core& there, std::vector<StreamAsked> asked)) {
  std::vector<Result<Answer>> results(asked.size());
  std::vector<std::vector<std::size_t>> places(core_count());
  std::vector<std::vector<StreamAsked>> of_core(core_count());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    auto topic = find_stream(who, action, asked[i].stream);
    if (!topic) {
      results[i] = std::unexpected(std::move(topic).error());
      continue;
    }
    asked[i].shard = (*topic)->shards[static_cast<std::size_t>(asked[i].stream.partition.value)];
    const std::size_t core = core_of(asked[i].shard).value;
    places[core].push_back(i);
    of_core[core].push_back(asked[i]);
  }
  for (std::uint32_t core = 0; core < core_count(); ++core) {
    if (places[core].empty()) continue;
    auto answers = co_await on_core<std::vector<Result<Answer>>>(
        CoreId(core), [ask, here = std::move(of_core[core])](Core& there) { return ask(there, here); });
    for (std::size_t i = 0; i < answers.size(); ++i) results[places[core][i]] = std::move(answers[i]);
  }
  co_return results;
}

Task<std::vector<Result<StreamStatus>>> Core::statuses_here(Core& there, std::vector<StreamAsked> asked) {
  std::vector<Result<StreamStatus>> out;
  for (const StreamAsked& one : asked) {
    out.push_back(co_await Shard::stream_status(there, one.shard, one.stream));
  }
  co_return out;
}

Task<std::vector<Result<StreamStatus>>> Core::stream_statuses(Principal who, std::vector<StreamId> streams) {
  std::vector<StreamAsked> asked;
  for (const StreamId& stream : streams) asked.push_back({stream, {}, {}});
  co_return co_await ask_streams<StreamStatus>(std::move(who), Action::kDescribe, std::move(asked),
                                               statuses_here);
}

// All of them are logged before one is waited for.
Task<std::vector<Result<Offset>>> Core::delete_records_here(Core& there, std::vector<StreamAsked> asked) {
  std::vector<Result<Offset>> starts;
  std::vector<std::optional<Shard::Kept>> logged;
  for (const StreamAsked& one : asked) {
    if (Shard* here = there.shard(one.shard)) {
      starts.push_back(here->delete_records(one.stream, one.offset));
      logged.emplace_back(here->all());
    } else {
      starts.push_back(error(ErrorCode::kUnavailable, "the shard is starting; try again"));
      logged.emplace_back();
    }
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (!starts[i]) continue;
    if (auto kept = co_await Shard::kept(*std::move(logged[i])); !kept)
      starts[i] = std::unexpected(std::move(kept).error());
  }
  co_return starts;
}

Task<std::vector<Result<Offset>>> Core::delete_records(Principal who,
                                                       std::vector<std::pair<StreamId, Offset>> wanted) {
  std::vector<StreamAsked> asked;
  for (const auto& [stream, offset] : wanted) asked.push_back({stream, offset, {}});
  co_return co_await ask_streams<Offset>(std::move(who), Action::kDeleteTopic, std::move(asked),
                                         delete_records_here);
}

Task<Result<EpochEnd>> Core::epoch_end(Principal who, StreamId stream, std::int32_t leader_epoch) {
  STELE_CO_TRY(const meta::Topic* topic, find_stream(who, Action::kDescribe, stream));
  const ShardId shard = topic->shards[static_cast<std::size_t>(stream.partition.value)];
  co_return co_await on_core<Result<EpochEnd>>(core_of(shard), [shard, stream, leader_epoch](Core& there) {
    return Shard::epoch_end(there, shard, stream, leader_epoch);
  });
}

}  // namespace stele::broker
