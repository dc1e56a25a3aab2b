// For tests: every history of one segment, as far as it is small. One writer, others that take the segment
// over, replicas that store, refuse, and lose what they had. The decisions are those of journal/quorum.h;
// what replicas, network and meta service do is played here, each step at any time it could happen.
//
// What must hold in every state: no entry that the writer took for committed is behind the sealed end, none
// becomes committed there later, and what lies below the end had been stored by A replicas when it was set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "journal/quorum.h"

namespace stele::journal::testing {

struct SearchLimits {
  Quorum quorum = Quorum::of(3);
  std::uint8_t entries = 2;  // that the writer appends
  std::uint8_t takers = 1;   // owners after the writer
  std::uint8_t damages = 1;  // replicas that lose some of their entries; R−A is what must be survived
};

// What may happen in a state. The search tries all, a walk draws one.
class SegmentHistory {
 public:
  explicit SegmentHistory(const SearchLimits& limits);

  // Calls `go` with each state that may come next. A step's name is in `last_step`.
  template <class Go>
  void each_next(Go go) const {
    for (const Step& step : steps()) {
      SegmentHistory next = *this;
      next.take(step);
      go(std::move(next));
    }
  }
  // States that are the same go on in the same ways.
  std::string key() const;
  // What is wrong with it; empty: nothing.
  const std::string& wrong() const { return wrong_; }
  bool sealed() const { return sealed_; }
  const std::string& last_step() const { return last_step_; }

 private:
  enum class Kind : std::uint8_t {
    kAppend,     // the writer gives the next entry its place
    kStore,      // a replica stores the next entry that it lacks
    kAck,        // the writer hears what a replica has stored
    kDamage,     // a replica loses its last entry
    kFreeze,     // the writer rolls
    kOwnSeal,    // its swap
    kTake,       // the next owner gets its epoch
    kFence,      // one of a taker's fences is stored and answered
    kCopy,       // a replica behind gets the next entry from one that holds all
    kCopied,     // the taker hears that it has all
    kTakerSeal,  // its swap
  };
  struct Step {
    Kind kind;
    std::uint8_t who = 0;    // replica
    std::uint8_t taker = 0;  // from 0
  };
  struct Replica {
    std::uint8_t stored = 0;
    std::uint8_t told =
        0;  // what it acknowledges to the writer: copies made by others are no acknowledgement
    std::uint8_t fence = 1;  // epoch
    bool damaged = false;
    bool certain() const { return stored > 0 && !damaged; }  // of an unknown segment nothing is certain
  };
  struct Taker {
    bool began = false;
    FenceAnswers answers;
    std::vector<std::uint8_t> heard;  // for the key: of each replica 0, or what it answered
  };

  std::vector<Step> steps() const;
  void writer_steps(std::vector<Step>& out) const;
  void taker_steps(std::uint8_t number, std::vector<Step>& out) const;
  void take(const Step& step);
  void hear(Taker& taker, std::uint8_t replica, std::uint8_t end);
  void seal(std::uint64_t end);
  void check();

  SearchLimits limits_;
  std::vector<Replica> replicas_;
  std::vector<Taker> takers_;
  SegmentAcks acks_;
  std::uint8_t appended_ = 0;
  std::uint8_t epoch_ = 1;  // as the meta service has it
  std::uint8_t damages_ = 0;
  bool sealed_ = false;
  std::uint64_t end_ = 0;
  std::string wrong_;
  std::string last_step_;
};

struct SearchResult {
  std::size_t states = 0;
  std::size_t sealed = 0;          // of them
  std::string wrong;               // the first that was found
  std::vector<std::string> steps;  // that lead there
};
// All histories, the shortest first.
SearchResult search(const SearchLimits& limits);

}  // namespace stele::journal::testing
