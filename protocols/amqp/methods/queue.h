// Queue (section 1.7 of the specification).
// method_info.h says how to read this.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/amqp/field_table.h"
#include "protocols/amqp/method_info.h"

namespace stele::amqp {

struct QueueDeclare {
  static constexpr MethodInfo kInfo{kQueueClass, 10, "queue.declare", kToServer | kSynchronous};
  std::string_view queue;  // empty: the server thinks of a name
  bool passive = false;
  bool durable = false;
  bool exclusive = false;
  bool auto_delete = false;
  bool no_wait = false;
  TableView arguments;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("queue", m.queue);
    a.flags(Flag{"passive", m.passive}, Flag{"durable", m.durable}, Flag{"exclusive", m.exclusive},
            Flag{"auto_delete", m.auto_delete}, Flag{"no_wait", m.no_wait});
    a.table("arguments", m.arguments);
  }
  friend bool operator==(const QueueDeclare&, const QueueDeclare&) = default;
};

struct QueueDeclareOk {
  static constexpr MethodInfo kInfo{kQueueClass, 11, "queue.declare-ok", kToClient};
  std::string_view queue;
  std::uint32_t message_count = 0;
  std::uint32_t consumer_count = 0;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.short_text("queue", m.queue);
    a.integer("message_count", m.message_count);
    a.integer("consumer_count", m.consumer_count);
  }
  friend bool operator==(const QueueDeclareOk&, const QueueDeclareOk&) = default;
};

// An empty queue name, here and below, is the one that was last declared on the channel.
struct QueueBind {
  static constexpr MethodInfo kInfo{kQueueClass, 20, "queue.bind", kToServer | kSynchronous};
  std::string_view queue;
  std::string_view exchange;
  std::string_view routing_key;
  bool no_wait = false;
  TableView arguments;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("queue", m.queue);
    a.short_text("exchange", m.exchange);
    a.short_text("routing_key", m.routing_key);
    a.flags(Flag{"no_wait", m.no_wait});
    a.table("arguments", m.arguments);
  }
  friend bool operator==(const QueueBind&, const QueueBind&) = default;
};

struct QueueBindOk : NoArguments {
  static constexpr MethodInfo kInfo{kQueueClass, 21, "queue.bind-ok", kToClient};
};

struct QueuePurge {
  static constexpr MethodInfo kInfo{kQueueClass, 30, "queue.purge", kToServer | kSynchronous};
  std::string_view queue;
  bool no_wait = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("queue", m.queue);
    a.flags(Flag{"no_wait", m.no_wait});
  }
  friend bool operator==(const QueuePurge&, const QueuePurge&) = default;
};

struct QueuePurgeOk {
  static constexpr MethodInfo kInfo{kQueueClass, 31, "queue.purge-ok", kToClient};
  std::uint32_t message_count = 0;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("message_count", m.message_count);
  }
  friend bool operator==(const QueuePurgeOk&, const QueuePurgeOk&) = default;
};

struct QueueDelete {
  static constexpr MethodInfo kInfo{kQueueClass, 40, "queue.delete", kToServer | kSynchronous};
  std::string_view queue;
  bool if_unused = false;
  bool if_empty = false;
  bool no_wait = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("queue", m.queue);
    a.flags(Flag{"if_unused", m.if_unused}, Flag{"if_empty", m.if_empty}, Flag{"no_wait", m.no_wait});
  }
  friend bool operator==(const QueueDelete&, const QueueDelete&) = default;
};

struct QueueDeleteOk {
  static constexpr MethodInfo kInfo{kQueueClass, 41, "queue.delete-ok", kToClient};
  std::uint32_t message_count = 0;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("message_count", m.message_count);
  }
  friend bool operator==(const QueueDeleteOk&, const QueueDeleteOk&) = default;
};

struct QueueUnbind {
  static constexpr MethodInfo kInfo{kQueueClass, 50, "queue.unbind", kToServer | kSynchronous};
  std::string_view queue;
  std::string_view exchange;
  std::string_view routing_key;
  TableView arguments;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("queue", m.queue);
    a.short_text("exchange", m.exchange);
    a.short_text("routing_key", m.routing_key);
    a.table("arguments", m.arguments);
  }
  friend bool operator==(const QueueUnbind&, const QueueUnbind&) = default;
};

struct QueueUnbindOk : NoArguments {
  static constexpr MethodInfo kInfo{kQueueClass, 51, "queue.unbind-ok", kToClient};
};

}  // namespace stele::amqp
