// What protocols and a group's coordinator say to each other: the classic group protocol of Kafka
// (JoinGroup, SyncGroup, Heartbeat, LeaveGroup; KIP-345 static members, KIP-394 member ids) and the groups'
// offsets. Values only; the coordinator is group_coordinator.h, its state group_state.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/ids.h"

namespace stele::broker {

using GroupKey = std::pair<TenantId, std::string>;

// The outcomes that a client acts on differently.
enum class GroupError : std::uint8_t {
  kNone,
  kUnavailable,  // not now: the coordinator is starting, or its disk is full
  kNotHere,      // another node has the coordinator
  kUnauthorized,
  kInvalidGroup,
  kInvalidSessionTimeout,
  kInconsistentProtocol,
  kMemberIdRequired,
  kTooLarge,  // a limit: members of a group, groups of a shard, bytes of a member
  kUnknownMember,
  kFencedInstance,  // the instance id is another member's by now
  kIllegalGeneration,
  kRebalancing,
  kNotFound,
  kNotEmpty,
  kSubscribed,  // members of the group read the topic
  kUnknownPartition,
  kPartitionUnauthorized,
  kMetadataTooLarge,
  kTooManyOffsets,
};

enum class GroupPhase : std::uint8_t {
  kEmpty = 0,        // no members
  kRebalancing = 1,  // members are to join the next generation
  kAssigning = 2,    // the generation is there; its leader has not said who gets what
  kStable = 3,
};

struct GroupProtocol {
  std::string name;
  std::string metadata;
  friend bool operator==(const GroupProtocol&, const GroupProtocol&) = default;
};

struct GroupMember {
  std::string id;
  std::optional<std::string> instance_id;  // of a static member
  std::string client_id, client_host;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = 0;
  std::vector<GroupProtocol> protocols;  // the preferred one first; names are distinct
  std::string assignment;
  // Null if it does not have that protocol.
  const std::string* metadata_of(std::string_view protocol) const;
  std::size_t bytes() const;  // that it takes, about
  friend bool operator==(const GroupMember&, const GroupMember&) = default;
};

// ---- members --------------------------------------------------------------------------------------------

struct JoinGroup {
  std::string group;
  GroupMember member;  // with no id if it has none yet
  std::string protocol_type;
  bool id_required = false;          // a new dynamic member is first told its id (KIP-394)
  bool may_skip_assignment = false;  // a static leader that comes back knows `skip_assignment` (KIP-814)
};
struct JoinedGroup {
  struct Member {
    std::string id;
    std::optional<std::string> instance_id;
    std::string metadata;
  };
  GroupError error = GroupError::kNone;
  std::string member_id{};
  std::int32_t generation = -1;
  std::string protocol_type{}, protocol{};
  std::string leader{};
  bool skip_assignment = false;
  std::vector<Member> members{};  // for the leader
};

struct SyncGroup {
  std::string group;
  std::int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<std::string> protocol_type, protocol;
  std::vector<std::pair<std::string, std::string>> assignments;  // of the leader: member, bytes
};
struct SyncedGroup {
  GroupError error = GroupError::kNone;
  std::string protocol_type{}, protocol{};
  std::string assignment{};
};

struct GroupHeartbeat {
  std::string group;
  std::int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
};

struct LeaveGroup {
  struct Member {
    std::string id;  // may be empty for a static one
    std::optional<std::string> instance_id;
  };
  std::string group;
  std::vector<Member> members;
};
struct LeftGroup {
  GroupError error = GroupError::kNone;
  std::vector<GroupError> members{};  // in the order of the request
};

// ---- offsets --------------------------------------------------------------------------------------------

struct CommittedOffset {
  Offset offset{-1};
  std::int32_t leader_epoch = -1;
  std::string metadata;
  std::int64_t committed_at_ms = 0;
  std::int64_t expires_at_ms = -1;  // as its client wished (OffsetCommit before version 5); -1: as others
  friend bool operator==(const CommittedOffset&, const CommittedOffset&) = default;
};

struct CommitOffsets {
  std::string group;
  std::int32_t generation = -1;  // -1 and no member: of a consumer that is not in the group
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int64_t retention_ms = -1;
  std::vector<std::pair<StreamId, CommittedOffset>> offsets;
};
struct OffsetsAnswer {
  GroupError error = GroupError::kNone;
  std::vector<GroupError> partitions{};  // in the order of the request
};

struct FetchOffsets {
  std::string group;
  std::optional<std::vector<StreamId>> streams;  // none: all that have offsets
};
struct FetchedOffsets {
  GroupError error = GroupError::kNone;
  std::vector<std::pair<StreamId, CommittedOffset>> offsets{};  // offset -1: has none
};

struct DeleteOffsets {
  std::string group;
  struct Partition {
    StreamId stream;
    std::string topic;  // its name
  };
  std::vector<Partition> partitions;
};

// ---- looking at groups ----------------------------------------------------------------------------------

struct GroupDescription {
  GroupError error = GroupError::kNone;
  GroupPhase phase = GroupPhase::kEmpty;
  std::string protocol_type{};
  std::string protocol{};              // of a stable one
  std::vector<GroupMember> members{};  // with their metadata for that protocol only
};

struct ListedGroup {
  std::string group;
  std::string protocol_type;
  GroupPhase phase = GroupPhase::kEmpty;
};

}  // namespace stele::broker
