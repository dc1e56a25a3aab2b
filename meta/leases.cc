#include "meta/leases.h"

#include <algorithm>

namespace stele::meta {

LeaseTable::Renewal LeaseTable::renew(const MetaView& view, NodeId node, Incarnation incarnation,
                                      runtime::Instant asked, runtime::Instant now) {
  const auto known = view.nodes().find(node);
  if (known == view.nodes().end() || known->second.incarnation != incarnation || !known->second.lives)
    return Renewal::kEnded;
  if (over(known->second, now)) return Renewal::kTooLate;
  heard_[node] = {.incarnation = incarnation, .at = asked};
  return Renewal::kGranted;
}

bool LeaseTable::over(const Node& node, runtime::Instant now) {
  const auto [heard, fresh] = heard_.try_emplace(node.id, Heard{.incarnation = node.incarnation, .at = now});
  if (!fresh && heard->second.incarnation != node.incarnation)
    heard->second = {.incarnation = node.incarnation, .at = now};
  return now - heard->second.at >= options_.expiry;
}

std::vector<std::pair<NodeId, Incarnation>> LeaseTable::expired(const MetaView& view, runtime::Instant now) {
  std::vector<std::pair<NodeId, Incarnation>> out;
  for (const auto& [id, node] : view.nodes()) {
    if (node.lives && over(node, now)) out.emplace_back(id, node.incarnation);
  }
  return out;
}

void OwnLease::granted(runtime::Instant asked) {
  asked_ = asked_ ? std::max(*asked_, asked) : asked;
}

std::optional<runtime::Instant> OwnLease::until() const {
  if (!asked_) return std::nullopt;
  return *asked_ + options_.expiry - options_.expiry / options_.drift;
}

}  // namespace stele::meta
