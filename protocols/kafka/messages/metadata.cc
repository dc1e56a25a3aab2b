#include "protocols/kafka/messages/metadata.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, MetadataRequest::Topic& m) {
  if (a.version() >= 10) a.field("topic_id", m.topic_id);
  a.nullable_since(10, "name", m.name);
}

template <class Archive>
void describe(Archive& a, MetadataRequest& m) {
  if (a.version() == 0) {
    a.null_as_empty("topics", m.topics);
  } else {
    a.nullable("topics", m.topics);
  }
  if (a.version() >= 4) a.field("allow_auto_topic_creation", m.allow_auto_topic_creation);
  if (a.version() >= 8 && a.version() <= 10) {
    a.field("include_cluster_authorized_operations", m.include_cluster_authorized_operations);
  }
  if (a.version() >= 8) a.field("include_topic_authorized_operations", m.include_topic_authorized_operations);
}

template <class Archive>
void describe(Archive& a, MetadataResponse::Broker& m) {
  a.field("node_id", m.node_id);
  a.field("host", m.host);
  a.field("port", m.port);
  if (a.version() >= 1) a.nullable("rack", m.rack);
}

template <class Archive>
void describe(Archive& a, MetadataResponse::Partition& m) {
  a.field("error_code", m.error);
  a.field("partition_index", m.partition_index);
  a.field("leader_id", m.leader_id);
  if (a.version() >= 7) a.field("leader_epoch", m.leader_epoch);
  a.field("replica_nodes", m.replica_nodes);
  a.field("isr_nodes", m.isr_nodes);
  if (a.version() >= 5) a.field("offline_replicas", m.offline_replicas);
}

template <class Archive>
void describe(Archive& a, MetadataResponse::Topic& m) {
  a.field("error_code", m.error);
  a.nullable_since(12, "name", m.name);
  if (a.version() >= 10) a.field("topic_id", m.topic_id);
  if (a.version() >= 1) a.field("is_internal", m.is_internal);
  a.field("partitions", m.partitions);
  if (a.version() >= 8) a.field("topic_authorized_operations", m.authorized_operations);
}

template <class Archive>
void describe(Archive& a, MetadataResponse& m) {
  if (a.version() >= 3) a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("brokers", m.brokers);
  if (a.version() >= 2) a.nullable("cluster_id", m.cluster_id);
  if (a.version() >= 1) a.field("controller_id", m.controller_id);
  a.field("topics", m.topics);
  if (a.version() >= 8 && a.version() <= 10) {
    a.field("cluster_authorized_operations", m.cluster_authorized_operations);
  }
  if (a.version() >= 13) a.field("error_code", m.error);
}

STELE_KAFKA_INSTANTIATE_REQUEST(MetadataRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(MetadataResponse)

}  // namespace stele::kafka
