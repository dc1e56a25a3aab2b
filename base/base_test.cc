#include <gtest/gtest.h>

#include <string>

#include "base/bytes.h"
#include "base/crc32c.h"
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
