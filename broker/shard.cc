#include "broker/shard.h"

#include <algorithm>
#include <string>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/control.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
constexpr runtime::Duration kTargetsMayTake = 10s;  // of leave(): while it serves
}

Error starting(ShardId shard) {
  return {ErrorCode::kUnavailable, "shard " + std::to_string(shard.value) + " is starting; try again"};
}

Shard::Shard(Core& core, ShardId id, std::unique_ptr<journal::ShardLog> log)
    : core_(core),
      id_(id),
      log_(std::move(log)),
      coordinator_(*this, core.options().groups, core.stats().groups) {}

Shard::~Shard() = default;

// ---- start ----------------------------------------------------------------------------------------------

Task<Result<std::shared_ptr<Shard>>> Shard::start(Core& core, ShardId id,
                                                  std::unique_ptr<journal::ShardLog> log) {
  std::shared_ptr<Shard> shard(new Shard(core, id, std::move(log)));
  STELE_CO_CHECK(co_await shard->load_snapshot());
  STELE_CO_CHECK(co_await shard->replay());
  co_await shard->remove_other_snapshots();
  co_return shard;
}

Task<Result<void>> Shard::replay() {
  ApplyResult result;
  constexpr std::size_t kChunk = 4 << 20;
  while (state_.next() < log_->next()) {
    STELE_CO_TRY(auto entries, co_await log_->read(state_.next(), kChunk));
    if (entries.empty()) {
      co_return error(ErrorCode::kCorrupt, "shard " + std::to_string(id_.value) + ": its log ends at LSN " +
                                               std::to_string(state_.next().value) +
                                               ", before its committed end");
    }
    for (const storage::LogEntry& entry : entries) {
      STELE_CO_TRY(const EntryView view, parse_entry(entry));
      STELE_CO_CHECK(state_.apply(state_.next(), view, result));
      log_bytes_ += entry.size();
    }
  }
  co_return Result<void>();
}

void Shard::serve() {
  auto& runtime = core_.runtime();
  clock_.emplace(mutant(Mutant::kTimeGoesBack) ? WallTime() : state_.time(), runtime.wall_now(),
                 runtime.now());
  for (const auto& [id, stream] : state_.streams()) {
    high_watermarks_[id] = stream.next();
    log_starts_[id] = stream.start();
  }
  for (const auto& [target, lsns] : state_.pending_forwards()) {
    Forwarding& forwarding = forwarding_[target];
    forwarding.next_to_read = lsns.front();
  }
  log_->set_listener(*this);
  serving_ = true;
  if (auto* observer = core_.options().observer)
    observer->on_owner(id_, log_->epoch(), log_->next(), state_.hash());
  const BrokerOptions& options = core_.options();
  ShardLimits limits;
  limits.session_queue = {options.session_queue_messages, options.session_queue_bytes};
  limits.retained_messages = options.retained_messages;
  limits.retained_bytes = options.retained_bytes;
  limits.queued_messages = options.shard_queue_messages;
  limits.sessions = options.sessions;
  limits.subscriptions_per_session = options.subscriptions_per_session;
  limits.producers = options.producers;
  limits.unreleased_per_session = options.unreleased_per_session;
  limits.will_bytes = options.will_bytes;
  append(control::owner_started(now(), log_->epoch(), options.node, limits));
  load_shares();
  on_view();
  coordinator_.start();
  watch_groups();
  wake_at_turn_end();
}

std::vector<SessionInterest> Shard::interests() const {
  return state_.interests();
}

// ---- append and commit ----------------------------------------------------------------------------------

WallTime Shard::now() {
  return clock_->now(core_.runtime().wall_now(), core_.runtime().now());
}

Result<void> Shard::writable() const {
  if (!serving_) return error(ErrorCode::kUnavailable, "the shard is starting; try again");
  if (!log_->writable()) return std::unexpected(log_->why_not_writable());
  return {};
}

