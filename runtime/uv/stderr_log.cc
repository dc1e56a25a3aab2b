#include "runtime/uv/stderr_log.h"

#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace stele::runtime::uv {
namespace {

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return "TRACE";
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO ";
    case LogLevel::kWarn:
      return "WARN ";
    case LogLevel::kError:
    case LogLevel::kOff:
      break;
  }
  return "ERROR";
}

void append_printable(std::string& to, std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
      to += c;
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\x%02x", static_cast<unsigned>(c) & 0xffu);
      to += escaped;
    }
  }
}

}  // namespace

void StderrLog::write(LogLevel level, std::string_view component, std::string_view line) {
  if (!enabled(level)) return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  char stamp[80];
  std::snprintf(stamp, sizeof(stamp), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(now.tv_nsec / 1'000'000), name_of(level));
  std::string text = stamp;
  append_printable(text, component);
  text += ": ";
  append_printable(text, line);
  text += '\n';
  // Nobody is left to be told when the log itself cannot be written.
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, text.data(), text.size());
}

}  // namespace stele::runtime::uv
