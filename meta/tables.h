// The tables of the meta database, read and written as values. Internal to the state machine.
//
// Reads give what the tables hold at this point of the transaction. After a failure of the database they give
// anything: whoever commits looks at Database::failure() before.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "meta/types.h"
#include "model/ids.h"
#include "model/uuid.h"
#include "storage/sqlite.h"

namespace stele::meta {

// What a command did to the view.
struct ViewChange {
  std::optional<ClusterInfo> cluster;
  std::optional<Tenant> put_tenant;
  std::optional<TenantId> removed_tenant;
  std::optional<Node> put_node;
  std::optional<NodeId> removed_node;
  std::vector<std::pair<ShardId, ShardPlace>> put_shards;
  std::optional<Topic> put_topic;
  std::optional<TopicId> removed_topic;
  std::optional<User> put_user;
  std::optional<UserId> removed_user;
  std::optional<AclRule> put_rule;
  std::optional<AclId> removed_rule;
  std::optional<Token> put_token;
  std::optional<std::string> removed_token;  // its hash
  std::optional<std::string> decoy_secret;   // only with put_user

  bool any() const {
    return cluster || put_tenant || removed_tenant || put_node || removed_node || !put_shards.empty() ||
           put_topic || removed_topic || put_user || removed_user || put_rule || removed_rule || put_token ||
           removed_token;
  }
};

class Tables {
 public:
  explicit Tables(storage::Database& database) : database_(database) {}
  storage::Database& database() { return database_; }

  static Result<void> create(storage::Database& database);
  // From the version that the database has to kSchemaVersion.
  static Result<void> migrate(storage::Database& database, std::int64_t from);
  static constexpr std::int64_t kSchemaVersion = 4;

  std::optional<ClusterInfo> cluster();
  void set_cluster(const ClusterInfo& cluster);

  // Draws `count` ids; gives the first. Ids begin with 1 (producer ids with 0) and are never drawn twice.
  enum class Counter { kTopic, kTenant, kSegment, kProducer, kUser, kRule };
  std::uint64_t draw(Counter counter, std::uint64_t count = 1);
  std::uint64_t peek(Counter counter);

  // Answers to proposals, by the index that they were applied at.
  std::optional<std::string> remembered(const Uuid& proposal);
  void remember(std::uint64_t index, const Uuid& proposal, std::string_view answer);
  void forget_below(std::uint64_t index);

  std::vector<Tenant> tenants();
  std::optional<Tenant> tenant(TenantId id);
  std::optional<Tenant> tenant(std::string_view name);
  std::size_t tenant_count();
  bool tenant_has_topics(TenantId id);
  bool tenant_has_users(TenantId id);
  void insert_tenant(const Tenant& tenant);
  void delete_tenant(TenantId id);

  std::vector<User> users();
  std::optional<User> user(std::string_view name);
  std::optional<User> user(UserId id);
  std::size_t user_count();
  std::size_t administrator_count();  // super users of the default tenant
  void put_user(const User& user);
  void delete_user(UserId id);  // with all that was his
  std::string decoy_secret();   // empty: none yet
  void set_decoy_secret(std::string_view secret);

  std::vector<AclRule> rules();
  std::optional<AclRule> rule(AclId id);
  bool has_rule_like(const AclRule& rule);  // whatever its id
  std::size_t rule_count();
  std::size_t rule_count(TenantId tenant, UserId user);
  void insert_rule(const AclRule& rule);
  void delete_rule(AclId id);
  void delete_rules_of(TenantId tenant);

  std::vector<Token> tokens();
  std::optional<Token> token(UserId user, std::string_view name);
  bool has_token_hash(std::string_view hash);
  std::size_t token_count();
  std::size_t token_count(UserId user);
  void insert_token(const Token& token);
  void delete_token(UserId user, std::string_view name);

  std::vector<Node> nodes();
  std::optional<Node> node(NodeId id);      // none: never, or removed
  Incarnation last_incarnation(NodeId id);  // 0: it never had any; of one that was removed, too
  void put_node(const Node& node);
  void remove_node(NodeId id);
  bool node_has_shards(NodeId id);    // assigned to it
  bool node_has_segments(NodeId id);  // that lie there; or snapshots that are segments

  std::vector<Topic> topics();
  std::optional<Topic> topic(TopicId id);
  std::optional<TopicId> find_topic(TenantId tenant, std::string_view name);
  // The name of the topic that Kafka would not tell from `name`: `.` and `_` are one in its metrics.
  std::optional<std::string> colliding_name(TenantId tenant, std::string_view name);
  std::size_t topic_count();
  std::size_t partition_count();
  bool has_uuid(const Uuid& uuid);
  void insert_topic(const Topic& topic);
  void delete_topic(const Topic& topic);
  void add_partitions(const Topic& topic, std::size_t from);  // those of topic.shards from there on
  void set_config(TopicId id, const TopicConfig& config);

  void insert_shards(std::uint32_t count);
  // Without its chain.
  std::optional<Shard> shard_head(ShardId id);
  std::optional<Shard> shard(ShardId id);
  std::vector<ShardPlace> shard_places();
  void set_owner(const Shard& shard);
  void set_assigned(ShardId id, NodeId node);
  void set_snapshot(ShardId id, const Snapshot& snapshot);

  std::optional<Segment> segment(ShardId shard, SegmentId id);
  std::optional<Segment> last_segment(ShardId shard);
  std::vector<Segment> sealed_segments_until(ShardId shard, Lsn below);  // without replicas
  void insert_segment(ShardId shard, const Segment& segment);
  void seal_segment(SegmentId id, Lsn end);
  void place_segment(SegmentId id, const std::vector<Replica>& replicas);
  void delete_segment(SegmentId id);

 private:
  void insert_replicas(SegmentId id, const std::vector<Replica>& replicas);

  storage::Database& database_;
};

}  // namespace stele::meta
