// MurmurHash2 (Austin Appleby, 2008) as Kafka's Java client computes it, and the partition it chooses for a
// key. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace stele {

std::int32_t murmur2(std::string_view data);

// Where Kafka's default partitioner puts a key. `partition_count` is positive.
std::int32_t partition_for_key(std::string_view key, std::int32_t partition_count);

}  // namespace stele
