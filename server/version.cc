#include "server/version.h"

namespace stele::server {

std::string_view build_type() {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  return "address sanitizer";
#elif __has_feature(thread_sanitizer)
  return "thread sanitizer";
#endif
#endif
#if defined(STELE_MUTANTS)
  return "planted bugs";
#elif defined(__OPTIMIZE__)
  return "optimised";
#else
  return "debug";
#endif
}

std::string version_line(std::string_view commit) {
  std::string line = "stele " + std::string(kVersion) + " (" + std::string(build_type());
  if (!commit.empty()) line += ", commit " + std::string(commit);
  return line + ")";
}

}  // namespace stele::server
