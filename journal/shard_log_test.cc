#include "journal/shard_log.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/marks.h"
#include "journal/testing/test_node.h"

#define REQUIRE(condition)          \
  if (!(condition)) {               \
    ADD_FAILURE() << "" #condition; \
    co_return;                      \
  }

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Task;
using Logs = std::vector<std::unique_ptr<ShardLog>>;
using Texts = std::vector<std::string>;

// Each act is the life of one process on the same disk.
struct ShardLogTest : testing::Test {
  using Act = Task<void> (*)(TestNode&, ShardLogTest&);

  ShardLogTest() : world(7), host(world.add_host("node")), chains(4) {
    chains.later = [this](std::function<void()> act) { world.after(50ms, [act] { act(); }); };
    journal_options.store.directory = "/journal";
    journal_options.store.file_bytes = 256 << 10;
  }

  // To the end of the act, and then a crash.
  void live(std::uint32_t cores, Act act) {
    bool done = false;
    if (host.running()) host.crash();
    auto factory = sim::program(
        [this, act, &done](sim::ProcessContext& process) { return run(process, *this, act, &done); });
    host.boot(cores, factory);
    const auto result = world.run_until([&] { return done; }, 10min);
    EXPECT_TRUE(done) << result.detail << world.trace().text();
    host.crash();
  }

  static Task<void> run(sim::ProcessContext& process, ShardLogTest& test, Act act, bool* done) {
    TestNode node;
    node.process = &process;
    node.chains = &test.chains;
    auto opened = co_await node.open(test.journal_options, test.client_options);
    EXPECT_TRUE(opened) << opened.error().to_string();
    if (opened) co_await act(node, test);
    *done = true;
    co_await runtime::sleep(process.core(0), 24h);  // what is left dies with the process
  }

  sim::World world;
  sim::Host& host;
  ModelChains chains;
  JournalOptions journal_options;
  JournalClientOptions client_options;
  ShardLogOptions log_options;
};

// One shard, taken over on core 0.
Task<std::unique_ptr<ShardLog>> take(TestNode& node, ShardLogOptions options, Heard* heard,
                                     ShardId shard = ShardId(0)) {
  auto logs = co_await ShardLog::take_over_all(node.replicas(0), node.keeper(0), {shard}, options);
  if (!logs) {
    ADD_FAILURE() << logs.error().to_string();
    co_return nullptr;
  }
  logs->at(0)->set_listener(*heard);
  co_return std::move(logs->at(0));
}

Texts numbered(std::uint64_t from, std::uint64_t to, std::size_t size = 0) {
  Texts texts;
  for (std::uint64_t i = from; i < to; ++i) {
    texts.push_back("entry " + std::to_string(i));
    if (texts.back().size() < size) texts.back().resize(size, '.');
  }
  return texts;
}

TEST_F(ShardLogTest, EntriesCommitInOrderAndSurvive) {
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    EXPECT_EQ(log->epoch(), Epoch(1));
    EXPECT_EQ(log->next(), Lsn(0));
    for (std::uint64_t i = 0; i < 10; ++i)
      EXPECT_EQ(log->append(entry_of("entry " + std::to_string(i))), Lsn(i));
    EXPECT_EQ(log->committed(), Lsn(0));  // applied at append, revealed at commit
    EXPECT_EQ(heard.commits, 0);
    std::vector<LogEntry> tail;
    EXPECT_TRUE(log->read_cached(Lsn(8), 1000, tail));
    EXPECT_EQ(tail.size(), 2u);
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(10); }));
    EXPECT_EQ(heard.commits, 1);  // one turn, one commit
    EXPECT_EQ(log->committed(), Lsn(10));
    EXPECT_EQ(log->pending_bytes(), 0u);
    EXPECT_EQ(co_await read_all(*log, Lsn(0), 20), numbered(0, 10));
  });
  live(2, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    EXPECT_EQ(log->epoch(), Epoch(2));
    EXPECT_EQ(log->begin(), Lsn(0));
    EXPECT_EQ(log->next(), Lsn(10));
    EXPECT_EQ(log->committed(), Lsn(10));
    std::vector<LogEntry> tail;
    EXPECT_FALSE(log->read_cached(Lsn(9), 1000, tail));
    EXPECT_EQ(co_await read_all(*log, Lsn(0), 1), numbered(0, 10));
    EXPECT_EQ(log->append(entry_of("entry 10")), Lsn(10));
    EXPECT_EQ(co_await read_all(*log, Lsn(5), 1000), numbered(5, 11));  // stored and pending
    const auto beyond = co_await log->read(Lsn(12), 1);
    REQUIRE(!beyond);
    EXPECT_EQ(beyond.error().code, ErrorCode::kInvalidArgument);
  });
}

