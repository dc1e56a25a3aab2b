// The simulator: runs scenarios from seeds, and cases.
//
//   sim --seed N [--scenario S] [--minutes M] [--knob NAME=VALUE]… [--mutant NAME] [--commit C]
//       [--trace] [--every-event] [--node NAME] [--until SECONDS] [--trace-file FILE] [--fingerprints FILE]
//       [--break-at EVENT] [--write-case FILE]
//   sim --case FILE …                          what a case says instead of what a seed draws
//   sim … --shrink FILE [--shrink-seconds S] [--jobs J]
//                                              if it fails: a smaller case that fails likewise, into that
//   file sim --seeds A..B [--keep-going] [--stats]  many, one after the other sim --list-scenarios |
//   --list-mutants | --list-nondeterminism | --list-knobs
//
// The last line of a run is `seed=N scenario=S result=ok|fail ops=… faults=… crashes=… hash=H`. C is printed
// where a failure says how to run it again.
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buggify.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "base/nearest.h"
#include "sim/scenario.h"
#include "sim/shrink.h"
#include "sim/tries.h"
#include "sim/workloads/built_in.h"
#include "sim/workloads/node_knobs.h"

namespace stele::sim {
namespace {

struct Arguments {
  std::uint64_t first = 1, last = 1;
  std::string scenario;  // empty: the mutant's, or "node"
  std::optional<std::uint64_t> minutes;
  bool many = false;
  Observation observe;
  std::string commit;
  bool keep_going = false;
  bool stats = false;
  std::string mutant;
  std::string case_file, write_case, shrink_into;
  std::vector<std::pair<std::string, std::uint64_t>> knobs;
  std::size_t jobs = 1;
  std::uint64_t shrink_seconds = 300;
};

[[noreturn]] void usage(const std::string& why) {
  std::fprintf(stderr,
               "%s\n"
               "usage: sim --seed N | --seeds A..B | --case FILE  [--scenario S] [--minutes M] "
               "[--knob NAME=VALUE] [--mutant NAME] [--keep-going] [--stats]\n"
               "       [--write-case FILE] [--shrink FILE [--shrink-seconds S] [--jobs J]]\n"
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

// What cannot be had ends the program.
template <class T>
T the(Result<T> result) {
  if (!result) usage(result.error().message);
  return *std::move(result);
}

std::string read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) usage("cannot read " + path);
  std::string out;
  char some[4096];
  for (std::size_t got = 0; (got = std::fread(some, 1, sizeof some, file)) > 0;) out.append(some, got);
  std::fclose(file);
  return out;
}

void write_file(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) usage("cannot write " + path);
  std::fwrite(text.data(), 1, text.size(), file);
  if (std::fclose(file) != 0) usage("cannot write " + path);
}

void list_knobs() {
  for (const Knob& knob : node_knobs()) {
    std::string extremes;
    for (const std::uint64_t choice : knob.choices) extremes += " " + std::to_string(choice);
    std::string range;
    if (knob.low < knob.high) range = std::to_string(knob.low) + " to " + std::to_string(knob.high) + ", ";
    std::printf("%-34s usually %llu; %sextremes%s\n", std::string(knob.name).c_str(),
                static_cast<unsigned long long>(knob.usual), range.c_str(), extremes.c_str());
  }
}

// That which finds a planted bug, or, of those that none is sure to find, may.
std::string scenario_of(const std::string& mutant) {
  for (const MutantInfo& info : all_mutants()) {
    if (info.name == mutant) return info.scenario.empty() ? "raft" : std::string(info.scenario);
  }
  return "node";
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
    } else if (flag == "--case") {
      out.case_file = value();
      seeds = true;
    } else if (flag == "--write-case") {
      out.write_case = value();
    } else if (flag == "--shrink") {
      out.shrink_into = value();
    } else if (flag == "--shrink-seconds") {
      out.shrink_seconds = number(value());
    } else if (flag == "--jobs") {
      out.jobs = std::max<std::size_t>(number(value()), 1);
    } else if (flag == "--knob") {
      const std::string_view knob = value();
      const std::size_t equals = knob.find('=');
      if (equals == std::string_view::npos) usage("--knob NAME=VALUE");
      out.knobs.emplace_back(knob.substr(0, equals), number(knob.substr(equals + 1)));
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
      for (const BuiltInFile& file : built_in_scenarios())
        std::printf("%s: %s\n", std::string(file.name).c_str(), the(find_scenario(file.name)).title.c_str());
      std::exit(0);
    } else if (flag == "--list-knobs") {
      list_knobs();
      std::exit(0);
    } else if (flag == "--list-mutants" || flag == "--list-nondeterminism") {
      for (const MutantInfo& info : all_mutants()) {
        if (info.repeatable == (flag == "--list-mutants") && !info.scenario.empty())
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
  if (out.scenario.empty()) out.scenario = scenario_of(out.mutant);
  if (out.first > out.last) usage("no seeds in that range");
  return out;
}

void select(const std::string& name) {
  const auto mutant = find_mutant(name);
  if (!mutant) no_such("planted bug", name, all_mutants());
#ifdef STELE_MUTANTS
  select_mutant(*mutant);
#else
  usage("this build has no planted bugs in it: build with --config=simulation, as ./simulate does");
#endif
}

std::string stats(const ScenarioResult& result) {
  nlohmann::json out = {{"faults", nlohmann::json::object()}, {"marks", nlohmann::json::object()}};
  for (const FaultCount& count : result.fault_counts)
    out["faults"][std::string(count.kind)] = {count.injected, count.skipped, count.met};
  for (const Mark* mark : all_marks()) out["marks"][std::string(mark->name())] = mark->count();
  out["histories"] = {
      {"all", result.histories}, {"undecided", result.undecided}, {"contended", result.contended}};
  for (const BuggifyInfo& point : all_buggify_points()) {
    const std::uint64_t times = result.buggified.at(static_cast<std::size_t>(point.point));
    if (times > 0) out["buggified"][std::string(point.knob)] = times;
  }
  out["events"] = result.events;
  out["simulated_s"] = std::chrono::duration<double>(result.simulated).count();
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  out["cpu_s"] = seconds(used.ru_utime) + seconds(used.ru_stime);  // of the process so far
  out["peak_bytes"] = static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
  return out.dump();
}

// Tells what went wrong, and how to run it again.
void tell(const Arguments& arguments, const Case& of, const ScenarioResult& result) {
  std::string again = "./simulate ";
  if (arguments.case_file.empty()) {
    again += "--seed " + std::to_string(of.seed) + " --scenario " + of.scenario;
    if (arguments.minutes) again += " --minutes " + std::to_string(*arguments.minutes);
  } else {
    again += "--case " + arguments.case_file;
  }
  for (const auto& [name, value] : arguments.knobs) again += " --knob " + name + "=" + std::to_string(value);
  if (!arguments.mutant.empty()) again += " --mutant " + arguments.mutant;
  if (!arguments.commit.empty()) again += " --commit " + arguments.commit;
  std::printf("%s\n%s\nreplay: %s\n", result.lines.c_str(), result.why.c_str(), again.c_str());
  std::fflush(stdout);
  if (arguments.mutant.empty() && fails_without_faults(of)) {
    std::printf("It fails without any fault, too: the scenario may not be able to come to its end at all.\n");
  }
}

// A smaller case that fails in the same way.
void shrink_into(const Arguments& arguments, const Case& of) {
  constexpr std::chrono::seconds kLimit{60};
  const auto kind = try_cases({of}, kLimit).front();
  if (!kind) {
    std::printf("it does not fail: there is nothing to make smaller\n");
    return;
  }
  const std::time_t end = std::time(nullptr) + static_cast<std::time_t>(arguments.shrink_seconds);
  const TryCases still_fails = [&](const std::vector<Case>& cases) -> std::optional<std::size_t> {
    if (std::time(nullptr) > end) return std::nullopt;
    const auto kinds = try_cases(cases, kLimit);
    const auto found = std::ranges::find(kinds, kind);
    if (found == kinds.end()) return std::nullopt;
    return static_cast<std::size_t>(found - kinds.begin());
  };
  Case smaller = shrink(of, still_fails, {.at_once = arguments.jobs});
  if (smaller.found.empty()) smaller.found = *kind;
  write_file(arguments.shrink_into, format_case(smaller));
  std::printf("from %zu faults, %zu clients and %zu episodes to %zu, %zu and %zu: %s\n", of.faults.size(),
              of.clients.size(), of.episodes.size(), smaller.faults.size(), smaller.clients.size(),
              smaller.episodes.size(), arguments.shrink_into.c_str());
}

Case case_of(const Arguments& arguments, const std::optional<ScenarioFile>& scenario, std::uint64_t seed) {
  std::optional<Duration> duration;
  if (arguments.minutes) duration = std::chrono::minutes(*arguments.minutes);
  Case out = scenario ? draw_case(*scenario, seed, duration)
                      : the(parse_case(arguments.case_file, read_file(arguments.case_file)));
  for (const auto& [name, value] : arguments.knobs) {
    if (auto set = out.knobs.set(name, value); !set) usage(set.error().message);
  }
  return out;
}

int run(const Arguments& arguments) {
  std::optional<ScenarioFile> scenario;
  if (arguments.case_file.empty()) scenario = the(find_scenario(arguments.scenario));
  if (!arguments.mutant.empty()) select(arguments.mutant);
  if (!kBuggifyBuilt) {
    std::fprintf(
        stderr,
        "sim: this build has no points of buggify, so runs differ from those of ./simulate; build with "
        "--config=simulation\n");
  }
  std::uint64_t failed = 0;
  for (std::uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
    const Case of = case_of(arguments, scenario, seed);
    if (!arguments.write_case.empty()) write_file(arguments.write_case, format_case(of));
    if (!arguments.shrink_into.empty()) {
      shrink_into(arguments, of);
      continue;
    }
    const ScenarioResult result = run_case(of, arguments.observe);
    if (!result.ok) tell(arguments, of, result);
    failed += !result.ok;
    if (arguments.stats) std::printf("stats=%s\n", stats(result).c_str());
    std::printf(
        "seed=%llu scenario=%s result=%s ops=%llu faults=%llu crashes=%llu hash=%016llx\n",
        static_cast<unsigned long long>(of.seed), of.scenario.c_str(), result.ok ? "ok" : "fail",
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
