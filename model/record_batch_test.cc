#include "model/record_batch.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <climits>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/wire.h"
#include "model/murmur2.h"
#include "model/record_batch_builder.h"

namespace stele {
namespace {

using Headers = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct Owned {
  std::int64_t timestamp_ms = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  Headers headers;
  friend bool operator==(const Owned&, const Owned&) = default;
};

std::optional<std::string> owned(std::optional<std::string_view> view) {
  return view ? std::optional<std::string>(*view) : std::nullopt;
}

Owned owned(const RecordView& record) {
  Owned out{record.timestamp_ms, owned(record.key), owned(record.value), {}};
  auto cursor = record.headers.cursor();
  while (auto header = cursor.next())
    out.headers.emplace_back(std::string(header->key), owned(header->value));
  return out;
}

void add(RecordBatchBuilder& builder, const Owned& record) {
  std::vector<RecordHeader> headers;
  for (const auto& [key, value] : record.headers) headers.push_back({key, value});
  builder.append(record.timestamp_ms, record.key, record.value, headers);
}

std::string build(const std::vector<Owned>& records, const RecordBatchOptions& options = {}) {
  std::string out;
  RecordBatchBuilder builder(out, options);
  for (const auto& record : records) add(builder, record);
  EXPECT_TRUE(builder.finish());
  return out;
}

const std::vector<Owned> kTwo = {{1000, "k", "v1", {}},
                                 {1001, std::nullopt, "v2", {{"h", "x"}, {"h", std::nullopt}}}};

// Puts a CRC on a batch whose bytes a test has changed.
std::string resealed(std::string batch) {
  store_be(batch.data() + 17, crc32c(std::string_view(batch).substr(21)));
  return batch;
}

Result<> checked(std::string_view bytes, const ProduceCheck& check = {}) {
  auto batch = parse_record_batch(bytes);
  if (!batch) return std::unexpected(batch.error());
  std::string scratch;
  return check_produced_batch(*batch, check, scratch);
}

ErrorCode code_of(const Result<>& result) {
  return result ? ErrorCode::kInternal : result.error().code;
}

std::string unhex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

// Batches that another implementation wrote (kafka-python 3.0.12), plain and with gzip.
TEST(RecordBatch, OfAnotherImplementation) {
  std::string plain = unhex(
      "00000000000000000000009400000000024674904400000000000100000000000003e800000000000003ef00000000000000"
      "070001000000020000000266000000026b507676767676767676767676767676767676767676767676767676767676767676"
      "767676767676767602026802785c000e02015076767676767676767676767676767676767676767676767676767676767676"
      "76767676767676767600");
  std::string gzip = unhex(
      "00000000000000000000005c0000000002af485cbb00010000000100000000000003e800000000000003ef00000000000000"
      "07000100000002000000021f8b08002cf5046b02ff4b63606060ca0e2823123031653055c430f0313112ad85010081126f87"
      "63000000");
  const std::vector<Owned> records = {{1000, "k", std::string(40, 'v'), {{"h", "x"}}},
                                      {1007, std::nullopt, std::string(40, 'v'), {}}};
  RecordBatchOptions options;
  options.partition_leader_epoch = 0;
  options.producer_id = 7;
  options.producer_epoch = 1;
  options.base_sequence = 2;
  EXPECT_EQ(build(records, options), plain);
  for (const std::string& bytes : {plain, gzip}) {
    EXPECT_TRUE(checked(bytes));
    auto batch = parse_record_batch(bytes).value();
    std::string scratch;
    RecordIterator it(batch.header, records_of(batch, 1000, scratch).value());
    for (const Owned& record : records) {
      ASSERT_TRUE(it.next());
      EXPECT_EQ(owned(it.record()), record);
    }
  }
}

// The fields of a batch one by one, written down by hand from the format's description.
TEST(RecordBatch, TheBytesOfASmallOne) {
  RecordBatchOptions options;
  options.base_offset = Offset(7);
  options.partition_leader_epoch = 3;
  options.producer_id = 9;
  options.producer_epoch = 2;
  options.base_sequence = 5;
  std::string bytes =
      build({{1000, "k", "v", {{"h", "x"}}}, {1002, std::nullopt, std::nullopt, {}}}, options);
  std::string expected;
  Writer w(expected);
  w.u64_be(7).u32_be(0).u32_be(3).u8(2).u32_be(0);
  w.u16_be(0).u32_be(1).u64_be(1000).u64_be(1002).u64_be(9).u16_be(2).u32_be(5).u32_be(2);
  w.u8(12 * 2).u8(0).u8(0).u8(0).u8(2).bytes("k").u8(2).bytes("v").u8(2).u8(2).bytes("h").u8(2).bytes("x");
  w.u8(6 * 2).u8(0).u8(4).u8(2).u8(1).u8(1).u8(0);
  store_be(expected.data() + 8, static_cast<std::uint32_t>(expected.size() - 12));
  expected = resealed(expected);
  EXPECT_EQ(bytes, expected);
}

TEST(RecordBatch, GoesThereAndBack) {
  EXPECT_TRUE(rc::check([] {
    auto text = rc::gen::container<std::string>(rc::gen::arbitrary<char>());
    auto maybe = [&] {
      return *rc::gen::arbitrary<bool>() ? std::optional<std::string>(*text) : std::nullopt;
    };
    std::vector<Owned> records(*rc::gen::inRange<std::size_t>(1, 20));
    for (auto& record : records) {
      record = {*rc::gen::arbitrary<std::int64_t>(), maybe(), maybe(), {}};
      for (int i = *rc::gen::inRange(0, 5); i > 0; --i) record.headers.emplace_back(*text, maybe());
    }
    RecordBatchOptions options;
    options.compression = *rc::gen::element(Compression::kNone, Compression::kGzip, Compression::kSnappy,
                                            Compression::kLz4, Compression::kZstd);
    options.base_offset = Offset(*rc::gen::inRange<std::int64_t>(0, 1LL << 40));
    std::string bytes = build(records, options);
    auto batch = parse_record_batch(bytes);
    RC_ASSERT(batch.has_value());
    RC_ASSERT(batch->bytes.size() == bytes.size());
    RC_ASSERT(batch->header.next_offset() == options.base_offset + std::int64_t(records.size()));
    std::string scratch;
    RC_ASSERT(check_produced_batch(*batch, {}, scratch).has_value());
    auto section = records_of(*batch, 1 << 24, scratch);
    RC_ASSERT(section.has_value());
    RecordIterator it(batch->header, *section);
    for (std::size_t i = 0; i < records.size(); ++i) {
      RC_ASSERT(it.next());
      RC_ASSERT(it.record().offset == options.base_offset + std::int64_t(i));
      RC_ASSERT(owned(it.record()) == records[i]);
    }
    RC_ASSERT(!it.next());
    RC_ASSERT(it.status().has_value());
  }));
}

TEST(RecordBatch, OldFormatsAreRefusedWithAdvice) {
  std::string bytes = build(kTwo);
  for (char magic : {0, 1}) {
    bytes[16] = magic;
    auto batch = parse_record_batch(bytes);
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error().code, ErrorCode::kUnsupported);
  }
  bytes[16] = 3;
  EXPECT_EQ(parse_record_batch(bytes).error().code, ErrorCode::kCorrupt);
}

TEST(RecordBatch, CutShortAnywhereIsMalformed) {
  std::string bytes = build(kTwo);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    auto batch = parse_record_batch(std::string_view(bytes).substr(0, length));
    ASSERT_FALSE(batch) << length;
    EXPECT_EQ(batch.error().code, ErrorCode::kMalformed) << length;
  }
}

