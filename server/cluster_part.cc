#include "server/cluster_part.h"

#include <algorithm>
#include <utility>

#include "base/marks.h"
#include "meta/command_codec.h"
#include "meta/group_machine.h"
#include "rpc/tls_dial.h"
#include "server/core_call.h"

namespace stele::server {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

constexpr runtime::Duration kPause = 500ms;     // between two attempts to be heard
constexpr runtime::Duration kLook = 20ms;       // at what others bring about
constexpr runtime::Duration kGrace = 1s;        // for connections at the end
constexpr runtime::Duration kLeaveWithin = 1s;  // what a stop tells the others

std::unexpected<Error> stopped() {
  return error(ErrorCode::kCancelled, "the node was stopped while it started");
}

std::unexpected<Error> wrong(std::string what) {
  return error(ErrorCode::kInvalidArgument, std::move(what));
}

std::string name_of(NodeId node) {
  return "node " + std::to_string(node.value);
}

// Of a member: the cluster does not know it as who it is.
bool is_removal(const Error& refusal) {
  return refusal.code == ErrorCode::kAlreadyExists || refusal.code == ErrorCode::kNotFound ||
         refusal.code == ErrorCode::kInvalidArgument;
}
// Of one that wants to be: asking again would not help.
bool is_final(const Error& refusal) {
  return is_removal(refusal) || refusal.code == ErrorCode::kUnauthorized ||
         refusal.code == ErrorCode::kUnsupported;
}

// Of a call that found no connection: refusals that stay, however often it is tried.
std::optional<Error> refused_for_good(const rpc::Channel& channel) {
  constexpr std::pair<rpc::Reason, ErrorCode> kStay[] = {
      {rpc::Reason::kNode, ErrorCode::kAlreadyExists},
      {rpc::Reason::kVersion, ErrorCode::kUnsupported},
      {rpc::Reason::kCertificate, ErrorCode::kUnauthorized},
  };
  for (const auto& [reason, code] : kStay) {
    if (channel.stats().refused[static_cast<std::size_t>(reason)] > 0 && channel.last_failure())
      return Error{code, channel.last_failure()->message};
  }
  return std::nullopt;
}

bool is_nowhere(const std::string& host) {
  return host == "0.0.0.0" || host == "::" || host.empty();
}

}  // namespace

ClusterPart::ClusterPart(std::span<runtime::Runtime* const> cores, std::string data, std::string product,
                         ClusterConfig config, std::function<void(const Error&)> on_failure)
    : runtime_(*cores.front()),
      data_(std::move(data)),
      product_(std::move(product)),
      config_(std::move(config)),
      on_failure_(std::move(on_failure)),
      process_(runtime_.random().next()) {
  for (runtime::Runtime* core : cores) cores_.push_back(std::make_unique<OnCore>(*core));
}

ClusterPart::~ClusterPart() {
  abandon();
}

void ClusterPart::abandon() {
  scope_.reset();
  for (auto& core : cores_) core->calls.reset();
  keeper_.reset();
  controller_.reset();
  for (auto& core : cores_) {
    core->server.reset();
    core->watch = {};
  }
  admission_.reset();
}

// ---- who this is -----------------------------------------------------------------------------------------

Task<Result<void>> ClusterPart::prepare(bool holds_journal) {
  if (config_.rpc.port == 0 || advertised().port == 0)
    co_return wrong("nodes are reached at a port that is named, not at 0");
  if (is_nowhere(advertised().host)) {
    co_return wrong("nobody can connect to " + advertised().to_string() +
                    ": say where other nodes reach this one (rpc-advertise)");
  }
  STELE_CO_TRY(auto file, co_await read_cluster_file(runtime_.files(), data_));
  if (!file) {
    if (config_.join.empty()) co_return co_await found(holds_journal);
    co_return co_await begin_joining(holds_journal);
  }
  file_ = *std::move(file);
  STELE_CO_CHECK(check_node(file_.node));
  if (file_.state == ClusterFile::State::kJoining && config_.join.empty()) {
    co_return wrong("data directory " + data_ + " was about to join a cluster as " + name_of(file_.node) +
                    ": say which nodes to ask (join)");
  }
  co_return Result<void>();
}

Result<void> ClusterPart::check_node(NodeId in_directory) const {
  if (!config_.node || *config_.node == in_directory) return {};
  return wrong("data directory " + data_ + " is that of " + name_of(in_directory) + ", not of " +
               name_of(*config_.node));
}

