// Heartbeat: keeps a member's session, and tells it of a rebalance.
#include "protocols/kafka/messages/heartbeat.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {

runtime::Task<Result<ResponseBytes>> handle_heartbeat(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<HeartbeatRequest>(request));
  HeartbeatResponse response;
  response.error = group_error(co_await context.broker.group_heartbeat(
                                   context.principal, {.group = std::move(body.group_id),
                                                       .generation = body.generation_id,
                                                       .member_id = std::move(body.member_id),
                                                       .instance_id = std::move(body.group_instance_id)}),
                               KafkaError::kCoordinatorNotAvailable);
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
