#include "meta/controller.h"

#include <utility>
#include <vector>

#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "meta/command_codec.h"
#include "meta/placement.h"

namespace stele::meta {

using runtime::Task;

namespace {

// A look that comes so many times later than it should tells of a process that stood still.
constexpr int kStoodStill = 5;
// Of one command.
constexpr std::size_t kAssignedAtOnce = 256;

}  // namespace

// ---- the controller --------------------------------------------------------------------------------------

Controller::Controller(runtime::Runtime& runtime, GroupLog& log, ControllerOptions options)
    : runtime_(runtime), log_(log), options_(options), leases_(options.leases) {
  scope_.spawn(run());
}

Task<void> Controller::close() {
  scope_.request_stop();
  co_await scope_.join();
}

Task<Result<bool>> Controller::renew(NodeId node, Incarnation incarnation) {
  const auto refused = [] {
    return error(ErrorCode::kUnavailable, "this node does not lead the meta service");
  };
  const auto term = led_;
  const runtime::Instant asked = runtime_.now();
  if (!term || !leads_in(*term)) co_return refused();
  if (!mutant(mutants::kLeaseOfFormerLeader) && !co_await log_.member().read_barrier()) co_return refused();
  if (led_ != term || !leads_in(*term)) co_return refused();
  ++stats_.renewals;
  switch (leases_.renew(*log_.view(), node, incarnation, asked, runtime_.now())) {
    case LeaseTable::Renewal::kGranted:
      co_return true;
    case LeaseTable::Renewal::kEnded:
      co_return false;
    case LeaseTable::Renewal::kTooLate:
      break;
  }
  STELE_MARK("meta: a lease is renewed too late");
  co_return error(ErrorCode::kUnavailable, "the lease is over");
}

bool Controller::leads_in(raft::Term term) const {
  const raft::MemberStatus status = log_.member().status();
  return status.role == raft::Role::kLeader && status.term == term;
}

Task<void> Controller::run() {
  while (!stopping()) {
    if (co_await leads()) {
      co_await end_the_silent();
      co_await assign();
    }
    co_await runtime::sleep(runtime_, options_.look, scope_.token());
  }
}

// Whether this leads, and knows all that was answered before it did.
Task<bool> Controller::leads() {
  const raft::MemberStatus status = log_.member().status();
  if (status.role != raft::Role::kLeader) {
    led_ = std::nullopt;
    co_return false;
  }
  const runtime::Instant now = runtime_.now();
  const bool stood_still = now - looked_ > kStoodStill * options_.look;
  looked_ = now;
  if (led_ == status.term && !stood_still) co_return true;
  if (led_ == status.term) STELE_MARK("meta: a leader that stood still gives new leases");
  led_ = std::nullopt;
  if (!co_await log_.member().read_barrier()) co_return false;
  const raft::MemberStatus after = log_.member().status();
  if (after.role != raft::Role::kLeader) co_return false;
  led_ = after.term;
  looked_ = balanced_ = runtime_.now();
  leases_.begin();
  co_return true;
}

Task<bool> Controller::propose(Command command) {
  const Envelope envelope{.time = runtime_.wall_now(),
                          .random = Uuid{runtime_.random().next(), runtime_.random().next()}};
  const auto answer = co_await log_.propose_here(encode_command(envelope, command));
  // A look that waited for its commands is not late.
  looked_ = runtime_.now();
  co_return answer&& decode_answer(*answer).has_value();
}

Task<void> Controller::end_the_silent() {
  for (const auto& [node, incarnation] : leases_.expired(*log_.view(), runtime_.now())) {
    if (!led_ || stopping()) co_return;
    STELE_MARK("meta: an incarnation is ended");
    if (runtime_.log().enabled(runtime::LogLevel::kWarn)) {
      runtime_.log().write(runtime::LogLevel::kWarn, "meta",
                           "node " + std::to_string(node.value) + " has not been heard of; its incarnation " +
                               std::to_string(incarnation.value) + " is ended");
    }
    if (co_await propose(EndIncarnation{.node = node, .incarnation = incarnation})) ++stats_.ended;
  }
}

Task<void> Controller::assign() {
  const auto view = log_.view();
  std::vector<OwnerCandidate> nodes;
  for (const auto& [id, node] : view->nodes()) {
    if (node.roles & kBrokerRole) nodes.push_back({.node = id, .serves = node.lives && !node.draining});
  }
  std::vector<OwnedShard> shards;
  for (std::size_t i = 0; i < view->shards().size(); ++i)
    shards.push_back({ShardId(static_cast<std::uint32_t>(i)), view->shards()[i].assigned});
  const bool balance = runtime_.now() - balanced_ >= options_.balance;
  const auto moves = place_owners(nodes, shards, balance, options_.balance_moves);
  if (balance) balanced_ = runtime_.now();
  for (std::size_t from = 0; from < moves.size(); from += kAssignedAtOnce) {
    if (!led_ || stopping()) co_return;
    AssignShards command;
    for (std::size_t i = from; i < std::min(from + kAssignedAtOnce, moves.size()); ++i) {
      command.items.push_back({.shard = moves[i].shard, .before = moves[i].from, .to = moves[i].to});
      if (!balance || !moves[i].from) continue;
      const auto before = view->nodes().find(*moves[i].from);
      stats_.moved += before != view->nodes().end() && before->second.lives && !before->second.draining;
    }
    const std::size_t count = command.items.size();
    if (co_await propose(std::move(command))) stats_.assigned += count;
  }
}

// ---- a node's own lease ----------------------------------------------------------------------------------

LeaseKeeper::LeaseKeeper(runtime::Runtime& runtime, GroupLog& log, Controller& controller, LeaderLink& link,
                         LeaseOptions options)
    : runtime_(runtime), log_(log), controller_(controller), link_(link), options_(options), own_(options) {}

void LeaseKeeper::keep(Incarnation incarnation, OnEnded ended) {
  const bool runs = ended_ != nullptr;
  own_.ended();
  incarnation_ = incarnation;
  ended_ = std::move(ended);
  if (!runs) scope_.spawn(run());
}

Task<void> LeaseKeeper::close() {
  scope_.request_stop();
  co_await scope_.join();
}

Task<void> LeaseKeeper::run() {
  const NodeId self = log_.member().status().self;
  while (!scope_.token().stop_requested() && ended_) {
    const Incarnation incarnation = incarnation_;
    const runtime::Instant asked = runtime_.now();
    const auto leader = log_.member().leader();
    Result<bool> granted = error(ErrorCode::kUnavailable, "nobody leads");
    if (leader == self) {
      granted = co_await controller_.renew(self, incarnation);
    } else if (leader) {
      granted = co_await link_.renew(*leader, incarnation);
    }
    if (incarnation != incarnation_) continue;  // another began meanwhile
    if (granted && *granted) own_.granted(mutant(mutants::kLeaseFromAnswer) ? runtime_.now() : asked);
    if (granted && !*granted) {
      STELE_MARK("meta: a node hears that its incarnation has ended");
      own_.ended();
      if (OnEnded tell = std::exchange(ended_, nullptr)) runtime_.post(runtime_.core(), std::move(tell));
      break;
    }
    // Sooner again after a failure.
    co_await runtime::sleep(runtime_, granted ? options_.expiry / 6 : options_.expiry / 20, scope_.token());
  }
}

}  // namespace stele::meta
