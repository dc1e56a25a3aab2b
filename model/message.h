// One message, whatever protocol it came in by, and its stored form as a Kafka record. The mapping is
// docs/formats/record-mapping.md; nothing here knows a wire format other than the record's.
//
// A codec fills a MessageView from its own frame, append_message() writes it into a batch, message_of() reads
// any record, also one that a Kafka client produced. Message → record → message gives an equal message,
// always. Pure; views point into the caller's bytes and cost no allocation. Callable on any core.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/record_batch.h"
#include "model/record_batch_builder.h"

namespace stele {

// A piece of the user's own data: ordered, and a name may come more than once.
struct UserProperty {
  std::string_view name;
  std::string_view value;
  friend bool operator==(const UserProperty&, const UserProperty&) = default;
};

// The user properties of a message, read where they lie: from an array, from a codec's own frame, or from a
// record's headers. Cheap to copy; what it reads from must stay.
class UserProperties {
 public:
  // A codec's reader: takes the property at `position` (0 to begin with, then the codec's own count), moves
  // it on and returns true; false at the end. Called with a frame that the codec has checked, so it cannot
  // fail.
  using Next = bool (*)(const void* source, std::size_t& position, UserProperty& out);

  UserProperties() = default;
  explicit UserProperties(std::span<const UserProperty> array);
  UserProperties(const void* source, Next next) : source_(source), next_(next) {}

  // Goes through them once: `while (auto property = cursor.next())`.
  class Cursor {
   public:
    explicit Cursor(const UserProperties& properties)
        : properties_(properties), headers_(properties.headers_) {}
    std::optional<UserProperty> next();

   private:
    std::optional<UserProperty> next_header();
    const UserProperties& properties_;
    RecordHeaders::Cursor headers_;
    std::size_t position_ = 0;
  };
  Cursor cursor() const { return Cursor(*this); }
  // There is none; costs less than to look for the first one. False may mean that none is left.
  bool surely_none() const { return !source_ && headers_.empty(); }
  // The last one of that name, as in a record.
  std::optional<std::string_view> last(std::string_view name) const;

 private:
  friend struct RecordReading;
  static constexpr std::size_t kProperties = 8;  // kinds of headers that are a message's properties
  static constexpr std::uint32_t kAbsent = UINT32_MAX;

  // The array or a codec's source.
  const void* source_ = nullptr;
  Next next_ = nullptr;
  std::size_t array_size_ = 0;
  // A record's headers; all but those taken as the message's properties.
  RecordHeaders headers_;
  std::array<std::uint32_t, kProperties> taken_{};  // the index of each kind's header, or kAbsent
  bool marked_ = false;    // the first header says where user data begins, and is none itself
  bool all_text_ = false;  // no header has to be left out for MQTT's sake
};

struct MessageView {
  std::string_view address;  // in MQTT form (address.h)
  std::string_view payload;
  std::int64_t timestamp_ms =
      kNoTimestamp;  // arrival at the owner of the shard, or what a Kafka producer said
  std::uint8_t qos = 1;
  bool retain = false;
  std::optional<std::uint8_t> payload_format;  // MQTT's payload format indicator: 0 bytes, 1 UTF-8 text
  std::optional<std::string_view> content_type;
  std::optional<std::string_view> reply_to;  // as the publisher wrote it; not converted between protocols
  std::optional<std::string_view> correlation_id;
  std::optional<std::int64_t> expires_at_ms;
  UserProperties user_properties;  // and AMQP's priority, message-id, type, app-id, user-id under these names
};

// Expiry is kept as a point in time. An interval of MQTT counts from the arrival; what is left of it when the
// message is sent on is rounded up to whole seconds, so at the time of arrival it is the interval that came,
// and 0 says that the message is expired [MQTT-3.3.2-5], [MQTT-3.3.2-6]. Saturates.
std::int64_t expires_at_ms(std::int64_t now_ms, std::uint32_t interval_s);
std::uint32_t expiry_interval_s(std::int64_t now_ms, std::int64_t expires_at_ms);

// `stele.key`: what becomes the key of records that a topic captures.
struct KeyRule {
  enum class Kind { kAddress, kNone, kProperty };
  Kind kind = Kind::kAddress;
  std::string property;  // for kProperty: a user property; a message without it gets no key

  static Result<KeyRule> parse(std::string_view text);  // `address`, `none`, `property:<name>`
  std::string to_string() const;
  std::optional<std::string_view> key_of(const MessageView& message) const;
  friend bool operator==(const KeyRule&, const KeyRule&) = default;
};

// Writes the message as the builder's next record, without intermediate storage. The strings of the message
// are as MQTT wants them (clean UTF-8 of at most 65535 bytes; reply_to and address are addresses).
void append_message(RecordBatchBuilder& builder, const MessageView& message, const KeyRule& key_rule);

// A record as a message. `topic_address` is the address of the record's topic, used when no header names one.
struct RecordMessage {
  MessageView message;
  // The address came from header `mqtt.topic`. For records that a Kafka client produced, the caller checks
  // that this client may publish there, and that it is no address of MQTT's own ($…); else it uses the
  // topic's.
  bool address_from_header = false;
};
RecordMessage message_of(const RecordView& record, std::string_view topic_address);

}  // namespace stele
