// The knobs of a run of the node: those of its world, of the node, and of its clients.
#pragma once

#include <cstdint>
#include <span>

#include "sim/knobs.h"

namespace stele::sim {

std::span<const Knob> node_knobs();
// How many members a Raft group has.
std::uint32_t raft_members(const Knobs& knobs);
// How many meta services a group of them has: three or five.
std::uint32_t meta_members(const Knobs& knobs);
// How many nodes with a journal there are where they are without brokers: the first three have meta services
// that vote.
std::uint32_t journal_nodes(const Knobs& knobs);

}  // namespace stele::sim
