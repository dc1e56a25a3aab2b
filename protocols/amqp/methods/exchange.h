// Exchange (section 1.6 of the specification); binding exchanges to each other is RabbitMQ's.
// method_info.h says how to read this.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/amqp/field_table.h"
#include "protocols/amqp/method_info.h"

namespace stele::amqp {

struct ExchangeDeclare {
  static constexpr MethodInfo kInfo{kExchangeClass, 10, "exchange.declare", kToServer | kSynchronous};
  std::string_view exchange;
  std::string_view type;
  bool passive = false;
  bool durable = false;
  bool auto_delete = false;
  bool internal = false;
  bool no_wait = false;
  TableView arguments;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("exchange", m.exchange);
    a.short_text("type", m.type);
    a.flags(Flag{"passive", m.passive}, Flag{"durable", m.durable}, Flag{"auto_delete", m.auto_delete},
            Flag{"internal", m.internal}, Flag{"no_wait", m.no_wait});
    a.table("arguments", m.arguments);
  }
  friend bool operator==(const ExchangeDeclare&, const ExchangeDeclare&) = default;
};

struct ExchangeDeclareOk : NoArguments {
  static constexpr MethodInfo kInfo{kExchangeClass, 11, "exchange.declare-ok", kToClient};
};

struct ExchangeDelete {
  static constexpr MethodInfo kInfo{kExchangeClass, 20, "exchange.delete", kToServer | kSynchronous};
  std::string_view exchange;
  bool if_unused = false;
  bool no_wait = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("exchange", m.exchange);
    a.flags(Flag{"if_unused", m.if_unused}, Flag{"no_wait", m.no_wait});
  }
  friend bool operator==(const ExchangeDelete&, const ExchangeDelete&) = default;
};

struct ExchangeDeleteOk : NoArguments {
  static constexpr MethodInfo kInfo{kExchangeClass, 21, "exchange.delete-ok", kToClient};
};

struct ExchangeBind {
  static constexpr MethodInfo kInfo{kExchangeClass, 30, "exchange.bind", kToServer | kSynchronous};
  std::string_view destination;
  std::string_view source;
  std::string_view routing_key;
  bool no_wait = false;
  TableView arguments;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("destination", m.destination);
    a.short_text("source", m.source);
    a.short_text("routing_key", m.routing_key);
    a.flags(Flag{"no_wait", m.no_wait});
    a.table("arguments", m.arguments);
  }
  friend bool operator==(const ExchangeBind&, const ExchangeBind&) = default;
};

struct ExchangeBindOk : NoArguments {
  static constexpr MethodInfo kInfo{kExchangeClass, 31, "exchange.bind-ok", kToClient};
};

struct ExchangeUnbind {
  static constexpr MethodInfo kInfo{kExchangeClass, 40, "exchange.unbind", kToServer | kSynchronous};
  std::string_view destination;
  std::string_view source;
  std::string_view routing_key;
  bool no_wait = false;
  TableView arguments;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("destination", m.destination);
    a.short_text("source", m.source);
    a.short_text("routing_key", m.routing_key);
    a.flags(Flag{"no_wait", m.no_wait});
    a.table("arguments", m.arguments);
  }
  friend bool operator==(const ExchangeUnbind&, const ExchangeUnbind&) = default;
};

// 51 and not 41: so it is.
struct ExchangeUnbindOk : NoArguments {
  static constexpr MethodInfo kInfo{kExchangeClass, 51, "exchange.unbind-ok", kToClient};
};

}  // namespace stele::amqp
