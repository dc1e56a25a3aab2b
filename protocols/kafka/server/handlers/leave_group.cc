// LeaveGroup: from version 3 on of several members, each with an answer of its own.
#include "protocols/kafka/messages/leave_group.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {

runtime::Task<Result<ResponseBytes>> handle_leave_group(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<LeaveGroupRequest>(request));
  broker::LeaveGroup ask;
  ask.group = std::move(body.group_id);
  for (const auto& one : body.members) ask.members.push_back({one.member_id, one.group_instance_id});
  const broker::LeftGroup left = co_await context.broker.leave_group(context.principal, std::move(ask));
  LeaveGroupResponse response;
  response.error = group_error(left.error, KafkaError::kCoordinatorNotAvailable);
  for (std::size_t i = 0; i < left.members.size(); ++i) {
    response.members.push_back(
        {body.members[i].member_id, body.members[i].group_instance_id, group_error(left.members[i])});
  }
  const bool alone = request.request.header.version < 3;
  if (alone && response.error == KafkaError::kNone && !response.members.empty()) {
    response.error = response.members.front().error;
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
