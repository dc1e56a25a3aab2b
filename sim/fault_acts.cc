#include "sim/fault_acts.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/assert.h"
#include "sim/disk.h"
#include "sim/network.h"

namespace stele::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// As many times or as much as a factor; nothing is no factor.
std::uint32_t factor_of(const Fault& fault) {
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(fault.amount, 1, UINT32_MAX));
}

std::uint32_t times_of(const Fault& fault) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(fault.amount, UINT32_MAX));
}

Duration milliseconds_of(const Fault& fault) {
  return milliseconds(static_cast<std::int64_t>(fault.amount));
}

// The amount, as it is if even, and below zero if odd.
template <class T>
T signed_by_amount(const Fault& fault, T size) {
  return fault.amount % 2 ? -size : size;
}

// Nothing if it is another kind's.
std::optional<bool> act_on_process(const Fault& fault, Host& host) {
  switch (fault.kind) {
    case FaultKind::kPause:
      if (!host.running()) return false;
      host.pause(fault.lasts);
      return true;
    case FaultKind::kCorePauses:
      if (!host.running()) return false;
      host.pause_core(fault.amount, fault.lasts);
      return true;
    case FaultKind::kSlowNode:
      host.set_slowness(factor_of(fault));
      return true;
    default:
      return std::nullopt;
  }
}

std::optional<bool> act_on_clock(World& world, const Fault& fault, Host& host) {
  switch (fault.kind) {
    case FaultKind::kClockJump:
      host.clock().jump_wall(signed_by_amount(fault, milliseconds_of(fault)));
      return true;
    case FaultKind::kClockStands:
      host.clock().stop_wall(world.now());
      return true;
    case FaultKind::kClockLeaps:
      host.clock().set_leap(hours(static_cast<std::int64_t>(fault.amount)));
      return true;
    case FaultKind::kClockDrifts:
      host.drift_clock(signed_by_amount(fault, static_cast<std::int64_t>(fault.amount)));
      return true;
    default:
      return std::nullopt;
  }
}

std::optional<bool> act_between(World& world, const Fault& fault, Host& host, Host* other) {
  Fabric& fabric = world.fabric();
  runtime::Random& random = world.random(Concern::kFaults);
  switch (fault.kind) {
    case FaultKind::kCut:
      return fabric.cut(host, *other, random) > 0;
    case FaultKind::kCutAll:
      return fabric.cut_all(host, *other) > 0;
    case FaultKind::kHalfOpen:
      return fabric.half_open(host, *other, random) > 0;
    case FaultKind::kConnectionStalls:
      return fabric.stall_one(host, *other, random) > 0;
    case FaultKind::kSplit:
      fabric.split(host, *other);
      return true;
    case FaultKind::kSplitOneWay:
      fabric.split_one_way(host, *other);
      return true;
    case FaultKind::kSlowLink:
      fabric.slow(host, *other, factor_of(fault));
      return true;
    case FaultKind::kJitter:
      fabric.jitter(host, *other, milliseconds_of(fault));
      return true;
    case FaultKind::kTinyWindows:
      fabric.limit_window(host, *other, factor_of(fault));
      return true;
    case FaultKind::kLateClose:
      fabric.close_late(host, *other, milliseconds_of(fault));
      return true;
    case FaultKind::kCorruptBytes:
      fabric.corrupt(host, *other, times_of(fault));
      return true;
    default:
      return std::nullopt;
  }
}

std::optional<bool> act_on_network(World& world, const Fault& fault, Host& host, Host* other) {
  Fabric& fabric = world.fabric();
  switch (fault.kind) {
    case FaultKind::kIsolate:
      fabric.isolate(host, true);
      return true;
    case FaultKind::kRefuse:
      fabric.refuse(host, true);
      return true;
    case FaultKind::kBacklogFull:
      fabric.fill_backlog(host, true);
      return true;
    case FaultKind::kSlowConnects:
      fabric.slow_connects(host, milliseconds_of(fault));
      return true;
    case FaultKind::kUnresolvable:
      fabric.unresolvable(host.name(), true);
      return true;
    default:
      return act_between(world, fault, host, other);
  }
}

