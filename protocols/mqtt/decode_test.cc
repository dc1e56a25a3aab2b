#include "protocols/mqtt/decode.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/sample_frames.h"

namespace stele::mqtt {
namespace {

using namespace std::string_literals;
using Status = FrameResult::Status;
constexpr std::uint32_t kNoLimit = 0xFFFFFFFF;

// The frame that `bytes` are, even where its first byte is one that next_frame refuses: the packet decoders
// must not rely on that.
Frame frame_of(std::string_view bytes) {
  std::string patched(bytes);
  if (next_frame(bytes, kNoLimit).status == Status::kError) patched[0] = '\xC0';
  const FrameResult result = next_frame(patched, kNoLimit);
  EXPECT_EQ(result.status, Status::kFrame);
  EXPECT_EQ(result.frame.total_size, bytes.size());
  return {static_cast<std::uint8_t>(bytes[0]), bytes.substr(bytes.size() - result.frame.body.size()),
          bytes.size()};
}

const SampleFrame& sample(std::string_view name) {
  static const std::vector<SampleFrame> all = sample_frames();
  for (const SampleFrame& s : all) {
    if (s.name == name) return s;
  }
  ADD_FAILURE() << "no sample " << name;
  return all.front();
}

TEST(Decode, SaysWhatTheSpecificationSaysToEachSample) {
  std::set<std::string> names;
  for (const SampleFrame& s : sample_frames()) {
    SCOPED_TRACE(s.name + " [" + s.section + "]");
    EXPECT_TRUE(names.insert(s.name).second);
    const Frame frame = frame_of(s.bytes);
    const auto decoded = decode(frame, s.version);
    if (!s.error) {
      ASSERT_TRUE(decoded) << decoded.error().what;
      EXPECT_EQ(type_of(*decoded), frame.type());
    } else {
      ASSERT_FALSE(decoded);
      EXPECT_EQ(decoded.error().reason, *s.error) << decoded.error().what;
      EXPECT_NE(decoded.error().what.find(s.what), std::string::npos) << decoded.error().what;
    }
  }
}

TEST(Decode, EverySampleThatIsCutShortIsRefused) {
  for (const SampleFrame& s : sample_frames()) {
    for (std::size_t size = 0; size < s.bytes.size(); ++size) {
      const FrameResult result = next_frame(s.bytes.substr(0, size), kNoLimit);
      EXPECT_NE(result.status, Status::kFrame) << s.name << " at " << size;
    }
  }
}

TEST(NextFrame, CutsFramesOneByOne) {
  const std::string input = "\xC0\x00\x40\x02\x00\x07\x30"s;
  FrameResult first = next_frame(input, kNoLimit);
  ASSERT_EQ(first.status, Status::kFrame);
  EXPECT_EQ(first.frame.type(), PacketType::kPingreq);
  EXPECT_EQ(first.frame.total_size, 2u);
  FrameResult second = next_frame(std::string_view(input).substr(2), kNoLimit);
  ASSERT_EQ(second.status, Status::kFrame);
  EXPECT_EQ(second.frame.type(), PacketType::kPuback);
  EXPECT_EQ(second.frame.body, "\0\7"s);
  FrameResult third = next_frame(std::string_view(input).substr(6), kNoLimit);
  EXPECT_EQ(third.status, Status::kNeedMore);
  EXPECT_EQ(third.total_size_needed, 0u);
}

TEST(NextFrame, SaysHowMuchIsMissingOnceItKnows) {
  EXPECT_EQ(next_frame("", kNoLimit).status, Status::kNeedMore);
  EXPECT_EQ(next_frame("\x30\xFF", kNoLimit).total_size_needed, 0u);
  const FrameResult result = next_frame("\x30\x80\x01x", kNoLimit);
  EXPECT_EQ(result.status, Status::kNeedMore);
  EXPECT_EQ(result.total_size_needed, 131u);
}

TEST(NextFrame, RemainingLengthHasAtMostFourBytes) {  // section 2.1.4
  EXPECT_EQ(next_frame("\x30\xFF\xFF\xFF\x7F", kNoLimit).total_size_needed, 5u + 268'435'455u);
  const FrameResult result = next_frame("\x30\xFF\xFF\xFF\xFF", kNoLimit);
  ASSERT_EQ(result.status, Status::kError);
  EXPECT_EQ(result.error, ReasonCode::kMalformedPacket);
}

TEST(NextFrame, RefusesATooLargePacketBeforeItHasArrived) {  // [MQTT-3.1.2-24], section 3.1.2.11.4
  EXPECT_EQ(next_frame("\x30\x08", 10).status, Status::kNeedMore);
  const FrameResult result = next_frame("\x30\x09", 10);
  ASSERT_EQ(result.status, Status::kError);
  EXPECT_EQ(result.error, ReasonCode::kPacketTooLarge);
}

TEST(NextFrame, RefusesWrongFlagsAtTheFirstByte) {  // [MQTT-2.1.3-1]
  std::string good;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string input(1, static_cast<char>(byte));
    const FrameResult result = next_frame(input, kNoLimit);
    if (result.status == Status::kNeedMore) {
      good += input;
    } else {
      EXPECT_EQ(result.error, ReasonCode::kMalformedPacket);
    }
  }
  EXPECT_EQ(
      good,
      "\x10\x20\x30\x31\x32\x33\x34\x35\x3A\x3B\x3C\x3D\x40\x50\x62\x70\x82\x90\xA2\xB0\xC0\xD0\xE0\xF0"s);
}

TEST(DecodeConnect, ReadsEveryField) {
  const SampleFrame& s = sample("v5_connect_all");
  const auto connect = decode_connect(frame_of(s.bytes));
  ASSERT_TRUE(connect);
  EXPECT_EQ(connect->version, Version::kV5);
  EXPECT_TRUE(connect->clean_start);
  EXPECT_EQ(connect->keep_alive_s, 60);
  EXPECT_EQ(connect->client_id, "c");
  EXPECT_EQ(connect->user_name, "me");
  EXPECT_EQ(connect->password, "pw");
  EXPECT_EQ(connect->session_expiry_s, 0xFFFFFFFFu);
  EXPECT_EQ(connect->receive_maximum, 10);
  EXPECT_EQ(connect->maximum_packet_size, 1000u);
  EXPECT_EQ(connect->topic_alias_maximum, 3);
  EXPECT_EQ(connect->request_response_information, true);
  EXPECT_EQ(connect->request_problem_information, false);
  EXPECT_EQ(connect->authentication_method, "SCRAM");
  EXPECT_EQ(connect->authentication_data, "\1\2");
  std::vector<UserProperty> users;
  for (const UserProperty user : connect->user_properties) users.push_back(user);
  EXPECT_EQ(users, (std::vector<UserProperty>{{"k", "1"}, {"k", "1"}}));
  ASSERT_TRUE(connect->will);
  EXPECT_EQ(connect->will->qos, Qos::kAtLeastOnce);
  EXPECT_TRUE(connect->will->retain);
  EXPECT_EQ(connect->will->topic, "w/t");
  EXPECT_EQ(connect->will->payload, "bye");
  EXPECT_EQ(connect->will->delay_s, 5u);
  EXPECT_EQ(connect->will->properties.payload_is_utf8, true);
  EXPECT_EQ(connect->will->properties.message_expiry_s, 60u);
  EXPECT_EQ(connect->will->properties.content_type, "text");
  EXPECT_EQ(connect->will->properties.response_topic, "r");
  EXPECT_EQ(connect->will->properties.correlation_data, "\0\xFF"s);
}

// The server must be able to answer a CONNECT of a version it may not like, in that version [MQTT-3.1.2-2].
TEST(DecodeConnect, VersionCanBePeeked) {
  EXPECT_EQ(peek_connect_version(frame_of(sample("v3_connect").bytes)), Version::kV311);
  EXPECT_EQ(peek_connect_version(frame_of(sample("v5_connect").bytes)), Version::kV5);
  EXPECT_EQ(peek_connect_version(frame_of(sample("v3_connect_mqisdp").bytes)), Version::kV31);
  EXPECT_EQ(peek_connect_version(frame_of(sample("v5_bad_connect_duplicate").bytes)), Version::kV5);
  EXPECT_EQ(peek_connect_version(frame_of(sample("v3_bad_connect_level_6").bytes)), std::nullopt);
  EXPECT_EQ(peek_connect_version(frame_of(sample("v3_bad_connect_empty").bytes)), std::nullopt);
  EXPECT_EQ(peek_connect_version(frame_of(sample("v3_pingreq").bytes)), std::nullopt);
  const auto old = decode_connect(frame_of(sample("v3_connect_mqisdp").bytes));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->version, Version::kV31);
}

