#include "journal/repair.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "journal/copy_entries.h"

namespace stele::journal {
namespace {

using runtime::Task;
using storage::FenceAnswer;

// In the order of the replicas; nothing: no answer.
using Answers = std::vector<std::optional<FenceAnswer>>;

Task<Result<FenceAnswer>> fence_one(SegmentReplica& replica, SegmentId segment, Epoch epoch) {
  STELE_CO_TRY(auto answers, co_await replica.fence({{.segment = segment, .epoch = epoch}}));
  STELE_ASSERT(answers.size() == 1);
  co_return std::move(answers[0]);
}

// kFenced is an error of the whole; any other is one of that replica alone.
Task<Result<void>> ask(SegmentReplica& replica, SegmentId segment, Epoch epoch,
                       std::optional<FenceAnswer>& to) {
  auto answer = co_await fence_one(replica, segment, epoch);
  if (answer) {
    to = *answer;
  } else if (answer.error().code == ErrorCode::kFenced) {
    co_return std::unexpected(answer.error());
  }
  co_return Result<void>();
}

// Tried with each that has it, until one gives all of it.
Task<void> fill(const std::vector<SegmentReplica*>& replicas, const Answers& answers, std::size_t to,
                SegmentId segment, Epoch epoch, std::uint64_t end, RepairOptions options) {
  for (std::size_t from = 0; from < replicas.size(); ++from) {
    if (from == to || !answers[from] || answers[from]->end < end) continue;
    auto there = co_await fence_one(*replicas[to], segment, epoch);
    if (!there) co_return;
    std::uint64_t at = there->end;
    // What is trimmed everywhere else is not needed here.
    if (at < answers[from]->begin) {
      STELE_MARK("journal: a repair leaves out what is trimmed");
      at = answers[from]->begin;
      if (!co_await skip_entries(*replicas[to], segment, epoch, there->end, at)) co_return;
    }
    if (at >= end || co_await copy_entries(*replicas[from], *replicas[to], segment, epoch, at, end,
                                           options.copy_bytes, [] { return false; }))
      co_return;
    STELE_MARK("journal: a repair goes on with another replica");
  }
}

}  // namespace

Task<Result<RepairOutcome>> complete_segment(std::vector<SegmentReplica*> replicas, SegmentId segment,
                                             Epoch epoch, std::uint64_t end, std::size_t targets,
                                             RepairOptions options) {
  Answers answers(replicas.size());
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    if (replicas[i]) STELE_CO_CHECK(co_await ask(*replicas[i], segment, epoch, answers[i]));
  }
  const auto has_all = [&](const std::optional<FenceAnswer>& answer) { return answer && answer->end >= end; };
  if (std::ranges::none_of(answers, has_all)) {
    co_return error(ErrorCode::kUnavailable, "no replica that answers has all of it");
  }
  RepairOutcome outcome;
  for (std::size_t i = 0; i < targets; ++i) {
    if (!answers[i] || has_all(answers[i])) continue;
    STELE_MARK("journal: a segment is copied to a replica that lacks it");
    const std::uint64_t before = answers[i]->end;
    if (mutant(mutants::kRepairedTooEarly)) {
      answers[i]->end = end;
      continue;
    }
    co_await fill(replicas, answers, i, segment, epoch, end, options);
    // What it answers to a fence behind them is on its disk, whatever its durability.
    STELE_CO_CHECK(co_await ask(*replicas[i], segment, epoch, answers[i]));
    outcome.copied += answers[i]->end - std::min(before, answers[i]->end);
  }
  for (const auto& answer : answers) outcome.complete.push_back(has_all(answer));
  co_return outcome;
}

}  // namespace stele::journal
