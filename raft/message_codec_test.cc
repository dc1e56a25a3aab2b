#include "raft/message_codec.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace stele::raft {
namespace {

std::uint64_t number() {
  return *rc::gen::arbitrary<std::uint64_t>();
}
bool flag() {
  return *rc::gen::arbitrary<bool>();
}
LogPoint point() {
  return {Term(number()), LogIndex(number())};
}
NodeSet nodes() {
  NodeSet out;
  for (const std::uint32_t id : *rc::gen::arbitrary<std::vector<std::uint32_t>>()) out.insert(NodeId(id));
  return out;
}
Membership membership() {
  return {.voters = nodes(),
          .voters_outgoing = nodes(),
          .learners = nodes(),
          .learners_next = nodes(),
          .auto_leave = flag()};
}
std::vector<Entry> entries() {
  std::vector<Entry> out(*rc::gen::inRange<std::size_t>(0, 5));
  for (Entry& entry : out) {
    entry.term = Term(number());
    entry.index = LogIndex(number());
    entry.kind = static_cast<EntryKind>(*rc::gen::inRange(0, 3));
    if (entry.kind == EntryKind::kConfiguration)
      entry.membership = std::make_shared<const Membership>(membership());
    if (flag()) entry.payload = Bytes::copy(std::string(*rc::gen::inRange<std::size_t>(0, 9000), 'p'));
  }
  return out;
}

MessageBody body() {
  switch (*rc::gen::inRange(0, 13)) {
    case 0:
      return VoteRequest{flag(), flag(), point()};
    case 1:
      return VoteAnswer{flag(), flag()};
    case 2:
      return Append{point(), entries(), LogIndex(number())};
    case 3:
      return AppendAnswer{static_cast<AppendResult>(*rc::gen::inRange(0, 3)), LogIndex(number()), point()};
    case 4:
      return Heartbeat{LogIndex(number()), number()};
    case 5:
      return HeartbeatAnswer{number()};
    case 6:
      return TermNotice{};
    case 7:
      return ReadRequest{number()};
    case 8:
      return ReadAnswer{number(), LogIndex(number())};
    case 9:
      return TimeoutNow{};
    case 10:
      return InstallSnapshot{{LogIndex(number()), Term(number()), membership()}};
    case 11:
      return RepairRequest{{LogIndex(number()), LogIndex(number())}, point()};
    default:
      return RepairAnswer{{LogIndex(number()), LogIndex(number())}, point(), flag(), entries()};
  }
}

PeerMessage message() {
  return {.from = NodeId(*rc::gen::arbitrary<std::uint32_t>()),
          .to = NodeId(*rc::gen::arbitrary<std::uint32_t>()),
          .term = Term(number()),
          .body = body()};
}

Bytes joined(const std::vector<Bytes>& slices) {
  std::string all;
  for (const Bytes& slice : slices) all += slice.view();
  return Bytes::copy(all);
}

void same(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  RC_ASSERT(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    RC_ASSERT(a[i].term == b[i].term && a[i].index == b[i].index && a[i].kind == b[i].kind);
    RC_ASSERT(a[i].payload.view() == b[i].payload.view());
    RC_ASSERT((a[i].membership == nullptr) == (b[i].membership == nullptr));
    if (a[i].membership) RC_ASSERT(*a[i].membership == *b[i].membership);
  }
}

TEST(MessageCodec, WhatIsSaidIsHeard) {
  rc::check([] {
    const PeerMessage said = message();
    const Bytes bytes = joined(encode(said));
    const auto heard = decode_message(bytes);
    RC_ASSERT(heard.has_value());
    const auto& message = std::get<PeerMessage>(*heard);
    RC_ASSERT(message.from == said.from && message.to == said.to && message.term == said.term);
    RC_ASSERT(message.body.index() == said.body.index());
    // There is one way to say a thing.
    RC_ASSERT(joined(encode(message)).view() == bytes.view());
    if (const auto* append = std::get_if<Append>(&said.body))
      same(append->entries, std::get<Append>(message.body).entries);
    if (const auto* repair = std::get_if<RepairAnswer>(&said.body)) {
      same(repair->entries, std::get<RepairAnswer>(message.body).entries);
    }
  });
}

SnapshotMessage snapshot_message() {
  SnapshotMessage out{.from = NodeId(*rc::gen::arbitrary<std::uint32_t>()),
                      .to = NodeId(*rc::gen::arbitrary<std::uint32_t>()),
                      .term = Term(number()),
                      .body = {}};
  if (flag()) {
    SnapshotPart part;
    part.snapshot = {LogIndex(number()), Term(number()), membership()};
    part.data = Bytes::copy(std::string(*rc::gen::inRange<std::size_t>(0, 9000), 's'));
    part.offset = *rc::gen::inRange<std::uint64_t>(0, 1 << 20);
    part.copy = {part.offset + part.data.size() + *rc::gen::inRange<std::uint64_t>(0, 99), 77};
    out.body = part;
  } else {
    out.body = SnapshotAnswer{
        point(), {number(), 99}, number(), static_cast<SnapshotState>(*rc::gen::inRange(0, 3))};
  }
  return out;
}

TEST(MessageCodec, PartsOfSnapshotsAreHeardAndTheirAnswers) {
  rc::check([] {
    const SnapshotMessage said = snapshot_message();
    const Bytes bytes = joined(encode(said));
    const auto heard = decode_message(bytes);
    RC_ASSERT(heard.has_value());
    const auto& message = std::get<SnapshotMessage>(*heard);
    RC_ASSERT(message.from == said.from && message.to == said.to && message.term == said.term);
    RC_ASSERT(joined(encode(message)).view() == bytes.view());
    const auto* part = std::get_if<SnapshotPart>(&said.body);
    if (!part) return;
    const auto& other = std::get<SnapshotPart>(message.body);
    RC_ASSERT(other.snapshot == part->snapshot && other.copy == part->copy && other.offset == part->offset);
    RC_ASSERT(other.data == part->data);
  });
}

TEST(MessageCodec, APartThatIsDamagedIsNone) {
  SnapshotPart part;
  part.copy = {.bytes = 1000, .checksum = 5};
  part.data = Bytes::copy(std::string(1000, 's'));
  std::string bytes(joined(encode(SnapshotMessage{NodeId(1), NodeId(2), Term(3), part})).view());
  ASSERT_TRUE(decode_message(Bytes::copy(bytes)));
  bytes[bytes.size() - 500] ^= 1;
  EXPECT_FALSE(decode_message(Bytes::copy(bytes)));
  part.offset = 1;  // ends behind the copy
  EXPECT_FALSE(decode_message(joined(encode(SnapshotMessage{NodeId(1), NodeId(2), Term(3), part}))));
}

TEST(MessageCodec, LargePayloadsAreShared) {
  Entry entry;
  entry.kind = EntryKind::kCommand;
  entry.payload = Bytes::copy(std::string(100'000, 'p'));
  Append append;
  append.entries = {entry, entry};
  const auto slices =
      encode(PeerMessage{.from = NodeId(1), .to = NodeId(2), .term = Term(3), .body = append});
  ASSERT_EQ(slices.size(), 4u);
  EXPECT_EQ(slices[1].view().data(), entry.payload.view().data());
  const Bytes bytes = joined(slices);
  const auto heard = decode_message(bytes);
  ASSERT_TRUE(heard);
  const std::string_view payload =
      std::get<Append>(std::get<PeerMessage>(*heard).body).entries[1].payload.view();
  EXPECT_TRUE(payload.data() > bytes.view().data() && payload.data() < bytes.view().data() + bytes.size());
}

TEST(MessageCodec, NonsenseIsRefusedAndCostsNothing) {
  rc::check([] {
    const Bytes bytes = joined(encode(message()));
    std::string broken(bytes.view());
    // Cut short, or with something behind it, it is none.
    RC_ASSERT(!decode_message(Bytes::copy(broken.substr(0, broken.size() - 1))));
    RC_ASSERT(!decode_message(Bytes::copy(broken + "x")));
    // Otherwise there is an answer.
    for (int i = 0; i < 20; ++i) {
      std::string other = broken;
      other[*rc::gen::inRange<std::size_t>(0, other.size())] ^= static_cast<char>(*rc::gen::inRange(1, 255));
      (void)decode_message(Bytes::copy(other));
    }
  });
  // Two thousand million entries in a few bytes.
  EXPECT_FALSE(
      decode_message(Bytes::copy(std::string("\x01\x02\x03\x03\x01\x01\x01\xff\xff\xff\xff\x07", 12))));
  EXPECT_FALSE(decode_message(Bytes::copy(std::string("\x01\x02\x03\x10", 4)))) << "there is no such kind";
  EXPECT_FALSE(decode_message(Bytes()));
}

}  // namespace
}  // namespace stele::raft
