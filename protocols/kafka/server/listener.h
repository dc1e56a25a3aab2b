// The Kafka listener of one core: accepts connections and answers their requests from the broker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "broker/api.h"
#include "protocols/kafka/server/fetch_sessions.h"
#include "runtime/network.h"
#include "runtime/notification.h"

namespace stele::kafka {

struct KafkaOptions {
  // What metadata tells clients to connect to; port 0: the listener's own.
  runtime::Endpoint advertised;
  // What nodes call listeners like this one: clients of it are told of those of other nodes.
  std::string listener = "kafka";
  runtime::Transport* transport = nullptr;  // null: the network; outlives the listener
  std::size_t max_frame_bytes = 100 << 20;  // `socket.request.max.bytes`
  std::uint32_t max_connections = 100'000;
  std::uint32_t max_requests_in_flight = 64;         // of one connection; then its socket is not read
  std::size_t max_response_bytes_queued = 32 << 20;  // of one connection, likewise
  runtime::Duration idle_timeout = std::chrono::minutes(10);   // `connections.max.idle.ms`
  runtime::Duration login_timeout = std::chrono::seconds(10);  // from the connection's begin
  std::int32_t max_partitions_per_topic = 10'000;
  std::string log_directory = "/";  // as tools are told
  FetchSessionOptions fetch_sessions;
};

struct KafkaStats {
  std::uint64_t connections_opened = 0;
  std::uint64_t connections_refused = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_malformed = 0;
  std::uint64_t requests_unsupported = 0;
  std::uint64_t requests_before_login = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

class KafkaConnection;

class KafkaListener final : private runtime::AcceptHandler, private broker::IdentityWatcher {
 public:
  KafkaListener(broker::Broker& broker, KafkaOptions options);
  ~KafkaListener() override;

  // Port 0 picks one; local() tells which.
  Result<void> listen(const runtime::Endpoint& at);
  runtime::Endpoint local() const { return listener_->local(); }
  void advertise(runtime::Endpoint endpoint) { options_.advertised = std::move(endpoint); }
  // Accepts no more, lets requests under way be answered, closes. Complete when no connection is left.
  runtime::Task<void> stop();

  const KafkaStats& stats() const { return stats_; }
  std::size_t connections() const { return connections_.size(); }
  const FetchSessions& fetch_sessions() const { return fetch_sessions_; }

 private:
  friend class KafkaConnection;
  void on_accept(std::unique_ptr<runtime::Connection> connection) override;
  void gone(KafkaConnection* connection);
  void on_identities_changed() override;

  broker::Broker& broker_;
  KafkaOptions options_;
  KafkaStats stats_;
  FetchSessions fetch_sessions_;
  std::map<std::uint64_t, std::unique_ptr<KafkaConnection>> connections_;
  std::uint64_t next_id_ = 1;
  runtime::Notification empty_;
  std::unique_ptr<runtime::Listener> listener_;
};

}  // namespace stele::kafka
