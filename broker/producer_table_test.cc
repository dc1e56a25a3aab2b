#include "broker/producer_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "runtime/random.h"

namespace stele::broker {
namespace {

using runtime::Random;
using What = ProducerTable::Check::What;

const StreamId kStream{TopicId(1), PartitionId(0)};
const StreamId kOther{TopicId(1), PartitionId(1)};

BatchProducer batch(std::int64_t id, std::int32_t first, std::int32_t count, std::int16_t epoch = 0) {
  return {.id = id, .epoch = epoch, .first_sequence = first, .count = count};
}

struct Log {
  ProducerTable table;
  std::map<StreamId, Offset> next;
  Lsn lsn;
  WallTime time{1000};

  What what(const BatchProducer& one, StreamId stream = kStream) const {
    return table.check(stream, one).what;
  }
  Offset write(const BatchProducer& one, StreamId stream = kStream, std::uint64_t limit = UINT64_MAX) {
    const Offset base = next[stream];
    table.wrote(stream, one, base, lsn, time, limit);
    next[stream] += one.count;
    ++lsn;
    return base;
  }
};

TEST(ProducerTable, ABatchThatIsSentAgainIsFound) {
  Log log;
  std::vector<Offset> bases;
  for (std::int32_t i = 0; i < 7; ++i) bases.push_back(log.write(batch(9, i * 10, 10)));
  // The last five, however often.
  for (std::int32_t i = 2; i < 7; ++i) {
    const auto check = log.table.check(kStream, batch(9, i * 10, 10));
    EXPECT_EQ(check.what, What::kDuplicate);
    EXPECT_EQ(check.written.base, bases[static_cast<std::size_t>(i)]);
    EXPECT_EQ(check.written.lsn, Lsn(static_cast<std::uint64_t>(i)));
  }
  EXPECT_EQ(log.what(batch(9, 10, 10)), What::kOutOfOrder);  // too long ago to be known
  EXPECT_EQ(log.what(batch(9, 60, 5)), What::kOutOfOrder);   // a part of one
  EXPECT_EQ(log.what(batch(9, 55, 15)), What::kOutOfOrder);
  EXPECT_EQ(log.what(batch(9, 70, 1)), What::kNext);
  EXPECT_EQ(log.what(batch(9, 71, 1)), What::kOutOfOrder);
  // Each stream and each producer for itself.
  EXPECT_EQ(log.what(batch(9, 0, 1), kOther), What::kNext);
  EXPECT_EQ(log.what(batch(8, 0, 1)), What::kNext);
}

TEST(ProducerTable, WhoIsNotKnownMayBeginAnywhere) {  // KIP-360
  Log log;
  EXPECT_EQ(log.what(batch(9, 1234, 10, 3)), What::kNext);
  log.write(batch(9, 1234, 10, 3));
  EXPECT_EQ(log.what(batch(9, 1244, 1, 3)), What::kNext);
  EXPECT_EQ(log.what(batch(9, 0, 1, 3)), What::kOutOfOrder);
}

TEST(ProducerTable, ANewEpochBeginsAtZero) {
  Log log;
  log.write(batch(9, 0, 10, 1));
  EXPECT_EQ(log.what(batch(9, 10, 1, 0)), What::kOldEpoch);
  EXPECT_EQ(log.what(batch(9, 0, 10, 0)), What::kOldEpoch);
  EXPECT_EQ(log.what(batch(9, 10, 1, 2)), What::kOutOfOrder);
  EXPECT_EQ(log.what(batch(9, 0, 10, 2)), What::kNext);  // no duplicate of the other epoch's
  log.write(batch(9, 0, 10, 2));
  EXPECT_EQ(log.what(batch(9, 0, 10, 1)), What::kOldEpoch);
  EXPECT_EQ(log.what(batch(9, 0, 10, 2)), What::kDuplicate);
}

TEST(ProducerTable, SequenceNumbersGoOnAtZero) {
  Log log;
  log.write(batch(9, INT32_MAX - 1, 2));
  EXPECT_EQ(log.what(batch(9, 0, 1)), What::kNext);
  EXPECT_EQ(log.what(batch(9, 1, 1)), What::kOutOfOrder);
  log.write(batch(9, 0, 5));
  // In the middle of a batch.
  log.write(batch(8, INT32_MAX - 1, 5));
  EXPECT_EQ(log.what(batch(8, INT32_MAX - 1, 5)), What::kDuplicate);
  EXPECT_EQ(log.what(batch(8, 3, 1)), What::kNext);
  EXPECT_EQ(batch(8, INT32_MAX - 1, 5).last_sequence(), 2);
}

TEST(ProducerTable, TheLongestSilentGoes) {
  Log log;
  for (std::int64_t id = 1; id <= 3; ++id) log.write(batch(id, 0, 1), kStream, 3);
  log.write(batch(1, 1, 1), kStream, 3);
  log.write(batch(4, 0, 1), kStream, 3);
  EXPECT_EQ(log.table.size(), 3U);
  EXPECT_EQ(log.table.evicted(), 1U);
  EXPECT_EQ(log.what(batch(2, 0, 1)), What::kNext);  // forgotten
  EXPECT_EQ(log.what(batch(1, 1, 1)), What::kDuplicate);
  EXPECT_EQ(log.what(batch(3, 0, 1)), What::kDuplicate);
  log.write(batch(5, 0, 1), kStream, 0);
  EXPECT_EQ(log.what(batch(5, 0, 1)), What::kNext);
  log.table.shrink(1);
  EXPECT_EQ(log.table.size(), 1U);
  EXPECT_EQ(log.what(batch(4, 0, 1)), What::kDuplicate);
}

TEST(ProducerTable, WhoIsSilentForTooLongIsForgotten) {
  Log log;
  EXPECT_EQ(log.table.oldest(), std::nullopt);
  log.write(batch(1, 0, 1));
  log.time = WallTime{2000};
  log.write(batch(2, 0, 1));
  EXPECT_EQ(log.table.oldest(), WallTime{1000});
  log.table.expire(WallTime{999});
  EXPECT_EQ(log.table.size(), 2U);
  log.table.expire(WallTime{1000});
  EXPECT_EQ(log.table.size(), 1U);
  EXPECT_EQ(log.table.oldest(), WallTime{2000});
  log.write(batch(1, 0, 1), kOther);
  log.table.forget_stream(kStream);
  EXPECT_EQ(log.table.size(), 1U);
  EXPECT_EQ(log.what(batch(1, 0, 1), kOther), What::kDuplicate);
  EXPECT_EQ(log.table.evicted(), 0U);
}

// ---- against a model: everything that was ever written, and the rules read out slowly -------------------

struct Entry {
  StreamId stream;
  BatchProducer batch;
  Offset base;
  Lsn lsn;
  WallTime time;
};

struct Model {
  std::vector<Entry> written;  // in order; without those of producers that were forgotten
  std::uint64_t evicted = 0;

