#include "rpc/error_codec.h"

#include <algorithm>
#include <array>

namespace stele::rpc {
namespace {

// The place in this list is what is sent: only ever appended to.
constexpr std::array kCodes{
    ErrorCode::kInternal,     ErrorCode::kInvalidArgument, ErrorCode::kMalformed,
    ErrorCode::kNotFound,     ErrorCode::kAlreadyExists,   ErrorCode::kUnauthorized,
    ErrorCode::kUnavailable,  ErrorCode::kTimedOut,        ErrorCode::kCancelled,
    ErrorCode::kClosed,       ErrorCode::kFenced,          ErrorCode::kOutOfOrder,
    ErrorCode::kIo,           ErrorCode::kNoSpace,         ErrorCode::kCorrupt,
    ErrorCode::kAddressInUse, ErrorCode::kRefused,         ErrorCode::kUnsupported,
};

}  // namespace

std::string encode_error(const Error& error) {
  const auto* const found = std::ranges::find(kCodes, error.code);
  std::string out(1, static_cast<char>(found == kCodes.end() ? 0 : found - kCodes.begin()));
  return out.append(error.message, 0, kMaxErrorText);
}

Error decode_error(std::string_view from) {
  if (from.empty()) return {ErrorCode::kInternal, "the peer failed, and does not say how"};
  const auto place = static_cast<std::uint8_t>(from[0]);
  return {place < kCodes.size() ? kCodes[place] : ErrorCode::kInternal,
          std::string(from.substr(1, kMaxErrorText))};
}

}  // namespace stele::rpc
