// What the core wants done, in the order that docs/raft.md asks for.
#include <utility>

#include "base/marks.h"
#include "raft/member_impl.h"

namespace stele::raft {

using runtime::Task;

namespace {
// Of a read that the disk refuses, until what was to be read counts as lost.
constexpr int kReadTries = 4;
// Turns whose messages wait for the disk. Of more, the oldest are lost, as on any way.
constexpr std::size_t kHeldMax = 1024;
}  // namespace

void Member::Impl::drive() {
  if (stopping()) return;
  hand_in_proposals();
  ask_barriers();
  for (;;) {
    Effects effects = core_->take_effects();
    if (effects.empty()) break;
    perform(std::move(effects));
    if (stopping()) return;
  }
  follow_leader();
}

void Member::Impl::perform(Effects effects) {
  if (effects.store) store(*std::move(effects.store));
  for (const PeerMessage& message : effects.send) {
    if (const auto* install = std::get_if<InstallSnapshot>(&message.body)) {
      leading_ = message.term;
      // Whatever lies at the log's start or above it fits.
      sender_->start(message.to, message.term, std::min(install->snapshot.index, core_->log().start().index));
    } else {
      transmit(message);
    }
  }
  if (!effects.send_after_store.empty()) {
    held_.push_back({handed_stores_, std::move(effects.send_after_store)});
    if (held_.size() > kHeldMax) held_.pop_front();
  }
  if (!effects.apply.empty()) {
    work_.push_back({.after = handed_stores_, .entries = std::move(effects.apply), .install = {}});
    work_came_.wake_all();
  }
  for (const LogRead& what : effects.reads) scope_.spawn(read(what, handed_stores_));
  if (effects.cut) log_->cut(*effects.cut);
  release_held();
  on_read_states(effects.read_states);
  on_reads_refused(effects.reads_refused);
  if (effects.leader_change) {
    ++stats_.leader_changes;
    const LeaderChange& now = *effects.leader_change;
    if (now.leader == options_.core.self) ++stats_.elections_won;
    runtime_.log().write(
        runtime::LogLevel::kInfo, "raft",
        "term " + std::to_string(now.term.value) + ": " +
            (now.leader ? "node " + std::to_string(now.leader->value) + " leads" : "no leader is known"));
  }
}

void Member::Impl::store(Store what) {
  if (what.snapshot) {
    // Its data lies in the file that was just offered.
    STELE_ASSERT(offered_ == *what.snapshot);
    offer_taken_ = true;
    work_.push_back({.after = handed_stores_ + 1, .entries = {}, .install = what.snapshot});
  }
  ++handed_stores_;
  const Term term = what.term;
  const LogIndex last = what.last;
  log_->store(std::move(what),
              [this, term, last](Result<void> result) { stored(term, last, std::move(result)); });
}

void Member::Impl::stored(Term term, LogIndex last, Result<void> result) {
  if (!result) return fail(result.error());
  ++durable_stores_;
  if (stopping()) return;
  core_->stored(term, last);
  release_held();
  work_came_.wake_all();
  durable_.wake_all();
  drive_later();
}

void Member::Impl::release_held() {
  while (!held_.empty() && held_.front().after <= durable_stores_) {
    const Held now = std::move(held_.front());
    held_.pop_front();
    for (const PeerMessage& message : now.messages) transmit(message);
  }
}

void Member::Impl::transmit(const PeerMessage& message) {
  ++stats_.messages_sent;
  transport_.send(message.to, encode(message));
}

// Transfers of snapshots end with the leadership, or when their receiver is no member any more.
void Member::Impl::follow_leader() {
  if (sender_->running() == 0) return;
  if (core_->role() != Role::kLeader || core_->term() != leading_) {
    STELE_MARK("raft: transfers of snapshots end with the leadership");
    sender_->drop_all();
  } else {
    sender_->keep_only(members_of(core_->membership()));
  }
}

// Who leads with a full disk answers nobody, though the others could go on.
void Member::Impl::give_way_if_full() {
  const bool full = core_->role() == Role::kLeader && (applying_waits_ || log_->stats().no_space);
  full_ticks_ = full ? full_ticks_ + 1 : 0;
  if (full_ticks_ < options_.core.election_ticks || core_->transferee()) return;
  full_ticks_ = 0;
  std::optional<NodeId> best;
  LogIndex match;
  for (const auto& [node, progress] : core_->progress()) {
    const bool fit = node != options_.core.self && core_->membership().is_voter(node) && progress.active &&
                     progress.state() == ProgressState::kReplicate;
    if (!fit || progress.match() <= match) continue;
    best = node;
    match = progress.match();
  }
  if (!best) return;
  STELE_MARK("raft: a leader with a full disk hands over");
  (void)core_->transfer_leadership(*best);
}

Task<void> Member::Impl::read(LogRead what, std::uint64_t after) {
  while (durable_stores_ < after && !stopping()) co_await durable_.wait();
  for (int tries = 1; !stopping(); ++tries) {
    auto entries = co_await log_->read(what.slots, what.bytes_max);
    if (stopping()) co_return;
    if (entries) {
      core_->entries_read(what.id, *std::move(entries));
      break;
    }
    const ErrorCode code = entries.error().code;
    if (code == ErrorCode::kNotFound) {
      core_->entries_read(what.id, {});
      break;
    }
    if (code == ErrorCode::kCorrupt || tries == kReadTries) {
      STELE_MARK("raft: a slot of the log cannot be read");
      runtime_.log().write(runtime::LogLevel::kWarn, "raft",
                           "a slot is lost: " + entries.error().to_string());
      ++stats_.slots_damaged;
      drive();  // the core must have handed out what it says is stored
      core_->damaged({what.slots.first, what.slots.first});
      core_->entries_read(what.id, {});
      break;
    }
    co_await runtime::sleep(runtime_, options_.disk_pause, scope_.token());
  }
  if (!stopping()) drive_later();
}

}  // namespace stele::raft
