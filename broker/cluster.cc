#include "broker/cluster.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "broker/core.h"
#include "runtime/for_each.h"

namespace stele::broker {

using runtime::Task;

namespace {
constexpr std::string_view kListener = "rpc";
// So long after its lease a node sends its clients away. An election takes less.
constexpr runtime::Duration kSendAwayAfter = std::chrono::seconds(3);
}  // namespace

Cluster::Cluster(Core& core, ClusterOptions options, PeerServer& server)
    : core_(core),
      channels_(core.runtime(), options.self, options.channel, options.dial),
      lanes_(*this, core.options().owner_patience),
      server_(server),
      inlet_(core) {
  server_.attach(core);
  if (core.runtime().core() == CoreId(0)) routes_ = std::make_unique<RouteSharing>(core);
}

Cluster::~Cluster() = default;

RouteSharing& Cluster::routes() {
  STELE_ASSERT(routes_);
  return *routes_;
}

PeerLink* Cluster::link(NodeId node) {
  const auto found = links_.find(node);
  return found == links_.end() ? nullptr : found->second.get();
}

void Cluster::on_view(const meta::MetaView& view) {
  for (const auto& [id, node] : view.nodes()) {
    if (id == core_.node_id() || (node.roles & meta::kBrokerRole) == 0) continue;
    const auto address = std::ranges::find(node.addresses, kListener, &meta::NodeAddress::listener);
    if (address == node.addresses.end()) continue;
    rpc::Channel& channel = channels_.set(id, {address->host, address->port});
    if (!links_.contains(id)) links_.emplace(id, std::make_unique<PeerLink>(core_, id, channel));
    links_.at(id)->on_view();
  }
  if (routes_) routes_->on_view(view);
  lanes_.on_view();
}

runtime::Runtime& Cluster::runtime() {
  return core_.runtime();
}

std::optional<Place> Cluster::place_of(ShardId shard) const {
  return core_.place_of(shard);
}

Error Cluster::nobody_owns(ShardId shard) const {
  return core_.nobody_owns(shard);
}

void Cluster::answer(DataAnswerMail answer) {
  core_.answer_publisher(std::move(answer));
}

// By the lane of a publisher.
void Cluster::send(Place to, DataMail mail) {
  if (to.here()) {
    mail.lane = Core::lane_of_core(core_.runtime().core());
    return core_.send(to.core(), std::move(mail));
  }
  if (PeerLink* there = link(to.node())) return there->publish(std::move(mail));
  core_.answer_to(mail.reply,
                  Error{ErrorCode::kUnavailable,
                        "node " + std::to_string(to.node().value) + " has no address for other nodes"},
                  false);
}

// By its own clock it is not one of the cluster's brokers any more: others may send it nothing, and own its
// shards by now. Who stays gets nothing, for as long as the node does not hear of it, and would be served
// elsewhere.
void Cluster::tick() {
  inlet_.tick();
  const runtime::Instant now = core_.runtime().now();
  if (core_.may_accept()) {
    cut_off_since_.reset();
  } else if (!cut_off_since_) {
    cut_off_since_ = now;
  } else if (now - *cut_off_since_ >= kSendAwayAfter) {
    cut_off_since_ = now;
    core_.end_unkept(core_.not_accepting());
  }
}

void Cluster::forget(std::uint64_t attachment) {
  for (auto& [node, link] : links_) link->forget(attachment);
}

void Cluster::give_up() {
  if (routes_) routes_->give_up();
  for (auto& [node, link] : links_) link->give_up();
  lanes_.give_up();
}

Task<void> Cluster::close() {
  give_up();
  if (routes_) co_await routes_->close();
  co_await server_.close();
  std::vector<PeerLink*> links;
  for (auto& [node, link] : links_) links.push_back(link.get());
  co_await runtime::for_each(links.size(), links.size(),
                             [&](std::size_t i) -> Task<void> { return links[i]->close(); });
}

}  // namespace stele::broker
