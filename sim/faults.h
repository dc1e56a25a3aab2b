// Faults as data. A plan is a list of (when, what, to whom, how long, how much), drawn from the seed before
// the run, printed and read back as text: the shrinker takes lines away and halves numbers. A world runs the
// plan; a fault that finds nothing to break (a crash of what is down) is counted as skipped.
//
//   FaultMenu menu = FaultMenu::ordinary({"node"}, {"client1", "client2"});
//   menu.until = 20min;
//   Faults faults(world, draw_faults(world.random(Concern::kFaults), menu));
//   world.run_until(…, 20min);
//   faults.stop();            // from here everything must make progress
//
// Each kind draws from a stream of its own, so that leaving one out does not shift the others. A run picks
// its mix (swarm testing: Groce et al., ISSTA 2012): some kinds off, some frequent.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/random.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::sim {

enum class FaultKind : std::uint8_t {
  // Process. It starts again after `lasts`.
  kPowerLoss,             // on `amount` cores afterwards (0: as before)
  kKill,                  // likewise
  kCrashInFileOperation,  // in the `amount`-th from then; forgotten if that does not come within `lasts`
  kKillInFileOperation,   // the process alone
  kCrashInSync,           // in the `amount`-th sync from then; likewise forgotten
  kCrashInStart,          // power is lost, and again in the `amount`-th file operation of the next process
  kTerminate,             // SIGTERM: it ends by itself, in good order; otherwise as kPowerLoss
  kPause,                 // for `lasts`
  kCorePauses,            // one of its cores, of which `amount` is the number, for `lasts`
  kSlowNode,              // `amount` times as slow
  // Clock
  kClockJump,    // the wall clock, by `amount` milliseconds; forth if even, back if odd
  kClockStands,  // the wall clock
  kClockLeaps,   // the wall clock, `amount` hours ahead, and back after `lasts`
  kClockDrifts,  // both clocks, by `amount` millionths; too fast if even, too slow if odd
  // Network, between `host` and `other`
  kCut,  // one connection, or none
  kCutAll,
  kHalfOpen,          // one end of a connection is reset, and the other hears nothing of it
  kConnectionStalls,  // one connection carries nothing
  kSplit,
  kSplitOneWay,   // from `host` to `other`
  kSlowLink,      // `amount` times as slow
  kJitter,        // each piece takes up to `amount` milliseconds more; their order stays
  kTinyWindows,   // no more than `amount` bytes of a connection are under way
  kLateClose,     // ends and resets take up to `amount` milliseconds more
  kCorruptBytes,  // a bit in each of the next `amount` pieces
  // Network, of `host` alone
  kIsolate,       // split from all others
  kRefuse,        // it takes no new connection
  kBacklogFull,   // it answers no new connection
  kSlowConnects,  // a new connection to it takes up to `amount` milliseconds more
  kUnresolvable,  // it is not found by its name
  // Disk, as a sound one may fail
  kSyncFails,         // `amount` times
  kSyncFindsNoSpace,  // fails likewise, since room was promised that is not there; `amount` times
  kReadFails,
  kWriteFails,
  kWriteStops,          // fails with a first part written, `amount` times
  kWriteTorn,           // fails with some of its sectors written, `amount` times
  kOpenFails,           // `amount` times
  kListFails,           // of a directory, `amount` times
  kRenameFails,         // `amount` times
  kRemoveFails,         // `amount` times
  kMakeDirectoryFails,  // `amount` times
  kStatFails,           // of a file's size, or whether it is there; `amount` times
  kTruncateFails,       // `amount` times
  kOperationFails,      // the `amount`-th file operation from then, whatever it is
  kStartFails,          // power is lost, and the `amount`-th file operation of the next process fails
  kUnreadable,          // `amount` sectors of something stored, until they are written or it is over
  kNoSpace,             // but for `amount` bytes
  kSlowDisk,            // `amount` times as slow
  kSlowSyncs,           // `amount` times as slow
  kDiskStalls,          // nothing ends for `lasts`
  kOperationStalls,     // one file operation takes `lasts`, while others pass it
  // Disk, as it damages what is stored
  kBitFlip,            // of what is stored
  kLatentSectorError,  // `amount` sectors of something stored, until they are written
  kSyncLies,           // succeeds, and what it did not write is gone with the power; `amount` times
  kDirectorySyncLies,  // succeeds and does nothing, `amount` times
  kWriteLost,          // succeeds and writes nothing, `amount` times
  kMisdirectedWrite,   // goes where something else is stored, `amount` times
  kMisdirectedRead,    // gives something else that is stored, `amount` times
  kStaleRead,          // of what the next `amount` writes changed: as it was before them
  kFileMissing,        // `amount` names that were durable are gone when power is lost next
  kDiskLost,           // power is lost, and everything stored
  // Power is lost, and before the next start somebody does what the scenario's tamperer knows.
  kGarbled,        // something says what its format forbids, under a right checksum; `amount` tells what
  kDirectoryGone,  // one of its directories is gone; `amount` tells which
};
constexpr std::size_t kFaultKinds = 63;
std::string_view to_string(FaultKind kind);

