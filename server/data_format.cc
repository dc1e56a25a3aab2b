#include "server/data_format.h"

namespace stele::server {
namespace {

constexpr std::string_view kPrefix = "stele data directory, format ";
constexpr int kMaxFormat = 1'000'000;

}  // namespace

std::string data_format_text() {
  return std::string(kPrefix) + std::to_string(kDataFormat) + "\n";
}

Result<void> check_data_format(std::string_view directory, std::string_view text) {
  const std::string where(directory);
  if (text.empty()) return error(ErrorCode::kNotFound, where + "/format is empty");
  int format = 0;
  if (text.starts_with(kPrefix)) {
    for (const char c : text.substr(kPrefix.size())) {
      if (c < '0' || c > '9' || format > kMaxFormat) break;
      format = format * 10 + (c - '0');
    }
  }
  if (format == kDataFormat) return {};
  if (format > kDataFormat) {
    return error(ErrorCode::kUnsupported,
                 "data directory " + where + " has format " + std::to_string(format) +
                     ", written by a newer version of Stele; this one knows format " +
                     std::to_string(kDataFormat) + ": upgrade, or choose another with --data");
  }
  return error(ErrorCode::kCorrupt, where + "/format: is not what Stele writes there");
}

}  // namespace stele::server
