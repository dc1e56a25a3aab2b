#include "protocols/kafka/encoder.h"

namespace stele::kafka {

Error Encoder::error(std::string_view what) const {
  return {ErrorCode::kInvalidArgument, "encoding Kafka " + std::string(what) + ": " + path_ + " " + why_};
}

void Encoder::note(const char* name) {
  path_ = path_.empty() ? std::string(name) : name + ("." + path_);
}

void Encoder::put_string(std::string_view value) {
  if (value.size() > INT16_MAX) return fail("is longer than 32767 bytes");
  if (flexible_) {
    writer_.uvarint(value.size() + 1);
  } else {
    writer_.be(static_cast<std::int16_t>(value.size()));
  }
  writer_.bytes(value);
}

void Encoder::put_array_length(std::size_t size) {
  if (size >= INT32_MAX) return fail("has too many elements");
  if (flexible_) {
    writer_.uvarint(size + 1);
  } else {
    writer_.be(static_cast<std::int32_t>(size));
  }
}

void Encoder::put_records_length(std::size_t size) {
  // Bytes and arrays have the same length fields.
  put_array_length(size);
}

void Encoder::bytes(const char* name, const std::string& value) {
  records(name, std::optional<std::string_view>(value));
}

void Encoder::records(const char* name, const Records& records) {
  if (failed()) return;
  if (records.is_null()) return put_null<std::vector<Bytes>>();
  put_records_length(records.size());
  if (failed()) return note(name);
  for (const Bytes& slice : records.slices()) {
    if (splices_ != nullptr && slice.size() >= kCopyBelowBytes) {
      splices_->push_back({writer_.size(), slice});
    } else {
      writer_.bytes(slice.view());
    }
  }
}

void Encoder::records(const char* name, const std::optional<std::string_view>& records) {
  if (failed()) return;
  if (!records) return put_null<std::vector<Bytes>>();
  put_records_length(records->size());
  if (failed()) return note(name);
  writer_.bytes(*records);
}

}  // namespace stele::kafka
