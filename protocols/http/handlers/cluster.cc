// The cluster: what it is, who is in it, what they hold; draining, removing, voting.
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "protocols/http/json.h"
#include "protocols/http/router.h"

namespace stele::http {
namespace {

Error alone() {
  return {ErrorCode::kUnsupported, "this node is alone and not part of a cluster (--rpc)"};
}

// The cluster, for who may do that with it; else what is answered.
std::expected<ClusterAdministration*, Response> cluster_for(const HandlerContext& context,
                                                            broker::Action action) {
  // Like the node itself the cluster is nobody's but the default tenant's, whatever others administer.
  if (!context.backend.authorizer.allowed(context.principal, action, "") ||
      context.principal.tenant != kDefaultTenant) {
    const bool reads = action == broker::Action::kDescribe;
    return std::unexpected(
        error_response(Error{ErrorCode::kUnauthorized,
                             reads ? "the cluster may not be described"
                                   : "'" + context.principal.name + "' is no administrator of the cluster"}));
  }
  if (ClusterAdministration* const cluster = context.node.cluster_administration()) return cluster;
  return std::unexpected(error_response(alone()));
}

Result<NodeId> read_node(const std::string& text) {
  std::uint32_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || number == 0) {
    return std::unexpected(wrong_request("'" + text + "' is not the number of a node"));
  }
  return NodeId(number);
}

Json show(const std::vector<NodeId>& nodes) {
  Json out = Json::array();
  for (const NodeId node : nodes) out.push_back(node.value);
  return out;
}

Json show(const std::optional<NodeId>& node) {
  return node ? Json(node->value) : Json();
}

Json show(const SegmentCounts& counts) {
  return {{"all", counts.all},
          {"under_replicated", counts.under_replicated},
          {"without_quorum", counts.without_quorum},
          {"unreadable", counts.unreadable}};
}

Json show(const ClusterStatus& status) {
  Json versions = Json::object();
  for (const auto& [version, count] : status.versions) versions[version] = count;
  return {{"cluster", status.id},
          {"node", status.node.value},
          {"lease", status.lease},
          {"meta",
           {{"leader", show(status.meta.leader)},
            {"term", status.meta.term},
            {"committed", status.meta.committed},
            {"applied", status.meta.applied},
            {"voters", show(status.meta.voters)},
            {"voters_outgoing", show(status.meta.voters_outgoing)},
            {"learners", show(status.meta.learners)}}},
          {"nodes",
           {{"all", status.nodes.all}, {"live", status.nodes.live}, {"draining", status.nodes.draining}}},
          {"versions", std::move(versions)},
          {"shards",
           {{"all", status.shards.all},
            {"leaderless", status.shards.leaderless},
            {"moving", status.shards.moving}}},
          {"segments", show(status.segments)}};
}

Json show(const ClusterNode& node) {
  Json addresses = Json::object();
  for (const auto& [listener, at] : node.addresses) addresses[listener] = at;
  return {{"node", node.node.value},
          {"state", node.state},
          {"incarnation", node.incarnation},
          {"draining", node.draining},
          {"leaving", node.leaving},
          {"roles", node.roles},
          {"meta", node.meta},
          {"zone", node.zone},
          {"version", node.version},
          {"addresses", std::move(addresses)},
          {"shards", node.shards},
          {"assigned", node.assigned},
          {"replicas", node.replicas}};
}

Json show(const ClusterShard& shard) {
  Json replicas = Json::array();
  for (const auto& replica : shard.replicas) {
    replicas.push_back({{"node", replica.node.value}, {"present", replica.present}});
  }
  return {{"shard", shard.shard.value},       {"state", shard.state},  {"owner", show(shard.owner)},
          {"assigned", show(shard.assigned)}, {"epoch", shard.epoch},  {"segments", show(shard.segments)},
          {"replicas", std::move(replicas)},  {"needed", shard.needed}};
}

runtime::Task<Response> answer_node(ClusterAdministration* cluster, NodeId wanted) {
  const auto nodes = co_await cluster->nodes();
  if (!nodes) co_return error_response(nodes.error());
  for (const ClusterNode& node : *nodes) {
    if (node.node == wanted) co_return json_response(200, show(node));
  }
  co_return error_response(
      Error{ErrorCode::kNotFound, "there is no node " + std::to_string(wanted.value) + " in the cluster"});
}

template <class T>
Response answer_list(const char* name, const Result<std::vector<T>>& all) {
  if (!all) return error_response(all.error());
  Json list = Json::array();
  for (const T& one : *all) list.push_back(show(one));
  return json_response(200, {{name, std::move(list)}});
}

}  // namespace

