#include "server/cluster_admin.h"

#include <algorithm>
#include <utility>

#include "journal/snapshot_segment.h"
#include "meta/commands.h"
#include "raft/member.h"

namespace stele::server {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// Of what is shown, also to those who need not say who they are, and of what is counted.
constexpr runtime::Duration kShownAge = 1s;
constexpr runtime::Duration kCountedAge = 10s;

std::vector<std::string> show_roles(std::uint32_t roles) {
  std::vector<std::string> out;
  if (roles & meta::kMetaRole) out.push_back("meta");
  if (roles & meta::kJournalRole) out.push_back("journal");
  if (roles & meta::kBrokerRole) out.push_back("broker");
  return out;
}

std::string show_vote(const raft::MemberStatus& group, NodeId node) {
  if (group.leader == node) return "leader";
  if (group.membership.voters.contains(node)) return "voter";
  return group.membership.is_member(node) ? "learner" : "none";
}

http::ClusterNode show(const meta::Node& node, const raft::MemberStatus& group) {
  http::ClusterNode out;
  out.node = node.id;
  out.incarnation = node.incarnation.value;
  out.state = node.lives ? "live" : node.incarnation == meta::Incarnation() ? "new" : "gone";
  out.draining = node.draining;
  out.leaving = node.leaving;
  out.roles = show_roles(node.roles);
  out.meta = show_vote(group, node.id);
  out.zone = node.zone;
  out.version = node.product;
  for (const meta::NodeAddress& at : node.addresses) {
    out.addresses.emplace_back(at.listener, runtime::Endpoint{at.host, at.port}.to_string());
  }
  return out;
}

http::SegmentCounts show(const SegmentCounts& counts) {
  return {.all = counts.all,
          .under_replicated = counts.under_replicated,
          .without_quorum = counts.without_quorum,
          .unreadable = counts.unreadable};
}

http::ClusterShard show(const meta::Shard& chain, const meta::MetaView& view, std::size_t wanted) {
  const NodeTable& nodes = view.nodes();
  const meta::ShardPlace place =
      chain.id.value < view.shards().size() ? view.shards()[chain.id.value] : meta::ShardPlace();
  http::ClusterShard out;
  out.shard = chain.id;
  const ShardState state = state_of(place, nodes);
  out.state = to_string(state);
  if (state != ShardState::kLeaderless) out.owner = place.owner;
  out.assigned = place.assigned;
  out.epoch = place.epoch.value;
  SegmentCounts counts;
  for (const meta::Segment& segment : chain.chain) counts.add(segment, nodes, wanted);
  out.segments = show(counts);
  if (chain.chain.empty()) return out;
  const std::vector<meta::Replica>& replicas = chain.chain.back().replicas;
  for (const meta::Replica& replica : replicas) {
    out.replicas.push_back({.node = replica.node, .present = is_present(replica, nodes)});
  }
  out.needed = replicas_needed(chain.chain.back());
  return out;
}

}  // namespace

// ---- reading ---------------------------------------------------------------------------------------------

Task<Result<ClusterAdmin::Chains>> ClusterAdmin::chains(runtime::Duration max_age) {
  const runtime::Instant asked = runtime_.now();
  while (!chains_ || read_at_ + max_age < asked) {
    const std::uint64_t before = reads_;
    // Of its own: who asked may be gone before it is done.
    if (!std::exchange(reading_, true)) scope_.spawn(read());
    while (reads_ == before) co_await read_done_.wait();
    if (failure_) co_return std::unexpected(*failure_);
  }
  co_return chains_;
}

Task<void> ClusterAdmin::read() {
  const runtime::Instant began = runtime_.now();
  std::vector<ShardId> ids;
  for (std::uint32_t i = 0; i < part_.log()->view()->cluster().shard_count; ++i) ids.push_back(ShardId(i));
  // Shared with the job, which may outlive this frame.
  auto found = std::make_shared<Result<std::vector<meta::Shard>>>();
  auto done = co_await part_.log()->read_here(
      [found, ids = std::move(ids)](meta::StateMachine& machine, runtime::BlockingFiles& files,
                                    meta::StateMachine::Inputs inputs) {
        *found = machine.read_shards(files, ids, inputs);
      });
  if (!done) *found = std::unexpected(std::move(done).error());
  failure_ = std::nullopt;
  if (*found) {
    chains_ = std::make_shared<const std::vector<meta::Shard>>(**std::move(found));
    read_at_ = began;
  } else {
    failure_ = found->error();
  }
  reading_ = false;
  ++reads_;
  read_done_.wake_all();
}

std::size_t ClusterAdmin::replicas_wanted(const meta::MetaView& view) const {
  return server::replicas_wanted(view.nodes(), part_.config().replicas.replicas);
}

// ---- showing ---------------------------------------------------------------------------------------------

Task<Result<http::ClusterStatus>> ClusterAdmin::status() {
  STELE_CO_TRY(const Chains chains, co_await this->chains(kShownAge));
  const auto view = part_.log()->view();
  const raft::MemberStatus group = part_.log()->member().status();
  http::ClusterStatus out;
  out.id = view->cluster().id;
  out.node = part_.node();
  out.lease = part_.holds_lease();
  const auto list = [](const raft::NodeSet& set) { return std::vector<NodeId>(set.begin(), set.end()); };
  out.meta = {.leader = group.leader,
              .term = group.term.value,
              .committed = group.commit.value,
              .applied = group.applied.value,
              .voters = list(group.membership.voters),
              .voters_outgoing = list(group.membership.voters_outgoing),
              .learners = list(group.membership.learners)};
  out.nodes.all = view->nodes().size();
  for (const auto& [id, node] : view->nodes()) {
    out.nodes.live += node.lives;
    out.nodes.draining += node.draining;
    ++out.versions[node.product];
  }
  out.shards.all = view->shards().size();
  for (const meta::ShardPlace& place : view->shards()) {
    const ShardState state = state_of(place, view->nodes());
    out.shards.leaderless += state == ShardState::kLeaderless;
    out.shards.moving += state == ShardState::kMoving;
  }
  SegmentCounts counts;
  const std::size_t wanted = replicas_wanted(*view);
  for (const meta::Shard& shard : *chains) {
    for (const meta::Segment& segment : shard.chain) counts.add(segment, view->nodes(), wanted);
  }
  out.segments = show(counts);
  co_return out;
}

