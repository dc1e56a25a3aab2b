// Cuts a byte stream into frames as connections do, in pieces and partly read into place: the frames must be
// those of the stream in one piece. Byte 0: even MQTT, odd Kafka. Byte 1: the size of the pieces, 0 all at
// once; MQTT's input is paused between some of them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "protocols/kafka/frame.h"
#include "protocols/kafka/frame_reader.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/frame_input.h"

namespace {

using namespace stele;  // NOLINT: a program of its own

constexpr std::uint32_t kMaxFrameBytes = 1 << 15;

// The next piece of the stream: read into place where the reader wants that.
Bytes next_piece(std::string_view& rest, std::span<char> place, std::uint8_t size) {
  std::size_t take = size == 0 ? rest.size() : std::min<std::size_t>(size, rest.size());
  if (!place.empty()) {
    take = std::min(place.size(), rest.size());
    std::memcpy(place.data(), rest.data(), take);
  }
  const std::string_view piece = rest.substr(0, take);
  rest.remove_prefix(take);
  return place.empty() ? Bytes::copy(piece) : Bytes::literal({place.data(), take});
}

struct Cut {
  std::vector<std::string> frames;
  bool failed = false;
  friend bool operator==(const Cut&, const Cut&) = default;
};

Cut mqtt_in_pieces(std::string_view rest, std::uint8_t size, mqtt::InputBudget& budget) {
  using Status = mqtt::FrameResult::Status;
  Cut cut;
  mqtt::FrameInput input(budget);
  input.set_limits(kMaxFrameBytes, kMaxFrameBytes / 2);
  while (!rest.empty()) {
    input.feed(next_piece(rest, input.read_buffer(), size));
    if (size % 3 == 1 && !rest.empty() && input.read_buffer().empty()) {
      input.pause();
      input.feed(next_piece(rest, {}, size));
    }
    mqtt::FrameResult next = input.next();
    for (; next.status == Status::kFrame; next = input.next()) {
      const std::string_view block = input.block(), body = next.frame.body;
      STELE_ASSERT(body.empty() ||
                   (body.data() >= block.data() && body.data() + body.size() <= block.data() + block.size()));
      cut.frames.push_back(std::string(1, static_cast<char>(next.frame.first_byte)) +
                           std::string(next.frame.body));
    }
    if (next.status == Status::kError) {
      cut.failed = true;
      break;
    }
  }
  input.clear();
  STELE_ASSERT(input.idle() && budget.used == 0);
  return cut;
}

Cut kafka_in_pieces(std::string_view rest, std::uint8_t size) {
  Cut cut;
  kafka::FrameReader reader;
  while (!rest.empty() && !cut.failed) {
    reader.add(next_piece(rest, reader.read_buffer(), size));
    auto frame = reader.next(kMaxFrameBytes);
    for (; frame && *frame; frame = reader.next(kMaxFrameBytes)) cut.frames.emplace_back((*frame)->view());
    cut.failed = !frame;
  }
  return cut;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (data[0] % 2 == 1) {
    STELE_ASSERT(kafka_in_pieces(stream, data[1]) == kafka_in_pieces(stream, 0));
    return 0;
  }
  mqtt::InputBudget budget;
  const Cut whole = mqtt_in_pieces(stream, 0, budget);
  STELE_ASSERT(mqtt_in_pieces(stream, data[1], budget) == whole);
  budget.limit = 200;  // enough for small frames only
  const Cut poor = mqtt_in_pieces(stream, data[1], budget);
  STELE_ASSERT(poor.frames.size() <= whole.frames.size());
  STELE_ASSERT(std::equal(poor.frames.begin(), poor.frames.end(), whole.frames.begin()));
  return 0;
}
