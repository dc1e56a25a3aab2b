#include "protocols/amqp/reply_code.h"

#include <cstddef>

namespace stele::amqp {

namespace {

constexpr std::size_t kMaxShortText = 255;

struct Entry {
  ReplyCode code;
  Severity severity;
  std::string_view name;
};

constexpr Entry kCodes[] = {
    {ReplyCode::kReplySuccess, Severity::kNone, "REPLY_SUCCESS"},
    {ReplyCode::kContentTooLarge, Severity::kChannel, "CONTENT_TOO_LARGE"},
    {ReplyCode::kNoRoute, Severity::kChannel, "NO_ROUTE"},
    {ReplyCode::kNoConsumers, Severity::kChannel, "NO_CONSUMERS"},
    {ReplyCode::kConnectionForced, Severity::kConnection, "CONNECTION_FORCED"},
    {ReplyCode::kInvalidPath, Severity::kConnection, "INVALID_PATH"},
    {ReplyCode::kAccessRefused, Severity::kChannel, "ACCESS_REFUSED"},
    {ReplyCode::kNotFound, Severity::kChannel, "NOT_FOUND"},
    {ReplyCode::kResourceLocked, Severity::kChannel, "RESOURCE_LOCKED"},
    {ReplyCode::kPreconditionFailed, Severity::kChannel, "PRECONDITION_FAILED"},
    {ReplyCode::kFrameError, Severity::kConnection, "FRAME_ERROR"},
    {ReplyCode::kSyntaxError, Severity::kConnection, "SYNTAX_ERROR"},
    {ReplyCode::kCommandInvalid, Severity::kConnection, "COMMAND_INVALID"},
    {ReplyCode::kChannelError, Severity::kConnection, "CHANNEL_ERROR"},
    {ReplyCode::kUnexpectedFrame, Severity::kConnection, "UNEXPECTED_FRAME"},
    {ReplyCode::kResourceError, Severity::kConnection, "RESOURCE_ERROR"},
    {ReplyCode::kNotAllowed, Severity::kConnection, "NOT_ALLOWED"},
    {ReplyCode::kNotImplemented, Severity::kConnection, "NOT_IMPLEMENTED"},
    {ReplyCode::kInternalError, Severity::kConnection, "INTERNAL_ERROR"},
};

const Entry* find(ReplyCode code) {
  for (const Entry& entry : kCodes) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

}  // namespace

Severity severity(ReplyCode code) {
  const Entry* entry = find(code);
  return entry ? entry->severity : Severity::kConnection;
}

std::string_view to_string(ReplyCode code) {
  const Entry* entry = find(code);
  return entry ? entry->name : "UNKNOWN_REPLY_CODE";
}

std::string reply_text(ReplyCode code, std::string_view text) {
  std::string out(to_string(code));
  if (!text.empty()) out.append(" - ").append(text);
  if (out.size() <= kMaxShortText) return out;
  std::size_t end = kMaxShortText;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
  out.resize(end);
  return out;
}

}  // namespace stele::amqp
