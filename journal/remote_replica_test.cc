// Replicas on another node: one situation after the other, in a simulated world of two hosts.
#include "journal/remote_replica.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/replica_codec.h"
#include "journal/testing/replica_node.h"
#include "sim/network.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Task;
using storage::FenceAnswer;
using testing::HeardStored;
using testing::OwnerProgram;
using testing::ReplicaNode;
using testing::ReplicaNodeOptions;

constexpr SegmentId kS{7}, kT{8};
constexpr Epoch kE{3};

template <class T>
Task<void> keep(Task<T> task, std::shared_ptr<std::optional<T>> result) {
  result->emplace(co_await std::move(task));
}

class RemoteReplicaTest : public ::testing::Test {
 protected:
  ~RemoteReplicaTest() override {
    writer_.reset();
    for (auto& writer : old_) writer.reset();
  }
  static ReplicaNodeOptions node_options() {
    ReplicaNodeOptions options;
    options.journal.store.directory = "/journal";
    return options;
  }
  void boot(RemoteReplicaOptions options = {}, std::optional<std::uint64_t> disk = std::nullopt) {
    node_.boot();
    ASSERT_TRUE(until([&] { return node_.serves(); }));
    owner_host_.boot(1, [&](sim::ProcessContext& process) {
      auto program = std::make_unique<OwnerProgram>(process, node_.id(), disk.value_or(node_.disk()), options,
                                                    rpc::ChannelOptions{});
      owner_ = program.get();
      return program;
    });
    world_.run_for(1ms);
  }
  RemoteReplica& replica() { return owner_->replica; }
  // In a turn of the owner's core.
  void act(runtime::Work work) {
    bool done = false;
    owner_->runtime.post(CoreId(0), [&] {
      work();
      done = true;
    });
    ASSERT_TRUE(until([&] { return done; }));
  }
  bool until(const std::function<bool()>& condition, runtime::Duration within = 1min) {
    world_.run_until(condition, within);
    return condition();
  }
  template <class T>
  T get(Task<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    act([&] { owner_->scope.spawn(keep(std::move(task), result)); });
    EXPECT_TRUE(until([&] { return result->has_value(); }));
    return **std::move(result);
  }

  // Entry i of a segment is always the same: it is produced once.
  static std::string text(std::uint64_t i) {
    return "entry " + std::to_string(i) + std::string(i % 7 * 900, 'x');
  }
  void open(std::uint64_t first, Epoch epoch = kE, SegmentId segment = kS) {
    heard_ = std::make_unique<HeardStored>();
    heard_->stored = first;
    next_ = first;
    act([&] { writer_ = replica().open_writer(segment, epoch, first, *heard_); });
  }
  void append(std::uint64_t count) {
    act([&] {
      for (; count > 0; --count) writer_->append(entry_of(text(next_++)));
    });
  }
  std::vector<std::string> read_all(SegmentId segment = kS) {
    std::vector<std::string> all;
    while (true) {
      auto entries = get(replica().read(segment, all.size(), 3000));
      if (!entries) {
        ADD_FAILURE() << entries.error().to_string();
        return all;
      }
      if (entries->empty()) return all;
      for (const LogEntry& entry : *entries) all.push_back(text_of(entry));
    }
  }
  void expect_holds(std::uint64_t count, SegmentId segment = kS) {
    const auto all = read_all(segment);
    ASSERT_EQ(all.size(), count);
    for (std::uint64_t i = 0; i < count; ++i) ASSERT_EQ(all[i], text(i)) << i;
  }
  Result<FenceAnswer> fence(Epoch epoch, SegmentId segment = kS) {
    auto answers = get(replica().fence({{segment, epoch}}));
    if (!answers) return std::unexpected(answers.error());
    return answers->at(0);
  }

  sim::World world_{1};
  ReplicaNode node_{world_, 2, node_options()};
  sim::Host& owner_host_ = world_.add_host("node1");
  OwnerProgram* owner_ = nullptr;
  std::unique_ptr<HeardStored> heard_;
  std::uint64_t next_ = 0;
  std::unique_ptr<SegmentWriter> writer_;
  std::vector<std::unique_ptr<SegmentWriter>> old_;
};

TEST_F(RemoteReplicaTest, StoresWhatIsAppendedAndGivesItBack) {
  boot();
  open(0);
  append(100);
  append(1);
  EXPECT_EQ(heard_->stored, 0u) << "only when the disk has it";
  ASSERT_TRUE(until([&] { return heard_->stored == 101; }));
  expect_holds(101);
  const auto infos = get(replica().describe({kS, kT}));
  ASSERT_TRUE(infos);
  ASSERT_TRUE(infos->at(0));
  EXPECT_EQ(infos->at(0)->end, 101u);
  EXPECT_EQ(infos->at(0)->fence, kE);
  EXPECT_TRUE(infos->at(0)->certain);
  EXPECT_FALSE(infos->at(1));
  EXPECT_EQ(replica().in_flight_bytes(), 0u);
  // Turns share batches: far fewer than entries.
  EXPECT_LE(replica().stats().batches, 3u);
}

