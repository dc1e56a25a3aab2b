#include "broker/core.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/cluster.h"
#include "broker/message_batch.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "model/address.h"
#include "model/topic_name.h"
#include "runtime/for_each.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
// Shards that read their logs or write their snapshots at the same time, at start and stop.
constexpr std::size_t kShardsAtOnce = 8;
}  // namespace

Core::Core(runtime::Runtime& runtime, BrokerOptions options, meta::MetaClient& meta,
           journal::Replicas& replicas)
    : runtime_(runtime),
      options_(std::move(options)),
      meta_(meta),
      administrator_(runtime, meta, *options_.authorizer),
      replicas_(replicas),
      view_(meta.view()),
      routes_(view_->cluster().shard_count),
      live_(options_.live),
      shard_epochs_(view_->cluster().shard_count) {
  STELE_ASSERT(options_.authorizer && options_.authenticator);
  on_view(view_);
  meta_watch_ = meta_.on_change([this](const std::shared_ptr<const meta::MetaView>& view) {
    if (!stopping_) on_view(view);
  });
}

Core::~Core() {
  for (auto& [id, shard] : shards_) {
    const auto keep = shard;
    keep->abandon();
  }
  for (auto& shard : lost_) shard->abandon();
}

void Core::know(std::vector<Core*> cores) {
  cores_ = std::move(cores);
  outboxes_.resize(cores_.size());
}

// ---- start and stop -------------------------------------------------------------------------------------

Task<Result<void>> Core::start() {
  if (options_.by_assignment) {
    scope_.spawn(follow_assignments());
    if (cluster_) cluster_->on_view(*view_);
  } else {
    std::vector<ShardId> mine;
    for (std::uint32_t id = 0; id < routes_.shard_count(); ++id) {
      if (is_mine(ShardId(id))) mine.push_back(ShardId(id));
    }
    STELE_CO_CHECK(co_await start_shards(std::move(mine)));
  }
  scope_.spawn(tick());
  co_return Result<void>();
}

Task<Result<void>> Core::start_shards(std::vector<ShardId> ids) {
  STELE_CO_TRY(auto logs, co_await journal::ShardLog::take_over_all(replicas_, meta_, options_.node,
                                                                    options_.incarnation, ids, options_.log));
  STELE_ASSERT(logs.size() == ids.size());
  co_return co_await serve_shards(std::move(ids), std::move(logs));
}

// Those that do not start are not there, and the first reason is told.
Task<Result<void>> Core::serve_shards(std::vector<ShardId> ids,
                                      std::vector<std::unique_ptr<journal::ShardLog>> logs) {
  Result<void> all;
  co_await runtime::for_each(ids.size(), kShardsAtOnce, [&](std::size_t i) -> Task<void> {
    auto shard = co_await Shard::start(*this, ids[i], std::move(logs[i]));
    if (!shard) {
      if (all) all = std::unexpected(shard.error().with_context("shard " + std::to_string(ids[i].value)));
      co_return;
    }
    shards_[ids[i]] = *shard;
    (*shard)->serve();
  });
  // Everybody knows what the shards' sessions want before anything is accepted here.
  for (const ShardId id : ids) {
    // One may have been lost while the others started: who takes it over again tells of it.
    const auto here = shards_.find(id);
    if (here != shards_.end()) tell_all_of(*here->second);
  }
  co_await everybody_knows();
  co_return all;
}

void Core::tell_all_of(const Shard& shard) {
  using Kind = RouteNews::Kind;
  std::vector<RouteNews> news;
  const Epoch epoch = shard.log().epoch();
  const auto add = [&](Kind kind, std::vector<SessionInterest> wanted) {
    for (auto& [tenant, text] : wanted) {
      news.push_back({.kind = kind,
                      .shard = shard.id(),
                      .epoch = epoch,
                      .tenant = tenant,
                      .text = std::move(text),
                      .number = 1});
    }
  };
  news.push_back({.kind = Kind::kShardBegins, .shard = shard.id(), .epoch = epoch});
  add(Kind::kSessionInterest, shard.interests());
  add(Kind::kShareKeeps, shard.kept_shares());
  news.push_back({.kind = Kind::kShardTold, .shard = shard.id(), .epoch = epoch});
  tell_routes(std::move(news));
}