// The number that counts down where the kind is that of the next operations; null if it is not.
std::uint32_t* countdown(FaultKind kind, DiskFaults& faults) {
  switch (kind) {
    case FaultKind::kSyncFails:
      return &faults.failing_syncs;
    case FaultKind::kSyncFindsNoSpace:
      return &faults.full_syncs;
    case FaultKind::kReadFails:
      return &faults.failing_reads;
    case FaultKind::kWriteFails:
      return &faults.failing_writes;
    case FaultKind::kWriteStops:
      return &faults.stopping_writes;
    case FaultKind::kWriteTorn:
      return &faults.torn_writes;
    case FaultKind::kOpenFails:
      return &faults.failing_opens;
    case FaultKind::kListFails:
      return &faults.failing_lists;
    case FaultKind::kRenameFails:
      return &faults.failing_renames;
    case FaultKind::kRemoveFails:
      return &faults.failing_removals;
    case FaultKind::kMakeDirectoryFails:
      return &faults.failing_directories;
    case FaultKind::kStatFails:
      return &faults.failing_stats;
    case FaultKind::kTruncateFails:
      return &faults.failing_truncates;
    case FaultKind::kSyncLies:
      return &faults.lying_syncs;
    case FaultKind::kDirectorySyncLies:
      return &faults.lying_directory_syncs;
    case FaultKind::kWriteLost:
      return &faults.lost_writes;
    case FaultKind::kMisdirectedWrite:
      return &faults.misdirected_writes;
    case FaultKind::kMisdirectedRead:
      return &faults.misdirected_reads;
    case FaultKind::kStaleRead:
      return &faults.stale_writes;
    case FaultKind::kFileMissing:
      return &faults.files_to_lose;
    default:
      return nullptr;
  }
}

bool act_on_disk(World& world, const Fault& fault, Host& host) {
  Disk& disk = host.disk();
  runtime::Random& random = world.random(Concern::kFaults);
  if (std::uint32_t* const left = countdown(fault.kind, disk.faults())) {
    *left = times_of(fault);
    return true;
  }
  switch (fault.kind) {
    case FaultKind::kOperationFails:
      disk.faults().fails_at = std::max<std::uint64_t>(fault.amount, 1);
      return true;
    case FaultKind::kNoSpace:
      disk.set_free_bytes(fault.amount);
      return true;
    case FaultKind::kSlowDisk:
      host.set_disk_slowness(factor_of(fault));
      return true;
    case FaultKind::kSlowSyncs:
      host.set_sync_slowness(factor_of(fault));
      return true;
    case FaultKind::kDiskStalls:
      host.stall_disk(fault.lasts);
      return true;
    case FaultKind::kOperationStalls:
      host.stall_next_operation(fault.lasts);
      return true;
    case FaultKind::kUnreadable:
    case FaultKind::kLatentSectorError:
      return disk.spoil_sectors(random, factor_of(fault), fault.kind == FaultKind::kUnreadable);
    case FaultKind::kBitFlip:
      return disk.flip_bit(random);
    default:
      STELE_ASSERT(false);
  }
  return false;
}

std::uint64_t met_by_disk(const DiskEffects& met, FaultKind kind) {
  switch (kind) {
    case FaultKind::kSyncFails:
      return met.syncs_failed;
    case FaultKind::kSyncFindsNoSpace:
      return met.syncs_full;
    case FaultKind::kReadFails:
      return met.reads_failed;
    case FaultKind::kWriteFails:
      return met.writes_failed;
    case FaultKind::kWriteStops:
      return met.writes_stopped;
    case FaultKind::kWriteTorn:
      return met.writes_torn;
    case FaultKind::kOpenFails:
      return met.opens_failed;
    case FaultKind::kListFails:
      return met.lists_failed;
    case FaultKind::kRenameFails:
      return met.renames_failed;
    case FaultKind::kRemoveFails:
      return met.removals_failed;
    case FaultKind::kMakeDirectoryFails:
      return met.directories_failed;
    case FaultKind::kStatFails:
      return met.stats_failed;
    case FaultKind::kTruncateFails:
      return met.truncates_failed;
    case FaultKind::kOperationFails:
      return met.operations_failed;
    case FaultKind::kUnreadable:
      return met.unreadable;
    case FaultKind::kNoSpace:
      return met.no_space;
    case FaultKind::kLatentSectorError:
      return met.latent;
    case FaultKind::kSyncLies:
      return met.syncs_lied;
    case FaultKind::kDirectorySyncLies:
      return met.directory_syncs_lied;
    case FaultKind::kWriteLost:
      return met.writes_lost;
    case FaultKind::kMisdirectedWrite:
      return met.writes_misdirected;
    case FaultKind::kMisdirectedRead:
      return met.reads_misdirected;
    case FaultKind::kStaleRead:
      return met.reads_stale;
    case FaultKind::kFileMissing:
      return met.files_lost;
    default:
      return 0;
  }
}

