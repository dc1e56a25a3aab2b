// OffsetCommit: of members of the group's current generation, or of anybody while the group is empty.
#include "protocols/kafka/messages/offset_commit.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

struct Place {
  std::size_t topic;
  std::size_t partition;
};

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_offset_commit(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<OffsetCommitRequest>(request));
  const auto view = context.broker.meta();
  broker::CommitOffsets ask;
  ask.group = std::move(body.group_id);
  ask.generation = body.generation_id;
  ask.member_id = std::move(body.member_id);
  ask.instance_id = std::move(body.group_instance_id);
  ask.retention_ms = body.retention_time_ms;
  OffsetCommitResponse response;
  std::vector<Place> places;
  for (auto& topic : body.topics) {
    auto& out = response.topics.emplace_back();
    out.name = topic.name;
    out.topic_id = topic.topic_id;
    const meta::Topic* found = find_topic(*view, context.principal.tenant, topic.name, topic.topic_id);
    for (auto& partition : topic.partitions) {
      auto& one = out.partitions.emplace_back();
      one.partition_index = partition.partition_index;
      if (!found) {
        one.error = no_such_topic(context, broker::Action::kFetch, topic.name);
        continue;
      }
      places.push_back({response.topics.size() - 1, out.partitions.size() - 1});
      broker::CommittedOffset offset;
      offset.offset = Offset(partition.committed_offset);
      offset.leader_epoch = partition.committed_leader_epoch;
      offset.metadata = partition.committed_metadata.value_or("");
      ask.offsets.emplace_back(StreamId{found->id, PartitionId(partition.partition_index)},
                               std::move(offset));
    }
  }
  const broker::OffsetsAnswer answer =
      co_await context.broker.commit_offsets(context.principal, std::move(ask));
  if (answer.error != broker::GroupError::kNone) {
    // There is one place only to say it: at every partition.
    for (auto& topic : response.topics) {
      for (auto& partition : topic.partitions) partition.error = group_error(answer.error);
    }
    co_return encode_response(request, response);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    response.topics[places[i].topic].partitions[places[i].partition].error =
        group_error(answer.partitions[i]);
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
