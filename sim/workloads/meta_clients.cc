#include "sim/workloads/meta_clients.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "base/hash.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Task;

namespace {

constexpr std::uint64_t kRegisters = 2;  // at a time
constexpr Duration kLifeOfARegister = 15s;
constexpr Duration kBetweenBursts = 500ms;
constexpr Duration kBetweenChanges = 1s;  // of one worker, at most
constexpr std::uint64_t kTopics = 3;      // of one worker
constexpr std::uint64_t kMaxSteps = 500'000;

// One who is in the middle of something until it dies.
class Busy {
 public:
  explicit Busy(MetaLoad& load) : load_(load) { ++load_.busy; }
  Busy(const Busy&) = delete;
  ~Busy() { --load_.busy; }

 private:
  MetaLoad& load_;
};

std::string who(const MetaClients& clients, std::size_t core) {
  return std::to_string(clients.member.self().value) + "-" + std::to_string(core);
}

bool going_on(const MetaClients& clients) {
  return !clients.load.over && !clients.stopping;
}

// ---- workers --------------------------------------------------------------------------------------------

// On every core, once somebody was answered. A service that stops answers without waiting for all cores.
void check_views(const MetaClients& clients, const std::string& name, const meta::Topic* expected) {
  for (std::size_t core = 0; core < clients.member.cores() && !clients.stopping; ++core) {
    const auto view = clients.member.client(core).view();
    const meta::Topic* found = view->find_topic(kDefaultTenant, name);
    if (bool(found) != bool(expected) || (found && *found != *expected))
      clients.load.judge.fail("a core of node " + std::to_string(clients.member.self().value) +
                              " does not know what was answered of topic " + name);
  }
}

template <class C>
Task<void> change(MetaClients clients, std::size_t core, std::string name, C command) {
  const Busy busy(clients.load);
  MetaLedger& ledger = clients.load.ledger;
  ledger.changing(name);
  const auto answer = co_await clients.member.client(core).execute(std::move(command));
  if (!answer) {
    ledger.refused(name, answer.error());
    co_return;
  }
  if constexpr (std::is_same_v<C, meta::DeleteTopic>) {
    ledger.removed(name);
    check_views(clients, name, nullptr);
  } else {
    ledger.changed(name, *answer);
    check_views(clients, name, &*answer);
  }
}

Task<void> change_topic(MetaClients clients, std::size_t core) {
  runtime::Random& random = clients.member.core(core).random();
  const std::string slot = "t" + who(clients, core) + "-" + std::to_string(random.below(kTopics));
  std::uint64_t& generation = clients.load.generations[slot];
  // A process that was there before has not heard what came of it either.
  const auto name_of = [&] { return slot + "." + std::to_string(generation); };
  if (clients.load.ledger.doubtful(name_of())) ++generation;
  const std::string name = name_of();
  const meta::Topic* there = clients.load.ledger.topic(name);
  if (!there) {
    co_return co_await change(clients, core, name,
                              meta::CreateTopic{.tenant = {}, .name = name, .partitions = 2, .config = {}});
  }
  switch (random.below(3)) {
    case 0:
      co_return co_await change(clients, core, name, meta::DeleteTopic{.tenant = {}, .name = name, .id = {}});
    case 1:
      if (there->partition_count() < 6) {
        co_return co_await change(
            clients, core, name,
            meta::CreatePartitions{.tenant = {}, .name = name, .count = there->partition_count() + 1});
      }
      [[fallthrough]];
    default:
      co_return co_await change(
          clients, core, name,
          meta::AlterTopicConfig{
              .tenant = {},
              .name = name,
              .changes = {{.name = "retention.ms", .value = std::to_string(1 + random.below(1'000'000))}}});
  }
}

Task<void> make_tenant(MetaClients clients, std::size_t core) {
  const Busy busy(clients.load);
  const std::string name = "tenant-" + std::to_string(clients.load.next_name++);
  const auto made = co_await clients.member.client(core).execute(meta::CreateTenant{.name = name});
  made ? clients.load.ledger.tenant_made(name) : clients.load.ledger.tenant_not_made(name, made.error());
}

Task<void> draw_ids(MetaClients clients, std::size_t core) {
  const Busy busy(clients.load);
  const auto count = static_cast<std::uint32_t>(1 + clients.member.core(core).random().below(100));
  const auto ids = co_await clients.member.client(core).execute(meta::AllocateProducerIds{.count = count});
  if (ids) clients.load.ledger.ids_given(*ids);
}

Task<void> read_shard(MetaClients clients, std::size_t core) {
  const Busy busy(clients.load);
  const ShardId shard(
      static_cast<std::uint32_t>(clients.member.core(core).random().below(clients.load.shards)));
  const Epoch told = clients.load.ledger.epoch_told(shard);
  const auto shards = co_await clients.member.client(core).read_shards({shard});
  if (shards) clients.load.ledger.shard_read(shards->front(), told);
}

// ---- registers ------------------------------------------------------------------------------------------

std::string register_name(std::uint64_t number) {
  return "r" + std::to_string(number);
}

// Done, or kNotFound and kAlreadyExists in turns, of which nothing is done.
Task<Result<void>> write_value(MetaClients clients, std::string name, std::string value) {
  meta::MetaClient& client = clients.member.client(0);
  Error last;
  for (int tries = 0; tries < 4; ++tries) {
    const auto altered = co_await client.execute(meta::AlterTopicConfig{
        .tenant = {}, .name = name, .changes = {{.name = "retention.ms", .value = value}}});
    if (altered) co_return Result<void>();
    last = altered.error();
    if (last.code != ErrorCode::kNotFound) break;
    meta::TopicConfig config;
    config.retention_ms = std::stoll(value);
    const auto made = co_await client.execute(
        meta::CreateTopic{.tenant = {}, .name = name, .partitions = 1, .config = config});
    if (made) co_return Result<void>();
    last = made.error();
    if (last.code != ErrorCode::kAlreadyExists) break;
  }
  co_return std::unexpected(last);
}

Task<Result<std::uint64_t>> read_value(MetaClients clients, std::string name) {
  auto value = std::make_shared<std::uint64_t>(0);
  STELE_CO_CHECK(co_await clients.member.log().read(
      [value, name](meta::StateMachine& machine, runtime::BlockingFiles&, meta::StateMachine::Inputs) {
        const auto view = machine.view();
        if (const meta::Topic* topic = view->find_topic(kDefaultTenant, name))
          *value = static_cast<std::uint64_t>(topic->config.retention_ms);
      }));
  co_return *value;
}

Task<void> write_register(MetaClients clients, std::uint64_t number, std::string client) {
  const Busy busy(clients.load);
  MetaLoad& load = clients.load;
  const std::uint64_t value = ++load.values;
  const auto call = load.histories[number].writing(std::move(client), value, load.world.now());
  if (!co_await write_value(clients, register_name(number), std::to_string(value))) co_return;
  load.histories[number].wrote(call, load.world.now());
  ++load.writes;
}

Task<void> read_register(MetaClients clients, std::uint64_t number, std::string client) {
  const Busy busy(clients.load);
  MetaLoad& load = clients.load;
  const auto call = load.histories[number].reading(std::move(client), load.world.now());
  const auto value = co_await read_value(clients, register_name(number));
  if (!value) co_return;
  load.histories[number].read(call, *value, load.world.now());
  ++load.reads;
}

}  // namespace

