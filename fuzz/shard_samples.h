// A short log of a shard with an entry of each kind, for fuzzers to start from.
#pragma once

#include <string>
#include <vector>

namespace stele::broker {

const std::vector<std::string>& shard_samples();

}  // namespace stele::broker