TEST(RecordBatch, AnyFlippedBitUnderTheCrcIsCorrupt) {
  std::string bytes = build(kTwo);
  for (std::size_t bit = 17 * 8; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    auto batch = parse_record_batch(damaged);
    if (!batch) continue;  // a codec or count that does not exist
    EXPECT_EQ(code_of(check_crc(*batch)), ErrorCode::kCorrupt) << bit;
  }
}

TEST(RecordBatch, TheOwnersFieldsAreOutsideTheCrc) {
  std::string bytes = build(kTwo);
  set_base_offset(bytes.data(), Offset(12345));
  set_partition_leader_epoch(bytes.data(), 6);
  auto batch = parse_record_batch(bytes).value();
  EXPECT_TRUE(check_crc(batch));
  EXPECT_EQ(batch.header.base_offset, Offset(12345));
  EXPECT_EQ(batch.header.partition_leader_epoch, 6);
  EXPECT_EQ(batch.header.last_offset(), Offset(12346));
}

TEST(RecordBatch, LogAppendTimeIsEachRecordsTime) {
  std::string bytes = build(kTwo);
  set_log_append_time(bytes, 5555);
  auto batch = parse_record_batch(bytes).value();
  EXPECT_TRUE(check_crc(batch));
  EXPECT_TRUE(batch.header.log_append_time());
  RecordIterator it(batch.header, batch.records());
  while (it.next()) EXPECT_EQ(it.record().timestamp_ms, 5555);
  EXPECT_TRUE(it.status());
}

