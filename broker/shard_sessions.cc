// Persistent sessions and connected clients of a shard: who is connected under which client id, and the
// delivery of queues to them.
//
// One client id has one connection. A second CONNECT has the first closed and waits until it is gone; of
// several that wait, each in turn. What a connection was sent and has not settled is sent again, as
// redelivered, to the next one.
#include <algorithm>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/control.h"
#include "broker/message_batch.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

// ---- connect --------------------------------------------------------------------------------------------

Task<Result<SessionOpened>> Shard::open_session(Core& there, ShardId id, SessionOptions options,
                                                std::optional<WillContent> will, CoreId from,
                                                std::uint64_t attachment) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  co_return co_await shard->open(std::move(options), std::move(will), from, attachment);
}

Task<Result<SessionOpened>> Shard::open(SessionOptions options, std::optional<WillContent> will, CoreId from,
                                        std::uint64_t attachment) {
  const SessionKey key(options.principal.tenant, options.client_id);
  clients_[key].waiting.push_back(attachment);
  while (true) {
    Client& client = clients_[key];
    if (client.given_up.erase(attachment) > 0) {
      const auto at = std::ranges::find(client.waiting, attachment);
      client.waiting.erase(static_cast<std::size_t>(at - client.waiting.begin()));
      client.freed.wake_all();
      drop_client_if_idle(key);
      co_return error(ErrorCode::kCancelled, "the client is gone");
    }
    if (!client.connected && client.waiting.front() == attachment) break;
    if (client.connected && client.waiting.front() == attachment) take_over(*client.connected);
    co_await client.freed.wait();
    if (!serving_) co_return std::unexpected(starting(id_));
  }
  Client& client = clients_[key];
  client.waiting.pop_front();
  client.connected = std::make_unique<Connected>();
  Connected& connected = *client.connected;
  connected.key = key;
  connected.core = from;
  connected.attachment = attachment;
  connected.receive_maximum = std::min<std::uint32_t>(options.receive_maximum, kFirstLoggedId - 1);
  by_attachment_[attachment] = &connected;

  auto decided = decide::open_session(state_, now(), key.first, key.second, options.clean_start,
                                      options.expiry_s, will ? &*will : nullptr);
  // What it left behind on an earlier connection goes first.
  if (decided && (decided->entry || state_.wills().any_of(key))) {
    if (auto can = writable(); !can) decided = std::unexpected(can.error());
  }
  if (decided && state_.wills().any_of(key) && !core_.may_accept())
    decided = std::unexpected(core_.not_accepting());
  if (!decided) {
    disconnect(key, attachment, {.expiry_s = {}, .goodbye = true});
    co_return std::unexpected(decided.error());
  }
  const bool connects_with_will = will.has_value();
  SessionOpened opened;
  opened.present = decided->present;
  opened.durable = decided->durable;
  if (decided->entry) {
    const Lsn lsn = append(*std::move(decided->entry));
    if (will) connected.will = lsn;
  }
  publish_due_wills_of(key);
  if (opened.durable) {
    const SessionState& session = *state_.session(key.first, key.second);
    connected.durable = true;
    connected.session_number = session.number;
    connected.session_epoch = session.epoch;
    connected.next = connected.numbered = session.first();
    opened.number = session.number;
    opened.epoch = session.epoch;
    connected.fresh = session.position_of(session.sent_below);
    attachment_of_[session.number] = attachment;
    for (const auto& [filter, request] : session.subscriptions) opened.subscriptions.push_back(request);
  }
  ++core_.stats().sessions_opened;
  // Also what was only read is revealed when it is committed.
  bool kept = co_await committed(state_.next());
  while (kept && by_attachment_.contains(attachment) && clients_.at(key).wills_under_way > 0) {
    STELE_MARK("shard: CONNECT waits for a will");
    co_await clients_.at(key).freed.wait();
    kept = serving_;
  }
  if (!kept) {
    if (serving_) disconnect(key, attachment, {.expiry_s = {}, .goodbye = true});
    // Asked again, the next owner would publish the will of this one for a connection that was never lost.
    Error why = not_committed();
    if (connects_with_will) {
      STELE_MARK("shard: a CONNECT with a will is not tried again");
      why.code = ErrorCode::kTimedOut;
    }
    co_return std::unexpected(std::move(why));
  }
  // The connection may have ended meanwhile.
  if (!by_attachment_.contains(attachment)) co_return error(ErrorCode::kCancelled, "the client is gone");
  co_return opened;
}

