#include "protocols/amqp/content.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "protocols/amqp/generator.h"
#include "protocols/amqp/method_info.h"

namespace stele::amqp {
namespace {

using namespace std::string_literals;

std::string encoded(const BasicProperties& properties) {
  std::string out;
  EXPECT_TRUE(append_properties(out, properties));
  return out;
}

// 4.2.6.1: class, weight, body size, flags, properties. By hand.
TEST(ContentHeader, Golden) {
  const std::string frame =
      "\x02\x00\x01\x00\x00\x00\x2A"
      "\x00\x3C\x00\x00"                  // basic, no weight
      "\x00\x00\x00\x00\x00\x00\x00\x05"  // 5 bytes follow
      "\xB8\x40"                          // content-type, headers, delivery-mode, priority, timestamp
      "\x0Atext/plain"                    //
      "\x00\x00\x00\x03\x01kV"            // headers
      "\x02"                              // persistent
      "\x09"                              // priority
      "\x00\x00\x00\x00\x00\x00\x00\x07"  // timestamp
      "\xCE"s;
  const Table headers = Table().add("k", Void{});
  BasicProperties properties;
  properties.content_type = "text/plain";
  properties.headers = headers.view();
  properties.delivery_mode = kPersistent;
  properties.priority = 9;
  properties.timestamp = 7;
  std::string out;
  EXPECT_TRUE(append_content_header(out, 1, 5, properties));
  EXPECT_EQ(out, frame);
  const auto header = parse_content_header(std::string_view(frame).substr(7, frame.size() - 8));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->class_id, kBasicClass);
  EXPECT_EQ(header->body_size, 5u);
  EXPECT_EQ(decode_properties(header->properties), properties);
  std::string passed_on;
  append_content_header(passed_on, 1, 5, header->properties);
  EXPECT_EQ(passed_on, frame);
}

TEST(ContentHeader, OneBitForEachProperty) {
  const auto flags = [](auto set) {
    BasicProperties properties;
    set(properties);
    const std::string out = encoded(properties);
    return static_cast<unsigned>(static_cast<unsigned char>(out[0])) << 8 |
           static_cast<unsigned char>(out[1]);
  };
  EXPECT_EQ(encoded({}), "\0\0"s);
  EXPECT_EQ(flags([](auto& p) { p.content_type = ""; }), 0x8000u);
  EXPECT_EQ(flags([](auto& p) { p.content_encoding = ""; }), 0x4000u);
  EXPECT_EQ(flags([](auto& p) { p.headers.emplace(); }), 0x2000u);
  EXPECT_EQ(flags([](auto& p) { p.delivery_mode = kTransient; }), 0x1000u);
  EXPECT_EQ(flags([](auto& p) { p.priority = 0; }), 0x0800u);
  EXPECT_EQ(flags([](auto& p) { p.correlation_id = ""; }), 0x0400u);
  EXPECT_EQ(flags([](auto& p) { p.reply_to = ""; }), 0x0200u);
  EXPECT_EQ(flags([](auto& p) { p.expiration = ""; }), 0x0100u);
  EXPECT_EQ(flags([](auto& p) { p.message_id = ""; }), 0x0080u);
  EXPECT_EQ(flags([](auto& p) { p.timestamp = 0; }), 0x0040u);
  EXPECT_EQ(flags([](auto& p) { p.type = ""; }), 0x0020u);
  EXPECT_EQ(flags([](auto& p) { p.user_id = ""; }), 0x0010u);
  EXPECT_EQ(flags([](auto& p) { p.app_id = ""; }), 0x0008u);
  EXPECT_EQ(flags([](auto& p) { p.cluster_id = ""; }), 0x0004u);
}

TEST(ContentHeader, Errors) {
  const auto header_error = [](const std::string& payload) {
    const auto header = parse_content_header(payload);
    return header ? ReplyCode::kReplySuccess : header.error().code;
  };
  EXPECT_EQ(header_error("\0\x3C\0\0\0\0\0\0\0\0\0"s), ReplyCode::kFrameError);
  EXPECT_EQ(header_error("\0\x3C\0\1\0\0\0\0\0\0\0\0"s), ReplyCode::kUnexpectedFrame);
  EXPECT_EQ(header_error("\0\x3C\0\0\0\0\0\0\0\0\0\0"s), ReplyCode::kReplySuccess);
  const auto error_of = [](const std::string& properties) {
    const auto decoded = decode_properties(properties);
    return decoded ? ReplyCode::kReplySuccess : decoded.error().code;
  };
  EXPECT_EQ(error_of(""), ReplyCode::kFrameError);
  EXPECT_EQ(error_of("\x80\x00\x05x"s), ReplyCode::kFrameError);
  EXPECT_EQ(error_of("\x00\x00x"s), ReplyCode::kFrameError);
  EXPECT_EQ(error_of("\x00\x01\x00\x00"s), ReplyCode::kSyntaxError);
  EXPECT_EQ(error_of("\x00\x02"s), ReplyCode::kSyntaxError);
  EXPECT_EQ(error_of("\x20\x00\x00\x00\x00\x03\x01kz"s), ReplyCode::kSyntaxError);
  EXPECT_EQ(error_of("\x80\x00\x01\xFF"s), ReplyCode::kReplySuccess);  // texts are not looked at
}

TEST(ContentHeader, TooLongForItsLength) {
  const std::string text(256, 'x');
  BasicProperties properties;
  properties.message_id = text;
  std::string out = "before";
  EXPECT_FALSE(append_properties(out, properties));
  EXPECT_FALSE(append_content_header(out, 1, 0, properties));
  EXPECT_EQ(out, "before");
}

RC_GTEST_PROP(PropertiesProperties, RoundTrip, ()) {
  const auto entropy = *rc::gen::container<std::string>(300, rc::gen::arbitrary<char>());
  Generator generator(entropy);
  const BasicProperties properties = generator.properties();
  std::string out;
  RC_ASSERT(append_properties(out, properties));
  const auto again = decode_properties(out);
  RC_ASSERT(again.has_value());
  RC_ASSERT((*again == properties));
  const std::string cut = out.substr(0, *rc::gen::inRange<std::size_t>(0, out.size()));
  RC_ASSERT(!decode_properties(cut).has_value());
  RC_ASSERT(!decode_properties(out + "x").has_value());
}

RC_GTEST_PROP(PropertiesProperties, GarbageIsAnErrorOrProperties, (std::string garbage)) {
  if (garbage.size() > 1) garbage[1] = static_cast<char>(garbage[1] & 0xFC);
  const auto properties = decode_properties(garbage);
  if (!properties) return;
  std::string out;
  RC_ASSERT(append_properties(out, *properties));
  RC_ASSERT(out == garbage);
}

TEST(BodyFrames, Golden) {
  std::string out;
  append_body(out, 1, "abcde", 8 + 2);
  EXPECT_EQ(out,
            "\x03\x00\x01\x00\x00\x00\x02"
            "ab\xCE"
            "\x03\x00\x01\x00\x00\x00\x02"
            "cd\xCE"
            "\x03\x00\x01\x00\x00\x00\x01"
            "e\xCE"s);
  out.clear();
  append_body(out, 1, "", 10);
  EXPECT_EQ(out, "");
  append_body(out, 1, "abcde", 0);
  EXPECT_EQ(out,
            "\x03\x00\x01\x00\x00\x00\x05"
            "abcde\xCE"s);
}

TEST(BodyFrames, SlicesShareTheBody) {
  const Bytes body = Bytes::copy(std::string(10'000, 'b'));
  std::vector<Bytes> slices;
  append_body_slices(slices, 9, body, kFrameMinSize);
  ASSERT_EQ(slices.size(), 3u * 2 + 1);
  EXPECT_EQ(slices[1].data(), body.data());
  EXPECT_EQ(slices[3].data(), body.data() + kFrameMinSize - kFrameOverhead);
  slices.clear();
  append_body_slices(slices, 9, Bytes(), kFrameMinSize);
  EXPECT_TRUE(slices.empty());
}

// Copied or not the bytes are the same, no frame is larger than agreed, and the body comes out again.
RC_GTEST_PROP(BodyFramesProperties, CutAndPutTogether, ()) {
  const auto body = *rc::gen::arbitrary<std::string>();
  const auto frame_max = *rc::gen::element<std::uint32_t>(0, 9, 10, 15, 100);
  std::string copied;
  append_body(copied, 5, body, frame_max);
  std::vector<Bytes> slices;
  append_body_slices(slices, 5, Bytes::copy(body), frame_max);
  std::string joined, again;
  for (const Bytes& slice : slices) joined.append(slice.view());
  RC_ASSERT(joined == copied);
  std::uint64_t count = 0;
  for (std::string_view rest = copied; !rest.empty(); ++count) {
    const auto frame = next_frame(rest, 0);
    RC_ASSERT(frame && *frame);
    RC_ASSERT((*frame)->type == FrameType::kBody && (*frame)->channel == 5);
    RC_ASSERT(!(*frame)->payload.empty());
    RC_ASSERT(frame_max == 0 || (*frame)->total_size() <= frame_max);
    again.append((*frame)->payload);
    rest.remove_prefix((*frame)->total_size());
  }
  RC_ASSERT(again == body);
  RC_ASSERT(BodyFrames(5, body.size(), frame_max).count() == count);
}

}  // namespace
}  // namespace stele::amqp