runtime::Task<Response> handle_cluster(HandlerContext& context, RoutedRequest) {
  const auto cluster = cluster_for(context, broker::Action::kDescribe);
  if (!cluster) co_return cluster.error();
  const auto status = co_await (*cluster)->status();
  if (!status) co_return error_response(status.error());
  co_return json_response(200, show(*status));
}

runtime::Task<Response> handle_list_nodes(HandlerContext& context, RoutedRequest) {
  const auto cluster = cluster_for(context, broker::Action::kDescribe);
  if (!cluster) co_return cluster.error();
  co_return answer_list("nodes", co_await (*cluster)->nodes());
}

runtime::Task<Response> handle_describe_node(HandlerContext& context, RoutedRequest request) {
  const auto cluster = cluster_for(context, broker::Action::kDescribe);
  if (!cluster) co_return cluster.error();
  const auto node = read_node(request.path.back());
  if (!node) co_return error_response(node.error());
  co_return co_await answer_node(*cluster, *node);
}

runtime::Task<Response> handle_list_shards(HandlerContext& context, RoutedRequest) {
  const auto cluster = cluster_for(context, broker::Action::kDescribe);
  if (!cluster) co_return cluster.error();
  co_return answer_list("shards", co_await (*cluster)->shards());
}

runtime::Task<Response> handle_alter_node(HandlerContext& context, RoutedRequest request) {
  const auto cluster = cluster_for(context, broker::Action::kAdminister);
  if (!cluster) co_return cluster.error();
  const auto node = read_node(request.path.back());
  if (!node) co_return error_response(node.error());
  const Json body = Json::parse(request.body, nullptr, false);
  const auto is_flag = [&](const char* name) { return body.contains(name) && body[name].is_boolean(); };
  const bool whole =
      body.is_object() && is_flag("draining") && body.size() == std::size_t{1} + (is_flag("leaving") ? 1 : 0);
  const bool leaving = whole && is_flag("leaving") && body["leaving"].get<bool>();
  if (!whole || (leaving && !body["draining"].get<bool>())) {
    co_return error_response(
        wrong_request("the body is {\"draining\": true} or false, and with true perhaps \"leaving\": true"));
  }
  const auto done = co_await (*cluster)->drain(*node, body["draining"].get<bool>(), leaving);
  if (!done) co_return error_response(done.error());
  co_return co_await answer_node(*cluster, *node);
}

runtime::Task<Response> handle_remove_node(HandlerContext& context, RoutedRequest request) {
  const auto cluster = cluster_for(context, broker::Action::kAdminister);
  if (!cluster) co_return cluster.error();
  const auto node = read_node(request.path.back());
  if (!node) co_return error_response(node.error());
  const auto done = co_await (*cluster)->remove(*node);
  if (!done) co_return error_response(done.error());
  co_return no_content();
}

runtime::Task<Response> handle_add_voter(HandlerContext& context, RoutedRequest request) {
  const auto cluster = cluster_for(context, broker::Action::kAdminister);
  if (!cluster) co_return cluster.error();
  const auto node = read_node(request.path.back());
  if (!node) co_return error_response(node.error());
  const auto state = (*cluster)->voter(*node);
  if (!state) co_return error_response(state.error());
  Json body = {{"node", node->value}, {"voter", state->voter}};
  if (!state->voter) body["waits_for"] = state->waits_for;
  co_return json_response(state->voter ? 200 : 202, body);
}

// ---- may this node be stopped? ---------------------------------------------------------------------------

runtime::Task<Response> handle_cluster_health(HandlerContext& context, RoutedRequest) {
  std::vector<std::string> reasons;
  if (!context.node.ready()) {
    reasons = {"the node starts or stops"};
  } else if (ClusterAdministration* const cluster = context.node.cluster_administration()) {
    auto judged = co_await cluster->why_not_stop();
    reasons = judged ? *std::move(judged) : std::vector{judged.error().message};
  } else {
    reasons = {"the node is alone: nobody serves while it is stopped"};
  }
  if (reasons.empty()) co_return json_response(200, {{"status", "may_be_stopped"}});
  std::string all;
  for (const std::string& reason : reasons) all += (all.empty() ? "" : "; ") + reason;
  co_return json_response(
      503, {{"error", {{"code", "needed"}, {"message", std::move(all)}}}, {"reasons", std::move(reasons)}});
}

}  // namespace stele::http
