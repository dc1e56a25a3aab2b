#include "journal/snapshot_segment.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace stele::journal {
namespace {

SnapshotSegment any_snapshot() {
  SnapshotSegment snapshot;
  snapshot.id =
      snapshot_segment_id(ShardId(*rc::gen::arbitrary<std::uint32_t>()),
                          Epoch(*rc::gen::arbitrary<std::uint64_t>()), *rc::gen::arbitrary<std::uint64_t>());
  snapshot.entries = *rc::gen::arbitrary<std::uint64_t>();
  snapshot.bytes = *rc::gen::arbitrary<std::uint64_t>();
  snapshot.checksum = *rc::gen::arbitrary<std::uint32_t>();
  const int replicas = *rc::gen::inRange(1, 6);
  for (int i = 0; i < replicas; ++i) {
    snapshot.replicas.push_back(
        {NodeId(*rc::gen::arbitrary<std::uint32_t>()), *rc::gen::arbitrary<std::uint64_t>()});
  }
  return snapshot;
}

RC_GTEST_PROP(SnapshotSegment, a_name_tells_all_of_it, ()) {
  const SnapshotSegment snapshot = any_snapshot();
  RC_ASSERT(SnapshotSegment::parse(snapshot.name()) == snapshot);
  RC_ASSERT(snapshot.name().size() <= 1024);  // what the metadata take
}

RC_GTEST_PROP(SnapshotSegment, what_is_cut_or_garbled_is_none_or_another, ()) {
  const SnapshotSegment snapshot = any_snapshot();
  std::string name = snapshot.name();
  name[*rc::gen::inRange<std::size_t>(0, name.size())] = *rc::gen::arbitrary<char>();
  name.resize(*rc::gen::inRange<std::size_t>(0, name.size() + 1));
  if (const auto parsed = SnapshotSegment::parse(name)) RC_ASSERT(!parsed->replicas.empty());
}

TEST(SnapshotSegment, the_names_of_files_are_none) {
  for (const char* name : {"", "shard-1-2-3", "segment", "segment 1 2 3 4 1/1", "segment x"}) {
    EXPECT_FALSE(SnapshotSegment::parse(name)) << name;
  }
}

TEST(SnapshotSegment, one_is_old_when_its_epoch_is_over_or_a_later_one_is_named) {
  meta::Shard shard;
  shard.id = ShardId(3);
  shard.epoch = Epoch(7);
  const auto id = [](std::uint32_t of, std::uint64_t epoch, std::uint64_t number) {
    return snapshot_segment_id(ShardId(of), Epoch(epoch), number);
  };
  EXPECT_TRUE(is_snapshot_segment(id(3, 7, 1)));
  EXPECT_FALSE(is_snapshot_segment(SegmentId(12345)));
  EXPECT_TRUE(is_old_snapshot(id(3, 6, 9), shard));
  EXPECT_FALSE(is_old_snapshot(id(3, 7, 1), shard));
  EXPECT_FALSE(is_old_snapshot(id(4, 6, 9), shard));  // of another shard
  SnapshotSegment named;
  named.id = id(3, 7, 5);
  named.replicas = {{NodeId(1), 1}};
  shard.snapshot = meta::Snapshot{.lsn = Lsn(1), .file = named.name()};
  EXPECT_TRUE(is_old_snapshot(id(3, 7, 4), shard));
  EXPECT_FALSE(is_old_snapshot(id(3, 7, 6), shard));  // may be named in a moment
  shard.epoch = Epoch(8);
  EXPECT_TRUE(is_old_snapshot(id(3, 7, 6), shard));
  EXPECT_FALSE(is_old_snapshot(id(3, 8, 1), shard));
}

}  // namespace
}  // namespace stele::journal
