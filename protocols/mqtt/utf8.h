// UTF-8 as MQTT has it.
#pragma once

#include <string_view>

namespace stele::mqtt {

// Well-formed UTF-8 [MQTT-1.5.4-1] without U+0000 [MQTT-1.5.4-2]: no surrogates, no overlong forms, nothing
// above U+10FFFF. Non-characters and control characters pass: the specification leaves them to the
// application.
bool is_valid_utf8(std::string_view text);

}  // namespace stele::mqtt
