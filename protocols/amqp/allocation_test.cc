// The way of a message through the codec, in and out, takes no memory of its own: everything is where it was
// read, or is written behind what is there.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

#include "protocols/amqp/assembler.h"
#include "protocols/amqp/frame_reader.h"
#include "protocols/amqp/method_codec.h"

namespace {
std::size_t allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace stele::amqp {
namespace {

const std::string kName(40, 'n');  // longer than a string keeps without memory of its own

std::string publish_and_ack(const BasicProperties& properties, std::string_view body) {
  std::string out;
  EXPECT_TRUE(append_method(out, 1, BasicPublish{kName, kName, false, false}));
  EXPECT_TRUE(append_content_header(out, 1, body.size(), properties));
  append_body(out, 1, body, kFrameMinSize);
  EXPECT_TRUE(append_method(out, 1, BasicAck{7, false}));
  return out;
}

TEST(Allocation, ReadingPublishAndAck) {
  const Table headers = Table().add(kName, kName).add("n", std::int32_t{1});
  BasicProperties properties;
  properties.headers = headers.view();
  properties.message_id = kName;
  const Bytes input = Bytes::copy(publish_and_ack(properties, std::string(1000, 'b')));
  FrameReader reader;
  Assembler assembler(Side::kServer, 1, 1 << 20);
  const std::size_t before = allocations;
  reader.add(input);
  bool right = true;
  int taken = 0;
  for (auto frame = reader.next(kFrameMinSize); frame && *frame; frame = reader.next(kFrameMinSize)) {
    const auto step = assembler.on_frame(**frame, reader.block());
    right = right && step.has_value();
    if (!step || *step == Assembler::Step::kMore) continue;
    ++taken;
    if (assembler.method().id() == BasicPublish::kInfo.id()) {
      const auto publish = decode<BasicPublish>(assembler.arguments());
      const auto decoded = decode_properties(assembler.header().properties);
      right = right && publish && publish->routing_key == kName && decoded && decoded->message_id == kName;
      right = right && decoded->headers->find(kName) && assembler.body().size() == 1000;
    } else {
      right = right && decode<BasicAck>(assembler.arguments()).has_value();
    }
  }
  EXPECT_EQ(allocations, before);
  EXPECT_TRUE(right);
  EXPECT_EQ(taken, 2);
}

TEST(Allocation, WritingDeliver) {
  BasicProperties properties;
  properties.message_id = kName;
  const std::string body(1000, 'b');
  std::string out;
  out.reserve(4096);
  const std::size_t before = allocations;
  bool written = append_method(out, 1, BasicDeliver{kName, 1, false, kName, kName});
  written = append_content_header(out, 1, body.size(), properties) && written;
  append_body(out, 1, body, kFrameMinSize);
  EXPECT_EQ(allocations, before);
  EXPECT_TRUE(written);
}

}  // namespace
}  // namespace stele::amqp
