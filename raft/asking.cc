// What is asked of the member: proposals, barriers, changes of the group.
#include <algorithm>
#include <utility>

#include "base/marks.h"
#include "raft/member_impl.h"

namespace stele::raft {

using runtime::Task;

namespace {

Error unknown(const std::string& why) {
  return {ErrorCode::kTimedOut, why + ": whether it happens is not known"};
}

}  // namespace

Result<void> Member::Impl::check_open() const {
  if (failure_) return error(ErrorCode::kUnavailable, why_stopping().message);
  if (closing_) return std::unexpected(why_stopping());
  return {};
}

Error Member::Impl::refusal(Refusal why) const {
  const std::optional<NodeId> leader = core_->leader();
  switch (why) {
    case Refusal::kNone:
      break;
    case Refusal::kNotLeader:
      return {ErrorCode::kUnavailable, leader ? "node " + std::to_string(leader->value) + " leads, ask it"
                                              : "no leader is known, try again"};
    case Refusal::kTransferring:
      return {ErrorCode::kUnavailable, "the leader is handing over, try again"};
    case Refusal::kUncommittedFull:
      return {ErrorCode::kUnavailable, "too much is proposed and not committed, try again later"};
    case Refusal::kApplyBehind:
      return {ErrorCode::kUnavailable, "the state machine is too far behind, try again later"};
    case Refusal::kChangeUnderWay:
      return {ErrorCode::kUnavailable, "another change of the members is under way, try again later"};
    case Refusal::kNotCaughtUp:
      return {ErrorCode::kUnavailable, "a new voter must be a learner first, and have the log"};
    case Refusal::kMalformed:
      return {ErrorCode::kInvalidArgument, "there can be no such group"};
    case Refusal::kNoSuchVoter:
      return {ErrorCode::kInvalidArgument, "only another voter can be handed the leadership"};
  }
  return {ErrorCode::kInternal, "nothing was refused"};
}

// ---- proposals

Task<Result<std::string>> Member::Impl::propose(std::string command) {
  STELE_CO_CHECK(check_open());
  if (command.size() > options_.command_bytes_max) {
    co_return error(ErrorCode::kInvalidArgument, "a command of " + std::to_string(command.size()) +
                                                     " bytes is too large, at most " +
                                                     std::to_string(options_.command_bytes_max) + " go");
  }
  const bool room = open_proposals_ < options_.proposals_max &&
                    open_proposal_bytes_ + command.size() <= options_.proposals_bytes_max;
  if (!room) {
    STELE_MARK("raft: too many proposals wait");
    ++stats_.proposals_refused;
    co_return error(ErrorCode::kUnavailable, "too many proposals wait for their answer, try again later");
  }
  ++open_proposals_;
  open_proposal_bytes_ += command.size();
  const Answer answer;
  new_proposals_.push_back({Bytes::copy(command), answer, ticks_ + options_.patience_ticks});
  drive_later();
  co_return co_await answer.wait();
}

void Member::Impl::hand_in_proposals() {
  for (NewProposal& next : std::exchange(new_proposals_, {})) {
    const Proposed proposed = core_->propose(next.command);
    Proposal proposal{proposed.first.term, next.command.size(), next.answer, next.deadline};
    if (!proposed) {
      ++stats_.proposals_refused;
      finish(std::move(proposal), std::unexpected(refusal(proposed.refusal)));
      continue;
    }
    ++stats_.proposals;
    await_entry(proposed.first.index, std::move(proposal));
  }
}

void Member::Impl::await_entry(LogIndex index, Proposal proposal) {
  // What is there was of an earlier term, and its entry is gone: but perhaps not everywhere.
  if (auto old = proposals_.extract(index)) {
    STELE_MARK("raft: a proposal's entry is gone here");
    finish(std::move(old.mapped()), std::unexpected(unknown("the leadership changed")));
  }
  proposals_.emplace(index, std::move(proposal));
}

void Member::Impl::finish(Proposal proposal, Result<std::string> result) {
  --open_proposals_;
  open_proposal_bytes_ -= proposal.bytes;
  if (!result && result.error().code == ErrorCode::kTimedOut) ++stats_.proposals_unknown;
  proposal.answer.set(std::move(result));
}

void Member::Impl::answer(const Entry& entry, std::string what) {
  auto found = proposals_.extract(entry.index);
  if (!found) return;
  if (found.mapped().term == entry.term) return finish(std::move(found.mapped()), std::move(what));
  STELE_MARK("raft: another entry took a proposal's place");
  finish(std::move(found.mapped()),
         error(ErrorCode::kUnavailable, "the leadership changed before it was stored, ask again"));
}

void Member::Impl::answer_unknown_up_to(LogIndex index) {
  while (!proposals_.empty() && proposals_.begin()->first <= index) {
    STELE_MARK("raft: a snapshot came over a proposal");
    Proposal next = std::move(proposals_.extract(proposals_.begin()).mapped());
    finish(std::move(next), std::unexpected(unknown("a snapshot has come instead of the entry")));
  }
}

// ---- barriers

Task<Result<void>> Member::Impl::read_barrier() {
  STELE_CO_CHECK(check_open());
  if (open_barriers_ >= options_.barriers_max) {
    co_return error(ErrorCode::kUnavailable, "too many reads wait for their answer, try again later");
  }
  ++open_barriers_;
  ++stats_.barriers;
  const Barrier barrier{{}, ticks_ + options_.patience_ticks};
  new_barriers_.push_back(barrier);
  drive_later();
  auto result = co_await barrier.done.wait();
  --open_barriers_;
  co_return result;
}

// Everybody who came since the last time shares a context.
void Member::Impl::ask_barriers() {
  if (new_barriers_.empty() || !core_->read_index(next_context_)) return;
  rounds_[next_context_++] = {ticks_, std::exchange(new_barriers_, {})};
}

void Member::Impl::on_read_states(const std::vector<ReadState>& states) {
  for (const ReadState& state : states) {
    auto round = rounds_.extract(state.context);
    if (!round) continue;  // it was asked for again meanwhile
    auto& waiting = confirmed_[state.index];
    for (Barrier& barrier : round.mapped().barriers) waiting.push_back(std::move(barrier));
  }
  if (!states.empty()) release_barriers();
}

void Member::Impl::on_reads_refused(const std::vector<std::uint64_t>& contexts) {
  for (const std::uint64_t context : contexts) {
    auto round = rounds_.extract(context);
    if (!round) continue;
    for (Barrier& barrier : round.mapped().barriers) new_barriers_.push_back(std::move(barrier));
  }
}

void Member::Impl::release_barriers() {
  while (!confirmed_.empty() && confirmed_.begin()->first <= applied_) {
    const auto done = confirmed_.extract(confirmed_.begin());
    for (const Barrier& barrier : done.mapped()) barrier.done.set(Result<void>());
  }
}

// ---- patience

void Member::Impl::check_patience() {
  std::vector<Proposal> late;
  std::erase_if(proposals_, [&](auto& at) {
    if (at.second.deadline > ticks_) return false;
    late.push_back(std::move(at.second));
    return true;
  });
  // A question may have been lost, or its answer.
  for (auto at = rounds_.begin(); at != rounds_.end();) {
    if (at->second.asked + options_.core.election_ticks > ticks_) {
      ++at;
      continue;
    }
    for (Barrier& barrier : at->second.barriers) new_barriers_.push_back(std::move(barrier));
    at = rounds_.erase(at);
  }
  std::vector<Barrier> tired;
  const auto take_tired = [&](std::vector<Barrier>& from) {
    std::erase_if(from, [&](Barrier& barrier) {
      if (barrier.deadline > ticks_) return false;
      tired.push_back(std::move(barrier));
      return true;
    });
  };
  take_tired(new_barriers_);
  for (auto& [index, waiting] : confirmed_) take_tired(waiting);
  for (Proposal& proposal : late) {
    STELE_MARK("raft: a proposal was waited for too long");
    finish(std::move(proposal), std::unexpected(unknown("no majority has stored it in time")));
  }
  for (const Barrier& barrier : tired) {
    STELE_MARK("raft: a barrier was waited for too long");
    barrier.done.set(error(ErrorCode::kUnavailable, "no leader has confirmed in time what is committed"));
  }
}

void Member::Impl::answer_all() {
  for (NewProposal& next : std::exchange(new_proposals_, {})) {
    finish({{}, next.command.size(), next.answer, 0},
           error(failure_ ? ErrorCode::kUnavailable : ErrorCode::kClosed, why_stopping().message));
  }
  for (auto& [index, proposal] : std::exchange(proposals_, {})) {
    finish(std::move(proposal), std::unexpected(unknown(why_stopping().message)));
  }
  std::vector<Barrier> waiting = std::exchange(new_barriers_, {});
  for (auto& [context, round] : std::exchange(rounds_, {}))
    waiting.insert(waiting.end(), round.barriers.begin(), round.barriers.end());
  for (auto& [index, barriers] : std::exchange(confirmed_, {}))
    waiting.insert(waiting.end(), barriers.begin(), barriers.end());
  for (const Barrier& barrier : waiting) {
    barrier.done.set(error(failure_ ? ErrorCode::kUnavailable : ErrorCode::kClosed, why_stopping().message));
  }
}

// ---- the group

Task<Result<void>> Member::Impl::change_membership(MembershipTarget target) {
  STELE_CO_CHECK(check_open());
  drive();  // what was proposed before goes before
  STELE_CO_CHECK(check_open());
  const Proposed proposed = core_->propose_membership(target);
  if (!proposed) co_return std::unexpected(refusal(proposed.refusal));
  ++open_proposals_;
  const Answer answer;
  await_entry(proposed.first.index, {proposed.first.term, 0, answer, ticks_ + options_.patience_ticks});
  drive_later();
  STELE_CO_CHECK(co_await answer.wait());
  co_return co_await wait_for_change(proposed.first.term);
}

// The joint configuration is left by itself.
Task<Result<void>> Member::Impl::wait_for_change(Term term) {
  const std::uint64_t deadline = ticks_ + options_.patience_ticks;
  while (!stopping() && core_->term() == term && ticks_ < deadline) {
    if (!core_->membership().joint() && core_->log().membership_index() <= applied_) co_return Result<void>();
    co_await progress_.wait();
  }
  co_return std::unexpected(unknown("the change of the members is not complete"));
}

Task<Result<void>> Member::Impl::transfer_leadership(NodeId to) {
  STELE_CO_CHECK(check_open());
  drive();
  if (const Refusal refused = core_->transfer_leadership(to); refused != Refusal::kNone) {
    co_return std::unexpected(refusal(refused));
  }
  drive_later();
  const NodeId self = options_.core.self;
  while (!stopping()) {
    if (core_->leader() && core_->leader() != self) co_return Result<void>();
    if (core_->role() == Role::kLeader && !core_->transferee()) {
      co_return error(ErrorCode::kUnavailable,
                      "node " + std::to_string(to.value) + " did not take over in time");
    }
    co_await progress_.wait();
  }
  co_return std::unexpected(why_stopping());
}

void Member::Impl::campaign() {
  if (stopping()) return;
  core_->campaign();
  drive_later();
}

}  // namespace stele::raft
