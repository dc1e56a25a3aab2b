#include "protocols/kafka/frame_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/wire.h"

namespace stele::kafka {
namespace {

std::string framed(const std::vector<std::string>& bodies) {
  std::string out;
  for (const auto& body : bodies) Writer(out).u32_be(std::uint32_t(body.size())).bytes(body);
  return out;
}

// Feeds `wire` in pieces, as a socket would: into read_buffer() when the reader offers one.
Result<std::vector<std::string>> read_in_pieces(FrameReader& reader, std::string_view wire,
                                                std::vector<std::size_t> pieces) {
  std::vector<std::string> frames;
  std::size_t turn = 0;
  while (!wire.empty()) {
    std::size_t size = pieces.empty() ? wire.size() : pieces[turn++ % pieces.size()];
    size = std::min(std::max<std::size_t>(size, 1), wire.size());
    Bytes data;
    if (auto own = reader.read_buffer(); !own.empty() && turn % 2 == 0) {
      size = std::min(size, own.size());
      std::memcpy(own.data(), wire.data(), size);
      data = Bytes::literal({own.data(), size});
    } else {
      data = Bytes::copy(wire.substr(0, size));
    }
    wire.remove_prefix(size);
    reader.add(std::move(data));
    while (true) {
      STELE_TRY(auto frame, reader.next(1 << 20));
      if (!frame) break;
      frames.emplace_back(frame->view());
    }
  }
  return frames;
}

RC_GTEST_PROP(FrameReader, GivesTheFramesHoweverTheyArrive, ()) {
  auto bodies = *rc::gen::container<std::vector<std::string>>(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::arbitrary<char>())));
  const auto pieces = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 40));
  FrameReader reader;
  const auto frames = read_in_pieces(reader, framed(bodies), pieces);
  RC_ASSERT(frames.has_value());
  RC_ASSERT(*frames == bodies);
}

TEST(FrameReader, AWholeFrameIsASliceOfWhatArrived) {
  FrameReader reader;
  const Bytes wire = Bytes::copy(framed({"abc"}));
  reader.add(wire);
  const auto frame = reader.next(100);
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ((*frame)->data(), wire.data() + 4);
}

TEST(FrameReader, KeepsNothingOfWhatArrivedOnceItIsTaken) {
  Buffer slab(100);
  for (const std::string& wire : {framed({"abc", "d"}), framed({"abc"}) + std::string("\0\0", 2)}) {
    FrameReader reader;
    std::memcpy(slab.data(), wire.data(), wire.size());
    reader.add(slab.slice(0, wire.size()));
    while (reader.next(100)->has_value()) {
    }
    EXPECT_TRUE(slab.unique());
  }
}

TEST(FrameReader, RefusesLengthsThatMakeNoSense) {
  for (const std::string& wire :
       {std::string("\0\0\0\0", 4), std::string("\0\0\0\x65", 4), std::string("\xff\xff\xff\xff", 4)}) {
    FrameReader reader;
    reader.add(Bytes::copy(wire));
    const auto frame = reader.next(100);
    ASSERT_FALSE(frame);
    EXPECT_EQ(frame.error().code, ErrorCode::kMalformed);
  }
}

}  // namespace
}  // namespace stele::kafka
