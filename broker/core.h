// Core: the broker of one core. Owns the shards that live here, the live subscribers and publishers of the
// connections here, and this core's copy of the routes; talks to the other cores by mail.
//
// Made on its core by the node (server/node.h), which also tells it of the others. Everything is called on
// its own core, except that other cores' mail comes in by post.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <coroutine>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "broker/administrator.h"
#include "broker/api.h"
#include "broker/asking.h"
#include "broker/attached.h"
#include "broker/block_arena.h"
#include "broker/live.h"
#include "broker/mail.h"
#include "broker/options.h"
#include "broker/place.h"
#include "broker/publisher.h"
#include "broker/route_change.h"
#include "broker/routes.h"
#include "broker/stats.h"
#include "journal/replicas.h"
#include "journal/shard_log.h"
#include "meta/client.h"
#include "meta/commands.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"

namespace stele::broker {

class Cluster;
class PeerServer;
struct ClusterOptions;
class Shard;

// A call on another core: value and waiter are touched on the calling core only.
template <class T>
struct RemoteCall {
  std::optional<T> value;
  std::coroutine_handle<> waiter;
};

class Core final : public Broker, private runtime::TurnEndHook {
 public:
  Core(runtime::Runtime& runtime, BrokerOptions options, meta::MetaClient& meta, journal::Replicas& replicas);
  ~Core() override;

  // Once, before anything else: all cores of the node by number, this one included.
  void know(std::vector<Core*> cores);
  // On a node of a cluster: once, after that and before start().
  void join(ClusterOptions options, PeerServer& server);
  // Until then this node may take itself to be one of the cluster's brokers, by its own clock. Without it, as
  // when that is over, nothing is taken from clients.
  void lease(runtime::Instant until);
  // The others have taken this node for gone: what it owned is others', and it goes on as another
  // incarnation. Everybody who is connected is sent away. On each core, core 0 first.
  void begin_anew(meta::Incarnation incarnation);
  bool may_accept() const { return !cluster_ || (accepting_ && runtime_.now() < lease_until_); }
  Error not_accepting() const;
  // So long what nobody owns, or what does not serve yet, is waited for; not at all on a node alone.
  runtime::Duration patience() const {
    return cluster_ ? options_.owner_patience : runtime::Duration::zero();
  }
  // On core 0 of a node of a cluster, once all cores have started: complete when it knows enough of the other
  // brokers to take anything from clients.
  runtime::Task<void> accept_when_complete();
  // Takes over this core's shards and replays them. Complete when all of them serve and every core knows what
  // they are interested in.
  runtime::Task<Result<void>> start();
  // No new work is taken; shards write their snapshots and end. Connections are closed before.
  runtime::Task<void> stop();
  // The node stops, before or during stop(): nobody waits any longer for what this core's shards cannot
  // store, be it because the metadata's database has failed and a log has no next segment.
  void give_up();

