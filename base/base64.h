// Base64 with the standard alphabet and padding (RFC 4648, section 4). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stele {

std::string base64_encode(std::string_view bytes);
// Nothing unless it is exactly what base64_encode would have given.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace stele
