#include "broker/live_bundle.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "model/address.h"

namespace stele::broker {
namespace {

struct Sent {
  TenantId tenant;
  std::uint64_t publisher_hash = 0;
  std::string address;
  std::string payload;
  std::int64_t timestamp_ms = 0;
  std::uint8_t qos = 0;
  bool retain = false;
  std::optional<std::uint8_t> payload_format;
  std::optional<std::int64_t> expires_at_ms;
  friend bool operator==(const Sent&, const Sent&) = default;

  MessageView view() const {
    MessageView message;
    message.address = address;
    message.payload = payload;
    message.timestamp_ms = timestamp_ms;
    message.qos = qos;
    message.retain = retain;
    message.payload_format = payload_format;
    message.expires_at_ms = expires_at_ms;
    return message;
  }
};

rc::Gen<Sent> any_message() {
  using rc::gen::arbitrary;
  return rc::gen::map(
      rc::gen::tuple(arbitrary<std::uint32_t>(), arbitrary<std::uint64_t>(), arbitrary<std::string>(),
                     rc::gen::container<std::string>(arbitrary<char>()),
                     rc::gen::inRange<std::int64_t>(0, 1LL << 40), rc::gen::inRange(0, 3), arbitrary<bool>(),
                     rc::gen::inRange(-1, 2), rc::gen::inRange<std::int64_t>(-1, 1LL << 40)),
      [](auto all) {
        auto& [tenant, hash, address, payload, time, qos, retain, format, expires] = all;
        Sent sent;
        sent.tenant = TenantId(tenant);
        sent.publisher_hash = hash;
        sent.address = address;
        sent.payload = payload;
        sent.timestamp_ms = time;
        sent.qos = static_cast<std::uint8_t>(qos);
        sent.retain = retain;
        if (format >= 0) sent.payload_format = static_cast<std::uint8_t>(format);
        if (expires >= 0) sent.expires_at_ms = expires;
        return sent;
      });
}

TEST(LiveBundle, GivesWhatWasAppendedInOrderAsLongAsThereIsRoom) {
  EXPECT_TRUE(rc::check([] {
    const auto sent = *rc::gen::container<std::vector<Sent>>(any_message());
    LiveBundle bundle(*rc::gen::inRange<std::size_t>(0, 4000));
    std::vector<Sent> kept;
    for (const Sent& one : sent) {
      const std::size_t before = bundle.size();
      if (bundle.append(one.tenant, one.publisher_hash, one.view())) {
        kept.push_back(one);
        RC_ASSERT(bundle.size() > before);
      } else {
        RC_ASSERT(bundle.size() == before);
      }
    }
    std::vector<Sent> got;
    Bytes held;
    std::move(bundle).for_each(
        [&](TenantId tenant, std::uint64_t hash, const MessageView& message, const Bytes& owner) {
          held = owner;
          RC_ASSERT(owner.slice(message.payload).view() == message.payload);
          got.push_back({tenant, hash, std::string(message.address), std::string(message.payload),
                         message.timestamp_ms, message.qos, message.retain, message.payload_format,
                         message.expires_at_ms});
        });
    RC_ASSERT(got == kept);
  }));
}

TEST(LiveBundle, TakesSmallAndPlainMessagesOnly) {
  MessageView message;
  message.address = "a/b";
  message.payload = "x";
  EXPECT_TRUE(LiveBundle::takes(message));
  message.payload_format = 1;
  message.expires_at_ms = 5;
  EXPECT_TRUE(LiveBundle::takes(message));

  MessageView with = message;
  with.content_type = "text/plain";
  EXPECT_FALSE(LiveBundle::takes(with));
  with = message;
  with.reply_to = "a";
  EXPECT_FALSE(LiveBundle::takes(with));
  with = message;
  with.correlation_id = "";
  EXPECT_FALSE(LiveBundle::takes(with));
  with = message;
  const std::array<UserProperty, 1> properties{{{"name", "value"}}};
  with.user_properties = UserProperties(properties);
  EXPECT_FALSE(LiveBundle::takes(with));
  with = message;
  const std::string large(LiveBundle::kSmall, 'x');
  with.payload = large;
  EXPECT_FALSE(LiveBundle::takes(with));
}

// ---- from another node ------------------------------------------------------------------------------------

struct Block {
  std::string bytes;
  std::size_t messages = 0;
  std::vector<std::size_t> ends;  // of each message
};

Block some_block() {
  Block block;
  LiveBundle bundle(LiveBundle::kLarge);
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) {
    Sent sent = *any_message();
    sent.address = *rc::gen::element<std::string>("", "a", "a/b", "\u20ac/x");
    RC_ASSERT(bundle.append(sent.tenant, sent.publisher_hash, sent.view()));
    ++block.messages;
    block.ends.push_back(bundle.size());
  }
  block.bytes = bundle.bytes().view();
  return block;
}

std::vector<Sent> messages_of(LiveBundle bundle) {
  std::vector<Sent> got;
  std::move(bundle).for_each(
      [&](TenantId tenant, std::uint64_t hash, const MessageView& message, const Bytes& owner) {
        RC_ASSERT(owner.slice(message.payload).view() == message.payload);
        got.push_back({tenant, hash, std::string(message.address), std::string(message.payload),
                       message.timestamp_ms, message.qos, message.retain, message.payload_format,
                       message.expires_at_ms});
      });
  return got;
}

TEST(LiveBundle, IsTheSameForAnotherNode) {
  EXPECT_TRUE(rc::check([] {
    const Block sent = some_block();
    auto got = LiveBundle::from(Bytes::copy(sent.bytes));
    RC_ASSERT(got.has_value());
    RC_ASSERT(got->size() == sent.bytes.size());
    RC_ASSERT(got->bytes().view() == sent.bytes);
    // There is no room behind it.
    MessageView more;
    more.timestamp_ms = 1;
    RC_ASSERT(!got->append(TenantId(), 0, more));
    RC_ASSERT(messages_of(*std::move(got)).size() == sent.messages);
  }));
}

TEST(LiveBundle, IsRefusedWhereItIsCut) {
  EXPECT_TRUE(rc::check([] {
    const Block sent = some_block();
    for (std::size_t size = 1; size < sent.bytes.size(); ++size) {
      const bool whole = std::ranges::find(sent.ends, size) != sent.ends.end();
      RC_ASSERT(LiveBundle::from(Bytes::copy(sent.bytes.substr(0, size))).has_value() == whole);
    }
  }));
}

// Whatever is in it, only what might have been appended is taken.
TEST(LiveBundle, DoesNoHarmWhereItIsGarbled) {
  EXPECT_TRUE(rc::check([] {
    const Block sent = some_block();
    const char other = static_cast<char>(*rc::gen::inRange(0, 256));
    for (std::size_t i = 0; i < sent.bytes.size(); ++i) {
      std::string bytes = sent.bytes;
      bytes[i] = other;
      auto got = LiveBundle::from(Bytes::copy(bytes));
      if (!got) {
        RC_ASSERT(got.error().code == ErrorCode::kMalformed);
        continue;
      }
      for (const Sent& one : messages_of(*std::move(got))) {
        RC_ASSERT(one.qos <= 2);
        RC_ASSERT(one.payload_format.value_or(0) <= 1);
        RC_ASSERT(one.timestamp_ms != kNoTimestamp);
        RC_ASSERT(check_address(one.address, true).has_value());
      }
    }
  }));
}

TEST(LiveBundle, IsReadTheSameWithWhatALaterVersionAppendsToAMessage) {
  LiveBundle bundle(LiveBundle::kSmall);
  const Sent sent{TenantId(7), 8, "a/b", "payload", 9, 1, true, 1, 10};
  ASSERT_TRUE(bundle.append(sent.tenant, sent.publisher_hash, sent.view()));
  const std::string one(bundle.bytes().view());
  ASSERT_EQ(one.size(), 37u + 3 + 7);
  std::string longer = one + "later";
  longer[0] = static_cast<char>(longer[0] + 5);
  auto got = LiveBundle::from(Bytes::copy(longer + one));
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(messages_of(*std::move(got)), (std::vector<Sent>{sent, sent}));
}

}  // namespace
}  // namespace stele::broker
