// Staying, leaving, and being gone.
#include "broker/group_coordinator.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "broker/control.h"

namespace stele::broker {

using runtime::Instant;

GroupError GroupCoordinator::heartbeat(TenantId tenant, const GroupHeartbeat& request) {
  if (request.group.empty()) return GroupError::kInvalidGroup;
  const GroupKey key(tenant, request.group);
  Group* group = find(key);
  if (const GroupError wrong = verify(group, request.member_id, request.instance_id);
      wrong != GroupError::kNone)
    return wrong;
  const GroupState* there = state(key);
  const std::int32_t generation = there ? there->generation : 0;
  if (request.generation != generation) return GroupError::kIllegalGeneration;
  heard_of(key, *group, group->members.find(request.member_id)->second);
  return phase(key, group) == GroupPhase::kRebalancing ? GroupError::kRebalancing : GroupError::kNone;
}

LeftGroup GroupCoordinator::leave(TenantId tenant, const LeaveGroup& request) {
  LeftGroup answer;
  if (request.group.empty()) {
    answer.error = GroupError::kInvalidGroup;
    return answer;
  }
  const GroupKey key(tenant, request.group);
  Group* group = find(key);
  if (!group || !host_.can_append()) {
    answer.error = group ? GroupError::kUnavailable : GroupError::kUnknownMember;
    return answer;
  }
  std::vector<std::string> leaving;
  bool promise_gone = false;
  for (const LeaveGroup::Member& one : request.members) {
    std::string id = one.id;
    if (!one.instance_id && group->promised.erase(id) > 0) {
      promise_gone = true;
      answer.members.push_back(GroupError::kNone);
      continue;
    }
    if (id.empty() && one.instance_id) {
      // An administrator's: by the instance id alone.
      const auto there = group->instances.find(*one.instance_id);
      if (there != group->instances.end()) id = there->second;
    }
    GroupError error = verify(group, id, one.instance_id);
    if (error == GroupError::kNone && std::ranges::find(leaving, id) != leaving.end())
      error = GroupError::kUnknownMember;
    if (error == GroupError::kNone) leaving.push_back(id);
    answer.members.push_back(error);
  }
  if (!leaving.empty()) remove_members(key, *group, leaving);
  if (promise_gone && leaving.empty()) finish_if_all_joined(key, *group);
  drop_if_idle(key);
  return answer;
}

// Members that are there. The others begin a new generation.
void GroupCoordinator::remove_members(const GroupKey& key, Group& group,
                                      const std::vector<std::string>& ids) {
  const GroupState* there = state(key);
  std::vector<std::string> of_state;
  std::vector<Done<JoinedGroup>> joins;
  std::vector<Done<SyncedGroup>> syncs;
  for (const std::string& id : ids) {
    if (there && there->members.contains(id)) of_state.push_back(id);
    auto node = group.members.extract(id);
    if (node.empty()) continue;
    Member& member = node.mapped();
    if (member.join) joins.push_back(std::exchange(member.join, {}));
    if (member.sync) syncs.push_back(std::exchange(member.sync, {}));
    if (member.as_joined.instance_id) group.instances.erase(*member.as_joined.instance_id);
  }
  if (!of_state.empty())
    host_.append_for_groups(control::group_members_removed(host_.wall_now(), key, of_state));
  for (auto& done : joins) done({.error = GroupError::kUnknownMember, .member_id = {}});
  for (auto& done : syncs) done({.error = GroupError::kUnknownMember});
  if (group.members.empty()) {
    group.joining = false;
    group.join_deadline = group.sync_deadline = runtime::kNever;
    return;
  }
  begin_joining(key, group);
  finish_if_all_joined(key, group);
}

void GroupCoordinator::expire_members(const GroupKey& key, Group& group) {
  const Instant now = host_.monotonic_now();
  std::vector<std::string> gone;
  for (const auto& [id, member] : group.members) {
    const bool waits = member.join || member.sync;
    if (member.deadline <= now && (member.fresh || !waits)) {
      gone.push_back(id);
    } else if (group.sync_deadline <= now && !member.synced && !group.joining) {
      STELE_MARK("group: member did not ask for its assignment in time");
      gone.push_back(id);
    }
  }
  if (group.sync_deadline <= now) group.sync_deadline = runtime::kNever;
  if (gone.empty()) return;
  STELE_MARK("group: member fell silent");
  stats_.members_expired += gone.size();
  remove_members(key, group, gone);
}

void GroupCoordinator::run_due() {
  const Instant now = host_.monotonic_now();
  while (!due_.empty() && due_.begin()->first <= now) {
    const GroupKey key = due_.begin()->second;
    due_.erase(due_.begin());
    Group* group = find(key);
    STELE_ASSERT(group != nullptr);
    group->due = runtime::kNever;
    if (!host_.can_append()) {
      note_due(key, *group, now + kTryAgain);
      continue;
    }
    const bool promises =
        std::erase_if(group->promised, [now](const auto& one) { return one.second <= now; });
    expire_members(key, *group);
    if (promises) finish_if_all_joined(key, *group);
    if (group->joining && group->join_deadline <= now) on_join_deadline(key, *group);
    // Heartbeats moved what was due, so the rest is looked at anew.
    for (const auto& [id, until] : group->promised) note_due(key, *group, until);
    for (const auto& [id, member] : group->members) {
      if (member.fresh || !(member.join || member.sync)) note_due(key, *group, member.deadline);
    }
    note_due(key, *group, group->join_deadline);
    note_due(key, *group, group->sync_deadline);
    drop_if_idle(key);
  }
}

}  // namespace stele::broker
