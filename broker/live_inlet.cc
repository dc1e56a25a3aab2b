#include "broker/live_inlet.h"

#include <string>
#include <utility>
#include <variant>

#include "base/marks.h"
#include "broker/cluster.h"
#include "broker/core.h"

namespace stele::broker {

namespace {
Error missing_from(NodeId node) {
  return {ErrorCode::kUnavailable, "messages from node " + std::to_string(node.value) +
                                       " may be missing; connect again, and subscribe again"};
}
}  // namespace

void LiveInlet::take(const rpc::Peer& peer, wire::Live live) {
  const LiveHead& head = live.head;
  Stream& stream = streams_[{peer.node, head.core}];
  const LiveArrivals::What what = stream.arrivals.take(peer.incarnation, head);
  if (what == LiveArrivals::What::kLate) {
    STELE_MARK("broker: live copies of another node came late");
    ++core_.stats().live_late;
    return;
  }
  stream.missing_since.reset();
  if (std::exchange(stream.connection, peer.connection) != peer.connection) {
    // What is still to come by another connection, to another core, is late.
    for (std::uint32_t other = 0; other < core_.core_count(); ++other) {
      if (CoreId(other) == core_.runtime().core()) continue;
      core_.send(CoreId(other), CallMail([node = peer.node, core = head.core, process = peer.incarnation,
                                          number = head.number](Core& there) {
                   // One that has not joined yet has taken nothing either.
                   if (there.in_cluster()) there.cluster().inlet().pass(node, core, process, number);
                 }));
    }
  }
  if (what == LiveArrivals::What::kGap) {
    STELE_MARK("broker: live copies of another node are missing");
    send_away(missing_from(peer.node));
  }
  // Nothing more comes, and that is no loss.
  if (head.last_of_cores > 0) streams_.erase({peer.node, head.core});
  for (wire::Live::Part& part : live.parts) {
    std::visit([this](auto& one) { core_.deliver_of_node(std::move(one)); }, part);
  }
}

void LiveInlet::pass(NodeId node, std::uint32_t core, std::uint64_t process, std::uint64_t number) {
  Stream& stream = streams_[{node, core}];
  if (!stream.arrivals.pass(process, number)) return;
  stream.connection = 0;
  stream.missing_since.reset();
}

void LiveInlet::on_gone(NodeId node, std::uint32_t core, std::uint64_t connection) {
  const auto found = streams_.find({node, core});
  if (found == streams_.end() || found->second.connection != connection) return;
  found->second.connection = 0;
  found->second.missing_since = core_.runtime().now();
}

void LiveInlet::tick() {
  const runtime::Instant now = core_.runtime().now();
  const auto view = core_.meta();
  std::optional<NodeId> missing;
  for (auto& [from, stream] : streams_) {
    if (!stream.missing_since || now - *stream.missing_since < kMissingFor) continue;
    stream.missing_since.reset();
    // If it lives no more, on_ended() has seen to it, or will.
    const auto node = view->nodes().find(from.first);
    if (node != view->nodes().end() && node->second.lives) missing = from.first;
  }
  if (!missing) return;
  STELE_MARK("broker: a node that lives is not heard of");
  send_away(missing_from(*missing));
}

void LiveInlet::note_last(NodeId node, const LiveHead& head) {
  Farewell& said = farewells_[node];
  if (said.incarnation != head.incarnation) said = {head.incarnation, head.last_of_cores, {}};
  said.cores.insert(head.core);
}

void LiveInlet::on_ended(NodeId node, std::uint64_t incarnation) {
  const auto said = farewells_.find(node);
  const bool all_here = said != farewells_.end() && said->second.incarnation == incarnation &&
                        said->second.cores.size() == said->second.of_cores;
  if (said != farewells_.end()) farewells_.erase(said);
  for (std::uint32_t core = 0; core < core_.core_count(); ++core) {
    core_.send(CoreId(core), CallMail([node](Core& there) {
                 if (there.in_cluster()) there.cluster().inlet().forget(node);
               }));
  }
  if (all_here) return;
  STELE_MARK("broker: a node is gone, and nobody knows whether all of its live copies came");
  send_away(missing_from(node));
}

// What comes by a connection that there is may be of its next process.
void LiveInlet::forget(NodeId node) {
  std::erase_if(streams_,
                [node](const auto& one) { return one.first.first == node && one.second.connection == 0; });
}

void LiveInlet::send_away(const Error& why) {
  ++core_.stats().live_gaps;
  for (std::uint32_t core = 0; core < core_.core_count(); ++core) {
    core_.send(CoreId(core), CallMail([why](Core& there) { there.end_unkept(why); }));
  }
}

}  // namespace stele::broker
