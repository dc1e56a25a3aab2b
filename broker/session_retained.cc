// Retained messages for a session's new subscriptions.
//
// There may be any number of them, so they come a page at a time. Those that a session which outlives its
// connection gets with QoS > 0 go into its queue before the subscription is answered, so that a crash costs
// none of them. All others follow the answer, as far as the client has room for them; meanwhile live copies
// go their own way, and are noted: a retained message that one of them has overtaken is left out.
#include <algorithm>
#include <deque>
#include <utility>

#include "base/marks.h"
#include "broker/core.h"
#include "broker/message_batch.h"
#include "broker/session.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;

// Goes through the cores and nodes that may keep some. Its page is used up before the next is asked for.
class SessionImpl::RetainedLookUp {
 public:
  RetainedLookUp(Core& core, TenantId tenant, SubscribeRequest of, RetainedAsk::Which which)
      : request(std::move(of)), core_(core) {
    ask_.ask.tenant = tenant;
    ask_.ask.filter = request.filter;
    ask_.ask.which = which;
    const std::uint32_t count = core.routes().shard_count();
    const bool exact = request.filter.find_first_of("+#") == std::string::npos;
    if (exact) {
      shards_.push_back(shard_of(tenant, request.filter, count));
    } else {
      for (std::uint32_t id = 0; id < count; ++id) shards_.push_back(ShardId(id));
    }
  }

  bool exhausted() const { return shards_.empty() && !more_; }
  Task<Result<void>> look_up() {
    if (std::exchange(more_, false)) {
      // A core has other things to do.
      co_await runtime::sleep(core_.runtime(), runtime::Duration::zero());
    } else {
      next_place();
    }
    const runtime::Instant until = core_.runtime().now() + core_.patience();
    auto answer = co_await core_.ask(ask_.shards.front(), ask_);
    while (!answer && answer.error().code == ErrorCode::kUnavailable && core_.runtime().now() < until) {
      STELE_MARK("session: retained messages wait for a shard's next owner");
      co_await runtime::sleep(core_.runtime(), kBetweenOwners);
      go_on_where_they_are();
      answer = co_await core_.ask(ask_.shards.front(), ask_);
    }
    STELE_CO_TRY(RetainedPage found, std::move(answer));
    more_ = found.more;
    ask_.ask.from = std::move(found.next);
    page = std::move(found.messages);
    std::ranges::sort(page, {}, [](const RetainedMessage& one) { return one.address.view(); });
    used = 0;
    co_return Result<void>();
  }

  const SubscribeRequest request;
  std::vector<RetainedMessage> page;
  std::size_t used = 0;  // of the page

 private:
  static constexpr runtime::Duration kBetweenOwners = std::chrono::milliseconds(50);
  // Those that are owned where the first one is that is left.
  void next_place() {
    ask_.shards.clear();
    ask_.ask.from = {};
    take_from(std::exchange(shards_, {}));
  }
  void take_from(const std::vector<ShardId>& left) {
    const std::optional<Place> place = core_.place_of(left.front());
    for (const ShardId shard : left) {
      (core_.place_of(shard) == place ? ask_.shards : shards_).push_back(shard);
    }
  }
  // They may be owned elsewhere by now. Those before the place where it stands are done with.
  void go_on_where_they_are() {
    std::vector<ShardId> left = std::exchange(ask_.shards, {});
    std::erase_if(left, [this](ShardId shard) { return shard < ask_.ask.from.shard; });
    take_from(left);
  }

  Core& core_;
  ask::LookForRetained ask_;
  std::vector<ShardId> shards_;  // not asked yet
  bool more_ = false;
};

// Outlives the session where a page is being looked up.
struct SessionImpl::Giving {
  SessionImpl* session = nullptr;  // null: it has ended
  std::deque<std::shared_ptr<RetainedLookUp>> look_ups;
  bool runs = false;
};

// [MQTT-3.3.1-9] … [MQTT-3.3.1-11]; none for shared subscriptions: section 4.8.2.
std::vector<SubscribeRequest> SessionImpl::that_look_up(const std::vector<SubscribeRequest>& allowed) const {
  std::vector<SubscribeRequest> found;
  for (auto at = allowed.begin(); at != allowed.end(); ++at) {
    if (is_shared(at->filter) || at->retain_handling > 1) continue;
    const bool is_new = !filters_.contains(at->filter) &&
                        std::find_if(allowed.begin(), at, [&](const SubscribeRequest& before) {
                          return before.filter == at->filter;
                        }) == at;
    if (at->retain_handling == 0 || is_new) found.push_back(*at);
  }
  return found;
}

