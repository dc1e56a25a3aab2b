#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/nearest.h"
#include "sim/workloads/built_in.h"

namespace stele::sim {

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

}  // namespace stele::sim
