#include "protocols/kafka/frame.h"

#include "base/assert.h"
#include "base/wire.h"

namespace stele::kafka {
namespace {

// Headers have no tagged field that we know: all are skipped.
void skip_tagged_fields(Reader& reader) {
  for (std::uint64_t left = reader.uvarint(); left > 0 && reader.ok(); --left) {
    reader.uvarint();
    std::uint64_t size = reader.uvarint();
    if (size > reader.remaining()) return reader.fail();
    reader.bytes(static_cast<std::size_t>(size));
  }
}

std::unexpected<Error> malformed(std::string message) {
  return error(ErrorCode::kMalformed, std::move(message));
}

}  // namespace

Result<std::optional<std::size_t>> frame_length(std::string_view input, std::size_t max_frame_bytes) {
  if (input.size() < kLengthBytes) return std::nullopt;
  auto length = load_be<std::int32_t>(input.data());
  if (length < 0) return malformed("Kafka frame: negative length " + std::to_string(length));
  if (static_cast<std::size_t>(length) > max_frame_bytes) {
    return malformed("Kafka frame: length " + std::to_string(length) + " is over the limit of " +
                     std::to_string(max_frame_bytes));
  }
  return static_cast<std::size_t>(length);
}

Result<std::optional<std::string_view>> next_frame(std::string_view input, std::size_t max_frame_bytes) {
  STELE_TRY(std::optional<std::size_t> length, frame_length(input, max_frame_bytes));
  if (!length || input.size() - kLengthBytes < *length) return std::nullopt;
  return input.substr(kLengthBytes, *length);
}

int request_header_version(const ApiInfo& api, std::int16_t version) {
  return api.flexible(version) ? 2 : 1;
}

int response_header_version(const ApiInfo& api, std::int16_t version) {
  return api.flexible(version) && api.key != ApiKey::kApiVersions ? 1 : 0;
}

Result<Request> parse_request(std::string_view frame) {
  Reader reader(frame);
  Request request;
  RequestHeader& header = request.header;
  header.api_key = reader.be<std::int16_t>();
  header.version = reader.be<std::int16_t>();
  header.correlation_id = reader.be<std::int32_t>();
  if (reader.failed()) return malformed("Kafka request header: ends early");
  request.support = request_support(header.api_key, header.version);
  const ApiInfo* api = find_api(header.api_key);
  if (api == nullptr) return request;

  // The client id stays a classic string in version 2, so that a server can always read up to it (KIP-482).
  auto client_id_size = reader.be<std::int16_t>();
  if (client_id_size >= 0) header.client_id = reader.bytes(static_cast<std::size_t>(client_id_size));
  if (client_id_size < -1) return malformed("Kafka request header: client_id has a negative length");
  if (!reader.failed() && api->has(header.version)) {
    if (request_header_version(*api, header.version) == 2) skip_tagged_fields(reader);
    request.body = reader.rest();
  }
  if (reader.failed()) {
    return malformed("Kafka request header of " + std::string(api->name) + " v" +
                     std::to_string(header.version) + ": ends early");
  }
  return request;
}

Result<std::int32_t> peek_correlation_id(std::string_view frame) {
  if (frame.size() < 4) return malformed("Kafka response header: ends early");
  return load_be<std::int32_t>(frame.data());
}

Result<Response> parse_response(std::string_view frame, ApiKey api, std::int16_t version) {
  Reader reader(frame);
  Response response;
  response.correlation_id = reader.be<std::int32_t>();
  if (response_header_version(api_info(api), version) == 1) skip_tagged_fields(reader);
  if (reader.failed()) {
    return malformed("Kafka response header of " + std::string(api_info(api).name) + ": ends early");
  }
  response.body = reader.rest();
  return response;
}

void append_request_header(std::string& out, const RequestHeader& header, int header_version) {
  STELE_ASSERT(header_version == 1 || header_version == 2);
  STELE_ASSERT(!header.client_id || header.client_id->size() <= INT16_MAX);
  Writer writer(out);
  writer.be(header.api_key).be(header.version).be(header.correlation_id);
  if (header.client_id) {
    writer.be(static_cast<std::int16_t>(header.client_id->size())).bytes(*header.client_id);
  } else {
    writer.be(std::int16_t{-1});
  }
  if (header_version == 2) writer.uvarint(0);
}

void append_response_header(std::string& out, std::int32_t correlation_id, int header_version) {
  Writer writer(out);
  writer.be(correlation_id);
  if (header_version == 1) writer.uvarint(0);
}

}  // namespace stele::kafka
