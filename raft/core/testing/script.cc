#include "raft/core/testing/script.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include "base/assert.h"
#include "raft/core/testing/describe.h"

namespace stele::raft {
namespace {

std::uint64_t number(const std::string& text) {
  return std::stoull(text);
}

NodeId node_id(const std::string& text) {
  return NodeId(static_cast<std::uint32_t>(number(text)));
}

// "a=1,2" → {1, 2}; nothing if no word begins so.
std::optional<std::vector<std::uint64_t>> numbers(const std::vector<std::string>& words,
                                                  const std::string& name) {
  for (const std::string& word : words) {
    if (!word.starts_with(name + "=")) continue;
    std::vector<std::uint64_t> values;
    std::istringstream rest(word.substr(name.size() + 1));
    for (std::string item; std::getline(rest, item, ',');) values.push_back(number(item));
    return values;
  }
  return std::nullopt;
}

std::uint64_t value_of(const std::vector<std::string>& words, const std::string& name,
                       std::uint64_t otherwise) {
  const auto found = numbers(words, name);
  return found && !found->empty() ? found->front() : otherwise;
}

NodeSet node_set(const std::vector<std::string>& words, const std::string& name) {
  NodeSet set;
  for (const std::uint64_t id : numbers(words, name).value_or(std::vector<std::uint64_t>{})) {
    set.insert(NodeId(static_cast<std::uint32_t>(id)));
  }
  return set;
}

std::string name_of(NodeId id) {
  return std::to_string(id.value);
}

}  // namespace

std::string Script::execute(const std::string& line) {
  out_.clear();
  std::istringstream in(line);
  std::string verb;
  in >> verb;
  Words words;
  for (std::string word; in >> word;) words.push_back(word);
  command(verb, words);
  return out_.empty() ? "ok\n" : out_;
}

void Script::command(const std::string& verb, const Words& words) {
  if (verb == "nodes") return nodes(words);
  if (verb == "disk") return disk(words);
  if (verb == "run") return run();
  if (verb == "turns") return run(static_cast<int>(number(words.at(0))));
  if (verb == "elect") {  // without a word about how
    nodes_.at(node_id(words.at(0))).core->campaign();
    drive(node_id(words.at(0)));
    run();
    return out_.clear();
  }
  if (verb == "status") return status();
  if (verb == "cut") {
    for (std::size_t i = 1; i < words.size(); ++i) {
      cuts_.insert({node_id(words[0]), node_id(words[i])});
      cuts_.insert({node_id(words[i]), node_id(words[0])});
    }
    return;
  }
  if (verb == "heal") return cuts_.clear();
  if (verb == "lose") {  // what is on its way to or from a node
    const NodeId id = node_id(words.at(0));
    std::deque<PeerMessage> all;
    std::swap(all, network_);
    for (PeerMessage& message : all) {
      if (message.to != id && message.from != id) {
        network_.push_back(std::move(message));
      } else if (Node& from = nodes_.at(message.from);
                 std::holds_alternative<InstallSnapshot>(message.body)) {
        if (from.core) from.core->snapshot_sent(message.to, false);
        drive(message.from);
      }
    }
    return;
  }
  if (verb == "pending") {
    for (const PeerMessage& message : network_) say(describe(message));
    return;
  }
  if (verb == "start") return start(node_id(words.at(0)));
  if (verb == "restart") return restart(words);
  if (!act(verb, words)) say("no such command: " + verb);
}

// Commands to one node.
bool Script::act(const std::string& verb, const Words& words) {
  const NodeId id = node_id(words.at(0));
  Node& node = nodes_.at(id);
  if (verb == "crash") {
    node.core.reset();
    node.writes.clear();
    node.reads.clear();
    return true;
  }
  if (verb == "hold" || verb == "release") {
    node.held = verb == "hold";
    return true;
  }
  Core& core = *node.core;
  if (verb == "deaf") {
    node.deaf = true;
  } else if (verb == "told") {
    node.deaf = false;
    for (const auto& [term, last] : std::exchange(node.untold, {})) core.stored(term, last);
  } else if (verb == "tick") {
    for (std::uint64_t n = words.size() > 1 ? number(words[1]) : 1; n > 0; --n) core.tick();
  } else if (verb == "campaign") {
    core.campaign();
  } else if (verb == "propose") {
    refused(core.propose(Bytes::copy(words.at(1))).refusal);
  } else if (verb == "change") {
    refused(core.propose_membership({node_set(words, "voters"), node_set(words, "learners")}).refusal);
  } else if (verb == "transfer") {
    refused(core.transfer_leadership(node_id(words.at(1))));
  } else if (verb == "abort") {
    core.abort_transfer();
  } else if (verb == "read") {
    if (!core.read_index(number(words.at(1)))) say("no leader");
  } else if (verb == "snapshot") {
    const SnapshotInfo snapshot = core.snapshot_at(node.applied);
    node.disk.snapshot = snapshot;
    core.snapshot_taken(snapshot);
  } else if (verb == "fail") {
    core.storage_failed();
    node.writes.clear();
  } else if (verb == "damage") {
    const LogIndex index(number(words.at(1)));
    node.disk.entries.erase(index);
    node.disk.lost.insert(index);
    core.damaged({index, index});
  } else if (verb == "progress") {
    progress(id);
  } else {
    return false;
  }
  drive(id);
  return true;
}

void Script::refused(Refusal refusal) {
  if (refusal != Refusal::kNone) say("refused: " + describe(refusal));
}

// nodes 1,2,3 [learners=4] [new=5] [option=value …]
void Script::nodes(const Words& words) {
  SnapshotInfo start;
  start.membership.voters = node_set({"v=" + words.at(0)}, "v");
  start.membership.learners = node_set(words, "learners");
  NodeSet all = members_of(start.membership);
  for (const NodeId id : node_set(words, "new")) all.insert(id);
  for (const NodeId id : all) {
    Node& node = nodes_[id];
    node.options.self = id;
    node.options.seed = id.value;
    node.options.heartbeat_ticks = 1;
    node.options.election_ticks = 5;
    node.options.append_bytes_max = value_of(words, "append_bytes", 10000);
    node.options.window.messages_max = value_of(words, "messages", 64);
    node.options.window.bytes_max = value_of(words, "window_bytes", 10000);
    node.options.uncommitted_bytes_max = value_of(words, "uncommitted_bytes", 10000);
    node.options.apply_lag_max = value_of(words, "apply_lag", 1000);
    node.options.compaction_tail = value_of(words, "tail", 0);
    node.options.cache_bytes = value_of(words, "cache_bytes", 10000);
    node.options.promotion_lag_max = value_of(words, "promotion_lag", 2);
    node.disk.start = start;
    if (!numbers(words, "later")) this->start(id);
  }
}

// disk 1 terms=1,1,2 term=3 [lost=2] [lost_to=5]: what a node that is not started has.
void Script::disk(const Words& words) {
  Node& node = nodes_.at(node_id(words.at(0)));
  LogIndex index = node.disk.start.index;
  for (const std::uint64_t term : numbers(words, "terms").value_or(std::vector<std::uint64_t>{})) {
    ++index;
    const std::string text = "e" + std::to_string(index.value) + "." + std::to_string(term);
    node.disk.entries[index] = {Term(term), index, EntryKind::kCommand, Bytes::copy(text), nullptr};
  }
  node.disk.hard.term = Term(value_of(words, "term", 0));
  for (const std::uint64_t lost : numbers(words, "lost").value_or(std::vector<std::uint64_t>{})) {
    node.disk.entries.erase(LogIndex(lost));
    node.disk.lost.insert(LogIndex(lost));
  }
}

void Script::start(NodeId id) {
  Node& node = nodes_.at(id);
  node.applied = node.disk.snapshot ? node.disk.snapshot->index : LogIndex(0);
  node.core = std::make_unique<Core>(node.options, node.disk.restore(node.applied));
  drive(id);
}

void Script::restart(const Words& words) {
  const NodeId id = node_id(words.at(0));
  Node& node = nodes_.at(id);
  node.core.reset();
  node.writes.clear();
  node.reads.clear();
  for (const std::uint64_t lost : numbers(words, "lost").value_or(std::vector<std::uint64_t>{})) {
    node.disk.entries.erase(LogIndex(lost));
    node.disk.lost.insert(LogIndex(lost));
  }
  start(id);
}

void Script::show(NodeId id, const Effects& effects) {
  const std::string who = name_of(id) + " ";
  if (effects.store) {
    const Store& store = *effects.store;
    std::string text = who + "stores";
    if (store.hard_state) {
      text += " term=" + std::to_string(store.hard_state->term.value);
      if (store.hard_state->vote) text += " vote=" + name_of(*store.hard_state->vote);
      if (store.hard_state->doubt != LogPoint{}) text += " doubt=" + describe(store.hard_state->doubt);
    }
    if (store.snapshot) text += " snapshot=" + describe(*store.snapshot);
    for (const Entry& entry : store.repaired) text += " repaired " + describe(entry);
    if (store.truncate_from) text += " from " + std::to_string(store.truncate_from->value) + " on:";
    for (const Entry& entry : store.entries) text += " " + describe(entry);
    say(text);
  }
  if (effects.leader_change) {
    const auto& change = *effects.leader_change;
    const std::string term = " in term " + std::to_string(change.term.value);
    if (!change.leader) {
      say(who + "has no leader" + term);
    } else {
      say(who + (*change.leader == id ? "leads" : "follows " + name_of(*change.leader)) + term);
    }
  }
  for (const LogRead& read : effects.reads) {
    say(who + "reads " + std::to_string(read.slots.first.value) + ".." +
        std::to_string(read.slots.last.value));
  }
  for (const ReadState& read : effects.read_states) {
    say(who + "may read " + std::to_string(read.context) + " at " + std::to_string(read.index.value));
  }
  for (const std::uint64_t context : effects.reads_refused)
    say(who + "must ask again for " + std::to_string(context));
  if (effects.cut) say(who + "cuts its log up to " + std::to_string(effects.cut->index.value));
}

void Script::drive(NodeId id) {
  Node& node = nodes_.at(id);
  if (!node.core) return;
  while (true) {
    Effects effects = node.core->take_effects();
    if (effects.empty()) return;
    show(id, effects);
    for (PeerMessage& message : effects.send) network_.push_back(std::move(message));
    for (const LogRead& read : effects.reads) node.reads.push_back(read);
    node.writes.push_back({std::move(effects.store), std::move(effects.send_after_store),
                           std::move(effects.apply), effects.cut});
  }
}

void Script::finish_writes(NodeId id) {
  Node& node = nodes_.at(id);
  while (node.core && !node.held && !node.writes.empty()) {
    Write write = std::move(node.writes.front());
    node.writes.pop_front();
    if (write.store) node.disk.write(*write.store);
    if (write.store && write.store->snapshot)
      node.applied = std::max(node.applied, write.store->snapshot->index);
    if (write.cut) node.disk.cut(*write.cut);
    for (PeerMessage& message : write.after) network_.push_back(std::move(message));
    for (const Entry& entry : write.apply) {
      if (entry.kind == EntryKind::kCommand) say(name_of(id) + " applies " + describe(entry));
      node.applied = entry.index;
    }
    if (node.applied > LogIndex(0)) node.core->applied(node.applied);
    if (write.store && node.deaf) node.untold.emplace_back(write.store->term, write.store->last);
    if (write.store && !node.deaf) node.core->stored(write.store->term, write.store->last);
    drive(id);
  }
}

void Script::answer_reads(NodeId id) {
  Node& node = nodes_.at(id);
  while (node.core && !node.reads.empty()) {
    const LogRead read = node.reads.front();
    node.reads.pop_front();
    node.core->entries_read(read.id, node.disk.read(read.slots, read.bytes_max));
    drive(id);
  }
}

bool Script::cut(const PeerMessage& message) const {
  return cuts_.contains({message.from, message.to});
}

void Script::deliver(const PeerMessage& message) {
  Node& to = nodes_.at(message.to);
  const bool snapshot = std::holds_alternative<InstallSnapshot>(message.body);
  const bool arrives = to.core && !cut(message);
  if (arrives) {
    say(describe(message));
    to.core->step(message);
    drive(message.to);
  }
  Node& from = nodes_.at(message.from);
  if (snapshot && from.core) {
    from.core->snapshot_sent(message.to, arrives);
    drive(message.from);
  }
}

// Until nothing is on its way, to a disk or to a node.
void Script::run(int turns) {
  while (turns-- > 0) {
    bool busy = false;
    for (auto& [id, node] : nodes_) {
      busy = busy || (!node.held && !node.writes.empty()) || !node.reads.empty();
      finish_writes(id);
      answer_reads(id);
    }
    std::deque<PeerMessage> now;
    std::swap(now, network_);
    busy = busy || !now.empty();
    for (const PeerMessage& message : now) deliver(message);
    if (!busy) return;
  }
}

void Script::status() {
  for (const auto& [id, node] : nodes_) {
    if (!node.core) {
      say(name_of(id) + " is down");
      continue;
    }
    const Core& core = *node.core;
    std::string text = name_of(id) + " " + describe(core.role()) +
                       " term=" + std::to_string(core.term().value) + " last=" + describe(core.log().last()) +
                       " commit=" + std::to_string(core.commit().value) +
                       " applied=" + std::to_string(node.applied.value) + " " + describe(core.membership());
    if (core.failed()) text += " failed";
    if (core.in_doubt()) text += " doubt=" + describe(core.hard_state().doubt);
    for (const SlotRange& lost : core.log().damaged()) {
      text += " lost=" + std::to_string(lost.first.value) + ".." + std::to_string(lost.last.value);
    }
    say(text);
  }
}

void Script::progress(NodeId id) {
  for (const auto& [node, progress] : nodes_.at(id).core->progress()) {
    std::string text = name_of(node) + " " + describe(progress.state()) +
                       " match=" + std::to_string(progress.match().value) +
                       " next=" + std::to_string(progress.next().value);
    if (progress.window().messages() > 0)
      text += " in flight=" + std::to_string(progress.window().messages());
    if (progress.paused()) text += " paused";
    say(text);
  }
}

std::string replay(std::istream& in) {
  Script script;
  std::string out;
  std::string line;
  while (std::getline(in, line)) {
    out += line + "\n";
    if (line.empty() || line.starts_with("#")) continue;
    const std::string answer = script.execute(line);
    // The expectation ends at an empty line.
    while (std::getline(in, line) && !line.empty()) {
    }
    out += "----\n" + answer + "\n";
  }
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

}  // namespace stele::raft