void Shard::take_over(Connected& connected) {
  if (std::exchange(connected.told_to_go, true)) return;
  STELE_MARK("shard: client id taken over");
  ++core_.stats().sessions_taken_over;
  core_.send(connected.core, CallMail([attachment = connected.attachment](Core& there) {
               if (Attached* session = there.attached(attachment)) session->on_taken_over();
             }));
}

void Shard::end_session(Core& there, ShardId id, TenantId tenant, const std::string& client_id,
                        std::uint64_t attachment, const SessionEnd& ending) {
  if (Shard* shard = there.shard(id)) shard->disconnect({tenant, client_id}, attachment, ending);
}

Task<bool> Shard::end_session_for_good(Core& there, ShardId id, TenantId tenant, std::string client_id,
                                       std::uint64_t attachment, SessionEnd ending) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return false;
  const SessionKey key(tenant, std::move(client_id));
  const bool is_here = shard->by_attachment_.contains(attachment);
  shard->disconnect(key, attachment, ending);
  // An earlier owner knew it: its will is left to this one, who publishes it.
  if (!is_here && shard->state_.wills().any_of(key)) co_return false;
  co_return co_await shard->committed(shard->state_.next());
}

void Shard::disconnect(const SessionKey& key, std::uint64_t attachment, const SessionEnd& ending) {
  auto found = clients_.find(key);
  if (found == clients_.end()) return;
  Client& client = found->second;
  if (!client.connected || client.connected->attachment != attachment) {
    if (std::find(client.waiting.begin(), client.waiting.end(), attachment) != client.waiting.end()) {
      client.given_up.insert(attachment);
      client.freed.wake_all();
    }
    return;
  }
  flush_settled();
  flush_qos2();
  const SessionState* session = state_.session(key.first, key.second);
  const bool durable =
      client.connected->durable && session && session->epoch == client.connected->session_epoch;
  if (durable) {
    attachment_of_.erase(session->number);
    auto entry = decide::close_session(state_, now(), key.first, key.second, session->epoch, ending.expiry_s,
                                       sent_below(*client.connected, *session), ending.goodbye);
    if (entry) append(*std::move(entry));
  }
  by_attachment_.erase(attachment);
  finish_retained(*client.connected);
  const std::unique_ptr<Connected> connected = std::move(client.connected);
  end_will(*connected, ending.goodbye);
  client.freed.wake_all();
  drop_client_if_idle(key);
}

// All that this connection may have been sent lies below.
Lsn Shard::sent_below(const Connected& connected, const SessionState& session) const {
  const QueuePosition next = std::max({connected.next, connected.fresh, session.first()});
  if (next >= session.end()) return state_.next();
  const QueueItem& item = session.at(next);
  return item.index == 0 ? item.lsn : item.lsn + 1;
}

void Shard::drop_client_if_idle(const SessionKey& key) {
  auto found = clients_.find(key);
  if (found == clients_.end()) return;
  const Client& client = found->second;
  if (!client.connected && client.waiting.empty() && client.given_up.empty() && client.wills_under_way == 0) {
    clients_.erase(found);
  }
}

void Shard::expire_sessions() {
  std::vector<SessionKey> expired;
  const WallTime time = now();
  for (const SessionState* session : state_.expired_sessions(time, kMaxExpiredAtOnce)) {
    SessionKey key(session->tenant, session->client_id);
    if (!clients_.contains(key)) expired.push_back(std::move(key));
  }
  for (const SessionKey& key : expired) {
    STELE_MARK("shard: session expired");
    ++core_.stats().sessions_expired;
    append(control::session_removed(time, key.first, key.second));
  }
}

// ---- subscriptions --------------------------------------------------------------------------------------

Shard::Connected* Shard::connection(std::uint64_t attachment) {
  auto found = by_attachment_.find(attachment);
  return found == by_attachment_.end() ? nullptr : found->second;
}

Task<Result<void>> Shard::subscribe(Core& there, ShardId id, std::uint64_t attachment,
                                    std::vector<SubscribeRequest> requests) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  STELE_CO_CHECK(shard->writable());
  Connected* connected = shard->connection(attachment);
  if (!connected) co_return error(ErrorCode::kClosed, "the session has ended");
  STELE_CO_TRY(storage::LogEntry entry, decide::subscribe(shard->state_, shard->now(), connected->key.first,
                                                          connected->key.second, requests));
  if (std::ranges::any_of(requests, &may_queue_retained)) shard->begin_retained(*connected);
  const Lsn lsn = shard->append(std::move(entry));
  if (!co_await shard->committed(lsn + 1)) {
    shard->finish_retained(attachment);
    co_return std::unexpected(shard->not_committed());
  }
  // The interest was told when this was appended.
  co_await there.everybody_knows();
  co_return Result<void>();
}

