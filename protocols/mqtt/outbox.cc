#include "protocols/mqtt/outbox.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace stele::mqtt {

std::uint16_t Outbox::send(broker::SettleToken token, bool exactly_once) {
  STELE_ASSERT(has_room());
  if (token.packet_id != 0) {
    STELE_ASSERT(exactly_once && token.packet_id > limits_.highest_id);
    in_flight_[token.packet_id] = {token, true};
    return token.packet_id;
  }
  do {
    last_id_ = last_id_ == limits_.highest_id ? 1 : static_cast<std::uint16_t>(last_id_ + 1);
  } while (in_flight_.contains(last_id_));
  in_flight_.emplace(last_id_, InFlight{token, exactly_once});
  return last_id_;
}

Outbox::InFlight* Outbox::find_exactly_once(std::uint16_t packet_id) {
  auto found = in_flight_.find(packet_id);
  return found != in_flight_.end() && found->second.exactly_once ? &found->second : nullptr;
}

void Outbox::release(std::uint16_t packet_id) {
  InFlight& released = in_flight_[packet_id];
  if (!released.exactly_once) {  // it is of an earlier connection
    released = {.token = {.lsn = {}, .durable = true, .packet_id = packet_id}, .exactly_once = true};
  }
  released.stage = Stage::kReleased;
}

std::optional<broker::SettleToken> Outbox::acknowledge(std::uint16_t packet_id) {
  auto found = in_flight_.find(packet_id);
  if (found == in_flight_.end() || found->second.exactly_once) return std::nullopt;
  const broker::SettleToken token = found->second.token;
  erase(packet_id);
  return token;
}

void Outbox::erase(std::uint16_t packet_id) {
  in_flight_.erase(packet_id);
  constexpr std::size_t kKeptWhenIdle = 64;
  if (in_flight_.empty() && in_flight_.capacity() > kKeptWhenIdle && waiting_.empty()) in_flight_ = {};
}

std::vector<broker::SettleToken> Outbox::push(Waiting message) {
  waiting_bytes_ += message.size();
  if (!message.token.durable) {
    ++live_;
    live_bytes_ += message.size();
  }
  waiting_.push_back(std::move(message));
  std::vector<broker::SettleToken> dropped;
  while (full()) {
    auto oldest = std::ranges::find_if(waiting_, [](const Waiting& w) { return !w.token.durable; });
    STELE_ASSERT(oldest != waiting_.end());
    dropped.push_back(oldest->token);
    forget(*oldest);
    waiting_.erase(static_cast<std::size_t>(oldest - waiting_.begin()));
  }
  return dropped;
}

Outbox::Waiting Outbox::pop() {
  STELE_ASSERT(!waiting_.empty());
  Waiting message = waiting_.take_front();
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
