#include "server/node.h"

#include <algorithm>
#include <string>

#include "base/assert.h"
#include "base/marks.h"
#include "journal/shard_log.h"
#include "runtime/for_each.h"
#include "runtime/scope.h"
#include "server/cluster_part.h"
#include "server/data_format.h"
#include "server/node_parts.h"

namespace stele::server {

using runtime::Task;

Node::Node(std::span<runtime::Runtime* const> cores, NodeConfig config)
    : runtime_(*cores.front()), config_(std::move(config)), shared_(std::make_shared<Shared>()) {
  for (runtime::Runtime* core : cores) cores_.push_back(std::make_unique<OnCore>(*core));
}

// Connections go before the brokers they use, everything before the services below it.
Node::~Node() {
  serving_ = false;
  for (auto& core : cores_) {
    if (core->broker) core->broker->abandon();
  }
  if (shared_->cluster) shared_->cluster->abandon();
  shared_->http.clear();
  shared_->administrator.reset();
  shared_->cluster_admin.reset();
  // Calls that are still under way work on what is destroyed below.
  for (auto& core : cores_) core->calls.reset();
  for (auto& core : cores_) {
    core->mqtt.clear();
    core->websocket.reset();
    core->kafka.clear();
  }
  // What other nodes have asked holds shards, like the connections of clients.
  for (auto& core : cores_) core->peer_server.reset();
  for (auto& core : cores_) core->broker.reset();
  for (auto& core : cores_) {
    core->replicas_watch = {};
    core->replicas.reset();
    core->replica_service.reset();
    core->journal.reset();
    core->access.reset();
    core->meta.reset();
  }
}

broker::Core& Node::broker(CoreId core) {
  STELE_ASSERT(core.value < cores_.size() && cores_[core.value]->broker);
  return *cores_[core.value]->broker;
}

meta::MetaClient& Node::meta(CoreId core) {
  STELE_ASSERT(core.value < cores_.size() && cores_[core.value]->meta);
  return *cores_[core.value]->meta;
}

// ---- start ----------------------------------------------------------------------------------------------

Task<Result<void>> Node::start() {
  starting_ = true;
  if (config_.cluster) {
    config_.on_failure = [this, also = std::move(config_.on_failure)](const Error& why) {
      if (starting_) {
        STELE_MARK("node: nothing can be stored any more while it starts");
        give_up_starting();
      }
      if (also) also(why);
    };
  }
  auto started = co_await start_parts();
  starting_ = false;
  serving_ = started.has_value() && !stopping_;
  started_.wake_all();
  co_return started;
}

Task<Result<void>> Node::start_parts() {
  const auto go_on = [this]() -> Result<void> {
    if (!stopping_ && !start_given_up_) return {};
    STELE_MARK("node: stopped while it starts");
    return error(ErrorCode::kCancelled, "the node was stopped while it started");
  };
  shared_->started_ms = runtime_.wall_now().ms;
  STELE_CO_CHECK(co_await open_directory());
  STELE_CO_CHECK(go_on());
  if (config_.cluster) {
    STELE_CO_CHECK(co_await open_cluster());
    STELE_CO_CHECK(go_on());
    // Others may need what is here before this node has its place, so the journal comes first.
    if (has_journal()) {
      STELE_CO_CHECK(co_await open_journal());
    }
    STELE_CO_CHECK(co_await listen_between_nodes());
    STELE_CO_CHECK(co_await enter_cluster());
  } else {
    STELE_CO_CHECK(co_await check_alone());
    STELE_CO_CHECK(co_await open_meta());
    STELE_CO_CHECK(go_on());
    STELE_CO_CHECK(co_await open_journal());
  }
  STELE_CO_CHECK(go_on());
  STELE_CO_CHECK(co_await make_brokers());
  STELE_CO_CHECK(go_on());
  co_return co_await listen();
}

bool Node::has_journal() const {
  return !config_.cluster || (config_.cluster->roles & (meta::kJournalRole | meta::kBrokerRole));
}

Task<Result<void>> Node::open_journal() {
  config_.journal.store.directory = config_.data + "/journal";
  config_.journal.on_failure = config_.on_failure;
  STELE_CO_TRY(shared_->journal, co_await journal::JournalServer::open(runtime_, config_.journal));
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    co_await on_core<bool>(
        core, [this](OnCore& there) { return make_journal_client(there, *shared_->journal, config_); });
  }
  co_return Result<void>();
}

