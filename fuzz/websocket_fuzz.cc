// WebSocket: the handshake, and frames of both sides. The first byte of the input says which.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "protocols/http/parser.h"
#include "protocols/http/websocket.h"

namespace {

using namespace stele;
using namespace stele::http;

struct Read {
  std::string payload;
  std::string events;  // pings, and how it ended
  bool operator==(const Read&) const = default;
};

// In pieces of at most `piece` bytes, into at most `room`.
Read read(std::string_view bytes, std::size_t piece, std::size_t room, WebSocketReader::From from) {
  WebSocketReader reader(from);
  Read all;
  std::array<char, 4096> into;
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    while (!part.empty()) {
      const auto step = reader.feed(part, std::span(into).first(room));
      STELE_ASSERT(step.taken <= part.size() && step.payload <= room);
      STELE_ASSERT(step.taken > 0);
      STELE_ASSERT(reader.control().size() <= 125);
      all.payload.append(into.data(), step.payload);
      if (step.event == WebSocketReader::Event::kPing) {
        all.events.append("ping ")
            .append(reader.control())
            .append(" at ")
            .append(std::to_string(all.payload.size()));
      } else if (step.event != WebSocketReader::Event::kNone) {
        all.events.append(std::to_string(static_cast<int>(step.event)))
            .append(std::to_string(static_cast<int>(step.code)));
      }
      part.remove_prefix(step.taken);
    }
  }
  return all;
}

// What is made of frames does not depend on how they come.
void frames(std::string_view input, WebSocketReader::From from) {
  if (input.size() < 2) return;
  const auto piece = 1 + static_cast<std::uint8_t>(input[0]) % 64,
             room = 1 + static_cast<std::uint8_t>(input[1]);
  input.remove_prefix(2);
  const Read whole = read(input, SIZE_MAX, 4096, from);
  STELE_ASSERT(whole.payload.size() <= input.size());
  STELE_ASSERT(whole == read(input, static_cast<std::size_t>(piece), static_cast<std::size_t>(room), from));
}

void handshake(std::string_view input) {
  Parser parser(Parser::Kind::kRequest, {});
  while (!input.empty()) {
    const auto taken = parser.feed(input);
    if (!taken) return;
    input.remove_prefix(*taken);
    if (!parser.complete()) return;
    constexpr std::string_view kKnown[] = {"mqtt"};
    const OriginRules rules{.allowed = {"https://app.example"}};
    const WebSocketAnswer answer = answer_websocket(parser.take(), kKnown, rules);
    STELE_ASSERT((answer.status == 101) == answer.why.empty());
    if (answer.status != 101) continue;
    STELE_ASSERT(answer.protocol == "mqtt" && answer.accept.size() == 28);
    std::string out;
    append_switching_protocols(out, answer);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 8192) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'c':
      frames(input, WebSocketReader::From::kClient);
      break;
    case 's':
      frames(input, WebSocketReader::From::kServer);
      break;
    default:
      handshake(input);
      break;
  }
  return 0;
}
