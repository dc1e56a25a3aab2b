#include "broker/peer_codec.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/wire.h"
#include "broker/message_batch.h"
#include "broker/testing/peer_samples.h"

namespace {
// What has been allocated by this program in all, to tell what a decoder takes.
std::size_t allocated = 0;
}  // namespace

void* operator new(std::size_t size) {
  allocated += size;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace stele::broker::wire {
namespace {

std::string joined(const rpc::Payload& payload) {
  std::string all;
  for (const Bytes& slice : payload.slices()) all += slice.view();
  return all;
}

// Decodes, and takes no memory out of proportion.
template <class T>
Result<T> decode_bounded(std::string_view bytes) {
  const Bytes payload = Bytes::copy(bytes);
  const std::size_t before = allocated;
  auto got = decode<T>(payload);
  RC_ASSERT(allocated - before <= 4096 + 64 * bytes.size());
  return got;
}

template <class T>
class PeerCodec : public testing::Test {};
using All = testing::Types<DataMail, DataAnswerMail, ForwardMail, ForwardAnswerMail, Live, Items, Settle,
                           SessionAsk, SessionAnswer, RouteBatch, RouteBatchAnswer>;
TYPED_TEST_SUITE(PeerCodec, All);

TYPED_TEST(PeerCodec, ComesAsItWas) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed, bool large) {
    const auto sent = PeerSamples(seed, large).make<TypeParam>();
    const auto got = decode_bounded<TypeParam>(joined(encode(sent)));
    RC_ASSERT(got.has_value());
    RC_ASSERT(same(*got, sent));
  }));
}

TYPED_TEST(PeerCodec, IsRefusedWhereItIsCut) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const std::string bytes = joined(encode(PeerSamples(seed).make<TypeParam>()));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto got = decode_bounded<TypeParam>(std::string_view(bytes).substr(0, size));
      RC_ASSERT(!got.has_value());
      RC_ASSERT(got.error().code == ErrorCode::kMalformed);
    }
  }));
}

// Each byte, in turn, is another one. What is taken all the same makes sense: it can be said again.
TYPED_TEST(PeerCodec, DoesNoHarmWhereItIsGarbled) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    PeerSamples samples(seed);
    const std::string bytes = joined(encode(samples.make<TypeParam>()));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      std::string garbled = bytes;
      garbled[i] = samples.coin() ? static_cast<char>(garbled[i] ^ (1 << samples.below(8)))
                                  : static_cast<char>(samples.coin() ? 0xff : samples.below(256));
      const auto got = decode_bounded<TypeParam>(garbled);
      if (!got) continue;
      const auto again = decode<TypeParam>(Bytes::copy(joined(encode(*got))));
      RC_ASSERT(again.has_value());
      RC_ASSERT(same(*again, *got));
    }
  }));
}

TYPED_TEST(PeerCodec, DoesNoHarmWhereItIsAnything) {
  EXPECT_TRUE(rc::check([](const std::string& bytes) { (void)decode_bounded<TypeParam>(bytes); }));
}

TYPED_TEST(PeerCodec, IsReadTheSameWithWhatALaterVersionAppends) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed, const std::string& later) {
    const auto sent = PeerSamples(seed).make<TypeParam>();
    const auto got = decode_bounded<TypeParam>(joined(encode(sent)) + later);
    RC_ASSERT(got.has_value());
    RC_ASSERT(same(*got, sent));
  }));
}

// ---- items of a later version -----------------------------------------------------------------------------

// The items of a list that ends the message and begins at `at`, each with more at its end.
std::string with_longer_items(std::string_view bytes, std::size_t at) {
  std::string out(bytes.substr(0, at));
  Writer w(out);
  Reader r(bytes.substr(at));
  const auto count = r.le<std::uint32_t>();
  w.le(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view item = r.bytes(r.le<std::uint32_t>());
    w.le(static_cast<std::uint32_t>(item.size() + 5)).bytes(item).bytes("later");
  }
  EXPECT_TRUE(r.ok() && r.at_end());
  return out;
}

