// Descriptions of the structs in types.h, for the messages that contain them.
#pragma once

#include "protocols/kafka/types.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, NodeEndpoint& m) {
  a.field("node_id", m.node_id);
  a.field("host", m.host);
  a.field("port", m.port);
  a.nullable("rack", m.rack);
}

template <class Archive>
void describe(Archive& a, LeaderIdAndEpoch& m) {
  a.field("leader_id", m.leader_id);
  a.field("leader_epoch", m.leader_epoch);
}

}  // namespace stele::kafka