Task<Result<void>> Shard::unsubscribe(Core& there, ShardId id, std::uint64_t attachment,
                                      std::vector<std::string> filters) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  STELE_CO_CHECK(shard->writable());
  Connected* connected = shard->connection(attachment);
  if (!connected) co_return error(ErrorCode::kClosed, "the session has ended");
  const Lsn lsn = shard->append(
      control::unsubscribed(shard->now(), connected->key.first, connected->key.second, filters));
  if (!co_await shard->committed(lsn + 1)) co_return std::unexpected(shard->not_committed());
  co_return Result<void>();
}

// ---- delivery -------------------------------------------------------------------------------------------

void Shard::start_delivery(std::uint64_t attachment) {
  Connected* connected = connection(attachment);
  if (!connected || !connected->durable) return;
  connected->started = true;
  connected->look_for_releases = true;
  mark_dirty(*connected);
}

void Shard::wake(std::uint32_t session_number) {
  if (const auto share = share_of_.find(session_number); share != share_of_.end()) {
    return mark_dirty(share->second, shares_.at(share->second));
  }
  auto found = attachment_of_.find(session_number);
  if (found == attachment_of_.end()) return;
  if (Connected* connected = connection(found->second)) mark_dirty(*connected);
}

void Shard::mark_dirty(Connected& connected) {
  if (std::exchange(connected.dirty, true)) return;
  dirty_.push_back(connected.attachment);
  wake_at_turn_end();
}

void Shard::deliver_dirty() {
  const auto dirty = std::exchange(dirty_, {});
  number(dirty);
  for (std::uint64_t attachment : dirty) {
    Connected* connected = connection(attachment);
    if (!connected) continue;
    connected->dirty = false;
    pump(*connected);
  }
}

// Sends what is committed and fits the client's receive maximum, as far as it is in memory.
void Shard::pump(Connected& to) {
  if (!to.started || to.reading || to.unread || to.notes) return;
  const SessionState* session = session_of(to);
  if (!session) return;
  if (to.next < session->first()) {  // the limits may have dropped some
    to.next = session->first();
    to.look_for_releases = true;
  }
  if (to.look_for_releases) look_for_releases(to, *session);
  const Lsn end = mutant(Mutant::kDeliverBeforeCommit) ? log_->next() : log_->committed();
  SessionMail mail;
  mail.attachment = to.attachment;
  constexpr std::size_t kMaxItems = 1024;
  while (to.next < session->end() && may_send(to) && mail.items.size() < kMaxItems) {
    const QueueItem& item = session->at(to.next);
    if (item.lsn >= end) break;
    if (item.settled) {
      ++to.next;
      continue;
    }
    if (!is_numbered(to, item, end)) break;
    read_.clear();
    if (!log_->read_cached(item.lsn, 1, read_)) {
      to.reading = true;
      scope_->spawn(deliver_from_log(to.attachment, item.lsn));
      break;
    }
    if (add_item(mail, *session, item, read_.front(), to.next < to.fresh)) note_sent(to, mail.items.back());
    ++to.next;
  }
  const bool more = mail.items.size() == kMaxItems;
  if (!mail.items.empty()) {
    core_.stats().session_deliveries += mail.items.size();
    core_.send(to.core, std::move(mail));
  }
  if (more) mark_dirty(to);
}

bool Shard::may_send(const Connected& to) const {
  return to.in_flight < to.receive_maximum &&
         (to.in_flight == 0 || to.in_flight_bytes < core_.options().session_in_flight_bytes);
}

void Shard::note_sent(Connected& to, const SessionItem& item) {
  const std::uint64_t bytes = item.address.size() + item.batch.size();
  to.sent.push_back({item.token, bytes});
  ++to.in_flight;
  if (item.token.packet_id != 0) to.under_way.insert(item.token.packet_id);
  to.in_flight_bytes += bytes;
}

bool Shard::add_item(SessionMail& mail, const SessionState& session, const QueueItem& item,
                     const storage::LogEntry& entry, bool redelivered) {
  const auto view = parse_entry(entry);
  if (!view || view->kind != EntryKind::kData) {
    core_.runtime().log().write(runtime::LogLevel::kError, "broker", "a queued message is not in the log");
    return false;
  }
  SessionItem& out = mail.items.emplace_back();
  out.token = {item.lsn, item.index, true, item.packet_id};
  out.qos = item.qos;
  out.retain = item.retain;
  out.redelivered = redelivered;
  for (std::uint32_t id : session.subscription_ids(item)) out.subscription_ids.push_back(id);
  out.address_headers_allowed = view->data.kafka_batch && view->data.address_headers_allowed;
  out.address = view->data.address.data() >= entry.head.data() ? entry.head.slice(view->data.address)
                                                               : Bytes::copy(view->data.address);
  out.batch = batch_bytes(entry, view->data);
  if (redelivered) ++core_.stats().session_redeliveries;
  return true;
}

