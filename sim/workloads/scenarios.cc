#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/nearest.h"
#include "sim/scenario.h"

namespace stele::sim {

ScenarioResult run_case(const Case& of, const Observation& observe) {
  return of.system == System::kLog ? run_log(of, observe) : run_node(of, observe);
}

Result<ScenarioFile> find_scenario(std::string_view name) {
  const auto files = built_in_scenarios();
  const auto found = std::ranges::find(files, name, &BuiltInFile::name);
  if (found != files.end()) {
    return parse_scenario(std::string(name), "sim/scenarios/" + std::string(name) + ".toml", found->text);
  }
  std::vector<std::string_view> names;
  std::string all;
  for (const BuiltInFile& file : files) {
    names.push_back(file.name);
    all += " " + std::string(file.name);
  }
  return error(ErrorCode::kInvalidArgument,
               "no scenario '" + std::string(name) + "'" + did_you_mean(name, names) + "; there are:" + all);
}

bool fails_without_faults(const Case& of) {
  Case quiet = of;
  quiet.faults.clear();
  (void)quiet.knobs.set("node.start_crash_one_in", 0);
  for (const char* floor : {"faults", "crashes"}) quiet.floors.erase(floor);
  return !run_case(quiet).ok;
}

}  // namespace stele::sim
