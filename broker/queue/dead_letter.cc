#include "broker/queue/dead_letter.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace stele::broker::queue {

std::string_view reason_text(Why why) {
  switch (why) {
    case Why::kExpired:
      return "expired";
    case Why::kRejected:
      return "rejected";
    case Why::kMaxLength:
      return "maxlen";
    case Why::kDeliveryLimit:
      return "delivery_limit";
    case Why::kSettled:
    case Why::kPurged:
      break;
  }
  STELE_ASSERT(is_death(why));
  return {};
}

namespace {

bool same_kind(const Death& a, const Death& b) {
  return !a.foreign && !b.foreign && a.queue == b.queue && a.reason == b.reason;
}

// Entries of old versions were one for each death: those of a kind become their first, with their number.
// RabbitMQ turns the order round when it does so; that order is nothing to rely on, and is left.
std::vector<Death> grouped(const std::vector<Death>& deaths) {
  std::vector<Death> groups;
  for (const Death& one : deaths) {
    const bool seen = std::ranges::any_of(groups, [&](const Death& other) { return same_kind(one, other); });
    if (seen) continue;
    groups.push_back(one);
    if (one.foreign || one.count) continue;
    groups.back().count =
        std::ranges::count_if(deaths, [&](const Death& other) { return same_kind(one, other); });
  }
  return groups;
}

}  // namespace

Burial bury(const DeathHeaders& before, const Dying& dying, std::optional<std::string_view> dead_letter_key) {
  Burial burial;
  Death death;
  death.queue = dying.queue;
  death.reason = reason_text(dying.why);
  death.exchange = dying.exchange;
  death.routing_keys.emplace_back(dying.routing_key);
  death.routing_keys.insert(death.routing_keys.end(), dying.cc.begin(), dying.cc.end());
  death.time_s = dying.now.ms / 1000;
  death.count = 1;
  if (dying.expiration) death.original_expiration = *dying.expiration;

  const DeathMark mark{death.reason, death.queue, death.exchange};
  DeathHeaders& after = burial.headers;
  after.x_death = DeathHeaders::XDeath::kArray;
  after.first = before.first;
  after.last = mark;
  if (before.x_death == DeathHeaders::XDeath::kNone) after.first = mark;
  // A header of another type, written by a client, is replaced.
  if (before.x_death == DeathHeaders::XDeath::kArray) after.deaths = grouped(before.deaths);
  const auto same =
      std::ranges::find_if(after.deaths, [&](const Death& other) { return same_kind(death, other); });
  if (same != after.deaths.end()) {
    Death again = std::move(*same);
    after.deaths.erase(same);
    if (*again.count < INT64_MAX) ++*again.count;
    after.deaths.insert(after.deaths.begin(), std::move(again));
  } else {
    after.deaths.insert(after.deaths.begin(), death);
  }

  if (dead_letter_key) {
    burial.routing_keys.emplace_back(*dead_letter_key);
    burial.drop_cc = true;
  } else {
    burial.routing_keys = std::move(death.routing_keys);
    burial.routing_keys.insert(burial.routing_keys.end(), dying.bcc.begin(), dying.bcc.end());
  }
  return burial;
}

bool is_death_cycle(std::span<const Death> deaths, Why why, std::string_view queue) {
  if (why == Why::kRejected) return false;
  for (const Death& death : deaths) {
    // What a client has put there was no automatic way round.
    if (death.foreign || death.reason == reason_text(Why::kRejected)) return false;
    if (death.queue == queue) return true;
  }
  return false;
}

}  // namespace stele::broker::queue
