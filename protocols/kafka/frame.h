// Frames of the Kafka protocol: a length, a header, a body. Bodies are decoded by codec.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocols/kafka/api_versions.h"

namespace stele::kafka {

inline constexpr std::size_t kLengthBytes = 4;

// The length of the frame that `input` starts with, without its 4 length bytes; nothing while those are not
// all there. An error for a negative length and for one above `max_frame_bytes`: the connection cannot be
// read on.
Result<std::optional<std::size_t>> frame_length(std::string_view input, std::size_t max_frame_bytes);

// The frame that `input` starts with (without its length), or nothing while it is not all there. It took
// kLengthBytes + frame.size() bytes of the input.
Result<std::optional<std::string_view>> next_frame(std::string_view input, std::size_t max_frame_bytes);

// Request headers of versions 1 and 2. (Version 0, without a client id, was only ever used between brokers.)
struct RequestHeader {
  std::int16_t api_key = 0;  // a number and not an ApiKey: it can be one that we do not know
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string_view> client_id;  // points into the frame

  friend bool operator==(const RequestHeader&, const RequestHeader&) = default;
};

struct Request {
  RequestHeader header;
  RequestSupport support = RequestSupport::kUnknownApi;
  std::string_view body;  // points into the frame; empty when the codec does not know the API in this version
};
// Splits a frame. Fails only on a malformed header; look at `support` before decoding the body.
Result<Request> parse_request(std::string_view frame);

struct Response {
  std::int32_t correlation_id = 0;
  std::string_view body;  // points into the frame
};
// For clients: which API and version it answers is known from the correlation id, so look at that first.
Result<std::int32_t> peek_correlation_id(std::string_view frame);
Result<Response> parse_response(std::string_view frame, ApiKey api, std::int16_t version);

// 1 or 2. ApiVersions requests of the future are taken to stay at 2.
int request_header_version(const ApiInfo& api, std::int16_t version);
// 0 or 1. ApiVersions answers always have 0: their reader does not know yet what we speak (KIP-511).
int response_header_version(const ApiInfo& api, std::int16_t version);

// Append a header, to be followed by the body. `version` must be one of the API's.
void append_request_header(std::string& out, const RequestHeader& header, int header_version);
void append_response_header(std::string& out, std::int32_t correlation_id, int header_version);

}  // namespace stele::kafka
