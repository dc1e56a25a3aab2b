// DescribeConfigs: the settings of topics and of this broker, under Kafka's names. Only what is in force: a
// setting of Kafka's that does nothing here is not named.
#include "protocols/kafka/messages/describe_configs.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/topic_name.h"
#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

using Asked = DescribeConfigsRequest::Resource;
using Answer = DescribeConfigsResponse::Resource;

// Kafka's numbers.
enum ResourceType : std::int8_t { kTopic = 2, kBroker = 4 };
enum Source : std::int8_t { kDynamicTopicConfig = 1, kStaticBrokerConfig = 4, kDefaultConfig = 5 };
enum Type : std::int8_t { kBoolean = 1, kString = 2, kInt = 3, kLong = 5, kList = 7 };

Type type_of(meta::ConfigType type) {
  switch (type) {
    case meta::ConfigType::kString:
      return kString;
    case meta::ConfigType::kInt:
      return kInt;
    case meta::ConfigType::kLong:
      return kLong;
    case meta::ConfigType::kList:
      return kList;
  }
  return kString;
}

struct Setting {
  std::string_view name;
  std::string value;
  std::string_view default_name;  // of what it has its default from
  std::string default_value;
  Type type = kString;
  Source source = kDefaultConfig;
  bool read_only = false;
  std::string_view documentation;
};

// The broker's name of the setting that a topic's has its default from.
std::string_view default_name_of(std::string_view topic_setting) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"cleanup.policy", "log.cleanup.policy"},
      {"max.message.bytes", "message.max.bytes"},
      {"message.timestamp.type", "log.message.timestamp.type"},
      {"retention.bytes", "log.retention.bytes"},
      {"retention.ms", "log.retention.ms"},
  };
  for (const auto& [topic, broker] : kNames) {
    if (topic == topic_setting) return broker;
  }
  return topic_setting;
}

std::vector<Setting> settings_of(const meta::TopicConfig& config) {
  std::vector<Setting> all;
  const auto defaults = meta::describe(meta::TopicConfig());
  auto entries = meta::describe(config);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    meta::ConfigEntry& entry = entries[i];
    all.push_back({.name = entry.name,
                   .value = std::move(entry.value),
                   .default_name = default_name_of(entry.name),
                   .default_value = defaults[i].value,
                   .type = type_of(entry.type),
                   .source = entry.is_default ? kDefaultConfig : kDynamicTopicConfig,
                   .read_only = entry.fixed,
                   .documentation = entry.documentation});
  }
  return all;
}

// None of them can be changed while the broker runs. Sorted by name.
std::vector<Setting> settings_of(const HandlerContext& context) {
  std::vector<Setting> all;
  const auto add = [&](std::string_view name, std::string value, std::optional<std::string> default_value,
                       Type type, std::string_view documentation) {
    const bool is_default = default_value && value == *default_value;
    all.push_back({.name = name,
                   .value = std::move(value),
                   .default_name = default_value ? name : std::string_view(),
                   .default_value = default_value.value_or(std::string()),
                   .type = type,
                   .source = is_default ? kDefaultConfig : kStaticBrokerConfig,
                   .read_only = true,
                   .documentation = documentation});
  };
  const auto boolean = [](bool value) { return std::string(value ? "true" : "false"); };
  const auto ms = [](runtime::Duration time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  };
  const auto minutes = [](runtime::Duration time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::minutes>(time).count());
  };
  const KafkaOptions& options = context.options;
  const KafkaOptions defaults;
  broker::Broker& broker = context.broker;
  add("advertised.listeners", "PLAINTEXT://" + options.advertised.to_string(), std::nullopt, kString,
      "Where clients are told to connect to.");
  add("auto.create.topics.enable", boolean(broker.auto_create_topics()),
      boolean(broker::kDefaultAutoCreateTopics), kBoolean, "Whether a topic is made by its first use.");
  add("broker.id", std::to_string(broker.node_id().value), std::nullopt, kInt, "The number of this broker.");
  add("connections.max.idle.ms", ms(options.idle_timeout), ms(defaults.idle_timeout), kLong,
      "After so long without a request a connection is closed.");
  add("default.replication.factor", "1", "1", kInt, "How many replicas a partition has.");
  add("delete.topic.enable", "true", "true", kBoolean, "Whether topics can be deleted.");
  const broker::GroupOptions& groups = broker.group_options();
  const broker::GroupOptions default_groups;
  add("group.initial.rebalance.delay.ms", ms(groups.initial_rebalance_delay),
      ms(default_groups.initial_rebalance_delay), kInt,
      "So long an empty group waits for more members before its first generation.");
  add("group.max.session.timeout.ms", ms(groups.max_session), ms(default_groups.max_session), kInt,
      "The longest session that a group's member may ask for.");
  add("group.max.size", std::to_string(groups.members), std::to_string(default_groups.members), kInt,
      "How many members a group may have.");
  add("group.min.session.timeout.ms", ms(groups.min_session), ms(default_groups.min_session), kInt,
      "The shortest session that a group's member may ask for.");
  add("offset.metadata.max.bytes", std::to_string(groups.offset_metadata_bytes),
      std::to_string(default_groups.offset_metadata_bytes), kInt,
      "The longest text that may be committed with an offset.");
  add("offsets.retention.minutes", minutes(groups.offsets_retention),
      minutes(default_groups.offsets_retention), kInt,
      "So long after a group lost its last member its offsets are forgotten.");
  add("max.incremental.fetch.session.cache.slots", std::to_string(options.fetch_sessions.sessions),
      std::to_string(defaults.fetch_sessions.sessions), kInt,
      "How many fetch sessions a listener keeps, on each core.");
  add("node.id", std::to_string(broker.node_id().value), std::nullopt, kInt, "The number of this broker.");
  add("num.partitions", std::to_string(broker.default_partitions()),
      std::to_string(broker::kDefaultPartitions), kInt, "How many partitions a topic has if nobody says.");
  add("producer.id.expiration.ms", ms(broker.producer_expiry()), ms(broker::kDefaultProducerExpiry), kInt,
      "After so long without a batch an idempotent producer is forgotten.");
  add("socket.request.max.bytes", std::to_string(options.max_frame_bytes),
      std::to_string(defaults.max_frame_bytes), kInt, "The largest request that is taken, in bytes.");
  // What topics have unless they are given something else.
  for (const meta::ConfigEntry& entry : meta::describe(meta::TopicConfig())) {
    if (entry.name.starts_with("stele.")) continue;
    add(default_name_of(entry.name), entry.value, entry.value, type_of(entry.type), entry.documentation);
  }
  std::ranges::sort(all, {}, &Setting::name);
  return all;
}

