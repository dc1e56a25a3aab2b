#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "server/cli/cli.h"
#include "server/commit.h"

namespace {

// On processors with AVX-512, glibc copies with its widest registers, which takes the broker more time than
// it saves (docs/decisions/0031). Which functions it takes is settled before main() by its tunables: the
// process is started once more with them, unless somebody has set others.
void choose_string_functions([[maybe_unused]] char** argv) {
#if defined(__x86_64__) && defined(__GLIBC__)
  if (!__builtin_cpu_supports("avx512f") || std::getenv("GLIBC_TUNABLES") != nullptr) return;
  std::error_code failed;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed || setenv("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX512F,-AVX512VL", 1) != 0) return;
  execv(self.c_str(), argv);  // if it fails, all works as well
#endif
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "serve") choose_string_functions(argv);
  std::map<std::string, std::string> environment;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view text = *variable;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos)
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return stele::server::cli::run(argc, argv, environment, stele::server::kCommit);
}
