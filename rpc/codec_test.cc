// Frames and hellos, as docs/formats/rpc.md has them: both ways, in pieces, garbled, and out of place.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/wire.h"
#include "rpc/error_codec.h"
#include "rpc/frame.h"
#include "rpc/hello.h"

namespace stele::rpc {
namespace {

constexpr std::uint32_t kTag = 77;
constexpr std::uint32_t kMaxPayload = 1 << 20;

// What was said, as it should be heard.
struct Said {
  FrameKind kind{};
  std::string control, payload;
  friend bool operator==(const Said&, const Said&) = default;
};

std::string wire(FrameStamp& stamp, const Said& said) {
  const Bytes payload = Bytes::copy(said.payload);
  const auto header = stamp.next(said.kind, said.control, {&payload, 1});
  return std::string(header.data(), header.size()) + said.control + said.payload;
}
std::string wire(FrameStamp& stamp, const std::vector<Said>& all) {
  std::string out;
  for (const Said& said : all) out += wire(stamp, said);
  return out;
}

struct Heard {
  std::vector<Said> frames;
  std::optional<Wrong> wrong;
};

// In pieces of `piece` bytes, 0: all at once; read into place where the reader wants that.
Heard hear(FrameReader& reader, std::string_view bytes, std::size_t piece = 0, bool pauses = false) {
  Heard heard;
  while (!bytes.empty() && !heard.wrong) {
    std::size_t take = piece == 0 ? bytes.size() : std::min(piece, bytes.size());
    if (const auto place = reader.read_buffer(); !place.empty()) {
      take = std::min(place.size(), take);
      std::memcpy(place.data(), bytes.data(), take);
      reader.feed(Bytes::literal({place.data(), take}));
    } else {
      reader.feed(Bytes::copy(bytes.substr(0, take)));
    }
    bytes.remove_prefix(take);
    if (pauses && reader.read_buffer().empty() && !bytes.empty()) {
      reader.pause();
      reader.feed(Bytes::copy(bytes.substr(0, 1)));
      bytes.remove_prefix(1);
    }
    Frame frame;
    FrameReader::Next next;
    while ((next = reader.next(frame)) == FrameReader::Next::kFrame) {
      const Bytes kept = reader.keep_payload(frame);
      EXPECT_EQ(kept.view(), frame.payload);
      heard.frames.push_back({frame.header.kind, std::string(frame.control), std::string(kept.view())});
    }
    if (next == FrameReader::Next::kWrong) heard.wrong = reader.wrong();
  }
  return heard;
}
Heard hear(std::string_view bytes, std::size_t piece = 0, bool pauses = false) {
  InputBudget budget;
  FrameReader reader(budget);
  reader.bind(kTag, kMaxPayload);
  Heard heard = hear(reader, bytes, piece, pauses);
  if (!heard.wrong) EXPECT_TRUE(reader.idle());
  return heard;
}

FrameStamp bound_stamp() {
  FrameStamp stamp;
  stamp.bind(kTag);
  return stamp;
}

rc::Gen<Said> some_frame() {
  return rc::gen::exec([] {
    Said said;
    said.kind = *rc::gen::element(FrameKind::kRequest, FrameKind::kResponse, FrameKind::kMessage,
                                  FrameKind::kPing, FrameKind::kGoodbye);
    said.control = *rc::gen::arbitrary<std::string>();
    if (said.kind < FrameKind::kPing) {
      const auto size = *rc::gen::element<std::size_t>(0, 1, 100, 5'000, 20'000, 70'000);
      said.payload = std::string(size, static_cast<char>(*rc::gen::inRange(0, 256)));
    }
    return said;
  });
}

RC_GTEST_PROP(Frames, ComeBackAsTheyWereHoweverTheyAreCut, ()) {
  const auto all = *rc::gen::container<std::vector<Said>>(some_frame());
  FrameStamp stamp = bound_stamp();
  const std::string bytes = wire(stamp, all);
  const auto piece = *rc::gen::element<std::size_t>(0, 1, 7, 31, 32, 33, 1000, 8191, 65536);
  const Heard heard = hear(bytes, piece, *rc::gen::arbitrary<bool>());
  RC_ASSERT(!heard.wrong);
  RC_ASSERT(heard.frames == all);
}

RC_GTEST_PROP(Frames, OneChangedByteIsNoticed, ()) {
  auto all = *rc::gen::nonEmpty(rc::gen::container<std::vector<Said>>(some_frame()));
  FrameStamp stamp = bound_stamp();
  std::string bytes = wire(stamp, all);
  const std::size_t at = *rc::gen::inRange<std::size_t>(0, bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ *rc::gen::inRange(1, 256));
  const Heard heard = hear(bytes);
  RC_ASSERT(heard.wrong.has_value());
  RC_ASSERT(heard.frames.size() < all.size());
  all.resize(heard.frames.size());
  RC_ASSERT(heard.frames == all);
}

RC_GTEST_PROP(Frames, NonsenseIsRefusedByItsFirstBytes, (std::string nonsense)) {
  RC_PRE(!nonsense.empty() && nonsense[0] != 'S');
  RC_ASSERT(hear(nonsense).wrong == Wrong::kNotOurs);
}

TEST(Frames, WhatIsRepeatedLeftOutOrOfAnotherConnectionIsRefused) {
  const Said said{FrameKind::kMessage, "ctrl", "payload"};
  FrameStamp stamp = bound_stamp();
  const std::string first = wire(stamp, said), second = wire(stamp, said), third = wire(stamp, said);
  EXPECT_EQ(hear(first + second + third).frames.size(), 3u);
  const Heard twice = hear(first + second + second);
  EXPECT_EQ(twice.frames.size(), 2u);
  EXPECT_EQ(twice.wrong, Wrong::kReplayed);
  EXPECT_EQ(hear(first + third).wrong, Wrong::kReplayed);
  FrameStamp other;
  other.bind(kTag + 1);
  EXPECT_EQ(hear(wire(other, said)).wrong, Wrong::kReplayed);
}

TEST(Frames, EachDirectionAndConnectionHasATagOfItsOwn) {
  const Nonce a{1}, b{2};
  const auto tag = tag_of(a, b, true);
  EXPECT_NE(tag, 0u);
  EXPECT_NE(tag, tag_of(a, b, false));
  EXPECT_NE(tag, tag_of(b, a, true));
  EXPECT_NE(tag, tag_of(a, Nonce{3}, true));
}

TEST(Frames, MemoryIsTakenOnlyForWhatIsAllowed) {
  const Said large{FrameKind::kMessage, "", std::string(100'000, 'x')};
  FrameStamp stamp = bound_stamp();
  const std::string bytes = wire(stamp, large);
  InputBudget budget{.limit = 50'000};
  {
    FrameReader reader(budget);
    reader.bind(kTag, 99'999);
    EXPECT_EQ(hear(reader, bytes.substr(0, 40)).wrong, Wrong::kTooLarge);
  }
  {
    FrameReader reader(budget);
    reader.bind(kTag, kMaxPayload);
    EXPECT_EQ(hear(reader, bytes.substr(0, 40)).wrong, Wrong::kNoRoom);
  }
  EXPECT_EQ(budget.used, 0u);
  budget.limit = 100'000;
  {
    FrameReader reader(budget);
    reader.bind(kTag, kMaxPayload);
    EXPECT_FALSE(hear(reader, bytes.substr(0, 40)).wrong);
    EXPECT_EQ(budget.used, 100'000u);
    EXPECT_FALSE(reader.read_buffer().empty());
  }
  EXPECT_EQ(budget.used, 0u);
}

TEST(Frames, WhatHasNoPlaceHereIsMalformed) {
  for (const Said& said : {Said{FrameKind::kPing, "", "payload"}, Said{static_cast<FrameKind>(99), "", ""},
                           Said{static_cast<FrameKind>(0), "", ""}}) {
    FrameStamp stamp = bound_stamp();
    EXPECT_EQ(hear(wire(stamp, said)).wrong, Wrong::kMalformed);
  }
  FrameStamp unbound;
  const std::string hello = wire(unbound, {FrameKind::kHello, "hello", ""});
  InputBudget budget;
  FrameReader reader(budget);
  EXPECT_EQ(hear(reader, hello).frames.size(), 1u);
}

TEST(Frames, ALargePayloadIsKeptWithoutACopy) {
  FrameStamp stamp = bound_stamp();
  const std::string bytes = wire(stamp, {FrameKind::kMessage, "ctrl", std::string(40'000, 'x')});
  InputBudget budget;
  FrameReader reader(budget);
  reader.bind(kTag, kMaxPayload);
  const Bytes block = Bytes::copy(bytes);
  reader.feed(block);
  Frame frame;
  ASSERT_EQ(reader.next(frame), FrameReader::Next::kFrame);
  EXPECT_EQ(reader.keep_payload(frame).data(), block.data() + kFrameHeaderBytes + 4);
}

TEST(ControlParts, AreReadAsFarAsTheyAreKnown) {
  char request[kRequestControlBytes];
  encode(RequestControl{.call = 1ULL << 40, .method = MethodId(7), .timeout_ms = 300}, request);
  RequestControl back;
  ASSERT_TRUE(decode(std::string(request, sizeof request) + "of a later version", back));
  EXPECT_EQ(back.call, 1ULL << 40);
  EXPECT_EQ(back.method, MethodId(7));
  EXPECT_EQ(back.timeout_ms, 300u);
  EXPECT_FALSE(decode(std::string_view(request, sizeof request - 1), back));
  char response[kResponseControlBytes];
  encode(ResponseControl{.call = 9, .status = Status::kNotTaken}, response);
  ResponseControl answer;
  ASSERT_TRUE(decode(std::string_view(response, sizeof response), answer));
  EXPECT_EQ(answer.status, Status::kNotTaken);
  response[8] = 3;
  EXPECT_FALSE(decode(std::string_view(response, sizeof response), answer));
  MessageId message;
  EXPECT_FALSE(decode(std::string_view("abc"), message));
}

TEST(Errors, ComeBackAsTheyWere) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kUnsupported); ++code) {
    const Error back = decode_error(encode_error({static_cast<ErrorCode>(code), "why"}));
    EXPECT_EQ(back.code, static_cast<ErrorCode>(code));
    EXPECT_EQ(back.message, "why");
  }
  EXPECT_EQ(decode_error("").code, ErrorCode::kInternal);
  EXPECT_EQ(decode_error("\xfflater").code, ErrorCode::kInternal);
  EXPECT_EQ(decode_error(encode_error({ErrorCode::kIo, std::string(5000, 'x')})).message.size(),
            kMaxErrorText);
}

// ---- hello -----------------------------------------------------------------------------------------------

Identity node(std::uint32_t number, VersionRange versions = {1, 1}) {
  return {.cluster = {5, 6},
          .node = NodeId(number),
          .incarnation = 1000 + number,
          .product = "stele 1.2",
          .versions = versions};
}
Hello hello_of(const Identity& from, std::uint32_t to) {
  return {.from = from, .to = NodeId(to), .nonce = Nonce{9, 8, 7}, .terms = {1 << 20, 2000}};
}

TEST(Hellos, ComeBackAsTheyWere) {
  const auto hello = decode_hello(encode(hello_of(node(3, {4, 5}), 2)));
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->from.cluster, (Uuid{5, 6}));
  EXPECT_EQ(hello->from.node, NodeId(3));
  EXPECT_EQ(hello->from.incarnation, 1003u);
  EXPECT_EQ(hello->from.product, "stele 1.2");
  EXPECT_EQ(hello->from.versions, (VersionRange{4, 5}));
  EXPECT_EQ(hello->to, NodeId(2));
  EXPECT_EQ(hello->nonce, (Nonce{9, 8, 7}));
  EXPECT_EQ(hello->terms.max_payload_bytes, 1u << 20);
  EXPECT_EQ(hello->terms.ping_interval_ms, 2000u);
  EXPECT_FALSE(hello->joins);

  HelloAnswer said;
  said.refusal = {Reason::kVersion, "too old"};
  said.welcome = {.from = node(2), .version = 1, .nonce = Nonce{1}, .terms = {7, 8}};
  const auto answer = decode_hello_answer(encode(said));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->refusal.reason, Reason::kVersion);
  EXPECT_EQ(answer->refusal.text, "too old");
  EXPECT_EQ(answer->welcome.version, 1u);
  EXPECT_EQ(answer->welcome.from.node, NodeId(2));
  EXPECT_EQ(answer->welcome.nonce, Nonce{1});

  const auto goodbye = decode_goodbye(encode_goodbye({Reason::kStopping, "bye"}));
  ASSERT_TRUE(goodbye);
  EXPECT_EQ(goodbye->text, "bye");
}

TEST(Hellos, LongTextsAreCutBeforeTheyAreTooLarge) {
  Identity from = node(1);
  from.product = std::string(10'000, 'p');
  HelloAnswer answer;
  answer.refusal = {Reason::kCluster, std::string(10'000, 't')};
  answer.welcome.from = from;
  EXPECT_LE(encode(answer).size(), kMaxControlBytes);
}

RC_GTEST_PROP(Hellos, NonsenseIsMalformedOrSomething, (std::string nonsense)) {
  (void)decode_hello(nonsense);
  (void)decode_hello_answer(nonsense);
  (void)decode_goodbye(nonsense);
}

RC_GTEST_PROP(Hellos, AChangedOneIsMalformedOrSomething, ()) {
  std::string bytes = encode(hello_of(node(3), 2));
  const auto changes = *rc::gen::inRange(1, 8);
  for (int i = 0; i < changes; ++i) {
    bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = static_cast<char>(*rc::gen::inRange(0, 256));
  }
  bytes.resize(*rc::gen::inRange<std::size_t>(0, bytes.size() + 1));
  if (const auto hello = decode_hello(bytes)) RC_ASSERT(hello->from.product.size() <= bytes.size());
}

TEST(Hellos, NeighbouringVersionsWorkTogetherAndOthersDoNot) {
  const auto range = [](std::uint32_t n) { return VersionRange{std::max(n - 1, 1u), n}; };
  for (std::uint32_t a = 1; a < 8; ++a) {
    for (std::uint32_t b = 1; b < 8; ++b) {
      const auto common = common_version(range(a), range(b));
      const bool next_to_each_other = std::max(a, b) - std::min(a, b) <= 1;
      EXPECT_EQ(common.has_value(), next_to_each_other) << a << " and " << b;
      if (common) EXPECT_EQ(*common, std::min(a, b));
    }
  }
  EXPECT_EQ(common_version({0, 0}, {1, 1}), std::nullopt);
  EXPECT_EQ(common_version({0, 0}, {0, 0}), std::nullopt);
  EXPECT_EQ(common_version({9, 1}, {1, 9}), std::nullopt) << "a range that makes no sense";
}

TEST(Hellos, WhoIsLetIn) {
  const auto reason = [](const Hello& hello, std::optional<std::string> certificate = std::nullopt) {
    const auto no = check(hello, node(2, {4, 5}), certificate);
    return no ? no->reason : Reason::kNone;
  };
  EXPECT_EQ(reason(hello_of(node(3, {4, 5}), 2)), Reason::kNone);
  EXPECT_EQ(reason(hello_of(node(3, {5, 6}), 2)), Reason::kNone);
  EXPECT_EQ(reason(hello_of(node(3, {6, 7}), 2)), Reason::kVersion);
  EXPECT_EQ(reason(hello_of(node(3, {2, 3}), 2)), Reason::kVersion);
  EXPECT_EQ(reason(hello_of(node(3, {4, 5}), 4)), Reason::kNode);
  EXPECT_EQ(reason(hello_of(node(2, {4, 5}), 2)), Reason::kNode);
  EXPECT_EQ(reason(hello_of(node(3, {4, 5}), 2), "node-3"), Reason::kNone);
  EXPECT_EQ(reason(hello_of(node(3, {4, 5}), 2), "node-4"), Reason::kCertificate);
  // Who wants to join belongs to no cluster, and does not know whom it speaks to.
  Hello joining = hello_of(node(3, {4, 5}), 0);
  joining.from.cluster = {};
  EXPECT_EQ(reason(joining), Reason::kCluster);
  joining.joins = true;
  EXPECT_EQ(reason(joining), Reason::kNone);
  EXPECT_EQ(reason(joining, "node-3"), Reason::kNone);
  EXPECT_EQ(reason(joining, "node-4"), Reason::kCertificate);
  joining.from.versions = {6, 7};
  EXPECT_EQ(reason(joining), Reason::kVersion);
  joining.from = node(2, {4, 5});
  EXPECT_EQ(reason(joining), Reason::kNode) << "its number is taken";
  EXPECT_EQ(reason(hello_of(node(3, {4, 5}), 2), ""), Reason::kCertificate);
  Hello stranger = hello_of(node(3, {4, 5}), 2);
  stranger.from.cluster.low = 7;
  EXPECT_EQ(reason(stranger), Reason::kCluster);
}

TEST(Hellos, ARefusalSaysWhichNodeToUpgrade) {
  const auto no = check(hello_of(node(3, {1, 2}), 2), node(2, {4, 5}), std::nullopt);
  ASSERT_TRUE(no);
  EXPECT_EQ(
      no->text,
      "node 3 (stele 1.2) speaks version 1 to 2 of the protocol between nodes, node 2 (stele 1.2) version "
      "4 to 5: upgrade node 3, one version at a time");
}

TEST(Hellos, WhoIsBelievedToAnswer) {
  Welcome welcome{.from = node(2, {4, 5}), .version = 5, .nonce = {}, .terms = {}};
  const auto reason = [&](std::uint32_t to, std::optional<std::string> certificate = std::nullopt) {
    const auto no = check(welcome, node(3, {5, 6}), NodeId(to), certificate);
    return no ? no->reason : Reason::kNone;
  };
  EXPECT_EQ(reason(2), Reason::kNone);
  EXPECT_EQ(reason(2, "node-2"), Reason::kNone);
  EXPECT_EQ(reason(2, "node-3"), Reason::kCertificate);
  EXPECT_EQ(reason(4), Reason::kNode);
  welcome.version = 4;
  EXPECT_EQ(reason(2), Reason::kVersion);
  welcome.version = 5;
  welcome.from.cluster.high = 0;
  EXPECT_EQ(reason(2), Reason::kCluster);
}

TEST(Hellos, HowLongSilenceIsBorne) {
  using namespace std::chrono_literals;
  EXPECT_EQ(silence_allowed(10s, terms_of(0, 2s)), 10s);
  EXPECT_EQ(silence_allowed(10s, terms_of(0, 5s)), 20s);
  EXPECT_EQ(silence_allowed(10s, {0, UINT32_MAX}), 2min);
}

TEST(Hellos, WhoPingsMoreOftenIsHeardAndGivenUpSooner) {
  using namespace std::chrono_literals;
  EXPECT_EQ(ping_interval_for(2s, terms_of(0, 500ms)), 500ms);
  EXPECT_EQ(ping_interval_for(2s, terms_of(0, 5s)), 2s);
  EXPECT_EQ(ping_interval_for(2s, terms_of(0, 1ms)), 100ms);
  EXPECT_EQ(ping_interval_for(2s, terms_of(0, 0s)), 2s);
  EXPECT_EQ(silence_for(10s, terms_of(0, 500ms)), 3s);
  EXPECT_EQ(silence_for(10s, terms_of(0, 2s)), 10s);
  EXPECT_EQ(silence_for(10s, terms_of(0, 5s)), 20s);
  EXPECT_EQ(silence_for(10s, terms_of(0, 0s)), 10s);
}

}  // namespace
}  // namespace stele::rpc
