// Shared subscriptions (section 4.8.2 of MQTT 5.0): the queues of those that have members whose sessions
// outlive their connections, and who gets what out of them.
//
// A shared subscription belongs to the shard of its text. While one of its members at least outlives its
// connection it has a session of its own there (subscription.h), whose queue takes every message with QoS > 0
// that its filter matches: with the guarantees of every session. From the queue the messages go to connected
// members in turn (share_group.h). Who is connected only the owner knows; a member that comes back joins
// again. The session ends when no member is left, neither connected nor kept.
//
// A member whose session ends without unsubscribing (expired, or begun anew) is told of by nobody: the owner
// asks, every now and then, for those that are not connected.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "broker/control.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;

namespace {

std::size_t kept_members(const SessionState& session) {
  return static_cast<std::size_t>(std::ranges::count_if(
      session.subscriptions, [](const auto& one) { return is_share_member(one.first); }));
}

}  // namespace

// ---- members --------------------------------------------------------------------------------------------

void Shard::load_shares() {
  for (const auto& [key, session] : state_.sessions()) {
    if (!is_share_session(key.second)) continue;
    shares_[key].number = session.number;
    share_of_[session.number] = key;
  }
}

std::vector<SessionInterest> Shard::kept_shares() const {
  std::vector<SessionInterest> all;
  for (const auto& [number, key] : share_of_) all.emplace_back(key.first, share_of_session(key.second));
  return all;
}

Task<Result<void>> Shard::join_share(Core& there, ShardId id, ShareJoin join) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  const SessionKey key(join.tenant, share_session_id(join.request.filter));
  if (join.durable && join.request.qos > 0) {
    STELE_CO_CHECK(shard->writable());
    STELE_CO_CHECK(shard->keep_member(key, join));
  } else if (join.durable) {
    shard->forget_member(key, join.client_id);  // its QoS was another
  }
  const BrokerOptions& options = there.options();
  Share& share = shard->shares_[key];
  share.group.join({.attachment = join.attachment,
                    .core = join.core,
                    .client_id = std::move(join.client_id),
                    .qos = join.request.qos,
                    .retain_as_published = join.request.retain_as_published,
                    .subscription_id = join.request.subscription_id,
                    .window = std::max(std::min(join.receive_maximum, options.share_window), 1u),
                    .window_bytes = options.share_window_bytes});
  shard->mark_dirty(key, share);
  const bool kept = share.number != 0;
  if (!co_await shard->committed(shard->state_.next())) co_return std::unexpected(shard->not_committed());
  // The interest was told when it was appended.
  if (kept) co_await there.everybody_knows();
  co_return Result<void>();
}

// Makes the queue if this is the first member that is kept.
Result<void> Shard::keep_member(const SessionKey& key, const ShareJoin& join) {
  std::vector<SubscribeRequest> requests;
  if (!state_.session(key.first, key.second)) {
    STELE_MARK("share: gets a queue");
    STELE_TRY(decide::OpenSession opened,
              decide::open_session(state_, now(), key.first, key.second, false, UINT32_MAX));
    STELE_ASSERT(opened.durable && opened.entry);
    append(*std::move(opened.entry));
    SubscribeRequest filter;
    filter.filter = subscribed_filter(join.request.filter);
    filter.qos = 2;
    filter.retain_as_published = true;  // each member as it wants it
    requests.push_back(std::move(filter));
  }
  const SessionState& session = *state_.session(key.first, key.second);
  shares_[key].number = session.number;
  share_of_[session.number] = key;
  SubscribeRequest member;
  member.filter = share_member(join.client_id);
  if (!session.subscriptions.contains(member.filter)) requests.push_back(std::move(member));
  if (requests.empty()) return {};
  auto entry = decide::subscribe(state_, now(), key.first, key.second, requests);
  if (!entry) {
    drop_share_if_unused(key);
    return std::unexpected(std::move(entry).error());
  }
  append(*std::move(entry));
  announce_share(key, true);
  return {};
}

