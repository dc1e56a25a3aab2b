// The log against a model, through crashes, clean restarts, failing syncs and full disks: what was
// acknowledged is there, nothing is gapped, and nothing is there that was not appended.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "storage/segment_store.h"
#include "storage/testing/memory_disk.h"

namespace stele::storage {
namespace {

using runtime::Random;
using testing::MemoryDisk;
using testing::MemoryRuntime;

struct ModelSegment {
  std::vector<std::string> entries;  // all that were appended, from index 0; those behind `acked` may be lost
  std::uint64_t acked = 0;
  std::uint64_t trimmed = 0;  // asked for
  Epoch epoch{1};
  Epoch fenced{0};  // answered
  bool removed = false;
};

class Life {
 public:
  explicit Life(std::uint64_t seed)
      : seed_(seed), random_(seed), disk_(seed * 3 + 1), runtime_(disk_, seed * 5 + 2) {
    options_.directory = "/log";
    options_.file_bytes = (16 << 10) << random_.below(3);
    options_.max_block_bytes = 256 << random_.below(6);
    options_.max_batch_bytes = 512 << random_.below(7);
    options_.index_own_bytes = 256 << random_.below(6);
    options_.index_span_bytes = 1024 << random_.below(6);
    options_.tail_cache_bytes = random_.chance(1, 2) ? 0 : 8 << 10;
    options_.read_bytes = 128 << random_.below(6);
    options_.move_step_bytes = 1024;
    options_.spare_files = std::uint32_t(random_.below(3));
    options_.max_open_files = std::uint32_t(1 + random_.below(3));
    options_.move_below_percent = std::uint32_t(random_.below(51));
    if (random_.chance(1, 4)) options_.durability = Durability::kFlush;
    if (random_.chance(1, 8)) options_.durability = Durability::kMemory;
    faults_ = random_.chance(1, 3);
    small_disk_ = random_.chance(1, 4);
  }

  void play(int steps) {
    open();
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) step();
    disk_.capacity = UINT64_MAX;
    disk_.failing_syncs = disk_.failing_writes = 0;
    restart(random_.chance(1, 2));
    check_all();
    store_.reset();
  }

 private:
  bool synced() const { return options_.durability == Durability::kFsync; }

  void step() {
    switch (random_.below(24)) {
      case 0:
        return trim();
      case 1:
        return fence();
      case 2:
        if (random_.chance(1, 8)) remove();
        return;
      case 3:
      case 4:
        return read_some();
      case 5:
        if (random_.chance(1, 6)) restart(random_.chance(1, 3));
        return;
      case 6:
        if (faults_) disk_.failing_syncs = random_.chance(1, 2) ? 0 : std::uint32_t(random_.below(100));
        if (faults_ && random_.chance(1, 2)) disk_.failing_writes = std::uint32_t(random_.below(20));
        return;
      case 7:
        if (small_disk_) {
          const std::uint64_t left = random_.below(3) * options_.file_bytes;
          disk_.capacity = random_.chance(1, 2) ? UINT64_MAX : disk_.used() + left;
        }
        return;
      default:
        if (random_.chance(2, 3)) append();
        runtime_.turns(random_.below(30));
    }
  }

  SegmentId some_segment() { return SegmentId(1 + random_.below(6) + generation_ * 10); }

  void append() {
    const SegmentId id = some_segment();
    ModelSegment& model = segments_[id];
    if (model.removed) {
      if (random_.chance(1, 10)) ++generation_;
      return;
    }
    const auto info = store_->info(id);
    const std::uint64_t first = info ? info->end : 0;
    ASSERT_LE(first, model.entries.size());
    if (failed_ || store_->failed()) return;
    std::vector<LogEntry> entries;
    // What failed may be stored all the same; it is appended again as it was.
    for (std::uint64_t i = first; i < model.entries.size(); ++i) {
      entries.push_back({.head = Bytes::copy(model.entries[i]), .body = {}});
    }
    for (std::uint64_t i = entries.size(), end = i + 1 + random_.below(4); i < end; ++i) {
      std::string head =
          std::to_string(id.value) + "/" + std::to_string(first + i) + "#" + std::to_string(++serial_);
      std::string body(random_.chance(1, 3) ? random_.below(3000) : random_.below(60),
                       char('a' + serial_ % 26));
      model.entries.push_back(head + body);
      entries.push_back({.head = Bytes::copy(head), .body = Bytes::copy(body)});
    }
    const std::uint64_t end = first + entries.size();
    const std::uint64_t life = life_;
    model.epoch = std::max(model.epoch, model.fenced);
    store_->append(id, model.epoch, first, std::move(entries), [this, id, first, end, life](Result<void> r) {
      ASSERT_EQ(life, life_);
      if (r) {
        ModelSegment& stored = segments_[id];
        ASSERT_GE(first, stored.acked) << "out of order";
        stored.acked = end;
      } else {
        ASSERT_TRUE(r.error().code == ErrorCode::kNoSpace || r.error().code == ErrorCode::kIo)
            << r.error().to_string();
        if (store_->failed()) failed_ = true;
      }
    });
  }

  void trim() {
    const SegmentId id = some_segment();
    ModelSegment& model = segments_[id];
    const std::uint64_t below = random_.below(model.acked + 1);
    model.trimmed = std::max(model.trimmed, below);
    store_->trim(id, below);
  }

  void remove() {
    const SegmentId id = some_segment();
    segments_[id].removed = true;
    store_->remove(id);
  }

