// Commands about the cluster, its nodes and tenants, and the ids of producers.
#include <algorithm>
#include <set>
#include <string>

#include "base/mutants_of_raft.h"
#include "meta/handlers.h"
#include "model/utf8.h"

namespace stele::meta {
namespace {

constexpr std::size_t kMaxAddresses = 64;
constexpr std::size_t kMaxNameBytes = 255;

}  // namespace

bool is_printable_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && is_clean_utf8(name) &&
         std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<ClusterInfo> handle(Context context, const CreateCluster& command) {
  if (!context.cluster.id.empty()) {
    return error(ErrorCode::kAlreadyExists, "there is a cluster already: " + context.cluster.id);
  }
  if (command.shard_count < 1 || command.shard_count > kMaxShards) {
    return error(ErrorCode::kInvalidArgument, "a cluster has 1 to " + std::to_string(kMaxShards) +
                                                  " shards, not " + std::to_string(command.shard_count));
  }
  const Uuid& random = context.envelope.random;
  const Uuid id = command.id.is_zero() ? Uuid::from_random(random.high, random.low) : command.id;
  ClusterInfo cluster{.id = id.to_string(), .shard_count = command.shard_count};
  const Tenant tenant{.id = kDefaultTenant, .name = std::string(kDefaultTenantName)};
  context.tables.set_cluster(cluster);
  context.tables.insert_tenant(tenant);
  context.tables.insert_shards(command.shard_count);
  context.change.cluster = cluster;
  context.change.put_tenant = tenant;
  for (std::uint32_t shard = 0; shard < command.shard_count; ++shard)
    context.change.put_shards.emplace_back(ShardId(shard), ShardPlace());
  return cluster;
}

namespace {

// Of AdmitNode and RegisterNode.
template <class C>
Result<void> check_node(const C& command) {
  if (command.addresses.size() > kMaxAddresses) {
    return error(ErrorCode::kInvalidArgument,
                 "a node has at most " + std::to_string(kMaxAddresses) + " addresses");
  }
  for (const NodeAddress& address : command.addresses) {
    if (!is_printable_name(address.listener) || !is_printable_name(address.host)) {
      return error(ErrorCode::kInvalidArgument,
                   "a node's address has a listener and a host, of printable text");
    }
  }
  if (command.roles == 0 || (command.roles & ~kAllRoles) != 0) {
    return error(ErrorCode::kInvalidArgument, "a node has one role at least, and none that there is not");
  }
  if (!command.zone.empty() && !is_printable_name(command.zone)) {
    return error(ErrorCode::kInvalidArgument, "the name of a zone is at most 255 bytes of printable UTF-8");
  }
  if (command.product.size() > kMaxNameBytes) {
    return error(ErrorCode::kInvalidArgument, "the name of a product has at most 255 bytes");
  }
  return {};
}

std::unexpected<Error> another_directory(NodeId id) {
  return error(ErrorCode::kAlreadyExists,
               "another data directory is node " + std::to_string(id.value) +
                   " of the cluster: take another number, or remove that node first");
}

}  // namespace

Result<Node> handle(Context context, const AdmitNode& command) {
  STELE_CHECK(check_node(command));
  if (command.directory.is_zero()) {
    return error(ErrorCode::kInvalidArgument, "a node of a cluster has a data directory");
  }
  auto before = context.tables.node(command.node);
  if (before && !before->directory.is_zero() && before->directory != command.directory)
    return another_directory(command.node);
  Node node;
  if (before) {
    node = *before;
    node.directory = command.directory;
    for (const NodeAddress& address : command.addresses) {
      std::erase_if(node.addresses, [&](const NodeAddress& old) { return old.listener == address.listener; });
    }
    node.addresses.insert(node.addresses.end(), command.addresses.begin(), command.addresses.end());
    if (node.addresses.size() > kMaxAddresses) node.addresses = command.addresses;
    if (node == *before) return node;
  } else {
    node = {.id = command.node,
            .incarnation = context.tables.last_incarnation(command.node),
            .addresses = command.addresses,
            .roles = command.roles,
            .zone = command.zone,
            .product = command.product,
            .lives = false,
            .directory = command.directory};
  }
  context.tables.put_node(node);
  context.change.put_node = node;
  return node;
}

Result<Node> handle(Context context, const RegisterNode& command) {
  STELE_CHECK(check_node(command));
  const auto before = context.tables.node(command.node);
  if (!command.directory.is_zero()) {
    if (!before) {
      return error(ErrorCode::kNotFound, "node " + std::to_string(command.node.value) +
                                             " is not of the cluster: it was removed, or never let in");
    }
    if (before->directory != command.directory) return another_directory(command.node);
  }
  Node node{.id = command.node,
            .incarnation = context.tables.last_incarnation(command.node) + 1,
            .addresses = command.addresses,
            .roles = command.roles,
            .zone = command.zone,
            .disk = command.disk,
            .product = command.product,
            .lives = true,
            .draining = before && before->draining,
            .leaving = before && before->leaving,
            .directory = before ? before->directory : Uuid()};
  context.tables.put_node(node);
  context.change.put_node = node;
  return node;
}

namespace {

std::unexpected<Error> no_node(NodeId id) {
  return error(ErrorCode::kNotFound, "there is no node " + std::to_string(id.value));
}

}  // namespace

Result<Node> handle(Context context, const EndIncarnation& command) {
  auto node = context.tables.node(command.node);
  if (!node) return no_node(command.node);
  if (node->incarnation != command.incarnation) {
    return error(ErrorCode::kFenced, "node " + std::to_string(command.node.value) + " is in incarnation " +
                                         std::to_string(node->incarnation.value) + ", not " +
                                         std::to_string(command.incarnation.value));
  }
  if (!node->lives) return *std::move(node);
  node->lives = false;
  context.tables.put_node(*node);
  context.change.put_node = *node;
  return *std::move(node);
}

Result<Node> handle(Context context, const DrainNode& command) {
  auto node = context.tables.node(command.node);
  if (!node) return no_node(command.node);
  const bool draining = command.draining || command.leaving;
  if (node->draining == draining && node->leaving == command.leaving) return *std::move(node);
  node->draining = draining;
  node->leaving = command.leaving;
  context.tables.put_node(*node);
  context.change.put_node = *node;
  return *std::move(node);
}

Result<Node> handle(Context context, const RemoveNode& command) {
  auto node = context.tables.node(command.node);
  if (!node) return no_node(command.node);
  const std::string name = "node " + std::to_string(command.node.value);
  if (node->lives) return error(ErrorCode::kInvalidArgument, name + " lives; drain and stop it first");
  if (context.tables.node_has_shards(command.node)) {
    return error(ErrorCode::kInvalidArgument, name + " still has shards; wait until they have moved");
  }
  if (context.tables.node_has_segments(command.node)) {
    return error(ErrorCode::kInvalidArgument,
                 name + " still has copies of segments; wait until they lie elsewhere");
  }
  context.tables.remove_node(command.node);
  context.change.removed_node = command.node;
  return *std::move(node);
}

Result<ProducerIds> handle(Context context, const AllocateProducerIds& command) {
  if (command.count < 1 || command.count > kMaxProducerIdsAtOnce) {
    return error(ErrorCode::kInvalidArgument, "1 to " + std::to_string(kMaxProducerIdsAtOnce) +
                                                  " producer ids are given out at once, not " +
                                                  std::to_string(command.count));
  }
  const std::uint64_t next = context.tables.peek(Tables::Counter::kProducer);
  if (next > static_cast<std::uint64_t>(INT64_MAX) - command.count) {
    return error(ErrorCode::kNoSpace, "all producer ids have been given out");
  }
  context.tables.draw(Tables::Counter::kProducer,
                      command.count - (mutant(mutants::kProducerIdsAgain) ? 1 : 0));
  return ProducerIds{.first = static_cast<std::int64_t>(next), .count = command.count};
}

Result<Tenant> handle(Context context, const CreateTenant& command) {
  if (!is_printable_name(command.name)) {
    return error(ErrorCode::kInvalidArgument, "the name of a tenant is 1 to 255 bytes of printable UTF-8");
  }
  if (context.tables.tenant(command.name)) {
    return error(ErrorCode::kAlreadyExists, "there is a tenant '" + command.name + "' already");
  }
  if (context.tables.tenant_count() >= kMaxTenants) {
    return error(ErrorCode::kNoSpace,
                 "there are " + std::to_string(kMaxTenants) + " tenants, and no more can be");
  }
  const auto id = static_cast<std::uint32_t>(context.tables.draw(Tables::Counter::kTenant));
  Tenant tenant{.id = TenantId(id), .name = command.name};
  context.tables.insert_tenant(tenant);
  context.change.put_tenant = tenant;
  return tenant;
}

Result<Tenant> handle(Context context, const DeleteTenant& command) {
  auto tenant = context.tables.tenant(command.name);
  if (!tenant) return error(ErrorCode::kNotFound, "there is no tenant '" + command.name + "'");
  if (tenant->id == kDefaultTenant) {
    return error(ErrorCode::kInvalidArgument, "the tenant '" + command.name + "' cannot be deleted");
  }
  if (context.tables.tenant_has_topics(tenant->id)) {
    return error(ErrorCode::kInvalidArgument,
                 "the tenant '" + command.name + "' still has topics; delete them first");
  }
  if (context.tables.tenant_has_users(tenant->id)) {
    return error(ErrorCode::kInvalidArgument,
                 "the tenant '" + command.name + "' still has users; delete them first");
  }
  context.tables.delete_tenant(tenant->id);
  context.tables.delete_rules_of(tenant->id);
  context.change.removed_tenant = tenant->id;
  return *std::move(tenant);
}

}  // namespace stele::meta
