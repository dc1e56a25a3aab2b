#include "protocols/http/websocket.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace stele::http {
namespace {

using namespace std::string_literals;
using Event = WebSocketReader::Event;
using From = WebSocketReader::From;

// ---- handshake ------------------------------------------------------------------------------------------

using Fields = std::vector<std::pair<std::string, std::string>>;

// The request of section 1.3; a field of `changed` replaces the one of that name, an empty one takes it away.
ParsedMessage request(const Fields& changed = {}) {
  const Fields whole = {
      {"host", "server.example.com"},           {"upgrade", "WebSocket"},
      {"connection", "keep-alive, Upgrade"},    {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="},
      {"sec-websocket-protocol", "chat, mqtt"}, {"sec-websocket-version", "13"}};
  ParsedMessage made;
  made.method = "GET";
  std::set<std::string> replaced;
  for (const auto& [name, value] : changed) {
    if (!value.empty()) made.headers.add(name, value);
    replaced.insert(name);
  }
  for (const auto& [name, value] : whole) {
    if (!replaced.contains(name)) made.headers.add(name, value);
  }
  return made;
}
constexpr std::string_view kKnown[] = {"mqtt", "mqttv3.1"};
int status(const ParsedMessage& asked, const OriginRules& origins = {}) {
  const WebSocketAnswer answer = answer_websocket(asked, kKnown, origins);
  EXPECT_EQ(answer.why.empty(), answer.status == 101);
  EXPECT_EQ(answer.accept.empty(), answer.status != 101);
  return answer.status;
}

TEST(WebSocket, Handshake) {
  const WebSocketAnswer answer = answer_websocket(request(), kKnown, {});
  EXPECT_EQ(answer.status, 101);
  EXPECT_EQ(answer.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(answer.protocol, "mqtt");
  std::string out;
  append_switching_protocols(out, answer);
  EXPECT_EQ(out,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: mqtt\r\n\r\n");
  EXPECT_EQ(answer_websocket(request({{"sec-websocket-protocol", "mqttv3.1,MQTT"}}), kKnown, {}).protocol,
            "mqttv3.1");
}

// Section 4.2.1; [MQTT-6.0.0-3].
TEST(WebSocket, HandshakesThatAreRefused) {
  EXPECT_EQ(status(request({{"upgrade", ""}})), 426);
  EXPECT_EQ(status(request({{"upgrade", "h2c"}})), 426);
  EXPECT_EQ(status(request({{"upgrade", "h2c"}, {"upgrade", "websocket"}})), 101);
  EXPECT_EQ(status(request({{"connection", ""}})), 400);
  EXPECT_EQ(status(request({{"connection", "close"}})), 400);
  EXPECT_EQ(status(request({{"host", ""}})), 400);
  EXPECT_EQ(status(request({{"sec-websocket-version", ""}})), 426);
  EXPECT_EQ(status(request({{"sec-websocket-version", "8"}})), 426);
  EXPECT_EQ(status(request({{"sec-websocket-key", ""}})), 400);
  for (const char* key : {"too short==", "dGhlIHNhbXBsZSBub25jZQ=A", "dGhlIHNhbXBsZSBub25j*Q=="}) {
    EXPECT_EQ(status(request({{"sec-websocket-key", key}})), 400) << key;
  }
  const std::string key = "dGhlIHNhbXBsZSBub25jZQ==";
  EXPECT_EQ(status(request({{"sec-websocket-key", key}, {"sec-websocket-key", key}})), 400);
  EXPECT_EQ(status(request({{"sec-websocket-protocol", ""}})), 400);
  EXPECT_EQ(status(request({{"sec-websocket-protocol", "amqp, mqtt5"}})), 400);
  ParsedMessage post = request();
  post.method = "POST";
  EXPECT_EQ(status(post), 400);
  ParsedMessage old = request();
  old.http_minor = 0;
  EXPECT_EQ(status(old), 400);
}

TEST(WebSocket, Origins) {
  const auto may = [](const char* origin, const char* host, const OriginRules& rules = {}) {
    const int got = status(request({{"origin", origin}, {"host", host}}), rules);
    EXPECT_TRUE(got == 101 || got == 403) << got;
    return got == 101;
  };
  // A page of the node's own.
  EXPECT_TRUE(may("http://127.0.0.1:8080", "127.0.0.1:8080"));
  EXPECT_TRUE(may("https://LocalHost:8080", "localhost:8080"));
  EXPECT_TRUE(may("http://[::1]:8080", "[::1]:8080"));
  EXPECT_TRUE(may("http://127.0.0.1", "127.0.0.1"));
  EXPECT_FALSE(may("http://127.0.0.1:3000", "127.0.0.1:8080"));
  EXPECT_FALSE(may("http://evil.example", "127.0.0.1:8080"));
  EXPECT_FALSE(may("null", "127.0.0.1:8080"));
  EXPECT_FALSE(may("127.0.0.1:8080", "127.0.0.1:8080"));
  // A name that its owner has turned to this machine, unless clients have seen that it is the node's.
  EXPECT_FALSE(may("http://evil.example:8080", "evil.example:8080"));
  EXPECT_FALSE(may("http://127.0.0.1.evil.example", "127.0.0.1.evil.example"));
  EXPECT_TRUE(
      may("https://broker.example:8443", "broker.example:8443", {.allowed = {}, .name_is_proven = true}));
  EXPECT_FALSE(may("https://evil.example", "broker.example:8443", {.allowed = {}, .name_is_proven = true}));
  // Those that are named.
  const OriginRules rules{.allowed = {"https://app.example"}};
  EXPECT_TRUE(may("https://App.example", "127.0.0.1:8080", rules));
  EXPECT_FALSE(may("http://app.example", "127.0.0.1:8080", rules));
  EXPECT_FALSE(may("https://app.example.evil", "127.0.0.1:8080", rules));
  EXPECT_TRUE(may("null", "127.0.0.1:8080", {.allowed = {"*"}}));
  EXPECT_EQ(
      status(request(
          {{"origin", "http://127.0.0.1:1"}, {"origin", "http://127.0.0.1:1"}, {"host", "127.0.0.1:1"}})),
      403);
}

// ---- frames ---------------------------------------------------------------------------------------------

constexpr WebSocketMask kMask = {0x37, '\xfa', 0x21, 0x3d};

// A frame with any first byte.
std::string frame(std::uint8_t first, std::string_view payload, const WebSocketMask* mask = &kMask) {
  std::string out;
  append_frame_header(out, WebSocketOpcode::kBinary, payload.size(), mask);
  out[0] = static_cast<char>(first);
  const std::size_t begin = out.size();
  out.append(payload);
  if (mask) apply_mask(out.data() + begin, payload.data(), payload.size(), *mask, 0);
  return out;
}

struct Read {
  std::string payload{};
  std::vector<std::string> pings{};
  std::optional<WebSocketClose> closed{}, error{};
  bool operator==(const Read&) const = default;
};

// Fed in pieces, into buffers, of at most such sizes.
Read read(std::string_view bytes, std::size_t piece = SIZE_MAX, std::size_t room = 1 << 17,
          From from = From::kClient) {
  WebSocketReader reader(from);
  Read all;
  std::vector<char> into(room);
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    while (!part.empty()) {
      const WebSocketReader::Step step = reader.feed(part, into);
      EXPECT_LE(step.payload, into.size());
      EXPECT_TRUE(step.taken > 0 || step.payload > 0);
      all.payload.append(into.data(), step.payload);
      if (step.event == Event::kPing) all.pings.emplace_back(reader.control());
      if (step.event == Event::kClose) all.closed = step.code;
      if (step.event == Event::kError) all.error = step.code;
      part.remove_prefix(step.taken);
    }
  }
  return all;
}

// The examples of section 5.7, as binary.
TEST(WebSocket, Frames) {
  EXPECT_EQ(read("\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58").payload, "Hello");
  EXPECT_EQ(read("\x02\x03Hel\x80\x02lo", SIZE_MAX, 100, From::kServer).payload, "Hello");
  const std::string fragmented = frame(0x02, "Hel") + frame(0x89, "p") + frame(0x00, "") + frame(0x80, "lo");
  EXPECT_EQ(read(fragmented), (Read{.payload = "Hello", .pings = {"p"}}));
  EXPECT_EQ(read(frame(0x8A, "unasked") + frame(0x82, "x")), (Read{.payload = "x"}));
  EXPECT_EQ(read(frame(0x82, "") + frame(0x82, "x")), (Read{.payload = "x"}));
  const std::string large(70'000, 'x');
  EXPECT_EQ(read(frame(0x82, large) + frame(0x82, large.substr(0, 300))).payload.size(), 70'300u);
}

// Section 5.5.1: behind it nothing counts.
TEST(WebSocket, Close) {
  EXPECT_EQ(read(frame(0x88, "")), (Read{.closed = WebSocketClose::kNone}));
  EXPECT_EQ(read(frame(0x88,
                       "\x03\xe9"
                       "bye") +
                 frame(0x82, "behind")),
            (Read{.closed = WebSocketClose::kGoingAway}));
  EXPECT_EQ(read(frame(0x88, "\x0f\xa0")).closed, WebSocketClose{4000});
}

TEST(WebSocket, WhatIsNoFrame) {
  const auto wrong = [](std::string bytes) {
    const Read got = read(bytes + frame(0x82, "behind"));
    EXPECT_EQ(got, read(bytes, 1));
    return got.error;
  };
  EXPECT_EQ(wrong("\x82\x05Hello"), WebSocketClose::kProtocolError);  // not masked (section 5.1)
  EXPECT_EQ(wrong(frame(0xC2, "x")), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0xA2, "x")), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0x92, "x")), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0x83, "x")), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0x8B, "x")), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0x81, "x")), WebSocketClose::kUnacceptable);  // [MQTT-6.0.0-1]
  EXPECT_EQ(wrong(frame(0x01, "")), WebSocketClose::kUnacceptable);
  EXPECT_EQ(wrong(frame(0x80, "x")), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0x02, "x") + frame(0x82, "y")), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0x02, "x") + frame(0x81, "y")), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0x09, "x")), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0x89, std::string(126, 'x'))), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong(frame(0x88, "x")), WebSocketClose::kProtocolError);
  for (const char* code :
       {"\x03\xe7", "\x03\xec", "\x03\xed", "\x03\xee", "\x03\xf7", "\x0b\xb7", "\x13\x88"}) {
    EXPECT_EQ(wrong(frame(0x88, std::string(code, 2))), WebSocketClose::kProtocolError);
  }
  EXPECT_EQ(wrong("\x82\xFE\x00\x05????"s), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong("\x82\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF????"s), WebSocketClose::kProtocolError);
  EXPECT_EQ(wrong("\x82\xFF\x80\x00\x00\x00\x00\x01\x00\x00????"s), WebSocketClose::kProtocolError);
  EXPECT_EQ(read(frame(0x82, "masked"), SIZE_MAX, 100, From::kServer).error, WebSocketClose::kProtocolError);
}

