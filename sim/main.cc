// The simulator: runs scenarios from seeds.
//
//   sim --seed N [--scenario S] [--minutes M] [--mutant NAME] [--commit C]
//       [--trace] [--every-event] [--node NAME] [--until SECONDS] [--trace-file FILE] [--fingerprints FILE]
//       [--break-at EVENT]
//   sim --seeds A..B [--keep-going] [--stats]                many, one after the other
//   sim --list-scenarios | --list-mutants | --list-nondeterminism
//
// The last line of a run is `seed=N scenario=S result=ok|fail ops=… faults=… crashes=… hash=H`. C is printed
// where a failure says how to run it again.
#include <malloc.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/marks.h"
#include "base/mutants.h"
#include "base/nearest.h"
#include "sim/scenario.h"

namespace stele::sim {
namespace {

struct Arguments {
  std::uint64_t first = 1, last = 1;
  std::string scenario = "node";
  std::uint64_t minutes = 30;
  bool many = false;
  Observation observe;
  std::string commit;
  bool keep_going = false;
  bool stats = false;
  std::string mutant;
};

[[noreturn]] void usage(const std::string& why) {
  std::fprintf(stderr,
               "%s\n"
               "usage: sim --seed N | --seeds A..B  [--scenario S] [--minutes M] [--mutant NAME] "
               "[--keep-going] [--stats]\n"
               "       [--trace] [--every-event] [--node NAME] [--until SECONDS] [--trace-file FILE] "
               "[--break-at EVENT]\n",
               why.c_str());
  std::exit(2);
}

// Of a name that there is not.
template <class Infos>
[[noreturn]] void no_such(const std::string& what, const std::string& name, const Infos& infos) {
  std::vector<std::string_view> names;
  std::string all;
  for (const auto& info : infos) {
    names.push_back(info.name);
    all += " " + std::string(info.name);
  }
  usage("no " + what + " '" + name + "'" + did_you_mean(name, names) + "; there are:" + all);
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) usage("not a number: " + std::string(text));
  return value;
}

Arguments parse(int count, char** values) {
  Arguments out;
  bool seeds = false;
  for (int i = 1; i < count; ++i) {
    const std::string_view flag = values[i];
    const auto value = [&]() -> std::string_view {
      if (i + 1 >= count) usage(std::string(flag) + " needs a value");
      return values[++i];
    };
    if (flag == "--seed") {
      out.first = out.last = number(value());
      seeds = true;
    } else if (flag == "--seeds") {
      const std::string_view range = value();
      const std::size_t dots = range.find("..");
      if (dots == std::string_view::npos) usage("--seeds A..B");
      out.first = number(range.substr(0, dots));
      out.last = number(range.substr(dots + 2));
      out.many = seeds = true;
    } else if (flag == "--scenario") {
      out.scenario = value();
    } else if (flag == "--minutes") {
      out.minutes = number(value());
    } else if (flag == "--trace") {
      out.observe.lines = true;
    } else if (flag == "--every-event") {
      out.observe.lines = out.observe.events = true;
    } else if (flag == "--node") {
      out.observe.node = value();
    } else if (flag == "--until") {
      out.observe.until = std::chrono::seconds(number(value()));
    } else if (flag == "--trace-file") {
      out.observe.trace_file = value();
    } else if (flag == "--fingerprints") {
      out.observe.fingerprint_file = value();
    } else if (flag == "--break-at") {
      out.observe.break_at = number(value());
    } else if (flag == "--commit") {
      out.commit = value();
    } else if (flag == "--keep-going") {
      out.keep_going = true;
    } else if (flag == "--stats") {
      out.stats = true;
    } else if (flag == "--list-scenarios") {
      for (const ScenarioInfo& info : all_scenarios())
        std::printf("%s: %s\n", std::string(info.name).c_str(), std::string(info.what).c_str());
      std::exit(0);
    } else if (flag == "--list-mutants" || flag == "--list-nondeterminism") {
      for (const MutantInfo& info : all_mutants()) {
        if (info.repeatable == (flag == "--list-mutants"))
          std::printf("%s\n", std::string(info.name).c_str());
      }
      std::exit(0);
    } else if (flag == "--mutant") {
      out.mutant = value();
    } else {
      usage("unknown flag " + std::string(flag));
    }
  }
  if (!seeds) usage("no seed given");
  if (out.first > out.last) usage("no seeds in that range");
  return out;
}

void select(const std::string& name) {
  const auto mutant = find_mutant(name);
  if (!mutant) no_such("planted bug", name, all_mutants());
#ifdef STELE_MUTANTS
  select_mutant(*mutant);
#else
  usage("this build has no planted bugs in it: build with --config=mutants");
#endif
}

std::string stats(const ScenarioResult& result) {
  nlohmann::json out = {{"faults", nlohmann::json::object()}, {"marks", nlohmann::json::object()}};
  for (const FaultCount& count : result.fault_counts)
    out["faults"][std::string(count.kind)] = {count.injected, count.skipped, count.met};
  for (const Mark* mark : all_marks()) out["marks"][std::string(mark->name())] = mark->count();
  out["events"] = result.events;
  out["simulated_s"] = std::chrono::duration<double>(result.simulated).count();
  return out.dump();
}

int run(const Arguments& arguments) {
  const ScenarioInfo* scenario = nullptr;
  for (const ScenarioInfo& info : all_scenarios()) {
    if (info.name == arguments.scenario) scenario = &info;
  }
  if (!scenario) no_such("scenario", arguments.scenario, all_scenarios());
  if (!arguments.mutant.empty()) select(arguments.mutant);
  std::uint64_t failed = 0;
  for (std::uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
    const ScenarioResult result = scenario->run(
        {.seed = seed, .duration = std::chrono::minutes(arguments.minutes), .observe = arguments.observe});
    if (!result.ok) {
      ++failed;
      std::string again = "./simulate --seed " + std::to_string(seed) + " --scenario " + arguments.scenario +
                          " --minutes " + std::to_string(arguments.minutes);
      if (!arguments.mutant.empty()) again += " --mutant " + arguments.mutant;
      if (!arguments.commit.empty()) again += " --commit " + arguments.commit;
      std::printf("%s\n%s\nreplay: %s\n", result.lines.c_str(), result.why.c_str(), again.c_str());
    }
    if (arguments.stats) std::printf("stats=%s\n", stats(result).c_str());
    std::printf(
        "seed=%llu scenario=%s result=%s ops=%llu faults=%llu crashes=%llu hash=%016llx\n",
        static_cast<unsigned long long>(seed), arguments.scenario.c_str(), result.ok ? "ok" : "fail",
        static_cast<unsigned long long>(result.operations), static_cast<unsigned long long>(result.faults),
        static_cast<unsigned long long>(result.crashes), static_cast<unsigned long long>(result.hash));
    std::fflush(stdout);
    if (!result.ok && !arguments.keep_going) break;
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace stele::sim

int main(int count, char** values) {
  // What a run gives back the next needs: nothing of it goes to the system and comes back page by page.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
  return stele::sim::run(stele::sim::parse(count, values));
}