TEST_F(RemoteReplicaTest, LargeEntriesComeWhole) {
  boot();
  open(0);
  const std::string large(3 << 20, 'y');
  act([&] {
    writer_->append(entry_of(large));
    writer_->append({.head = {}, .body = {}});
  });
  ASSERT_TRUE(until([&] { return heard_->stored == 2; }));
  const auto entries = get(replica().read(kS, 0, 1));
  ASSERT_TRUE(entries && entries->size() == 1);
  EXPECT_EQ(text_of(entries->at(0)), large);
  EXPECT_EQ(text_of(get(replica().read(kS, 1, 1))->at(0)), "");
}

TEST_F(RemoteReplicaTest, AFenceShutsTheWriterOut) {
  boot();
  open(0);
  append(10);
  ASSERT_TRUE(until([&] { return heard_->stored == 10; }));
  const auto answer = fence(Epoch(4));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->end, 10u);
  EXPECT_TRUE(answer->certain);
  append(5);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kFenced);
  EXPECT_EQ(fence(Epoch(3)).error().code, ErrorCode::kFenced);
  expect_holds(10);
  // Who sends again what is there, in an epoch that is over, is not told that it is stored: a copy that a
  // later owner makes is no acknowledgement to an earlier one.
  open(5, kE);
  append(3);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kFenced);
  // The later owner copies what is missing, and may begin below the end.
  open(8, Epoch(4));
  append(7);
  ASSERT_TRUE(until([&] { return heard_->stored == 15; }));
  expect_holds(15);
}

TEST_F(RemoteReplicaTest, WhatIsSentAgainIsStoredOnce) {
  boot();
  open(0);
  append(20);
  ASSERT_TRUE(until([&] { return heard_->stored == 20; }));
  open(3);
  append(10);  // all of it is there
  ASSERT_TRUE(until([&] { return heard_->stored == 13; }));
  append(10);  // some
  ASSERT_TRUE(until([&] { return heard_->stored == 23; }));
  expect_holds(23);
}

TEST_F(RemoteReplicaTest, AGapIsRefused) {
  boot();
  open(0);
  append(5);
  ASSERT_TRUE(until([&] { return heard_->stored == 5; }));
  open(6);
  append(1);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kUnavailable);
  EXPECT_FALSE(replica().has_space());
  expect_holds(5);
  ASSERT_TRUE(until([&] { return replica().has_space(); }));
}

TEST_F(RemoteReplicaTest, ALostConnectionEndsTheWriterAndTheNextGoesOn) {
  boot();
  open(0);
  append(5);
  ASSERT_TRUE(until([&] { return heard_->stored == 5; }));
  // Stored, and the answer is lost.
  world_.fabric().split_one_way(node_.host(), owner_host_);
  append(5);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kUnavailable);
  EXPECT_EQ(heard_->stored, 5u) << "what nobody answered is not taken for stored";
  EXPECT_FALSE(replica().has_space());
  world_.fabric().heal_all();
  struct Watcher final : SpaceListener {
    bool told = false;
    void on_space() override { told = true; }
  } watcher;
  replica().watch_space(watcher);
  ASSERT_TRUE(until([&] { return watcher.told; }));
  EXPECT_TRUE(replica().has_space());
  open(5);
  append(8);
  ASSERT_TRUE(until([&] { return heard_->stored == 13; }));
  expect_holds(13);
}

TEST_F(RemoteReplicaTest, ANodeThatComesBackHasWhatItAcknowledged) {
  boot();
  open(0);
  append(50);
  ASSERT_TRUE(until([&] { return heard_->stored == 50; }));
  append(50);
  node_.host().crash(sim::CrashMode::kPowerLoss);
  node_.restart();
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kUnavailable);
  ASSERT_TRUE(until([&] { return replica().has_space(); }));
  const std::uint64_t stored = heard_->stored;
  EXPECT_GE(stored, 50u);
  open(stored);
  append(100);
  ASSERT_TRUE(until([&] { return heard_->stored == stored + 100; }));
  expect_holds(stored + 100);
}

TEST_F(RemoteReplicaTest, AFullDiskIsTriedAgain) {
  node_.options.journal.store.file_bytes = 64 << 10;
  boot();
  open(0);
  append(5);
  ASSERT_TRUE(until([&] { return heard_->stored == 5; }));
  node_.host().disk().set_free_bytes(0);
  append(200);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kNoSpace) << heard_->failed->to_string();
  EXPECT_FALSE(replica().has_space());
  // Nobody knows that there is still none until somebody tries.
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(until([&] { return replica().has_space(); }));
    open(heard_->stored);
    append(200);
    ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
    EXPECT_EQ(heard_->failed->code, ErrorCode::kNoSpace);
  }
  node_.host().disk().set_free_bytes(UINT64_MAX);
  ASSERT_TRUE(until([&] { return replica().has_space(); }));
  const std::uint64_t stored = heard_->stored;
  open(stored);
  append(200);
  ASSERT_TRUE(until([&] { return heard_->stored == stored + 200; }));
  expect_holds(stored + 200);
}

