// Where a connection stands in proving who it is. Lives as long as the connection.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "broker/api.h"
#include "runtime/task.h"

namespace stele::kafka {

struct SaslState {
  std::string address;          // the client's host
  broker::Principal principal;  // who the connection acts for
  bool may_act = false;         // as the principal; until then nothing but this conversation is served
  bool logged_in = false;       // by SASL
  std::optional<std::string> mechanism;
  std::unique_ptr<broker::ScramLogin> scram;
  bool bare = false;    // its messages come and go without Kafka's headers: after SaslHandshake version 0
  bool busy = false;    // one of its messages is looked at
  bool failed = false;  // the connection ends once that is said
};

// Who logs in with PLAIN (RFC 4616), and how. Nothing if it is none.
struct PlainLogin {
  std::string user;
  std::string password;
};
std::optional<PlainLogin> parse_plain(std::string_view message);

// Takes one message of the chosen mechanism; gives what is to be said to it. kUnauthorized, after a while.
runtime::Task<Result<std::string>> take_sasl_message(broker::Broker& broker, SaslState& sasl,
                                                     std::string message);

}  // namespace stele::kafka
