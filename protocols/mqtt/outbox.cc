#include "protocols/mqtt/outbox.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace stele::mqtt {

std::uint16_t Outbox::send(broker::SettleToken token) {
  STELE_ASSERT(has_room());
  do {
    ++last_id_;
  } while (last_id_ == 0 || in_flight_.contains(last_id_));
  in_flight_.emplace(last_id_, token);
  return last_id_;
}

std::optional<broker::SettleToken> Outbox::acknowledge(std::uint16_t packet_id) {
  auto found = in_flight_.find(packet_id);
  if (found == in_flight_.end()) return std::nullopt;
  const broker::SettleToken token = found->second;
  in_flight_.erase(found);
  constexpr std::size_t kKeptWhenIdle = 64;
  if (in_flight_.empty() && in_flight_.capacity() > kKeptWhenIdle && waiting_.empty()) in_flight_ = {};
  return token;
}

std::size_t Outbox::push(Waiting message) {
  waiting_bytes_ += message.size();
  if (!message.token.durable) {
    ++live_;
    live_bytes_ += message.size();
  }
  waiting_.push_back(std::move(message));
  std::size_t dropped = 0;
  while (full()) {
    auto oldest = std::ranges::find_if(waiting_, [](const Waiting& w) { return !w.token.durable; });
    STELE_ASSERT(oldest != waiting_.end());
    forget(*oldest);
    waiting_.erase(oldest);
    ++dropped;
  }
  return dropped;
}

Outbox::Waiting Outbox::pop() {
  STELE_ASSERT(!waiting_.empty());
  Waiting message = std::move(waiting_.front());
  waiting_.pop_front();
  forget(message);
  return message;
}

void Outbox::forget(const Waiting& message) {
  STELE_ASSERT(waiting_bytes_ >= message.size());
  waiting_bytes_ -= message.size();
  if (message.token.durable) return;
  STELE_ASSERT(live_ > 0 && live_bytes_ >= message.size());
  --live_;
  live_bytes_ -= message.size();
}

}  // namespace stele::mqtt
