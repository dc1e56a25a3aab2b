#include "sim/workloads/linearizability.h"

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include "base/hash.h"
#include "sim/trace.h"

namespace stele::sim {

namespace {

using Kind = RegisterOperation::Kind;
using Operations = std::vector<RegisterOperation>;

// What can decide: a read without an answer says nothing. A write without one that nobody was told of need
// not have happened, since whatever order there is with it is one without it too.
Operations decisive(std::span<const RegisterOperation> history) {
  std::set<std::uint64_t> told;
  for (const RegisterOperation& one : history) {
    if (one.kind == Kind::kRead && one.answered != kUnanswered) told.insert(one.value);
  }
  Operations out;
  for (const RegisterOperation& one : history) {
    if (one.answered != kUnanswered || (one.kind == Kind::kWrite && told.contains(one.value)))
      out.push_back(one);
  }
  std::ranges::sort(out, {}, &RegisterOperation::called);
  return out;
}

// The search, over the list of calls and answers of what has not been placed yet.
class Search {
 public:
  Search(const Operations& operations, std::uint64_t max_steps)
      : operations_(operations), max_steps_(max_steps), placed_((operations.size() + 63) / 64) {
    link_events();
  }

  Verdict run() {
    std::size_t at = events_[kHead].next;
    while (unplaced_ > 0) {
      if (++steps_ > max_steps_) return Verdict::kUndecided;
      if (events_[at].is_call) {
        at = place(at) ? events_[kHead].next : events_[at].next;
        continue;
      }
      // Its operation would have to be placed by now.
      furthest_ = std::max(furthest_, events_[at].moment);
      if (taken_.empty()) return Verdict::kNotLinearizable;
      at = events_[take_back()].next;
    }
    return Verdict::kLinearizable;
  }

  std::uint64_t steps() const { return steps_; }
  // The last answer that the search came to: what was answered before it is linearizable, with it it is not.
  Moment furthest() const { return furthest_; }

 private:
  static constexpr std::size_t kHead = 0, kNone = 0;
  struct Event {
    Moment moment = 0;
    std::size_t operation = 0;
    bool is_call = true;
    std::size_t answer = kNone;  // of a call
    std::size_t before = kHead, next = kHead;
  };
  struct Taken {
    std::size_t call;
    std::uint64_t value_before;
  };
  struct KeyHash {
    std::size_t operator()(const std::vector<std::uint64_t>& key) const {
      Hasher hash;
      for (const std::uint64_t word : key) hash.add(word);
      return hash.value();
    }
  };

  void link_events() {
    std::vector<Event> all;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      all.push_back({.moment = operations_[i].called, .operation = i});
      if (operations_[i].answered == kUnanswered) continue;
      all.push_back({.moment = operations_[i].answered, .operation = i, .is_call = false});
      ++unplaced_;
    }
    std::ranges::sort(all, {}, &Event::moment);
    events_.push_back({});
    std::vector<std::size_t> call_of(operations_.size());
    for (Event& event : all) {
      const std::size_t here = events_.size();
      if (event.is_call) {
        call_of[event.operation] = here;
      } else {
        events_[call_of[event.operation]].answer = here;
      }
      event.before = here - 1;
      event.next = here + 1;
      events_.push_back(event);
    }
    events_.back().next = kHead;
    events_[kHead].next = events_.size() > 1 ? 1 : kHead;
    events_[kHead].before = events_.size() - 1;
  }

  void unlink(std::size_t event) {
    events_[events_[event].before].next = events_[event].next;
    events_[events_[event].next].before = events_[event].before;
  }
  void link_again(std::size_t event) {
    events_[events_[event].before].next = event;
    events_[events_[event].next].before = event;
  }

  void flip(std::size_t operation) { placed_[operation / 64] ^= std::uint64_t{1} << operation % 64; }

  // False if it does not fit here, or has been here before.
  bool place(std::size_t call) {
    const Event& event = events_[call];
    const RegisterOperation& operation = operations_[event.operation];
    if (operation.kind == Kind::kRead && operation.value != value_) return false;
    flip(event.operation);
    if (!seen_.insert(key(operation.value)).second) {
      flip(event.operation);
      return false;
    }
    taken_.push_back({call, value_});
    value_ = operation.value;
    unlink(call);
    if (event.answer != kNone) {
      unlink(event.answer);
      --unplaced_;
    }
    return true;
  }

  std::size_t take_back() {
    const auto [call, value_before] = taken_.back();
    taken_.pop_back();
    const Event& event = events_[call];
    if (event.answer != kNone) {
      link_again(event.answer);
      ++unplaced_;
    }
    link_again(call);
    flip(event.operation);
    value_ = value_before;
    return call;
  }

