// The property block of MQTT 5.0 (section 2.2.2): identifiers, types, and lazy views of the properties that
// may appear more than once. A view points into encoded bytes and owns nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "base/wire.h"

namespace stele::mqtt {

enum class Property : std::uint8_t {
  kPayloadFormatIndicator = 0x01,
  kMessageExpiryInterval = 0x02,
  kContentType = 0x03,
  kResponseTopic = 0x08,
  kCorrelationData = 0x09,
  kSubscriptionIdentifier = 0x0B,
  kSessionExpiryInterval = 0x11,
  kAssignedClientIdentifier = 0x12,
  kServerKeepAlive = 0x13,
  kAuthenticationMethod = 0x15,
  kAuthenticationData = 0x16,
  kRequestProblemInformation = 0x17,
  kWillDelayInterval = 0x18,
  kRequestResponseInformation = 0x19,
  kResponseInformation = 0x1A,
  kServerReference = 0x1C,
  kReasonString = 0x1F,
  kReceiveMaximum = 0x21,
  kTopicAliasMaximum = 0x22,
  kTopicAlias = 0x23,
  kMaximumQos = 0x24,
  kRetainAvailable = 0x25,
  kUserProperty = 0x26,
  kMaximumPacketSize = 0x27,
  kWildcardSubscriptionAvailable = 0x28,
  kSubscriptionIdentifierAvailable = 0x29,
  kSharedSubscriptionAvailable = 0x2A,
};

enum class PropertyType : std::uint8_t {
  kUnknown,
  kByte,
  kTwoByte,
  kFourByte,
  kVarint,
  kString,
  kBinary,
  kStringPair
};

// kUnknown for an identifier that MQTT 5.0 does not define.
PropertyType property_type(std::uint8_t id);

// Whether the property may stand in this block: the type of the packet, or 0 for the will's properties in
// CONNECT.
bool is_property_allowed(std::uint8_t id, unsigned block);

// One property as it stands in the bytes.
struct EncodedProperty {
  Property id{};
  std::uint32_t number = 0;  // of the integer types
  std::string_view name;     // of a string pair
  std::string_view text;     // strings, binary data, and the value of a pair
  std::string_view raw;      // all of it, identifier included
};

constexpr std::uint32_t kMaxVarint = 268'435'455;  // also the largest remaining length

// A variable byte integer (section 1.5.5). Fails the reader if it is longer than four bytes, or than it needs
// to be [MQTT-1.5.5-1].
std::uint32_t read_varint(Reader& reader);
constexpr std::size_t varint_size(std::uint32_t value) {
  return value < 128 ? 1 : value < 16'384 ? 2 : value < 2'097'152 ? 3 : 4;
}
void append_varint(std::string& out, std::uint32_t value);

// Reads the next property; false, with the reader failed, if it is unknown or cut short. UTF-8 is not looked
// at.
bool read_property(Reader& reader, EncodedProperty& property);

struct UserProperty {
  std::string_view name;
  std::string_view value;
  friend bool operator==(const UserProperty&, const UserProperty&) = default;
};

namespace internal {
template <Property Id>
struct RepeatedTraits;
template <>
struct RepeatedTraits<Property::kUserProperty> {
  using Value = UserProperty;
  static Value value(const EncodedProperty& p) { return {p.name, p.text}; }
};
template <>
struct RepeatedTraits<Property::kSubscriptionIdentifier> {
  using Value = std::uint32_t;
  static Value value(const EncodedProperty& p) { return p.number; }
};
}  // namespace internal

// All properties of one identifier within encoded property bytes, in order, duplicates kept. Nothing is
// copied: iteration parses as it goes and passes over other properties. The bytes must outlive it.
template <Property Id>
class RepeatedProperty {
  using Traits = internal::RepeatedTraits<Id>;

 public:
  using Value = typename Traits::Value;

  class Iterator {
   public:
    using value_type = Value;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;

    Iterator() : reader_({}) {}
    explicit Iterator(std::string_view bytes) : reader_(bytes), at_end_(false) { ++*this; }
    Value operator*() const { return Traits::value(current_); }
    // The property with its identifier, as encoded.
    std::string_view raw() const { return current_.raw; }
    Iterator& operator++() {
      do {
        at_end_ = reader_.at_end() || !read_property(reader_, current_);
      } while (!at_end_ && current_.id != Id);
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.at_end_; }

   private:
    Reader reader_;
    EncodedProperty current_;
    bool at_end_ = true;
  };

  RepeatedProperty() = default;
  // Of `bytes`, a property block without its length. Reading stops at the first property that is not well
  // formed.
  static RepeatedProperty from_encoded(std::string_view bytes) {
    RepeatedProperty out;
    for (Iterator it(bytes); it != std::default_sentinel; ++it) out.extend(it.raw());
    return out;
  }
  // Takes in one more property; `raw` lies behind the others in the same block.
  void extend(std::string_view raw) {
    if (span_.empty()) {
      span_ = raw;
    } else {
      span_ = {span_.data(), static_cast<std::size_t>(raw.data() + raw.size() - span_.data())};
    }
    encoded_size_ += raw.size();
  }

  Iterator begin() const { return Iterator(span_); }
  std::default_sentinel_t end() const { return {}; }
  bool empty() const { return encoded_size_ == 0; }
  // Bytes that these properties alone take in a property block.
  std::size_t encoded_size() const { return encoded_size_; }
  // For who keeps a place instead of an iterator: takes the property at `position` (0 to begin with) and
  // moves it on; false at the end.
  bool next_at(std::size_t& position, Value& out) const {
    Reader rest(span_.substr(position));
    EncodedProperty property;
    while (!rest.at_end() && read_property(rest, property)) {
      position = span_.size() - rest.remaining();
      if (property.id != Id) continue;
      out = Traits::value(property);
      return true;
    }
    return false;
  }
  void append_to(std::string& out) const {
    if (encoded_size_ == span_.size()) {
      out.append(span_);
      return;
    }
    for (Iterator it = begin(); it != std::default_sentinel; ++it) out.append(it.raw());
  }

  friend bool operator==(const RepeatedProperty& a, const RepeatedProperty& b) {
    if (a.encoded_size_ != b.encoded_size_) return false;
    auto left = a.begin();
    auto right = b.begin();
    for (; left != a.end() && right != b.end(); ++left, ++right) {
      if (left.raw() != right.raw()) return false;
    }
    return left == a.end() && right == b.end();
  }

 private:
  std::string_view span_;  // from the first of them to the end of the last; others may stand between
  std::size_t encoded_size_ = 0;
};

using UserProperties = RepeatedProperty<Property::kUserProperty>;
using SubscriptionIds = RepeatedProperty<Property::kSubscriptionIdentifier>;

// For who builds a packet: encoded bytes that UserProperties::from_encoded and SubscriptionIds::from_encoded
// read. False, and nothing appended, if a string is longer than 65,535 bytes.
[[nodiscard]] bool append_user_property(std::string& out, std::string_view name, std::string_view value);
// `id` is 1 to 268,435,455.
void append_subscription_id(std::string& out, std::uint32_t id);

}  // namespace stele::mqtt
