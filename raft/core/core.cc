#include "raft/core/core.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "raft/core/mutants.h"

namespace stele::raft {

Core::Core(const Options& options, Restored restored)
    : options_(options),
      hard_(without_lost_end(restored)),
      log_(restored.log, options.cache_bytes),
      random_state_(options.seed) {
  STELE_ASSERT(options_.heartbeat_ticks > 0 && options_.heartbeat_ticks < options_.election_ticks);
  handed_hard_ = restored.hard_state;
  commit_ = std::clamp(restored.commit, log_.start().index, log_.last_index());
  handed_ = std::max(restored.applied, log_.start().index);
  applied_ = handed_;
  snapshot_ = restored.snapshot;
  STELE_ASSERT(!snapshot_ || snapshot_->index >= log_.start().index);
  first_unsaved_ = log_.last_index() + 1;
  if (in_doubt()) truncate_from_ = first_unsaved_;  // what is unreadable there goes
  if (planted(Mutant::kDoubtForgotten)) hard_.doubt = {};
  reset(hard_.term);
}

void Core::tick() {
  if (failed_) return;
  ++election_elapsed_;
  if (role_ == Role::kLeader) {
    lead_tick();
    return;
  }
  ask_for_lost();
  if (election_elapsed_ >= election_timeout_ && may_campaign()) start_campaign(true, false);
}

// Whether the message is of this term now, or need not be. A later term makes this node a follower in it.
bool Core::admit(const PeerMessage& message) {
  const auto* vote = std::get_if<VoteRequest>(&message.body);
  const auto* answer = std::get_if<VoteAnswer>(&message.body);
  const bool of_leader = std::holds_alternative<Append>(message.body) ||
                         std::holds_alternative<Heartbeat>(message.body) ||
                         std::holds_alternative<InstallSnapshot>(message.body);
  if (std::holds_alternative<ReadRequest>(message.body)) return true;
  if (message.term > hard_.term) {
    if (vote && !vote->transfer && leased() && !planted(Mutant::kLeaseIgnored)) {
      STELE_MARK("raft: a vote was asked for while the leader is heard of");
      return false;
    }
    if (vote && vote->pre && !planted(Mutant::kPreVoteBumpsTerm)) return true;
    if (answer && answer->pre && answer->granted) return true;
    become_follower(message.term, of_leader ? std::optional(message.from) : std::nullopt);
    return true;
  }
  if (message.term == hard_.term) return true;
  if (of_leader) {
    send(message.from, TermNotice{});
  } else if (vote && vote->pre) {
    send(message.from, VoteAnswer{true, false});
  }
  return std::holds_alternative<RepairRequest>(message.body);
}

void Core::step(const PeerMessage& message) {
  STELE_ASSERT(message.to == options_.self);
  if (failed_ || message.from == options_.self || !admit(message)) return;
  std::visit([&](const auto& body) { on(message, body); }, message.body);
}

void Core::send(NodeId to, MessageBody body) {
  out_.send.push_back({options_.self, to, hard_.term, std::move(body)});
}

void Core::send_after_store(NodeId to, MessageBody body) {
  send_after_store_.push_back({options_.self, to, hard_.term, std::move(body)});
}

Proposed Core::propose(std::span<const Bytes> payloads) {
  if (role_ != Role::kLeader || failed_) return {Refusal::kNotLeader, {}};
  if (transferee_) return {Refusal::kTransferring, {}};
  if (commit_ > applied_ + options_.apply_lag_max) return {Refusal::kApplyBehind, {}};
  std::size_t bytes = 0;
  for (const Bytes& payload : payloads) bytes += payload.size() + Entry::kOverhead;
  // One proposal always goes, however large: otherwise it never could.
  if (uncommitted_bytes_ != 0 && uncommitted_bytes_ + bytes > options_.uncommitted_bytes_max) {
    STELE_MARK("raft: a proposal was refused because too much is uncommitted");
    return {Refusal::kUncommittedFull, {}};
  }
  const LogPoint first{hard_.term, log_.last_index() + 1};
  for (const Bytes& payload : payloads) append(EntryKind::kCommand, payload, nullptr);
  uncommitted_.emplace_back(log_.last_index(), bytes);
  uncommitted_bytes_ += bytes;
  return {Refusal::kNone, first};
}

void Core::append(EntryKind kind, Bytes payload, std::shared_ptr<const Membership> membership) {
  STELE_ASSERT(role_ == Role::kLeader && log_.damaged().empty());
  log_.append({hard_.term, log_.last_index() + 1, kind, std::move(payload), std::move(membership)});
}

void Core::truncate(LogIndex from) {
  STELE_ASSERT(from > commit_);
  log_.truncate(from);
  if (from < first_unsaved_) {
    truncate_from_ = std::min(truncate_from_.value_or(from), from);
    first_unsaved_ = from;
  }
  std::erase_if(repaired_, [&](const Entry& entry) { return entry.index >= from; });
}

void Core::commit_to(LogIndex index) {
  if (index <= commit_) return;
  STELE_ASSERT(index <= log_.last_index());
  commit_ = index;
}

std::optional<Store> Core::take_store() {
  // Doubt ends once the log that reached it was handed out earlier: then a crash finds the one or the other.
  if (hard_.doubt != LogPoint{} && !in_doubt() && first_unsaved_ > log_.last_index()) {
    STELE_MARK("raft: a log has reached again what it may have lost");
    hard_.doubt = {};
  }
  const bool news = hard_ != handed_hard_ || install_ || truncate_from_ || !repaired_.empty() ||
                    first_unsaved_ <= log_.last_index();
  if (!news) return std::nullopt;
  Store store;
  if (hard_ != handed_hard_) store.hard_state = hard_;
  handed_hard_ = hard_;
  store.snapshot = std::exchange(install_, std::nullopt);
  store.repaired = std::exchange(repaired_, {});
  store.truncate_from = std::exchange(truncate_from_, std::nullopt);
  if (first_unsaved_ <= log_.last_index()) {
    store.entries = log_.cached(first_unsaved_, log_.last_index(), SIZE_MAX);
    STELE_ASSERT(store.entries.size() == log_.last_index() + 1 - first_unsaved_);
    first_unsaved_ = log_.last_index() + 1;
  }
  store.term = hard_.term;
  store.last = log_.last_index();
  return store;
}

void Core::hand_out_committed(Effects& out) {
  const LogIndex end = std::min(commit_, log_.sound_to());
  while (handed_ < end && applying_bytes_ < options_.applying_bytes_max && !apply_read_) {
    const std::size_t room = options_.applying_bytes_max - applying_bytes_;
    std::vector<Entry> entries = log_.cached(handed_ + 1, end, room);
    if (entries.empty()) {
      apply_read_ = true;
      const std::uint64_t id = start_read({handed_ + 1, end}, room);
      log_reads_.at(id).purpose = ReadFor::kApply;
      return;
    }
    for (Entry& entry : entries) {
      STELE_ASSERT(entry.index == handed_ + 1);
      handed_ = entry.index;
      applying_.emplace_back(entry.index, entry.size());
      applying_bytes_ += entry.size();
      out.apply.push_back(std::move(entry));
    }
  }
}

std::uint64_t Core::start_read(SlotRange slots, std::size_t bytes_max) {
  const std::uint64_t id = next_log_read_++;
  log_reads_[id] = {ReadFor::kApply, options_.self, hard_.term, slots, {}};
  out_.reads.push_back({id, slots, bytes_max});
  return id;
}

Effects Core::take_effects() {
  if (failed_) return {};
  if (role_ == Role::kLeader) {
    flush_reads();
    send_appends();
  }
  hand_out_committed(out_);
  Effects out = std::exchange(out_, {});
  out.store = take_store();
  out.send_after_store = std::exchange(send_after_store_, {});
  if (planted(Mutant::kVoteNotStored) || planted(Mutant::kAppendNotStored)) {
    const bool votes = planted(Mutant::kVoteNotStored);
    std::erase_if(out.send_after_store, [&](PeerMessage& message) {
      const bool early = votes ? std::holds_alternative<VoteAnswer>(message.body)
                               : std::holds_alternative<AppendAnswer>(message.body);
      if (early) out.send.push_back(message);
      return early;
    });
  }
  if (leader_ != told_leader_.leader || (leader_ && hard_.term != told_leader_.term)) {
    told_leader_ = {hard_.term, leader_};
    out.leader_change = told_leader_;
  }
  log_.evict(std::min({first_unsaved_ - 1, handed_, commit_}));
  return out;
}

void Core::stored(Term term, LogIndex last) {
  if (failed_) return;
  if (term != hard_.term && !planted(Mutant::kOldCompletionCounted)) {
    STELE_MARK("raft: the disk completed what belongs to an earlier term");
    return;
  }
  stored_ = std::max(stored_, {hard_.term, last});
  if (role_ == Role::kCandidate) {
    count_vote(options_.self, true);
  } else if (role_ == Role::kLeader) {
    const auto own = progress_.find(options_.self);
    if (own != progress_.end()) own->second.stored_here(std::min(last, log_.last_index()));
    advance_commit();
  }
}

void Core::applied(LogIndex index) {
  STELE_ASSERT(index <= handed_);
  applied_ = std::max(applied_, index);
  while (!applying_.empty() && applying_.front().first <= index) {
    applying_bytes_ -= applying_.front().second;
    applying_.pop_front();
  }
}

void Core::storage_failed() {
  if (failed_) return;
  STELE_MARK("raft: a node went silent because its disk failed");
  become_follower(hard_.term, std::nullopt);
  failed_ = true;
  out_ = {};
  send_after_store_.clear();
}

void Core::entries_read(std::uint64_t read, std::vector<Entry> entries) {
  const auto found = log_reads_.find(read);
  if (found == log_reads_.end() || failed_) return;
  const PendingLogRead pending = found->second;
  log_reads_.erase(found);
  if (pending.purpose == ReadFor::kApply) {
    // A snapshot may have come meanwhile, and then what was read is not next.
    apply_read_ = false;
    for (Entry& entry : entries) {
      if (entry.index != handed_ + 1 || entry.index > std::min(commit_, log_.sound_to())) continue;
      handed_ = entry.index;
      applying_.emplace_back(entry.index, entry.size());
      applying_bytes_ += entry.size();
      out_.apply.push_back(std::move(entry));
    }
    return;
  }
  if (pending.purpose == ReadFor::kRepair) {
    // What was proven when the read began must still hold of what it saw.
    const bool same = log_.has(pending.next) && std::ranges::all_of(entries, [&](const Entry& entry) {
                        return log_.has({entry.term, entry.index});
                      });
    if (!same) {
      STELE_MARK("raft: entries for a repair were truncated while they were read");
      return;
    }
    send(pending.node, RepairAnswer{pending.slots, pending.next, true, std::move(entries)});
    return;
  }
  const auto at = progress_.find(pending.node);
  if (role_ != Role::kLeader || pending.term != hard_.term || at == progress_.end()) return;
  at->second.reading = false;
  if (entries.empty() || entries.front().index != at->second.next() || at->second.paused()) return;
  if (at->second.next() <= log_.start().index) return;  // cut off meanwhile: a snapshot will go
  send_entries(pending.node, at->second, std::move(entries));
}

SnapshotInfo Core::snapshot_at(LogIndex index) const {
  STELE_ASSERT(index <= applied_);
  const std::optional<Term> term = log_.term_at(index);
  STELE_ASSERT(term.has_value());
  return {index, *term, log_.membership_at(index)};
}

void Core::snapshot_taken(const SnapshotInfo& snapshot) {
  if (failed_ || (snapshot_ && snapshot.index <= snapshot_->index)) return;
  STELE_ASSERT(snapshot.index <= applied_ && snapshot.index >= log_.start().index);
  snapshot_ = snapshot;
  const std::uint64_t tail = options_.compaction_tail;
  if (snapshot.index.value <= tail) return;
  const LogIndex to = std::min({snapshot.index - tail, log_.sound_to(), first_unsaved_ - 1});
  if (to <= log_.start().index) return;
  log_.compact(to);
  out_.cut = {log_.start().index, log_.start().term, log_.membership_at(to)};
}

}  // namespace stele::raft
