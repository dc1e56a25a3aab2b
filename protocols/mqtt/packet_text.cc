#include "protocols/mqtt/packet_text.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "protocols/mqtt/encode.h"

namespace stele::mqtt {

namespace {

// ---- to text -------------------------------------------------------------------------------------------

std::string hex(unsigned value) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02x", value);
  return text;
}

class Line {
 public:
  explicit Line(std::string_view name) : text_(name) {}
  void word(std::string_view word) { text_.append(" ").append(word); }
  void text(std::string_view name, std::string_view value) {
    text_.append(" ").append(name).append("=").append(value);
  }
  void put(std::string_view name, std::uint64_t value) { text(name, std::to_string(value)); }
  void quoted(std::string_view name, std::string_view value) {
    constexpr std::size_t kLong = 100;
    if (value.size() > kLong) {
      text(name, "<" + std::to_string(value.size()) + " bytes>");
    } else {
      text(name, "\"" + std::string(value) + "\"");
    }
  }
  void maybe(std::string_view name, const std::optional<std::string_view>& value) {
    if (value) quoted(name, *value);
  }
  template <class T>
    requires(std::is_arithmetic_v<T>)
  void maybe(std::string_view name, const std::optional<T>& value) {
    if (value) put(name, std::uint64_t{*value});
  }
  void flag(std::string_view name, bool set) {
    if (set) word(name);
  }
  void reason(ReasonCode reason) {
    text("reason", hex(static_cast<unsigned>(reason)));
    if (reason != ReasonCode::kSuccess) text_.append(" (").append(to_string(reason)).append(")");
  }
  void user(const UserProperties& properties) {
    for (const UserProperty& property : properties) {
      text("user", std::string(property.name) + ":" + std::string(property.value));
    }
  }
  std::string take() && { return std::move(text_); }

 private:
  std::string text_;
};

std::string text_of(const Connack& p) {
  Line line("CONNACK");
  line.reason(p.reason);
  line.put("present", p.session_present);
  line.maybe("expiry", p.session_expiry_s);
  line.maybe("receive_maximum", p.receive_maximum);
  if (p.maximum_qos) line.put("maximum_qos", static_cast<std::uint64_t>(*p.maximum_qos));
  line.maybe("retain", p.retain_available);
  line.maybe("maximum_packet_size", p.maximum_packet_size);
  line.maybe("assigned", p.assigned_client_id);
  line.maybe("aliases", p.topic_alias_maximum);
  line.maybe("wildcards", p.wildcard_subscription_available);
  line.maybe("ids", p.subscription_identifier_available);
  line.maybe("shared", p.shared_subscription_available);
  line.maybe("keep", p.server_keep_alive_s);
  line.maybe("why", p.reason_string);
  return std::move(line).take();
}

std::string text_of(const Publish& p) {
  Line line("PUBLISH");
  line.quoted("topic", p.topic);
  line.put("qos", static_cast<std::uint64_t>(p.qos));
  if (p.packet_id != 0) line.put("id", p.packet_id);
  line.flag("dup", p.dup);
  line.flag("retain", p.retain);
  line.maybe("alias", p.topic_alias);
  for (const std::uint32_t id : p.subscription_ids) line.put("subid", id);
  const MessageProperties& properties = p.properties;
  line.maybe("text", properties.payload_is_utf8);
  line.maybe("expiry", properties.message_expiry_s);
  line.maybe("type", properties.content_type);
  line.maybe("reply", properties.response_topic);
  line.maybe("correlation", properties.correlation_data);
  line.user(properties.user_properties);
  line.quoted("payload", p.payload);
  return std::move(line).take();
}

template <PacketType T>
std::string text_of(const Ack<T>& p) {
  Line line(to_string(T));
  line.put("id", p.packet_id);
  line.reason(p.reason);
  line.maybe("why", p.reason_string);
  return std::move(line).take();
}

template <class T>
std::string text_of_reasons(std::string_view name, const T& p) {
  Line line(name);
  line.put("id", p.packet_id);
  std::string codes;
  for (const ReasonCode code : p.reasons) {
    codes.append(codes.empty() ? "" : ",").append(hex(static_cast<unsigned>(code)));
  }
  line.text("reasons", codes);
  line.maybe("why", p.reason_string);
  return std::move(line).take();
}
std::string text_of(const Suback& p) {
  return text_of_reasons("SUBACK", p);
}
std::string text_of(const Unsuback& p) {
  return text_of_reasons("UNSUBACK", p);
}

std::string text_of(const Disconnect& p) {
  Line line("DISCONNECT");
  line.reason(p.reason);
  line.maybe("expiry", p.session_expiry_s);
  line.maybe("why", p.reason_string);
  return std::move(line).take();
}

// What a server does not send.
template <class T>
std::string text_of(const T& p) {
  return std::string(to_string(type_of(Packet(p))));
}

// ---- from text -----------------------------------------------------------------------------------------

[[noreturn]] void bad(std::string_view what, std::string_view text) {
  std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(text.size()), text.data());
  std::abort();
}

