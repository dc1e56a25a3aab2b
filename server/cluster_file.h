// What a data directory says of the cluster that it belongs to: the file `cluster` (docs/formats/
// data-directory.md). Where it is, the node is never one alone.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"
#include "model/uuid.h"
#include "raft/core/types.h"
#include "runtime/files.h"
#include "runtime/network.h"
#include "runtime/task.h"

namespace stele::server {

struct ClusterFile {
  enum class State {
    kFounding,  // a cluster begins here; nobody else knows of it
    kJoining,   // asks to be let in; perhaps it has been
    kMember,
  };
  State state = State::kMember;
  NodeId node;
  Uuid directory;                             // drawn once: nobody else is this node
  Uuid cluster;                               // zero while it joins
  raft::NodeSet founders;                     // likewise none
  std::map<NodeId, runtime::Endpoint> peers;  // where the others were last
  friend bool operator==(const ClusterFile&, const ClusterFile&) = default;
};

std::string encode(const ClusterFile& from);
// kCorrupt; kUnsupported: of a newer version.
Result<ClusterFile> decode_cluster_file(std::string_view from);

// `data`: the node's directory. None: it belongs to no cluster.
runtime::Task<Result<std::optional<ClusterFile>>> read_cluster_file(runtime::Files& files, std::string data);
// Complete when it is durable; a crash leaves it or the one before.
runtime::Task<Result<void>> write_cluster_file(runtime::Files& files, std::string data, ClusterFile file);

}  // namespace stele::server
