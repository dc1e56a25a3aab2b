#include "meta/service.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "meta/client.h"
#include "meta/test_host.h"
#include "runtime/scope.h"

namespace stele::meta {
namespace {

using runtime::Task;

constexpr std::uint32_t kCores = 3;

struct Process {
  explicit Process(storage::MemoryFiles& disk, std::uint64_t seed = 1) : host(disk, kCores, seed) {}
  TestHost host;
  std::unique_ptr<MetaService> service;
  std::unique_ptr<MetaClient> clients[kCores];
  std::optional<Error> failure;
  bool up = false;
  runtime::Scope scope;

  void run() {
    while (host.step()) {
    }
  }
  void start(MetaServiceOptions options = {.directory = "data/meta", .limits = {}});
};

Task<void> start_up(Process& process, MetaServiceOptions options) {
  auto service = co_await MetaService::open(process.host.core(0), std::move(options));
  if (!service) {
    process.failure = service.error();
    co_return;
  }
  process.service = *std::move(service);
  for (std::uint32_t core = 0; core < kCores; ++core) {
    auto client = co_await MetaClient::connect(process.host.core(core), process.service->state());
    if (!client) {
      process.failure = client.error();
      co_return;
    }
    process.clients[core] = *std::move(client);
  }
  process.up = true;
}

void Process::start(MetaServiceOptions options) {
  scope.spawn(start_up(*this, std::move(options)));
}

// The answer comes into `out`.
template <class C>
Task<void> execute(MetaClient& client, C command, std::optional<Result<typename C::Answer>>& out) {
  out = co_await client.execute(std::move(command));
}
template <class C>
Result<typename C::Answer> execute_now(Process& process, std::uint32_t core, C command) {
  std::optional<Result<typename C::Answer>> out;
  process.scope.spawn(execute(*process.clients[core], std::move(command), out));
  process.run();
  if (!out) return error(ErrorCode::kInternal, "no answer");
  return *std::move(out);
}

CreateTopic create(std::string name) {
  return {.tenant = {}, .name = std::move(name), .partitions = 3, .config = {}};
}

TEST(MetaService, MakesAClusterOnce) {
  storage::MemoryFiles disk;
  std::string id;
  {
    Process process(disk);
    process.start({.directory = "data/meta", .shard_count = 5, .limits = {}});
    process.run();
    ASSERT_TRUE(process.up);
    const ClusterInfo& cluster = process.clients[2]->view()->cluster();
    EXPECT_EQ(cluster.shard_count, 5U);
    id = cluster.id;
  }
  Process process(disk, 2);
  process.start();
  process.run();
  ASSERT_TRUE(process.up);
  EXPECT_EQ(process.clients[1]->view()->cluster().shard_count, 5U);
  EXPECT_EQ(process.clients[1]->view()->cluster().id, id);
}

TEST(MetaService, RefusesADamagedDatabase) {
  storage::MemoryFiles disk;
  {
    Process process(disk);
    process.start();
    process.run();
  }
  disk.content("data/meta/meta.db")[5000] ^= 1;
  Process process(disk);
  process.start();
  process.run();
  ASSERT_TRUE(process.failure);
  EXPECT_EQ(process.failure->code, ErrorCode::kCorrupt) << process.failure->message;
}

TEST(MetaService, ALostDatabaseIsNoNewOne) {
  storage::MemoryFiles disk;
  Process process(disk);
  process.start({.directory = "data/meta", .may_be_new = false, .limits = {}});
  process.run();
  ASSERT_TRUE(process.failure);
  EXPECT_EQ(process.failure->code, ErrorCode::kCorrupt);
  EXPECT_TRUE(process.failure->message.contains("data/meta/meta.db")) << process.failure->message;
}

TEST(MetaService, ChangesAreHeardOnEveryCore) {
  storage::MemoryFiles disk;
  Process process(disk);
  process.start();
  process.run();
  std::vector<std::string> heard;
  std::vector<MetaClient::Watch> watches;
  for (std::uint32_t core = 0; core < kCores; ++core) {
    watches.push_back(process.clients[core]->on_change(
        [&heard, core, &process](const std::shared_ptr<const MetaView>& view) {
          EXPECT_EQ(process.clients[core]->view(), view);
          heard.push_back(std::to_string(core) +
                          (view->find_topic(kDefaultTenant, "a") ? " has a" : " has none"));
        }));
  }
  ASSERT_TRUE(execute_now(process, 1, create("a")));
  EXPECT_EQ(std::set(heard.begin(), heard.end()), (std::set<std::string>{"0 has a", "1 has a", "2 has a"}));
  heard.clear();
  // What changes nothing to see is not told.
  ASSERT_TRUE(execute_now(process, 2, AllocateProducerIds{}));
  EXPECT_TRUE(heard.empty());
  ASSERT_TRUE(execute_now(process, 2, DeleteTopic{.tenant = {}, .name = "a", .id = {}}));
  EXPECT_EQ(heard.size(), 3U);
  heard.clear();
  watches.erase(watches.begin());
  ASSERT_TRUE(execute_now(process, 2, create("b")));
  EXPECT_EQ(heard.size(), 2U);
}

TEST(MetaService, AClientThatLeftHoldsNobodyUp) {
  storage::MemoryFiles disk;
  Process process(disk);
  process.start();
  process.run();
  process.clients[2].reset();
  EXPECT_TRUE(execute_now(process, 0, create("a")));
  EXPECT_TRUE(execute_now(process, 1, create("b")));
}

Task<void> read(MetaClient& client, std::vector<ShardId> ids,
                std::optional<Result<std::vector<Shard>>>& out) {
  out = co_await client.read_shards(std::move(ids));
}

TEST(MetaService, ReadsShards) {
  storage::MemoryFiles disk;
  Process process(disk);
  process.start();
  process.run();
  const auto node = execute_now(process, 0, RegisterNode{.node = NodeId(1), .addresses = {}});
  std::optional<Result<std::vector<Shard>>> shards, unknown;
  std::optional<Result<std::vector<Shard>>> taken;
  process.scope.spawn(
      execute(*process.clients[1], TakeShards{NodeId(1), node->incarnation, {ShardId(5)}}, taken));
  process.scope.spawn(read(*process.clients[1], {ShardId(5), ShardId(6)}, shards));
  process.scope.spawn(read(*process.clients[1], {ShardId(64)}, unknown));
  process.run();
  ASSERT_TRUE(taken && *taken && shards && *shards && unknown);
  EXPECT_EQ((**shards)[0], (**taken)[0]);
  EXPECT_EQ((**shards)[1].epoch, Epoch(0));
  EXPECT_EQ(unknown->error().code, ErrorCode::kNotFound);
}

// A page that is damaged and not read when the database is opened.
TEST(MetaService, WhoComesAfterAFailureIsToldWhatIsDamagedToo) {
  storage::MemoryFiles disk;
  {
    Process process(disk);
    process.start();
    process.run();
  }
  std::string& database = disk.content("data/meta/meta.db");
  const std::string sound = database;
  int found = 0;
  for (std::size_t page = 0; page < sound.size(); page += 4096) {
    database = sound;
    database[page + 50] ^= 1;
    Process process(disk);
    process.start();
    process.run();
    if (!process.up) continue;
    std::optional<Result<std::vector<Shard>>> first, second;
    process.scope.spawn(read(*process.clients[1], {ShardId(5)}, first));
    process.run();
    process.scope.spawn(read(*process.clients[2], {ShardId(5)}, second));
    process.run();
    ASSERT_TRUE(first && second);
    if (*first) continue;
    ++found;
    ASSERT_FALSE(*second);
    for (const auto& answer : {*first, *second}) {
      EXPECT_EQ(answer.error().code, ErrorCode::kCorrupt) << answer.error().message;
      EXPECT_TRUE(answer.error().message.contains("data/meta/meta.db")) << answer.error().message;
    }
  }
  EXPECT_GT(found, 0);
}

Task<void> close(MetaService& service, bool& closed) {
  co_await service.close();
  closed = true;
}

TEST(MetaService, ClosingAnswersWhatIsUnderWay) {
  storage::MemoryFiles disk;
  Process process(disk);
  process.start();
  process.run();
  std::optional<Result<Topic>> before[10], after;
  for (int i = 0; i < 10; ++i) {
    process.scope.spawn(execute(*process.clients[0], create("t" + std::to_string(i)), before[i]));
  }
  for (int i = 0; i < 5; ++i) process.host.step();
  bool closed = false;
  process.scope.spawn(close(*process.service, closed));
  process.run();
  EXPECT_TRUE(closed);
  for (const auto& answer : before) {
    ASSERT_TRUE(answer);
    EXPECT_TRUE(*answer || answer->error().code == ErrorCode::kClosed);
  }
  process.scope.spawn(execute(*process.clients[0], create("late"), after));
  process.run();
  EXPECT_EQ(after->error().code, ErrorCode::kClosed);
}

TEST(MetaService, TakesNoMoreThanItCanHold) {
  storage::MemoryFiles disk;
  Process process(disk);
  MetaServiceOptions options{.directory = "data/meta", .limits = {}};
  options.limits.queued = 4;
  process.start(options);
  process.run();
  std::optional<Result<ProducerIds>> answers[50];
  for (auto& answer : answers)
    process.scope.spawn(execute(*process.clients[1], AllocateProducerIds{}, answer));
  process.run();
  std::set<std::int64_t> given;
  int refused = 0;
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer);
    if (*answer) {
      EXPECT_TRUE(given.insert((*answer)->first).second);
    } else {
      EXPECT_EQ(answer->error().code, ErrorCode::kUnavailable);
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(given.size(), 0U);
}

TEST(MetaService, AFullDiskIsSaidAndPasses) {
  storage::MemoryFiles disk;
  Process process(disk);
  process.start();
  process.run();
  disk.capacity_bytes = 0;
  auto refused =
      execute_now(process, 1, CreateTopic{.tenant = {}, .name = "a", .partitions = 5000, .config = {}});
  EXPECT_EQ(refused.error().code, ErrorCode::kNoSpace);
  disk.capacity_bytes = UINT64_MAX;
  EXPECT_TRUE(execute_now(process, 1, create("a")));
}

// ---- crashes -------------------------------------------------------------------------------------------

// What was answered, over the lives of a process.
struct Ledger {
  std::map<std::string, Topic> topics;  // certain
  std::set<std::string> doubtful;       // a command about them was never answered
  std::set<std::int64_t> producer_ids;  // first of ten
  std::uint64_t answers = 0;
};

void check_everywhere(Process& process, const std::string& name, const Topic* topic) {
  for (const auto& client : process.clients) {
    const Topic* found = client->view()->find_topic(kDefaultTenant, name);
    EXPECT_EQ(found != nullptr, topic != nullptr) << name;
    if (found && topic) {
      EXPECT_EQ(*found, *topic);
    }
  }
}

// A client makes and deletes topics that are its own, one after the other.
Task<void> work(Process& process, std::uint32_t core, std::uint64_t seed, Ledger& ledger) {
  runtime::Random random(seed);
  for (;;) {
    const std::string name = "t" + std::to_string(core) + "-" + std::to_string(random.below(4));
    if (random.chance(1, 4)) {
      const auto ids = co_await process.clients[core]->execute(AllocateProducerIds{.count = 10});
      if (!ids) co_return;
      EXPECT_EQ(ids->first % 10, 0);
      EXPECT_TRUE(ledger.producer_ids.insert(ids->first).second) << ids->first;
      continue;
    }
    ledger.doubtful.insert(name);
    if (ledger.topics.contains(name)) {
      auto deleted =
          co_await process.clients[core]->execute(DeleteTopic{.tenant = {}, .name = name, .id = {}});
      if (!deleted) co_return;
      ledger.topics.erase(name);
      check_everywhere(process, name, nullptr);
    } else {
      auto made = co_await process.clients[core]->execute(create(name));
      if (!made && made.error().code != ErrorCode::kAlreadyExists) co_return;
      if (made) {
        ledger.topics[name] = *made;
        check_everywhere(process, name, &*made);
      }
    }
    ledger.doubtful.erase(name);
    ++ledger.answers;
  }
}

// After a restart: certain topics are there, whole; doubtful ones are taken as found.
void check_recovered(const MetaView& view, Ledger& ledger) {
  for (const auto& [name, topic] : ledger.topics) {
    if (ledger.doubtful.contains(name)) continue;
    const Topic* found = view.find_topic(kDefaultTenant, name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(*found, topic);
  }
  ledger.topics.clear();
  for (const auto& [id, topic] : view.topics()) {
    EXPECT_EQ(topic->partition_count(), 3);
    ledger.topics[topic->name] = *topic;
  }
  ledger.doubtful.clear();
}

RC_GTEST_PROP(MetaService, CrashesAnywhereLoseNothingAnswered, (std::uint64_t seed)) {
  runtime::Random random(seed);
  storage::MemoryFiles disk;
  Ledger ledger;
  for (int life = 0; life < 4; ++life) {
    auto process = std::make_unique<Process>(disk, random.next());
    if (random.chance(1, 3)) disk.crash_at_call = disk.calls() + 1 + random.below(40);  // while it starts
    process->start();
    process->run();
    if (disk.crashed()) {
      process.reset();
      disk.restart(random);
      process = std::make_unique<Process>(disk, random.next());
      process->start();
      process->run();
    }
    disk.crash_at_call.reset();
    RC_ASSERT(process->up);
    check_recovered(*process->service->view(), ledger);
    for (std::uint32_t core = 0; core < kCores; ++core) {
      process->scope.spawn(work(*process, core, random.next(), ledger));
    }
    // At a call of the disk, or between any two steps.
    if (random.chance(1, 2)) disk.crash_at_call = disk.calls() + 1 + random.below(300);
    for (std::uint64_t steps = 1 + random.below(600); steps > 0 && !disk.crashed(); --steps) {
      RC_ASSERT(process->host.step());
    }
    process.reset();
    disk.restart(random);
  }
  RC_TAG(ledger.answers > 20 ? "many answers" : "few answers");
}

}  // namespace
}  // namespace stele::meta