void Shard::forget_member(const SessionKey& key, std::string_view client_id) {
  const SessionState* session = state_.session(key.first, key.second);
  const std::string member = share_member(client_id);
  if (!session || !session->subscriptions.contains(member) || !writable()) return;
  append(control::unsubscribed(now(), key.first, key.second, std::span(&member, 1)));
}

Task<Result<void>> Shard::leave_share(Core& there, ShardId id, ShareMemberName member,
                                      std::uint64_t attachment) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  const SessionKey key(member.tenant, share_session_id(member.share));
  STELE_CO_CHECK(shard->writable());
  shard->forget_member(key, member.client_id);
  shard->leave_share(member, attachment);
  if (!co_await shard->committed(shard->state_.next())) co_return std::unexpected(shard->not_committed());
  co_return Result<void>();
}

void Shard::start_share(const ShareMemberName& member, std::uint64_t attachment) {
  const auto found = shares_.find({member.tenant, share_session_id(member.share)});
  if (found == shares_.end()) return;
  found->second.group.start(attachment);
  mark_dirty(found->first, found->second);
}

void Shard::leave_share(const ShareMemberName& member, std::uint64_t attachment) {
  const SessionKey key(member.tenant, share_session_id(member.share));
  const auto found = shares_.find(key);
  if (found == shares_.end()) return;
  core_.stats().shared_given_back += found->second.group.leave(attachment);
  mark_dirty(key, found->second);
  drop_share_if_unused(key);
}

void Shard::drop_share_if_unused(const SessionKey& key) {
  const auto found = shares_.find(key);
  if (found == shares_.end() || !found->second.group.empty()) return;
  if (const SessionState* session = state_.session(key.first, key.second)) {
    if (kept_members(*session) > 0 || !writable()) return;  // looked after again later
    STELE_MARK("share: ends with its last member");
    append(control::session_removed(now(), key.first, key.second));
    announce_share(key, false);
  }
  shares_.erase(key);
}

// Behind the interest in its filter that the same entry brought.
void Shard::announce_share(const SessionKey& key, bool keeps) {
  core_.tell_routes({{.kind = RouteNews::Kind::kShareKeeps,
                      .shard = id_,
                      .epoch = log_->epoch(),
                      .tenant = key.first,
                      .text = std::string(share_of_session(key.second)),
                      .number = keeps ? 1u : 0u}});
}

void Shard::lose_shares(const Error& why) {
  final_.clear();
  for (const auto& [key, share] : shares_) {
    for (const ShareGroup::Member& member : share.group.members()) {
      core_.send(member.core, CallMail([attachment = member.attachment, why](Core& there) {
                   if (Attached* session = there.attached(attachment)) session->on_session_lost(why);
                 }));
    }
  }
}

// ---- members that are gone ------------------------------------------------------------------------------

void Shard::look_after_shares() {
  std::vector<SessionKey> empty;
  for (const auto& [key, share] : shares_) {
    if (share.group.empty()) empty.push_back(key);
  }
  for (const SessionKey& key : empty) drop_share_if_unused(key);
  if (checking_members_ || core_.runtime().now() < check_members_at_) return;
  check_members_at_ = core_.runtime().now() + kCheckMembers;
  // From where the last time ended.
  std::vector<std::pair<ShareMemberName, std::uint64_t>> absent;
  auto at = shares_.upper_bound(checked_up_to_);
  for (std::size_t i = 0; i < shares_.size() && absent.size() < kMaxCheckedMembers; ++i, ++at) {
    if (at == shares_.end()) at = shares_.begin();
    const auto& [key, share] = *at;
    checked_up_to_ = key;
    const SessionState* session = state_.session(share.number);
    if (!session) continue;
    for (const auto& [filter, request] : session->subscriptions) {
      if (!is_share_member(filter)) continue;
      std::string client_id = filter.substr(1);
      if (share.group.has(client_id)) continue;
      absent.emplace_back(
          ShareMemberName{key.first, std::move(client_id), std::string(share_of_session(key.second))},
          share.group.changes());
    }
  }
  if (absent.empty()) return;
  checking_members_ = true;
  scope_->spawn(check_members(std::move(absent)));
}

