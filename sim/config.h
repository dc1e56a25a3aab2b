// What a world is like when nothing is broken. What may differ from run to run are knobs (sim/knobs.h):
// draw() gives each of them a value from the seed, extreme ones included, so that runs differ in more than
// their faults.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/buggify.h"
#include "model/ids.h"
#include "runtime/random.h"
#include "runtime/runtime.h"
#include "sim/knobs.h"
#include "sim/time.h"

namespace stele::sim {

struct ScheduleConfig {
  Latency turn{Duration(500), Duration(20'000)};       // how long a core is busy with one turn
  Latency post{Duration(200), Duration(5'000)};        // until work posted to another core is seen
  Duration own_post_max{};                             // likewise of what a core posts to itself
  Latency offload{Duration(1'000), Duration(50'000)};  // until a worker thread picks a job up, and back
};

struct NetworkConfig {
  Latency latency{std::chrono::microseconds(50), std::chrono::microseconds(800)};
  Latency loopback{std::chrono::microseconds(5), std::chrono::microseconds(30)};
  std::uint64_t bytes_per_second = 1'000'000'000;
  // Bytes of one direction that are on the way or not yet read; what goes beyond stays queued at the sender.
  std::size_t window_bytes = 256 * 1024;
  // The largest piece that a handler gets at once.
  std::size_t read_bytes = 64 * 1024;
  // Out of 8 deliveries, how many hand over only a part of what has arrived.
  std::uint32_t partial_reads_of_8 = 1;
  // How long unacknowledged bytes may wait before TCP gives up.
  Duration give_up = std::chrono::seconds(60);
  // How long a name server takes.
  Latency resolve{std::chrono::microseconds(10), std::chrono::milliseconds(2)};
};

struct DiskConfig {
  Latency read{std::chrono::microseconds(5), std::chrono::microseconds(150)};
  Latency write{std::chrono::microseconds(5), std::chrono::microseconds(100)};
  Latency sync{std::chrono::microseconds(60), std::chrono::milliseconds(3)};
  Latency metadata{std::chrono::microseconds(10), std::chrono::microseconds(300)};
  std::uint64_t capacity_bytes = 64ULL << 30;
  // What the device writes whole or not at all: 512 or 4096.
  std::size_t sector_bytes = 512;
  // One crash in so many leaves the last sector it was writing half new, half old; 0: never.
  std::uint32_t tear_one_in = 4;
  // One write in so many finds that the system has already written the page back; 0: never.
  std::uint32_t early_write_back_one_in = 16;
};

struct ClockConfig {
  WallTime start{1'767'225'600'000};  // 2026-01-01T00:00:00Z
  Duration wall_skew_max = std::chrono::milliseconds(500);
  std::int64_t drift_ppm_max = 200;
};

std::span<const Knob> world_knobs();

struct WorldConfig {
  ScheduleConfig schedule;
  NetworkConfig network;
  DiskConfig disk;
  ClockConfig clock;
  // Each point of buggify (base/buggify.h), one time in so many; 0: never.
  std::array<std::uint64_t, kBuggifyPoints> buggify_one_in{};
  runtime::LogLevel log_level = runtime::LogLevel::kInfo;
  // The run breaks off beyond so many events in all, and so many with no progress of time.
  std::uint64_t event_budget = 2'000'000'000;
  std::uint64_t livelock_events = 5'000'000;
  std::size_t trace_events = 4096;
  std::size_t trace_lines = 4096;

  // Of knobs among which world_knobs() are.
  static WorldConfig of(const Knobs& knobs);
  static WorldConfig draw(std::uint64_t seed) { return of(Knobs::draw(world_knobs(), seed)); }
};

}  // namespace stele::sim
