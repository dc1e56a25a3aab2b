#include "broker/group_state.h"

#include <algorithm>
#include <optional>

namespace stele::broker {
namespace {

// What a thing takes besides its texts, about.
constexpr std::size_t kMemberOverhead = 256;
constexpr std::size_t kOffsetOverhead = 96;
constexpr std::size_t kGroupOverhead = 256;

std::unexpected<Error> impossible(const char* what) {
  return error(ErrorCode::kCorrupt, std::string("shard log: ") + what);
}

}  // namespace

const std::string* GroupMember::metadata_of(std::string_view protocol) const {
  const auto found = std::ranges::find(protocols, protocol, &GroupProtocol::name);
  return found == protocols.end() ? nullptr : &found->metadata;
}

std::size_t GroupMember::bytes() const {
  std::size_t sum = kMemberOverhead + id.size() + client_id.size() + client_host.size() + assignment.size();
  if (instance_id) sum += instance_id->size();
  for (const GroupProtocol& one : protocols) sum += one.name.size() + one.metadata.size();
  return sum;
}

std::size_t GroupState::bytes() const {
  std::size_t sum = kGroupOverhead;
  for (const auto& [id, member] : members) sum += member.bytes();
  for (const auto& [stream, offset] : offsets) sum += kOffsetOverhead + offset.metadata.size();
  return sum;
}

const GroupState* GroupTable::find(const GroupKey& key) const {
  const auto found = groups_.find(key);
  return found == groups_.end() ? nullptr : &found->second;
}

std::vector<TopicId> GroupTable::topics() const {
  std::vector<TopicId> all;
  for (const auto& [topic, offsets] : topics_) all.push_back(topic);
  return all;
}

void GroupTable::count_topic(TopicId topic, bool in) {
  std::uint64_t& offsets = topics_[topic];
  if (in) {
    ++offsets;
  } else if (--offsets == 0) {
    topics_.erase(topic);
  }
}

void GroupTable::count(const GroupState& group, bool in) {
  const auto add = [in](std::uint64_t& sum, std::uint64_t what) { sum = in ? sum + what : sum - what; };
  add(members_, group.members.size());
  add(offsets_, group.offsets.size());
  add(bytes_, group.bytes());
  for (const auto& [stream, offset] : group.offsets) count_topic(stream.topic, in);
}

template <class Change>
void GroupTable::change(const GroupKey& key, Change change) {
  const auto found = groups_.find(key);
  if (found == groups_.end()) return;
  count(found->second, false);
  change(found->second);
  count(found->second, true);
}

// ---- members --------------------------------------------------------------------------------------------

Result<void> GroupTable::begin_generation(const GroupKey& key, GroupGeneration generation) {
  if (generation.members.empty() || generation.protocol_type.empty())
    return impossible("a generation without members");
  std::map<std::string, GroupMember, std::less<>> members;
  for (GroupMember& member : generation.members) {
    if (member.id.empty()) return impossible("a group member without an id");
    member.assignment.clear();
    std::string id = member.id;
    members.insert_or_assign(std::move(id), std::move(member));
  }
  if (!members.contains(generation.leader)) return impossible("a leader that is no member");
  const GroupState* there = find(key);
  if (generation.generation <= (there ? there->generation : 0))
    return impossible("a generation that is not above the one before");
  if (!there) count(groups_[key], true);
  change(key, [&](GroupState& group) {
    group.phase = GroupPhase::kAssigning;
    group.generation = generation.generation;
    group.protocol_type = std::move(generation.protocol_type);
    group.protocol = std::move(generation.protocol);
    group.leader = std::move(generation.leader);
    group.members = std::move(members);
    group.empty_since_ms = 0;
  });
  return {};
}

void GroupTable::assign(const GroupKey& key, std::int32_t generation,
                        std::span<const std::pair<std::string, std::string>> assignments) {
  change(key, [&](GroupState& group) {
    if (group.phase != GroupPhase::kAssigning || group.generation != generation) return;
    group.phase = GroupPhase::kStable;
    for (const auto& [id, assignment] : assignments) {
      const auto member = group.members.find(id);
      if (member != group.members.end()) member->second.assignment = assignment;
    }
  });
}

void GroupTable::remove_members(const GroupKey& key, std::span<const std::string> ids, std::int64_t now_ms) {
  change(key, [&](GroupState& group) {
    if (group.members.empty()) return;
    for (const std::string& id : ids) {
      group.members.erase(id);
      if (group.leader == id) group.leader.clear();
    }
    group.phase = GroupPhase::kRebalancing;
    if (!group.members.empty()) return;
    // A generation of nobody: that of the last members is over.
    if (group.generation < INT32_MAX) ++group.generation;
    group.phase = GroupPhase::kEmpty;
    group.protocol.clear();
    group.leader.clear();
    group.empty_since_ms = now_ms;
  });
}

void GroupTable::replace_member(const GroupKey& key, std::string_view old_id, GroupMember member,
                                bool rebalance) {
  change(key, [&](GroupState& group) {
    const auto old = group.members.find(old_id);
    if (old == group.members.end() || member.id.empty() || group.members.contains(member.id)) return;
    member.assignment = std::move(old->second.assignment);
    group.members.erase(old);
    if (group.leader == old_id) group.leader = member.id;
    std::string id = member.id;
    group.members.emplace(std::move(id), std::move(member));
    if (rebalance) group.phase = GroupPhase::kRebalancing;
  });
}

// ---- offsets --------------------------------------------------------------------------------------------

void GroupTable::commit_offsets(const GroupKey& key,
                                std::span<const std::pair<StreamId, CommittedOffset>> offsets,
                                std::int64_t now_ms) {
  if (!groups_.contains(key)) {
    GroupState& made = groups_[key];
    made.empty_since_ms = now_ms;
    count(made, true);
  }
  GroupState& group = groups_.find(key)->second;
  for (const auto& [stream, offset] : offsets) {
    const auto [at, added] = group.offsets.try_emplace(stream);
    if (added) {
      ++offsets_;
      bytes_ += kOffsetOverhead;
      count_topic(stream.topic, true);
    }
    bytes_ = bytes_ - at->second.metadata.size() + offset.metadata.size();
    at->second = offset;
  }
}

void GroupTable::remove_offsets(const GroupKey& key, std::span<const StreamId> streams) {
  change(key, [&](GroupState& group) {
    for (const StreamId& stream : streams) group.offsets.erase(stream);
  });
}

void GroupTable::remove_topic(TopicId topic) {
  for (auto& [key, group] : groups_) {
    const auto first = group.offsets.lower_bound(StreamId{topic, PartitionId(INT32_MIN)});
    if (first == group.offsets.end() || first->first.topic != topic) continue;
    count(group, false);
    std::erase_if(group.offsets, [topic](const auto& one) { return one.first.topic == topic; });
    count(group, true);
  }
}

void GroupTable::remove(const GroupKey& key) {
  const auto found = groups_.find(key);
  if (found == groups_.end()) return;
  count(found->second, false);
  groups_.erase(found);
}

// ---- snapshots ------------------------------------------------------------------------------------------

namespace {

// Numbers of 32 bits, as they are.
void put32(Writer& writer, std::int32_t value) {
  writer.varint(value);
}
std::int32_t get32(Reader& reader) {
  const std::int64_t value = reader.varint();
  if (value < INT32_MIN || value > INT32_MAX) reader.fail();
  return static_cast<std::int32_t>(value);
}

void encode_member(Writer& writer, const GroupMember& member) {
  writer.sized(member.id).u8(member.instance_id.has_value());
  if (member.instance_id) writer.sized(*member.instance_id);
  writer.sized(member.client_id).sized(member.client_host);
  put32(writer, member.session_timeout_ms);
  put32(writer, member.rebalance_timeout_ms);
  writer.uvarint(member.protocols.size());
  for (const GroupProtocol& one : member.protocols) writer.sized(one.name).sized(one.metadata);
  writer.sized(member.assignment);
}

GroupMember decode_member(Reader& reader) {
  GroupMember member;
  member.id = reader.sized();
  const std::uint8_t is_static = reader.u8();
  if (is_static > 1) reader.fail();
  if (is_static == 1) member.instance_id = std::string(reader.sized());
  member.client_id = reader.sized();
  member.client_host = reader.sized();
  member.session_timeout_ms = get32(reader);
  member.rebalance_timeout_ms = get32(reader);
  const std::uint64_t protocols = reader.uvarint();
  for (std::uint64_t i = 0; i < protocols && reader.ok(); ++i) {
    GroupProtocol& one = member.protocols.emplace_back();
    one.name = reader.sized();
    one.metadata = reader.sized();
  }
  member.assignment = reader.sized();
  if (member.id.empty()) reader.fail();
  return member;
}

}  // namespace

void GroupTable::encode(Writer& writer, const GroupKey& key, const GroupState& group) {
  writer.uvarint(key.first.value).sized(key.second);
  writer.u8(static_cast<std::uint8_t>(group.phase)).uvarint(static_cast<std::uint32_t>(group.generation));
  writer.sized(group.protocol_type).sized(group.protocol).sized(group.leader);
  writer.varint(group.empty_since_ms).uvarint(group.members.size());
  for (const auto& [id, member] : group.members) encode_member(writer, member);
  writer.uvarint(group.offsets.size());
  for (const auto& [stream, offset] : group.offsets) {
    writer.uvarint(stream.topic.value).varint(stream.partition.value);
    writer.varint(offset.offset.value);
    put32(writer, offset.leader_epoch);
    writer.sized(offset.metadata).varint(offset.committed_at_ms).varint(offset.expires_at_ms);
  }
}

void GroupTable::decode(Reader& reader) {
  const std::uint64_t tenant = reader.uvarint();
  if (tenant > UINT32_MAX) reader.fail();
  const GroupKey key(TenantId(static_cast<std::uint32_t>(tenant)), reader.sized());
  GroupState group;
  const std::uint8_t phase = reader.u8();
  const std::uint64_t generation = reader.uvarint();
  if (phase > static_cast<std::uint8_t>(GroupPhase::kStable) || generation > INT32_MAX) reader.fail();
  group.phase = static_cast<GroupPhase>(phase);
  group.generation = static_cast<std::int32_t>(generation);
  group.protocol_type = reader.sized();
  group.protocol = reader.sized();
  group.leader = reader.sized();
  group.empty_since_ms = reader.varint();
  const std::uint64_t members = reader.uvarint();
  for (std::uint64_t i = 0; i < members && reader.ok(); ++i) {
    GroupMember member = decode_member(reader);
    if (!group.members.empty() && group.members.rbegin()->first >= member.id) reader.fail();
    std::string id = member.id;
    group.members.emplace(std::move(id), std::move(member));
  }
  const std::uint64_t offsets = reader.uvarint();
  for (std::uint64_t i = 0; i < offsets && reader.ok(); ++i) {
    StreamId stream;
    stream.topic = TopicId(reader.uvarint());
    stream.partition = PartitionId(get32(reader));
    CommittedOffset offset;
    offset.offset = Offset(reader.varint());
    offset.leader_epoch = get32(reader);
    offset.metadata = reader.sized();
    offset.committed_at_ms = reader.varint();
    offset.expires_at_ms = reader.varint();
    if (!group.offsets.empty() && !(group.offsets.rbegin()->first < stream)) reader.fail();
    group.offsets.emplace(stream, std::move(offset));
  }
  if (!groups_.empty() && !(groups_.rbegin()->first < key)) reader.fail();
  if (group.members.empty() != (group.phase == GroupPhase::kEmpty)) reader.fail();
  if (!group.leader.empty() && !group.members.contains(group.leader)) reader.fail();
  if (reader.failed()) return;
  count(groups_.emplace(key, std::move(group)).first->second, true);
}

}  // namespace stele::broker
