// Well-formed UTF-8 as MQTT wants it: no surrogates, no over-long forms, nothing above U+10FFFF, and no
// U+0000
// ([MQTT-1.5.4-1], [MQTT-1.5.4-2]). Pure.
#pragma once

#include <string_view>

namespace stele {

// True for text that an MQTT string may hold. Does not look at its length.
bool is_clean_utf8(std::string_view text);

}  // namespace stele
