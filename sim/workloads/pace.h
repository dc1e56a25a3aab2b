// When a run is busy. Load and faults come in episodes of seconds, with quiet minutes between them in which
// virtual time passes for next to nothing: timers, keep-alives, expiry and retention see all of it.
//
// A run of any length has about a minute of episodes, and so many messages, so that it costs about the same.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/random.h"
#include "sim/faults.h"
#include "sim/time.h"

namespace stele::sim {

struct Episode {
  Duration begin{};            // since the load began
  Duration load_end{};         // clients send until then
  Duration end{};              // faults come until then
  std::uint64_t messages = 0;  // no more than that are sent
};

class Pace {
 public:
  // `messages`: in all.
  static Pace draw(runtime::Random& random, Duration length, std::uint64_t messages);

  // Busy from the beginning to the end.
  static Pace always(Duration length);

  const std::vector<Episode>& episodes() const { return episodes_; }
  // Of all episodes together.
  Duration busy() const;
  // Takes a moment of busy() to when that is.
  Duration when(Duration busy) const;

 private:
  std::vector<Episode> episodes_;
};

}  // namespace stele::sim
