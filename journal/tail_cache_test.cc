#include "journal/tail_cache.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace stele::journal {
namespace {

storage::LogEntry entry(std::string_view text) {
  return {.head = Bytes::copy(text.substr(0, 1)), .body = Bytes::copy(text.substr(1))};
}
std::string text_of(const storage::LogEntry& entry) {
  return std::string(entry.head.view()) + std::string(entry.body.view());
}

struct Watcher : ReliefListener {
  int told = 0;
  void on_relief() override { ++told; }
};

TEST(TailCache, ReadsUpToTheBytesAskedForButOneAtLeast) {
  TailBudget budget(1 << 20, 1 << 20, [] {});
  TailCache cache(budget, Lsn(7));
  for (const char* text : {"aaaa", "bbbb", "cccc"}) cache.push(entry(text));
  std::vector<storage::LogEntry> out;
  EXPECT_FALSE(cache.read(Lsn(6), 100, out));
  EXPECT_FALSE(cache.read(Lsn(11), 100, out));
  EXPECT_TRUE(cache.read(Lsn(10), 100, out));
  EXPECT_TRUE(out.empty());
  EXPECT_TRUE(cache.read(Lsn(7), 0, out));
  EXPECT_EQ(out.size(), 1u);
  EXPECT_TRUE(cache.read(Lsn(8), 8, out));
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(text_of(out[1]), "bbbb");
  EXPECT_EQ(text_of(out[2]), "cccc");
}

TEST(TailCache, OldestCommittedEntriesOfAllLogsLeaveFirst) {
  // Each entry costs 100 bytes and its slots; three fit.
  const std::size_t cost = 100 + sizeof(storage::LogEntry);
  TailBudget budget(3 * cost, 1 << 20, [] {});
  auto a = std::make_unique<TailCache>(budget, Lsn(0));
  TailCache b(budget, Lsn(0));
  const std::string text(100, 'x');
  a->push(entry(text)), a->push(entry(text)), b.push(entry(text)), b.push(entry(text));
  EXPECT_EQ(a->commit(Lsn(1)), 100u);
  EXPECT_EQ(b.commit(Lsn(2)), 200u);
  EXPECT_EQ(a->begin(), Lsn(0));
  EXPECT_EQ(a->commit(Lsn(2)), 100u);  // one too many: a's first leaves
  EXPECT_EQ(a->begin(), Lsn(1));
  a->push(entry(text));
  EXPECT_EQ(a->begin(), Lsn(1));  // uncommitted ones do not push anything out
  EXPECT_EQ(a->commit(Lsn(3)), 100u);
  EXPECT_EQ(b.begin(), Lsn(2));  // what was committed together leaves together
  EXPECT_EQ(a->begin(), Lsn(1));
  EXPECT_EQ(budget.committed_bytes(), 2 * cost);
  a.reset();
  EXPECT_EQ(budget.committed_bytes(), 0u);
}

TEST(TailCache, CongestionEndsAtHalf) {
  int relieved = 0;
  TailBudget budget(1 << 20, 1000, [&] { ++relieved; });
  Watcher watcher;
  budget.watch(watcher);
  auto a = std::make_unique<TailCache>(budget, Lsn(0));
  TailCache b(budget, Lsn(0));
  for (int i = 0; i < 5; ++i) a->push(entry(std::string(100, 'x'))), b.push(entry(std::string(20, 'x')));
  EXPECT_TRUE(budget.congested());
  a->commit(Lsn(2));
  EXPECT_TRUE(budget.congested());
  b.commit(Lsn(5));
  EXPECT_FALSE(budget.congested());
  EXPECT_EQ(relieved, 1);
  EXPECT_EQ(watcher.told, 0);
  budget.tell_relief();
  EXPECT_EQ(watcher.told, 1);
  for (int i = 0; i < 5; ++i) a->push(entry(std::string(100, 'x')));
  EXPECT_TRUE(budget.congested());
  a.reset();  // a log that ends relieves the others
  EXPECT_EQ(relieved, 2);
  EXPECT_EQ(budget.pending_bytes(), 0u);
}

// The model: all entries ever pushed, and how many of the first are committed.
TEST(TailCache, HoldsWhatIsPendingAndASuffixOfWhatIsCommitted) {
  rc::check("tail caches against vectors", [] {
    constexpr std::size_t kLogs = 3;
    const std::size_t limit = *rc::gen::inRange<std::size_t>(0, 2000);
    TailBudget budget(limit, 1 << 20, [] {});
    struct Log {
      std::unique_ptr<TailCache> cache;
      std::uint64_t base;
      std::vector<std::string> all;
    };
    std::vector<Log> logs;
    for (std::uint64_t i = 0; i < kLogs; ++i)
      logs.push_back({std::make_unique<TailCache>(budget, Lsn(i * 100)), i * 100, {}});
    const auto steps = *rc::gen::container<std::vector<std::pair<std::uint8_t, std::uint8_t>>>(
        rc::gen::pair(rc::gen::inRange<std::uint8_t>(0, 7), rc::gen::arbitrary<std::uint8_t>()));
    for (auto [kind, amount] : steps) {
      Log& log = logs[amount % kLogs];
      if (kind == 0) {  // a new owner
        log.base += log.all.size();
        log.all.clear();
        log.cache = std::make_unique<TailCache>(budget, Lsn(log.base));
      } else if (kind < 5) {
        log.all.push_back(std::string(1 + amount, static_cast<char>('a' + amount % 26)));
        log.cache->push(entry(log.all.back()));
      } else {
        const std::uint64_t pending = log.cache->end() - log.cache->committed();
        log.cache->commit(log.cache->committed() + (pending ? amount % (pending + 1) : 0));
      }
      RC_ASSERT(budget.committed_bytes() <= limit);
      for (const Log& each : logs) {
        RC_ASSERT(each.cache->end() == Lsn(each.base + each.all.size()));
        RC_ASSERT(each.cache->begin() <= each.cache->committed());
        std::vector<storage::LogEntry> out;
        RC_ASSERT(each.cache->read(each.cache->begin(), SIZE_MAX, out));
        RC_ASSERT(out.size() == each.cache->end() - each.cache->begin());
        for (std::size_t i = 0; i < out.size(); ++i)
          RC_ASSERT(text_of(out[i]) == each.all[each.cache->begin().value - each.base + i]);
      }
    }
  });
}

}  // namespace
}  // namespace stele::journal
