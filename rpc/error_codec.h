// Errors of those who answer, as bytes (docs/formats/rpc.md). Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace stele::rpc {

// At most so much of a message is told.
constexpr std::size_t kMaxErrorText = 1000;

std::string encode_error(const Error& error);
// A code of a later version is kInternal; nothing at all likewise.
Error decode_error(std::string_view from);

}  // namespace stele::rpc
