// What was answered to clients of a group of meta services, over all lives of all of its nodes, and what may
// come of it. Each worker has topics of its own, so it knows what a command has to answer. A topic of which
// the last command's outcome is not known is left alone for good: nobody says anything about it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/result.h"
#include "meta/commands.h"
#include "meta/types.h"
#include "model/ids.h"
#include "sim/workloads/judge.h"

namespace stele::sim {

// Of everything in the view; equal for equal ones.
std::uint64_t hash_of(const meta::MetaView& view);
std::uint64_t hash_of(const meta::Shard& shard);

class MetaLedger {
 public:
  explicit MetaLedger(Judge& judge) : judge_(judge) {}

  // ---- A topic of one worker. `changing` before each command, then one of the others: what was answered.
  // None: it is not there.
  const meta::Topic* topic(const std::string& name) const;
  void changing(const std::string& name) { doubtful_.insert(name); }
  bool doubtful(const std::string& name) const { return doubtful_.contains(name); }
  void changed(const std::string& name, const meta::Topic& topic);
  void removed(const std::string& name);
  // Of a command that would have been done: it may have been done or not; kUnavailable: it was not.
  void refused(const std::string& name, const Error& why);

  // ---- Commands whose answers are never the same.
  void ids_given(const meta::ProducerIds& ids);
  void incarnation_given(NodeId node, meta::Incarnation incarnation);
  void shard_taken(const meta::Shard& shard);
  void tenant_made(const std::string& name) { tenants_.insert(name); }
  // Nobody else has asked for it.
  void tenant_not_made(const std::string& name, const Error& why);

  // ---- Reads. What everybody was told of by then is seen.
  Epoch epoch_told(ShardId shard) const;
  void shard_read(const meta::Shard& shard, Epoch told_before);
  // What some client's copy, or some node's database, was at that version or index.
  void view_seen(const meta::MetaView& view, const std::string& who);
  void database_seen(std::uint64_t applied, std::uint64_t hash, const std::string& who);

  // When nothing is under way any more.
  void check_known(const meta::MetaView& view, const std::string& who);

  std::uint64_t answers() const { return answers_; }
  std::uint64_t unknown() const { return unknown_; }

 private:
  Judge& judge_;
  std::map<std::string, meta::Topic> topics_;
  std::set<std::string> doubtful_;
  std::map<std::int64_t, std::int64_t> ids_;  // first, behind the last
  std::map<NodeId, meta::Incarnation> incarnations_;
  std::set<std::pair<ShardId, Epoch>> epochs_;
  std::map<ShardId, Epoch> told_;
  std::set<std::string> tenants_;
  std::map<std::uint64_t, std::uint64_t> views_, databases_;  // hashes
  std::uint64_t answers_ = 0, unknown_ = 0;
};

}  // namespace stele::sim
