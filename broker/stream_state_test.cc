#include "broker/stream_state.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/mutants.h"
#include "runtime/random.h"

namespace stele::broker {
namespace {

using runtime::Random;

struct Batch {
  Offset base;
  std::int32_t count;
  Lsn lsn;
  std::uint64_t bytes;
  std::int64_t timestamp_ms;
  std::int32_t epoch;
  Offset next() const { return base + count; }
};

// A stream that remembers everything.
struct Model {
  std::vector<Batch> batches;  // all there ever were
  Offset start;
  Offset next() const { return batches.empty() ? Offset(0) : batches.back().next(); }
  std::vector<Batch> retained() const {
    std::vector<Batch> left;
    for (const Batch& batch : batches) {
      if (batch.next() > start) left.push_back(batch);
    }
    return left;
  }
};

StreamState again(const StreamState& stream, Lsn end) {
  std::string bytes;
  Writer writer(bytes);
  stream.encode(writer);
  Reader reader(bytes);
  StreamState decoded = StreamState::decode(reader, end);
  EXPECT_TRUE(reader.ok() && reader.at_end());
  std::string twice;
  Writer second(twice);
  decoded.encode(second);
  EXPECT_EQ(bytes, twice);
  return decoded;
}

void check_places(const StreamState& stream, const Model& model) {
  const auto left = model.retained();
  EXPECT_EQ(stream.lsn_needed().has_value(), !left.empty());
  if (left.empty()) {
    EXPECT_FALSE(stream.place_for(model.start).has_value());
    EXPECT_EQ(stream.max_timestamp_ms(), -1);
    return;
  }
  EXPECT_LE(*stream.lsn_needed(), left.front().lsn);
  std::int64_t max = -1;
  for (const Batch& batch : left) {
    max = std::max(max, batch.timestamp_ms);
    const auto place = stream.place_for(batch.base + (batch.count - 1));
    ASSERT_TRUE(place.has_value());
    EXPECT_LE(place->offset, batch.base);
    EXPECT_LE(place->lsn, batch.lsn);
    // No further before it than the grain.
    std::uint64_t between = 0;
    for (const Batch& other : model.batches) {
      if (other.lsn > place->lsn && other.lsn < batch.lsn) between += other.bytes;
    }
    EXPECT_LT(between, stream.grain());
  }
  EXPECT_GE(stream.max_timestamp_ms(), max);
}

void check_times(const StreamState& stream, const Model& model, std::int64_t wanted) {
  const Batch* first = nullptr;
  const auto left = model.retained();
  for (const Batch& batch : left) {
    if (batch.timestamp_ms >= wanted && !first) first = &batch;
  }
  const auto place = stream.place_for_timestamp(wanted);
  if (!first) return;  // what is gone of the first place may promise too much
  ASSERT_TRUE(place.has_value());
  EXPECT_LE(place->lsn, first->lsn);
}

void check_retention(const StreamState& stream, const Model& model, WallTime now) {
  const auto cut = stream.retention_cut(now);
  if (!cut) return;
  EXPECT_GT(*cut, model.start);
  EXPECT_LE(*cut, model.next());
  // What goes is too old, or there is enough behind it.
  const StreamConfig& config = stream.config();
  std::uint64_t behind = 0;
  const auto left = model.retained();
  for (auto batch = left.rbegin(); batch != left.rend(); ++batch) {
    if (batch->base < *cut) {
      const bool too_old = config.retention_ms >= 0 && batch->timestamp_ms < now.ms - config.retention_ms;
      const bool enough =
          config.retention_bytes >= 0 && behind >= static_cast<std::uint64_t>(config.retention_bytes);
      EXPECT_TRUE(too_old || enough);
    }
    behind += batch->bytes;
  }
}

void check_epochs(const StreamState& stream, const Model& model) {
  const auto left = model.retained();
  if (left.empty()) return;
  for (std::int32_t epoch = left.front().epoch; epoch <= left.back().epoch + 1; ++epoch) {
    // The slow way: the latest that is not after it, up to the first record of a later one.
    std::int32_t latest = left.front().epoch;
    Offset end = model.next();
    for (const Batch& batch : left) {
      if (batch.epoch <= epoch) latest = batch.epoch;
    }
    for (auto batch = left.rbegin(); batch != left.rend(); ++batch) {
      if (batch->epoch > epoch) end = batch->base;
    }
    const auto found = stream.epoch_end(epoch);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->epoch, latest);
    EXPECT_EQ(found->offset, end);
  }
  for (const Batch& batch : left) {
    if (batch.base >= stream.start()) EXPECT_EQ(stream.epoch_at(batch.base), batch.epoch);
    EXPECT_EQ(stream.epoch_at(batch.base + batch.count - 1), batch.epoch);
  }
}

TEST(StreamState, AgreesWithAListOfBatches) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    StreamConfig config;
    config.name = "t";
    config.retention_ms = random.chance(1, 2) ? -1 : random.between(0, 3000);
    config.retention_bytes = random.chance(1, 2) ? -1 : random.between(0, 300000);
    StreamState stream(config);
    Model model;
    Lsn lsn;
    std::int64_t now = 1000;
    std::int32_t epoch = 1;
    for (int step = 0; step < 300; ++step) {
      lsn += random.below(3) + 1;
      now += random.between(0, 30);
      if (random.chance(1, 40)) ++epoch;
      if (random.chance(1, 12)) {
        const auto cut = random.chance(1, 2) ? stream.retention_cut(WallTime{now}).value_or(model.start)
                                             : model.start + random.between(0, model.next() - model.start);
        stream.trim(cut);
        model.start = std::max(model.start, cut);
      } else {
        const Batch batch{model.next(),
                          static_cast<std::int32_t>(random.between(1, 5)),
                          lsn,
                          random.chance(1, 10) ? random.below(60000) + 61 : random.below(3000) + 61,
                          now + (random.chance(1, 5) ? random.between(-3000, 3000) : 0),
                          epoch};
        stream.append(lsn, {.base_offset = batch.base, .leader_epoch = epoch, .count = batch.count},
                      batch.bytes, batch.timestamp_ms);
        model.batches.push_back(batch);
      }
      ASSERT_EQ(stream.start(), model.start);
      ASSERT_EQ(stream.next(), model.next());
      check_places(stream, model);
      check_times(stream, model, now + random.between(-4000, 4000));
      check_retention(stream, model, WallTime{now});
      check_epochs(stream, model);
      if (random.chance(1, 10)) stream = again(stream, lsn + 1);
    }
  }
}