Task<bool> Node::make_journal_client(OnCore& there, const journal::JournalServer& journal,
                                     const NodeConfig& config) {
  there.journal = std::make_unique<journal::JournalClient>(there.runtime, journal, config.journal_client);
  co_return true;
}

Task<Result<void>> Node::open_directory() {
  auto& files = runtime_.files();
  const auto say = [&](Error error) { return error.with_context("data directory " + config_.data); };
  if (auto made = co_await files.make_directory(config_.data); !made)
    co_return std::unexpected(say(made.error()));
  auto lock = co_await files.lock(config_.data + "/lock");
  if (!lock) {
    if (lock.error().code != ErrorCode::kAlreadyExists) co_return std::unexpected(say(lock.error()));
    co_return error(ErrorCode::kAlreadyExists,
                    "data directory " + config_.data +
                        " is in use by another process: stop that, or choose another with --data");
  }
  shared_->lock = *std::move(lock);
  STELE_CO_CHECK(co_await check_format());
  for (const char* part : {"/meta", "/journal", "/snapshots"}) {
    if (auto made = co_await files.make_directory(config_.data + part); !made) {
      co_return std::unexpected(say(made.error()));
    }
  }
  if (auto synced = co_await files.sync_directory(config_.data); !synced)
    co_return std::unexpected(say(synced.error()));
  // The directory's own name too, as far up as may have been made. Above that it need not be ours to open.
  for (std::string path = config_.data; path.size() > 1;) {
    const std::size_t slash = path.rfind('/');
    path = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    if (!co_await files.sync_directory(path) || path == ".") break;
  }
  co_return Result<void>();
}

Task<Result<void>> Node::check_format() {
  auto& files = runtime_.files();
  const std::string path = config_.data + "/format";
  auto file = co_await files.open(path, {});
  if (file) {
    STELE_CO_TRY(const Bytes text, co_await (*file)->read(Position(0), 256));
    const auto known = check_data_format(config_.data, text);
    if (known || known.error().code != ErrorCode::kNotFound) co_return known;
    // Empty: a crash came before its content.
  } else if (file.error().code != ErrorCode::kNotFound) {
    co_return std::unexpected(file.error());
  }
  STELE_CO_TRY(auto fresh, co_await files.open(path, {.mode = runtime::OpenMode::kCreate}));
  STELE_CO_CHECK(co_await fresh->write_and_sync(Position(0), {Bytes::copy(data_format_text())}));
  STELE_CO_CHECK(co_await fresh->close());
  co_return co_await files.sync_directory(config_.data);
}

Task<Result<void>> Node::open_meta() {
  meta::MetaServiceOptions options = config_.meta;
  options.directory = config_.data + "/meta";
  options.shard_count = config_.shards;
  options.on_failure = config_.on_failure;
  // A cluster was there before the first entry of a journal. A new one would let go of all that the journal
  // holds.
  STELE_CO_TRY(const auto held, co_await runtime_.files().list(config_.data + "/journal"));
  options.may_be_new = held.empty();
  STELE_CO_TRY(shared_->meta, co_await meta::MetaService::open(runtime_, options));
  STELE_CO_CHECK(co_await connect_meta_everywhere());
  STELE_CO_CHECK(co_await make_administrator());
  STELE_CO_TRY(const meta::Node node, co_await cores_.front()->meta->execute(
                                          meta::RegisterNode{.node = config_.node, .addresses = {}}));
  shared_->incarnation = node.incarnation;
  co_return Result<void>();
}