// Any size is announced and none is waited for.
TEST(WebSocket, NothingWaitsForTheEndOfAFrame) {
  WebSocketReader reader;
  char into[100];
  const std::string begun = "\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x01\x01\x01`cb"s;
  const auto step = reader.feed(begun, into);
  EXPECT_EQ(std::string_view(into, step.payload), "abc");
  EXPECT_EQ(step.taken, begun.size());
  EXPECT_EQ(step.event, Event::kNone);
}

TEST(WebSocket, FramesThatGo) {
  const auto header = [](std::uint64_t size, const WebSocketMask* mask = nullptr) {
    std::string out;
    append_frame_header(out, WebSocketOpcode::kBinary, size, mask);
    return out;
  };
  EXPECT_EQ(header(5), "\x82\x05"s);
  EXPECT_EQ(header(125), "\x82\x7D"s);
  EXPECT_EQ(header(126), "\x82\x7E\x00\x7E"s);
  EXPECT_EQ(header(65535), "\x82\x7E\xFF\xFF"s);
  EXPECT_EQ(header(65536), "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"s);
  EXPECT_EQ(header(5, &kMask), "\x82\x85\x37\xfa\x21\x3d"s);
  EXPECT_EQ(close_payload(WebSocketClose::kNormal), "\x03\xE8"s);
  EXPECT_EQ(close_payload(WebSocketClose::kNone), "");
}

