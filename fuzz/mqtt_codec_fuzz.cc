// Feeds a byte stream to the MQTT decoder as a connection does. The first byte names the version, as CONNECT
// does (3, 4 or 5; anything else is 3.1.1). What decodes must encode, and decode again to the same packet.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/assert.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/topic.h"

namespace stele::mqtt {
namespace {

constexpr std::uint32_t kMaxPacketSize = 1 << 20;

void check_publish(const Publish& publish, Version version, std::string_view encoded) {
  std::size_t read = 0;
  for (const UserProperty user : publish.properties.user_properties)
    read += 5 + user.name.size() + user.value.size();
  STELE_ASSERT(read == publish.properties.user_properties.encoded_size());
  for (const std::uint32_t id : publish.subscription_ids) STELE_ASSERT(id > 0);
  std::string header_bytes;
  const PublishHeader header = encode_publish_header(header_bytes, publish, version, publish.payload.size());
  STELE_ASSERT(header.ok);
  STELE_ASSERT(header_bytes + std::string(publish.payload) == encoded);
  STELE_ASSERT(encoded_publish_size(publish, version, publish.payload.size()) == encoded.size());
  std::string other;  // the other version must take it as well, if an alias does not stand for the topic
  const Version other_version = version == Version::kV5 ? Version::kV311 : Version::kV5;
  STELE_ASSERT(encode(other, publish, other_version));
  if (!publish.topic.empty()) {
    STELE_ASSERT(decode_publish(next_frame(other, UINT32_MAX).frame, other_version).has_value());
  }
}

void check_frame(const Frame& frame, Version version) {
  (void)peek_connect_version(frame);
  const auto packet = decode(frame, version);
  if (!packet) {
    STELE_ASSERT(is_error(packet.error().reason));
    STELE_ASSERT(!packet.error().what.empty());
    return;
  }
  std::string encoded;
  STELE_ASSERT(encode(encoded, *packet, version));
  const FrameResult result = next_frame(encoded, UINT32_MAX);
  STELE_ASSERT(result.status == FrameResult::Status::kFrame);
  STELE_ASSERT(result.frame.total_size == encoded.size());
  STELE_ASSERT(encoded.size() <= frame.total_size);
  const auto again = decode(result.frame, version);
  STELE_ASSERT(again.has_value());
  STELE_ASSERT(*again == *packet);
  if (const auto* publish = std::get_if<Publish>(&*packet)) check_publish(*publish, version, encoded);
  if (const auto* subscribe = std::get_if<Subscribe>(&*packet)) {
    for (const Subscription& s : subscribe->subscriptions) (void)matches(s.filter, "a/b/c");
  }
}

void run(std::string_view input) {
  if (input.empty()) return;
  const Version version = input[0] == 5 ? Version::kV5 : input[0] == 3 ? Version::kV31 : Version::kV311;
  input.remove_prefix(1);
  for (;;) {
    const FrameResult result = next_frame(input, kMaxPacketSize);
    if (result.status != FrameResult::Status::kFrame) return;
    STELE_ASSERT(result.frame.total_size <= input.size());
    check_frame(result.frame, version);
    input.remove_prefix(result.frame.total_size);
  }
}

}  // namespace
}  // namespace stele::mqtt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  stele::mqtt::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
