// What is to become of each will of a run, outside all processes: the truth that is held against. A will is
// named by its payload, which no other has.
//
//  - one whose connection was lost, whatever else was lost with it, comes to a session that is kept, once;
//  - one whose client said goodbye, or came back before it was due, never comes, once that is committed.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "sim/workloads/judge.h"

namespace stele::sim {

class WillLedger {
 public:
  explicit WillLedger(Judge& judge) : judge_(judge) {}

  void must_come(const std::string& will) {
    if (!seen_.contains(will)) awaited_.insert(will);
  }
  // `why`: in words, for whoever looks for what happened.
  void must_not_come(const std::string& will, const std::string& why) {
    forbidden_.emplace(will, why);
    if (seen_.contains(will) || published_.contains(will)) fail(will, "was published, and " + why);
  }

  // The shadow has committed its publication.
  void published(const std::string& will) {
    if (!published_.insert(will).second) fail(will, "was published twice");
    check(will);
  }
  bool is_published(const std::string& will) const { return published_.contains(will); }
  // A new copy came to the session that is kept.
  void received(const std::string& will) {
    if (!seen_.insert(will).second) fail(will, "came twice");
    awaited_.erase(will);
    check(will);
  }

  // Of the session that is kept: it has subscribed.
  bool watched = false;
  std::size_t missing() const { return awaited_.size(); }
  std::string first_missing() const { return awaited_.empty() ? "" : *awaited_.begin(); }
  std::size_t came() const { return seen_.size(); }
  std::size_t kept_away() const { return forbidden_.size(); }

 private:
  void check(const std::string& will) {
    const auto found = forbidden_.find(will);
    if (found != forbidden_.end()) fail(will, "came, although " + found->second);
  }
  void fail(const std::string& will, const std::string& what) {
    judge_.fail("the will " + will + " " + what);
  }

  Judge& judge_;
  std::set<std::string> awaited_, seen_, published_;
  std::map<std::string, std::string> forbidden_;
};

}  // namespace stele::sim
