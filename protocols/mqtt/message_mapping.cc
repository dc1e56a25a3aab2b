#include "protocols/mqtt/message_mapping.h"

#include <cstddef>

namespace stele::mqtt {
namespace {

bool next_user_property(const void* source, std::size_t& position, ::stele::UserProperty& out) {
  UserProperty property;
  if (!static_cast<const UserProperties*>(source)->next_at(position, property)) return false;
  out = {property.name, property.value};
  return true;
}

void take_properties(MessageView& out, const MessageProperties& properties) {
  if (properties.payload_is_utf8) out.payload_format = *properties.payload_is_utf8 ? 1 : 0;
  out.content_type = properties.content_type;
  out.reply_to = properties.response_topic;
  out.correlation_id = properties.correlation_data;
  if (!properties.user_properties.empty()) {
    out.user_properties = ::stele::UserProperties(&properties.user_properties, next_user_property);
  }
}

}  // namespace

MessageView message_of(const Publish& packet, std::int64_t now_ms) {
  MessageView out;
  out.timestamp_ms = now_ms;
  out.address = packet.topic;
  out.payload = packet.payload;
  out.qos = static_cast<std::uint8_t>(packet.qos);
  out.retain = packet.retain;
  take_properties(out, packet.properties);
  if (packet.properties.message_expiry_s) {
    out.expires_at_ms = expires_at_ms(now_ms, *packet.properties.message_expiry_s);
  }
  return out;
}

MessageView message_of(const Will& will) {
  MessageView out;
  out.address = will.topic;
  out.payload = will.payload;
  out.qos = static_cast<std::uint8_t>(will.qos);
  out.retain = will.retain;
  take_properties(out, will.properties);
  return out;
}

void fill_publish(Publish& packet, const MessageView& message, Version version, std::int64_t now_ms,
                  std::span<const std::uint32_t> subscription_ids, std::string& scratch) {
  packet.topic = message.address;
  packet.payload = message.payload;
  if (version != Version::kV5) return;
  MessageProperties& properties = packet.properties;
  if (message.payload_format) properties.payload_is_utf8 = *message.payload_format != 0;
  properties.content_type = message.content_type;
  properties.response_topic = message.reply_to;
  properties.correlation_data = message.correlation_id;
  if (message.expires_at_ms) {
    properties.message_expiry_s = expiry_interval_s(now_ms, *message.expires_at_ms);
  }
  scratch.clear();
  for (const std::uint32_t id : subscription_ids) append_subscription_id(scratch, id);
  const std::size_t ids_size = scratch.size();
  auto user = message.user_properties.cursor();
  while (auto property = user.next()) {
    // What is too long for MQTT came from another protocol and has no place here.
    (void)append_user_property(scratch, property->name, property->value);
  }
  const std::string_view encoded = scratch;
  if (ids_size > 0) packet.subscription_ids = SubscriptionIds::from_encoded(encoded.substr(0, ids_size));
  if (encoded.size() > ids_size) {
    properties.user_properties = UserProperties::from_encoded(encoded.substr(ids_size));
  }
}

}  // namespace stele::mqtt
