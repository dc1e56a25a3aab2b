#include "broker/peer_link.h"

#include <string>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "broker/cluster.h"
#include "broker/core.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
// Nobody is found dead by these: pings of the connection do that.
constexpr runtime::Duration kAskTimeout = 60s;  // a CONNECT waits until the one before it is gone
constexpr runtime::Duration kPublishTimeout = 30s;
constexpr runtime::Duration kForwardTimeout = 10s;
constexpr runtime::Duration kLiveTimeout = 10s;
constexpr runtime::Duration kPullTimeout = 20s;
constexpr runtime::Duration kRoutesTimeout = 5s;
// That many calls wait for what shards have for sessions here: one is filled while another is on its way.
constexpr std::uint32_t kPulls = 2;
constexpr runtime::Duration kCloseGrace = 1s;
constexpr runtime::Duration kAnnounceAgainAfter = 100ms;

Error unavailable(NodeId node, const Error& why) {
  return {ErrorCode::kUnavailable, "node " + std::to_string(node.value) + ": " + why.message};
}

// A call waits for a connection as long as for an answer. But what is for the owner of a shard, whoever that
// is, must not wait for a node that may be gone while another one takes the shard: without a connection it is
// refused, and who sends it again looks again for the owner. announce() sees to it that there is a connection
// as long as the node lives.
Error not_connected(NodeId node, const rpc::Channel& channel) {
  const auto& why = channel.last_failure();
  return unavailable(node, why ? *why : Error{ErrorCode::kUnavailable, "there is no connection yet"});
}
}  // namespace

PeerLink::PeerLink(Core& core, NodeId node, rpc::Channel& channel)
    : core_(core), node_(node), channel_(channel), numbers_(core.runtime().core().value) {
  channel_.set_on_down([this](const Error& why) {
    announced_ = false;
    announce();
    on_down(why);
  });
}

PeerLink::~PeerLink() {
  channel_.set_on_down({});
}

// ---- sessions -------------------------------------------------------------------------------------------

void PeerLink::attach(const SessionAsk& asked) {
  if (const auto* open = std::get_if<ask::OpenSession>(&asked)) {
    attached_.insert(open->attachment);
  } else if (const auto* join = std::get_if<ask::JoinShare>(&asked)) {
    attached_.insert(join->join.attachment);
  }
  while (!attached_.empty() && pulls_ < kPulls && !closed_) {
    ++pulls_;
    scope_.spawn(pull());
  }
}

Task<Result<SessionAnswer>> PeerLink::ask(SessionAsk asked) {
  if (closed_) co_return error(ErrorCode::kUnavailable, "the node stops");
  const bool asked_again =
      std::holds_alternative<ask::OpenSession>(asked) || std::holds_alternative<ask::LookForRetained>(asked);
  if (asked_again && !channel_.up()) co_return std::unexpected(not_connected(node_, channel_));
  attach(asked);
  const auto answer = co_await channel_.call(wire::kAsk, wire::encode(asked), kAskTimeout);
  if (!answer) {
    Error why = unavailable(node_, answer.error());
    if (answer.error().fate != rpc::Fate::kNotDone) why.code = ErrorCode::kTimedOut;
    co_return std::unexpected(std::move(why));
  }
  co_return wire::decode<SessionAnswer>(*answer);
}

void PeerLink::tell(SessionAsk told) {
  if (!closed_) scope_.spawn(call_and_forget(std::move(told)));
}

// If it does not arrive the connection is lost, and what it was about with it.
Task<void> PeerLink::call_and_forget(SessionAsk told) {
  (void)co_await channel_.call(wire::kAsk, wire::encode(told), kAskTimeout);
}

void PeerLink::settle(SettleMail mail) {
  settled_.push_back(mail);
  hook();
}

Task<void> PeerLink::call_settle(std::vector<SettleMail> settled) {
  const wire::Settle all{std::move(settled)};
  (void)co_await channel_.call(wire::kSettle, wire::encode(all), kAskTimeout);
}

