// FindCoordinator: where a group's coordinator is: with the owner of the group's home shard.
//
// Of a transactional id: UNSUPPORTED_VERSION, which producers take for good, as InitProducerId says too.
#include "protocols/kafka/messages/find_coordinator.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

constexpr std::int8_t kGroup = 0;
constexpr std::int8_t kTransaction = 1;

FindCoordinatorResponse::Coordinator refused(std::string key, KafkaError error, std::string message) {
  FindCoordinatorResponse::Coordinator out;
  out.key = std::move(key);
  out.error = error;
  out.error_message = std::move(message);
  return out;
}

FindCoordinatorResponse::Coordinator find_one(HandlerContext& context, std::int8_t type, std::string key) {
  if (type == kTransaction) {
    return refused(std::move(key), KafkaError::kUnsupportedVersion, "transactions are not supported");
  }
  if (type != kGroup) return refused(std::move(key), KafkaError::kInvalidRequest, "unknown kind of key");
  auto& authorizer = context.broker.authorizer();
  if (!authorizer.allowed(context.principal, broker::Action::kDescribeGroup, key)) {
    return refused(std::move(key), KafkaError::kGroupAuthorizationFailed, "not authorized for this group");
  }
  auto at = broker_of(context, context.broker.coordinator_of(context.principal, key));
  if (!at) {
    return refused(std::move(key), KafkaError::kCoordinatorNotAvailable,
                   "nobody has this group at the moment");
  }
  FindCoordinatorResponse::Coordinator out;
  out.key = std::move(key);
  out.node_id = at->id;
  out.host = std::move(at->host);
  out.port = at->port;
  return out;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_find_coordinator(HandlerContext& context,
                                                             IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<FindCoordinatorRequest>(request));
  FindCoordinatorResponse response;
  for (std::string& key : body.keys) {
    response.coordinators.push_back(find_one(context, body.key_type, std::move(key)));
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