  // ---- Broker
  runtime::Runtime& runtime() override { return runtime_; }
  Authorizer& authorizer() override { return *options_.authorizer; }
  Authenticator& authenticator() override { return *options_.authenticator; }
  Administration& administration() override { return administrator_; }
  std::shared_ptr<const meta::MetaView> meta() override { return view_; }
  NodeId node_id() const override { return options_.node; }
  bool stopping() const override { return stopping_; }
  std::unique_ptr<Publisher> make_publisher(const Principal& who, std::string_view client_id,
                                            Publisher::Listener& listener) override;
  runtime::Task<Result<std::unique_ptr<Session>>> open_session(SessionOptions options,
                                                               SessionHandler& handler) override;
  std::string new_client_id() override;
  runtime::Task<Result<std::int64_t>> new_producer_id(Principal who) override;
  runtime::Duration producer_expiry() const override { return options_.producer_expiry; }
  void produce(const Principal& who, StreamId stream, Bytes batch,
               std::move_only_function<void(Result<ProduceOk>)> done) override;
  runtime::Task<std::vector<Result<FetchOk>>> fetch(Principal who, std::vector<FetchRead> reads,
                                                    std::size_t min_bytes, std::size_t max_bytes,
                                                    runtime::Instant deadline,
                                                    runtime::StopToken stop) override;
  runtime::Task<Result<OffsetAndTime>> list_offset(Principal who, StreamId stream,
                                                   std::int64_t timestamp_ms) override;
  runtime::Task<Result<StreamStatus>> stream_status(Principal who, StreamId stream) override;
  runtime::Task<std::vector<Result<StreamStatus>>> stream_statuses(Principal who,
                                                                   std::vector<StreamId> streams) override;
  runtime::Task<Result<EpochEnd>> epoch_end(Principal who, StreamId stream,
                                            std::int32_t leader_epoch) override;
  runtime::Task<std::vector<Result<Offset>>> delete_records(
      Principal who, std::vector<std::pair<StreamId, Offset>> asked) override;
  Epoch epoch_of(ShardId shard) const override;
  std::optional<NodeId> owner_of(ShardId shard) const override;
  std::optional<NodeId> coordinator_of(const Principal& who, const std::string& group) const override {
    return owner_of(home_of(who, group));
  }
  runtime::Task<Result<meta::Topic>> create_topic(Principal who, std::string name, std::int32_t partitions,
                                                  meta::TopicConfig config, bool validate_only) override;
  runtime::Task<Result<void>> delete_topic(Principal who, std::string name) override;
  runtime::Task<Result<meta::Topic>> add_partitions(Principal who, std::string name, std::int32_t count,
                                                    bool validate_only) override;
  runtime::Task<Result<meta::Topic>> alter_topic(Principal who, std::string name,
                                                 TopicChanges changes) override;
  runtime::Task<JoinedGroup> join_group(Principal who, JoinGroup request, runtime::StopToken stop) override;
  runtime::Task<SyncedGroup> sync_group(Principal who, SyncGroup request, runtime::StopToken stop) override;
  runtime::Task<GroupError> group_heartbeat(Principal who, GroupHeartbeat request) override;
  runtime::Task<LeftGroup> leave_group(Principal who, LeaveGroup request) override;
  runtime::Task<OffsetsAnswer> commit_offsets(Principal who, CommitOffsets request) override;
  runtime::Task<FetchedOffsets> fetch_offsets(Principal who, FetchOffsets request) override;
  runtime::Task<OffsetsAnswer> delete_offsets(Principal who, DeleteOffsets request) override;
  runtime::Task<GroupDescription> describe_group(Principal who, std::string group) override;
  runtime::Task<GroupError> delete_group(Principal who, std::string group) override;
  runtime::Task<Result<std::vector<ListedGroup>>> list_groups(Principal who) override;
  const GroupOptions& group_options() const override { return options_.groups; }
  bool auto_create_topics() const override { return options_.auto_create_topics; }
  std::int32_t default_partitions() const override { return options_.default_partitions; }

  // ---- for the parts of the broker
  const BrokerOptions& options() const { return options_; }
  RouteTable& routes() { return routes_; }
  LiveTable& live() { return live_; }
  CoreStats& stats() { return stats_; }
  meta::MetaClient& meta_client() { return meta_; }
  journal::Replicas& replicas() { return replicas_; }
  std::uint64_t meta_version() const { return view_ ? view_->version() : 0; }
  std::uint32_t core_count() const { return static_cast<std::uint32_t>(cores_.size()); }
  // Of a shard that this node owns.
  CoreId core_of(ShardId shard) const { return CoreId(shard.value % core_count()); }
  // Where a shard's owner is; none: nobody owns it now.
  std::optional<Place> place_of(ShardId shard) const;
  // For what is sent to that core in this turn.
  BlockArena& memory_for(CoreId to) {
    if (!linked()) runtime_.at_turn_end(*this);
    return outboxes_[to.value].memory;
  }
  // Null when it does not serve (now).
  Shard* shard(ShardId id);
  std::shared_ptr<Shard> shard_ptr(ShardId id);
  const std::map<ShardId, std::shared_ptr<Shard>>& shards() const { return shards_; }

