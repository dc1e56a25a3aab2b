// A world: hosts, a network between them, disks that outlive processes, clocks that disagree, all of it
// driven by one seed on one OS thread. Nothing else orders anything: no address, no hash map, no real clock.
// The same seed gives the same hash() in every build.
//
//   World world(seed);
//   Host& node = world.add_host("node");
//   node.boot(2, [](ProcessContext& process) { return std::make_unique<MyNode>(process.cores()); });
//   Host& client = world.add_host("client");
//   client.boot(1, program([&](ProcessContext& process) { return drive(process, ledger); }));
//   RunResult result = world.run_until([&] { return ledger.done(); }, 10min);
//
// Each concern draws from a stream of its own, so that leaving a fault out does not shift the rest.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buggify.h"
#include "base/hash.h"
#include "base/intrusive_list.h"
#include "base/mutants.h"
#include "model/ids.h"
#include "runtime/random.h"
#include "runtime/runtime.h"
#include "sim/config.h"
#include "sim/event_queue.h"
#include "sim/time.h"
#include "sim/trace.h"

namespace stele::sim {

class Fabric;
class Host;
class Process;

enum class Concern : std::uint8_t {
  kSchedule,
  kNetwork,
  kDisk,
  kProcess,
  kClock,
  kFaults,
  kWorkload,
  kKnobs,
  kBuggify,
};
constexpr std::size_t kConcerns = 9;
// As a world of that seed has it at its beginning.
runtime::Random stream_of(std::uint64_t seed, Concern concern);

enum class StopReason : std::uint8_t {
  kDone,      // the predicate holds
  kTime,      // the time asked for is over
  kIdle,      // nothing will ever happen again
  kBudget,    // more events than the configuration allows
  kLivelock,  // very many events with no progress of time
  kFailed,    // somebody called fail()
};
std::string_view to_string(StopReason reason);

struct RunResult {
  StopReason reason = StopReason::kTime;
  std::string detail;  // for a person; empty when there is nothing to say
  bool broken() const {
    return reason == StopReason::kBudget || reason == StopReason::kLivelock || reason == StopReason::kFailed;
  }
};

struct Counters {
  std::uint64_t events = 0;
  std::uint64_t turns = 0;
  std::uint64_t crashes = 0;
  std::uint64_t boots = 0;
  std::uint64_t connections = 0;  // established
  std::uint64_t bytes = 0;        // delivered over the network
  std::uint64_t file_operations = 0;
  // How often each point of buggify did what it is there for, in the order of all_buggify_points().
  std::array<std::uint64_t, kBuggifyPoints> buggified{};
};

class World {
 public:
  explicit World(std::uint64_t seed, WorldConfig config = {});
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  // Ends every process as a crash does: silently. What their destructors refer to must still be there.
  ~World();

  std::uint64_t seed() const { return seed_; }
  const WorldConfig& config() const { return config_; }
  Time now() const { return now_; }
  Duration elapsed() const { return now_.time_since_epoch(); }
  runtime::Random& random(Concern concern) { return streams_[static_cast<std::size_t>(concern)]; }

  // `name` resolves to `ip`; without one the host gets 10.0.0.N. Lives as long as the world.
  Host& add_host(std::string name, std::string ip = "");
  Host* find_host(std::string_view name_or_ip);
  const std::vector<std::unique_ptr<Host>>& hosts() const { return hosts_; }
  Fabric& fabric() { return *fabric_; }

  // Runs until `done` holds (it is asked after each event), `limit` has passed from now, or something broke.
  RunResult run_until(const std::function<bool()>& done, Duration limit);
  RunResult run_for(Duration duration);

  // An act of the scenario itself, on no host.
  void at(Time when, runtime::Work act);
  void after(Duration delay, runtime::Work act) { at(now_ + delay, std::move(act)); }

  // Into the trace and the hash: what the scenario holds to be part of the world's state.
  void note(std::string_view text, std::initializer_list<std::uint64_t> values = {});
  // Into the hash only.
  void mix(std::uint64_t value) { hash_.add(value); }
  // An invariant does not hold: the run ends with this text. The first failure counts.
  void fail(std::string why);
  bool failed() const { return failure_.has_value(); }

  // Of every event so far (what, where, when), what was noted, and the state of every random stream.
  std::uint64_t hash() const;
  const Counters& counters() const { return counters_; }
  Trace& trace() { return trace_; }

  // No point of buggify does anything from now on.
  void end_buggify() { buggify_over_ = true; }

  // A debugger gets hold of the program just before the event of that number, as a trace of every event gives
  // it.
  void break_at(std::uint64_t event) { break_at_ = event; }

  // hash() after each event from now on goes there, eight bytes each, in the machine's order: two runs that
  // should be one differ from the first difference on. Null: no more.
  void write_fingerprints(std::FILE* file) { fingerprints_ = file; }

  // For the parts of the engine.
  void schedule(Event& event, Time at) {
    std::uint64_t tie_break = random(Concern::kSchedule).next();
    if (mutant(Mutant::kOrderOfAddresses)) tie_break = reinterpret_cast<std::uintptr_t>(&event);
    queue_.schedule(event, std::max(at, now_), tie_break);
  }
  void schedule_after(Event& event, Duration delay) { schedule(event, now_ + delay); }
  Counters& count() { return counters_; }
  void set_running(Process* process) { running_ = process; }
  Process* running() const { return running_; }  // whose code is on the stack

 private:
  class Action;
  void step();
  bool decide(Buggify point);
  std::optional<RunResult> broken();

  const std::uint64_t seed_;
  const WorldConfig config_;
  std::array<runtime::Random, kConcerns> streams_;
  Time now_{};
  EventQueue queue_;
  Hasher hash_;
  Counters counters_;
  Trace trace_;
  std::optional<std::string> failure_;
  std::uint64_t events_at_now_ = 0;
  std::uint64_t break_at_ = 0;
  std::FILE* fingerprints_ = nullptr;
  Process* running_ = nullptr;
  bool buggify_over_ = false;
  IntrusiveList<Action> actions_;
  std::unique_ptr<Fabric> fabric_;
  std::vector<std::unique_ptr<Host>> hosts_;
};

// While it lives, an assertion that fails prints `headline` (how to run this again) and the end of the trace
// to standard error before the program aborts. One at a time.
class TraceOnAssert {
 public:
  TraceOnAssert(World& world, std::string headline);
  ~TraceOnAssert();
  TraceOnAssert(const TraceOnAssert&) = delete;
  TraceOnAssert& operator=(const TraceOnAssert&) = delete;

 private:
  World& world_;
  const std::string headline_;
};

}  // namespace stele::sim
