// One subscription, as a client asks for it and as a session keeps it.
#pragma once

#include <cstdint>
#include <string>

namespace stele::broker {

struct SubscribeRequest {
  std::string filter;  // valid, in MQTT form, not shared
  std::uint8_t qos = 0;
  bool no_local = false;
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;   // RetainHandling of MQTT 5
  std::uint32_t subscription_id = 0;  // 0: none
  friend bool operator==(const SubscribeRequest&, const SubscribeRequest&) = default;
};

// A subscription's options as the data of a FilterTrie.
namespace packed {
inline constexpr std::uint64_t kQosMask = 3;
inline constexpr std::uint64_t kNoLocal = 4;
inline constexpr std::uint64_t kRetainAsPublished = 8;
inline constexpr int kIdShift = 8;
inline std::uint64_t pack(const SubscribeRequest& request) {
  return request.qos | (request.no_local ? kNoLocal : 0) |
         (request.retain_as_published ? kRetainAsPublished : 0) |
         static_cast<std::uint64_t>(request.subscription_id) << kIdShift;
}
}  // namespace packed

}  // namespace stele::broker