  // Mail to the own core is handled before this returns.
  void send(CoreId to, Mail mail);
  // Runs `make(core)`, which gives a Task, on another core, and brings its value back.
  template <class T, class Make>
  runtime::Task<T> on_core(CoreId to, Make make);
  // Runs `change(core)` on every core, this one included; complete when all have.
  runtime::Task<void> on_every_core(std::function<void(Core&)> change);
  // What has become of subscriptions here, to whoever routes: in the order of the calls.
  void tell_routes(std::vector<RouteNews> news);
  // Complete when whoever routes, or may begin to, knows all that was told here before.
  runtime::Task<void> everybody_knows();

  // Asks the shard's owner, on whatever core or node; for ask::AreMembers of the shards of its first member.
  // kUnavailable: nobody owns it now, or its node is not reached, or was lost meanwhile.
  template <class Ask>
  runtime::Task<AnswerTo<Ask>> ask(ShardId shard, Ask ask);
  // The same if nobody waits for the answer. In the order of these calls and of those of ask().
  template <class Ask>
  void tell(ShardId shard, Ask ask);
  void settle(SettleMail mail);
  // To the shard's owner. The answer comes in any case.
  void publish(DataMail mail);
  void forward(ForwardMail mail);

  // Copies to all live subscribers on all cores. True if anybody is there.
  bool deliver_live(Route& route, TenantId tenant, const MessageView& message, const Bytes& owner,
                    std::uint64_t publisher_hash);
  // The same for what was committed here. `shares`: the shared subscriptions that get a copy; a Kafka batch's
  // are looked for.
  void deliver_live(const Data& data, std::span<const Bytes> shares);
  bool any_live(const Data& data);
  // A live copy for one member of a shared subscription, on whatever core.
  void deliver_shared(LiveMail mail);
  // Every core's shards serve: from now on this one publishes by itself what is due, for the routes know who
  // wants it.
  void all_started() { all_started_ = true; }
  bool have_all_started() const { return all_started_; }

  // ---- core_cluster.cc
  Cluster& cluster();
  bool in_cluster() const { return cluster_ != nullptr; }
  Error nobody_owns(ShardId shard) const;
  static std::uint64_t lane_of_core(CoreId core) { return std::uint64_t{core.value} + 1; }
  static std::uint64_t lane_of_peer(CoreId core, std::uint64_t connection) {
    return (std::uint64_t{core.value} + 1) << 40 | connection;
  }
  void answer_to(const ReplyTo& to, Error error, bool unknown);
  void answer_publisher(DataAnswerMail mail);
  // Live copies of another node are missing: clients of this core that are promised them, and hear of it in
  // no other way, are sent away.
  void end_unkept(const Error& why);
  // Live copies that another node sends to this one.
  void deliver_of_node(LiveMail mail);
  void deliver_of_node(LiveBundle bundle);
  void hear_routes(Place from, std::span<const RouteNews> news);
  // Another node, or core, has too much of what is to be delivered; or no longer.
  void live_falls_behind();
  void live_catches_up();

  void wake_fetch(std::uint64_t wait);
  // Uncommitted bytes of this core's publishers: above the limit each of them gets a smaller window.
  std::size_t& publishing_bytes() { return publishing_bytes_; }
  bool publishing_too_much() const { return publishing_bytes_ > options_.max_publishing_bytes; }
  // Another core is behind with what it should send on: publishers wait. Each that does says so here, and is
  // told when it may go on.
  bool live_is_behind() const { return live_behind_ > 0; }
  void wait_for_live(std::uint32_t publisher) { waiting_for_live_.push_back(publisher); }
  // The process is going down at once (a simulated crash): nothing is sent any more, whatever destructors do.
  void abandon() { abandoned_ = true; }

