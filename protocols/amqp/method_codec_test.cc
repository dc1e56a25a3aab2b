#include "protocols/amqp/method_codec.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "protocols/amqp/generator.h"

namespace stele::amqp {
namespace {

using namespace std::string_literals;

template <class M>
std::string frame_of(const M& method, std::uint16_t channel = 1) {
  std::string out;
  EXPECT_TRUE(append_method(out, channel, method));
  return out;
}

std::string_view payload_of(std::string_view frame) {
  return frame.substr(kFrameHeadBytes, frame.size() - kFrameOverhead);
}

ReplyCode error_of(std::string_view payload) {
  const auto method = decode_method(payload);
  return method ? ReplyCode::kReplySuccess : method.error().code;
}

TEST(Methods, TheTable) {
  std::set<std::string_view> names;
  int content = 0;
  for_each_method([&]<class M>(std::type_identity<M>) {
    const MethodInfo& i = M::kInfo;
    EXPECT_EQ(find_method(i.class_id, i.method)->name, i.name);
    EXPECT_EQ(info(Method(M{})).name, i.name);
    EXPECT_TRUE(names.insert(i.name).second);
    EXPECT_TRUE(i.to_server() || i.to_client());
    EXPECT_FALSE(i.has_content() && i.is_synchronous());
    EXPECT_FALSE(i.is_synchronous() && i.name.ends_with("-ok"));
    content += i.has_content();
  });
  EXPECT_EQ(names.size(), 66u);
  EXPECT_EQ(content, 4);  // publish, return, deliver, get-ok
  EXPECT_EQ(find_method(10, 12), nullptr);
  EXPECT_EQ(find_method(70, 10), nullptr);  // file, of 0-8
  EXPECT_EQ(find_method(0xFFFF, 0xFFFF), nullptr);
  const MethodInfo& publish = *find_method(60, 40);
  EXPECT_EQ(publish.name, "basic.publish");
  EXPECT_TRUE(publish.to_server() && publish.has_content() && !publish.to_client());
  EXPECT_FALSE(publish.is_synchronous());
  EXPECT_TRUE(BasicCancel::kInfo.to_client() && BasicCancel::kInfo.is_synchronous());
}

// Frames written by hand from the specification.
TEST(Methods, TuneOk) {
  const std::string frame =
      "\x01\x00\x00\x00\x00\x00\x0C"  // method, channel 0, 12 bytes
      "\x00\x0A\x00\x1F"              // 10.31
      "\x07\xFF"                      // channel-max 2047
      "\x00\x02\x00\x00"              // frame-max 131072
      "\x00\x3C"                      // heartbeat 60
      "\xCE"s;
  EXPECT_EQ(frame_of(ConnectionTuneOk{2047, 131072, 60}, 0), frame);
  EXPECT_EQ(decode<ConnectionTuneOk>(payload_of(frame)), (ConnectionTuneOk{2047, 131072, 60}));
}

TEST(Methods, Publish) {
  const std::string frame =
      "\x01\x00\x01\x00\x00\x00\x12"
      "\x00\x3C\x00\x28"  // 60.40
      "\x00\x00"          // reserved
      "\x04logs"
      "\x05info."
      "\x01"  // mandatory, not immediate
      "\xCE"s;
  BasicPublish publish;
  publish.exchange = "logs";
  publish.routing_key = "info.";
  publish.mandatory = true;
  EXPECT_EQ(frame_of(publish), frame);
  const auto decoded = decode<BasicPublish>(payload_of(frame));
  EXPECT_EQ(decoded, publish);
  EXPECT_EQ(decoded->exchange.data(), frame.data() + 14);  // nothing was copied
}

TEST(Methods, QueueDeclare) {
  const std::string frame =
      "\x01\x00\x02\x00\x00\x00\x20"
      "\x00\x32\x00\x0A"  // 50.10
      "\x00\x00"          // reserved
      "\x01q"
      "\x0A"              // durable and auto-delete: the bits from the lowest on
      "\x00\x00\x00\x13"  // arguments: 19 bytes
      "\x0Dx-message-ttlI\x00\x00\xEA\x60"
      "\xCE"s;
  const Table arguments = Table().add("x-message-ttl", std::int32_t{60000});
  QueueDeclare declare;
  declare.queue = "q";
  declare.durable = true;
  declare.auto_delete = true;
  declare.arguments = arguments.view();
  EXPECT_EQ(frame_of(declare, 2), frame);
  EXPECT_EQ(decode<QueueDeclare>(payload_of(frame)), declare);
}

TEST(Methods, Deliver) {
  const std::string frame =
      "\x01\x00\x01\x00\x00\x00\x18"
      "\x00\x3C\x00\x3C"                  // 60.60
      "\x03tag"                           //
      "\x00\x00\x00\x00\x00\x00\x01\x02"  // delivery-tag 258
      "\x01"                              // redelivered
      "\x00"                              // the default exchange
      "\x05queue"
      "\xCE"s;
  BasicDeliver deliver;
  deliver.consumer_tag = "tag";
  deliver.delivery_tag = 258;
  deliver.redelivered = true;
  deliver.routing_key = "queue";
  EXPECT_EQ(frame_of(deliver), frame);
}

TEST(Methods, Ack) {
  EXPECT_EQ(frame_of(BasicAck{7, true}),
            "\x01\x00\x01\x00\x00\x00\x0D\x00\x3C\x00\x50\x00\x00\x00\x00\x00\x00\x00\x07\x01\xCE"s);
}

TEST(Methods, ReservedIsWrittenAsNothingAndNotLookedAt) {
  EXPECT_EQ(frame_of(ChannelOpen{}), "\x01\x00\x01\x00\x00\x00\x05\x00\x14\x00\x0A\x00\xCE"s);
  EXPECT_EQ(error_of("\x00\x14\x00\x0A\x03old"s), ReplyCode::kReplySuccess);
  const std::string payload = "\x00\x0A\x00\x28\x01/\x03\xFF\xFE\xFD\x01"s;
  const auto open = decode<ConnectionOpen>(payload);
  ASSERT_TRUE(open.has_value());
  EXPECT_EQ(open->virtual_host, "/");
}

TEST(Methods, Errors) {
  EXPECT_EQ(error_of(""), ReplyCode::kFrameError);
  EXPECT_EQ(error_of("\x00\x3C\x00"s), ReplyCode::kFrameError);
  EXPECT_EQ(error_of("\x00\x3C\x00\x29"s), ReplyCode::kCommandInvalid);
  EXPECT_EQ(error_of("\x00\x46\x00\x0A"s), ReplyCode::kCommandInvalid);
  EXPECT_EQ(error_of("\x00\x5A\x00\x0A"s), ReplyCode::kReplySuccess);
  EXPECT_EQ(error_of("\x00\x5A\x00\x0A\x00"s), ReplyCode::kFrameError);  // too long
  const auto cut = decode_method("\x00\x3C\x00\x50\x00"s);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ReplyCode::kFrameError);
  EXPECT_EQ(cut.error().text, "basic.ack: delivery_tag: is cut short");
  EXPECT_EQ(cut.error().class_id, 60);
  EXPECT_EQ(cut.error().method_id, 80);
  EXPECT_TRUE(cut.error().ends_connection());
  // A short string that is not UTF-8, or has U+0000.
  EXPECT_EQ(error_of("\x00\x3C\x00\x15\x02\xC3\x28"s), ReplyCode::kFrameError);
  EXPECT_EQ(error_of("\x00\x3C\x00\x15\x02q\x00"s), ReplyCode::kFrameError);
  // queue.unbind with a table of a type that there is none of.
  const auto table = decode_method("\x00\x32\x00\x32\x00\x00\x00\x00\x00\x00\x00\x00\x03\x01kz"s);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code, ReplyCode::kSyntaxError);
  EXPECT_EQ(table.error().class_id, 50);
  // Another method than was asked for.
  EXPECT_EQ(decode<BasicAck>(payload_of(frame_of(BasicNack{}))).error().code, ReplyCode::kCommandInvalid);
}

