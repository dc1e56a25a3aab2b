// What the clients of a group of meta services do, on every core of every node: they make, change and delete
// topics of their own, draw producer ids, make tenants, read shards and the registers that all write, and
// look at their copy of the metadata; and each node takes the shards that it is assigned. MetaLedger and the
// registers' histories say what may come of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "runtime/task.h"
#include "sim/workloads/linearizability.h"
#include "sim/workloads/meta_ledger.h"
#include "sim/workloads/meta_member.h"
#include "sim/workloads/world_judge.h"
#include "sim/world.h"

namespace stele::sim {

struct MetaLoad {
  MetaLoad(World& w, std::uint32_t count, std::uint32_t shard_count)
      : world(w), members(count), shards(shard_count) {}
  World& world;
  const std::uint32_t members, shards;
  WorldJudge judge{world};
  MetaLedger ledger{judge};
  // A register is the retention of a topic that is made by the first write to it: 0 until then.
  std::map<std::uint64_t, RegisterHistory> histories;
  std::uint64_t values = 0;
  std::uint64_t writes = 0, reads = 0, taken = 0, next_name = 0;
  std::map<std::string, std::uint64_t> generations;  // of the workers' topics
  std::uint64_t busy = 0;                            // clients in the middle of something
  bool over = false;                                 // nobody begins anything new
  // Once it is judged.
  std::uint64_t undecided = 0, contended = 0;

  std::uint64_t operations() const { return writes + reads + ledger.answers(); }
};

// The clients of one process, until the load is over. `stopping`: the process is to end.
struct MetaClients {
  MetaMember& member;
  MetaLoad& load;
  const bool& stopping;
};
// On that core; there is one for each.
runtime::Task<void> run_meta_worker(MetaClients clients, std::size_t core);
// On core 0: several at once.
runtime::Task<void> run_register_client(MetaClients clients, std::uint32_t number);
runtime::Task<void> take_assigned_shards(MetaClients clients);
// All of the database, into the ledger, and the version of the view with it. False: it could not be read.
// With `check`, what contradicts itself in it is a failure.
runtime::Task<bool> look_at_database(MetaClients clients, bool check);

void judge_registers(MetaLoad& load);

}  // namespace stele::sim
