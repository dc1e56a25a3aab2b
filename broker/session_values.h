// What the core of a connection and the owner of a shard say of a client's session. Values, which go from
// core to core and from node to node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/subscription.h"
#include "model/ids.h"

namespace stele::broker {

// What the shard of a client id says to a CONNECT.
struct SessionOpened {
  bool present = false;
  bool durable = false;
  std::uint32_t number = 0;  // of a durable one; and its epoch
  std::uint64_t epoch = 0;
  std::vector<SubscribeRequest> subscriptions;  // of a session that was there
};

// Who has a shared subscription.
struct ShareMemberName {
  TenantId tenant;
  std::string client_id;
  std::string share;  // `$share/NAME/FILTER`
};

// A connected client wants to be a member.
struct ShareJoin {
  TenantId tenant;
  std::string client_id;
  bool durable = false;  // it outlives its connection
  SubscribeRequest request;
  CoreId core;
  std::uint64_t attachment = 0;
  std::uint32_t receive_maximum = 1;
};

// How a client's connection ended.
struct SessionEnd {
  std::optional<std::uint32_t> expiry_s;
  bool goodbye = false;  // its will is not to be published
};

}  // namespace stele::broker
