#include "model/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "base/base64.h"

namespace stele::scram {
namespace {

constexpr std::size_t kMaxSaltBytes = 256;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

const EVP_MD* algorithm(Hash hash) {
  return hash == Hash::kSha256 ? EVP_sha256() : EVP_sha512();
}

std::string xored(std::string_view a, std::string_view b) {
  STELE_ASSERT(a.size() == b.size());
  std::string out(a);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(out[i] ^ b[i]);
  return out;
}

// SaltedPassword of RFC 5802, section 3: Hi() is PBKDF2.
std::string salted_password(Hash hash, std::string_view password, std::string_view salt,
                            std::uint32_t iterations) {
  std::string out(digest_bytes(hash), '\0');
  const int done =
      PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes_of(salt),
                        static_cast<int>(salt.size()), static_cast<int>(iterations), algorithm(hash),
                        static_cast<int>(out.size()), reinterpret_cast<unsigned char*>(out.data()));
  STELE_ASSERT(done == 1);
  return out;
}

std::unexpected<Error> malformed(std::string_view what) {
  return error(ErrorCode::kMalformed, "a SCRAM message " + std::string(what));
}

// `value` of RFC 5802, section 7: nothing that would end an attribute.
bool is_printable(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
}

// The next attribute "x=value" of a message, which ends at a comma. Moves `rest` behind it.
Result<std::string_view> attribute(std::string_view& rest, char name) {
  if (rest.size() < 2 || rest[0] != name || rest[1] != '=') {
    return malformed(std::string("has no attribute '") + name + "' where it belongs");
  }
  const std::size_t end = std::min(rest.find(','), rest.size());
  const std::string_view value = rest.substr(2, end - 2);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return value;
}

// saslname: ',' and '=' are written =2C and =3D.
Result<std::string> decode_name(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      out += text[i];
      continue;
    }
    const std::string_view code = text.substr(i, 3);
    if (code != "=2C" && code != "=3D") return malformed("has a name with a bad escape");
    out += code == "=2C" ? ',' : '=';
    i += 2;
  }
  if (out.empty()) return malformed("names nobody");
  return out;
}

std::string encode_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ',') {
      out += "=2C";
    } else if (c == '=') {
      out += "=3D";
    } else {
      out += c;
    }
  }
  return out;
}

std::string auth_message(std::string_view client_first_bare, std::string_view server_first,
                         std::string_view client_final_without_proof) {
  std::string out(client_first_bare);
  out.append(",").append(server_first).append(",").append(client_final_without_proof);
  return out;
}

}  // namespace

std::string_view mechanism_name(Hash hash) {
  return hash == Hash::kSha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512";
}

std::optional<Hash> find_mechanism(std::string_view name) {
  for (const Hash hash : {Hash::kSha256, Hash::kSha512}) {
    if (name == mechanism_name(hash)) return hash;
  }
  return std::nullopt;
}

std::size_t digest_bytes(Hash hash) {
  return hash == Hash::kSha256 ? 32 : 64;
}

Result<> check_credential(const Credential& credential) {
  const auto wrong = [](const char* what) {
    return error(ErrorCode::kInvalidArgument, std::string("a stored password ") + what);
  };
  if (credential.hash != Hash::kSha256 && credential.hash != Hash::kSha512)
    return wrong("of an unknown kind");
  if (credential.salt.empty() || credential.salt.size() > kMaxSaltBytes)
    return wrong("has no salt that fits");
  if (credential.iterations < kMinIterations || credential.iterations > kMaxIterations) {
    return wrong("has too few iterations, or too many");
  }
  const std::size_t size = digest_bytes(credential.hash);
  if (credential.stored_key.size() != size || credential.server_key.size() != size) {
    return wrong("has a key of the wrong size");
  }
  return {};
}

std::string hmac(Hash hash, std::string_view key, std::string_view text) {
  std::string out(digest_bytes(hash), '\0');
  unsigned int size = 0;
  const auto* done = HMAC(algorithm(hash), key.data(), static_cast<int>(key.size()), bytes_of(text),
                          text.size(), reinterpret_cast<unsigned char*>(out.data()), &size);
  STELE_ASSERT(done != nullptr && size == out.size());
  return out;
}

std::string digest(Hash hash, std::string_view text) {
  std::string out(digest_bytes(hash), '\0');
  unsigned int size = 0;
  const int done = EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(out.data()), &size,
                              algorithm(hash), nullptr);
  STELE_ASSERT(done == 1 && size == out.size());
  return out;
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Credential derive(Hash hash, std::string_view password, std::string salt, std::uint32_t iterations) {
  const std::string salted = salted_password(hash, password, salt, iterations);
  return {.hash = hash,
          .salt = std::move(salt),
          .iterations = iterations,
          .stored_key = digest(hash, hmac(hash, salted, "Client Key")),
          .server_key = hmac(hash, salted, "Server Key")};
}

bool verify_password(const Credential& credential, std::string_view password) {
  const std::string salted =
      salted_password(credential.hash, password, credential.salt, credential.iterations);
  const std::string stored = digest(credential.hash, hmac(credential.hash, salted, "Client Key"));
  return equal_secrets(stored, credential.stored_key);
}

Credential credential_of_nobody(Hash hash, std::string_view secret, std::string_view name,
                                std::uint32_t iterations) {
  const auto draw = [&](std::string_view what) { return hmac(hash, secret, std::string(what).append(name)); };
  return {.hash = hash,
          .salt = draw("salt").substr(0, kSaltBytes),
          .iterations = iterations,
          .stored_key = draw("stored"),
          .server_key = draw("server")};
}

// ---- the server's side -----------------------------------------------------------------------------------

