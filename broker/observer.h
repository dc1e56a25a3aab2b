// What the simulator sees of a shard from inside the process that owns it: every entry as it is appended and
// committed, and hashes of the state. It keeps a shadow replay and compares. In production there is none.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "model/ids.h"

namespace stele::broker {

class ShardObserver {
 public:
  virtual ~ShardObserver() = default;
  // An owner serves from now on: it has replayed everything below `next` and its state has this hash.
  virtual void on_owner(ShardId shard, Epoch epoch, Lsn next, std::uint64_t state_hash) = 0;
  virtual void on_append(ShardId shard, Epoch epoch, Lsn lsn, std::string_view head,
                         std::string_view body) = 0;
  // Everything below `end` is committed; the state after the last append has this hash if `with_hash`.
  virtual void on_commit(ShardId shard, Epoch epoch, Lsn end) = 0;
  virtual bool wants_hash(ShardId shard) = 0;
  virtual void on_hash(ShardId shard, Epoch epoch, Lsn applied, std::uint64_t state_hash) = 0;
  // Something new was refused, as the log takes nothing now; what is sent later may be taken.
  virtual void on_refused(ShardId shard) = 0;
  virtual void on_snapshot(ShardId shard, Epoch epoch, Lsn lsn, std::uint64_t state_hash) = 0;
};

}  // namespace stele::broker
