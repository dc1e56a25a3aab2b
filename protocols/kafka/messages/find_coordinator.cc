#include "protocols/kafka/messages/find_coordinator.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, FindCoordinatorRequest& m) {
  if (a.version() <= 3) {
    if (std::string* key = a.only("key", m.keys)) a.field("key", *key);
  }
  if (a.version() >= 1) a.field("key_type", m.key_type);
  if (a.version() >= 4) a.field("coordinator_keys", m.keys);
}

template <class Archive>
void describe(Archive& a, FindCoordinatorResponse::Coordinator& m) {
  a.field("key", m.key);
  a.field("node_id", m.node_id);
  a.field("host", m.host);
  a.field("port", m.port);
  a.field("error_code", m.error);
  a.nullable("error_message", m.error_message);
}

template <class Archive>
void describe(Archive& a, FindCoordinatorResponse& m) {
  if (a.version() >= 1) a.field("throttle_time_ms", m.throttle_time_ms);
  if (a.version() >= 4) return a.field("coordinators", m.coordinators);
  auto* sole = a.only("coordinator", m.coordinators);
  if (sole == nullptr) return;
  a.field("error_code", sole->error);
  if (a.version() >= 1) a.nullable("error_message", sole->error_message);
  a.field("node_id", sole->node_id);
  a.field("host", sole->host);
  a.field("port", sole->port);
}

STELE_KAFKA_INSTANTIATE_REQUEST(FindCoordinatorRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(FindCoordinatorResponse)

}  // namespace stele::kafka
