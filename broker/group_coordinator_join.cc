// Joining, and the generations that come of it.
#include "broker/group_coordinator.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "broker/control.h"

namespace stele::broker {

using namespace std::chrono_literals;
using runtime::Duration;
using runtime::Instant;

namespace {

// A member that waits for its first generation, and is not heard of meanwhile, is kept so long.
constexpr Duration kFreshMember = 5min;

}  // namespace

// ---- joining --------------------------------------------------------------------------------------------

bool GroupCoordinator::refuse(GroupError error, std::string_view id, Done<JoinedGroup>& done) {
  if (error == GroupError::kTooLarge) ++stats_.refused_at_limit;
  done({.error = error, .member_id = std::string(id)});
  return false;
}

void GroupCoordinator::join(TenantId tenant, JoinGroup request, Done<JoinedGroup> done) {
  const std::string id = request.member.id;
  if (request.group.empty()) return void(refuse(GroupError::kInvalidGroup, id, done));
  const auto asked = session(request.member);
  if (asked < options_.min_session || asked > options_.max_session)
    return void(refuse(GroupError::kInvalidSessionTimeout, id, done));
  if (request.member.bytes() > options_.member_bytes) return void(refuse(GroupError::kTooLarge, id, done));
  const GroupKey key(tenant, request.group);
  if (!find(key) && !state(key)) {
    if (!id.empty()) return void(refuse(GroupError::kUnknownMember, id, done));
    if (std::max(host_.groups().all().size(), groups_.size()) >= options_.groups)
      return void(refuse(GroupError::kTooLarge, id, done));
  }
  Group& group = get(key);
  if (!may_enter(group, request)) {
    STELE_MARK("group: member refused at the limit");
    refuse(GroupError::kTooLarge, id, done);
  } else if (!protocols_fit(group, request)) {
    refuse(GroupError::kInconsistentProtocol, id, done);
  } else if (id.empty()) {
    join_new(key, group, std::move(request), std::move(done));
  } else {
    join_known(key, group, std::move(request), std::move(done));
  }
  drop_if_idle(key);
}

// While a generation is gathered those count that have joined for it, so that the first ones get in and the
// group shrinks to a limit that was lowered.
bool GroupCoordinator::may_enter(const Group& group, const JoinGroup& request) const {
  const auto known = group.members.find(request.member.id);
  const bool replaces = request.member.instance_id && group.instances.contains(*request.member.instance_id);
  std::uint64_t count = group.members.size();
  if (group.joining) {
    if (known != group.members.end() && known->second.join) return true;
    count = static_cast<std::uint64_t>(
        std::ranges::count_if(group.members, [](const auto& one) { return bool(one.second.join); }));
  } else if (known != group.members.end() || replaces) {
    return true;
  }
  if (!replaces && std::max<std::uint64_t>(count, group.promised.size()) >= options_.members) return false;
  // All members go into one entry.
  std::uint64_t bytes = request.member.bytes();
  for (const auto& [id, member] : group.members) bytes += member.as_joined.bytes();
  return std::max(bytes, host_.groups().bytes() + request.member.bytes()) <= options_.bytes;
}

bool GroupCoordinator::protocols_fit(const Group& group, const JoinGroup& request) const {
  if (request.protocol_type.empty() || request.member.protocols.empty()) return false;
  if (group.members.empty()) return true;
  if (request.protocol_type != group.protocol_type) return false;
  return std::ranges::any_of(request.member.protocols, [&](const GroupProtocol& protocol) {
    return std::ranges::all_of(group.members, [&](const auto& one) {
      return one.second.as_joined.metadata_of(protocol.name) != nullptr;
    });
  });
}

void GroupCoordinator::join_new(const GroupKey& key, Group& group, JoinGroup request,
                                Done<JoinedGroup> done) {
  const auto& instance = request.member.instance_id;
  const std::string& prefix = instance ? *instance : request.member.client_id;
  request.member.id = prefix + "-" + host_.unique_id();
  if (instance) {
    const auto there = group.instances.find(*instance);
    if (there != group.instances.end()) {
      std::string old_id = there->second;
      return replace_static(key, group, std::move(old_id), std::move(request), std::move(done));
    }
  } else if (request.id_required) {
    const Instant until = host_.monotonic_now() + session(request.member);
    group.promised[request.member.id] = until;
    note_due(key, group, until);
    return void(refuse(GroupError::kMemberIdRequired, request.member.id, done));
  }
  add_member(key, group, std::move(request), std::move(done));
}

void GroupCoordinator::join_known(const GroupKey& key, Group& group, JoinGroup request,
                                  Done<JoinedGroup> done) {
  const std::string id = request.member.id;
  if (!request.member.instance_id && group.promised.contains(id)) {
    return add_member(key, group, std::move(request), std::move(done));
  }
  if (const GroupError wrong = verify(&group, id, request.member.instance_id); wrong != GroupError::kNone)
    return void(refuse(wrong, id, done));
  Member& member = group.members.find(id)->second;
  const GroupPhase now = phase(key, &group);
  if (now != GroupPhase::kRebalancing) {
    const GroupState& there = *state(key);
    const bool leads = there.leader == id;
    // What has not changed needs no rebalance: perhaps the answer was lost. A stable group's leader asks for
    // one by joining.
    if (member.as_joined.protocols == request.member.protocols && !(leads && now == GroupPhase::kStable)) {
      heard_of(key, group, member);
      return done(joined(key, id, leads));
    }
  }
  join_again(key, group, member, std::move(request), std::move(done));
}

void GroupCoordinator::add_member(const GroupKey& key, Group& group, JoinGroup request,
                                  Done<JoinedGroup> done) {
  if (group.members.empty()) group.protocol_type = request.protocol_type;
  group.promised.erase(request.member.id);
  const std::string id = request.member.id;
  if (request.member.instance_id) group.instances[*request.member.instance_id] = id;
  Member& member = group.members[id];
  member.as_joined = std::move(request.member);
  member.deadline = host_.monotonic_now() + kFreshMember;
  member.fresh = true;
  member.joined = ++joins_;
  member.join = std::move(done);
  note_due(key, group, member.deadline);
  if (group.joining) group.first_grew = true;
  begin_joining(key, group);
  finish_if_all_joined(key, group);
}

void GroupCoordinator::join_again(const GroupKey& key, Group& group, Member& member, JoinGroup request,
                                  Done<JoinedGroup> done) {
  // One answer at a time: who asks twice has given up the first.
  auto before = std::exchange(member.join, std::move(done));
  member.as_joined = std::move(request.member);
  member.joined = ++joins_;
  const std::string id = member.as_joined.id;
  if (before) before({.error = GroupError::kRebalancing, .member_id = id});
  begin_joining(key, group);
  finish_if_all_joined(key, group);
}

// A static member that comes back has forgotten its id. It takes its own place under a new one, and whoever
// had the old one is fenced (KIP-345).
void GroupCoordinator::replace_static(const GroupKey& key, Group& group, std::string old_id,
                                      JoinGroup request, Done<JoinedGroup> done) {
  STELE_MARK("group: static member came back");
  const GroupState* there = state(key);
  const bool in_state = there && there->members.contains(old_id);
  if (in_state && !host_.can_append()) return void(refuse(GroupError::kUnavailable, {}, done));
  const std::string id = request.member.id;
  auto node = group.members.extract(old_id);
  STELE_ASSERT(!node.empty());
  auto old_join = std::exchange(node.mapped().join, {});
  auto old_sync = std::exchange(node.mapped().sync, {});
  node.key() = id;
  node.mapped().as_joined = std::move(request.member);
  node.mapped().joined = ++joins_;
  Member& member = group.members.insert(std::move(node)).position->second;
  group.instances[*member.as_joined.instance_id] = id;

  const std::string leader_before = there ? there->leader : std::string();
  const GroupPhase now = phase(key, &group);
  const bool keeps = now == GroupPhase::kStable && choose_protocol(group.members) == there->protocol;
  if (in_state) {
    host_.append_for_groups(
        control::group_member_replaced(host_.wall_now(), key, old_id, member.as_joined, !keeps));
  }
  if (keeps) {
    member.fresh = false;
    heard_of(key, group, member);
    JoinedGroup answer = joined(key, id, false);
    const bool leads = answer.leader == id;
    if (request.may_skip_assignment) {
      if (leads) answer = joined(key, id, true);
      answer.skip_assignment = leads;
    } else {
      // It must not believe that it leads: what it would assign could differ from what is in force.
      answer.leader = leader_before;
    }
    done(std::move(answer));
  } else {
    member.join = std::move(done);
    if (member.fresh) member.deadline = host_.monotonic_now() + kFreshMember;
    begin_joining(key, group);
  }
  if (old_join) old_join({.error = GroupError::kFencedInstance, .member_id = old_id});
  if (old_sync) old_sync({.error = GroupError::kFencedInstance});
  if (Group* still = find(key); still && still->joining) finish_if_all_joined(key, *still);
}

// What a member of the current generation is told.
JoinedGroup GroupCoordinator::joined(const GroupKey& key, std::string_view id, bool with_members) const {
  const GroupState& there = *state(key);
  JoinedGroup answer;
  answer.member_id = id;
  answer.generation = there.generation;
  answer.protocol_type = there.protocol_type;
  answer.protocol = there.protocol;
  answer.leader = there.leader;
  if (!with_members) return answer;
  for (const auto& [member_id, member] : there.members) {
    const std::string* metadata = member.metadata_of(there.protocol);
    answer.members.push_back({member_id, member.instance_id, metadata ? *metadata : std::string()});
  }
  return answer;
}

// ---- generations ----------------------------------------------------------------------------------------

Duration GroupCoordinator::rebalance_timeout(const Group& group) {
  std::int64_t longest_ms = 0;
  for (const auto& [id, member] : group.members) {
    longest_ms = std::max<std::int64_t>(longest_ms, member.as_joined.rebalance_timeout_ms);
  }
  return std::chrono::milliseconds(longest_ms);
}

void GroupCoordinator::begin_joining(const GroupKey& key, Group& group) {
  if (group.joining) return;
  const GroupState* there = state(key);
  group.joining = true;
  group.sync_deadline = runtime::kNever;
  group.first = (!there || there->members.empty()) && options_.initial_rebalance_delay > 0s;
  group.first_grew = false;
  const Duration timeout = rebalance_timeout(group);
  const Duration wait = group.first ? options_.initial_rebalance_delay : timeout;
  group.first_left = std::max<Duration>(timeout - wait, 0s);
  group.join_deadline = host_.monotonic_now() + wait;
  note_due(key, group, group.join_deadline);
  answer_sync(key, group, GroupError::kRebalancing);
}

void GroupCoordinator::finish_if_all_joined(const GroupKey& key, Group& group) {
  if (!group.joining || group.first || !group.promised.empty()) return;
  const bool all = std::ranges::all_of(group.members, [](const auto& one) { return bool(one.second.join); });
  if (all) finish_joining(key, group);
}

void GroupCoordinator::on_join_deadline(const GroupKey& key, Group& group) {
  if (group.first && group.first_grew && group.first_left > 0s) {
    // Where some came more may come.
    group.first_grew = false;
    const Duration wait = std::min(options_.initial_rebalance_delay, group.first_left);
    group.first_left -= wait;
    group.join_deadline = host_.monotonic_now() + wait;
    note_due(key, group, group.join_deadline);
    return;
  }
  group.first = false;
  finish_joining(key, group);
}

// With those who have joined, and the static members, who keep their place until their session ends.
void GroupCoordinator::finish_joining(const GroupKey& key, Group& group) {
  const auto again_at = [&](Instant at) {
    group.join_deadline = at;
    note_due(key, group, at);
  };
  if (!host_.can_append()) return again_at(host_.monotonic_now() + kTryAgain);
  std::vector<std::string> late;
  bool anybody = false;
  for (const auto& [id, member] : group.members) {
    anybody |= bool(member.join);
    if (!member.join && !member.as_joined.instance_id) late.push_back(id);
  }
  if (!late.empty()) {
    STELE_MARK("group: member did not join the next generation in time");
    stats_.members_expired += late.size();
    // Those of the state go with the next generation; if there is none, by an entry.
    if (!anybody) remove_members(key, group, late);
    for (const std::string& id : late) group.members.erase(id);
  }
  if (group.members.empty()) {
    group.joining = false;
    group.join_deadline = runtime::kNever;
    return;
  }
  // Static members alone that are away: their sessions end, or somebody joins.
  if (!anybody)
    return again_at(host_.monotonic_now() + std::max<Duration>(rebalance_timeout(group), kTryAgain));
  begin_generation(key, group);
}

// The protocol that most of them like best, of those that all have.
std::string GroupCoordinator::choose_protocol(const Members& members) {
  std::map<std::string_view, std::size_t> votes;
  for (const auto& [id, member] : members) {
    for (const GroupProtocol& protocol : member.as_joined.protocols) {
      const bool all_have = std::ranges::all_of(members, [&](const auto& one) {
        return one.second.as_joined.metadata_of(protocol.name) != nullptr;
      });
      if (!all_have) continue;
      ++votes[protocol.name];
      break;
    }
  }
  const auto best = std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; });
  return best == votes.end() ? std::string() : std::string(best->first);
}