TEST(DecodePublish, KeepsRepeatedPropertiesInOrder) {  // [MQTT-3.3.2-18]
  const SampleFrame& s = sample("v5_publish_all");
  const auto publish = decode_publish(frame_of(s.bytes), Version::kV5);
  ASSERT_TRUE(publish);
  EXPECT_TRUE(publish->dup);
  EXPECT_TRUE(publish->retain);
  EXPECT_EQ(publish->qos, Qos::kExactlyOnce);
  EXPECT_EQ(publish->packet_id, 7);
  EXPECT_EQ(publish->topic, "a/b");
  EXPECT_EQ(publish->payload, "payload");
  EXPECT_EQ(publish->topic_alias, 1);
  EXPECT_EQ(publish->properties.payload_is_utf8, false);
  EXPECT_EQ(publish->properties.message_expiry_s, 10u);
  EXPECT_EQ(publish->properties.content_type, "text/plain");
  EXPECT_EQ(publish->properties.response_topic, "r/t");
  EXPECT_EQ(publish->properties.correlation_data, "\xFF\x00"s);
  std::vector<std::uint32_t> ids;
  for (const std::uint32_t id : publish->subscription_ids) ids.push_back(id);
  EXPECT_EQ(ids, (std::vector<std::uint32_t>{1, 300, 268'435'455}));
  std::vector<UserProperty> users;
  for (const UserProperty user : publish->properties.user_properties) users.push_back(user);
  EXPECT_EQ(users, (std::vector<UserProperty>{{"k", "v1"}, {"k", "v2"}}));
}