Task<void> PeerLink::pull() {
  while (!attached_.empty() && !closed_) {
    const auto answer = co_await channel_.call(wire::kItems, {}, kPullTimeout);
    if (!answer) {
      // Something may have been on its way.
      on_down(answer.error());
      break;
    }
    auto items = wire::decode<wire::Items>(*answer);
    if (!items) {
      on_down(items.error());
      break;
    }
    deliver(*std::move(items));
  }
  --pulls_;
}

void PeerLink::deliver(wire::Items items) {
  for (wire::Items::Part& part : items.parts) {
    if (auto* mail = std::get_if<SessionMail>(&part)) {
      if (Attached* session = core_.attached(mail->attachment)) session->on_items(std::move(*mail));
    } else if (const auto* taken = std::get_if<wire::TakenOver>(&part)) {
      if (Attached* session = core_.attached(taken->attachment)) session->on_taken_over();
    } else if (const auto* lost = std::get_if<wire::SessionLost>(&part)) {
      if (Attached* session = core_.attached(lost->attachment)) session->on_session_lost(lost->why);
    }
  }
}

void PeerLink::on_down(const Error& why) {
  const std::set<std::uint64_t> attached = std::exchange(attached_, {});
  if (attached.empty()) return;
  STELE_MARK("broker: sessions lost with the connection to the node of their shard");
  const Error lost = unavailable(node_, why);
  for (const std::uint64_t attachment : attached) {
    if (Attached* session = core_.attached(attachment)) session->on_session_lost(lost);
  }
}

// ---- data -----------------------------------------------------------------------------------------------

void PeerLink::publish(DataMail mail) {
  if (closed_) {
    return core_.answer_to(mail.reply, Error{ErrorCode::kUnavailable, "the node stops"}, false);
  }
  if (!channel_.up()) return core_.answer_to(mail.reply, not_connected(node_, channel_), false);
  scope_.spawn(call_publish(std::move(mail)));
}

Task<void> PeerLink::call_publish(DataMail mail) {
  auto answer = co_await channel_.call(wire::kPublish, wire::encode(mail), kPublishTimeout);
  if (!answer) {
    const bool unknown = answer.error().fate != rpc::Fate::kNotDone;
    if (unknown) STELE_MARK("broker: whether a publish was kept on another node is unknown");
    co_return core_.answer_to(mail.reply, unavailable(node_, answer.error()), unknown);
  }
  auto told = wire::decode<DataAnswerMail>(*answer);
  if (!told) co_return core_.answer_to(mail.reply, told.error(), true);
  told->reply = mail.reply;
  core_.send(mail.reply.core, *std::move(told));
}

void PeerLink::forward(ForwardMail mail) {
  if (!closed_) scope_.spawn(call_forward(std::move(mail)));
}

Task<void> PeerLink::call_forward(ForwardMail mail) {
  Result<ForwardAnswerMail> told = std::unexpected(not_connected(node_, channel_));
  if (channel_.up()) {
    auto answer = co_await channel_.call(wire::kForward, wire::encode(mail), kForwardTimeout);
    told = answer ? wire::decode<ForwardAnswerMail>(*answer)
                  : std::unexpected(unavailable(node_, answer.error()));
  } else {
    co_await runtime::sleep(core_.runtime(),
                            runtime::Duration::zero());  // not in the call: the shard is at work
  }
  if (!told) told = ForwardAnswerMail{mail.source, mail.target, false, {}, told.error()};
  told->for_peer = false;
  core_.send(mail.reply_core, *std::move(told));
}

// ---- live copies ----------------------------------------------------------------------------------------

void PeerLink::send_live(LiveMail mail) {
  if (closed_) {
    live_dropped_ = true;
    ++core_.stats().live_lost;
    return;
  }
  live_unsent_ += mail.data.batch.size() + mail.data.address.size();
  live_counts_ = true;  // what QoS it has is in its batch
  live_.parts.emplace_back(std::move(mail));
  hook();
}

