#include "protocols/kafka/messages/fetch.h"

#include "protocols/kafka/codec_impl.h"
#include "protocols/kafka/shared_structs.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, FetchRequest::ReplicaState& m) {
  a.field("replica_id", m.replica_id);
  a.field("replica_epoch", m.replica_epoch);
}

template <class Archive>
void describe(Archive& a, FetchRequest::Partition& m) {
  a.field("partition", m.partition);
  if (a.version() >= 9) a.field("current_leader_epoch", m.current_leader_epoch);
  a.field("fetch_offset", m.fetch_offset);
  if (a.version() >= 12) a.field("last_fetched_epoch", m.last_fetched_epoch);
  if (a.version() >= 5) a.field("log_start_offset", m.log_start_offset);
  a.field("partition_max_bytes", m.partition_max_bytes);
}

template <class Archive>
void describe_tags(Archive& t, FetchRequest::Partition& m) {
  if (t.version() >= 17) t.field(0, "replica_directory_id", m.replica_directory_id);
  if (t.version() >= 18) t.field(1, "high_watermark", m.high_watermark, std::int64_t{INT64_MAX});
}

template <class Archive>
void describe(Archive& a, FetchRequest::Topic& m) {
  if (a.version() >= 13) {
    a.field("topic_id", m.topic_id);
  } else {
    a.field("topic", m.topic);
  }
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, FetchRequest::ForgottenTopic& m) {
  if (a.version() >= 13) {
    a.field("topic_id", m.topic_id);
  } else {
    a.field("topic", m.topic);
  }
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, FetchRequest& m) {
  if (a.version() <= 14) a.field("replica_id", m.replica_id);
  a.field("max_wait_ms", m.max_wait_ms);
  a.field("min_bytes", m.min_bytes);
  a.field("max_bytes", m.max_bytes);
  a.field("isolation_level", m.isolation_level);
  if (a.version() >= 7) {
    a.field("session_id", m.session_id);
    a.field("session_epoch", m.session_epoch);
  }
  a.field("topics", m.topics);
  if (a.version() >= 7) a.field("forgotten_topics_data", m.forgotten_topics);
  if (a.version() >= 11) a.field("rack_id", m.rack_id);
}

template <class Archive>
void describe_tags(Archive& t, FetchRequest& m) {
  t.nullable(0, "cluster_id", m.cluster_id);
  if (t.version() >= 15) t.field(1, "replica_state", m.replica_state);
}

template <class Archive>
void describe(Archive& a, FetchResponse::EpochEndOffset& m) {
  a.field("epoch", m.epoch);
  a.field("end_offset", m.end_offset);
}

template <class Archive>
void describe(Archive& a, FetchResponse::SnapshotId& m) {
  a.field("end_offset", m.end_offset);
  a.field("epoch", m.epoch);
}

template <class Archive>
void describe(Archive& a, FetchResponse::AbortedTransaction& m) {
  a.field("producer_id", m.producer_id);
  a.field("first_offset", m.first_offset);
}

template <class Archive>
void describe(Archive& a, FetchResponse::Partition& m) {
  a.field("partition_index", m.partition_index);
  a.field("error_code", m.error);
  a.field("high_watermark", m.high_watermark);
  a.field("last_stable_offset", m.last_stable_offset);
  if (a.version() >= 5) a.field("log_start_offset", m.log_start_offset);
  a.nullable("aborted_transactions", m.aborted_transactions);
  if (a.version() >= 11) a.field("preferred_read_replica", m.preferred_read_replica);
  a.records("records", m.records);
}

template <class Archive>
void describe_tags(Archive& t, FetchResponse::Partition& m) {
  t.field(0, "diverging_epoch", m.diverging_epoch);
  t.field(1, "current_leader", m.current_leader);
  t.field(2, "snapshot_id", m.snapshot_id);
}

template <class Archive>
void describe(Archive& a, FetchResponse::Topic& m) {
  if (a.version() >= 13) {
    a.field("topic_id", m.topic_id);
  } else {
    a.field("topic", m.topic);
  }
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, FetchResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  if (a.version() >= 7) {
    a.field("error_code", m.error);
    a.field("session_id", m.session_id);
  }
  a.field("responses", m.topics);
}

template <class Archive>
void describe_tags(Archive& t, FetchResponse& m) {
  if (t.version() >= 16) t.field(0, "node_endpoints", m.node_endpoints);
}

STELE_KAFKA_INSTANTIATE_REQUEST(FetchRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(FetchResponse)

}  // namespace stele::kafka
