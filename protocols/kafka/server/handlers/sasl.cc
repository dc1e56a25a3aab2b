// SaslHandshake and SaslAuthenticate: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. What goes wrong is said with
// one text, after a while, and then the connection ends (KIP-152). A client that has logged in is not asked
// to do it again (session_lifetime_ms is 0, KIP-368).
#include <array>
#include <string_view>
#include <utility>

#include "base/marks.h"
#include "protocols/kafka/messages/sasl_authenticate.h"
#include "protocols/kafka/messages/sasl_handshake.h"
#include "protocols/kafka/server/handlers/common.h"
#include "protocols/kafka/server/sasl.h"

namespace stele::kafka {
namespace {

constexpr std::string_view kPlain = "PLAIN";

std::vector<std::string> mechanisms() {
  return {std::string(kPlain), std::string(mechanism_name(scram::Hash::kSha256)),
          std::string(mechanism_name(scram::Hash::kSha512))};
}

runtime::Task<Result<std::string>> plain(broker::Broker& broker, SaslState& sasl, std::string message) {
  auto login = parse_plain(message);
  if (!login) login.emplace();  // fails as everything else does
  STELE_CO_TRY(sasl.principal, co_await broker.authenticator().log_in(sasl.address, std::move(login->user),
                                                                      std::move(login->password)));
  sasl.logged_in = sasl.may_act = true;
  co_return std::string();
}

runtime::Task<Result<std::string>> scram_step(broker::Broker& broker, SaslState& sasl, scram::Hash hash,
                                              std::string message) {
  if (!sasl.scram) {
    STELE_CO_TRY(sasl.scram,
                 co_await broker.authenticator().begin_scram(sasl.address, hash, std::move(message)));
    co_return sasl.scram->challenge();
  }
  STELE_CO_TRY(auto accepted, co_await sasl.scram->finish(std::move(message)));
  sasl.principal = std::move(accepted.principal);
  sasl.logged_in = sasl.may_act = true;
  co_return std::move(accepted.server_final);
}

}  // namespace

std::optional<PlainLogin> parse_plain(std::string_view message) {
  const std::size_t first = message.find('\0');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = message.find('\0', first + 1);
  if (second == std::string_view::npos || message.find('\0', second + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view acting = message.substr(0, first);
  const std::string_view user = message.substr(first + 1, second - first - 1);
  const std::string_view password = message.substr(second + 1);
  if (user.empty() || password.empty() || (!acting.empty() && acting != user)) return std::nullopt;
  return PlainLogin{std::string(user), std::string(password)};
}

runtime::Task<Result<std::string>> take_sasl_message(broker::Broker& broker, SaslState& sasl,
                                                     std::string message) {
  sasl.busy = true;
  const auto hash = scram::find_mechanism(*sasl.mechanism);
  auto answer = hash ? co_await scram_step(broker, sasl, *hash, std::move(message))
                     : co_await plain(broker, sasl, std::move(message));
  sasl.busy = false;
  co_return answer;
}

runtime::Task<Result<ResponseBytes>> handle_sasl_handshake(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<SaslHandshakeRequest>(request));
  SaslState& sasl = context.sasl;
  SaslHandshakeResponse response;
  response.mechanisms = mechanisms();
  if (sasl.logged_in || sasl.mechanism || sasl.failed) {
    response.error = KafkaError::kIllegalSaslState;
    sasl.failed = true;
  } else if (body.mechanism != kPlain && !scram::find_mechanism(body.mechanism)) {
    response.error = KafkaError::kUnsupportedSaslMechanism;
    sasl.failed = true;
  } else {
    sasl.mechanism = std::move(body.mechanism);
    sasl.bare = request.request.header.version == 0;
  }
  co_return encode_response(request, response);
}

runtime::Task<Result<ResponseBytes>> handle_sasl_authenticate(HandlerContext& context,
                                                              IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<SaslAuthenticateRequest>(request));
  SaslState& sasl = context.sasl;
  SaslAuthenticateResponse response;
  if (!sasl.mechanism || sasl.bare || sasl.busy || sasl.logged_in || sasl.failed) {
    response.error = KafkaError::kIllegalSaslState;
    response.error_message = "SaslAuthenticate comes after SaslHandshake, one at a time";
    sasl.failed = true;
    co_return encode_response(request, response);
  }
  auto answer = co_await take_sasl_message(context.broker, sasl, std::move(body.auth_bytes));
  if (answer) {
    response.auth_bytes = *std::move(answer);
  } else if (answer.error().code == ErrorCode::kUnauthorized) {
    STELE_MARK("kafka: login failed");
    response.error = KafkaError::kSaslAuthenticationFailed;
    response.error_message = answer.error().message;
    sasl.failed = true;
  } else {
    // Not the client's fault: it is to come back, which no answer would tell it.
    co_return std::unexpected(std::move(answer).error());
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
