// What runs of the storage alone have in common (log_run.cc, store_run.cc): one host with a disk that loses
// power, fails and damages what it stores, one log after another on it, and StorageLedger as the judge. Each
// process is a Program that opens the log, reads all of it and goes on writing. A log that refuses to open
// for good, or has seen enough processes, is left for another one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/time.h"
#include "sim/disk.h"
#include "sim/faults.h"
#include "sim/host.h"
#include "sim/observe.h"
#include "sim/scenario.h"
#include "sim/workloads/storage_ledger.h"
#include "sim/world.h"
#include "storage/segment_store.h"

namespace stele::sim {

class StorageRun {
 public:
  using Factory = std::function<std::unique_ptr<Program>(ProcessContext&)>;

  StorageRun(const Case& of, const Observation& observe);
  virtual ~StorageRun() = default;
  // Everything: the load with the faults, the calm behind it, the judging.
  ScenarioResult run(Factory make, std::uint32_t cores);

  World world;
  StorageLedger ledger{world};
  Host& host;
  std::optional<Faults> faults;
  const storage::SegmentStoreOptions store;  // without the directory
  const runtime::Duration pause;             // between two steps, on average

  // The present log; counted from 1.
  std::uint64_t log() const { return log_; }
  bool fsync() const { return store.durability == storage::Durability::kFsync; }
  bool calm() const { return calm_; }
  runtime::Random& random() { return world.random(Concern::kWorkload); }
  // What happened to the disk since the log was made, and in this process.
  DamageDone damage() const;

  // What a process says of itself.
  void refused(const Error& why);
  void opened(const std::vector<storage::SegmentInfo>& segments);
  void read_everything() { ++read_; }

 protected:
  // Where a log with that number lies: names in the root.
  virtual std::vector<std::string> directories(std::uint64_t log) const = 0;
  // Makes something stored say what its format forbids. False: there is nothing of the kind.
  virtual bool garble(const Fault& fault) = 0;
  // Of a log that must be left.
  virtual bool spent() const { return false; }
  virtual void begin_log();

 private:
  std::uint64_t spoilt_ever() const;
  std::uint64_t commits_hit(const DiskEffects& met) const;
  bool tamper(const Fault& fault);
  void boot(Factory make, std::uint32_t cores);
  RunResult calm_down();
  void check_enough_happened();
  ScenarioResult result(const RunResult& end);

  const Case& of_;
  std::optional<Observer> observer_;
  bool calm_ = false;
  std::uint64_t log_ = 0;
  std::uint64_t read_ = 0;       // processes that read all there was
  std::uint64_t refused_ = 0;    // in a row
  std::uint64_t processes_ = 0;  // of this log
  std::uint64_t wiped_ = 0;
  // When this log was made.
  DiskEffects effects_{};
  std::uint64_t spoilt_ = 0;
  std::uint64_t garbled_ = 0;
  std::uint64_t errors_ = 0;  // when the process began
};

// As the knobs say, without the directory.
storage::SegmentStoreOptions store_options(const Knobs& knobs);
// So many of the kinds of the menu of damage, and of those that tamper.
std::uint64_t damages_of(const Faults& faults);

}  // namespace stele::sim
