// A disk that tells apart what the system holds in memory from what has reached the platter.
//
// Content is kept by sector. A write changes the cache only; sync brings a file's sectors and size to the
// platter. Losing power keeps any subset of the sectors not yet synced (each is old or new, never another),
// and may tear the last one written. Names are a journal of operations: sync_directory makes those of a
// directory durable; losing power keeps any subset of the others in which nothing builds on something lost. A
// rename is one operation: it is lost or kept as a whole, which is what journaling file systems do. A failed
// sync follows Rebello et al. (ATC 2020): the pages count as clean, are still read as written, and are gone
// with the power, whatever a later sync says.
//
// Pages that are all zeros take no memory, so a preallocated file costs nothing until it is written.
// Synchronous and without latency: files.h puts time around it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "runtime/files.h"
#include "runtime/random.h"
#include "sim/config.h"

namespace stele::sim {

// A file or directory without its name.
class Inode;

// What is wrong with the next operations: each number counts down.
struct DiskFaults {
  // They fail with kIo.
  std::uint32_t failing_syncs = 0;
  std::uint32_t full_syncs = 0;  // they fail with kNoSpace: room was promised that is not there
  std::uint32_t failing_reads = 0;
  std::uint32_t failing_writes = 0;
  std::uint32_t stopping_writes = 0;  // with a first part written
  std::uint32_t torn_writes = 0;      // with some of the sectors written
  std::uint32_t failing_opens = 0;
  std::uint32_t failing_lists = 0;
  std::uint32_t failing_renames = 0;
  std::uint32_t failing_removals = 0;
  std::uint32_t failing_directories = 0;  // that are to be made
  std::uint32_t failing_stats = 0;        // of a file's size, or whether it is there
  std::uint32_t failing_truncates = 0;
  std::uint64_t fails_at = 0;  // the so-manyth operation from now fails, whatever it is
  // They succeed, and have not done what they say.
  std::uint32_t lying_syncs = 0;  // what it did not write counts as clean, and is gone with the power
  std::uint32_t lying_directory_syncs = 0;
  std::uint32_t lost_writes = 0;
  std::uint32_t misdirected_writes = 0;
  std::uint32_t misdirected_reads = 0;
  std::uint32_t stale_writes = 0;   // reads go on giving what was there before, until heal_stale()
  std::uint32_t files_to_lose = 0;  // durable names that are gone when power is lost next
  bool any_of_writes() const {
    return stopping_writes + torn_writes + lost_writes + misdirected_writes + stale_writes > 0;
  }
};

// Of a number that counts down: whether this one is among them.
inline bool is_due(std::uint32_t& left) {
  return left > 0 && left-- > 0;
}

// How often somebody met what was wrong.
struct DiskEffects {
  std::uint64_t syncs_failed = 0;
  std::uint64_t syncs_full = 0;
  std::uint64_t reads_failed = 0;
  std::uint64_t writes_failed = 0;
  std::uint64_t writes_stopped = 0;
  std::uint64_t writes_torn = 0;
  std::uint64_t opens_failed = 0;
  std::uint64_t lists_failed = 0;
  std::uint64_t renames_failed = 0;
  std::uint64_t removals_failed = 0;
  std::uint64_t directories_failed = 0;
  std::uint64_t stats_failed = 0;
  std::uint64_t truncates_failed = 0;
  std::uint64_t operations_failed = 0;  // by their number
  std::uint64_t unreadable = 0;         // reads of a sector that will be readable again
  std::uint64_t latent = 0;             // reads of one that will not, until it is written
  std::uint64_t no_space = 0;
  std::uint64_t syncs_lied = 0;
  std::uint64_t directory_syncs_lied = 0;
  std::uint64_t writes_lost = 0;
  std::uint64_t writes_misdirected = 0;
  std::uint64_t reads_misdirected = 0;
  std::uint64_t reads_stale = 0;
  std::uint64_t files_lost = 0;
  std::uint64_t sectors_lost = 0;
  std::uint64_t sectors_torn = 0;
  std::uint64_t names_lost = 0;
  // Operations that ended with an error because of a fault.
  std::uint64_t errors() const {
    return syncs_failed + syncs_full + reads_failed + writes_failed + writes_stopped + writes_torn +
           opens_failed + lists_failed + renames_failed + removals_failed + directories_failed +
           stats_failed + truncates_failed + operations_failed + unreadable + latent + no_space;
  }
};

class Disk {
 public:
  using File = std::shared_ptr<Inode>;

  Disk(const DiskConfig& config, runtime::Random random);
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // --- What a process does
  Result<File> open(const std::string& path, runtime::OpenMode mode);
  std::uint64_t size(const File& file) const;
  Result<std::uint64_t> tell_size(const File& file);
  Result<std::size_t> read(const File& file, Position position, char* to, std::size_t length);
  Result<void> write(const File& file, Position position, std::span<const std::string_view> slices);
  Result<void> sync(const File& file);
  Result<void> truncate(const File& file, std::uint64_t size);