Task<Result<void>> Node::connect_meta_everywhere() {
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    STELE_CO_CHECK(
        co_await on_core<Result<void>>(core, [this, state = shared_->meta->state()](OnCore& there) {
          return connect_meta(there, state, config_.access);
        }));
  }
  co_return Result<void>();
}

Task<Result<void>> Node::connect_meta(OnCore& there, std::shared_ptr<meta::ServiceState> state,
                                      broker::AccessOptions access) {
  STELE_CO_TRY(there.meta, co_await meta::MetaClient::connect(there.runtime, std::move(state)));
  there.access = std::make_unique<broker::AccessControl>(there.runtime, *there.meta, access);
  co_return Result<void>();
}

Task<Result<void>> Node::make_administrator() {
  if (!config_.administrator) co_return Result<void>();
  const NodeConfig::FirstUser first = *std::move(config_.administrator);
  config_.administrator.reset();  // the password is not kept
  meta::MetaClient& meta = *cores_.front()->meta;
  if (meta.view()->identities()->find(std::string_view(first.name))) co_return Result<void>();
  meta::CreateUser create{
      .tenant = kDefaultTenant, .name = first.name, .super_user = true, .credentials = {}};
  create.credentials = co_await broker::store_password(runtime_, first.password);
  if (auto made = co_await meta.execute(std::move(create)); !made) {
    // Another node of the cluster may have been told of the same one.
    if (config_.cluster && made.error().code == ErrorCode::kAlreadyExists) co_return Result<void>();
    co_return std::unexpected(made.error().with_context("making the administrator '" + first.name + "'"));
  }
  runtime_.log().write(runtime::LogLevel::kInfo, "server", "made the administrator '" + first.name + "'");
  co_return Result<void>();
}

Task<Result<void>> Node::make_brokers() {
  config_.broker.node = config_.node;
  config_.broker.incarnation = shared_->incarnation;
  config_.broker.snapshot_directory = config_.data + "/snapshots";
  config_.broker.by_assignment = config_.cluster.has_value();
  std::vector<broker::Core*> brokers;
  for (std::size_t core = 0; serves_clients() && core < cores_.size(); ++core) {
    if (config_.cluster) co_await find_replicas(core);
    brokers.push_back(
        co_await on_core<broker::Core*>(core, [this](OnCore& there) { return make_broker(there, config_); }));
  }
  for (std::size_t core = 0; core < brokers.size(); ++core) {
    co_await on_core<bool>(core, [brokers](OnCore& there) { return introduce(there, brokers); });
  }
  if (config_.cluster && !brokers.empty()) co_await join_brokers();
  if (has_journal()) {
    // What an earlier process left behind in the journal only costs space.
    auto orphans =
        co_await journal::remove_orphans(*cores_.front()->journal, *cores_.front()->meta, config_.node);
    if (!orphans) {
      runtime_.log().write(runtime::LogLevel::kWarn, "server",
                           "looking for segments that no log needs: " + orphans.error().to_string());
    }
  }
  if (brokers.empty()) co_return Result<void>();
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    STELE_CO_CHECK(co_await on_core<Result<void>>(core, [](OnCore& there) { return there.broker->start(); }));
  }
  if (config_.cluster && !start_given_up_) co_await let_brokers_accept();
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    co_await on_core<bool>(core, [](OnCore& there) { return all_started(there); });
  }
  co_return Result<void>();
}

Task<broker::Core*> Node::make_broker(OnCore& there, const NodeConfig& config) {
  if (!config.cluster) {
    there.replicas = std::make_unique<journal::LocalReplicas>(*there.journal, config.node);
  }
  broker::BrokerOptions options = config.broker;
  options.authorizer = there.access.get();
  options.authenticator = there.access.get();
  there.broker =
      std::make_unique<broker::Core>(there.runtime, std::move(options), *there.meta, *there.replicas);
  co_return there.broker.get();
}

Task<bool> Node::introduce(OnCore& there, std::vector<broker::Core*> brokers) {
  there.broker->know(std::move(brokers));
  co_return true;
}

Task<bool> Node::all_started(OnCore& there) {
  there.broker->all_started();
  co_return true;
}

