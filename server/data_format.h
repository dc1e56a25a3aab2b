// DIR/format: which version of the formats a data directory has. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace stele::server {

// Raised when an older version could not read what this one writes.
inline constexpr int kDataFormat = 1;

std::string data_format_text();

// Whether `text`, the content of that file, says that this version may use the directory. kUnsupported: a
// newer version wrote it; kCorrupt: it is not what Stele writes. Empty is kNotFound: a crash came before its
// content.
Result<void> check_data_format(std::string_view directory, std::string_view text);

}  // namespace stele::server
