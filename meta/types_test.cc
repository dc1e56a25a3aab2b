#include "meta/types.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "meta/topic_config.h"

namespace stele::meta {
namespace {

std::string refusal(std::vector<ConfigPair> pairs) {
  auto config = parse_topic_config(pairs);
  if (config) return "accepted";
  EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
  return config.error().message;
}

TEST(TopicConfig, DefaultsAreThoseOfKafka) {
  const TopicConfig config = *parse_topic_config({});
  EXPECT_EQ(config.retention_ms, 604800000);
  EXPECT_EQ(config.retention_bytes, -1);
  EXPECT_EQ(config.max_message_bytes, 1048588);
  EXPECT_EQ(config.timestamp_type, TimestampType::kCreateTime);
  EXPECT_TRUE(non_defaults(config).empty());
}

TEST(TopicConfig, ReadsEverySetting) {
  const std::vector<ConfigPair> pairs = {{"retention.ms", "-1"},
                                         {"retention.bytes", "5000000000"},
                                         {"max.message.bytes", "1000"},
                                         {"cleanup.policy", "delete"},
                                         {"message.timestamp.type", "LogAppendTime"},
                                         {"stele.capture", "sensors/#, a/+/b,,sensors/#"},
                                         {"stele.key", "property:id"}};
  const TopicConfig config = *parse_topic_config(pairs);
  EXPECT_EQ(config.retention_ms, TopicConfig::kUnlimited);
  EXPECT_EQ(config.retention_bytes, 5000000000);
  EXPECT_EQ(config.max_message_bytes, 1000);
  EXPECT_EQ(config.timestamp_type, TimestampType::kLogAppendTime);
  EXPECT_EQ(config.capture, (std::vector<std::string>{"sensors/#", "a/+/b"}));
  EXPECT_EQ(config.key.to_string(), "property:id");
  EXPECT_EQ(parse_topic_config(non_defaults(config)), config);
}

TEST(TopicConfig, NamesTheNearestSetting) {
  EXPECT_EQ(refusal({{"retention.mss", "1"}}),
            "a topic has no setting 'retention.mss' (did you mean 'retention.ms'?)");
  EXPECT_EQ(refusal({{"stele.captrue", "a"}}),
            "a topic has no setting 'stele.captrue' (did you mean 'stele.capture'?)");
  EXPECT_EQ(refusal({{"xyzzy", "a"}}), "a topic has no setting 'xyzzy'");
}

TEST(TopicConfig, RefusesValuesThatDoNotFit) {
  EXPECT_EQ(refusal({{"retention.ms", "7d"}}),
            "'7d' is no value for retention.ms: it takes a number of milliseconds, or -1 for no limit");
  EXPECT_NE(refusal({{"retention.ms", "-2"}}), "accepted");
  EXPECT_NE(refusal({{"retention.ms", ""}}), "accepted");
  EXPECT_NE(refusal({{"retention.bytes", "99999999999999999999"}}), "accepted");
  EXPECT_NE(refusal({{"max.message.bytes", "2147483648"}}), "accepted");
  EXPECT_EQ(refusal({{"cleanup.policy", "compact"}}),
            "cleanup.policy=compact: topics are not compacted; only 'delete' is possible");
  EXPECT_NE(refusal({{"cleanup.policy", ""}}), "accepted");
  EXPECT_NE(refusal({{"message.timestamp.type", "createtime"}}), "accepted");
  EXPECT_EQ(refusal({{"stele.capture", "a/#/b"}}),
            "stele.capture: 'a/#/b' is no topic filter: '#' may only be its last level");
  EXPECT_EQ(refusal({{"stele.capture", "$SYS/#"}}),
            "stele.capture: '$SYS/#' begins with '$': such addresses never leave MQTT");
  EXPECT_NE(refusal({{"stele.key", "payload"}}), "accepted");
  EXPECT_EQ(refusal({{"retention.ms", "1"}, {"retention.ms", "2"}}),
            "the setting retention.ms is given twice");
}

TEST(TopicConfig, Changes) {
  const TopicConfig before =
      *parse_topic_config(std::vector<ConfigPair>{{"retention.ms", "5"}, {"stele.capture", "a,b"}});
  const auto changed = [&](ConfigChange change) {
    return changed_topic_config(before, std::vector<ConfigChange>{std::move(change)});
  };
  EXPECT_EQ(changed({"retention.ms", ConfigOp::kDelete, ""})->retention_ms, 604800000);
  EXPECT_EQ(changed({"stele.capture", ConfigOp::kAppend, "c,a"})->capture,
            (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(changed({"stele.capture", ConfigOp::kSubtract, "a"})->capture, (std::vector<std::string>{"b"}));
  EXPECT_FALSE(changed({"retention.ms", ConfigOp::kAppend, "1"}));
  EXPECT_FALSE(changed({"cleanup.policy", ConfigOp::kAppend, "compact"}));
  EXPECT_FALSE(changed({"cleanup.policy", ConfigOp::kSubtract, "delete"}));
}

TEST(TopicConfig, DescribesAllOfThemSorted) {
  const auto entries = describe(*parse_topic_config(std::vector<ConfigPair>{{"retention.ms", "5"}}));
  EXPECT_EQ(entries.size(), 10U);
  EXPECT_TRUE(std::ranges::is_sorted(entries, {}, &ConfigEntry::name));
  for (const ConfigEntry& entry : entries) {
    EXPECT_EQ(entry.is_default, entry.name != "retention.ms") << entry.name;
    EXPECT_FALSE(entry.documentation.empty());
  }
}

Topic topic(std::uint64_t id, TenantId tenant, std::string name, std::vector<ShardId> shards) {
  return Topic{.id = TopicId(id),
               .uuid = Uuid{0, id},
               .tenant = tenant,
               .name = std::move(name),
               .shards = std::move(shards),
               .config = {},
               .created_ms = 0};
}

TEST(MetaView, FindsTopics) {
  MetaViewBuilder builder;
  builder.put_topic(topic(1, TenantId(0), "a", {ShardId(3), ShardId(4)}));
  builder.put_topic(topic(2, TenantId(1), "a", {ShardId(5)}));
  auto first = std::move(builder).finish(1);
  EXPECT_EQ(first->find_topic(TenantId(1), "a")->id, TopicId(2));
  EXPECT_EQ(first->find_topic(TenantId(2), "a"), nullptr);
  EXPECT_EQ(first->find_topic(Uuid{0, 1})->id, TopicId(1));
  EXPECT_EQ(first->shard_of({TopicId(1), PartitionId(1)}), ShardId(4));
  EXPECT_EQ(first->shard_of({TopicId(1), PartitionId(2)}), std::nullopt);
  EXPECT_EQ(first->shard_of({TopicId(1), PartitionId(-1)}), std::nullopt);
  EXPECT_EQ(first->shard_of({TopicId(9), PartitionId(0)}), std::nullopt);

  MetaViewBuilder next(*first);
  next.remove_topic(TopicId(1));
  auto second = std::move(next).finish(2);
  EXPECT_EQ(second->find_topic(TenantId(0), "a"), nullptr);
  EXPECT_EQ(second->find_topic(Uuid{0, 1}), nullptr);
  EXPECT_EQ(second->topics_by_name().size(), 1U);
  EXPECT_NE(first->find_topic(TopicId(1)), nullptr);
}

TEST(MetaView, FindsTenants) {
  MetaViewBuilder builder;
  builder.put_tenant({TenantId(0), "default"});
  builder.put_tenant({TenantId(1), "acme"});
  builder.put_tenant({TenantId(1), "acme2"});
  builder.remove_tenant(TenantId(0));
  auto view = std::move(builder).finish(1);
  EXPECT_EQ(view->find_tenant("acme2")->id, TenantId(1));
  EXPECT_EQ(view->find_tenant("acme"), nullptr);
  EXPECT_EQ(view->find_tenant("default"), nullptr);
}

}  // namespace
}  // namespace stele::meta