TEST(Methods, TooLongForItsLength) {
  std::string out = "before";
  const std::string long_name(256, 'n');
  BasicPublish publish;
  publish.exchange = std::string_view(long_name).substr(1);
  publish.routing_key = long_name;
  EXPECT_FALSE(append_method(out, 1, publish));
  EXPECT_EQ(out, "before");
  publish.routing_key = publish.exchange;
  EXPECT_TRUE(append_method(out, 1, publish));
}

// The largest delivery fits the smallest frame-max.
TEST(Methods, NoLookAtFrameMaxNeeded) {
  const std::string name(255, 'n');
  BasicGetOk get{1, true, name, name, 7};
  BasicDeliver deliver{name, 1, true, name, name};
  BasicReturn back{312, name, name, name};
  EXPECT_LE(frame_of(get).size(), kFrameMinSize);
  EXPECT_LE(frame_of(deliver).size(), kFrameMinSize);
  EXPECT_LE(frame_of(back).size(), kFrameMinSize);
}

std::string entropy() {
  return *rc::gen::container<std::string>(250, rc::gen::arbitrary<char>());
}

Generator& nothing() {
  static Generator generator("");
  return generator;
}

// Of each kind, out of the entropy.
using Draw = Method (*)(Generator&);
std::vector<Draw> all_draws() {
  std::vector<Draw> out;
  for_each_method([&]<class M>(std::type_identity<M>) {
    out.push_back([](Generator& generator) -> Method { return generator.method<M>(); });
  });
  return out;
}

