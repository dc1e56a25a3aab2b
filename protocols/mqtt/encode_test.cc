#include "protocols/mqtt/encode.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocols/mqtt/decode.h"

namespace stele::mqtt {
namespace {

using namespace std::string_literals;

template <class T>
std::string bytes_of(const T& packet, Version version) {
  std::string out;
  EXPECT_TRUE(encode(out, packet, version));
  return out;
}

Publish message() {
  Publish p;
  p.qos = Qos::kAtLeastOnce;
  p.packet_id = 0x0102;
  p.topic = "a/b";
  p.payload = "pay";
  p.properties.content_type = "t";
  return p;
}

TEST(Encode, PublishByHand) {  // section 3.3
  EXPECT_EQ(bytes_of(message(), Version::kV311),
            "\x32\x0A\x00\x03"
            "a/b"
            "\x01\x02"
            "pay"s);
  EXPECT_EQ(bytes_of(message(), Version::kV5),
            "\x32\x0F\x00\x03"
            "a/b"
            "\x01\x02\x04\x03\x00\x01"
            "tpay"s);
}

TEST(Encode, PublishHeaderIsThePacketWithoutItsPayload) {
  for (const Version version : {Version::kV311, Version::kV5}) {
    for (const std::size_t payload_size : {0u, 100u, 120u, 127u, 128u, 20'000u, 3'000'000u}) {
      for (const Qos qos : {Qos::kAtMostOnce, Qos::kExactlyOnce}) {
        const std::string payload(payload_size, 'p');
        Publish p = message();
        p.qos = qos;
        if (qos == Qos::kAtMostOnce) p.packet_id = 0;
        std::string header_bytes = "before";
        const PublishHeader header = encode_publish_header(header_bytes, p, version, payload_size);
        ASSERT_TRUE(header.ok);
        EXPECT_EQ(header.first_byte_at, 6u);
        p.payload = payload;
        EXPECT_EQ(header_bytes + payload, "before" + bytes_of(p, version));
        EXPECT_EQ(encoded_publish_size(p, version, payload_size), header_bytes.size() - 6 + payload_size);
        if (qos == Qos::kAtMostOnce) {
          EXPECT_EQ(header.packet_id_at, 0u);
          continue;
        }
        patch_packet_id(header_bytes, header, 0xBEEF);
        p.packet_id = 0xBEEF;
        EXPECT_EQ(header_bytes + payload, "before" + bytes_of(p, version));
      }
    }
  }
}

// What came as 5.0 goes out as 3.1.1, and the other way round, by encoding the same struct.
TEST(Encode, PublishForAnotherVersion) {
  const std::string v5 = bytes_of(message(), Version::kV5);
  const auto in = decode_publish(next_frame(v5, 1000).frame, Version::kV5);
  ASSERT_TRUE(in);
  const std::string v3 = bytes_of(*in, Version::kV311);
  const auto out = decode_publish(next_frame(v3, 1000).frame, Version::kV311);
  ASSERT_TRUE(out);
  Publish expected = message();
  expected.properties = {};
  EXPECT_EQ(*out, expected);
}

TEST(Encode, UserPropertiesAreTakenFromAnyBlock) {
  std::string block;
  ASSERT_TRUE(append_user_property(block, "k", "1"));
  append_subscription_id(block, 5);
  ASSERT_TRUE(append_user_property(block, "k", "2"));
  append_subscription_id(block, 500);
  Publish p = message();
  p.properties.user_properties = UserProperties::from_encoded(block);
  p.subscription_ids = SubscriptionIds::from_encoded(block);
  EXPECT_EQ(p.properties.user_properties.encoded_size() + p.subscription_ids.encoded_size(), block.size());
  const std::string bytes = bytes_of(p, Version::kV5);
  const auto decoded = decode_publish(next_frame(bytes, 1000).frame, Version::kV5);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, p);
  Publish other = p;
  other.subscription_ids = {};
  EXPECT_NE(*decoded, other);
}

TEST(Encode, AViewOfDamagedPropertiesEndsWhereTheyDo) {
  std::string block;
  ASSERT_TRUE(append_user_property(block, "k", "1"));
  const UserProperties whole = UserProperties::from_encoded(block);
  EXPECT_EQ(UserProperties::from_encoded(block + "\x26\x00"s), whole);
  EXPECT_TRUE(UserProperties::from_encoded("\x7F").empty());
  EXPECT_TRUE(UserProperties().empty());
}

TEST(Encode, AcksLeaveOffWhatSaysNothing) {  // section 3.4.2.1
  Puback ack;
  ack.packet_id = 3;
  EXPECT_EQ(bytes_of(ack, Version::kV5), "\x40\x02\x00\x03"s);
  ack.reason = ReasonCode::kNoMatchingSubscribers;
  EXPECT_EQ(bytes_of(ack, Version::kV5), "\x40\x03\x00\x03\x10"s);
  EXPECT_EQ(bytes_of(ack, Version::kV311), "\x40\x02\x00\x03"s);
  EXPECT_EQ(bytes_of(Disconnect{}, Version::kV5), "\xE0\x00"s);
  EXPECT_EQ(bytes_of(Auth{}, Version::kV5), "\xF0\x00"s);
}

TEST(Encode, FailuresIn311) {
  Suback suback;
  suback.packet_id = 1;
  suback.reasons = {ReasonCode::kGrantedQos1, ReasonCode::kNotAuthorized};
  EXPECT_EQ(bytes_of(suback, Version::kV311), "\x90\x04\x00\x01\x01\x80"s);
  Connack connack;
  connack.reason = ReasonCode::kServerBusy;
  EXPECT_EQ(bytes_of(connack, Version::kV311), "\x20\x02\x00\x03"s);
  connack.reason = ReasonCode::kMalformedPacket;
  EXPECT_EQ(bytes_of(connack, Version::kV311), "\x20\x02\x00\x03"s);
  connack = {};
  connack.session_present = true;
  EXPECT_EQ(bytes_of(connack, Version::kV31), "\x20\x02\x00\x00"s);  // 3.1 has no such flag
  std::string out;
  EXPECT_FALSE(encode(out, Auth{}, Version::kV311));
  EXPECT_EQ(out, "");
}

TEST(Encode, RefusesWhatDoesNotFit) {
  const std::string long_text(65'536, 'x');
  std::string out = "kept";
  Publish p = message();
  p.topic = long_text;
  EXPECT_FALSE(encode(out, p, Version::kV311));
  p = message();
  p.properties.content_type = long_text;
  EXPECT_FALSE(encode(out, p, Version::kV5));
  EXPECT_TRUE(encode_publish_header(out, p, Version::kV311, 0).ok);  // not written there
  out = "kept";
  p = message();
  EXPECT_FALSE(encode_publish_header(out, p, Version::kV311, 268'435'455).ok);
  EXPECT_FALSE(encode_publish_header(out, p, Version::kV311, SIZE_MAX).ok);
  Subscribe subscribe;
  subscribe.subscription_id = 268'435'456;
  EXPECT_FALSE(encode(out, subscribe, Version::kV5));
  EXPECT_FALSE(append_user_property(out, long_text, ""));
  EXPECT_EQ(out, "kept");
  EXPECT_TRUE(encode_publish_header(out, p, Version::kV311, 268'435'455 - 7).ok);
}

}  // namespace
}  // namespace stele::mqtt
