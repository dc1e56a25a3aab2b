#include "model/message.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <utility>
#include <vector>

#include "model/address.h"
#include "model/utf8.h"

namespace stele {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Owned {
  std::string address = "a/b";
  std::string payload = "p";
  std::int64_t timestamp_ms = 0;
  std::uint8_t qos = 1;
  bool retain = false;
  std::optional<std::uint8_t> payload_format;
  std::optional<std::string> content_type;
  std::optional<std::string> reply_to;
  std::optional<std::string> correlation_id;
  std::optional<std::int64_t> expires_at_ms;
  Pairs user;
  friend bool operator==(const Owned&, const Owned&) = default;
};

std::optional<std::string> owned(std::optional<std::string_view> view) {
  return view ? std::optional<std::string>(*view) : std::nullopt;
}

Pairs pairs(const UserProperties& properties) {
  Pairs out;
  auto cursor = properties.cursor();
  while (auto property = cursor.next()) out.emplace_back(property->name, property->value);
  return out;
}

Owned owned(const MessageView& m) {
  return {std::string(m.address),
          std::string(m.payload),
          m.timestamp_ms,
          m.qos,
          m.retain,
          m.payload_format,
          owned(m.content_type),
          owned(m.reply_to),
          owned(m.correlation_id),
          m.expires_at_ms,
          pairs(m.user_properties)};
}

std::vector<UserProperty> views(const Pairs& user) {
  std::vector<UserProperty> out;
  for (const auto& [name, value] : user) out.push_back({name, value});
  return out;
}

// `user` backs the properties of the view.
MessageView view(const Owned& m, const std::vector<UserProperty>& user) {
  return {m.address,        m.payload,        m.timestamp_ms,      m.qos,
          m.retain,         m.payload_format, m.content_type,      m.reply_to,
          m.correlation_id, m.expires_at_ms,  UserProperties(user)};
}

// One record in a batch, and its view.
class Stored {
 public:
  Stored(const Owned& message, const KeyRule& rule = {}) {
    auto user = views(message.user);
    RecordBatchBuilder builder(bytes_, {});
    append_message(builder, view(message, user), rule);
    open(builder);
  }
  // As a Kafka client might write it.
  Stored(std::optional<std::string_view> value, const std::vector<RecordHeader>& headers) {
    RecordBatchBuilder builder(bytes_, {});
    builder.append(0, "key", value, headers);
    open(builder);
  }
  const RecordView& record() const { return record_; }
  RecordMessage message() const { return message_of(record_, "the/topic"); }
  std::vector<std::pair<std::string, std::string>> headers() const {
    std::vector<std::pair<std::string, std::string>> out;
    auto cursor = record_.headers.cursor();
    while (auto h = cursor.next()) out.emplace_back(h->key, h->value.value_or("(null)"));
    return out;
  }