Error Shard::not_committed() const {
  if (!serving_) return starting(id_);
  if (log_->writable()) return {ErrorCode::kUnavailable, "it could not be stored in time, and may be later"};
  Error why = log_->why_not_writable();
  why.message += "; what waits may be stored later";
  return why;
}

Lsn Shard::append(storage::LogEntry entry) {
  const Lsn lsn = log_->next();
  auto view = parse_entry(entry);
  STELE_ASSERT(view.has_value());
  if (auto* observer = core_.options().observer) {
    observer->on_append(id_, log_->epoch(), lsn, entry.head, entry.body);
  }
  const auto applied = state_.apply(lsn, *view, applied_);
  STELE_ASSERT(applied.has_value());  // it was decided on this very state
  if (noting_ > 0) [[unlikely]]
    note_retained(entry, *view);
  log_bytes_ += entry.size();
  const Lsn given = log_->append(std::move(entry));
  STELE_ASSERT(given == lsn);
  after_apply(lsn);
  return lsn;
}

void Shard::after_apply(Lsn lsn) {
  if (applied_.appended) {
    const auto& appended = *applied_.appended;
    appended_.push_back({lsn, appended.stream, appended.base + appended.count});
  }
  if (applied_.retained) retained_end_ = lsn + 1;
  for (std::uint32_t number : applied_.sessions) wake(number);
  if (!applied_.routes.empty()) note_routes(lsn, std::exchange(applied_.routes, {}));
  for (std::uint32_t number : applied_.removed_sessions) {
    attachment_of_.erase(number);
    share_of_.erase(number);
  }
  auto* observer = core_.options().observer;
  if (observer && observer->wants_hash(id_))
    observer->on_hash(id_, log_->epoch(), state_.next(), state_.hash());
}

void Shard::on_committed(Lsn end) {
  if (!serving_) return;
  // Everything below may end this ownership's last reference but ours.
  const auto self = shared_from_this();
  if (auto* observer = core_.options().observer) observer->on_commit(id_, log_->epoch(), end);
  while (!appended_.empty() && appended_.front().lsn < end) {
    const Appended done = appended_.front();
    appended_.pop_front();
    high_watermarks_[done.stream] = done.next;
    wake_readers(done.stream);
  }
  while (!trimmed_.empty() && trimmed_.front().lsn < end) {
    log_starts_[trimmed_.front().stream] = trimmed_.front().start;
    trimmed_.pop_front();
  }
  while (!route_changes_.empty() && route_changes_.front().lsn < end) {
    std::vector<RouteChange> ended = std::move(route_changes_.front().changes);
    route_changes_.pop_front();
    std::erase_if(ended,
                  [this](const RouteChange& c) { return state_.has_subscription(c.tenant, c.filter); });
    if (!ended.empty()) announce(std::move(ended));
  }
  while (!reveals_.empty() && reveals_.front().lsn < end) {
    Reveal item = std::move(reveals_.front());
    reveals_.pop_front();
    reveal(std::move(item));
  }
  while (!duplicates_.empty() && duplicates_.begin()->first < end) {
    auto item = duplicates_.extract(duplicates_.begin());
    answer_duplicate(item.key(), std::move(item.mapped()));
  }
  answer_taken(end);
  tell(end);
  send_final(end);
  while (!waiters_.empty() && waiters_.front().end <= end) waiters_.pop_front().resume(true);
  for (auto& [attachment, connected] : by_attachment_) {
    if (connected->durable && connected->started) mark_dirty(*connected);
  }
  mark_shares_dirty();
  wake_at_turn_end();
}

void Shard::on_lost(const Error& why) {
  if (!serving_) return;
  const auto self = shared_from_this();
  end({ErrorCode::kUnavailable, "the shard lost its log: " + why.message});
  core_.on_shard_lost(id_, why);
}

void Shard::end_ownership(const Error& why) {
  const auto self = shared_from_this();
  if (serving_) end(why);
}

