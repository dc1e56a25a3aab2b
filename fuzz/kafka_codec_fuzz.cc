// Feeds arbitrary bytes to the Kafka codec. The first byte chooses the side:
//   even: the rest is what a client sent, frame after frame
//   odd:  API key, version, then the body of a response
// What decodes must encode, and decode to the same message again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/assert.h"
#include "base/bytes.h"
#include "protocols/kafka/all_messages.h"
#include "protocols/kafka/codec.h"
#include "protocols/kafka/frame.h"

namespace {

using namespace stele;         // NOLINT: a program of its own
using namespace stele::kafka;  // NOLINT

constexpr std::size_t kMaxFrameBytes = 1 << 20;

void check_request(std::int16_t key, std::int16_t version, std::string_view body) {
  for_each_message([&]<class Message>(std::type_identity<Message>) {
    if constexpr (Message::kIsRequest) {
      if (static_cast<std::int16_t>(Message::kApi) != key) return;
      auto message = decode<Message>(body, version);
      if (!message) return;
      std::string wire;
      STELE_ASSERT(append_request(wire, 1, version, "fuzz", *message));
      auto request = parse_request(std::string_view(wire).substr(kLengthBytes));
      STELE_ASSERT(request && request->header.version == version);
      auto again = decode<Message>(request->body, version);
      STELE_ASSERT(again && *again == *message);
    }
  });
}

void check_response(std::int16_t key, std::int16_t version, std::string_view body) {
  for_each_message([&]<class Message>(std::type_identity<Message>) {
    if constexpr (!Message::kIsRequest) {
      if (static_cast<std::int16_t>(Message::kApi) != key) return;
      auto message = decode_shared<Message>(Bytes::copy(body), version);
      if (!message) return;
      std::string wire;
      STELE_ASSERT(append_response(wire, 1, version, *message));
      auto slices = response_slices(1, version, *message);
      STELE_ASSERT(slices);
      std::string joined;
      for (const Bytes& slice : *slices) joined.append(slice.view());
      STELE_ASSERT(joined == wire);
      auto response = parse_response(std::string_view(wire).substr(kLengthBytes), Message::kApi, version);
      STELE_ASSERT(response && response->correlation_id == 1);
      auto again = decode<Message>(response->body, version);
      STELE_ASSERT(again && *again == *message);
    }
  });
}

void check_stream(std::string_view input) {
  while (true) {
    auto frame = next_frame(input, kMaxFrameBytes);
    if (!frame || !*frame) return;
    input.remove_prefix(kLengthBytes + (*frame)->size());
    auto request = parse_request(**frame);
    if (request) check_request(request->header.api_key, request->header.version, request->body);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  bool from_client = input[0] % 2 == 0;
  input.remove_prefix(1);
  if (from_client) {
    check_stream(input);
  } else if (input.size() >= 2) {
    check_response(input[0], input[1], input.substr(2));
    if (input[0] == static_cast<char>(ApiKey::kApiVersions)) {
      (void)decode_api_versions_response(input.substr(2), input[1]);
    }
  }
  return 0;
}
