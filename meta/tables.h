// The tables of the meta database, read and written as values. Internal to the state machine.
//
// Reads give what the tables hold at this point of the transaction. After a failure of the database they give
// anything: whoever commits looks at Database::failure() before.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "meta/types.h"
#include "model/ids.h"
#include "storage/sqlite.h"

namespace stele::meta {

// What a command did to the view.
struct ViewChange {
  std::optional<ClusterInfo> cluster;
  std::optional<Tenant> put_tenant;
  std::optional<TenantId> removed_tenant;
  std::optional<Node> put_node;
  std::optional<Topic> put_topic;
  std::optional<TopicId> removed_topic;

  bool any() const {
    return cluster || put_tenant || removed_tenant || put_node || put_topic || removed_topic;
  }
};

class Tables {
 public:
  explicit Tables(storage::Database& database) : database_(database) {}
  storage::Database& database() { return database_; }

  static Result<void> create(storage::Database& database, int schema_version);

  std::optional<ClusterInfo> cluster();
  void set_cluster(const ClusterInfo& cluster);

  // Draws `count` ids; gives the first. Ids begin with 1 (producer ids with 0) and are never drawn twice.
  enum class Counter { kTopic, kTenant, kSegment, kProducer };
  std::uint64_t draw(Counter counter, std::uint64_t count = 1);
  std::uint64_t peek(Counter counter);

  std::vector<Tenant> tenants();
  std::optional<Tenant> tenant(TenantId id);
  std::optional<Tenant> tenant(std::string_view name);
  std::size_t tenant_count();
  bool tenant_has_topics(TenantId id);
  void insert_tenant(const Tenant& tenant);
  void delete_tenant(TenantId id);

  std::vector<Node> nodes();
  std::optional<Node> node(NodeId id);
  void put_node(const Node& node);

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
  void set_owner(const Shard& shard);
  void set_snapshot(ShardId id, const Snapshot& snapshot);

  std::optional<Segment> last_segment(ShardId shard);
  std::vector<Segment> sealed_segments_until(ShardId shard, Lsn below);  // without replicas
  void insert_segment(ShardId shard, const Segment& segment);
  void seal_segment(SegmentId id, Lsn end);
  void delete_segment(SegmentId id);

 private:
  std::vector<Replica> replicas(SegmentId segment);
  storage::Database& database_;
};

}  // namespace stele::meta
