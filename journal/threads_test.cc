// Shard logs on real threads, real files and the real meta service: what the simulator, which has one thread,
// cannot show. Meant for ThreadSanitizer too (--config=tsan).
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "journal/client.h"
#include "journal/replicas.h"
#include "journal/server.h"
#include "journal/shard_log.h"
#include "meta/client.h"
#include "meta/service.h"
#include "runtime/notification.h"
#include "runtime/scope.h"
#include "runtime/uv/uv_process.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Runtime;
using runtime::Task;
using runtime::uv::UvProcess;

constexpr std::uint32_t kCores = 3, kShards = 6;
constexpr std::uint64_t kEntriesPerLife = 500;
constexpr NodeId kNode(1);

std::string text_of(ShardId shard, Lsn lsn) {
  std::string text = std::to_string(shard.value) + "/" + std::to_string(lsn.value) + " ";
  text.resize(text.size() + (lsn.value * 7919) % 300, static_cast<char>('a' + lsn.value % 26));
  return text;
}

class Committed final : public ShardLog::Listener {
 public:
  void on_committed(Lsn) override { changed.wake_all(); }
  void on_lost(const Error&) override { lost = true; }
  void on_unblocked() override { changed.wake_all(); }
  runtime::Notification changed;
  bool lost = false;
};

// One shard's life: what is there is read back, then more is appended.
Task<void> use(ShardLog& log, Committed& listener, std::uint64_t* failures) {
  const Lsn begin = log.next(), end = begin + kEntriesPerLife;
  while (log.next() < end) {
    for (int i = 0; i < 7 && log.next() < end; ++i) {
      const std::string text = text_of(log.shard(), log.next());
      log.append({.head = Bytes::copy(text.substr(0, 3)), .body = Bytes::copy(text.substr(3))});
    }
    while (log.congested() || log.next() - log.committed() > 40) co_await listener.changed.wait();
  }
  while (log.committed() < end) co_await listener.changed.wait();
  for (Lsn at; at < end;) {
    auto entries = co_await log.read(at, 2000);
    if (!entries || entries->empty()) {
      ++*failures;
      co_return;
    }
    for (const LogEntry& entry : *entries) {
      const std::string text = std::string(entry.head.view()) + std::string(entry.body.view());
      if (text != text_of(log.shard(), at)) ++*failures;
      ++at;
    }
  }
}

// Two lives of a process in one directory.
class ThreadsTest : public testing::Test {
 protected:
  // What one core has, and touches alone.
  struct OnCore {
    std::uint64_t failures = 0;
    runtime::Scope scope;
  };

  ThreadsTest() {
    std::string name = std::filesystem::temp_directory_path() / "stele-journal-XXXXXX";
    STELE_ASSERT(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
  }
  ~ThreadsTest() override { std::filesystem::remove_all(directory_); }

  void live(std::uint64_t life) {
    UvProcess process({.cores = kCores, .log_level = runtime::LogLevel::kWarn});
    process_ = &process;
    life_ = life;
    cores_left_ = kCores;
    std::vector<OnCore> cores(kCores);
    cores_ = cores.data();
    runtime::Scope scope;
    process.run([&](Runtime& runtime) {
      if (runtime.core() == CoreId(0)) scope.spawn(run(*this));
    });
    for (const OnCore& core : cores) EXPECT_EQ(core.failures, 0u);
  }

 private:
  static Task<void> run(ThreadsTest& test) {
    Runtime& here = test.process_->core(CoreId(0));
    auto meta = co_await meta::MetaService::open(
        here, {.directory = test.directory_ + "/meta", .shard_count = kShards, .limits = {}});
    JournalOptions options;
    options.max_in_flight_bytes = 10'000;
    options.store.directory = test.directory_ + "/journal";
    options.store.file_bytes = 256 << 10;
    auto journal = co_await JournalServer::open(here, options);
    STELE_ASSERT(meta && journal);
    {
      auto client = co_await meta::MetaClient::connect(here, (*meta)->state());
      auto node = co_await (*client)->execute(meta::RegisterNode{.node = kNode, .addresses = {}});
      JournalClient journal_client(here, **journal);
      auto orphans = co_await remove_orphans(journal_client, **client, kNode);
      EXPECT_TRUE(orphans && *orphans == 0);
      for (std::uint32_t core = 0; core < kCores; ++core) {
        here.post(CoreId(core), [&test, &meta, &journal, core, incarnation = node->incarnation] {
          test.cores_[core].scope.spawn(
              run_core(test, (*meta)->state(), **journal, incarnation, CoreId(core)));
        });
      }
      while (test.cores_left_ > 0) co_await test.core_done_.wait();
    }
    EXPECT_TRUE(co_await (*journal)->close());
    co_await (*meta)->close();
    EXPECT_GT((*journal)->stats().posts_in, 0u);
    test.process_->stop();
  }

  static Task<void> run_core(ThreadsTest& test, std::shared_ptr<meta::ServiceState> meta,
                             const JournalServer& journal, meta::Incarnation incarnation, CoreId core) {
    Runtime& here = test.process_->core(core);
    std::uint64_t& failures = test.cores_[core.value].failures;
    {
      auto meta_client = co_await meta::MetaClient::connect(here, std::move(meta));
      STELE_ASSERT(meta_client);
      JournalClient client(here, journal, {.tail_bytes = 20'000});
      LocalReplicas replicas(client, kNode);
      std::vector<ShardId> shards;
      for (std::uint32_t id = core.value; id < kShards; id += kCores) shards.push_back(ShardId(id));
      std::vector<Committed> listeners(shards.size());
      auto logs = co_await ShardLog::take_over_all(replicas, **meta_client, kNode, incarnation, shards,
                                                   {.segment_bytes = 20'000, .max_pending_bytes = 5'000});
      if (!logs) ++failures;
      runtime::Scope scope;
      for (std::size_t i = 0; logs && i < shards.size(); ++i) {
        ShardLog& log = *logs->at(i);
        if (log.next() != Lsn(test.life_ * kEntriesPerLife)) ++failures;
        log.set_listener(listeners[i]);
        scope.spawn(use(log, listeners[i], &failures));
      }
      co_await scope.join();
    }
    here.post(CoreId(0), [&test] {
      --test.cores_left_;
      test.core_done_.wake_all();
    });
  }

  std::string directory_;
  UvProcess* process_ = nullptr;
  OnCore* cores_ = nullptr;
  std::uint64_t life_ = 0;
  std::uint32_t cores_left_ = 0;     // core 0's
  runtime::Notification core_done_;  // core 0's
};

TEST_F(ThreadsTest, EachCoreAppendsRollsAndReads) {
  for (std::uint64_t life = 0; life < 2; ++life) live(life);
}

}  // namespace
}  // namespace stele::journal
