// The parts of a Node, shared by node.cc and node_metrics.cc.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/access_control.h"
#include "broker/administrator.h"
#include "broker/peer_server.h"
#include "journal/client.h"
#include "journal/cluster_replicas.h"
#include "journal/replica_service.h"
#include "journal/replicas.h"
#include "meta/client.h"
#include "meta/service.h"
#include "runtime/files.h"
#include "runtime/scope.h"
#include "server/cluster_admin.h"
#include "server/cluster_part.h"
#include "server/core_call.h"
#include "server/node.h"

namespace stele::server {

// MQTT for those who come over HTTP.
struct MqttOverWebSocket final : http::WebSocketService {
  MqttOverWebSocket(broker::Broker& broker, const mqtt::MqttOptions& options)
      : mqtt(mqtt::MqttListener::without_endpoint(broker, options)) {}
  std::span<const std::string_view> protocols() const override {
    static constexpr std::string_view kNames[] = {"mqtt", "mqttv3.1"};  // [MQTT-6.0.0-3]; of MQTT 3.1
    return kNames;
  }
  bool has_room() const override { return mqtt->has_room(); }
  void take(std::unique_ptr<runtime::Connection> connection) override { mqtt->take(std::move(connection)); }
  const std::unique_ptr<mqtt::MqttListener> mqtt;
};

// What lives on one core. Made, used and destroyed there (or wherever the last core runs once all stopped).
struct Node::OnCore {
  explicit OnCore(runtime::Runtime& r) : runtime(r) {}
  runtime::Runtime& runtime;
  std::unique_ptr<runtime::Scope> calls = std::make_unique<runtime::Scope>();  // on behalf of core 0
  std::unique_ptr<meta::MetaClient> meta;
  std::unique_ptr<broker::AccessControl> access;
  std::unique_ptr<journal::JournalClient> journal;
  // Of a cluster; both outlive its server, which is the cluster's.
  std::unique_ptr<journal::ReplicaService> replica_service;
  std::unique_ptr<broker::PeerServer> peer_server;
  std::unique_ptr<journal::Replicas> replicas;           // outlived by the journal
  journal::ClusterReplicas* cluster_replicas = nullptr;  // the same, of a cluster
  meta::MetaClient::Watch replicas_watch;
  std::unique_ptr<broker::Core> broker;
  std::unique_ptr<runtime::tls::Server> tls;  // null: no listener has TLS
  std::vector<std::unique_ptr<mqtt::MqttListener>> mqtt;
  std::unique_ptr<MqttOverWebSocket> websocket;  // on core 0, where HTTP is
  std::vector<std::unique_ptr<kafka::KafkaListener>> kafka;
};

// What lives on core 0.
struct Node::Shared {
  std::unique_ptr<ClusterPart>
      cluster;  // null: a node alone. What it speaks through outlives the meta service
  std::unique_ptr<runtime::Files::Lock> lock;
  std::unique_ptr<meta::MetaService> meta;
  std::unique_ptr<journal::JournalServer> journal;
  meta::Incarnation incarnation;
  std::int64_t started_ms = 0;
  std::unique_ptr<ClusterAdmin> cluster_admin;  // of a node that has entered its cluster
  // Of a node without a broker, which has its own.
  std::unique_ptr<broker::Administrator> administrator;
  std::vector<std::unique_ptr<http::HttpListener>> http;
};

template <class T, class Make>
runtime::Task<T> Node::on_core(std::size_t core, Make make) {
  return call_core<T>(runtime_, *cores_[core], std::move(make));
}

}  // namespace stele::server
