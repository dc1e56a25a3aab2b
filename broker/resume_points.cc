#include "broker/resume_points.h"

#include <algorithm>

namespace stele::broker {

void ResumePoints::note(Offset offset, Lsn lsn) {
  for (Point& point : points_) {
    if (point.offset != offset) continue;
    point.lsn = std::max(point.lsn, lsn);
    return;
  }
  points_[next_++ % points_.size()] = {offset, lsn};
}

Lsn ResumePoints::from(Offset offset, Lsn place) const {
  for (const Point& point : points_) {
    if (point.offset <= offset) place = std::max(place, point.lsn);
  }
  return place;
}

}  // namespace stele::broker