void Shard::end(const Error& unavailable) {
  serving_ = false;
  // What was not committed may be stored or not: whoever asked has to ask again.
  for (Reveal& item : std::exchange(reveals_, {})) refuse(item.answering.reply, unavailable, true);
  for (auto& [lsn, answering] : std::exchange(awaiting_forwards_, {}))
    refuse(answering.reply, unavailable, true);
  for (auto& [lsn, answering] : std::exchange(duplicates_, {})) refuse(answering.reply, unavailable, true);
  refuse_taken(unavailable);
  told_.clear();
  lose_shares(unavailable);
  coordinator_.stop();
  while (!waiters_.empty()) waiters_.pop_front().resume(false);
  for (const auto& [stream, config] : state_.streams()) wake_readers(stream);
  for (auto& [attachment, connected] : by_attachment_) {
    core_.send(connected->core, CallMail([attachment, unavailable](Core& there) {
                 if (Attached* session = there.attached(attachment)) session->on_session_lost(unavailable);
               }));
  }
  for (auto& [key, client] : clients_) client.freed.wake_all();
}

// What a forward waits for may be another shard's log, so also who waits for one counts.
bool Shard::anybody_waits() const {
  return !waiters_.empty() || !reveals_.empty() || !awaiting_forwards_.empty() || !duplicates_.empty() ||
         !wills_under_way_.empty() ||
         std::ranges::any_of(clients_, [](const auto& client) { return !client.second.waiting.empty(); });
}

void Shard::give_up() {
  if (!serving_ || !anybody_waits()) return;
  STELE_MARK("shard: given up while the node stops");
  on_lost({ErrorCode::kUnavailable, "the node stops, and what was to be stored still waits"});
}

void Shard::wake_at_turn_end() {
  if (!linked()) core_.runtime().at_turn_end(*this);
}

void Shard::on_turn_end() {
  if (!serving_) return;
  flush_settled();
  flush_qos2();
  deliver_dirty();
  deliver_dirty_shares();
  forward_more();
}

// New interest is told at once: what is sent here for it is appended behind its subscription. That it has
// ended is told when that is committed, for a crash may undo it.
void Shard::note_routes(Lsn lsn, std::vector<RouteChange> changes) {
  std::vector<RouteChange> begun, ended;
  for (RouteChange& change : changes) {
    const bool at_once = change.interested || mutant(Mutant::kUnsubscribedBeforeCommit);
    (at_once ? begun : ended).push_back(std::move(change));
  }
  if (!begun.empty()) announce(std::move(begun));
  if (!ended.empty()) route_changes_.push_back({lsn, std::move(ended)});
}

void Shard::announce(std::vector<RouteChange> changes) {
  std::vector<RouteNews> news;
  for (RouteChange& change : changes) {
    news.push_back({.kind = RouteNews::Kind::kSessionInterest,
                    .shard = id_,
                    .epoch = log_->epoch(),
                    .tenant = change.tenant,
                    .text = std::move(change.filter),
                    .number = change.interested ? 1u : 0u});
  }
  core_.tell_routes(std::move(news));
}

// ---- time -----------------------------------------------------------------------------------------------

// What is appended cannot be taken back. But nobody waits for an administrator to make room.
void Shard::watch_room() {
  const runtime::Instant now = core_.runtime().now();
  if (log_->writable()) {
    no_room_since_.reset();
  } else if (!no_room_since_) {
    no_room_since_ = now;
  } else if (now - *no_room_since_ >= core_.options().full_disk_patience) {
    answer_for_want_of_room();
  }
}

void Shard::answer_for_want_of_room() {
  const auto decline = [this](Answering& answering) {
    if (!answering.reply.by_mail()) return;
    STELE_MARK("shard: publisher answered though its entry waits for room");
    if (log_->why_not_writable().code == ErrorCode::kNoSpace) ++core_.stats().refused_no_space;
    refuse(std::exchange(answering.reply, {}), not_committed(), true);
  };
  for (Reveal& item : reveals_) decline(item.answering);
  for (auto& [lsn, answering] : awaiting_forwards_) decline(answering);
  for (auto& [lsn, answering] : duplicates_) decline(answering);
  // Those that wait again are for the next time.
  IntrusiveList<Committed> waiting;
  while (!waiters_.empty()) waiting.push_back(waiters_.pop_front());
  while (!waiting.empty()) waiting.pop_front().resume(false);
}

