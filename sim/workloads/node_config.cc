#include "sim/workloads/node_config.h"

#include <algorithm>
#include <chrono>

#include "sim/workloads/tls_material.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Duration;

namespace {

void set_store(server::NodeConfig& config, const Knobs& knobs) {
  config.journal.store.file_bytes = knobs["log.file_bytes"];
  config.journal.store.tail_cache_bytes = knobs["log.tail_bytes"];
  config.journal.store.max_batch_bytes = std::max<std::uint64_t>(knobs["log.file_bytes"] / 4, 4096);
  config.journal.store.max_block_bytes = knobs["storage.block_bytes"];
  config.journal.store.read_bytes = knobs["storage.read_bytes"];
  config.journal.store.index_own_bytes = knobs["storage.index_own_bytes"];
  config.journal.store.index_span_bytes = knobs["storage.index_span_bytes"];
  config.journal.store.move_below_percent = static_cast<std::uint32_t>(knobs["storage.move_below_percent"]);
  config.journal.store.move_step_bytes = knobs["storage.move_step_bytes"];
  config.journal.store.spare_files = static_cast<std::uint32_t>(knobs["storage.spare_files"]);
  config.journal.store.max_open_files = static_cast<std::uint32_t>(knobs["storage.open_files"]);
  config.journal.max_in_flight_bytes = knobs["journal.in_flight_bytes"];
  config.journal_client.tail_bytes = knobs["log.tail_bytes"];
}

void set_broker(server::NodeConfig& config, const Knobs& knobs) {
  config.broker.log.segment_bytes = knobs["log.segment_bytes"];
  config.broker.snapshot_log_bytes = knobs["log.snapshot_bytes"];
  config.broker.replay_bytes = 2 * knobs["log.snapshot_bytes"];
  config.broker.max_live_bytes = knobs["broker.live_bytes"];
  config.broker.max_publishing_bytes = knobs["broker.publishing_bytes"];
  config.broker.delivery_read_bytes = knobs["broker.delivery_read_bytes"];
  config.broker.session_in_flight_bytes = knobs["broker.session_in_flight_bytes"];
  config.broker.share_window = static_cast<std::uint32_t>(knobs["broker.share_window"]);
  config.broker.share_window_bytes = knobs["broker.share_window_bytes"];
  config.broker.forward_window = static_cast<std::uint32_t>(knobs["broker.forward_window"]);
  config.broker.forward_window_bytes = knobs["broker.forward_window_bytes"];
  config.broker.retained_page_messages = knobs["broker.retained_page_messages"];
  config.broker.retained_page_looked_at = knobs["broker.retained_page_looked_at"];
  config.broker.default_partitions = 2;
  config.broker.groups.min_session = 1s;
  config.broker.groups.initial_rebalance_delay = Duration(knobs["group.rebalance_delay_ns"]);
}

void set_protocols(server::NodeConfig& config, const Knobs& knobs) {
  config.mqtt_options.max_output_bytes = knobs["mqtt.output_bytes"];
  config.mqtt_options.max_in_flight = static_cast<std::uint16_t>(knobs["mqtt.in_flight"]);
  config.mqtt_options.receive_maximum = static_cast<std::uint16_t>(knobs["mqtt.receive_maximum"]);
  config.mqtt_options.max_topic_alias = static_cast<std::uint16_t>(knobs["mqtt.topic_aliases"]);
  config.kafka_options.max_requests_in_flight = static_cast<std::uint32_t>(knobs["kafka.requests_in_flight"]);
  config.kafka_options.max_response_bytes_queued = knobs["kafka.response_bytes_queued"];
  config.mqtt_options.max_queue_messages = knobs["mqtt.queue_messages"];
  config.kafka_options.fetch_sessions = {
      .sessions = static_cast<std::uint32_t>(knobs["kafka.fetch_sessions"]),
      .partitions = knobs["kafka.fetch_session_partitions"],
      .keep = Duration(knobs["kafka.fetch_session_keep_ns"]),
  };
  config.http_options.request_timeout = Duration(knobs["http.request_timeout_ns"]);
}

// What others may have at most, and when it is forgotten.
void set_limits(server::NodeConfig& config, const Knobs& knobs) {
  broker::BrokerOptions& broker = config.broker;
  broker.sessions = knobs["broker.sessions"];
  broker.subscriptions_per_session = static_cast<std::uint32_t>(knobs["broker.subscriptions_per_session"]);
  broker.will_bytes = knobs["broker.will_bytes"];
  broker.session_queue_messages = knobs["broker.session_queue_messages"];
  broker.session_queue_bytes = knobs["broker.session_queue_bytes"];
  broker.shard_queue_messages = knobs["broker.shard_queue_messages"];
  broker.producers = knobs["broker.producers"];
  broker.producer_expiry = Duration(knobs["broker.producer_expiry_ns"]);
  broker.live.held_messages = knobs["broker.live_held_messages"];
  broker.live.shared_bytes = knobs["broker.live_shared_bytes"];
  broker.groups.members = knobs["group.members"];
  broker.groups.offsets = knobs["group.offsets"];
  broker.groups.offsets_retention = Duration(knobs["group.offsets_retention_ns"]);
  broker.groups.retention_check = Duration(knobs["group.retention_check_ns"]);
  config.meta.limits.queued = knobs["meta.queued"];
  config.meta.max_calls = knobs["meta.calls"];
  config.access.max_verifying = static_cast<std::uint32_t>(knobs["access.verifying"]);
  config.access.max_waiting = static_cast<std::uint32_t>(knobs["access.waiting"]);
  config.access.failures_at_once = static_cast<std::uint32_t>(knobs["access.failures_at_once"]);
  config.tls_options.max_handshakes = knobs["tls.handshakes"];
}

}  // namespace

server::NodeConfig node_config(const Knobs& knobs, const std::string& ip) {
  server::NodeConfig config;
  config.data = "/data";
  config.shards = static_cast<std::uint32_t>(knobs["node.shards"]);
  config.mqtt = {{ip, 1883}};
  config.kafka = {{ip, 9092}};
  config.advertise_kafka = runtime::Endpoint{ip, 9092};
  config.http = {{ip, 8080}};
  if (knobs["clients.tls"] != 0) {
    config.tls = server_tls();
    config.mqtt_tls = {{ip, 8883}};
    config.kafka_tls = {{ip, 9093}};
    config.advertise_kafka_tls = runtime::Endpoint{ip, 9093};
  }
  set_store(config, knobs);
  set_broker(config, knobs);
  set_protocols(config, knobs);
  set_limits(config, knobs);
  config.version = "simulated";
  return config;
}

}  // namespace stele::sim
