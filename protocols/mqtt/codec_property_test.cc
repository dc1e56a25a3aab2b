// What holds for every packet: encoding and decoding are inverse, and no input does worse than be refused.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <vector>

#include "protocols/mqtt/arbitrary_packet.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/topic.h"

namespace stele::mqtt {
namespace {

using Status = FrameResult::Status;
constexpr std::uint32_t kNoLimit = 0xFFFFFFFF;

std::string bytes_of(const Packet& packet, Version version) {
  std::string out;
  RC_ASSERT(encode(out, packet, version));
  return out;
}

// One test for each packet type and version.
class EachPacket : public testing::TestWithParam<std::tuple<int, Version>> {
 protected:
  PacketType type() const { return static_cast<PacketType>(std::get<0>(GetParam())); }
  Version version() const { return std::get<1>(GetParam()); }
  void SetUp() override {
    if (type() == PacketType::kAuth && version() != Version::kV5) GTEST_SKIP() << "5.0 only";
  }
};

TEST_P(EachPacket, DecodesToWhatWasEncoded) {
  EXPECT_TRUE(rc::check([&] {
    TextPool pool;
    const Packet packet = arbitrary_packet(pool, type(), version());
    const std::string bytes = bytes_of(packet, version());
    const std::string input = bytes + "\xC0";  // the next packet has begun to arrive
    const FrameResult result = next_frame(input, kNoLimit);
    RC_ASSERT(result.status == Status::kFrame);
    RC_ASSERT(result.frame.total_size == bytes.size());
    const auto decoded = decode(result.frame, version());
    if (!decoded) RC_FAIL(decoded.error().what);
    RC_ASSERT(*decoded == packet);
    RC_ASSERT(bytes_of(*decoded, version()) == bytes);
  }));
}

TEST_P(EachPacket, APrefixIsNeverAPacket) {
  EXPECT_TRUE(rc::check([&] {
    TextPool pool;
    const std::string bytes = bytes_of(arbitrary_packet(pool, type(), version()), version());
    for (std::size_t size = 0; size < bytes.size(); size += std::max<std::size_t>(1, bytes.size() / 100)) {
      const FrameResult result = next_frame(std::string_view(bytes).substr(0, size), kNoLimit);
      RC_ASSERT(result.status == Status::kNeedMore);
      RC_ASSERT(result.total_size_needed == 0 || result.total_size_needed == bytes.size());
    }
  }));
}

// The body alone cut short, under a fixed header that fits it: refused, or what is left is a packet of its
// own.
TEST_P(EachPacket, ACutBodyIsRefusedOrAnotherPacket) {
  EXPECT_TRUE(rc::check([&] {
    TextPool pool;
    const Packet packet = arbitrary_packet(pool, type(), version());
    const std::string bytes = bytes_of(packet, version());
    const Frame whole = next_frame(bytes, kNoLimit).frame;
    for (std::size_t size = 0; size < std::min<std::size_t>(whole.body.size(), 300); ++size) {
      const std::string body(
          whole.body.substr(0, size));  // a block of its own: a sanitizer sees reads behind it
      const Frame cut{whole.first_byte, body, 1 + varint_size(static_cast<std::uint32_t>(size)) + size};
      const auto decoded = decode(cut, version());
      if (decoded) RC_ASSERT(!(*decoded == packet));
    }
  }));
}

TEST_P(EachPacket, AChangedPacketIsRefusedOrMeansSomething) {
  EXPECT_TRUE(rc::check([&] {
    TextPool pool;
    std::string bytes = bytes_of(arbitrary_packet(pool, type(), version()), version());
    for (int changes = *rc::gen::inRange(1, 4); changes > 0; --changes) {
      // Most of what can go wrong stands near the start.
      const std::size_t at = *rc::gen::inRange<std::size_t>(0, std::min<std::size_t>(bytes.size(), 80));
      bytes[at] = static_cast<char>(*rc::gen::inRange(0, 256));
    }
    const FrameResult result = next_frame(bytes, kNoLimit);
    if (result.status != Status::kFrame) return;
    const auto decoded = decode(result.frame, version());
    if (!decoded) {
      RC_ASSERT(is_error(decoded.error().reason));
      RC_ASSERT(!decoded.error().what.empty());
      return;
    }
    const std::string again = bytes_of(*decoded, version());
    const auto second = decode(next_frame(again, kNoLimit).frame, version());
    RC_ASSERT(second.has_value());
    RC_ASSERT(*second == *decoded);
  }));
}

std::string name_of(const testing::TestParamInfo<std::tuple<int, Version>>& info) {
  const Version version = std::get<1>(info.param);
  const char* suffix = version == Version::kV5 ? "_5" : version == Version::kV311 ? "_311" : "_31";
  return std::string(to_string(static_cast<PacketType>(std::get<0>(info.param)))) + suffix;
}
INSTANTIATE_TEST_SUITE_P(Mqtt, EachPacket,
                         testing::Combine(testing::Range(1, 16),
                                          testing::Values(Version::kV31, Version::kV311, Version::kV5)),
                         name_of);

TEST(Codec, AnyBytesAreRefusedOrDecoded) {
  EXPECT_TRUE(rc::check([](const std::vector<std::uint8_t>& input, bool v5) {
    std::string_view rest(reinterpret_cast<const char*>(input.data()), input.size());
    for (;;) {
      const FrameResult result = next_frame(rest, kNoLimit);
      if (result.status != Status::kFrame) break;
      RC_ASSERT(result.frame.total_size >= 2 && result.frame.total_size <= rest.size());
      (void)decode(result.frame, v5 ? Version::kV5 : Version::kV311);
      rest.remove_prefix(result.frame.total_size);
    }
  }));
}

TEST(Codec, APublishKeepsWhatBothVersionsHave) {
  EXPECT_TRUE(rc::check([] {
    TextPool pool;
    Publish publish = arbitrary_publish(pool, Version::kV5);
    if (publish.topic.empty()) publish.topic = "t";  // an alias is resolved before a message goes on
    std::string bytes;
    RC_ASSERT(encode(bytes, publish, Version::kV311));
    const auto decoded = decode_publish(next_frame(bytes, kNoLimit).frame, Version::kV311);
    RC_ASSERT(decoded.has_value());
    publish.topic_alias.reset();
    publish.subscription_ids = {};
    publish.properties = {};
    RC_ASSERT(*decoded == publish);
  }));
}

// A filter made out of a topic, by putting wildcards where levels were, matches it.
TEST(Topic, AGeneralisedTopicMatches) {
  EXPECT_TRUE(rc::check([] {
    const std::string topic = arbitrary_topic_name();
    RC_ASSERT(is_valid_topic_name(topic));
    RC_PRE(topic[0] != '$');
    std::string filter;
    std::size_t start = 0;
    for (;;) {
      const std::size_t end = std::min(topic.find('/', start), topic.size());
      const int kind = *rc::gen::inRange(0, 4);
      if (kind == 0) {
        filter += '#';
        break;
      }
      filter += kind == 1 ? "+" : topic.substr(start, end - start);
      if (end == topic.size()) break;
      filter += '/';
      start = end + 1;
    }
    if (filter.empty()) filter = "#";
    RC_ASSERT(is_valid_topic_filter(filter));
    RC_ASSERT(matches(filter, topic));
    RC_ASSERT(!matches(filter, "$" + topic) || filter == "#" + topic);
  }));
}

// Against the definition, levels split first.
TEST(Topic, MatchesAsTheDefinitionSays) {
  const auto split = [](const std::string& text) {
    std::vector<std::string> levels{""};
    for (const char c : text) {
      if (c == '/') {
        levels.emplace_back();
      } else {
        levels.back() += c;
      }
    }
    return levels;
  };
  EXPECT_TRUE(rc::check([&] {
    const std::string filter = arbitrary_topic_filter();
    std::string topic = arbitrary_topic_filter();
    std::replace(topic.begin(), topic.end(), '+', 'b');
    std::replace(topic.begin(), topic.end(), '#', '$');
    const auto wanted = split(filter);
    const auto given = split(topic);
    const bool any_tail = wanted.back() == "#";
    const std::size_t fixed = wanted.size() - (any_tail ? 1 : 0);
    bool expected = any_tail ? given.size() >= fixed : given.size() == fixed;
    for (std::size_t i = 0; expected && i < fixed; ++i) expected = wanted[i] == "+" || wanted[i] == given[i];
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#')) expected = false;
    RC_ASSERT(matches(filter, topic) == expected);
  }));
}

}  // namespace
}  // namespace stele::mqtt
