#include "journal/take_segment.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "journal/copy_entries.h"
#include "journal/quorum.h"
#include "runtime/notification.h"
#include "runtime/scope.h"

namespace stele::journal {
namespace {

using runtime::Task;
using storage::FenceAnswer;

// What the tasks of one take-over share. Lives in the frame of take_segment, which outlives them.
struct Taking {
  runtime::Runtime& runtime;
  const std::vector<SegmentReplica*> replicas;
  const SegmentId segment;
  const Epoch epoch;
  const TakeSegmentOptions options;
  const std::optional<std::uint64_t> known_end;  // of the segment's own writer
  const bool may_copy;
  runtime::Instant deadline;
  FenceAnswers answers;
  std::vector<std::optional<std::uint64_t>> ends;  // of those that have answered
  std::vector<std::uint64_t> begins;               // likewise: what lies below is trimmed there
  std::vector<bool> copying;
  std::vector<bool> gone;
  std::vector<std::string> heard;  // of each, for who is told that it did not work
  std::optional<Error> lost;       // another owner
  bool late = false;
  runtime::Notification changed;

  bool over() const { return lost || late; }
  void note_gone(std::size_t index) {
    answers.gone(index);
    gone[index] = true;
    heard[index] = "gone";
  }
  std::optional<SealPlan> plan() const;
};

// Who wrote the segment does not ask where it ends, nor whether the answers are certain: only who has it all.
// A replica that is gone has had what it acknowledged: its loss is like that of one of a sealed segment, and
// the others go on without it.
std::optional<SealPlan> Taking::plan() const {
  if (!known_end) return answers.plan();
  const auto left = static_cast<std::size_t>(std::ranges::count(gone, false));
  const std::size_t acks = std::min(Quorum::of(replicas.size()).acks, left);
  SealPlan plan;
  plan.end = *known_end;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (ends[i] && *ends[i] >= plan.end) {
      plan.holders.push_back(i);
    } else if (ends[i] && may_copy) {
      plan.behind.push_back(i);
    }
  }
  if (plan.holders.empty() || plan.holders.size() + plan.behind.size() < acks) return std::nullopt;
  plan.copies = acks - std::min(acks, plan.holders.size());
  return plan;
}

Task<Result<FenceAnswer>> fence_one(SegmentReplica& replica, storage::FenceRequest request) {
  STELE_CO_TRY(auto answers, co_await replica.fence({request}));
  STELE_ASSERT(answers.size() == 1);
  co_return std::move(answers[0]);
}

void note(Taking& taking, std::size_t index, const Result<FenceAnswer>& answer) {
  if (answer) {
    taking.ends[index] = answer->end;
    taking.begins[index] = answer->begin;
    taking.answers.answered(index, answer->end, answer->certain);
    taking.heard[index] =
        "holds " + std::to_string(answer->end) + (answer->certain ? "" : ", perhaps not all");
  } else if (answer.error().code == ErrorCode::kFenced) {
    taking.lost = answer.error();
  } else {
    taking.heard[index] = answer.error().to_string();
  }
  taking.changed.wake_all();
}

// Asks one replica until it answers. One whose node has another disk by now is gone: that too is an answer.
Task<void> ask(Taking& taking, std::size_t index) {
  SegmentReplica& replica = *taking.replicas[index];
  while (!taking.over()) {
    std::optional<std::uint64_t> end_before;
    if (mutant(mutants::kReadBeforeFence)) {
      const auto held = co_await replica.describe({taking.segment});
      if (held && held->at(0)) end_before = held->at(0)->stored;
    }
    auto answers = co_await replica.fence({{taking.segment, taking.epoch}});
    if (answers) {
      STELE_ASSERT(answers->size() == 1);
      if (end_before && answers->at(0)) answers->at(0)->end = *end_before;
      note(taking, index, answers->at(0));
      const bool gets_more = taking.known_end && !taking.may_copy;
      if (answers->at(0) && !(gets_more && *taking.ends[index] < *taking.known_end)) co_return;
    } else if (answers.error().code == ErrorCode::kNotFound) {
      STELE_MARK("journal: take-over found a replica gone");
      taking.note_gone(index);
      taking.changed.wake_all();
      co_return;
    } else {
      note(taking, index, std::unexpected(answers.error()));
    }
    co_await runtime::sleep(taking.runtime, taking.options.retry);
  }
}

// From one that has all to one that lacks some. What is trimmed there is not needed here either.
Task<Result<void>> copy(Taking& taking, std::size_t from, std::size_t to, std::uint64_t end) {
  std::uint64_t at = *taking.ends[to];
  const std::uint64_t begin = std::min(taking.begins[from], end);
  if (at < begin && !mutant(mutants::kTrimmedNotLeftOut)) {
    STELE_MARK("journal: take-over leaves out what is trimmed");
    STELE_CO_CHECK(co_await skip_entries(*taking.replicas[to], taking.segment, taking.epoch, at, begin));
    at = begin;
  }
  co_return co_await copy_entries(*taking.replicas[from], *taking.replicas[to], taking.segment, taking.epoch,
                                  at, end, taking.options.copy_bytes, [&taking] { return taking.over(); });
}

// Brings one replica to the end that was found, and then asks it what it has on its disk.
Task<void> copy_to(Taking& taking, std::size_t index, std::vector<std::size_t> holders, std::uint64_t end) {
  STELE_MARK("journal: take-over copies to a replica");
  SegmentReplica& to = *taking.replicas[index];
  for (const std::size_t holder : holders) {
    auto copied = co_await copy(taking, holder, index, end);
    if (taking.over()) co_return;
    if (!copied) {
      note(taking, index, std::unexpected(std::move(copied).error()));
      // It may have been trimmed meanwhile.
      note(taking, holder, co_await fence_one(*taking.replicas[holder], {taking.segment, taking.epoch}));
      if (taking.over()) co_return;
    }
    note(taking, index, co_await fence_one(to, {taking.segment, taking.epoch}));
    if (taking.over()) co_return;
    if (*taking.ends[index] >= end) break;
  }
  if (*taking.ends[index] < end) co_await runtime::sleep(taking.runtime, taking.options.retry);
  taking.copying[index] = false;
  taking.changed.wake_all();
}

// What resumed the caller may be one of the tasks that are about to be destroyed.
auto leave_tasks(runtime::Runtime& runtime) {
  return runtime::sleep(runtime, runtime::Duration(0));
}

class Deadline final : public runtime::Timer {
 public:
  explicit Deadline(Taking& taking) : taking_(taking) { taking_.runtime.arm(*this, taking_.deadline); }
  void on_timer() override {
    taking_.late = true;
    taking_.changed.wake_all();
  }

