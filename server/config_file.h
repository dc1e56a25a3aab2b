// The keys of a TOML file, flat, with where they stand. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stele::server {

struct FileKey {
  std::string name;
  std::vector<std::string> values;  // as text, one unless it is an array
  std::string where;                // "stele.toml:3"
};

// In the order of the file. kInvalidArgument with file and line: not TOML, or a value that is neither a
// string, a whole number, a boolean, nor an array of these.
Result<std::vector<FileKey>> read_config_file(std::string_view path, std::string_view text);

}  // namespace stele::server
