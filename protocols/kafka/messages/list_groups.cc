#include "protocols/kafka/messages/list_groups.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, ListGroupsRequest& m) {
  if (a.version() >= 4) a.field("states_filter", m.states_filter);
  if (a.version() >= 5) a.field("types_filter", m.types_filter);
}

template <class Archive>
void describe(Archive& a, ListGroupsResponse::Group& m) {
  a.field("group_id", m.group_id);
  a.field("protocol_type", m.protocol_type);
  if (a.version() >= 4) a.field("group_state", m.group_state);
  if (a.version() >= 5) a.field("group_type", m.group_type);
}

template <class Archive>
void describe(Archive& a, ListGroupsResponse& m) {
  if (a.version() >= 1) a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("error_code", m.error);
  a.field("groups", m.groups);
}

STELE_KAFKA_INSTANTIATE_REQUEST(ListGroupsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(ListGroupsResponse)

}  // namespace stele::kafka
