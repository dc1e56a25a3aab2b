// The eight bytes that a client of AMQP begins with (section 4.2.2). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stele::amqp {

inline constexpr std::size_t kProtocolHeaderBytes = 8;
// Of 0-9-1: what our clients send first, and what is answered, before the connection is closed, to whoever
// sends anything else.
inline constexpr std::string_view kProtocolHeader{"AMQP\0\0\x09\x01", kProtocolHeaderBytes};

struct HeaderCheck {
  enum class Status : std::uint8_t {
    kNeedMore,
    kOurs,   // connection.start follows
    kOther,  // send kProtocolHeader and close
  };
  Status status = Status::kNeedMore;
  std::string_view asked_for;  // kOther: what the client seems to speak, for a log
};

// Looks at the first bytes of a connection. Bytes that cannot become "AMQP" are told as soon as they are
// there.
HeaderCheck check_protocol_header(std::string_view input);

}  // namespace stele::amqp
