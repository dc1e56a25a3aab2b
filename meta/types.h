// What the meta service keeps: plain values, and the copy of them that brokers work with.
//
// Everything here is immutable once handed out and may be read on any core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "meta/identities.h"
#include "meta/topic_config.h"
#include "model/ids.h"
#include "model/uuid.h"

namespace stele::meta {

// A process of a node, from its start to its end: each start takes a higher one.
using Incarnation = StrongIndex<struct IncarnationTag>;

struct ClusterInfo {
  std::string id;  // 22 characters, as Kafka's cluster ids
  std::uint32_t shard_count = 0;
  friend bool operator==(const ClusterInfo&, const ClusterInfo&) = default;
};

struct Tenant {
  TenantId id;
  std::string name;
  friend bool operator==(const Tenant&, const Tenant&) = default;
};
inline constexpr std::string_view kDefaultTenantName = "default";

// Where a node listens for one protocol.
struct NodeAddress {
  std::string listener;  // "kafka", "mqtt", "rpc", …
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
};

// What a node does: a sum of these.
enum NodeRole : std::uint32_t { kMetaRole = 1, kJournalRole = 2, kBrokerRole = 4 };
inline constexpr std::uint32_t kAllRoles = kMetaRole | kJournalRole | kBrokerRole;

struct Node {
  NodeId id;
  Incarnation incarnation;
  std::vector<NodeAddress> addresses;
  std::uint32_t roles = kAllRoles;
  std::string zone;        // nodes of one fail together
  std::uint64_t disk = 0;  // of its journal: SegmentStore::incarnation; 0: it has told of none
  std::string product;     // name and version, for people
  bool lives = true;       // false: this incarnation has ended
  bool draining = false;   // it shall own nothing, so that it can be stopped
  bool leaving = false;    // for good: it shall keep nothing either. Then it is being drained, too
  Uuid directory;          // its data directory, which nobody else is this node with; zero: of a node alone
  friend bool operator==(const Node&, const Node&) = default;
};

struct Topic {
  TopicId id;
  Uuid uuid;
  TenantId tenant;
  std::string name;
  std::vector<ShardId> shards;  // of each partition
  TopicConfig config;
  std::int64_t created_ms = 0;

  std::int32_t partition_count() const { return static_cast<std::int32_t>(shards.size()); }
  // The first so many take captured messages.
  std::int32_t capture_partition_count() const {
    return config.capture_partitions > 0 ? config.capture_partitions : partition_count();
  }
  friend bool operator==(const Topic&, const Topic&) = default;
};

// A copy of a segment: where it lies. A node whose disk was replaced comes back with another disk.
struct Replica {
  NodeId node;
  std::uint64_t disk = 0;  // SegmentStore::incarnation
  friend auto operator<=>(const Replica&, const Replica&) = default;
};

// One link of a shard's chain: entries [base, end) of its log.
struct Segment {
  SegmentId id;
  Lsn base;
  std::optional<Lsn> end;  // none: open, and the last of the chain
  Epoch epoch;             // of its one writer
  std::vector<Replica> replicas;
  friend bool operator==(const Segment&, const Segment&) = default;
};

// The state after all entries below `lsn`; replay begins with entry `lsn`.
struct Snapshot {
  Lsn lsn;
  std::string file;
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

struct Shard {
  ShardId id;
  std::optional<NodeId> assigned;  // who shall own it, and nobody else; none: whoever takes it
  NodeId owner;                    // who took it last
  Incarnation owner_incarnation;
  Epoch epoch;                 // 0: nobody has owned it yet
  std::vector<Segment> chain;  // contiguous; only the last is open
  std::optional<Snapshot> snapshot;
  friend bool operator==(const Shard&, const Shard&) = default;
};

// Who owns a shard, as the view tells it.
struct ShardPlace {
  std::optional<NodeId> assigned;
  NodeId owner;
  Incarnation owner_incarnation;
  Epoch epoch;
  friend bool operator==(const ShardPlace&, const ShardPlace&) = default;
};

// What brokers need of the metadata, as of one version. A newer version is another object; whoever holds a
// pointer to a topic holds the view.
class MetaView {
 public:
  using TopicPtr = std::shared_ptr<const Topic>;
  // Topics are in order of tenant, then name.
  struct NameKey {
    TenantId tenant;
    std::string name;
    friend auto operator<=>(const NameKey&, const NameKey&) = default;
  };
  struct NameView {
    TenantId tenant;
    std::string_view name;
  };
  struct NameOrder {
    using is_transparent = void;
    static NameView view(const NameKey& key) { return {key.tenant, key.name}; }
    static NameView view(const NameView& key) { return key; }
    bool operator()(const auto& a, const auto& b) const {
      const NameView x = view(a), y = view(b);
      return x.tenant != y.tenant ? x.tenant < y.tenant : x.name < y.name;
    }
  };
  using Topics = std::map<TopicId, TopicPtr>;
  using TopicNames = std::map<NameKey, TopicPtr, NameOrder>;

