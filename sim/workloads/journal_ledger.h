// What owners of shards did to their logs, outside of every process, and what the next owner may find: what
// was acknowledged, at its place, as it was appended, once; and nothing that was refused to an owner that
// had been replaced. An entry's bytes are a function of its shard, its place and who appended it there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "meta/types.h"
#include "model/ids.h"
#include "sim/workloads/judge.h"

namespace stele::sim {

// The chains as databases of the meta service have them, one after the other. A segment is sealed once, and
// is what it was when it was opened.
class ChainLedger {
 public:
  explicit ChainLedger(Judge& judge) : judge_(judge) {}
  // Of some node, as of that index of the log.
  void seen(std::uint64_t applied, const std::vector<meta::Shard>& shards);
  // As of the highest index; null: nobody has looked.
  const meta::Shard* latest(ShardId shard) const;

 private:
  struct Segment {
    ShardId shard;
    Lsn base;
    Epoch epoch;
    std::optional<Lsn> end;
  };
  void check(const meta::Shard& shard);
  Judge& judge_;
  std::uint64_t applied_ = 0;
  std::map<ShardId, meta::Shard> latest_;
  std::map<SegmentId, Segment> segments_;
};

class JournalLedger {
 public:
  // Entries are of up to `entry_bytes`.
  JournalLedger(Judge& judge, std::uint32_t shards, std::size_t entry_bytes)
      : judge_(judge), entry_bytes_(entry_bytes), logs_(shards) {}

  std::string content(ShardId shard, Epoch by, Lsn at) const;

  // A process owns the shard: its log has [begin, next). Whoever was told of a higher epoch before goes on
  // being the owner here.
  void taken(ShardId shard, Epoch epoch, Lsn begin, Lsn next);
  bool owns(ShardId shard, Epoch epoch) const { return log(shard).owner == epoch; }
  // Only of the owner: what others append commits nowhere.
  void appended(ShardId shard, Epoch epoch, Lsn at);
  // Everything below is committed, as that process is told.
  void committed(ShardId shard, Epoch epoch, Lsn end);
  // Nobody will read what lies below.
  void trimmed(ShardId shard, Lsn below);
  Lsn trimmed(ShardId shard) const { return log(shard).trimmed; }
  Lsn committed(ShardId shard) const { return log(shard).committed; }
  void read(ShardId shard, Lsn at, std::string_view content);

  std::uint64_t commits() const { return commits_; }  // entries, over all shards
  std::uint64_t takes() const { return takes_; }
  std::uint64_t reads() const { return reads_; }

 private:
  struct Log {
    std::vector<Epoch> entries;  // who appended each, as the present owner has it
    Epoch owner;
    Lsn began_at;   // the owner's first own entry
    Lsn committed;  // of any owner
    Lsn trimmed;
  };
  const Log& log(ShardId shard) const { return logs_.at(shard.value); }
  Log& log(ShardId shard) { return logs_.at(shard.value); }
  void fail(ShardId shard, const std::string& what);

  Judge& judge_;
  const std::size_t entry_bytes_;
  std::vector<Log> logs_;
  std::uint64_t commits_ = 0, takes_ = 0, reads_ = 0;
};

}  // namespace stele::sim