void Shard::tick() {
  if (!serving_) return;
  const auto self = shared_from_this();
  watch_room();
  if (writable()) {
    expire_sessions();
    retain_streams();
    expire_retained();
    expire_producers();
    coordinator_.expire_offsets();
    note_forward_progress();
    look_after_shares();
    publish_due_wills();
  }
  if ((log_bytes_ >= core_.options().snapshot_log_bytes && worth_a_snapshot()) ||
      (buggify(Buggify::kEarlySnapshot) && serving_ && !snapshotting_ && log_bytes_ > 0)) {
    start_snapshot();
  }
  if (core_.options().by_assignment) look_after_snapshot();
  trim();
  read_again();
  wake_at_turn_end();
}

void Shard::retain_streams() {
  std::vector<std::pair<StreamId, Offset>> cuts;
  for (const auto& [id, stream] : state_.streams()) {
    auto cut = stream.retention_cut(now());
    // Never beyond what is committed: its readers have not seen it.
    if (cut && *cut <= high_watermarks_[id]) cuts.emplace_back(id, *cut);
  }
  for (const auto& [id, start] : cuts) {
    STELE_MARK("shard: retention moved a stream's start");
    trim_stream(id, start);
  }
}

void Shard::expire_retained() {
  std::vector<control::ExpiredRetained> expired;
  const auto keys = state_.expired_retained(now(), kMaxExpiredAtOnce);
  for (const auto& key : keys) expired.push_back({key.first, key.second, state_.retained().at(key).lsn});
  if (!expired.empty()) append(control::retained_expired(now(), expired));
}

void Shard::expire_producers() {
  const std::int64_t silent_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(core_.options().producer_expiry).count();
  const auto oldest = state_.producers().oldest();
  if (!oldest || now().ms - oldest->ms < silent_ms) return;
  STELE_MARK("shard: producers that fell silent forgotten");
  append(control::producers_expired(now(), WallTime{now().ms - silent_ms}));
}

void Shard::on_view() {
  if (!serving_) return;
  const auto view = core_.meta();
  std::vector<std::pair<StreamId, StreamConfig>> set;
  std::vector<StreamId> gone;
  for (const auto& [topic_id, topic] : view->topics()) {
    for (std::int32_t partition = 0; partition < topic->partition_count(); ++partition) {
      if (topic->shards[static_cast<std::size_t>(partition)] != id_) continue;
      const StreamId id{topic_id, PartitionId(partition)};
      StreamConfig config{
          .tenant = topic->tenant,
          .name = topic->name,
          .partition_count = topic->capture_partition_count(),
          .captures = topic->config.capture,
          .key = topic->config.key.to_string(),
          .retention_ms = topic->config.retention_ms,
          .retention_bytes = topic->config.retention_bytes,
          .log_append_time = topic->config.timestamp_type == meta::TimestampType::kLogAppendTime};
      const StreamState* there = state_.stream(id);
      if (!there || there->config() != config) set.emplace_back(id, std::move(config));
    }
  }
  for (const auto& [id, stream] : state_.streams()) {
    if (!view->find_topic(id.topic)) gone.push_back(id);
  }
  drop_offsets_of_deleted_topics();
  if (set.empty() && gone.empty()) return;
  for (const auto& [id, config] : set) {
    append(control::stream_set(now(), id, config));
    high_watermarks_.try_emplace(id, Offset(0));
    log_starts_.try_emplace(id, Offset(0));
  }
  for (const StreamId& id : gone) {
    append(control::stream_deleted(now(), id));
    high_watermarks_.erase(id);
    log_starts_.erase(id);
    resume_points_.erase(id);
    std::erase_if(appended_, [&](const Appended& one) { return one.stream == id; });
    std::erase_if(trimmed_, [&](const Trimmed& one) { return one.stream == id; });
    wake_readers(id);
  }
}

