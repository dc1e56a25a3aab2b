#include "model/message.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/assert.h"
#include "model/address.h"
#include "model/utf8.h"

namespace stele {
namespace {

constexpr std::size_t kMaxMqttString = 65535;

// The headers that are a message's properties, in the order they are written.
enum class Property : std::uint8_t {
  kContentType,
  kPayloadFormat,
  kReplyTo,
  kCorrelationId,
  kExpiresAt,
  kTopic,
  kQos,
  kRetain,
};
constexpr std::array<std::string_view, 8> kNames = {"content-type",   "mqtt.payload-format", "reply-to",
                                                    "correlation-id", "expires-at",          "mqtt.topic",
                                                    "mqtt.qos",       "mqtt.retain"};

// Written first, and only when user data has a name of the above or this one: how many headers precede user
// data.
constexpr std::string_view kUserDataMark = "mqtt.user-data";

std::optional<Property> property_named(std::string_view name) {
  // Almost no name of a user's passes this, and none of the comparisons below is made.
  if (name.size() < 8 || name.size() > 19) return std::nullopt;
  if (name[0] != 'm' && name[0] != 'c' && name[0] != 'r' && name[0] != 'e') return std::nullopt;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Property>(i);
  }
  return std::nullopt;
}

bool is_reserved(std::string_view name) {
  return property_named(name).has_value() || name == kUserDataMark;
}

bool is_mqtt_string(std::string_view text) {
  return text.size() <= kMaxMqttString && is_clean_utf8(text);
}

// Decimal text of a number, without an allocation.
class Decimal {
 public:
  explicit Decimal(std::int64_t value)
      : end_(std::to_chars(buffer_.data(), buffer_.data() + buffer_.size(), value).ptr) {}
  std::string_view view() const { return {buffer_.data(), static_cast<std::size_t>(end_ - buffer_.data())}; }

 private:
  std::array<char, 20> buffer_;
  const char* end_;
};

// A whole number as we write it and nothing else: no sign but `-`, no spaces, no leading zeros. So text that
// is not ours stays the user's data.
std::optional<std::int64_t> parse_decimal(std::string_view text) {
  std::int64_t value = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (Decimal(value).view() != text) return std::nullopt;
  return value;
}

// Writes the properties as headers into any sink with `operator()(name, value)`.
template <class Sink>
void write_properties(const MessageView& message, std::string_view expires_at, Sink&& sink) {
  auto put = [&](Property property, std::string_view value) { sink(kNames[std::size_t(property)], value); };
  static constexpr std::string_view kDigits = "012";
  if (message.content_type) put(Property::kContentType, *message.content_type);
  if (message.payload_format) put(Property::kPayloadFormat, kDigits.substr(*message.payload_format, 1));
  if (message.reply_to) put(Property::kReplyTo, *message.reply_to);
  if (message.correlation_id) put(Property::kCorrelationId, *message.correlation_id);
  if (message.expires_at_ms) put(Property::kExpiresAt, expires_at);
  put(Property::kTopic, message.address);
  put(Property::kQos, kDigits.substr(message.qos, 1));
  if (message.retain) put(Property::kRetain, "1");
}

}  // namespace

UserProperties::UserProperties(std::span<const UserProperty> array)
    : source_(array.data()), array_size_(array.size()) {}

std::optional<UserProperty> UserProperties::Cursor::next() {
  if (properties_.next_) {
    UserProperty out;
    if (!properties_.next_(properties_.source_, position_, out)) return std::nullopt;
    return out;
  }
  if (!properties_.headers_.empty()) return next_header();
  if (position_ == properties_.array_size_) return std::nullopt;
  return static_cast<const UserProperty*>(properties_.source_)[position_++];
}

std::optional<UserProperty> UserProperties::Cursor::next_header() {
  while (auto header = headers_.next()) {
    std::size_t index = position_++;
    if (index == 0 && properties_.marked_) continue;
    if (std::ranges::find(properties_.taken_, index) != properties_.taken_.end()) continue;
    UserProperty out{header->key, header->value.value_or(std::string_view())};
    if (properties_.all_text_ || (is_mqtt_string(out.name) && is_mqtt_string(out.value))) return out;
  }
  return std::nullopt;
}

std::optional<std::string_view> UserProperties::last(std::string_view name) const {
  std::optional<std::string_view> found;
  Cursor all(*this);
  while (auto property = all.next()) {
    if (property->name == name) found = property->value;
  }
  return found;
}

std::int64_t expires_at_ms(std::int64_t now_ms, std::uint32_t interval_s) {
  std::int64_t interval_ms = std::int64_t{interval_s} * 1000;
  constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
  return now_ms > kEnd - interval_ms ? kEnd : now_ms + interval_ms;
}

std::uint32_t expiry_interval_s(std::int64_t now_ms, std::int64_t expires_at_ms) {
  if (expires_at_ms <= now_ms) return 0;
  std::uint64_t left_ms = static_cast<std::uint64_t>(expires_at_ms) - static_cast<std::uint64_t>(now_ms);
  std::uint64_t left_s = left_ms / 1000 + (left_ms % 1000 != 0 ? 1 : 0);
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(left_s, std::numeric_limits<std::uint32_t>::max()));
}

