#include "protocols/http/websocket.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace stele::http {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // section 1.3
constexpr std::uint8_t kFinal = 0x80, kReserved = 0x70, kMasked = 0x80;

bool is_control(WebSocketOpcode opcode) {
  return static_cast<std::uint8_t>(opcode) >= 8;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool same_but_for_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

// Calls `use` with each element of a header's list, over all fields of that name.
template <class Use>
void for_each_element(const Headers& headers, std::string_view name, Use&& use) {
  for (const auto& [field, value] : headers.fields()) {
    if (field != name) continue;
    std::string_view left = value;
    while (true) {
      const std::size_t comma = left.find(',');
      use(trimmed(left.substr(0, comma)));
      if (comma == std::string_view::npos) break;
      left.remove_prefix(comma + 1);
    }
  }
}

bool has_element(const Headers& headers, std::string_view name, std::string_view wanted) {
  bool found = false;
  for_each_element(headers, name,
                   [&](std::string_view element) { found |= same_but_for_case(element, wanted); });
  return found;
}

// Base64 of 16 bytes.
bool is_key(std::string_view key) {
  if (key.size() != 24 || !key.ends_with("==")) return false;
  return std::ranges::all_of(key.substr(0, 22), [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '+' || c == '/';
  });
}

std::string_view choose(const Headers& headers, std::span<const std::string_view> known) {
  for (const std::string_view protocol : known) {
    bool offered = false;
    for_each_element(headers, "sec-websocket-protocol",
                     [&](std::string_view element) { offered |= element == protocol; });
    if (offered) return protocol;
  }
  return {};
}

// An address, or the name that every machine has for itself: nobody else can give them another meaning.
bool means_one_host(std::string_view host) {
  if (host.starts_with('[')) return true;
  host = host.substr(0, host.rfind(':'));
  return same_but_for_case(host, "localhost") || (!host.empty() && std::ranges::all_of(host, [](char c) {
           return c == '.' || (c >= '0' && c <= '9');
         }));
}

// Section 7.4.2.
bool may_be_sent(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

std::uint8_t byte(char c) {
  return static_cast<std::uint8_t>(c);
}

}  // namespace

// ---- handshake ------------------------------------------------------------------------------------------

bool may_come_from(const Headers& headers, const OriginRules& rules) {
  const std::string* header = headers.find("origin");
  if (!header) return true;
  if (headers.count("origin") > 1) return false;
  std::string origin(trimmed(*header));
  std::ranges::transform(origin, origin.begin(), lower);
  for (const std::string& allowed : rules.allowed) {
    if (allowed == "*" || allowed == origin) return true;
  }
  const std::string* host = headers.find("host");
  const std::size_t scheme = origin.find("://");
  if (!host || scheme == std::string::npos) return false;
  const std::string_view of_page = std::string_view(origin).substr(scheme + 3);
  return same_but_for_case(of_page, trimmed(*host)) && (rules.name_is_proven || means_one_host(of_page));
}

std::string websocket_accept(std::string_view key) {
  std::string text(key);
  text.append(kGuid);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const int done = EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  STELE_ASSERT(done == 1 && size == 20);
  std::array<unsigned char, 32> encoded{};
  const int length = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length)};
}