TEST(RecordBatch, OffsetsEndBeforeTheyOverflow) {
  std::string bytes = build(kTwo);
  set_base_offset(bytes.data(), Offset(INT64_MAX - 1));
  EXPECT_FALSE(parse_record_batch(bytes));
  set_base_offset(bytes.data(), Offset(-1));
  EXPECT_FALSE(parse_record_batch(bytes));
}

TEST(RecordBatch, SequencesWrap) {
  RecordBatchHeader h;
  EXPECT_EQ(h.last_sequence(), kNoSequence);
  h.base_sequence = INT_MAX;
  h.last_offset_delta = 0;
  EXPECT_EQ(h.last_sequence(), INT_MAX);
  h.last_offset_delta = 2;
  EXPECT_EQ(h.last_sequence(), 1);
}

TEST(ProducedBatch, WithWrongCrcIsCorrupt) {
  std::string bytes = build(kTwo);
  bytes.back() ^= 1;
  EXPECT_EQ(code_of(checked(bytes)), ErrorCode::kCorrupt);
}

// Kafka's LogValidatorTest: testInvalidOffsetRangeAndRecordCount, testInvalidSequenceNumber,
// testControlRecords….
TEST(ProducedBatch, WhoseHeaderContradictsItselfIsInvalid) {
  auto with = [](std::size_t at, auto value) {
    RecordBatchOptions options;
    options.producer_id = 9;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    std::string bytes = build(kTwo, options);
    store_be(bytes.data() + at, value);
    return checked(resealed(bytes));
  };
  EXPECT_TRUE(with(53, std::int32_t{0}));
  EXPECT_EQ(code_of(with(53, std::int32_t{-1})), ErrorCode::kInvalidArgument) << "sequence";
  EXPECT_EQ(code_of(with(51, std::int16_t{-1})), ErrorCode::kInvalidArgument) << "producer epoch";
  EXPECT_EQ(code_of(with(43, std::int64_t{-2})), ErrorCode::kInvalidArgument) << "producer id";
  EXPECT_EQ(code_of(with(57, std::int32_t{0})), ErrorCode::kInvalidArgument) << "no records";
  EXPECT_EQ(code_of(with(57, std::int32_t{3})), ErrorCode::kInvalidArgument) << "record count";
  EXPECT_EQ(code_of(with(23, std::int32_t{0})), ErrorCode::kInvalidArgument) << "last offset delta";
  EXPECT_EQ(code_of(with(21, std::int16_t{0x20})), ErrorCode::kInvalidArgument) << "control";
  RecordBatchOptions transactional;
  transactional.transactional = true;
  EXPECT_EQ(code_of(checked(build(kTwo, transactional))), ErrorCode::kInvalidArgument) << "no producer id";
}

TEST(ProducedBatch, OffsetDeltasAreDense) {
  std::string bytes =
      build({{0, std::nullopt, "a", {}}, {0, std::nullopt, "b", {}}, {0, std::nullopt, "c", {}}});
  // Each record: length, attributes, timestamp delta, offset delta, key, value length, "x", header count.
  std::size_t second = kRecordBatchHeaderSize + 8;
  ASSERT_EQ(bytes[second + 3], 2);
  bytes[second + 3] = 4;
  EXPECT_EQ(code_of(checked(resealed(bytes))), ErrorCode::kInvalidArgument);
  bytes[second + 3] = 0;
  EXPECT_EQ(code_of(checked(resealed(bytes))), ErrorCode::kInvalidArgument);
  bytes[second + 3] = 2;
  EXPECT_TRUE(checked(resealed(bytes)));
}

