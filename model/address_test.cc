#include "model/address.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "model/topic_name.h"
#include "model/utf8.h"

namespace stele {
namespace {

std::string dotted(std::string_view address) {
  return to_dotted(address).value();
}
std::string mqtt(std::string_view dotted) {
  return Address::from_dotted(dotted).value().text();
}

// Text in which escapes, and escapes of escapes, are likely.
rc::Gen<std::string> tricky_text(std::vector<std::string> pieces) {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(std::move(pieces))),
                      [](const std::vector<std::string>& parts) {
                        std::string out;
                        for (const auto& part : parts) out += part;
                        return out;
                      });
}
rc::Gen<std::string> mqtt_topic() {
  return rc::gen::suchThat(tricky_text({"%", "25", "2F", "2B", "23", "2E", "2f", "2", "5", "E", ".", "a",
                                        "\xc3\xa9", "/", "*", "%25", "%2F"}),
                           [](const std::string& s) { return !s.empty(); });
}
rc::Gen<std::string> routing_key() {
  return tricky_text({"%", "25", "2F", "2B", "23", "2E", "2", "5", "E", ".", "a", "\xc3\xa9", "/", "+", "#",
                      "*", "%25", "%2E"});
}

TEST(AddressWords, AreBetweenTheSlashes) {
  auto words = [](std::string_view text) {
    std::vector<std::string> out;
    for (std::string_view word : AddressWords(text)) out.emplace_back(word);
    return out;
  };
  EXPECT_EQ(words("a/bc/d"), (std::vector<std::string>{"a", "bc", "d"}));
  EXPECT_EQ(words("/a//"),
            (std::vector<std::string>{"", "a", "", ""}));  // [MQTT-4.7.1-1]: empty levels are levels
  EXPECT_EQ(words("a"), (std::vector<std::string>{"a"}));
  EXPECT_EQ(words(""), (std::vector<std::string>{}));
}

TEST(Address, OfATopicIsChecked) {
  EXPECT_TRUE(Address::from_mqtt("a/b"));
  EXPECT_TRUE(Address::from_mqtt("/"));
  EXPECT_FALSE(Address::from_mqtt(""));     // [MQTT-4.7.3-1]
  EXPECT_FALSE(Address::from_mqtt("a/+"));  // [MQTT-3.3.2-2]
  EXPECT_FALSE(Address::from_mqtt("a/#"));
  EXPECT_FALSE(Address::from_mqtt(std::string("a\0b", 3)));  // [MQTT-4.7.3-2]
  EXPECT_FALSE(Address::from_mqtt("a\xff"));
  EXPECT_TRUE(Address::from_mqtt(std::string(65535, 'a')));
  EXPECT_FALSE(Address::from_mqtt(std::string(65536, 'a')));  // [MQTT-4.7.3-3]
}

TEST(Address, TheTableOfTheMapping) {
  EXPECT_EQ(dotted("sensors/kitchen/temp"), "sensors.kitchen.temp");
  EXPECT_EQ(dotted("files/a.txt"), "files.a%2Etxt");
  EXPECT_EQ(dotted("load/100%"), "load.100%25");
  EXPECT_EQ(mqtt("a.b/c.d+e.f#"), "a/b%2Fc/d%2Be/f%23");
  EXPECT_EQ(mqtt("files.a%2Etxt"), "files/a.txt");
  EXPECT_EQ(mqtt("load.100%25"), "load/100%");
  EXPECT_EQ(dotted("a//b/"), "a..b.");
  EXPECT_EQ(mqtt(".a.."), "/a//");
}

TEST(Address, TextThatLooksEscapedKeepsItsDifference) {
  // Each side's plain text that reads as an escape goes one level deeper, or comes up one.
  EXPECT_EQ(dotted("%2E"), "%252E");
  EXPECT_EQ(dotted("%252E"), "%25252E");
  EXPECT_EQ(mqtt("%2F"), "%252F");
  EXPECT_EQ(dotted("%2F"), "/");
  EXPECT_EQ(dotted("%252F"), "%2F");
  EXPECT_EQ(mqtt("100%"), "100%25");
  EXPECT_EQ(dotted("100%25"), "100%");
  EXPECT_EQ(dotted("%2525"), "%2525");
  EXPECT_EQ(dotted("%2e%2f"), "%252e%252f");  // only capitals are escapes
}

TEST(Address, OfMqttAloneNeverLeavesIt) {
  EXPECT_FALSE(to_dotted("$SYS/uptime"));
  EXPECT_FALSE(Address::from_dotted("$SYS.uptime"));
  EXPECT_TRUE(Address::from_mqtt("$SYS/uptime"));
  EXPECT_EQ(dotted("a/$b"), "a.$b");
}

