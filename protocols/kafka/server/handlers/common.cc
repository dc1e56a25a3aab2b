#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {

Handler find_handler(ApiKey api) {
  switch (api) {
    case ApiKey::kApiVersions:
      return handle_api_versions;
    case ApiKey::kMetadata:
      return handle_metadata;
    case ApiKey::kCreateTopics:
      return handle_create_topics;
    case ApiKey::kDeleteTopics:
      return handle_delete_topics;
    case ApiKey::kInitProducerId:
      return handle_init_producer_id;
    case ApiKey::kDescribeConfigs:
      return handle_describe_configs;
    case ApiKey::kDescribeCluster:
      return handle_describe_cluster;
    case ApiKey::kProduce:
      return handle_produce;
    case ApiKey::kFetch:
      return handle_fetch;
    case ApiKey::kListOffsets:
      return handle_list_offsets;
    default:
      return nullptr;
  }
}

KafkaError kafka_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return KafkaError::kInvalidRequest;
    case ErrorCode::kMalformed:
    case ErrorCode::kCorrupt:
      return KafkaError::kCorruptMessage;
    case ErrorCode::kNotFound:
      return KafkaError::kUnknownTopicOrPartition;
    case ErrorCode::kAlreadyExists:
      return KafkaError::kTopicAlreadyExists;
    case ErrorCode::kUnauthorized:
      return KafkaError::kTopicAuthorizationFailed;
    case ErrorCode::kUnavailable:
    case ErrorCode::kClosed:
    case ErrorCode::kFenced:
      return KafkaError::kNotLeaderOrFollower;
    case ErrorCode::kTimedOut:
      return KafkaError::kRequestTimedOut;
    case ErrorCode::kIo:
    case ErrorCode::kNoSpace:
      return KafkaError::kKafkaStorageError;
    case ErrorCode::kUnsupported:
      return KafkaError::kUnsupportedForMessageFormat;
    default:
      return KafkaError::kUnknownServerError;
  }
}

const meta::Topic* find_topic(const meta::MetaView& view, TenantId tenant, std::string_view name,
                              const Uuid& id) {
  const meta::Topic* topic =
      name.empty() ? view.find_topic(stele::Uuid{id.high, id.low}) : view.find_topic(tenant, name);
  return topic && topic->tenant == tenant ? topic : nullptr;
}

}  // namespace stele::kafka
