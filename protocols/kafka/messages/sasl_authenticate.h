// SaslAuthenticate (key 36): one message of the mechanism, and the answer to it (KIP-152).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct SaslAuthenticateRequest {
  static constexpr ApiKey kApi = ApiKey::kSaslAuthenticate;
  static constexpr bool kIsRequest = true;

  std::string auth_bytes;
  friend bool operator==(const SaslAuthenticateRequest&, const SaslAuthenticateRequest&) = default;
};

struct SaslAuthenticateResponse {
  static constexpr ApiKey kApi = ApiKey::kSaslAuthenticate;
  static constexpr bool kIsRequest = false;

  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  std::string auth_bytes;
  std::int64_t session_lifetime_ms = 0;  // 1+ (KIP-368); 0: no need to do it again
  friend bool operator==(const SaslAuthenticateResponse&, const SaslAuthenticateResponse&) = default;
};

}  // namespace stele::kafka