struct Fault {
  Duration at{};  // since the world began
  FaultKind kind{};
  std::string host;
  std::string other;  // of network faults between two
  Duration lasts{};
  std::uint64_t amount = 0;
  friend auto operator<=>(const Fault&, const Fault&) = default;
};

// One a line: "at=12.500000000 split host=node other=client1 lasts=3.000000000 amount=0".
std::string format_faults(const std::vector<Fault>& faults);
Result<std::vector<Fault>> parse_faults(std::string_view text);

struct FaultMenu {
  std::vector<std::string> nodes;    // what may break
  std::vector<std::string> clients;  // the other ends of their paths, besides other nodes
  // How often in an hour of the world, in all; 0: never.
  std::array<std::uint32_t, kFaultKinds> per_hour{};
  Duration from{};
  Duration until{};
  bool swarm = true;

  std::uint32_t& rate(FaultKind kind) { return per_hour[static_cast<std::size_t>(kind)]; }
  // What a node with one copy of its data promises to survive without a loss.
  static FaultMenu ordinary(std::vector<std::string> nodes, std::vector<std::string> clients);
  // What damages stored data, or bytes on the wire, and nothing else. Of that is promised: never wrong data,
  // never a crash or a hang; it is noticed, and what is not damaged goes on.
  static FaultMenu damage(std::vector<std::string> nodes, std::vector<std::string> clients);
};
// In the order of their time.
std::vector<Fault> draw_faults(runtime::Random& random, const FaultMenu& menu);

// Runs a plan, and keeps the hosts up whose processes or disks it breaks: one that ended for whatever reason
// starts again, after what its fault says or a second. Dies before its world.
class Faults {
 public:
  Faults(World& world, std::vector<Fault> plan);
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  // Does what kGarbled and kDirectoryGone say, while the host is down. False: there was nothing to do it to.
  using Tamperer = std::function<bool(const Fault&, Host&)>;
  void set_tamperer(Tamperer tamper) { tamper_ = std::move(tamper); }

  // Keeps a host up that the plan does not name.
  void supervise(Host& host);
  // Nothing more is injected, everything is healed, what is down starts.
  void stop();

  const std::vector<Fault>& plan() const { return plan_; }
  std::uint64_t injected(FaultKind kind) const { return injected_[static_cast<std::size_t>(kind)]; }
  std::uint64_t skipped(FaultKind kind) const { return skipped_[static_cast<std::size_t>(kind)]; }
  std::uint64_t injected() const;
  // How often something met a fault of the kind: an operation that failed, bytes that were held, a process
  // that started again.
  std::uint64_t met(FaultKind kind) const;
  // Of all kinds that were to be injected.
  struct Count {
    FaultKind kind;
    std::uint64_t injected, skipped, met;
  };
  std::vector<Count> counts() const;

 private:
  struct Entry;
  class Supervised;
  void begin(Entry& entry);
  void end(Entry& entry);
  bool inject(const Fault& fault, Host& host, Host* other);
  bool inject_crash(const Fault& fault, Host& host);
  void undo(const Fault& fault, Host& host, Host* other);
  bool covered_by_another(const Entry& entry) const;
  Supervised* supervisor_of(const Host& host);

  World& world_;
  const std::vector<Fault> plan_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<std::unique_ptr<Supervised>> supervised_;
  std::array<std::uint64_t, kFaultKinds> injected_{}, skipped_{}, met_{};
  bool stopped_ = false;
  Tamperer tamper_;
};

}  // namespace stele::sim
