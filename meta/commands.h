// The commands of the meta service: the only way its state changes. Each names its answer.
//
// A command is decided by the state machine alone, in the order of the log; it never depends on a clock or a
// random number other than those in its Envelope, which the proposer fills in. On the log a command is a
// FlatBuffer (commands.fbs, docs/formats/meta-commands.md).
//
// Every command may answer kUnavailable (too many are queued; or its outcome is unknown after the log was
// closed), kIo and kNoSpace (the database could not be written), and kNotFound while there is no cluster.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "meta/identities.h"
#include "meta/types.h"
#include "model/ids.h"
#include "model/uuid.h"

namespace stele::meta {

inline constexpr std::int32_t kMaxPartitionsPerTopic = 10'000;
inline constexpr std::size_t kMaxTopics = 100'000;
inline constexpr std::size_t kMaxPartitions = 1'000'000;
inline constexpr std::size_t kMaxTenants = 10'000;
inline constexpr std::uint32_t kMaxShards = 4096;
inline constexpr std::uint32_t kMaxProducerIdsAtOnce = 1'000'000;
inline constexpr std::size_t kMaxUsers = 10'000;
inline constexpr std::size_t kMaxRules = 10'000;
inline constexpr std::size_t kMaxRulesPerUser = 1'000;  // and for all users of a tenant together
inline constexpr std::size_t kMaxTokens = 10'000;
inline constexpr std::size_t kMaxTokensPerUser = 100;

// ---- cluster and nodes ---------------------------------------------------------------------------------

// kAlreadyExists: there is one. The number of shards never changes afterwards.
struct CreateCluster {
  using Answer = ClusterInfo;
  std::uint32_t shard_count = 64;
  Uuid id;  // zero: made from the envelope's random bits
  friend bool operator==(const CreateCluster&, const CreateCluster&) = default;
};

// Lets a node into the cluster, or tells of another address of one that is in: of the listeners named. It
// does not live yet. kAlreadyExists: another data directory is that node.
struct AdmitNode {
  using Answer = Node;
  NodeId node;
  Uuid directory;
  std::vector<NodeAddress> addresses;
  std::uint32_t roles = kAllRoles;
  std::string zone = {};
  std::string product = {};
  friend bool operator==(const AdmitNode&, const AdmitNode&) = default;
};

// A process of the node starts. What an earlier one still asks is kFenced from now on. Whether it is being
// drained stays. With a directory, the node must have been let in with it: kNotFound: it was removed, or
// never let in; kAlreadyExists: another directory is that node.
struct RegisterNode {
  using Answer = Node;
  NodeId node;
  std::vector<NodeAddress> addresses;
  std::uint32_t roles = kAllRoles;
  std::string zone = {};
  std::uint64_t disk = 0;
  std::string product = {};
  Uuid directory = {};  // zero: a node alone
  friend bool operator==(const RegisterNode&, const RegisterNode&) = default;
};

// A process of the node has ended, or has been silent for too long. What it still asks is kFenced from now
// on. kFenced: it is another one by now. kNotFound.
struct EndIncarnation {
  using Answer = Node;
  NodeId node;
  Incarnation incarnation;
  friend bool operator==(const EndIncarnation&, const EndIncarnation&) = default;
};

// Whether the node shall own anything, and whether it shall go on having what lies there. kNotFound.
struct DrainNode {
  using Answer = Node;
  NodeId node;
  bool draining = true;
  bool leaving = false;  // then it drains
  friend bool operator==(const DrainNode&, const DrainNode&) = default;
};

// The node is gone for good. kInvalidArgument: it lives, a shard is assigned to it, or a segment lies there.
// A node of that id may come later, with a higher incarnation.
struct RemoveNode {
  using Answer = Node;
  NodeId node;
  friend bool operator==(const RemoveNode&, const RemoveNode&) = default;
};

// ---- shards --------------------------------------------------------------------------------------------

// Says who shall own these shards, all or none; who owns them now goes on until the new one takes them. A
// compare-and-swap on who it was before: kFenced. kNotFound: no such shard or node. Answers the shards in the
// order asked for, without their chains.
struct AssignShards {
  using Answer = std::vector<Shard>;
  struct Item {
    ShardId shard;
    std::optional<NodeId> before;
    NodeId to;
    friend bool operator==(const Item&, const Item&) = default;
  };
  std::vector<Item> items;
  friend bool operator==(const AssignShards&, const AssignShards&) = default;
};

// Makes the node's process the owner of these shards, all or none. Answers the shards in the order asked for,
// each with its new epoch, its chain and its snapshot. kFenced: the node has a newer incarnation, this one
// has ended, or a shard is assigned to another node.
struct TakeShards {
  using Answer = std::vector<Shard>;
  NodeId node;
  Incarnation incarnation;
  std::vector<ShardId> shards;
  friend bool operator==(const TakeShards&, const TakeShards&) = default;
};

// The owner has let go of a shard: nobody owns it, in the same epoch, until somebody takes it. kFenced:
// another epoch. Answers the shard, without its chain.
struct ReleaseShard {
  using Answer = std::vector<Shard>;
  ShardId shard;
  Epoch epoch;
  friend bool operator==(const ReleaseShard&, const ReleaseShard&) = default;
};

// Seals the last segment of a chain, if there is one, and opens the next: a compare-and-swap on (epoch, id of
// the last segment, still open). kFenced: the epoch or the last segment is another by now; read the shard
// again. A last segment that would end empty leaves the chain instead, and its id is in the answer.
struct SealAndOpenItem {
  ShardId shard;
  Epoch epoch;
  std::optional<SegmentId> last;  // none: the chain is empty
  Lsn end;                        // of `last`, and so the base of the new one; 0 for the first
  std::vector<Replica> replicas;  // of the new segment
  friend bool operator==(const SealAndOpenItem&, const SealAndOpenItem&) = default;
};
struct SealAndOpenResult {
  Segment opened;
  std::optional<SegmentId> dropped;
  friend bool operator==(const SealAndOpenResult&, const SealAndOpenResult&) = default;
};
struct SealAndOpen {
  using Answer = std::vector<Result<SealAndOpenResult>>;  // per item
  std::vector<SealAndOpenItem> items;
  friend bool operator==(const SealAndOpen&, const SealAndOpen&) = default;
};

// Drops sealed segments that end at or below `below` from the front of the chain. Answers their ids: nobody
// needs them any more, and a store may remove any segment that no chain has. kFenced: another epoch.
// kInvalidArgument: beyond the snapshot.
struct TrimChainItem {
  ShardId shard;
  Epoch epoch;
  Lsn below;
  friend bool operator==(const TrimChainItem&, const TrimChainItem&) = default;
};
struct TrimChain {
  using Answer = std::vector<Result<std::vector<SegmentId>>>;  // per item
  std::vector<TrimChainItem> items;
  friend bool operator==(const TrimChain&, const TrimChain&) = default;
};

// Says that a sealed segment lies elsewhere from now on: on replicas that have all of it on their disks. A
// compare-and-swap on (epoch, where it lay before). kFenced: another epoch, or it lies elsewhere by now.
// kNotFound: the shard has no such segment any more. kInvalidArgument: it is open, or no replicas. Answers
// the shard, without its chain.
struct MoveSegment {
  using Answer = std::vector<Shard>;
  ShardId shard;
  Epoch epoch;
  SegmentId segment;
  std::vector<Replica> before, after;  // in any order
  friend bool operator==(const MoveSegment&, const MoveSegment&) = default;
};

// Publishes a snapshot in the name of an epoch. Answers the one before, whose file may go. kFenced: another
// epoch. kInvalidArgument: older than the present one, or of entries that no chain has had.
struct SetSnapshot {
  using Answer = std::optional<Snapshot>;
  ShardId shard;
  Epoch epoch;
  Snapshot snapshot;
  friend bool operator==(const SetSnapshot&, const SetSnapshot&) = default;
};

// ---- topics --------------------------------------------------------------------------------------------

// kAlreadyExists; kInvalidArgument (name, partitions, configuration, or a name that differs from an existing
// one only in `.` and `_`, as in Kafka); kNotFound (tenant); kNoSpace (a limit of the cluster).
struct CreateTopic {
  using Answer = Topic;
  TenantId tenant;
  std::string name;
  std::int32_t partitions = 1;
  TopicConfig config;
  bool validate_only = false;  // answers the topic as it would be, with no id
  friend bool operator==(const CreateTopic&, const CreateTopic&) = default;
};

// By id if there is one, else by tenant and name. Answers what was deleted.
struct DeleteTopic {
  using Answer = Topic;
  TenantId tenant;
  std::string name;
  std::optional<TopicId> id;
  friend bool operator==(const DeleteTopic&, const DeleteTopic&) = default;
};

// kInvalidArgument: not more than there are. Captured messages stay where they were: the answer's
// configuration says so (stele.capture.partitions).
struct CreatePartitions {
  using Answer = Topic;
  TenantId tenant;
  std::string name;
  std::int32_t count = 0;  // in all
  bool validate_only = false;
  friend bool operator==(const CreatePartitions&, const CreatePartitions&) = default;
};

struct AlterTopicConfig {
  using Answer = Topic;
  TenantId tenant;
  std::string name;
  std::vector<ConfigChange> changes;
  bool reset_others = false;  // Kafka's AlterConfigs: what is not named gets its default
  bool validate_only = false;
  friend bool operator==(const AlterTopicConfig&, const AlterTopicConfig&) = default;
};

// ---- others --------------------------------------------------------------------------------------------

// Never given out before in this cluster.
struct ProducerIds {
  std::int64_t first = 0;
  std::uint32_t count = 0;
  friend bool operator==(const ProducerIds&, const ProducerIds&) = default;
};
struct AllocateProducerIds {
  using Answer = ProducerIds;
  std::uint32_t count = 1000;
  friend bool operator==(const AllocateProducerIds&, const AllocateProducerIds&) = default;
};

// kAlreadyExists; kInvalidArgument: 1 to 255 bytes of printable UTF-8.
struct CreateTenant {
  using Answer = Tenant;
  std::string name;
  friend bool operator==(const CreateTenant&, const CreateTenant&) = default;
};

// kInvalidArgument: the default tenant, or one that still has topics or users.
struct DeleteTenant {
  using Answer = Tenant;
  std::string name;
  friend bool operator==(const DeleteTenant&, const DeleteTenant&) = default;
};

// ---- identities ----------------------------------------------------------------------------------------

// The first user is a super user of the tenant `default`, and there always is one from then on: somebody must
// be able to make others, and a cluster with users never again serves everybody. kAlreadyExists;
// kInvalidArgument; kNotFound (tenant); kNoSpace.
struct CreateUser {
  using Answer = User;
  TenantId tenant;
  std::string name;  // 1 to 255 bytes of printable UTF-8 without ':'
  bool super_user = false;
  std::vector<scram::Credential> credentials;
  friend bool operator==(const CreateUser&, const CreateUser&) = default;
};

struct AlterUser {
  using Answer = User;
  std::string name;
  std::optional<bool> super_user;
  std::optional<std::vector<scram::Credential>> credentials;
  UserId id = UserId(0);  // kNotFound if he has another by now; 0: whoever has the name
  friend bool operator==(const AlterUser&, const AlterUser&) = default;
};

// With his rules and tokens.
struct DeleteUser {
  using Answer = User;
  std::string name;
  UserId id = UserId(0);  // likewise
  friend bool operator==(const DeleteUser&, const DeleteUser&) = default;
};

// Answers the rule with its id. kAlreadyExists: that very rule. kNotFound: no such user in the tenant.
struct CreateAcl {
  using Answer = AclRule;
  AclRule rule;  // without its id
  friend bool operator==(const CreateAcl&, const CreateAcl&) = default;
};

struct DeleteAcl {
  using Answer = AclRule;
  TenantId tenant;
  AclId id;
  friend bool operator==(const DeleteAcl&, const DeleteAcl&) = default;
};

struct CreateToken {
  using Answer = Token;
  Token token;  // created_ms is the envelope's
  friend bool operator==(const CreateToken&, const CreateToken&) = default;
};

struct DeleteToken {
  using Answer = Token;
  UserId user;
  std::string name;
  friend bool operator==(const DeleteToken&, const DeleteToken&) = default;
};

using Command = std::variant<CreateCluster, RegisterNode, TakeShards, SealAndOpen, TrimChain, SetSnapshot,
                             CreateTopic, DeleteTopic, CreatePartitions, AlterTopicConfig,
                             AllocateProducerIds, CreateTenant, DeleteTenant, CreateUser, AlterUser,
                             DeleteUser, CreateAcl, DeleteAcl, CreateToken, DeleteToken, EndIncarnation,
                             DrainNode, RemoveNode, AssignShards, AdmitNode, MoveSegment, ReleaseShard>;
std::string_view name_of(const Command& command);

// All that a command may take from outside the state.
struct Envelope {
  WallTime time;
  Uuid random;
};

}  // namespace stele::meta
