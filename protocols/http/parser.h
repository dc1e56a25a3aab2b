// Bytes to HTTP/1.x messages, on Debian's http-parser, with bounds on everything. Pure: same input, same
// output, whatever the pieces it comes in.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocols/http/message.h"

namespace stele::http {

struct ParserLimits {
  std::size_t target_bytes = 8 << 10;
  std::size_t header_bytes = 32 << 10;  // names and values, trailers included
  std::size_t header_count = 100;
  std::size_t body_bytes = 1 << 20;
};

// What a message became. A request has no status, a response neither method nor target.
struct ParsedMessage {
  std::string method;
  std::string target;
  int status = 0;
  int http_minor = 1;  // of HTTP/1
  Headers headers;
  std::string body;
  bool keep_alive = false;
};

class Parser {
 public:
  enum class Kind { kRequest, kResponse };
  Parser(Kind kind, ParserLimits limits);
  Parser(Parser&&) noexcept;
  ~Parser();

  // Takes bytes, no further than the end of a message, and tells how many. After an error the connection
  // cannot be read on; status() is what a server answers then.
  Result<std::size_t> feed(std::string_view bytes);
  // The peer sends no more: completes a response that ends with the connection, and is an error within any
  // other message.
  Result<void> feed_end();

  // A message is all there: take() it before feeding more.
  bool complete() const;
  // Something of a message came.
  bool begun() const;
  // The headers are there and ask for "100 Continue" before the body comes. True once per message.
  bool take_expects_continue();
  // The next response answers HEAD: it has no body, whatever its headers say.
  void expect_no_body();
  ParsedMessage take();

  int status() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace stele::http
