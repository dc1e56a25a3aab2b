// One subscription, as a client asks for it and as a session keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stele::broker {

struct SubscribeRequest {
  std::string filter;  // valid, in MQTT form; of a shared subscription with its `$share/NAME/`
  std::uint8_t qos = 0;
  bool no_local = false;
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;   // RetainHandling of MQTT 5
  std::uint32_t subscription_id = 0;  // 0: none
  friend bool operator==(const SubscribeRequest&, const SubscribeRequest&) = default;
};

// Shared subscriptions: section 4.8.2 of MQTT 5.0. Each message goes to one of the sessions that have the
// same one, by its whole text.
inline constexpr std::string_view kSharePrefix = "$share/";
inline bool is_shared(std::string_view filter) {
  return filter.starts_with(kSharePrefix);
}
// What is subscribed to: without `$share/NAME/`.
inline std::string_view subscribed_filter(std::string_view filter) {
  if (!is_shared(filter)) return filter;
  const std::size_t end = filter.find('/', kSharePrefix.size());
  return end == std::string_view::npos ? std::string_view() : filter.substr(end + 1);
}
// A shared subscription with members that outlive their connections is a session of its own in its shard,
// under a client id that no client can have. It is subscribed to the filter, and, for each of those members,
// with QoS 0 to what no address is: this is how it knows them.
inline std::string share_session_id(std::string_view share) {
  return std::string(1, '\0').append(share);
}
inline bool is_share_session(std::string_view client_id) {
  return client_id.starts_with('\0');
}
inline std::string_view share_of_session(std::string_view client_id) {
  return client_id.substr(1);
}
inline std::string share_member(std::string_view client_id) {
  return std::string(1, '\0').append(client_id);
}
inline bool is_share_member(std::string_view filter) {
  return filter.starts_with('\0');
}

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
