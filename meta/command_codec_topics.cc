// Commands and answers of topics, and producer ids.
#include <optional>
#include <utility>

#include "meta/command_codec_parts.h"

namespace stele::meta::codec {

// ---- values ----------------------------------------------------------------------------------------------
// For each kind: pack(value, table) and unpack(table, value).

void pack(const ConfigPair& from, fbs::SettingT& to) {
  to.name = from.first;
  to.value = from.second;
}
void unpack(const fbs::SettingT& from, ConfigPair& to) {
  to = {from.name, from.value};
}

void pack(const ConfigChange& from, fbs::ConfigChangeT& to) {
  to.name = from.name;
  to.op = static_cast<fbs::ConfigOp>(from.op);
  to.value = from.value;
}
void unpack(const fbs::ConfigChangeT& from, ConfigChange& to) {
  to = {.name = from.name, .op = static_cast<ConfigOp>(from.op), .value = from.value};
}

// ---- commands --------------------------------------------------------------------------------------------

fbs::CreateTopicT pack(const CreateTopic& from) {
  fbs::CreateTopicT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.partitions = from.partitions;
  to.config = pack_all<fbs::SettingT>(non_defaults(from.config));
  to.validate_only = from.validate_only;
  return to;
}
Result<Command> unpack(const fbs::CreateTopicT& from) {
  auto config = parse_topic_config(unpack_all<ConfigPair>(from.config));
  if (!config) return malformed(config.error().message);
  return CreateTopic{.tenant = TenantId(from.tenant),
                     .name = from.name,
                     .partitions = from.partitions,
                     .config = *std::move(config),
                     .validate_only = from.validate_only};
}

fbs::DeleteTopicT pack(const DeleteTopic& from) {
  fbs::DeleteTopicT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.id = from.id ? from.id->value : 0;
  return to;
}
Result<Command> unpack(const fbs::DeleteTopicT& from) {
  return DeleteTopic{.tenant = TenantId(from.tenant),
                     .name = from.name,
                     .id = from.id ? std::optional(TopicId(from.id)) : std::nullopt};
}

fbs::CreatePartitionsT pack(const CreatePartitions& from) {
  fbs::CreatePartitionsT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.count = from.count;
  to.validate_only = from.validate_only;
  return to;
}
Result<Command> unpack(const fbs::CreatePartitionsT& from) {
  return CreatePartitions{.tenant = TenantId(from.tenant),
                          .name = from.name,
                          .count = from.count,
                          .validate_only = from.validate_only};
}

fbs::AlterTopicConfigT pack(const AlterTopicConfig& from) {
  fbs::AlterTopicConfigT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.changes = pack_all<fbs::ConfigChangeT>(from.changes);
  to.reset_others = from.reset_others;
  to.validate_only = from.validate_only;
  return to;
}
Result<Command> unpack(const fbs::AlterTopicConfigT& from) {
  for (const auto& change : from.changes) {
    if (change->op > fbs::ConfigOp::MAX) {
      return error(ErrorCode::kUnsupported,
                   "a change of a configuration of a newer version; upgrade this node");
    }
  }
  return AlterTopicConfig{.tenant = TenantId(from.tenant),
                          .name = from.name,
                          .changes = unpack_all<ConfigChange>(from.changes),
                          .reset_others = from.reset_others,
                          .validate_only = from.validate_only};
}

fbs::AllocateProducerIdsT pack(const AllocateProducerIds& from) {
  fbs::AllocateProducerIdsT to;
  to.count = from.count;
  return to;
}
Result<Command> unpack(const fbs::AllocateProducerIdsT& from) {
  return AllocateProducerIds{.count = from.count};
}

// ---- answers ---------------------------------------------------------------------------------------------

fbs::TopicStateT pack(const Topic& from) {
  fbs::TopicStateT to;
  to.id = from.id.value;
  to.uuid = pack(from.uuid);
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.shards = values_of(from.shards);
  to.config = pack_all<fbs::SettingT>(non_defaults(from.config));
  to.created_ms = from.created_ms;
  return to;
}
Result<Answer> unpack(const fbs::TopicStateT& from) {
  auto config = parse_topic_config(unpack_all<ConfigPair>(from.config));
  if (!config) return malformed(config.error().message);
  return Topic{.id = TopicId(from.id),
               .uuid = unpack(from.uuid),
               .tenant = TenantId(from.tenant),
               .name = from.name,
               .shards = ids_of<ShardId>(from.shards),
               .config = *std::move(config),
               .created_ms = from.created_ms};
}

fbs::ProducerIdsT pack(const ProducerIds& from) {
  fbs::ProducerIdsT to;
  to.first = from.first;
  to.count = from.count;
  return to;
}
Result<Answer> unpack(const fbs::ProducerIdsT& from) {
  return ProducerIds{.first = from.first, .count = from.count};
}

}  // namespace stele::meta::codec
