// Leases: who of the nodes is there, as the leader of the meta group knows it, and whether a node may still
// take itself to be one, as it knows itself. Pure; the caller brings the time.
//
// A node tells the leader of its incarnation every so often. One that has not been heard of for `expiry` is
// ended (EndIncarnation), and what it owned goes to others. The node counts from when it asked, not from when
// it was answered, and stops earlier by what clocks may differ in their speed: so it knows of its end before
// anybody acts on it. Nothing that is committed depends on this, only that what is acknowledged was routed by
// somebody who is still asked: epochs fence.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "meta/types.h"
#include "model/ids.h"
#include "runtime/time.h"

namespace stele::meta {

struct LeaseOptions {
  runtime::Duration expiry = std::chrono::seconds(3);
  // A node's clock may run slower than the leader's by one part in so many.
  std::uint32_t drift = 100;
};

// The leader's side. An incarnation has a whole lease from when this leader first sees it: it knows nothing
// of what an earlier leader heard.
class LeaseTable {
 public:
  explicit LeaseTable(LeaseOptions options) : options_(options) {}

  // Everybody is seen anew.
  void begin() { heard_.clear(); }
  // kEnded: that incarnation is not the node's present one, or has ended; it must register anew. kTooLate:
  // its lease is over, and it is about to be ended.
  enum class Renewal { kGranted, kTooLate, kEnded };
  // It counts from `asked`.
  Renewal renew(const MetaView& view, NodeId node, Incarnation incarnation, runtime::Instant asked,
                runtime::Instant now);
  // Those that live by the view, and whose lease is over.
  std::vector<std::pair<NodeId, Incarnation>> expired(const MetaView& view, runtime::Instant now);

 private:
  struct Heard {
    Incarnation incarnation;
    runtime::Instant at;
  };
  bool over(const Node& node, runtime::Instant now);

  const LeaseOptions options_;
  std::map<NodeId, Heard> heard_;
};

// A node's own side.
class OwnLease {
 public:
  explicit OwnLease(LeaseOptions options) : options_(options) {}

  // A renewal that was asked for at `asked` was granted. Older ones change nothing.
  void granted(runtime::Instant asked);
  // It was refused: the incarnation has ended.
  void ended() { asked_ = std::nullopt; }
  // None: it never began, or has ended.
  std::optional<runtime::Instant> until() const;
  bool holds(runtime::Instant now) const { return until() && now < *until(); }

 private:
  const LeaseOptions options_;
  std::optional<runtime::Instant> asked_;
};

}  // namespace stele::meta