Task<Result<ClusterPart::Found>> ClusterPart::look_into_database() {
  STELE_CO_TRY(const auto machine, co_await meta::GroupMachine::open(runtime_, data_ + "/meta"));
  const auto view = machine->view();
  Found out{.applied = machine->applied().value, .cluster = view->cluster().id, .nodes = {}};
  for (const auto& [id, node] : view->nodes()) out.nodes.push_back(id);
  co_return out;
}

// What a node alone has kept is what the cluster begins with.
Task<Result<void>> ClusterPart::found(bool holds_journal) {
  STELE_CO_TRY(const Found database, co_await look_into_database());
  if (database.cluster.empty() && holds_journal) {
    co_return error(ErrorCode::kCorrupt,
                    data_ +
                        "/meta/meta.db: is missing, or lost what it held, though there is "
                        "a journal; restore the file from a copy");
  }
  if (!database.nodes.empty()) {
    if (config_.node && std::ranges::find(database.nodes, *config_.node) == database.nodes.end()) {
      STELE_CO_CHECK(check_node(database.nodes.front()));
    }
    file_.node = config_.node.value_or(database.nodes.front());
  } else {
    file_.node = config_.node.value_or(NodeId(1));
  }
  if (!(config_.roles & meta::kMetaRole))
    co_return wrong("the first node of a cluster has the role meta; another names nodes to join");
  file_.state = ClusterFile::State::kFounding;
  file_.directory = Uuid::from_random(runtime_.random().next(), runtime_.random().next());
  file_.cluster = Uuid::parse(database.cluster)
                      .value_or(Uuid::from_random(runtime_.random().next(), runtime_.random().next()));
  file_.founders = {file_.node};
  if (database.applied > 0) STELE_MARK("node: what was a node alone founds a cluster");
  co_return co_await write_cluster_file(runtime_.files(), data_, file_);
}

Task<Result<void>> ClusterPart::begin_joining(bool holds_journal) {
  STELE_CO_TRY(const Found database, co_await look_into_database());
  if (holds_journal || database.applied > 0) {
    co_return wrong(
        "data directory " + data_ +
        " holds what belongs to a node alone, which would be lost: join with an empty one, or let "
        "the others join this node");
  }
  if (!config_.node) co_return wrong("a node that joins a cluster has a number that is free there (node-id)");
  file_.state = ClusterFile::State::kJoining;
  file_.node = *config_.node;
  file_.directory = Uuid::from_random(runtime_.random().next(), runtime_.random().next());
  co_return co_await write_cluster_file(runtime_.files(), data_, file_);
}

rpc::Identity ClusterPart::identity() const {
  return {.cluster = file_.cluster, .node = file_.node, .incarnation = process_, .product = product_};
}

rpc::ChannelOptions ClusterPart::channel_options() const {
  rpc::ChannelOptions options = config_.channel;
  options.certificates = config_.tls_client != nullptr;
  return options;
}

rpc::Peers::DialFor ClusterPart::dial() const {
  if (!config_.tls_client) return {};
  return [context = config_.tls_client](NodeId node) { return rpc::tls_dial(context, node); };
}

// ---- a place in the cluster ------------------------------------------------------------------------------

meta::JoinRequest ClusterPart::request(bool member) const {
  return {.node = file_.node,
          .directory = file_.directory,
          .address = advertised(),
          .roles = config_.roles,
          .zone = config_.zone,
          .product = product_,
          .member = member};
}

Task<Result<meta::JoinAnswer>> ClusterPart::ask(const runtime::Endpoint& at) {
  rpc::ChannelOptions options = channel_options();
  options.joins = true;
  if (config_.tls_client) options.dial = rpc::tls_dial(config_.tls_client, std::nullopt);
  rpc::Channel channel(runtime_, identity(), NodeId(0), at, std::move(options));
  auto answer = co_await meta::ask_to_join(channel, request(false), config_.call_timeout);
  if (!answer) {
    if (auto final = refused_for_good(channel)) answer = std::unexpected(*std::move(final));
  }
  co_await channel.close(kGrace);
  co_return answer;
}

Task<Result<void>> ClusterPart::join() {
  if (file_.state != ClusterFile::State::kJoining) co_return Result<void>();
  while (!stopping_) {
    for (const runtime::Endpoint& at : config_.join) {
      if (stopping_) break;
      auto answer = co_await ask(at);
      if (answer) {
        STELE_MARK("node: let into a cluster");
        file_.state = ClusterFile::State::kMember;
        file_.cluster = answer->cluster;
        file_.founders = answer->founders;
        file_.peers = std::move(answer->members);
        file_.peers.erase(file_.node);
        co_return co_await write_cluster_file(runtime_.files(), data_, file_);
      }
      const Error why = answer.error().with_context("joining the cluster of " + at.to_string());
      if (is_final(why)) co_return std::unexpected(why);
      runtime_.log().write(runtime::LogLevel::kInfo, "server", why.message);
    }
    co_await runtime::sleep(runtime_, kPause, scope_->token());
  }
  co_return stopped();
}

