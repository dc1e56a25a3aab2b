#include "protocols/kafka/codec_impl.h"

#include <algorithm>

namespace stele::kafka {

std::string message_name(const ApiInfo& api, bool is_request, std::int16_t version) {
  return std::string(api.name) + " v" + std::to_string(version) + (is_request ? " request" : " response");
}

Result<void> check_version(const ApiInfo& api, bool is_request, std::int16_t version) {
  if (api.has(version)) return {};
  return error(ErrorCode::kUnsupported, "Kafka " + message_name(api, is_request, version) +
                                            ": only versions " + std::to_string(api.min_version) + " to " +
                                            std::to_string(api.max_version) + " are known");
}

Result<void> finish_frame(std::string& out, std::size_t start, std::size_t spliced) {
  std::size_t length = out.size() - start - kLengthBytes + spliced;
  if (length > INT32_MAX) {
    return error(ErrorCode::kInvalidArgument,
                 "encoding a Kafka frame: " + std::to_string(length) + " bytes do not fit its length field");
  }
  Writer(out).patch_be(start, static_cast<std::uint32_t>(length));
  return {};
}

std::vector<Bytes> interleave(const std::string& text, std::vector<Splice> splices) {
  Bytes block = Bytes::copy(text);
  std::vector<Bytes> slices;
  slices.reserve(2 * splices.size() + 1);
  std::size_t position = 0;
  auto add_text_up_to = [&](std::size_t end) {
    STELE_ASSERT(end >= position && end <= block.size());
    if (end > position) slices.push_back(block.slice(position, end - position));
    position = end;
  };
  for (Splice& splice : splices) {
    add_text_up_to(splice.text_position);
    slices.push_back(std::move(splice.bytes));
  }
  add_text_up_to(block.size());
  return slices;
}

}  // namespace stele::kafka
