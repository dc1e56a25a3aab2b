#include "broker/group_coordinator.h"

#include "broker/control.h"

namespace stele::broker {

using runtime::Instant;

// ---- the groups -----------------------------------------------------------------------------------------

void GroupCoordinator::start() {
  for (const auto& [key, state] : host_.groups().all()) {
    if (state.members.empty()) continue;
    Group& group = get(key);
    // It was to rebalance when the owner before ended.
    if (state.phase == GroupPhase::kRebalancing) begin_joining(key, group);
    if (state.phase == GroupPhase::kAssigning) {
      group.sync_deadline = host_.monotonic_now() + rebalance_timeout(group);
      note_due(key, group, group.sync_deadline);
    }
  }
  expired_at_ = host_.monotonic_now();
}

void GroupCoordinator::stop() {
  // Whoever is told may come back at once, to nobody.
  for (auto& [key, group] : std::exchange(groups_, {})) {
    for (auto& [id, member] : group.members) {
      if (auto done = std::exchange(member.join, {}))
        done({.error = GroupError::kUnavailable, .member_id = id});
      if (auto done = std::exchange(member.sync, {})) done({.error = GroupError::kUnavailable});
    }
  }
  due_.clear();
}

GroupCoordinator::Group* GroupCoordinator::find(const GroupKey& key) {
  const auto found = groups_.find(key);
  return found == groups_.end() ? nullptr : &found->second;
}
const GroupCoordinator::Group* GroupCoordinator::find(const GroupKey& key) const {
  const auto found = groups_.find(key);
  return found == groups_.end() ? nullptr : &found->second;
}

// With the members of the state, if it is not known yet.
GroupCoordinator::Group& GroupCoordinator::get(const GroupKey& key) {
  const auto [at, made] = groups_.try_emplace(key);
  Group& group = at->second;
  const GroupState* there = made ? state(key) : nullptr;
  if (!there) return group;
  group.protocol_type = there->protocol_type;
  for (const auto& [id, as_joined] : there->members) {
    Member& member = group.members[id];
    member.as_joined = as_joined;
    member.as_joined.assignment.clear();
    member.synced = there->phase == GroupPhase::kStable;
    if (as_joined.instance_id) group.instances[*as_joined.instance_id] = id;
    heard_of(key, group, member);
  }
  return group;
}

GroupPhase GroupCoordinator::phase(const GroupKey& key, const Group* group) const {
  if (group && group->joining) return GroupPhase::kRebalancing;
  const GroupState* there = state(key);
  return there ? there->phase : GroupPhase::kEmpty;
}

void GroupCoordinator::drop_if_idle(const GroupKey& key) {
  const auto found = groups_.find(key);
  if (found == groups_.end()) return;
  const Group& group = found->second;
  if (!group.members.empty() || !group.promised.empty() || group.joining) return;
  due_.erase({group.due, key});
  groups_.erase(found);
}

std::chrono::milliseconds GroupCoordinator::session(const GroupMember& member) {
  return std::chrono::milliseconds(member.session_timeout_ms);
}

// Something of the group is due then, or what was due before that.
void GroupCoordinator::note_due(const GroupKey& key, Group& group, Instant at) {
  if (at >= group.due) return;
  due_.erase({group.due, key});
  group.due = at;
  due_.emplace(at, key);
}

void GroupCoordinator::heard_of(const GroupKey& key, Group& group, Member& member) {
  member.deadline = host_.monotonic_now() + session(member.as_joined);
  note_due(key, group, member.deadline);
}

// Whether it is this member of the group that asks.
GroupError GroupCoordinator::verify(const Group* group, std::string_view id,
                                    const std::optional<std::string>& instance) const {
  if (!group) return GroupError::kUnknownMember;
  if (instance) {
    const auto there = group->instances.find(*instance);
    if (there == group->instances.end()) return GroupError::kUnknownMember;
    if (there->second != id) return GroupError::kFencedInstance;
  }
  return group->members.contains(id) ? GroupError::kNone : GroupError::kUnknownMember;
}

// ---- looking at groups ----------------------------------------------------------------------------------

GroupError GroupCoordinator::remove(TenantId tenant, const std::string& name) {
  const GroupKey key(tenant, name);
  const Group* group = find(key);
  if (group && (!group->members.empty() || group->joining)) return GroupError::kNotEmpty;
  if (!state(key)) return GroupError::kNotFound;
  if (!host_.can_append()) return GroupError::kUnavailable;
  host_.append_for_groups(control::group_removed(host_.wall_now(), key));
  return GroupError::kNone;
}

GroupDescription GroupCoordinator::describe(TenantId tenant, const std::string& name) const {
  const GroupKey key(tenant, name);
  const Group* group = find(key);
  const GroupState* there = state(key);
  GroupDescription out;
  if (!there && (!group || group->members.empty())) {
    out.error = GroupError::kNotFound;
    return out;
  }
  out.phase = phase(key, group);
  out.protocol_type = group && !group->members.empty() ? group->protocol_type : there->protocol_type;
  const bool stable = out.phase == GroupPhase::kStable;
  if (stable) out.protocol = there->protocol;
  if (!group) return out;
  for (const auto& [id, member] : group->members) {
    GroupMember& one = out.members.emplace_back(member.as_joined);
    one.protocols.clear();
    if (!stable) continue;
    // Of the generation, and not what it would bring to the next.
    const GroupMember& in_state = there->members.find(id)->second;
    const std::string* metadata = in_state.metadata_of(there->protocol);
    one.protocols.push_back({there->protocol, metadata ? *metadata : std::string()});
    one.assignment = in_state.assignment;
  }
  return out;
}

std::vector<ListedGroup> GroupCoordinator::list(TenantId tenant) const {
  std::map<std::string, ListedGroup> all;
  for (const auto& [key, group] : host_.groups().all()) {
    if (key.first != tenant) continue;
    all[key.second] = {key.second, group.protocol_type, group.phase};
  }
  for (const auto& [key, group] : groups_) {
    if (key.first != tenant || group.members.empty()) continue;
    all[key.second] = {key.second, group.protocol_type, phase(key, &group)};
  }
  std::vector<ListedGroup> out;
  for (auto& [name, one] : all) out.push_back(std::move(one));
  return out;
}

}  // namespace stele::broker
