// Passwords, kept and proven as SCRAM has it (RFC 5802, RFC 7677): what is stored is salted and iterated, and
// whoever steals it can neither log in with it nor read the password. One stored credential verifies a SCRAM
// conversation, which costs next to nothing here, and a password in clear, which costs all the iterations.
//
// As in Kafka, text is taken as the UTF-8 that it is, without SASLprep. No channel binding.
//
// Pure: what must be random is handed in. All comparisons with something secret take the same time whatever
// they compare. Everything from the peer is bounded and may be anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stele::scram {

enum class Hash : std::uint8_t { kSha256 = 1, kSha512 = 2 };
std::string_view mechanism_name(Hash hash);  // "SCRAM-SHA-256"
std::optional<Hash> find_mechanism(std::string_view name);
std::size_t digest_bytes(Hash hash);

inline constexpr std::uint32_t kMinIterations = 4096;      // RFC 7677, section 4
inline constexpr std::uint32_t kDefaultIterations = 4096;  // of what is stored here, as of Kafka
inline constexpr std::uint32_t kMaxIterations = 1'000'000;
inline constexpr std::size_t kSaltBytes = 16;
inline constexpr std::size_t kNonceBytes = 18;  // 24 characters
inline constexpr std::size_t kMaxPasswordBytes = 1024;
inline constexpr std::size_t kMaxMessageBytes = 4096;

struct Credential {
  Hash hash = Hash::kSha256;
  std::string salt;
  std::uint32_t iterations = 0;
  std::string stored_key;
  std::string server_key;
  friend bool operator==(const Credential&, const Credential&) = default;
};
// kInvalidArgument: sizes or iterations that no credential has.
Result<> check_credential(const Credential& credential);

// Expensive: all the iterations. Not on a core's thread.
Credential derive(Hash hash, std::string_view password, std::string salt, std::uint32_t iterations);
// Likewise.
bool verify_password(const Credential& credential, std::string_view password);

std::string hmac(Hash hash, std::string_view key, std::string_view text);
std::string digest(Hash hash, std::string_view text);
// Takes as long for any two of the same length.
bool equal_secrets(std::string_view a, std::string_view b);

// What is said to those who try a name that nobody has: always the same for that name, so that it tells
// nothing, and no password fits. `secret`: of the cluster.
Credential credential_of_nobody(Hash hash, std::string_view secret, std::string_view name,
                                std::uint32_t iterations);

// ---- the server's side -----------------------------------------------------------------------------------

// client-first-message: who wants to log in. kMalformed; kUnsupported: channel binding, or another identity
// than the one that is authenticated.
struct ClientFirst {
  std::string user;
  std::string nonce;
  std::string gs2_header;
  std::string bare;
};
Result<ClientFirst> parse_client_first(std::string_view message);

class Server {
 public:
  // `nonce`: printable, not guessable, never used before.
  Server(ClientFirst first, Credential credential, std::string_view nonce);
  const std::string& user() const { return first_.user; }
  // server-first-message.
  const std::string& challenge() const { return challenge_; }
  // client-final-message: server-final-message if the proof is right. kUnauthorized: it is wrong. kMalformed.
  Result<std::string> finish(std::string_view message) const;

 private:
  ClientFirst first_;
  Credential credential_;
  std::string nonce_;
  std::string challenge_;
};

// ---- the client's side -----------------------------------------------------------------------------------

class Client {
 public:
  Client(Hash hash, std::string user, std::string password, std::string_view nonce);
  const std::string& first() const { return first_; }
  // server-first-message: the client-final-message. Expensive. kMalformed; kUnsupported: too few iterations,
  // or too many.
  Result<std::string> answer(std::string_view challenge);
  // server-final-message. kUnauthorized: the server does not know the password either, or refuses.
  Result<> check(std::string_view server_final) const;

 private:
  Hash hash_;
  std::string password_;
  std::string nonce_;
  std::string bare_;
  std::string first_;
  std::string server_signature_;
};

}  // namespace stele::scram
