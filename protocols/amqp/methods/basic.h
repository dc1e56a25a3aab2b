// Basic (section 1.8 of the specification); nack, and a cancel from the server, are RabbitMQ's.
// method_info.h says how to read this.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/amqp/field_table.h"
#include "protocols/amqp/method_info.h"

namespace stele::amqp {

struct BasicQos {
  static constexpr MethodInfo kInfo{kBasicClass, 10, "basic.qos", kToServer | kSynchronous};
  std::uint32_t prefetch_size = 0;
  std::uint16_t prefetch_count = 0;
  bool global = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("prefetch_size", m.prefetch_size);
    a.integer("prefetch_count", m.prefetch_count);
    a.flags(Flag{"global", m.global});
  }
  friend bool operator==(const BasicQos&, const BasicQos&) = default;
};

struct BasicQosOk : NoArguments {
  static constexpr MethodInfo kInfo{kBasicClass, 11, "basic.qos-ok", kToClient};
};

struct BasicConsume {
  static constexpr MethodInfo kInfo{kBasicClass, 20, "basic.consume", kToServer | kSynchronous};
  std::string_view queue;
  std::string_view consumer_tag;  // empty: the server thinks of one
  bool no_local = false;
  bool no_ack = false;
  bool exclusive = false;
  bool no_wait = false;
  TableView arguments;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("queue", m.queue);
    a.short_text("consumer_tag", m.consumer_tag);
    a.flags(Flag{"no_local", m.no_local}, Flag{"no_ack", m.no_ack}, Flag{"exclusive", m.exclusive},
            Flag{"no_wait", m.no_wait});
    a.table("arguments", m.arguments);
  }
  friend bool operator==(const BasicConsume&, const BasicConsume&) = default;
};

struct BasicConsumeOk {
  static constexpr MethodInfo kInfo{kBasicClass, 21, "basic.consume-ok", kToClient};
  std::string_view consumer_tag;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.short_text("consumer_tag", m.consumer_tag);
  }
  friend bool operator==(const BasicConsumeOk&, const BasicConsumeOk&) = default;
};

// From the server: the queue is gone.
struct BasicCancel {
  static constexpr MethodInfo kInfo{kBasicClass, 30, "basic.cancel", kToBoth | kSynchronous};
  std::string_view consumer_tag;
  bool no_wait = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.short_text("consumer_tag", m.consumer_tag);
    a.flags(Flag{"no_wait", m.no_wait});
  }
  friend bool operator==(const BasicCancel&, const BasicCancel&) = default;
};

struct BasicCancelOk {
  static constexpr MethodInfo kInfo{kBasicClass, 31, "basic.cancel-ok", kToBoth};
  std::string_view consumer_tag;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.short_text("consumer_tag", m.consumer_tag);
  }
  friend bool operator==(const BasicCancelOk&, const BasicCancelOk&) = default;
};

struct BasicPublish {
  static constexpr MethodInfo kInfo{kBasicClass, 40, "basic.publish", kToServer | kContent};
  std::string_view exchange;
  std::string_view routing_key;
  bool mandatory = false;
  bool immediate = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("exchange", m.exchange);
    a.short_text("routing_key", m.routing_key);
    a.flags(Flag{"mandatory", m.mandatory}, Flag{"immediate", m.immediate});
  }
  friend bool operator==(const BasicPublish&, const BasicPublish&) = default;
};

struct BasicReturn {
  static constexpr MethodInfo kInfo{kBasicClass, 50, "basic.return", kToClient | kContent};
  std::uint16_t reply_code = 0;
  std::string_view reply_text;
  std::string_view exchange;
  std::string_view routing_key;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("reply_code", m.reply_code);
    a.short_text("reply_text", m.reply_text);
    a.short_text("exchange", m.exchange);
    a.short_text("routing_key", m.routing_key);
  }
  friend bool operator==(const BasicReturn&, const BasicReturn&) = default;
};