void Core::on_shard_lost(ShardId id, const Error& why) {
  ++stats_.shards_lost;
  runtime_.log().write(runtime::LogLevel::kError, "broker",
                       "shard " + std::to_string(id.value) + " lost its log: " + why.to_string());
  if (stopping_ || given_up_) return;
  if (options_.by_assignment) {
    assignments_changed_.wake_all();
  } else {
    scope_.spawn(retake(id));
  }
}

// Not in the call that told of its end, in which it is still at work.
void Core::drop(ShardId id) {
  if (auto found = shards_.find(id); found != shards_.end()) {
    lost_.push_back(std::move(found->second));
    shards_.erase(found);
  }
  drop_lost();
}

Task<void> Core::retake(ShardId id) {
  STELE_MARK("broker: shard taken over again");
  for (runtime::Duration pause = 100ms; !stopping_ && !given_up_;
       pause = std::min<runtime::Duration>(pause * 2, 5s)) {
    if (!co_await runtime::sleep(runtime_, pause, scope_.token())) co_return;
    drop(id);
    auto started = co_await start_shards({id});
    if (started) co_return;
    runtime_.log().write(runtime::LogLevel::kError, "broker",
                         "shard " + std::to_string(id.value) + ": " + started.error().to_string());
  }
}

Task<void> Core::tick() {
  while (co_await runtime::sleep(runtime_, options_.tick, scope_.token())) {
    // One that loses its log by it may be dropped at once, for it was leaving.
    std::vector<std::shared_ptr<Shard>> shards;
    for (const auto& [id, shard] : shards_) shards.push_back(shard);
    for (const auto& shard : shards) shard->tick();
    if (cluster_) cluster_->tick();
    bound_replay();
    drop_lost();
  }
}

// Those with the most to replay write a snapshot first.
void Core::bound_replay() {
  std::uint64_t all = 0;
  std::vector<std::pair<std::uint64_t, Shard*>> worth;
  for (auto& [id, shard] : shards_) {
    all += shard->replay_bytes();
    if (shard->worth_a_snapshot()) worth.emplace_back(shard->replay_bytes(), shard.get());
  }
  if (all <= options_.replay_bytes) return;
  std::ranges::sort(worth, std::greater{},
                    [](const auto& one) { return std::pair(one.first, one.second->id()); });
  for (auto& [bytes, shard] : worth) {
    if (all <= options_.replay_bytes / 2) return;
    STELE_MARK("broker: snapshot because of what all shards would replay");
    shard->start_snapshot();
    all -= bytes;
  }
}

Task<void> Core::stop() {
  stopping_ = true;
  assignments_changed_.wake_all();
  if (cluster_ && cluster_->shares_routes()) cluster_->routes().give_up();
  std::vector<std::shared_ptr<Shard>> shards;
  for (auto& [id, shard] : shards_) shards.push_back(shard);
  co_await runtime::for_each(shards.size(), kShardsAtOnce,
                             [&](std::size_t i) -> Task<void> { return shards[i]->stop(); });
  if (cluster_) co_await cluster_->close();
  co_await scope_.close();
}

void Core::give_up() {
  given_up_ = true;
  assignments_changed_.wake_all();
  if (cluster_) cluster_->give_up();
  std::vector<std::shared_ptr<Shard>> shards;
  for (auto& [id, shard] : shards_) shards.push_back(shard);
  for (auto& shard : shards) shard->give_up();
}

Shard* Core::shard(ShardId id) {
  auto found = shards_.find(id);
  return found != shards_.end() && found->second->serving() ? found->second.get() : nullptr;
}

std::shared_ptr<Shard> Core::shard_ptr(ShardId id) {
  auto found = shards_.find(id);
  return found != shards_.end() && found->second->serving() ? found->second : nullptr;
}

