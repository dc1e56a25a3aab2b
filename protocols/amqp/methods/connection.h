// Connection: what is said on channel 0 (section 1.4 of the specification, and RabbitMQ's extensions).
// method_info.h says how to read this.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/amqp/field_table.h"
#include "protocols/amqp/method_info.h"

namespace stele::amqp {

struct ConnectionStart {
  static constexpr MethodInfo kInfo{kConnectionClass, 10, "connection.start", kToClient | kSynchronous};
  std::uint8_t version_major = 0;
  std::uint8_t version_minor = 9;
  TableView server_properties;
  std::string_view mechanisms;  // separated by spaces
  std::string_view locales;     // separated by spaces

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("version_major", m.version_major);
    a.integer("version_minor", m.version_minor);
    a.table("server_properties", m.server_properties);
    a.long_text("mechanisms", m.mechanisms);
    a.long_text("locales", m.locales);
  }
  friend bool operator==(const ConnectionStart&, const ConnectionStart&) = default;
};

struct ConnectionStartOk {
  static constexpr MethodInfo kInfo{kConnectionClass, 11, "connection.start-ok", kToServer};
  TableView client_properties;
  std::string_view mechanism;
  std::string_view response;  // of the mechanism: sasl.h
  std::string_view locale;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.table("client_properties", m.client_properties);
    a.short_text("mechanism", m.mechanism);
    a.long_text("response", m.response);
    a.short_text("locale", m.locale);
  }
  friend bool operator==(const ConnectionStartOk&, const ConnectionStartOk&) = default;
};

struct ConnectionSecure {
  static constexpr MethodInfo kInfo{kConnectionClass, 20, "connection.secure", kToClient | kSynchronous};
  std::string_view challenge;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.long_text("challenge", m.challenge);
  }
  friend bool operator==(const ConnectionSecure&, const ConnectionSecure&) = default;
};

struct ConnectionSecureOk {
  static constexpr MethodInfo kInfo{kConnectionClass, 21, "connection.secure-ok", kToServer};
  std::string_view response;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.long_text("response", m.response);
  }
  friend bool operator==(const ConnectionSecureOk&, const ConnectionSecureOk&) = default;
};

// 0 means no limit, or no heartbeats.
struct ConnectionTune {
  static constexpr MethodInfo kInfo{kConnectionClass, 30, "connection.tune", kToClient | kSynchronous};
  std::uint16_t channel_max = 0;
  std::uint32_t frame_max = 0;
  std::uint16_t heartbeat_s = 0;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("channel_max", m.channel_max);
    a.integer("frame_max", m.frame_max);
    a.integer("heartbeat_s", m.heartbeat_s);
  }
  friend bool operator==(const ConnectionTune&, const ConnectionTune&) = default;
};

struct ConnectionTuneOk {
  static constexpr MethodInfo kInfo{kConnectionClass, 31, "connection.tune-ok", kToServer};
  std::uint16_t channel_max = 0;
  std::uint32_t frame_max = 0;
  std::uint16_t heartbeat_s = 0;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("channel_max", m.channel_max);
    a.integer("frame_max", m.frame_max);
    a.integer("heartbeat_s", m.heartbeat_s);
  }
  friend bool operator==(const ConnectionTuneOk&, const ConnectionTuneOk&) = default;
};

struct ConnectionOpen {
  static constexpr MethodInfo kInfo{kConnectionClass, 40, "connection.open", kToServer | kSynchronous};
  std::string_view virtual_host;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.short_text("virtual_host", m.virtual_host);
    a.reserved_short_text();
    a.template reserved<std::uint8_t>();
  }
  friend bool operator==(const ConnectionOpen&, const ConnectionOpen&) = default;
};

struct ConnectionOpenOk {
  static constexpr MethodInfo kInfo{kConnectionClass, 41, "connection.open-ok", kToClient};

  template <class Archive, class M>
  static void describe(Archive& a, M&) {
    a.reserved_short_text();
  }
  friend bool operator==(const ConnectionOpenOk&, const ConnectionOpenOk&) = default;
};

// The method at fault is 0.0 where there is none.
struct ConnectionClose {
  static constexpr MethodInfo kInfo{kConnectionClass, 50, "connection.close", kToBoth | kSynchronous};
  std::uint16_t reply_code = 0;  // a ReplyCode, or a number that we do not know
  std::string_view reply_text;
  std::uint16_t failed_class = 0;
  std::uint16_t failed_method = 0;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("reply_code", m.reply_code);
    a.short_text("reply_text", m.reply_text);
    a.integer("failed_class", m.failed_class);
    a.integer("failed_method", m.failed_method);
  }
  friend bool operator==(const ConnectionClose&, const ConnectionClose&) = default;
};

struct ConnectionCloseOk : NoArguments {
  static constexpr MethodInfo kInfo{kConnectionClass, 51, "connection.close-ok", kToBoth};
};

// RabbitMQ: to clients that announce connection.blocked in their properties.
struct ConnectionBlocked {
  static constexpr MethodInfo kInfo{kConnectionClass, 60, "connection.blocked", kToClient};
  std::string_view reason;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.short_text("reason", m.reason);
  }
  friend bool operator==(const ConnectionBlocked&, const ConnectionBlocked&) = default;
};

struct ConnectionUnblocked : NoArguments {
  static constexpr MethodInfo kInfo{kConnectionClass, 61, "connection.unblocked", kToClient};
};

// RabbitMQ: a new token for the user that is logged in.
struct ConnectionUpdateSecret {
  static constexpr MethodInfo kInfo{kConnectionClass, 70, "connection.update-secret",
                                    kToServer | kSynchronous};
  std::string_view new_secret;
  std::string_view reason;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.long_text("new_secret", m.new_secret);
    a.short_text("reason", m.reason);
  }
  friend bool operator==(const ConnectionUpdateSecret&, const ConnectionUpdateSecret&) = default;
};

struct ConnectionUpdateSecretOk : NoArguments {
  static constexpr MethodInfo kInfo{kConnectionClass, 71, "connection.update-secret-ok", kToClient};
};

}  // namespace stele::amqp