Task<void> Shard::check_members(std::vector<std::pair<ShareMemberName, std::uint64_t>> members) {
  const auto self = shared_from_this();
  while (!members.empty()) {
    // Those whose shards are in the same place.
    const auto home_of = [this](const ShareMemberName& member) {
      return shard_of(member.tenant, member.client_id, core_.routes().shard_count());
    };
    const ShardId first = home_of(members.front().first);
    const std::optional<Place> place = core_.place_of(first);
    std::vector<std::pair<ShareMemberName, std::uint64_t>> here, others;
    std::vector<ShareMemberName> asked;
    for (auto& one : members) {
      const bool is_here = core_.place_of(home_of(one.first)) == place;
      if (is_here) asked.push_back(one.first);
      (is_here ? here : others).push_back(std::move(one));
    }
    members = std::move(others);
    const auto there = co_await core_.ask(first, ask::AreMembers{std::move(asked)});
    if (!serving_) co_return;
    for (std::size_t i = 0; i < here.size(); ++i) {
      const auto& [member, changes] = here[i];
      if (there[i]) continue;
      const SessionKey key(member.tenant, share_session_id(member.share));
      const auto found = shares_.find(key);
      // It may have come back meanwhile.
      if (found == shares_.end() || found->second.group.changes() != changes) continue;
      STELE_MARK("share: a member's session is gone");
      forget_member(key, member.client_id);
      drop_share_if_unused(key);
    }
  }
  checking_members_ = false;
}

Task<std::vector<bool>> Shard::are_members(Core& there, std::vector<ShareMemberName> members) {
  std::vector<bool> answers;
  for (const ShareMemberName& member : members) {
    const ShardId id = shard_of(member.tenant, member.client_id, there.routes().shard_count());
    const std::shared_ptr<Shard> shard = there.shard_ptr(id);
    bool is = true;
    if (shard) {
      const SessionState* session = shard->state_.session(member.tenant, member.client_id);
      is = session && session->subscriptions.contains(member.share);
      // That it is gone counts when it is committed.
      if (!is) is = !co_await shard->committed(shard->state_.next());
    }
    answers.push_back(is);
  }
  co_return answers;
}

// ---- delivery -------------------------------------------------------------------------------------------

void Shard::mark_dirty(const SessionKey& key, Share& share) {
  if (std::exchange(share.dirty, true)) return;
  dirty_shares_.push_back(key);
  wake_at_turn_end();
}

void Shard::wait_for_commit(const SessionKey& key, Share& share) {
  if (!std::exchange(share.waiting, true)) waiting_shares_.push_back(key);
}

// Those whose next message was not committed yet.
void Shard::mark_shares_dirty() {
  for (const SessionKey& key : std::exchange(waiting_shares_, {})) {
    const auto found = shares_.find(key);
    if (found == shares_.end()) continue;
    found->second.waiting = false;
    mark_dirty(key, found->second);
  }
}

void Shard::deliver_dirty_shares() {
  for (const SessionKey& key : std::exchange(dirty_shares_, {})) {
    const auto found = shares_.find(key);
    if (found == shares_.end()) continue;
    found->second.dirty = false;
    pump_share(key, found->second, Lsn(), {});
  }
}

// Of what was read from the log, or is in memory. Null: neither. Valid until the next call.
const storage::LogEntry* Shard::entry_at(Lsn lsn, Lsn from, std::span<const storage::LogEntry> entries) {
  if (lsn >= from && lsn - from < entries.size()) return &entries[lsn - from];
  read_.clear();
  return log_->read_cached(lsn, 1, read_) ? &read_.front() : nullptr;
}

