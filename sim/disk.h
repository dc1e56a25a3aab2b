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

struct DiskFaults {
  // Each of the next so many such operations fails with kIo.
  std::uint32_t failing_syncs = 0;
  std::uint32_t failing_reads = 0;
  std::uint32_t failing_writes = 0;
};

struct DiskEffects {
  std::uint64_t syncs_failed = 0;
  std::uint64_t reads_failed = 0;
  std::uint64_t writes_failed = 0;
  std::uint64_t no_space = 0;
  std::uint64_t sectors_lost = 0;
  std::uint64_t sectors_torn = 0;
  std::uint64_t names_lost = 0;
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
  Result<std::size_t> read(const File& file, Position position, char* to, std::size_t length);
  Result<void> write(const File& file, Position position, std::span<const std::string_view> slices);
  Result<void> sync(const File& file);
  Result<void> truncate(const File& file, std::uint64_t size);

  Result<std::vector<runtime::DirectoryEntry>> list(const std::string& path) const;
  Result<void> make_directory(const std::string& path);
  Result<void> rename(const std::string& from, const std::string& to);
  Result<void> remove(const std::string& path);
  Result<bool> exists(const std::string& path) const;
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

  Result<Place> place_of(const std::string& path) const;
  Result<void> grow(Inode& inode, std::uint64_t size);
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
  std::uint64_t capacity_;
  std::uint64_t used_ = 0;
  std::uint64_t next_inode_ = 1;
  std::uint64_t next_write_ = 1;  // numbers writes, so that a crash can keep a prefix of them
};

// The path from "/", without "." and "..", as one form.
std::string normalise_path(std::string_view path);

}  // namespace stele::sim
