#include "broker/entry.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <vector>

#include "broker/shard_testing.h"
#include "model/record_batch.h"

namespace stele::broker {
namespace {

using testing::data_of;
using testing::message;

std::string joined(const storage::LogEntry& entry) {
  return std::string(entry.head.view()) + std::string(entry.body.view());
}

struct Made {
  Data data;
  DataEntryParts parts;
  std::string client;
  std::vector<ShardId> forwards;
};

Made any_entry() {
  Made made;
  const auto address = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab/$x")));
  const std::string payload(*rc::gen::element<std::size_t>(0, 1, 100, 1900, 2100, 100000), 'p');
  MessageView view = message(address, payload, *rc::gen::inRange<std::uint8_t>(0, 3));
  view.retain = *rc::gen::arbitrary<bool>();
  made.data = data_of(view);
  made.data.tenant = TenantId(*rc::gen::arbitrary<std::uint32_t>());
  made.data.kafka_batch = *rc::gen::arbitrary<bool>();
  made.data.address_headers_allowed = *rc::gen::arbitrary<bool>();
  made.data.publisher_hash = *rc::gen::arbitrary<std::uint64_t>();
  made.parts.time = WallTime{*rc::gen::inRange<std::int64_t>(-1000, 1'800'000'000'000)};
  made.parts.retain_here = !made.data.kafka_batch && *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) {
    made.parts.stream =
        StreamId{TopicId(*rc::gen::arbitrary<std::uint64_t>()), PartitionId(*rc::gen::inRange(0, INT32_MAX))};
    made.parts.base_offset = Offset(*rc::gen::inRange<std::int64_t>(0, INT64_MAX / 2));
    made.parts.leader_epoch = *rc::gen::arbitrary<std::int32_t>();
    made.parts.stream_only = !made.parts.retain_here && *rc::gen::arbitrary<bool>();
  }
  if (*rc::gen::arbitrary<bool>()) {
    made.parts.source = ForwardSource{ShardId(*rc::gen::arbitrary<std::uint32_t>()),
                                      Epoch(*rc::gen::arbitrary<std::uint64_t>()),
                                      Lsn(*rc::gen::inRange<std::uint64_t>(0, UINT64_MAX))};
  }
  if (*rc::gen::arbitrary<bool>()) {
    made.client = *rc::gen::arbitrary<std::string>();
    made.parts.directed =
        DirectedTo{made.client, *rc::gen::inRange<std::uint8_t>(0, 3), *rc::gen::arbitrary<std::uint32_t>()};
  }
  if (!made.data.kafka_batch && !made.parts.source && !made.parts.directed && *rc::gen::arbitrary<bool>()) {
    made.parts.received =
        ReceivedAs{*rc::gen::arbitrary<std::uint32_t>(), *rc::gen::inRange<std::uint16_t>(1, UINT16_MAX)};
  } else if (!made.data.kafka_batch && !made.parts.source && !made.parts.directed &&
             *rc::gen::arbitrary<bool>()) {
    made.parts.will = Lsn(*rc::gen::arbitrary<std::uint64_t>());
  }
  for (std::uint32_t shard : *rc::gen::arbitrary<std::vector<std::uint32_t>>()) {
    made.forwards.push_back(ShardId(shard));
  }
  made.parts.forwards = made.forwards;
  return made;
}

void expect_same(const Made& made, const EntryView& view) {
  RC_ASSERT(view.kind == EntryKind::kData);
  RC_ASSERT(view.time == made.parts.time);
  const DataEntry& data = view.data;
  RC_ASSERT(data.tenant == made.data.tenant);
  RC_ASSERT(data.address == made.data.address.view());
  RC_ASSERT(data.qos == made.data.qos);
  RC_ASSERT(data.kafka_batch == made.data.kafka_batch);
  RC_ASSERT(data.retain == made.data.retain);
  RC_ASSERT(data.retain_here == made.parts.retain_here);
  RC_ASSERT(data.address_headers_allowed == made.data.address_headers_allowed);
  RC_ASSERT(data.publisher_hash == made.data.publisher_hash);
  RC_ASSERT(data.stream == made.parts.stream);
  RC_ASSERT(data.stream_only == made.parts.stream_only);
  RC_ASSERT(data.source == made.parts.source);
  RC_ASSERT(data.received == made.parts.received);
  RC_ASSERT(data.will == made.parts.will);
  RC_ASSERT(data.directed.has_value() == made.parts.directed.has_value());
  if (data.directed) {
    RC_ASSERT(data.directed->client_id == made.client);
    RC_ASSERT(data.directed->qos == made.parts.directed->qos);
    RC_ASSERT(data.directed->subscription_id == made.parts.directed->subscription_id);
  }
  std::vector<ShardId> forwards;
  for_each_forward(data, [&](ShardId shard) { forwards.push_back(shard); });
  RC_ASSERT(forwards == made.forwards);
  RC_ASSERT(data.facts.base_offset == (made.parts.stream ? made.parts.base_offset : Offset(0)));
  RC_ASSERT(data.facts.leader_epoch == made.parts.leader_epoch);
  RC_ASSERT(data.facts.count == 1);
  RC_ASSERT(data.facts.max_timestamp_ms == 1000);
}

TEST(Entry, ComesBackAsItWas) {
  EXPECT_TRUE(rc::check([] {
    const Made made = any_entry();
    const storage::LogEntry entry = encode_data(made.data, made.parts);
    auto apart = parse_entry(entry);
    RC_ASSERT(apart.has_value());
    expect_same(made, *apart);
    // As read back from the disk.
    const std::string bytes = joined(entry);
    auto whole = parse_entry(bytes, {});
    RC_ASSERT(whole.has_value());
    expect_same(made, *whole);
    // The batch is the one that was given, but for what the partition's owner writes.
    const Bytes batch = batch_bytes(entry, apart->data);
    RC_ASSERT(batch.size() == made.data.batch.size());
    RC_ASSERT(batch.view().substr(kBatchPrefix) == made.data.batch.view().substr(kBatchPrefix));
    auto parsed = parse_record_batch(batch);
    RC_ASSERT(parsed.has_value() && check_crc(*parsed).has_value());
    std::string slices;
    for (const Bytes& slice : batch_slices(entry, apart->data)) slices.append(slice);
    RC_ASSERT(slices == batch.view());
  }));
}

TEST(Entry, MadeInPlaceIsTheSame) {
  EXPECT_TRUE(rc::check([] {
    Made made = any_entry();
    const std::string expected = joined(encode_data(made.data, made.parts));
    const storage::LogEntry entry = encode_data_in_place(made.data, made.parts);
    RC_ASSERT(joined(entry) == expected);
    RC_ASSERT(!made.data.room.fits(0));
    auto view = parse_entry(entry);
    RC_ASSERT(view.has_value());
    expect_same(made, *view);
  }));
}

TEST(Entry, MadeInPlaceIsNotCopied) {
  for (const std::size_t size : {0u, 100u, 100000u}) {
    const std::string payload(size, 'p');
    Data data = data_of(message("some/address", payload));
    const storage::LogEntry entry = encode_data_in_place(data, {.stream = StreamId{TopicId(1), {}}});
    EXPECT_EQ(entry.head.data() + entry.head.size(), data.batch.data() + data.batch.size());
    EXPECT_TRUE(entry.body.empty());
    // Once: the next one must not touch what the first one lies in.
    const std::string first = joined(entry);
    const storage::LogEntry again = encode_data_in_place(
        data, {.stream = StreamId{TopicId(2), {}}, .base_offset = Offset(7), .leader_epoch = 3});
    EXPECT_EQ(joined(entry), first);
    EXPECT_NE(joined(again), first);
  }
}

TEST(Entry, CopyOfContentMayNotWriteInPlace) {
  Data data = data_of(message("a", "p"));
  Data copy = data;
  EXPECT_TRUE(data.room.fits(0));
  EXPECT_FALSE(copy.room.fits(0));
  const Data moved = std::move(data);
  EXPECT_TRUE(moved.room.fits(0));
  EXPECT_FALSE(data.room.fits(0));  // NOLINT(bugprone-use-after-move): which is what is asked here
}

TEST(Entry, LargeBatchIsNotCopied) {
  const std::string payload(100000, 'p');
  const Data data = data_of(message("a", payload));
  const storage::LogEntry entry = encode_data(data, {});
  EXPECT_EQ(entry.body.data(), data.batch.data() + kBatchPrefix);
  EXPECT_LT(entry.head.size(), 100u);
}

// It stays in the log's caches, and would keep what the connections of a core were read into.
TEST(Entry, KeepsNotMuchMoreMemoryThanItHasBytes) {
  Data data = data_of(message("a", std::string(5000, 'p')));
  const Bytes batch = Bytes::copy(data.batch);
  data.batch = batch;
  EXPECT_EQ(encode_data(data, {}).body.data(), batch.data() + kBatchPrefix);  // has its own block
  Buffer slab(256 << 10);
  std::memcpy(slab.data(), batch.data(), batch.size());
  data.batch = slab.slice(0, batch.size());
  const storage::LogEntry entry = encode_data(data, {});
  EXPECT_TRUE(entry.body.empty());
  data.batch = {};
  EXPECT_TRUE(slab.unique());
}

TEST(Entry, CutShortIsCorrupt) {
  EXPECT_TRUE(rc::check([] {
    const Made made = any_entry();
    const std::string bytes = joined(encode_data(made.data, made.parts));
    const auto length = *rc::gen::inRange<std::size_t>(0, bytes.size());
    auto parsed = parse_entry(std::string_view(bytes).substr(0, length), {});
    RC_ASSERT(!parsed.has_value());
    RC_ASSERT(parsed.error().code == ErrorCode::kCorrupt);
  }));
}

TEST(Entry, DamagedIsAnErrorOrAnEntry) {
  EXPECT_TRUE(rc::check([] {
    const Made made = any_entry();
    std::string bytes = joined(encode_data(made.data, made.parts));
    for (int i = *rc::gen::inRange(1, 4); i > 0; --i) {
      bytes[*rc::gen::inRange<std::size_t>(0, std::min<std::size_t>(bytes.size(), 200))] =
          *rc::gen::arbitrary<char>();
    }
    auto parsed = parse_entry(bytes, {});
    if (!parsed || parsed->kind != EntryKind::kData) return;
    RC_ASSERT(parsed->data.facts.count > 0);
    RC_ASSERT(parsed->data.qos <= 2);
  }));
}

TEST(Entry, OfANewerVersionIsRefused) {
  std::string bytes = joined(encode_data(data_of(message("a", "p")), {}));
  bytes[0] = kEntryVersion + 1;
  EXPECT_EQ(parse_entry(bytes, {}).error().code, ErrorCode::kUnsupported);
  bytes[0] = 0;
  EXPECT_EQ(parse_entry(bytes, {}).error().code, ErrorCode::kCorrupt);
}

// Only what an older reader would not understand bears a version that it refuses.
TEST(Entry, TheVersionIsTheOldestThatKnowsIt) {
  const Data data = data_of(message("a", "p"));
  EXPECT_EQ(joined(encode_data(data, {}))[0], 1);
  EXPECT_EQ(joined(encode_data(data, {.received = ReceivedAs{1, 1}}))[0], 2);
  EXPECT_EQ(joined(encode_data(data, {.will = Lsn(7)}))[0], 3);
  std::string bytes = joined(encode_data(data, {.will = Lsn(7)}));
  for (const char version : {1, 2}) {
    bytes[0] = version;
    EXPECT_EQ(parse_entry(bytes, {}).error().code, ErrorCode::kCorrupt);
  }
}

TEST(Entry, ControlIsReadAtAnyAlignment) {
  const std::string bytes =
      joined(control::stream_trimmed(WallTime{5}, {TopicId(7), PartitionId(1)}, Offset(9)));
  for (std::size_t shift = 0; shift < 16; ++shift) {
    const std::string moved = std::string(shift, 'x') + bytes;
    auto view = parse_entry(std::string_view(moved).substr(shift), {});
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view->control.data()) % 8, 0u);
    const EntryView there = *std::move(view);
    EXPECT_EQ(there.kind, EntryKind::kControl);
    EXPECT_EQ(there.time.ms, 5);
  }
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    (void)parse_entry(std::string_view(bytes).substr(0, length), {});  // no harm
  }
}

}  // namespace
}  // namespace stele::broker
