#include "sim/workloads/journal_ledger.h"

#include <algorithm>

#include "base/hash.h"

namespace stele::sim {

void ChainLedger::seen(std::uint64_t applied, const std::vector<meta::Shard>& shards) {
  for (const meta::Shard& shard : shards) {
    check(shard);
    if (applied >= applied_) latest_[shard.id] = shard;
  }
  applied_ = std::max(applied_, applied);
}

void ChainLedger::check(const meta::Shard& shard) {
  const std::string name = "shard " + std::to_string(shard.id.value) + ": ";
  for (std::size_t i = 0; i < shard.chain.size(); ++i) {
    const meta::Segment& segment = shard.chain[i];
    const std::string which = name + "segment " + std::to_string(segment.id.value);
    const bool last = i + 1 == shard.chain.size();
    if (last == segment.end.has_value())
      return judge_.fail(which + (last ? " is sealed, and the last" : " is open"));
    if (!last && *segment.end != shard.chain[i + 1].base)
      return judge_.fail(which + " does not end where the next begins");
    const auto [at, fresh] = segments_.try_emplace(
        segment.id,
        Segment{.shard = shard.id, .base = segment.base, .epoch = segment.epoch, .end = segment.end});
    Segment& known = at->second;
    if (known.shard != shard.id || known.base != segment.base || known.epoch != segment.epoch)
      return judge_.fail(which + " is another than it was");
    if (known.end && segment.end && *known.end != *segment.end)
      return judge_.fail(which + " was sealed twice");
    if (segment.end) known.end = segment.end;
  }
}

const meta::Shard* ChainLedger::latest(ShardId shard) const {
  const auto found = latest_.find(shard);
  return found == latest_.end() ? nullptr : &found->second;
}

void JournalLedger::fail(ShardId shard, const std::string& what) {
  judge_.fail("shard " + std::to_string(shard.value) + ": " + what);
}

std::string JournalLedger::content(ShardId shard, Epoch by, Lsn at) const {
  std::string text =
      std::to_string(shard.value) + "." + std::to_string(by.value) + "." + std::to_string(at.value) + ".";
  const std::uint64_t hash = Hasher().add(shard.value).add(by.value).add(at.value).value();
  // Short ones are as frequent as long ones.
  const std::size_t size = hash % (1 + (entry_bytes_ >> (hash >> 60)));
  text.resize(std::max(text.size(), size), static_cast<char>('a' + hash % 23));
  return text;
}

void JournalLedger::taken(ShardId shard, Epoch epoch, Lsn begin, Lsn next) {
  ++takes_;
  Log& at = log(shard);
  if (at.owner == epoch) return fail(shard, "epoch " + std::to_string(epoch.value) + " was taken twice");
  if (at.owner > epoch) return;
  if (next < at.committed)
    return fail(shard, "a take-over lost what was acknowledged: its log ends at " +
                           std::to_string(next.value) + ", before " + std::to_string(at.committed.value));
  if (next.value > at.entries.size())
    return fail(shard, "a take-over found what nobody appended, up to " + std::to_string(next.value));
  if (begin > at.trimmed)
    return fail(shard, "the log begins at " + std::to_string(begin.value) + ", and nobody trimmed beyond " +
                           std::to_string(at.trimmed.value));
  at.entries.resize(next.value);
  at.owner = epoch;
  at.began_at = next;
}

void JournalLedger::appended(ShardId shard, Epoch epoch, Lsn at) {
  Log& of = log(shard);
  if (of.owner != epoch) return;
  if (at.value != of.entries.size()) return fail(shard, "an LSN that is not the next");
  of.entries.push_back(epoch);
}

void JournalLedger::committed(ShardId shard, Epoch epoch, Lsn end) {
  Log& of = log(shard);
  if (of.owner != epoch) {
    if (end > of.began_at)
      fail(shard, "an owner that was replaced commits up to " + std::to_string(end.value) +
                      ", and the next one's log ended at " + std::to_string(of.began_at.value));
    return;
  }
  if (end.value > of.entries.size()) return fail(shard, "what nobody appended is committed");
  if (end <= of.committed) return;
  commits_ += end - of.committed;
  of.committed = end;
}

void JournalLedger::trimmed(ShardId shard, Lsn below) {
  Log& of = log(shard);
  of.trimmed = std::max(of.trimmed, below);
}

void JournalLedger::read(ShardId shard, Lsn at, std::string_view content) {
  ++reads_;
  const Log& of = log(shard);
  if (at.value >= of.entries.size())
    return fail(shard, "an entry that nobody appended, at " + std::to_string(at.value));
  const std::string expected = this->content(shard, of.entries[at.value], at);
  if (content == expected) return;
  fail(shard, "another entry than was appended, at " + std::to_string(at.value) + ": '" +
                  std::string(content.substr(0, 40)) + "' and not '" + expected.substr(0, 40) + "'");
}

}  // namespace stele::sim
