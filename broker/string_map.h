// A hash map keyed by strings, looked up by views. For look-ups only: its order must never reach behaviour.
// (Debian's Abseil has a string_view of its own, so its default hash does not take std::string_view.)
#pragma once

#include <absl/container/flat_hash_map.h>

#include <functional>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace stele::broker {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return hash64(text); }
};

template <class Value>
using StringMap = absl::flat_hash_map<std::string, Value, StringHash, std::equal_to<>>;

}  // namespace stele::broker
