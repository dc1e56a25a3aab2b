#include "protocols/kafka/decoder.h"

namespace stele::kafka {

Error Decoder::error(std::string_view what) const {
  std::string message = "decoding Kafka " + std::string(what) + ": ";
  if (!failed())
    return {ErrorCode::kMalformed, message + std::to_string(reader_.remaining()) + " bytes too many"};
  if (path_.empty()) message += "tagged fields";
  return {ErrorCode::kMalformed, message + path_ + " " + (why_ ? why_ : "goes past the end")};
}

void Decoder::note(const char* name) {
  bool at_element = path_.starts_with('[');
  path_ = path_.empty() ? std::string(name) : name + ((at_element ? "" : ".") + path_);
}

void Decoder::note_element(std::size_t index) {
  path_ = "[" + std::to_string(index) + "]" + (path_.empty() ? "" : ".") + path_;
}

std::int64_t Decoder::compact_length() {
  std::uint64_t length = reader_.uvarint();
  if (length > UINT32_MAX) return fail("has a length of more than 32 bits"), 0;
  return static_cast<std::int64_t>(length) - 1;
}

std::int64_t Decoder::string_length() {
  std::int64_t length = flexible_ ? compact_length() : reader_.be<std::int16_t>();
  if (length < -1) return fail("has a negative length"), 0;
  return length;
}

std::int64_t Decoder::array_length() {
  std::int64_t length = flexible_ ? compact_length() : reader_.be<std::int32_t>();
  if (length < -1) return fail("has a negative length"), 0;
  return length;
}

void Decoder::bytes(const char* name, std::string& value) {
  std::optional<std::string_view> view;
  records(name, view);
  if (failed()) return;
  if (view) {
    value = *view;
  } else {
    fail("is null");
    note(name);
  }
}

void Decoder::records(const char* name, std::optional<std::string_view>& records) {
  if (failed()) return;
  records.reset();
  std::int64_t length = array_length();
  if (length >= 0 && !failed()) records = reader_.bytes(static_cast<std::size_t>(length));
  if (failed()) note(name);
}

void Decoder::records(const char* name, Records& out) {
  std::optional<std::string_view> view;
  records(name, view);
  if (failed()) return;
  if (!view) {
    out = Records();
  } else if (view->empty()) {
    out = Records(std::vector<Bytes>());
  } else {
    out = Records({owner_ != nullptr ? owner_->slice(*view) : Bytes::copy(*view)});
  }
}

}  // namespace stele::kafka