TEST(MethodProperties, RoundTripOfEveryMethod) {
  for (const Draw draw : all_draws()) {
    EXPECT_TRUE(rc::check([&] {
      const std::string drawn = entropy();
      Generator generator(drawn);
      const Method method = draw(generator);
      const auto channel = *rc::gen::arbitrary<std::uint16_t>();
      std::string wire;
      RC_ASSERT(append_method(wire, channel, method));
      const auto frame = next_frame(wire, 0);
      RC_ASSERT(frame && *frame);
      RC_ASSERT((*frame)->total_size() == wire.size());
      RC_ASSERT((*frame)->channel == channel);
      const auto decoded = decode_method((*frame)->payload);
      RC_ASSERT(decoded.has_value());
      RC_ASSERT((*decoded == method));
    })) << info(draw(nothing())).name;
  }
}

TEST(MethodProperties, TooShortOrTooLongIsAnError) {
  for (const Draw draw : all_draws()) {
    EXPECT_TRUE(rc::check([&] {
      const std::string drawn = entropy();
      Generator generator(drawn);
      std::string wire;
      RC_ASSERT(append_method(wire, 1, draw(generator)));
      const std::string payload(payload_of(wire));
      // In a block of its own, so that a sanitizer sees who reads behind it.
      const std::string cut = payload.substr(0, *rc::gen::inRange<std::size_t>(0, payload.size()));
      RC_ASSERT(!decode_method(cut).has_value());
      RC_ASSERT(decode_method(payload + "x").error().code == ReplyCode::kFrameError);
    })) << info(draw(nothing())).name;
  }
}

RC_GTEST_PROP(MethodProperties, GarbageIsAnErrorOrAMethod, (std::string arguments)) {
  for (const Draw draw : all_draws()) {
    const MethodInfo& wanted = info(draw(nothing()));
    std::string payload;
    Writer(payload).u16_be(wanted.class_id).u16_be(wanted.method).bytes(arguments);
    const auto method = decode_method(payload);
    if (!method) {
      RC_ASSERT(method.error().ends_connection());
      RC_ASSERT(method.error().class_id == wanted.class_id);
      continue;
    }
    std::string wire;
    RC_ASSERT(append_method(wire, 1, *method));
    const auto again = decode_method(payload_of(wire));
    RC_ASSERT(again.has_value());
    RC_ASSERT((*again == *method));
  }
}

}  // namespace
}  // namespace stele::amqp