  // What is placed and what the register holds then. Most of it is a beginning in which nothing is missing.
  std::vector<std::uint64_t> key(std::uint64_t value) const {
    std::size_t begin = 0, end = placed_.size();
    while (begin < end && placed_[begin] == UINT64_MAX) ++begin;
    while (end > begin && placed_[end - 1] == 0) --end;
    std::vector<std::uint64_t> out = {value, begin};
    out.insert(out.end(), placed_.begin() + static_cast<std::ptrdiff_t>(begin),
               placed_.begin() + static_cast<std::ptrdiff_t>(end));
    return out;
  }

  const Operations& operations_;
  const std::uint64_t max_steps_;
  std::vector<Event> events_;  // in the order of their moments, behind the list's head
  std::size_t unplaced_ = 0;   // with an answer
  std::vector<std::uint64_t> placed_;
  std::uint64_t value_ = 0;
  std::vector<Taken> taken_;  // in the order in which they are placed
  std::unordered_set<std::vector<std::uint64_t>, KeyHash> seen_;
  std::uint64_t steps_ = 0;
  Moment furthest_ = 0;
};

// Whether a history without this one is linearizable if it is with it: what somebody read must stay written.
bool can_go(const Operations& all, std::size_t which) {
  if (all[which].kind == Kind::kRead) return true;
  return std::ranges::none_of(all, [&](const RegisterOperation& one) {
    return one.kind == Kind::kRead && one.value == all[which].value;
  });
}

// Leaves out one after the other as long as what is left is not linearizable.
Operations shorten(Operations conflict, std::uint64_t max_steps) {
  bool shorter = true;
  while (shorter) {
    shorter = false;
    for (std::size_t i = conflict.size(); i-- > 0;) {
      if (!can_go(conflict, i)) continue;
      Operations without = conflict;
      without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
      const Operations left = decisive(without);
      Search search(left, max_steps);
      const Verdict verdict = search.run();
      max_steps -= std::min(search.steps(), max_steps);
      if (verdict == Verdict::kUndecided) return conflict;
      if (verdict == Verdict::kLinearizable) continue;
      conflict = std::move(without);
      shorter = true;
    }
  }
  return conflict;
}

// What was called up to then. Not what was read later: it may have been written later.
Operations up_to(const Operations& all, Moment moment) {
  Operations out;
  for (const RegisterOperation& one : all) {
    if (one.called < moment && (one.kind == Kind::kWrite || one.answered <= moment)) out.push_back(one);
  }
  return out;
}

}  // namespace

Judgement judge_register(std::span<const RegisterOperation> history, std::uint64_t max_steps) {
  const Operations operations = decisive(history);
  Search search(operations, max_steps);
  Judgement out{.verdict = search.run(), .steps = search.steps(), .conflict = {}};
  if (out.verdict == Verdict::kNotLinearizable)
    out.conflict = shorten(up_to(operations, search.furthest()), max_steps);
  return out;
}

std::string to_string(const RegisterOperation& operation) {
  std::string out = operation.client + (operation.kind == Kind::kWrite ? " writes " : " reads ") +
                    std::to_string(operation.value) + " (" + format_time(operation.called_at) + " to ";
  return out + (operation.answered == kUnanswered ? "nobody knows" : format_time(operation.answered_at)) +
         ")";
}

RegisterHistory::Call RegisterHistory::call(RegisterOperation operation, Time now) {
  operation.called = ++now_;
  operation.called_at = now;
  operations_.push_back(std::move(operation));
  return operations_.size() - 1;
}

RegisterHistory::Call RegisterHistory::writing(std::string client, std::uint64_t value, Time now) {
  return call({.kind = Kind::kWrite, .value = value, .client = std::move(client)}, now);
}

RegisterHistory::Call RegisterHistory::reading(std::string client, Time now) {
  return call({.kind = Kind::kRead, .client = std::move(client)}, now);
}

void RegisterHistory::wrote(Call call, Time now) {
  operations_[call].answered = ++now_;
  operations_[call].answered_at = now;
}

void RegisterHistory::read(Call call, std::uint64_t value, Time now) {
  operations_[call].value = value;
  wrote(call, now);
}

std::uint64_t RegisterHistory::contended() const {
  std::uint64_t count = 0;
  for (const RegisterOperation& one : operations_) {
    if (one.answered == kUnanswered) continue;
    count += std::ranges::any_of(operations_, [&](const RegisterOperation& other) {
      return other.client != one.client && (one.kind == Kind::kWrite || other.kind == Kind::kWrite) &&
             other.answered != kUnanswered && one.called < other.answered && other.called < one.answered;
    });
  }
  return count;
}

}  // namespace stele::sim