// ---- mail -----------------------------------------------------------------------------------------------

void Core::send(CoreId to, Mail mail) {
  if (abandoned_) return;
  if (to == runtime_.core()) return handle(std::move(mail));
  Outbox& outbox = outboxes_[to.value];
  if (std::holds_alternative<LiveMail>(mail) || std::holds_alternative<LiveBundle>(mail)) {
    outbox.copies.push_back(std::move(mail));
  } else {
    if (outbox.mail.empty()) outbox.mail.reserve(outbox.expected);
    outbox.mail.push_back(std::move(mail));
  }
  ++stats_.mail_sent;
  if (!linked()) runtime_.at_turn_end(*this);
}

// Copies first, to all cores, then what may be answered to a publisher: what that sends next may take another
// way and must not come before them.
void Core::on_turn_end() {
  std::size_t targets = 0;
  for (Outbox& outbox : outboxes_) {
    outbox.memory.end_turn();
    targets += outbox.copies.empty() && outbox.mail.empty() ? 0 : 1;
  }
  if (targets > 1) {
    for (std::uint32_t to = 0; to < outboxes_.size(); ++to) {
      std::vector<Mail>& copies = outboxes_[to].copies;
      if (!copies.empty()) post_mail(CoreId(to), std::exchange(copies, {}), {});
    }
  }
  for (std::uint32_t to = 0; to < outboxes_.size(); ++to) {
    Outbox& outbox = outboxes_[to];
    if (outbox.copies.empty() && outbox.mail.empty()) continue;
    if (!outbox.mail.empty()) outbox.expected = outbox.mail.size();
    post_mail(CoreId(to), std::exchange(outbox.copies, {}), std::exchange(outbox.mail, {}));
  }
}

void Core::post_mail(CoreId to, std::vector<Mail> copies, std::vector<Mail> mail) {
  ++stats_.mail_bundles;
  runtime_.post(to, [there = cores_[to.value], copies = std::move(copies), mail = std::move(mail)]() mutable {
    for (Mail& one : copies) there->handle(std::move(one));
    for (Mail& one : mail) there->handle(std::move(one));
  });
}

void Core::handle(Mail mail) {
  std::visit([this](auto& one) { handle(std::move(one)); }, mail);
}

void Core::answer(const ReplyTo& to, std::optional<Error> error, bool unknown) {
  if (!to.by_mail()) return;
  DataAnswerMail mail;
  mail.reply = to;
  mail.error = std::move(error);
  mail.unknown = unknown;
  send(to.core, std::move(mail));
}

void Core::handle(DataMail&& mail) {
  if (mail.meta_version > meta_version()) {
    STELE_MARK("broker: mail routed by a view not seen here yet");
    early_.emplace_back(std::move(mail));
    return;
  }
  // Nothing either while it is not known here who wants what: live copies are sent from here.
  Shard* here = refused_before(mail) || !may_accept() ? nullptr : shard(mail.shard);
  if (!here) {
    note_refused(mail);
    // It may hold the QoS 2 message from an earlier connection.
    return answer(mail.reply,
                  Error{ErrorCode::kUnavailable,
                        "shard " + std::to_string(mail.shard.value) + " is starting; try again"},
                  mail.once.has_value());
  }
  here->accept(std::move(mail));
}

void Core::handle(DataAnswerMail&& mail) {
  if (mail.reply.kind == ReplyTo::Kind::kPublisher) {
    auto found = publishers_.find(mail.reply.publisher);
    if (found != publishers_.end()) found->second->on_answer(mail);
    return;
  }
  if (mail.reply.kind == ReplyTo::Kind::kLane) return cluster_->lanes().on_answer(mail);
  if (mail.reply.kind == ReplyTo::Kind::kPeer) return cluster_->server().on_answer(mail);
  auto found = produces_.find(mail.reply.ticket);
  if (found == produces_.end()) return;
  auto done = std::move(found->second);
  produces_.erase(found);
  if (mail.error) {
    done(std::unexpected(*std::move(mail.error)));
  } else {
    done(mail.produced);
  }
}