void GroupCoordinator::begin_generation(const GroupKey& key, Group& group) {
  const GroupState* before = state(key);
  GroupGeneration next;
  next.generation = (before ? before->generation : 0) + 1;
  next.protocol_type = group.protocol_type;
  next.protocol = choose_protocol(group.members);
  // The leader stays if it can.
  const auto leader = before ? group.members.find(before->leader) : group.members.end();
  std::uint64_t first = UINT64_MAX;
  for (const auto& [id, member] : group.members) {
    next.members.push_back(member.as_joined);
    if (!member.join || member.joined >= first) continue;
    first = member.joined;
    next.leader = id;
  }
  if (leader != group.members.end() && leader->second.join) next.leader = leader->first;
  host_.append_for_groups(control::group_generation(host_.wall_now(), key, next));
  ++stats_.generations;
  group.joining = false;
  group.join_deadline = runtime::kNever;
  group.sync_deadline = host_.monotonic_now() + rebalance_timeout(group);
  note_due(key, group, group.sync_deadline);
  std::vector<std::pair<Done<JoinedGroup>, JoinedGroup>> answers;
  for (auto& [id, member] : group.members) {
    member.fresh = false;
    member.synced = false;
    if (!member.join) continue;
    heard_of(key, group, member);
    answers.emplace_back(std::exchange(member.join, {}), joined(key, id, id == next.leader));
  }
  for (auto& [done, answer] : answers) done(std::move(answer));
}