WebSocketAnswer answer_websocket(const ParsedMessage& request, std::span<const std::string_view> known,
                                 const OriginRules& origins) {
  const Headers& headers = request.headers;
  const auto refused = [](int status, std::string why) {
    return WebSocketAnswer{.status = status, .why = std::move(why)};
  };
  if (!has_element(headers, "upgrade", "websocket")) {
    return refused(426, "here is a WebSocket, and the request has no 'Upgrade: websocket'");
  }
  if (request.method != "GET" || request.http_minor < 1) {
    return refused(400, "a WebSocket begins with GET of HTTP/1.1");
  }
  if (!has_element(headers, "connection", "upgrade")) {
    return refused(400, "'Connection' lacks 'Upgrade': a proxy may have dropped it");
  }
  if (!headers.find("host")) return refused(400, "there is no Host");
  const std::string* version = headers.find("sec-websocket-version");
  if (!version || trimmed(*version) != "13") return refused(426, "Sec-WebSocket-Version is not 13");
  const std::string* key = headers.find("sec-websocket-key");
  if (!key || headers.count("sec-websocket-key") != 1 || !is_key(trimmed(*key))) {
    return refused(400, "Sec-WebSocket-Key is not 16 bytes in base64");
  }
  const std::string_view protocol = choose(headers, known);
  if (protocol.empty()) {
    return refused(400, "Sec-WebSocket-Protocol lacks '" + std::string(known.front()) + "'");
  }
  if (!may_come_from(headers, origins)) {
    return refused(403, "web pages of this Origin may not: --websocket-origin names those that may");
  }
  return {.accept = websocket_accept(trimmed(*key)), .protocol = protocol};
}

void append_switching_protocols(std::string& out, const WebSocketAnswer& answer) {
  STELE_ASSERT(answer.status == 101);
  out.append("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n");
  out.append("sec-websocket-accept: ").append(answer.accept);
  out.append("\r\nsec-websocket-protocol: ").append(answer.protocol).append("\r\n\r\n");
}

// ---- frames that come -----------------------------------------------------------------------------------

std::size_t WebSocketReader::header_size() const {
  if (header_have_ < 2) return 2;
  const std::uint8_t length = byte(header_[1]) & 0x7F;
  return 2 + (length == 126 ? 2u : length == 127 ? 8u : 0u) + (from_ == From::kClient ? 4u : 0u);
}

void WebSocketReader::end(Step& step, Event event, WebSocketClose code) {
  over_ = true;
  step.event = event;
  step.code = code;
}

// False: it needs more, or there is something wrong with it.
bool WebSocketReader::read_header(std::string_view& bytes, Step& step) {
  while (header_have_ < header_size() && !bytes.empty()) {
    header_[header_have_++] = bytes.front();
    bytes.remove_prefix(1);
    // Section 5.1; before a length that means nothing is waited for.
    if (header_have_ == 2 && ((byte(header_[1]) & kMasked) != 0) != (from_ == From::kClient)) {
      end(step, Event::kError, WebSocketClose::kProtocolError);
      return false;
    }
  }
  return header_have_ == header_size() && begin_frame(step);
}

// The header is complete. False: it is wrong.
bool WebSocketReader::begin_frame(Step& step) {
  const auto wrong = [&](WebSocketClose code) {
    end(step, Event::kError, code);
    return false;
  };
  const std::size_t length_bytes = header_size() - 2 - (from_ == From::kClient ? 4 : 0);
  left_ = byte(header_[1]) & 0x7F;
  if (length_bytes > 0) {
    left_ = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) left_ = left_ << 8 | byte(header_[2 + i]);
    // In as few bytes as it takes (section 5.2).
    if (left_ <= (length_bytes == 2 ? 125U : 65535U) || left_ >> 63)
      return wrong(WebSocketClose::kProtocolError);
  }
  if (byte(header_[0]) & kReserved) return wrong(WebSocketClose::kProtocolError);
  const auto opcode = static_cast<WebSocketOpcode>(byte(header_[0]) & 0x0F);
  const bool final = byte(header_[0]) & kFinal;
  if (is_control(opcode)) {
    if (opcode > WebSocketOpcode::kPong || !final || left_ > control_.size()) {  // section 5.5
      return wrong(WebSocketClose::kProtocolError);
    }
  } else {
    const bool continues = opcode == WebSocketOpcode::kContinuation;
    if (continues != in_message_ || opcode > WebSocketOpcode::kBinary)
      return wrong(WebSocketClose::kProtocolError);
    if (opcode == WebSocketOpcode::kText) return wrong(WebSocketClose::kUnacceptable);  // [MQTT-6.0.0-1]
    in_message_ = !final;
  }
  opcode_ = opcode;
  done_ = 0;
  control_size_ = 0;
  in_frame_ = true;
  return true;
}