// A member that is not heard tells the others where it is, hears where they are, and whether it still is one.
// Who leads by now may be a node that it has never heard of, and could not answer.
Task<void> ClusterPart::announce() {
  for (; !stopping_ && !removed_; co_await runtime::sleep(runtime_, kPause, scope_->token())) {
    if (incarnation_ != meta::Incarnation() && keeper_->holds()) continue;
    OnCore& here = *cores_.front();
    std::vector<NodeId> nodes;
    for (const auto& [node, channel] : here.peers->all()) nodes.push_back(node);
    for (const NodeId node : nodes) {
      rpc::Channel* asked = here.peers->find(node);
      if (!asked || stopping_) continue;
      const auto answer = co_await meta::ask_to_join(*asked, request(true), config_.call_timeout);
      if (stopping_) co_return;
      if (!answer && is_removal(answer.error())) co_return be_removed(answer.error());
      if (!answer) continue;
      for (const auto& [id, at] : answer->members) {
        const rpc::Channel* known = here.peers->find(id);
        if (id != file_.node && (!known || known->address() != at)) {
          STELE_MARK("node: hears of a node that its view has not");
          set_peer(here, id, at);
        }
      }
      break;
    }
  }
}

// ---- between nodes ---------------------------------------------------------------------------------------

Task<Result<void>> ClusterPart::listen(RegisterServices register_services) {
  make_peers(*cores_.front());
  group_peers_.emplace(runtime_, *cores_.front()->peers, config_.call_timeout);
  admission_.emplace(runtime_, *cores_.front()->peers, config_.admission);
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    STELE_CO_CHECK(co_await call_core<Result<void>>(
        runtime_, *cores_[core], [this, core, &register_services](OnCore& there) -> Task<Result<void>> {
          return listen_on(there, core, register_services);
        }));
  }
  co_return Result<void>();
}

void ClusterPart::make_peers(OnCore& there) {
  there.peers = std::make_unique<rpc::Peers>(there.runtime, identity(), channel_options(), dial());
  for (const auto& [node, at] : file_.peers) set_peer(there, node, at);
}

// The first core has Raft's messages, so its channels are open before anybody needs them.
void ClusterPart::set_peer(OnCore& there, NodeId node, const runtime::Endpoint& at) {
  rpc::Channel& channel = there.peers->set(node, at);
  if (there.runtime.core() == CoreId(0)) channel.keep_open();
}

Task<Result<void>> ClusterPart::listen_on(OnCore& there, std::size_t core,
                                          const RegisterServices& register_services) {
  if (!there.peers) make_peers(there);
  rpc::ServerOptions options = config_.server;
  options.certificates = config_.tls_server != nullptr;
  options.open_without_certificates = config_.open_without_certificates;
  there.server = std::make_unique<rpc::Server>(there.runtime, identity(), options);
  group_peers_->serve(there.runtime, *there.server);
  admission_->serve(there.runtime, *there.server);
  register_services(core, *there.server);
  runtime::Transport* transport = &there.runtime.network();
  if (config_.tls_server) {
    there.tls = std::make_unique<runtime::tls::Server>(there.runtime, config_.tls_server,
                                                       runtime::tls::ServerOptions{});
    transport = there.tls.get();
  }
  if (auto listening = there.server->listen(*transport, config_.rpc); !listening) {
    there.server.reset();
    co_return std::unexpected(listening.error().with_context("rpc listener"));
  }
  co_return Result<void>();
}

Task<void> ClusterPart::follow(std::size_t core, meta::MetaClient& client) {
  co_await call_core<bool>(runtime_, *cores_[core], [this, &client](OnCore& there) -> Task<bool> {
    there.watch = client.on_change(
        [this, &there](const std::shared_ptr<const meta::MetaView>& view) { sync_peers(there, *view); });
    sync_peers(there, *client.view());
    co_return true;
  });
}

void ClusterPart::sync_peers(OnCore& there, const meta::MetaView& view) {
  for (const auto& [id, node] : view.nodes()) {
    const auto at = meta::rpc_address(node);
    if (id == file_.node || !at) continue;
    const rpc::Channel* channel = there.peers->find(id);
    if (!channel || channel->address() != *at) set_peer(there, id, *at);
  }
  std::vector<NodeId> gone;
  for (const auto& [id, channel] : there.peers->all()) {
    if (!view.nodes().contains(id)) gone.push_back(id);
  }
  for (const NodeId id : gone) there.peers->remove(id, kGrace);
  if (there.runtime.core() == CoreId(0)) note_addresses(view);
}

