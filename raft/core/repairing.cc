// Slots of the log that turn out to be lost: see damage in core.h.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "raft/core/core.h"
#include "raft/core/mutants.h"

namespace stele::raft {

// The lost log's end is in neither term nor index beyond this.
LogPoint Core::with_doubt(LogPoint doubt, LogPoint lost) {
  return {std::max(doubt.term, lost.term), std::max(doubt.index, lost.index)};
}

// Cuts off lost slots that nothing readable follows. Returns the hard state that tells of it.
HardState Core::without_lost_end(Restored& restored) {
  HardState hard = restored.hard_state;
  LogOutline& log = restored.log;
  while (!log.damaged.empty() && log.damaged.back().last >= log.last) {
    STELE_MARK("raft: the end of a log is lost");
    const SlotRange lost = log.damaged.back();
    STELE_ASSERT(lost.first > log.start.index && lost.first <= log.last + 1);
    hard.doubt = with_doubt(hard.doubt, {hard.term, lost.last});
    log.last = lost.first - 1;
    log.damaged.pop_back();
  }
  std::erase_if(log.terms, [&](const TermRun& run) { return run.first > log.last; });
  std::erase_if(log.memberships, [&](const PlacedMembership& placed) { return placed.index > log.last; });
  return hard;
}

// The log ends below `from`; what it may have had is remembered.
void Core::cut_lost(LogIndex from) {
  hard_.doubt = with_doubt(hard_.doubt, log_.last());
  for (auto lost = log_.damaged().rbegin(); lost != log_.damaged().rend(); ++lost) {
    if (lost->last + 1 >= from) from = std::min(from, lost->first);
  }
  commit_ = std::min(commit_, from - 1);
  truncate(from);
}

void Core::damaged(SlotRange slots) {
  if (failed_) return;
  slots.first = std::max(slots.first, log_.first_index());
  if (slots.first > slots.last || slots.first > log_.last_index()) return;
  STELE_ASSERT(slots.last < first_unsaved_);
  if (log_.is_cached(slots.first)) {
    STELE_MARK("raft: a lost slot is written again from memory");
    for (Entry& entry : log_.cached(slots.first, slots.last, SIZE_MAX)) repaired_.push_back(std::move(entry));
    return;
  }
  become_follower(hard_.term, std::nullopt);
  if (slots.last >= log_.last_index()) {
    cut_lost(slots.first);
  } else {
    log_.add_damage(slots);
  }
}

void Core::ask_for_lost() {
  if (log_.damaged().empty() || ++heartbeat_elapsed_ < options_.heartbeat_ticks) return;
  heartbeat_elapsed_ = 0;
  for (const NodeId node : members_of(membership())) {
    if (node != options_.self) send(node, RepairRequest{log_.damaged().front(), log_.above_damage()});
  }
}

// A leader's entries, the first of them at the first lost slot. If they reach across the hole what is lost is
// known: these very entries if the one above it is the same, and if not the leader's replace all of it.
bool Core::fill_from(std::span<const Entry> entries) {
  const SlotRange lost = log_.damaged().front();
  STELE_ASSERT(entries.front().index == lost.first);
  if (entries.back().index <= lost.last) return false;
  const auto end = entries.begin() + static_cast<std::ptrdiff_t>(lost.last + 1 - lost.first);
  fill({entries.begin(), end});
  return true;
}

void Core::fill(std::vector<Entry> entries) {
  STELE_MARK("raft: lost slots are filled");
  log_.repair(entries);
  repaired_.insert(repaired_.end(), entries.begin(), entries.end());
}

void Core::on(const PeerMessage& from, const RepairRequest& request) {
  const LogPoint next = request.next;
  if (next.index <= log_.start().index || log_.is_damaged(next.index)) return;  // it cannot say
  if (in_doubt() && next.index > log_.last_index()) return;
  if (!log_.has(next) && !planted(Mutant::kRepairUnproven)) {
    send(from.from, RepairAnswer{request.slots, next, false, {}});
    return;
  }
  const SlotRange slots = request.slots;
  const bool here = slots.first > log_.start().index && slots.first <= slots.last &&
                    slots.last < next.index && slots.first <= log_.last_index() &&
                    (log_.damaged().empty() || log_.damaged().front().first > slots.last);
  if (!here) return;
  std::vector<Entry> entries =
      log_.cached(slots.first, std::min(slots.last, log_.last_index()), options_.append_bytes_max);
  if (!entries.empty()) {
    send(from.from, RepairAnswer{slots, next, true, std::move(entries)});
    return;
  }
  PendingLogRead& read = log_reads_.at(start_read(slots, options_.append_bytes_max));
  read.purpose = ReadFor::kRepair;
  read.node = from.from;
  read.next = next;
}

void Core::on(const PeerMessage& from, const RepairAnswer& answer) {
  if (log_.damaged().empty()) return;
  const SlotRange lost = log_.damaged().front();
  if (answer.slots.first != lost.first || answer.next != log_.above_damage()) return;  // of an earlier hole
  if (!answer.same_log) {
    // Only the leader's log has all that is committed. It will never get that entry: it is of an earlier
    // term.
    if (leader_ != from.from || answer.next.term >= hard_.term) return;
    STELE_MARK("raft: the leader has nothing of what is lost");
    cut_lost(lost.first);
    return;
  }
  Term term = log_.last_at_most(lost.first - 1, answer.next.term).term;
  LogIndex index = lost.first;
  for (const Entry& entry : answer.entries) {
    if (entry.index != index || index > lost.last) return;
    if (entry.term < term || entry.term > answer.next.term) return;
    term = entry.term;
    ++index;
  }
  if (!answer.entries.empty()) fill(answer.entries);
}

}  // namespace stele::raft