 private:
  Taking& taking_;
};

Task<Result<TakenSegment>> bring_to_quorum(runtime::Runtime& runtime, std::vector<SegmentReplica*> replicas,
                                           SegmentId segment, Epoch epoch,
                                           std::optional<std::uint64_t> known_end, bool may_copy,
                                           TakeSegmentOptions options) {
  const std::size_t count = replicas.size();
  Taking taking{.runtime = runtime,
                .replicas = std::move(replicas),
                .segment = segment,
                .epoch = epoch,
                .options = options,
                .known_end = known_end,
                .may_copy = may_copy,
                .deadline = runtime.now() + options.give_up_after,
                .answers = FenceAnswers(Quorum::of(count)),
                .ends = std::vector<std::optional<std::uint64_t>>(count),
                .begins = std::vector<std::uint64_t>(count),
                .copying = std::vector<bool>(count),
                .gone = std::vector<bool>(count),
                .heard = std::vector<std::string>(count, "no answer"),
                .lost = std::nullopt,
                .late = false,
                .changed = {}};
  const Deadline deadline(taking);
  runtime::Scope scope;  // its tasks end with it: what is still under way is of no use any more
  for (std::size_t i = 0; i < count; ++i) {
    if (taking.replicas[i]) {
      scope.spawn(ask(taking, i));
    } else {
      taking.note_gone(i);
    }
  }
  std::optional<SealPlan> plan;
  while (!taking.over()) {
    plan = taking.plan();
    if (plan && plan->copies == 0) break;
    std::size_t missing = plan ? plan->copies : 0;
    const std::vector<std::size_t> behind = plan ? plan->behind : std::vector<std::size_t>();
    for (const std::size_t index : behind)
      missing -= std::min<std::size_t>(missing, taking.copying[index] ? 1 : 0);
    for (const std::size_t index : behind) {
      if (missing == 0) break;
      if (taking.copying[index]) continue;
      taking.copying[index] = true;
      --missing;
      scope.spawn(copy_to(taking, index, plan->holders, plan->end));
    }
    co_await taking.changed.wait();
  }
  co_await leave_tasks(runtime);
  if (plan && plan->copies == 0) co_return TakenSegment{.end = plan->end, .holders = plan->holders};
  if (taking.lost) co_return std::unexpected(*taking.lost);
  Error why{ErrorCode::kUnavailable,
            "too few replicas of segment " + std::to_string(segment.value) + " answer"};
  for (std::size_t i = 0; i < count; ++i)
    why.message += (i == 0 ? ": " : "; ") + std::to_string(i) + ": " + taking.heard[i];
  co_return std::unexpected(std::move(why));
}

}  // namespace

Task<Result<TakenSegment>> take_segment(runtime::Runtime& runtime, std::vector<SegmentReplica*> replicas,
                                        SegmentId segment, Epoch epoch, TakeSegmentOptions options) {
  return bring_to_quorum(runtime, std::move(replicas), segment, epoch, std::nullopt, true, options);
}

Task<Result<void>> sync_segment(runtime::Runtime& runtime, std::vector<SegmentReplica*> replicas,
                                SegmentId segment, Epoch epoch, std::uint64_t end, SyncHow how,
                                TakeSegmentOptions options) {
  STELE_CO_TRY(const auto taken, co_await bring_to_quorum(runtime, std::move(replicas), segment, epoch, end,
                                                          how == SyncHow::kCopy, options));
  STELE_ASSERT(taken.end == end);
  co_return Result<void>();
}

}  // namespace stele::journal
