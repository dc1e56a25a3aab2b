#include "sim/workloads/raft_options.h"

#include <algorithm>

#include "sim/time.h"

namespace stele::sim {

namespace {
// Within the least election timeout a candidate hears of the others and is stored: else nobody ever leads.
Duration tick_of(const Knobs& knobs) {
  const std::uint64_t election = 6 * knobs["network.latency_max_ns"] + 4 * knobs["disk.sync_max_ns"];
  return Duration(std::max(knobs["raft.tick_ns"], election / knobs["raft.election_ticks"]));
}
}  // namespace

raft::MemberOptions raft_options(const Knobs& knobs) {
  raft::MemberOptions member;
  member.tick = tick_of(knobs);
  member.core.election_ticks = static_cast<std::uint32_t>(knobs["raft.election_ticks"]);
  member.core.heartbeat_ticks = std::max<std::uint32_t>(member.core.election_ticks / 10, 1);
  member.core.append_bytes_max = knobs["raft.append_bytes"];
  member.core.window = {knobs["raft.window_messages"], knobs["raft.window_bytes"]};
  member.core.cache_bytes = knobs["raft.cache_bytes"];
  member.core.compaction_tail = knobs["raft.tail"];
  member.core.applying_bytes_max = knobs["raft.applying_bytes"];
  member.core.uncommitted_bytes_max = knobs["raft.uncommitted_bytes"];
  member.proposals_max = knobs["raft.proposals"];
  member.log.file_bytes = knobs["log.file_bytes"];
  // Also what it keeps of its end: little, so that it is read from the disk.
  member.log.read_bytes = std::min<std::uint64_t>(knobs["storage.read_bytes"], 4096);
  member.apply_bytes = knobs["raft.applying_bytes"];
  member.snapshot_every = knobs["raft.snapshot_every"];
  member.snapshot_part_bytes = knobs["raft.snapshot_part_bytes"];
  member.snapshot_window = knobs["raft.snapshot_window"];
  return member;
}

}  // namespace stele::sim
