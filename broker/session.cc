#include "broker/session.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/core.h"
#include "broker/message_batch.h"
#include "broker/shard.h"
#include "broker/subscription.h"

namespace stele::broker {

using runtime::Task;

SessionImpl::SessionImpl(Core& core, SessionOptions options, std::optional<WillContent> will,
                         SessionHandler& handler)
    : core_(core),
      options_(std::move(options)),
      shard_(shard_of(options_.principal.tenant, options_.client_id, core.routes().shard_count())),
      attachment_(core.attach(*this)),
      will_(std::move(will)),
      has_will_(will_.has_value()) {
  live_.handler = &handler;
  live_.publisher_hash = publisher_hash_of(options_.client_id);
  core_.live().add(attachment_, live_);
}

SessionImpl::~SessionImpl() {
  // Nobody has a will before CONNACK.
  if (!ended_) end(started_ ? EndOfSession::kWithWill : EndOfSession::kNormal, std::nullopt);
}

Task<Result<void>> SessionImpl::open() {
  ask::OpenSession asked;
  asked.shard = shard_;
  asked.options = options_;
  asked.will = std::exchange(will_, std::nullopt);
  asked.attachment = attachment_;
  const runtime::Instant until = core_.runtime().now() + core_.patience();
  auto answer = co_await core_.ask(shard_, asked);
  while (!answer && answer.error().code == ErrorCode::kUnavailable && core_.runtime().now() < until &&
         !given_up_) {
    STELE_MARK("session: CONNECT waits for its shard's next owner");
    co_await runtime::sleep(core_.runtime(), kBetweenOwners);
    answer = co_await core_.ask(shard_, asked);
  }
  STELE_CO_TRY(SessionOpened opened, std::move(answer));
  // Somebody else's session, perhaps, or the rules have changed: nobody gets by a client id what he may not
  // subscribe to.
  for (const SubscribeRequest& request : opened.subscriptions) {
    if (may_subscribe(request.filter)) continue;
    STELE_MARK("session: refused for a subscription that is not allowed");
    co_return error(ErrorCode::kUnauthorized, "the session of this client id has subscriptions that '" +
                                                  options_.principal.name +
                                                  "' may not have; begin with a clean session");
  }
  present_ = opened.present;
  live_.durable = opened.durable;
  number_ = opened.number;
  epoch_ = opened.epoch;
  std::vector<std::string> first;
  for (SubscribeRequest& request : opened.subscriptions) {
    if (is_shared(request.filter)) {
      request.qos = std::min<std::uint8_t>(request.qos, 1);
      STELE_CO_CHECK(co_await join_share(request));
      filters_.insert_or_assign(request.filter, request);
      ++shares_;
      continue;
    }
    if (core_.live().subscribe(attachment_, options_.principal.tenant, request))
      first.push_back(request.filter);
    std::string filter = request.filter;
    filters_.insert_or_assign(std::move(filter), std::move(request));
  }
  if (!filters_.empty()) co_await route(std::move(first), true);
  co_return Result<void>();
}

bool SessionImpl::may_subscribe(const std::string& filter) const {
  return core_.authorizer().allowed(options_.principal, Action::kSubscribe, subscribed_filter(filter));
}

bool SessionImpl::check_rights() {
  if (ended_) return false;
  for (const auto& [filter, request] : filters_) {
    if (may_subscribe(filter)) continue;
    STELE_MARK("session: ended because of a rule");
    live_.handler->on_session_lost(
        Error{ErrorCode::kUnauthorized,
              "'" + options_.principal.name + "' may not subscribe to '" + filter + "' any more"});
    return false;
  }
  return true;
}

// To a session that outlives its connection, what has QoS > 0 comes from its shard.
void SessionImpl::on_live_missed(const Error& why) {
  if (ended_ || live_.durable) return;
  if (std::ranges::none_of(filters_, [](const auto& one) { return one.second.qos > 0; })) return;
  STELE_MARK("session: sent away, for live copies may be missing");
  ++core_.stats().live_gap_clients;
  live_.handler->on_session_lost(why);
}

void SessionImpl::start() {
  started_ = true;
  start_shares();
  if (!live_.durable) return;
  core_.tell(shard_, ask::StartDelivery{shard_, attachment_});
}

// Tells whoever routes that this core has, or has no longer, subscribers with these filters.
// In a cluster it may be no news here, and still on its way to other nodes.
Task<void> SessionImpl::route(std::vector<std::string> filters, bool interested) {
  if (filters.empty() && !(interested && core_.in_cluster())) co_return;
  if (!filters.empty()) tell_interest(std::move(filters), interested);
  co_await core_.everybody_knows();
}

void SessionImpl::tell_interest(std::vector<std::string> filters, bool interested) {
  std::vector<RouteNews> news;
  for (std::string& filter : filters) {
    news.push_back({.kind = RouteNews::Kind::kLiveInterest,
                    .tenant = options_.principal.tenant,
                    .text = std::move(filter),
                    .number = interested ? 1u : 0u});
  }
  core_.tell_routes(std::move(news));
}

Task<SubscribeAnswer> SessionImpl::subscribe(std::vector<SubscribeRequest> requests) {
  SubscribeAnswer answer;
  std::vector<SubscribeRequest> allowed;
  for (SubscribeRequest& request : requests) {
    if (!may_subscribe(request.filter)) {
      answer.granted.push_back(
          error(ErrorCode::kUnauthorized,
                "'" + options_.principal.name + "' may not subscribe to '" + request.filter + "'"));
      continue;
    }
    if (too_many_shares(allowed, request.filter)) {
      answer.granted.push_back(error(
          ErrorCode::kNoSpace, "a client may have " + std::to_string(core_.options().shares_per_session) +
                                   " shared subscriptions"));
      continue;
    }
    // QoS 2 would tie a message to a member that may never come back [MQTT-4.8.2-4].
    if (is_shared(request.filter) && live_.durable) request.qos = std::min<std::uint8_t>(request.qos, 1);
    answer.granted.emplace_back(request.qos);
    allowed.push_back(request);
  }
  Result<void> kept;
  // One that is there is no other [MQTT-3.8.4-3].
  std::set<std::string_view> more;
  for (const SubscribeRequest& request : allowed) {
    if (!filters_.contains(request.filter)) more.insert(request.filter);
  }
  if (filters_.size() + more.size() > core_.options().subscriptions_per_session && !more.empty()) {
    kept = error(
        ErrorCode::kNoSpace,
        "a client may have " + std::to_string(core_.options().subscriptions_per_session) + " subscriptions");
  } else if (live_.durable && !allowed.empty()) {
    kept = co_await core_.ask(shard_, ask::Subscribe{shard_, attachment_, allowed});
  }
  if (!kept) {
    for (auto& granted : answer.granted) {
      if (granted) granted = std::unexpected(kept.error());
    }
    co_return answer;
  }
  to_look_up_ = that_look_up(allowed);
  if (live_.durable) {
    if (auto queued = co_await queue_retained(to_look_up_); !queued) {
      // It is subscribed, but what it should be given first is not known: it has to begin again.
      STELE_MARK("session: retained messages cannot be queued");
      live_.handler->on_session_lost(queued.error());
      co_return answer;
    }
  }
  live_.hold();
  std::vector<std::string> first;
  std::vector<std::pair<std::string, std::uint32_t>> shares;
  auto granted = answer.granted.begin();
  for (const SubscribeRequest& request : allowed) {
    while (!*granted) ++granted;
    Result<std::uint8_t>& mine = *granted++;
    if (is_shared(request.filter)) {
      if (auto joined = co_await join_share(request); !joined) {
        mine = std::unexpected(std::move(joined).error());
        // Its session must not bring it back; what cannot be undone now is found when it connects again.
        if (live_.durable && !filters_.contains(request.filter)) {
          (void)co_await core_.ask(shard_, ask::Unsubscribe{shard_, attachment_, {request.filter}});
        }
        continue;
      }
      shares.emplace_back(request.filter, core_.live().join(attachment_, options_.principal.tenant, request));
      if (filters_.insert_or_assign(request.filter, request).second) ++shares_;
      continue;
    }
    if (core_.live().subscribe(attachment_, options_.principal.tenant, request))
      first.push_back(request.filter);
    filters_.insert_or_assign(request.filter, request);
  }
  // Rules may have changed while the shard kept it.
  if (!check_rights()) co_return answer;
  if (!allowed.empty()) co_await route(std::move(first), true);
  co_await route_shares(std::move(shares));
  co_return answer;
}

Task<Result<std::vector<bool>>> SessionImpl::unsubscribe(std::vector<std::string> filters) {
  for (const std::string& filter : filters) {
    if (!is_shared(filter) || !filters_.contains(filter)) continue;
    const ShardId home = home_of(filter);
    STELE_CO_CHECK(co_await core_.ask(home, ask::LeaveShare{home, member_of(filter), attachment_, true}));
  }
  if (live_.durable) {
    STELE_CO_CHECK(co_await core_.ask(shard_, ask::Unsubscribe{shard_, attachment_, filters}));
  }
  std::vector<bool> there;
  std::vector<std::string> last;
  std::vector<std::pair<std::string, std::uint32_t>> shares;
  for (const std::string& filter : filters) {
    there.push_back(filters_.erase(filter) > 0);
    forget_look_up(filter);
    if (is_shared(filter)) {
      if (!there.back()) continue;
      --shares_;
      shares.emplace_back(filter, core_.live().leave(attachment_, options_.principal.tenant, filter));
      continue;
    }
    if (core_.live().unsubscribe(attachment_, options_.principal.tenant, filter)) last.push_back(filter);
  }
  co_await route(std::move(last), false);
  co_await route_shares(std::move(shares));
  co_return there;
}

// ---- shared subscriptions -------------------------------------------------------------------------------

ShardId SessionImpl::home_of(std::string_view share) const {
  return shard_of(options_.principal.tenant, share, core_.routes().shard_count());
}

ShareMemberName SessionImpl::member_of(std::string_view share) const {
  return {options_.principal.tenant, options_.client_id, std::string(share)};
}

bool SessionImpl::too_many_shares(const std::vector<SubscribeRequest>& allowed,
                                  std::string_view filter) const {
  if (!is_shared(filter) || filters_.contains(filter)) return false;
  const auto more = std::ranges::count_if(allowed, [&](const SubscribeRequest& one) {
    return is_shared(one.filter) && !filters_.contains(one.filter);
  });
  return shares_ + static_cast<std::size_t>(more) >= core_.options().shares_per_session;
}

// Its shard knows of the member from now on; it sends nothing before start_shares().
Task<Result<void>> SessionImpl::join_share(SubscribeRequest request) {
  const ShardId home = home_of(request.filter);
  ShareJoin join;
  join.tenant = options_.principal.tenant;
  join.client_id = options_.client_id;
  join.durable = live_.durable;
  join.request = request;
  join.core = core_.runtime().core();
  join.attachment = attachment_;
  join.receive_maximum = options_.receive_maximum;
  joined_shares_.push_back(request.filter);
  auto joined = co_await core_.ask(home, ask::JoinShare{home, std::move(join)});
  if (joined) co_return Result<void>();
  std::erase(joined_shares_, request.filter);
  // It was there before, perhaps.
  if (filters_.contains(request.filter)) co_return joined;
  core_.tell(home, ask::LeaveShare{home, member_of(request.filter), attachment_});
  co_return joined;
}

// How many members of these shared subscriptions this core has.
Task<void> SessionImpl::route_shares(std::vector<std::pair<std::string, std::uint32_t>> members) {
  if (members.empty()) co_return;
  tell_members(std::move(members));
  co_await core_.everybody_knows();
}

void SessionImpl::tell_members(std::vector<std::pair<std::string, std::uint32_t>> members) {
  std::vector<RouteNews> news;
  for (auto& [share, count] : members) {
    news.push_back({.kind = RouteNews::Kind::kShareMembers,
                    .tenant = options_.principal.tenant,
                    .text = std::move(share),
                    .number = count});
  }
  core_.tell_routes(std::move(news));
}

void SessionImpl::start_shares() {
  for (const std::string& share : std::exchange(joined_shares_, {})) {
    const auto request = filters_.find(share);
    if (request == filters_.end()) continue;
    // Of a session that was there: live copies can be sent from now on.
    const std::uint32_t members = core_.live().join(attachment_, options_.principal.tenant, request->second);
    tell_members({{share, members}});
    const ShardId home = home_of(share);
    core_.tell(home, ask::StartShare{home, member_of(share), attachment_});
  }
}

void SessionImpl::leave_shares() {
  if (shares_ == 0 && joined_shares_.empty()) return;
  std::vector<std::string> shares = joined_shares_;  // also those that are just being joined
  for (const auto& [filter, request] : filters_) {
    if (is_shared(filter)) shares.push_back(filter);
  }
  for (const std::string& share : shares) {
    const std::uint32_t members = core_.live().leave(attachment_, options_.principal.tenant, share);
    tell_members({{share, members}});
    const ShardId home = home_of(share);
    core_.tell(home, ask::LeaveShare{home, member_of(share), attachment_});
  }
}

// What the client has not acknowledged goes to other members [MQTT-4.8.2-5].
void SessionImpl::give_back_shared() {
  if (!live_.shared) return;
  for (LiveSubscriber::SharedCopy& copy : live_.shared->copies) {
    if (copy.batch.empty()) continue;
    STELE_MARK("session: a live copy of a shared subscription goes to another member");
    ++core_.stats().shared_given_back;
    LiveMail mail;
    mail.data.tenant = options_.principal.tenant;
    mail.data.address = std::move(copy.address);
    mail.data.batch = std::move(copy.batch);
    mail.share = std::move(copy.share);
    core_.deliver_shared(std::move(mail));
  }
  live_.shared.reset();
}

void SessionImpl::settle(SettleToken token) {
  STELE_ASSERT(token.kept());
  if (token.of_session()) return tell_shard(SettleMail::What::kSettled, token);
  if (!token.durable) return live_.settle_shared(token.lsn.value);
  core_.settle({token.home, attachment_, SettleMail::What::kShared, token});
}

void SessionImpl::accept(SettleToken token) {
  STELE_ASSERT(token.of_session() && token.packet_id != 0);
  tell_shard(SettleMail::What::kAccepted, token);
}

void SessionImpl::released(std::uint16_t packet_id) {
  tell_shard(SettleMail::What::kReleased, {.lsn = {}, .packet_id = packet_id});
}

void SessionImpl::complete(std::uint16_t packet_id) {
  STELE_ASSERT(live_.durable);
  tell_shard(SettleMail::What::kCompleted, {.lsn = {}, .packet_id = packet_id});
}

void SessionImpl::tell_shard(SettleMail::What what, SettleToken token) {
  core_.settle({shard_, attachment_, what, token});
}

SessionEnd SessionImpl::finish(EndOfSession how, std::optional<std::uint32_t> expiry_s) {
  STELE_ASSERT(!ended_);
  ended_ = true;
  end_giving();
  leave_shares();
  std::vector<std::string> last;
  for (auto& [filter, request] : filters_) {
    if (is_shared(filter)) continue;
    if (core_.live().unsubscribe(attachment_, options_.principal.tenant, filter)) last.push_back(filter);
  }
  if (!last.empty()) tell_interest(std::move(last), false);
  core_.live().remove(attachment_);
  core_.detach(attachment_);
  give_back_shared();
  return {.expiry_s = expiry_s,
          .goodbye = how == EndOfSession::kNormal && !mutant(Mutant::kWillAfterDisconnect)};
}

void SessionImpl::end(EndOfSession how, std::optional<std::uint32_t> expiry_s) {
  if (ended_) return;
  const SessionEnd ending = finish(how, expiry_s);
  core_.tell(shard_, ending_of(ending, false));
}

Task<void> SessionImpl::leave(std::optional<std::uint32_t> expiry_s) {
  if (ended_) co_return;
  if (!has_will_) co_return end(EndOfSession::kNormal, expiry_s);
  const SessionEnd ending = finish(EndOfSession::kNormal, expiry_s);
  const runtime::Instant until = core_.runtime().now() + core_.patience();
  bool gone = co_await core_.ask(shard_, ending_of(ending, true));
  while (!gone && core_.in_cluster() && core_.runtime().now() < until && !given_up_) {
    STELE_MARK("session: a goodbye waits for its shard's next owner");
    co_await runtime::sleep(core_.runtime(), kBetweenOwners);
    gone = co_await core_.ask(shard_, ending_of(ending, true));
  }
}

ask::EndSession SessionImpl::ending_of(const SessionEnd& ending, bool wait) const {
  return {.shard = shard_,
          .tenant = options_.principal.tenant,
          .client_id = options_.client_id,
          .attachment = attachment_,
          .ending = ending,
          .wait = wait};
}

void SessionImpl::on_items(SessionMail&& mail) {
  const std::int64_t now_ms = core_.runtime().wall_now().ms;
  for (SessionItem& item : mail.items) {
    bool found = false;
    for_each_message(
        item.batch, item.address, item.address_headers_allowed,
        [&](const MessageView& message, const Bytes& owner, std::uint32_t index) {
          if (index != item.token.index) return;
          if (message.expires_at_ms && *message.expires_at_ms <= now_ms &&
              !mutant(Mutant::kExpiredDelivered)) {
            return;  // [MQTT-3.3.2-5]
          }
          found = true;
          live_.handler->on_message(Delivery{message, owner, item.qos, item.retain, item.redelivered,
                                             item.token, item.subscription_ids});
        });
    if (ended_) return;
    if (found) continue;
    // A QoS 2 message that the client may have already is not taken back.
    if (item.redelivered && item.token.packet_id != 0) {
      accept(item.token);
    } else {
      settle(item.token);
    }
  }
  for (std::uint16_t id : mail.releases) {
    if (!ended_) live_.handler->on_release(id);
  }
  for (const SessionMail::Completed& one : mail.completed) {
    if (!ended_) live_.handler->on_completed(one.packet_id, one.known);
  }
}

}  // namespace stele::broker
