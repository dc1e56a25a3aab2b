// CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of Kafka record batches and of all our own
// formats.
#pragma once

#include <cstdint>
#include <string_view>

namespace stele {

// The CRC of `data`; `crc` is the result for what came before it, 0 at the start.
std::uint32_t crc32c(std::string_view data, std::uint32_t crc = 0);

}  // namespace stele
