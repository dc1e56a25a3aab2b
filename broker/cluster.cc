#include "broker/cluster.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "broker/core.h"

namespace stele::broker {

using runtime::Task;

namespace {
constexpr std::string_view kListener = "rpc";
}

Cluster::Cluster(Core& core, ClusterOptions options, PeerServer& server)
    : core_(core),
      channels_(core.runtime(), options.self, options.channel, options.dial),
      lanes_(core),
      server_(server) {
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
  }
  if (routes_) routes_->on_view(view);
  lanes_.on_view();
}

void Cluster::send_data(Place to, DataMail mail) {
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
  for (auto& [node, link] : links_) co_await link->close();
}

}  // namespace stele::broker
