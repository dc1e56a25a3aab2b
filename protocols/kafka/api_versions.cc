#include "protocols/kafka/api_versions.h"

#include <algorithm>

#include "base/assert.h"

namespace stele::kafka {
namespace {

// Produce: librdkafka turns features off unless version 0 is advertised (KAFKA-18659), though 3 is the oldest
// that carries RecordBatch v2. A client that takes us at our word and sends 0, 1 or 2 is disconnected, as by
// Kafka 4.
constexpr ApiInfo kApis[] = {
    {.key = ApiKey::kProduce,
     .name = "Produce",
     .min_version = 3,
     .max_version = 13,
     .first_flexible_version = 9,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kFetch,
     .name = "Fetch",
     .min_version = 4,
     .max_version = 18,
     .first_flexible_version = 12,
     .advertised_min_version = 4,
     .served = true},
    {.key = ApiKey::kListOffsets,
     .name = "ListOffsets",
     .min_version = 1,
     .max_version = 11,
     .first_flexible_version = 6,
     .advertised_min_version = 1,
     .served = true},
    {.key = ApiKey::kMetadata,
     .name = "Metadata",
     .min_version = 0,
     .max_version = 13,
     .first_flexible_version = 9,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kOffsetCommit,
     .name = "OffsetCommit",
     .min_version = 2,
     .max_version = 10,
     .first_flexible_version = 8,
     .advertised_min_version = 2,
     .served = true},
    {.key = ApiKey::kOffsetFetch,
     .name = "OffsetFetch",
     .min_version = 1,
     .max_version = 10,
     .first_flexible_version = 6,
     .advertised_min_version = 1,
     .served = true},
    {.key = ApiKey::kFindCoordinator,
     .name = "FindCoordinator",
     .min_version = 0,
     .max_version = 6,
     .first_flexible_version = 3,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kJoinGroup,
     .name = "JoinGroup",
     .min_version = 0,
     .max_version = 9,
     .first_flexible_version = 6,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kHeartbeat,
     .name = "Heartbeat",
     .min_version = 0,
     .max_version = 4,
     .first_flexible_version = 4,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kLeaveGroup,
     .name = "LeaveGroup",
     .min_version = 0,
     .max_version = 5,
     .first_flexible_version = 4,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kSyncGroup,
     .name = "SyncGroup",
     .min_version = 0,
     .max_version = 5,
     .first_flexible_version = 4,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kDescribeGroups,
     .name = "DescribeGroups",
     .min_version = 0,
     .max_version = 6,
     .first_flexible_version = 5,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kListGroups,
     .name = "ListGroups",
     .min_version = 0,
     .max_version = 5,
     .first_flexible_version = 3,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kSaslHandshake,
     .name = "SaslHandshake",
     .min_version = 0,
     .max_version = 1,
     .first_flexible_version = INT16_MAX,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kApiVersions,
     .name = "ApiVersions",
     .min_version = 0,
     .max_version = 4,
     .first_flexible_version = 3,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kCreateTopics,
     .name = "CreateTopics",
     .min_version = 2,
     .max_version = 7,
     .first_flexible_version = 5,
     .advertised_min_version = 2,
     .served = true},
    {.key = ApiKey::kDeleteTopics,
     .name = "DeleteTopics",
     .min_version = 1,
     .max_version = 6,
     .first_flexible_version = 4,
     .advertised_min_version = 1,
     .served = true},
    {.key = ApiKey::kInitProducerId,
     .name = "InitProducerId",
     .min_version = 0,
     .max_version = 5,
     .first_flexible_version = 2,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kDescribeConfigs,
     .name = "DescribeConfigs",
     .min_version = 1,
     .max_version = 4,
     .first_flexible_version = 4,
     .advertised_min_version = 1,
     .served = true},
    {.key = ApiKey::kSaslAuthenticate,
     .name = "SaslAuthenticate",
     .min_version = 0,
     .max_version = 2,
     .first_flexible_version = 2,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kDeleteGroups,
     .name = "DeleteGroups",
     .min_version = 0,
     .max_version = 2,
     .first_flexible_version = 2,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kOffsetDelete,
     .name = "OffsetDelete",
     .min_version = 0,
     .max_version = 0,
     .first_flexible_version = 1,
     .advertised_min_version = 0,
     .served = true},
    {.key = ApiKey::kDescribeCluster,
     .name = "DescribeCluster",
     .min_version = 0,
     .max_version = 2,
     .first_flexible_version = 0,
     .advertised_min_version = 0,
     .served = true},
};
static_assert(std::ranges::is_sorted(kApis, {}, &ApiInfo::key));

}  // namespace

std::span<const ApiInfo> known_apis() {
  return kApis;
}

const ApiInfo* find_api(std::int16_t key) {
  auto at = std::ranges::lower_bound(kApis, static_cast<ApiKey>(key), {}, &ApiInfo::key);
  return at != std::end(kApis) && at->key == static_cast<ApiKey>(key) ? at : nullptr;
}

const ApiInfo& api_info(ApiKey key) {
  const ApiInfo* info = find_api(static_cast<std::int16_t>(key));
  STELE_ASSERT(info != nullptr);
  return *info;
}

RequestSupport request_support(std::int16_t key, std::int16_t version) {
  const ApiInfo* info = find_api(key);
  if (info == nullptr || !info->served) return RequestSupport::kUnknownApi;
  if (info->has(version)) return RequestSupport::kServed;
  return info->key == ApiKey::kApiVersions ? RequestSupport::kAnswerApiVersionsZero
                                           : RequestSupport::kUnsupportedVersion;
}

}  // namespace stele::kafka