Task<Result<void>> SessionImpl::queue_retained(std::vector<SubscribeRequest> requests) {
  for (const SubscribeRequest& request : requests) {
    if (!may_queue_retained(request)) continue;
    RetainedLookUp look_up(core_, options_.principal.tenant, request, RetainedAsk::Which::kQueued);
    while (!look_up.exhausted()) {
      if (ended_ || given_up_) co_return error(ErrorCode::kCancelled, "the client is gone");
      STELE_CO_CHECK(co_await look_up.look_up());
      if (look_up.page.empty()) continue;
      STELE_CO_CHECK(co_await core_.ask(
          shard_, ask::QueueRetained{shard_, attachment_, std::move(look_up.page), request}));
    }
  }
  co_return Result<void>();
}

void SessionImpl::look_up_later(const SubscribeRequest& request) {
  forget_look_up(request.filter);
  if (!giving_) {
    giving_ = std::make_shared<Giving>();
    giving_->session = this;
    live_.begin_noting();
  }
  const bool queued = live_.durable && request.qos > 0;
  const auto which = queued ? RetainedAsk::Which::kUnqueued : RetainedAsk::Which::kAll;
  giving_->look_ups.push_back(
      std::make_shared<RetainedLookUp>(core_, options_.principal.tenant, request, which));
}

void SessionImpl::forget_look_up(std::string_view filter) {
  std::erase_if(to_look_up_, [&](const SubscribeRequest& one) { return one.filter == filter; });
  if (!giving_) return;
  const auto forgotten = std::erase_if(
      giving_->look_ups, [&](const auto& look_up) { return look_up->request.filter == filter; });
  if (forgotten > 0) STELE_MARK("session: retained messages end before all are given");
}

Task<void> SessionImpl::give_retained() {
  if (live_.durable && !ended_) {
    core_.tell(shard_, ask::FinishRetained{shard_, attachment_});
  }
  live_.promise();
  for (const SubscribeRequest& request : std::exchange(to_look_up_, {})) look_up_later(request);
  start_shares();
  if (giving_ && !giving_->runs) co_await give(giving_);
  if (!ended_) core_.live().release(live_);
}

void SessionImpl::go_on() {
  if (giving_ && !giving_->runs) core_.scope().spawn(give(giving_));
}

// Ends when all is given, or when the client has no room: go_on() begins again.
Task<void> SessionImpl::give(std::shared_ptr<Giving> giving) {
  giving->runs = true;
  while (giving->session && !giving->look_ups.empty()) {
    SessionImpl& session = *giving->session;
    const std::shared_ptr<RetainedLookUp> look_up = giving->look_ups.front();
    const bool all = session.give_page(*look_up);
    if (!giving->session) co_return;
    if (all && look_up->exhausted()) {
      std::erase(giving->look_ups, look_up);
      continue;
    }
    if (!all || !session.live_.handler->has_room(0)) {
      STELE_MARK("session: retained messages wait for the client");
      giving->runs = false;
      session.live_.handler->call_when_room();
      co_return;
    }
    const auto found = co_await look_up->look_up();
    if (!giving->session) co_return;
    // Live copies come behind what is retained, but not at the price of losing some.
    constexpr std::size_t kManyHeld = 256, kManyHeldBytes = 256 << 10;
    if (session.live_.held.size() >= kManyHeld || session.live_.held_bytes >= kManyHeldBytes)
      session.core_.live().release(session.live_);
    if (!found) {
      // It is subscribed, but what it should be given first is not known: it has to begin again.
      STELE_MARK("session: retained messages cannot be looked up");
      session.live_.handler->on_session_lost(found.error());
      break;
    }
  }
  giving->runs = false;
  if (giving->session) giving->session->end_giving();
}

// False: there is no room for the rest.
bool SessionImpl::give_page(RetainedLookUp& look_up) {
  while (look_up.used < look_up.page.size()) {
    if (!give_one(look_up.page[look_up.used], look_up.request)) return false;
    if (ended_) return true;
    ++look_up.used;
  }
  look_up.page.clear();
  look_up.used = 0;
  return true;
}

bool SessionImpl::give_one(const RetainedMessage& found, const SubscribeRequest& request) {
  const std::uint8_t qos = std::min(found.qos, request.qos);
  if (!live_.handler->has_room(qos)) return false;
  const std::int64_t now_ms = core_.runtime().wall_now().ms;
  for_each_message(found.batch, found.address, false,
                   [&](const MessageView& message, const Bytes& owner, std::uint32_t) {
                     if (message.expires_at_ms && *message.expires_at_ms <= now_ms) return;
                     if (live_.notes->overtaken(message)) {
                       STELE_MARK("session: a retained message left out, a newer one was sent");
                       return;
                     }
                     const std::uint32_t id = request.subscription_id;
                     live_.handler->on_message(
                         Delivery{message, owner, qos, true, false, {}, std::span(&id, id != 0 ? 1u : 0u)});
                   });
  return true;
}

void SessionImpl::end_giving() {
  if (!giving_) return;
  giving_->session = nullptr;
  giving_.reset();
  live_.end_noting();
}

}  // namespace stele::broker
