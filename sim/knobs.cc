#include "sim/knobs.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/hash.h"
#include "base/nearest.h"
#include "runtime/random.h"

namespace stele::sim {
namespace {

std::uint64_t draw_between(runtime::Random& random, std::uint64_t low, std::uint64_t high) {
  // An order of magnitude, then a value in it.
  const int first = std::bit_width(low), last = std::bit_width(high);
  const auto width = static_cast<int>(random.between(first, last));
  const std::uint64_t least = width == 0 ? 0 : std::uint64_t{1} << (width - 1);
  const std::uint64_t most = width == 0 ? 0 : least + (least - 1);
  const std::uint64_t from = std::max(low, least), to = std::min(high, most);
  return from + random.below(to - from + 1);
}

std::uint64_t draw_one(const Knob& knob, std::uint64_t seed) {
  runtime::Random random(Hasher().add(seed).add(knob.name).value());
  const std::uint64_t way = random.below(6);
  const bool has_range = knob.low < knob.high;
  if (way < 3) return knob.usual;
  if (!knob.choices.empty() && (way == 3 || !has_range)) {
    return knob.choices[random.below(knob.choices.size())];
  }
  return has_range ? draw_between(random, knob.low, knob.high) : knob.usual;
}

}  // namespace

bool Knob::allows(std::uint64_t value) const {
  return value == usual || std::ranges::find(choices, value) != choices.end() ||
         (low < high && value >= low && value <= high);
}

Knobs::Knobs(std::span<const Knob> declared) : declared_(declared) {
  for (const Knob& knob : declared) values_[knob.name] = knob.usual;
}

Knobs Knobs::draw(std::span<const Knob> declared, std::uint64_t seed) {
  Knobs out(declared);
  for (const Knob& knob : declared) {
    if (knob.drawn) out.values_[knob.name] = draw_one(knob, seed);
  }
  return out;
}

std::uint64_t Knobs::operator[](std::string_view name) const {
  const auto found = values_.find(name);
  STELE_ASSERT(found != values_.end());
  return found->second;
}

Result<void> Knobs::set(std::string_view name, std::uint64_t value) {
  const auto found = std::ranges::find(declared_, name, &Knob::name);
  if (found == declared_.end()) {
    std::vector<std::string_view> names;
    for (const Knob& knob : declared_) names.push_back(knob.name);
    return error(ErrorCode::kInvalidArgument,
                 "no knob '" + std::string(name) + "'" + did_you_mean(name, names));
  }
  if (!found->allows(value)) {
    std::string takes = " " + std::to_string(found->usual);
    if (found->low < found->high) {
      takes = " " + std::to_string(found->low) + " to " + std::to_string(found->high);
    }
    for (const std::uint64_t choice : found->choices) takes += ", " + std::to_string(choice);
    return error(ErrorCode::kInvalidArgument, "knob '" + std::string(name) + "' does not take " +
                                                  std::to_string(value) + "; it takes" + takes);
  }
  values_[found->name] = value;
  return {};
}

}  // namespace stele::sim
