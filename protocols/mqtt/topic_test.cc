#include "protocols/mqtt/topic.h"

#include <gtest/gtest.h>

#include <string>

namespace stele::mqtt {
namespace {

using namespace std::string_literals;

TEST(Topic, Names) {  // [MQTT-3.3.2-2, 4.7.3-1, 4.7.3-2]
  for (const auto* name : {"a", "/", "a/b", "/a//b/", "$SYS/x", " ", "finance/\xE2\x82\xAC"}) {
    EXPECT_TRUE(is_valid_topic_name(name)) << name;
  }
  for (const auto& name : {""s, "+"s, "#"s, "a/+"s, "a#"s, "a\0b"s, std::string(65536, 'a')}) {
    EXPECT_FALSE(is_valid_topic_name(name)) << name;
  }
  EXPECT_TRUE(is_valid_topic_name(std::string(65535, 'a')));  // [MQTT-4.7.3-3]
}

TEST(Topic, Filters) {  // [MQTT-4.7.1-1, 4.7.1-2], with the examples of sections 4.7.1.2 and 4.7.1.3
  for (const auto* filter : {"#", "sport/tennis/#", "+", "+/tennis/#", "sport/+/player1", "/+", "+/+", "a",
                             "/", "//", "$share", "$SYS/#", "+/"}) {
    EXPECT_TRUE(is_valid_topic_filter(filter)) << filter;
  }
  for (const auto& filter : {""s, "sport/tennis#"s, "sport/tennis/#/ranking"s, "sport+"s, "+a"s, "##"s, "#/"s,
                             "a/+b/c"s, "++"s, "a\0"s, std::string(65536, 'a')}) {
    EXPECT_FALSE(is_valid_topic_filter(filter)) << filter;
  }
}

TEST(Topic, SharedFilters) {  // [MQTT-4.8.2-1, 4.8.2-2]
  EXPECT_EQ(parse_subscribed_filter("$share/g/a/+"), (SubscribedFilter{"g", "a/+"}));
  EXPECT_EQ(parse_subscribed_filter("$share/g//a"), (SubscribedFilter{"g", "/a"}));
  EXPECT_EQ(parse_subscribed_filter("$share/g/$share/h/x"), (SubscribedFilter{"g", "$share/h/x"}));
  EXPECT_EQ(parse_subscribed_filter("a/b"), (SubscribedFilter{"", "a/b"}));
  EXPECT_EQ(parse_subscribed_filter("$share"), (SubscribedFilter{"", "$share"}));
  EXPECT_EQ(parse_subscribed_filter("$shared/g/x"), (SubscribedFilter{"", "$shared/g/x"}));
  EXPECT_FALSE(parse_subscribed_filter("a")->shared());
  EXPECT_TRUE(parse_subscribed_filter("$share/g/a")->shared());
  for (const auto* filter : {"$share/", "$share//a", "$share/g", "$share/g/", "$share/+/a", "$share/g#/a",
                             "$share/g/a#", "", "a#"}) {
    EXPECT_FALSE(parse_subscribed_filter(filter)) << filter;
  }
  EXPECT_FALSE(parse_subscribed_filter("$share/g/" + std::string(65530, 'a')));
}

TEST(Topic, MultiLevelWildcard) {  // section 4.7.1.2
  EXPECT_TRUE(matches("sport/tennis/player1/#", "sport/tennis/player1"));
  EXPECT_TRUE(matches("sport/tennis/player1/#", "sport/tennis/player1/ranking"));
  EXPECT_TRUE(matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
  EXPECT_TRUE(matches("sport/#", "sport"));
  EXPECT_TRUE(matches("#", "a/b/c"));
  EXPECT_TRUE(matches("#", "/"));
  EXPECT_FALSE(matches("sport/#", "sports"));
  EXPECT_FALSE(matches("sport/#", "spor"));
}

TEST(Topic, SingleLevelWildcard) {  // section 4.7.1.3
  EXPECT_TRUE(matches("sport/tennis/+", "sport/tennis/player1"));
  EXPECT_FALSE(matches("sport/tennis/+", "sport/tennis/player1/ranking"));
  EXPECT_FALSE(matches("sport/+", "sport"));
  EXPECT_TRUE(matches("sport/+", "sport/"));
  EXPECT_TRUE(matches("+/+", "/finance"));
  EXPECT_TRUE(matches("/+", "/finance"));
  EXPECT_FALSE(matches("+", "/finance"));
  EXPECT_TRUE(matches("+/#", "a"));
  EXPECT_TRUE(matches("a/+/c/#", "a/b/c"));
}

TEST(Topic, ExactLevels) {  // section 4.7.3: case counts, a leading or trailing slash makes another topic
  EXPECT_TRUE(matches("a/b", "a/b"));
  EXPECT_FALSE(matches("ACCOUNTS", "Accounts"));
  EXPECT_FALSE(matches("/finance", "finance"));
  EXPECT_FALSE(matches("finance/", "finance"));
  EXPECT_FALSE(matches("finance", "finance/"));
  EXPECT_TRUE(matches("//", "//"));
}

TEST(Topic, LeadingWildcardsDoNotMatchDollarTopics) {  // [MQTT-4.7.2-1]
  EXPECT_FALSE(matches("#", "$SYS/x"));
  EXPECT_FALSE(matches("+/monitor/Clients", "$SYS/monitor/Clients"));
  EXPECT_FALSE(matches("+", "$SYS"));
  EXPECT_TRUE(matches("$SYS/#", "$SYS/monitor"));
  EXPECT_TRUE(matches("$SYS/#", "$SYS"));
  EXPECT_TRUE(matches("$SYS/monitor/+", "$SYS/monitor/Clients"));
  EXPECT_TRUE(matches("a/#", "a/$b"));
  EXPECT_TRUE(matches("a/+", "a/$b"));
}

}  // namespace
}  // namespace stele::mqtt