Task<Result<std::vector<http::ClusterNode>>> ClusterAdmin::nodes() {
  STELE_CO_TRY(const Chains chains, co_await this->chains(kShownAge));
  const auto view = part_.log()->view();
  const raft::MemberStatus group = part_.log()->member().status();
  std::map<NodeId, std::size_t> owned, assigned, replicas;
  for (const meta::ShardPlace& place : view->shards()) {
    if (state_of(place, view->nodes()) != ShardState::kLeaderless) ++owned[place.owner];
    if (place.assigned) ++assigned[*place.assigned];
  }
  for (const meta::Shard& shard : *chains) {
    for (const meta::Segment& segment : shard.chain) {
      for (const meta::Replica& replica : segment.replicas) ++replicas[replica.node];
    }
    // A node is not removed as long as it has any of these, either.
    const auto snapshot =
        shard.snapshot ? journal::SnapshotSegment::parse(shard.snapshot->file) : std::nullopt;
    if (!snapshot) continue;
    for (const meta::Replica& replica : snapshot->replicas) ++replicas[replica.node];
  }
  std::vector<http::ClusterNode> out;
  for (const auto& [id, node] : view->nodes()) {
    http::ClusterNode& one = out.emplace_back(show(node, group));
    one.shards = owned[id];
    one.assigned = assigned[id];
    one.replicas = replicas[id];
  }
  co_return out;
}

Task<Result<std::vector<http::ClusterShard>>> ClusterAdmin::shards() {
  STELE_CO_TRY(const Chains chains, co_await this->chains(kShownAge));
  const auto view = part_.log()->view();
  std::vector<http::ClusterShard> out;
  for (const meta::Shard& chain : *chains) out.push_back(show(chain, *view, replicas_wanted(*view)));
  co_return out;
}

Task<std::optional<SegmentCounts>> ClusterAdmin::count_segments() {
  if (part_.log()->member().status().role != raft::Role::kLeader) co_return std::nullopt;
  const auto chains = co_await this->chains(kCountedAge);
  if (!chains) co_return std::nullopt;
  const auto view = part_.log()->view();
  SegmentCounts out;
  for (const meta::Shard& shard : **chains) {
    for (const meta::Segment& segment : shard.chain) out.add(segment, view->nodes(), replicas_wanted(*view));
  }
  co_return out;
}

// What the node knows must be true now, so it asks whoever leads first.
Task<Result<std::vector<std::string>>> ClusterAdmin::why_not_stop() {
  STELE_CO_CHECK(check_leader());
  if (!part_.holds_lease()) {
    co_return error(ErrorCode::kUnavailable, "the node holds no lease, and cannot tell how the others are");
  }
  if (auto current = co_await part_.log()->member().read_barrier(); !current) {
    co_return std::unexpected(current.error().with_context("the meta service does not answer"));
  }
  STELE_CO_TRY(const Chains chains, co_await this->chains(kShownAge));
  co_return server::why_not_stop({.view = part_.log()->view(),
                                  .membership = part_.log()->member().status().membership,
                                  .shards = chains,
                                  .replicas = part_.config().replicas.replicas,
                                  .min_replicas = part_.config().replicas.min_replicas},
                                 part_.node());
}

// ---- changing --------------------------------------------------------------------------------------------

Result<void> ClusterAdmin::check_leader() const {
  if (part_.log()->member().leader()) return {};
  return error(ErrorCode::kUnavailable, "the meta service has no leader that this node knows of");
}

Task<Result<void>> ClusterAdmin::drain(NodeId node, bool draining, bool leaving) {
  const auto view = part_.log()->view();
  STELE_CO_CHECK(check_node(view->nodes(), node));
  if (draining) STELE_CO_CHECK(check_drain(view->nodes(), node));
  STELE_CO_CHECK(check_leader());
  STELE_CO_CHECK(
      co_await meta_.execute(meta::DrainNode{.node = node, .draining = draining, .leaving = leaving}));
  co_return Result<void>();
}

Task<Result<void>> ClusterAdmin::remove(NodeId node) {
  const auto view = part_.log()->view();
  STELE_CO_CHECK(check_removal(view->nodes(), part_.log()->member().status().membership, node));
  STELE_CO_CHECK(check_leader());
  STELE_CO_CHECK(co_await meta_.execute(meta::RemoveNode{.node = node}));
  co_return Result<void>();
}

// The group follows the table of nodes by itself (meta/admission.h).
Result<http::VoterState> ClusterAdmin::voter(NodeId node) {
  const auto view = part_.log()->view();
  STELE_TRY(VoterProgress progress, voter_progress(view->nodes(), part_.log()->member().status().membership,
                                                   node, part_.config().admission.max_voters));
  if (!progress.voter) STELE_CHECK(check_leader());
  return http::VoterState{.voter = progress.voter, .waits_for = std::move(progress.waits_for)};
}

}  // namespace stele::server
