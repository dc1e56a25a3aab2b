// Control entries of the shard's state machine: consumer groups and their offsets.
#include "broker/control_entries_generated.h"
#include "broker/shard_state.h"

namespace stele::broker {
namespace {

using Failed = std::unexpected<Error>;

Failed missing(const char* what) {
  return error(ErrorCode::kCorrupt, std::string("shard log: group entry without ") + what);
}

std::string text(const flatbuffers::String* string) {
  return string ? string->str() : std::string();
}
std::string bytes(const flatbuffers::Vector<std::uint8_t>* vector) {
  return vector ? std::string(reinterpret_cast<const char*>(vector->data()), vector->size()) : std::string();
}

GroupKey key_of(const fbs::Group& group) {
  return {TenantId(group.tenant()), text(group.group())};
}

GroupMember member_of(const fbs::GroupMember& table) {
  GroupMember member;
  member.id = text(table.id());
  if (table.instance_id()) member.instance_id = table.instance_id()->str();
  member.client_id = text(table.client_id());
  member.client_host = text(table.client_host());
  member.session_timeout_ms = table.session_timeout_ms();
  member.rebalance_timeout_ms = table.rebalance_timeout_ms();
  if (table.protocols()) {
    for (const auto* one : *table.protocols()) {
      member.protocols.push_back({text(one->name()), bytes(one->metadata())});
    }
  }
  return member;
}

Result<void> begin_generation(GroupTable& groups, const fbs::GroupGeneration& body) {
  if (!body.members()) return missing("members");
  GroupGeneration generation;
  generation.generation = body.generation();
  generation.protocol_type = text(body.protocol_type());
  generation.protocol = text(body.protocol());
  generation.leader = text(body.leader());
  for (const auto* member : *body.members()) generation.members.push_back(member_of(*member));
  return groups.begin_generation(key_of(*body.group()), std::move(generation));
}

Result<void> assign(GroupTable& groups, const fbs::GroupAssigned& body) {
  if (!body.assignments()) return missing("assignments");
  std::vector<std::pair<std::string, std::string>> assignments;
  for (const auto* one : *body.assignments()) {
    assignments.emplace_back(text(one->member()), bytes(one->assignment()));
  }
  groups.assign(key_of(*body.group()), body.generation(), assignments);
  return {};
}

Result<void> commit_offsets(GroupTable& groups, const fbs::OffsetsCommitted& body, WallTime time) {
  if (!body.offsets()) return missing("offsets");
  std::vector<std::pair<StreamId, CommittedOffset>> offsets;
  for (const auto* one : *body.offsets()) {
    CommittedOffset offset;
    offset.offset = Offset(one->offset());
    offset.leader_epoch = one->leader_epoch();
    offset.metadata = text(one->metadata());
    offset.committed_at_ms = time.ms;
    offset.expires_at_ms = one->expires_at_ms();
    offsets.emplace_back(StreamId{TopicId(one->topic()), PartitionId(one->partition())}, std::move(offset));
  }
  groups.commit_offsets(key_of(*body.group()), offsets, time.ms);
  return {};
}

}  // namespace

std::optional<Result<void>> ShardState::apply_group(const void* control_entry) {
  const auto* entry = static_cast<const fbs::ControlEntry*>(control_entry);
  switch (entry->body_type()) {
    case fbs::Body::GroupGeneration: {
      const auto* body = entry->body_as_GroupGeneration();
      if (!body->group()) return missing("a group");
      return begin_generation(groups_, *body);
    }
    case fbs::Body::GroupAssigned: {
      const auto* body = entry->body_as_GroupAssigned();
      if (!body->group()) return missing("a group");
      return assign(groups_, *body);
    }
    case fbs::Body::GroupMembersRemoved: {
      const auto* body = entry->body_as_GroupMembersRemoved();
      if (!body->group() || !body->members()) return missing("members");
      std::vector<std::string> ids;
      for (const auto* id : *body->members()) ids.push_back(id->str());
      groups_.remove_members(key_of(*body->group()), ids, time_.ms);
      return Result<void>();
    }
    case fbs::Body::GroupMemberReplaced: {
      const auto* body = entry->body_as_GroupMemberReplaced();
      if (!body->group() || !body->member()) return missing("a member");
      groups_.replace_member(key_of(*body->group()), text(body->old_id()), member_of(*body->member()),
                             body->rebalance());
      return Result<void>();
    }
    case fbs::Body::GroupRemoved: {
      const auto* body = entry->body_as_GroupRemoved();
      if (!body->group()) return missing("a group");
      groups_.remove(key_of(*body->group()));
      return Result<void>();
    }
    case fbs::Body::OffsetsCommitted: {
      const auto* body = entry->body_as_OffsetsCommitted();
      if (!body->group()) return missing("a group");
      return commit_offsets(groups_, *body, time_);
    }
    case fbs::Body::OffsetsRemoved: {
      const auto* body = entry->body_as_OffsetsRemoved();
      if (!body->group() || !body->streams()) return missing("streams");
      std::vector<StreamId> streams;
      for (const auto* one : *body->streams()) {
        streams.push_back({TopicId(one->topic()), PartitionId(one->partition())});
      }
      groups_.remove_offsets(key_of(*body->group()), streams);
      return Result<void>();
    }
    case fbs::Body::OffsetsOfTopicRemoved: {
      groups_.remove_topic(TopicId(entry->body_as_OffsetsOfTopicRemoved()->topic()));
      return Result<void>();
    }
    default:
      return std::nullopt;
  }
}

}  // namespace stele::broker