void Core::handle(ForwardMail&& mail) {
  if (mail.meta_version > meta_version()) {
    early_.emplace_back(std::move(mail));
    return;
  }
  if (Shard* here = shard(mail.target)) return here->accept(std::move(mail));
  ForwardAnswerMail refused;
  refused.source = mail.source;
  refused.target = mail.target;
  refused.for_peer = mail.of_peer;
  refused.error = Error{ErrorCode::kUnavailable, "the target shard is starting"};
  send(mail.reply_core, std::move(refused));
}

void Core::handle(ForwardAnswerMail&& mail) {
  if (mail.for_peer) {
    if (cluster_) cluster_->server().on_answer(mail);
    return;
  }
  const auto found = shards_.find(mail.source);
  if (found != shards_.end() && found->second->owned()) found->second->accept(std::move(mail));
}

void Core::handle(SessionMail&& mail) {
  if (Attached* session = attached(mail.attachment)) session->on_items(std::move(mail));
}

void Core::handle(SettleMail&& mail) {
  Shard* here = shard(mail.shard);
  if (!here) return;
  switch (mail.what) {
    case SettleMail::What::kSettled:
      return here->settle(mail.attachment, mail.token);
    case SettleMail::What::kAccepted:
      return here->accept(mail.attachment, mail.token);
    case SettleMail::What::kReleased:
      return here->release(mail.attachment, mail.token.packet_id);
    case SettleMail::What::kCompleted:
      return here->complete(mail.attachment, mail.token.packet_id);
    case SettleMail::What::kShared:
      return here->settle_shared(mail.attachment, mail.token);
  }
}

namespace {
struct AllCores {
  std::uint32_t left;
  std::coroutine_handle<> waiter;
};
struct AllCoresAwaiter {
  std::shared_ptr<AllCores> state;
  bool await_ready() const { return state->left == 0; }
  void await_suspend(std::coroutine_handle<> waiter) { state->waiter = waiter; }
  void await_resume() const {}
  ~AllCoresAwaiter() { state->waiter = {}; }
};
}  // namespace

Task<void> Core::on_every_core(std::function<void(Core&)> change) {
  auto state = std::make_shared<AllCores>(core_count());
  for (std::uint32_t core = 0; core < core_count(); ++core) {
    send(CoreId(core), CallMail([change, state, back = runtime_.core()](Core& there) {
           change(there);
           there.send(back, CallMail([state](Core&) {
                        if (--state->left == 0 && state->waiter) std::exchange(state->waiter, {}).resume();
                      }));
         }));
  }
  co_await AllCoresAwaiter{state};
}

// ---- publishers and sessions ----------------------------------------------------------------------------

std::unique_ptr<Publisher> Core::make_publisher(const Principal& who, std::string_view client_id,
                                                Publisher::Listener& listener) {
  const std::uint32_t id = next_publisher_++;
  auto publisher = std::make_unique<PublisherImpl>(*this, id, who, listener);
  if (!client_id.empty()) publisher->set_hash(publisher_hash_of(client_id));
  publishers_[id] = publisher.get();
  return publisher;
}

std::uint64_t Core::attach(Attached& session) {
  const std::uint64_t id = std::uint64_t{runtime_.core().value} << 48 | next_attachment_++;
  sessions_[id] = &session;
  return id;
}
void Core::detach(std::uint64_t attachment) {
  sessions_.erase(attachment);
  if (cluster_) cluster_->forget(attachment);
}
Attached* Core::attached(std::uint64_t attachment) {
  auto found = sessions_.find(attachment);
  return found == sessions_.end() ? nullptr : found->second;
}

namespace {
WillContent will_of(const WillMessage& will, WallTime now) {
  MessageView timed = will.message;
  timed.timestamp_ms = now.ms;
  if (will.expiry_interval_s) timed.expires_at_ms = expires_at_ms(now.ms, *will.expiry_interval_s);
  MessageBatch batch = batch_of(timed, KeyRule{});
  return {.delay_s = will.delay_s,
          .qos = will.message.qos,
          .retain = will.message.retain,
          .address = std::move(batch.address),
          .batch = std::move(batch.batch)};
}
}  // namespace

