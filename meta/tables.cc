#include "meta/tables.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/wire.h"
#include "storage/sqlite.h"

namespace stele::meta {
namespace {

using storage::Blob;
using storage::Database;

constexpr const char* kSchema = R"(
CREATE TABLE cluster(
  only INTEGER PRIMARY KEY CHECK(only = 1),
  id TEXT,                          -- NULL: no cluster yet
  shard_count INTEGER NOT NULL,
  applied INTEGER NOT NULL,         -- index of the last command
  view_version INTEGER NOT NULL,
  next_topic INTEGER NOT NULL,
  next_tenant INTEGER NOT NULL,
  next_segment INTEGER NOT NULL,
  next_producer INTEGER NOT NULL,
  partitions INTEGER NOT NULL       -- of all topics
) STRICT;
INSERT INTO cluster VALUES(1, NULL, 0, 0, 0, 1, 1, 1, 0, 0);
CREATE TABLE tenants(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE nodes(
  id INTEGER PRIMARY KEY,
  incarnation INTEGER NOT NULL
) STRICT;
CREATE TABLE node_addresses(
  node INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  listener TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  PRIMARY KEY(node, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE topics(
  id INTEGER PRIMARY KEY,
  uuid BLOB NOT NULL UNIQUE,        -- 16 bytes
  tenant INTEGER NOT NULL,
  name TEXT NOT NULL,
  plain_name TEXT NOT NULL,         -- with `_` for each `.`
  created_ms INTEGER NOT NULL,
  UNIQUE(tenant, plain_name)
) STRICT;
CREATE TABLE topic_configs(
  topic INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY(topic, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE partitions(
  topic INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  PRIMARY KEY(topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE shards(
  id INTEGER PRIMARY KEY,
  owner INTEGER NOT NULL,
  owner_incarnation INTEGER NOT NULL,
  epoch INTEGER NOT NULL,           -- 0: never owned
  snapshot_lsn INTEGER,
  snapshot_file TEXT
) STRICT;
CREATE TABLE segments(
  id INTEGER PRIMARY KEY,
  shard INTEGER NOT NULL,
  base INTEGER NOT NULL,
  "end" INTEGER,                    -- NULL: open
  epoch INTEGER NOT NULL,
  UNIQUE(shard, base)
) STRICT;
CREATE TABLE replicas(
  segment INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  node INTEGER NOT NULL,
  disk INTEGER NOT NULL,
  PRIMARY KEY(segment, ordinal)
) STRICT, WITHOUT ROWID;
)";

// Version 2: users and what they may do.
constexpr const char* kIdentitySchema = R"(
ALTER TABLE cluster ADD COLUMN next_user INTEGER NOT NULL DEFAULT 1;
ALTER TABLE cluster ADD COLUMN next_rule INTEGER NOT NULL DEFAULT 1;
ALTER TABLE cluster ADD COLUMN decoy_secret BLOB;  -- NULL: no password yet
CREATE TABLE users(
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  name TEXT NOT NULL UNIQUE,
  super_user INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE credentials(
  user INTEGER NOT NULL,
  hash INTEGER NOT NULL,            -- 1: SHA-256, 2: SHA-512
  salt BLOB NOT NULL,
  iterations INTEGER NOT NULL,
  stored_key BLOB NOT NULL,
  server_key BLOB NOT NULL,
  PRIMARY KEY(user, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE rules(
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  user INTEGER NOT NULL,            -- 0: all of the tenant
  allow INTEGER NOT NULL,
  resource INTEGER NOT NULL,
  pattern_kind INTEGER NOT NULL,
  pattern TEXT NOT NULL,
  operations INTEGER NOT NULL
) STRICT;
CREATE INDEX rules_of_user ON rules(tenant, user);
CREATE TABLE tokens(
  user INTEGER NOT NULL,
  name TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,      -- 0: never
  PRIMARY KEY(user, name)
) STRICT, WITHOUT ROWID;
)";

// Version 3: a cluster of several nodes. Proposals may come again.
constexpr const char* kGroupSchema = R"(
ALTER TABLE nodes ADD COLUMN roles INTEGER NOT NULL DEFAULT 7;
ALTER TABLE nodes ADD COLUMN zone TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN disk INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN product TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN state INTEGER NOT NULL DEFAULT 1;  -- 0: ended, 1: lives, 2: removed
ALTER TABLE nodes ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shards ADD COLUMN assigned INTEGER;                 -- NULL: to nobody
CREATE TABLE proposals(
  "index" INTEGER PRIMARY KEY,      -- that it was applied at
  id BLOB NOT NULL UNIQUE,          -- 16 bytes
  answer BLOB NOT NULL
) STRICT;
)";

// Version 4: which data directory is a node.
constexpr const char* kDirectorySchema = R"(
ALTER TABLE nodes ADD COLUMN directory BLOB NOT NULL DEFAULT x'';  -- 16 bytes; none: a node alone
)";

std::string plain(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '.', '_');
  return out;
}

std::string bytes_of(const Uuid& uuid) {
  std::string bytes(16, '\0');
  store_be(bytes.data(), uuid.high);
  store_be(bytes.data() + 8, uuid.low);
  return bytes;
}
Uuid uuid_of(std::string_view bytes) {
  if (bytes.size() != 16) return {};
  return {load_be<std::uint64_t>(bytes.data()), load_be<std::uint64_t>(bytes.data() + 8)};
}

std::optional<Lsn> lsn_or_null(const Database::Query& query, int column) {
  if (query.is_null(column)) return std::nullopt;
  return Lsn(query.unsigned_integer(column));
}

// Columns id, base, end, epoch.
Segment segment_of(const Database::Query& query) {
  return Segment{.id = SegmentId(query.unsigned_integer(0)),
                 .base = Lsn(query.unsigned_integer(1)),
                 .end = lsn_or_null(query, 2),
                 .epoch = Epoch(query.unsigned_integer(3)),
                 .replicas = {}};
}

std::optional<NodeId> node_or_null(const Database::Query& query, int column) {
  if (query.is_null(column)) return std::nullopt;
  return NodeId(static_cast<std::uint32_t>(query.integer(column)));
}

// Columns id, name.
std::optional<Tenant> tenant_of(Database::Query query) {
  if (!query.next()) return std::nullopt;
  return Tenant{.id = TenantId(static_cast<std::uint32_t>(query.integer(0))),
                .name = std::string(query.text(1))};
}

std::size_t count_of(Database::Query query) {
  return query.next() ? static_cast<std::size_t>(query.integer(0)) : 0;
}

}  // namespace

Result<void> Tables::create(Database& database) {
  database.begin();
  database.run_script(kSchema);
  database.run_script(kIdentitySchema);
  database.run_script(kGroupSchema);
  database.run_script(kDirectorySchema);
  // "Stel": tells our files from other SQLite databases.
  database.run_script("PRAGMA application_id = 1400137068; PRAGMA user_version = " +
                      std::to_string(kSchemaVersion));
  database.commit();
  if (database.failure()) return std::unexpected(*database.failure());
  return {};
}

Result<void> Tables::migrate(Database& database, std::int64_t from) {
  STELE_ASSERT(from >= 1 && from < kSchemaVersion);
  database.begin();
  if (from < 2) {
    STELE_MARK("meta: database of version 1 brought up to date");
    database.run_script(kIdentitySchema);
  }
  if (from < 3) database.run_script(kGroupSchema);
  database.run_script(kDirectorySchema);
  database.run_script("PRAGMA user_version = " + std::to_string(kSchemaVersion));
  database.commit();
  if (database.failure()) return std::unexpected(*database.failure());
  return {};
}

// ---- cluster, tenants, nodes ---------------------------------------------------------------------------

std::optional<ClusterInfo> Tables::cluster() {
  auto query = database_.query("SELECT id, shard_count FROM cluster");
  if (!query.next() || query.is_null(0)) return std::nullopt;
  return ClusterInfo{.id = std::string(query.text(0)),
                     .shard_count = static_cast<std::uint32_t>(query.integer(1))};
}

void Tables::set_cluster(const ClusterInfo& cluster) {
  database_.run("UPDATE cluster SET id = ?1, shard_count = ?2", std::string_view(cluster.id),
                cluster.shard_count);
}

std::optional<std::string> Tables::remembered(const Uuid& proposal) {
  const auto bytes = bytes_of(proposal);
  auto query = database_.query("SELECT answer FROM proposals WHERE id = ?1", Blob{bytes});
  if (!query.next()) return std::nullopt;
  return std::string(query.text(0));
}

void Tables::remember(std::uint64_t index, const Uuid& proposal, std::string_view answer) {
  const auto bytes = bytes_of(proposal);
  database_.run("INSERT INTO proposals VALUES(?1, ?2, ?3)", index, Blob{bytes}, Blob{answer});
}

void Tables::forget_below(std::uint64_t index) {
  database_.run("DELETE FROM proposals WHERE \"index\" < ?1", index);
}

std::uint64_t Tables::peek(Counter counter) {
  auto query = database_.query(
      "SELECT next_topic, next_tenant, next_segment, next_producer, next_user, next_rule FROM cluster");
  return query.next() ? query.unsigned_integer(static_cast<int>(counter)) : 0;
}

std::uint64_t Tables::draw(Counter counter, std::uint64_t count) {
  static constexpr std::array<std::string_view, 6> kStatements = {
      "UPDATE cluster SET next_topic = next_topic + ?1",
      "UPDATE cluster SET next_tenant = next_tenant + ?1",
      "UPDATE cluster SET next_segment = next_segment + ?1",
      "UPDATE cluster SET next_producer = next_producer + ?1",
      "UPDATE cluster SET next_user = next_user + ?1",
      "UPDATE cluster SET next_rule = next_rule + ?1",
  };
  const std::uint64_t first = peek(counter);
  database_.run(kStatements[static_cast<std::size_t>(counter)], count);
  return first;
}

std::vector<Tenant> Tables::tenants() {
  std::vector<Tenant> tenants;
  auto query = database_.query("SELECT id, name FROM tenants ORDER BY id");
  while (query.next()) {
    tenants.push_back({TenantId(static_cast<std::uint32_t>(query.integer(0))), std::string(query.text(1))});
  }
  return tenants;
}

std::optional<Tenant> Tables::tenant(TenantId id) {
  return tenant_of(database_.query("SELECT id, name FROM tenants WHERE id = ?1", id.value));
}

std::optional<Tenant> Tables::tenant(std::string_view name) {
  return tenant_of(database_.query("SELECT id, name FROM tenants WHERE name = ?1", name));
}

std::size_t Tables::tenant_count() {
  return count_of(database_.query("SELECT count(*) FROM tenants"));
}

bool Tables::tenant_has_topics(TenantId id) {
  return database_.query("SELECT 1 FROM topics WHERE tenant = ?1 LIMIT 1", id.value).next();
}

bool Tables::tenant_has_users(TenantId id) {
  return database_.query("SELECT 1 FROM users WHERE tenant = ?1 LIMIT 1", id.value).next();
}

void Tables::insert_tenant(const Tenant& tenant) {
  database_.run("INSERT INTO tenants VALUES(?1, ?2)", tenant.id.value, std::string_view(tenant.name));
}

void Tables::delete_tenant(TenantId id) {
  database_.run("DELETE FROM tenants WHERE id = ?1", id.value);
}

std::vector<Node> Tables::nodes() {
  std::vector<NodeId> ids;
  {
    auto query = database_.query("SELECT id FROM nodes WHERE state < 2 ORDER BY id");
    while (query.next()) ids.emplace_back(static_cast<std::uint32_t>(query.integer(0)));
  }
  std::vector<Node> nodes;
  for (NodeId id : ids) {
    if (auto found = node(id)) nodes.push_back(*std::move(found));
  }
  return nodes;
}

std::optional<Node> Tables::node(NodeId id) {
  Node node;
  node.id = id;
  {
    auto query = database_.query(
        "SELECT incarnation, roles, zone, disk, product, state, draining, directory FROM nodes "
        "WHERE id = ?1 AND state < 2",
        id.value);
    if (!query.next()) return std::nullopt;
    node.incarnation = Incarnation(query.unsigned_integer(0));
    node.roles = static_cast<std::uint32_t>(query.integer(1));
    node.zone = query.text(2);
    node.disk = query.unsigned_integer(3);
    node.product = query.text(4);
    node.lives = query.integer(5) == 1;
    node.draining = query.integer(6) != 0;
    node.leaving = query.integer(6) == 2;
    node.directory = uuid_of(query.text(7));
  }
  auto query = database_.query(
      "SELECT listener, host, port FROM node_addresses WHERE node = ?1 ORDER BY ordinal", id.value);
  while (query.next()) {
    node.addresses.push_back({.listener = std::string(query.text(0)),
                              .host = std::string(query.text(1)),
                              .port = static_cast<std::uint16_t>(query.integer(2))});
  }
  return node;
}

void Tables::put_node(const Node& node) {
  const std::string directory = node.directory.is_zero() ? std::string() : bytes_of(node.directory);
  database_.run(
      "INSERT OR REPLACE INTO nodes(id, incarnation, roles, zone, disk, product, state, draining, directory) "
      "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
      node.id.value, node.incarnation.value, node.roles, std::string_view(node.zone), node.disk,
      std::string_view(node.product), node.lives ? 1 : 0,
      node.leaving    ? 2
      : node.draining ? 1
                      : 0,
      Blob{directory});
  database_.run("DELETE FROM node_addresses WHERE node = ?1", node.id.value);
  for (std::size_t i = 0; i < node.addresses.size(); ++i) {
    const NodeAddress& address = node.addresses[i];
    database_.run("INSERT INTO node_addresses VALUES(?1, ?2, ?3, ?4, ?5)", node.id.value, i,
                  std::string_view(address.listener), std::string_view(address.host), address.port);
  }
}

Incarnation Tables::last_incarnation(NodeId id) {
  auto query = database_.query("SELECT incarnation FROM nodes WHERE id = ?1", id.value);
  return query.next() ? Incarnation(query.unsigned_integer(0)) : Incarnation(0);
}

void Tables::remove_node(NodeId id) {
  database_.run("UPDATE nodes SET state = 2, draining = 0 WHERE id = ?1", id.value);
  database_.run("DELETE FROM node_addresses WHERE node = ?1", id.value);
}

bool Tables::node_has_shards(NodeId id) {
  return database_.query("SELECT 1 FROM shards WHERE assigned = ?1 LIMIT 1", id.value).next();
}

bool Tables::node_has_segments(NodeId id) {
  if (database_.query("SELECT 1 FROM replicas WHERE node = ?1 LIMIT 1", id.value).next()) return true;
  // As journal::SnapshotSegment names them.
  const std::string snapshots = "segment % " + std::to_string(id.value) + "/%";
  return database_
      .query("SELECT 1 FROM shards WHERE snapshot_file LIKE ?1 LIMIT 1", std::string_view(snapshots))
      .next();
}

// ---- topics --------------------------------------------------------------------------------------------

std::vector<Topic> Tables::topics() {
  std::vector<TopicId> ids;
  {
    auto query = database_.query("SELECT id FROM topics ORDER BY id");
    while (query.next()) ids.emplace_back(query.unsigned_integer(0));
  }
  std::vector<Topic> topics;
  topics.reserve(ids.size());
  for (TopicId id : ids) {
    if (auto found = topic(id)) topics.push_back(*std::move(found));
  }
  return topics;
}

std::optional<Topic> Tables::topic(TopicId id) {
  Topic topic{.id = id, .uuid = {}, .tenant = {}, .name = {}, .shards = {}, .config = {}, .created_ms = 0};
  {
    auto query = database_.query("SELECT uuid, tenant, name, created_ms FROM topics WHERE id = ?1", id.value);
    if (!query.next()) return std::nullopt;
    topic.uuid = uuid_of(query.text(0));
    topic.tenant = TenantId(static_cast<std::uint32_t>(query.integer(1)));
    topic.name = query.text(2);
    topic.created_ms = query.integer(3);
  }
  {
    auto query =
        database_.query("SELECT shard FROM partitions WHERE topic = ?1 ORDER BY partition", id.value);
    while (query.next()) topic.shards.emplace_back(static_cast<std::uint32_t>(query.integer(0)));
  }
  std::vector<ConfigPair> pairs;
  auto query =
      database_.query("SELECT name, value FROM topic_configs WHERE topic = ?1 ORDER BY name", id.value);
  while (query.next()) pairs.emplace_back(query.text(0), query.text(1));
  if (auto config = parse_topic_config(pairs)) topic.config = *std::move(config);
  return topic;
}

std::optional<TopicId> Tables::find_topic(TenantId tenant, std::string_view name) {
  auto query = database_.query("SELECT id, name FROM topics WHERE tenant = ?1 AND plain_name = ?2",
                               tenant.value, std::string_view(plain(name)));
  if (!query.next() || query.text(1) != name) return std::nullopt;
  return TopicId(query.unsigned_integer(0));
}

std::optional<std::string> Tables::colliding_name(TenantId tenant, std::string_view name) {
  auto query = database_.query("SELECT name FROM topics WHERE tenant = ?1 AND plain_name = ?2", tenant.value,
                               std::string_view(plain(name)));
  if (!query.next()) return std::nullopt;
  return std::string(query.text(0));
}

std::size_t Tables::topic_count() {
  return count_of(database_.query("SELECT count(*) FROM topics"));
}

std::size_t Tables::partition_count() {
  return count_of(database_.query("SELECT partitions FROM cluster"));
}

bool Tables::has_uuid(const Uuid& uuid) {
  return database_.query("SELECT 1 FROM topics WHERE uuid = ?1", Blob{bytes_of(uuid)}).next();
}

void Tables::insert_topic(const Topic& topic) {
  database_.run("INSERT INTO topics VALUES(?1, ?2, ?3, ?4, ?5, ?6)", topic.id.value,
                Blob{bytes_of(topic.uuid)}, topic.tenant.value, std::string_view(topic.name),
                std::string_view(plain(topic.name)), topic.created_ms);
  add_partitions(topic, 0);
  set_config(topic.id, topic.config);
}

void Tables::add_partitions(const Topic& topic, std::size_t from) {
  for (std::size_t i = from; i < topic.shards.size(); ++i) {
    database_.run("INSERT INTO partitions VALUES(?1, ?2, ?3)", topic.id.value, i, topic.shards[i].value);
  }
  database_.run("UPDATE cluster SET partitions = partitions + ?1", topic.shards.size() - from);
}

void Tables::delete_topic(const Topic& topic) {
  database_.run("DELETE FROM topics WHERE id = ?1", topic.id.value);
  database_.run("DELETE FROM partitions WHERE topic = ?1", topic.id.value);
  database_.run("DELETE FROM topic_configs WHERE topic = ?1", topic.id.value);
  database_.run("UPDATE cluster SET partitions = partitions - ?1", topic.shards.size());
}

void Tables::set_config(TopicId id, const TopicConfig& config) {
  database_.run("DELETE FROM topic_configs WHERE topic = ?1", id.value);
  for (const auto& [name, value] : non_defaults(config)) {
    database_.run("INSERT INTO topic_configs VALUES(?1, ?2, ?3)", id.value, std::string_view(name),
                  std::string_view(value));
  }
}

// ---- shards and segments -------------------------------------------------------------------------------

void Tables::insert_shards(std::uint32_t count) {
  for (std::uint32_t id = 0; id < count; ++id) {
    database_.run("INSERT INTO shards(id, owner, owner_incarnation, epoch) VALUES(?1, 0, 0, 0)", id);
  }
}

std::optional<Shard> Tables::shard_head(ShardId id) {
  auto query = database_.query(
      "SELECT owner, owner_incarnation, epoch, snapshot_lsn, snapshot_file, assigned FROM shards "
      "WHERE id = ?1",
      id.value);
  if (!query.next()) return std::nullopt;
  Shard shard{.id = id,
              .assigned = node_or_null(query, 5),
              .owner = NodeId(static_cast<std::uint32_t>(query.integer(0))),
              .owner_incarnation = Incarnation(query.unsigned_integer(1)),
              .epoch = Epoch(query.unsigned_integer(2)),
              .chain = {},
              .snapshot = std::nullopt};
  if (auto lsn = lsn_or_null(query, 3)) shard.snapshot = Snapshot{*lsn, std::string(query.text(4))};
  return shard;
}

std::optional<Shard> Tables::shard(ShardId id) {
  auto shard = shard_head(id);
  if (!shard) return std::nullopt;
  auto query = database_.query(
      "SELECT id, base, \"end\", epoch, node, disk FROM segments LEFT JOIN replicas ON segment = id "
      "WHERE shard = ?1 ORDER BY base, ordinal",
      id.value);
  while (query.next()) {
    Segment segment = segment_of(query);
    if (shard->chain.empty() || shard->chain.back().id != segment.id) {
      shard->chain.push_back(std::move(segment));
    }
    if (query.is_null(4)) continue;
    shard->chain.back().replicas.push_back(
        {NodeId(static_cast<std::uint32_t>(query.integer(4))), query.unsigned_integer(5)});
  }
  return shard;
}

std::vector<ShardPlace> Tables::shard_places() {
  auto query = database_.query("SELECT assigned, owner, owner_incarnation, epoch FROM shards ORDER BY id");
  std::vector<ShardPlace> places;
  while (query.next()) {
    places.push_back({.assigned = node_or_null(query, 0),
                      .owner = NodeId(static_cast<std::uint32_t>(query.integer(1))),
                      .owner_incarnation = Incarnation(query.unsigned_integer(2)),
                      .epoch = Epoch(query.unsigned_integer(3))});
  }
  return places;
}

void Tables::set_assigned(ShardId id, NodeId node) {
  database_.run("UPDATE shards SET assigned = ?2 WHERE id = ?1", id.value, node.value);
}

void Tables::set_owner(const Shard& shard) {
  database_.run("UPDATE shards SET owner = ?2, owner_incarnation = ?3, epoch = ?4 WHERE id = ?1",
                shard.id.value, shard.owner.value, shard.owner_incarnation.value, shard.epoch.value);
}

void Tables::set_snapshot(ShardId id, const Snapshot& snapshot) {
  database_.run("UPDATE shards SET snapshot_lsn = ?2, snapshot_file = ?3 WHERE id = ?1", id.value,
                snapshot.lsn.value, std::string_view(snapshot.file));
}

std::optional<Segment> Tables::last_segment(ShardId shard) {
  auto query = database_.query(
      "SELECT id, base, \"end\", epoch FROM segments WHERE shard = ?1 ORDER BY base DESC LIMIT 1",
      shard.value);
  if (!query.next()) return std::nullopt;
  return segment_of(query);
}

std::optional<Segment> Tables::segment(ShardId shard, SegmentId id) {
  std::optional<Segment> segment;
  {
    auto query = database_.query("SELECT id, base, \"end\", epoch FROM segments WHERE id = ?1 AND shard = ?2",
                                 id.value, shard.value);
    if (!query.next()) return std::nullopt;
    segment = segment_of(query);
  }
  auto query =
      database_.query("SELECT node, disk FROM replicas WHERE segment = ?1 ORDER BY ordinal", id.value);
  while (query.next()) {
    segment->replicas.push_back(
        {NodeId(static_cast<std::uint32_t>(query.integer(0))), query.unsigned_integer(1)});
  }
  return segment;
}

std::vector<Segment> Tables::sealed_segments_until(ShardId shard, Lsn below) {
  std::vector<Segment> segments;
  auto query = database_.query(
      "SELECT id, base, \"end\", epoch FROM segments WHERE shard = ?1 AND \"end\" <= ?2 ORDER BY base",
      shard.value, below.value);
  while (query.next()) segments.push_back(segment_of(query));
  return segments;
}

void Tables::insert_segment(ShardId shard, const Segment& segment) {
  database_.run("INSERT INTO segments VALUES(?1, ?2, ?3, NULL, ?4)", segment.id.value, shard.value,
                segment.base.value, segment.epoch.value);
  insert_replicas(segment.id, segment.replicas);
}

void Tables::insert_replicas(SegmentId id, const std::vector<Replica>& replicas) {
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    database_.run("INSERT INTO replicas VALUES(?1, ?2, ?3, ?4)", id.value, i, replicas[i].node.value,
                  replicas[i].disk);
  }
}

void Tables::place_segment(SegmentId id, const std::vector<Replica>& replicas) {
  database_.run("DELETE FROM replicas WHERE segment = ?1", id.value);
  insert_replicas(id, replicas);
}

void Tables::seal_segment(SegmentId id, Lsn end) {
  database_.run("UPDATE segments SET \"end\" = ?2 WHERE id = ?1", id.value, end.value);
}

void Tables::delete_segment(SegmentId id) {
  database_.run("DELETE FROM segments WHERE id = ?1", id.value);
  database_.run("DELETE FROM replicas WHERE segment = ?1", id.value);
}

}  // namespace stele::meta
