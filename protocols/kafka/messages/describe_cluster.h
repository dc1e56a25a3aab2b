// DescribeCluster (key 60): the brokers, for admin tools (KIP-700).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

struct DescribeClusterRequest {
  static constexpr ApiKey kApi = ApiKey::kDescribeCluster;
  static constexpr bool kIsRequest = true;

  bool include_cluster_authorized_operations = false;
  std::int8_t endpoint_type = 1;        // 1+; 1: brokers, 2: controllers (KIP-919)
  bool include_fenced_brokers = false;  // 2+ (KIP-1073)
  friend bool operator==(const DescribeClusterRequest&, const DescribeClusterRequest&) = default;
};

struct DescribeClusterResponse {
  static constexpr ApiKey kApi = ApiKey::kDescribeCluster;
  static constexpr bool kIsRequest = false;

  struct Broker {
    std::int32_t broker_id = -1;
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;
    bool is_fenced = false;  // 2+
    friend bool operator==(const Broker&, const Broker&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  std::int8_t endpoint_type = 1;  // 1+
  std::string cluster_id;
  std::int32_t controller_id = -1;
  std::vector<Broker> brokers;
  std::int32_t cluster_authorized_operations = kOperationsNotAsked;
  friend bool operator==(const DescribeClusterResponse&, const DescribeClusterResponse&) = default;
};

}  // namespace stele::kafka
