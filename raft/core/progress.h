// What a leader knows of one member, and how much it may send to it.
//
//   probe      where the logs part is not known: one append at a time, until it is answered or a heartbeat is
//   replicate  it is known: appends follow each other without waiting, within the window
//   snapshot   what the member needs is no longer in the log: nothing is sent until it has the snapshot
//
// `match` is what the member has said to have stored, `next` what it is sent next. Invariant: match < next.
// `match` grows only by an answer "stored"; no rejection, however old, raises it, and only a member that says
// that it lost something lowers it (thesis, section 3.5; the states are etcd's).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "raft/core/types.h"

namespace stele::raft {

// Limits of what is on its way to one member.
struct WindowLimits {
  std::size_t messages_max = 64;
  std::size_t bytes_max = std::size_t{1} << 20;
};

// Appends that were sent and are not answered, oldest first.
class Window {
 public:
  explicit Window(WindowLimits limits) : limits_(limits) {}
  bool full() const { return sent_.size() >= limits_.messages_max || bytes_ >= limits_.bytes_max; }
  // `last`: index of the last entry of the message.
  void add(LogIndex last, std::size_t bytes);
  void free_to(LogIndex stored);
  // One message may have been lost: makes room for another try.
  void free_oldest();
  void clear();
  std::size_t messages() const { return sent_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Sent {
    LogIndex last;
    std::size_t bytes;
  };
  WindowLimits limits_;
  std::deque<Sent> sent_;
  std::size_t bytes_ = 0;
};

enum class ProgressState : std::uint8_t { kProbe, kReplicate, kSnapshot };

class Progress {
 public:
  // `next`: a first guess.
  Progress(LogIndex next, WindowLimits limits) : next_(next), window_(limits) {}

  ProgressState state() const { return state_; }
  LogIndex match() const { return match_; }
  LogIndex next() const { return next_; }
  LogIndex pending_snapshot() const { return pending_snapshot_; }
  const Window& window() const { return window_; }
  // Nothing with entries may be sent now.
  bool paused() const;

  // An append with entries up to `last` leaves.
  void sent(LogIndex last, std::size_t bytes);
  // An append without entries leaves; in the state probe it is the one that is waited for.
  void sent_probe();
  // The member has stored everything up to `index`. False if that was known.
  bool stored(LogIndex index);
  // The append after `rejected` did not fit; the logs may agree up to `hint`. False for an answer that is too
  // old to say anything.
  bool rejected(LogIndex rejected, LogIndex hint);
  // It lives: unsticks a probe, and one place of a full window.
  void heard();
  // The member said that what it had above `hint` is lost, or lies above something that is. It is sent again,
  // after the next heartbeat: meanwhile the member asks for it by itself.
  void uncertain(LogIndex hint);
  void start_snapshot(LogIndex index);
  // Delivered or not; what the member then has will show.
  void snapshot_ended(bool delivered);

  // Of the leader itself: its own disk has everything up to `index`.
  void stored_here(LogIndex index);

  bool active = false;           // heard of since the last check of the quorum
  bool nudge = false;            // something is not answered: send even if there is nothing new
  bool reading = false;          // the driver reads entries for it
  LogIndex commit_sent;          // it knows of this commit index
  std::uint64_t read_round = 0;  // the latest round of ReadIndex that it confirmed

 private:
  void become_probe(LogIndex next);
  void check() const;

  ProgressState state_ = ProgressState::kProbe;
  LogIndex match_;
  LogIndex next_;
  LogIndex pending_snapshot_;
  bool probe_sent_ = false;
  Window window_;
};

}  // namespace stele::raft
