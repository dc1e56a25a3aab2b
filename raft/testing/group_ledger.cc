#include "raft/testing/group_ledger.h"

#include <algorithm>

#include "base/hash.h"

namespace stele::raft::testing {

namespace {

std::string named(NodeId node) {
  return "node " + std::to_string(node.value);
}
std::uint64_t content(EntryKind kind, std::string_view payload) {
  return Hasher().add(static_cast<std::uint64_t>(kind)).add(payload).value();
}

}  // namespace

void GroupLedger::leads(NodeId node, Term term) {
  const auto [at, fresh] = leaders_.try_emplace(term, node);
  if (at->second != node) {
    wrong_(named(at->second) + " and " + named(node) + " both lead in term " + std::to_string(term.value));
  }
}

void GroupLedger::applies(NodeId node, const Entry& entry) {
  const Known now{entry.term, content(entry.kind, entry.payload.view())};
  const auto [at, fresh] = entries_.try_emplace(entry.index, now);
  if (fresh && entry.kind == EntryKind::kCommand) {
    applied_commands_.insert(now.content);
    if (refused_commands_.contains(now.content)) wrong_(named(node) + " applies what was refused");
  }
  if (at->second.term != now.term || at->second.content != now.content) {
    wrong_(named(node) + " applies another entry " + std::to_string(entry.index.value) + ", of term " +
           std::to_string(entry.term.value) + ", than others did, of term " +
           std::to_string(at->second.term.value));
  }
}

void GroupLedger::refused(const std::string& command) {
  const std::uint64_t hash = content(EntryKind::kCommand, command);
  refused_commands_.insert(hash);
  if (applied_commands_.contains(hash)) wrong_("a proposal was refused that is applied");
}

void GroupLedger::state(NodeId node, LogIndex applied, std::uint64_t hash) {
  const auto [at, fresh] = states_.try_emplace(applied, hash);
  if (at->second != hash) {
    wrong_(named(node) + " has another state after entry " + std::to_string(applied.value) +
           " than others had");
  }
}

void GroupLedger::acknowledged(LogIndex at, const std::string& command) {
  ++acknowledgements_;
  acknowledged_to_ = std::max(acknowledged_to_, at);
  const auto known = entries_.find(at);
  if (known == entries_.end() || known->second.content != content(EntryKind::kCommand, command)) {
    wrong_("a proposal was answered that is not what entry " + std::to_string(at.value) + " is");
  }
}

}  // namespace stele::raft::testing
