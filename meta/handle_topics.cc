// Commands about topics.
#include <string>
#include <utility>

#include "base/hash.h"
#include "meta/handlers.h"
#include "model/topic_name.h"

namespace stele::meta {
namespace {

std::string quoted(std::string_view name) {
  return "'" + std::string(name) + "'";
}

Result<Topic> find(Context context, TenantId tenant, const std::string& name) {
  if (auto id = context.tables.find_topic(tenant, name)) {
    if (auto topic = context.tables.topic(*id)) return *std::move(topic);
  }
  return error(ErrorCode::kNotFound, "there is no topic " + quoted(name));
}

Result<void> check_partition_count(std::int32_t count) {
  if (count >= 1 && count <= kMaxPartitionsPerTopic) return {};
  return error(ErrorCode::kInvalidArgument, "a topic has 1 to " + std::to_string(kMaxPartitionsPerTopic) +
                                                " partitions, not " + std::to_string(count));
}

Result<void> check_room(Context context, std::size_t topics, std::size_t partitions) {
  if (context.tables.topic_count() + topics > kMaxTopics) {
    return error(ErrorCode::kNoSpace,
                 "there are " + std::to_string(kMaxTopics) + " topics, and no more can be");
  }
  if (context.tables.partition_count() + partitions > kMaxPartitions) {
    return error(ErrorCode::kNoSpace, "all topics together have at most " + std::to_string(kMaxPartitions) +
                                          " partitions; that would be more");
  }
  return {};
}

Result<void> check_new_name(Context context, TenantId tenant, const std::string& name) {
  if (!context.tables.tenant(tenant)) {
    return error(ErrorCode::kNotFound, "there is no tenant with id " + std::to_string(tenant.value));
  }
  STELE_CHECK(check_topic_name(name));
  const auto other = context.tables.colliding_name(tenant, name);
  if (!other) return {};
  if (*other == name)
    return error(ErrorCode::kAlreadyExists, "there is a topic " + quoted(name) + " already");
  // Kafka's rule: both would have one name in metrics.
  return error(ErrorCode::kInvalidArgument,
               "topic " + quoted(name) + " collides with topic " + quoted(*other) +
                   ": names that differ only in '.' and '_' are taken for one in metrics");
}

void extend(Context context, Topic& topic, std::int32_t count) {
  for (std::size_t p = topic.shards.size(); p < static_cast<std::size_t>(count); ++p) {
    topic.shards.push_back(place_partition(topic.tenant, topic.name, p, context.cluster.shard_count));
  }
}

}  // namespace

ShardId place_partition(TenantId tenant, std::string_view topic, std::size_t partition,
                        std::uint32_t shard_count) {
  const std::uint64_t first = Hasher().add(tenant.value).add(topic).value() % shard_count;
  return ShardId(static_cast<std::uint32_t>((first + partition) % shard_count));
}

Result<Topic> handle(Context context, const CreateTopic& command) {
  STELE_CHECK(check_new_name(context, command.tenant, command.name));
  STELE_CHECK(check_partition_count(command.partitions));
  if (command.config.capture_partitions != 0) {
    return error(ErrorCode::kInvalidArgument,
                 "stele.capture.partitions is not given to a topic: it has it once it gets more partitions");
  }
  STELE_CHECK(check_room(context, 1, static_cast<std::size_t>(command.partitions)));
  Topic topic{.id = {},
              .uuid = {},
              .tenant = command.tenant,
              .name = command.name,
              .shards = {},
              .config = command.config,
              .created_ms = context.envelope.time.ms};
  extend(context, topic, command.partitions);
  if (command.validate_only) return topic;

  topic.uuid = Uuid::from_random(context.envelope.random.high, context.envelope.random.low);
  if (context.tables.has_uuid(topic.uuid)) {
    return error(ErrorCode::kInternal,
                 "the id drawn for topic " + quoted(topic.name) + " is taken; try again");
  }
  topic.id = TopicId(context.tables.draw(Tables::Counter::kTopic));
  context.tables.insert_topic(topic);
  context.change.put_topic = topic;
  return topic;
}

Result<Topic> handle(Context context, const DeleteTopic& command) {
  std::optional<Topic> topic;
  if (command.id) {
    topic = context.tables.topic(*command.id);
    if (!topic || topic->tenant != command.tenant) {
      return error(ErrorCode::kNotFound, "there is no topic with id " + std::to_string(command.id->value));
    }
  } else {
    STELE_TRY(topic, find(context, command.tenant, command.name));
  }
  context.tables.delete_topic(*topic);
  context.change.removed_topic = topic->id;
  return *std::move(topic);
}

Result<Topic> handle(Context context, const CreatePartitions& command) {
  STELE_TRY(Topic topic, find(context, command.tenant, command.name));
  STELE_CHECK(check_partition_count(command.count));
  const std::size_t before = topic.shards.size();
  if (command.count <= topic.partition_count()) {
    return error(ErrorCode::kInvalidArgument,
                 "topic " + quoted(topic.name) + " has " + std::to_string(before) +
                     " partitions; it can only get more, not " + std::to_string(command.count));
  }
  STELE_CHECK(check_room(context, 0, static_cast<std::size_t>(command.count) - before));
  extend(context, topic, command.count);
  if (topic.config.capture_partitions == 0)
    topic.config.capture_partitions = static_cast<std::int32_t>(before);
  if (command.validate_only) return topic;
  context.tables.add_partitions(topic, before);
  context.tables.set_config(topic.id, topic.config);
  context.change.put_topic = topic;
  return topic;
}

Result<Topic> handle(Context context, const AlterTopicConfig& command) {
  STELE_TRY(Topic topic, find(context, command.tenant, command.name));
  const TopicConfig present = topic.config;
  TopicConfig before = present;
  if (command.reset_others) {
    before = TopicConfig();
    before.capture_partitions = present.capture_partitions;
    before.key = present.key;
  }
  STELE_TRY(topic.config, changed_topic_config(before, command.changes));
  // Messages on their way would belong to no partition, or to two.
  if (topic.config.key != present.key || topic.config.capture_partitions != present.capture_partitions) {
    return error(ErrorCode::kInvalidArgument,
                 "stele.key and stele.capture.partitions of a topic cannot be changed");
  }
  if (command.validate_only) return topic;
  context.tables.set_config(topic.id, topic.config);
  context.change.put_topic = topic;
  return topic;
}

}  // namespace stele::meta
