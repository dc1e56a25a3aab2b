// Reading a log, and having it on the disk. Nothing here uses the log once it waits: it may be destroyed
// meanwhile, its replicas not.

#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "journal/shard_log_impl.h"

namespace stele::journal {
namespace {

using runtime::Task;
using Entries = std::vector<LogEntry>;

template <class T>
Task<Result<T>> ready(Result<T> value) {
  co_return value;
}

// What lies behind a sealed end was never committed.
void cut(Entries& entries, std::uint64_t limit) {
  if (entries.size() <= limit) return;
  STELE_MARK("journal: entries behind a sealed end cut off");
  entries.resize(limit);
}

// At most `limit` entries of a segment.
Task<Result<Entries>> read_segment(SegmentReplica& replica, std::string log, SegmentId segment,
                                   std::uint64_t index, std::uint64_t limit, std::size_t max_bytes) {
  auto entries = co_await replica.read(segment, index, max_bytes);
  if (!entries) co_return std::unexpected(entries.error().with_context(log));
  if (entries->empty()) {
    co_return error(ErrorCode::kCorrupt, log + ": segment " + std::to_string(segment.value) +
                                             " lacks entry " + std::to_string(index) +
                                             ", which its chain says it has");
  }
  cut(*entries, limit);
  co_return entries;
}

// The nearest first, and last those of which it is known that they are not there, or take nothing now,
// perhaps because they are not reached: each costs a wait.
std::vector<SegmentReplica*> in_order_to_ask(Replicas& replicas, const meta::Segment& segment) {
  std::vector<SegmentReplica*> order, away;
  for (const meta::Replica& which : segment.replicas) {
    SegmentReplica* const replica = replicas.find(which);
    if (!replica) continue;
    if (replica == replicas.local()) {
      order.insert(order.begin(), replica);
    } else {
      (replicas.serves(which) && replica->has_space() ? order : away).push_back(replica);
    }
  }
  order.insert(order.end(), away.begin(), away.end());
  return order;
}

// The same of several replicas, of which some may hold less, or nothing.
Task<Result<Entries>> read_any(std::vector<SegmentReplica*> replicas, std::string log, SegmentId segment,
                               std::uint64_t index, std::uint64_t limit, std::size_t max_bytes) {
  std::optional<Error> why;
  for (SegmentReplica* const replica : replicas) {
    auto entries = co_await replica->read(segment, index, max_bytes);
    if (entries && !entries->empty()) {
      cut(*entries, limit);
      co_return entries;
    }
    STELE_MARK("journal: another replica is read");
    // Whoever was not reached may have it. Else it is trimmed for one that knows the segment from the rest.
    if (!entries && (!why || entries.error().code == ErrorCode::kUnavailable)) why = entries.error();
  }
  const std::string name = log + ", segment " + std::to_string(segment.value);
  if (why) co_return std::unexpected(why->with_context(name));
  co_return error(ErrorCode::kCorrupt,
                  name + ": no replica has entry " + std::to_string(index) + ", which its chain says it has");
}

Task<Result<void>> sync_one(SegmentReplica& replica, storage::FenceRequest request) {
  STELE_CO_TRY(auto answers, co_await replica.fence({request}));
  STELE_ASSERT(answers.size() == 1);
  if (!answers[0]) co_return std::unexpected(answers[0].error());
  co_return Result<void>();
}

}  // namespace

bool ShardLog::Impl::read_cached(Lsn from, std::size_t max_bytes, std::vector<LogEntry>& out) const {
  return from >= begin_ && tail_.read(from, max_bytes, out);
}

Task<Result<Entries>> ShardLog::Impl::read(Lsn from, std::size_t max_bytes) const {
  if (from < begin_) {
    return ready<Entries>(error(ErrorCode::kNotFound, name() + ": entry " + std::to_string(from.value) +
                                                          " is trimmed; it begins at " +
                                                          std::to_string(begin_.value)));
  }
  if (from > next()) {
    return ready<Entries>(error(ErrorCode::kInvalidArgument,
                                name() + ": entry " + std::to_string(from.value) + " is beyond its end"));
  }
  Entries cached;
  if (tail_.read(from, max_bytes, cached)) return ready<Entries>(std::move(cached));
  const meta::Segment* segment = chain_.locate(from);
  STELE_ASSERT(segment);  // begin <= from < tail begin <= committed: the chain covers it
  const Lsn end = segment->end ? *segment->end : tail_.committed();
  STELE_ASSERT(from < end);
  const std::uint64_t index = index_in(*segment, from);
  if (SegmentReplica* const one = only_local(replicas_, *segment))
    return read_segment(*one, name(), segment->id, index, end - from, max_bytes);
  return read_any(in_order_to_ask(replicas_, *segment), name(), segment->id, index, end - from, max_bytes);
}

Task<Result<void>> ShardLog::Impl::sync() const {
  // Sealed segments were synced before they were sealed.
  const meta::Segment& segment = chain_.last();
  if (tail_.committed() <= segment.base) return ready<void>({});
  if (only_) return sync_one(*only_, {segment.id, epoch_});
  return sync_segment(runtime_, find_all(replicas_, segment), segment.id, epoch_,
                      index_in(segment, tail_.committed()), SyncHow::kWait, options_.take);
}

}  // namespace stele::journal
