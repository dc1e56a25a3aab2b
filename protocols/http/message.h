// HTTP/1.1 messages (RFC 9112) as values. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stele::http {

// Names in lower case, in the order in which they came.
class Headers {
 public:
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  // The first one of that name (given in lower case); null if there is none.
  const std::string* find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method;
  std::string target;
  Headers headers = {};
  std::string body = {};
  bool keep_alive = true;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  Headers headers = {};  // besides content-type, content-length and connection
};

// "Not Found"; empty for a status that is not used here.
std::string_view reason_phrase(int status);

// Appends the whole response. `with_body` false: the answer to HEAD, which tells the length only.
void append_response(std::string& out, const Response& response, bool keep_alive, bool with_body);
// `host` goes into the Host header.
void append_request(std::string& out, const Request& request, std::string_view host);

// The path of a target, cut at the slashes and percent-decoded: "/v1/topics/a%2Eb?x" is {"v1", "topics",
// "a.b"}. Nothing if it does not begin with a slash or has a bad escape.
bool split_path(std::string_view target, std::vector<std::string>& segments);
// The reverse for one segment.
std::string escape_segment(std::string_view segment);

}  // namespace stele::http
