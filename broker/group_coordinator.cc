#include "broker/group_coordinator.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/control.h"

namespace stele::broker {

using namespace std::chrono_literals;
using runtime::Duration;
using runtime::Instant;

namespace {

// A member that waits for its first generation, and is not heard of meanwhile, is kept so long.
constexpr Duration kFreshMember = 5min;
// What cannot be logged now is tried again.
constexpr Duration kTryAgain = 1s;
constexpr std::string_view kConsumer = "consumer";

std::chrono::milliseconds session(const GroupMember& member) {
  return std::chrono::milliseconds(member.session_timeout_ms);
}

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

}  // namespace

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

// ---- staying and leaving --------------------------------------------------------------------------------

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

// ---- offsets --------------------------------------------------------------------------------------------

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
    GroupError error = GroupError::kNone;
    if (offset.metadata.size() > options_.offset_metadata_bytes) {
      error = GroupError::kMetadataTooLarge;
    } else if (!host_.stream_exists(stream)) {
      error = GroupError::kUnknownPartition;
    } else if (!room || offsets >= options_.offsets || bytes + offset.metadata.size() > options_.bytes) {
      STELE_MARK("group: offset refused at the limit");
      ++stats_.refused_at_limit;
      error = GroupError::kTooManyOffsets;
    }
    answer.partitions.push_back(error);
    if (error != GroupError::kNone) continue;
    bytes += offset.metadata.size();
    if (!there || !there->offsets.contains(stream)) ++offsets;
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