// All shards of all cores: three commands and group commits in all, and one post for the appends of a turn.
TEST_F(ShardLogTest, OtherCoresShareCommandsAndPosts) {
  live(2, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    co_await go_to(node.core(0), CoreId(1));
    std::uint64_t takes = test.chains.takes;
    Logs logs;
    std::vector<Heard> heard(4);
    for (int round = 0; round < 2; ++round) {  // the second owner finds something to fence
      logs.clear();
      auto taken = co_await ShardLog::take_over_all(node.replicas(1), node.keeper(1), test.chains.all(),
                                                    test.log_options);
      REQUIRE(taken);
      EXPECT_EQ(test.chains.takes, ++takes);
      logs = std::move(*taken);
      heard = std::vector<Heard>(4);
      const std::uint64_t batches = node.server->stats().posts_in;
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(logs[i]->shard(), ShardId(static_cast<std::uint32_t>(i)));
        EXPECT_EQ(logs[i]->next(), Lsn(round == 0 ? 0 : 2));
        logs[i]->set_listener(heard[i]);
        logs[i]->append(entry_of("one"));
        logs[i]->append(entry_of("two"));
      }
      REQUIRE(co_await until(node.core(1), [&] { return heard[3].committed == logs[3]->next(); }));
      EXPECT_EQ(node.server->stats().posts_in, batches + 1);
      EXPECT_EQ(node.server->stats().posts_out, batches + 1);
      for (const Heard& each : heard) EXPECT_EQ(each.commits, 1);
    }
    EXPECT_EQ(co_await read_all(*logs[2], Lsn(0), 1), (Texts{"one", "two", "one", "two"}));
    logs.clear();
    co_await go_to(node.core(1), CoreId(0));
    EXPECT_TRUE(co_await node.close());
  });
}

TEST_F(ShardLogTest, AnOwnerThatLivesOnIsFenced) {
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard old_heard, heard;
    auto old = co_await take(node, test.log_options, &old_heard);
    REQUIRE(old);
    old->append(entry_of("entry 0"));
    REQUIRE(co_await until(node.core(0), [&] { return old_heard.committed == Lsn(1); }));
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    EXPECT_EQ(log->next(), Lsn(1));
    EXPECT_FALSE(old->lost());  // it has not heard yet
    old->append(entry_of("too late"));
    log->append(entry_of("entry 1"));
    REQUIRE(co_await until(node.core(0), [&] { return old_heard.lost.has_value(); }));
    EXPECT_EQ(old_heard.lost->code, ErrorCode::kFenced);
    EXPECT_TRUE(old->lost());
    EXPECT_FALSE(old->writable());
    EXPECT_EQ(old->why_not_writable().code, ErrorCode::kUnavailable);
    EXPECT_EQ(old->append(entry_of("nor this")), Lsn(2));
    EXPECT_EQ(old_heard.committed, Lsn(1));
    old.reset();
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(2); }));
    EXPECT_EQ(co_await read_all(*log, Lsn(0), 1000), numbered(0, 2));
  });
}

// Its segment was never used and has left the chain; the fence in it must have stayed.
TEST_F(ShardLogTest, AnOwnerThatNeverAppendedIsFencedToo) {
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard old_heard, heard;
    auto old = co_await take(node, test.log_options, &old_heard);
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(old && log);
    EXPECT_EQ(log->chain().segments().size(), 1u);
    old->append(entry_of("too late"));
    REQUIRE(co_await until(node.core(0), [&] { return old_heard.lost.has_value(); }));
    EXPECT_EQ(old_heard.lost->code, ErrorCode::kFenced);
    EXPECT_EQ(log->next(), Lsn(0));
  });
  // The next process may remove it.
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    EXPECT_EQ(node.server->store().segments().size(), 1u);
    EXPECT_EQ(*co_await remove_orphans(node.client(0), node.keeper(0), test.chains.all()), 1u);
    Heard heard;
    REQUIRE(co_await take(node, test.log_options, &heard));
  });
}

