#include "sim/workloads/pace.h"

#include <algorithm>
#include <chrono>

namespace stele::sim {

using namespace std::chrono_literals;

namespace {

// A run is busy for so long, and for a part of what goes beyond.
constexpr Duration kBusy = 45s;
constexpr std::int64_t kBusyPart = 60;

}  // namespace

Pace Pace::draw(runtime::Random& random, Duration length, std::uint64_t messages) {
  Pace pace;
  const Duration wanted = std::min(length, kBusy + length / kBusyPart);
  Duration drawn{};
  while (drawn < wanted) {
    const Duration load(random.between(1'000'000'000, 10'000'000'000));
    const Duration after(random.between(200'000'000, 4'000'000'000));
    const Duration all = std::min(load + after, wanted - drawn);
    pace.episodes_.push_back({.begin = drawn, .load_end = drawn + std::min(load, all), .end = drawn + all});
    drawn += all;
  }
  // The rest of the time goes between them, in parts of very different sizes.
  std::vector<std::uint64_t> weights;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < pace.episodes_.size(); ++i) {
    weights.push_back(std::uint64_t{1} << random.below(6));
    sum += weights.back();
  }
  const auto quiet = static_cast<std::uint64_t>((length - wanted).count());
  Duration shift{};
  for (std::size_t i = 0; i < pace.episodes_.size(); ++i) {
    Episode& episode = pace.episodes_[i];
    episode.messages = std::max<std::uint64_t>(messages / pace.episodes_.size(), 1);
    episode.begin += shift;
    episode.load_end += shift;
    episode.end += shift;
    shift += Duration(quiet / sum * weights[i]);
  }
  return pace;
}

Pace Pace::always(Duration length) {
  Pace pace;
  pace.episodes_.push_back({.end = length});
  pace.episodes_.back().load_end = length;
  return pace;
}

Duration Pace::busy() const {
  Duration all{};
  for (const Episode& episode : episodes_) all += episode.end - episode.begin;
  return all;
}

Duration Pace::when(Duration busy) const {
  for (const Episode& episode : episodes_) {
    const Duration length = episode.end - episode.begin;
    if (busy <= length) return episode.begin + busy;
    busy -= length;
  }
  return episodes_.empty() ? Duration(0) : episodes_.back().end;
}

}  // namespace stele::sim
