#include "meta/topic_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>

#include "base/nearest.h"
#include "model/filter.h"

namespace stele::meta {
namespace {

constexpr std::size_t kMaxCaptures = 1000;

std::unexpected<Error> bad_value(std::string_view name, std::string_view value, std::string_view wanted) {
  return error(ErrorCode::kInvalidArgument, "'" + std::string(value.substr(0, 200)) + "' is no value for " +
                                                std::string(name) + ": it takes " + std::string(wanted));
}

template <class Integer>
Result<Integer> parse_integer(std::string_view name, std::string_view value, Integer least,
                              std::string_view wanted) {
  Integer number = 0;
  const char* end = value.data() + value.size();
  auto [stop, failure] = std::from_chars(value.data(), end, number);
  if (value.empty() || failure != std::errc() || stop != end || number < least) {
    return bad_value(name, value, wanted);
  }
  return number;
}

// Items of a comma-separated list, without the spaces around them and without empty ones.
std::vector<std::string_view> split_list(std::string_view list) {
  std::vector<std::string_view> items;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view item = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.push_back(item);
  }
  return items;
}

std::string join_list(const std::vector<std::string>& items) {
  std::string list;
  for (const std::string& item : items) list += (list.empty() ? "" : ",") + item;
  return list;
}

Result<void> set_cleanup_policy(TopicConfig&, std::string_view value) {
  const auto items = split_list(value);
  if (items.size() == 1 && items.front() == "delete") return {};
  if (std::ranges::find(items, "compact") != items.end()) {
    return error(ErrorCode::kInvalidArgument, "cleanup.policy=" + std::string(value) +
                                                  ": topics are not compacted; only 'delete' is possible");
  }
  return bad_value("cleanup.policy", value, "'delete'");
}

Result<void> set_compression_type(TopicConfig&, std::string_view value) {
  if (value == "producer") return {};
  return error(ErrorCode::kInvalidArgument, "compression.type=" + std::string(value.substr(0, 200)) +
                                                ": batches are kept as their producers compressed them; "
                                                "only 'producer' is possible");
}

Result<void> set_min_insync_replicas(TopicConfig&, std::string_view value) {
  if (value == "1") return {};
  return error(ErrorCode::kInvalidArgument, "min.insync.replicas=" + std::string(value.substr(0, 200)) +
                                                ": each partition has one replica; only '1' is possible");
}

Result<void> set_max_message_bytes(TopicConfig& config, std::string_view value) {
  STELE_TRY(config.max_message_bytes,
            parse_integer<std::int32_t>("max.message.bytes", value, 0, "a number from 0 to 2147483647"));
  return {};
}

Result<void> set_timestamp_type(TopicConfig& config, std::string_view value) {
  for (TimestampType type : {TimestampType::kCreateTime, TimestampType::kLogAppendTime}) {
    if (value == to_string(type)) {
      config.timestamp_type = type;
      return {};
    }
  }
  return bad_value("message.timestamp.type", value, "'CreateTime' or 'LogAppendTime'");
}

Result<void> set_retention_bytes(TopicConfig& config, std::string_view value) {
  STELE_TRY(config.retention_bytes, parse_integer<std::int64_t>("retention.bytes", value, -1,
                                                                "a number of bytes, or -1 for no limit"));
  return {};
}

Result<void> set_retention_ms(TopicConfig& config, std::string_view value) {
  STELE_TRY(config.retention_ms, parse_integer<std::int64_t>("retention.ms", value, -1,
                                                             "a number of milliseconds, or -1 for no limit"));
  return {};
}

Result<void> set_capture(TopicConfig& config, std::string_view value) {
  std::vector<std::string> filters;
  std::set<std::string_view> seen;
  for (std::string_view filter : split_list(value)) {
    if (auto checked = check_filter(filter); !checked) {
      return std::unexpected(checked.error().with_context("stele.capture"));
    }
    if (filter.starts_with('$')) {
      return error(ErrorCode::kInvalidArgument, "stele.capture: '" + std::string(filter) +
                                                    "' begins with '$': such addresses never leave MQTT");
    }
    if (seen.insert(filter).second) filters.emplace_back(filter);
  }
  if (filters.size() > kMaxCaptures) {
    return error(ErrorCode::kInvalidArgument, "stele.capture: " + std::to_string(filters.size()) +
                                                  " filters; at most " + std::to_string(kMaxCaptures) +
                                                  " are possible");
  }
  config.capture = std::move(filters);
  return {};
}

Result<void> set_key(TopicConfig& config, std::string_view value) {
  auto rule = KeyRule::parse(value);
  if (!rule) return std::unexpected(rule.error().with_context("stele.key"));
  config.key = *std::move(rule);
  return {};
}

Result<void> set_capture_partitions(TopicConfig& config, std::string_view value) {
  STELE_TRY(config.capture_partitions,
            parse_integer<std::int32_t>("stele.capture.partitions", value, 0, "a number of partitions"));
  return {};
}

struct Setting {
  std::string_view name;
  ConfigType type;
  Result<void> (*set)(TopicConfig&, std::string_view);
  std::string (*get)(const TopicConfig&);
  std::string_view documentation;
  bool fixed = false;
};

// Sorted by name.
constexpr std::array kSettings = {
    Setting{"cleanup.policy", ConfigType::kList, set_cleanup_policy,
            [](const TopicConfig&) { return std::string("delete"); },
            "What becomes of old records: 'delete' drops them by retention.ms and retention.bytes.", true},
    Setting{"compression.type", ConfigType::kString, set_compression_type,
            [](const TopicConfig&) { return std::string("producer"); },
            "How batches are compressed: as their producers did it.", true},
    Setting{"max.message.bytes", ConfigType::kInt, set_max_message_bytes,
            [](const TopicConfig& c) { return std::to_string(c.max_message_bytes); },
            "The largest record batch that is taken, in bytes, as it comes (compressed)."},
    Setting{"message.timestamp.type", ConfigType::kString, set_timestamp_type,
            [](const TopicConfig& c) { return std::string(to_string(c.timestamp_type)); },
            "Whether records keep their producer's time ('CreateTime') or get that of their arrival "
            "('LogAppendTime')."},
    Setting{"min.insync.replicas", ConfigType::kInt, set_min_insync_replicas,
            [](const TopicConfig&) { return std::string("1"); },
            "How many replicas must have a record before its producer is answered.", true},
    Setting{"retention.bytes", ConfigType::kLong, set_retention_bytes,
            [](const TopicConfig& c) { return std::to_string(c.retention_bytes); },
            "How much of each partition is kept, in bytes; -1 for no limit."},
    Setting{"retention.ms", ConfigType::kLong, set_retention_ms,
            [](const TopicConfig& c) { return std::to_string(c.retention_ms); },
            "How long records are kept, in milliseconds; -1 for no limit."},
    Setting{"stele.capture", ConfigType::kList, set_capture,
            [](const TopicConfig& c) { return join_list(c.capture); },
            "MQTT topic filters, separated by commas, of the messages that this topic captures; none: those "
            "of its own name."},
    Setting{
        "stele.capture.partitions", ConfigType::kInt, set_capture_partitions,
        [](const TopicConfig& c) { return std::to_string(c.capture_partitions); },
        "Captured messages are spread over so many of the partitions, those that the topic had before it got "
        "more; 0: over all.",
        true},
    Setting{"stele.key", ConfigType::kString, set_key, [](const TopicConfig& c) { return c.key.to_string(); },
            "The key of captured records: 'address', 'none', or 'property:NAME'.", true},
};

Result<const Setting*> find_setting(std::string_view name) {
  auto found = std::ranges::find(kSettings, name, &Setting::name);
  if (found != kSettings.end()) return &*found;
  std::array<std::string_view, kSettings.size()> names;
  std::ranges::transform(kSettings, names.begin(), &Setting::name);
  return error(ErrorCode::kInvalidArgument, "a topic has no setting '" + std::string(name.substr(0, 200)) +
                                                "'" + did_you_mean(name, names));
}

Result<void> apply_change(TopicConfig& config, const ConfigChange& change) {
  STELE_TRY(const Setting* setting, find_setting(change.name));
  switch (change.op) {
    case ConfigOp::kSet:
      return setting->set(config, change.value);
    case ConfigOp::kDelete:
      return setting->set(config, setting->get(TopicConfig()));
    case ConfigOp::kAppend:
    case ConfigOp::kSubtract:
      break;
  }
  if (setting->type != ConfigType::kList) {
    return error(ErrorCode::kInvalidArgument,
                 change.name + " is no list: its value can be set, not added to or taken from");
  }
  std::vector<std::string> items;
  for (std::string_view item : split_list(setting->get(config))) items.emplace_back(item);
  for (std::string_view item : split_list(change.value)) {
    if (change.op == ConfigOp::kSubtract) {
      std::erase(items, item);
    } else if (std::ranges::find(items, item) == items.end()) {
      items.emplace_back(item);
    }
  }
  return setting->set(config, join_list(items));
}

}  // namespace

