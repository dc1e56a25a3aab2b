// CreatePartitions: each topic for itself. Captured messages stay in the partitions that there were.
#include "protocols/kafka/messages/create_partitions.h"

#include <map>
#include <string>
#include <utility>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

using Asked = CreatePartitionsRequest::Topic;
using Out = CreatePartitionsResponse::Topic;

Out refused(const std::string& name, KafkaError error, std::string message) {
  return {name, error, std::move(message)};
}

// Whether they say where the new partitions go, and say it as it must be: there is one broker.
bool fits(const Asked& asked, const meta::Topic& topic, std::int32_t node) {
  if (!asked.assignments) return true;
  if (static_cast<std::int64_t>(asked.assignments->size()) !=
      std::int64_t{asked.count} - topic.partition_count())
    return false;
  for (const auto& assignment : *asked.assignments) {
    if (assignment.broker_ids != std::vector<std::int32_t>{node}) return false;
  }
  return true;
}

runtime::Task<Out> grow(HandlerContext& context, Asked asked, bool validate_only) {
  constexpr broker::Action kAction = broker::Action::kAlterTopic;
  const auto view = context.broker.meta();
  const meta::Topic* topic = view->find_topic(context.principal.tenant, asked.name);
  if (!topic) {
    const KafkaError error = no_such_topic(context, kAction, asked.name);
    co_return refused(asked.name, error, std::string(to_string(error)));
  }
  if (!context.broker.authorizer().allowed(context.principal, kAction, asked.name))
    co_return refused(asked.name, KafkaError::kTopicAuthorizationFailed, "not allowed");
  if (asked.count > context.options.max_partitions_per_topic) {
    co_return refused(
        asked.name, KafkaError::kInvalidPartitions,
        "a topic has at most " + std::to_string(context.options.max_partitions_per_topic) + " partitions");
  }
  if (asked.count > topic->partition_count() &&
      !fits(asked, *topic, static_cast<std::int32_t>(context.broker.node_id().value))) {
    co_return refused(
        asked.name, KafkaError::kInvalidReplicaAssignment,
        "each new partition has one replica, on broker " + std::to_string(context.broker.node_id().value));
  }
  const auto grown =
      co_await context.broker.add_partitions(context.principal, asked.name, asked.count, validate_only);
  if (!grown)
    co_return refused(asked.name, command_error(grown.error(), KafkaError::kInvalidPartitions),
                      grown.error().message);
  Out out;
  out.name = asked.name;
  co_return out;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_create_partitions(HandlerContext& context,
                                                              IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<CreatePartitionsRequest>(request));
  std::map<std::string_view, int> times;
  for (const auto& topic : body.topics) ++times[topic.name];
  CreatePartitionsResponse response;
  for (const auto& topic : body.topics) {
    int& left = times[topic.name];
    if (left > 1) {
      response.results.push_back(
          refused(topic.name, KafkaError::kInvalidRequest, "Duplicate topic name: " + topic.name));
      left = 0;
    } else if (left == 1) {
      response.results.push_back(co_await grow(context, topic, body.validate_only));
    }
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
