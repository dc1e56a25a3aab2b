// Metadata: brokers, topics and their leaders. A topic that does not exist is made here on first use, as
// Kafka's `auto.create.topics.enable` does.
#include "protocols/kafka/messages/metadata.h"

#include <optional>
#include <string>

#include "model/topic_name.h"
#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

void add_topic(MetadataResponse& response, const HandlerContext& context, const meta::Topic& topic) {
  MetadataResponse::Topic& out = response.topics.emplace_back();
  out.name = topic.name;
  out.topic_id = uuid_of(topic);
  for (std::int32_t partition = 0; partition < topic.partition_count(); ++partition) {
    MetadataResponse::Partition& one = out.partitions.emplace_back();
    one.partition_index = partition;
    one.leader_id = leader_of(context, topic, partition);
    if (one.leader_id < 0) {
      one.error = KafkaError::kLeaderNotAvailable;
      continue;
    }
    one.leader_epoch = leader_epoch(context.broker, topic, partition);
    // Where its segments lie is the journal's business: whoever leads can give all of it.
    one.replica_nodes = {one.leader_id};
    one.isr_nodes = {one.leader_id};
  }
}

void add_error(MetadataResponse& response, const MetadataRequest::Topic& asked, KafkaError error) {
  MetadataResponse::Topic& out = response.topics.emplace_back();
  out.error = error;
  out.name = asked.name;
  out.topic_id = asked.topic_id;
}

KafkaError creation_error(const Error& error) {
  if (error.code == ErrorCode::kInvalidArgument) return KafkaError::kInvalidTopicException;
  // Not yet: the client asks again.
  return error.code == ErrorCode::kUnauthorized ? KafkaError::kTopicAuthorizationFailed
                                                : KafkaError::kLeaderNotAvailable;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_metadata(HandlerContext& context, IncomingRequest request) {
  const std::int16_t version = request.request.header.version;
  STELE_CO_TRY(auto body, decode_body<MetadataRequest>(request));
  broker::Broker& broker = context.broker;
  const TenantId tenant = context.principal.tenant;
  auto& authorizer = broker.authorizer();

  MetadataResponse response;
  for (BrokerAddress& one : brokers_of(context)) {
    response.brokers.push_back({one.id, std::move(one.host), one.port, std::nullopt});
  }
  response.controller_id = response.brokers.front().node_id;
  response.cluster_id = broker.meta()->cluster().id;
  // In version 0 an empty list asks for all topics.
  const bool all = !body.topics || (version == 0 && body.topics->empty());
  if (all) {
    const auto view = broker.meta();
    for (const auto& [id, topic] : view->topics()) {
      if (topic->tenant != tenant) continue;
      if (!authorizer.allowed(context.principal, broker::Action::kDescribe, topic->name)) continue;
      add_topic(response, context, *topic);
    }
    co_return encode_response(request, response);
  }
  for (const MetadataRequest::Topic& asked : *body.topics) {
    const std::string name = asked.name.value_or("");
    auto view = broker.meta();
    const meta::Topic* topic = find_topic(*view, tenant, name, asked.topic_id);
    if (topic) {
      if (authorizer.allowed(context.principal, broker::Action::kDescribe, topic->name)) {
        add_topic(response, context, *topic);
      } else {
        add_error(response, asked, KafkaError::kTopicAuthorizationFailed);
      }
      continue;
    }
    if (!asked.name) {
      add_error(response, asked, KafkaError::kUnknownTopicId);
      continue;
    }
    if (!is_topic_name(name)) {
      add_error(response, asked, KafkaError::kInvalidTopicException);
      continue;
    }
    const KafkaError not_there = no_such_topic(context, broker::Action::kDescribe, name);
    if (!body.allow_auto_topic_creation || !broker.auto_create_topics()) {
      add_error(response, asked, not_there);
      continue;
    }
    auto made = co_await broker.create_topic(context.principal, name, broker.default_partitions(), {}, false);
    view = broker.meta();
    topic = view->find_topic(tenant, name);
    // Also when somebody else was faster.
    if (topic && (made || authorizer.allowed(context.principal, broker::Action::kDescribe, name))) {
      add_topic(response, context, *topic);
    } else {
      add_error(response, asked, made ? KafkaError::kLeaderNotAvailable : creation_error(made.error()));
    }
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
