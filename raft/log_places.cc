#include "raft/log_places.h"

#include <algorithm>

#include "base/assert.h"

namespace stele::raft {

void LogPlaces::reset(LogIndex next) {
  runs_.clear();
  repaired_.clear();
  next_ = next;
}

void LogPlaces::append(std::uint64_t at) {
  if (!runs_.empty() && runs_.back().at + runs_.back().count == at) {
    ++runs_.back().count;
  } else {
    runs_.push_back({.first = next_, .count = 1, .at = at});
  }
  ++next_;
}

void LogPlaces::repair(LogIndex slot, std::uint64_t at) {
  STELE_ASSERT(slot >= first() && slot < next_);
  repaired_[slot] = at;
}

void LogPlaces::truncate(LogIndex from) {
  if (from >= next_) return;
  while (!runs_.empty() && runs_.back().first >= from) runs_.pop_back();
  if (!runs_.empty()) runs_.back().count = std::min(runs_.back().count, from - runs_.back().first);
  repaired_.erase(repaired_.lower_bound(from), repaired_.end());
  next_ = from;
}

void LogPlaces::cut(LogIndex below) {
  if (below >= next_) return reset(below);
  std::size_t gone = 0;
  while (gone < runs_.size() && runs_[gone].first + runs_[gone].count <= below) ++gone;
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(gone));
  repaired_.erase(repaired_.begin(), repaired_.lower_bound(below));
  if (runs_.empty() || runs_.front().first >= below) return;
  Run& front = runs_.front();
  const std::uint64_t cut = below - front.first;
  front = {.first = below, .count = front.count - cut, .at = front.at + cut};
}

std::optional<LogPlaces::Place> LogPlaces::find(LogIndex slot) const {
  if (slot < first() || slot >= next_) return std::nullopt;
  const auto repaired = repaired_.lower_bound(slot);
  if (repaired != repaired_.end() && repaired->first == slot) return Place{.at = repaired->second};
  const auto behind = std::ranges::upper_bound(runs_, slot, {}, &Run::first);
  STELE_ASSERT(behind != runs_.begin());
  const Run& run = *std::prev(behind);
  const std::uint64_t into = slot - run.first;
  std::uint64_t count = run.count - into;
  if (repaired != repaired_.end()) count = std::min(count, repaired->first - slot);
  return Place{.at = run.at + into, .count = count};
}

std::optional<std::uint64_t> LogPlaces::oldest() const {
  std::optional<std::uint64_t> out;
  // A later slot never lies before an earlier one, but for those that were repaired.
  if (!runs_.empty()) out = runs_.front().at;
  return out;
}

}  // namespace stele::raft
