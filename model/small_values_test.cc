#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "model/filter.h"
#include "model/uuid.h"

namespace stele {
namespace {

TEST(Uuid, TextIsThatOfKafka) {
  // org.apache.kafka.common.Uuid: METADATA_TOPIC_ID is (0, 1).
  EXPECT_EQ((Uuid{0, 1}).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
  EXPECT_EQ((Uuid{}).to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
  EXPECT_EQ((Uuid{UINT64_MAX, UINT64_MAX}).to_string(), "_____________________w");
}

TEST(Uuid, RefusesWhatIsNoId) {
  EXPECT_FALSE(Uuid::parse(""));
  EXPECT_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAA"));
  EXPECT_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAQ="));
  EXPECT_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAA+Q"));
  EXPECT_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAR"));  // a bit beyond the 128
}

RC_GTEST_PROP(Uuid, TextComesBack, (std::uint64_t high, std::uint64_t low)) {
  const Uuid id{high, low};
  RC_ASSERT(id.to_string().size() == 22U);
  RC_ASSERT(Uuid::parse(id.to_string()) == id);
}

RC_GTEST_PROP(Uuid, RandomOnesAreVersion4AndBeginWithNoDash, (std::uint64_t high, std::uint64_t low)) {
  for (std::uint64_t first : {high, high | std::uint64_t(62) << 58, std::uint64_t(62) << 58}) {
    const Uuid id = Uuid::from_random(first, low);
    RC_ASSERT(((id.high >> 12) & 15) == 4U);
    RC_ASSERT((id.low >> 62) == 2U);
    RC_ASSERT(id.to_string().front() != '-');
  }
}

TEST(Filter, WildcardsAreWholeLevels) {
  for (const char* good : {"a", "/", "a/+/b", "+", "#", "a/#", "/#", "+/+/#", "$SYS/#", "a b/ü"}) {
    EXPECT_TRUE(check_filter(good)) << good;
  }
  for (const char* bad : {"", "a+", "a/b#", "#/a", "a/#/b", "+a/b", "\xff", "##"}) {
    EXPECT_FALSE(check_filter(bad)) << bad;
  }
  EXPECT_TRUE(check_filter(std::string(65535, 'a')));
  EXPECT_FALSE(check_filter(std::string(65536, 'a')));
}

}  // namespace
}  // namespace stele
