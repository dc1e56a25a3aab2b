// The definitions behind codec.h, included by each messages/*.cc after it has described its fields.
#pragma once

#include <string>
#include <vector>

#include "base/assert.h"
#include "base/wire.h"
#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/codec.h"
#include "protocols/kafka/decoder.h"
#include "protocols/kafka/encoder.h"
#include "protocols/kafka/frame.h"
#include "protocols/kafka/walk_archive.h"

namespace stele::kafka {

// "Metadata v9 request", for errors.
std::string message_name(const ApiInfo& api, bool is_request, std::int16_t version);
// An error when the codec lacks the version.
Result<void> check_version(const ApiInfo& api, bool is_request, std::int16_t version);
// Fills in the length of the frame whose 4 length bytes are at `start`; `spliced` bytes of it are not in
// `out`.
Result<void> finish_frame(std::string& out, std::size_t start, std::size_t spliced);
// Cuts the text at the splices.
std::vector<Bytes> interleave(const std::string& text, std::vector<Splice> splices);

template <class Message>
Result<Message> decode_with_owner(std::string_view body, std::int16_t version, const Bytes* owner) {
  const ApiInfo& api = api_info(Message::kApi);
  STELE_CHECK(check_version(api, Message::kIsRequest, version));
  Message message;
  Decoder decoder(body, version, api.flexible(version), owner);
  decoder.structure(message);
  if (!decoder.succeeded()) {
    return std::unexpected(decoder.error(message_name(api, Message::kIsRequest, version)));
  }
  return message;
}

template <class Message>
Result<Message> decode(std::string_view body, std::int16_t version) {
  return decode_with_owner<Message>(body, version, nullptr);
}

template <class Message>
Result<Message> decode_shared(const Bytes& body, std::int16_t version) {
  return decode_with_owner<Message>(body.view(), version, &body);
}

// A frame with everything but the bytes in `splices`. Leaves `out` as it was on failure.
template <class Message, class Header>
Result<void> append_frame(std::string& out, std::vector<Splice>* splices, std::int16_t version,
                          const Message& message, Header append_header) {
  const ApiInfo& api = api_info(Message::kApi);
  STELE_CHECK(check_version(api, Message::kIsRequest, version));
  std::size_t start = out.size();
  Writer(out).u32_be(0);
  append_header(api);
  Encoder encoder(out, splices, version, api.flexible(version));
  encoder.structure(message);
  std::size_t spliced = 0;
  if (splices != nullptr) {
    for (const Splice& splice : *splices) spliced += splice.bytes.size();
  }
  Result<void> done = encoder.failed()
                          ? std::unexpected(encoder.error(message_name(api, Message::kIsRequest, version)))
                          : finish_frame(out, start, spliced);
  if (!done) out.resize(start);
  return done;
}

template <class Message>
Result<void> append_request(std::string& out, std::int32_t correlation_id, std::int16_t version,
                            std::optional<std::string_view> client_id, const Message& message) {
  static_assert(Message::kIsRequest);
  return append_frame(out, nullptr, version, message, [&](const ApiInfo& api) {
    RequestHeader header{static_cast<std::int16_t>(Message::kApi), version, correlation_id, client_id};
    append_request_header(out, header, request_header_version(api, version));
  });
}

template <class Message>
Result<void> append_response(std::string& out, std::int32_t correlation_id, std::int16_t version,
                             const Message& message) {
  static_assert(!Message::kIsRequest);
  return append_frame(out, nullptr, version, message, [&](const ApiInfo& api) {
    append_response_header(out, correlation_id, response_header_version(api, version));
  });
}

template <class Message>
Result<std::vector<Bytes>> response_slices(std::int32_t correlation_id, std::int16_t version,
                                           const Message& message) {
  static_assert(!Message::kIsRequest);
  std::string text;
  std::vector<Splice> splices;
  STELE_CHECK(append_frame(text, &splices, version, message, [&](const ApiInfo& api) {
    append_response_header(text, correlation_id, response_header_version(api, version));
  }));
  return interleave(text, std::move(splices));
}

template <class Message>
void walk(Message& message, std::int16_t version, Walker& walker) {
  const ApiInfo& api = api_info(Message::kApi);
  STELE_ASSERT(api.has(version));
  WalkArchive archive(walker, version, api.flexible(version));
  archive.structure(message);
}

}  // namespace stele::kafka

#define STELE_KAFKA_INSTANTIATE_BOTH_(Message)                                 \
  template Result<Message> decode<Message>(std::string_view, std::int16_t);    \
  template Result<Message> decode_shared<Message>(const Bytes&, std::int16_t); \
  template void walk<Message>(Message&, std::int16_t, Walker&);

#define STELE_KAFKA_INSTANTIATE_REQUEST(Message)                                          \
  STELE_KAFKA_INSTANTIATE_BOTH_(Message)                                                  \
  template Result<void> append_request<Message>(std::string&, std::int32_t, std::int16_t, \
                                                std::optional<std::string_view>, const Message&);

#define STELE_KAFKA_INSTANTIATE_RESPONSE(Message)                                                           \
  STELE_KAFKA_INSTANTIATE_BOTH_(Message)                                                                    \
  template Result<void> append_response<Message>(std::string&, std::int32_t, std::int16_t, const Message&); \
  template Result<std::vector<Bytes>> response_slices<Message>(std::int32_t, std::int16_t, const Message&);
