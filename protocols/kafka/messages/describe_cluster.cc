#include "protocols/kafka/messages/describe_cluster.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, DescribeClusterRequest& m) {
  a.field("include_cluster_authorized_operations", m.include_cluster_authorized_operations);
  if (a.version() >= 1) a.field("endpoint_type", m.endpoint_type);
  if (a.version() >= 2) a.field("include_fenced_brokers", m.include_fenced_brokers);
}

template <class Archive>
void describe(Archive& a, DescribeClusterResponse::Broker& m) {
  a.field("broker_id", m.broker_id);
  a.field("host", m.host);
  a.field("port", m.port);
  a.nullable("rack", m.rack);
  if (a.version() >= 2) a.field("is_fenced", m.is_fenced);
}

template <class Archive>
void describe(Archive& a, DescribeClusterResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("error_code", m.error);
  a.nullable("error_message", m.error_message);
  if (a.version() >= 1) a.field("endpoint_type", m.endpoint_type);
  a.field("cluster_id", m.cluster_id);
  a.field("controller_id", m.controller_id);
  a.field("brokers", m.brokers);
  a.field("cluster_authorized_operations", m.cluster_authorized_operations);
}

STELE_KAFKA_INSTANTIATE_REQUEST(DescribeClusterRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(DescribeClusterResponse)

}  // namespace stele::kafka