TEST_F(RemoteReplicaTest, AnotherDiskIsAnotherReplica) {
  boot({}, 12345);
  open(0);
  append(1);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kNotFound);
  EXPECT_EQ(fence(kE).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(get(replica().list()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(get(replica().read(kS, 0, 1)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(get(replica().describe({kS})).error().code, ErrorCode::kNotFound);
}

TEST_F(RemoteReplicaTest, ASlowReplicaDoesNotFillTheMemory) {
  boot({.max_batch_bytes = 1000, .max_in_flight_bytes = 5000, .max_held_bytes = 50'000});
  open(0);
  append(1);
  ASSERT_TRUE(until([&] { return heard_->stored == 1; }));
  world_.fabric().split(owner_host_, node_.host());
  for (int i = 0; i < 100 && !heard_->failed; ++i) {
    append(1);
    EXPECT_LE(replica().in_flight_bytes(), 5000u + 7000u);
  }
  ASSERT_TRUE(heard_->failed);
  EXPECT_EQ(heard_->failed->code, ErrorCode::kUnavailable);
  EXPECT_EQ(replica().stats().writers_too_slow, 1u);
  EXPECT_LT(next_, 60u);
  act([&] { writer_.reset(); });
  EXPECT_EQ(replica().in_flight_bytes(), 0u);
}

TEST_F(RemoteReplicaTest, ManyBatchesAreOnTheirWayAtOnceAndBounded) {
  boot({.max_batch_bytes = 100, .max_in_flight_bytes = 4000});
  open(0);
  append(300);
  EXPECT_GE(replica().in_flight_bytes(), 4000u);
  EXPECT_LT(replica().in_flight_bytes(), 4000u + 6000u);
  ASSERT_TRUE(until([&] { return heard_->stored == 300; }));
  expect_holds(300);
}

TEST_F(RemoteReplicaTest, ListsTrimsAndRemoves) {
  boot();
  open(0);
  append(10);
  ASSERT_TRUE(until([&] { return heard_->stored == 10; }));
  old_.push_back(std::move(writer_));
  open(0, kE, kT);
  append(4);
  ASSERT_TRUE(until([&] { return heard_->stored == 4; }));
  act([&] { replica().trim(kS, 6); });
  ASSERT_TRUE(until([&] {
    const auto listed = get(replica().list());
    return listed && listed->size() == 2 && listed->at(0).begin == 6;
  }));
  EXPECT_EQ(get(replica().read(kS, 5, 1)).error().code, ErrorCode::kNotFound);
  act([&] { replica().remove({kS}); });
  ASSERT_TRUE(until([&] {
    const auto listed = get(replica().list());
    return listed && listed->size() == 1 && listed->at(0).id == kT;
  }));
  // Its first entry, sent again by somebody who stood still meanwhile.
  open(0);
  append(1);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kFenced);
  // Whoever copies it may bring it back: as one that has lost what it had.
  const auto back = fence(Epoch(9));
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(back->end, 0u);
  EXPECT_FALSE(back->certain);
}

// A segment that no chain had when the process began, and that is not younger than all of them, is gone for
// good.
TEST_F(RemoteReplicaTest, NothingIsBegunThatNoChainHas) {
  node_.options.chained = {SegmentId(3), SegmentId(9)};
  boot();
  for (const std::uint64_t id : {3, 9, 10}) {
    open(0, kE, SegmentId(id));
    append(1);
    EXPECT_TRUE(until([&] { return heard_->stored == 1; })) << id;
  }
  open(0, kE, kS);
  append(1);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kFenced);
}

TEST_F(RemoteReplicaTest, NothingIsBegunBeforeTheChainsAreKnown) {
  node_.options.chained = std::nullopt;
  boot();
  open(0);
  append(1);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_EQ(heard_->failed->code, ErrorCode::kUnavailable);
  EXPECT_EQ(fence(kE).error().code, ErrorCode::kUnavailable);
}

TEST_F(RemoteReplicaTest, AListenerMayEndItsWriter) {
  boot();
  open(0);
  append(1);
  ASSERT_TRUE(until([&] { return heard_->stored == 1; }));
  heard_->when_failed = [&] { writer_.reset(); };
  ASSERT_TRUE(fence(Epoch(9)));
  append(5);
  ASSERT_TRUE(until([&] { return heard_->failed.has_value(); }));
  EXPECT_FALSE(writer_);
  world_.run_for(1s);
}

TEST_F(RemoteReplicaTest, GarbageIsRefused) {
  boot();
  for (const auto method :
       {wire::kAppend, wire::kFence, wire::kRead, wire::kDescribe, wire::kList, wire::kStatus}) {
    const auto answer = get(owner_->channel.call(method, Bytes::literal("abc"), 5s));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::kMalformed);
  }
}

}  // namespace
}  // namespace stele::journal