// ---- its end --------------------------------------------------------------------------------------------

// What is needed is known of the state after the last append. Until that is committed and on the disk, a
// crash may bring back a state that needs more: a session whose acknowledgements are lost wants its messages
// again.
void Shard::trim() {
  log_->trim(trimmable_);
  if (trimming_) return;
  const Lsn below = std::min(snapshot_lsn_, state_.lsn_needed());
  if (below <= trimmable_) return;
  trimming_ = true;
  scope_->spawn(trim_below(below));
}

Task<void> Shard::trim_below(Lsn below) {
  const auto self = shared_from_this();
  bool kept = co_await committed(state_.next());
  if (kept) kept = (co_await log_->sync()).has_value();
  trimming_ = false;
  if (!kept || !serving_) co_return;
  trimmable_ = below;
  log_->trim(below);
}

Task<void> Shard::stop() {
  const auto self = shared_from_this();
  stop_began_ = core_.runtime().now();
  if (letting_go_) co_return;  // which is as good, and is waited for too
  if (serving_) {
    flush_settled();
    flush_qos2();
    const Lsn end = log_->next();
    if (co_await committed(end)) {
      start_snapshot();
      while (snapshotting_) co_await scope_->join();
    }
  }
  // Clients of other nodes may wait for something.
  if (serving_) end({ErrorCode::kUnavailable, "the node stops"});
  scope_->request_stop();
  co_await scope_->join();
}

// The snapshot takes longest, and what comes meanwhile is soon replayed by the next owner.
Task<void> Shard::leave() {
  const auto self = shared_from_this();
  letting_go_ = true;
  while (serving_) {
    start_snapshot();
    while (snapshotting_) co_await scope_->join();
    // The next owner could do nothing with a file of this node. Others wait as long as that for the shard,
    // and this one serves it.
    if (!snapshot_is_a_file_ || stop_began_) break;
    if (!co_await runtime::sleep(core_.runtime(), 1s, scope_->token())) break;
    STELE_MARK("shard: leaves only with a snapshot that others can load");
  }
  // What it forwards to a shard that nobody owns, because that one has just left too, would be waited for in
  // vain below. This one goes on serving until then.
  const auto waits_for_an_owner = [this] {
    return std::ranges::any_of(state_.pending_forwards(), [this](const auto& one) {
      const std::optional<Place> place = core_.place_of(one.first);
      return !place || (*place == Place(core_.runtime().core()) && !core_.shard(one.first));
    });
  };
  const runtime::Instant patience = core_.runtime().now() + kTargetsMayTake;
  while (serving_ && !stop_began_ && waits_for_an_owner() && core_.runtime().now() < patience) {
    STELE_MARK("shard: leaves when those that it forwards to have owners");
    if (!co_await runtime::sleep(core_.runtime(), 10ms, scope_->token())) break;
  }
  leaving_ = true;
  if (serving_) {
    flush_settled();
    flush_qos2();
    const Lsn last = log_->next();
    co_await committed(last);
  }
  // Whoever published it would be told that nobody knows, and be sent away for it. A target that is handed
  // over at the same time is only there when its next owner has taken it.
  constexpr int kTimes = 5;
  const runtime::Instant until = core_.runtime().now() + kTimes * kForwardsMayTake;
  while (serving_ && !awaiting_forwards_.empty() && core_.runtime().now() < until) {
    STELE_MARK("shard: leaves when its forwards have arrived");
    if (!co_await runtime::sleep(core_.runtime(), 5ms, scope_->token())) break;
  }
  if (serving_) end({ErrorCode::kUnavailable, "the shard moves to another node"});
  scope_->request_stop();
  co_await scope_->join();
}

}  // namespace stele::broker
