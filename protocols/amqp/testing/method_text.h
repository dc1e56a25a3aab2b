// Methods as text and back, for conversations:
//
//   basic.publish routing_key=q mandatory properties.reply_to=r body=hello
//
// Arguments are NAME=VALUE, those left out are as they are by default, flags may stand alone. Values are
// words; `x*N` is N of them, `{a=1,b=x}` a table of i32, true and false, and long strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocols/amqp/content.h"
#include "protocols/amqp/frame.h"

namespace stele::amqp {

// Appends the frames of a method, with content if it has one. Stops the test program at what it does not
// understand.
void append_text_method(std::string& out, std::uint16_t channel, std::string_view text,
                        std::uint32_t frame_max = kFrameMinSize);

// Of a method's frame, without its content. Arguments that are empty, 0 or false are left out.
std::string to_text(std::string_view method_payload);
std::string to_text(const BasicProperties& properties);

}  // namespace stele::amqp