rc::Gen<WebSocketMask> masks() {
  return rc::gen::container<WebSocketMask>(rc::gen::arbitrary<char>());
}

// The same as byte by byte (section 5.3), in place or not, from anywhere in the payload; and its own inverse.
RC_GTEST_PROP(WebSocket, Masks, ()) {
  const std::string text = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  const WebSocketMask mask = *masks();
  const std::uint64_t at = *rc::gen::inRange(0, 20);
  std::string wanted = text;
  for (std::size_t i = 0; i < text.size(); ++i) wanted[i] = static_cast<char>(text[i] ^ mask[(at + i) % 4]);
  std::string got(text.size(), '\0');
  apply_mask(got.data(), text.data(), text.size(), mask, at);
  RC_ASSERT(got == wanted);
  apply_mask(got.data(), got.data(), got.size(), mask, at);
  RC_ASSERT(got == text);
}

// However a message is cut into frames, the frames into pieces, and the room for what is in them, its bytes
// come out in order.
RC_GTEST_PROP(WebSocket, BytesComeOutAsTheyWentIn, ()) {
  const bool client = *rc::gen::arbitrary<bool>();
  std::string bytes;
  Read wanted;
  bool within = false;
  const int frames = *rc::gen::inRange(0, 12);
  for (int i = 0; i < frames; ++i) {
    std::string payload = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
    const WebSocketMask mask = *masks();
    const WebSocketMask* masked = client ? &mask : nullptr;
    if (*rc::gen::inRange(0, 4) == 0) {
      payload.resize(std::min<std::size_t>(payload.size(), 125));
      bytes += frame(0x89, payload, masked);
      wanted.pings.push_back(payload);
      continue;
    }
    if (*rc::gen::inRange(0, 8) == 0) payload.append(*rc::gen::element(130, 70'000), 'x');
    const bool final = *rc::gen::arbitrary<bool>();
    bytes += frame(static_cast<std::uint8_t>((final ? 0x80 : 0) | (within ? 0 : 2)), payload, masked);
    within = !final;
    wanted.payload += payload;
  }
  RC_ASSERT(read(bytes, *rc::gen::inRange<std::size_t>(1, 200), *rc::gen::inRange<std::size_t>(1, 200),
                 client ? From::kClient : From::kServer) == wanted);
}

// Whatever comes, what is made of it does not depend on how it is cut.
RC_GTEST_PROP(WebSocket, PiecesDoNotMatter, ()) {
  std::string bytes = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 9) {
    bytes[i] = static_cast<char>(*rc::gen::element(0x82, 0x02, 0x80, 0x89, 0x88));
    bytes[i + 1] = static_cast<char>(0x80 | (bytes[i + 1] & 3));
  }
  RC_ASSERT(read(bytes) ==
            read(bytes, *rc::gen::inRange<std::size_t>(1, 5), *rc::gen::inRange<std::size_t>(1, 5)));
}

}  // namespace
}  // namespace stele::http
