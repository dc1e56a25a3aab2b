#include "protocols/mqtt/frame_input.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

namespace stele::mqtt {
namespace {

using Status = FrameResult::Status;

std::string publish(std::size_t payload) {
  std::string out("\x30", 1);
  append_varint(out, static_cast<std::uint32_t>(3 + payload));
  out.append(std::string("\0\1t", 3));
  out.append(payload, 'x');
  return out;
}

std::vector<std::string> frames_of(FrameInput& input) {
  std::vector<std::string> out;
  FrameResult next = input.next();
  for (; next.status == Status::kFrame; next = input.next()) {
    out.push_back(std::string(1, static_cast<char>(next.frame.first_byte)) + std::string(next.frame.body));
  }
  if (next.status == Status::kError) out.push_back("error " + std::string(to_string(next.error)));
  return out;
}

TEST(FrameInput, HoldsNothingBetweenFrames) {
  InputBudget budget;
  FrameInput input(budget);
  input.set_limits(1000, 1000);
  EXPECT_TRUE(input.idle());
  input.feed(Bytes::copy(publish(3) + publish(4)));
  EXPECT_EQ(frames_of(input).size(), 2u);
  EXPECT_TRUE(input.idle());
  EXPECT_EQ(budget.used, 0u);
}

TEST(FrameInput, WholeFrameStaysWhereItWasRead) {
  InputBudget budget;
  FrameInput input(budget);
  input.set_limits(1000, 1000);
  const Bytes read = Bytes::copy(publish(100));
  input.feed(read);
  const FrameResult next = input.next();
  ASSERT_EQ(next.status, Status::kFrame);
  EXPECT_EQ(next.frame.body.data(), read.data() + 2);
  EXPECT_EQ(input.block().data(), read.data());
}

TEST(FrameInput, LargeFrameIsReadIntoItsOwnBlock) {
  InputBudget budget;
  FrameInput input(budget);
  input.set_limits(1 << 20, 1000);
  const std::string frame = publish(100'000);
  input.feed(Bytes::copy(frame.substr(0, 1000)));
  EXPECT_EQ(input.next().status, Status::kNeedMore);
  EXPECT_EQ(budget.used, frame.size());
  std::span<char> to = input.read_buffer();
  ASSERT_EQ(to.size(), frame.size() - 1000);
  const char* block = to.data() - 1000;
  for (std::size_t at = 1000; at < frame.size();) {
    to = input.read_buffer();
    const std::size_t size = std::min<std::size_t>(frame.size() - at, 30'000);
    std::string rest;
    if (to.empty()) {  // little is left: by way of the slab, with what comes behind it
      input.feed(Bytes::copy(frame.substr(at, size) + publish(1)));
    } else {
      std::memcpy(to.data(), frame.data() + at, size);
      input.feed(Bytes::literal({to.data(), size}));
    }
    at += size;
    if (at < frame.size()) {
      EXPECT_EQ(input.next().status, Status::kNeedMore);
    }
  }
  const FrameResult next = input.next();
  ASSERT_EQ(next.status, Status::kFrame);
  EXPECT_EQ(next.frame.total_size, frame.size());
  EXPECT_EQ(input.block().data(), block);
  EXPECT_EQ(input.block().view(), frame);
  EXPECT_EQ(budget.used, 0u);
  // A slice outlives it.
  const Bytes kept = input.block().slice(next.frame.body);
  frames_of(input);
  EXPECT_EQ(kept.size(), frame.size() - 4);
  EXPECT_TRUE(input.idle());
}

TEST(FrameInput, BudgetIsGivenBack) {
  InputBudget budget{.limit = 1000};
  {
    FrameInput one(budget), two(budget);
    one.set_limits(10'000, 10'000);
    two.set_limits(10'000, 10'000);
    one.feed(Bytes::copy(publish(600).substr(0, 10)));
    EXPECT_EQ(one.next().status, Status::kNeedMore);
    two.feed(Bytes::copy(publish(600).substr(0, 10)));
    const FrameResult refused = two.next();
    EXPECT_EQ(refused.status, Status::kError);
    EXPECT_EQ(refused.error, ReasonCode::kServerBusy);
    one.clear();
    EXPECT_EQ(budget.used, 0u);
    one.feed(Bytes::copy(publish(600).substr(0, 10)));
    EXPECT_EQ(one.next().status, Status::kNeedMore);
  }
  EXPECT_EQ(budget.used, 0u);
}

TEST(FrameInput, LimitsByKindOfPacket) {
  InputBudget budget;
  FrameInput input(budget);
  input.set_limits(1000, 10);
  input.feed(Bytes::copy(publish(500) + std::string("\x82\x20", 2)));
  const auto got = frames_of(input);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1], "error packet too large");
}

// However the bytes are cut, and wherever a pause falls, the frames are the same.
RC_GTEST_PROP(FrameInputProperties, CutsDoNotMatter, ()) {
  const auto sizes =
      *rc::gen::container<std::vector<std::uint16_t>>(rc::gen::inRange<std::uint16_t>(0, 9000));
  std::string bytes;
  for (const std::uint16_t size : sizes) {
    if (size % 5 == 0) {
      bytes += std::string("\xC0\0", 2);
    } else {
      bytes += publish(size);
    }
  }
  bytes += *rc::gen::arbitrary<std::string>();
  InputBudget budget;
  FrameInput whole(budget);
  whole.set_limits(8000, 100);
  whole.feed(Bytes::copy(bytes));
  const std::vector<std::string> expected = frames_of(whole);
  const bool fails = !expected.empty() && expected.back().starts_with("error");

  FrameInput pieces(budget);
  pieces.set_limits(8000, 100);
  std::vector<std::string> got;
  const std::size_t most = *rc::gen::element<std::size_t>(2, 50, 5000, 20'000);
  for (std::size_t at = 0; at < bytes.size();) {
    const auto size = std::min<std::size_t>(*rc::gen::inRange<std::size_t>(1, most), bytes.size() - at);
    const std::span<char> own = pieces.read_buffer();
    if (own.empty()) {
      pieces.feed(Bytes::copy(bytes.substr(at, size)));
      at += size;
    } else {
      const std::size_t part = std::min(size, own.size());
      std::memcpy(own.data(), bytes.data() + at, part);
      pieces.feed(Bytes::literal({own.data(), part}));
      at += part;
    }
    if (*rc::gen::inRange(0, 4) == 0) {
      pieces.pause();
      continue;
    }
    for (std::string& frame : frames_of(pieces)) got.push_back(std::move(frame));
    if (!got.empty() && got.back().starts_with("error")) break;
  }
  if (!(fails && !got.empty() && got.back().starts_with("error"))) {
    for (std::string& frame : frames_of(pieces)) got.push_back(std::move(frame));
  }
  RC_ASSERT(got == expected);
}

}  // namespace
}  // namespace stele::mqtt