Result<ClientFirst> parse_client_first(std::string_view message) {
  if (message.size() > kMaxMessageBytes) return malformed("is too long");
  // gs2-header: channel binding, then the identity to act as.
  if (message.starts_with("p=")) return error(ErrorCode::kUnsupported, "there is no channel binding");
  if (!message.starts_with("n,") && !message.starts_with("y,")) return malformed("does not begin as one");
  const std::size_t comma = message.find(',', 2);
  if (comma == std::string_view::npos) return malformed("ends within its header");
  const std::string_view identity = message.substr(2, comma - 2);
  ClientFirst out;
  out.gs2_header = message.substr(0, comma + 1);
  out.bare = message.substr(comma + 1);
  std::string_view rest = out.bare;
  if (rest.starts_with("m=")) return error(ErrorCode::kUnsupported, "a SCRAM extension that is not known");
  STELE_TRY(const std::string_view name, attribute(rest, 'n'));
  STELE_TRY(out.user, decode_name(name));
  STELE_TRY(const std::string_view nonce, attribute(rest, 'r'));
  if (!is_printable(nonce)) return malformed("has a nonce that is none");
  out.nonce = nonce;
  if (!identity.empty()) {
    if (!identity.starts_with("a=")) return malformed("has a header that is none");
    STELE_TRY(const std::string acting, decode_name(identity.substr(2)));
    if (acting != out.user) return error(ErrorCode::kUnsupported, "nobody logs in as somebody else");
  }
  return out;
}

Server::Server(ClientFirst first, Credential credential, std::string_view nonce)
    : first_(std::move(first)), credential_(std::move(credential)), nonce_(first_.nonce) {
  nonce_.append(nonce);
  challenge_ = "r=" + nonce_ + ",s=" + base64_encode(credential_.salt) +
               ",i=" + std::to_string(credential_.iterations);
}

Result<std::string> Server::finish(std::string_view message) const {
  if (message.size() > kMaxMessageBytes) return malformed("is too long");
  const std::size_t end = message.rfind(",p=");
  if (end == std::string_view::npos) return malformed("has no proof");
  const std::string_view without_proof = message.substr(0, end);
  std::string_view rest = without_proof;
  STELE_TRY(const std::string_view binding, attribute(rest, 'c'));
  STELE_TRY(const std::string_view nonce, attribute(rest, 'r'));
  if (binding != base64_encode(first_.gs2_header)) return malformed("is bound to another channel");
  // As Kafka does: librdkafka sends its own part twice. The proof covers whatever it is.
  if (!nonce.ends_with(nonce_)) return malformed("belongs to another conversation");
  const auto proof = base64_decode(message.substr(end + 3));
  const Hash hash = credential_.hash;
  if (!proof || proof->size() != digest_bytes(hash)) return malformed("has a proof that is none");

  const std::string said = auth_message(first_.bare, challenge_, without_proof);
  const std::string signature = hmac(hash, credential_.stored_key, said);
  const std::string client_key = xored(*proof, signature);
  if (!equal_secrets(digest(hash, client_key), credential_.stored_key)) {
    return error(ErrorCode::kUnauthorized, "wrong user name or password");
  }
  return "v=" + base64_encode(hmac(hash, credential_.server_key, said));
}

// ---- the client's side -----------------------------------------------------------------------------------

Client::Client(Hash hash, std::string user, std::string password, std::string_view nonce)
    : hash_(hash), password_(std::move(password)), nonce_(nonce) {
  bare_ = "n=" + encode_name(user) + ",r=" + nonce_;
  first_ = "n,," + bare_;
}

Result<std::string> Client::answer(std::string_view challenge) {
  if (challenge.size() > kMaxMessageBytes) return malformed("is too long");
  std::string_view rest = challenge;
  STELE_TRY(const std::string_view nonce, attribute(rest, 'r'));
  STELE_TRY(const std::string_view salt_text, attribute(rest, 's'));
  STELE_TRY(const std::string_view count, attribute(rest, 'i'));
  if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size()) return malformed("belongs to another");
  const auto salt = base64_decode(salt_text);
  if (!salt || salt->empty()) return malformed("has no salt");
  std::uint32_t iterations = 0;
  const auto [end, failed] = std::from_chars(count.data(), count.data() + count.size(), iterations);
  if (failed != std::errc() || end != count.data() + count.size()) return malformed("has no iterations");
  if (iterations < kMinIterations || iterations > kMaxIterations) {
    return error(ErrorCode::kUnsupported,
                 "the server asks for " + std::to_string(iterations) + " iterations");
  }
  const std::string salted = salted_password(hash_, password_, *salt, iterations);
  const std::string client_key = hmac(hash_, salted, "Client Key");
  const std::string without_proof = "c=biws,r=" + std::string(nonce);
  const std::string said = auth_message(bare_, challenge, without_proof);
  server_signature_ = hmac(hash_, hmac(hash_, salted, "Server Key"), said);
  const std::string proof = xored(client_key, hmac(hash_, digest(hash_, client_key), said));
  return without_proof + ",p=" + base64_encode(proof);
}

Result<> Client::check(std::string_view server_final) const {
  if (server_final.starts_with("e=")) {
    return error(ErrorCode::kUnauthorized, "the server refuses: " + std::string(server_final.substr(2, 200)));
  }
  std::string_view rest = server_final;
  STELE_TRY(const std::string_view signature, attribute(rest, 'v'));
  const auto bytes = base64_decode(signature);
  if (server_signature_.empty() || !bytes || !equal_secrets(*bytes, server_signature_)) {
    return error(ErrorCode::kUnauthorized, "the server does not know the password");
  }
  return {};
}

}  // namespace stele::scram