// Gives what is committed to members that have room. `entries`, from `from` on, were read from the log.
void Shard::pump_share(const SessionKey& key, Share& share, Lsn from,
                       std::span<const storage::LogEntry> entries) {
  const SessionState* session = state_.session(share.number);
  if (!session || share.group.empty() || share.reading || share.unread) return;
  if (!log_->writable()) return wait_for_commit(key, share);
  constexpr std::size_t kMaxItems = 1024;
  const Lsn end = log_->committed();
  std::map<std::uint64_t, std::pair<CoreId, SessionMail>> mails, finals;  // by attachment
  std::vector<control::Settled> gone;
  std::size_t given = 0;
  for (; given < kMaxItems; ++given) {
    const QueuePosition at = share.group.next(session->first());
    if (at >= session->end()) break;
    if (session->at(at).lsn >= end) {
      wait_for_commit(key, share);
      break;
    }
    const QueueItem item = session->at(at);
    if (item.settled) {
      share.group.skip();
      continue;
    }
    const ShareGroup::Member* to = share.group.choose();
    if (!to) break;
    const storage::LogEntry* entry = entry_at(item.lsn, from, entries);
    if (!entry) {
      share.reading = true;
      scope_->spawn(deliver_share_from_log(key, item.lsn));
      break;
    }
    const bool final = std::min(item.qos, to->qos) == 2;
    auto& [core, mail] = (final ? finals : mails)[to->attachment];
    core = to->core;
    mail.attachment = to->attachment;
    if (!add_item(mail, *session, item, *entry, false)) {
      share.group.skip();
      continue;
    }
    SessionItem& out = mail.items.back();
    out.token = {.lsn = item.lsn, .index = item.index, .durable = true, .share = share.number, .home = id_};
    out.qos = std::min(item.qos, to->qos);
    out.retain = item.retain && to->retain_as_published;
    if (to->subscription_id != 0) out.subscription_ids.push_back(to->subscription_id);
    if (final) gone.push_back({item.lsn, share.number, item.index});
    share.group.give(item.lsn, item.index, out.address.size() + out.batch.size(), final);
    ++core_.stats().shared_deliveries;
  }
  if (given == kMaxItems) mark_dirty(key, share);
  for (auto& [attachment, one] : mails) {
    if (!one.second.items.empty()) core_.send(one.first, std::move(one.second));
  }
  if (gone.empty()) return;
  const Lsn lsn = append(control::settled(now(), gone));
  for (auto& [attachment, one] : finals) final_.push_back({lsn, one.first, std::move(one.second)});
}

void Shard::send_final(Lsn committed) {
  while (!final_.empty() && final_.front().lsn < committed) {
    FinalMail one = std::move(final_.front());
    final_.pop_front();
    core_.send(one.core, std::move(one.mail));
  }
}

Task<void> Shard::deliver_share_from_log(SessionKey key, Lsn from) {
  const auto self = shared_from_this();
  const std::size_t most = buggify(Buggify::kShortRead) ? 1 : core_.options().delivery_read_bytes;
  auto entries = co_await log_->read(from, most);
  if (!serving_) co_return;
  const auto found = shares_.find(key);
  if (found == shares_.end()) co_return;
  found->second.reading = false;
  if (!entries || entries->empty()) {
    found->second.unread = true;
    co_return say_unread("a message of a shared subscription", entries ? nullptr : &entries.error());
  }
  pump_share(key, found->second, from, *entries);
}

void Shard::settle_shared(std::uint64_t attachment, SettleToken token) {
  const auto of = share_of_.find(token.share);
  if (of == share_of_.end()) return;
  Share& share = shares_.at(of->second);
  switch (share.group.settle(attachment, token.lsn, token.index)) {
    case ShareGroup::Settled::kUnknown:
      return;
    case ShareGroup::Settled::kQueued:
      settled_.push_back({token.lsn, token.share, token.index});
      break;
    case ShareGroup::Settled::kGone:
      break;
  }
  mark_dirty(of->second, share);
}

}  // namespace stele::broker
