#include "server/node_config.h"

#include "server/version.h"

namespace stele::server {

NodeConfig to_node_config(const Config& config) {
  NodeConfig out;
  out.data = config.data;
  out.shards = config.shards;
  out.mqtt = config.mqtt;
  out.kafka = config.kafka;
  out.http = config.http;
  out.advertise_kafka = config.advertise_kafka;
  out.mqtt_tls = config.mqtt_tls;
  out.kafka_tls = config.kafka_tls;
  out.http_tls = config.http_tls;
  out.advertise_kafka_tls = config.advertise_kafka_tls;
  out.access.required = config.open_to_others();
  out.version = kVersion;

  out.journal.store.durability = config.durability;
  out.journal.store.file_bytes = config.log_file_bytes;
  out.journal.store.tail_cache_bytes = config.tail_cache_bytes;
  out.journal_client.tail_bytes = config.tail_cache_bytes;

  out.broker.log.segment_bytes = config.segment_bytes;
  out.broker.auto_create_topics = config.auto_create_topics;
  out.broker.default_partitions = static_cast<std::int32_t>(config.default_partitions);
  broker::GroupOptions& groups = out.broker.groups;
  groups.initial_rebalance_delay = std::chrono::milliseconds(config.group_initial_rebalance_delay_ms);
  groups.min_session = std::chrono::milliseconds(config.group_min_session_timeout_ms);
  groups.max_session = std::chrono::milliseconds(config.group_max_session_timeout_ms);
  groups.members = config.group_max_size;
  groups.offsets_retention = std::chrono::minutes(config.offsets_retention_minutes);
  out.broker.session_queue_messages = config.session_queue_messages;
  out.broker.session_queue_bytes = config.session_queue_bytes;
  out.broker.subscriptions_per_session = config.session_subscriptions;
  out.broker.retained_messages = config.retained_messages;
  out.broker.retained_bytes = config.retained_bytes;
  out.broker.will_bytes = config.will_bytes;
  out.broker.snapshot_log_bytes = config.snapshot_log_bytes;
  out.broker.replay_bytes = config.replay_bytes;

  if (config.rpc) {
    ClusterConfig& cluster = out.cluster.emplace();
    if (config.node_id) cluster.node = NodeId(*config.node_id);
    cluster.rpc = *config.rpc;
    cluster.advertise = config.rpc_advertise;
    cluster.roles = config.roles;
    cluster.zone = config.zone;
    cluster.join = config.join;
    cluster.open_without_certificates = config.rpc_without_tls;
    if (!(config.roles & meta::kBrokerRole)) {
      // The listeners have defaults, which mean nothing where nobody serves clients; HTTP is for those who
      // look after the node.
      for (auto* list : {&out.mqtt, &out.kafka}) list->clear();
    }
  }

  out.mqtt_websocket = config.mqtt_websocket;
  out.http_options.origins.allowed = config.websocket_origins;
  out.mqtt_options.max_connections = config.mqtt_max_connections;
  out.mqtt_options.max_keep_alive_s = static_cast<std::uint16_t>(config.mqtt_max_keep_alive_s);
  out.mqtt_options.max_packet_size = static_cast<std::uint32_t>(config.mqtt_max_packet_bytes);
  out.kafka_options.max_connections = config.kafka_max_connections;
  out.kafka_options.max_frame_bytes = config.kafka_max_request_bytes;
  out.kafka_options.fetch_sessions.sessions = config.kafka_fetch_sessions;
  return out;
}

}  // namespace stele::server