 private:
  void open(RecordBatchBuilder& builder) {
    EXPECT_TRUE(builder.finish());
    auto batch = parse_record_batch(bytes_).value();
    RecordIterator it(batch.header, batch.records());
    EXPECT_TRUE(it.next());
    record_ = it.record();
  }
  std::string bytes_;
  RecordView record_;
};

TEST(Message, TheTableOfTheMapping) {
  Owned m;
  m.address = "sensors/kitchen";
  m.payload = "21.5";
  m.timestamp_ms = 1700000000123;
  m.qos = 2;
  m.retain = true;
  m.payload_format = 1;
  m.content_type = "text/plain";
  m.reply_to = "answers/7";
  m.correlation_id = std::string("\0\xff", 2);
  m.expires_at_ms = expires_at_ms(m.timestamp_ms, 60);
  m.user = {{"unit", "C"}, {"priority", "3"}, {"unit", "K"}};
  Stored stored(m);
  EXPECT_EQ(stored.record().key, "sensors/kitchen");
  EXPECT_EQ(stored.record().value, "21.5");
  EXPECT_EQ(stored.record().timestamp_ms, 1700000000123);
  EXPECT_EQ(stored.headers(), (Pairs{{"content-type", "text/plain"},
                                     {"mqtt.payload-format", "1"},
                                     {"reply-to", "answers/7"},
                                     {"correlation-id", std::string("\0\xff", 2)},
                                     {"expires-at", "1700000060123"},
                                     {"mqtt.topic", "sensors/kitchen"},
                                     {"mqtt.qos", "2"},
                                     {"mqtt.retain", "1"},
                                     {"unit", "C"},
                                     {"priority", "3"},
                                     {"unit", "K"}}));
  EXPECT_EQ(owned(stored.message().message), m);
  EXPECT_TRUE(stored.message().address_from_header);
}

TEST(Message, APlainOneTakesTwoHeaders) {
  Stored stored(Owned{});
  EXPECT_EQ(stored.headers(), (Pairs{{"mqtt.topic", "a/b"}, {"mqtt.qos", "1"}}));
}

TEST(Message, KeyRules) {
  Owned m;
  m.user = {{"id", "1"}, {"id", "2"}};
  EXPECT_EQ(Stored(m, KeyRule::parse("address").value()).record().key, "a/b");
  EXPECT_EQ(Stored(m, KeyRule::parse("none").value()).record().key, std::nullopt);
  EXPECT_EQ(Stored(m, KeyRule::parse("property:id").value()).record().key, "2");
  EXPECT_EQ(Stored(m, KeyRule::parse("property:other").value()).record().key, std::nullopt);
  for (std::string_view text : {"address", "none", "property:x:y"}) {
    EXPECT_EQ(KeyRule::parse(text)->to_string(), text);
  }
  for (std::string_view text : {"", "Address", "property:", "key"})
    EXPECT_FALSE(KeyRule::parse(text)) << text;
}

// [MQTT-3.3.1-6] and Kafka's compaction: both delete.
TEST(Message, AnEmptyRetainedMessageIsATombstone) {
  Owned m;
  m.payload = "";
  EXPECT_EQ(Stored(m).record().value, "");
  m.retain = true;
  EXPECT_EQ(Stored(m).record().value, std::nullopt);
  EXPECT_EQ(owned(Stored(m).message().message), m);
}

TEST(Message, UserDataMayHaveOurNames) {
  Owned m;
  m.content_type = "text/plain";
  m.user = {{"content-type", "mine"}, {"mqtt.qos", "2"}, {"x", "y"}};
  Stored stored(m);
  EXPECT_EQ(stored.headers(), (Pairs{{"mqtt.user-data", "4"},
                                     {"content-type", "text/plain"},
                                     {"mqtt.topic", "a/b"},
                                     {"mqtt.qos", "1"},
                                     {"content-type", "mine"},
                                     {"mqtt.qos", "2"},
                                     {"x", "y"}}));
  EXPECT_EQ(owned(stored.message().message), m);
  EXPECT_EQ(stored.record().headers.last("content-type")->value, "mine") << "what a Kafka consumer sees";
}

rc::Gen<std::string> mqtt_text() {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(
                          rc::gen::element<std::string>("a", "B", " ", "\xc3\xa9", "%", "0", "1")),
                      [](const std::vector<std::string>& parts) {
                        std::string out;
                        for (const auto& part : parts) out += part;
                        return out;
                      });
}
rc::Gen<std::string> any_bytes() {
  return rc::gen::container<std::string>(rc::gen::arbitrary<char>());
}
rc::Gen<std::string> property_name() {
  return rc::gen::oneOf(
      mqtt_text(), rc::gen::element<std::string>("content-type", "mqtt.payload-format", "reply-to",
                                                 "correlation-id", "expires-at", "mqtt.topic", "mqtt.qos",
                                                 "mqtt.retain", "mqtt.user-data", "priority", "message-id"));
}
rc::Gen<std::string> property_value() {
  return rc::gen::oneOf(mqtt_text(),
                        rc::gen::element<std::string>("0", "1", "2", "7", "a/b", "1700000000000", ""));
}
template <class T>
std::optional<T> maybe(const rc::Gen<T>& gen) {
  return *rc::gen::arbitrary<bool>() ? std::optional<T>(*gen) : std::nullopt;
}

