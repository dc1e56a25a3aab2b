// What happens to a group: first anything, then nothing bad.
#include <algorithm>

#include "base/assert.h"
#include "raft/core/testing/describe.h"
#include "raft/core/testing/group.h"

namespace stele::raft {

void Group::chaos_step() {
  if (Node& down = any(); (!down.core || down.doomed) && one_in(25)) {
    crash(down);
    start(down);
  }
  if (one_in(300)) isolated_.clear();
  Node& told = any();
  if (told.id != slow_ || one_in(patience_)) tell_completions(told);
  const std::uint64_t kind = random(1000);
  if (kind < 500) {
    network_step();
  } else if (kind < 500 + ticks_) {
    Node& node = any();
    // One clock may be slow: then a leader believes in itself for long.
    if (node.core && (node.id != lazy_ || one_in(5))) node.core->tick();
    drive(node);
  } else if (kind < 880) {
    Node& node = any();
    // One disk may be slow: then a node has led, followed and led again before a write is done.
    if (node.id != slow_ || one_in(12)) finish_write(node);
  } else if (kind < 988) {
    client_step();
  } else {
    fault_step();
  }
}

bool Group::cut_off(const PeerMessage& message) const {
  return isolated_.contains(message.from) != isolated_.contains(message.to);
}

void Group::network_step() {
  while (bag_.size() > 60) {
    const auto at = bag_.begin() + static_cast<std::ptrdiff_t>(random(bag_.size()));
    const PeerMessage message = std::move(*at);
    bag_.erase(at);
    lose(message);
  }
  if (bag_.empty()) return;
  // Mostly in order, sometimes not at all.
  const std::size_t at = one_in(3) ? random(bag_.size()) : random(std::min<std::size_t>(bag_.size(), 4));
  PeerMessage message = bag_[at];
  const bool snapshot = std::holds_alternative<InstallSnapshot>(message.body);
  if (!one_in(snapshot ? 2 : 12)) bag_.erase(bag_.begin() + static_cast<std::ptrdiff_t>(at));
  if (one_in(15) || cut_off(message)) {
    lose(message);
  } else {
    deliver(std::move(message));
  }
}

// Who sends a snapshot learns that it did not arrive.
void Group::lose(const PeerMessage& message) {
  Node& from = node(message.from);
  if (!std::holds_alternative<InstallSnapshot>(message.body) || !from.core) return;
  from.core->snapshot_sent(message.to, false);
  drive(from);
}

void Group::deliver(PeerMessage message) {
  Node& to = node(message.to);
  if (!to.core) return lose(message);
  trace(describe(message));
  const bool snapshot = std::holds_alternative<InstallSnapshot>(message.body);
  to.core->step(message);
  drive(to);
  Node& from = node(message.from);
  if (snapshot && from.core) {
    from.core->snapshot_sent(message.to, true);
    drive(from);
  }
}

void Group::client_step() {
  Node* leads = one_in(2) ? leader() : nullptr;
  Node& node = leads ? *leads : any();
  if (!node.core) return;
  const std::uint64_t kind = random(24);
  if (kind < 8) {
    const std::string value = "v" + std::to_string(next_value_++);
    const bool handing_over = node.core->transferee().has_value();
    if (node.core->propose(Bytes::copy(value)) && handing_over) fail("a proposal is taken in a transfer");
  } else if (kind < 11) {
    node.told_applied = node.applied;
    node.core->applied(node.applied);
  } else if (kind < 14) {
    node.open_reads[next_context_] = commit_;
    if (!node.core->read_index(next_context_)) node.open_reads.erase(next_context_);
    ++next_context_;
  } else if (kind < 16) {
    answer_read(node);
  } else if (kind < 20) {
    take_snapshot(node);
  } else if (kind < 21 && one_in(3)) {
    const NodeId target(1 + static_cast<std::uint32_t>(random(nodes_.size())));
    if (node.core->transfer_leadership(target) == Refusal::kNone) ++counts_.transfers;
  } else if (kind < 23 && changes_) {
    propose_change(node);
  }
  drive(node);
}

void Group::propose_change(Node& leader) {
  if (leader.core->role() != Role::kLeader) return;
  const Membership& now = leader.core->membership();
  MembershipTarget target{now.voters, now.learners};
  const NodeId node(1 + static_cast<std::uint32_t>(random(nodes_.size())));
  if (target.learners.contains(node)) {
    target.learners.erase(node);
    if (!one_in(4)) target.voters.insert(node);
    if (one_in(2) && target.voters.size() > 1) target.voters.erase(target.voters.begin());  // replace
  } else if (!target.voters.contains(node)) {
    target.learners.insert(node);
  } else {
    target.voters.erase(node);
    if (one_in(2)) target.learners.insert(node);
  }
  if (target.voters.size() < (victim_ ? 3U : 1U)) return;
  if (leader.core->propose_membership(target)) ++counts_.changes;
}

void Group::fault_step() {
  Node* leads = one_in(4) ? leader() : nullptr;
  Node& node = leads ? *leads : any();
  const std::uint64_t kind = random(10);
  if (kind < 4) {
    if (node.core) {
      crash(node);
      if (victim_ == node.id && one_in(2)) lose_slots(node);
    } else {
      start(node);
    }
  } else if (kind < 6) {
    if (!node.core) start(node);
  } else if (kind < 8) {
    isolated_.clear();
    for (Node& each : nodes_) {
      if (each.core && each.core->role() == Role::kLeader && one_in(2)) isolated_.insert(each.id);
    }
    if (one_in(2)) isolated_.insert(node.id);
    if (one_in(3)) isolated_.insert(any().id);
  } else if (kind < 9) {
    if (node.core && one_in(3)) {
      node.core->storage_failed();
      node.doomed = true;
      drive(node);
    }
  } else if (victim_ == node.id && node.core && node.writes.empty() && !node.disk.entries.empty()) {
    // An old slot goes bad while the node runs.
    auto at = node.disk.entries.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random(node.disk.entries.size())));
    const LogIndex index = at->first;
    for (DiskImage* image : {&node.disk, &node.written}) {
      image->entries.erase(index);
      image->lost.insert(index);
    }
    trace("lost " + std::to_string(node.id.value) + " " + std::to_string(index.value));
    node.core->damaged({index, index});
    drive(node);
  }
}