Result<KeyRule> KeyRule::parse(std::string_view text) {
  constexpr std::string_view kPrefix = "property:";
  if (text == "address") return KeyRule{Kind::kAddress, {}};
  if (text == "none") return KeyRule{Kind::kNone, {}};
  if (text.starts_with(kPrefix) && text.size() > kPrefix.size()) {
    return KeyRule{Kind::kProperty, std::string(text.substr(kPrefix.size()))};
  }
  return error(ErrorCode::kInvalidArgument,
               "stele.key is '" + std::string(text) + "'; it takes address, none or property:<name>");
}

std::string KeyRule::to_string() const {
  switch (kind) {
    case Kind::kAddress:
      return "address";
    case Kind::kNone:
      return "none";
    case Kind::kProperty:
      return "property:" + property;
  }
  return {};
}

std::optional<std::string_view> KeyRule::key_of(const MessageView& message) const {
  switch (kind) {
    case Kind::kAddress:
      return message.address;
    case Kind::kNone:
      return std::nullopt;
    case Kind::kProperty:
      return message.user_properties.last(property);
  }
  return std::nullopt;
}

void append_message(RecordBatchBuilder& builder, const MessageView& message, const KeyRule& key_rule) {
  STELE_ASSERT(message.qos <= 2 && message.payload_format.value_or(0) <= 1);
  Decimal expires_at(message.expires_at_ms.value_or(0));
  HeadersSize size;
  write_properties(message, expires_at.view(), [&](auto name, auto value) { size.add(name, value); });
  bool marked = false;
  Decimal user_data_begins(std::int64_t{size.count()} + 1);  // after the mark and the properties
  auto user = message.user_properties.cursor();
  while (auto property = user.next()) {
    marked = marked || is_reserved(property->name);
    size.add(property->name, property->value);
  }
  if (marked) size.add(kUserDataMark, user_data_begins.view());

  // MQTT deletes a retained message by an empty one [MQTT-3.3.1-6]; compaction deletes a key by a null value.
  std::optional<std::string_view> value = message.payload;
  if (message.retain && message.payload.empty()) value = std::nullopt;
  builder.begin_record(message.timestamp_ms, key_rule.key_of(message), value, size);
  if (marked) builder.add_header(kUserDataMark, user_data_begins.view());
  write_properties(message, expires_at.view(), [&](auto name, auto v) { builder.add_header(name, v); });
  auto again = message.user_properties.cursor();
  while (auto property = again.next()) builder.add_header(property->name, property->value);
}

// Reads a record's headers into a message: for each property the last header of its name that makes sense as
// it, the rest is user data.
struct RecordReading {
  MessageView message;
  UserProperties& user = message.user_properties;
  bool address_from_header = false;

  void read(const RecordHeaders& headers);
  void read_header(std::uint32_t index, const RecordHeader& header, bool user_data);
  bool take(Property property, std::string_view value);
};

void RecordReading::read(const RecordHeaders& headers) {
  user.headers_ = headers;
  user.taken_.fill(UserProperties::kAbsent);
  user.all_text_ = true;
  std::uint32_t user_data_begins = headers.count();
  auto cursor = headers.cursor();
  for (std::uint32_t i = 0; auto header = cursor.next(); ++i) {
    if (i == 0 && header->key == kUserDataMark) {
      auto begins = parse_decimal(header->value.value_or(std::string_view()));
      if (begins && *begins >= 1 && *begins <= headers.count()) {
        user_data_begins = static_cast<std::uint32_t>(*begins);
        user.marked_ = true;
        continue;
      }
    }
    read_header(i, *header, i >= user_data_begins);
  }
}

void RecordReading::read_header(std::uint32_t index, const RecordHeader& header, bool user_data) {
  // Counted for taken ones too: a later header of the name makes user data of them.
  if (!is_mqtt_string(header.key) || !is_mqtt_string(header.value.value_or(std::string_view()))) {
    user.all_text_ = false;
  }
  if (user_data || !header.value) return;
  std::optional<Property> property = property_named(header.key);
  if (property && take(*property, *header.value)) user.taken_[std::size_t(*property)] = index;
}

bool RecordReading::take(Property property, std::string_view value) {
  auto digit = [&](char highest) { return value.size() == 1 && value[0] >= '0' && value[0] <= highest; };
  switch (property) {
    case Property::kContentType:
      if (!is_mqtt_string(value)) return false;
      message.content_type = value;
      return true;
    case Property::kPayloadFormat:
      if (!digit('1')) return false;
      message.payload_format = static_cast<std::uint8_t>(value[0] - '0');
      return true;
    case Property::kReplyTo:
      if (!check_address(value)) return false;
      message.reply_to = value;
      return true;
    case Property::kCorrelationId:
      if (value.size() > kMaxMqttString) return false;
      message.correlation_id = value;
      return true;
    case Property::kExpiresAt: {
      auto at = parse_decimal(value);
      if (!at) return false;
      message.expires_at_ms = at;
      return true;
    }
    case Property::kTopic:
      if (!check_address(value)) return false;
      message.address = value;
      address_from_header = true;
      return true;
    case Property::kQos:
      if (!digit('2')) return false;
      message.qos = static_cast<std::uint8_t>(value[0] - '0');
      return true;
    case Property::kRetain:
      if (!digit('1')) return false;
      message.retain = value == "1";
      return true;
  }
  return false;
}

RecordMessage message_of(const RecordView& record, std::string_view topic_address) {
  RecordReading reading;
  reading.message.address = topic_address;
  reading.message.payload = record.value.value_or(std::string_view());
  reading.message.timestamp_ms = record.timestamp_ms;
  reading.read(record.headers);
  return RecordMessage{reading.message, reading.address_from_header};
}

}  // namespace stele
