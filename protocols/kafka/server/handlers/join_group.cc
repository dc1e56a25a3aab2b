// JoinGroup: answered when the next generation of the group begins.
#include "protocols/kafka/messages/join_group.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {

runtime::Task<Result<ResponseBytes>> handle_join_group(HandlerContext& context, IncomingRequest request) {
  const std::int16_t version = request.request.header.version;
  STELE_CO_TRY(auto body, decode_body<JoinGroupRequest>(request));
  broker::JoinGroup ask;
  ask.group = std::move(body.group_id);
  ask.protocol_type = std::move(body.protocol_type);
  broker::GroupMember& member = ask.member;
  member.id = std::move(body.member_id);
  member.instance_id = std::move(body.group_instance_id);
  member.client_id = request.request.header.client_id.value_or("");
  member.client_host = context.client_host;
  member.session_timeout_ms = body.session_timeout_ms;
  member.rebalance_timeout_ms = version >= 1 ? body.rebalance_timeout_ms : body.session_timeout_ms;
  for (auto& protocol : body.protocols) {
    member.protocols.push_back({std::move(protocol.name), std::move(protocol.metadata)});
  }
  ask.id_required = version >= 4;
  ask.may_skip_assignment = version >= 9;
  broker::JoinedGroup joined =
      co_await context.broker.join_group(context.principal, std::move(ask), context.stop);

  JoinGroupResponse response;
  response.error = group_error(joined.error);
  response.member_id = std::move(joined.member_id);
  if (joined.error == broker::GroupError::kNone) {
    response.generation_id = joined.generation;
    response.protocol_type = std::move(joined.protocol_type);
    response.protocol_name = std::move(joined.protocol);
    response.leader = std::move(joined.leader);
    response.skip_assignment = joined.skip_assignment;
    for (auto& one : joined.members) {
      response.members.push_back({std::move(one.id), std::move(one.instance_id), std::move(one.metadata)});
    }
  } else if (version >= 7) {
    response.protocol_name.reset();
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
