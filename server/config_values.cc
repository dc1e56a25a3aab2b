#include "server/config_values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace stele::server {
namespace {

std::unexpected<Error> wrong(std::string message) {
  return error(ErrorCode::kInvalidArgument, std::move(message));
}

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<Unit, 10> kUnits = {{
    {"B", 1},
    {"KiB", 1ULL << 10},
    {"MiB", 1ULL << 20},
    {"GiB", 1ULL << 30},
    {"TiB", 1ULL << 40},
    {"kB", 1'000},
    {"MB", 1'000'000},
    {"GB", 1'000'000'000},
    {"TB", 1'000'000'000'000},
    {"", 1},
}};

struct LevelName {
  std::string_view name;
  runtime::LogLevel level;
};
constexpr std::array<LevelName, 6> kLevels = {{
    {"trace", runtime::LogLevel::kTrace},
    {"debug", runtime::LogLevel::kDebug},
    {"info", runtime::LogLevel::kInfo},
    {"warn", runtime::LogLevel::kWarn},
    {"error", runtime::LogLevel::kError},
    {"off", runtime::LogLevel::kOff},
}};

}  // namespace

Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size() || number < min || number > max) {
    return wrong("'" + std::string(text) + "' is not a whole number from " + std::to_string(min) + " to " +
                 std::to_string(max));
  }
  return number;
}

Result<std::uint64_t> parse_bytes(std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view rest(end, text.data() + text.size());
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  const auto unit = std::ranges::find(kUnits, rest, &Unit::name);
  if (failure != std::errc() || unit == kUnits.end()) {
    return wrong("'" + std::string(text) + "' is not a size, as 1048576, 512KiB, 64MiB or 1GiB");
  }
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(number, unit->bytes, &bytes) || bytes < min || bytes > max) {
    return wrong("'" + std::string(text) + "' is not a size from " + show_bytes(min) + " to " +
                 show_bytes(max));
  }
  return bytes;
}

std::string show_bytes(std::uint64_t bytes) {
  const Unit* best = &kUnits[0];
  for (const Unit& unit : std::span(kUnits).first(5)) {
    if (bytes != 0 && bytes % unit.bytes == 0) best = &unit;
  }
  return std::to_string(bytes / best->bytes) + std::string(best->bytes == 1 ? "" : best->name);
}

Result<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "on" || text == "yes") return true;
  if (text == "false" || text == "off" || text == "no") return false;
  return wrong("'" + std::string(text) + "' is neither true nor false");
}

Result<runtime::LogLevel> parse_log_level(std::string_view text) {
  const auto found = std::ranges::find(kLevels, text, &LevelName::name);
  if (found == kLevels.end()) {
    return wrong("'" + std::string(text) + "' is none of trace, debug, info, warn, error, off");
  }
  return found->level;
}

std::string_view to_string(runtime::LogLevel level) {
  return std::ranges::find(kLevels, level, &LevelName::level)->name;
}

}  // namespace stele::server
