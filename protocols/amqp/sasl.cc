#include "protocols/amqp/sasl.h"

#include "model/utf8.h"
#include "protocols/amqp/field_table.h"

namespace stele::amqp {

namespace {

constexpr SaslMechanism kMechanisms[] = {SaslMechanism::kPlain, SaslMechanism::kAmqplain,
                                         SaslMechanism::kExternal};
constexpr std::string_view kLogin = "LOGIN";
constexpr std::string_view kPassword = "PASSWORD";

std::unexpected<ProtocolError> malformed(SaslMechanism mechanism) {
  return protocol_error(ReplyCode::kSyntaxError,
                        "the response is not of mechanism " + std::string(to_string(mechanism)));
}

}  // namespace

std::string_view to_string(SaslMechanism mechanism) {
  switch (mechanism) {
    case SaslMechanism::kPlain:
      return "PLAIN";
    case SaslMechanism::kAmqplain:
      return "AMQPLAIN";
    case SaslMechanism::kExternal:
      break;
  }
  return "EXTERNAL";
}

std::optional<SaslMechanism> sasl_mechanism(std::string_view name) {
  for (const SaslMechanism mechanism : kMechanisms) {
    if (to_string(mechanism) == name) return mechanism;
  }
  return std::nullopt;
}

Decoded<Credentials> parse_plain(std::string_view response) {
  const std::size_t first = response.find('\0');
  if (first == std::string_view::npos) return malformed(SaslMechanism::kPlain);
  const std::string_view acts_as = response.substr(0, first);
  const std::string_view rest = response.substr(first + 1);
  const std::size_t second = rest.find('\0');
  if (second == std::string_view::npos) return malformed(SaslMechanism::kPlain);
  const Credentials credentials{rest.substr(0, second), rest.substr(second + 1)};
  const bool acts_as_another = !acts_as.empty() && acts_as != credentials.user;
  if (acts_as_another || credentials.password.contains('\0')) return malformed(SaslMechanism::kPlain);
  return credentials;
}

Decoded<Credentials> parse_amqplain(std::string_view response) {
  const auto table = TableView::parse(response);
  if (!table) return malformed(SaslMechanism::kAmqplain);
  const auto user = table->find(kLogin), password = table->find(kPassword);
  if (!user || !password) return malformed(SaslMechanism::kAmqplain);
  const auto* user_text = std::get_if<std::string_view>(&*user);
  const auto* password_text = std::get_if<std::string_view>(&*password);
  if (!user_text || !password_text) return malformed(SaslMechanism::kAmqplain);
  return Credentials{*user_text, *password_text};
}

Decoded<std::string_view> parse_external(std::string_view response) {
  if (!is_clean_utf8(response)) return malformed(SaslMechanism::kExternal);
  return response;
}

std::string plain_response(const Credentials& credentials) {
  std::string out(1, '\0');
  out.append(credentials.user).append(1, '\0').append(credentials.password);
  return out;
}

std::string amqplain_response(const Credentials& credentials) {
  Table table;
  table.add(kLogin, credentials.user).add(kPassword, credentials.password);
  return std::string(table.view().encoded());
}

}  // namespace stele::amqp