void GroupCoordinator::sync(TenantId tenant, SyncGroup request, Done<SyncedGroup> done) {
  const auto refused = [&](GroupError error) { done({.error = error}); };
  if (request.group.empty()) return refused(GroupError::kInvalidGroup);
  const GroupKey key(tenant, request.group);
  Group* group = find(key);
  if (const GroupError wrong = verify(group, request.member_id, request.instance_id);
      wrong != GroupError::kNone)
    return refused(wrong);
  const GroupState* there = state(key);
  if (!there || there->generation != request.generation) return refused(GroupError::kIllegalGeneration);
  if ((request.protocol_type && *request.protocol_type != there->protocol_type) ||
      (request.protocol && *request.protocol != there->protocol))
    return refused(GroupError::kInconsistentProtocol);
  Member& member = group->members.find(request.member_id)->second;
  switch (phase(key, group)) {
    case GroupPhase::kEmpty:
      return refused(GroupError::kUnknownMember);
    case GroupPhase::kRebalancing:
      return refused(GroupError::kRebalancing);
    case GroupPhase::kStable:
      break;
    case GroupPhase::kAssigning:
      if (there->leader == request.member_id && !host_.can_append()) return refused(GroupError::kUnavailable);
      break;
  }
  heard_of(key, *group, member);
  member.synced = true;
  if (auto before = std::exchange(member.sync, std::move(done))) before({.error = GroupError::kRebalancing});
  if (there->phase == GroupPhase::kAssigning) {
    if (there->leader != request.member_id) return;
    host_.append_for_groups(
        control::group_assigned(host_.wall_now(), key, request.generation, request.assignments));
  }
  answer_sync(key, *group, GroupError::kNone);
}

// To everybody who waits for the assignment.
void GroupCoordinator::answer_sync(const GroupKey& key, Group& group, GroupError error) {
  const GroupState* there = state(key);
  std::vector<std::pair<Done<SyncedGroup>, SyncedGroup>> answers;
  for (auto& [id, member] : group.members) {
    if (!member.sync) continue;
    SyncedGroup answer{.error = error};
    if (error == GroupError::kNone) {
      answer.protocol_type = there->protocol_type;
      answer.protocol = there->protocol;
      answer.assignment = there->members.find(id)->second.assignment;
      heard_of(key, group, member);
    }
    answers.emplace_back(std::exchange(member.sync, {}), std::move(answer));
  }
  for (auto& [done, answer] : answers) done(std::move(answer));
}

}  // namespace stele::broker
