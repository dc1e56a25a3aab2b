#include "base/buggify.h"

#include <iterator>
#include <utility>

namespace stele {
namespace {
constexpr BuggifyInfo kPoints[] = {
    {Buggify::kSmallGroupCommit, "buggify.small_group_commit", "a group commit takes one operation"},
    {Buggify::kEarlyLogFile, "buggify.early_log_file", "a log file ends though there is room", 20},
    {Buggify::kEarlyCheckpoint, "buggify.early_checkpoint",
     "the index is written down though nothing asks for it", 20},
    {Buggify::kCacheMiss, "buggify.cache_miss", "entries that are in memory are read from the disk"},
    {Buggify::kEarlyRoll, "buggify.early_roll", "a shard's segment ends though it is small", 20},
    {Buggify::kEarlySnapshot, "buggify.early_snapshot",
     "a shard writes a snapshot though it has hardly changed", 20},
    {Buggify::kSlowTakeOver, "buggify.slow_take_over", "a second passes between two steps of a take-over"},
    {Buggify::kShortRead, "buggify.short_read",
     "a session reads no more than an entry from the log at a time"},
    {Buggify::kShortFetch, "buggify.short_fetch", "a fetch is answered before it has what it waits for"},
    {Buggify::kGroupBusy, "buggify.group_busy", "a group's coordinator is not available"},
};
static_assert(std::size(kPoints) == kBuggifyPoints);
#ifdef STELE_BUGGIFY
std::function<bool(Buggify)> decides;
#endif
}  // namespace

std::span<const BuggifyInfo> all_buggify_points() {
  return kPoints;
}

#ifdef STELE_BUGGIFY
void set_buggify(std::function<bool(Buggify)> decide) {
  decides = std::move(decide);
}
bool buggify(Buggify point) {
  return decides && decides(point);
}
#endif

}  // namespace stele
