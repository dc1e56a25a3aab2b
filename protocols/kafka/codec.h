// Encoding and decoding of Kafka messages, for both ends: a server decodes requests and encodes responses,
// the clients of the simulator and the benchmarks do the reverse.
//
// A message is a plain struct under messages/, one struct for all versions: fields that a version lacks keep
// their defaults when decoded and are left out when encoded. Its .cc file describes the fields once, and that
// description is instantiated for decoding, encoding and walking, so the three cannot disagree. Everything
// here is pure and may be called on any core.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "protocols/kafka/frame.h"

namespace stele::kafka {

class Walker;

// Decodes a whole body. Members of type std::string_view point into it; Bytes (fetched records) are copied
// out. kMalformed names the API, the version and the field; kUnsupported says that the codec lacks the
// version.
template <class Message>
Result<Message> decode(std::string_view body, std::int16_t version);

// The same, but Bytes in the message share the body's block instead.
template <class Message>
Result<Message> decode_shared(const Bytes& body, std::int16_t version);

// Append one frame: length, header, body. What fails (a string too long for its length field, a null where
// the version has none) leaves `out` as it was.
template <class Message>
Result<void> append_request(std::string& out, std::int32_t correlation_id, std::int16_t version,
                            std::optional<std::string_view> client_id, const Message& message);
template <class Message>
Result<void> append_response(std::string& out, std::int32_t correlation_id, std::int16_t version,
                             const Message& message);

// One response frame as slices to be sent one after the other. Records are not copied: their slices appear
// between slices of one block with all the rest. Slices below kCopyBelowBytes are copied, for they cost more
// than they save.
inline constexpr std::size_t kCopyBelowBytes = 1024;
template <class Message>
Result<std::vector<Bytes>> response_slices(std::int32_t correlation_id, std::int16_t version,
                                           const Message& message);

// Shows every field that the message has in this version to the walker, which may change it (walker.h).
template <class Message>
void walk(Message& message, std::int16_t version, Walker& walker);

}  // namespace stele::kafka
