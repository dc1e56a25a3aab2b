#include "protocols/amqp/unsettled.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

namespace stele::amqp {
namespace {

DeliveryToken token(std::uint64_t number) {
  DeliveryToken out;
  out.words[0] = number;
  return out;
}

std::vector<std::uint64_t> tags(const std::vector<UnsettledDelivery>& of) {
  std::vector<std::uint64_t> out;
  for (const UnsettledDelivery& delivery : of) out.push_back(delivery.tag);
  return out;
}
using Tags = std::vector<std::uint64_t>;

TEST(Unsettled, OneOrAllUpToIt) {
  Unsettled unsettled;
  for (std::uint64_t tag = 1; tag <= 6; ++tag) unsettled.add(tag, token(tag * 10), tag % 2 == 0);
  EXPECT_EQ(unsettled.of_consumers(), 3u);
  std::vector<UnsettledDelivery> out;
  EXPECT_TRUE(unsettled.take(2, false, out));
  EXPECT_EQ(out[0].token, token(20));
  EXPECT_FALSE(unsettled.take(2, false, out));
  // A tag that is not there takes nothing of what is below it.
  EXPECT_FALSE(unsettled.take(2, true, out));
  EXPECT_FALSE(unsettled.take(7, true, out));
  EXPECT_FALSE(unsettled.take(0, false, out));
  EXPECT_EQ(tags(out), (Tags{2}));
  out.clear();
  EXPECT_TRUE(unsettled.take(4, true, out));
  EXPECT_EQ(tags(out), (Tags{1, 3, 4}));
  unsettled.put_back(std::move(out));
  out = {};
  EXPECT_TRUE(unsettled.take(0, true, out));
  EXPECT_EQ(tags(out), (Tags{1, 3, 4, 5, 6}));
  EXPECT_EQ(unsettled.size(), 0u);
  EXPECT_EQ(unsettled.of_consumers(), 0u);
  EXPECT_TRUE(unsettled.take(0, true, out));  // all of nothing
}

TEST(Unsettled, IsAMap) {
  rc::check([] {
    Unsettled unsettled;
    std::map<std::uint64_t, std::pair<DeliveryToken, bool>> model;
    std::vector<UnsettledDelivery> taken;
    std::uint64_t last = 0;
    const auto steps = *rc::gen::container<std::vector<unsigned>>(600, rc::gen::inRange(0u, 1000u));
    for (const unsigned step : steps) {
      if (step < 600) {
        last += 1 + step % 2;
        unsettled.add(last, token(step), step % 3 == 0);
        model[last] = {token(step), step % 3 == 0};
      } else if (step < 990) {
        const std::uint64_t tag = last < 40 || step < 620 ? step % (last + 2) : last - step % 40;
        const bool multiple = step % 7 == 0;
        std::vector<UnsettledDelivery> out;
        const bool there = (multiple && tag == 0) || model.contains(tag);
        RC_ASSERT(unsettled.take(tag, multiple, out) == there);
        Tags expected;
        for (const auto& [key, value] : model) {
          if (there && (multiple ? tag == 0 || key <= tag : key == tag)) expected.push_back(key);
        }
        RC_ASSERT(tags(out) == expected);
        for (const UnsettledDelivery& delivery : out) {
          RC_ASSERT(model.at(delivery.tag) == std::pair(delivery.token, delivery.of_consumer));
          model.erase(delivery.tag);
        }
        taken.insert(taken.begin(), out.begin(), out.end());
      } else {
        for (const UnsettledDelivery& delivery : taken) {
          model[delivery.tag] = {delivery.token, delivery.of_consumer};
        }
        unsettled.put_back(std::exchange(taken, {}));
      }
      RC_ASSERT(unsettled.size() == model.size());
      RC_ASSERT(unsettled.of_consumers() == static_cast<std::size_t>(std::ranges::count_if(
                                                model, [](const auto& item) { return item.second.second; })));
    }
  });
}

}  // namespace
}  // namespace stele::amqp
