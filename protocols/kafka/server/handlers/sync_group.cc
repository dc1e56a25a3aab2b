// SyncGroup: answered when the leader has said who gets what, and that is committed.
#include "protocols/kafka/messages/sync_group.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {

runtime::Task<Result<ResponseBytes>> handle_sync_group(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<SyncGroupRequest>(request));
  SyncGroupResponse response;
  // Of clients that say it, both are checked (KIP-559).
  if (request.request.header.version >= 5 && (!body.protocol_type || !body.protocol_name)) {
    response.error = KafkaError::kInconsistentGroupProtocol;
    co_return encode_response(request, response);
  }
  broker::SyncGroup ask;
  ask.group = std::move(body.group_id);
  ask.generation = body.generation_id;
  ask.member_id = std::move(body.member_id);
  ask.instance_id = std::move(body.group_instance_id);
  ask.protocol_type = std::move(body.protocol_type);
  ask.protocol = std::move(body.protocol_name);
  for (auto& one : body.assignments) {
    ask.assignments.emplace_back(std::move(one.member_id), std::move(one.assignment));
  }
  broker::SyncedGroup synced =
      co_await context.broker.sync_group(context.principal, std::move(ask), context.stop);
  response.error = group_error(synced.error, KafkaError::kCoordinatorNotAvailable);
  if (synced.error == broker::GroupError::kNone) {
    response.protocol_type = std::move(synced.protocol_type);
    response.protocol_name = std::move(synced.protocol);
    response.assignment = std::move(synced.assignment);
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