  void forget_publisher(std::uint32_t id) { publishers_.erase(id); }
  std::uint64_t attach(Attached& session);
  void detach(std::uint64_t attachment);
  Attached* attached(std::uint64_t attachment);

  // The node hears of a shard that lost its log; it is taken over anew after a while.
  void on_shard_lost(ShardId id, const Error& why);
  runtime::Scope& scope() { return scope_; }

 private:
  struct Outbox {
    std::vector<Mail> copies;  // for live subscribers
    std::vector<Mail> mail;
    std::size_t expected = 0;  // of mail, as in the last turn that had some
    BlockArena memory;         // of what is sent there
    // Bytes of live copies: sent and not known to be handled; and of those, sent since it was last asked.
    std::size_t live_bytes = 0, live_unasked = 0;
    bool behind = false;
  };
  void on_turn_end() override;
  void post_mail(CoreId to, std::vector<Mail> copies, std::vector<Mail> mail);
  void handle(Mail mail);
  void handle(DataMail&& mail);
  void handle(DataAnswerMail&& mail);
  void handle(ForwardMail&& mail);
  void handle(ForwardAnswerMail&& mail);
  void handle(LiveMail&& mail);
  void handle(LiveBundle&& bundle);
  void send_live(CoreId to, LiveMail mail);
  void send_live(CoreId to, TenantId tenant, std::uint64_t publisher_hash, const MessageView& message);
  void send_live(Place to, LiveMail mail);
  void send_live(Place to, TenantId tenant, std::uint64_t publisher_hash, const MessageView& message);
  runtime::Task<Result<SessionAnswer>> ask_node(NodeId node, SessionAsk asked);
  void tell_node(NodeId node, SessionAsk told);
  bool refused_before(const DataMail& mail) const;
  void note_refused(const DataMail& mail);
  std::vector<std::uint64_t> attachments() const;  // in order
  void send_live_to_node(NodeId node, LiveMail mail);
  void send_live_to_node(NodeId node, TenantId tenant, std::uint64_t publisher_hash,
                         const MessageView& message);
  void live_sent(CoreId to, std::size_t bytes);
  void live_handled(CoreId by, std::size_t bytes);
  bool deliver_here(Route& route, TenantId tenant, const MessageView& message, const Bytes& owner,
                    std::uint64_t publisher_hash);
  void handle(SessionMail&& mail);
  void handle(SettleMail&& mail);
  bool take_shared(const LiveMail& mail);
  void deliver_shared_of_batch(const Data& data);
  void handle(CallMail&& mail) { mail(*this); }
  void answer(const ReplyTo& to, std::optional<Error> error, bool unknown);
  void on_view(std::shared_ptr<const meta::MetaView> view);
  void tell_all_of(const Shard& shard);
  void check_sessions();
  // Whoever reads the topic will see what it captures: its maker must be allowed to.
  Result<void> check_captures(const Principal& who, const std::string& topic,
                              std::span<const std::string> filters);
  // What a client may not publish to, as its batch would.
  Result<void> check_named_addresses(const Principal& who, const Data& data);
  runtime::Task<Result<void>> start_shards(std::vector<ShardId> ids);
  runtime::Task<Result<void>> serve_shards(std::vector<ShardId> ids,
                                           std::vector<std::unique_ptr<journal::ShardLog>> logs);
  runtime::Task<void> retake(ShardId id);

  // ---- core_assignments.cc
  bool is_mine(ShardId id) const;
  runtime::Task<void> follow_assignments();
  runtime::Task<void> leave_shard(ShardId id);
  bool may_take(ShardId id);
  runtime::Task<bool> take_shards(std::vector<ShardId> ids);
  runtime::Task<Result<void>> leave_out_unloadable(std::vector<ShardId>& ids);
  void say(ShardId id, const Error& why);