std::uint64_t number(std::string_view text) {
  return std::strtoull(std::string(text).c_str(), nullptr, 0);
}

// The words of a command: names with and without a value.
class Words {
 public:
  explicit Words(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = text.find(' ');
      const std::string_view word = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (word.empty()) continue;
      const std::size_t equals = word.find('=');
      if (equals == std::string_view::npos) {
        words_.emplace_back(word, "");
      } else {
        words_.emplace_back(word.substr(0, equals), word.substr(equals + 1));
      }
    }
    if (words_.empty()) bad("no packet", text);
  }
  std::string_view name() const { return words_.front().first; }
  bool has(std::string_view name) const { return find(name).has_value(); }
  std::optional<std::string_view> find(std::string_view name) const {
    for (std::size_t i = 1; i < words_.size(); ++i) {
      if (words_[i].first == name) return words_[i].second;
    }
    return std::nullopt;
  }
  std::string_view get(std::string_view name) const { return find(name).value_or(""); }
  std::vector<std::string_view> all(std::string_view name) const {
    std::vector<std::string_view> out;
    for (std::size_t i = 1; i < words_.size(); ++i) {
      if (words_[i].first == name) out.push_back(words_[i].second);
    }
    return out;
  }
  template <class T>
  std::optional<T> find_number(std::string_view name) const {
    auto text = find(name);
    if (!text) return std::nullopt;
    return static_cast<T>(number(*text));
  }
  template <class T>
  T get_number(std::string_view name) const {
    return find_number<T>(name).value_or(0);
  }

 private:
  std::vector<std::pair<std::string_view, std::string_view>> words_;
};

