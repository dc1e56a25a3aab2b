// OffsetFetch: committed offsets of groups; -1 where there is none. A group that does not exist has none.
// Nothing is ever unstable, for there are no transactions.
#include "protocols/kafka/messages/offset_fetch.h"

#include <map>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

using Out = OffsetFetchResponse::Group;

OffsetFetchResponse::Partition partition_of(std::int32_t index, const broker::CommittedOffset& offset) {
  OffsetFetchResponse::Partition out;
  out.partition_index = index;
  out.committed_offset = offset.offset.value;
  out.committed_leader_epoch = offset.leader_epoch;
  out.metadata = offset.metadata;
  return out;
}

struct Place {
  std::size_t topic;
  std::size_t partition;
};

runtime::Task<Out> fetch_named(HandlerContext& context, OffsetFetchRequest::Group asked) {
  const auto view = context.broker.meta();
  auto& authorizer = context.broker.authorizer();
  Out out;
  out.group_id = asked.group_id;
  broker::FetchOffsets ask;
  ask.group = std::move(asked.group_id);
  ask.streams.emplace();
  std::vector<Place> places;
  for (const auto& topic : *asked.topics) {
    auto& one = out.topics.emplace_back();
    one.name = topic.name;
    one.topic_id = topic.topic_id;
    const meta::Topic* found = find_topic(*view, context.principal.tenant, topic.name, topic.topic_id);
    const std::string& name = found ? found->name : topic.name;
    const bool allowed =
        name.empty() || authorizer.allowed(context.principal, broker::Action::kDescribe, name);
    for (const std::int32_t index : topic.partition_indexes) {
      auto& partition = one.partitions.emplace_back(partition_of(index, {}));
      if (!allowed) {
        partition.error = KafkaError::kTopicAuthorizationFailed;
      } else if (found) {
        places.push_back({out.topics.size() - 1, one.partitions.size() - 1});
        ask.streams->push_back(StreamId{found->id, PartitionId(index)});
      } else if (topic.name.empty()) {
        partition.error = KafkaError::kUnknownTopicId;
      }
    }
  }
  const broker::FetchedOffsets answer =
      co_await context.broker.fetch_offsets(context.principal, std::move(ask));
  out.error = group_error(answer.error);
  for (std::size_t i = 0; i < answer.offsets.size(); ++i) {
    auto& partition = out.topics[places[i].topic].partitions[places[i].partition];
    partition = partition_of(partition.partition_index, answer.offsets[i].second);
  }
  co_return out;
}

runtime::Task<Out> fetch_all(HandlerContext& context, std::string group) {
  Out out;
  out.group_id = group;
  const broker::FetchedOffsets answer = co_await context.broker.fetch_offsets(
      context.principal, {.group = std::move(group), .streams = std::nullopt});
  out.error = group_error(answer.error);
  const auto view = context.broker.meta();
  auto& authorizer = context.broker.authorizer();
  const meta::Topic* topic = nullptr;
  for (const auto& [stream, offset] : answer.offsets) {
    if (!topic || topic->id != stream.topic) {
      topic = view->find_topic(stream.topic);
      if (topic && !authorizer.allowed(context.principal, broker::Action::kDescribe, topic->name)) {
        topic = nullptr;
      }
      if (!topic) continue;  // deleted, or not for this client to see
      auto& one = out.topics.emplace_back();
      one.name = topic->name;
      one.topic_id = uuid_of(*topic);
    }
    out.topics.back().partitions.push_back(partition_of(stream.partition.value, offset));
  }
  co_return out;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_offset_fetch(HandlerContext& context, IncomingRequest request) {
  const std::int16_t version = request.request.header.version;
  STELE_CO_TRY(auto body, decode_body<OffsetFetchRequest>(request));
  OffsetFetchResponse response;
  for (auto& group : body.groups) {
    Out out =
        group.topics ? co_await fetch_named(context, group) : co_await fetch_all(context, group.group_id);
    if (out.error != KafkaError::kNone) {
      // Version 1 has no place for it but at every partition.
      if (version >= 8) out.topics.clear();
      for (auto& topic : out.topics) {
        for (auto& partition : topic.partitions) partition.error = out.error;
      }
    }
    response.groups.push_back(std::move(out));
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