  runtime::Task<void> tick();
  void bound_replay();
  runtime::Task<void> ask_for_producer_ids();
  Result<const meta::Topic*> find_stream(const Principal& who, Action action, StreamId stream);
  static runtime::Task<std::vector<Result<FetchOk>>> read_here(Core& there, std::vector<FetchRead> reads,
                                                               std::vector<ShardId> shards,
                                                               std::size_t max_bytes);
  runtime::Task<void> read_all(const std::vector<FetchRead>& reads, const std::vector<ShardId>& shards,
                               std::size_t max_bytes, std::vector<Result<FetchOk>>& results);

  // ---- core_streams.cc
  struct StreamAsked {
    StreamId stream;
    Offset offset;  // if there is one to be named
    ShardId shard;
  };
  // Of streams that `who` may do that with, on the core where each one's shard lives: one call per core.
  template <class Answer>
  runtime::Task<std::vector<Result<Answer>>> ask_streams(
      Principal who, Action action, std::vector<StreamAsked> asked,
      runtime::Task<std::vector<Result<Answer>>> (*ask)(Core& there, std::vector<StreamAsked> asked));
  static runtime::Task<std::vector<Result<StreamStatus>>> statuses_here(Core& there,
                                                                        std::vector<StreamAsked> asked);
  static runtime::Task<std::vector<Result<Offset>>> delete_records_here(Core& there,
                                                                        std::vector<StreamAsked> asked);

  // ---- core_groups.cc
  template <class Answer, class Ask>
  runtime::Task<Answer> ask_coordinator(ShardId shard, runtime::StopToken stop, Ask ask);
  ShardId home_of(const Principal& who, const std::string& group) const;
  bool may(const Principal& who, Action action, const std::string& group);

  template <class T, class Make>
  static runtime::Task<void> run_for(Core& here, Make make, CoreId back, std::shared_ptr<RemoteCall<T>> call);

