#include "broker/block_arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace stele::broker {
namespace {

TEST(BlockArena, PiecesDoNotTouch) {
  BlockArena arena;
  std::vector<BlockArena::Piece> pieces;
  for (int turn = 0; turn < 5; ++turn) {
    for (std::size_t size : {1u, 100u, 1536u, 1537u, 300u, 100000u}) {
      pieces.push_back(arena.take(size));
      ASSERT_EQ(pieces.back().bytes.size(), size);
      ASSERT_EQ(pieces.back().bytes.data(), pieces.back().data);
      std::memset(pieces.back().data, static_cast<int>(pieces.size()), size);
    }
    arena.end_turn();
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ(pieces[i].bytes.view(), std::string(pieces[i].bytes.size(), static_cast<char>(i + 1)));
  }
}

// How many blocks pieces lie in: those of one block lie next to each other.
int blocks_of(BlockArena& arena, int pieces, std::size_t size, std::vector<Bytes>& kept) {
  int blocks = 0;
  const char* end = nullptr;
  for (int i = 0; i < pieces; ++i) {
    kept.push_back(arena.take(size).bytes);
    blocks += kept.back().data() != end ? 1 : 0;
    end = kept.back().data() + size;
  }
  arena.end_turn();
  return blocks;
}

TEST(BlockArena, TurnTakesFewBlocks) {
  BlockArena arena;
  std::vector<Bytes> kept;
  EXPECT_LE(blocks_of(arena, 64, 200, kept), 7);  // each twice the one before
  EXPECT_EQ(blocks_of(arena, 64, 200, kept), 1);  // as many as the last time
  EXPECT_LE(blocks_of(arena, 1000, 200, kept), 20);
  EXPECT_EQ(blocks_of(arena, 1, 200, kept), 1);
}

}  // namespace
}  // namespace stele::broker