std::string_view to_string(TimestampType type) {
  return type == TimestampType::kCreateTime ? "CreateTime" : "LogAppendTime";
}

Result<TopicConfig> parse_topic_config(std::span<const ConfigPair> pairs) {
  std::vector<ConfigChange> changes;
  for (const auto& [name, value] : pairs) changes.push_back({name, ConfigOp::kSet, value});
  return changed_topic_config(TopicConfig(), changes);
}

Result<TopicConfig> changed_topic_config(const TopicConfig& before, std::span<const ConfigChange> changes) {
  TopicConfig config = before;
  std::set<std::string_view> seen;
  for (const ConfigChange& change : changes) {
    STELE_CHECK(apply_change(config, change));
    if (!seen.insert(change.name).second) {
      return error(ErrorCode::kInvalidArgument, "the setting " + change.name + " is given twice");
    }
  }
  return config;
}

std::vector<ConfigEntry> describe(const TopicConfig& config) {
  const TopicConfig defaults;
  std::vector<ConfigEntry> entries;
  for (const Setting& setting : kSettings) {
    std::string value = setting.get(config);
    const bool is_default = value == setting.get(defaults);
    entries.push_back(
        {setting.name, std::move(value), setting.type, is_default, setting.fixed, setting.documentation});
  }
  return entries;
}

std::vector<ConfigPair> non_defaults(const TopicConfig& config) {
  std::vector<ConfigPair> pairs;
  for (ConfigEntry& entry : describe(config)) {
    if (!entry.is_default) pairs.emplace_back(entry.name, std::move(entry.value));
  }
  return pairs;
}

}  // namespace stele::meta
