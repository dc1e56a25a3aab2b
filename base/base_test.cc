#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/fifo.h"
#include "base/hash.h"
#include "base/intrusive_list.h"
#include "base/nearest.h"
#include "base/result.h"
#include "base/wire.h"

namespace stele {
namespace {

TEST(Crc32c, KnownVectorsOfRfc3720) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xe3069283u);
}

TEST(Bytes, SlicesShareTheBlock) {
  Bytes whole = Bytes::copy("hello world");
  Bytes part = whole.slice(6);
  whole = Bytes();
  EXPECT_EQ(part.view(), "world");
  EXPECT_EQ(part.slice(1, 3).view(), "orl");
  EXPECT_EQ(part.slice(part.view().substr(2)).view(), "rld");
}

// Of any sort of item; what was taken is destroyed at once.
TEST(Fifo, IsADequeThatHoldsNothingWhenItIsEmpty) {
  Fifo<std::shared_ptr<int>> fifo;
  std::deque<std::shared_ptr<int>> model;
  std::uint64_t random = 1;
  for (int i = 0; i < 20000; ++i) {
    random = mix64(random + 1);
    const bool grows = i / 1000 % 2 == 0;
    const std::uint64_t what = random % 8;
    if (what < (grows ? 5 : 2)) {
      fifo.push_back(std::make_shared<int>(i));
      model.push_back(fifo.back());
    } else if (what < 7 && !model.empty()) {
      const std::weak_ptr<int> taken = model.front();
      model.pop_front();
      if (what == 6) {
        fifo.pop_front();
      } else {
        ASSERT_EQ(fifo.take_front(), taken.lock());
      }
      ASSERT_TRUE(taken.expired());
    } else if (!model.empty()) {
      const std::size_t at = random / 8 % model.size();
      fifo.erase(at);
      model.erase(model.begin() + static_cast<std::ptrdiff_t>(at));
    }
    ASSERT_EQ(fifo.size(), model.size());
    ASSERT_EQ(fifo.empty(), model.empty());
    if (model.empty()) continue;
    ASSERT_EQ(fifo.front(), model.front());
    ASSERT_EQ(fifo.back(), model.back());
    ASSERT_EQ(fifo[random % model.size()], model[random % model.size()]);
  }
  EXPECT_TRUE(std::equal(fifo.begin(), fifo.end(), model.begin(), model.end()));
  fifo.clear();
  EXPECT_TRUE(fifo.empty());
}

TEST(Buffer, KnowsWhetherSlicesAreAlive) {
  Buffer buffer(8);
  EXPECT_TRUE(buffer.unique());
  {
    Bytes slice = buffer.slice(0, 4);
    EXPECT_FALSE(buffer.unique());
  }
  EXPECT_TRUE(buffer.unique());
}

TEST(Wire, VarintsGoThereAndBack) {
  for (std::int64_t v : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{63}, std::int64_t{64},
                         std::int64_t{-12345678901}, INT64_MAX, INT64_MIN}) {
    std::string out;
    Writer(out).varint(v);
    Reader reader(out);
    EXPECT_EQ(reader.varint(), v);
    EXPECT_TRUE(reader.ok() && reader.at_end());
  }
}

TEST(Wire, AReaderThatRanShortStaysFailed) {
  Reader reader("\x01\x02");
  EXPECT_EQ(reader.u32_be(), 0u);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.u8(), 0u);
  Reader endless("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
  endless.uvarint();
  EXPECT_TRUE(endless.failed());
}

TEST(Hash, LengthsCount) {
  EXPECT_NE(Hasher().add("ab").add("c").value(), Hasher().add("a").add("bc").value());
}

struct Item : ListNode<> {
  int value = 0;
};

TEST(IntrusiveList, ElementsLeaveByThemselves) {
  IntrusiveList<Item> list;
  Item a, c;
  {
    Item b;
    list.push_back(a);
    list.push_back(b);
    list.push_back(c);
  }
  EXPECT_EQ(&list.pop_front(), &a);
  EXPECT_EQ(&list.pop_front(), &c);
  EXPECT_TRUE(list.empty());
}

Result<int> half(int v) {
  if (v % 2) return error(ErrorCode::kInvalidArgument, "odd");
  return v / 2;
}
Result<int> quarter(int v) {
  STELE_TRY(int h, half(v));
  return half(h);
}

TEST(Result, TryPassesErrorsOn) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().code, ErrorCode::kInvalidArgument);
}

TEST(Nearest, NamesWhatWasMeant) {
  const std::string_view names[] = {"cores", "data", "durability", "http"};
  EXPECT_EQ(nearest("cors", names), "cores");
  EXPECT_EQ(nearest("DATA", names), "data");
  EXPECT_EQ(nearest("htpp", names), "http");
  EXPECT_EQ(nearest("x", {}), "");
  EXPECT_EQ(did_you_mean("durabilty", names), " (did you mean 'durability'?)");
  EXPECT_EQ(did_you_mean("nothing like it", names), "");
}

}  // namespace
}  // namespace stele
