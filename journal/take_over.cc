// Taking shards over (design: docs/journal.md).
//
// The order is what keeps acknowledged entries: the meta service gives a higher epoch; the last segment is
// fenced with it, durably, so that no earlier owner can append any more; only then its end is read; it is
// sealed there by a compare-and-swap that also registers the next segment; only then does anybody append. All
// shards go through each step together: one command, one group commit, one command.

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "journal/shard_log_impl.h"

namespace stele::journal {
namespace {

using runtime::Task;

struct Taking {
  TakenShard shard;
  std::optional<meta::Segment> last;  // the one to seal
  Lsn end;
};

std::string name_of(const Taking& taking, const meta::Segment& segment) {
  return "shard " + std::to_string(taking.shard.shard.value) + ", segment " +
         std::to_string(segment.id.value);
}

// The shards as they were given, as chains that hold, on this disk.
Result<std::vector<Taking>> read_chains(std::vector<meta::Shard> shards, meta::Replica here) {
  std::vector<Taking> takings;
  takings.reserve(shards.size());
  for (meta::Shard& shard : shards) {
    auto chain = Chain::from(std::move(shard.chain));
    if (!chain) return std::unexpected(chain.error().with_context("shard " + std::to_string(shard.id.value)));
    Taking taking{.shard = {.shard = shard.id,
                            .epoch = shard.epoch,
                            .chain = std::move(*chain),
                            .snapshot = std::move(shard.snapshot),
                            .begin = Lsn(0)},
                  .last = std::nullopt,
                  .end = Lsn(0)};
    const Chain& given = taking.shard.chain;
    if (!given.empty()) taking.last = given.last();
    for (const meta::Segment& segment : given.segments()) {
      if (std::find(segment.replicas.begin(), segment.replicas.end(), here) == segment.replicas.end()) {
        return error(ErrorCode::kCorrupt,
                     name_of(taking, segment) + " lies on another disk than this one, which is node " +
                         std::to_string(here.node.value) + " with disk " + std::to_string(here.disk) +
                         ": put the journal's directory back that belongs to this node's metadata");
      }
    }
    if (taking.last && taking.last->end)
      return error(ErrorCode::kCorrupt, name_of(taking, *taking.last) + " is the last, but sealed");
    takings.push_back(std::move(taking));
  }
  return takings;
}

// Sealed segments must be there to their ends: they were synced before they were sealed. Finds where each log
// begins, as far as the disk knows.
Result<void> check_sealed(std::vector<Taking>& takings,
                          const std::vector<std::optional<storage::SegmentInfo>>& infos) {
  std::size_t next = 0;
  for (Taking& taking : takings) {
    const auto& segments = taking.shard.chain.segments();
    taking.shard.begin = taking.shard.chain.begin();
    for (const meta::Segment& segment : segments) {
      const auto& info = infos.at(next++);
      if (&segment == &segments.front() && info) taking.shard.begin = segment.base + info->begin;
      if (!segment.end) continue;
      const std::uint64_t held = info ? info->stored : 0;
      if (held < *segment.end - segment.base) {
        return error(ErrorCode::kCorrupt,
                     name_of(taking, segment) + ": the disk holds its entries only up to " +
                         std::to_string(held) + " of " + std::to_string(*segment.end - segment.base) +
                         ": restore the journal's directory");
      }
    }
  }
  STELE_ASSERT(next == infos.size());
  return {};
}

// Invariant 3, then 5: the ends are read out of the answers to durable fences.
Task<Result<std::vector<Taking>>> fence_all(Replicas& replicas, std::vector<Taking> takings) {
  std::vector<storage::FenceRequest> requests;
  for (const Taking& taking : takings) {
    if (taking.last) requests.push_back({taking.last->id, taking.shard.epoch});
  }
  if (requests.empty()) co_return takings;
  STELE_CO_TRY(auto answers, co_await replicas.local()->fence(std::move(requests)));
  std::size_t next = 0;
  for (Taking& taking : takings) {
    if (!taking.last) continue;
    auto& answer = answers.at(next++);
    if (!answer) co_return std::unexpected(answer.error().with_context(name_of(taking, *taking.last)));
    taking.end = taking.last->base + answer->end;
    // One replica is all there are: its answer is the longest prefix, certain or not. A segment that it does
    // not know has never been appended to.
    if (!answer->certain && answer->end > 0) {
      STELE_MARK("journal: uncertain end");
      replicas.runtime().log().write(
          runtime::LogLevel::kWarn, "journal",
          name_of(taking, *taking.last) +
              ": what was acknowledged last before the node stopped may be missing");
    }
    if (taking.shard.snapshot && taking.shard.snapshot->lsn > taking.end) {
      co_return error(ErrorCode::kCorrupt,
                      name_of(taking, *taking.last) + " ends at " + std::to_string(taking.end.value) +
                          ", before the snapshot at " + std::to_string(taking.shard.snapshot->lsn.value) +
                          ": the journal has lost entries; restore its directory");
    }
  }
  co_return takings;
}

// Invariant 6 and 7: one swap per shard seals the old segment and registers the new one.
Task<Result<std::vector<Taking>>> seal_all(ChainKeeper& keeper, meta::Replica here,
                                           std::vector<Taking> takings) {
  std::vector<meta::SealAndOpenItem> items;
  for (const Taking& taking : takings) {
    items.push_back({.shard = taking.shard.shard,
                     .epoch = taking.shard.epoch,
                     .last = taking.last ? std::optional(taking.last->id) : std::nullopt,
                     .end = taking.end,
                     .replicas = {here}});
  }
  STELE_CO_TRY(auto results, co_await keeper.seal_and_open(std::move(items)));
  STELE_ASSERT(results.size() == takings.size());
  for (std::size_t i = 0; i < takings.size(); ++i) {
    TakenShard& shard = takings[i].shard;
    if (!results[i])
      co_return std::unexpected(
          results[i].error().with_context("shard " + std::to_string(shard.shard.value)));
    STELE_ASSERT(results[i]->opened.base == takings[i].end && results[i]->opened.epoch == shard.epoch);
    // A dropped segment stays on the disk for now: its fence is what stops an earlier owner of this process.
    shard.chain.seal_and_open(takings[i].end, std::move(results[i]->opened));
    shard.begin = std::max(shard.begin, shard.chain.begin());
  }
  co_return takings;
}

}  // namespace

Task<Result<std::vector<std::unique_ptr<ShardLog>>>> ShardLog::take_over_all(
    Replicas& replicas, std::shared_ptr<ChainKeeper> keeper, std::vector<ShardId> shards,
    ShardLogOptions options) {
  const meta::Replica here{keeper->node(), replicas.local()->disk()};
  const std::size_t count = shards.size();
  STELE_CO_TRY(auto given, co_await keeper->take(std::move(shards)));
  STELE_ASSERT(given.size() == count);
  STELE_CO_TRY(auto takings, read_chains(std::move(given), here));

  std::vector<SegmentId> ids;
  for (const Taking& taking : takings) {
    for (const meta::Segment& segment : taking.shard.chain.segments()) ids.push_back(segment.id);
  }
  STELE_CO_TRY(auto infos, co_await replicas.local()->describe(ids));
  STELE_CO_CHECK(check_sealed(takings, infos));

  STELE_CO_TRY(takings, co_await fence_all(replicas, std::move(takings)));
  if (buggify(Buggify::kSlowTakeOver)) co_await runtime::sleep(replicas.runtime(), std::chrono::seconds(1));
  STELE_CO_TRY(takings, co_await seal_all(*keeper, here, std::move(takings)));
  std::vector<std::unique_ptr<ShardLog>> logs;
  logs.reserve(takings.size());
  for (Taking& taking : takings) {
    auto impl = std::make_unique<Impl>(replicas, keeper, std::move(taking.shard), options);
    logs.push_back(std::unique_ptr<ShardLog>(new ShardLog(std::move(impl))));
  }
  co_return logs;
}

Task<Result<std::size_t>> remove_orphans(JournalClient& journal, std::shared_ptr<ChainKeeper> keeper,
                                         std::vector<ShardId> shards) {
  // The disk first: a segment that appears in between was in its chain before its first append.
  STELE_CO_TRY(auto held, co_await journal.list());
  STELE_CO_TRY(auto chains, co_await keeper->read(std::move(shards)));
  const meta::Replica here{keeper->node(), journal.disk()};
  std::set<SegmentId> chained, needed;
  for (const meta::Shard& shard : chains) {
    for (const meta::Segment& segment : shard.chain) {
      chained.insert(segment.id);
      if (std::ranges::find(segment.replicas, here) != segment.replicas.end()) needed.insert(segment.id);
    }
  }
  // From here on owners on other nodes may begin segments here.
  journal.admit(SegmentAdmission(std::move(chained)));
  std::vector<SegmentId> orphans;
  for (const storage::SegmentInfo& info : held) {
    if (!needed.contains(info.id)) orphans.push_back(info.id);
  }
  const std::size_t count = orphans.size();
  if (count > 0) {
    STELE_MARK("journal: orphans removed");
    journal.remove(std::move(orphans));
  }
  co_return count;
}

}  // namespace stele::journal
