#include "meta/admission.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/marks.h"
#include "meta/command_codec.h"

namespace stele::meta {

using raft::MembershipTarget;
using runtime::OneShot;
using runtime::Task;

namespace {

// A learner that is so few entries behind is made a voter.
constexpr std::uint64_t kCaughtUp = 100;

std::unexpected<Error> not_now(std::string why) {
  return error(ErrorCode::kUnavailable, std::move(why));
}

}  // namespace

std::optional<runtime::Endpoint> rpc_address(const Node& node) {
  const auto found = std::ranges::find(node.addresses, kRpcListener, &NodeAddress::listener);
  if (found == node.addresses.end()) return std::nullopt;
  return runtime::Endpoint{found->host, found->port};
}

// ---- what the group shall be -----------------------------------------------------------------------------

std::optional<MembershipTarget> next_group(const std::map<NodeId, Node>& nodes,
                                           const raft::MemberStatus& leader, std::size_t max_voters) {
  const raft::Membership& now = leader.membership;
  if (now.joint()) return std::nullopt;
  MembershipTarget target{now.voters, now.learners};
  const auto gone = [&](NodeId id) { return id != leader.self && !nodes.contains(id); };
  std::erase_if(target.voters, gone);
  std::erase_if(target.learners, gone);
  if (target.voters != now.voters || target.learners != now.learners) return target;
  for (const auto& [id, node] : nodes) {
    if (!now.is_member(id)) target.learners.insert(id);
  }
  if (target.learners != now.learners) return target;
  for (const auto& [id, node] : nodes) {
    if (id == leader.self || !now.voters.contains(id) || (node.roles & kMetaRole)) continue;
    target.voters.erase(id);
    target.learners.insert(id);
    return target;
  }
  if (now.voters.size() >= max_voters) return std::nullopt;
  for (const auto& [id, node] : nodes) {
    const auto peer = leader.peers.find(id);
    if (!now.learners.contains(id) || !(node.roles & kMetaRole) || peer == leader.peers.end()) continue;
    if (!peer->second.active || peer->second.match.value + kCaughtUp < leader.last.value) continue;
    target.learners.erase(id);
    target.voters.insert(id);
    return target;
  }
  return std::nullopt;
}

std::optional<NodeId> next_leader(const std::map<NodeId, Node>& nodes, const raft::MemberStatus& leader) {
  const auto self = nodes.find(leader.self);
  if (self != nodes.end() && (self->second.roles & kMetaRole)) return std::nullopt;
  std::optional<NodeId> best;
  for (const NodeId voter : leader.membership.voters) {
    const auto node = nodes.find(voter);
    const auto peer = leader.peers.find(voter);
    if (voter == leader.self || node == nodes.end() || !(node->second.roles & kMetaRole)) continue;
    if (peer == leader.peers.end() || !peer->second.active) continue;
    if (!best || peer->second.match > leader.peers.at(*best).match) best = voter;
  }
  return best;
}

// ---- asking ----------------------------------------------------------------------------------------------

Task<Result<JoinAnswer>> ask_to_join(rpc::Channel& channel, JoinRequest request, runtime::Duration timeout) {
  auto answered = co_await channel.call(kJoinMethod, rpc::Payload(Bytes::copy(encode(request))), timeout);
  if (!answered) co_return std::unexpected(Error(std::move(answered).error()));
  co_return decode_join_answer(answered->view());
}

// ---- being asked -----------------------------------------------------------------------------------------

void Admission::serve(runtime::Runtime& there, rpc::Server& server) {
  server.serve_joining(kJoinMethod,
                       [this, &there](rpc::Request request) { return answer(there, std::move(request)); });
}

void Admission::attach(GroupLog& log, raft::NodeSet founders) {
  log_ = &log;
  founders_ = std::move(founders);
  scope_.spawn(run());
}

Task<void> Admission::close() {
  scope_.request_stop();
  co_await scope_.join();
  log_ = nullptr;
}

// On the server's core.
Task<Result<rpc::Payload>> Admission::answer(runtime::Runtime& there, rpc::Request request) {
  STELE_CO_TRY(JoinRequest join, decode_join_request(request.payload.view()));
  // Who passes it on speaks for another, which only nodes of the cluster may.
  if (join.node != request.peer->node && (request.peer->joins || !join.forwarded)) {
    co_return error(ErrorCode::kInvalidArgument, "node " + std::to_string(request.peer->node.value) +
                                                     " asks for a place of node " +
                                                     std::to_string(join.node.value));
  }
  OneShot<Result<JoinAnswer>> reply;
  there.post(runtime_.core(), [this, join = std::move(join), back = there.core(), reply]() mutable {
    if (!scope_.token().stop_requested()) {
      scope_.spawn(take(std::move(join), back, std::move(reply)));
    } else {
      runtime_.post(back, [reply] { reply.set(not_now("the node stops")); });
    }
  });
  STELE_CO_TRY(const JoinAnswer answer, co_await reply.wait());
  co_return rpc::Payload(Bytes::copy(encode(answer)));
}

Task<void> Admission::take(JoinRequest request, CoreId back, OneShot<Result<JoinAnswer>> reply) {
  Result<JoinAnswer> answer = not_now("the node has not found its own place yet");
  if (log_) answer = co_await pass_on_or_admit(std::move(request));
  runtime_.post(back, [reply = std::move(reply), answer = std::move(answer)]() mutable {
    reply.set(std::move(answer));
  });
}

Task<Result<JoinAnswer>> Admission::pass_on_or_admit(JoinRequest request) {
  const auto leader = log_->member().leader();
  if (!leader) co_return not_now("the meta service has no leader now");
  if (*leader == log_->member().status().self) co_return co_await admit(std::move(request));
  rpc::Channel* channel = peers_.find(*leader);
  if (!channel || request.forwarded)
    co_return not_now("node " + std::to_string(leader->value) + " leads the meta service");
  STELE_MARK("meta: a request to join is passed on");
  request.forwarded = true;
  co_return co_await ask_to_join(*channel, std::move(request), options_.timeout);
}

Task<Result<JoinAnswer>> Admission::admit(JoinRequest request) {
  const runtime::Instant until = runtime_.now() + options_.timeout;
  if (!co_await log_->member().read_barrier()) co_return not_now("this node does not lead any more");
  const std::string name = "node " + std::to_string(request.node.value);
  if (!log_->view()->nodes().contains(request.node)) {
    if (request.member) {
      STELE_MARK("meta: who was removed comes back");
      co_return error(ErrorCode::kNotFound,
                      name +
                          " has been removed from the cluster; what its data directory holds belongs to "
                          "nobody any more");
    }
    // It would come back with a vote that its predecessor may have given before.
    if (log_->member().status().membership.is_member(request.node))
      co_return not_now(name + " is still being removed");
  }
  const Envelope envelope{.time = runtime_.wall_now(),
                          .random = Uuid{runtime_.random().next(), runtime_.random().next()}};
  STELE_CO_TRY(
      const std::string answer,
      co_await log_->propose_here(encode_command(
          envelope, AdmitNode{.node = request.node,
                              .directory = request.directory,
                              .addresses = {{kRpcListener, request.address.host, request.address.port}},
                              .roles = request.roles,
                              .zone = request.zone,
                              .product = request.product})));
  STELE_CO_CHECK(decode_answer_to<AdmitNode>(answer));
  while (!log_->member().status().membership.is_member(request.node)) {
    if (stopping() || runtime_.now() >= until) co_return not_now(name + " is not in the Raft group yet");
    co_await runtime::sleep(runtime_, options_.look, scope_.token());
  }
  const auto view = log_->view();
  JoinAnswer out{.cluster = {}, .founders = founders_, .members = {}};
  out.cluster = Uuid::parse(view->cluster().id).value_or(Uuid());
  for (const auto& [id, node] : view->nodes()) {
    if (const auto at = rpc_address(node)) out.members[id] = *at;
  }
  co_return out;
}

// ---- the group follows the table -------------------------------------------------------------------------

Task<void> Admission::run() {
  while (!stopping()) {
    co_await look();
    co_await runtime::sleep(runtime_, options_.look, scope_.token());
  }
}

Task<void> Admission::look() {
  raft::Member& member = log_->member();
  const auto leads_in = [&](raft::Term term) {
    const raft::MemberStatus now = member.status();
    return now.role == raft::Role::kLeader && now.term == term;
  };
  const raft::Term term = member.status().term;
  if (!leads_in(term)) co_return;
  if (led_ != term) {
    if (!co_await member.read_barrier() || !leads_in(term)) co_return;
    led_ = term;
  }
  if (stopping()) co_return;
  const raft::MemberStatus status = member.status();
  const auto view = log_->view();
  if (const auto target = next_group(view->nodes(), status, options_.max_voters)) {
    STELE_MARK("meta: the Raft group follows the table of nodes");
    [[maybe_unused]] const auto changed = co_await member.change_membership(*target);
    co_return;
  }
  if (const auto next = next_leader(view->nodes(), status)) {
    STELE_MARK("meta: a leader that shall not vote hands over");
    [[maybe_unused]] const auto handed = co_await member.transfer_leadership(*next);
  }
}

}  // namespace stele::meta