void PeerLink::send_live(TenantId tenant, std::uint64_t publisher_hash, const MessageView& message) {
  if (closed_) {
    live_dropped_ |= message.qos > 0;
    ++core_.stats().live_lost;
    return;
  }
  live_unsent_ += message.payload.size() + message.address.size();
  live_counts_ |= message.qos > 0;
  LiveBundle* last = live_.parts.empty() ? nullptr : std::get_if<LiveBundle>(&live_.parts.back());
  if (last && last->append(tenant, publisher_hash, message)) return;
  LiveBundle fresh(last ? LiveBundle::kLarge : LiveBundle::kSmall);
  STELE_ASSERT(fresh.append(tenant, publisher_hash, message));
  live_.parts.emplace_back(std::move(fresh));
  hook();
}

void PeerLink::hook() {
  if (!linked()) core_.runtime().at_turn_end(*this);
}

void PeerLink::on_turn_end() {
  if (!settled_.empty() && !closed_) scope_.spawn(call_settle(std::exchange(settled_, {})));
  flush_live();
}

void PeerLink::flush_live() {
  if (live_.parts.empty()) return;
  const std::size_t bytes = std::exchange(live_unsent_, 0);
  live_bytes_ += bytes;
  if (!behind_ && live_bytes_ >= core_.options().max_live_bytes) {
    STELE_MARK("broker: a node is behind with live copies");
    behind_ = true;
    core_.live_falls_behind();
  }
  live_.head = numbers_.next(std::exchange(live_counts_, false));
  scope_.spawn(call_live(std::exchange(live_, {}), bytes));
}

Task<void> PeerLink::call_live(wire::Live live, std::size_t bytes) {
  const std::uint64_t number = live.head.number;
  const auto answer = co_await channel_.call(wire::kLive, wire::encode(std::move(live)), kLiveTimeout);
  if (answer) {
    numbers_.on_answer(number);
  } else {
    STELE_MARK("broker: live copies for another node lost");
    ++core_.stats().live_lost;
    numbers_.on_lost(number);
    announce();
  }
  live_bytes_ -= bytes;
  if (!behind_ || live_bytes_ > core_.options().max_live_bytes / 2) co_return;
  behind_ = false;
  core_.live_catches_up();
}

bool PeerLink::lives() const {
  const auto view = core_.meta();
  const auto found = view->nodes().find(node_);
  return found != view->nodes().end() && found->second.lives;
}

void PeerLink::on_view() {
  if (!announced_ || numbers_.untold()) announce();
}

void PeerLink::announce() {
  if (announcing_ || closed_ || !lives()) return;
  announcing_ = true;
  scope_.spawn(call_announce());
}

Task<void> PeerLink::call_announce() {
  runtime::Duration pause{};  // not in the call that told of it
  while (co_await runtime::sleep(core_.runtime(), pause, scope_.token()) && !closed_ && lives()) {
    wire::Live nothing;
    nothing.head = numbers_.next(false);
    const auto answer = co_await channel_.call(wire::kLive, wire::encode(nothing), kLiveTimeout);
    pause = kAnnounceAgainAfter;
    if (!answer) continue;
    announced_ = true;
    numbers_.on_answer(nothing.head.number);
    if (!numbers_.untold()) break;
  }
  announcing_ = false;
}

Task<void> PeerLink::say_last() {
  wire::Live last;
  last.head = numbers_.next(false);
  last.head.last_of_cores = core_.core_count();
  last.head.incarnation = core_.options().incarnation.value;
  (void)co_await channel_.call(wire::kLive, wire::encode(last), kCloseGrace);
}

// ---- routes ---------------------------------------------------------------------------------------------

Task<Result<RouteBatchAnswer>> PeerLink::send_routes(const RouteBatch& batch) {
  if (closed_) co_return error(ErrorCode::kUnavailable, "the node stops");
  const auto answer = co_await channel_.call(wire::kRoutes, wire::encode(batch), kRoutesTimeout);
  if (!answer) co_return std::unexpected(unavailable(node_, answer.error()));
  co_return wire::decode<RouteBatchAnswer>(*answer);
}

// ---- the end --------------------------------------------------------------------------------------------

void PeerLink::give_up() {
  closed_ = true;
}

Task<void> PeerLink::close() {
  closed_ = true;
  flush_live();
  if (!live_dropped_ && lives()) co_await say_last();
  co_await channel_.close(kCloseGrace);
  co_await scope_.close();
}

}  // namespace stele::broker