  // Grows with each change.
  std::uint64_t version() const { return version_; }
  // No cluster id while no cluster has been made.
  const ClusterInfo& cluster() const { return cluster_; }
  const Topics& topics() const { return topics_; }
  const TopicNames& topics_by_name() const { return names_; }
  const std::map<TenantId, Tenant>& tenants() const { return tenants_; }
  const std::map<NodeId, Node>& nodes() const { return nodes_; }
  // By number.
  const std::vector<ShardPlace>& shards() const { return *shards_; }
  // Another object when any user, rule or token changed.
  const std::shared_ptr<const Identities>& identities() const { return identities_; }

  // Null if there is none. Valid as long as this view.
  const Topic* find_topic(TopicId id) const;
  const Topic* find_topic(TenantId tenant, std::string_view name) const;
  const Topic* find_topic(const Uuid& uuid) const;
  const Tenant* find_tenant(std::string_view name) const;
  std::optional<ShardId> shard_of(StreamId stream) const;

 private:
  friend class MetaViewBuilder;
  std::uint64_t version_ = 0;
  ClusterInfo cluster_;
  Topics topics_;
  TopicNames names_;
  std::map<Uuid, TopicPtr> uuids_;
  std::map<TenantId, Tenant> tenants_;
  std::map<std::string, TenantId, std::less<>> tenant_names_;
  std::map<NodeId, Node> nodes_;
  std::shared_ptr<const std::vector<ShardPlace>> shards_ = std::make_shared<const std::vector<ShardPlace>>();
  std::shared_ptr<const Identities> identities_ = std::make_shared<const Identities>();
};

// Makes a view out of the one before it.
class MetaViewBuilder {
 public:
  MetaViewBuilder() = default;
  explicit MetaViewBuilder(const MetaView& before) : view_(before) {}

  void set_cluster(ClusterInfo cluster) { view_.cluster_ = std::move(cluster); }
  void put_topic(Topic topic);
  void remove_topic(TopicId id);
  void put_tenant(Tenant tenant);
  void remove_tenant(TenantId id);
  void put_node(Node node);
  void remove_node(NodeId id) { view_.nodes_.erase(id); }
  void put_shard(ShardId id, const ShardPlace& place);
  void put_user(User user) { identities().put(std::move(user)); }
  void set_decoy_secret(std::string secret) { identities().decoy_secret = std::move(secret); }
  void remove_user(UserId id) { identities().remove(id); }
  void put_rule(AclRule rule);
  void remove_rule(AclId id) { identities().rules.erase(id); }
  void put_token(Token token);
  void remove_token(const std::string& hash) { identities().tokens.erase(hash); }
  std::shared_ptr<const MetaView> finish(std::uint64_t version) &&;

 private:
  Identities& identities();
  MetaView view_;
  // This builder's own, once something changes.
  std::shared_ptr<Identities> identities_;
  std::shared_ptr<std::vector<ShardPlace>> shards_;
};

}  // namespace stele::meta
