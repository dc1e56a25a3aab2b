// Whether what clients did to a register, and what they were told, could have happened one after the other:
// each operation at one moment between its call and its answer, each read giving what was written last
// before it (Herlihy and Wing, 1990).
//
// Histories of several registers are judged one by one: linearizability is local. The search is that of Wing
// and Gong (1993), which places operations one after the other and goes back where none fits, with Lowe's
// memory (2017) of what has been placed together and what the register held then: what was tried once is
// not tried again. That is still exponential in the number of operations that overlap, so it is bounded, by a
// number of steps and not by a clock: a run judges its histories alike each time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/time.h"

namespace stele::sim {

// A moment in the order of what happened to one register: no two calls and answers share one.
using Moment = std::uint64_t;
constexpr Moment kUnanswered = UINT64_MAX;

struct RegisterOperation {
  enum class Kind : std::uint8_t { kWrite, kRead };
  Kind kind = Kind::kWrite;
  std::uint64_t value = 0;  // written, or read; a register begins with 0
  Moment called = 0;
  // kUnanswered: the call's outcome is unknown. A write takes effect at any time after its call, or never; a
  // read says nothing.
  Moment answered = kUnanswered;
  std::string client;
  Time called_at{}, answered_at{};  // for people

  friend bool operator==(const RegisterOperation&, const RegisterOperation&) = default;
};
std::string to_string(const RegisterOperation& operation);

enum class Verdict : std::uint8_t { kLinearizable, kNotLinearizable, kUndecided };

struct Judgement {
  Verdict verdict = Verdict::kLinearizable;
  std::uint64_t steps = 0;  // of the search
  // Of what is not linearizable: operations of the history that are not either, by themselves, in the order
  // of their calls. Nothing can be left out of them, unless the steps did not suffice to find that out.
  std::vector<RegisterOperation> conflict;
};
// Operations in any order. `max_steps`: for the verdict, and again for the conflict. A write of a value that
// somebody was told, whose outcome is unknown, costs most: it overlaps everything after it.
Judgement judge_register(std::span<const RegisterOperation> history, std::uint64_t max_steps);

// What happens to one register, as it happens. All in one place: clients that share it run on one core.
class RegisterHistory {
 public:
  using Call = std::size_t;
  Call writing(std::string client, std::uint64_t value, Time now);
  Call reading(std::string client, Time now);
  // Answered. What never is has an unknown outcome.
  void wrote(Call call, Time now);
  void read(Call call, std::uint64_t value, Time now);

  std::span<const RegisterOperation> operations() const { return operations_; }
  // Answered operations that overlapped one of another client, where one of the two was a write: only those
  // can show more than that everything is done in its order.
  std::uint64_t contended() const;

 private:
  Call call(RegisterOperation operation, Time now);

  Moment now_ = 0;
  std::vector<RegisterOperation> operations_;  // in the order of their calls
};

}  // namespace stele::sim