void add_settings(Answer& answer, const Asked& asked, const DescribeConfigsRequest& request,
                  std::vector<Setting> settings) {
  const bool all = !asked.configuration_keys || asked.configuration_keys->empty();
  for (Setting& setting : settings) {
    if (!all && std::ranges::find(*asked.configuration_keys, setting.name) == asked.configuration_keys->end())
      continue;
    auto& out = answer.configs.emplace_back();
    out.name = setting.name;
    out.value = setting.value;
    out.read_only = setting.read_only;
    out.config_source = setting.source;
    out.config_type = setting.type;
    if (request.include_documentation) out.documentation = setting.documentation;
    if (!request.include_synonyms) continue;
    if (setting.source != kDefaultConfig)
      out.synonyms.push_back({std::string(setting.name), std::move(setting.value), setting.source});
    if (!setting.default_name.empty()) {
      out.synonyms.push_back(
          {std::string(setting.default_name), std::move(setting.default_value), kDefaultConfig});
    }
  }
}

void refuse(Answer& answer, KafkaError error, std::string message) {
  answer.error = error;
  answer.error_message = std::move(message);
}

void describe_topic(Answer& answer, const Asked& asked, const DescribeConfigsRequest& request,
                    HandlerContext& context, const meta::MetaView& view) {
  const std::string& name = asked.resource_name;
  if (!is_topic_name(name)) return refuse(answer, KafkaError::kInvalidTopicException, "no name of a topic");
  if (!context.broker.authorizer().allowed(context.principal, broker::Action::kDescribe, name)) {
    return refuse(answer, KafkaError::kTopicAuthorizationFailed, "not allowed");
  }
  const meta::Topic* topic = view.find_topic(context.principal.tenant, name);
  if (!topic) return refuse(answer, KafkaError::kUnknownTopicOrPartition, "there is no such topic");
  add_settings(answer, asked, request, settings_of(topic->config));
}

void describe_broker(Answer& answer, const Asked& asked, const DescribeConfigsRequest& request,
                     HandlerContext& context) {
  if (!context.broker.authorizer().allowed(context.principal, broker::Action::kDescribe, {})) {
    return refuse(answer, KafkaError::kClusterAuthorizationFailed, "not allowed");
  }
  // No name: what was set at run time for all brokers, and nothing can be.
  const std::string& name = asked.resource_name;
  if (name.empty()) return;
  std::uint32_t number = 0;
  const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (failure != std::errc() || end != name.data() + name.size()) {
    return refuse(answer, KafkaError::kInvalidRequest, "the name of a broker is its number");
  }
  if (number != context.broker.node_id().value) {
    return refuse(answer, KafkaError::kInvalidRequest,
                  "this is broker " + std::to_string(context.broker.node_id().value) +
                      ", which knows only its own configuration");
  }
  add_settings(answer, asked, request, settings_of(context));
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_describe_configs(HandlerContext& context,
                                                             IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<DescribeConfigsRequest>(request));
  const auto view = context.broker.meta();
  DescribeConfigsResponse response;
  // Each once, however often it is asked for: the answer is bounded by what there is.
  std::set<std::pair<std::int8_t, std::string_view>> seen;
  for (const Asked& asked : body.resources) {
    if (!seen.emplace(asked.resource_type, asked.resource_name).second) continue;
    Answer& answer = response.resources.emplace_back();
    answer.resource_type = asked.resource_type;
    answer.resource_name = asked.resource_name;
    switch (asked.resource_type) {
      case kTopic:
        describe_topic(answer, asked, body, context, *view);
        break;
      case kBroker:
        describe_broker(answer, asked, body, context);
        break;
      default:
        refuse(answer, KafkaError::kInvalidRequest,
               "resources of type " + std::to_string(asked.resource_type) + " have no configuration here");
    }
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
