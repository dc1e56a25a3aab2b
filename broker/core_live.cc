// Live copies: to the subscribers of this core, and by mail to those of the others (docs/decisions/0027).
#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/marks.h"
#include "broker/core.h"
#include "broker/message_batch.h"

namespace stele::broker {

void Core::send_live(Place to, LiveMail mail) {
  if (to.here()) return send_live(to.core(), std::move(mail));
  send_live_to_node(to.node(), std::move(mail));
}

void Core::send_live(Place to, TenantId tenant, std::uint64_t publisher_hash, const MessageView& message) {
  if (to.here()) return send_live(to.core(), tenant, publisher_hash, message);
  send_live_to_node(to.node(), tenant, publisher_hash, message);
}

void Core::handle(LiveMail&& mail) {
  if (!mail.share.empty()) {
    if (!take_shared(mail)) deliver_shared(std::move(mail));
    return;
  }
  const Data& data = mail.data;
  for_each_message(data.batch, data.address, data.address_headers_allowed,
                   [&](const MessageView& message, const Bytes& owner, std::uint32_t) {
                     Route& route = routes_.route(data.tenant, message.address, live_memo_);
                     deliver_here(route, data.tenant, message, owner, data.publisher_hash);
                   });
}

void Core::handle(LiveBundle&& bundle) {
  std::move(bundle).for_each([this](TenantId tenant, std::uint64_t publisher_hash, const MessageView& message,
                                    const Bytes& owner) {
    deliver_here(routes_.route(tenant, message.address, live_memo_), tenant, message, owner, publisher_hash);
  });
}

void Core::send_live(CoreId to, LiveMail mail) {
  const std::size_t bytes = mail.data.batch.size();
  send(to, Mail(std::move(mail)));
  live_sent(to, bytes);
}

void Core::send_live(CoreId to, TenantId tenant, std::uint64_t publisher_hash, const MessageView& message) {
  if (abandoned_) return;
  std::vector<Mail>& mail = outboxes_[to.value].copies;
  LiveBundle* last = mail.empty() ? nullptr : std::get_if<LiveBundle>(&mail.back());
  const std::size_t before = last ? last->size() : 0;
  if (last && last->append(tenant, publisher_hash, message)) return live_sent(to, last->size() - before);
  LiveBundle fresh(last ? LiveBundle::kLarge : LiveBundle::kSmall);
  STELE_ASSERT(fresh.append(tenant, publisher_hash, message));
  const std::size_t bytes = fresh.size();
  send(to, Mail(std::move(fresh)));
  live_sent(to, bytes);
}

// The other core is asked to say so when it has come this far; what it answers is on its way by then.
void Core::live_sent(CoreId to, std::size_t bytes) {
  if (to == runtime_.core()) return;
  Outbox& outbox = outboxes_[to.value];
  outbox.live_bytes += bytes;
  outbox.live_unasked += bytes;
  if (outbox.live_unasked < options_.max_live_bytes / 16) return;
  const std::size_t asked = std::exchange(outbox.live_unasked, 0);
  send(to, CallMail([back = runtime_.core(), asked](Core& there) {
         there.send(back, CallMail([by = there.runtime().core(), asked](Core& here) {
                      here.live_handled(by, asked);
                    }));
       }));
  if (outbox.behind || outbox.live_bytes < options_.max_live_bytes) return;
  STELE_MARK("broker: a core is behind with live copies");
  ++stats_.live_behind;
  outbox.behind = true;
  ++live_behind_;
}

void Core::live_handled(CoreId by, std::size_t bytes) {
  Outbox& outbox = outboxes_[by.value];
  STELE_ASSERT(outbox.live_bytes >= bytes);
  outbox.live_bytes -= bytes;
  if (!outbox.behind || outbox.live_bytes > options_.max_live_bytes / 2) return;
  outbox.behind = false;
  if (--live_behind_ > 0) return;
  for (const std::uint32_t id : std::exchange(waiting_for_live_, {})) {
    const auto found = publishers_.find(id);
    if (found != publishers_.end()) found->second->on_live_ready();
  }
}

// The routes may be forgotten.
bool Core::deliver_here(Route& route, TenantId tenant, const MessageView& message, const Bytes& owner,
                        std::uint64_t publisher_hash) {
  // A copy: whoever is delivered to may leave.
  if (route.live_version == live_.version()) [[likely]] {
    matches_.assign(route.live_here.begin(), route.live_here.end());
  } else {
    matches_.clear();
    live_.match(tenant, message.address, matches_);
    routes_.keep_live(route, matches_, live_.version());
  }
  return live_.deliver(matches_, message, owner, publisher_hash);
}

bool Core::deliver_live(Route& route, TenantId tenant, const MessageView& message, const Bytes& owner,
                        std::uint64_t publisher_hash) {
  bool anybody = false;
  std::optional<Data> copy;
  const auto copied = [&]() -> const Data& {
    if (copy) return *copy;
    MessageView timed = message;
    if (timed.timestamp_ms == kNoTimestamp) timed.timestamp_ms = runtime_.wall_now().ms;
    MessageBatch batch = batch_of(timed, KeyRule{});
    copy.emplace();
    copy->tenant = tenant;
    copy->publisher_hash = publisher_hash;
    copy->address = std::move(batch.address);
    copy->batch = std::move(batch.batch);
    return *copy;
  };
  bool here = false;
  for (const Place place : route.live_places) {
    if (place == Place(runtime_.core())) {
      here = true;
      continue;
    }
    if (message.timestamp_ms != kNoTimestamp && LiveBundle::takes(message)) [[likely]] {
      send_live(place, tenant, publisher_hash, message);
    } else {
      send_live(place, LiveMail{copied()});
    }
    anybody = true;
  }
  absl::InlinedVector<Bytes, 2> shares_here;
  for (ShareRoute* share : route.shares) {
    if (!share->takes_live(message.qos)) continue;
    const Place to = share->next();
    if (to == Place(runtime_.core())) {
      shares_here.push_back(share->text());
    } else {
      send_live(to, LiveMail{copied(), share->text()});
    }
    anybody = true;
  }
  // Last: what is delivered here may change the routes.
  if (here) anybody |= deliver_here(route, tenant, message, owner, publisher_hash);
  for (const Bytes& share : shares_here) {
    if (live_.deliver_shared(tenant, share, message, owner, copy ? &*copy : nullptr)) continue;
    deliver_shared(LiveMail{copied(), share});
  }
  return anybody;
}

// True if a member of this core has it.
bool Core::take_shared(const LiveMail& mail) {
  bool taken = false;
  for_each_message(mail.data.batch, mail.data.address, false,
                   [&](const MessageView& message, const Bytes& owner, std::uint32_t) {
                     taken = live_.deliver_shared(mail.data.tenant, mail.share, message, owner, &mail.data);
                   });
  return taken;
}

// The routes may tell of a member that has just gone.
void Core::deliver_shared(LiveMail mail) {
  if (abandoned_) return;
  constexpr std::uint32_t kTries = 8;
  while (mail.tries++ < kTries) {
    ShareRoute* share = routes_.share(mail.data.tenant, mail.share);
    if (!share || share->members() == 0) break;
    const Place to = share->next();
    if (to != Place(runtime_.core())) return send_live(to, std::move(mail));
    if (take_shared(mail)) return;
  }
  STELE_MARK("broker: no member of a shared subscription is left");
  ++stats_.shared_without_member;
}

void Core::deliver_shared_of_batch(const Data& data) {
  if (!routes_.any_share(data.tenant)) return;
  for_each_message(data.batch, data.address, data.address_headers_allowed,
                   [&](const MessageView& message, const Bytes&, std::uint32_t) {
                     absl::InlinedVector<Bytes, 2> shares;
                     for (const ShareRoute* share : routes_.route(data.tenant, message.address).shares) {
                       if (share->takes_live(message.qos)) shares.push_back(share->text());
                     }
                     if (shares.empty()) return;
                     MessageBatch one = batch_of(message, KeyRule{});
                     Data copy;
                     copy.tenant = data.tenant;
                     copy.address = std::move(one.address);
                     copy.batch = std::move(one.batch);
                     for (const Bytes& share : shares) deliver_shared(LiveMail{copy, share});
                   });
}

void Core::deliver_live(const Data& data, std::span<const Bytes> shares) {
  if (data.kafka_batch) {
    deliver_shared_of_batch(data);
  } else {
    for (const Bytes& share : shares) deliver_shared(LiveMail{data, share});
  }
  if (!routes_.any_live_interest(data.tenant)) return;
  if (data.kafka_batch) {
    // Its records may go to different addresses; each core looks for itself.
    for (const Place place : routes_.live_places(data.tenant)) send_live(place, LiveMail{data});
    return;
  }
  const Route& route = routes_.route(data.tenant, data.address);
  const absl::InlinedVector<Place, 4> places = route.live_places;
  for (const Place place : places) send_live(place, LiveMail{data});
}

bool Core::any_live(const Data& data) {
  if (!routes_.any_live_interest(data.tenant)) return false;
  return data.kafka_batch || !routes_.route(data.tenant, data.address).live_places.empty();
}

}  // namespace stele::broker
