// Confirm: RabbitMQ's acknowledgements for publishers.
// method_info.h says how to read this.
#pragma once

#include "protocols/amqp/method_info.h"

namespace stele::amqp {

struct ConfirmSelect {
  static constexpr MethodInfo kInfo{kConfirmClass, 10, "confirm.select", kToServer | kSynchronous};
  bool no_wait = false;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.flags(Flag{"no_wait", m.no_wait});
  }
  friend bool operator==(const ConfirmSelect&, const ConfirmSelect&) = default;
};

struct ConfirmSelectOk : NoArguments {
  static constexpr MethodInfo kInfo{kConfirmClass, 11, "confirm.select-ok", kToClient};
};

}  // namespace stele::amqp