// ---- the file --------------------------------------------------------------------------------------------

void ClusterPart::note_addresses(const meta::MetaView& view) {
  std::map<NodeId, runtime::Endpoint> peers;
  for (const auto& [id, node] : view.nodes()) {
    const auto at = meta::rpc_address(node);
    if (id != file_.node && at) peers[id] = *at;
  }
  if (peers == file_.peers) return;
  file_.peers = std::move(peers);
  file_changed_ = true;
  file_dirty_.wake_all();
}

// A start asks those who are in it; who is not, is heard of from them.
Task<void> ClusterPart::keep_file() {
  while (!stopping_) {
    if (!std::exchange(file_changed_, false)) {
      co_await file_dirty_.wait();
      continue;
    }
    if (auto written = co_await write_cluster_file(runtime_.files(), data_, file_); !written) {
      runtime_.log().write(runtime::LogLevel::kWarn, "server",
                           "the addresses of other nodes are not kept: " + written.error().to_string());
    }
  }
}

// ---- the meta service ------------------------------------------------------------------------------------

Task<Result<std::unique_ptr<meta::MetaService>>> ClusterPart::serve(meta::MetaServiceOptions options) {
  const bool founding = file_.state == ClusterFile::State::kFounding;
  meta::GroupOptions group = config_.group;
  group.directory = data_ + "/meta";
  group.member.core.self = file_.node;
  group.member.founders.voters = file_.founders;
  group.begins = founding;
  STELE_CO_TRY(own_log_, co_await meta::GroupLog::open(runtime_, group, *group_peers_, *group_peers_));
  log_ = own_log_.get();
  log_->on_failure(options.on_failure);  // also of a start that waits for it
  controller_.emplace(runtime_, *log_, config_.controller);
  keeper_.emplace(runtime_, *log_, *controller_, *group_peers_, config_.controller.leases);
  group_peers_->attach(log_, &*controller_);
  if (founding) {
    STELE_CO_CHECK(co_await found_here(options.shard_count));
  }
  scope_->spawn(announce());
  admission_->attach(*log_, file_.founders);
  STELE_CO_CHECK(co_await wait_for_cluster());
  scope_->spawn(keep_file());
  options.directory = group.directory;
  co_return co_await meta::MetaService::serve(runtime_, std::move(options), std::move(own_log_),
                                              meta::MetaService::Founder::kNo);
}

template <class C>
Task<Result<typename C::Answer>> ClusterPart::propose(C command) {
  const meta::Envelope envelope{.time = runtime_.wall_now(),
                                .random = Uuid{runtime_.random().next(), runtime_.random().next()}};
  STELE_CO_TRY(const std::string answer,
               co_await log_->propose(meta::encode_command(envelope, std::move(command))));
  co_return meta::decode_answer_to<C>(answer);
}

// From here on others may join: the cluster is there, and this node is in its table.
Task<Result<void>> ClusterPart::found_here(std::uint32_t shards) {
  const auto made = co_await propose(meta::CreateCluster{.shard_count = shards, .id = file_.cluster});
  if (!made && made.error().code != ErrorCode::kAlreadyExists) co_return std::unexpected(made.error());
  STELE_CO_CHECK(co_await propose(
      meta::AdmitNode{.node = file_.node,
                      .directory = file_.directory,
                      .addresses = {{meta::kRpcListener, advertised().host, advertised().port}},
                      .roles = config_.roles,
                      .zone = config_.zone,
                      .product = product_}));
  file_.state = ClusterFile::State::kMember;
  co_return co_await write_cluster_file(runtime_.files(), data_, file_);
}

Task<Result<void>> ClusterPart::wait_for_cluster() {
  while (log_->view()->cluster().id.empty()) {
    if (stopping_) co_return stopped();
    if (removed_) co_return std::unexpected(*removed_);
    if (log_->member().status().failed)
      co_return error(ErrorCode::kIo, "the meta service has failed; restart the process");
    co_await runtime::sleep(runtime_, kLook, scope_->token());
  }
  const std::string& id = log_->view()->cluster().id;
  if (id == file_.cluster.to_string()) co_return Result<void>();
  co_return error(ErrorCode::kCorrupt, "data directory " + data_ + " belongs to cluster " +
                                           file_.cluster.to_string() + ", its meta database to " + id);
}

// ---- the node's life in the cluster ----------------------------------------------------------------------

