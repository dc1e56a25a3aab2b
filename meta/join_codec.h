// What a node says that asks for its place in a cluster, and what it is answered, as bytes (meta/join.fbs).
// Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/types.h"
#include "model/ids.h"
#include "model/uuid.h"
#include "raft/core/types.h"
#include "runtime/network.h"

namespace stele::meta {

struct JoinRequest {
  NodeId node;
  Uuid directory;             // of the node's data
  runtime::Endpoint address;  // where others reach it
  std::uint32_t roles = kAllRoles;
  std::string zone = {};
  std::string product = {};
  // It was let in before, and tells where it is now. If it has been removed meanwhile, it stays out.
  bool member = false;
  bool forwarded = false;  // by a node that does not lead
  friend bool operator==(const JoinRequest&, const JoinRequest&) = default;
};

struct JoinAnswer {
  Uuid cluster;
  raft::NodeSet founders;                       // of the Raft group: the same for everybody, for ever
  std::map<NodeId, runtime::Endpoint> members;  // where each is, the new one included
  friend bool operator==(const JoinAnswer&, const JoinAnswer&) = default;
};

std::string encode(const JoinRequest& from);
std::string encode(const JoinAnswer& from);
// kMalformed.
Result<JoinRequest> decode_join_request(std::string_view from);
Result<JoinAnswer> decode_join_answer(std::string_view from);

}  // namespace stele::meta