TEST_F(ShardLogTest, SegmentsRollAndAreReadAsOneLog) {
  log_options.segment_bytes = 1000;
  client_options.tail_bytes = 500;
  live(2, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    for (const std::string& text : numbered(0, 100, 100)) {
      log->append(entry_of(text));
      if (log->next().value % 7 == 0) co_await runtime::sleep(node.core(0), 20ms);
    }
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(100); }));
    EXPECT_GE(log->chain().segments().size(), 4u);
    EXPECT_EQ(co_await read_all(*log, Lsn(0), 350), numbered(0, 100, 100));
    std::vector<LogEntry> tail;
    EXPECT_FALSE(log->read_cached(Lsn(50), 1000, tail));
    // One read ends where its segment does.
    const Lsn end = *log->chain().segments()[0].end;
    auto first = co_await log->read(Lsn(0), 1 << 20);
    REQUIRE(first);
    EXPECT_EQ(first->size(), end.value);
  });
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    EXPECT_EQ(log->next(), Lsn(100));
    EXPECT_EQ(co_await read_all(*log, Lsn(0), 1 << 20), numbered(0, 100, 100));
  });
}

TEST_F(ShardLogTest, WhileMetaIsOutOfReachTheSegmentGrows) {
  log_options.segment_bytes = 1000;
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    test.chains.reachable = false;
    for (const std::string& text : numbered(0, 50, 100)) {
      log->append(entry_of(text));
      REQUIRE(co_await until(node.core(0), [&] { return heard.committed == log->next(); }));
      EXPECT_TRUE(log->writable());
    }
    EXPECT_EQ(log->chain().segments().size(), 1u);
    test.chains.reachable = true;
    for (const std::string& text : numbered(50, 60, 100)) {
      log->append(entry_of(text));
      REQUIRE(co_await until(node.core(0), [&] { return heard.committed == log->next(); }));
    }
    EXPECT_GE(log->chain().segments().size(), 2u);
    EXPECT_EQ(co_await read_all(*log, Lsn(0), 1 << 20), numbered(0, 60, 100));
  });
}

// Frozen, and the swap's fate unknown: nothing moves until the chain has told.
TEST_F(ShardLogTest, ALostAnswerIsLookedUpInTheChain) {
  for (std::uint32_t late : {0u, 8u}) {
    chains.late_of_8 = late;
    live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
      Heard heard;
      auto log = co_await take(node, test.log_options, &heard);
      REQUIRE(log);
      const Lsn begin = log->next();
      log->append(entry_of("before"));
      REQUIRE(co_await until(node.core(0), [&] { return heard.committed == begin + 1; }));
      test.chains.lost_answers_of_8 = 8;
      log->roll();
      co_await runtime::sleep(node.core(0), 100ms);
      log->append(entry_of("during"));
      co_await runtime::sleep(node.core(0), 2s);
      test.chains.lost_answers_of_8 = 0;
      REQUIRE(co_await until(node.core(0), [&] { return heard.committed == begin + 2; }));
      EXPECT_EQ(log->chain().segments().size(), test.chains.shard(ShardId(0)).chain.size());
      EXPECT_EQ(log->chain().last().base, begin + 1);
      EXPECT_TRUE(log->writable());
    });
  }
}

// That is no full disk, and is not told as one.
TEST_F(ShardLogTest, WhileTheChainDoesNotTellNothingNewIsDecided) {
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    log->append(entry_of("before"));
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(1); }));
    const auto swaps = test.chains.swaps;
    test.chains.lost_answers_of_8 = 8;
    log->roll();
    REQUIRE(co_await until(node.core(0), [&] { return test.chains.swaps > swaps; }));
    test.chains.reachable = false;
    REQUIRE(co_await until(node.core(0), [&] { return !log->writable(); }));
    EXPECT_EQ(log->why_not_writable().code, ErrorCode::kUnavailable);
    EXPECT_FALSE(log->lost());
    log->append(entry_of("during"));
    const int unblocked = heard.unblocked;
    test.chains.lost_answers_of_8 = 0;
    test.chains.reachable = true;
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(2) && log->writable(); }));
    EXPECT_GT(heard.unblocked, unblocked);
  });
}

