#include "protocols/kafka/messages/delete_groups.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, DeleteGroupsRequest& m) {
  a.field("groups_names", m.groups);
}

template <class Archive>
void describe(Archive& a, DeleteGroupsResponse::Result& m) {
  a.field("group_id", m.group_id);
  a.field("error_code", m.error);
}

template <class Archive>
void describe(Archive& a, DeleteGroupsResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("results", m.results);
}

STELE_KAFKA_INSTANTIATE_REQUEST(DeleteGroupsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(DeleteGroupsResponse)

}  // namespace stele::kafka
