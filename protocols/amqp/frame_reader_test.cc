#include "protocols/amqp/frame_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace stele::amqp {
namespace {

constexpr std::uint32_t kFrameMax = 20'000;

std::string frame(FrameType type, std::uint16_t channel, std::size_t payload) {
  std::string out;
  append_frame_head(out, type, channel, static_cast<std::uint32_t>(payload));
  for (std::size_t i = 0; i < payload; ++i) out.push_back(static_cast<char>(i * 7));
  return out + kFrameEnd;
}

// What a reader makes of what it was given: frames as text, at last an error.
std::vector<std::string> frames_of(FrameReader& reader) {
  std::vector<std::string> out;
  while (true) {
    const auto next = reader.next(kFrameMax);
    if (!next) {
      out.push_back("error " + std::string(to_string(next.error().code)));
      return out;
    }
    if (!*next) return out;
    const Frame& f = **next;
    const std::string_view block = reader.block(), payload = f.payload;
    EXPECT_GE(payload.data(), block.data());
    EXPECT_LE(payload.data() + payload.size(), block.data() + block.size());
    out.push_back(std::to_string(static_cast<int>(f.type)) + " " + std::to_string(f.channel) + " " +
                  std::string(payload));
  }
}

TEST(FrameReader, WholeFrameStaysWhereItWasRead) {
  FrameReader reader;
  const Bytes read = Bytes::copy(frame(FrameType::kBody, 1, 100) + frame(FrameType::kBody, 1, 5));
  reader.add(read);
  const auto next = reader.next(kFrameMax);
  ASSERT_TRUE(next && *next);
  EXPECT_EQ((*next)->payload.data(), read.data() + kFrameHeadBytes);
  const Bytes kept = reader.block().slice((*next)->payload);
  EXPECT_EQ(kept.data(), (*next)->payload.data());
  EXPECT_EQ(reader.held(), 0u);
}

TEST(FrameReader, RestOfALargeFrameIsReadIntoItsBlock) {
  FrameReader reader;
  const std::string bytes = frame(FrameType::kBody, 3, 15'000);
  reader.add(Bytes::copy(bytes.substr(0, 100)));
  EXPECT_TRUE(frames_of(reader).empty());
  EXPECT_EQ(reader.held(), bytes.size());
  const std::span<char> to = reader.read_buffer();
  ASSERT_EQ(to.size(), bytes.size() - 100);
  std::memcpy(to.data(), bytes.data() + 100, to.size());
  reader.add(Bytes::literal({to.data(), to.size()}));
  const auto next = reader.next(kFrameMax);
  ASSERT_TRUE(next && *next);
  EXPECT_EQ((*next)->payload.data() + 100 - kFrameHeadBytes, to.data());
  EXPECT_EQ(reader.held(), 0u);
}

TEST(FrameReader, RefusesByTheHeadWithoutTakingMemory) {
  FrameReader reader;
  reader.add(Bytes::copy(frame(FrameType::kBody, 3, kFrameMax + 1).substr(0, kFrameHeadBytes)));
  EXPECT_EQ(frames_of(reader), std::vector<std::string>{"error FRAME_ERROR"});
  EXPECT_EQ(reader.held(), 0u);
}

// However the bytes are cut, wherever they are read to and wherever a pause falls, the frames are the same.
RC_GTEST_PROP(FrameReaderProperties, CutsDoNotMatter, ()) {
  const auto sizes =
      *rc::gen::container<std::vector<std::uint16_t>>(rc::gen::inRange<std::uint16_t>(0, 9000));
  std::string bytes;
  for (const std::uint16_t size : sizes) {
    bytes += size % 5 == 0 ? std::string(kHeartbeatFrame)
                           : frame(size % 2 ? FrameType::kBody : FrameType::kMethod, size, size);
  }
  bytes += *rc::gen::arbitrary<std::string>();
  FrameReader whole;
  whole.add(Bytes::copy(bytes));
  const std::vector<std::string> expected = frames_of(whole);

  FrameReader pieces;
  std::vector<std::string> got;
  const auto failed = [&] { return !got.empty() && got.back().starts_with("error"); };
  const std::size_t most = *rc::gen::element<std::size_t>(2, 50, 5000, 20'000);
  for (std::size_t at = 0; at < bytes.size() && !failed();) {
    auto size = std::min<std::size_t>(*rc::gen::inRange<std::size_t>(1, most), bytes.size() - at);
    const std::span<char> own = pieces.read_buffer();
    if (own.empty()) {
      pieces.add(Bytes::copy(bytes.substr(at, size)));
    } else {
      size = std::min(size, own.size());
      std::memcpy(own.data(), bytes.data() + at, size);
      pieces.add(Bytes::literal({own.data(), size}));
    }
    at += size;
    if (*rc::gen::inRange(0, 4) == 0) {
      pieces.pause();
      continue;
    }
    for (std::string& f : frames_of(pieces)) got.push_back(std::move(f));
  }
  if (!failed()) {
    for (std::string& f : frames_of(pieces)) got.push_back(std::move(f));
  }
  RC_ASSERT(got == expected);
}

}  // namespace
}  // namespace stele::amqp
