// How many replicas of a segment it takes: to commit an entry, and to find out later where the segment ends.
//
// A segment has R replicas. An entry is committed when A of them have stored it. Who takes the segment over
// must learn of each entry that was committed, without asking all: R−A+1 replicas that refuse the old writer
// from now on have one in common with any A that ever acknowledged. That holds only of replicas that know
// what they acknowledged: one whose disk lost its tail answers as uncertain, and proves nothing; yet when all
// R have answered there is nobody left to ask, and the longest prefix has everything that can be had, which
// is everything while no more than R−A of them have lost something (so A must be a majority).
//
// Why longest: what any replica holds at an index is what the segment's one writer gave that index, so a
// longer prefix only adds entries that nobody was told of. Then the prefix is brought to A replicas before
// the chain says that it is there: otherwise the next loss of a disk could take what a reader has already
// seen.
//
// Pure: no clock, no network. Replicas are numbered as in the chain's list of them, from 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace stele::journal {

struct Quorum {
  std::size_t replicas = 1;  // R
  std::size_t acks = 1;      // A

  // The quorum that a segment of so many replicas has: a majority. A function of their number, so that every
  // owner, now and later, means the same.
  static Quorum of(std::size_t replicas) { return {.replicas = replicas, .acks = replicas / 2 + 1}; }
  // R−A+1: certain answers that have one in common with any A.
  std::size_t certain_answers() const { return replicas - acks + 1; }
  friend bool operator==(const Quorum&, const Quorum&) = default;
};

// The writer's side of an open segment: what its replicas have acknowledged. Positions count entries: a
// replica at `end` has stored [0, end).
class SegmentAcks {
 public:
  // The first `committed` entries are committed already, wherever they are.
  explicit SegmentAcks(Quorum quorum, std::uint64_t committed = 0);

  // Everything below is committed. Never goes back.
  std::uint64_t committed() const { return committed_; }
  // The replica has acknowledged [0, end). Acknowledgements may come late and out of order. True: the commit
  // position has moved. After freeze() and after lost() it changes nothing.
  bool stored(std::size_t replica, std::uint64_t end);
  // The replica's writer has ended: nothing more of it counts until a new one begins. What it acknowledged it
  // holds.
  void lost(std::size_t replica);
  // A writer to it has begun anew; it holds [0, end).
  bool rejoined(std::size_t replica, std::uint64_t end);

  bool is_lost(std::size_t replica) const { return replicas_.at(replica).lost; }
  std::uint64_t stored_by(std::size_t replica) const { return replicas_.at(replica).end; }
  // Replicas that are not lost.
  std::size_t healthy() const;
  // Whether entries can commit: below A they cannot, until a replica rejoins or another segment is opened.
  bool can_commit() const { return healthy() >= quorum_.acks; }

  // From now on no acknowledgement counts. Where the segment is to be sealed: what is committed at this
  // moment. Answers the same however often it is asked.
  std::uint64_t freeze();
  bool frozen() const { return frozen_; }

 private:
  struct Replica {
    std::uint64_t end = 0;
    bool lost = false;
  };
  bool advance();

  Quorum quorum_;
  std::uint64_t committed_;
  bool frozen_ = false;
  std::vector<Replica> replicas_;
};

// How a segment may be sealed by who takes it over.
struct SealPlan {
  std::uint64_t end = 0;  // entries [0, end) are kept
  // Replicas that hold all of it, on the disk, refusing the old writer. Copies are read from these.
  std::vector<std::size_t> holders;
  // Replicas that have answered but hold less, the longest prefix first. So many of them must have been
  // copied to, and have it on the disk, before the segment is sealed; 0: seal at once.
  std::vector<std::size_t> behind;
  std::size_t copies = 0;
  friend bool operator==(const SealPlan&, const SealPlan&) = default;
};

// A take-over's side: what the replicas of the last segment answered to its fence. An answer counts only if
// it came after the fence, and all before it, was on the replica's disk.
class FenceAnswers {
 public:
  explicit FenceAnswers(Quorum quorum);

  // The replica refuses lower epochs from now on and holds [0, end). Not certain: it may have acknowledged
  // more, and lost it. A replica that does not know the segment, or whose disk is gone for good (another
  // disk answers in its place), has answered with `missing`: it may have had anything. Asking a replica again
  // replaces its answer.
  void answered(std::size_t replica, std::uint64_t end, bool certain);
  void missing(std::size_t replica) { answered(replica, 0, false); }
  // One whose disk is gone cannot be copied to either.
  void gone(std::size_t replica);

  // Whether each committed entry is sure to be among the answers (invariant 5).
  bool enough() const;
  // None while that is not so, or too few replicas are left to hold what is kept: ask the others again. Once
  // a replica has been copied to, say what it holds by answered(); when `copies` is 0, the segment may be
  // sealed. Answers of more replicas may make another plan, whose end is no lower.
  std::optional<SealPlan> plan() const;

 private:
  enum class State : std::uint8_t { kUnknown, kCertain, kUncertain, kGone };
  struct Replica {
    State state = State::kUnknown;
    std::uint64_t end = 0;
    bool there() const { return state == State::kCertain || state == State::kUncertain; }
  };
  std::size_t acks_left() const;

  Quorum quorum_;
  std::vector<Replica> replicas_;
};

}  // namespace stele::journal
