#include "protocols/amqp/unsettled.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace stele::amqp {

namespace {

constexpr std::size_t kWorthTidying = 128;

}  // namespace

void Unsettled::add(std::uint64_t tag, const DeliveryToken& token, bool of_consumer) {
  STELE_ASSERT(items_.size() == head_ || items_.back().tag < tag);
  items_.push_back({tag, token, of_consumer, false});
  if (of_consumer) ++of_consumers_;
}

bool Unsettled::take(std::uint64_t tag, bool multiple, std::vector<UnsettledDelivery>& out) {
  const auto begin = items_.begin() + static_cast<std::ptrdiff_t>(head_);
  auto last = items_.end();
  if (tag != 0 || !multiple) {
    last = std::ranges::lower_bound(begin, items_.end(), tag, {}, &UnsettledDelivery::tag);
    if (last == items_.end() || last->tag != tag || last->gone) return false;
    if (!multiple) {
      out.push_back(*last);
      forget(static_cast<std::size_t>(last - items_.begin()));
      tidy();
      return true;
    }
    ++last;
  }
  for (auto it = begin; it != last; ++it) {
    if (!it->gone) out.push_back(*it);
    if (!it->gone) forget(static_cast<std::size_t>(it - items_.begin()));
  }
  tidy();
  return true;
}

void Unsettled::forget(std::size_t at) {
  UnsettledDelivery& item = items_[at];
  STELE_ASSERT(!item.gone);
  item.gone = true;
  ++gone_;
  if (item.of_consumer) --of_consumers_;
}

// Drops what is gone at both ends, and everywhere once that is more than half: constant time for each.
void Unsettled::tidy() {
  while (head_ < items_.size() && items_[head_].gone) ++head_, --gone_;
  while (items_.size() > head_ && items_.back().gone) items_.pop_back(), --gone_;
  if (head_ == items_.size()) {
    items_.clear();
    head_ = 0;
    if (items_.capacity() > kWorthTidying) items_.shrink_to_fit();
    return;
  }
  if (head_ + gone_ < kWorthTidying || (head_ + gone_) * 2 < items_.size()) return;
  std::erase_if(items_, [](const UnsettledDelivery& item) { return item.gone; });
  head_ = gone_ = 0;
  if (items_.capacity() > 4 * items_.size()) items_.shrink_to_fit();
}

void Unsettled::put_back(std::vector<UnsettledDelivery> items) {
  for (UnsettledDelivery& item : items) {
    item.gone = false;
    if (item.of_consumer) ++of_consumers_;
  }
  std::erase_if(items_, [](const UnsettledDelivery& item) { return item.gone; });
  head_ = gone_ = 0;
  items_.insert(items_.end(), items.begin(), items.end());
  std::ranges::sort(items_, {}, &UnsettledDelivery::tag);
}

}  // namespace stele::amqp
