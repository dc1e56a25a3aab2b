// A shadow replay of every shard, kept outside the processes that own them: takes each committed entry once,
// through the same pure state machine, and compares hashes with the owners'. Also knows what is committed, so
// that a workload that sees something can ask whether it may.
//
// Fails the world when an owner begins without an entry that was committed before, when an owner's state is
// not the fold of its log, or when a snapshot holds anything but a committed state.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "broker/observer.h"
#include "broker/shard_state.h"
#include "sim/world.h"

namespace stele::sim {

class Shadow final : public broker::ShardObserver {
 public:
  explicit Shadow(World& world) : world_(world) {}

  bool several_nodes = false;
  // When an owner began the last time, whichever shard's.
  Time owner_began_at() const { return owner_began_at_; }

  // Called with each data entry once it is committed (and once more never).
  std::function<void(const broker::DataEntry& data, std::string_view batch)> on_data;

  // Called with a shard's committed state behind each control entry.
  std::function<void(const broker::ShardState& state)> on_control;

  void on_owner(ShardId shard, Epoch epoch, Lsn next, std::uint64_t state_hash) override;
  void on_append(ShardId shard, Epoch epoch, Lsn lsn, std::string_view head, std::string_view body) override;
  void on_commit(ShardId shard, Epoch epoch, Lsn end) override;
  bool wants_hash(ShardId shard) override;
  void on_hash(ShardId shard, Epoch epoch, Lsn applied, std::uint64_t state_hash) override;
  void on_refused(ShardId) override { refused_at_ = world_.now(); }
  void on_snapshot(ShardId shard, Epoch epoch, Lsn lsn, std::uint64_t state_hash) override;

  // When a shard last refused something new; Time::min() if none has.
  Time refused_at() const { return refused_at_; }

  // Whether the committed session of that client has a queued message with that packet identifier.
  bool is_numbered(const std::string& client_id, std::uint16_t packet_id) const;
  bool is_subscribed(const std::string& client_id, const std::string& filter) const;
  // Whether there is a will with that payload.
  bool has_will(std::string_view payload) const;
  // Where the committed records of a partition end; 0 if there is none.
  std::int64_t end_of(const std::string& topic, std::int32_t partition) const;
  // The committed session of that client in words, for whoever looks for what it waits for.
  std::string describe(const std::string& client_id) const;

  std::uint64_t entries() const { return entries_; }
  std::uint64_t hashes_compared() const { return hashes_compared_; }
  // Of all shards: a part of the run's hash.
  std::uint64_t hash() const;

 private:
  struct Shard {
    Epoch epoch;
    Lsn committed;
    WallTime time;                        // of the last committed entry
    std::map<Lsn, std::string> appended;  // not committed as far as is known
    std::map<Lsn, std::uint64_t> hashes;  // what owners say their state is after that many entries
    broker::ShardState state;
  };
  void advance(ShardId id, Shard& shard, Lsn end);
  void compare(ShardId id, Shard& shard);
  void fail(ShardId id, const std::string& why);

  World& world_;
  std::map<ShardId, Shard> shards_;
  broker::ApplyResult scratch_;
  Time refused_at_ = Time::min();
  Time owner_began_at_{};
  std::uint64_t entries_ = 0;
  std::uint64_t hashes_compared_ = 0;
  std::uint64_t asked_ = 0, next_hash_ = 128;
};

}  // namespace stele::sim
