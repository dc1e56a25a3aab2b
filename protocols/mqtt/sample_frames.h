// Single packets, right and wrong, each with what the decoder must say to it. The decoder's test checks them
// all, and the fuzzer's corpus starts from them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocols/mqtt/packet.h"

namespace stele::mqtt {

struct SampleFrame {
  std::string name;     // unique, usable as a file name; says what the packet is or breaks
  std::string section;  // of the specification: a statement or a chapter
  Version version;
  std::string bytes;
  std::optional<ReasonCode> error;  // none: it decodes
  std::string what;  // a part of the error's text, so that another error does not pass for this one
};

// By packet type, good ones before bad ones.
std::vector<SampleFrame> sample_frames();

}  // namespace stele::mqtt
