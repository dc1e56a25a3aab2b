// What a client says before anybody knows who it is: SCRAM's messages of both sides, PLAIN, base64. The first
// byte of the input says which.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/base64.h"
#include "model/scram.h"
#include "protocols/kafka/server/sasl.h"

namespace {

using namespace stele;

const scram::Credential& credential() {
  static const scram::Credential the =
      scram::derive(scram::Hash::kSha256, "pencil", "0123456789abcdef", scram::kMinIterations);
  return the;
}

void server_side(std::string_view input) {
  // The client's two messages, a line each.
  const std::size_t line = input.find('\n');
  auto first = scram::parse_client_first(input.substr(0, line));
  if (!first) return;
  STELE_ASSERT(!first->user.empty() && !first->nonce.empty());
  STELE_ASSERT(first->gs2_header + first->bare == input.substr(0, line));
  const scram::Server server(*std::move(first), credential(), "nonce-of-the-server");
  if (line == std::string_view::npos) return;
  // Nobody guesses the proof.
  STELE_ASSERT(!server.finish(input.substr(line + 1)).has_value());
}

void client_side(std::string_view input) {
  scram::Client client(scram::Hash::kSha512, "user", "pencil", "mine");
  const std::size_t line = input.find('\n');
  // Iterations cost time: one digit of them is left, the rest must be refused.
  const std::string_view challenge = input.substr(0, line);
  const std::size_t count = challenge.find(",i=");
  if (count != std::string_view::npos && challenge.size() - count > 7) return;
  if (!client.answer(challenge) || line == std::string_view::npos) return;
  STELE_ASSERT(!client.check(input.substr(line + 1)).has_value());
}

void plain(std::string_view input) {
  if (const auto login = kafka::parse_plain(input)) {
    STELE_ASSERT(!login->user.empty() && !login->password.empty());
    STELE_ASSERT(input.ends_with(login->password));
  }
}

void base64(std::string_view input) {
  if (const auto bytes = base64_decode(input)) STELE_ASSERT(base64_encode(*bytes) == input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 8192) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 's':
      server_side(input);
      break;
    case 'c':
      client_side(input);
      break;
    case 'p':
      plain(input);
      break;
    default:
      base64(input);
      break;
  }
  return 0;
}
