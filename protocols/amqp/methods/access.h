// Access: gone from 0-9-1, but old clients ask for a ticket before anything else. Who serves them answers
// with any ticket; the tickets of other methods are not looked at. method_info.h says how to read this.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/amqp/method_info.h"

namespace stele::amqp {

struct AccessRequest {
  static constexpr MethodInfo kInfo{kAccessClass, 10, "access.request", kToServer | kSynchronous};
  std::string_view realm;
  bool exclusive = false;
  bool passive = true;
  bool active = true;
  bool write = true;
  bool read = true;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.short_text("realm", m.realm);
    a.flags(Flag{"exclusive", m.exclusive}, Flag{"passive", m.passive}, Flag{"active", m.active},
            Flag{"write", m.write}, Flag{"read", m.read});
  }
  friend bool operator==(const AccessRequest&, const AccessRequest&) = default;
};

struct AccessRequestOk {
  static constexpr MethodInfo kInfo{kAccessClass, 11, "access.request-ok", kToClient};
  std::uint16_t ticket = 1;

  template <class Archive, class M>
  static void describe(Archive& a, M& m) {
    a.integer("ticket", m.ticket);
  }
  friend bool operator==(const AccessRequestOk&, const AccessRequestOk&) = default;
};

}  // namespace stele::amqp
