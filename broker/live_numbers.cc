#include "broker/live_numbers.h"

#include <utility>

namespace stele::broker {

LiveHead LiveNumbers::next(bool counts) {
  LiveHead head;
  head.core = core_;
  head.number = ++last_;
  head.after = last_counted_;
  head.unsettled = !open_.empty();
  if (counts) {
    last_counted_ = head.number;
    open_.insert(head.number);
  }
  return head;
}

// Whoever took it knew, by its head, what was missing before it.
void LiveNumbers::on_answer(std::uint64_t number) {
  open_.erase(number);
  while (!lost_.empty() && *lost_.begin() <= number) {
    open_.erase(*lost_.begin());
    lost_.erase(lost_.begin());
  }
}

void LiveNumbers::on_lost(std::uint64_t number) {
  if (open_.contains(number)) lost_.insert(number);
}

void LiveArrivals::meet(std::uint64_t process) {
  if (std::exchange(process_, process) != process) last_ = 0;
}

LiveArrivals::What LiveArrivals::take(std::uint64_t process, const LiveHead& head) {
  meet(process);
  if (head.number <= last_) return What::kLate;
  const bool gap = head.unsettled && head.after > last_;
  last_ = head.number;
  return gap ? What::kGap : What::kNext;
}

bool LiveArrivals::pass(std::uint64_t process, std::uint64_t number) {
  meet(process);
  if (number <= last_) return false;
  last_ = number;
  return true;
}

}  // namespace stele::broker