void Group::lose_slots(Node& node) {
  DiskImage& disk = node.disk;
  if (disk.entries.empty()) return;
  auto at = disk.entries.begin();
  if (one_in(2)) {
    at = std::prev(disk.entries.end());
  } else {
    std::advance(at, static_cast<std::ptrdiff_t>(random(disk.entries.size())));
  }
  for (std::uint64_t n = 1 + random(3); n > 0 && at != disk.entries.end(); --n) {
    disk.lost.insert(at->first);
    at = disk.entries.erase(at);
  }
}

// --- Calm: everything arrives, in order, and everything is stored.

void Group::round(bool ticks) {
  for (Node& node : nodes_) {
    if (ticks && node.core) node.core->tick();
    drive(node);
  }
  for (int turn = 0; turn < 6 && violation_.empty(); ++turn) {
    std::vector<PeerMessage> now;
    std::swap(now, bag_);
    for (PeerMessage& message : now) {
      if (cut_off(message)) {
        lose(message);
      } else {
        deliver(std::move(message));
      }
    }
    for (Node& node : nodes_) {
      while (!node.writes.empty() && violation_.empty()) finish_write(node);
      tell_completions(node);
      while (!node.reads.empty() && violation_.empty()) answer_read(node);
      node.told_applied = node.applied;
      node.core->applied(node.applied);
      drive(node);
    }
  }
}

Group::Node* Group::leader() {
  Node* found = nullptr;
  for (Node& node : nodes_) {
    if (!node.core || node.core->role() != Role::kLeader) continue;
    if (!found || node.core->term() > found->core->term()) found = &node;
  }
  return found;
}

// There is a leader, and every member has all that it has.
bool Group::settle() {
  Node* leads = leader();
  if (!leads || leads->core->membership().joint() || leads->core->transferee()) return false;
  for (const NodeId member : members_of(leads->core->membership())) {
    Node& node = this->node(member);
    if (node.core->commit() != leads->core->log().last_index() || node.applied != node.core->commit())
      return false;
    if (node.core->leader() != leads->id || !node.core->log().damaged().empty()) return false;
  }
  return true;
}

void Group::calm() {
  isolated_.clear();
  for (Node& node : nodes_) {
    if (node.doomed) crash(node);
    if (!node.core) start(node);
  }
  int rounds = 0;
  for (; rounds < 150 && violation_.empty() && !settle(); ++rounds) round(true);
  if (!violation_.empty()) return;
  if (!settle()) {
    std::string state;
    for (Node& node : nodes_) {
      const Core& core = *node.core;
      state += "\n  " + std::to_string(node.id.value) + " " + describe(core.role()) + " term " +
               std::to_string(core.term().value) + " last " + describe(core.log().last()) + " commit " +
               std::to_string(core.commit().value) + " applied " + std::to_string(node.applied.value) +
               " start " + std::to_string(core.log().start().index.value) + " doubt " +
               describe(core.hard_state().doubt) + (core.log().damaged().empty() ? "" : " damaged") + " " +
               describe(core.membership());
    }
    return fail("no progress after all faults ended:" + state);
  }
  Node& leads = *leader();
  const LogIndex before = leads.core->commit();
  if (!leads.core->propose(Bytes::literal("calm"))) return fail("a proposal is refused in the calm");
  leads.open_reads[next_context_] = commit_;
  if (!leads.core->read_index(next_context_++)) return fail("a read is refused in the calm");
  drive(leads);
  round(false);
  round(true);
  if (leads.core->commit() != before + 1) return fail("a proposal does not commit in the calm");
  if (!leads.open_reads.empty() && leads.open_reads.rbegin()->first == next_context_ - 1) {
    return fail("a read is not confirmed in the calm");
  }
  check_undisturbed();
}

// One that was away comes back, with a log as long as anybody's: nobody else should notice.
void Group::check_undisturbed() {
  Node& leads = *leader();
  const Membership members = leads.core->membership();
  std::vector<NodeId> others;
  for (const NodeId id : members.voters) {
    if (id != leads.id) others.push_back(id);
  }
  if (!violation_.empty() || others.size() < 2) return;
  const Term term = leads.core->term();
  isolated_.insert(others.front());
  for (int i = 0; i < 20; ++i) round(true);
  // It asks once more, right after the others heard of their leader.
  isolated_.clear();
  this->node(others.front()).core->campaign();
  round(false);
  for (int i = 0; i < 12; ++i) round(true);
  if (leads.core->role() != Role::kLeader || leads.core->term() != term) {
    fail("a node that was away deposed the leader when it came back");
  }
}

}  // namespace stele::raft
