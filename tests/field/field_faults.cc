// What happens to the node and to its clients' connections in the time of the load.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "tests/field/field_run.h"

namespace stele::field {

using runtime::Duration;
using runtime::Instant;
using runtime::Task;
using sim::Fault;
using sim::FaultKind;
using namespace std::chrono_literals;

Task<void> FieldRun::load_in_episodes(FieldRun& self) {
  for (const sim::Episode& episode : self.pace_.episodes()) {
    co_await runtime::sleep(self.runtime_, self.load_began_ + episode.begin - self.runtime_.now());
    if (!self.loading_) co_return;
    self.workload_.loaded = true;
    self.workload_.send_until = self.ledger_.sent_count() + episode.messages;
    co_await runtime::sleep(self.runtime_, self.load_began_ + episode.load_end - self.runtime_.now());
    if (!self.loading_) co_return;
    self.workload_.loaded = false;
  }
}

Task<void> FieldRun::inject(FieldRun& self, Fault fault) {
  co_await runtime::sleep(self.runtime_, self.load_began_ + fault.at - self.runtime_.now());
  if (!self.loading_ || self.failed()) co_return;
  std::string line = sim::format_faults({fault});
  line.pop_back();
  if (!self.begin(fault)) {
    self.say("skipped: " + line);
    co_return;
  }
  self.say(line);
  ++self.injected_[static_cast<std::size_t>(fault.kind)];
  if (fault.kind == FaultKind::kSlowNode) co_return co_await self.be_slow(fault.lasts, fault.amount);
  co_await runtime::sleep(self.runtime_, fault.lasts);
  // What the calm has healed is not undone once more.
  if (self.loading_) self.end(fault);
}

// It stands still for all but one part of so many of the time.
Task<void> FieldRun::be_slow(Duration lasts, std::uint64_t times) {
  const Instant end = runtime_.now() + lasts;
  const Duration goes = 2ms, stands = goes * static_cast<std::int64_t>(std::max<std::uint64_t>(times, 2) - 1);
  while (loading_ && runtime_.now() < end) {
    pause(true);
    co_await runtime::sleep(runtime_, std::min<Duration>(stands, end - runtime_.now()));
    if (!loading_) co_return;
    pause(false);
    co_await runtime::sleep(runtime_, goes);
  }
}

// False: there is nothing to break.
bool FieldRun::begin(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kPowerLoss:
      if (!node_.running()) return false;
      // The machine is gone, and nobody is told.
      relay_->fall_silent(std::chrono::duration_cast<std::chrono::milliseconds>(fault.lasts) + 1s);
      end_node(SIGKILL, fault.lasts, fault.amount);
      return true;
    case FaultKind::kKill:
      if (!node_.running()) return false;
      end_node(SIGKILL, fault.lasts, fault.amount);
      return true;
    case FaultKind::kTerminate:
      if (!node_.running() || terminated_) return false;
      end_node(SIGTERM, fault.lasts, fault.amount);
      return true;
    case FaultKind::kPause:
    case FaultKind::kSlowNode:
      if (!node_.running()) return false;
      if (fault.kind == FaultKind::kPause) pause(true);
      return true;
    case FaultKind::kCut:
    case FaultKind::kCutAll:
      relay_->cut(fault.kind == FaultKind::kCutAll);
      return true;
    case FaultKind::kSplit:
      relay_->hold(Direction::kToNode);
      relay_->hold(Direction::kToClients);
      return true;
    case FaultKind::kSplitOneWay:
      relay_->hold(fault.host == "node" ? Direction::kToClients : Direction::kToNode);
      return true;
    case FaultKind::kSlowLink:
      relay_->set_slowness(fault.amount);
      return true;
    case FaultKind::kRefuse:
      relay_->refuse(true);
      return true;
    case FaultKind::kCorePauses:
      // Before it serves, its threads may not be there, and what makes them stand still neither.
      return disk_ && serves_ &&
             node_.pause_core(fault.amount,
                              std::chrono::duration_cast<std::chrono::milliseconds>(fault.lasts));
    case FaultKind::kClockJump:
    case FaultKind::kClockStands:
    case FaultKind::kClockDrifts:
      return clock_ && clock_->begin(fault);
    case FaultKind::kNoSpace:
      if (small_disk_ ? !small_disk_->fill(fault.amount) : !disk_ || !node_.running() || !disk_->begin(fault))
        return false;
      short_of_space_until_ = std::max(short_of_space_until_, now() + fault.lasts + 10s);
      return true;
    default:
      return disk_ && node_.running() && disk_->begin(fault);
  }
}

void FieldRun::end(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kPause:
      return pause(false);
    case FaultKind::kSplit:
      relay_->release(Direction::kToNode);
      return relay_->release(Direction::kToClients);
    case FaultKind::kSplitOneWay:
      return relay_->release(fault.host == "node" ? Direction::kToClients : Direction::kToNode);
    case FaultKind::kSlowLink:
      return relay_->set_slowness(1);
    case FaultKind::kRefuse:
      return relay_->refuse(false);
    case FaultKind::kClockStands:
    case FaultKind::kClockDrifts:
      return clock_->end(fault);
    case FaultKind::kNoSpace:
      if (small_disk_) return small_disk_->make_room();
      return disk_->end(fault);
    default:
      if (disk_) disk_->end(fault);
  }
}

}  // namespace stele::field