  std::vector<Entry> of(StreamId stream, std::int64_t id) const {
    std::vector<Entry> all;
    for (const Entry& one : written) {
      if (one.stream == stream && one.batch.id == id) all.push_back(one);
    }
    return all;
  }
  static bool follows(const BatchProducer& before, const BatchProducer& after) {
    const std::uint32_t end =
        static_cast<std::uint32_t>(before.first_sequence) + static_cast<std::uint32_t>(before.count);
    return before.epoch == after.epoch &&
           (end & 0x7fffffffU) == static_cast<std::uint32_t>(after.first_sequence);
  }
  ProducerTable::Check check(StreamId stream, const BatchProducer& batch) const {
    const auto all = of(stream, batch.id);
    ProducerTable::Check answer;
    if (all.empty()) return answer;
    const BatchProducer& last = all.back().batch;
    if (batch.epoch < last.epoch) return answer.what = What::kOldEpoch, answer;
    if (batch.epoch > last.epoch) {
      answer.what = batch.first_sequence == 0 ? What::kNext : What::kOutOfOrder;
      return answer;
    }
    // The last five, as far back as one follows the other.
    for (std::size_t back = 1; back <= std::min<std::size_t>(5, all.size()); ++back) {
      const Entry& one = all[all.size() - back];
      if (back > 1 && !follows(one.batch, all[all.size() - back + 1].batch)) break;
      if (one.batch.first_sequence == batch.first_sequence && one.batch.count == batch.count) {
        answer.what = What::kDuplicate;
        answer.written = {one.base, one.lsn, one.time, batch.last_sequence(), batch.count};
        return answer;
      }
    }
    answer.what = follows(last, batch) ? What::kNext : What::kOutOfOrder;
    return answer;
  }
  // In the order of their last batch.
  std::vector<std::pair<StreamId, std::int64_t>> producers() const {
    std::vector<std::pair<StreamId, std::int64_t>> all;
    for (auto at = written.rbegin(); at != written.rend(); ++at) {
      const std::pair key(at->stream, at->batch.id);
      if (std::find(all.begin(), all.end(), key) == all.end()) all.push_back(key);
    }
    std::reverse(all.begin(), all.end());
    return all;
  }
  void forget(std::pair<StreamId, std::int64_t> who) {
    std::erase_if(written, [&](const Entry& one) { return std::pair(one.stream, one.batch.id) == who; });
  }
  void shrink(std::size_t limit) {
    for (auto all = producers(); all.size() > limit; all.erase(all.begin()), ++evicted) forget(all.front());
  }
};

std::string encoded(const ProducerTable& table) {
  std::string bytes;
  Writer writer(bytes);
  table.encode([&](auto&& one) { one(writer); });
  return bytes;
}

ProducerTable again(const ProducerTable& table, Lsn end, WallTime time) {
  const std::string bytes = encoded(table);
  Reader reader(bytes);
  ProducerTable decoded;
  while (reader.ok() && !reader.at_end()) decoded.decode(reader, end, time);
  EXPECT_TRUE(reader.ok());
  decoded.set_evicted(table.evicted());
  EXPECT_EQ(encoded(decoded), bytes);
  return decoded;
}

BatchProducer any_batch(Random& random, const Model& model, StreamId stream) {
  BatchProducer made =
      batch(static_cast<std::int64_t>(random.below(5)), static_cast<std::int32_t>(random.below(20)),
            static_cast<std::int32_t>(random.between(1, 4)), static_cast<std::int16_t>(random.below(2)));
  if (random.chance(1, 10)) made.first_sequence = INT32_MAX - static_cast<std::int32_t>(random.below(6));
  if (random.chance(1, 10)) made.first_sequence = 0;
  const auto all = model.of(stream, made.id);
  if (all.empty() || random.chance(1, 5)) return made;
  if (random.chance(1, 3))
    return all[all.size() - 1 - random.below(std::min<std::size_t>(all.size(), 7))].batch;
  const BatchProducer& last = all.back().batch;
  made.epoch = last.epoch;
  made.first_sequence = last.last_sequence() == INT32_MAX ? 0 : last.last_sequence() + 1;
  return made;
}

TEST(ProducerTable, AgreesWithAListOfAllBatches) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Log log;
    Model model;
    const std::uint64_t limit = random.chance(1, 3) ? UINT64_MAX : random.below(8);
    for (int step = 0; step < 300; ++step) {
      const StreamId stream = random.chance(1, 3) ? kOther : kStream;
      const BatchProducer one = any_batch(random, model, stream);
      const auto check = log.table.check(stream, one), expected = model.check(stream, one);
      ASSERT_EQ(check.what, expected.what) << step;
      if (check.what == What::kDuplicate) ASSERT_EQ(check.written, expected.written);
      // The owner stores what comes next; a log that no owner of ours wrote may hold anything.
      if (check.what == What::kNext || random.chance(1, 20)) {
        const Offset base = log.next[stream];
        if (model.of(stream, one.id).empty() && limit > 0) model.shrink(limit - 1);
        if (limit > 0) model.written.push_back({stream, one, base, log.lsn, log.time});
        log.write(one, stream, limit);
      }
      log.time.ms += static_cast<std::int64_t>(random.below(3));
      if (random.chance(1, 40)) {
        const WallTime since{log.time.ms - static_cast<std::int64_t>(random.below(40))};
        log.table.expire(since);
        for (const auto& who : model.producers()) {
          if (model.of(who.first, who.second).back().time <= since) model.forget(who);
        }
      }
      if (random.chance(1, 100)) {
        log.table.forget_stream(stream);
        std::erase_if(model.written, [&](const Entry& entry) { return entry.stream == stream; });
      }
      if (random.chance(1, 20)) log.table = again(log.table, log.lsn, log.time);
      ASSERT_EQ(log.table.size(), model.producers().size());
      ASSERT_EQ(log.table.evicted(), model.evicted);
      const auto all = model.producers();
      ASSERT_EQ(log.table.oldest(),
                all.empty() ? std::nullopt
                            : std::optional(model.of(all.front().first, all.front().second).back().time));
    }
  }
}

TEST(ProducerTable, DamageIsNoticedOrHarmless) {
  Random random(7);
  Log log;
  for (std::int32_t i = 0; i < 4; ++i) log.write(batch(5, i * 3, 3));
  log.write(batch(6, 0, 1), kOther);
  const std::string bytes = encoded(log.table);
  for (int i = 0; i < 5000; ++i) {
    std::string bent = bytes;
    bent[random.below(bent.size())] = static_cast<char>(random.below(256));
    Reader reader(bent);
    ProducerTable table;
    while (reader.ok() && !reader.at_end()) table.decode(reader, log.lsn, log.time);
    if (reader.ok()) EXPECT_EQ(encoded(table).size() <= bent.size(), true);
  }
}

}  // namespace
}  // namespace stele::broker