template <class T>
void items_may_grow(std::size_t at) {
  EXPECT_TRUE(rc::check([at](std::uint64_t seed) {
    const auto sent = PeerSamples(seed).make<T>();
    const auto got = decode_bounded<T>(with_longer_items(joined(encode(sent)), at));
    RC_ASSERT(got.has_value());
    RC_ASSERT(same(*got, sent));
  }));
}

TEST(PeerCodecItems, MayGrow) {
  items_may_grow<Live>(4 + 33);
  items_may_grow<Items>(0);
  items_may_grow<Settle>(0);
  items_may_grow<RouteBatch>(50);
}

// Of a publish the content is the last, as an item.
TEST(PeerCodecItems, MayGrowInsideOthers) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    constexpr std::size_t kEmptyContent = 16;
    DataMail sent = PeerSamples(seed).make<DataMail>();
    sent.denied = Error{ErrorCode::kUnauthorized, "so that it may be empty"};
    std::string bytes = joined(encode(sent));
    sent.data = {};
    const std::size_t at = joined(encode(sent)).size() - 4 - kEmptyContent;
    sent = *decode<DataMail>(Bytes::copy(bytes));
    const auto size = load_le<std::uint32_t>(bytes.data() + at);
    RC_ASSERT(at + 4 + size == bytes.size());
    store_le(bytes.data() + at, size + 5);
    const auto got = decode_bounded<DataMail>(bytes + "later");
    RC_ASSERT(got.has_value());
    RC_ASSERT(same(*got, sent));
  }));
}

// ---- what is not copied -----------------------------------------------------------------------------------

