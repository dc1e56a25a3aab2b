// Values of the configuration as text, both ways. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/network.h"
#include "runtime/runtime.h"

namespace stele::server {

// A whole number in [min, max].
Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t min, std::uint64_t max);

// "1048576", "1MiB", "64 KiB", "1.5GiB" is not one: whole numbers only. Units are powers of two (KiB, MiB,
// GiB, TiB) or of ten (kB, MB, GB, TB).
Result<std::uint64_t> parse_bytes(std::string_view text, std::uint64_t min, std::uint64_t max);
std::string show_bytes(std::uint64_t bytes);  // in the largest unit that is exact

// true, false, on, off, yes, no.
Result<bool> parse_bool(std::string_view text);

Result<runtime::LogLevel> parse_log_level(std::string_view text);
std::string_view to_string(runtime::LogLevel level);

using runtime::is_loopback;

}  // namespace stele::server
