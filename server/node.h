// Node: the assembly of one process: journal, meta service, a broker per core, and the listeners. The only
// place that knows everything; the same for main on libuv and for the simulator.
//
// Lives on core 0, which it is made, started and stopped on; its per-core parts are made and ended on their
// cores. Destroying a Node that was not stopped is a crash: nothing is written or sent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/access_control.h"
#include "broker/core.h"
#include "broker/options.h"
#include "journal/client.h"
#include "journal/server.h"
#include "meta/commands.h"
#include "meta/service.h"
#include "protocols/http/backend.h"
#include "protocols/http/listener.h"
#include "protocols/http/node_info.h"
#include "protocols/kafka/server/listener.h"
#include "protocols/mqtt/listener.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/tls/connection.h"
#include "server/cluster_config.h"
#include "storage/segment_store.h"

namespace stele::meta {
class MetaClient;
struct ServiceState;
}  // namespace stele::meta

namespace stele::server {

class ClusterPart;

struct NodeConfig {
  std::string data;           // directory; made if missing
  NodeId node{1};             // of a node alone
  std::uint32_t shards = 64;  // of a new cluster; an existing one keeps what it has
  // None: a node alone. A data directory that has belonged to a cluster is not started alone.
  std::optional<ClusterConfig> cluster;

  // Any number of each; none: off. Port 0 picks one.
  std::vector<runtime::Endpoint> mqtt;
  std::vector<runtime::Endpoint> kafka;
  std::vector<runtime::Endpoint> http;
  std::optional<runtime::Endpoint> advertise_kafka;
  // The same with TLS; only with a context.
  std::vector<runtime::Endpoint> mqtt_tls, kafka_tls, http_tls;
  std::optional<runtime::Endpoint> advertise_kafka_tls;
  std::shared_ptr<const runtime::tls::Context> tls;
  runtime::tls::ServerOptions tls_options;  // of each core

  journal::JournalOptions journal;
  journal::JournalClientOptions journal_client;
  meta::MetaServiceOptions meta;  // directory, shards, newness and what happens on failure are filled in
  broker::BrokerOptions broker;   // directory, node and incarnation are filled in
  broker::AccessOptions access;
  // Made at the start if there is no user of that name; one that is there stays as it is.
  struct FirstUser {
    std::string name;
    std::string password;
  };
  std::optional<FirstUser> administrator;
  mqtt::MqttOptions mqtt_options;
  bool mqtt_websocket = true;  // at /mqtt of the HTTP listeners
  kafka::KafkaOptions kafka_options;
  http::HttpOptions http_options;
  // Nothing can be stored any more in this process: it should stop, and the next one goes on from what is on
  // the disk. Once, or once for the journal and once for the meta service; on core 0; also while start()
  // runs, which then may or may not give an error.
  std::function<void(const Error&)> on_failure;
  // What /metrics says about the process, besides what the node counts; empty in the simulator.
  std::function<void(std::vector<http::MetricFamily>& out)> process_metrics;
  std::string version;
};

class Node final : public http::NodeInfo {
 public:
  // `cores`: all of the process, in order; the first is the one this is called on.
  Node(std::span<runtime::Runtime* const> cores, NodeConfig config);
  ~Node() override;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Recovers and serves. kAlreadyExists: another process has the data directory. kUnsupported: it was written
  // by a newer version. kAddressInUse, kUnauthorized, kIo, kNoSpace, kCorrupt: what the message says.
  runtime::Task<Result<void>> start();
  // Drains connections, writes snapshots, closes. Also after a start() that failed, and while one is under
  // way: that ends first, with kCancelled, at its next step.
  runtime::Task<void> stop();
  bool serving() const { return serving_; }
  // Connections with TLS from now on. With NodeConfig::tls, and while it serves.
  void use_tls(std::shared_ptr<const runtime::tls::Context> context);

  // "ready mqtt=HOST:PORT kafka=HOST:PORT http=HOST:PORT", commas between several, `off` where there is none;
  // behind that mqtt-tls, kafka-tls and http-tls, where there are any, and rpc of a node of a cluster.
  std::string ready_line() const;
  // Where the first listener of a protocol listens.
  std::optional<runtime::Endpoint> mqtt_at() const { return first(at_.mqtt); }
  std::optional<runtime::Endpoint> kafka_at() const { return first(at_.kafka); }
  std::optional<runtime::Endpoint> http_at() const { return first(http_at_); }

