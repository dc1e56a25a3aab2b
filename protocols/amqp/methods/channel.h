// Channel (section 1.5 of the specification).
// method_info.h says how to read this.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/amqp/method_info.h"

namespace stele::amqp {

struct ChannelOpen {
  static constexpr MethodInfo kInfo{kChannelClass, 10, "channel.open", kToServer | kSynchronous};

  template <class Archive, class M>
  static void describe(Archive& a, M&) {
    a.reserved_short_text();
  }
  friend bool operator==(const ChannelOpen&, const ChannelOpen&) = default;
};

struct ChannelOpenOk {
  static constexpr MethodInfo kInfo{kChannelClass, 11, "channel.open-ok", kToClient};

  template <class Archive, class M>
  static void describe(Archive& a, M&) {
    a.reserved_long_text();
  }
  friend bool operator==(const ChannelOpenOk&, const ChannelOpenOk&) = default;
};

struct ChannelFlow {
  static constexpr MethodInfo kInfo{kChannelClass, 20, "channel.flow", kToBoth | kSynchronous};
  bool active = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.flags(Flag{"active", m.active});
  }
  friend bool operator==(const ChannelFlow&, const ChannelFlow&) = default;
};

struct ChannelFlowOk {
  static constexpr MethodInfo kInfo{kChannelClass, 21, "channel.flow-ok", kToBoth};
  bool active = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.flags(Flag{"active", m.active});
  }
  friend bool operator==(const ChannelFlowOk&, const ChannelFlowOk&) = default;
};

// The method at fault is 0.0 where there is none.
struct ChannelClose {
  static constexpr MethodInfo kInfo{kChannelClass, 40, "channel.close", kToBoth | kSynchronous};
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
  friend bool operator==(const ChannelClose&, const ChannelClose&) = default;
};

struct ChannelCloseOk : NoArguments {
  static constexpr MethodInfo kInfo{kChannelClass, 41, "channel.close-ok", kToBoth};
};

}  // namespace stele::amqp
