// Cases from scenarios and seeds.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/hash.h"
#include "sim/workloads/case.h"
#include "sim/workloads/client_kinds.h"
#include "sim/workloads/node_knobs.h"
#include "sim/world.h"

namespace stele::sim {

using namespace std::chrono_literals;

namespace {

void set(Knobs& knobs, std::string_view name, std::uint64_t value) {
  if (auto done = knobs.set(name, value); !done)
    std::fprintf(stderr, "LEGACY %s\n", done.error().message.c_str()), std::abort();
}

struct LateKnobs {
  explicit LateKnobs(std::uint64_t seed) : bits(mix64(seed)) {}
  const std::uint64_t bits;
  const std::size_t live_bytes = 256ULL << bits % 16;
  // With newcomers there are several cores, of which one may stand still, or mail between them be slow.
  const std::uint32_t newcomers = (bits >> 32) % 2 * 2;
  const std::uint32_t cores = static_cast<std::uint32_t>(2 + (bits >> 33) % 3);
  const bool slow_mail = newcomers > 0 && (bits >> 40) % 2 != 0;
  const bool neighbour = (bits >> 48) % 4 == 0;
};

Knobs legacy(std::uint64_t seed) {
  Knobs out(node_knobs());
  const WorldConfig c = WorldConfig::draw(seed);
  const LateKnobs late(seed);
  auto post = c.schedule.post.max;
  if (late.slow_mail) post = 20ms;
  const auto n = [](Duration d) { return static_cast<std::uint64_t>(d.count()); };
  set(out, "schedule.turn_max_ns", n(c.schedule.turn.max));
  set(out, "schedule.post_max_ns", n(post));
  set(out, "schedule.offload_max_ns", n(c.schedule.offload.max));
  set(out, "network.latency_max_ns", n(c.network.latency.max));
  set(out, "network.bytes_per_second", c.network.bytes_per_second);
  set(out, "network.window_bytes", c.network.window_bytes);
  set(out, "network.read_bytes", c.network.read_bytes);
  set(out, "network.partial_reads_of_8", c.network.partial_reads_of_8);
  set(out, "network.give_up_ns", n(c.network.give_up));
  set(out, "disk.write_max_ns", n(c.disk.write.max));
  set(out, "disk.sync_max_ns", n(c.disk.sync.max));
  set(out, "disk.sector_bytes", c.disk.sector_bytes);
  set(out, "disk.tear_one_in", c.disk.tear_one_in);
  set(out, "disk.early_write_back_one_in", c.disk.early_write_back_one_in);
  set(out, "clock.wall_skew_max_ns", n(c.clock.wall_skew_max));
  set(out, "clock.drift_ppm_max", static_cast<std::uint64_t>(c.clock.drift_ppm_max));
  runtime::Random knobs = stream_of(seed, Concern::kKnobs);
  auto cores = static_cast<std::uint64_t>(knobs.between(1, 3));
  set(out, "node.shards", 1ULL << knobs.below(5));
  set(out, "log.file_bytes", 16384ULL << knobs.below(8));
  set(out, "log.segment_bytes", 8192ULL << knobs.below(10));
  set(out, "log.snapshot_bytes", 16384ULL << knobs.below(6));
  set(out, "log.tail_bytes", 16384ULL << knobs.below(8));
  set(out, "broker.live_bytes", late.live_bytes);
  if (late.newcomers > 0) cores = late.cores;
  set(out, "node.cores", cores);
  set(out, "clients.newcomers", late.newcomers > 0);
  set(out, "clients.crew_exactly_once", knobs.chance(1, 2));
  set(out, "group.rebalance_delay_ns",
      knobs.chance(1, 2) ? 0 : static_cast<std::uint64_t>(knobs.between(0, 3'000'000'000)));
  const bool login = knobs.chance(1, 2);
  set(out, "clients.log_in", login);
  set(out, "clients.neighbour", login && late.neighbour);
  set(out, "kafka.fetch_sessions", static_cast<std::uint64_t>(knobs.between(0, 4)));
  set(out, "kafka.fetch_session_partitions", static_cast<std::uint64_t>(knobs.between(3, 12)));
  set(out, "kafka.fetch_session_keep_ns", static_cast<std::uint64_t>(knobs.between(0, 2'000'000'000)));
  set(out, "clients.websocket", knobs.chance(1, 3));
  return out;
}

FaultMenu menu_of(const ScenarioFile& scenario, const Knobs& knobs) {
  FaultMenu menu = FaultMenu::ordinary({"node"}, {"clients"});
  for (std::uint32_t& rate : menu.per_hour) rate *= scenario.times;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    const auto own = scenario.per_hour.find(std::string(to_string(static_cast<FaultKind>(i))));
    if (own != scenario.per_hour.end()) menu.per_hour[i] = own->second;
  }
  if (knobs["clients.newcomers"] == 0) menu.rate(FaultKind::kCorePauses) = 0;
  return menu;
}

}  // namespace

std::span<const std::string_view> fault_menu_names() {
  static constexpr std::string_view kNames[] = {"ordinary"};
  return kNames;
}

Case draw_case(const ScenarioFile& scenario, std::uint64_t seed, std::optional<Duration> duration) {
  Case out{.scenario = scenario.name,
           .seed = seed,
           .duration = duration.value_or(scenario.duration),
           .knobs = legacy(seed)};
  for (const auto& [name, value] : scenario.knobs)
    (void)out.knobs.set(name, value);  // the parser has done it too
  for (const std::string_view kind : client_kind_names()) {
    const auto wanted = scenario.clients.find(std::string(kind));
    if (wanted == scenario.clients.end() || !knobs_allow(kind, out.knobs)) continue;
    for (std::uint32_t number = 0; number < wanted->second; ++number)
      out.clients.push_back({std::string(kind), number});
  }
  runtime::Random paces = stream_of(seed, Concern::kWorkload);
  const Pace pace = Pace::draw(paces, out.duration, scenario.messages);
  out.episodes = pace.episodes();

  // The faults of the episodes. A run without enough crashes gets some.
  runtime::Random random = stream_of(seed, Concern::kFaults);
  FaultMenu menu = menu_of(scenario, out.knobs);
  menu.until = pace.busy();
  out.faults = draw_faults(random, menu);
  out.faults_drawn = 1;
  auto crashes = static_cast<std::uint64_t>(std::ranges::count_if(out.faults, [](const Fault& fault) {
    return fault.kind == FaultKind::kPowerLoss || fault.kind == FaultKind::kKill;
  }));
  for (; crashes < scenario.crashes; ++crashes) {
    out.faults.push_back({.at = Duration(random.between(0, menu.until.count())),
                          .kind = FaultKind::kPowerLoss,
                          .host = "node",
                          .lasts = Duration(random.between(1'000'000, 3'000'000'000))});
    out.faults_drawn += 2;
  }
  for (Fault& fault : out.faults) fault.at = pace.when(fault.at);
  std::ranges::sort(out.faults);

  // What is asked for in half an hour, and less in less.
  const auto minutes = static_cast<std::uint64_t>(out.duration / 1min);
  for (const auto& [name, at_least] : scenario.floors)
    out.floors[name] = at_least * std::min<std::uint64_t>(minutes, 30) / 30;
  return out;
}

}  // namespace stele::sim
