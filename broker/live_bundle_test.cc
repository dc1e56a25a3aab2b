#include "broker/live_bundle.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

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
        Sent sent{.tenant = TenantId(tenant), .publisher_hash = hash, .address = address, .payload = payload};
        sent.timestamp_ms = time;
        sent.qos = static_cast<std::uint8_t>(qos);
        sent.retain = retain;
        if (format >= 0) sent.payload_format = static_cast<std::uint8_t>(format);
        if (expires >= 0) sent.expires_at_ms = expires;
        return sent;
      });
}

TEST(LiveBundle, GivesWhatWasAppendedInOrderAsLongAsThereIsRoom) {
  rc::check([] {
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
  });
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

}  // namespace
}  // namespace stele::broker
