#include "broker/resume_points.h"

#include <algorithm>

namespace stele::broker {

void ResumePoints::note(Offset began, Offset offset, Lsn lsn) {
  if (const auto same = std::ranges::find(points_, offset, &Point::offset); same != points_.end()) {
    same->lsn = std::max(same->lsn, lsn);
    return;
  }
  auto at = std::ranges::find(points_, began, &Point::offset);
  if (began == Offset(0) || at == points_.end()) at = points_.begin() + next_++ % points_.size();
  *at = {offset, lsn};
}

Lsn ResumePoints::from(Offset offset, Lsn place) const {
  for (const Point& point : points_) {
    if (point.offset <= offset) place = std::max(place, point.lsn);
  }
  return place;
}

}  // namespace stele::broker
