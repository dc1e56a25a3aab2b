#include "raft/member.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/marks.h"
#include "raft/member_impl.h"
#include "storage/durable_directory.h"

namespace stele::raft {

using runtime::Task;

Member::Impl::Impl(runtime::Runtime& runtime, MemberOptions options, StateMachine& machine,
                   PeerTransport& transport)
    : runtime_(runtime), options_(std::move(options)), machine_(machine), transport_(transport) {}

Member::Impl::~Impl() {
  runtime_.disarm(*this);
}

// ---- the beginning

Task<Result<void>> Member::Impl::open() {
  const NodeId self = options_.core.self;
  STELE_CO_CHECK(co_await storage::make_durable_directory(runtime_.files(), options_.directory));
  options_.log.directory = options_.directory + "/log";
  STELE_CO_TRY(log_, co_await LogStore::open(runtime_, options_.log));
  receiver_ = std::make_unique<SnapshotReceiver>(
      runtime_, options_.directory + "/received",
      (options_.snapshot_window + 1) * (options_.snapshot_part_bytes + Entry::kOverhead),
      SnapshotReceiver::Hooks{
          .answer =
              [this, self](NodeId to, const SnapshotAnswer& answer) {
                if (stopping()) return;
                ++stats_.messages_sent;
                transport_.send(to, encode(SnapshotMessage{self, to, core_->term(), answer}));
              },
          .complete = [this](NodeId from, Term term,
                             const SnapshotInfo& of) { return take_snapshot(from, term, of); },
          .failed = [this](const Error& why) { fail(why); }});
  STELE_CO_TRY(const bool found, co_await receiver_->open());
  STELE_CO_TRY(Restored restored, co_await restore(log_->take_found(), found));
  sender_ = std::make_unique<SnapshotSender>(
      SnapshotSenderOptions{.part_bytes = options_.snapshot_part_bytes,
                            .window = options_.snapshot_window,
                            .retry_ticks = options_.snapshot_retry_ticks,
                            .patience_ticks = options_.snapshot_patience_ticks,
                            .kept_ticks = options_.snapshot_kept_ticks},
      SnapshotSender::Hooks{.send =
                                [this, self](NodeId to, Term term, SnapshotPart part) {
                                  if (stopping()) return;
                                  ++stats_.messages_sent;
                                  transport_.send(to,
                                                  encode(SnapshotMessage{self, to, term, std::move(part)}));
                                },
                            .ended =
                                [this](NodeId to, bool delivered) {
                                  if (stopping()) return;
                                  ++(delivered ? stats_.snapshots_sent : stats_.snapshots_given_up);
                                  core_->snapshot_sent(to, delivered);
                                  drive_later();
                                },
                            .want_copy =
                                [this] {
                                  copy_wanted_ = true;
                                  work_came_.wake_all();
                                }});
  options_.core.seed = runtime_.random().next();
  next_context_ = runtime_.random().next();
  applied_ = std::max(restored.applied, restored.log.start.index);
  compacted_ = applied_;
  core_.emplace(options_.core, std::move(restored));
  // Nobody has to be waited for.
  if (core_->membership().voters == NodeSet{self}) core_->campaign();
  scope_.spawn(work());
  runtime_.arm(*this, runtime_.now() + options_.tick);
  drive_later();
  co_return Result<void>();
}

// What there is of log and state machine, brought together.
Task<Result<Restored>> Member::Impl::restore(StoredLog found, bool snapshot_found) {
  LogOutline& log = found.log;
  if (found.hard_state.term == Term(0) && machine_.applied() > LogIndex(0)) {
    STELE_MARK("raft: a log is lost whole");
    co_return error(ErrorCode::kCorrupt,
                    "the log is lost, and with it whom this node voted for, but the state machine has " +
                        std::to_string(machine_.applied().value) +
                        " entries; remove it, and let the node come back under another id");
  }
  if (log.start.index == LogIndex(0)) log.base = options_.founders;
  if (machine_.applied() < log.start.index && snapshot_found) {
    STELE_MARK("raft: a snapshot is installed that a crash came before");
    STELE_CO_CHECK(co_await machine_.install(receiver_->path()));
  } else if (snapshot_found) {
    STELE_CO_CHECK(co_await receiver_->discard());
  }
  const LogIndex applied = machine_.applied();
  if (applied < log.start.index) {
    co_return error(ErrorCode::kCorrupt, "the state machine ends with entry " +
                                             std::to_string(applied.value) + ", and the log begins behind " +
                                             std::to_string(log.start.index.value) +
                                             "; remove both, and let the node come back under another id");
  }
  Restored out;
  const bool whole = log.damaged.empty() && applied <= log.last;
  if (applied > log.last) {
    // It is applied only when the log has it. So the log had more, and may have acknowledged it.
    STELE_MARK("raft: a state machine is ahead of its log");
    log.damaged.push_back({log.last + 1, applied});
    log.last = applied;
  }
  out.commit = whole ? applied : LogIndex(0);
  out.applied = applied;
  if (log.start.index != LogIndex(0)) {
    out.snapshot = SnapshotInfo{.index = log.start.index, .term = log.start.term, .membership = log.base};
  }
  out.hard_state = found.hard_state;
  out.log = std::move(log);
  co_return out;
}

// ---- time, and what others say

void Member::Impl::on_timer() {
  if (stopping()) return;
  runtime_.arm(*this, runtime_.now() + options_.tick);
  ++ticks_;
  core_->tick();
  sender_->tick();
  give_way_if_full();
  check_patience();
  progress_.wake_all();
  drive_later();
}

void Member::Impl::deliver(NodeId from, const Bytes& message) {
  if (stopping()) return;
  ++stats_.messages_received;
  auto decoded = decode_message(message);
  const auto fits = [&](const auto& one) { return one.from == from && one.to == options_.core.self; };
  if (!decoded || !std::visit(fits, *decoded)) {
    STELE_MARK("raft: a message was no message for this member");
    ++stats_.messages_malformed;
    return;
  }
  if (const auto* to_core = std::get_if<PeerMessage>(&*decoded)) {
    core_->step(*to_core);
  } else {
    on_snapshot_message(std::get<SnapshotMessage>(*std::move(decoded)));
  }
  drive_later();
}

void Member::Impl::on_snapshot_message(SnapshotMessage message) {
  if (auto* part = std::get_if<SnapshotPart>(&message.body)) {
    on_snapshot_part(message.from, message.term, std::move(*part));
  } else {
    sender_->answered(message.from, std::get<SnapshotAnswer>(message.body));
  }
}

void Member::Impl::on_snapshot_part(NodeId from, Term term, SnapshotPart part) {
  if (term < core_->term()) return;  // no longer a leader
  const SnapshotInfo& of = part.snapshot;
  if (core_->log().damaged().empty() && of.index <= core_->commit()) {
    // Nothing of it is needed, and the core tells the leader what there is.
    STELE_MARK("raft: a part of a snapshot is not needed");
    const SnapshotAnswer done{{of.term, of.index}, part.copy, part.copy.bytes, SnapshotState::kDone};
    transport_.send(from, encode(SnapshotMessage{options_.core.self, from, core_->term(), done}));
    core_->step({from, options_.core.self, term, InstallSnapshot{of}});
    return;
  }
  receiver_->part(from, term, std::move(part));
}

// Its data is complete. Whether the core wants it is seen from what it has stored.
bool Member::Impl::take_snapshot(NodeId from, Term term, const SnapshotInfo& snapshot) {
  if (stopping()) return false;
  ++stats_.snapshots_received;
  drive();
  offered_ = snapshot;
  offer_taken_ = false;
  core_->step({from, options_.core.self, term, InstallSnapshot{snapshot}});
  drive();
  offered_ = std::nullopt;
  return offer_taken_;
}

MemberStatus Member::Impl::status() const {
  MemberStatus out{.self = options_.core.self,
                   .role = core_->role(),
                   .term = core_->term(),
                   .leader = stopping() ? std::nullopt : core_->leader(),
                   .first = core_->log().first_index(),
                   .last = core_->log().last_index(),
                   .commit = core_->commit(),
                   .applied = applied_,
                   .membership = core_->membership(),
                   .failed = failure_.has_value(),
                   .in_doubt = core_->in_doubt(),
                   .lost_slots = 0,
                   .peers = {}};
  for (const SlotRange& lost : core_->log().damaged()) out.lost_slots += lost.last - lost.first + 1;
  for (const auto& [node, progress] : core_->progress())
    out.peers[node] = {progress.state(), progress.match(), progress.next(), progress.active};
  return out;
}

// ---- the end

Error Member::Impl::why_stopping() const {
  if (failure_) return failure_->with_context("the Raft member has failed");
  return {ErrorCode::kClosed, "the Raft member stops"};
}

void Member::Impl::fail(const Error& why) {
  if (stopping()) return;
  STELE_MARK("raft: a member has failed");
  failure_ = why;
  runtime_.log().write(runtime::LogLevel::kError, "raft", "failed, and is silent: " + why.to_string());
  core_->storage_failed();
  runtime_.disarm(*this);
  sender_->drop_all();
  scope_.spawn(tell_failure());
  work_came_.wake_all();
  durable_.wake_all();
  answer_all();
  progress_.wake_all();
}

Task<void> Member::Impl::tell_failure() {
  co_await runtime::sleep(runtime_, {});
  if (options_.on_failure) options_.on_failure(*failure_);
}

Task<Result<void>> Member::Impl::close() {
  closing_ = true;
  runtime_.disarm(*this);
  scope_.request_stop();
  work_came_.wake_all();
  durable_.wake_all();
  progress_.wake_all();
  co_await receiver_->close();
  co_await sender_->close();
  co_await scope_.join();
  answer_all();
  co_return co_await log_->close();
}

Task<void> Member::Impl::abandon() {
  closing_ = true;
  if (receiver_) co_await receiver_->close();
  if (log_) (void)co_await log_->close();
}

// ---- the public face

Member::Member(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Member::~Member() = default;

Task<Result<std::unique_ptr<Member>>> Member::open(runtime::Runtime& runtime, MemberOptions options,
                                                   StateMachine& machine, PeerTransport& transport) {
  auto impl = std::make_unique<Impl>(runtime, std::move(options), machine, transport);
  if (auto opened = co_await impl->open(); !opened) {
    co_await impl->abandon();
    co_return std::unexpected(std::move(opened).error());
  }
  co_return std::unique_ptr<Member>(new Member(std::move(impl)));
}

void Member::deliver(NodeId from, const Bytes& message) {
  impl_->deliver(from, message);
}
Task<Result<std::string>> Member::propose(std::string command) {
  return impl_->propose(std::move(command));
}
Task<Result<void>> Member::read_barrier() {
  return impl_->read_barrier();
}
Task<Result<void>> Member::change_membership(MembershipTarget target) {
  return impl_->change_membership(std::move(target));
}
Task<Result<void>> Member::transfer_leadership(NodeId to) {
  return impl_->transfer_leadership(to);
}
void Member::campaign() {
  impl_->campaign();
}
MemberStatus Member::status() const {
  return impl_->status();
}
std::optional<NodeId> Member::leader() const {
  return impl_->core().leader();
}
LogIndex Member::applied() const {
  return impl_->applied();
}
const MemberStats& Member::stats() const {
  return impl_->stats();
}
LogStoreStats Member::log_stats() const {
  return impl_->log_stats();
}
Task<Result<void>> Member::close() {
  return impl_->close();
}

}  // namespace stele::raft
