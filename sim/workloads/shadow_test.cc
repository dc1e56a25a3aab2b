#include "sim/workloads/shadow.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "broker/shard_testing.h"
#include "sim/workloads/ledger_testing.h"

namespace stele::sim {
namespace {

using broker::testing::data_of;
using broker::testing::LogAndState;
using broker::testing::message;
namespace control = broker::control;

constexpr ShardId kShard{5};
const StreamId kStream{TopicId(1), PartitionId(0)};

// An owner that tells the shadow what it does, as the broker's shard does.
class ShadowTest : public ::testing::Test {
 protected:
  ShadowTest() {
    shadow_.on_data = [this](const broker::DataEntry& data, std::string_view) {
      addresses_.emplace_back(data.address);
    };
    begin(Epoch(1));
  }
  std::string failure() { return testing::failure_of(world_); }

  void begin(Epoch epoch) {
    epoch_ = epoch;
    shadow_.on_owner(kShard, epoch, owner_.state.next(), owner_.state.hash());
  }
  void tell(Lsn lsn) {
    const storage::LogEntry& entry = owner_.log[lsn.value];
    shadow_.on_append(kShard, epoch_, lsn, entry.head.view(), entry.body.view());
  }
  void publish(const std::string& address) { tell(owner_.publish(data_of(message(address, "p")))); }
  void commit() { shadow_.on_commit(kShard, epoch_, owner_.state.next()); }

  World world_{1};
  Shadow shadow_{world_};
  LogAndState owner_;
  Epoch epoch_;
  std::vector<std::string> addresses_;
};

TEST_F(ShadowTest, FollowsAnOwnerAndTheNext) {
  publish("a");
  tell(owner_.add(control::session_opened(owner_.time, {}, "c", false, 100)));
  EXPECT_EQ(addresses_.size(), 0u) << "not committed yet";
  commit();
  publish("b");
  shadow_.on_hash(kShard, Epoch(1), owner_.state.next(), owner_.state.hash());
  commit();
  publish("c");  // appended and there when the next owner begins: committed by it
  begin(Epoch(2));
  shadow_.on_snapshot(kShard, Epoch(2), owner_.state.next(), owner_.state.hash());
  // Of the one before, who does not know yet.
  shadow_.on_hash(kShard, Epoch(1), owner_.state.next() + 1, 1);
  publish("d");
  commit();
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(addresses_, (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_EQ(shadow_.entries(), 5u);
  EXPECT_EQ(shadow_.hashes_compared(), 3u);
}

TEST_F(ShadowTest, ForgetsWhatAnOwnerAppendedThatTheNextDoesNotHave) {
  publish("a");
  commit();
  publish("lost");
  // The next owner begins with what was committed.
  LogAndState next;
  next.add(owner_.log[0]);
  owner_ = std::move(next);
  begin(Epoch(2));
  publish("b");
  commit();
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(addresses_, (std::vector<std::string>{"a", "b"}));
}

TEST_F(ShadowTest, DoesNotListenToAnOwnerThatIsNoMore) {
  publish("a");
  commit();
  shadow_.on_owner(kShard, Epoch(2), owner_.state.next(), owner_.state.hash());
  publish("b");  // by the first
  commit();
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(shadow_.entries(), 1u);
}

TEST_F(ShadowTest, AnOwnerWhoseEpochIsNotAboveTheLastIsFound) {
  shadow_.on_owner(kShard, Epoch(1), owner_.state.next(), owner_.state.hash());
  EXPECT_EQ(failure(), "shard 5: an owner begins in epoch 1, which is not above 1");
}

TEST_F(ShadowTest, AnOwnerWithoutACommittedEntryIsFound) {
  publish("a");
  publish("b");
  commit();
  shadow_.on_owner(kShard, Epoch(2), Lsn(1), 0);
  EXPECT_EQ(failure(), "shard 5: committed entries are lost: 2 were committed, the new owner has 1");
}

TEST_F(ShadowTest, AnOwnerWithAnEntryThatNobodyAppendedIsFound) {
  publish("a");
  shadow_.on_owner(kShard, Epoch(2), Lsn(2), 0);
  EXPECT_EQ(failure(), "shard 5: entry 1 is committed but was never appended");
}

TEST_F(ShadowTest, AnOwnerThatBeginsWithAnotherStateIsFound) {
  publish("a");
  tell(owner_.add(control::session_opened(owner_.time, {}, "c", false, 100)));
  shadow_.on_owner(kShard, Epoch(2), owner_.state.next(), owner_.state.hash() + 1);
  EXPECT_EQ(failure(), "shard 5: snapshot and tail give another state than the whole log");
}

TEST_F(ShadowTest, ACommitOfWhatWasNotAppendedIsFound) {
  shadow_.on_commit(kShard, epoch_, Lsn(1));
  EXPECT_EQ(failure(), "shard 5: entry 0 is committed but was never appended");
}

TEST_F(ShadowTest, AnEntryThatCannotBeReadIsFound) {
  shadow_.on_append(kShard, epoch_, Lsn(0), "no", "entry");
  shadow_.on_commit(kShard, epoch_, Lsn(1));
  EXPECT_TRUE(failure().starts_with("shard 5: a committed entry cannot be read: ")) << failure();
}

TEST_F(ShadowTest, AnEntryThatCannotBeAppliedIsFound) {
  const storage::LogEntry entry = control::stream_trimmed(owner_.time, kStream, Offset(1));
  shadow_.on_append(kShard, epoch_, Lsn(0), entry.head.view(), entry.body.view());
  shadow_.on_commit(kShard, epoch_, Lsn(1));
  EXPECT_TRUE(failure().starts_with("shard 5: a committed entry cannot be applied: ")) << failure();
}

TEST_F(ShadowTest, TimeThatGoesBackIsFound) {
  publish("a");
  commit();
  owner_.time = WallTime{owner_.time.ms - 1};
  publish("b");
  commit();
  EXPECT_EQ(failure(), "shard 5: time goes back: entry 1 is older than the one before");
}

TEST_F(ShadowTest, AnOwnersStateThatIsNotTheFoldOfItsLogIsFound) {
  publish("a");
  shadow_.on_hash(kShard, Epoch(1), owner_.state.next(), owner_.state.hash() + 1);
  EXPECT_EQ(failure(), "");
  commit();
  EXPECT_EQ(failure(), "shard 5: the owner's state is not the fold of its log");
}

TEST_F(ShadowTest, ASnapshotOfAnythingButACommittedStateIsFound) {
  publish("a");
  publish("b");
  shadow_.on_snapshot(kShard, Epoch(1), Lsn(1), owner_.state.hash());  // it holds entry 1 already
  commit();
  EXPECT_EQ(failure(), "shard 5: the owner's state is not the fold of its log");
}

TEST_F(ShadowTest, ShardsAreApart) {
  publish("a");
  commit();
  shadow_.on_owner(ShardId(6), Epoch(1), Lsn(0), LogAndState().state.hash());
  EXPECT_EQ(failure(), "");
}

}  // namespace
}  // namespace stele::sim
