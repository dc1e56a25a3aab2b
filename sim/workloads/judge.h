// What judges a run, as workloads and their ledgers see it: they tell it what does not hold, and ask it for
// the time. A world is one (world_judge.h); so is whatever runs the same workloads against the real system.
#pragma once

#include <string>

#include "sim/time.h"

namespace stele::sim {

class Judge {
 public:
  // An invariant does not hold: the run ends with this text. The first failure counts.
  virtual void fail(std::string why) = 0;
  virtual bool failed() const = 0;
  // One clock for all clients and for what is noted of the system.
  virtual Time now() const = 0;
  // Ledgers are told what is committed, when it is. Otherwise nothing can be held against that.
  virtual bool sees_commits() const = 0;

 protected:
  ~Judge() = default;
};

}  // namespace stele::sim
