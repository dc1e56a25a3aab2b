#include "sim/workloads/ledger.h"

#include <charconv>

#include "base/assert.h"

namespace stele::sim {

std::string MessageId::text() const {
  return std::to_string(publisher) + ":" + std::to_string(address) + ":" + std::to_string(sequence);
}

std::optional<MessageId> MessageId::parse(std::string_view payload) {
  MessageId id;
  const char* at = payload.data();
  const char* end = at + payload.size();
  const auto number = [&](auto& to, char after) {
    auto [next, failure] = std::from_chars(at, end, to);
    if (failure != std::errc() || (after != 0 && (next == end || *next != after))) return false;
    at = next + (after != 0 ? 1 : 0);
    return true;
  };
  // Padding may follow a space.
  if (!number(id.publisher, ':') || !number(id.address, ':') || !number(id.sequence, 0)) return std::nullopt;
  if (at != end && *at != ' ') return std::nullopt;
  return id;
}

bool MessageSet::insert(const MessageId& id) {
  constexpr std::uint64_t kMost = 1 << 24;  // more are not sent in any run
  STELE_ASSERT(id.sequence < kMost);
  std::vector<bool>& there = by_address_[{id.publisher, id.address}];
  if (there.size() <= id.sequence) there.resize(id.sequence + 1);
  if (there[id.sequence]) return false;
  there[id.sequence] = true;
  ++size_;
  return true;
}

bool MessageSet::contains(const MessageId& id) const {
  const auto found = by_address_.find({id.publisher, id.address});
  return found != by_address_.end() && id.sequence < found->second.size() && found->second[id.sequence];
}

void Ledger::acknowledged(const MessageId& id) {
  ++operations_;
  if (!is_committed(id)) {
    judge_.fail("message " + id.text() + " was acknowledged before it was committed");
  }
  acknowledged_.insert(id);
}

bool Ledger::may_see(const std::string& who, const MessageId& id) {
  const char* wrong = nullptr;
  if (!sent_.contains(id)) {
    wrong = ", which nobody sent";
  } else if (!is_committed(id)) {
    wrong = " before it was committed";
  } else if (apart_ && (id.publisher == apart_->first) != who.starts_with(apart_->second)) {
    wrong = ", which is of another tenant";
  }
  if (wrong != nullptr) judge_.fail(who + " received message " + id.text() + wrong);
  return wrong == nullptr;
}

// Receivers of live copies are those called so, and those of what has QoS 0.
bool Ledger::may_be_passed(const std::string& who, const MessageId& id) const {
  if (!owner_has_changed_since || !(who.starts_with("live") || who.ends_with("(QoS 0)"))) return false;
  const auto at = sent_at_.find(id);
  return at != sent_at_.end() && owner_has_changed_since(at->second);
}

void Ledger::received(const std::string& who, const MessageId& id, bool duplicate_allowed, bool gaps) {
  ++operations_;
  if (!may_see(who, id)) return;
  Receiver& receiver = receivers_[who];
  if (!receiver.seen.insert(id)) {
    if (!duplicate_allowed)
      judge_.fail(who + " received message " + id.text() + " twice, not marked as such");
    return;
  }
  const auto qos = qos_.find(id);
  std::uint64_t& highest =
      receiver.highest[{id.publisher, id.address, qos == qos_.end() ? std::uint8_t(0) : qos->second}];
  if (id.sequence < highest) {
    if ((gaps && sent_again_.contains(id)) || refused_.contains(id) || may_be_passed(who, id)) return;
    return judge_.fail(who + " received message " + id.text() + " for the first time after message " +
                       std::to_string(highest - 1) + " of the same publisher and address");
  }
  highest = id.sequence + 1;
}

void Ledger::received_unordered(const std::string& who, const MessageId& id) {
  ++operations_;
  if (!may_see(who, id)) return;
  receivers_[who].seen.insert(id);
}

bool Ledger::has_received(const std::string& who, const MessageId& id) const {
  auto found = receivers_.find(who);
  return found != receivers_.end() && found->second.seen.contains(id);
}

std::size_t Ledger::received_count(const std::string& who) const {
  auto found = receivers_.find(who);
  return found == receivers_.end() ? 0 : found->second.seen.size();
}

std::vector<MessageId> Ledger::missing(const std::string& who, const std::set<MessageId>& expected) const {
  std::vector<MessageId> out;
  for (const MessageId& id : expected) {
    if (!has_received(who, id)) out.push_back(id);
  }
  return out;
}

}  // namespace stele::sim
