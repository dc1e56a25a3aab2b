// One field run: the clients and the ledgers of scenario `node` (sim/workloads) on a real runtime, against a
// node that is a process, through a relay, under faults drawn from a seed. The same seed draws the same
// faults and knobs; what comes of them depends on the machine.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"
#include "sim/faults.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/contenders.h"
#include "sim/workloads/judge.h"
#include "sim/workloads/ledger.h"
#include "sim/workloads/pace.h"
#include "tests/field/disk.h"
#include "tests/field/node_process.h"
#include "tests/field/plan.h"
#include "tests/field/rdkafka_clients.h"
#include "tests/field/relay.h"
#include "tests/field/small_disk.h"
#include "tests/field/wall_clock.h"

namespace stele::field {

struct FieldOptions {
  std::string node;       // the program
  std::string directory;  // for all that it keeps; the node's data is `data` in it
  std::uint64_t seed = 1;
  runtime::Duration load = std::chrono::seconds(45);  // so long there are load and faults
  bool timed = true, wills = true;
  // Preloaded into the node. Empty: its disk never fails, and no thread of it stands still.
  std::string library = {};
  std::string clock_library = {};  // libfaketime. Empty: the node's wall clock is the machine's
  std::string no_mounts = {};      // why there can be no file system that only this process sees
  std::optional<std::vector<sim::Fault>> plan = std::nullopt;  // instead of the one that is drawn
};

struct FieldResult {
  bool ok = false;
  std::string why;  // what does not hold, when not ok
  std::uint64_t operations = 0, faults = 0, starts = 0;
};

// On one core.
class FieldRun final : public sim::Judge {
 public:
  FieldRun(runtime::Runtime& runtime, FieldOptions options);
  ~FieldRun();
  FieldRun(const FieldRun&) = delete;
  FieldRun& operator=(const FieldRun&) = delete;

  // Once. Says on standard output what is going on.
  runtime::Task<FieldResult> run();

  // For the clients and their ledgers.
  void fail(std::string why) override;
  bool failed() const override { return failure_.has_value(); }
  sim::Time now() const override { return sim::Time(runtime_.now().time_since_epoch()); }
  bool sees_commits() const override { return false; }

 private:
  void say(const std::string& line) const;
  // Looks again and again. False: a failure came first, or the time is over.
  runtime::Task<bool> wait_until(std::function<bool()> so, runtime::Duration at_most);
  void draw_knobs(runtime::Random knobs);
  Result<void> make_means(runtime::Random knobs);
  void make_small_disk();
  Means means() const { return {disk_ != nullptr, clock_ != nullptr, small_disk_ != nullptr}; }
  Result<void> start_relay(runtime::Random knobs);

  // ---- the process
  static runtime::Task<void> supervise(FieldRun& self);
  void look_at_node();
  void start_node();
  void node_ended(const NodeProcess::Ended& ended);
  void end_node(int signal, runtime::Duration for_this_long, std::uint64_t cores_after);
  void end_at_once();
  void pause(bool yes);
  // In this process, or the last one, an operation has failed.
  bool disk_failed() const { return disk_ && disk_->failed() > disk_failures_before_; }

  // ---- load and faults
  static runtime::Task<void> load_in_episodes(FieldRun& self);
  static runtime::Task<void> inject(FieldRun& self, sim::Fault fault);
  runtime::Task<void> be_slow(runtime::Duration lasts, std::uint64_t times);
  bool begin(const sim::Fault& fault);
  void end(const sim::Fault& fault);

  // ---- the end
  runtime::Task<void> go_through();
  void keep_data();
  void start_clients();
  runtime::Task<void> calm_down();
  runtime::Task<void> end_in_order();
  bool enough_happened() const;
  void say_what_happened() const;
  std::uint64_t injected() const;

  runtime::Runtime& runtime_;
  const FieldOptions options_;
  const runtime::Instant began_;
  runtime::Instant load_began_{};
  std::optional<std::string> failure_;
  sim::Ledger ledger_{*this};
  sim::Workload workload_;
  RdKafkaClients rdkafka_;
  sim::Pace pace_;
  std::vector<sim::Fault> plan_;
  std::vector<std::string> flags_, environment_;
  std::uint32_t newcomers_ = 0;
  std::unique_ptr<Relay> relay_;
  std::unique_ptr<Disk> disk_;  // null: it never fails
  std::unique_ptr<WallClock> clock_;
  std::unique_ptr<SmallDisk> small_disk_;
  std::string data_;

  NodeProcess node_;
  bool kept_up_ = false;                   // the node is started again when it has ended
  bool serves_ = false;                    // this process has said so
  bool killed_ = false;                    // it was sent SIGKILL
  bool terminated_ = false;                // likewise SIGTERM
  int paused_ = 0;                         // so many faults want it to stand still
  std::int64_t disk_failures_before_ = 0;  // when it began
  sim::Time process_began_{};
  sim::Time short_of_space_until_ = sim::Time::min();  // and some time after, for what was refused meanwhile
  std::uint64_t cores_ = 1;                            // of the next one
  runtime::Duration down_for_{};                       // before that one starts
  runtime::Instant start_at_{};                        // not earlier
  runtime::Instant patience_until_ = runtime::kNever;  // until then it serves, or has ended

  bool prepared_ = false;
  bool loading_ = false;
  std::array<std::uint64_t, sim::kFaultKinds> injected_{};
  sim::Contention contention_{workload_};
  std::optional<runtime::Scope> clients_;
  runtime::Scope scope_;  // last
};

}  // namespace stele::field
