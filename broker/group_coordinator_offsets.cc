// What groups have committed.
#include "broker/group_coordinator.h"

#include <algorithm>

#include "base/marks.h"
#include "base/mutants.h"
#include "broker/control.h"

namespace stele::broker {

using runtime::Instant;

namespace {

constexpr std::string_view kConsumer = "consumer";

// Topics in the metadata of a member of protocol type `consumer` (ConsumerProtocolSubscription): after a
// version of 16 bits, an array of strings. False if it is none.
bool subscribes(std::string_view metadata, std::string_view topic, bool& readable) {
  Reader reader(metadata);
  reader.u16_be();
  bool found = false;
  const std::uint32_t topics = reader.u32_be();
  for (std::uint32_t i = 0; i < topics && reader.ok(); ++i) found |= reader.bytes(reader.u16_be()) == topic;
  readable = reader.ok();
  return found;
}

// What is there for it already; null: nothing.
const CommittedOffset* offset_before(const GroupState* group, const StreamId& stream) {
  if (!group) return nullptr;
  const auto found = group->offsets.find(stream);
  return found == group->offsets.end() ? nullptr : &found->second;
}

}  // namespace

OffsetsAnswer GroupCoordinator::commit_offsets(TenantId tenant, CommitOffsets request) {
  OffsetsAnswer answer;
  const auto refused = [&](GroupError error) {
    answer.error = error;
    return answer;
  };
  const GroupKey key(tenant, request.group);
  Group* group = find(key);
  const GroupState* there = state(key);
  const GroupPhase now = phase(key, group);
  const bool of_member = request.generation >= 0 || !request.member_id.empty() || request.instance_id;
  if (request.generation < 0 && now == GroupPhase::kEmpty) {
    // Of a consumer that assigns itself, or an administrator.
  } else if (!of_member) {
    return refused(GroupError::kUnknownMember);
  } else {
    if (!there && !group) return refused(GroupError::kIllegalGeneration);
    if (const GroupError wrong = verify(group, request.member_id, request.instance_id);
        wrong != GroupError::kNone)
      return refused(wrong);
    const bool current = there && request.generation == there->generation;
    if (!current && !mutant(Mutant::kGroupGenerationNotFenced))
      return refused(GroupError::kIllegalGeneration);
    if (now == GroupPhase::kAssigning) return refused(GroupError::kRebalancing);
    heard_of(key, *group, group->members.find(request.member_id)->second);
  }
  if (!host_.can_append()) return refused(GroupError::kUnavailable);
  const bool room = there || host_.groups().all().size() < options_.groups;
  std::vector<std::pair<StreamId, CommittedOffset>> taken;
  std::uint64_t offsets = host_.groups().offsets(), bytes = host_.groups().bytes();
  for (auto& [stream, offset] : request.offsets) {
    // One that takes the place of another needs no more room than that had.
    const CommittedOffset* before = offset_before(there, stream);
    const std::size_t had = before ? before->metadata.size() : 0, has = offset.metadata.size();
    const bool fits = (before || offsets < options_.offsets) &&
                      ((before && has <= had) || bytes - had + has <= options_.bytes);
    GroupError error = GroupError::kNone;
    if (offset.metadata.size() > options_.offset_metadata_bytes) {
      error = GroupError::kMetadataTooLarge;
    } else if (!host_.stream_exists(stream)) {
      error = GroupError::kUnknownPartition;
    } else if (!room || !fits) {
      STELE_MARK("group: offset refused at the limit");
      ++stats_.refused_at_limit;
      error = GroupError::kTooManyOffsets;
    }
    answer.partitions.push_back(error);
    if (error != GroupError::kNone) continue;
    if (before && offset.offset < before->offset && mutant(Mutant::kOffsetNotLowered)) continue;
    bytes += has - had;
    if (!before) ++offsets;
    if (request.retention_ms >= 0) offset.expires_at_ms = host_.wall_now().ms + request.retention_ms;
    taken.emplace_back(stream, std::move(offset));
  }
  stats_.offset_commits += taken.size();
  if (!taken.empty()) host_.append_for_groups(control::offsets_committed(host_.wall_now(), key, taken));
  return answer;
}

FetchedOffsets GroupCoordinator::fetch_offsets(TenantId tenant, const FetchOffsets& request) const {
  FetchedOffsets answer;
  const GroupState* there = state({tenant, request.group});
  if (!request.streams) {
    if (there) answer.offsets.assign(there->offsets.begin(), there->offsets.end());
    return answer;
  }
  for (const StreamId& stream : *request.streams) {
    const auto found = there ? there->offsets.find(stream) : decltype(there->offsets.end())();
    const bool has = there && found != there->offsets.end();
    answer.offsets.emplace_back(stream, has ? found->second : CommittedOffset());
  }
  return answer;
}

OffsetsAnswer GroupCoordinator::delete_offsets(TenantId tenant, const DeleteOffsets& request) {
  OffsetsAnswer answer;
  const GroupKey key(tenant, request.group);
  const Group* group = find(key);
  const GroupState* there = state(key);
  const bool members = group && !group->members.empty();
  if (!there) {
    answer.error = GroupError::kNotFound;
  } else if (members && group->protocol_type != kConsumer) {
    answer.error = GroupError::kNotEmpty;
  } else if (!host_.can_append()) {
    answer.error = GroupError::kUnavailable;
  }
  if (answer.error != GroupError::kNone) return answer;
  std::vector<StreamId> gone;
  for (const DeleteOffsets::Partition& one : request.partitions) {
    bool read = false;
    if (members) {
      // What cannot be understood might read anything.
      for (const auto& [id, member] : group->members) {
        for (const GroupProtocol& protocol : member.as_joined.protocols) {
          bool readable = false;
          read |= subscribes(protocol.metadata, one.topic, readable) || !readable;
        }
      }
    }
    answer.partitions.push_back(read ? GroupError::kSubscribed : GroupError::kNone);
    if (!read && there->offsets.contains(one.stream)) gone.push_back(one.stream);
  }
  if (!gone.empty()) host_.append_for_groups(control::offsets_removed(host_.wall_now(), key, gone));
  return answer;
}

void GroupCoordinator::expire_offsets() {
  const Instant now = host_.monotonic_now();
  if (now - expired_at_ < options_.retention_check || !host_.can_append()) return;
  expired_at_ = now;
  const std::int64_t retention_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.offsets_retention).count();
  const WallTime wall = host_.wall_now();
  std::vector<std::pair<GroupKey, std::vector<StreamId>>> over;
  for (const auto& [key, group] : host_.groups().all()) {
    if (!group.members.empty() || find(key)) continue;
    std::vector<StreamId> expired;
    for (const auto& [stream, offset] : group.offsets) {
      const std::int64_t until = offset.expires_at_ms >= 0
                                     ? offset.expires_at_ms
                                     : std::max(offset.committed_at_ms, group.empty_since_ms) + retention_ms;
      if (until <= wall.ms) expired.push_back(stream);
    }
    if (!expired.empty() || group.offsets.empty()) over.emplace_back(key, std::move(expired));
  }
  for (const auto& [key, expired] : over) {
    STELE_MARK("group: offsets expired");
    stats_.offsets_expired += expired.size();
    const bool all = expired.size() == state(key)->offsets.size();
    host_.append_for_groups(all ? control::group_removed(wall, key)
                                : control::offsets_removed(wall, key, expired));
  }
}

void GroupCoordinator::drop_topics(const std::function<bool(TopicId)>& exists) {
  for (const TopicId topic : host_.groups().topics()) {
    if (!exists(topic)) host_.append_for_groups(control::offsets_of_topic_removed(host_.wall_now(), topic));
  }
}

}  // namespace stele::broker
