#include "protocols/http/message.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace stele::http {
namespace {

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

bool percent_decode(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const auto high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (!high || !low) return false;
    out.push_back(static_cast<char>(*high << 4 | *low));
    i += 2;
  }
  return true;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

const std::string* Headers::find(std::string_view name) const {
  const auto at =
      std::ranges::find(fields_, name, [](const auto& field) -> const auto& { return field.first; });
  return at == fields_.end() ? nullptr : &at->second;
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count(fields_, name, [](const auto& field) -> const auto& { return field.first; }));
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "";
  }
}

void append_response(std::string& out, const Response& response, bool keep_alive, bool with_body) {
  out.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  out.append(reason_phrase(response.status)).append("\r\n");
  if (response.status != 204) {
    append_field(out, "content-type", response.content_type);
    append_field(out, "content-length", std::to_string(response.body.size()));
  }
  for (const auto& [name, value] : response.headers.fields()) append_field(out, name, value);
  append_field(out, "connection", keep_alive ? "keep-alive" : "close");
  out.append("\r\n");
  if (with_body && response.status != 204) out.append(response.body);
}

void append_request(std::string& out, const Request& request, std::string_view host) {
  out.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  append_field(out, "host", host);
  for (const auto& [name, value] : request.headers.fields()) append_field(out, name, value);
  if (!request.body.empty()) append_field(out, "content-length", std::to_string(request.body.size()));
  append_field(out, "connection", request.keep_alive ? "keep-alive" : "close");
  out.append("\r\n").append(request.body);
}

bool split_path(std::string_view target, std::vector<std::string>& segments) {
  segments.clear();
  target = target.substr(0, target.find_first_of("?#"));
  if (!target.starts_with('/')) return false;
  target.remove_prefix(1);
  while (true) {
    const std::size_t slash = target.find('/');
    if (!percent_decode(target.substr(0, slash), segments.emplace_back())) return false;
    if (slash == std::string_view::npos) return true;
    target.remove_prefix(slash + 1);
  }
}

std::string escape_segment(std::string_view segment) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : segment) {
    const auto byte = static_cast<std::uint8_t>(c);
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
        c == '.' || c == '~') {
      out.push_back(c);
    } else {
      out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return out;
}

}  // namespace stele::http
