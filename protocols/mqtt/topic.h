// Topic names and topic filters (MQTT 5.0, sections 4.7 and 4.8). The text is taken to be valid MQTT UTF-8
// already.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace stele::mqtt {

constexpr std::size_t kMaxTopicSize = 65535;  // [MQTT-4.7.3-3]

// At least one character, no wildcard, no U+0000 [MQTT-4.7.3-1, 4.7.3-2, 3.3.2-2].
bool is_valid_topic_name(std::string_view name);

// Wildcards only as whole levels, `#` only as the last one [MQTT-4.7.1-1, 4.7.1-2]. Says nothing about
// `$share`.
bool is_valid_topic_filter(std::string_view filter);

bool has_wildcard(std::string_view filter);

// A filter as it was subscribed to, taken apart.
struct SubscribedFilter {
  std::string_view share_name;  // empty: not a shared subscription
  std::string_view filter;      // without $share/{ShareName}/
  bool shared() const { return !share_name.empty(); }
  friend bool operator==(const SubscribedFilter&, const SubscribedFilter&) = default;
};

// Splits `$share/{ShareName}/{filter}` [MQTT-4.8.2-1, 4.8.2-2]; a filter that does not begin with `$share/`
// comes back whole. None if the share name is empty or has a wildcard, or the filter is missing or not valid.
std::optional<SubscribedFilter> parse_subscribed_filter(std::string_view text);

// Whether a valid filter (without $share) matches a valid topic name, level by level. This is the reference
// that the broker's trie is checked against. A leading wildcard does not match a topic that begins with $
// [MQTT-4.7.2-1].
bool matches(std::string_view filter, std::string_view topic);

}  // namespace stele::mqtt