std::vector<std::string_view> parts(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

// "hello", or "x*3000".
std::string_view payload_of(std::string_view text, std::string& storage) {
  const std::size_t star = text.find('*');
  if (star == std::string_view::npos) return text;
  storage.assign(number(text.substr(star + 1)), text[0]);
  return storage;
}

MessageProperties properties_of(const Words& words, std::string& storage) {
  MessageProperties out;
  if (auto text = words.find_number<unsigned>("text")) out.payload_is_utf8 = *text != 0;
  out.message_expiry_s = words.find_number<std::uint32_t>("expiry");
  out.content_type = words.find("type");
  out.response_topic = words.find("reply");
  out.correlation_data = words.find("correlation");
  for (const std::string_view user : words.all("user")) {
    const auto pair = parts(user, ':');
    if (!append_user_property(storage, pair[0], pair[1])) bad("user property", user);
  }
  out.user_properties = UserProperties::from_encoded(storage);
  return out;
}

void append_connect(std::string& out, const Words& words, Version& version) {
  version = words.has("v3") ? Version::kV31 : words.has("v4") ? Version::kV311 : Version::kV5;
  Connect packet;
  packet.version = version;
  packet.clean_start = !words.has("keep_session");
  packet.client_id = words.get("id");
  packet.keep_alive_s = words.get_number<std::uint16_t>("keep");
  packet.user_name = words.find("user");
  packet.password = words.find("password");
  packet.session_expiry_s = words.find_number<std::uint32_t>("session");
  packet.receive_maximum = words.find_number<std::uint16_t>("receive_maximum");
  packet.maximum_packet_size = words.find_number<std::uint32_t>("maximum_packet_size");
  packet.topic_alias_maximum = words.find_number<std::uint16_t>("aliases");
  packet.authentication_method = words.find("auth");
  if (auto will_text = words.find("will")) {  // topic:payload:qos
    const auto will = parts(*will_text, ':');
    packet.will.emplace();
    packet.will->topic = will[0];
    packet.will->payload = will[1];
    packet.will->qos = static_cast<Qos>(number(will[2]));
    packet.will->retain = words.has("will_retain");
    packet.will->delay_s = words.find_number<std::uint32_t>("will_delay");
    packet.will->properties.message_expiry_s = words.find_number<std::uint32_t>("will_expiry");
  }
  encode(out, packet);
}

Publish publish_of(const Words& words, std::string& payload, std::string& user) {
  Publish packet;
  packet.topic = words.get("topic");
  packet.payload = payload_of(words.get("payload"), payload);
  packet.qos = static_cast<Qos>(words.get_number<unsigned>("qos"));
  packet.packet_id = words.get_number<std::uint16_t>("id");
  packet.dup = words.has("dup");
  packet.retain = words.has("retain");
  packet.topic_alias = words.find_number<std::uint16_t>("alias");
  packet.properties = properties_of(words, user);
  return packet;
}

void append_subscribe(std::string& out, const Words& words, Version version) {
  Subscribe packet;
  packet.packet_id = words.get_number<std::uint16_t>("id");
  packet.subscription_id = words.find_number<std::uint32_t>("subid");
  for (const std::string_view filter : words.all("filter")) {  // filter[:qos[:nl][:rap][:rh1]]
    const auto options = parts(filter, ':');
    Subscription& subscription = packet.subscriptions.emplace_back();
    subscription.filter = options[0];
    for (std::size_t i = 1; i < options.size(); ++i) {
      if (options[i] == "nl")
        subscription.no_local = true;
      else if (options[i] == "rap")
        subscription.retain_as_published = true;
      else if (options[i].starts_with("rh")) {
        subscription.retain_handling = static_cast<RetainHandling>(number(options[i].substr(2)));
      } else {
        subscription.qos = static_cast<Qos>(number(options[i]));
      }
    }
  }
  encode(out, packet, version);
}

template <class T>
void append_ack(std::string& out, const Words& words, Version version) {
  T packet;
  packet.packet_id = words.get_number<std::uint16_t>("id");
  packet.reason = static_cast<ReasonCode>(words.get_number<unsigned>("reason"));
  encode(out, packet, version);
}

void append_unsubscribe(std::string& out, const Words& words, Version version) {
  Unsubscribe packet;
  packet.packet_id = words.get_number<std::uint16_t>("id");
  packet.filters = words.all("filter");
  encode(out, packet, version);
}

void append_disconnect(std::string& out, const Words& words, Version version) {
  Disconnect packet;
  packet.reason = static_cast<ReasonCode>(words.get_number<unsigned>("reason"));
  packet.session_expiry_s = words.find_number<std::uint32_t>("session");
  encode(out, packet, version);
}

void append_raw(std::string& out, std::string_view text) {
  for (const std::string_view byte : parts(text, ' ')) {
    if (byte.empty() || byte == "raw") continue;
    out.push_back(static_cast<char>(std::strtoul(std::string(byte).c_str(), nullptr, 16)));
  }
}

}  // namespace

std::string to_text(const Packet& packet) {
  return std::visit([](const auto& p) { return text_of(p); }, packet);
}

void append_packet(std::string& out, std::string_view text, Version& version) {
  const Words words(text);
  const std::string_view name = words.name();
  if (name == "raw") return append_raw(out, text);
  if (name == "connect") return append_connect(out, words, version);
  if (name == "subscribe") return append_subscribe(out, words, version);
  if (name == "unsubscribe") return append_unsubscribe(out, words, version);
  if (name == "puback") return append_ack<Puback>(out, words, version);
  if (name == "pubrec") return append_ack<Pubrec>(out, words, version);
  if (name == "pubrel") return append_ack<Pubrel>(out, words, version);
  if (name == "pubcomp") return append_ack<Pubcomp>(out, words, version);
  if (name == "disconnect") return append_disconnect(out, words, version);
  if (name == "publish") {
    std::string payload, user;
    if (!encode(out, publish_of(words, payload, user), version)) bad("cannot be encoded", text);
  } else if (name == "ping") {
    encode(out, Pingreq{}, version);
  } else if (name == "pong") {
    encode(out, Pingresp{}, version);
  } else if (name == "auth") {
    Auth packet;
    packet.reason = ReasonCode::kReauthenticate;
    packet.authentication_method = "x";
    encode(out, packet, version);
  } else {
    bad("unknown packet", text);
  }
}

Publish parse_publish(std::string_view text, std::deque<std::string>& storage) {
  return publish_of(Words(text), storage.emplace_back(), storage.emplace_back());
}

}  // namespace stele::mqtt