// ---- listeners ------------------------------------------------------------------------------------------

namespace {
Error while_listening(const Error& error, std::string_view protocol, const runtime::Endpoint& at) {
  Error said = error;
  if (error.code == ErrorCode::kAddressInUse) {
    said.message = "address " + at.to_string() + " is in use: choose another with --" + std::string(protocol);
  }
  return said.with_context(std::string(protocol) + " listener");
}
}  // namespace

// The first core finds the ports; the others share them. Without the role broker there is HTTP only.
Task<Result<void>> Node::listen() {
  if (serves_clients()) {
    at_ = {.mqtt = config_.mqtt,
           .kafka = config_.kafka,
           .mqtt_tls = config_.mqtt_tls,
           .kafka_tls = config_.kafka_tls};
  }
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    STELE_CO_TRY(at_, co_await on_core<Result<Listening>>(
                          core, [this](OnCore& there) { return listen_here(there, config_, at_); }));
  }
  if (serves_clients()) serve_websockets();
  STELE_CO_CHECK(listen_http(nullptr, config_.http, http_at_));
  STELE_CO_CHECK(listen_http(cores_.front()->tls.get(), config_.http_tls, http_tls_at_));
  if (config_.access.required && cores_.front()->meta->view()->identities()->users.empty()) {
    runtime_.log().write(runtime::LogLevel::kWarn, "server",
                         "there are no users, and without one nobody may do anything as other machines reach "
                         "the node: start it with --admin-user");
  }
  co_return Result<void>();
}

Task<Result<Node::Listening>> Node::listen_here(OnCore& there, const NodeConfig& config, Listening at) {
  if (config.tls) {
    there.tls = std::make_unique<runtime::tls::Server>(there.runtime, config.tls, config.tls_options);
  }
  STELE_CO_CHECK(listen_mqtt(there, config, nullptr, at.mqtt));
  STELE_CO_CHECK(listen_mqtt(there, config, there.tls.get(), at.mqtt_tls));
  STELE_CO_CHECK(listen_kafka(there, config, nullptr, at.kafka));
  STELE_CO_CHECK(listen_kafka(there, config, there.tls.get(), at.kafka_tls));
  co_return at;
}

Result<void> Node::listen_mqtt(OnCore& there, const NodeConfig& config, runtime::tls::Server* tls,
                               std::vector<runtime::Endpoint>& at) {
  for (runtime::Endpoint& endpoint : at) {
    mqtt::MqttOptions options = config.mqtt_options;
    options.listen.share_port = there.runtime.core_count() > 1;
    options.transport = tls;
    auto listener = mqtt::MqttListener::listen(*there.broker, endpoint, options);
    if (!listener) {
      return std::unexpected(while_listening(listener.error(), tls ? "mqtt-tls" : "mqtt", endpoint));
    }
    endpoint = (*listener)->local();
    there.mqtt.push_back(*std::move(listener));
  }
  return {};
}

Result<void> Node::listen_kafka(OnCore& there, const NodeConfig& config, runtime::tls::Server* tls,
                                std::vector<runtime::Endpoint>& at) {
  const auto& advertised = tls ? config.advertise_kafka_tls : config.advertise_kafka;
  for (runtime::Endpoint& endpoint : at) {
    kafka::KafkaOptions options = config.kafka_options;
    if (advertised) options.advertised = *advertised;
    options.listener = tls ? "kafka-tls" : "kafka";
    options.log_directory = config.data;
    options.transport = tls;
    auto listener = std::make_unique<kafka::KafkaListener>(*there.broker, options);
    if (auto listening = listener->listen(endpoint); !listening) {
      return std::unexpected(while_listening(listening.error(), tls ? "kafka-tls" : "kafka", endpoint));
    }
    endpoint = listener->local();
    there.kafka.push_back(std::move(listener));
  }
  return {};
}