  // http::NodeInfo
  bool ready() const override { return serving_; }
  http::NodeDescription describe() const override;
  runtime::Task<std::vector<http::MetricFamily>> metrics() override;
  http::ClusterAdministration* cluster_administration() override;

  // None: a node alone, or it has not come so far. On core 0.
  const ClusterPart* cluster() const;

  // For the simulator's checkers: on its core only.
  broker::Core& broker(CoreId core);
  meta::MetaClient& meta(CoreId core);

 private:
  struct OnCore;
  struct Shared;
  struct Counting;
  static std::optional<runtime::Endpoint> first(const std::vector<runtime::Endpoint>& list) {
    return list.empty() ? std::nullopt : std::optional(list.front());
  }
  runtime::Task<Result<void>> start_parts();
  runtime::Task<Result<void>> open_directory();
  runtime::Task<Result<void>> check_format();
  runtime::Task<Result<void>> open_meta();
  runtime::Task<Result<void>> connect_meta_everywhere();
  runtime::Task<Result<void>> open_journal();
  bool serves_clients() const { return !config_.cluster || (config_.cluster->roles & meta::kBrokerRole); }
  bool has_journal() const;
  // node_cluster.cc
  runtime::Task<Result<void>> check_alone();
  runtime::Task<Result<void>> open_cluster();
  runtime::Task<Result<void>> listen_between_nodes();
  runtime::Task<Result<void>> enter_cluster();
  runtime::Task<void> close_cluster();
  meta::RegisterNode registration() const;
  runtime::Task<Result<void>> make_administrator();
  runtime::Task<Result<void>> make_brokers();
  runtime::Task<Result<void>> listen();
  // Where the listeners of a core are, or are to be.
  struct Listening {
    std::vector<runtime::Endpoint> mqtt, kafka, mqtt_tls, kafka_tls;
  };
  static Result<void> listen_mqtt(OnCore& there, const NodeConfig& config, runtime::tls::Server* tls,
                                  std::vector<runtime::Endpoint>& at);
  static Result<void> listen_kafka(OnCore& there, const NodeConfig& config, runtime::tls::Server* tls,
                                   std::vector<runtime::Endpoint>& at);
  void serve_websockets();
  http::Backend http_backend();
  Result<void> listen_http(runtime::tls::Server* tls, const std::vector<runtime::Endpoint>& wanted,
                           std::vector<runtime::Endpoint>& at);
  // On their core.
  static runtime::Task<Result<void>> connect_meta(OnCore& there, std::shared_ptr<meta::ServiceState> state,
                                                  broker::AccessOptions access);
  static runtime::Task<bool> make_journal_client(OnCore& there, const journal::JournalServer& journal,
                                                 const NodeConfig& config);
  runtime::Task<void> find_replicas(std::size_t core);
  runtime::Task<void> join_brokers();
  runtime::Task<void> let_brokers_accept();
  runtime::Task<void> tell_lease();
  void begin_anew(meta::Incarnation incarnation);
  static runtime::Task<broker::Core*> make_broker(OnCore& there, const NodeConfig& config);
  static runtime::Task<bool> introduce(OnCore& there, std::vector<broker::Core*> brokers);
  static runtime::Task<bool> all_started(OnCore& there);
  static runtime::Task<Result<Listening>> listen_here(OnCore& there, const NodeConfig& config, Listening at);
  void give_up_starting();
  runtime::Task<void> lose_patience(runtime::StopToken stop);
  static runtime::Task<bool> give_up(OnCore& there);
  static runtime::Task<bool> close_listeners(OnCore& there);
  static runtime::Task<bool> stop_broker(OnCore& there);
  static runtime::Task<bool> drop_broker(OnCore& there);
  static runtime::Task<bool> drop_journal(OnCore& there);
  static runtime::Task<bool> drop_meta(OnCore& there);

  // Runs `make(OnCore&)`, a Task, on a core of the process, and brings its value back.
  template <class T, class Make>
  runtime::Task<T> on_core(std::size_t core, Make make);

  runtime::Runtime& runtime_;
  NodeConfig config_;
  std::shared_ptr<Shared> shared_;
  std::vector<std::unique_ptr<OnCore>> cores_;
  Listening at_;
  std::vector<runtime::Endpoint> http_at_, http_tls_at_;
  bool serving_ = false;
  bool stopping_ = false;
  bool starting_ = false;
  bool start_given_up_ = false;
  runtime::Notification started_;  // or failed to
};

}  // namespace stele::server
