// What must be true of a group as a whole, whoever of it is asked: kept outside of all processes.
//
//   Election Safety        at most one member leads in a term
//   State Machine Safety   no two members apply different entries at an index, and states are equal where
//                          as much is applied
//   Durability             the entry whose answer was given is what was applied there, ever after
//   Honesty                what was refused is never applied
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "model/ids.h"
#include "raft/core/types.h"

namespace stele::raft::testing {

class GroupLedger {
 public:
  explicit GroupLedger(std::function<void(std::string)> wrong) : wrong_(std::move(wrong)) {}

  void leads(NodeId node, Term term);
  void applies(NodeId node, const Entry& entry);
  // The state machine of `node` is durable, as of `applied`.
  void state(NodeId node, LogIndex applied, std::uint64_t hash);
  // A proposal was answered: it was applied at that index.
  void acknowledged(LogIndex at, const std::string& command);

  // It is not applied, and will never be. No other command is the same.
  void refused(const std::string& command);

  // The highest that was answered.
  LogIndex acknowledged_to() const { return acknowledged_to_; }
  std::uint64_t acknowledgements() const { return acknowledgements_; }
  std::uint64_t terms_led() const { return leaders_.size(); }
  LogIndex applied_to() const { return entries_.empty() ? LogIndex(0) : entries_.rbegin()->first; }

 private:
  struct Known {
    Term term;
    std::uint64_t content = 0;  // its hash
  };
  std::function<void(std::string)> wrong_;
  std::map<Term, NodeId> leaders_;
  std::map<LogIndex, Known> entries_;
  std::map<LogIndex, std::uint64_t> states_;
  std::set<std::uint64_t> applied_commands_, refused_commands_;  // their hashes
  LogIndex acknowledged_to_;
  std::uint64_t acknowledgements_ = 0;
};

}  // namespace stele::raft::testing