Owned any_message() {
  auto address = rc::gen::map(mqtt_text(), [](std::string s) { return "t/" + s; });
  Owned m;
  m.address = *address;
  m.payload = *any_bytes();
  m.timestamp_ms = *rc::gen::inRange<std::int64_t>(0, 1LL << 45);
  m.qos = static_cast<std::uint8_t>(*rc::gen::inRange(0, 3));
  m.retain = *rc::gen::arbitrary<bool>();
  m.payload_format =
      maybe(rc::gen::map(rc::gen::inRange(0, 2), [](int v) { return static_cast<std::uint8_t>(v); }));
  m.content_type = maybe(mqtt_text());
  m.reply_to = maybe(address);
  m.correlation_id = maybe(any_bytes());
  if (*rc::gen::arbitrary<bool>()) m.expires_at_ms = *rc::gen::arbitrary<std::int64_t>();
  m.user = *rc::gen::container<Pairs>(rc::gen::pair(property_name(), property_value()));
  return m;
}

TEST(Message, ToRecordAndBackIsTheSame) {
  EXPECT_TRUE(rc::check([] {
    Owned m = any_message();
    auto rule =
        KeyRule::parse(*rc::gen::element<std::string>("address", "none", "property:priority")).value();
    Stored stored(m, rule);
    RC_ASSERT(owned(stored.message().message) == m);
  }));
}

// What was read from a record can be written again, as forwarders do, and stays the same bytes.
TEST(Message, ARecordReadAndWrittenAgainIsTheSame) {
  EXPECT_TRUE(rc::check([] {
    Stored first(any_message());
    std::string bytes;
    RecordBatchBuilder builder(bytes, {});
    append_message(builder, first.message().message, {});
    RC_ASSERT(builder.finish().has_value());
    auto batch = parse_record_batch(bytes).value();
    RecordIterator it(batch.header, batch.records());
    RC_ASSERT(it.next());
    RC_ASSERT(owned(message_of(it.record(), "x").message) == owned(first.message().message));
    RC_ASSERT(it.record().key == first.record().key);
    RC_ASSERT(it.record().value == first.record().value);
  }));
}

TEST(Message, OfAKafkaClientsRecord) {
  Stored plain("v", {});
  EXPECT_EQ(plain.message().message.address, "the/topic");
  EXPECT_FALSE(plain.message().address_from_header);
  EXPECT_EQ(plain.message().message.qos, 1);
  EXPECT_FALSE(plain.message().message.retain);

  Stored stored(
      std::nullopt,
      {{"z", std::nullopt}, {"mqtt.qos", "0"}, {"content-type", "a"}, {"content-type", "b"}, {"y", "1"}});
  MessageView m = stored.message().message;
  EXPECT_EQ(m.payload, "");
  EXPECT_EQ(m.qos, 0);
  EXPECT_EQ(m.content_type, "b");
  EXPECT_EQ(pairs(m.user_properties), (Pairs{{"z", ""}, {"content-type", "a"}, {"y", "1"}}));
}

TEST(Message, HeadersThatMakeNoSenseStayUserData) {
  std::vector<RecordHeader> headers = {{"mqtt.qos", "3"},       {"mqtt.retain", "yes"},
                                       {"mqtt.topic", "a/#"},   {"reply-to", "+"},
                                       {"expires-at", "+1"},    {"expires-at", "007"},
                                       {"expires-at", " 1"},    {"mqtt.payload-format", "2"},
                                       {"mqtt.user-data", "0"}, {"content-type", std::nullopt}};
  Stored stored("v", headers);
  RecordMessage read = stored.message();
  EXPECT_EQ(read.message.address, "the/topic");
  EXPECT_EQ(read.message.qos, 1);
  EXPECT_EQ(read.message.reply_to, std::nullopt);
  EXPECT_EQ(read.message.expires_at_ms, std::nullopt);
  EXPECT_EQ(pairs(read.message.user_properties).size(), headers.size());
}