  void fence() {
    const SegmentId id = some_segment();
    ModelSegment& model = segments_[id];
    if (model.removed) return;
    const Epoch epoch = model.epoch + random_.below(3);
    model.epoch = epoch;
    auto answer = runtime_.run(store_->fence(id, epoch));
    if (!answer) {
      ASSERT_TRUE(answer.error().code == ErrorCode::kNoSpace || answer.error().code == ErrorCode::kIo)
          << answer.error().to_string();
      return;
    }
    model.fenced = epoch;
    ASSERT_GE(answer->end, model.acked);
    ASSERT_LE(answer->end, model.entries.size());
  }

  void read_some() {
    const SegmentId id = some_segment();
    const auto info = store_->info(id);
    if (!info || info->begin == info->stored) return;
    const std::uint64_t from = info->begin + random_.below(info->stored - info->begin);
    check_entries(id, from, from + random_.below(20), random_.below(5000));
  }

  void check_entries(SegmentId id, std::uint64_t from, std::uint64_t to, std::size_t max_bytes) {
    const ModelSegment& model = segments_[id];
    while (from < to) {
      const auto entries = runtime_.run(store_->read(id, from, max_bytes));
      if (!entries && store_->failed() && !synced() && entries.error().code == ErrorCode::kIo) return;
      ASSERT_TRUE(entries) << entries.error().to_string() << " seed " << seed_;
      if (entries->empty()) return;
      for (const LogEntry& entry : *entries) {
        const std::string text = std::string(entry.head.view()) + std::string(entry.body.view());
        ASSERT_LT(from, model.entries.size());
        ASSERT_EQ(text, model.entries[from]) << "segment " << id.value << " entry " << from;
        ++from;
      }
    }
  }

  void open() {
    ++life_;
    failed_ = false;
    // What may fail a start for good is not what is tried here.
    disk_.failing_syncs = disk_.failing_writes = 0;
    disk_.capacity = UINT64_MAX;
    auto opened = runtime_.run(SegmentStore::open(runtime_, options_));
    ASSERT_TRUE(opened) << opened.error().to_string() << " seed " << seed_;
    store_ = *std::move(opened);
  }

  void restart(bool clean) {
    bool all_kept = synced();
    if (clean) {
      const auto closed = runtime_.run(store_->close());
      all_kept = synced() || bool(closed);
      for (auto& [id, model] : segments_) {
        if (closed && !failed_ && options_.durability != Durability::kMemory)
          model.acked = store_end(id, model);
      }
      store_.reset();
      if (random_.chance(1, 2)) disk_.crash();
    } else {
      store_.reset();
      const bool power = random_.chance(3, 4);
      if (power) disk_.crash();
      all_kept = synced() || (!power && options_.durability == Durability::kFlush && !failed_);
    }
    open();
    if (!store_) return;
    for (auto& [id, model] : segments_) check_after_restart(id, model, all_kept);
  }

  std::uint64_t store_end(SegmentId id, const ModelSegment& model) {
    const auto info = store_->info(id);
    return info ? std::max(model.acked, info->stored) : model.acked;
  }

  void check_after_restart(SegmentId id, ModelSegment& model, bool all_kept) {
    const auto info = store_->info(id);
    if (!info) {
      if (!model.removed && all_kept) {
        ASSERT_EQ(model.acked, 0u) << "segment " << id.value << " is gone, seed " << seed_;
        ASSERT_EQ(model.fenced, Epoch(0));
      }
      if (!model.removed) model = ModelSegment{.entries = {}, .epoch = model.epoch, .fenced = model.fenced};
      return;
    }
    if (all_kept) {
      ASSERT_GE(info->end, model.acked) << "segment " << id.value << " seed " << seed_;
    } else if (info->end < model.acked) {
      ASSERT_FALSE(info->certain) << "lost entries, and is certain; segment " << id.value << " seed "
                                  << seed_;
    }
    ASSERT_GE(info->fence, model.fenced);
    ASSERT_LE(info->end, model.entries.size());
    ASSERT_LE(info->begin, model.trimmed);
    ASSERT_EQ(info->end, info->stored);
    model.entries.resize(info->end);
    model.acked = info->end;
    model.trimmed = std::min(model.trimmed, info->end);
    model.epoch = std::max(model.epoch, info->fence);
    check_entries(id, info->begin, info->end, SIZE_MAX);
    if (model.removed) store_->remove(id);
  }

  void check_all() {
    for (auto& [id, model] : segments_) {
      const auto info = store_->info(id);
      if (info) check_entries(id, info->begin, info->stored, 3000);
    }
    const SegmentStoreStats stats = store_->stats();
    EXPECT_LE(stats.cache_bytes, options_.tail_cache_bytes + 64000);
    EXPECT_EQ(stats.pending_bytes, 0u);
  }

  const std::uint64_t seed_;
  Random random_;
  MemoryDisk disk_;
  MemoryRuntime runtime_;
  SegmentStoreOptions options_;
  bool faults_ = false;
  bool small_disk_ = false;
  bool failed_ = false;
  std::uint64_t life_ = 0;
  std::uint64_t serial_ = 0;
  std::uint64_t generation_ = 0;
  std::map<SegmentId, ModelSegment> segments_;
  std::unique_ptr<SegmentStore> store_;
};

class SegmentStoreCrash : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(SegmentStoreCrash, KeepsWhatItAcknowledged) {
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::uint64_t seed = GetParam() * 1000 + i;
    SCOPED_TRACE("seed " + std::to_string(seed));
    Life(seed).play(1500);
    if (HasFailure()) return;
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, SegmentStoreCrash, ::testing::Range<std::uint64_t>(0, 10));

}  // namespace
}  // namespace stele::storage
