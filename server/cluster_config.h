// What makes a Node part of a cluster.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "journal/cluster_replicas.h"
#include "meta/admission.h"
#include "meta/controller.h"
#include "meta/group_log.h"
#include "meta/types.h"
#include "model/ids.h"
#include "rpc/channel.h"
#include "rpc/server.h"
#include "runtime/network.h"
#include "runtime/tls/context.h"

namespace stele::server {

struct ClusterConfig {
  // None: the one that the data directory has; 1 of a new cluster. Who joins names one that is free.
  std::optional<NodeId> node;
  // Listened on, of a port that is named; on a loopback address only, without certificates.
  runtime::Endpoint rpc;
  std::optional<runtime::Endpoint> advertise;  // where others reach that; none: as listened on
  std::uint32_t roles = meta::kAllRoles;       // meta::NodeRole
  std::string zone;
  // Nodes of the cluster to ask for a place in it. None: this node founds one. Not looked at once the data
  // directory belongs to a cluster.
  std::vector<runtime::Endpoint> join;

  // Mutual TLS between nodes; both or none.
  std::shared_ptr<const runtime::tls::Context> tls_server, tls_client;
  bool open_without_certificates = false;  // other machines are let in without

  // What is filled in is theirs: directories, nodes, founders, certificates.
  rpc::ServerOptions server;
  rpc::ChannelOptions channel;
  runtime::Duration call_timeout = std::chrono::seconds(5);
  meta::GroupOptions group;
  meta::ControllerOptions controller;
  meta::AdmissionOptions admission;
  journal::ClusterReplicasOptions replicas;

  // The incarnation that the node was, has ended, though its process lives: it has registered anew as this
  // one. On core 0.
  std::function<void(meta::Incarnation)> on_incarnation;
};

}  // namespace stele::server
