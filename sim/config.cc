#include "sim/config.h"

#include <algorithm>

namespace stele::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

template <class T, std::size_t N>
T one_of(runtime::Random& random, const T (&choices)[N]) {
  return choices[random.below(N)];
}

}  // namespace

WorldConfig WorldConfig::draw(std::uint64_t seed) {
  runtime::Random random(mix64(seed ^ 0x6b6e6f6273ULL));  // "knobs"
  WorldConfig config;
  config.schedule.turn.max = one_of<Duration>(random, {Duration(500), microseconds(20), microseconds(500)});
  config.schedule.post.max = one_of<Duration>(random, {microseconds(1), microseconds(5), milliseconds(1)});
  config.schedule.offload.max =
      one_of<Duration>(random, {microseconds(10), microseconds(50), milliseconds(5)});

  config.network.latency.max =
      one_of<Duration>(random, {microseconds(60), microseconds(800), milliseconds(20), milliseconds(150)});
  config.network.bytes_per_second = one_of<std::uint64_t>(random, {2'000'000, 100'000'000, 1'000'000'000});
  config.network.window_bytes = one_of<std::size_t>(random, {600, 16 * 1024, 256 * 1024, 4 << 20});
  // A window that takes a round trip to open lets at least 100 KB a second through: slow, not hopeless.
  const auto round_trip_us = static_cast<std::size_t>(2 * config.network.latency.max / microseconds(1));
  config.network.window_bytes = std::max(config.network.window_bytes, round_trip_us / 10);
  config.network.read_bytes = one_of<std::size_t>(random, {7, 1500, 64 * 1024, 64 * 1024});
  config.network.partial_reads_of_8 = one_of<std::uint32_t>(random, {0, 1, 6});
  config.network.give_up = one_of<Duration>(random, {seconds(8), seconds(60), seconds(900)});

  config.disk.write.max = one_of<Duration>(random, {microseconds(20), microseconds(100), milliseconds(4)});
  config.disk.sync.max = one_of<Duration>(random, {microseconds(100), milliseconds(3), milliseconds(40)});
  config.disk.sector_bytes = one_of<std::size_t>(random, {512, 4096});
  config.disk.tear_one_in = one_of<std::uint32_t>(random, {0, 1, 4});
  config.disk.early_write_back_one_in = one_of<std::uint32_t>(random, {0, 3, 16});

  config.clock.wall_skew_max = one_of<Duration>(random, {Duration(0), milliseconds(500), seconds(30)});
  config.clock.drift_ppm_max = one_of<std::int64_t>(random, {0, 200, 2000});
  return config;
}

}  // namespace stele::sim
