// What this program calls itself.
#pragma once

#include <string>
#include <string_view>

namespace stele::server {

inline constexpr std::string_view kVersion = "0.1.0";

// "optimised", or what makes this build slower or different than that: "debug", "address sanitizer", …
std::string_view build_type();
// "stele 0.1.0 (optimised, commit 0123456789ab)"; the commit may be empty.
std::string version_line(std::string_view commit);

}  // namespace stele::server
