// A case: all that is drawn of a run, written down. A scenario and a seed make one; running it gives the same
// run as the seed did, also on a later commit on which the scenario would draw something else. What the
// shrinker makes smaller, and what is kept under sim/regressions/.
//
// Streams of the world (schedule, network, disk, …) still come from the seed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/faults.h"
#include "sim/knobs.h"
#include "sim/workloads/client_kinds.h"
#include "sim/workloads/pace.h"

namespace stele::sim {

// Of System::kCluster.
inline constexpr std::uint32_t kClusterNodes = 3;

// What is run.
enum class System : std::uint8_t {
  kNode,     // a node with clients
  kLog,      // the write-ahead log alone
  kStore,    // all that keeps a shard's log
  kRaft,     // a group of Raft members alone
  kCluster,  // three nodes with clients
  kMeta,     // a group of meta services alone
  kJournal,  // journals, meta services and owners of shards, without brokers
};

struct Case {
  std::string scenario;
  System system = System::kNode;
  std::uint64_t seed = 1;
  Duration duration{};  // virtual, from when the load begins until the faults end
  Knobs knobs;
  std::vector<ClientOfCase> clients;
  std::vector<Episode> episodes;
  std::vector<Fault> faults;  // `at`: since the load began
  // In a run in which less happened nothing is shown. Of what there is none in a case, nothing is asked.
  std::map<std::string, std::uint64_t> floors;
  // So many values of the stream of faults are taken by then. Of seeds only whose plan came from that stream.
  std::uint32_t faults_drawn = 0;
  std::string found;  // what it once showed, for people

  bool has_any(std::string_view kind) const;
  bool has(const ClientOfCase& client) const;
};

// As TOML. Reading gives kInvalidArgument with the place: not TOML, a key that there is not (and the nearest
// that there is), a value that makes no sense.
std::string format_case(const Case& of);
Result<Case> parse_case(std::string_view path, std::string_view text);

// What cases are drawn from: a text file of sim/scenarios/.
struct ScenarioFile {
  std::string name;   // of the file
  std::string title;  // what it is, in one line
  System system = System::kNode;
  Duration duration{};
  std::uint64_t messages = 0;                     // that are sent, in all episodes; 0: all of it is one
  std::map<std::string, std::uint32_t> clients;   // how many of each kind
  std::map<std::string, std::uint64_t> knobs;     // that are set and not drawn
  std::vector<std::string> menus;                 // of faults
  std::uint32_t times = 1;                        // as many faults as the menu's rates say
  std::uint32_t crashes = 0;                      // at least
  std::map<std::string, std::uint32_t> per_hour;  // instead of the menu's rates; 0: none of that kind
  std::map<std::string, std::uint64_t> floors;    // in half an hour
};
Result<ScenarioFile> parse_scenario(std::string name, std::string_view path, std::string_view text);

// The menus of faults that a scenario can choose from.
std::span<const std::string_view> fault_menu_names();

// Pure. `duration` instead of the file's.
Case draw_case(const ScenarioFile& scenario, std::uint64_t seed, std::optional<Duration> duration);

}  // namespace stele::sim
