// Which segments a node may begin to store for owners on other nodes.
//
// A replica that has removed a segment has forgotten its fence. An owner that stood still all the while and
// now sends the first entry of that segment would be served as if it were new, by all replicas, and told that
// its entries are stored, in a segment that no chain has. So a segment that is not known here is taken on
// only if it cannot be an old one:
//
//   - the chains had it when this process began, and it was not removed since; or
//   - it is younger than every segment there was then. In each chain the last segment is its youngest, and
//   the
//     last never leaves the chain; so what is in no chain and was given its id before is gone for good.
//
// Pure.
#pragma once

#include <set>
#include <utility>

#include "model/ids.h"

namespace stele::journal {

class SegmentAdmission {
 public:
  // All segments that any chain has, as of one moment.
  explicit SegmentAdmission(std::set<SegmentId> chained)
      : chained_(std::move(chained)), youngest_(chained_.empty() ? SegmentId(0) : *chained_.rbegin()) {}

  bool may_begin(SegmentId segment) const {
    return !removed_.contains(segment) && (segment > youngest_ || chained_.contains(segment));
  }
  // Eight bytes and a little for each segment that is removed while the process lives.
  void removed(SegmentId segment) {
    if (!chained_.erase(segment)) removed_.insert(segment);
  }

 private:
  std::set<SegmentId> chained_;
  SegmentId youngest_;
  std::set<SegmentId> removed_;  // of the younger ones
};

}  // namespace stele::journal
