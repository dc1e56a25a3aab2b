// Stored files that say what their format forbids, under right checksums: what a program with a bug, or of
// another version, would have left. Whoever reads them must refuse or give an error. Nothing here may read as
// something else that is valid: against that no checksum helps.
//
// Used while no process uses the disk. False: there was nothing to do it to.
#pragma once

#include <cstdint>
#include <string>

#include "sim/disk.h"

namespace stele::sim {

// Something in the directory of a segment store; `how` chooses what. Not of its checkpoints where `vanished`:
// they may be all that tells of log files that are gone.
bool garble_log(Disk& disk, const std::string& directory, std::uint64_t how, bool vanished);

// The last blocks of a segment store's log, up to three, are damaged: what was stored last is gone, and that
// looks like a write that did not complete. `how` chooses how many.
bool damage_tail(Disk& disk, const std::string& directory, std::uint64_t how);

// A page of a database; `how` chooses which.
bool garble_database(Disk& disk, const std::string& path, std::uint64_t how);

// SQL that makes the chains of a meta service's database contradict themselves or what the disk holds, or the
// database one of an earlier version; `how` chooses which.
std::string chain_tampering(std::uint64_t how);

}  // namespace stele::sim
