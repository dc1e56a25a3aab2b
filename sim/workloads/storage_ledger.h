// What was appended to the segments of one log, and what the log says of it later: the judge of scenario
// `damage` (log_run.cc), and of scenario `store` (store_run.cc), whose segments are shards.
//
// An entry's bytes are a function of its segment, its index and the moment of its first append, so whatever
// is read at a place is known to be right or wrong. What a disk did to stored bytes excuses little:
//
// - Bytes that were read are those that were appended there, or it is an error.
// - Nothing acknowledged is lost where nothing was damaged.
// - An earlier end is possible without a word only when the disk may have lost writes that it acknowledged
//   (`vanished`), and only as a common end of all segments: what was appended after an entry had been
//   acknowledged is not there either, because the log names what was synced before it.
// - For the same reason a damage takes no more than what it hit: behind one bad block everything else would
//   have to be bad too. No more group commits are gone than damages may have taken (`commits`). What is
//   acknowledged at one time was one group commit; where acknowledgements take their time on the way from the
//   disk's core to others (store_run.cc), a sync somewhere between an entry's append and its acknowledgement.
// - Bytes that were damaged where they are (`spoilt`) make an end uncertain or an error, never silently
//   earlier (docs/decisions/0010-torn-or-damaged.md).
// - Without damage and without a disk's error the log opens.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "sim/time.h"
#include "storage/segment_store.h"

namespace stele::sim {

class World;

// What happened to the disk since the log was made, and what the process in question met.
struct DamageDone {
  bool spoilt = false;    // stored bytes are others, or cannot be read any more
  bool vanished = false;  // something acknowledged may never have been written, or may not be shown
  bool errors = false;    // this process met an error of the disk
  // So many group commits may have been hit; UINT64_MAX: nobody knows.
  std::uint64_t commits = 0;
  bool any() const { return spoilt || vanished; }
};

class StorageLedger {
 public:
  explicit StorageLedger(World& world) : world_(world) {}
  // Acknowledgements come later than the sync, and those of one sync not together.
  void set_acknowledged_later() { acknowledged_later_ = true; }

  // Another log, in which nothing is.
  void begin_log();

  // The bytes of the entry at that place, which is now appended; the same if it was before. Entries of a
  // segment are appended in order, without a gap.
  std::string append(SegmentId segment, std::uint64_t index);
  // Entries below `end` are stored.
  void acknowledged(SegmentId segment, std::uint64_t end);
  // Entries below `below` may be gone.
  void trimmed(SegmentId segment, std::uint64_t below);
  // A fence was asked for, which makes the segment; and was answered.
  void fencing(SegmentId segment) { segments_.try_emplace(segment); }
  void fenced(SegmentId segment, Epoch epoch);

  // Another owner of the segment in the same process finds this end; what is behind it is forgotten.
  void taken_over(SegmentId segment, std::uint64_t end);

  // The log was opened, and says this. What it does not have is forgotten.
  void opened(const std::vector<storage::SegmentInfo>& segments, const DamageDone& damage);
  // It was not.
  void refused(const Error& why, const DamageDone& damage);
  void read(SegmentId segment, std::uint64_t index, std::string_view bytes);
  void read_failed(SegmentId segment, std::uint64_t index, const Error& why, const DamageDone& damage);
  // An append or fence failed in a process that lives.
  void write_failed(const Error& why, const DamageDone& damage);

  std::uint64_t acknowledged_count() const { return acknowledged_count_; }
  std::uint64_t read_count() const { return read_count_; }
  // How often damage was reported: a refusal, a failed read, an uncertain end before what was acknowledged.
  std::uint64_t noticed() const { return noticed_; }
  // How often an end was earlier and nothing said so, as it may be.
  std::uint64_t vanished() const { return vanished_; }

 private:
  struct Entry {
    std::uint64_t appended = 0;      // the moment of its first append
    std::uint64_t acknowledged = 0;  // 0: it was not
    Time commit{};                   // when it was acknowledged
  };
  struct Segment {
    std::vector<Entry> entries;  // from index 0
    std::uint64_t trimmed = 0;
    Epoch fence{0};
  };
  static std::string bytes_of(SegmentId segment, std::uint64_t index, const Entry& entry);
  bool check_segment(SegmentId id, const Segment& segment, const storage::SegmentInfo& info);
  void check_lost(SegmentId id, std::uint64_t end, bool certain, const DamageDone& damage);
  std::uint64_t commits_lost() const;
  void check_how_much(const DamageDone& damage);

  World& world_;
  std::map<SegmentId, Segment> segments_;
  std::uint64_t moment_ = 0;
  std::vector<Entry> lost_;  // by the opening of a log
  bool acknowledged_later_ = false;
  std::uint64_t newest_there_ = 0;  // of the entries that an opened log has, the last moment of an append
  std::uint64_t acknowledged_count_ = 0, read_count_ = 0, noticed_ = 0, vanished_ = 0;
};

}  // namespace stele::sim
