// Retained messages on their way to a new subscription, a page at a time: what is asked of a core whose
// shards keep some, and what it says. Values, which go from core to core.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "broker/subscription.h"
#include "model/ids.h"

namespace stele::broker {

// Whether a persistent session may get some into its queue by that subscription.
inline bool may_queue_retained(const SubscribeRequest& request) {
  return request.qos > 0 && request.retain_handling != 2 && !is_shared(request.filter);
}

struct RetainedMessage {
  Bytes address;
  Bytes batch;  // of one record
  std::uint8_t qos = 0;
};

// A place among the retained messages of one core.
struct RetainedPlace {
  ShardId shard{0};    // those before it are done with
  std::string behind;  // in it, what is up to here; empty: from its first on
};

struct RetainedAsk {
  enum class Which : std::uint8_t {
    kAll,
    kQueued,    // published with QoS > 0: in a persistent session they go by its queue
    kUnqueued,  // with QoS 0
  };
  TenantId tenant;
  std::string filter;
  Which which = Which::kAll;
  RetainedPlace from;
};

struct RetainedPage {
  std::vector<RetainedMessage> messages;
  bool more = false;   // perhaps
  RetainedPlace next;  // with `more`: where to go on
};

}  // namespace stele::broker
