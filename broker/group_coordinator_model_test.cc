// Random histories of one group: members that join, sync, beat, leave, commit, fall silent, come back as
// somebody else and say what was true once; owners that end, disks that are full. Whatever comes: one
// generation at a time, only its members may commit, assignments are its leader's, and nobody waits for ever.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/group_coordinator.h"
#include "broker/shard_testing.h"
#include "runtime/random.h"

namespace stele::broker {
namespace {

using namespace std::chrono_literals;
using runtime::Duration;
using runtime::Instant;
using runtime::Random;

const GroupKey kKey(kDefaultTenant, "g");
constexpr std::int32_t kMaxRebalanceMs = 30'000;
// A round of joining takes no longer than that, nor does waiting for the leader.
constexpr Duration kLongestWait = std::chrono::milliseconds(kMaxRebalanceMs) + 10s;

// A client that wants to be a member, and what it knows.
struct Actor {
  std::optional<std::string> instance;
  std::string id;                // as it was told
  std::int32_t generation = -1;  // likewise; -1: it is to join
  bool leads = false;
  std::vector<std::string> led;  // members that it assigns to
  bool to_sync = false;
  bool assigned = false;  // in its generation
  std::shared_ptr<std::optional<JoinedGroup>> joining;
  std::shared_ptr<std::optional<SyncedGroup>> syncing;
  Instant waits_since{};
  std::vector<std::pair<std::string, std::int32_t>> memories;

  bool waits() const { return joining || syncing; }
  void forget() {
    if (generation >= 0) memories.emplace_back(id, generation);
    generation = -1;
    leads = to_sync = assigned = false;
  }
};

// What was told about one generation.
struct Told {
  std::string leader, protocol;
  std::set<std::string> members;                // ids
  std::vector<std::set<std::string>> assigned;  // each by its leader: who is named in it
  std::optional<std::size_t> in_force;          // one of those
};

class History final : public GroupCoordinator::Host {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {
    options_.initial_rebalance_delay = random_.chance(1, 2) ? Duration(0s) : Duration(3s);
    for (std::size_t i = 0; i < 5; ++i) {
      Actor& actor = actors_.emplace_back();
      if (i >= 3) actor.instance = "static-" + std::to_string(i);
    }
    take_over();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      hear();
      check();
    }
    settle();
  }

 private:
  // ---- the host
  const GroupTable& groups() const override { return log_.state.groups(); }
  Instant monotonic_now() override { return time_; }
  WallTime wall_now() override {
    return WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(time_.time_since_epoch()).count()};
  }
  bool can_append() override { return writable_; }
  void append_for_groups(storage::LogEntry entry) override { log_.add(std::move(entry)); }
  std::string unique_id() override { return std::to_string(++ids_); }
  bool stream_exists(const StreamId&) override { return true; }

  const GroupState* state() const { return log_.state.groups().find(kKey); }

  void take_over() {
    // The one before says so, or is just gone.
    if (coordinator_ && random_.chance(1, 2)) {
      coordinator_->stop();
      hear();
    }
    for (Actor& actor : actors_) {
      actor.joining.reset();
      actor.syncing.reset();
    }
    coordinator_ = std::make_unique<GroupCoordinator>(*this, options_, stats_);
    coordinator_->start();
  }

  void pass(Duration duration) {
    const Instant until = time_ + duration;
    while (coordinator_->next_due() <= until) {
      time_ = std::max(time_, coordinator_->next_due());
      coordinator_->run_due();
      hear();
    }
    time_ = until;
  }

