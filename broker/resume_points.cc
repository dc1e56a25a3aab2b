#include "broker/resume_points.h"

#include <algorithm>
#include <utility>

namespace stele::broker {

void ResumePoints::note(Offset offset, Lsn lsn) {
  const auto known = std::ranges::find(points_, offset, &Point::offset);
  Point& oldest = points_[next_++ % points_.size()];
  if (known == points_.end()) {
    oldest = {offset, lsn};
    return;
  }
  // What is noted again is as new as any: the next note does not replace it.
  known->lsn = std::max(known->lsn, lsn);
  std::swap(*known, oldest);
}

Lsn ResumePoints::from(Offset offset, Lsn place) const {
  for (const Point& point : points_) {
    if (point.offset <= offset) place = std::max(place, point.lsn);
  }
  return place;
}

}  // namespace stele::broker