// The swap has happened when another takes the shard, and its answer comes after a trim was told so.
TEST_F(ShardLogTest, ASwapThatIsAnsweredTooLateOpensNothing) {
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    log->append(entry_of("first"));
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(1); }));
    log->roll();
    REQUIRE(co_await until(node.core(0), [&] { return log->chain().segments().size() == 2; }));
    log->append(entry_of("second"));
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(2); }));
    test.chains.swap_answers_take = 5s;
    const auto swaps = test.chains.swaps;
    log->roll();
    REQUIRE(co_await until(node.core(0), [&] { return test.chains.swaps > swaps; }));
    EXPECT_EQ(test.chains.shard(ShardId(0)).chain.size(), 3u);
    test.chains.take({ShardId(0)}, NodeId(2));
    log->trim(Lsn(1));
    REQUIRE(co_await until(node.core(0), [&] { return heard.lost.has_value(); }));
    EXPECT_EQ(heard.lost->code, ErrorCode::kFenced);
    co_await runtime::sleep(node.core(0), 10s);
    EXPECT_EQ(log->chain().segments().size(), 2u) << "of an owner that is none";
    EXPECT_FALSE(log->writable());
    EXPECT_EQ(heard.committed, Lsn(2));
  });
}

TEST_F(ShardLogTest, ANewerOwnerIsFoundAtTheRoll) {
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    log->append(entry_of("mine"));
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(1); }));
    test.chains.take({ShardId(0)}, NodeId(2));
    log->roll();
    REQUIRE(co_await until(node.core(0), [&] { return heard.lost.has_value(); }));
    EXPECT_EQ(heard.lost->code, ErrorCode::kFenced);
  });
}

TEST_F(ShardLogTest, AFullDiskOnlyMakesWritersWait) {
  client_options.tail_bytes = 1000;
  live(2, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    co_await go_to(node.core(0), CoreId(1));
    auto taken = co_await ShardLog::take_over_all(node.replicas(1), node.keeper(1), test.chains.all(),
                                                  test.log_options);
    REQUIRE(taken);
    ShardLog &log = *taken->at(0), &idle = *taken->at(1);
    Heard heard, idle_heard;
    log.set_listener(heard);
    idle.set_listener(idle_heard);
    for (const std::string& text : numbered(0, 20, 1000)) log.append(entry_of(text));
    REQUIRE(co_await until(node.core(1), [&] { return heard.committed == Lsn(20); }));

    test.host.disk().set_free_bytes(0);
    std::uint64_t n = 20;
    while (log.writable()) {
      log.append(entry_of(numbered(n, n + 1, 1000)[0]));
      ++n;
      co_await runtime::sleep(node.core(1), 1ms);
    }
    EXPECT_FALSE(idle.writable());
    EXPECT_EQ(log.why_not_writable().code, ErrorCode::kNoSpace);
    EXPECT_EQ(idle.why_not_writable().code, ErrorCode::kNoSpace);
    EXPECT_LT(log.committed(), log.next());
    const int unblocked = heard.unblocked;
    co_await runtime::sleep(node.core(1), 10s);
    EXPECT_FALSE(log.writable());
    EXPECT_FALSE(heard.lost);
    EXPECT_EQ(co_await read_all(log, Lsn(0), 5000), numbered(0, n, 1000));  // reading goes on

    test.host.disk().set_free_bytes(UINT64_MAX);
    REQUIRE(co_await until(node.core(1), [&] { return log.committed() == log.next(); }));
    REQUIRE(co_await until(node.core(1), [&] { return log.writable() && idle.writable(); }));
    EXPECT_GT(heard.unblocked, unblocked);
    EXPECT_GT(idle_heard.unblocked, 0);
    EXPECT_EQ(co_await read_all(log, Lsn(0), 5000), numbered(0, n, 1000));
    taken->clear();
    co_await go_to(node.core(1), CoreId(0));
  });
}

