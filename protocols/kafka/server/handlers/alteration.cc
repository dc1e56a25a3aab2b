#include "protocols/kafka/server/handlers/alteration.h"

#include <map>
#include <string_view>
#include <utility>

namespace stele::kafka {
namespace {

// Kafka's numbers.
enum ResourceType : std::int8_t { kTopic = 2, kBroker = 4 };

runtime::Task<Altered> alter_topic(HandlerContext& context, Alteration asked, bool reset_others,
                                   bool validate_only) {
  if (!asked.changes) co_return Altered{KafkaError::kInvalidRequest, asked.changes.error().message};
  const auto altered = co_await context.broker.alter_topic(
      context.principal, asked.resource_name,
      {.settings = *std::move(asked.changes), .reset_others = reset_others, .validate_only = validate_only});
  if (altered) co_return Altered();
  // Nothing grows by it that could be over a limit: no space is a full disk.
  const KafkaError why = altered.error().code == ErrorCode::kNoSpace
                             ? kafka_error(altered.error())
                             : command_error(altered.error(), KafkaError::kInvalidConfig);
  co_return Altered{why, altered.error().message};
}

Altered alter_broker(HandlerContext& context) {
  if (!context.broker.authorizer().allowed(context.principal, broker::Action::kAdminister, {}))
    return {KafkaError::kClusterAuthorizationFailed, "not allowed"};
  return {KafkaError::kInvalidConfig, "a broker's configuration changes only with a restart"};
}

}  // namespace

runtime::Task<std::vector<Altered>> alter_each(HandlerContext& context, std::vector<Alteration> alterations,
                                               bool reset_others, bool validate_only) {
  std::map<std::pair<std::int8_t, std::string>, int> times;
  for (const Alteration& asked : alterations) ++times[{asked.resource_type, asked.resource_name}];
  std::vector<Altered> answers;
  for (Alteration& asked : alterations) {
    const std::int8_t type = asked.resource_type;
    if (times[{type, asked.resource_name}] > 1) {
      answers.push_back({KafkaError::kInvalidRequest, "Each resource must appear at most once."});
    } else if (type == kTopic) {
      answers.push_back(co_await alter_topic(context, std::move(asked), reset_others, validate_only));
    } else if (type == kBroker) {
      answers.push_back(alter_broker(context));
    } else {
      answers.push_back({KafkaError::kInvalidRequest,
                         "resources of type " + std::to_string(type) + " have no configuration here"});
    }
  }
  co_return answers;
}

}  // namespace stele::kafka
