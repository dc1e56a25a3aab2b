// Reply codes of AMQP 0-9-1 (section 1.2 of the specification), and errors that say which one to answer with.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace stele::amqp {

enum class ReplyCode : std::uint16_t {
  kReplySuccess = 200,
  kContentTooLarge = 311,
  kNoRoute = 312,
  kNoConsumers = 313,
  kConnectionForced = 320,
  kInvalidPath = 402,
  kAccessRefused = 403,
  kNotFound = 404,
  kResourceLocked = 405,
  kPreconditionFailed = 406,
  kFrameError = 501,
  kSyntaxError = 502,
  kCommandInvalid = 503,
  kChannelError = 504,
  kUnexpectedFrame = 505,
  kResourceError = 506,
  kNotAllowed = 530,
  kNotImplemented = 540,
  kInternalError = 541,
};

// What a code puts an end to: nothing, the channel that it was raised on ("soft error"), or the connection
// ("hard error").
enum class Severity : std::uint8_t { kNone, kChannel, kConnection };

// A number that the specification does not have is taken for a connection's, as that is the safe side.
Severity severity(ReplyCode code);

// The specification's name, as RabbitMQ writes it: "NOT_FOUND". "UNKNOWN_REPLY_CODE" for other numbers.
std::string_view to_string(ReplyCode code);

// The reply-text of close and return, in RabbitMQ's form ("NOT_FOUND - no queue 'q'"), cut to the 255 bytes
// of a short string without cutting a UTF-8 character.
std::string reply_text(ReplyCode code, std::string_view text);

// Why something of the peer cannot be taken, and what connection.close or channel.close has to say of it.
// The method is the one at fault, 0.0 where there is none.
struct ProtocolError {
  ReplyCode code = ReplyCode::kInternalError;
  std::string text;  // without the code's name
  std::uint16_t class_id = 0;
  std::uint16_t method_id = 0;

  bool ends_connection() const { return severity(code) != Severity::kChannel; }
};

template <class T>
using Decoded = std::expected<T, ProtocolError>;

inline std::unexpected<ProtocolError> protocol_error(ReplyCode code, std::string text) {
  return std::unexpected(ProtocolError{code, std::move(text), 0, 0});
}

}  // namespace stele::amqp
