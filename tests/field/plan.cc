#include "tests/field/plan.h"

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace stele::field {

using sim::Fault;
using sim::FaultKind;
using sim::FaultMenu;
using namespace std::chrono_literals;

namespace {

// As in scenario `node`: the menu's rates are for ordinary hours; episodes are none.
constexpr std::uint32_t kFaultsTimes = 12;
constexpr std::uint64_t kCrashes = 2;
// Nothing lasts longer: real time is dear.
constexpr runtime::Duration kLongest = 6s;

bool is_crash(FaultKind kind) {
  return kind == FaultKind::kPowerLoss || kind == FaultKind::kKill;
}

}  // namespace

bool can_be_done(FaultKind kind, const Means& means) {
  switch (kind) {
    case FaultKind::kPowerLoss:
    case FaultKind::kKill:
    case FaultKind::kTerminate:
    case FaultKind::kPause:
    case FaultKind::kSlowNode:
    case FaultKind::kCut:
    case FaultKind::kCutAll:
    case FaultKind::kSplit:
    case FaultKind::kSplitOneWay:
    case FaultKind::kSlowLink:
    case FaultKind::kRefuse:
      return true;
    case FaultKind::kClockJump:
    case FaultKind::kClockStands:
    case FaultKind::kClockDrifts:
      return means.clock;
    case FaultKind::kCorePauses:
    case FaultKind::kKillInFileOperation:
    case FaultKind::kSyncFails:
    case FaultKind::kReadFails:
    case FaultKind::kWriteFails:
    case FaultKind::kNoSpace:
    case FaultKind::kSlowDisk:
    case FaultKind::kDiskStalls:
    case FaultKind::kOperationStalls:
      return means.library;
    default:
      return false;
  }
}

std::string what_cannot(const Means& means) {
  std::string out;
  for (std::size_t i = 0; i < sim::kFaultKinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    if (can_be_done(kind, means)) continue;
    if (!out.empty()) out += ", ";
    out += sim::to_string(kind);
  }
  return out;
}

std::vector<Fault> draw_plan(runtime::Random& random, const sim::Pace& pace, const Means& means) {
  FaultMenu menu = FaultMenu::ordinary({"node"}, {"clients"});
  for (std::size_t i = 0; i < sim::kFaultKinds; ++i)
    menu.per_hour[i] *= can_be_done(static_cast<FaultKind>(i), means) ? kFaultsTimes : 0;
  menu.until = pace.busy();
  std::vector<Fault> plan = sim::draw_faults(random, menu);
  auto crashes = static_cast<std::uint64_t>(
      std::ranges::count_if(plan, [](const Fault& fault) { return is_crash(fault.kind); }));
  for (; crashes < kCrashes; ++crashes) {
    plan.push_back({.at = runtime::Duration(random.between(0, menu.until.count())),
                    .kind = FaultKind::kKill,
                    .host = "node",
                    .other = {},
                    .lasts = runtime::Duration(random.between(1'000'000, 3'000'000'000))});
  }
  const bool full =
      std::ranges::any_of(plan, [](const Fault& fault) { return fault.kind == FaultKind::kNoSpace; });
  if (means.small_disk && !full) {
    plan.push_back({.at = runtime::Duration(random.between(0, menu.until.count())),
                    .kind = FaultKind::kNoSpace,
                    .host = "node",
                    .other = {},
                    .lasts = runtime::Duration(random.between(kLongest.count() / 2, kLongest.count())),
                    .amount = random.below(1 << 14)});
  }
  for (Fault& fault : plan) {
    fault.at = pace.when(fault.at);
    fault.lasts = std::min(fault.lasts, kLongest);
  }
  std::ranges::sort(plan);
  return plan;
}

}  // namespace stele::field