TEST_F(ShardLogTest, TrimmedSegmentsLeaveChainAndDisk) {
  log_options.segment_bytes = 1000;
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    for (const std::string& text : numbered(0, 60, 100)) {
      log->append(entry_of(text));
      co_await runtime::sleep(node.core(0), 20ms);
    }
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(60); }));
    const std::size_t segments = log->chain().segments().size();
    log->trim(Lsn(30));  // the keeper has no snapshot: it refuses
    co_await runtime::sleep(node.core(0), 100ms);
    EXPECT_EQ(log->chain().segments().size(), segments);
    EXPECT_TRUE(test.chains.publish(ShardId(0), log->epoch(), Lsn(40)));
    log->trim(Lsn(30));
    REQUIRE(co_await until(node.core(0), [&] { return log->chain().begin() > Lsn(0); }));
    EXPECT_EQ(log->begin(), Lsn(30));
    EXPECT_LE(log->chain().begin(), Lsn(30));
    EXPECT_GT(*log->chain().segments()[0].end, Lsn(30));
    const SegmentId first = log->chain().segments()[0].id;
    REQUIRE(co_await until(node.core(0), [&] { return node.server->store().segments().at(0).id == first; }));
    const auto gone = co_await log->read(Lsn(29), 1);
    REQUIRE(!gone);
    EXPECT_EQ(gone.error().code, ErrorCode::kNotFound);
    EXPECT_EQ(co_await read_all(*log, Lsn(30), 1000), numbered(30, 60, 100));
    log->append(entry_of("one that is synced behind the removals"));
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(61); }));
  });
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    EXPECT_LE(log->begin(), Lsn(30));
    REQUIRE(log->snapshot());
    EXPECT_EQ(log->snapshot()->lsn, Lsn(40));
    EXPECT_EQ(log->next(), Lsn(61));
    EXPECT_EQ(co_await read_all(*log, Lsn(59), 1),
              (Texts{numbered(59, 60, 100)[0], "one that is synced behind the removals"}));
    EXPECT_EQ(*co_await remove_orphans(node.client(0), node.keeper(0), test.chains.all()), 0u);
  });
}

TEST_F(ShardLogTest, AnotherDiskIsRefused) {
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    log->append(entry_of("x"));
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(1); }));
  });
  journal_options.store.directory = "/other";
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    auto logs =
        co_await ShardLog::take_over_all(node.replicas(0), node.keeper(0), {ShardId(0)}, test.log_options);
    REQUIRE(!logs);
    EXPECT_EQ(logs.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(logs.error().message.find("shard 0, segment 1 lies on another disk"), std::string::npos)
        << logs.error().message;
  });
}

TEST_F(ShardLogTest, CongestionIsToldAndEnds) {
  log_options.max_pending_bytes = 1000;
  client_options.max_pending_bytes = 3000;
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    auto logs = co_await ShardLog::take_over_all(node.replicas(0), node.keeper(0), test.chains.all(),
                                                 test.log_options);
    REQUIRE(logs);
    std::vector<Heard> heard(4);
    for (std::size_t i = 0; i < 4; ++i) logs->at(i)->set_listener(heard[i]);
    ShardLog& first = *logs->at(0);
    while (!first.congested()) first.append(entry_of(std::string(100, 'x')));
    EXPECT_FALSE(logs->at(1)->congested());
    for (std::size_t i = 1; i < 3; ++i) {
      while (!logs->at(i)->congested()) logs->at(i)->append(entry_of(std::string(100, 'x')));
    }
    EXPECT_TRUE(logs->at(3)->congested());  // the whole core is
    REQUIRE(co_await until(node.core(0), [&] { return heard[3].unblocked > 0; }));
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_FALSE(logs->at(i)->congested());
      EXPECT_GT(heard[i].unblocked, 0);
    }
    logs->clear();
  });
}

// A snapshot must never be newer than the log, whatever the durability.
TEST_F(ShardLogTest, SyncedEntriesOutliveTheMachine) {
  journal_options.store.durability = storage::Durability::kMemory;
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    EXPECT_TRUE(co_await log->sync());
    log->append(entry_of("entry 0"));
    REQUIRE(co_await until(node.core(0), [&] { return heard.committed == Lsn(1); }));
    EXPECT_TRUE(co_await log->sync());
    EXPECT_TRUE(test.chains.publish(ShardId(0), log->epoch(), Lsn(1)));
    log->append(entry_of("perhaps"));
  });
  live(1, [](TestNode& node, ShardLogTest& test) -> Task<void> {
    Heard heard;
    auto log = co_await take(node, test.log_options, &heard);
    REQUIRE(log);
    EXPECT_GE(log->next(), Lsn(1));
  });
}

}  // namespace
}  // namespace stele::journal
