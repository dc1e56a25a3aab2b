// The codecs of Kafka's record batches. Bytes in, bytes out; what is decompressed has a hard limit, so a
// small batch cannot fill the memory. Pure, callable on any core; costs CPU, so large batches belong into
// offload().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stele {

// The values are those of the attributes' lowest three bits.
enum class Compression : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

std::string_view to_string(Compression codec);               // as in Kafka's `compression.type`
std::optional<Compression> compression_from(int attribute);  // none for a value no codec has

// Appends the compressed form of `input` to `out`: gzip's format, Java's snappy framing, an LZ4 frame with
// independent 64 KiB blocks (all that Java's client reads), a zstd frame.
Result<> compress(Compression codec, std::string_view input, std::string& out);

// Appends what `input` decompresses to to `out`. kNoSpace when that would be more than `limit` bytes,
// kCorrupt for input that is damaged, cut short or followed by garbage. On an error `out` is as it was.
// Snappy is read with Java's framing and without.
Result<> decompress(Compression codec, std::string_view input, std::size_t limit, std::string& out);

}  // namespace stele
