#include "protocols/amqp/assembler.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "protocols/amqp/frame_reader.h"
#include "protocols/amqp/generator.h"
#include "protocols/amqp/method_codec.h"

namespace stele::amqp {
namespace {

using Step = Assembler::Step;

constexpr std::uint64_t kMaxBody = 1 << 20;

template <class M>
std::string method_frame(std::uint16_t channel, const M& method) {
  std::string out;
  EXPECT_TRUE(append_method(out, channel, method));
  return out;
}
std::string publish_frame() {
  return method_frame(1, BasicPublish{"e", "k", false, false});
}
std::string header_frame(std::uint64_t body_size, const BasicProperties& properties = {}) {
  std::string out;
  EXPECT_TRUE(append_content_header(out, 1, body_size, properties));
  return out;
}
std::string body_frame(std::string_view body) {
  std::string out;
  append_frame_head(out, FrameType::kBody, 1, static_cast<std::uint32_t>(body.size()));
  return out.append(body) + kFrameEnd;
}

// What comes of one frame after the other, in words: a step, or the error's name at the end.
std::string fed(Assembler& assembler, const std::vector<std::string>& frames) {
  std::string out;
  for (const std::string& each : frames) {
    const Bytes block = Bytes::copy(each);
    const auto frame = next_frame(block, 0);
    EXPECT_TRUE(frame && *frame);
    const auto step = assembler.on_frame(**frame, block);
    if (!out.empty()) out += " ";
    if (!step) return out.append(to_string(step.error().code));
    out += *step == Step::kMore ? "more" : *step == Step::kMethod ? "method" : "message";
  }
  return out;
}
std::string fed_to_server(const std::vector<std::string>& frames, std::uint16_t channel = 1) {
  Assembler assembler(Side::kServer, channel, kMaxBody);
  return fed(assembler, frames);
}

TEST(Assembler, Messages) {
  EXPECT_EQ(fed_to_server({method_frame(1, BasicAck{1, false})}), "method");
  EXPECT_EQ(fed_to_server({publish_frame(), header_frame(0)}), "more message");
  EXPECT_EQ(fed_to_server({publish_frame(), header_frame(3), body_frame("abc")}), "more more message");
  EXPECT_EQ(fed_to_server({publish_frame(), header_frame(3), body_frame(""), body_frame("ab"), body_frame(""),
                           body_frame("c"), publish_frame()}),
            "more more more more more message more");
}

TEST(Assembler, WhatIsInAMessage) {
  Assembler assembler(Side::kServer, 1, kMaxBody);
  BasicProperties properties;
  properties.message_id = "m";
  EXPECT_EQ(
      fed(assembler, {publish_frame(), header_frame(5, properties), body_frame("ab"), body_frame("cde")}),
      "more more more message");
  EXPECT_EQ(assembler.method().name, "basic.publish");
  EXPECT_EQ(decode<BasicPublish>(assembler.arguments()), (BasicPublish{"e", "k", false, false}));
  EXPECT_EQ(decode_properties(assembler.header().properties), properties);
  EXPECT_EQ(assembler.body().view(), "abcde");
  EXPECT_EQ(assembler.held(), 0u);
}

TEST(Assembler, BodyInOneFrameStaysWhereItWasRead) {
  Assembler assembler(Side::kServer, 1, kMaxBody);
  const std::string bytes = publish_frame() + header_frame(3) + body_frame("abc");
  const Bytes block = Bytes::copy(bytes);
  std::string_view rest = block;
  while (!rest.empty()) {
    const auto frame = next_frame(rest, 0);
    ASSERT_TRUE(frame && *frame);
    ASSERT_TRUE(assembler.on_frame(**frame, block).has_value());
    rest.remove_prefix((*frame)->total_size());
  }
  EXPECT_EQ(assembler.body().data(), block.data() + block.size() - 4);
}

// 4.2.6: a badly formatted content, and RabbitMQ's codes for it.
TEST(Assembler, UnexpectedFrames) {
  EXPECT_EQ(fed_to_server({header_frame(1)}), "UNEXPECTED_FRAME");
  EXPECT_EQ(fed_to_server({body_frame("a")}), "UNEXPECTED_FRAME");
  EXPECT_EQ(fed_to_server({publish_frame(), body_frame("a")}), "more UNEXPECTED_FRAME");
  EXPECT_EQ(fed_to_server({publish_frame(), publish_frame()}), "more UNEXPECTED_FRAME");
  EXPECT_EQ(fed_to_server({publish_frame(), header_frame(1), header_frame(1)}), "more more UNEXPECTED_FRAME");
  EXPECT_EQ(fed_to_server({publish_frame(), header_frame(1), method_frame(1, ChannelClose{})}),
            "more more UNEXPECTED_FRAME");
  EXPECT_EQ(fed_to_server({publish_frame(), header_frame(0), body_frame("")}),
            "more message UNEXPECTED_FRAME");
  std::string other_class = header_frame(1);
  other_class[kFrameHeadBytes + 1] = 50;
  EXPECT_EQ(fed_to_server({publish_frame(), other_class}), "more UNEXPECTED_FRAME");
}

TEST(Assembler, BodiesLongerThanAnnounced) {
  EXPECT_EQ(fed_to_server({publish_frame(), header_frame(2), body_frame("abc")}), "more more FRAME_ERROR");
  EXPECT_EQ(fed_to_server({publish_frame(), header_frame(2), body_frame("a"), body_frame("bc")}),
            "more more more FRAME_ERROR");
}

TEST(Assembler, MethodsThatMayNotCome) {
  EXPECT_EQ(fed_to_server({method_frame(1, BasicDeliver{})}), "COMMAND_INVALID");
  EXPECT_EQ(fed_to_server({method_frame(1, ConnectionOpen{})}), "COMMAND_INVALID");
  EXPECT_EQ(fed_to_server({method_frame(0, ChannelOpen{})}, 0), "CHANNEL_ERROR");
  EXPECT_EQ(fed_to_server({method_frame(0, ConnectionOpen{})}, 0), "method");
  std::string unknown = method_frame(1, TxSelect{});
  unknown[kFrameHeadBytes + 3] = 99;
  EXPECT_EQ(fed_to_server({unknown}), "COMMAND_INVALID");
  Assembler client(Side::kClient, 1, kMaxBody);
  EXPECT_EQ(fed(client, {method_frame(1, BasicGetEmpty{}), method_frame(1, BasicGetOk{}), header_frame(0)}),
            "method more message");
  EXPECT_EQ(fed(client, {publish_frame()}), "COMMAND_INVALID");
}

TEST(Assembler, ErrorsNameTheMethod) {
  Assembler assembler(Side::kServer, 1, 10);
  const Bytes publish = Bytes::copy(publish_frame()), header = Bytes::copy(header_frame(11));
  ASSERT_TRUE(assembler.on_frame(**next_frame(publish, 0), publish).has_value());
  const auto step = assembler.on_frame(**next_frame(header, 0), header);
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().code, ReplyCode::kPreconditionFailed);
  EXPECT_FALSE(step.error().ends_connection());
  EXPECT_EQ(step.error().class_id, 60);
  EXPECT_EQ(step.error().method_id, 40);
  assembler.clear();
  EXPECT_EQ(fed(assembler, {publish_frame(), header_frame(10)}), "more more");
}

TEST(Assembler, MemoryGrowsWithWhatArrives) {
  Assembler assembler(Side::kServer, 1, std::uint64_t{1} << 40);
  EXPECT_EQ(fed(assembler, {publish_frame(), header_frame(std::uint64_t{1} << 39)}), "more more");
  EXPECT_EQ(assembler.held(), 0u);
  EXPECT_EQ(fed(assembler, {body_frame("x")}), "more");
  EXPECT_LE(assembler.held(), 64u << 10);
  EXPECT_EQ(fed(assembler, {body_frame(std::string(100'000, 'x'))}), "more");
  EXPECT_LE(assembler.held(), 2u * 100'001);
  assembler.clear();
  EXPECT_EQ(assembler.held(), 0u);
}

// A message or a method, as text.
std::string seen(const Assembler& assembler, Step step) {
  std::string out(assembler.method().name);
  out.append(" ").append(assembler.arguments());
  if (step == Step::kMessage) {
    out.append(" ").append(assembler.header().properties).append(" ").append(assembler.body());
  }
  return out;
}

// Whatever is sent, however it is framed and cut, and wherever the reading pauses: it comes out.
RC_GTEST_PROP(AssemblerProperties, WhatIsSentComesOut, ()) {
  const auto frame_max = *rc::gen::element<std::uint32_t>(0, 9, 20, 5000);
  std::string bytes;
  std::vector<std::string> expected;
  for (int left = *rc::gen::inRange(0, 8); left > 0; --left) {
    const auto entropy = *rc::gen::container<std::string>(60, rc::gen::arbitrary<char>());
    Generator generator(entropy);
    const std::size_t start = bytes.size();
    const bool content = *rc::gen::arbitrary<bool>();
    if (content) {
      RC_ASSERT(append_method(bytes, 1, generator.method<BasicPublish>()));
    } else {
      RC_ASSERT(append_method(bytes, 1, generator.method<QueueDeclare>()));
    }
    std::string text = content ? "basic.publish " : "queue.declare ";
    text += bytes.substr(start + kFrameHeadBytes, bytes.size() - start - kFrameOverhead);
    if (content) {
      std::string properties;
      RC_ASSERT(append_properties(properties, generator.properties()));
      const std::string body(*rc::gen::element<std::size_t>(0, 1, 11, 12, 13, 40, 6000), 'b');
      append_content_header(bytes, 1, body.size(), properties);
      append_body(bytes, 1, body, frame_max);
      text += " " + properties + " " + body;
    }
    expected.push_back(std::move(text));
  }
  FrameReader reader;
  Assembler assembler(Side::kServer, 1, kMaxBody);
  std::vector<std::string> got;
  const std::size_t most = *rc::gen::element<std::size_t>(2, 50, 10'000);
  for (std::size_t at = 0; at < bytes.size();) {
    const auto size = std::min<std::size_t>(*rc::gen::inRange<std::size_t>(1, most), bytes.size() - at);
    reader.add(Bytes::copy(bytes.substr(at, size)));
    at += size;
    while (true) {
      const auto frame = reader.next(0);
      RC_ASSERT(frame.has_value());
      if (!*frame) break;
      const auto step = assembler.on_frame(**frame, reader.block());
      RC_ASSERT(step.has_value());
      if (*step != Step::kMore) got.push_back(seen(assembler, *step));
    }
    if (*rc::gen::arbitrary<bool>()) assembler.pause();
  }
  RC_ASSERT(got == expected);
}

}  // namespace
}  // namespace stele::amqp
