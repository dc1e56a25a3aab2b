#include "model/filter.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace stele {
namespace {

using Words = std::vector<std::string>;

// Section 4.7 once more, word by word and without thought.
bool matches(const Words& filter, std::size_t f, const Words& address, std::size_t a) {
  if (f == filter.size()) return a == address.size();
  if (f == 0 && (filter[0] == "+" || filter[0] == "#") && address[0].starts_with('$')) return false;
  if (filter[f] == "#") return true;
  if (a == address.size()) return false;
  return (filter[f] == "+" || filter[f] == address[a]) && matches(filter, f + 1, address, a + 1);
}

std::string join(const Words& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) out += (i ? "/" : "") + words[i];
  return out;
}

// All addresses of up to four words of a small vocabulary: enough to tell filters of three words apart.
const std::vector<Words>& addresses() {
  static const std::vector<Words> all = [] {
    std::vector<Words> out, row = {{}};
    for (int length = 1; length <= 4; ++length) {
      std::vector<Words> next;
      for (const Words& begin : row) {
        for (const char* word : {"a", "b", "", "$s", "z"}) {
          Words longer = begin;
          longer.emplace_back(word);
          if (join(longer).empty()) continue;
          next.push_back(longer);
        }
      }
      if (length == 1) next.push_back({""});
      row = next;
      for (const Words& one : next) {
        if (!join(one).empty()) out.push_back(one);
      }
    }
    return out;
  }();
  return all;
}

Words draw_filter() {
  Words words =
      *rc::gen::container<Words>(*rc::gen::inRange<std::size_t>(1, 4),
                                 rc::gen::elementOf(std::vector<std::string>{"a", "b", "", "$s", "+", "+"}));
  if (*rc::gen::inRange(0, 3) == 0) words.back() = "#";
  if (join(words).empty()) words = {"a"};
  return words;
}

RC_GTEST_PROP(Filters, CoverAndOverlapAsTheirAddressesDo, ()) {
  const Words a = draw_filter(), b = draw_filter();
  bool covers = true, overlap = false;
  for (const Words& address : addresses()) {
    const bool in_a = matches(a, 0, address, 0), in_b = matches(b, 0, address, 0);
    RC_ASSERT(filter_covers(join(a), join(address)) == in_a);
    covers &= in_a || !in_b;
    overlap |= in_a && in_b;
  }
  RC_ASSERT(filter_covers(join(a), join(b)) == covers);
  RC_ASSERT(filters_overlap(join(a), join(b)) == overlap);
}

TEST(Filters, Examples) {
  EXPECT_TRUE(filter_covers("#", "a/+/b"));
  EXPECT_TRUE(filter_covers("a/#", "a"));
  EXPECT_FALSE(filter_covers("a/+", "a/#"));
  EXPECT_FALSE(filter_covers("#", "$SYS/load"));
  EXPECT_TRUE(filter_covers("$SYS/#", "$SYS/load"));
  EXPECT_TRUE(filters_overlap("a/+", "+/b"));
  EXPECT_FALSE(filters_overlap("a/+", "a"));
  EXPECT_TRUE(filters_overlap("a/#", "a"));
  EXPECT_FALSE(filters_overlap("#", "$SYS/#"));
}

}  // namespace
}  // namespace stele
