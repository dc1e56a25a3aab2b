// A shard's snapshot as a segment of its own, with replicas like those of its log: whoever owns the shard
// next finds it, on whatever node. It is written once, in the epoch of its owner, and counts once the
// metadata names it (meta::Snapshot::file holds its name()).
//
// Its id is not given by the meta service: it says of which shard it is, of which epoch, and which one of
// that. No chain has such an id.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "journal/replicas.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/task.h"

namespace stele::journal {

struct SnapshotSegment {
  SegmentId id;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint32_t checksum = 0;  // CRC-32C
  std::vector<meta::Replica> replicas;

  std::string name() const;
  // None: it is the name of something else.
  static std::optional<SnapshotSegment> parse(std::string_view name);
  friend bool operator==(const SnapshotSegment&, const SnapshotSegment&) = default;
};

// `number`: of those of this epoch; each is used once, and they rise.
SegmentId snapshot_segment_id(ShardId shard, Epoch epoch, std::uint64_t number);
bool is_snapshot_segment(SegmentId id);
// Whether nobody can want it any more who does not have it named in the metadata: it is of an epoch of the
// shard that is over, or before the one that is named.
bool is_old_snapshot(SegmentId id, const meta::Shard& shard);

// Whether it should be written anew: on fewer disks than wanted, or one of them shall not keep it.
bool lacks_replicas(Replicas& replicas, const SnapshotSegment& snapshot);

// Complete when A of its replicas have all of it on their disks. kFenced: another owner. kUnavailable,
// kTimedOut: too few do, within a minute or until `give_up` says that it is in vain; what was written is
// removed again, as far as it is reached.
runtime::Task<Result<SnapshotSegment>> store_snapshot(Replicas& replicas, ShardId shard, Epoch epoch,
                                                      std::uint64_t number, Bytes bytes,
                                                      std::function<bool()> give_up = {});
// From whichever replica has it. kUnavailable: none is reached that does. kCorrupt: what they have is
// something else.
runtime::Task<Result<std::string>> load_snapshot(Replicas& replicas, SnapshotSegment snapshot);
// Nobody needs it any more. Lazily.
void remove_snapshot(Replicas& replicas, const SnapshotSegment& snapshot);

}  // namespace stele::journal