void Node::serve_websockets() {
  if (!config_.mqtt_websocket || (config_.http.empty() && config_.http_tls.empty())) return;
  OnCore& here = *cores_.front();
  here.websocket = std::make_unique<MqttOverWebSocket>(*here.broker, config_.mqtt_options);
}

http::Backend Node::http_backend() {
  OnCore& here = *cores_.front();
  if (here.broker) return http::backend_of(*here.broker);
  if (!shared_->administrator) {
    shared_->administrator = std::make_unique<broker::Administrator>(here.runtime, *here.meta, *here.access);
  }
  return {.runtime = here.runtime,
          .node = config_.node,
          .authorizer = *here.access,
          .authenticator = *here.access,
          .administration = *shared_->administrator,
          .view = [meta = here.meta.get()] { return meta->view(); }};
}

Result<void> Node::listen_http(runtime::tls::Server* tls, const std::vector<runtime::Endpoint>& wanted,
                               std::vector<runtime::Endpoint>& at) {
  for (const runtime::Endpoint& endpoint : wanted) {
    http::HttpOptions options = config_.http_options;
    options.transport = tls;
    options.origins.name_is_proven = tls != nullptr;
    if (cores_.front()->websocket) options.websockets.emplace("/mqtt", cores_.front()->websocket.get());
    auto listener = std::make_unique<http::HttpListener>(http_backend(), *this, options);
    if (auto listening = listener->listen(endpoint); !listening) {
      return std::unexpected(while_listening(listening.error(), tls ? "http-tls" : "http", endpoint));
    }
    at.push_back(listener->local());
    shared_->http.push_back(std::move(listener));
  }
  return {};
}

void Node::use_tls(std::shared_ptr<const runtime::tls::Context> context) {
  STELE_ASSERT(config_.tls && serving_);
  config_.tls = context;
  for (const auto& core : cores_) {
    runtime_.post(core->runtime.core(), [there = core.get(), context] {
      if (there->tls) there->tls->use(context);
    });
  }
}

std::string Node::ready_line() const {
  const auto text = [](const std::vector<runtime::Endpoint>& list) {
    std::string out;
    for (const runtime::Endpoint& at : list) out += (out.empty() ? "" : ",") + at.to_string();
    return out.empty() ? "off" : out;
  };
  std::string line = "ready mqtt=" + text(at_.mqtt) + " kafka=" + text(at_.kafka) + " http=" + text(http_at_);
  if (!at_.mqtt_tls.empty()) line += " mqtt-tls=" + text(at_.mqtt_tls);
  if (!at_.kafka_tls.empty()) line += " kafka-tls=" + text(at_.kafka_tls);
  if (!http_tls_at_.empty()) line += " http-tls=" + text(http_tls_at_);
  if (config_.cluster) line += " rpc=" + config_.cluster->rpc.to_string();
  return line;
}

http::NodeDescription Node::describe() const {
  http::NodeDescription out;
  out.version = config_.version;
  out.durability = std::string(storage::to_string(config_.journal.store.durability));
  out.cores = static_cast<std::uint32_t>(cores_.size());
  out.started_ms = shared_->started_ms;
  const auto add = [&](const char* protocol, const std::vector<runtime::Endpoint>& list) {
    auto& entry = out.listeners.emplace_back(protocol, std::vector<std::string>());
    for (const runtime::Endpoint& at : list) entry.second.push_back(at.to_string());
  };
  add("mqtt", at_.mqtt);
  add("kafka", at_.kafka);
  add("http", http_at_);
  if (!at_.mqtt_tls.empty()) add("mqtt-tls", at_.mqtt_tls);
  if (!at_.kafka_tls.empty()) add("kafka-tls", at_.kafka_tls);
  if (!http_tls_at_.empty()) add("http-tls", http_tls_at_);
  return out;
}

// ---- stop -----------------------------------------------------------------------------------------------

namespace {
// So long a stop waits for what is under way to be stored, again and again.
constexpr runtime::Duration kPatience = std::chrono::seconds(5);
constexpr runtime::Duration kGrace = std::chrono::seconds(1);  // for connections to other nodes
}  // namespace