Task<Result<meta::Incarnation>> ClusterPart::enter(meta::MetaClient& client, meta::RegisterNode what) {
  client_ = &client;
  what.node = file_.node;
  what.directory = file_.directory;
  what.roles = config_.roles;
  what.zone = config_.zone;
  what.product = product_;
  what.addresses.push_back({meta::kRpcListener, advertised().host, advertised().port});
  scope_->spawn(live(std::move(what)));
  while (incarnation_ == meta::Incarnation() && !removed_ && !stopping_) co_await changed_.wait();
  if (stopping_) co_return stopped();
  if (incarnation_ == meta::Incarnation()) co_return std::unexpected(*removed_);
  co_return incarnation_;
}

// Registers, keeps the lease, and begins anew when it is told that it has ended.
Task<void> ClusterPart::live(meta::RegisterNode what) {
  while (!stopping_ && !leaving_) {
    const auto node = co_await client_->execute(what);
    if (!node) {
      if (is_removal(node.error())) co_return be_removed(node.error());
      co_await runtime::sleep(runtime_, kLook, scope_->token());
      continue;
    }
    const bool anew = incarnation_ != meta::Incarnation();
    incarnation_ = node->incarnation;
    lease_ended_ = false;
    keeper_->keep(node->incarnation, [this] {
      lease_ended_ = true;
      changed_.wake_all();
    });
    changed_.wake_all();
    if (anew) {
      STELE_MARK("node: registered anew");
      runtime_.log().write(runtime::LogLevel::kWarn, "server",
                           "the others have taken this node for gone; it goes on as incarnation " +
                               std::to_string(incarnation_.value));
      if (config_.on_incarnation) config_.on_incarnation(incarnation_);
    }
    while (!lease_ended_ && !stopping_ && !leaving_) co_await changed_.wait();
  }
}

void ClusterPart::be_removed(const Error& why) {
  STELE_MARK("node: removed from the cluster");
  removed_ = why;
  if (incarnation_ != meta::Incarnation() && on_failure_) on_failure_(why);
  changed_.wake_all();
}

// ---- the end ---------------------------------------------------------------------------------------------

void ClusterPart::request_stop() {
  stopping_ = true;
  if (scope_) scope_->request_stop();
  changed_.wake_all();
  file_dirty_.wake_all();
}

Task<void> ClusterPart::leave() {
  if (!client_ || incarnation_ == meta::Incarnation() || removed_) co_return;
  leaving_ = true;
  changed_.wake_all();
  scope_->spawn(say_farewell());
  const runtime::Instant until = runtime_.now() + kLeaveWithin;
  while (!left_ && runtime_.now() < until) co_await runtime::sleep(runtime_, kLook);
}

// The node's shards are free at once, and the group has a leader.
Task<void> ClusterPart::say_farewell() {
  [[maybe_unused]] const auto ended =
      co_await client_->execute(meta::EndIncarnation{.node = file_.node, .incarnation = incarnation_});
  const raft::MemberStatus status = log_->member().status();
  if (status.role == raft::Role::kLeader) {
    for (const auto& [node, peer] : status.peers) {
      if (node == file_.node || !status.membership.voters.contains(node) || !peer.active) continue;
      [[maybe_unused]] const auto handed = co_await log_->member().transfer_leadership(node);
      break;
    }
  }
  left_ = true;
}

Task<void> ClusterPart::close(meta::MetaService* service) {
  request_stop();
  for (auto& core : cores_) {
    co_await call_core<bool>(runtime_, *core, [](OnCore& there) -> Task<bool> {
      there.watch = {};
      co_return true;
    });
  }
  {
    runtime::Scope closing;
    if (keeper_) closing.spawn(keeper_->close());
    if (controller_) closing.spawn(controller_->close());
    if (admission_) closing.spawn(admission_->close());
    if (cores_.front()->peers) closing.spawn(cores_.front()->peers->close(kGrace));
    if (service) co_await service->close();
    if (own_log_) co_await own_log_->close();
    if (group_peers_) co_await group_peers_->close();
    co_await closing.join();
  }
  co_await scope_->join();
  for (auto& core : cores_) {
    co_await call_core<bool>(runtime_, *core, [](OnCore& there) { return close_core(there); });
  }
}

Task<bool> ClusterPart::close_core(OnCore& there) {
  if (there.server) co_await there.server->stop(kGrace);
  there.server.reset();
  if (there.peers && there.runtime.core() != CoreId(0)) {
    co_await there.peers->close(kGrace);
    there.peers.reset();
  }
  there.tls.reset();
  co_return true;
}

}  // namespace stele::server