  runtime::Runtime& runtime_;
  BrokerOptions options_;
  meta::MetaClient& meta_;
  meta::MetaClient::Watch meta_watch_;
  Administrator administrator_;
  journal::Replicas& replicas_;
  std::vector<Core*> cores_;
  std::vector<Outbox> outboxes_;
  std::shared_ptr<const meta::MetaView> view_;
  RouteTable routes_;
  LiveTable live_;
  RouteMemo live_memo_;                          // of what other cores send
  std::vector<LiveMatch> matches_;               // scratch
  std::uint32_t live_behind_ = 0;                // cores that are behind
  std::vector<std::uint32_t> waiting_for_live_;  // publishers
  CoreStats stats_;
  std::map<ShardId, std::shared_ptr<Shard>> shards_;
  std::vector<Epoch> shard_epochs_;  // of all shards, as their owners say when they begin
  // Lost their logs, but a task of theirs still holds them. They end between its steps, never within one.
  std::vector<std::shared_ptr<Shard>> lost_;
  void drop(ShardId id);
  void drop_lost() {
    std::erase_if(lost_, [](const std::shared_ptr<Shard>& shard) { return shard.use_count() == 1; });
  }
  absl::flat_hash_map<std::uint32_t, PublisherImpl*> publishers_;  // look-ups only
  std::uint32_t next_publisher_ = 1;
  absl::flat_hash_map<std::uint64_t, Attached*> sessions_;  // look-ups only
  std::uint64_t next_attachment_ = 1;
  absl::flat_hash_map<std::uint64_t, std::move_only_function<void(Result<ProduceOk>)>> produces_;
  std::uint64_t next_produce_ = 1;
  // Producer ids to give out; more are asked for when they are all gone.
  static constexpr std::uint32_t kProducerIdsAtOnce = 1000;
  meta::ProducerIds producer_ids_;
  bool asking_for_producer_ids_ = false;
  std::optional<Error> producer_ids_error_;  // what came of it
  runtime::Notification producer_ids_came_;
  class FetchWait;
  absl::flat_hash_map<std::uint64_t, FetchWait*> fetch_waits_;  // look-ups only
  std::uint64_t next_fetch_wait_ = 1;
  std::size_t publishing_bytes_ = 0;
  bool abandoned_ = false;
  runtime::Instant lease_until_{};  // in a cluster
  bool accepting_ = false;          // likewise: what is needed to route is known
  // The generation of which something was refused, by lane and shard. Of lanes that are forgotten something
  // may be taken behind what was refused.
  static constexpr std::size_t kMaxRefusedLanes = 65'536;
  absl::flat_hash_map<std::pair<std::uint64_t, ShardId>, std::uint32_t> refused_lanes_;  // look-ups only
  bool all_started_ = false;
  // Mail routed by a view that this core has not seen yet.
  std::vector<Mail> early_;
  std::map<ShardId, runtime::Instant> awaited_;  // assigned to this node, until their owner lets go; since
  runtime::Notification assignments_changed_;    // or a shard was lost
  bool stopping_ = false;
  bool given_up_ = false;             // no shard is taken over again
  std::unique_ptr<Cluster> cluster_;  // null on a node alone
  runtime::Scope scope_;              // last: its tasks use all of the above
};

// ---- templates ------------------------------------------------------------------------------------------

template <class T, class Make>
runtime::Task<void> Core::run_for(Core& here, Make make, CoreId back, std::shared_ptr<RemoteCall<T>> call) {
  T value = co_await make(here);
  here.send(back, CallMail([call = std::move(call), value = std::move(value)](Core&) mutable {
              call->value.emplace(std::move(value));
              if (call->waiter) std::exchange(call->waiter, {}).resume();
            }));
}

template <class Ask>
runtime::Task<AnswerTo<Ask>> Core::ask(ShardId shard, Ask asked) {
  using Answer = AnswerTo<Ask>;
  const std::optional<Place> owner = place_of(shard);
  if (!owner) co_return not_answered(asked, nobody_owns(shard));
  if (owner->here()) {
    co_return co_await on_core<Answer>(owner->core(),
                                       [asked = std::move(asked), from = runtime_.core()](Core& there) {
                                         return answer_here(there, asked, from);
                                       });
  }
  auto answered = co_await ask_node(owner->node(), SessionAsk(asked));
  if (!answered) co_return not_answered(asked, std::move(answered).error());
  if (auto* answer = std::get_if<Answer>(&*answered)) co_return std::move(*answer);
  co_return not_answered(asked, Error{ErrorCode::kMalformed, "another node answered something else"});
}

template <class Ask>
void Core::tell(ShardId shard, Ask told) {
  const std::optional<Place> owner = place_of(shard);
  if (!owner) return;  // who comes next knows nothing of the session
  if (owner->here()) {
    send(owner->core(), CallMail([told = std::move(told)](Core& there) { hear_here(there, told); }));
  } else {
    tell_node(owner->node(), SessionAsk(std::move(told)));
  }
}

template <class T, class Make>
runtime::Task<T> Core::on_core(CoreId to, Make make) {
  if (to == runtime_.core()) co_return co_await make(*this);
  struct Awaiter {
    std::shared_ptr<RemoteCall<T>> call;
    bool await_ready() const { return call->value.has_value(); }
    void await_suspend(std::coroutine_handle<> waiter) { call->waiter = waiter; }
    T await_resume() { return *std::move(call->value); }
    ~Awaiter() { call->waiter = {}; }
  };
  auto call = std::make_shared<RemoteCall<T>>();
  send(to, CallMail([make = std::move(make), back = runtime_.core(), call](Core& there) mutable {
         there.scope().spawn(run_for<T>(there, std::move(make), back, std::move(call)));
       }));
  co_return co_await Awaiter{std::move(call)};
}

}  // namespace stele::broker