std::optional<std::uint64_t> met_by_network(const FabricEffects& met, FaultKind kind) {
  switch (kind) {
    case FaultKind::kCut:
    case FaultKind::kCutAll:
      return met.cut;
    case FaultKind::kHalfOpen:
      return met.half_open;
    case FaultKind::kConnectionStalls:
      return met.stalled;
    case FaultKind::kSplit:
    case FaultKind::kSplitOneWay:
      return met.held;
    case FaultKind::kSlowLink:
      return met.slowed;
    case FaultKind::kJitter:
      return met.jittered;
    case FaultKind::kTinyWindows:
      return met.throttled;
    case FaultKind::kLateClose:
      return met.closed_late;
    case FaultKind::kCorruptBytes:
      return met.corrupted;
    case FaultKind::kIsolate:
      return met.isolated;
    case FaultKind::kRefuse:
      return met.refused;
    case FaultKind::kBacklogFull:
      return met.unanswered;
    case FaultKind::kSlowConnects:
      return met.slow_connects;
    case FaultKind::kUnresolvable:
      return met.unresolved;
    default:
      return std::nullopt;
  }
}

}  // namespace

bool act(World& world, const Fault& fault, Host& host, Host* other) {
  if (const auto done = act_on_process(fault, host)) return *done;
  if (const auto done = act_on_clock(world, fault, host)) return *done;
  if (const auto done = act_on_network(world, fault, host, other)) return *done;
  return act_on_disk(world, fault, host);
}

void undo_act(World& world, const Fault& fault, Host& host, Host* other) {
  Fabric& fabric = world.fabric();
  switch (fault.kind) {
    case FaultKind::kSlowNode:
      return host.set_slowness(1);
    case FaultKind::kClockStands:
      return host.clock().resume_wall(world.now());
    case FaultKind::kClockLeaps:
      return host.clock().set_leap(Duration(0));
    case FaultKind::kClockDrifts:
      return host.drift_clock(std::nullopt);
    case FaultKind::kConnectionStalls:
      return fabric.resume_all(host, *other);
    case FaultKind::kSplit:
      return fabric.heal(host, *other);
    case FaultKind::kSplitOneWay:
      return fabric.heal_one_way(host, *other);
    case FaultKind::kSlowLink:
      return fabric.slow(host, *other, 1);
    case FaultKind::kJitter:
      return fabric.jitter(host, *other, Duration(0));
    case FaultKind::kTinyWindows:
      return fabric.limit_window(host, *other, SIZE_MAX);
    case FaultKind::kLateClose:
      return fabric.close_late(host, *other, Duration(0));
    case FaultKind::kIsolate:
      return fabric.isolate(host, false);
    case FaultKind::kRefuse:
      return fabric.refuse(host, false);
    case FaultKind::kBacklogFull:
      return fabric.fill_backlog(host, false);
    case FaultKind::kSlowConnects:
      return fabric.slow_connects(host, Duration(0));
    case FaultKind::kUnresolvable:
      return fabric.unresolvable(host.name(), false);
    case FaultKind::kUnreadable:
      return host.disk().heal_sectors();
    case FaultKind::kStaleRead:
      return host.disk().heal_stale();
    case FaultKind::kNoSpace:
      return host.disk().set_free_bytes(UINT64_MAX);
    case FaultKind::kSlowDisk:
      return host.set_disk_slowness(1);
    case FaultKind::kSlowSyncs:
      return host.set_sync_slowness(1);
    default:
      return;  // over by itself
  }
}

std::uint64_t times_met(World& world, FaultKind kind, std::uint64_t injected) {
  if (const auto met = met_by_network(world.fabric().effects(), kind)) return *met;
  DiskFaults none;
  const bool of_disks = countdown(kind, none) || kind == FaultKind::kNoSpace ||
                        kind == FaultKind::kOperationFails || kind == FaultKind::kUnreadable ||
                        kind == FaultKind::kLatentSectorError;
  if (!of_disks && kind != FaultKind::kCrashInStart) return injected;
  std::uint64_t met = 0;
  for (const auto& host : world.hosts()) {
    met += of_disks ? met_by_disk(host->disk().effects(), kind) : host->crashes_in_start();
  }
  return met;
}

}  // namespace stele::sim
