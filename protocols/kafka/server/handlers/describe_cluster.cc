// DescribeCluster: the brokers, for admin tools. Each does what a controller would be asked to.
#include "protocols/kafka/messages/describe_cluster.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

// Kafka's numbers of endpoints (KIP-919) and of operations, which are bits of a mask (KIP-430).
constexpr std::int8_t kBrokers = 1, kControllers = 2;
enum Operation { kCreate = 5, kDescribe = 8, kDescribeConfigs = 10, kIdempotentWrite = 12 };

std::int32_t operations_of(HandlerContext& context) {
  auto& authorizer = context.broker.authorizer();
  const auto may = [&](broker::Action action) { return authorizer.allowed(context.principal, action, {}); };
  std::int32_t mask = 0;
  if (may(broker::Action::kCreateTopic)) mask |= 1 << kCreate;
  if (may(broker::Action::kDescribe)) mask |= 1 << kDescribe | 1 << kDescribeConfigs;
  if (may(broker::Action::kProduce)) mask |= 1 << kIdempotentWrite;
  return mask;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_describe_cluster(HandlerContext& context,
                                                             IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<DescribeClusterRequest>(request));
  DescribeClusterResponse response;
  response.endpoint_type = body.endpoint_type;
  if (body.endpoint_type != kBrokers) {
    const bool known = body.endpoint_type == kControllers;
    response.error = known ? KafkaError::kMismatchedEndpointType : KafkaError::kUnsupportedEndpointType;
    response.error_message = known ? "this is an endpoint for brokers, not for controllers"
                                   : "there is no endpoint type " + std::to_string(body.endpoint_type);
    co_return encode_response(request, response);
  }
  response.cluster_id = context.broker.meta()->cluster().id;
  for (BrokerAddress& one : brokers_of(context)) {
    DescribeClusterResponse::Broker& out = response.brokers.emplace_back();
    out.broker_id = one.id;
    out.host = std::move(one.host);
    out.port = one.port;
  }
  response.controller_id = response.brokers.front().broker_id;
  if (body.include_cluster_authorized_operations) {
    response.cluster_authorized_operations = operations_of(context);
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