TEST(StreamState, IndexStaysBounded) {
  StreamState stream((StreamConfig()));
  const std::size_t batches = StreamState::kMaxPlaces * 3;
  for (std::size_t i = 0; i < batches; ++i) {
    const Offset base(static_cast<std::int64_t>(i));
    // The times fall, so that each look-up by time has its own answer.
    stream.append(Lsn(i), {.base_offset = base, .leader_epoch = 1, .count = 1}, StreamState::kIndexBytes,
                  static_cast<std::int64_t>(batches - i));
    ASSERT_LE(stream.places(), StreamState::kMaxPlaces);
  }
  EXPECT_EQ(stream.grain(), 4 * StreamState::kIndexBytes);
  for (std::size_t i = 0; i < batches; i += 97) {
    const auto place = stream.place_for(Offset(static_cast<std::int64_t>(i)));
    ASSERT_TRUE(place.has_value());
    EXPECT_LE(place->lsn.value, i);
    EXPECT_GT(place->lsn.value + 4, i);
    EXPECT_EQ(place->max_timestamp_ms, static_cast<std::int64_t>(batches - place->lsn.value));
  }
  EXPECT_EQ(again(stream, Lsn(batches)).places(), stream.places());
}

TEST(StreamState, AnOldFirstRecordDoesNotTakeYoungOnesWithIt) {
  StreamConfig config;
  config.retention_ms = 1000;
  StreamState stream(config);
  const auto append = [&](std::uint64_t lsn, std::int64_t timestamp_ms) {
    stream.append(Lsn(lsn), {.base_offset = stream.next(), .leader_epoch = 1, .count = 1},
                  StreamState::kIndexBytes / 2, timestamp_ms);
  };
  append(0, 10);
  append(1, 9900);  // in the same stretch
  append(2, 20);    // begins the next one
  append(3, 30);
  append(4, 9900);
  EXPECT_EQ(stream.retention_cut(WallTime{10000}), std::nullopt);
  EXPECT_EQ(stream.place_for_timestamp(9000)->lsn, Lsn(0));
  EXPECT_EQ(stream.retention_cut(WallTime{11000}), Offset(5));
}

TEST(StreamState, EarliestIsTheStart) {
  StreamState stream((StreamConfig()));
  for (std::uint64_t i = 0; i < 3; ++i) {
    stream.append(Lsn(i), {.base_offset = stream.next(), .leader_epoch = 1, .count = 2}, 100, 1);
  }
  EXPECT_EQ(stream.earliest(), Offset(0));
  stream.trim(Offset(4));
  EXPECT_EQ(stream.earliest(), Offset(4));
  stream.trim(Offset(6));
  EXPECT_EQ(stream.earliest(), Offset(6));
  EXPECT_EQ(stream.lsn_needed(), std::nullopt);
#ifdef STELE_MUTANTS
  select_mutant(Mutant::kListOffsetsOffByOne);
  EXPECT_EQ(stream.earliest(), Offset(5));
  select_mutant(Mutant::kNone);
#endif
}

}  // namespace
}  // namespace stele::broker
