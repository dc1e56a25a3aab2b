// What is asked of the members of a group: each process of one has clients that write and read registers
// there, and an operator that changes the group while it leads. Their histories must be linearizable
// (linearizability.h). All in the process of the member, for who is cut off from the others must not be
// answered either.
//
// A register lives for a while and gives way to another, so that its history is not too long to be judged.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "raft/testing/member_node.h"
#include "runtime/task.h"
#include "sim/workloads/linearizability.h"
#include "sim/world.h"

namespace stele::sim {

struct RaftLoad {
  RaftLoad(World& w, std::uint32_t count, std::uint32_t per_member)
      : world(w), members(count), clients_per_member(per_member) {}
  World& world;
  const std::uint32_t members;
  const std::uint32_t clients_per_member;

  std::map<std::uint64_t, RegisterHistory> histories;
  std::uint64_t values = 0;                  // that were written
  std::uint64_t writes = 0, reads = 0;       // answered
  std::uint64_t changes = 0, transfers = 0;  // that came to their end
  // Once it is judged.
  std::uint64_t undecided = 0, contended = 0;

  std::uint64_t operations() const { return writes + reads; }
};

// The load of one process of a member.
runtime::Task<void> run_raft_load(raft::testing::MemberNode& node, RaftLoad& load);
// Fails if a history is not linearizable, or if of none it is known.
void judge_registers(RaftLoad& load);

}  // namespace stele::sim
