// WebSocket (RFC 6455): the handshake, and frames to bytes and back. Pure.
//
// A connection is a sequence of bytes here, whatever frames they come in: what is in binary frames is handed
// on as it comes, unmasked, and nothing waits for a frame's end. No other data is taken [MQTT-6.0.0-1].
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/http/message.h"
#include "protocols/http/parser.h"

namespace stele::http {

enum class WebSocketOpcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

// Section 7.4.1; besides these a peer may send others that are registered, or its own.
enum class WebSocketClose : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnacceptable = 1003,
  kNone = 1005,  // never on the wire: there was no code
};

// ---- handshake (section 4) --------------------------------------------------------------------------------

// Which web pages may open a WebSocket. A page runs in a browser whose owner did not choose what it sends, on
// a machine that may reach more than its author can. Programs that are no browsers send no Origin, or that of
// the node.
struct OriginRules {
  std::vector<std::string> allowed;  // "https://example.com:8443" in lower case; "*": all
  // Clients have checked that the node has the name in Host. Without it a name proves nothing: its owner
  // chooses which address it stands for.
  bool name_is_proven = false;
};

// 101 and what Sec-WebSocket-Accept says; or the status that refuses it (400, 403, 426) and why.
struct WebSocketAnswer {
  int status = 101;
  std::string accept{};
  std::string_view protocol{};  // one of those that were known
  std::string why{};
};
// `known`: names of Sec-WebSocket-Protocol, the best first.
WebSocketAnswer answer_websocket(const ParsedMessage& request, std::span<const std::string_view> known,
                                 const OriginRules& origins);
void append_switching_protocols(std::string& out, const WebSocketAnswer& answer);

bool may_come_from(const Headers& headers, const OriginRules& rules);
// What the server makes of a Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);

// ---- frames (section 5) -----------------------------------------------------------------------------------

class WebSocketReader {
 public:
  // Whose frames these are. A client masks all of its own, a server none.
  enum class From : bool { kClient, kServer };
  explicit WebSocketReader(From from = From::kClient) : from_(from) {}

  enum class Event : std::uint8_t {
    kNone,
    kPing,   // to be answered with a pong that carries control()
    kClose,  // the peer ends it
    kError,  // no WebSocket, or none that is served
  };
  struct Step {
    std::size_t taken = 0;    // of `bytes`
    std::size_t payload = 0;  // of `into`, filled
    Event event = Event::kNone;
    // kClose: what the peer said. kError: what it is to be told.
    WebSocketClose code = WebSocketClose::kNone;
  };
  // Goes on to the end of `bytes`, until `into` (which is not empty) is full, or up to an event. After kClose
  // and kError everything is taken, and means nothing.
  Step feed(std::string_view bytes, std::span<char> into);
  // Valid until the next feed().
  std::string_view control() const { return {control_.data(), control_size_}; }

 private:
  std::size_t header_size() const;
  bool read_header(std::string_view& bytes, Step& step);
  bool begin_frame(Step& step);
  void end_control(Step& step);
  void end(Step& step, Event event, WebSocketClose code);

  std::uint64_t left_ = 0;  // of the frame's payload
  std::uint64_t done_ = 0;
  const From from_;
  WebSocketOpcode opcode_ = WebSocketOpcode::kBinary;
  bool in_frame_ = false;
  bool in_message_ = false;  // a fragmented one: continuations follow
  bool over_ = false;
  std::uint8_t header_have_ = 0;
  std::uint8_t control_size_ = 0;
  std::array<char, 14> header_{};
  std::array<char, 125> control_;  // payload of a control frame
};

using WebSocketMask = std::array<char, 4>;
// What precedes a payload of that size: one whole frame. With the mask of a client, or without.
void append_frame_header(std::string& out, WebSocketOpcode opcode, std::uint64_t size,
                         const WebSocketMask* mask = nullptr);
// To or from, which may be the same: the mask is its own inverse. `at`: how far into the payload they begin.
void apply_mask(char* to, const char* from, std::size_t size, const WebSocketMask& mask, std::uint64_t at);
// The payload of a close frame; empty for kNone.
std::string close_payload(WebSocketClose code);

}  // namespace stele::http