Task<Result<std::unique_ptr<Session>>> Core::open_session(SessionOptions options, SessionHandler& handler) {
  if (stopping_) co_return error(ErrorCode::kUnavailable, "the node is stopping");
  if (!may_accept()) co_return std::unexpected(not_accepting());
  if (!authorizer().allowed(options.principal, Action::kConnect, options.client_id)) {
    co_return error(ErrorCode::kUnauthorized, "'" + options.principal.name + "' may not connect");
  }
  std::optional<WillContent> will;
  if (options.will) {
    const std::string_view address = options.will->message.address;
    if (!authorizer().allowed(options.principal, Action::kPublish, address)) {
      co_return error(
          ErrorCode::kUnauthorized,
          "'" + options.principal.name + "' may not publish its will to '" + std::string(address) + "'");
    }
    will = will_of(*options.will, runtime_.wall_now());
    options.will.reset();
  }
  auto session = std::make_unique<SessionImpl>(*this, std::move(options), std::move(will), handler);
  STELE_CO_CHECK(co_await session->open());
  co_return std::unique_ptr<Session>(std::move(session));
}

std::string Core::new_client_id() {
  static constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuv";
  std::string id = "auto-";
  std::uint64_t bits = runtime_.random().next();
  for (int i = 0; i < 12; ++i, bits >>= 5) id += kDigits[bits & 31];
  return id;
}

// ---- streams --------------------------------------------------------------------------------------------

Result<const meta::Topic*> Core::find_stream(const Principal& who, Action action, StreamId stream) {
  const meta::Topic* topic = view_->find_topic(stream.topic);
  const std::int32_t partition = stream.partition.value;
  const auto not_there = [] { return error(ErrorCode::kNotFound, "there is no such topic and partition"); };
  if (!topic || topic->tenant != who.tenant) return not_there();
  // First: how many partitions it has is not for everybody.
  if (!authorizer().allowed(who, action, topic->name)) {
    return error(ErrorCode::kUnauthorized, "'" + who.name + "' may not " + std::string(to_string(action)) +
                                               " topic '" + topic->name + "'");
  }
  if (partition < 0 || partition >= topic->partition_count()) return not_there();
  return topic;
}

Task<Result<std::int64_t>> Core::new_producer_id(Principal who) {
  if (!authorizer().allowed(who, Action::kProduce, {})) {
    co_return error(ErrorCode::kUnauthorized, "'" + who.name + "' may not produce");
  }
  // Others may take what came before it is this one's turn.
  while (producer_ids_.count == 0) {
    if (stopping_) co_return error(ErrorCode::kUnavailable, "the node is stopping");
    if (!std::exchange(asking_for_producer_ids_, true)) {
      producer_ids_error_.reset();
      // In the core's name: who asked may be gone before the answer comes.
      scope_.spawn(ask_for_producer_ids());
    }
    if (asking_for_producer_ids_) co_await producer_ids_came_.wait();
    if (producer_ids_.count == 0 && producer_ids_error_) co_return std::unexpected(*producer_ids_error_);
  }
  --producer_ids_.count;
  co_return producer_ids_.first++;
}

Task<void> Core::ask_for_producer_ids() {
  auto given = co_await meta_.execute(meta::AllocateProducerIds{.count = kProducerIdsAtOnce});
  asking_for_producer_ids_ = false;
  if (given) {
    producer_ids_ = *given;
  } else {
    producer_ids_error_ = std::move(given).error();
  }
  producer_ids_came_.wake_all();
}

