#include <unistd.h>

#include <map>
#include <string>
#include <string_view>

#include "server/cli/cli.h"
#include "server/commit.h"

int main(int argc, char** argv) {
  std::map<std::string, std::string> environment;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view text = *variable;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos)
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return stele::server::cli::run(argc, argv, environment, stele::server::kCommit);
}