  // ---- what members do
  void step() {
    Actor& actor = actors_[random_.below(actors_.size())];
    switch (random_.below(16)) {
      case 0:
      case 1:
      case 2:
        return join(actor);
      case 3:
      case 4:
      case 5:
        return sync(actor);
      case 6:
      case 7:
        return beat(actor);
      case 8:
        return commit(actor);
      case 9:
        return speak_of_the_past(actor);
      case 10:
        return leave(actor);
      case 11:  // its process ends; a static member comes back under its name, others never
        actor.forget();
        actor.id.clear();
        actor.joining.reset();
        actor.syncing.reset();
        return;
      case 12:
        if (random_.chance(1, 3)) take_over();
        return;
      case 13:
        writable_ = !writable_ || random_.chance(1, 2);
        if (writable_) writable_since_ = time_;
        return;
      default:
        return pass(std::chrono::milliseconds(random_.below(random_.chance(1, 4) ? 20'000 : 1000)));
    }
  }

  void join(Actor& actor) {
    JoinGroup request;
    request.group = kKey.second;
    request.member.id = actor.id;
    request.member.instance_id = actor.instance;
    request.member.client_id = "c";
    request.member.session_timeout_ms = static_cast<std::int32_t>(random_.between(6000, 15'000));
    request.member.rebalance_timeout_ms = static_cast<std::int32_t>(random_.between(1000, kMaxRebalanceMs));
    request.member.protocols = {{"range", std::string(random_.below(2), 'm')}, {"sticky", ""}};
    if (random_.chance(1, 4)) std::swap(request.member.protocols[0], request.member.protocols[1]);
    request.protocol_type = "consumer";
    request.id_required = random_.chance(1, 2);
    request.may_skip_assignment = random_.chance(1, 2);
    actor.forget();
    actor.syncing.reset();
    if (!actor.waits()) actor.waits_since = time_;
    auto answer = std::make_shared<std::optional<JoinedGroup>>();
    actor.joining = answer;
    coordinator_->join(kDefaultTenant, request, [answer](JoinedGroup got) {
      RC_ASSERT(!*answer);
      *answer = std::move(got);
    });
  }

  void sync(Actor& actor) {
    if (actor.generation < 0 || actor.joining) return;
    SyncGroup request;
    request.group = kKey.second;
    request.generation = actor.generation;
    request.member_id = actor.id;
    request.instance_id = actor.instance;
    Told& told = told_[actor.generation];
    if (actor.leads && !actor.led.empty()) {
      std::set<std::string> named;
      for (const std::string& member : actor.led) {
        if (random_.chance(1, 10)) continue;
        named.insert(who(member));
        request.assignments.emplace_back(member, std::to_string(actor.generation) + "/" +
                                                     std::to_string(told.assigned.size()) + "/" +
                                                     who(member));
      }
      told.assigned.push_back(std::move(named));
    } else if (!actor.leads && random_.chance(1, 4)) {
      request.assignments.emplace_back(actor.id, "not its business");
    }
    if (!actor.waits()) actor.waits_since = time_;
    auto answer = std::make_shared<std::optional<SyncedGroup>>();
    actor.syncing = answer;
    coordinator_->sync(kDefaultTenant, request, [answer](SyncedGroup got) {
      RC_ASSERT(!*answer);
      *answer = std::move(got);
    });
  }

  void beat(Actor& actor) {
    if (actor.generation < 0 || actor.waits()) return;
    const GroupError error =
        coordinator_->heartbeat(kDefaultTenant, {kKey.second, actor.generation, actor.id, actor.instance});
    if (error == GroupError::kNone || error == GroupError::kRebalancing) {
      check_member(actor.id, actor.generation);
    }
    if (error != GroupError::kNone) refused(actor, error);
  }

  GroupError commit_as(const std::string& id, const std::optional<std::string>& instance,
                       std::int32_t generation) {
    CommitOffsets request;
    request.group = kKey.second;
    request.generation = generation;
    request.member_id = id;
    request.instance_id = instance;
    CommittedOffset offset;
    offset.offset = Offset(++offsets_);
    request.offsets.emplace_back(StreamId{TopicId(1), PartitionId(0)}, offset);
    const bool had_members = state() && !state()->members.empty();
    const OffsetsAnswer answer = coordinator_->commit_offsets(kDefaultTenant, std::move(request));
    const bool taken = answer.error == GroupError::kNone;
    if (taken) RC_ASSERT(state()->offsets.begin()->second.offset == Offset(offsets_));
    if (taken && generation >= 0) check_member(id, generation);
    if (taken && generation < 0) RC_ASSERT(!had_members);
    return answer.error;
  }

  void commit(Actor& actor) {
    if (random_.chance(1, 5)) {
      commit_as({}, {}, -1);
    } else if (actor.generation >= 0) {
      const GroupError error = commit_as(actor.id, actor.instance, actor.generation);
      if (error != GroupError::kNone && error != GroupError::kRebalancing) refused(actor, error);
    }
  }

  // A process that was thought to be gone.
  void speak_of_the_past(Actor& actor) {
    if (actor.memories.empty()) return;
    const auto [id, generation] = actor.memories[random_.below(actor.memories.size())];
    const GroupError error = commit_as(id, actor.instance, generation);
    if (generation < newest_) RC_ASSERT(error != GroupError::kNone);
    const GroupError beat =
        coordinator_->heartbeat(kDefaultTenant, {kKey.second, generation, id, actor.instance});
    if (generation < newest_) RC_ASSERT(beat != GroupError::kNone && beat != GroupError::kRebalancing);
  }

  void leave(Actor& actor) {
    if (actor.id.empty()) return;
    // An administrator knows a static member's name only.
    const std::string id = actor.instance && random_.chance(1, 2) ? std::string() : actor.id;
    const LeftGroup left = coordinator_->leave(kDefaultTenant, {kKey.second, {{id, actor.instance}}});
    if (left.error != GroupError::kNone || left.members.at(0) != GroupError::kNone) return;
    gone_.insert(actor.id);
    actor.forget();
    actor.id.clear();
    hear();
    actor.joining.reset();
    actor.syncing.reset();
  }

  // ---- what they hear
  void hear() {
    for (Actor& actor : actors_) {
      if (actor.joining && *actor.joining) {
        const JoinedGroup answer = **std::exchange(actor.joining, nullptr);
        heard(actor, answer);
      }
      if (actor.syncing && *actor.syncing) {
        const SyncedGroup answer = **std::exchange(actor.syncing, nullptr);
        heard(actor, answer);
      }
    }
  }

  void refused(Actor& actor, GroupError error) {
    RC_ASSERT(error == GroupError::kUnknownMember || error == GroupError::kFencedInstance ||
              error == GroupError::kIllegalGeneration || error == GroupError::kRebalancing ||
              error == GroupError::kUnavailable);
    if (error == GroupError::kUnavailable) return;
    actor.forget();
    if (error == GroupError::kUnknownMember || error == GroupError::kFencedInstance) actor.id.clear();
  }

  void heard(Actor& actor, const JoinedGroup& answer) {
    if (answer.error == GroupError::kMemberIdRequired) {
      RC_ASSERT(actor.id.empty() && !actor.instance);
      actor.id = answer.member_id;
      return;
    }
    if (answer.error != GroupError::kNone) return refused(actor, answer.error);
    // A static member under a new id: whoever had the old one is nobody any more.
    if (actor.instance) {
      std::string& current = current_[*actor.instance];
      if (current != answer.member_id && !current.empty()) gone_.insert(current);
      current = answer.member_id;
    }
    RC_ASSERT(actor.id.empty() || actor.id == answer.member_id);
    RC_ASSERT(!gone_.contains(answer.member_id));
    actor.id = answer.member_id;
    actor.generation = answer.generation;
    actor.to_sync = true;
    // One generation at a time, with one leader and one protocol.
    RC_ASSERT(answer.generation >= newest_);
    RC_ASSERT(state() && answer.generation <= state()->generation);
    newest_ = answer.generation;
    Told& told = told_[answer.generation];
    if (told.members.empty()) {
      told.leader = who(answer.leader);
      told.protocol = answer.protocol;
    }
    RC_ASSERT(told.leader == who(answer.leader));
    RC_ASSERT(told.protocol == answer.protocol);
    told.members.insert(answer.member_id);
    actor.leads = answer.leader == answer.member_id && !answer.skip_assignment;
    actor.led.clear();
    for (const JoinedGroup::Member& member : answer.members) actor.led.push_back(member.id);
    if (!answer.members.empty()) {
      RC_ASSERT(answer.leader == answer.member_id);
      RC_ASSERT(std::ranges::find(actor.led, actor.id) != actor.led.end());
    }
  }

  void heard(Actor& actor, const SyncedGroup& answer) {
    if (answer.error != GroupError::kNone) return refused(actor, answer.error);
    check_member(actor.id, actor.generation);
    actor.to_sync = false;
    actor.assigned = true;
    // Only what the leader of this generation said, and one thing only.
    Told& told = told_[actor.generation];
    RC_ASSERT(answer.protocol == told.protocol);
    RC_ASSERT(!told.assigned.empty());
    if (answer.assignment.empty()) {
      RC_ASSERT(std::ranges::any_of(told.assigned,
                                    [&](const auto& named) { return !named.contains(who(actor.id)); }));
      return;
    }
    const std::size_t first = answer.assignment.find('/'), second = answer.assignment.find('/', first + 1);
    RC_ASSERT(second != std::string::npos);
    RC_ASSERT(std::stoi(answer.assignment.substr(0, first)) == actor.generation);
    const std::size_t number = std::stoul(answer.assignment.substr(first + 1, second - first - 1));
    RC_ASSERT(number < told.assigned.size());
    RC_ASSERT(answer.assignment.substr(second + 1) == who(actor.id));
    if (!told.in_force) told.in_force = number;
    RC_ASSERT(*told.in_force == number);
  }

  // ---- what must hold
  // Static members keep their name under another id, which begins with it.
  static std::string who(const std::string& id) {
    return id.starts_with("static-") ? id.substr(0, id.find('-', 7)) : id;
  }

  void check_member(const std::string& id, std::int32_t generation) {
    RC_ASSERT(generation >= newest_);
    RC_ASSERT(told_[generation].members.contains(id));
    RC_ASSERT(!gone_.contains(id));
  }

  void check() {
    if (state()) {
      RC_ASSERT(state()->generation >= newest_);
      std::set<std::string> instances;
      for (const auto& [id, member] : state()->members) {
        RC_ASSERT(!gone_.contains(id));
        if (member.instance_id) RC_ASSERT(instances.insert(*member.instance_id).second);
      }
    }
    const GroupDescription description = coordinator_->describe(kDefaultTenant, kKey.second);
    if (description.phase == GroupPhase::kStable || description.phase == GroupPhase::kAssigning) {
      RC_ASSERT(description.members.size() == state()->members.size());
    }
    for (const Actor& actor : actors_) {
      if (!actor.waits()) continue;
      RC_ASSERT(coordinator_->next_due() < runtime::kNever);
      if (writable_) RC_ASSERT(time_ - std::max(actor.waits_since, writable_since_) <= kLongestWait);
    }
  }

  // When everybody does as they should, all of them are members of one stable generation after a while.
  void settle() {
    writable_ = true;
    writable_since_ = time_;
    const Instant until = time_ + 10min;
    while (time_ < until) {
      for (Actor& actor : actors_) {
        if (actor.waits()) continue;
        if (actor.generation < 0) {
          join(actor);
        } else if (actor.to_sync) {
          sync(actor);
        } else {
          beat(actor);
        }
        hear();
      }
      pass(1s);
      check();
    }
    RC_ASSERT(state() != nullptr);
    RC_ASSERT(state()->phase == GroupPhase::kStable);
    RC_ASSERT(state()->members.size() == actors_.size());
    for (const Actor& actor : actors_) {
      RC_ASSERT(!actor.waits());
      RC_ASSERT(actor.generation == state()->generation);
      RC_ASSERT(actor.assigned);
      RC_ASSERT(state()->members.contains(actor.id));
    }
  }

  Random random_;
  testing::LogAndState log_;
  Instant time_{1000s};
  bool writable_ = true;
  Instant writable_since_{};
  GroupOptions options_;
  GroupStats stats_;
  std::unique_ptr<GroupCoordinator> coordinator_;
  std::uint64_t ids_ = 0;
  std::int64_t offsets_ = 0;

  std::vector<Actor> actors_;
  std::int32_t newest_ = 0;  // generation that somebody was told of
  std::map<std::int32_t, Told> told_;
  std::set<std::string> gone_;                  // ids that left or were replaced
  std::map<std::string, std::string> current_;  // instance id: its member id
};

TEST(GroupCoordinatorModel, RandomHistories) {
  EXPECT_TRUE(rc::check("the rules hold", [](std::uint64_t seed) { History(seed).run(120); }));
}

}  // namespace
}  // namespace stele::broker