// The message is not in memory any more: reads it, and what follows, and goes on.
Task<void> Shard::deliver_from_log(std::uint64_t attachment, Lsn from) {
  const auto self = shared_from_this();
  const std::size_t most = buggify(Buggify::kShortRead) ? 1 : core_.options().delivery_read_bytes;
  auto entries = co_await log_->read(from, most);
  if (!serving_) co_return;
  Connected* to = connection(attachment);
  if (!to) co_return;
  to->reading = false;
  const SessionState* session = session_of(*to);
  if (!session) co_return;
  if (!entries || entries->empty()) {
    to->unread = true;
    co_return say_unread("a queued message", entries ? nullptr : &entries.error());
  }
  SessionMail mail;
  mail.attachment = attachment;
  to->next = std::max(to->next, session->first());
  while (to->next < session->end() && may_send(*to)) {
    const QueueItem& item = session->at(to->next);
    const std::uint64_t index = item.lsn - from;
    if (item.lsn < from || index >= entries->size() || item.lsn >= log_->committed()) break;
    if (!item.settled && !is_numbered(*to, item, log_->committed())) break;
    if (!item.settled && add_item(mail, *session, item, (*entries)[index], to->next < to->fresh))
      note_sent(*to, mail.items.back());
    ++to->next;
  }
  if (!mail.items.empty()) {
    core_.stats().session_deliveries += mail.items.size();
    core_.send(to->core, std::move(mail));
  }
  mark_dirty(*to);
}

// It stays queued, and is tried again with the next tick.
void Shard::say_unread(std::string_view what, const Error* why) {
  STELE_MARK("shard: a queued message cannot be read");
  anything_unread_ = true;
  const runtime::Instant now = core_.runtime().now();
  if (now < say_unread_at_) return;
  say_unread_at_ = now + 1s;
  std::string line = "shard " + std::to_string(id_.value) + ": ";
  line.append(what).append(" cannot be read: ").append(why ? why->to_string() : "it is not there");
  core_.runtime().log().write(runtime::LogLevel::kError, "broker", line);
}

void Shard::read_again() {
  if (!std::exchange(anything_unread_, false)) return;
  for (auto& [attachment, connected] : by_attachment_) {
    if (std::exchange(connected->unread, false)) mark_dirty(*connected);
  }
  for (auto& [key, share] : shares_) {
    if (std::exchange(share.unread, false)) mark_dirty(key, share);
  }
}

const SessionState* Shard::session_of(const Connected& connected) const {
  const SessionState* session = state_.session(connected.session_number);
  return session && session->epoch == connected.session_epoch ? session : nullptr;
}

// Takes it from what is sent. False if it is not there (any more).
bool Shard::take_sent(Connected& connected, SettleToken token) {
  const auto before = [](const Connected::Sent& sent, const SettleToken& wanted) {
    return std::pair(sent.token.lsn, sent.token.index) < std::pair(wanted.lsn, wanted.index);
  };
  auto found = std::lower_bound(connected.sent.begin(), connected.sent.end(), token, before);
  if (found == connected.sent.end() || found->token.lsn != token.lsn || found->token.index != token.index ||
      std::exchange(found->settled, true)) {
    return false;
  }
  connected.in_flight_bytes -= found->bytes;
  while (!connected.sent.empty() && connected.sent.front().settled) connected.sent.pop_front();
  return true;
}

void Shard::settle(std::uint64_t attachment, SettleToken token) {
  Connected* connected = connection(attachment);
  if (!connected || !take_sent(*connected, token)) return;
  --connected->in_flight;
  connected->under_way.erase(token.packet_id);
  std::uint32_t session = connected->session_number;
  if (mutant(Mutant::kAckOfWrongSession)) session = attachment_of_.begin()->first;
  settled_.push_back({token.lsn, session, token.index});
  mark_dirty(*connected);
}

// Logged without waiting: losing the last ones means that they are delivered once more.
void Shard::flush_settled() {
  if (settled_.empty() || !serving_) return;
  if (!log_->writable()) {
    // A shared subscription would not give it to anybody as long as this owner is here.
    std::erase_if(settled_, [this](const control::Settled& one) { return !share_of_.contains(one.session); });
    return;
  }
  append(control::settled(now(), settled_));
  settled_.clear();
}

}  // namespace stele::broker
