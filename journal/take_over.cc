// Taking shards over (design: docs/journal.md).
//
// The order is what keeps acknowledged entries: the meta service gives a higher epoch; the last segment is
// fenced with it, durably, so that no earlier owner can append any more; only then its end is read; it is
// sealed there by a compare-and-swap that also registers the next segment; only then does anybody append. All
// shards go through each step together: one command, the fences of all at once, one command.
//
// What goes wrong with one shard is noted, and the others go on; who asked for all or none gets the first
// such error before anything is sealed.

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "journal/shard_log_impl.h"
#include "journal/snapshot_segment.h"
#include "runtime/for_each.h"

namespace stele::journal {
namespace {

using runtime::Task;

// A segment is taken by itself, all its replicas at once, and so many at a time.
constexpr std::size_t kAtOnce = 256;
// For one of several whose replicas do not answer.
constexpr runtime::Duration kPatienceForOne = std::chrono::seconds(5);

struct Taking {
  TakenShard shard;
  std::optional<meta::Segment> last;  // the one to seal
  Lsn end;
  std::optional<Error> failed;
};
using Takings = std::vector<Taking>;

std::string name_of(const Taking& taking) {
  return "shard " + std::to_string(taking.shard.shard.value);
}
std::string name_of(const Taking& taking, const meta::Segment& segment) {
  return name_of(taking) + ", segment " + std::to_string(segment.id.value);
}

Result<void> check_chain(Replicas& replicas, NodeId node, const Taking& taking) {
  for (const meta::Segment& segment : taking.shard.chain.segments()) {
    const auto found = find_all(replicas, segment);
    if (std::ranges::any_of(found, [](const SegmentReplica* replica) { return replica != nullptr; }))
      continue;
    const SegmentReplica* const local = replicas.local();
    return error(ErrorCode::kCorrupt,
                 name_of(taking, segment) + " lies on another disk than this one, which is node " +
                     std::to_string(node.value) + " with disk " + std::to_string(local ? local->disk() : 0) +
                     ": put the journal's directory back that belongs to this node's metadata");
  }
  if (taking.last && taking.last->end)
    return error(ErrorCode::kCorrupt, name_of(taking, *taking.last) + " is the last, but sealed");
  return {};
}

// The shards as they were given, as chains that hold, on disks that there are.
Takings read_chains(Replicas& replicas, NodeId node, std::vector<meta::Shard> shards) {
  Takings takings;
  takings.reserve(shards.size());
  for (meta::Shard& shard : shards) {
    auto chain = Chain::from(std::move(shard.chain));
    Taking& taking = takings.emplace_back(Taking{.shard = {.shard = shard.id,
                                                           .epoch = shard.epoch,
                                                           .chain = {},
                                                           .snapshot = std::move(shard.snapshot),
                                                           .begin = Lsn(0)},
                                                 .last = std::nullopt,
                                                 .end = Lsn(0),
                                                 .failed = std::nullopt});
    if (!chain) {
      taking.failed = chain.error().with_context(name_of(taking));
      continue;
    }
    taking.shard.chain = *std::move(chain);
    taking.shard.begin = taking.shard.chain.begin();
    if (!taking.shard.chain.empty()) taking.last = taking.shard.chain.last();
    if (auto fine = check_chain(replicas, node, taking); !fine) taking.failed = fine.error();
  }
  return takings;
}

// A sealed segment must be there to its end: it was synced before it was sealed. Of what several replicas
// have, A had it then.
Result<void> check_sealed(const Taking& taking, const meta::Segment& segment,
                          const std::optional<storage::SegmentInfo>& info) {
  if (!segment.end) return {};
  const std::uint64_t held = info ? info->stored : 0;
  if (held >= *segment.end - segment.base) return {};
  return error(ErrorCode::kCorrupt, name_of(taking, segment) + ": the disk holds its entries only up to " +
                                        std::to_string(held) + " of " +
                                        std::to_string(*segment.end - segment.base) +
                                        ": restore the journal's directory");
}

// Of segments that lie nowhere but here. Finds where each log begins, as far as the disk knows.
Task<Result<void>> look_at_disk(Replicas& replicas, Takings& takings) {
  std::vector<SegmentId> ids;
  for (const Taking& taking : takings) {
    for (const meta::Segment& segment : taking.shard.chain.segments()) {
      if (only_local(replicas, segment)) ids.push_back(segment.id);
    }
  }
  if (ids.empty()) co_return Result<void>();
  STELE_CO_TRY(const auto infos, co_await replicas.local()->describe(std::move(ids)));
  std::size_t next = 0;
  for (Taking& taking : takings) {
    const auto& segments = taking.shard.chain.segments();
    for (const meta::Segment& segment : segments) {
      if (!only_local(replicas, segment)) continue;
      const auto& info = infos.at(next++);
      if (&segment == &segments.front() && info) taking.shard.begin = segment.base + info->begin;
      auto fine = check_sealed(taking, segment, info);
      if (!fine && !taking.failed) taking.failed = fine.error();
    }
  }
  STELE_ASSERT(next == infos.size());
  co_return Result<void>();
}

// Invariant 3, then 5: the ends are read out of the answers to durable fences. One group commit for all
// segments that lie nowhere but here.
Task<Result<void>> fence_here(Replicas& replicas, Takings& takings) {
  std::vector<storage::FenceRequest> requests;
  std::vector<Taking*> asked;
  for (Taking& taking : takings) {
    if (taking.failed || !taking.last || !only_local(replicas, *taking.last)) continue;
    requests.push_back({taking.last->id, taking.shard.epoch});
    asked.push_back(&taking);
  }
  if (requests.empty()) co_return Result<void>();
  STELE_CO_TRY(auto answers, co_await replicas.local()->fence(std::move(requests)));
  STELE_ASSERT(answers.size() == asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    Taking& taking = *asked[i];
    if (!answers[i]) {
      taking.failed = answers[i].error().with_context(name_of(taking, *taking.last));
      continue;
    }
    taking.end = taking.last->base + answers[i]->end;
    // One replica is all there are: its answer is the longest prefix, certain or not. A segment that it does
    // not know has never been appended to.
    if (!answers[i]->certain && answers[i]->end > 0) {
      STELE_MARK("journal: uncertain end");
      replicas.runtime().log().write(
          runtime::LogLevel::kWarn, "journal",
          name_of(taking, *taking.last) +
              ": what was acknowledged last before the node stopped may be missing");
    }
  }
  co_return Result<void>();
}

// The others. The replicas of each are fenced at once, and those of all segments together.
Task<void> take_replicated(Replicas& replicas, Takings& takings, TakeSegmentOptions options) {
  std::vector<Taking*> asked;
  for (Taking& taking : takings) {
    if (!taking.failed && taking.last && !only_local(replicas, *taking.last)) asked.push_back(&taking);
  }
  co_await runtime::for_each(asked.size(), kAtOnce, [&](std::size_t i) -> Task<void> {
    Taking& taking = *asked[i];
    auto taken = co_await take_segment(replicas.runtime(), find_all(replicas, *taking.last), taking.last->id,
                                       taking.shard.epoch, options);
    if (taken) {
      taking.end = taking.last->base + taken->end;
    } else {
      std::string where;
      for (const meta::Replica& which : taking.last->replicas)
        where += (where.empty() ? " on nodes " : ", ") + std::to_string(which.node.value);
      taking.failed = taken.error().with_context(name_of(taking, *taking.last) + where);
    }
  });
}

void check_snapshots(Takings& takings) {
  for (Taking& taking : takings) {
    const auto& snapshot = taking.shard.snapshot;
    if (taking.failed || !taking.last || !snapshot || snapshot->lsn <= taking.end) continue;
    taking.failed = Error{ErrorCode::kCorrupt,
                          name_of(taking, *taking.last) + " ends at " + std::to_string(taking.end.value) +
                              ", before the snapshot at " + std::to_string(snapshot->lsn.value) +
                              ": the journal has lost entries; restore its directory"};
  }
}

// Invariant 6 and 7: one swap per shard seals the old segment and registers the new one.
Task<Result<void>> seal_all(Replicas& replicas, ChainKeeper& keeper, Takings& takings) {
  std::vector<meta::SealAndOpenItem> items;
  std::vector<Taking*> asked;
  for (Taking& taking : takings) {
    if (taking.failed) continue;
    auto where = replicas.choose(taking.shard.shard);
    if (!where) {
      taking.failed = where.error().with_context(name_of(taking));
      continue;
    }
    items.push_back({.shard = taking.shard.shard,
                     .epoch = taking.shard.epoch,
                     .last = taking.last ? std::optional(taking.last->id) : std::nullopt,
                     .end = taking.end,
                     .replicas = *std::move(where)});
    asked.push_back(&taking);
  }
  if (items.empty()) co_return Result<void>();
  STELE_CO_TRY(auto results, co_await keeper.seal_and_open(std::move(items)));
  STELE_ASSERT(results.size() == asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    TakenShard& shard = asked[i]->shard;
    if (!results[i]) {
      asked[i]->failed = results[i].error().with_context(name_of(*asked[i]));
      continue;
    }
    STELE_ASSERT(results[i]->opened.base == asked[i]->end && results[i]->opened.epoch == shard.epoch);
    // A dropped segment stays on the disk for now: its fence is what stops an earlier owner of this process.
    shard.chain.seal_and_open(asked[i]->end, std::move(results[i]->opened));
    shard.begin = std::max(shard.begin, shard.chain.begin());
  }
  co_return Result<void>();
}

Result<void> first_error(const Takings& takings) {
  for (const Taking& taking : takings) {
    if (taking.failed) return std::unexpected(*taking.failed);
  }
  return {};
}

// What each of the shards has become, or why not. `all`: or none.
Task<Result<Takings>> take(Replicas& replicas, ChainKeeper& keeper, std::vector<ShardId> shards,
                           TakeSegmentOptions options, bool all) {
  const std::size_t count = shards.size();
  STELE_CO_TRY(auto given, co_await keeper.take(std::move(shards)));
  STELE_ASSERT(given.size() == count);
  Takings takings = read_chains(replicas, keeper.node(), std::move(given));
  STELE_CO_CHECK(co_await look_at_disk(replicas, takings));
  if (all) {
    STELE_CO_CHECK(first_error(takings));
  }

  STELE_CO_CHECK(co_await fence_here(replicas, takings));
  // The others would wait for it too, and it may be tried again.
  if (!all) options.give_up_after = std::min<runtime::Duration>(options.give_up_after, kPatienceForOne);
  co_await take_replicated(replicas, takings, options);
  check_snapshots(takings);
  if (all) {
    STELE_CO_CHECK(first_error(takings));
  }
  if (buggify(Buggify::kSlowTakeOver)) co_await runtime::sleep(replicas.runtime(), std::chrono::seconds(1));

  STELE_CO_CHECK(co_await seal_all(replicas, keeper, takings));
  if (all) {
    STELE_CO_CHECK(first_error(takings));
  }
  co_return takings;
}

}  // namespace

Task<Result<std::vector<std::unique_ptr<ShardLog>>>> ShardLog::take_over_all(
    Replicas& replicas, std::shared_ptr<ChainKeeper> keeper, std::vector<ShardId> shards,
    ShardLogOptions options) {
  STELE_CO_TRY(auto takings, co_await take(replicas, *keeper, std::move(shards), options.take, true));
  std::vector<std::unique_ptr<ShardLog>> logs;
  logs.reserve(takings.size());
  for (Taking& taking : takings) {
    auto impl = std::make_unique<Impl>(replicas, keeper, std::move(taking.shard), options);
    logs.push_back(std::unique_ptr<ShardLog>(new ShardLog(std::move(impl))));
  }
  co_return logs;
}

Task<Result<ShardLog::EachTaken>> ShardLog::take_over_each(Replicas& replicas,
                                                           std::shared_ptr<ChainKeeper> keeper,
                                                           std::vector<ShardId> shards,
                                                           ShardLogOptions options) {
  STELE_CO_TRY(auto takings, co_await take(replicas, *keeper, std::move(shards), options.take, false));
  EachTaken logs;
  logs.reserve(takings.size());
  for (Taking& taking : takings) {
    if (taking.failed) {
      logs.push_back(std::unexpected(*std::move(taking.failed)));
      continue;
    }
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
    if (!shard.snapshot) continue;
    const auto snapshot = SnapshotSegment::parse(shard.snapshot->file);
    if (snapshot) needed.insert(snapshot->id);
  }
  // From here on owners on other nodes may begin segments here.
  journal.admit(SegmentAdmission(std::move(chained)));
  std::vector<SegmentId> orphans;
  for (const storage::SegmentInfo& info : held) {
    if (needed.contains(info.id)) continue;
    // One that is not named yet may be by the time that somebody looks for it.
    const bool over = !is_snapshot_segment(info.id) ||
                      std::ranges::any_of(
                          chains, [&](const meta::Shard& shard) { return is_old_snapshot(info.id, shard); });
    if (over) orphans.push_back(info.id);
  }
  const std::size_t count = orphans.size();
  if (count > 0) {
    STELE_MARK("journal: orphans removed");
    journal.remove(std::move(orphans));
  }
  co_return count;
}

}  // namespace stele::journal
