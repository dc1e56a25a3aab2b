// Subscription filters and capture patterns, in MQTT form (MQTT 5.0, section 4.7). Pure.
#pragma once

#include <string_view>

#include "base/result.h"

namespace stele {

// Whether `filter` may be one: 1 to 65535 bytes of clean UTF-8, wildcards only as whole levels, `#` only as
// the last one [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1]. Says nothing about `$share`.
Result<> check_filter(std::string_view filter);

// Whether `wide` matches every address that `narrow` matches; an address is a filter that matches itself
// only.
bool filter_covers(std::string_view wide, std::string_view narrow);
// Whether there is an address that both match.
bool filters_overlap(std::string_view a, std::string_view b);

}  // namespace stele
