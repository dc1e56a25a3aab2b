#include "raft/core/log_view.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"
#include "base/marks.h"
#include "raft/core/mutants.h"

namespace stele::raft {

LogView::LogView(const LogOutline& outline, std::size_t cache_bytes)
    : start_(outline.start), cache_bytes_max_(cache_bytes), damaged_(outline.damaged) {
  STELE_ASSERT(outline.last >= start_.index);
  auto run = outline.terms.begin();
  Term term = start_.term;
  for (LogIndex index = first_index(); index <= outline.last; ++index) {
    while (run != outline.terms.end() && run->first <= index) term = (run++)->term;
    STELE_ASSERT(terms_.empty() || terms_.back() <= term);
    terms_.push_back(term);
  }
  memberships_.push_back({start_.index, outline.base});
  for (const PlacedMembership& placed : outline.memberships) {
    STELE_ASSERT(placed.index > memberships_.back().index && placed.index <= outline.last);
    memberships_.push_back(placed);
  }
  STELE_ASSERT(damaged_.empty() || damaged_.back().last < outline.last);
}

std::optional<Term> LogView::term_at(LogIndex index) const {
  if (index == start_.index) return start_.term;
  if (index < start_.index || index > last_index() || is_damaged(index)) return std::nullopt;
  return terms_[index - first_index()];
}

LogPoint LogView::last_at_most(LogIndex index, Term term) const {
  LogIndex at = std::min(index, last_index());
  if (at <= start_.index) return start_;
  const auto end = terms_.begin() + static_cast<std::ptrdiff_t>(at - start_.index);
  const auto above = std::upper_bound(terms_.begin(), end, term);
  at = start_.index + static_cast<std::uint64_t>(above - terms_.begin());
  return at == start_.index ? start_ : LogPoint{terms_[at - first_index()], at};
}

void LogView::append(const Entry& entry) {
  STELE_ASSERT(entry.index == last_index() + 1);
  STELE_ASSERT(entry.term >= last_term());
  STELE_ASSERT((entry.kind == EntryKind::kConfiguration) == (entry.membership != nullptr));
  terms_.push_back(entry.term);
  cache_.push_back(entry);
  cached_bytes_ += entry.size();
  if (entry.membership) memberships_.push_back({entry.index, *entry.membership});
}

void LogView::truncate(LogIndex from) {
  STELE_ASSERT(from > start_.index && from <= last_index());
  terms_.resize(from - first_index());
  while (!cache_.empty() && cache_.back().index >= from) {
    cached_bytes_ -= cache_.back().size();
    cache_.pop_back();
  }
  while (!planted(Mutant::kMembershipNotReverted) && memberships_.back().index >= from) {
    STELE_MARK("raft: a configuration was truncated and the one before counts again");
    memberships_.pop_back();
    STELE_ASSERT(!memberships_.empty());
  }
  std::erase_if(damaged_, [&](SlotRange lost) { return lost.first >= from; });
  STELE_ASSERT(damaged_.empty() || damaged_.back().last < from);
  check();
}

void LogView::compact(LogIndex to) {
  STELE_ASSERT(to <= sound_to());
  if (to <= start_.index) return;
  const Membership base = membership_at(to);
  const Term term = slot(to);
  terms_.erase(terms_.begin(), terms_.begin() + static_cast<std::ptrdiff_t>(to - start_.index));
  start_ = {term, to};
  while (!cache_.empty() && cache_.front().index <= to) drop_oldest_body();
  std::erase_if(memberships_, [&](const PlacedMembership& placed) { return placed.index <= to; });
  memberships_.insert(memberships_.begin(), {to, base});
  check();
}

void LogView::reset(const SnapshotInfo& snapshot) {
  start_ = {snapshot.term, snapshot.index};
  terms_.clear();
  cache_.clear();
  cached_bytes_ = 0;
  memberships_ = {{snapshot.index, snapshot.membership}};
  damaged_.clear();
}

std::vector<Entry> LogView::cached(LogIndex first, LogIndex last, std::size_t bytes_max) const {
  std::vector<Entry> entries;
  if (!is_cached(first)) return entries;
  std::size_t bytes = 0;
  const LogIndex cache_first = cache_.front().index;
  for (LogIndex index = first; index <= std::min(last, last_index()); ++index) {
    const Entry& entry = cache_[index - cache_first];
    bytes += entry.size();
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(entry);
  }
  return entries;
}

void LogView::drop_oldest_body() {
  STELE_ASSERT(cached_bytes_ >= cache_.front().size());
  cached_bytes_ -= cache_.front().size();
  cache_.pop_front();
}

void LogView::evict(LogIndex to) {
  while (cached_bytes_ > cache_bytes_max_ && !cache_.empty() && cache_.front().index <= to) {
    drop_oldest_body();
  }
}

const Membership& LogView::membership_at(LogIndex index) const {
  STELE_ASSERT(index >= memberships_.front().index);
  auto at = memberships_.begin();
  for (auto next = memberships_.begin(); next != memberships_.end() && next->index <= index; ++next)
    at = next;
  return at->membership;
}

bool LogView::votes_since(LogIndex commit, NodeId node) const {
  for (auto at = memberships_.rbegin(); at != memberships_.rend(); ++at) {
    if (at->membership.is_voter(node)) return true;
    if (at->index <= commit) break;
  }
  return false;
}

bool LogView::is_damaged(LogIndex index) const {
  return std::ranges::any_of(damaged_,
                             [&](SlotRange lost) { return lost.first <= index && index <= lost.last; });
}

LogPoint LogView::above_damage() const {
  STELE_ASSERT(!damaged_.empty());
  const LogIndex index = damaged_.front().last + 1;
  const std::optional<Term> term = term_at(index);
  STELE_ASSERT(term.has_value());
  return {*term, index};
}

void LogView::add_damage(SlotRange slots) {
  STELE_ASSERT(slots.first > start_.index && slots.first <= slots.last && slots.last < last_index());
  damaged_.push_back(slots);
  std::ranges::sort(damaged_);
  std::vector<SlotRange> merged;
  for (const SlotRange& lost : damaged_) {
    if (!merged.empty() && lost.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, lost.last);
    } else {
      merged.push_back(lost);
    }
  }
  damaged_ = std::move(merged);
  // What is lost on the disk is not kept on top of it in memory: one truth.
  while (!cache_.empty() && cache_.front().index <= slots.last) {
    drop_oldest_body();
  }
}

void LogView::repair(std::span<const Entry> entries) {
  STELE_ASSERT(!entries.empty() && !damaged_.empty());
  SlotRange& lost = damaged_.front();
  for (const Entry& entry : entries) {
    STELE_ASSERT(entry.index == lost.first && lost.first <= lost.last);
    slot(entry.index) = entry.term;
    if (entry.membership) {
      const auto at =
          std::ranges::find_if(memberships_, [&](auto& placed) { return placed.index >= entry.index; });
      if (at == memberships_.end() || at->index != entry.index)
        memberships_.insert(at, {entry.index, *entry.membership});
    }
    ++lost.first;
  }
  // A lower bound must not fall behind: the slots that are still lost follow what is known now.
  for (LogIndex index = lost.first; index <= lost.last; ++index) slot(index) = entries.back().term;
  if (lost.first > lost.last) damaged_.erase(damaged_.begin());
  check();
}

void LogView::check() const {
  STELE_ASSERT(!memberships_.empty());
  STELE_ASSERT(cache_.empty() || cache_.back().index == last_index());
  STELE_ASSERT(damaged_.empty() || damaged_.back().last < last_index());
}

}  // namespace stele::raft