TEST(Address, TheEmptyRoutingKeyHasNoWords) {
  EXPECT_EQ(mqtt(""), "");
  EXPECT_EQ(dotted(""), "");
}

TEST(Address, ARoutingKeyTooLongWhenEscapedIsRefused) {
  EXPECT_TRUE(Address::from_dotted(std::string(65535 / 3, '/')));
  EXPECT_FALSE(Address::from_dotted(std::string(65535 / 3 + 1, '/')));
}

TEST(Address, MqttToDottedAndBack) {
  EXPECT_TRUE(rc::check([] {
    std::string topic = *mqtt_topic();
    std::string key = dotted(topic);
    RC_ASSERT(std::ranges::count(key, '.') == std::ranges::count(topic, '/'));
    RC_ASSERT(mqtt(key) == topic);
  }));
}

TEST(Address, DottedToMqttAndBack) {
  EXPECT_TRUE(rc::check([] {
    std::string key = *routing_key();
    std::string topic = mqtt(key);
    RC_ASSERT(topic.find_first_of("+#") == std::string::npos);
    RC_ASSERT(dotted(topic) == key);
  }));
}

// All words of up to six pieces: no two may meet, and each comes back.
TEST(Address, TheMappingOfWordsIsOneToOne) {
  const std::vector<std::string> pieces = {"%", "25", "2F", "2E", ".", "2", "5"};
  std::set<std::string> words = {""};
  for (int round = 0; round < 6; ++round) {
    std::set<std::string> longer = words;
    for (const auto& word : words) {
      for (const auto& piece : pieces) longer.insert(word + piece);
    }
    words = std::move(longer);
  }
  std::set<std::string> images;
  for (const auto& word : words) {
    std::string image, back;
    append_word_as_dotted(word, image);
    append_word_as_mqtt(image, back);
    ASSERT_EQ(back, word) << "through " << image;
    ASSERT_TRUE(images.insert(image).second) << image;
  }
}

TEST(TopicName, IsKafkas) {
  for (std::string_view good : {"a", "orders.eu", "A-b_9", "...", "__consumer_offsets"}) {
    EXPECT_TRUE(is_topic_name(good)) << good;
    EXPECT_TRUE(check_topic_name(good)) << good;
  }
  for (std::string_view bad : {"", ".", "..", "a/b", "a b", "a+", "\xc3\xa9", "a%"}) {
    EXPECT_FALSE(is_topic_name(bad)) << bad;
    EXPECT_FALSE(check_topic_name(bad)) << bad;
  }
  EXPECT_TRUE(is_topic_name(std::string(249, 'x')));
  EXPECT_FALSE(is_topic_name(std::string(250, 'x')));
}

TEST(TopicName, IsAnAddress) {
  EXPECT_EQ(address_of_topic("orders.eu")->text(), "orders/eu");
  EXPECT_FALSE(address_of_topic("orders/eu"));
  EXPECT_EQ(topic_of_address("orders/eu"), "orders.eu");
  EXPECT_EQ(topic_of_address("orders"), "orders");
  // Only a capture brings these to Kafka.
  EXPECT_EQ(topic_of_address("files/a.txt"), std::nullopt);
  EXPECT_EQ(topic_of_address("100%"), std::nullopt);
  EXPECT_EQ(topic_of_address("with space"), std::nullopt);
  EXPECT_EQ(topic_of_address("$SYS/x"), std::nullopt);
  EXPECT_EQ(topic_of_address("/"), std::nullopt);
}

TEST(TopicName, TopicToAddressAndBack) {
  EXPECT_TRUE(rc::check([] {
    std::string name =
        *rc::gen::suchThat(rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab.-_9"))),
                           [](const std::string& s) { return is_topic_name(s); });
    RC_ASSERT(topic_of_address(address_of_topic(name)->text()) == name);
  }));
}

TEST(Utf8, AcceptsWhatMqttAccepts) {
  for (std::string_view good :
       {"", "plain ascii of some length", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
        "\xee\x80\x80", "\xef\xbb\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_clean_utf8(good)) << good;
  }
  for (std::string_view bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe1\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3("}) {
    EXPECT_FALSE(is_clean_utf8(bad));
  }
  // In each place of the eight bytes looked at together.
  for (std::size_t i = 0; i < 20; ++i) {
    std::string text(20, 'a');
    text[i] = '\0';
    EXPECT_FALSE(is_clean_utf8(text)) << i;
    text[i] = '\x80';
    EXPECT_FALSE(is_clean_utf8(text)) << i;
    text[i] = '\x01';
    EXPECT_TRUE(is_clean_utf8(text)) << i;
  }
}

}  // namespace
}  // namespace stele