// A record that names an MQTT topic of its own is a publish to it.
Result<void> Core::check_named_addresses(const Principal& who, const Data& data) {
  if (authorizer().may_publish_anywhere(who)) return {};
  std::optional<std::string> denied;
  const bool readable = for_each_message(data.batch, data.address, true,
                                         [&](const MessageView& message, const Bytes&, std::uint32_t) {
                                           if (denied || message.address == data.address.view()) return;
                                           if (!authorizer().allowed(who, Action::kPublish, message.address))
                                             denied = message.address;
                                         });
  if (!readable) return error(ErrorCode::kMalformed, "the batch cannot be read");
  if (!denied) return {};
  STELE_MARK("broker: record that names a forbidden address refused");
  return error(ErrorCode::kUnauthorized,
               "'" + who.name + "' may not publish to '" + *denied + "', which a record of the batch names");
}

void Core::produce(const Principal& who, StreamId stream, Bytes batch,
                   std::move_only_function<void(Result<ProduceOk>)> done) {
  if (!may_accept()) return done(std::unexpected(not_accepting()));
  auto topic = find_stream(who, Action::kProduce, stream);
  if (!topic) return done(std::unexpected(std::move(topic).error()));
  auto address = address_of_topic((*topic)->name);
  if (!address) return done(std::unexpected(std::move(address).error()));
  DataMail mail;
  mail.shard = (*topic)->shards[static_cast<std::size_t>(stream.partition.value)];
  mail.meta_version = meta_version();
  mail.reply = {ReplyTo::Kind::kProduce, runtime_.core(), 0, next_produce_++};
  Data& data = mail.data;
  data.tenant = who.tenant;
  data.kafka_batch = true;
  data.stream = stream;
  data.address = Bytes::copy(address->text());
  data.batch = std::move(batch);
  data.address_headers_allowed = true;
  if (auto allowed = check_named_addresses(who, data); !allowed)
    return done(std::unexpected(allowed.error()));
  if (routes_.any_session_interest(who.tenant) || routes_.any_live_interest(who.tenant) ||
      routes_.any_share(who.tenant)) {
    std::vector<ShardId> targets;
    const bool readable = for_each_message(
        data.batch, data.address, true, [&](const MessageView& message, const Bytes&, std::uint32_t) {
          if (message.qos == 0) return;
          const Route& route = routes_.route(who.tenant, message.address);
          targets.insert(targets.end(), route.session_shards.begin(), route.session_shards.end());
        });
    if (!readable) return done(error(ErrorCode::kMalformed, "the batch cannot be read"));
    std::sort(targets.begin(), targets.end());
    targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
    for (ShardId target : targets) {
      if (target != mail.shard) mail.forwards.push_back(target);
    }
  }
  ++stats_.produced_batches;
  stats_.produced_bytes += data.batch.size();
  produces_.emplace(mail.reply.ticket, std::move(done));
  const CoreId home = core_of(mail.shard);
  send(home, Mail(std::move(mail)));
}

// Whoever has subscribed to what it may not have any more is sent away.
void Core::check_sessions() {
  std::vector<std::uint64_t> attachments;
  attachments.reserve(sessions_.size());
  for (const auto& [attachment, session] : sessions_) attachments.push_back(attachment);
  std::ranges::sort(attachments);
  for (const std::uint64_t attachment : attachments) {
    if (Attached* session = attached(attachment)) session->on_rules();
  }
}

void Core::on_view(std::shared_ptr<const meta::MetaView> view) {
  const bool rights_changed = view_ && view_->identities() != view->identities();
  view_ = std::move(view);
  if (rights_changed) check_sessions();
  std::vector<RoutedTopic> topics;
  for (const auto& [id, topic] : view_->topics()) {
    topics.push_back({.id = id,
                      .tenant = topic->tenant,
                      .name = topic->name,
                      .captures = topic->config.capture,
                      .key = topic->config.key,
                      .shards = topic->shards,
                      .capture_partitions = topic->capture_partition_count()});
  }
  routes_.set_topics(std::move(topics));
  for (auto& [id, shard] : shards_) {
    if (shard->serving()) shard->on_view();
  }
  for (Mail& mail : std::exchange(early_, {})) handle(std::move(mail));
  if (options_.by_assignment) assignments_changed_.wake_all();
  if (cluster_) cluster_->on_view(*view_);
}

}  // namespace stele::broker
