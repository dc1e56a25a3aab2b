// The view of a log against plain vectors.
#include "raft/core/log_view.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace stele::raft {
namespace {

struct Model {
  std::uint64_t start = 0;
  Term start_term;
  std::vector<Entry> entries;
  std::set<std::uint64_t> lost;

  std::uint64_t last() const { return start + entries.size(); }
  Term term(std::uint64_t index) const {
    return index == start ? start_term : entries.at(index - start - 1).term;
  }
  const Entry* config_at(std::uint64_t index) const {
    for (std::uint64_t at = index; at > start; --at) {
      if (entries.at(at - start - 1).membership) return &entries.at(at - start - 1);
    }
    return nullptr;
  }
};

Entry some_entry(LogIndex index, Term term) {
  Entry entry{term, index, EntryKind::kCommand, Bytes::copy(std::string(*rc::gen::inRange(0, 40), 'x')),
              nullptr};
  if (*rc::gen::inRange(0, 4) == 0) {
    auto members = std::make_shared<Membership>();
    members->voters.insert(NodeId(static_cast<std::uint32_t>(index.value)));
    entry.kind = EntryKind::kConfiguration;
    entry.membership = members;
  }
  return entry;
}

void agree(const LogView& log, const Model& model) {
  RC_ASSERT(log.last_index().value == model.last());
  RC_ASSERT(log.start().index.value == model.start);
  for (std::uint64_t index = model.start; index <= model.last(); ++index) {
    const bool lost = model.lost.contains(index);
    RC_ASSERT(log.is_damaged(LogIndex(index)) == lost);
    RC_ASSERT(log.term_at(LogIndex(index)) == (lost ? std::nullopt : std::optional(model.term(index))));
  }
  RC_ASSERT(log.term_at(LogIndex(model.last() + 1)) == std::nullopt);
  const std::uint64_t sound = model.lost.empty() ? model.last() : *model.lost.begin() - 1;
  RC_ASSERT(log.sound_to().value == sound);
  const Entry* config = model.config_at(model.last());
  if (config) RC_ASSERT(log.membership() == *config->membership);
  for (std::uint64_t index = model.start + 1; index <= model.last(); ++index) {
    const std::vector<Entry> found = log.cached(LogIndex(index), LogIndex(index), 1);
    if (!found.empty()) RC_ASSERT(found.front().payload == model.entries.at(index - model.start - 1).payload);
  }
}

TEST(LogView, IsTheVectorThatItStandsFor) {
  EXPECT_TRUE(rc::check([] {
    LogOutline outline;
    outline.base.voters = {NodeId(1)};
    LogView log(outline, static_cast<std::size_t>(*rc::gen::inRange(0, 300)));
    Model model;
    Term term(1);
    for (int step = 0; step < 60; ++step) {
      const int kind = *rc::gen::inRange(0, 10);
      if (kind < 5) {
        term = term + static_cast<std::uint64_t>(*rc::gen::inRange(0, 2));
        const Entry entry = some_entry(log.last_index() + 1, std::max(term, log.last_term()));
        log.append(entry);
        model.entries.push_back(entry);
      } else if (kind < 6 && !model.entries.empty()) {
        // Never right above what is lost: that would lie at the end then.
        const std::uint64_t from =
            model.start + 1 + *rc::gen::inRange<std::uint64_t>(0, model.entries.size());
        if (model.lost.contains(from - 1)) continue;
        log.truncate(LogIndex(from));
        model.entries.resize(from - model.start - 1);
        model.lost.erase(model.lost.lower_bound(from), model.lost.end());
      } else if (kind < 7) {
        const std::uint64_t to = *rc::gen::inRange<std::uint64_t>(model.start, log.sound_to().value + 1);
        log.compact(LogIndex(to));
        model.start_term = model.term(to);
        model.entries.erase(model.entries.begin(),
                            model.entries.begin() + static_cast<std::ptrdiff_t>(to - model.start));
        model.start = to;
      } else if (kind < 8 && model.entries.size() >= 2) {
        const std::uint64_t index =
            model.start + 1 + *rc::gen::inRange<std::uint64_t>(0, model.entries.size() - 1);
        log.add_damage({LogIndex(index), LogIndex(index)});
        model.lost.insert(index);
      } else if (kind < 9 && !model.lost.empty()) {
        const std::uint64_t index = *model.lost.begin();
        const Entry entry = model.entries.at(index - model.start - 1);
        RC_ASSERT(log.above_damage().index == log.damaged().front().last + 1);
        log.repair(std::span(&entry, 1));
        model.lost.erase(index);
      } else {
        log.evict(log.last_index());
      }
      agree(log, model);
    }
  }));
}

TEST(LogView, FindsWhereALogOfThatTermMayAgree) {
  EXPECT_TRUE(rc::check([] {
    LogOutline outline;
    outline.base.voters = {NodeId(1)};
    LogView log(outline, 1000);
    Term term(1);
    const int size = *rc::gen::inRange(0, 20);
    for (int i = 0; i < size; ++i) {
      term = term + static_cast<std::uint64_t>(*rc::gen::inRange(0, 3));
      log.append({term, log.last_index() + 1, EntryKind::kEmpty, {}, nullptr});
    }
    const LogIndex at(*rc::gen::inRange<std::uint64_t>(0, 25));
    const Term most(*rc::gen::inRange<std::uint64_t>(0, 30));
    LogPoint expected;
    for (LogIndex index = std::min(at, log.last_index()); index > LogIndex(0); index = index - 1) {
      if (*log.term_at(index) <= most) {
        expected = {*log.term_at(index), index};
        break;
      }
    }
    RC_ASSERT(log.last_at_most(at, most) == expected);
  }));
}

}  // namespace
}  // namespace stele::raft
