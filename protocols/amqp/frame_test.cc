#include "protocols/amqp/frame.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <string>

#include "protocols/amqp/protocol_header.h"
#include "protocols/amqp/reply_code.h"

namespace stele::amqp {
namespace {

using namespace std::string_literals;
using Status = HeaderCheck::Status;

ReplyCode error_of(std::string_view input, std::uint32_t frame_max = 0) {
  const auto frame = next_frame(input, frame_max);
  if (frame) return ReplyCode::kReplySuccess;
  EXPECT_TRUE(frame.error().ends_connection());
  EXPECT_FALSE(frame.error().text.empty());
  return frame.error().code;
}

// 4.2.2: what the client sends first.
TEST(ProtocolHeader, OursAndOthers) {
  EXPECT_EQ(kProtocolHeader, "AMQP\x00\x00\x09\x01"s);
  EXPECT_EQ(check_protocol_header("").status, Status::kNeedMore);
  for (std::size_t size = 1; size < 8; ++size) {
    EXPECT_EQ(check_protocol_header(kProtocolHeader.substr(0, size)).status, Status::kNeedMore);
  }
  EXPECT_EQ(check_protocol_header(kProtocolHeader).status, Status::kOurs);
  EXPECT_EQ(check_protocol_header(std::string(kProtocolHeader) + "\x01").status, Status::kOurs);
  const auto other = [](std::string_view input) {
    const HeaderCheck check = check_protocol_header(input);
    EXPECT_EQ(check.status, Status::kOther);
    return check.asked_for;
  };
  EXPECT_EQ(other("G"), "another protocol");
  EXPECT_EQ(other("AMQX"), "another protocol");
  EXPECT_EQ(other("AMQP\x00\x01\x00\x00"s), "AMQP 1.0");
  EXPECT_EQ(other("AMQP\x03\x01\x00\x00"s), "AMQP 1.0 with SASL");
  EXPECT_EQ(other("AMQP\x01\x01\x00\x0A"s), "AMQP 0-10");
  EXPECT_EQ(other("AMQP\x01\x01\x00\x09"s), "AMQP 0-9");
  EXPECT_EQ(other("AMQP\x01\x01\x08\x00"s), "AMQP 0-8");
  EXPECT_EQ(other("AMQP\x00\x00\x09\x02"s), "an unknown version of AMQP");
}

// 4.2.3: type, channel, size, payload, 206.
TEST(Frame, AsTheSpecificationDrawsIt) {
  const std::string input = "\x01\x01\x02\x00\x00\x00\x03\x61\x62\x63\xCErest"s;
  const auto frame = next_frame(input, 4096);
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ((*frame)->type, FrameType::kMethod);
  EXPECT_EQ((*frame)->channel, 0x0102);
  EXPECT_EQ((*frame)->payload, "abc");
  EXPECT_EQ((*frame)->payload.data(), input.data() + 7);
  EXPECT_EQ((*frame)->total_size(), 11u);
  std::string out;
  append_frame_head(out, FrameType::kMethod, 0x0102, 3);
  EXPECT_EQ(out + "abc\xCE", input.substr(0, 11));
}

TEST(Frame, Heartbeat) {
  EXPECT_EQ(kHeartbeatFrame, "\x08\x00\x00\x00\x00\x00\x00\xCE"s);
  const auto frame = next_frame(kHeartbeatFrame, 4096);
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ((*frame)->type, FrameType::kHeartbeat);
  EXPECT_EQ(error_of("\x08\x00\x01\x00\x00\x00\x00"s), ReplyCode::kCommandInvalid);
  EXPECT_EQ(error_of("\x08\x00\x00\x00\x00\x00\x01"s), ReplyCode::kFrameError);
}

TEST(Frame, NeedsAllOfIt) {
  const std::string input = "\x02\x00\x07\x00\x00\x00\x02hi\xCE"s;
  for (std::size_t size = 0; size < input.size(); ++size) {
    const auto frame = next_frame(std::string_view(input).substr(0, size), 4096);
    ASSERT_TRUE(frame.has_value());
    EXPECT_FALSE(frame->has_value());
    const auto known = frame_size(std::string_view(input).substr(0, size), 4096);
    ASSERT_TRUE(known.has_value());
    EXPECT_EQ(known->has_value(), size >= kFrameHeadBytes);
  }
}

TEST(Frame, Errors) {
  EXPECT_EQ(error_of("\x04"), ReplyCode::kFrameError);  // 4 to 7 were of 0-8
  EXPECT_EQ(error_of("A"), ReplyCode::kFrameError);     // a second protocol header
  EXPECT_EQ(error_of("\x01\x00\x00\x00\x00\x00\x01x\xCD"s), ReplyCode::kFrameError);
  EXPECT_EQ(error_of("\x02\x00\x00\x00\x00\x00\x01"s), ReplyCode::kChannelError);
  EXPECT_EQ(error_of("\x03\x00\x00\x00\x00\x00\x01"s), ReplyCode::kChannelError);
}

// Told by the head alone; eight bytes more are let pass, as RabbitMQ does.
TEST(Frame, LargerThanNegotiated) {
  EXPECT_EQ(error_of("\x01\x00\x00\x00\x00\x10\x00"s, 4096), ReplyCode::kReplySuccess);
  EXPECT_EQ(error_of("\x01\x00\x00\x00\x00\x10\x01"s, 4096), ReplyCode::kFrameError);
  EXPECT_EQ(error_of("\x01\x00\x00\xFF\xFF\xFF\xFF"s, 0), ReplyCode::kReplySuccess);
}

TEST(ReplyCode, SeverityIsTheSpecifications) {
  EXPECT_EQ(severity(ReplyCode::kReplySuccess), Severity::kNone);
  for (const int code : {311, 312, 313, 403, 404, 405, 406}) {
    EXPECT_EQ(severity(static_cast<ReplyCode>(code)), Severity::kChannel) << code;
    EXPECT_FALSE((ProtocolError{static_cast<ReplyCode>(code), {}}).ends_connection());
  }
  for (const int code : {320, 402, 501, 502, 503, 504, 505, 506, 530, 540, 541}) {
    EXPECT_EQ(severity(static_cast<ReplyCode>(code)), Severity::kConnection) << code;
    EXPECT_TRUE((ProtocolError{static_cast<ReplyCode>(code), {}}).ends_connection());
    EXPECT_NE(to_string(static_cast<ReplyCode>(code)), "UNKNOWN_REPLY_CODE");
  }
  EXPECT_EQ(severity(static_cast<ReplyCode>(999)), Severity::kConnection);
  EXPECT_EQ(to_string(static_cast<ReplyCode>(999)), "UNKNOWN_REPLY_CODE");
}

TEST(ReplyCode, TextFitsAShortString) {
  EXPECT_EQ(reply_text(ReplyCode::kNotFound, "no queue 'q'"), "NOT_FOUND - no queue 'q'");
  EXPECT_EQ(reply_text(ReplyCode::kReplySuccess, ""), "REPLY_SUCCESS");
  const std::string head = "NOT_FOUND - ";
  EXPECT_EQ(reply_text(ReplyCode::kNotFound, std::string(300, 'x')),
            head + std::string(255 - head.size(), 'x'));
  const std::string fill(254 - head.size(), 'x');
  EXPECT_EQ(reply_text(ReplyCode::kNotFound, fill + "\xC3\xA9"), head + fill);
}

// Whatever comes, an answer is one of the three, and a frame lies within the input.
RC_GTEST_PROP(FrameProperties, GarbageIsAnError, (std::string input, std::uint32_t frame_max)) {
  if (!input.empty()) input[0] = static_cast<char>(*rc::gen::element(1, 2, 3, 8, 0, 65));
  if (input.size() > 6 && *rc::gen::arbitrary<bool>()) input.replace(3, 3, 3, '\0');
  const auto frame = next_frame(input, frame_max);
  if (!frame) {
    RC_ASSERT(frame.error().ends_connection());
  } else if (*frame) {
    RC_ASSERT((*frame)->total_size() <= input.size());
    RC_ASSERT(input[(*frame)->total_size() - 1] == kFrameEnd);
  }
}

}  // namespace
}  // namespace stele::amqp
