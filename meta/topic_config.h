// The configuration of a topic: Kafka's names for Kafka's settings, `stele.…` for our own. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/message.h"

namespace stele::meta {

enum class TimestampType : std::uint8_t { kCreateTime, kLogAppendTime };
std::string_view to_string(TimestampType type);  // "CreateTime", "LogAppendTime"

struct TopicConfig {
  static constexpr std::int64_t kUnlimited = -1;

  std::int64_t retention_ms = 7 * 24 * 3600 * std::int64_t(1000);  // retention.ms
  std::int64_t retention_bytes = kUnlimited;                       // retention.bytes, of one partition
  std::int32_t max_message_bytes = 1048588;                        // max.message.bytes, of a batch
  TimestampType timestamp_type = TimestampType::kCreateTime;       // message.timestamp.type
  std::vector<std::string> capture;                                // stele.capture: MQTT filters, as given
  KeyRule key;                                                     // stele.key
  // stele.capture.partitions: captured messages are spread over so many of the topic's partitions, the first
  // ones; 0: over all. Set when partitions are added, so that what is on its way to one of them still belongs
  // there, and messages of one key stay in order.
  std::int32_t capture_partitions = 0;

  friend bool operator==(const TopicConfig&, const TopicConfig&) = default;
};

using ConfigPair = std::pair<std::string, std::string>;

// kInvalidArgument for a name that there is not (naming the nearest that there is), a name given twice, or a
// value that does not fit.
Result<TopicConfig> parse_topic_config(std::span<const ConfigPair> pairs);

// A change of a configuration, as Kafka's IncrementalAlterConfigs knows them. Append and subtract are for
// lists.
enum class ConfigOp : std::uint8_t { kSet, kDelete, kAppend, kSubtract };
struct ConfigChange {
  std::string name;
  ConfigOp op = ConfigOp::kSet;
  std::string value;
  friend bool operator==(const ConfigChange&, const ConfigChange&) = default;
};
Result<TopicConfig> changed_topic_config(const TopicConfig& before, std::span<const ConfigChange> changes);

enum class ConfigType : std::uint8_t { kString, kInt, kLong, kList };
struct ConfigEntry {
  std::string_view name;
  std::string value;
  ConfigType type = ConfigType::kString;
  bool is_default = true;
  bool fixed = false;  // there is only this value, or the topic had it from its beginning
  std::string_view documentation;
};
// All of them, sorted by name.
std::vector<ConfigEntry> describe(const TopicConfig& config);
// Only what differs from the defaults: parse_topic_config gives the same configuration back.
std::vector<ConfigPair> non_defaults(const TopicConfig& config);

}  // namespace stele::meta
