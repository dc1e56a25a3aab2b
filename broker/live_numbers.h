// Whether live copies are missing on their way from one core of a node to another node.
//
// The sender numbers what it sends over its link (LiveNumbers), in the order of sending, whatever connection
// it goes by. Nothing is sent twice: what is lost is lost, and the receiver (LiveArrivals) finds out that
// something is. Whoever sends says of each whether all that was sent before it is known to have arrived, or
// to be missed. So a receiver that remembers nothing, for it has just started or the link came to another
// core of it, misses no gap; one that remembers tells what was lost from an answer that was lost.
//
// Only what counts is missed: a gap of what nobody is promised (QoS 0) is none.
//
// Pure.
#pragma once

#include <cstdint>
#include <set>

namespace stele::broker {

// In front of what is sent at once.
struct LiveHead {
  std::uint32_t core = 0;    // of the sender
  std::uint64_t number = 0;  // from 1
  std::uint64_t after = 0;   // the last one before it that counts; 0: there is none
  bool unsettled = false;    // of those before it that count, some may be missing without anybody's knowing
  // It is the last one of its core, in this incarnation of the node, which has so many cores; 0: it is not.
  std::uint32_t last_of_cores = 0;
  std::uint64_t incarnation = 0;  // with last_of_cores
  friend bool operator==(const LiveHead&, const LiveHead&) = default;
};

class LiveNumbers {
 public:
  explicit LiveNumbers(std::uint32_t core) : core_(core) {}

  // Of the next one.
  LiveHead next(bool counts);
  void on_answer(std::uint64_t number);
  // There will be no answer; nobody knows whether it arrived.
  void on_lost(std::uint64_t number);
  // Something is lost of which the receiver may not know: another one is to be sent, be it empty.
  bool untold() const { return !lost_.empty(); }

 private:
  const std::uint32_t core_;
  std::uint64_t last_ = 0;
  std::uint64_t last_counted_ = 0;
  std::set<std::uint64_t> open_;  // that count, and are not answered
  std::set<std::uint64_t> lost_;  // of them
};

// Of one core of a sender, at one core of the receiver. Several cores may have one each: see pass().
class LiveArrivals {
 public:
  enum class What : std::uint8_t {
    kNext,
    kGap,   // likewise, but something before it is missing
    kLate,  // others have overtaken it, by another connection: not to be taken
  };
  // `process`: tells the processes of the sender apart.
  What take(std::uint64_t process, const LiveHead& head);
  // Another core has taken that one: all up to it are late. False: that was so.
  bool pass(std::uint64_t process, std::uint64_t number);

 private:
  void meet(std::uint64_t process);

  std::uint64_t process_ = 0;
  std::uint64_t last_ = 0;
};

}  // namespace stele::broker
