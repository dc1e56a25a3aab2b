#include "broker/retained_notes.h"

#include "base/hash.h"

namespace stele::broker {

void RetainedNotes::note(const MessageView& sent) {
  const std::uint64_t address = hash64(sent.address);
  const auto [at, is_new] = latest_.try_emplace(address);
  at->second = {sent.timestamp_ms, hash64(sent.payload)};
  if (!is_new) return;
  order_.push_back(address);
  if (order_.size() > kMaxAddresses) latest_.erase(order_.take_front());
}

bool RetainedNotes::overtaken(const MessageView& retained) const {
  const auto found = latest_.find(hash64(retained.address));
  if (found == latest_.end()) return false;
  const Latest& sent = found->second;
  if (sent.timestamp_ms != retained.timestamp_ms) return sent.timestamp_ms > retained.timestamp_ms;
  return sent.payload != hash64(retained.payload);
}

}  // namespace stele::broker
