#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "server/cli/histogram.h"
#include "server/cli/table.h"
#include "server/console.h"

namespace stele::server::cli {
namespace {

// Against the sorted values: never below the true percentile, and above it by less than a step.
RC_GTEST_PROP(Histogram, PercentilesAreWithinAStep, ()) {
  const auto wide = rc::gen::map(rc::gen::pair(rc::gen::arbitrary<std::uint64_t>(), rc::gen::inRange(0, 64)),
                                 [](const auto& p) { return p.first >> p.second; });
  auto values = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::uint64_t>>(wide));
  Histogram histogram;
  for (const auto value : values) histogram.add(value);
  std::ranges::sort(values);
  RC_ASSERT(histogram.count() == values.size());
  RC_ASSERT(histogram.max() == values.back());
  for (const double share : {0.0, 0.5, 0.9, 0.99, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
    const std::uint64_t exact = values[rank == 0 ? 0 : rank - 1];
    const std::uint64_t got = histogram.percentile(share);
    RC_ASSERT(got >= exact);
    RC_ASSERT(static_cast<double>(got) <= static_cast<double>(exact) * (1 + 1.0 / 128));
  }
}

TEST(Histogram, Empty) {
  EXPECT_EQ(Histogram().percentile(0.5), 0u);
}

TEST(Table, ColumnsAreAsWideAsTheyNeed) {
  Table table({"NAME", "N"});
  table.add({"ключ", "1"});
  table.add({"a longer one", "22"});
  EXPECT_EQ(table.text(), "NAME          N\nключ          1\na longer one  22\n");
}

TEST(Console, ControlCharactersAreShownAsNumbers) {
  EXPECT_EQ(printable("a\x1b[2J\tü\x7f"), "a\\x1b[2J\\x09ü\\x7f");
}

}  // namespace
}  // namespace stele::server::cli