TEST(ProducedBatch, OfACompactedTopicHasKeys) {
  ProduceCheck check;
  check.keys_required = true;
  EXPECT_EQ(code_of(checked(build(kTwo), check)), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(checked(build({{0, "", "v", {}}}), check)) << "an empty key is a key";
}

TEST(ProducedBatch, BytesAfterTheLastRecordAreInvalid) {
  std::string bytes = build(kTwo) + std::string("\0", 1);
  store_be(bytes.data() + 8, static_cast<std::int32_t>(bytes.size() - 12));
  EXPECT_EQ(code_of(checked(resealed(bytes))), ErrorCode::kInvalidArgument);
}

TEST(ProducedBatch, CompressedOnesAreLookedIntoUnlessToldNot) {
  RecordBatchOptions options;
  options.compression = Compression::kZstd;
  std::string bytes = build({{0, "k", std::string(1000, 'x'), {}}}, options);
  ASSERT_EQ(parse_record_batch(bytes)->header.compression(), Compression::kZstd);
  EXPECT_TRUE(checked(bytes));
  ProduceCheck small;
  small.decompressed_limit = 100;
  EXPECT_EQ(code_of(checked(bytes, small)), ErrorCode::kNoSpace);
  small.look_into_compressed = false;
  EXPECT_TRUE(checked(bytes, small));
  bytes[kRecordBatchHeaderSize] ^= 1;
  EXPECT_EQ(code_of(checked(resealed(bytes))), ErrorCode::kCorrupt);
}

// Java's ByteUtils.readVarint takes at most five bytes: a longer form would kill each consumer that meets it.
TEST(RecordIterator, OverlongVarintsAreRefused) {
  std::string bytes = build({{0, std::nullopt, std::nullopt, {}}});
  std::string record = bytes.substr(kRecordBatchHeaderSize);  // 6 bytes: attributes, deltas, -1, -1, 0
  ASSERT_EQ(record.size(), 7u);
  auto with_last = [&](std::string_view header_count) {
    std::string batch = bytes.substr(0, kRecordBatchHeaderSize);
    Writer w(batch);
    w.varint(static_cast<std::int64_t>(5 + header_count.size()))
        .bytes(record.substr(1, 5))
        .bytes(header_count);
    store_be(batch.data() + 8, static_cast<std::int32_t>(batch.size() - 12));
    return checked(resealed(batch));
  };
  EXPECT_TRUE(with_last(std::string_view("\0", 1)));
  EXPECT_TRUE(with_last(std::string_view("\x80\x80\x80\x80\x00", 5)));
  EXPECT_FALSE(with_last(std::string_view("\x80\x80\x80\x80\x80\x00", 6)));
  EXPECT_FALSE(with_last("\x80\x80\x80\x80\x10")) << "a 33rd bit";
  EXPECT_FALSE(with_last(std::string_view("\0\0", 2))) << "a byte after the headers";
}

TEST(RecordIterator, DamagedRecordsEndItWithAnError) {
  EXPECT_TRUE(rc::check([] {
    std::string bytes = build(kTwo);
    std::size_t at = *rc::gen::inRange<std::size_t>(kRecordBatchHeaderSize, bytes.size());
    bytes[at] = *rc::gen::arbitrary<char>();
    auto batch = parse_record_batch(bytes);
    RC_ASSERT(batch.has_value());
    RecordIterator it(batch->header, batch->records());
    int count = 0;
    while (it.next()) {
      owned(it.record());
      ++count;
    }
    RC_ASSERT(count == 2 || !it.status().has_value());
  }));
}

TEST(RecordIterator, TooFewRecordsAreAnError) {
  std::string bytes = build(kTwo);
  store_be(bytes.data() + 57, std::int32_t{3});
  auto batch = parse_record_batch(bytes).value();
  RecordIterator it(batch.header, batch.records());
  while (it.next()) continue;
  EXPECT_FALSE(it.status());
}

TEST(RecordHeaders, TheLastOfANameCounts) {
  std::string bytes = build({{0, std::nullopt, std::nullopt, {{"a", "1"}, {"b", "2"}, {"a", "3"}}}});
  auto batch = parse_record_batch(bytes).value();
  RecordIterator it(batch.header, batch.records());
  ASSERT_TRUE(it.next());
  EXPECT_EQ(it.record().headers.last("a")->value, "3");
  EXPECT_EQ(it.record().headers.last("c"), std::nullopt);
}

TEST(RecordBatchBuilder, KeepsWhatACodecDoesNotShrink) {
  RecordBatchOptions options;
  options.compression = Compression::kGzip;
  std::string bytes = build({{0, std::nullopt, "x", {}}}, options);
  EXPECT_EQ(parse_record_batch(bytes)->header.compression(), Compression::kNone);
}

TEST(RecordBatchBuilder, AppendsToWhatIsThere) {
  std::string out = build(kTwo);
  std::size_t first = out.size();
  RecordBatchBuilder builder(out, {});
  builder.append(0, "k", "v");
  auto header = builder.finish().value();
  RecordBatchSplitter splitter(out);
  EXPECT_EQ(splitter.next().value()->bytes.size(), first);
  auto second = splitter.next().value().value();
  EXPECT_EQ(second.header.crc, header.crc);
  EXPECT_TRUE(check_crc(second));
  EXPECT_EQ(splitter.next().value(), std::nullopt);
  EXPECT_EQ(single_produced_batch(out).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(single_produced_batch("").error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(single_produced_batch(second.bytes));
}

TEST(RecordBatchBuilder, AValueMayLieOutside) {
  EXPECT_TRUE(rc::check([] {
    Owned record{1000, "k", *rc::gen::container<std::string>(rc::gen::arbitrary<char>()), {{"h", "x"}}};
    if (*rc::gen::inRange(0, 10) == 0) record.value = std::nullopt;
    RecordBatchOptions options;
    options.value_outside = true;
    std::string parts = "before";
    RecordBatchBuilder builder(parts, options);
    add(builder, record);
    auto header = builder.finish().value();
    std::string whole = parts.substr(6, builder.value_gap() - 6) + record.value.value_or("") +
                        parts.substr(builder.value_gap());
    RC_ASSERT(whole == build({record}));
    RC_ASSERT(header.size() == whole.size());
    RC_ASSERT(builder.size() == whole.size());
  }));
}

TEST(RecordBatchBuilder, EndOfATransaction) {
  RecordBatchOptions options;
  options.control = options.transactional = true;
  options.producer_id = 9;
  options.producer_epoch = 1;
  std::string out;
  RecordBatchBuilder builder(out, options);
  append_end_transaction(builder, 1000, EndTransaction::kCommit, 4);
  ASSERT_TRUE(builder.finish());
  auto batch = parse_record_batch(out).value();
  EXPECT_TRUE(batch.header.control() && batch.header.transactional());
  RecordIterator it(batch.header, batch.records());
  ASSERT_TRUE(it.next());
  EXPECT_EQ(it.record().key, std::string_view("\0\0\0\1", 4));
  EXPECT_EQ(it.record().value, std::string_view("\0\0\0\0\0\4", 6));
  EXPECT_EQ(read_end_transaction(it.record()), EndTransaction::kCommit);
}

// The cases of Kafka's UtilsTest.testMurmur2.
TEST(Murmur2, IsTheJavaClients) {
  EXPECT_EQ(murmur2("21"), -973932308);
  EXPECT_EQ(murmur2("foobar"), -790332482);
  EXPECT_EQ(murmur2("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(murmur2("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971);
  EXPECT_EQ(murmur2("abc"), 479470107);
}

TEST(Murmur2, ChoosesAPartition) {
  EXPECT_EQ(partition_for_key("abc", 10), 479470107 % 10);
  EXPECT_EQ(partition_for_key("21", 1000), (-973932308 & 0x7fffffff) % 1000);
  EXPECT_EQ(partition_for_key("", 1), 0);
}

}  // namespace
}  // namespace stele
