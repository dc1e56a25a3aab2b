#include "sim/workloads/journal_clients.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "journal/quorum.h"

namespace stele::sim {

using namespace std::chrono_literals;
using journal::ShardLog;
using runtime::Task;
using storage::LogEntry;

namespace {

constexpr std::uint64_t kPending = 60;        // entries that are not committed, before more are appended
constexpr std::uint64_t kAppendedAtOnce = 8;  // at most
constexpr int kActsOfReplaced = 30;
constexpr int kMisses = 600;  // reads of one entry that fail, once all is well

std::string text_of(const LogEntry& entry) {
  return std::string(entry.head.view()) + std::string(entry.body.view());
}

std::string name_of(ShardId shard, const meta::Segment& segment) {
  return "shard " + std::to_string(shard.value) + ", segment " + std::to_string(segment.id.value);
}

}  // namespace

JournalOwner::JournalOwner(JournalLoad& load, OwnerPlace place, std::unique_ptr<ShardLog> log)
    : load_(load),
      place_(place),
      log_(std::move(log)),
      shard_(log_->shard()),
      epoch_(log_->epoch()),
      told_(log_->next()) {
  load_.ledger.taken(shard_, epoch_, log_->begin(), log_->next());
  log_->set_listener(*this);
  check_seals();
}

Task<void> JournalOwner::run(JournalOwner& self) {
  self.compared_ = co_await read(self, self.log_->begin(), self.log_->next());
  int left = kActsOfReplaced;
  while (!self.leaves() && (!self.replaced() || left-- > 0)) co_await act(self);
  self.ended_ = true;
}

// Whoever becomes the owner reads everything back, as it would for its state. False: it was lost meanwhile.
Task<bool> JournalOwner::read(JournalOwner& self, Lsn from, Lsn to) {
  JournalLedger& ledger = self.load_.ledger;
  int misses = 0;
  for (Lsn at = std::max(from, ledger.trimmed(self.shard_)); at < to;) {
    const auto entries = co_await self.log_->read(at, 20'000);
    if (self.replaced() || self.leaves()) co_return false;
    if (at < ledger.trimmed(self.shard_)) {  // meanwhile
      at = ledger.trimmed(self.shard_);
      continue;
    }
    if (!entries) {
      // One that holds it may be out of reach now.
      const ErrorCode code = entries.error().code;
      const bool passes =
          code == ErrorCode::kUnavailable || code == ErrorCode::kClosed || code == ErrorCode::kIo;
      if (!passes || (self.load_.calm && ++misses > kMisses)) {
        self.load_.judge.fail("shard " + std::to_string(self.shard_.value) + ": entry " +
                              std::to_string(at.value) + " cannot be read: " + entries.error().to_string());
        co_return false;
      }
      co_await runtime::sleep(self.place_.runtime, 100ms);
      if (self.replaced() || self.leaves()) co_return false;
      continue;
    }
    if (entries->empty()) {
      self.load_.judge.fail("shard " + std::to_string(self.shard_.value) + " has no entry below its end");
      co_return false;
    }
    misses = 0;
    for (const LogEntry& entry : *entries) {
      if (at >= to) break;
      ledger.read(self.shard_, at, text_of(entry));
      ++at;
    }
  }
  co_return true;
}

Task<void> JournalOwner::act(JournalOwner& self) {
  runtime::Random& random = self.place_.runtime.random();
  ShardLog& log = *self.log_;
  const bool enough = log.next() - log.committed() >= kPending || log.congested();
  if (!enough && log.writable() && !self.load_.over) {
    for (std::uint64_t n = random.below(kAppendedAtOnce + 1); n > 0; --n) self.append();
  }
  if (random.chance(1, 25)) {
    ++self.load_.rolls;
    log.roll();
  }
  if (random.chance(1, 8) && !self.replaced()) {
    const Lsn begin = std::max(log.begin(), self.load_.ledger.trimmed(self.shard_));
    if (begin < log.committed()) {
      const Lsn from = begin + random.below(log.committed() - begin);
      (void)co_await read(self, from, std::min(from + 1 + random.below(20), log.committed()));
    }
  }
  if (self.load_.trims && random.chance(1, 30) && !self.leaves()) co_await trim(self);
  if (self.leaves()) co_return;
  co_await runtime::sleep(self.place_.runtime, Duration(random.between(1, 2 * self.load_.pause.count())));
  if (!self.leaves()) self.check_seals();
}

// As a shard does: a snapshot, synced and published, and then the log may go.
Task<void> JournalOwner::trim(JournalOwner& self) {
  ShardLog& log = *self.log_;
  JournalLedger& ledger = self.load_.ledger;
  const Lsn snapshot = log.committed();
  const auto synced = co_await log.sync();
  if (!synced || self.leaves() || self.replaced() || snapshot <= ledger.trimmed(self.shard_)) co_return;
  const auto published = co_await self.place_.meta.execute(meta::SetSnapshot{
      .shard = self.shard_, .epoch = self.epoch_, .snapshot = {.lsn = snapshot, .file = "none"}});
  if (!published || self.leaves() || self.replaced()) co_return;
  const Lsn trimmed = ledger.trimmed(self.shard_);
  if (snapshot <= trimmed) co_return;
  const Lsn below = trimmed + 1 + self.place_.runtime.random().below(snapshot - trimmed);
  ledger.trimmed(self.shard_, below);
  log.trim(below);
  ++self.load_.trimmed;
}

void JournalOwner::append() {
  const std::string text = load_.ledger.content(shard_, epoch_, log_->next());
  load_.ledger.appended(shard_, epoch_, log_->next());
  log_->append({.head = Bytes::copy(std::string_view(text).substr(0, text.size() / 2)),
                .body = Bytes::copy(std::string_view(text).substr(text.size() / 2))});
}

// What is sealed is on the disks of A of its replicas (the sixth invariant). Of the segment that was sealed
// last, before anybody may have moved it.
void JournalOwner::check_seals() {
  const auto& segments = log_->chain().segments();
  if (replaced() || segments.size() < 2 || segments.back().id == checked_) return;
  checked_ = segments.back().id;
  const meta::Segment& sealed = segments[segments.size() - 2];
  const std::uint64_t end = *sealed.end - sealed.base;
  const JournalLoad::Holders holders = load_.holders(sealed, end);
  const std::size_t needed = journal::Quorum::of(sealed.replicas.size()).acks;
  if (holders.have + holders.unknown < needed)
    load_.judge.fail(name_of(shard_, sealed) + " is sealed at " + std::to_string(end) + ", and " +
                     std::to_string(holders.have) + " of " + std::to_string(sealed.replicas.size()) +
                     " replicas have that");
}

void JournalOwner::on_committed(Lsn end) {
  if (end <= told_ || end > log_->next())
    return load_.judge.fail("shard " + std::to_string(shard_.value) + ": a commit that makes no sense");
  told_ = end;
  load_.ledger.committed(shard_, epoch_, end);
  // The fourth invariant: of the open segment, for what lies before it was looked at when it was sealed.
  const meta::Segment& last = log_->chain().last();
  if (end <= last.base) return;
  const JournalLoad::Holders holders = load_.holders(last, end - last.base);
  const std::size_t needed = journal::Quorum::of(last.replicas.size()).acks;
  if (holders.have + holders.unknown < needed)
    load_.judge.fail(name_of(shard_, last) + " commits up to " + std::to_string(end - last.base) + ", and " +
                     std::to_string(holders.have) + " of " + std::to_string(last.replicas.size()) +
                     " replicas have that");
}

void JournalOwner::on_lost(const Error& why) {
  lost_ = true;
  ++load_.replaced;
  const ErrorCode code = why.code;
  // The two latter: of a process that is about to end.
  if (code != ErrorCode::kFenced && code != ErrorCode::kClosed && code != ErrorCode::kIo)
    load_.judge.fail("shard " + std::to_string(shard_.value) + " is lost: " + why.to_string());
}

// Of one replica, which may be reached only after a while.
Task<bool> JournalOwner::read_replica(JournalOwner& self, meta::Segment segment, meta::Replica which) {
  const Lsn end = segment.end.value_or(self.log_->committed());
  int misses = 0;
  for (Lsn at = std::max(segment.base, self.load_.ledger.trimmed(self.shard_)); at < end;) {
    journal::SegmentReplica* const replica = self.place_.replicas.find(which);
    Result<std::vector<LogEntry>> entries = error(ErrorCode::kUnavailable, "it is gone");
    if (replica) entries = co_await replica->read(segment.id, at - segment.base, 100'000);
    if (self.replaced() || self.leaves()) co_return false;
    if (!entries || entries->empty()) {
      // It may lie elsewhere by now, or be trimmed.
      const meta::Segment* const now = self.log_->chain().find(segment.id);
      if (!now || std::ranges::find(now->replicas, which) == now->replicas.end()) co_return true;
      if (++misses < kMisses) {
        co_await runtime::sleep(self.place_.runtime, 100ms);
        continue;
      }
      self.load_.judge.fail(name_of(self.shard_, segment) + ": entry " + std::to_string(at.value) +
                            " cannot be read at node " + std::to_string(which.node.value) + ": " +
                            (entries ? "none" : entries.error().to_string()));
      co_return false;
    }
    for (const LogEntry& entry : *entries) {
      if (at < end) self.load_.ledger.read(self.shard_, at, text_of(entry));
      ++at;
    }
  }
  co_return true;
}

Task<bool> JournalOwner::read_replicas(JournalOwner& self) {
  const std::vector<meta::Segment> segments = self.log_->chain().segments();
  for (const meta::Segment& segment : segments) {
    for (const meta::Replica& which : segment.replicas) {
      if (!co_await read_replica(self, segment, which)) co_return false;
    }
  }
  co_return true;
}

}  // namespace stele::sim