bool lies_in(const Bytes& part, const Bytes& whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

Bytes batch_with(std::size_t payload_bytes) {
  const std::string payload(payload_bytes, 'x');
  MessageView message;
  message.address = "a";
  message.payload = payload;
  message.timestamp_ms = 1;
  return batch_of(message, KeyRule{}).batch;
}

TEST(PeerCodecCopies, NoLargeBatchOnTheWayOutAndNoneOnTheWayIn) {
  ForwardMail mail;
  mail.lsn = Lsn(1);
  mail.data.address = Bytes::copy("a");
  mail.data.batch = batch_with(3000);
  const rpc::Payload payload = encode(mail);
  ASSERT_EQ(payload.slices().size(), 2u);
  EXPECT_EQ(payload.slices()[1].data(), mail.data.batch.data());
  const Bytes bytes = Bytes::copy(joined(payload));
  const auto got = decode<ForwardMail>(bytes);
  ASSERT_TRUE(got.has_value());
  EXPECT_TRUE(lies_in(got->data.batch, bytes));
  EXPECT_TRUE(lies_in(got->data.address, bytes));

  Items items;
  SessionMail session;
  for (const std::size_t size : {10, 5000, 10, 10, 6000}) {
    session.items.emplace_back();
    session.items.back().batch = batch_with(size);
  }
  items.parts.emplace_back(session);
  const rpc::Payload several = encode(items);
  ASSERT_EQ(several.slices().size(), 5u);
  EXPECT_EQ(several.slices()[1].data(), session.items[1].batch.data());
  EXPECT_EQ(several.slices()[3].data(), session.items[4].batch.data());
  const auto again = decode<Items>(Bytes::copy(joined(several)));
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(same(*again, items));
}

// ---- what makes no sense ----------------------------------------------------------------------------------

template <class T>
bool is_taken(const T& sent) {
  return decode<T>(Bytes::copy(joined(encode(sent)))).has_value();
}

ForwardMail a_forward() {
  ForwardMail mail;
  mail.lsn = Lsn(5);
  mail.data.address = Bytes::copy("a/b");
  mail.data.batch = batch_with(5);
  return mail;
}

TEST(PeerCodecSense, AForwardHasAPlaceInAnOrder) {
  ForwardMail mail = a_forward();
  EXPECT_TRUE(is_taken(mail));
  mail.after = Lsn(4);
  EXPECT_TRUE(is_taken(mail));
  mail.after = Lsn(5);
  EXPECT_FALSE(is_taken(mail));
  mail = a_forward();
  mail.lsn = Lsn(UINT64_MAX);
  EXPECT_FALSE(is_taken(mail));
}

TEST(PeerCodecSense, ContentIsABatchForAnAddress) {
  ForwardMail mail = a_forward();
  mail.data.batch = {};
  EXPECT_FALSE(is_taken(mail));
  mail.data.batch = Bytes::copy("neither");
  EXPECT_FALSE(is_taken(mail));
  mail.data.batch = Bytes::copy(std::string(batch_with(5).view()) + std::string(batch_with(5).view()));
  EXPECT_FALSE(is_taken(mail));
  mail = a_forward();
  mail.data.address = Bytes::copy("a/#");
  EXPECT_FALSE(is_taken(mail));
  mail = a_forward();
  mail.data.qos = 3;
  EXPECT_FALSE(is_taken(mail));
  mail = a_forward();
  mail.data.stream = StreamId{TopicId(1), PartitionId(-1)};
  EXPECT_FALSE(is_taken(mail));
}

TEST(PeerCodecSense, OnlyWhatIsDeniedHasNoBatch) {
  DataMail mail;
  EXPECT_FALSE(is_taken(mail));
  mail.denied = Error{ErrorCode::kUnauthorized, "no"};
  EXPECT_TRUE(is_taken(mail));
  mail.once = OnceId{.session = 1, .epoch = 2, .packet_id = 3};
  EXPECT_TRUE(is_taken(mail));
  mail.once->packet_id = 0;
  EXPECT_FALSE(is_taken(mail));
}

TEST(PeerCodecSense, SessionsOfSharedSubscriptionsAreNotOpened) {
  ask::OpenSession open;
  open.options.client_id = "client";
  EXPECT_TRUE(is_taken(SessionAsk(open)));
  open.options.client_id = share_session_id("$share/g/a");
  EXPECT_FALSE(is_taken(SessionAsk(open)));
  open.options.client_id = "";
  EXPECT_FALSE(is_taken(SessionAsk(open)));
  ask::JoinShare join;
  join.join.request.filter = "$share/g/a";
  EXPECT_TRUE(is_taken(SessionAsk(join)));
  join.join.request.filter = "a";
  EXPECT_FALSE(is_taken(SessionAsk(join)));
}

TEST(PeerCodecSense, HeadsOfLiveCopiesNameWhatIsBeforeThem) {
  Live live;
  EXPECT_FALSE(is_taken(live));
  live.head.number = 1;
  EXPECT_TRUE(is_taken(live));
  live.head.after = 1;
  EXPECT_FALSE(is_taken(live));
  live.head = {.core = 2, .number = 1, .last_of_cores = 2};
  EXPECT_FALSE(is_taken(live));
  live.head.last_of_cores = 3;
  EXPECT_TRUE(is_taken(live));
}

TEST(PeerCodecSense, KindsThatNobodyKnowsAreRefused) {
  EXPECT_FALSE(decode<SessionAsk>(Bytes::copy(std::string(100, '\0'))));
  EXPECT_FALSE(decode<SessionAsk>(Bytes::copy(std::string(100, '\x0d'))));
  EXPECT_FALSE(decode<SessionAnswer>(Bytes::copy(std::string(100, '\x07'))));
  RouteBatch batch;
  batch.news.push_back({.kind = RouteNews::Kind{7}});
  EXPECT_FALSE(is_taken(batch));
  batch.news = {{.kind = RouteNews::Kind::kLiveInterest, .text = "a", .number = 2}};
  EXPECT_FALSE(is_taken(batch));
}

}  // namespace
}  // namespace stele::broker::wire
