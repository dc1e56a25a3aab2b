// InitProducerId (key 22): gives an idempotent or transactional producer its id and epoch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct InitProducerIdRequest {
  static constexpr ApiKey kApi = ApiKey::kInitProducerId;
  static constexpr bool kIsRequest = true;

  std::optional<std::string> transactional_id;
  std::int32_t transaction_timeout_ms = 0;
  std::int64_t producer_id = -1;     // 3+ (KIP-360)
  std::int16_t producer_epoch = -1;  // 3+
  friend bool operator==(const InitProducerIdRequest&, const InitProducerIdRequest&) = default;
};

struct InitProducerIdResponse {
  static constexpr ApiKey kApi = ApiKey::kInitProducerId;
  static constexpr bool kIsRequest = false;

  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = 0;
  friend bool operator==(const InitProducerIdResponse&, const InitProducerIdResponse&) = default;
};

}  // namespace stele::kafka
