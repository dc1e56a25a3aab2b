#include "sim/config.h"

#include <algorithm>
#include <vector>

namespace stele::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t ns(Duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

}  // namespace

namespace {
std::vector<Knob> declare() {
  std::vector<Knob> knobs = {
      {"schedule.turn_max_ns", ns(20us), {500, ns(500us)}, 500, ns(500us)},
      {"schedule.post_max_ns", ns(5us), {ns(1us), ns(1ms), ns(20ms)}, ns(1us), ns(20ms)},
      // What a core posts to itself may run after what others posted to it later.
      {"schedule.own_post_max_ns", 0, {}, 0, ns(20ms), false},
      {"schedule.offload_max_ns", ns(50us), {ns(10us), ns(5ms)}, ns(10us), ns(5ms)},
      {"network.latency_max_ns", ns(800us), {ns(60us), ns(20ms), ns(150ms)}, ns(60us), ns(150ms)},
      {"network.bytes_per_second", 1'000'000'000, {2'000'000}, 2'000'000, 1'000'000'000},
      {"network.window_bytes", 256 << 10, {600, 16 << 10, 4 << 20}, 600, 4 << 20},
      {"network.read_bytes", 64 << 10, {7, 1500, 1500, 64 << 10}},
      {"network.partial_reads_of_8", 1, {0, 6}},
      {"network.give_up_ns", ns(60s), {ns(8s), ns(900s)}, ns(8s), ns(900s)},
      {"disk.write_max_ns", ns(100us), {ns(20us), ns(4ms)}, ns(20us), ns(4ms)},
      {"disk.sync_max_ns", ns(3ms), {ns(100us), ns(40ms)}, ns(100us), ns(40ms)},
      {"disk.sector_bytes", 512, {512, 4096}},
      {"disk.tear_one_in", 4, {0, 1}},
      {"disk.early_write_back_one_in", 16, {0, 3}},
      {"clock.wall_skew_max_ns", ns(500ms), {0, ns(30s)}, 0, ns(30s)},
      {"clock.drift_ppm_max", 200, {0, 2000}, 0, 2000},
  };
  // One time in so many; 0: never.
  for (const BuggifyInfo& point : all_buggify_points())
    knobs.push_back({point.knob, 0, {point.most_one_in}, point.most_one_in, 1000});
  return knobs;
}
}  // namespace

std::span<const Knob> world_knobs() {
  static const std::vector<Knob> knobs = declare();
  return knobs;
}

WorldConfig WorldConfig::of(const Knobs& knobs) {
  const auto duration = [&](std::string_view name) { return Duration(knobs[name]); };
  WorldConfig config;
  config.schedule.turn.max = duration("schedule.turn_max_ns");
  config.schedule.post.max = duration("schedule.post_max_ns");
  config.schedule.own_post_max = duration("schedule.own_post_max_ns");
  config.schedule.offload.max = duration("schedule.offload_max_ns");
  config.network.latency.max = duration("network.latency_max_ns");
  config.network.bytes_per_second = knobs["network.bytes_per_second"];
  // A window that takes a round trip to open lets at least 100 KB a second through: slow, not hopeless.
  const auto round_trip_us = static_cast<std::size_t>(2 * config.network.latency.max / 1us);
  config.network.window_bytes = std::max<std::size_t>(knobs["network.window_bytes"], round_trip_us / 10);
  config.network.read_bytes = knobs["network.read_bytes"];
  config.network.partial_reads_of_8 = static_cast<std::uint32_t>(knobs["network.partial_reads_of_8"]);
  config.network.give_up = duration("network.give_up_ns");
  config.disk.write.max = duration("disk.write_max_ns");
  config.disk.sync.max = duration("disk.sync_max_ns");
  config.disk.sector_bytes = knobs["disk.sector_bytes"];
  config.disk.tear_one_in = static_cast<std::uint32_t>(knobs["disk.tear_one_in"]);
  config.disk.early_write_back_one_in = static_cast<std::uint32_t>(knobs["disk.early_write_back_one_in"]);
  config.clock.wall_skew_max = duration("clock.wall_skew_max_ns");
  config.clock.drift_ppm_max = static_cast<std::int64_t>(knobs["clock.drift_ppm_max"]);
  for (const BuggifyInfo& point : all_buggify_points())
    config.buggify_one_in.at(static_cast<std::size_t>(point.point)) = knobs[point.knob];
  return config;
}

}  // namespace stele::sim
