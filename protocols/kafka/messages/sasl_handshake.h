// SaslHandshake (key 17): the client names the mechanism that it will prove itself by (KIP-43).
#pragma once

#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct SaslHandshakeRequest {
  static constexpr ApiKey kApi = ApiKey::kSaslHandshake;
  static constexpr bool kIsRequest = true;

  std::string mechanism;
  friend bool operator==(const SaslHandshakeRequest&, const SaslHandshakeRequest&) = default;
};

struct SaslHandshakeResponse {
  static constexpr ApiKey kApi = ApiKey::kSaslHandshake;
  static constexpr bool kIsRequest = false;

  KafkaError error = KafkaError::kNone;
  std::vector<std::string> mechanisms;
  friend bool operator==(const SaslHandshakeResponse&, const SaslHandshakeResponse&) = default;
};

}  // namespace stele::kafka
