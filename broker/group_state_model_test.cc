// Random logs of group entries against a model written the slow way: the state, what is derived of it, and
// for every log that any snapshot with the rest leads to the same state.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/shard_testing.h"
#include "runtime/random.h"

namespace stele::broker {
namespace {

using runtime::Random;
using testing::LogAndState;

struct ModelGroup {
  GroupPhase phase = GroupPhase::kEmpty;
  int generation = 0;
  std::string type, protocol, leader;
  std::vector<GroupMember> members;
  std::vector<std::pair<StreamId, CommittedOffset>> offsets;
  std::int64_t empty_since_ms = 0;

  GroupMember* member(const std::string& id) {
    for (GroupMember& one : members) {
      if (one.id == id) return &one;
    }
    return nullptr;
  }
};
using Model = std::map<GroupKey, ModelGroup>;

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      log_.time.ms += static_cast<std::int64_t>(random_.below(50));
      step();
      compare();
      if (random_.chance(1, 8)) snapshots_.emplace_back(log_.log.size(), log_.state.encode_snapshot());
    }
    check_snapshots();
  }

 private:
  std::string id() { return "m" + std::to_string(random_.below(5)); }
  StreamId stream() {
    return {TopicId(1 + random_.below(3)), PartitionId(static_cast<std::int32_t>(random_.below(2)))};
  }
  GroupMember member(std::string id) {
    GroupMember made;
    made.id = std::move(id);
    if (random_.chance(1, 3)) made.instance_id = "i" + made.id;
    made.client_id = "client";
    made.client_host = "/::1";
    made.session_timeout_ms = static_cast<std::int32_t>(random_.below(100));
    made.rebalance_timeout_ms = static_cast<std::int32_t>(random_.below(100));
    made.protocols.push_back({"p", std::string(random_.below(20), 'x')});
    return made;
  }

  void step() {
    const GroupKey key(TenantId(static_cast<std::uint32_t>(random_.below(2))),
                       random_.chance(1, 2) ? "g" : "h");
    switch (random_.below(10)) {
      case 0:
      case 1:
        return begin(key);
      case 2:
      case 3:
        return assign(key);
      case 4:
        return remove_members(key);
      case 5:
        return replace(key);
      case 6:
      case 7:
        return commit(key);
      case 8:
        return remove_offsets(key);
      default:
        if (random_.chance(1, 2)) return remove_topic();
        log_.add(control::group_removed(log_.time, key));
        model_.erase(key);
    }
  }

  void begin(const GroupKey& key) {
    const auto there = model_.find(key);
    GroupGeneration next;
    next.generation = (there == model_.end() ? 0 : there->second.generation) + 1 +
                      static_cast<std::int32_t>(random_.below(2));
    next.protocol_type = "consumer";
    next.protocol = "p";
    std::set<std::string> ids{id()};
    while (random_.chance(2, 3)) ids.insert(id());
    for (const std::string& one : ids) next.members.push_back(member(one));
    next.leader = next.members[random_.below(next.members.size())].id;
    log_.add(control::group_generation(log_.time, key, next));
    ModelGroup& group = model_[key];
    group.phase = GroupPhase::kAssigning;
    group.generation = next.generation;
    group.type = next.protocol_type;
    group.protocol = next.protocol;
    group.leader = next.leader;
    group.members = next.members;
    group.empty_since_ms = 0;
  }

  void assign(const GroupKey& key) {
    const auto there = model_.find(key);
    const int generation =
        (there == model_.end() ? 1 : there->second.generation) - (random_.chance(1, 5) ? 1 : 0);
    std::vector<std::pair<std::string, std::string>> assignments;
    for (int i = 0; i < 4; ++i)
      assignments.emplace_back("m" + std::to_string(i), std::string(random_.below(9), 'a'));
    log_.add(control::group_assigned(log_.time, key, generation, assignments));
    if (there == model_.end()) return;
    ModelGroup& group = there->second;
    if (group.phase != GroupPhase::kAssigning || group.generation != generation) return;
    group.phase = GroupPhase::kStable;
    for (const auto& [id, assignment] : assignments) {
      if (GroupMember* one = group.member(id)) one->assignment = assignment;
    }
  }

  void remove_members(const GroupKey& key) {
    std::vector<std::string> ids{id()};
    while (random_.chance(1, 2)) ids.push_back(id());
    log_.add(control::group_members_removed(log_.time, key, ids));
    const auto there = model_.find(key);
    if (there == model_.end() || there->second.members.empty()) return;
    ModelGroup& group = there->second;
    for (const std::string& one : ids) {
      std::erase_if(group.members, [&](const GroupMember& member) { return member.id == one; });
      if (group.leader == one) group.leader = "";
    }
    group.phase = GroupPhase::kRebalancing;
    if (!group.members.empty()) return;
    group.phase = GroupPhase::kEmpty;
    ++group.generation;
    group.protocol = group.leader = "";
    group.empty_since_ms = log_.time.ms;
  }

  void replace(const GroupKey& key) {
    const std::string old = id();
    const GroupMember made = member(id());
    const bool rebalance = random_.chance(1, 2);
    log_.add(control::group_member_replaced(log_.time, key, old, made, rebalance));
    const auto there = model_.find(key);
    if (there == model_.end()) return;
    ModelGroup& group = there->second;
    GroupMember* before = group.member(old);
    if (!before || group.member(made.id)) return;
    const std::string assignment = before->assignment;
    *before = made;
    before->assignment = assignment;
    if (group.leader == old) group.leader = made.id;
    if (rebalance) group.phase = GroupPhase::kRebalancing;
  }

  void commit(const GroupKey& key) {
    std::vector<std::pair<StreamId, CommittedOffset>> offsets;
    do {
      CommittedOffset one;
      one.offset = Offset(static_cast<std::int64_t>(random_.below(100)));
      one.leader_epoch = static_cast<std::int32_t>(random_.below(5)) - 1;
      one.metadata = std::string(random_.below(30), 'd');
      one.committed_at_ms = log_.time.ms;
      if (random_.chance(1, 4)) one.expires_at_ms = log_.time.ms + 10;
      offsets.emplace_back(stream(), one);
    } while (random_.chance(1, 2));
    log_.add(control::offsets_committed(log_.time, key, offsets));
    const auto [there, made] = model_.try_emplace(key);
    ModelGroup& group = there->second;
    if (made) group.empty_since_ms = log_.time.ms;
    for (const auto& [stream, offset] : offsets) {
      std::erase_if(group.offsets, [&](const auto& one) { return one.first == stream; });
      group.offsets.emplace_back(stream, offset);
    }
  }

  void remove_offsets(const GroupKey& key) {
    const std::vector<StreamId> streams{stream(), stream()};
    log_.add(control::offsets_removed(log_.time, key, streams));
    const auto there = model_.find(key);
    if (there == model_.end()) return;
    std::erase_if(there->second.offsets,
                  [&](const auto& one) { return std::ranges::count(streams, one.first) > 0; });
  }

  void remove_topic() {
    const TopicId topic = stream().topic;
    log_.add(control::offsets_of_topic_removed(log_.time, topic));
    for (auto& [key, group] : model_) {
      std::erase_if(group.offsets, [&](const auto& one) { return one.first.topic == topic; });
    }
  }

  void compare() {
    const GroupTable& table = log_.state.groups();
    RC_ASSERT(table.all().size() == model_.size());
    std::uint64_t members = 0, offsets = 0, bytes = 0;
    std::set<TopicId> topics;
    for (const auto& [key, expected] : model_) {
      const GroupState* group = table.find(key);
      RC_ASSERT(group != nullptr);
      RC_ASSERT(group->phase == expected.phase);
      RC_ASSERT(group->generation == expected.generation);
      RC_ASSERT(group->protocol_type == expected.type);
      RC_ASSERT(group->protocol == expected.protocol);
      RC_ASSERT(group->leader == expected.leader);
      RC_ASSERT(group->empty_since_ms == expected.empty_since_ms);
      RC_ASSERT(group->members.size() == expected.members.size());
      for (const GroupMember& one : expected.members) RC_ASSERT(group->members.at(one.id) == one);
      RC_ASSERT(group->offsets.size() == expected.offsets.size());
      for (const auto& [stream, offset] : expected.offsets) {
        RC_ASSERT(group->offsets.at(stream) == offset);
        topics.insert(stream.topic);
      }
      members += expected.members.size();
      offsets += expected.offsets.size();
      bytes += group->bytes();
    }
    RC_ASSERT(table.members() == members);
    RC_ASSERT(table.offsets() == offsets);
    RC_ASSERT(table.bytes() == bytes);
    RC_ASSERT(table.topics() == std::vector<TopicId>(topics.begin(), topics.end()));
  }

  void check_snapshots() {
    for (const auto& [from, bytes] : snapshots_) {
      auto state = ShardState::decode_snapshot(bytes);
      RC_ASSERT(state.has_value());
      ApplyResult result;
      for (std::size_t i = from; i < log_.log.size(); ++i) {
        auto view = parse_entry(log_.log[i]);
        RC_ASSERT(state->apply(state->next(), *view, result).has_value());
      }
      RC_ASSERT(state->hash() == log_.state.hash());
      RC_ASSERT(state->groups().bytes() == log_.state.groups().bytes());
      RC_ASSERT(state->groups().topics() == log_.state.groups().topics());
    }
  }

  Random random_;
  LogAndState log_;
  Model model_;
  std::vector<std::pair<std::size_t, std::string>> snapshots_;
};

TEST(GroupStateModel, RandomLogs) {
  EXPECT_TRUE(rc::check("the state is the model's", [](std::uint64_t seed) { History(seed).run(60); }));
}

TEST(GroupState, WhatCannotBeInALogIsDamage) {
  const auto refused = [](const GroupGeneration& generation) {
    ShardState state;
    ApplyResult result;
    const auto entry = control::group_generation(WallTime{1}, {TenantId(0), "g"}, generation);
    auto view = parse_entry(entry);
    const auto applied = state.apply(Lsn(0), *view, result);
    return !applied && applied.error().code == ErrorCode::kCorrupt;
  };
  GroupMember member;
  member.id = "m";
  GroupGeneration fine{1, "consumer", "p", "m", {member}};
  EXPECT_FALSE(refused(fine));
  GroupGeneration wrong = fine;
  wrong.leader = "n";
  EXPECT_TRUE(refused(wrong));
  wrong = fine;
  wrong.generation = 0;
  EXPECT_TRUE(refused(wrong));
  wrong = fine;
  wrong.members.clear();
  EXPECT_TRUE(refused(wrong));
}

}  // namespace
}  // namespace stele::broker