// [MQTT-1.5.4-1]: one ill-formed string, and the client must close the connection.
TEST(Message, HeadersThatAreNoTextAreLeftOut) {
  std::string huge(65536, 'x');
  Stored stored("v", {{"good", "1"},
                      {"bad", "\xff"},
                      {std::string_view("z\0", 2), "1"},
                      {"huge", huge},
                      {"content-type", "\xff"},
                      {"correlation-id", "\xff"},
                      {"correlation-id", "\xfe"},
                      {"also good", std::string_view(huge).substr(1)}});
  MessageView m = stored.message().message;
  EXPECT_EQ(pairs(m.user_properties), (Pairs{{"good", "1"}, {"also good", huge.substr(1)}}));
  EXPECT_EQ(m.correlation_id, "\xfe");
  EXPECT_EQ(m.content_type, std::nullopt);
}

TEST(Message, AnyRecordBecomesAMessageMqttCanCarry) {
  EXPECT_TRUE(rc::check([] {
    auto names = rc::gen::oneOf(property_name(), any_bytes());
    auto values = rc::gen::oneOf(property_value(), any_bytes());
    Pairs headers = *rc::gen::container<Pairs>(rc::gen::pair(names, values));
    std::vector<RecordHeader> record_headers;
    for (const auto& [name, value] : headers) record_headers.push_back({name, value});
    Stored stored("v", record_headers);
    MessageView m = stored.message().message;
    RC_ASSERT(check_address(m.address).has_value());
    RC_ASSERT(m.qos <= 2);
    RC_ASSERT(is_clean_utf8(m.content_type.value_or("")));
    RC_ASSERT(!m.reply_to || check_address(*m.reply_to));
    for (const auto& [name, value] : pairs(m.user_properties)) {
      RC_ASSERT(is_clean_utf8(name) && is_clean_utf8(value));
    }
  }));
}

TEST(UserProperties, MayBeReadFromACodecsOwnFrame) {
  std::string frame = "a=1;b=2;a=3;";
  auto next = [](const void* source, std::size_t& position, UserProperty& out) {
    std::string_view rest = std::string_view(*static_cast<const std::string*>(source)).substr(position);
    if (rest.empty()) return false;
    out = {rest.substr(0, 1), rest.substr(2, 1)};
    position += 4;
    return true;
  };
  UserProperties lazy(&frame, next);
  EXPECT_EQ(pairs(lazy), (Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}}));
  EXPECT_EQ(lazy.last("a"), "3");
  EXPECT_EQ(lazy.last("c"), std::nullopt);
  EXPECT_EQ(pairs(UserProperties()), Pairs{});
}

TEST(Expiry, CountsDownInWholeSeconds) {
  EXPECT_EQ(expires_at_ms(1000, 60), 61000);
  EXPECT_EQ(expiry_interval_s(1000, 61000), 60u);
  EXPECT_EQ(expiry_interval_s(1999, 61000), 60u) << "rounded up: less than a second has passed";
  EXPECT_EQ(expiry_interval_s(2000, 61000), 59u);
  EXPECT_EQ(expiry_interval_s(60999, 61000), 1u);
  EXPECT_EQ(expiry_interval_s(61000, 61000), 0u);
  EXPECT_EQ(expiry_interval_s(99999, 61000), 0u);
  EXPECT_EQ(expires_at_ms(INT64_MAX - 10, 60), INT64_MAX);
  EXPECT_EQ(expiry_interval_s(INT64_MIN, INT64_MAX), UINT32_MAX);
}

TEST(Expiry, AtArrivalIsTheIntervalThatCame) {
  EXPECT_TRUE(rc::check([](std::uint32_t interval_s) {
    std::int64_t now = *rc::gen::inRange<std::int64_t>(0, 1LL << 50);
    RC_ASSERT(expiry_interval_s(now, expires_at_ms(now, interval_s)) == interval_s);
  }));
}

}  // namespace
}  // namespace stele
