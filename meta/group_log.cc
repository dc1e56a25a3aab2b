#include "meta/group_log.h"

#include <utility>

#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "meta/proposal.h"
#include "runtime/one_shot.h"
#include "storage/durable_directory.h"

namespace stele::meta {

using runtime::Task;

Task<Result<std::unique_ptr<GroupLog>>> GroupLog::open(runtime::Runtime& runtime, GroupOptions options,
                                                       raft::PeerTransport& transport, LeaderLink& link) {
  std::unique_ptr<GroupLog> log(new GroupLog(runtime, std::move(options), link));
  STELE_CO_TRY(log->machine_, co_await GroupMachine::open(runtime, log->options_.directory));
  raft::MemberOptions member = log->options_.member;
  member.directory = log->options_.directory + "/raft";
  if (log->options_.begins && log->machine_->applied() > raft::LogIndex(0)) {
    STELE_CO_CHECK(co_await storage::make_durable_directory(runtime.files(), member.directory));
    raft::LogStoreOptions store = member.log;
    store.directory = member.directory + "/log";
    STELE_CO_CHECK(co_await raft::begin_log(
        runtime, std::move(store),
        {.index = log->machine_->applied(), .term = raft::Term(1), .membership = member.founders}));
  }
  member.on_failure = [self = log.get()](const Error& why) { self->failed(why); };
  STELE_CO_TRY(log->member_,
               co_await raft::Member::open(runtime, std::move(member), *log->machine_, transport));
  co_return log;
}

void GroupLog::failed(const Error& why) {
  failure_ = why;
  machine_->stop();
  if (on_failure_) std::exchange(on_failure_, {})(why);
}

Error GroupLog::closed() const {
  if (failure_) return failure_->with_context("the meta service has failed; restart the process");
  return {ErrorCode::kClosed, "the meta service stops"};
}

Task<Result<ProposalAnswer>> GroupLog::take(Bytes proposal) {
  STELE_CO_TRY(std::string answer, co_await member_->propose(std::string(proposal.view())));
  co_return ProposalAnswer{.answer = std::move(answer), .applied = machine_->applied().value};
}

Task<Result<std::string>> GroupLog::propose_here(std::string command) {
  co_return co_await member_->propose(encode_proposal({.command = std::move(command)}));
}

// `sent` becomes true when it may be applied from then on.
Task<Result<ProposalAnswer>> GroupLog::attempt(Bytes proposal, bool* sent) {
  const std::optional<NodeId> leader = member_->leader();
  if (!leader) co_return error(ErrorCode::kUnavailable, "the meta service has no leader now");
  if (*leader == member_->status().self) {
    auto taken = co_await take(std::move(proposal));
    *sent = *sent || (!taken && taken.error().code == ErrorCode::kTimedOut);
    co_return taken;
  }
  ++stats_.forwarded;
  *sent = true;
  co_return co_await link_.propose(*leader, std::move(proposal));
}

Task<Result<std::string>> GroupLog::propose(std::string command) {
  const Bytes proposal =
      Bytes::copy(encode_proposal({.command = std::move(command),
                                   .id = {runtime_.random().next() | 1, runtime_.random().next()},
                                   .seen = machine_->applied().value}));
  ++stats_.proposed;
  const runtime::Instant until = runtime_.now() + options_.patience;
  bool sent = false;
  for (bool first = true; !closed_ && !failure_; first = false) {
    if (!first) {
      STELE_MARK("meta: a command is proposed again");
      ++stats_.again;
    }
    auto answer = co_await attempt(proposal, &sent);
    if (answer) {
      if (mutant(mutants::kAnsweredBeforeAppliedHere)) co_return std::move(answer->answer);
      if (co_await machine_->wait_for(answer->applied)) co_return std::move(answer->answer);
      break;  // it is done, and will not be seen here
    }
    if (answer.error().code == ErrorCode::kInvalidArgument) co_return std::unexpected(answer.error());
    if (runtime_.now() >= until) {
      STELE_MARK("meta: a command is given up");
      ++stats_.given_up;
      co_return std::unexpected(Error{
          sent ? ErrorCode::kTimedOut : ErrorCode::kUnavailable,
          std::string(sent ? "whether the command was done is not known: " : "the command was not done: ") +
              answer.error().message});
    }
    co_await runtime::sleep(runtime_, options_.pause);
  }
  co_return std::unexpected(closed());
}

Task<Result<void>> GroupLog::read(Reader reader) {
  const runtime::Instant until = runtime_.now() + options_.patience;
  while (!closed_ && !failure_) {
    Result<void> current;
    if (!mutant(mutants::kMetaReadWithoutBarrier)) current = co_await member_->read_barrier();
    if (current) co_return co_await read_here(std::move(reader));
    if (runtime_.now() >= until) {
      ++stats_.given_up;
      co_return error(ErrorCode::kUnavailable,
                      "the meta service has no leader that answers: " + current.error().message);
    }
    co_await runtime::sleep(runtime_, options_.pause);
  }
  co_return std::unexpected(closed());
}

Task<Result<void>> GroupLog::read_here(Reader reader) {
  if (closed_ || failure_) co_return std::unexpected(closed());
  auto broken = std::make_shared<std::optional<Error>>();
  co_await machine_->read([reader = std::move(reader), broken](StateMachine& machine,
                                                               runtime::BlockingFiles& files,
                                                               StateMachine::Inputs in) mutable {
    reader(machine, files, in);
    *broken = machine.failed();
  });
  // An idle group applies nothing that would find it out.
  if (*broken && !failure_) {
    STELE_MARK("meta: a read finds that the database has failed");
    failure_ = (*broken)->with_context("the meta database failed");
    machine_->stop();
    // Not in this call, which may be of somebody who ends by it.
    runtime_.post(runtime_.core(), [tell = std::exchange(on_failure_, {}), why = *failure_] {
      if (tell) tell(why);
    });
  }
  co_return Result<void>();
}

Task<void> GroupLog::close() {
  closed_ = true;
  [[maybe_unused]] const auto done = co_await member_->close();
  machine_->stop();
  // This is a call of the member, within which it must not be destroyed.
  runtime::OneShot<bool> later;
  runtime_.post(runtime_.core(), [later] { later.set(true); });
  co_await later.wait();
}

}  // namespace stele::meta
