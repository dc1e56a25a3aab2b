#include "sim/shrink.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace stele::sim {
namespace {

class Shrinker {
 public:
  Shrinker(Case failing, const TryCases& still_fails, const ShrinkOptions& options)
      : best_(std::move(failing)), still_fails_(still_fails), options_(options) {}

  Case run() {
    bool better = true;
    while (better && tries_left()) {
      better = false;
      better |= without_parts(&Case::faults);
      better |= without_parts(&Case::clients);
      better |= without_parts(&Case::episodes);
      better |= usual_knobs();
      better |= shorter();
      better |= smaller_numbers();
    }
    return std::move(best_);
  }

 private:
  bool tries_left() const { return tries_ < options_.tries; }

  // The first of them that still fails is the best from now on.
  bool take_one_of(std::vector<Case> candidates) {
    for (std::size_t at = 0; at < candidates.size() && tries_left(); at += options_.at_once) {
      const auto end = std::min(candidates.size(), at + options_.at_once);
      std::vector<Case> some(std::make_move_iterator(candidates.begin() + static_cast<std::ptrdiff_t>(at)),
                             std::make_move_iterator(candidates.begin() + static_cast<std::ptrdiff_t>(end)));
      tries_ += some.size();
      if (const auto found = still_fails_(some)) {
        best_ = std::move(some[*found]);
        return true;
      }
    }
    return false;
  }

  // Halves away, then quarters, …, then one by one.
  template <class T>
  bool without_parts(std::vector<T> Case::* list) {
    bool better = false;
    std::size_t part = std::max<std::size_t>((best_.*list).size(), 1);
    while (!(best_.*list).empty() && tries_left()) {
      part = std::min(part, (best_.*list).size());
      std::vector<Case> candidates;
      for (std::size_t from = 0; from < (best_.*list).size(); from += part) {
        Case one = best_;
        auto& of = one.*list;
        const auto to = std::min(of.size(), from + part);
        of.erase(of.begin() + static_cast<std::ptrdiff_t>(from),
                 of.begin() + static_cast<std::ptrdiff_t>(to));
        candidates.push_back(std::move(one));
      }
      if (take_one_of(std::move(candidates))) {
        better = true;
      } else if (part == 1) {
        break;
      } else {
        part /= 2;
      }
    }
    return better;
  }

  bool usual_knobs() {
    Case all = best_;
    const Knobs usual(best_.knobs.declared());
    if (all.knobs == usual) return false;
    all.knobs = usual;
    if (take_one_of({std::move(all)})) return true;
    bool better = false;
    for (const Knob& knob : best_.knobs.declared()) {
      if (best_.knobs[knob.name] == knob.usual) continue;
      Case one = best_;
      (void)one.knobs.set(knob.name, knob.usual);
      better |= take_one_of({std::move(one)});
    }
    return better;
  }

  // Quiet times away, and what comes after the last of everything.
  bool shorter() {
    Duration end{};
    for (const Fault& fault : best_.faults) end = std::max(end, fault.at + fault.lasts);
    for (const Episode& episode : best_.episodes) end = std::max(end, episode.end);
    std::vector<Case> candidates;
    if (end < best_.duration) {
      candidates.push_back(best_);
      candidates.back().duration = end;
    }
    if (auto closed = without_quiet_times(); closed.duration < best_.duration) candidates.push_back(closed);
    return take_one_of(std::move(candidates));
  }

  Case without_quiet_times() const {
    Case out = best_;
    Duration taken{}, last_end{};
    for (std::size_t i = 0; i < out.episodes.size(); ++i) {
      const Episode& before = best_.episodes[i];
      const Duration gap = std::max(before.begin - last_end, Duration(0));
      last_end = before.end;
      taken += gap;
      Episode& episode = out.episodes[i];
      episode.begin -= taken;
      episode.load_end -= taken;
      episode.end -= taken;
      const Duration next = i + 1 < best_.episodes.size() ? best_.episodes[i + 1].begin : Duration::max();
      for (std::size_t f = 0; f < out.faults.size(); ++f) {
        if (best_.faults[f].at >= before.begin && best_.faults[f].at < next) out.faults[f].at -= taken;
      }
    }
    out.duration = std::max(out.duration - taken, Duration(0));
    return out;
  }

  bool smaller_numbers() {
    bool better = false;
    for (std::size_t i = 0; i < best_.faults.size() && tries_left(); ++i) {
      while (best_.faults[i].lasts >= Duration(2)) {
        Case one = best_;
        one.faults[i].lasts /= 2;
        if (!take_one_of({std::move(one)})) break;
        better = true;
      }
      while (best_.faults[i].amount >= 2) {
        Case one = best_;
        one.faults[i].amount /= 2;
        if (!take_one_of({std::move(one)})) break;
        better = true;
      }
    }
    for (std::size_t i = 0; i < best_.episodes.size() && tries_left(); ++i) {
      while (best_.episodes[i].messages >= 2) {
        Case one = best_;
        one.episodes[i].messages /= 2;
        if (!take_one_of({std::move(one)})) break;
        better = true;
      }
    }
    return better;
  }

  Case best_;
  const TryCases& still_fails_;
  const ShrinkOptions options_;
  std::uint64_t tries_ = 0;
};

}  // namespace

Case shrink(Case failing, const TryCases& still_fails, const ShrinkOptions& options) {
  // Of a smaller case nothing is asked but that it fails.
  Case free = failing;
  free.floors.clear();
  if (const auto found = still_fails({free})) failing = std::move(free);
  return Shrinker(std::move(failing), still_fails, options).run();
}

std::string kind_of_failure(const std::string& why) {
  std::string out;
  for (const char c : why.substr(0, why.find(": "))) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (digit && !out.empty() && out.back() == '#') continue;
    out += digit ? '#' : c;
  }
  return out;
}

}  // namespace stele::sim