struct BasicDeliver {
  static constexpr MethodInfo kInfo{kBasicClass, 60, "basic.deliver", kToClient | kContent};
  std::string_view consumer_tag;
  std::uint64_t delivery_tag = 0;
  bool redelivered = false;
  std::string_view exchange;
  std::string_view routing_key;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.short_text("consumer_tag", m.consumer_tag);
    a.integer("delivery_tag", m.delivery_tag);
    a.flags(Flag{"redelivered", m.redelivered});
    a.short_text("exchange", m.exchange);
    a.short_text("routing_key", m.routing_key);
  }
  friend bool operator==(const BasicDeliver&, const BasicDeliver&) = default;
};

struct BasicGet {
  static constexpr MethodInfo kInfo{kBasicClass, 70, "basic.get", kToServer | kSynchronous};
  std::string_view queue;
  bool no_ack = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.template reserved<std::uint16_t>();
    a.short_text("queue", m.queue);
    a.flags(Flag{"no_ack", m.no_ack});
  }
  friend bool operator==(const BasicGet&, const BasicGet&) = default;
};

struct BasicGetOk {
  static constexpr MethodInfo kInfo{kBasicClass, 71, "basic.get-ok", kToClient | kContent};
  std::uint64_t delivery_tag = 0;
  bool redelivered = false;
  std::string_view exchange;
  std::string_view routing_key;
  std::uint32_t message_count = 0;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("delivery_tag", m.delivery_tag);
    a.flags(Flag{"redelivered", m.redelivered});
    a.short_text("exchange", m.exchange);
    a.short_text("routing_key", m.routing_key);
    a.integer("message_count", m.message_count);
  }
  friend bool operator==(const BasicGetOk&, const BasicGetOk&) = default;
};

struct BasicGetEmpty {
  static constexpr MethodInfo kInfo{kBasicClass, 72, "basic.get-empty", kToClient};

  template <class Archive, class M>
  static void describe(Archive& a, M&) {
    a.reserved_short_text();
  }
  friend bool operator==(const BasicGetEmpty&, const BasicGetEmpty&) = default;
};

// From the server: a message that was published is taken (confirm mode).
struct BasicAck {
  static constexpr MethodInfo kInfo{kBasicClass, 80, "basic.ack", kToBoth};
  std::uint64_t delivery_tag = 0;
  bool multiple = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("delivery_tag", m.delivery_tag);
    a.flags(Flag{"multiple", m.multiple});
  }
  friend bool operator==(const BasicAck&, const BasicAck&) = default;
};

struct BasicReject {
  static constexpr MethodInfo kInfo{kBasicClass, 90, "basic.reject", kToServer};
  std::uint64_t delivery_tag = 0;
  bool requeue = true;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("delivery_tag", m.delivery_tag);
    a.flags(Flag{"requeue", m.requeue});
  }
  friend bool operator==(const BasicReject&, const BasicReject&) = default;
};

struct BasicRecoverAsync {
  static constexpr MethodInfo kInfo{kBasicClass, 100, "basic.recover-async", kToServer};
  bool requeue = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.flags(Flag{"requeue", m.requeue});
  }
  friend bool operator==(const BasicRecoverAsync&, const BasicRecoverAsync&) = default;
};

struct BasicRecover {
  static constexpr MethodInfo kInfo{kBasicClass, 110, "basic.recover", kToServer | kSynchronous};
  bool requeue = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.flags(Flag{"requeue", m.requeue});
  }
  friend bool operator==(const BasicRecover&, const BasicRecover&) = default;
};

struct BasicRecoverOk : NoArguments {
  static constexpr MethodInfo kInfo{kBasicClass, 111, "basic.recover-ok", kToClient};
};

struct BasicNack {
  static constexpr MethodInfo kInfo{kBasicClass, 120, "basic.nack", kToBoth};
  std::uint64_t delivery_tag = 0;
  bool multiple = false;
  bool requeue = true;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("delivery_tag", m.delivery_tag);
    a.flags(Flag{"multiple", m.multiple}, Flag{"requeue", m.requeue});
  }
  friend bool operator==(const BasicNack&, const BasicNack&) = default;
};

}  // namespace stele::amqp