Task<void> run_meta_worker(MetaClients clients, std::size_t core) {
  runtime::Runtime& here = clients.member.core(core);
  const std::string name =
      "core " + std::to_string(core) + " of node " + std::to_string(clients.member.self().value);
  const auto watch = clients.member.client(core).on_change(
      [clients, name, before = std::uint64_t(0)](const std::shared_ptr<const meta::MetaView>& view) mutable {
        if (view->version() <= before) clients.load.judge.fail(name + " is told of an older view");
        before = view->version();
        clients.load.ledger.view_seen(*view, name);
      });
  while (going_on(clients)) {
    co_await runtime::sleep(here, Duration(here.random().between(0, 2 * kBetweenChanges.count())));
    if (!going_on(clients)) co_return;
    switch (here.random().below(8)) {
      case 0:
        co_await draw_ids(clients, core);
        break;
      case 1:
        co_await make_tenant(clients, core);
        break;
      case 2:
      case 3:
        co_await read_shard(clients, core);
        break;
      default:
        co_await change_topic(clients, core);
    }
  }
}

// In bursts, all at the same moments: what overlaps nothing shows little.
Task<void> run_register_client(MetaClients clients, std::uint32_t number) {
  MetaLoad& load = clients.load;
  runtime::Runtime& here = clients.member.core(0);
  runtime::Random& random = here.random();
  const std::string name = who(clients, 0) + "-r" + std::to_string(number);
  while (going_on(clients)) {
    const Duration period = kBetweenBursts * load.members;
    const Duration late(random.between(0, Duration(2ms).count()));
    co_await runtime::sleep(here, period - load.world.elapsed() % period + late);
    for (std::uint64_t left = 1 + random.below(3); left > 0 && going_on(clients); --left) {
      const auto life = static_cast<std::uint64_t>(load.world.elapsed() / kLifeOfARegister);
      const std::uint64_t which = life * kRegisters + random.below(kRegisters);
      if (random.chance(1, 3)) {
        co_await write_register(clients, which, name);
      } else {
        co_await read_register(clients, which, name);
      }
    }
  }
}

