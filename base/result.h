// Errors as values. Exceptions do not cross a function's edge in Stele; what can fail returns Result<T>.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace stele {

// A code exists only where some caller acts differently on it; everything else is in the message.
enum class ErrorCode {
  kInternal,         // a bug or an unexpected state; nothing to do but report
  kInvalidArgument,  // the caller's input is wrong; repeating it gives the same answer
  kMalformed,        // bytes that do not follow their format
  kNotFound,
  kAlreadyExists,
  kUnauthorized,  // the principal may not do this
  kUnavailable,   // not now: retry later, perhaps elsewhere
  kTimedOut,
  kCancelled,   // a stop token fired
  kClosed,      // the connection, file or log is closed
  kFenced,      // a newer epoch owns it: never retry with the old one
  kOutOfOrder,  // what should have come before it has not
  kIo,          // the device failed
  kNoSpace,     // disk full, or a configured limit reached
  kCorrupt,     // stored data fails its checksum or contradicts itself
  kAddressInUse,
  kRefused,  // the peer refused the connection
  kUnsupported,
};

std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // what was being done, to what, and what to do next

  // "message: what happened before" keeps the code and puts a context in front.
  Error with_context(std::string_view context) const {
    return Error{code, std::string(context) + ": " + message};
  }
  std::string to_string() const;
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> error(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace stele

#define STELE_CONCAT_(a, b) a##b
#define STELE_CONCAT(a, b) STELE_CONCAT_(a, b)

// STELE_TRY(auto x, f()); assigns the value of f() or returns its error.
#define STELE_TRY(declaration, expression) \
  STELE_TRY_(STELE_CONCAT(stele_try_, __LINE__), declaration, expression, return)
// The same in a coroutine.
#define STELE_CO_TRY(declaration, expression) \
  STELE_TRY_(STELE_CONCAT(stele_try_, __LINE__), declaration, expression, co_return)
#define STELE_TRY_(temporary, declaration, expression, leave) \
  auto temporary = (expression);                              \
  if (!temporary) [[unlikely]]                                \
    leave std::unexpected(std::move(temporary).error());      \
  declaration = *std::move(temporary)

// For Result<void>: returns the error if there is one.
#define STELE_CHECK(expression) STELE_CHECK_(STELE_CONCAT(stele_check_, __LINE__), expression, return)
#define STELE_CO_CHECK(expression) STELE_CHECK_(STELE_CONCAT(stele_check_, __LINE__), expression, co_return)
#define STELE_CHECK_(temporary, expression, leave)              \
  do {                                                          \
    if (auto temporary = (expression); !temporary) [[unlikely]] \
      leave std::unexpected(std::move(temporary).error());      \
  } while (false)
