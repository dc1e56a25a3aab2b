// What the members of a consumer group were told, outside all processes: the truth that is held against
//
//  - a generation is one thing: it has one leader and one protocol, whoever asks, and once one was given out
//    no older one is;
//  - in a generation a partition has one owner;
//  - no offset is committed for a generation once a newer one was given out;
//  - a committed offset that somebody is told is committed in the log by then;
//  - what was answered as committed stays: a later fetch gives that, or what was committed after it.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "sim/workloads/judge.h"

namespace stele::sim {

class GroupLedger {
 public:
  explicit GroupLedger(Judge& judge) : judge_(judge) {}

  // A moment in the order of what is noted here.
  using Moment = std::uint64_t;
  Moment now() { return ++now_; }

  // Of everything that names or answers a generation: `newest` is generation() when it was sent.
  void joined(std::int32_t newest, std::int32_t generation, const std::string& leader,
              const std::string& protocol);
  void alive(std::int32_t newest, std::int32_t generation);  // a heartbeat was accepted
  // `who`: the member, or the instance if it is a static one.
  void assigned(std::int32_t generation, std::int32_t partition, const std::string& who);

  // An offset commit, from when it is sent on. It may or may not be there until settled.
  using Commit = std::uint64_t;
  Commit committing(std::int32_t generation, std::int32_t partition, std::int64_t offset);
  enum class Outcome { kAccepted, kRefused, kUnknown };
  void committed(Commit commit, Outcome outcome);

  // The log has it, committed.
  void logged(std::int32_t partition, std::int64_t offset) { logged_.emplace(partition, offset); }

  // A fetch of committed offsets that was sent at `sent` says so.
  void fetched(Moment sent, std::int32_t partition, std::int64_t offset);

  std::int32_t generation() const { return generation_; }
  // The group has committed all that there is in this partition.
  std::map<std::int32_t, std::int64_t> finished;
  std::uint64_t commits() const { return commits_; }

 private:
  struct Sent {
    Commit id;
    std::int32_t generation;
    std::int32_t partition;
    std::int64_t offset;
    std::int32_t newest;  // generation that had been given out
    Moment sent;
    Moment settled = UINT64_MAX;
    Moment overwritten = UINT64_MAX;
    bool accepted = false;
  };
  void overwrite(const Sent& by);

  Judge& judge_;
  Moment now_ = 0;
  std::int32_t generation_ = 0;
  std::map<std::int32_t, std::pair<std::string, std::string>> leaders_;  // and protocols, by generation
  std::map<std::pair<std::int32_t, std::int32_t>, std::string> owners_;
  std::set<std::pair<std::int32_t, std::int64_t>> logged_;
  std::list<Sent> sent_;  // what may be the committed offset, or may become it
  std::uint64_t commits_ = 0;
};

}  // namespace stele::sim
