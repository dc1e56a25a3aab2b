// What a client answers in connection.start-ok and secure-ok, by its mechanism. Pure: says what is in it, not
// whether it is right. Everything parsed points into the response.
//
// SYNTAX_ERROR for a response that is not of the mechanism's form, as RabbitMQ says it; its text never has
// anything of the response.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/amqp/reply_code.h"

namespace stele::amqp {

enum class SaslMechanism : std::uint8_t { kPlain, kAmqplain, kExternal };

// "PLAIN", as connection.start lists it.
std::string_view to_string(SaslMechanism mechanism);
// By its exact name, as clients must take it from the server's list.
std::optional<SaslMechanism> sasl_mechanism(std::string_view name);

struct Credentials {
  std::string_view user;
  std::string_view password;
  friend bool operator==(const Credentials&, const Credentials&) = default;
};

// PLAIN (RFC 4616): [authorization identity] NUL user NUL password. RabbitMQ refuses an authorization
// identity; we take one that is the user's own name.
Decoded<Credentials> parse_plain(std::string_view response);

// AMQPLAIN: the fields of a table, without its length, with LOGIN and PASSWORD as long strings.
Decoded<Credentials> parse_amqplain(std::string_view response);

// EXTERNAL (RFC 4422, appendix A): who the client is was proved elsewhere, by its certificate. The name that
// it wants to act as, empty for the proven one.
Decoded<std::string_view> parse_external(std::string_view response);

// The same for clients.
std::string plain_response(const Credentials& credentials);
std::string amqplain_response(const Credentials& credentials);

}  // namespace stele::amqp
