// The budget of memory for the tails of one core's logs, with the turns in which they are told that there is
// room again. Lives on its core; outlives the logs.
#pragma once

#include <cstddef>

#include "journal/tail_cache.h"
#include "runtime/runtime.h"

namespace stele::journal {

class CoreTails final : private runtime::TurnEndHook {
 public:
  // As of JournalClientOptions.
  CoreTails(runtime::Runtime& runtime, std::size_t tail_bytes, std::size_t max_pending_bytes)
      : budget_(tail_bytes, max_pending_bytes, [this, &runtime] { runtime.at_turn_end(*this); }) {}
  TailBudget& budget() { return budget_; }

 private:
  void on_turn_end() override { budget_.tell_relief(); }
  TailBudget budget_;
};

}  // namespace stele::journal
