// IncrementalAlterConfigs (KIP-339): changes settings of topics; all of one resource, or none. The broker's
// own change with a restart only.
#include "protocols/kafka/messages/incremental_alter_configs.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

using Asked = IncrementalAlterConfigsRequest::Resource;
using Answer = IncrementalAlterConfigsResponse::Resource;

// Kafka's numbers.
enum ResourceType : std::int8_t { kTopic = 2, kBroker = 4 };
constexpr std::int8_t kSubtract = 3;

Answer refused(const Asked& asked, KafkaError error, std::string message) {
  return {error, std::move(message), asked.resource_type, asked.resource_name};
}

KafkaError alteration_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return KafkaError::kInvalidConfig;
    case ErrorCode::kUnavailable:
    case ErrorCode::kClosed:
      return KafkaError::kRequestTimedOut;
    default:
      return kafka_error(error);
  }
}

// kInvalidArgument: the request makes no sense.
Result<std::vector<meta::ConfigChange>> changes_of(const Asked& asked) {
  std::vector<meta::ConfigChange> changes;
  std::set<std::string_view> seen;
  for (const auto& config : asked.configs) {
    if (!seen.insert(config.name).second)
      return error(ErrorCode::kInvalidArgument, "Error due to duplicate config keys: " + config.name);
    if (config.operation < 0 || config.operation > kSubtract)
      return error(ErrorCode::kInvalidArgument, "Unknown operation of " + config.name);
    const auto op = static_cast<meta::ConfigOp>(config.operation);
    if (op != meta::ConfigOp::kDelete && !config.value)
      return error(ErrorCode::kInvalidArgument, "Null value not supported for " + config.name);
    changes.push_back({config.name, op, config.value.value_or("")});
  }
  return changes;
}

runtime::Task<Answer> alter_topic(HandlerContext& context, Asked asked, bool validate_only) {
  auto changes = changes_of(asked);
  if (!changes) co_return refused(asked, KafkaError::kInvalidRequest, changes.error().message);
  const auto altered = co_await context.broker.alter_topic(context.principal, asked.resource_name,
                                                           *std::move(changes), validate_only);
  if (!altered) co_return refused(asked, alteration_error(altered.error()), altered.error().message);
  co_return Answer{KafkaError::kNone, std::nullopt, asked.resource_type, asked.resource_name};
}

Answer alter_broker(HandlerContext& context, const Asked& asked) {
  if (!context.broker.authorizer().allowed(context.principal, broker::Action::kAdminister, {}))
    return refused(asked, KafkaError::kClusterAuthorizationFailed, "not allowed");
  return refused(asked, KafkaError::kInvalidConfig, "a broker's configuration changes only with a restart");
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_incremental_alter_configs(HandlerContext& context,
                                                                      IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<IncrementalAlterConfigsRequest>(request));
  std::map<std::pair<std::int8_t, std::string_view>, int> times;
  for (const Asked& asked : body.resources) ++times[{asked.resource_type, asked.resource_name}];
  IncrementalAlterConfigsResponse response;
  for (const Asked& asked : body.resources) {
    if (times[{asked.resource_type, asked.resource_name}] > 1) {
      response.responses.push_back(
          refused(asked, KafkaError::kInvalidRequest, "Each resource must appear at most once."));
    } else if (asked.resource_type == kTopic) {
      response.responses.push_back(co_await alter_topic(context, asked, body.validate_only));
    } else if (asked.resource_type == kBroker) {
      response.responses.push_back(alter_broker(context, asked));
    } else {
      response.responses.push_back(refused(
          asked, KafkaError::kInvalidRequest,
          "resources of type " + std::to_string(asked.resource_type) + " have no configuration here"));
    }
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
