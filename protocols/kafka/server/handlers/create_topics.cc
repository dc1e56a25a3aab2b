// CreateTopics: each topic for itself; one that fails does not keep the others from being made.
#include "protocols/kafka/messages/create_topics.h"

#include <map>
#include <set>
#include <string>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

using Out = CreateTopicsResponse::Topic;

Out refused(const std::string& name, KafkaError error, std::string message) {
  Out out;
  out.name = name;
  out.error = error;
  out.error_message = std::move(message);
  return out;
}

// Explicit assignments name brokers; there is one, and it takes them all.
Result<std::int32_t> partitions_of(const CreateTopicsRequest::Topic& topic, std::int32_t node,
                                   std::int32_t default_partitions, KafkaError& error_code) {
  if (topic.assignments.empty()) {
    if (topic.num_partitions == -1) return default_partitions;
    if (topic.num_partitions > 0) return topic.num_partitions;
    error_code = KafkaError::kInvalidPartitions;
    return error(ErrorCode::kInvalidArgument, "Number of partitions must be larger than 0.");
  }
  error_code = KafkaError::kInvalidReplicaAssignment;
  if (topic.num_partitions != -1 || topic.replication_factor != -1) {
    error_code = KafkaError::kInvalidRequest;
    return error(ErrorCode::kInvalidArgument,
                 "Both numPartitions or replicationFactor and replicasAssignments were set.");
  }
  std::set<std::int32_t> partitions;
  for (const auto& assignment : topic.assignments) {
    partitions.insert(assignment.partition_index);
    if (assignment.broker_ids != std::vector<std::int32_t>{node}) {
      return error(ErrorCode::kInvalidArgument,
                   "each partition has one replica, on broker " + std::to_string(node));
    }
  }
  if (partitions.size() != topic.assignments.size() || *partitions.begin() != 0 ||
      *partitions.rbegin() != static_cast<std::int32_t>(partitions.size()) - 1) {
    return error(ErrorCode::kInvalidArgument, "partitions should be a consecutive 0-based integer sequence");
  }
  return static_cast<std::int32_t>(partitions.size());
}

runtime::Task<Out> create_one(HandlerContext& context, CreateTopicsRequest::Topic topic, bool validate_only) {
  const auto node = static_cast<std::int32_t>(context.broker.node_id().value);
  // All topics are replicated alike, by the journal; so what is asked for is only not to be impossible.
  const std::size_t brokers = brokers_of(context).size();
  if (topic.replication_factor != -1 &&
      (topic.replication_factor < 1 || static_cast<std::size_t>(topic.replication_factor) > brokers)) {
    co_return refused(topic.name, KafkaError::kInvalidReplicationFactor,
                      "Replication factor: " + std::to_string(topic.replication_factor) +
                          " is not possible with " + std::to_string(brokers) +
                          (brokers == 1 ? " broker" : " brokers"));
  }
  KafkaError code = KafkaError::kNone;
  const auto partitions = partitions_of(topic, node, context.broker.default_partitions(), code);
  if (!partitions) co_return refused(topic.name, code, partitions.error().message);
  if (*partitions > context.options.max_partitions_per_topic) {
    co_return refused(
        topic.name, KafkaError::kInvalidPartitions,
        "a topic has at most " + std::to_string(context.options.max_partitions_per_topic) + " partitions");
  }
  std::vector<meta::ConfigPair> pairs;
  for (const auto& [name, value] : topic.configs) {
    if (!value) {
      co_return refused(topic.name, KafkaError::kInvalidConfig, "Null value not supported for " + name);
    }
    pairs.emplace_back(name, *value);
  }
  auto config = meta::parse_topic_config(pairs);
  if (!config) co_return refused(topic.name, KafkaError::kInvalidConfig, config.error().message);
  auto made = co_await context.broker.create_topic(context.principal, topic.name, *partitions, *config,
                                                   validate_only);
  if (!made)
    co_return refused(topic.name, command_error(made.error(), KafkaError::kInvalidTopicException),
                      made.error().message);
  Out out;
  out.name = topic.name;
  out.topic_id = validate_only ? Uuid{} : uuid_of(*made);
  out.num_partitions = made->partition_count();
  out.replication_factor = 1;
  for (const meta::ConfigEntry& entry : meta::describe(made->config)) {
    CreateTopicsResponse::Config& one = out.configs->emplace_back();
    one.name = entry.name;
    one.value = entry.value;
    one.read_only = entry.fixed;
    one.config_source = entry.is_default ? 5 : 1;  // DEFAULT_CONFIG, DYNAMIC_TOPIC_CONFIG
  }
  co_return out;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_create_topics(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<CreateTopicsRequest>(request));
  std::map<std::string, int> times;
  for (const auto& topic : body.topics) ++times[topic.name];
  CreateTopicsResponse response;
  for (const auto& topic : body.topics) {
    if (times[topic.name] > 1) {
      // Once for all of them, as Kafka answers.
      if (times[topic.name] != INT32_MAX) {
        response.topics.push_back(
            refused(topic.name, KafkaError::kInvalidRequest, "Duplicate topic name: " + topic.name));
        times[topic.name] = INT32_MAX;
      }
      continue;
    }
    response.topics.push_back(co_await create_one(context, topic, body.validate_only));
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
