// `stele serve`: the node on libuv, from its configuration to its exit status.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace stele::server {

struct ServeArguments {
  std::map<std::string, std::vector<std::string>> flags;  // by option name
  std::optional<std::string> config_file;
  std::map<std::string, std::string> environment;
};

// Serves until a signal. 0: ended in order; 1: could not start or not serve; 2: the configuration is wrong.
int serve(const ServeArguments& arguments);

}  // namespace stele::server
