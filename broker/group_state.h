// Consumer groups as their shard's state machine knows them: generation, members with their assignments, and
// committed offsets. Pure. What waits and what runs out is the owner's alone (group_coordinator.h).
//
// A generation is in the log before any member hears of it, so whoever owns the shard next goes on above it,
// and members of an older one are told apart after any crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/wire.h"
#include "broker/group.h"
#include "model/ids.h"

namespace stele::broker {

struct GroupState {
  GroupPhase phase = GroupPhase::kEmpty;
  std::int32_t generation = 0;  // never goes back while the group exists
  std::string protocol_type;    // of its last members; empty: it never had any
  std::string protocol;         // of the generation
  std::string leader;           // member id; empty if that one has gone
  std::map<std::string, GroupMember, std::less<>> members;
  std::map<StreamId, CommittedOffset> offsets;
  std::int64_t empty_since_ms = 0;  // while it has no members

  std::size_t bytes() const;  // that it takes, about
  friend bool operator==(const GroupState&, const GroupState&) = default;
};

// A generation as its entry has it.
struct GroupGeneration {
  std::int32_t generation = 0;
  std::string protocol_type, protocol, leader;
  std::vector<GroupMember> members;  // not empty; without assignments
};

class GroupTable {
 public:
  const std::map<GroupKey, GroupState>& all() const { return groups_; }
  const GroupState* find(const GroupKey& key) const;
  std::uint64_t members() const { return members_; }
  std::uint64_t offsets() const { return offsets_; }
  std::uint64_t bytes() const { return bytes_; }
  // Topics that some group has offsets of.
  std::vector<TopicId> topics() const;

  // ---- what entries do; what cannot be in a log of ours is kCorrupt
  Result<void> begin_generation(const GroupKey& key, GroupGeneration generation);
  // Of that generation; who is not named gets an empty assignment.
  void assign(const GroupKey& key, std::int32_t generation,
              std::span<const std::pair<std::string, std::string>> assignments);
  void remove_members(const GroupKey& key, std::span<const std::string> ids, std::int64_t now_ms);
  // A static member under a new id; it keeps its assignment.
  void replace_member(const GroupKey& key, std::string_view old_id, GroupMember member, bool rebalance);
  void commit_offsets(const GroupKey& key, std::span<const std::pair<StreamId, CommittedOffset>> offsets,
                      std::int64_t now_ms);
  void remove_offsets(const GroupKey& key, std::span<const StreamId> streams);
  void remove_topic(TopicId topic);
  void remove(const GroupKey& key);

  static void encode(Writer& writer, const GroupKey& key, const GroupState& group);
  // One group, the next in order. The reader has failed if it is none.
  void decode(Reader& reader);

 private:
  template <class Change>
  void change(const GroupKey& key, Change change);
  void count(const GroupState& group, bool in);
  void count_topic(TopicId topic, bool in);

  std::map<GroupKey, GroupState> groups_;
  // Derived.
  std::uint64_t members_ = 0, offsets_ = 0, bytes_ = 0;
  std::map<TopicId, std::uint64_t> topics_;  // how many offsets of it there are
};

}  // namespace stele::broker
