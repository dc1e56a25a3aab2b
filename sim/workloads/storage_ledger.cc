#include "sim/workloads/storage_ledger.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/assert.h"
#include "base/hash.h"
#include "sim/world.h"

namespace stele::sim {
namespace {

std::string place(SegmentId segment, std::uint64_t index) {
  return "entry " + std::to_string(index) + " of segment " + std::to_string(segment.value);
}

}  // namespace

void StorageLedger::begin_log() {
  segments_.clear();
}

std::string StorageLedger::bytes_of(SegmentId segment, std::uint64_t index, const Entry& entry) {
  std::string bytes = place(segment, index) + " at " + std::to_string(entry.appended) + ":";
  std::uint64_t state = mix64(entry.appended ^ 0x73746f72616765ULL);
  const std::size_t length = bytes.size() + (state % 4 == 0 ? state / 4 % 3000 : state / 4 % 100);
  while (bytes.size() < length) {
    state = mix64(state);
    bytes.push_back(static_cast<char>(state));
  }
  return bytes;
}

std::string StorageLedger::append(SegmentId segment, std::uint64_t index) {
  std::vector<Entry>& entries = segments_[segment].entries;
  STELE_ASSERT(index <= entries.size());
  ++moment_;
  if (index == entries.size()) entries.push_back({.appended = moment_});
  return bytes_of(segment, index, entries[index]);
}

void StorageLedger::acknowledged(SegmentId segment, std::uint64_t end) {
  std::vector<Entry>& entries = segments_[segment].entries;
  STELE_ASSERT(end <= entries.size());
  ++moment_;
  for (std::uint64_t i = end; i-- > 0 && entries[i].acknowledged == 0; ++acknowledged_count_) {
    entries[i].acknowledged = moment_;
    entries[i].commit = world_.now();
  }
}

void StorageLedger::trimmed(SegmentId segment, std::uint64_t below) {
  std::uint64_t& trimmed = segments_[segment].trimmed;
  trimmed = std::max(trimmed, below);
}

void StorageLedger::fenced(SegmentId segment, Epoch epoch) {
  segments_[segment].fence = std::max(segments_[segment].fence, epoch);
}

void StorageLedger::taken_over(SegmentId id, std::uint64_t end) {
  std::vector<Entry>& entries = segments_[id].entries;
  if (end > entries.size()) {
    return world_.fail("an owner finds " + place(id, end - 1) + ", which was never appended");
  }
  if (end < entries.size() && entries[end].acknowledged > 0) {
    return world_.fail(place(id, end) + " was acknowledged, and the next owner does not have it");
  }
  entries.resize(end);
  acknowledged(id, end);
}

// What a segment can never say, whatever was damaged.
bool StorageLedger::check_segment(SegmentId id, const Segment& segment, const storage::SegmentInfo& info) {
  const std::string name = "segment " + std::to_string(id.value);
  if (info.end > segment.entries.size()) {
    world_.fail(name + " has " + std::to_string(info.end) + " entries, and " +
                std::to_string(segment.entries.size()) + " were appended");
  } else if (info.begin > segment.trimmed) {
    world_.fail(name + " begins at " + std::to_string(info.begin) + ", and was trimmed below " +
                std::to_string(segment.trimmed));
  } else if (info.begin > info.end || info.stored != info.end) {
    world_.fail(name + " contradicts itself");
  }
  return !world_.failed();
}

void StorageLedger::opened(const std::vector<storage::SegmentInfo>& there, const DamageDone& damage) {
  std::map<SegmentId, storage::SegmentInfo> infos;
  for (const storage::SegmentInfo& info : there) infos[info.id] = info;
  newest_there_ = 0;
  lost_.clear();
  for (const auto& [id, info] : infos) {
    const auto known = segments_.find(id);
    if (known == segments_.end()) {
      return world_.fail("segment " + std::to_string(id.value) + " is there, and nobody made it");
    }
    if (!check_segment(id, known->second, info)) return;
    if (info.end > 0) {
      newest_there_ = std::max(newest_there_, known->second.entries[info.end - 1].appended);
    }
  }
  for (auto& [id, segment] : segments_) {
    const auto found = infos.find(id);
    const bool known = found != infos.end();
    // A segment that is not known is uncertain from the next fence on.
    const bool certain = known && found->second.certain;
    const std::uint64_t end = known ? found->second.end : 0;
    check_lost(id, end, certain, damage);
    if (known && found->second.fence < segment.fence && certain && !damage.vanished) {
      return world_.fail("segment " + std::to_string(id.value) + " has forgotten a fence");
    }
    if (world_.failed()) return;
    segment.entries.resize(end);
    segment.trimmed = std::min(segment.trimmed, end);
    segment.fence = known ? found->second.fence : Epoch(0);
    // What the log holds now it holds for good, whether it was acknowledged or not.
    acknowledged(id, end);
  }
  check_how_much(damage);
}

// The fewest that may have held all that is lost.
std::uint64_t StorageLedger::commits_lost() const {
  if (!acknowledged_later_) {
    std::set<Time> commits;
    for (const Entry& entry : lost_) commits.insert(entry.commit);
    return commits.size();
  }
  std::vector<Entry> lost = lost_;
  std::ranges::sort(lost, {}, &Entry::acknowledged);
  std::uint64_t commits = 0, latest = 0;
  for (const Entry& entry : lost) {
    if (commits > 0 && entry.appended < latest) continue;  // may have been in the same
    latest = entry.acknowledged;
    ++commits;
  }
  return commits;
}

void StorageLedger::check_how_much(const DamageDone& damage) {
  const std::uint64_t commits = commits_lost();
  if (commits <= damage.commits) return;
  world_.fail(std::to_string(commits) + " group commits are gone, and no more than " +
              std::to_string(damage.commits) + " were hit by damage: the log must refuse to open");
}

// Of what was acknowledged, the entries of a segment from `end` on are not there.
void StorageLedger::check_lost(SegmentId id, std::uint64_t end, bool certain, const DamageDone& damage) {
  const std::vector<Entry>& entries = segments_[id].entries;
  if (end >= entries.size() || entries[end].acknowledged == 0) return;
  const std::string what = place(id, end) + " was acknowledged and is gone, ";
  if (!damage.any()) return world_.fail(what + "and nothing was damaged");
  if (entries[end].acknowledged < newest_there_) {
    return world_.fail(what + "and what was appended later is there");
  }
  for (std::uint64_t i = end; i < entries.size() && entries[i].acknowledged > 0; ++i) {
    lost_.push_back(entries[i]);
  }
  if (!certain) {
    ++noticed_;
  } else if (damage.vanished) {
    ++vanished_;
  } else {
    world_.fail(what + "damaged where it was, and the log does not say so");
  }
}

void StorageLedger::refused(const Error& why, const DamageDone& damage) {
  ++noticed_;
  if (damage.any() || damage.errors) return;
  world_.fail("nothing is damaged, and the log does not open: " + why.to_string());
}

void StorageLedger::read(SegmentId segment, std::uint64_t index, std::string_view bytes) {
  ++read_count_;
  const std::vector<Entry>& entries = segments_[segment].entries;
  if (index >= entries.size()) return world_.fail(place(segment, index) + " is read, and was never appended");
  if (bytes != bytes_of(segment, index, entries[index])) {
    world_.fail(place(segment, index) + " is read as something else");
  }
}

void StorageLedger::read_failed(SegmentId segment, std::uint64_t index, const Error& why,
                                const DamageDone& damage) {
  // Whoever trimmed may have been an owner before the one that reads, which then need not know it yet.
  if (why.code == ErrorCode::kNotFound && index < segments_[segment].trimmed) return;
  ++noticed_;
  if (damage.any() || damage.errors) return;
  world_.fail(place(segment, index) + " cannot be read, and nothing is damaged: " + why.to_string());
}

void StorageLedger::write_failed(const Error& why, const DamageDone& damage) {
  if (why.code == ErrorCode::kNoSpace || damage.any() || damage.errors) return;
  world_.fail("nothing is wrong with the disk, and the log takes nothing: " + why.to_string());
}

}  // namespace stele::sim
