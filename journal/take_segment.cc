#include "journal/take_segment.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "journal/quorum.h"
#include "runtime/notification.h"
#include "runtime/scope.h"

namespace stele::journal {
namespace {

using runtime::Task;
using storage::FenceAnswer;
using storage::LogEntry;

// What the tasks of one take-over share. Lives in the frame of take_segment, which outlives them.
struct Taking {
  runtime::Runtime& runtime;
  const std::vector<SegmentReplica*> replicas;
  const SegmentId segment;
  const Epoch epoch;
  const TakeSegmentOptions options;
  runtime::Instant deadline;
  FenceAnswers answers;
  std::vector<std::uint64_t> ends;
  std::vector<bool> copying;
  std::vector<std::string> heard;  // of each, for who is told that it did not work
  std::optional<Error> lost;       // another owner
  bool late = false;
  runtime::Notification changed;

  bool over() const { return lost || late; }
};

Task<Result<FenceAnswer>> fence_one(SegmentReplica& replica, storage::FenceRequest request) {
  STELE_CO_TRY(auto answers, co_await replica.fence({request}));
  STELE_ASSERT(answers.size() == 1);
  co_return std::move(answers[0]);
}

void note(Taking& taking, std::size_t index, const Result<FenceAnswer>& answer) {
  if (answer) {
    taking.ends[index] = answer->end;
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
    auto answers = co_await replica.fence({{taking.segment, taking.epoch}});
    if (answers) {
      STELE_ASSERT(answers->size() == 1);
      note(taking, index, answers->at(0));
      if (answers->at(0)) co_return;
    } else if (answers.error().code == ErrorCode::kNotFound) {
      STELE_MARK("journal: take-over found a replica gone");
      taking.answers.gone(index);
      taking.heard[index] = "gone";
      taking.changed.wake_all();
      co_return;
    } else {
      note(taking, index, std::unexpected(answers.error()));
    }
    co_await runtime::sleep(taking.runtime, taking.options.retry);
  }
}

class Copied final : public AppendListener {
 public:
  void on_stored(std::uint64_t end) override {
    stored = end;
    changed.wake_all();
  }
  void on_append_failed(const Error& why) override {
    failed = why;
    changed.wake_all();
  }
  std::uint64_t stored = 0;
  std::optional<Error> failed;
  runtime::Notification changed;
};

// A piece at a time, so that no more than that is in memory.
Task<Result<void>> copy_entries(Taking& taking, SegmentReplica& from, SegmentReplica& to, std::uint64_t begin,
                                std::uint64_t end) {
  Copied copied;
  copied.stored = begin;
  const auto writer = to.open_writer(taking.segment, taking.epoch, begin, copied);
  while (begin < end && !taking.over()) {
    STELE_CO_TRY(auto entries, co_await from.read(taking.segment, begin, taking.options.copy_bytes));
    if (entries.empty()) co_return error(ErrorCode::kCorrupt, "a replica does not hold what it said");
    if (entries.size() > end - begin) entries.resize(end - begin);
    begin += entries.size();
    for (LogEntry& entry : entries) writer->append(std::move(entry));
    while (copied.stored < begin && !copied.failed) co_await copied.changed.wait();
    if (copied.failed) co_return std::unexpected(*copied.failed);
  }
  co_return Result<void>();
}

// Brings one replica to the end that was found, and then asks it what it has on its disk.
Task<void> copy_to(Taking& taking, std::size_t index, std::vector<std::size_t> holders, std::uint64_t end) {
  STELE_MARK("journal: take-over copies to a replica");
  SegmentReplica& to = *taking.replicas[index];
  for (const std::size_t holder : holders) {
    auto copied = co_await copy_entries(taking, *taking.replicas[holder], to, taking.ends[index], end);
    if (!copied) note(taking, index, std::unexpected(std::move(copied).error()));
    if (taking.over()) co_return;
    note(taking, index, co_await fence_one(to, {taking.segment, taking.epoch}));
    if (taking.over()) co_return;
    if (taking.ends[index] >= end) break;
  }
  if (taking.ends[index] < end) co_await runtime::sleep(taking.runtime, taking.options.retry);
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

}  // namespace

Task<Result<TakenSegment>> take_segment(runtime::Runtime& runtime, std::vector<SegmentReplica*> replicas,
                                        SegmentId segment, Epoch epoch, TakeSegmentOptions options) {
  const std::size_t count = replicas.size();
  Taking taking{.runtime = runtime,
                .replicas = std::move(replicas),
                .segment = segment,
                .epoch = epoch,
                .options = options,
                .deadline = runtime.now() + options.give_up_after,
                .answers = FenceAnswers(Quorum::of(count)),
                .ends = std::vector<std::uint64_t>(count),
                .copying = std::vector<bool>(count),
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
      taking.answers.gone(i);
      taking.heard[i] = "gone";
    }
  }
  std::optional<SealPlan> plan;
  while (!taking.over()) {
    plan = taking.answers.plan();
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

namespace {

struct Begun {
  std::size_t known = 0, answers = 0;
  std::optional<Error> lost;
  runtime::Notification changed;
};

Task<void> begin_at(SegmentReplica& replica, storage::FenceRequest request, Begun& begun) {
  const auto answer = co_await fence_one(replica, request);
  ++begun.answers;
  if (answer) ++begun.known;
  if (!answer && answer.error().code == ErrorCode::kFenced) begun.lost = answer.error();
  begun.changed.wake_all();
}

}  // namespace

Task<Result<std::size_t>> begin_segment(runtime::Runtime& runtime, std::vector<SegmentReplica*> replicas,
                                        SegmentId segment, Epoch epoch) {
  const std::size_t enough = Quorum::of(replicas.size()).acks;
  std::erase(replicas, nullptr);
  Begun begun;
  runtime::Scope scope;
  for (SegmentReplica* replica : replicas)
    scope.spawn(begin_at(*replica, {.segment = segment, .epoch = epoch, .fresh = true}, begun));
  while (begun.known < enough && begun.answers < replicas.size() && !begun.lost)
    co_await begun.changed.wait();
  co_await leave_tasks(runtime);
  if (begun.lost) co_return std::unexpected(*begun.lost);
  co_return begun.known;
}

}  // namespace stele::journal
