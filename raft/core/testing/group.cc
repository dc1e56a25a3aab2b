#include "raft/core/testing/group.h"

#include <algorithm>
#include <cstdio>

#include "base/assert.h"
#include "base/hash.h"
#include "raft/core/testing/describe.h"

namespace stele::raft {

Group::Group(const GroupOptions& options) : options_(options), random_state_(mix64(options.seed + 1)) {
  SnapshotInfo start;
  for (std::uint32_t i = 1; i <= 3; ++i) start.membership.voters.insert(NodeId(i));
  if (one_in(4)) start.membership.learners.insert(NodeId(4));
  if (one_in(3)) victim_ = NodeId(1 + static_cast<std::uint32_t>(random(3)));
  if (one_in(2)) slow_ = NodeId(1 + static_cast<std::uint32_t>(random(3)));
  if (one_in(2)) lazy_ = NodeId(1 + static_cast<std::uint32_t>(random(3)));
  ticks_ = 60 + random(160);
  patience_ = one_in(2) ? 10 : 300;
  durable_state_machines_ = one_in(2);
  changes_ = !one_in(3);
  nodes_.resize(options_.nodes);
  for (std::uint32_t i = 0; i < options_.nodes; ++i) {
    nodes_[i].id = NodeId(i + 1);
    nodes_[i].disk.start = start;
    this->start(nodes_[i]);
  }
}

std::uint64_t Group::random(std::uint64_t below) {
  random_state_ += 0x9e3779b97f4a7c15ULL;
  return mix64(random_state_) % below;
}

Group::Node& Group::any() {
  return nodes_[random(nodes_.size())];
}

std::string Group::run() {
  for (std::uint32_t i = 0; i < options_.steps && violation_.empty(); ++i) chaos_step();
  if (violation_.empty()) calm();
  return violation_;
}

void Group::trace(const std::string& what) const {
  if (options_.trace) std::fprintf(stderr, "%s\n", what.c_str());
}

void Group::fail(const std::string& what) {
  if (violation_.empty()) violation_ = "seed " + std::to_string(options_.seed) + ": " + what;
}

// --- The driver of one node.

void Group::start(Node& node) {
  if (node.disk.snapshot && node.disk.snapshot->index > node.disk.last()) {
    node.disk.start = *node.disk.snapshot;
    node.disk.entries.clear();
    node.disk.lost.clear();
  }
  node.written = node.disk;
  for (const auto& [index, entry] : node.disk.entries) node.ever_durable.insert({entry.term, index});
  trace("start " + std::to_string(node.id.value) + " last " + std::to_string(node.disk.last().value) +
        " lost " + std::to_string(node.disk.lost.size()) + " doubt " + describe(node.disk.hard.doubt));
  if (!durable_state_machines_) {
    node.applied = node.disk.snapshot ? node.disk.snapshot->index : LogIndex(0);
  } else if (node.disk.snapshot) {
    node.applied = std::max(node.applied, node.disk.snapshot->index);
  }
  node.state = node.applied == LogIndex(0) ? 0 : committed_.at(node.applied).state;
  node.told_applied = node.applied;
  Options options;
  options.self = node.id;
  options.seed = random(UINT64_MAX);
  options.heartbeat_ticks = 1;
  options.election_ticks = 4;
  options.append_bytes_max = 60 + 60 * random(4);
  options.window = {1 + random(5), 200 + random(400)};
  options.uncommitted_bytes_max = 400;
  options.applying_bytes_max = 100 + random(200);
  options.apply_lag_max = 12;
  options.cache_bytes = random(300);
  options.compaction_tail = random(5);
  options.promotion_lag_max = 3;
  node.core = std::make_unique<Core>(options, node.disk.restore(node.applied));
  node.commit = node.core->commit();
  node.doomed = false;
  drive(node);
}

void Group::crash(Node& node) {
  if (!node.core) return;
  node.core.reset();
  trace("crash " + std::to_string(node.id.value));
  // Some of what was on its way to the disk is there, in order.
  for (std::uint64_t n = random(node.writes.size() + 1); n > 0; --n) {
    const Write& write = node.writes.front();
    if (write.store) node.disk.write(*write.store, n == 1 ? random(6) : SIZE_MAX);
    if (write.cut && n != 1) node.disk.cut(*write.cut);
    node.writes.pop_front();
  }
  node.writes.clear();
  node.reads.clear();
  node.completions.clear();
  node.open_reads.clear();
}

void Group::put(std::vector<PeerMessage> messages) {
  for (PeerMessage& message : messages) bag_.push_back(std::move(message));
}

void Group::drive(Node& node) {
  while (node.core && violation_.empty()) {
    Effects effects = node.core->take_effects();
    check(node);
    if (effects.empty()) break;
    for (const PeerMessage& message : effects.send) check_promise(node, message);
    put(std::move(effects.send));
    if (effects.store) node.written.write(*effects.store);
    if (effects.store) counts_.repaired += effects.store->repaired.size();
    if (effects.cut) node.written.cut(*effects.cut);
    Write write{std::move(effects.store), std::move(effects.send_after_store), std::move(effects.apply),
                effects.cut};
    if (write.store || write.cut || !node.writes.empty()) {
      node.writes.push_back(std::move(write));
    } else {
      finish(node, std::move(write));
    }
    for (const LogRead& read : effects.reads) node.reads.push_back(read);
    for (const ReadState& read : effects.read_states) {
      const auto asked = node.open_reads.find(read.context);
      if (asked == node.open_reads.end()) continue;
      if (read.index < asked->second) fail("a read is older than what was committed when it was asked");
      node.open_reads.erase(asked);
      ++counts_.reads;
    }
    if (one_in(8)) check_membership(node);
  }
}

void Group::finish_write(Node& node) {
  if (!node.core || node.writes.empty() || node.doomed) return;
  trace("stored " + std::to_string(node.id.value));
  Write write = std::move(node.writes.front());
  node.writes.pop_front();
  finish(node, std::move(write));
  drive(node);
}

void Group::tell_completions(Node& node) {
  while (node.core && !node.completions.empty()) {
    const auto [term, last] = node.completions.front();
    node.completions.pop_front();
    node.core->stored(term, last);
    drive(node);
  }
}

void Group::finish(Node& node, Write write) {
  if (write.store) {
    node.disk.write(*write.store);
    for (const Entry& entry : write.store->entries) node.ever_durable.insert({entry.term, entry.index});
    for (const Entry& entry : write.store->repaired) node.ever_durable.insert({entry.term, entry.index});
    if (write.store->snapshot && write.store->snapshot->index > node.applied) {
      node.applied = write.store->snapshot->index;
      node.told_applied = node.applied;
      node.state = committed_.at(node.applied).state;
      node.core->applied(node.applied);
    }
    if (write.store->snapshot) ++counts_.snapshots;
  }
  if (write.cut) node.disk.cut(*write.cut);
  for (const PeerMessage& message : write.after) check_promise(node, message);
  put(std::move(write.after));
  for (const Entry& entry : write.apply) apply(node, entry);
  if (write.store) node.completions.emplace_back(write.store->term, write.store->last);
}

void Group::apply(Node& node, const Entry& entry) {
  if (entry.index != node.applied + 1) return fail("entries are applied out of order");
  Committed& known = committed_[entry.index];
  const std::uint64_t before = entry.index == LogIndex(1) ? 0 : committed_.at(node.applied).state;
  if (before != node.state) fail("a state machine is not what its entries make it");
  node.state = Hasher().add(node.state).add(entry.term.value).add(entry.payload.view()).value();
  node.applied = entry.index;
  if (!known.entry) {
    known.entry = {entry.kind, entry.payload};
    known.state = node.state;
    if (known.term != entry.term) fail("an entry is applied that was committed otherwise");
  } else if (known.term != entry.term || known.entry->second.view() != entry.payload.view()) {
    fail("State Machine Safety: node " + std::to_string(node.id.value) + " applies " + describe(entry));
  }
}

void Group::answer_read(Node& node) {
  if (!node.core || node.reads.empty()) return;
  const LogRead read = node.reads.front();
  node.reads.erase(node.reads.begin());
  const LogIndex first = read.slots.first;
  if (node.written.lost.contains(first) && node.writes.empty()) {
    node.core->damaged({first, first});
    drive(node);
  }
  node.core->entries_read(read.id, node.written.read(read.slots, read.bytes_max));
  drive(node);
}

void Group::take_snapshot(Node& node) {
  if (!node.core || node.told_applied <= node.core->log().start().index) return;
  if (!node.core->log().term_at(node.told_applied)) return;
  if (node.disk.snapshot && node.disk.snapshot->index >= node.told_applied) return;
  if (node.written.snapshot && node.written.snapshot->index >= node.told_applied) return;
  const SnapshotInfo snapshot = node.core->snapshot_at(node.told_applied);
  node.disk.snapshot = snapshot;
  node.written.snapshot = snapshot;
  node.core->snapshot_taken(snapshot);
  drive(node);
}

// --- Checks.

void Group::check(Node& node) {
  const Core& core = *node.core;
  if (core.commit() < node.commit && victim_ != node.id) fail("a commit index falls");
  if (core.commit() > node.commit) check_commit(node);
  node.commit = core.commit();
  if (core.role() == Role::kLeader) check_leader(node);
  for (const auto& [id, progress] : core.progress()) {
    if (progress.match() >= progress.next()) fail("match is not below next");
  }
  if (one_in(16)) check_logs_match(node, any());
}

void Group::check_commit(Node& node) {
  const LogView& log = node.core->log();
  const LogIndex to = node.core->commit();
  for (LogIndex index = std::max(node.commit, log.start().index); index < to;) {
    const std::optional<Term> term = log.term_at(++index);
    if (!term) continue;
    const auto [at, fresh] = committed_.try_emplace(index, Committed{*term, {}, 0});
    if (at->second.term != *term) fail("two entries are committed at " + std::to_string(index.value));
  }
  commit_ = std::max(commit_, to);
  counts_.committed = commit_.value;
  if (node.core->role() != Role::kLeader) return;
  const std::optional<Term> term = log.term_at(to);
  const Membership& members = node.core->membership();
  const auto durable = [&](const NodeSet& voters) {
    if (voters.empty()) return true;
    std::size_t holders = 0;
    for (const NodeId id : voters) {
      Node& other = this->node(id);
      if (other.disk.holds({*term, to}) || other.ever_durable.contains({*term, to})) ++holders;
    }
    return holders > voters.size() / 2;
  };
  if (!durable(members.voters) || !durable(members.voters_outgoing)) {
    fail("a leader commits what no majority has stored: " + describe(LogPoint{*term, to}));
  }
}

void Group::check_leader(Node& node) {
  const Core& core = *node.core;
  const auto [at, fresh] = leaders_.try_emplace(core.term(), node.id);
  if (at->second != node.id)
    fail("Election Safety: two leaders in term " + std::to_string(core.term().value));
  if (!fresh) return;
  ++counts_.elections;
  for (const auto& [index, entry] : committed_) {
    // A leader of an earlier term may learn late that it was elected.
    if (index <= core.log().start().index || entry.term >= core.term()) continue;
    if (core.log().term_at(index) != entry.term) {
      fail("Leader Completeness: the leader of term " + std::to_string(core.term().value) + " lacks " +
           describe(LogPoint{entry.term, index}));
    }
  }
}

// What leaves a node must be on its disk already.
void Group::check_promise(const Node& node, const PeerMessage& message) {
  const HardState& hard = node.disk.hard;
  if (const auto* vote = std::get_if<VoteAnswer>(&message.body); vote && !vote->pre && vote->granted) {
    if (hard.term < message.term || (hard.term == message.term && hard.vote != message.to)) {
      fail("a vote leaves before it is stored");
    }
  }
  if (const auto* request = std::get_if<VoteRequest>(&message.body); request && !request->pre) {
    if (hard.term < message.term) fail("votes are asked for before the term is stored");
  }
  if (node.doomed) fail("a node whose disk failed says " + describe(message));
}

void Group::check_logs_match(const Node& a, const Node& b) {
  if (!a.core || !b.core || a.id == b.id) return;
  const LogView& left = a.core->log();
  const LogView& right = b.core->log();
  bool same = false;
  const LogIndex from = std::max(left.start().index, right.start().index);
  for (LogIndex index = std::min(left.last_index(), right.last_index()); index > from; index = index - 1) {
    const std::optional<Term> one = left.term_at(index);
    const std::optional<Term> other = right.term_at(index);
    if (!one || !other) continue;
    if (same && one != other) return fail("Log Matching: at " + std::to_string(index.value));
    same = same || one == other;
  }
}

void Group::check_membership(const Node& node) {
  if (!node.written.lost.empty() || victim_ == node.id) return;
  if (node.core->membership() != node.written.membership()) fail("a membership is not that of the log");
}

}  // namespace stele::raft