Task<void> Node::stop() {
  stopping_ = true;
  serving_ = false;
  if (starting_) give_up_starting();
  runtime::Scope patience;
  patience.spawn(lose_patience(patience.token()));
  // What start() still works on must not be closed under it.
  while (starting_) co_await started_.wait();
  for (auto& listener : shared_->http) co_await listener->stop();
  if (shared_->cluster_admin) co_await shared_->cluster_admin->close();
  // At once: each may have to wait for clients that do not take their last bytes.
  co_await runtime::for_each(cores_.size(), cores_.size(), [this](std::size_t core) -> Task<void> {
    co_await on_core<bool>(core, [](OnCore& there) { return close_listeners(there); });
  });
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    co_await on_core<bool>(core, [](OnCore& there) { return stop_broker(there); });
  }
  co_await patience.close();
  if (shared_->cluster) co_await shared_->cluster->leave();
  // All shards have ended: nobody mails anybody any more.
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    co_await on_core<bool>(core, [](OnCore& there) { return drop_broker(there); });
  }
  if (shared_->cluster) {
    co_await close_cluster();
  } else if (shared_->meta) {
    co_await shared_->meta->close();
  }
  if (shared_->journal) {
    if (auto closed = co_await shared_->journal->close(); !closed) {
      runtime_.log().write(runtime::LogLevel::kError, "server", "journal: " + closed.error().to_string());
    }
  }
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    co_await on_core<bool>(core, [](OnCore& there) { return drop_meta(there); });
  }
  shared_->http.clear();
  shared_->administrator.reset();
  shared_->cluster_admin.reset();
  cores_.front()->tls.reset();
  if (shared_->cluster) shared_->cluster->abandon();
  shared_->meta.reset();
  shared_->cluster.reset();
  shared_->journal.reset();
  shared_->lock.reset();
}

// Connections and shards end when what they wait for is stored, which a log may never be able to again.
// In a cluster it waits for others, which may never come.
void Node::give_up_starting() {
  if (!shared_->cluster) return;
  start_given_up_ = true;
  shared_->cluster->request_stop();
  if (auto& broker = cores_.front()->broker) broker->give_up();
}

Task<void> Node::lose_patience(runtime::StopToken stop) {
  while (co_await runtime::sleep(runtime_, kPatience, stop)) {
    for (std::size_t core = 0; core < cores_.size(); ++core) {
      co_await on_core<bool>(core, [](OnCore& there) { return give_up(there); });
    }
  }
}

Task<bool> Node::give_up(OnCore& there) {
  if (there.broker) there.broker->give_up();
  co_return true;
}

Task<bool> Node::close_listeners(OnCore& there) {
  runtime::Scope closing;
  for (auto& listener : there.mqtt) closing.spawn(listener->stop());
  if (there.websocket) closing.spawn(there.websocket->mqtt->stop());
  for (auto& listener : there.kafka) closing.spawn(listener->stop());
  co_await closing.join();
  co_return true;
}

Task<bool> Node::stop_broker(OnCore& there) {
  if (there.broker) co_await there.broker->stop();
  if (there.access) co_await there.access->stop();
  co_return true;
}

Task<bool> Node::drop_broker(OnCore& there) {
  there.mqtt.clear();
  there.websocket.reset();
  there.kafka.clear();
  if (there.runtime.core() != CoreId(0)) there.tls.reset();  // core 0's HTTP listeners end later
  there.broker.reset();
  there.replicas_watch = {};
  if (there.cluster_replicas) co_await there.cluster_replicas->close(kGrace);
  there.cluster_replicas = nullptr;
  there.replicas.reset();
  if (!there.replica_service) there.journal.reset();
  co_return true;
}

Task<bool> Node::drop_journal(OnCore& there) {
  there.peer_server.reset();
  there.replica_service.reset();
  there.journal.reset();
  co_return true;
}

Task<bool> Node::drop_meta(OnCore& there) {
  there.access.reset();
  there.meta.reset();
  co_return true;
}

}  // namespace stele::server
