#include "protocols/http/parser.h"

#include <http_parser.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace stele::http {
namespace {

void append_lower(std::string& out, std::string_view text) {
  for (const char c : text) out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
}

}  // namespace

struct Parser::Inside {
  Kind kind;
  ParserLimits limits;
  http_parser parser{};
  ParsedMessage message;
  std::string field, value;  // the header being read
  bool in_value = false;
  std::size_t header_bytes = 0;
  bool headers_done = false;
  bool begun = false;
  bool complete = false;
  bool expects_continue = false;
  bool no_body = false;
  int status = 0;
  const char* why = nullptr;

  explicit Inside(Kind k, ParserLimits l) : kind(k), limits(l) { reset(); }

  void reset() {
    http_parser_init(&parser, kind == Kind::kRequest ? HTTP_REQUEST : HTTP_RESPONSE);
    parser.data = this;
    message = {};
    field.clear();
    value.clear();
    in_value = headers_done = begun = complete = expects_continue = no_body = false;
    header_bytes = 0;
  }

  int refuse(int with, const char* because) {
    if (!why) {
      status = with;
      why = because;
    }
    return -1;
  }

  int on_target(std::string_view part) {
    if (message.target.size() + part.size() > limits.target_bytes)
      return refuse(414, "the target is too long");
    message.target.append(part);
    return 0;
  }
  int count_header(std::size_t bytes) {
    header_bytes += bytes;
    return header_bytes > limits.header_bytes ? refuse(431, "the headers are too long") : 0;
  }
  int on_field(std::string_view part) {
    if (in_value && finish_header() != 0) return -1;
    append_lower(field, part);
    return count_header(part.size());
  }
  int on_value(std::string_view part) {
    in_value = true;
    value.append(part);
    return count_header(part.size());
  }
  int finish_header() {
    if (!in_value && field.empty()) return 0;
    in_value = false;
    if (message.headers.fields().size() >= limits.header_count)
      return refuse(431, "there are too many headers");
    // Trailers come after the body they might contradict: read, bounded, dropped.
    if (!headers_done) message.headers.add(std::move(field), std::move(value));
    field.clear();
    value.clear();
    return 0;
  }
  int on_headers() {
    if (finish_header() != 0) return -1;
    headers_done = true;
    if (parser.http_major != 1 || parser.http_minor > 1)
      return refuse(505, "only HTTP/1.0 and 1.1 are spoken");
    message.http_minor = parser.http_minor;
    if (kind == Kind::kResponse) {
      message.status = static_cast<int>(parser.status_code);
      return no_body ? 1 : 0;
    }
    message.method = http_method_str(static_cast<http_method>(parser.method));
    if (parser.content_length != UINT64_MAX && parser.content_length > limits.body_bytes) {
      return refuse(413, "the body is too long");
    }
    const std::string* expect = message.headers.find("expect");
    expects_continue = expect && *expect == "100-continue" && parser.http_minor == 1;
    return 0;
  }
  int on_body(std::string_view part) {
    if (message.body.size() + part.size() > limits.body_bytes) return refuse(413, "the body is too long");
    message.body.append(part);
    return 0;
  }
  int on_complete() {
    message.keep_alive = http_should_keep_alive(&parser) != 0;
    complete = true;
    http_parser_pause(&parser, 1);  // not into the next message
    return 0;
  }

  Error failure() {
    const http_errno code = HTTP_PARSER_ERRNO(&parser);
    if (!why) {
      status = code == HPE_HEADER_OVERFLOW ? 431 : 400;
      why = http_errno_description(code);
    }
    return Error{ErrorCode::kMalformed,
                 std::string("not an HTTP ") + (kind == Kind::kRequest ? "request: " : "response: ") + why};
  }
};

namespace {

template <class Inside, auto method>
int with_text(http_parser* parser, const char* at, std::size_t length) {
  return (static_cast<Inside*>(parser->data)->*method)({at, length});
}
template <class Inside, auto method>
int without(http_parser* parser) {
  return (static_cast<Inside*>(parser->data)->*method)();
}

template <class Inside>
const http_parser_settings& settings() {
  static const http_parser_settings the = [] {
    http_parser_settings s;
    http_parser_settings_init(&s);
    s.on_url = with_text<Inside, &Inside::on_target>;
    s.on_header_field = with_text<Inside, &Inside::on_field>;
    s.on_header_value = with_text<Inside, &Inside::on_value>;
    s.on_headers_complete = without<Inside, &Inside::on_headers>;
    s.on_body = with_text<Inside, &Inside::on_body>;
    s.on_message_complete = without<Inside, &Inside::on_complete>;
    return s;
  }();
  return the;
}

}  // namespace

Parser::Parser(Kind kind, ParserLimits limits) : inside_(std::make_unique<Inside>(kind, limits)) {}
Parser::Parser(Parser&&) noexcept = default;
Parser::~Parser() = default;

Result<std::size_t> Parser::feed(std::string_view bytes) {
  STELE_ASSERT(!complete());
  if (inside_->why) return std::unexpected(inside_->failure());
  if (bytes.empty()) return 0;
  inside_->begun = true;
  const std::size_t taken =
      http_parser_execute(&inside_->parser, &settings<Inside>(), bytes.data(), bytes.size());
  if (complete()) return taken;
  if (HTTP_PARSER_ERRNO(&inside_->parser) != HPE_OK) return std::unexpected(inside_->failure());
  STELE_ASSERT(taken == bytes.size());
  return taken;
}

Result<void> Parser::feed_end() {
  if (complete() || !begun()) return {};
  http_parser_execute(&inside_->parser, &settings<Inside>(), nullptr, 0);
  if (complete()) return {};
  return error(ErrorCode::kMalformed, "the connection ended within an HTTP message");
}

bool Parser::complete() const {
  return inside_->complete;
}
bool Parser::begun() const {
  return inside_->begun;
}
bool Parser::take_expects_continue() {
  return std::exchange(inside_->expects_continue, false);
}
void Parser::expect_no_body() {
  inside_->no_body = true;
}
int Parser::status() const {
  return inside_->status;
}

ParsedMessage Parser::take() {
  STELE_ASSERT(complete());
  ParsedMessage message = std::move(inside_->message);
  inside_->reset();
  return message;
}

}  // namespace stele::http