TEST(DecodePublish, PointsIntoItsInput) {
  const std::string bytes = sample("v5_publish_all").bytes;
  const auto publish = decode_publish(frame_of(bytes), Version::kV5);
  ASSERT_TRUE(publish);
  const auto inside = [&](std::string_view view) {
    return view.data() >= bytes.data() && view.data() + view.size() <= bytes.data() + bytes.size();
  };
  EXPECT_TRUE(inside(publish->topic));
  EXPECT_TRUE(inside(publish->payload));
  EXPECT_TRUE(inside(*publish->properties.content_type));
  EXPECT_TRUE(inside((*publish->properties.user_properties.begin()).name));
}

TEST(DecodeSubscribe, ReadsOptions) {  // section 3.8.3.1
  const auto subscribe = decode_subscribe(frame_of(sample("v5_subscribe").bytes), Version::kV5);
  ASSERT_TRUE(subscribe);
  EXPECT_EQ(subscribe->subscription_id, 128u);
  const std::vector<Subscription> expected = {
      {"a/#", Qos::kExactlyOnce, true, true, RetainHandling::kDoNotSend},
      {"$share/g/a", Qos::kAtLeastOnce, false, false, RetainHandling::kSendIfNew},
      {"+", Qos::kAtMostOnce, false, false, RetainHandling::kSend}};
  EXPECT_EQ(subscribe->subscriptions, expected);
}

TEST(Decode, APacketDecoderRefusesAnotherPacket) {
  const Frame pingreq = frame_of(sample("v5_pingreq").bytes);
  EXPECT_EQ(decode_publish(pingreq, Version::kV5).error().reason, ReasonCode::kProtocolError);
  EXPECT_EQ(decode_connect(pingreq).error().reason, ReasonCode::kProtocolError);
}

TEST(ReasonCode, ReturnCodesOf311) {  // section 3.2.2.3 of 3.1.1
  for (std::uint8_t code = 0; code <= 5; ++code) {
    const auto reason = reason_of_connack_return_code_v3(code);
    ASSERT_TRUE(reason);
    EXPECT_EQ(connack_return_code_v3(*reason), code);
  }
  EXPECT_EQ(reason_of_connack_return_code_v3(6), std::nullopt);
  EXPECT_EQ(connack_return_code_v3(ReasonCode::kServerBusy), 3);
  EXPECT_EQ(connack_return_code_v3(ReasonCode::kBanned), 5);
  EXPECT_EQ(connack_return_code_v3(ReasonCode::kPacketTooLarge), std::nullopt);  // [MQTT-3.2.2-6]
}

TEST(ReasonCode, HasNames) {
  EXPECT_EQ(to_string(ReasonCode::kSessionTakenOver), "session taken over");
  EXPECT_EQ(to_string(static_cast<ReasonCode>(0x7F)), "unknown reason code");
  EXPECT_EQ(to_string(PacketType::kUnsuback), "UNSUBACK");
  EXPECT_EQ(to_string(static_cast<PacketType>(99)), "reserved");
}

}  // namespace
}  // namespace stele::mqtt