Task<void> take_assigned_shards(MetaClients clients) {
  MetaMember& member = clients.member;
  runtime::Runtime& here = member.core(0);
  while (going_on(clients)) {
    co_await runtime::sleep(here, 100ms);
    if (!going_on(clients) || !member.holds_lease() || member.incarnation() == meta::Incarnation(0)) continue;
    const meta::Incarnation incarnation = member.incarnation();
    std::vector<ShardId> wanted;
    const auto view = member.client(0).view();
    for (std::uint32_t i = 0; i < view->shards().size(); ++i) {
      const meta::ShardPlace& place = view->shards()[i];
      const bool has = place.owner == member.self() && place.owner_incarnation == incarnation;
      if (place.assigned == member.self() && !has) wanted.emplace_back(i);
    }
    if (wanted.empty()) continue;
    const Busy busy(clients.load);
    const auto taken = co_await member.client(0).execute(
        meta::TakeShards{.node = member.self(), .incarnation = incarnation, .shards = std::move(wanted)});
    if (!taken) continue;
    clients.load.taken += taken->size();
    for (const meta::Shard& shard : *taken) clients.load.ledger.shard_taken(shard);
  }
}

Task<bool> look_at_database(MetaClients clients, bool check) {
  struct Seen {
    std::uint64_t applied = 0, hash = 0;
    std::shared_ptr<const meta::MetaView> view;
    std::vector<std::string> wrong;
    bool good = false;
  };
  auto seen = std::make_shared<Seen>();
  std::vector<ShardId> all;
  for (std::uint32_t id = 0; id < clients.load.shards; ++id) all.emplace_back(id);
  const auto read = co_await clients.member.log().read_here(
      [seen, all, check](meta::StateMachine& machine, runtime::BlockingFiles& files,
                         meta::StateMachine::Inputs inputs) {
        const auto shards = machine.read_shards(files, all, inputs);
        if (!shards) return;
        Hasher hash;
        hash.add(hash_of(*machine.view()));
        for (const meta::Shard& shard : *shards) hash.add(hash_of(shard));
        seen->applied = machine.applied();
        seen->hash = hash.value();
        seen->view = machine.view();
        seen->good = true;
        if (!check) return;
        const auto wrong = machine.check(files, inputs);
        if (wrong) seen->wrong = *wrong;
        seen->good = wrong.has_value();
      });
  if (!read || !seen->good) co_return false;
  const std::string name = "node " + std::to_string(clients.member.self().value);
  clients.load.ledger.view_seen(*seen->view, name);
  clients.load.ledger.database_seen(seen->applied, seen->hash, name);
  if (!seen->wrong.empty()) clients.load.judge.fail("the database of " + name + ": " + seen->wrong.front());
  co_return true;
}

void judge_registers(MetaLoad& load) {
  std::uint64_t judged = 0;
  for (const auto& [number, history] : load.histories) {
    const Judgement judgement = judge_register(history.operations(), kMaxSteps);
    load.contended += history.contended();
    load.world.mix(judgement.steps);
    if (judgement.verdict == Verdict::kNotLinearizable) {
      std::string why = "register " + std::to_string(number) + " is not linearizable:";
      for (const RegisterOperation& operation : judgement.conflict) why += "\n  " + to_string(operation);
      load.world.fail(why);
      return;
    }
    ++(judgement.verdict == Verdict::kUndecided ? load.undecided : judged);
  }
  if (judged == 0 && !load.histories.empty())
    load.world.fail("of no history it is known whether it is linearizable");
}

}  // namespace stele::sim
