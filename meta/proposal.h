// What the log of a group of meta services holds: a command, and what tells it from all others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/uuid.h"

namespace stele::meta {

struct Proposal {
  std::string command;     // encoded (command_codec.h)
  Uuid id = {};            // random; zero: it is proposed once
  std::uint64_t seen = 0;  // how far its proposer had applied the log when it made it
};

std::string encode_proposal(const Proposal& proposal);
// kMalformed: it is none; kUnsupported: of a newer version.
Result<Proposal> decode_proposal(std::string_view bytes);

}  // namespace stele::meta
