#include "model/compression.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

namespace stele {
namespace {

constexpr Compression kCodecs[] = {Compression::kNone, Compression::kGzip, Compression::kSnappy,
                                   Compression::kLz4, Compression::kZstd};
constexpr std::size_t kPlenty = 1 << 24;

std::string compressed(Compression codec, std::string_view input) {
  std::string out;
  EXPECT_TRUE(compress(codec, input, out));
  return out;
}

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (int v : values) out.push_back(static_cast<char>(v));
  return out;
}

TEST(Compression, NamesAreKafkas) {
  EXPECT_EQ(to_string(Compression::kZstd), "zstd");
  EXPECT_EQ(compression_from(2), Compression::kSnappy);
  EXPECT_EQ(compression_from(5), std::nullopt);
  EXPECT_EQ(compression_from(-1), std::nullopt);
}

TEST(Compression, GoesThereAndBack) {
  EXPECT_TRUE(rc::check([] {
    auto codec = *rc::gen::elementOf(std::vector<Compression>(std::begin(kCodecs), std::end(kCodecs)));
    std::string input = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
    int repeat = *rc::gen::inRange(1, 3000);
    std::string large;
    for (int i = 0; i < repeat; ++i) large += input;
    std::string out = "before";
    RC_ASSERT(decompress(codec, compressed(codec, large), kPlenty, out).has_value());
    RC_ASSERT(out == "before" + large);
  }));
}

TEST(Compression, TheLimitIsExact) {
  for (Compression codec : kCodecs) {
    for (std::size_t size : {1u, 255u, 256u, 257u, 65536u, 1000000u}) {
      std::string packed = compressed(codec, std::string(size, 'x'));
      std::string out = "before";
      EXPECT_TRUE(decompress(codec, packed, size, out)) << to_string(codec) << " " << size;
      EXPECT_EQ(out.size(), size + 6);
      out = "before";
      auto result = decompress(codec, packed, size - 1, out);
      ASSERT_FALSE(result) << to_string(codec) << " " << size;
      EXPECT_EQ(result.error().code, ErrorCode::kNoSpace) << result.error().to_string();
      EXPECT_EQ(out, "before");
    }
  }
}

TEST(Compression, NothingCompressedIsNothing) {
  for (Compression codec : kCodecs) {
    std::string out;
    EXPECT_TRUE(decompress(codec, compressed(codec, ""), 0, out)) << to_string(codec);
    EXPECT_EQ(out, "");
  }
}

TEST(Compression, InputCutShortIsCorrupt) {
  std::string input;
  for (int i = 0; i < 3000; ++i) input += std::to_string(i * i);
  for (Compression codec : kCodecs) {
    if (codec == Compression::kNone) continue;
    std::string packed = compressed(codec, input);
    for (std::size_t length = 0; length < packed.size(); length += 1 + packed.size() / 97) {
      // A snappy stream may end after each of its blocks: the format has no end mark. The record count tells.
      if (codec == Compression::kSnappy && length == 16) continue;
      std::string out;
      auto result = decompress(codec, packed.substr(0, length), kPlenty, out);
      ASSERT_FALSE(result) << to_string(codec) << " " << length << " of " << packed.size();
      EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
      EXPECT_EQ(out, "");
    }
  }
}

TEST(Compression, DamagedInputNeverEscapesItsLimit) {
  EXPECT_TRUE(rc::check([] {
    auto codec = *rc::gen::elementOf(std::vector<Compression>(std::begin(kCodecs), std::end(kCodecs)));
    std::string input(*rc::gen::inRange(0, 5000), 'x');
    std::string packed = compressed(codec, input);
    RC_PRE(!packed.empty());
    packed[*rc::gen::inRange<std::size_t>(0, packed.size())] = *rc::gen::arbitrary<char>();
    std::string out;
    auto result = decompress(codec, packed, 6000, out);
    RC_ASSERT(out.size() <= 6000u);
    RC_ASSERT(result.has_value() || out.empty());
  }));
}

TEST(Compression, GarbageAfterTheEndIsCorrupt) {
  for (Compression codec : {Compression::kGzip, Compression::kLz4, Compression::kZstd}) {
    std::string out;
    auto result = decompress(codec, compressed(codec, "hello") + "garbage", kPlenty, out);
    ASSERT_FALSE(result) << to_string(codec);
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
  }
}

TEST(Compression, ConcatenatedStreamsAreOne) {
  for (Compression codec : {Compression::kGzip, Compression::kSnappy, Compression::kZstd}) {
    std::string out;
    EXPECT_TRUE(decompress(codec, compressed(codec, "hello ") + compressed(codec, "world"), kPlenty, out));
    EXPECT_EQ(out, "hello world") << to_string(codec);
  }
}

TEST(Snappy, IsReadWithJavasFramingAndWithout) {
  // "hello" as one literal: length 5, tag (5-1)<<2.
  std::string raw = bytes({5, 4 << 2, 'h', 'e', 'l', 'l', 'o'});
  std::string out;
  EXPECT_TRUE(decompress(Compression::kSnappy, raw, 5, out));
  EXPECT_EQ(out, "hello");
  std::string framed =
      bytes({0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7}) + raw;
  out.clear();
  EXPECT_TRUE(decompress(Compression::kSnappy, framed + bytes({0, 0, 0, 7}) + raw, 10, out));
  EXPECT_EQ(out, "hellohello");
  EXPECT_EQ(compressed(Compression::kSnappy, "hello"), framed);
}

TEST(Snappy, ALieAboutTheLengthCostsNoMemory) {
  std::string out;
  auto result =
      decompress(Compression::kSnappy, bytes({0xff, 0xff, 0xff, 0xff, 0x0f, 0}), std::size_t{1} << 40, out);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
  EXPECT_LT(out.capacity(), 1000u);
}

// KafkaLZ4BlockInputStream (Java) reads version 1, independent blocks; it fails on linked ones.
TEST(Lz4, FrameIsOneJavaReads) {
  std::string packed = compressed(Compression::kLz4, std::string(200000, 'x'));
  ASSERT_GT(packed.size(), 7u);
  EXPECT_EQ(packed.substr(0, 4), "\x04\x22\x4d\x18");
  int flags = static_cast<unsigned char>(packed[4]);
  EXPECT_EQ(flags >> 6, 1) << "version";
  EXPECT_TRUE(flags & 0x20) << "independent blocks";
  EXPECT_FALSE(flags & 0x08) << "no content size";
}

}  // namespace
}  // namespace stele
