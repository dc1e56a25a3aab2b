// Which Kafka APIs exist, which of their versions the codec reads, and which ones the broker serves.
//
// One table is the source for the ApiVersions answer, for the decoders' version checks and for the choice
// between the classic and the flexible encoding (KIP-482).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace stele::kafka {

// The APIs that clients and admin tools call; those between brokers are left out.
enum class ApiKey : std::int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetCommit = 8,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kJoinGroup = 11,
  kHeartbeat = 12,
  kLeaveGroup = 13,
  kSyncGroup = 14,
  kDescribeGroups = 15,
  kListGroups = 16,
  kSaslHandshake = 17,
  kApiVersions = 18,
  kCreateTopics = 19,
  kDeleteTopics = 20,
  kDeleteRecords = 21,
  kInitProducerId = 22,
  kOffsetForLeaderEpoch = 23,
  kAddPartitionsToTxn = 24,
  kAddOffsetsToTxn = 25,
  kEndTxn = 26,
  kWriteTxnMarkers = 27,
  kTxnOffsetCommit = 28,
  kDescribeAcls = 29,
  kCreateAcls = 30,
  kDeleteAcls = 31,
  kDescribeConfigs = 32,
  kAlterConfigs = 33,
  kDescribeLogDirs = 35,
  kSaslAuthenticate = 36,
  kCreatePartitions = 37,
  kDeleteGroups = 42,
  kElectLeaders = 43,
  kIncrementalAlterConfigs = 44,
  kAlterPartitionReassignments = 45,
  kListPartitionReassignments = 46,
  kOffsetDelete = 47,
  kDescribeClientQuotas = 48,
  kAlterClientQuotas = 49,
  kDescribeUserScramCredentials = 50,
  kAlterUserScramCredentials = 51,
  kDescribeCluster = 60,
  kDescribeProducers = 61,
  kDescribeTransactions = 65,
  kListTransactions = 66,
  kConsumerGroupHeartbeat = 68,
  kConsumerGroupDescribe = 69,
  kDescribeTopicPartitions = 75,
  kShareGroupHeartbeat = 76,
  kShareGroupDescribe = 77,
  kShareFetch = 78,
  kShareAcknowledge = 79,
  kDescribeShareGroupOffsets = 90,
  kAlterShareGroupOffsets = 91,
  kDeleteShareGroupOffsets = 92,
};

struct ApiInfo {
  ApiKey key;
  std::string_view name;
  std::int16_t min_version;             // the oldest version that the codec reads and writes
  std::int16_t max_version;             // the newest
  std::int16_t first_flexible_version;  // compact strings and tagged fields from here on
  std::int16_t
      advertised_min_version;  // what ApiVersions says; lower than min_version where clients need the lie
  bool served;                 // the broker answers it, so ApiVersions lists it

  bool has(std::int16_t version) const { return version >= min_version && version <= max_version; }
  bool flexible(std::int16_t version) const { return version >= first_flexible_version; }
};

// Every API that the codec knows, in the order of their keys.
std::span<const ApiInfo> known_apis();
// Null for an API that the codec does not know.
const ApiInfo* find_api(std::int16_t key);
const ApiInfo& api_info(ApiKey key);

// What a server does with a request, decided on its header alone.
enum class RequestSupport {
  kServed,
  kAnswerApiVersionsZero,  // ApiVersions of a version we lack: answer in version 0 with UNSUPPORTED_VERSION
                           // (KIP-511)
  kUnsupportedVersion,     // the answer's format is unknown to us: close the connection
  kUnknownApi,             // likewise
};
RequestSupport request_support(std::int16_t key, std::int16_t version);

}  // namespace stele::kafka