void WebSocketReader::end_control(Step& step) {
  if (opcode_ == WebSocketOpcode::kPing) step.event = Event::kPing;
  if (opcode_ != WebSocketOpcode::kClose) return;
  if (control_size_ == 0) return end(step, Event::kClose, WebSocketClose::kNone);
  const auto code = static_cast<std::uint16_t>(byte(control_[0]) << 8 | byte(control_[1]));
  if (control_size_ < 2 || !may_be_sent(code))
    return end(step, Event::kError, WebSocketClose::kProtocolError);
  end(step, Event::kClose, static_cast<WebSocketClose>(code));
}

WebSocketReader::Step WebSocketReader::feed(std::string_view bytes, std::span<char> into) {
  STELE_ASSERT(!into.empty());
  Step step;
  const std::size_t given = bytes.size();
  while (!over_ && step.event == Event::kNone) {
    if (!in_frame_ && !read_header(bytes, step)) break;
    const bool control = is_control(opcode_);
    char* const to = control ? control_.data() + control_size_ : into.data() + step.payload;
    const std::size_t room = control ? control_.size() - control_size_ : into.size() - step.payload;
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, std::min(bytes.size(), room)));
    if (from_ == From::kClient) {
      WebSocketMask mask;
      std::memcpy(mask.data(), header_.data() + header_have_ - mask.size(), mask.size());
      apply_mask(to, bytes.data(), take, mask, done_);
    } else if (take > 0) {
      std::memcpy(to, bytes.data(), take);
    }
    if (control) {
      control_size_ = static_cast<std::uint8_t>(control_size_ + take);
    } else {
      step.payload += take;
    }
    bytes.remove_prefix(take);
    left_ -= take;
    done_ += take;
    if (left_ > 0) break;  // no more bytes, or no more room
    in_frame_ = false;
    header_have_ = 0;
    if (control) end_control(step);
  }
  step.taken = over_ ? given : given - bytes.size();
  return step;
}

// ---- frames that go -------------------------------------------------------------------------------------

void append_frame_header(std::string& out, WebSocketOpcode opcode, std::uint64_t size,
                         const WebSocketMask* mask) {
  out.push_back(static_cast<char>(kFinal | static_cast<std::uint8_t>(opcode)));
  const int bytes = size <= 125 ? 0 : size <= 65535 ? 2 : 8;
  const auto length = static_cast<std::uint8_t>(bytes == 0 ? size : bytes == 2 ? 126 : 127);
  out.push_back(static_cast<char>(length | (mask ? kMasked : 0)));
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(size >> (8 * i) & 0xFF));
  if (mask) out.append(mask->data(), mask->size());
}

void apply_mask(char* to, const char* from, std::size_t size, const WebSocketMask& mask, std::uint64_t at) {
  std::array<char, 8> turned;
  for (std::size_t i = 0; i < turned.size(); ++i) turned[i] = mask[(at + i) % mask.size()];
  std::uint64_t by = 0;
  std::memcpy(&by, turned.data(), sizeof by);
  std::size_t done = 0;
  for (; done + sizeof by <= size; done += sizeof by) {
    std::uint64_t word = 0;
    std::memcpy(&word, from + done, sizeof word);
    word ^= by;
    std::memcpy(to + done, &word, sizeof word);
  }
  for (; done < size; ++done) to[done] = static_cast<char>(from[done] ^ turned[done % turned.size()]);
}

std::string close_payload(WebSocketClose code) {
  if (code == WebSocketClose::kNone) return {};
  const auto value = static_cast<std::uint16_t>(code);
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xFF)};
}

}  // namespace stele::http