  Result<std::vector<runtime::DirectoryEntry>> list(const std::string& path);
  Result<void> make_directory(const std::string& path);
  Result<void> rename(const std::string& from, const std::string& to);
  Result<void> remove(const std::string& path);
  Result<bool> exists(const std::string& path);
  Result<void> sync_directory(const std::string& path);
  // The normalised path is what is locked. False: somebody has it.
  Result<bool> lock(const std::string& path);
  void unlock(const std::string& path);

  // --- What happens to it
  void lose_power();
  void release_locks() { locks_.clear(); }
  DiskFaults& faults() { return faults_; }
  const DiskEffects& effects() const { return effects_; }
  // What may still be written beyond what is there; UINT64_MAX: as configured.
  void set_free_bytes(std::uint64_t bytes);
  // Flips one bit of something stored. False when nothing is.
  bool flip_bit(runtime::Random& random);
  // So many sectors of something stored cannot be read until they are written; `heals`: or until
  // heal_sectors(). False when nothing is stored.
  bool spoil_sectors(runtime::Random& random, std::uint64_t count, bool heals);
  void heal_sectors();
  void heal_stale() { stale_.clear(); }
  // Everything is gone. Not while a process uses it.
  void wipe();

  // --- What somebody does with it while no process uses it: whole files, at once and for good
  // Names in a directory; empty if there is none.
  std::vector<std::string> names_in(const std::string& directory) const;
  // As a process would read it; nothing if there is no such file.
  std::optional<std::string> content_of(const std::string& path) const;
  // Makes the file and its directory if they are missing.
  void put_content(const std::string& path, std::string_view content);
  void drop_directory(const std::string& path);

  // How often something of that directory of the root was damaged, or shown or stored as something else.
  std::uint64_t damages_under(const std::string& directory_of_root) const;

  std::uint64_t used_bytes() const { return used_; }
  // Memory held for content, for tests of what costs nothing.
  std::uint64_t resident_bytes() const;
  // Where its draws have come to.
  std::uint64_t draws() const { return runtime::Random(random_).next(); }
  // A hash of names and of content as a process would read it now.
  std::uint64_t content_hash() const;

 private:
  struct NameOperation;
  struct Place;
  friend class Inode;

  // Where something is stored: a sector begins there.
  struct Spot {
    File file;
    std::uint64_t position = 0;
  };
  struct BadRange {
    std::weak_ptr<Inode> file;
    std::uint64_t from, to;
    bool heals;
  };
  struct StaleRange {
    std::weak_ptr<Inode> file;
    std::uint64_t from;
    std::string before;
  };

  Result<Place> place_of(const std::string& path) const;
  // For the beginning of every operation: counts it down, and whether it fails.
  Result<void> fail_if(std::uint32_t& left, std::uint64_t& failed, std::string_view doing,
                       std::string_view path);
  void note_damage(const File& file);
  Result<void> make_room_for_name(std::string_view doing, const std::string& path);
  Result<void> grow(Inode& inode, std::uint64_t size);
  Result<void> put(const File& file, std::uint64_t at, std::string_view bytes);
  Result<void> write_faultily(const File& file, std::uint64_t at, const std::string& whole);
  Result<void> write_part(const File& file, std::uint64_t at, std::string_view whole);
  Result<void> write_some_sectors(const File& file, std::uint64_t at, std::string_view whole);
  Result<void> write_elsewhere(std::string_view whole);
  Result<void> check_readable(const File& file, std::uint64_t from, std::uint64_t to);
  void forget_what_was_wrong(const File& file, std::uint64_t from, std::uint64_t to);
  void show_stale(const File& file, std::uint64_t from, char* to, std::size_t length);
  std::optional<Spot> draw_spot(runtime::Random& random) const;
  std::shared_ptr<Inode> make_inode(const std::string& path, bool directory);
  void lose_files();
  void release(std::uint64_t bytes);
  void record(NameOperation operation);
  void apply_durably(const NameOperation& operation);
  void resolve_names();
  std::vector<File> reachable() const;

  const DiskConfig config_;
  runtime::Random random_;
  DiskFaults faults_;
  DiskEffects effects_;
  File root_;
  std::vector<NameOperation> journal_;  // not yet durable, oldest first
  std::set<std::string> locks_;
  std::vector<std::weak_ptr<Inode>> inodes_;  // every one alive, by age
  std::vector<BadRange> bad_;
  std::vector<StaleRange> stale_;
  std::map<std::string, std::uint64_t, std::less<>> damages_;  // by directory of the root
  std::uint64_t capacity_;
  std::uint64_t used_ = 0;
  std::uint64_t next_inode_ = 1;
  std::uint64_t next_write_ = 1;  // numbers writes, so that a crash can keep a prefix of them
};

// The path from "/", without "." and "..", as one form.
std::string normalise_path(std::string_view path);

}  // namespace stele::sim
