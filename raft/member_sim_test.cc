// Groups of members on simulated hosts: what they promise while power fails in the middle of anything, disks
// fail or are full, and the network loses things.
#include "raft/member.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/message_codec.h"
#include "raft/testing/member_node.h"
#include "sim/network.h"
#include "sim/world.h"

namespace stele::raft {
namespace {

using runtime::Task;
using testing::GroupLedger;
using testing::MemberNode;
using testing::MemberNodeOptions;
using namespace std::chrono_literals;

constexpr std::uint64_t kRegisters = 3;

MemberMessage decode(const std::vector<Bytes>& message) {
  std::string all;
  for (const Bytes& slice : message) all += slice.view();
  return decode_message(Bytes::copy(all)).value();
}

class GroupWorld {
 public:
  explicit GroupWorld(std::uint64_t seed, std::uint32_t members) : world(seed, sim::WorldConfig::draw(seed)) {
    defaults.member.tick = 20ms;
    defaults.member.core.heartbeat_ticks = 2;
    defaults.member.core.election_ticks = 10;
    defaults.member.core.cache_bytes = 4000;
    defaults.member.core.compaction_tail = 20;
    defaults.member.core.append_bytes_max = 2000;
    defaults.member.log.file_bytes = 64 << 10;
    defaults.member.snapshot_every = 30;
    defaults.member.snapshot_part_bytes = 500;
    defaults.member.snapshot_window = 3;
    for (std::uint32_t id = 1; id <= members; ++id) add(NodeId(id));
    for (std::uint32_t id = 1; id <= members; ++id) defaults.member.founders.voters.insert(NodeId(id));
  }

  void add(NodeId id) {
    const std::string name = "m" + std::to_string(id.value);
    hosts[id] = &world.add_host(name);
    defaults.group[id] = {name, 4400};
    hosts[id]->set_on_down([this, id] { world.after(50ms, [this, id] { up_again(id); }); });
  }
  void up_again(NodeId id) {
    if (keep_up && hosts[id]->down()) hosts[id]->restart();
  }

  void boot(NodeId id) {
    hosts[id]->boot(1, [this, id](sim::ProcessContext& process) {
      MemberNodeOptions options = defaults;
      options.member.core.self = id;
      auto node = std::make_unique<MemberNode>(
          process, std::move(options), ledger, [this](MemberNode& self) { return load(self); },
          [this](const Error& why) { ends.push_back(why); });
      return node;
    });
  }
  void boot() {
    for (const auto& [id, host] : hosts) boot(id);
  }

  // Writes wherever it leads, until enough is acknowledged.
  Task<void> load(MemberNode& node) {
    while (!node.stopping()) {
      co_await runtime::sleep(node.runtime(), pause, node.scope().token());
      if (quiet || node.stopping() || node.member()->status().role != Role::kLeader) continue;
      for (int i = 0; i < 3; ++i) node.scope().spawn(write(node));
    }
  }
  Task<void> write(MemberNode& node) {
    const std::uint64_t number = node.runtime().random().below(kRegisters);
    auto at = co_await node.write(number, ++values);
    if (at) co_return;
    refused[at.error().code]++;
  }

  MemberNode* node(NodeId id) { return dynamic_cast<MemberNode*>(hosts.at(id)->program()); }
  Member* member(NodeId id) {
    MemberNode* at = hosts.at(id)->running() ? node(id) : nullptr;
    return at ? at->member() : nullptr;
  }
  std::optional<NodeId> leader() {
    std::optional<NodeId> found;
    Term highest;
    for (const auto& [id, host] : hosts) {
      if (!member(id)) continue;
      const MemberStatus status = member(id)->status();
      if (status.role != Role::kLeader || status.term < highest || status.failed) continue;
      highest = status.term;
      found = id;
    }
    return found;
  }
  bool run_until(const std::function<bool()>& done, sim::Duration limit = 2min) {
    const sim::RunResult result = world.run_until([&] { return !wrong.empty() || done(); }, limit);
    return wrong.empty() && result.reason == sim::StopReason::kDone;
  }
  bool acknowledge(std::uint64_t more) {
    const std::uint64_t goal = ledger.acknowledgements() + more;
    return run_until([&] { return ledger.acknowledgements() >= goal; });
  }
  // Everybody who runs has applied everything that was answered.
  bool settle() {
    quiet = true;
    const bool all = run_until([&] {
      for (const auto& [id, host] : hosts) {
        if (!host->running()) continue;
        if (!member(id) || member(id)->applied() < ledger.acknowledged_to()) return false;
      }
      return true;
    });
    quiet = false;
    return all;
  }
  std::string told() const {
    std::string out;
    for (const std::string& what : wrong) out += what + "; ";
    for (const Error& why : ends) out += "ended: " + why.to_string() + "; ";
    return out;
  }

  sim::World world;
  std::map<NodeId, sim::Host*> hosts;
  MemberNodeOptions defaults;
  std::vector<std::string> wrong;
  std::vector<Error> ends;
  std::map<ErrorCode, int> refused;
  GroupLedger ledger{[this](std::string what) { wrong.push_back(std::move(what)); }};
  runtime::Duration pause = 5ms;
  std::uint64_t values = 0;
  bool keep_up = true;
  bool quiet = false;
};

struct Asked {
  std::optional<Result<LogIndex>> written;
  std::optional<Result<std::uint64_t>> read;
};
Task<void> only_read(MemberNode& node, Asked& out) {
  out.read = co_await node.read(1);
}
Task<void> write_and_read(MemberNode& node, Asked& out) {
  out.written = co_await node.write(1, 77);
  co_await only_read(node, out);
}
Task<void> propose_large(MemberNode& node, std::optional<ErrorCode>& out) {
  out = (co_await node.member()->propose(std::string(101, 'x'))).error().code;
}

std::string in_words(const Result<void>& result) {
  return result ? "ok" : result.error().to_string();
}
Task<void> hand_over(MemberNode& node, std::vector<std::string>& steps) {
  steps.push_back(in_words(co_await node.member()->transfer_leadership(NodeId(2))));
}
// 4 learns, and votes instead of 1.
Task<void> change_twice(MemberNode& node, std::vector<std::string>& steps) {
  Member& member = *node.member();
  steps.push_back(in_words(co_await member.change_membership(
      {.voters = {NodeId(1), NodeId(2), NodeId(3)}, .learners = {NodeId(4)}})));
  co_await runtime::sleep(node.runtime(), 5s);
  steps.push_back(in_words(
      co_await member.change_membership({.voters = {NodeId(2), NodeId(3), NodeId(4)}, .learners = {}})));
}

class GroupsOf : public ::testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Members, GroupsOf, ::testing::Values(1u, 3u, 5u, 7u));

TEST_P(GroupsOf, ElectAcknowledgeAndAgree) {
  GroupWorld group(1, GetParam());
  group.boot();
  ASSERT_TRUE(group.acknowledge(200)) << group.told();
  ASSERT_TRUE(group.settle()) << group.told();
  EXPECT_EQ(group.ledger.terms_led(), 1u);
  const MemberStatus leader = group.member(*group.leader())->status();
  EXPECT_EQ(leader.peers.size(), GetParam());
}

// Power fails in the k-th file operation of one after the other, for every k up to where nothing is new.
TEST_P(GroupsOf, SurviveACrashAtAnyPoint) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    GroupWorld group(seed, GetParam());
    group.boot();
    ASSERT_TRUE(group.acknowledge(1)) << "seed " << seed << " " << group.told();
    runtime::Random& random = group.world.random(sim::Concern::kFaults);
    for (int crash = 0; crash < 25; ++crash) {
      const NodeId victim(1 + static_cast<std::uint32_t>(random.below(GetParam())));
      const auto mode = random.chance(1, 4) ? sim::CrashMode::kKill : sim::CrashMode::kPowerLoss;
      if (random.chance(1, 3)) {
        group.hosts[victim]->crash_next_process_at(1 + random.below(60));
        group.hosts[victim]->crash(mode);
      } else {
        group.hosts[victim]->crash_at_file_operation(1 + random.below(60), mode);
      }
      ASSERT_TRUE(group.acknowledge(random.below(30))) << "seed " << seed << " " << group.told();
    }
    for (const auto& [id, host] : group.hosts) host->cancel_planned_crash();
    ASSERT_TRUE(group.acknowledge(10)) << "seed " << seed << " " << group.told();
    ASSERT_TRUE(group.settle()) << "seed " << seed << " " << group.told();
    EXPECT_EQ(group.ends.size(), 0u) << "seed " << seed << " " << group.told();
  }
}

TEST(Member, AFailedDiskEndsItAndItComesBack) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    GroupWorld group(seed, 3);
    group.boot();
    ASSERT_TRUE(group.acknowledge(5)) << group.told();
    for (std::uint32_t id : {1, 2, 3}) {
      sim::Host& host = *group.hosts[NodeId(id)];
      const std::uint64_t before = host.incarnation();
      // The log gets over one that fails, in another file; the state machine does not.
      host.disk().faults().failing_syncs = seed % 2 == 0 ? 1 : 1000;
      if (seed % 2 == 0) {
        ASSERT_TRUE(group.run_until([&] { return host.disk().faults().failing_syncs == 0; }));
      } else {
        ASSERT_TRUE(group.run_until([&] { return host.incarnation() > before; })) << group.told();
        host.disk().faults() = {};
      }
      ASSERT_TRUE(group.acknowledge(5)) << "seed " << seed << " " << group.told();
    }
    if (seed % 2 != 0) EXPECT_GE(group.ends.size(), 3u) << "seed " << seed;
    ASSERT_TRUE(group.settle()) << "seed " << seed << " " << group.told();
  }
}

TEST(Member, ALateOneIsSentASnapshot) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    GroupWorld group(seed, 3);
    int lost = 0;
    // One part in so many is lost, and one answer.
    group.defaults.loses = [&](NodeId, NodeId, const std::vector<Bytes>& message) {
      const bool loses = std::holds_alternative<SnapshotMessage>(decode(message)) &&
                         group.world.random(sim::Concern::kFaults).chance(1, 5);
      lost += loses;
      return loses;
    };
    for (std::uint32_t id : {1, 2}) group.boot(NodeId(id));
    ASSERT_TRUE(group.acknowledge(400)) << group.told();
    EXPECT_GT(group.member(*group.leader())->status().first, LogIndex(100));
    group.boot(NodeId(3));
    ASSERT_TRUE(group.run_until([&] { return group.member(NodeId(3)) != nullptr; }));
    ASSERT_TRUE(group.settle()) << "seed " << seed << " " << group.told();
    EXPECT_GE(group.member(NodeId(3))->stats().snapshots_installed, 1u) << "seed " << seed;
    EXPECT_GT(lost, 0);
    EXPECT_EQ(group.member(*group.leader())->stats().snapshots_given_up, 0u) << "parts are sent again";
    ASSERT_TRUE(group.acknowledge(100)) << group.told();
    ASSERT_TRUE(group.settle()) << "seed " << seed << " " << group.told();
  }
}

// While it is received and installed.
TEST(Member, ACrashDuringASnapshotIsSurvived) {
  for (std::uint64_t k = 1; k <= 60; ++k) {
    GroupWorld group(k, 3);
    for (std::uint32_t id : {1, 2}) group.boot(NodeId(id));
    ASSERT_TRUE(group.acknowledge(150)) << group.told();
    group.boot(NodeId(3));
    ASSERT_TRUE(group.run_until([&] { return group.member(NodeId(3)) != nullptr; }));
    sim::Host& late = *group.hosts[NodeId(3)];
    late.crash_at_file_operation(k);
    ASSERT_TRUE(group.run_until([&] { return late.incarnation() > 1 && group.member(NodeId(3)); }))
        << "crash " << k << " " << group.told();
    ASSERT_TRUE(group.settle()) << "crash " << k << " " << group.told();
    EXPECT_EQ(group.ends.size(), 0u) << "crash " << k << " " << group.told();
  }
}

TEST(Member, AFullDiskWaits) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    GroupWorld group(seed, 3);
    group.boot();
    ASSERT_TRUE(group.acknowledge(20)) << group.told();
    const NodeId full(1);
    sim::Disk& disk = group.hosts[full]->disk();
    disk.set_free_bytes(0);
    ASSERT_TRUE(group.acknowledge(200)) << group.told();
    EXPECT_TRUE(group.ends.empty()) << group.told();
    EXPECT_LT(group.member(full)->applied(), group.ledger.acknowledged_to());
    disk.set_free_bytes(64 << 20);
    ASSERT_TRUE(group.settle()) << group.told();
    EXPECT_EQ(group.hosts[full]->incarnation(), 1u);
  }
}

// A leader that is to send what its disk has lost gives way, and gets it from the others.
TEST(Member, LostSlotsComeBackFromTheOthers) {
  std::uint64_t damaged = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    GroupWorld group(seed, 3);
    group.defaults.member.snapshot_every = 1'000'000;
    group.defaults.member.log.read_bytes = 1000;
    for (std::uint32_t id : {1, 2}) group.boot(NodeId(id));
    ASSERT_TRUE(group.acknowledge(400)) << group.told();
    const NodeId leader = *group.leader();
    for (int i = 0; i < 20; ++i) {
      group.hosts[leader]->disk().spoil_sectors(group.world.random(sim::Concern::kFaults), 8, false);
    }
    group.boot(NodeId(3));
    ASSERT_TRUE(group.run_until([&] { return group.member(NodeId(3)) != nullptr; }));
    ASSERT_TRUE(group.settle()) << "seed " << seed << " " << group.told();
    EXPECT_GE(group.member(NodeId(3))->applied(), LogIndex(400));
    ASSERT_TRUE(group.run_until([&] { return group.member(leader)->status().lost_slots == 0; })) << seed;
    damaged += group.member(leader)->stats().slots_damaged;
    ASSERT_TRUE(group.acknowledge(20) && group.settle()) << "seed " << seed << " " << group.told();
  }
  EXPECT_GT(damaged, 0u);
}

TEST(Member, AReadThatIsLostIsAskedForAgain) {
  GroupWorld group(9, 3);
  int lost = 0;
  group.defaults.loses = [&](NodeId, NodeId, const std::vector<Bytes>& message) {
    const auto decoded = decode(message);
    const auto* peer = std::get_if<PeerMessage>(&decoded);
    const bool of_read = peer && (std::holds_alternative<ReadRequest>(peer->body) ||
                                  std::holds_alternative<ReadAnswer>(peer->body));
    return of_read && lost < 5 && ++lost > 0;
  };
  group.boot();
  ASSERT_TRUE(group.acknowledge(5) && group.settle()) << group.told();
  MemberNode& other = *group.node(NodeId(group.leader()->value % 3 + 1));
  Asked asked;
  other.runtime().post(CoreId(0), [&] { other.scope().spawn(only_read(other, asked)); });
  ASSERT_TRUE(group.run_until([&] { return asked.read.has_value(); }));
  EXPECT_TRUE(asked.read->has_value()) << asked.read->error().to_string();
  EXPECT_EQ(lost, 5);
}

TEST(Member, WhoIsAloneSaysSo) {
  GroupWorld group(6, 3);
  group.boot();
  ASSERT_TRUE(group.acknowledge(5)) << group.told();
  const NodeId old = *group.leader();
  group.world.fabric().isolate(*group.hosts[old], true);
  Asked asked;
  MemberNode& node = *group.node(old);
  node.runtime().post(CoreId(0), [&] { node.scope().spawn(write_and_read(node, asked)); });
  ASSERT_TRUE(group.run_until([&] { return asked.read.has_value(); }));
  EXPECT_EQ(asked.written->error().code, ErrorCode::kTimedOut) << asked.written->error().to_string();
  EXPECT_EQ(asked.read->error().code, ErrorCode::kUnavailable) << asked.read->error().to_string();
  EXPECT_NE(group.leader(), old);
  group.world.fabric().isolate(*group.hosts[old], false);
  ASSERT_TRUE(group.acknowledge(10)) << group.told();
  ASSERT_TRUE(group.settle()) << group.told();
}

TEST(Member, WhoDoesNotLeadSaysWhoDoes) {
  GroupWorld group(7, 3);
  group.boot();
  ASSERT_TRUE(group.acknowledge(5) && group.settle()) << group.told();
  const NodeId leader = *group.leader();
  MemberNode& other = *group.node(NodeId(leader.value % 3 + 1));
  Asked asked;
  other.runtime().post(CoreId(0), [&] { other.scope().spawn(write_and_read(other, asked)); });
  ASSERT_TRUE(group.run_until([&] { return asked.read.has_value(); }));
  EXPECT_EQ(asked.written->error().code, ErrorCode::kUnavailable);
  EXPECT_NE(asked.written->error().message.find("node " + std::to_string(leader.value)), std::string::npos);
  EXPECT_TRUE(asked.read->has_value());
}

TEST(Member, TheGroupChangesAndTheLeadershipIsHandedOver) {
  GroupWorld group(8, 3);
  group.add(NodeId(4));
  group.boot();
  ASSERT_TRUE(group.acknowledge(100)) << group.told();
  std::vector<std::string> steps;
  if (group.leader() != NodeId(2)) {
    MemberNode& leader = *group.node(*group.leader());
    leader.runtime().post(CoreId(0), [&] { leader.scope().spawn(hand_over(leader, steps)); });
    ASSERT_TRUE(group.run_until([&] { return steps.size() == 1; })) << group.told();
    EXPECT_EQ(steps, std::vector<std::string>{"ok"});
    steps.clear();
    ASSERT_TRUE(group.acknowledge(10));
  }
  ASSERT_EQ(group.leader(), NodeId(2));
  MemberNode& leader = *group.node(NodeId(2));
  leader.runtime().post(CoreId(0), [&] { leader.scope().spawn(change_twice(leader, steps)); });
  ASSERT_TRUE(group.run_until([&] { return steps.size() == 2; })) << group.told();
  EXPECT_EQ(steps, (std::vector<std::string>{"ok", "ok"}));
  const Membership now = group.member(NodeId(2))->status().membership;
  EXPECT_EQ(now.voters, (NodeSet{NodeId(2), NodeId(3), NodeId(4)}));
  group.keep_up = false;
  group.hosts[NodeId(1)]->crash();
  ASSERT_TRUE(group.acknowledge(100)) << group.told();
  ASSERT_TRUE(group.settle()) << group.told();
}

// Its votes are lost with it: it must not go on as who it was.
TEST(Member, WhoseLogIsLostDoesNotComeBack) {
  GroupWorld group(12, 3);
  group.boot();
  ASSERT_TRUE(group.acknowledge(50)) << group.told();
  sim::Host& host = *group.hosts[NodeId(3)];
  host.crash();
  host.disk().drop_directory("/raft/member/log");
  ASSERT_TRUE(group.run_until([&] { return !group.ends.empty(); }));
  EXPECT_EQ(group.ends.front().code, ErrorCode::kCorrupt) << group.told();
  EXPECT_EQ(group.member(NodeId(3)), nullptr);
  ASSERT_TRUE(group.acknowledge(50)) << group.told();
}

// Its state machine tells that there was more: it waits for that, from the log of another or as a snapshot.
TEST(Member, WhoseLogIsAnOldOneIsInDoubt) {
  for (const std::uint64_t snapshot_every : {1'000'000, 30}) {
    GroupWorld group(13, 3);
    group.defaults.member.snapshot_every = snapshot_every;
    group.boot();
    ASSERT_TRUE(group.acknowledge(50) && group.settle()) << group.told();
    sim::Host& host = *group.hosts[NodeId(3)];
    const std::string log = "/raft/member/log";
    group.keep_up = false;
    host.crash(sim::CrashMode::kKill);
    std::map<std::string, std::string> old;
    for (const std::string& name : host.disk().names_in(log))
      old[log + "/" + name] = host.disk().content_of(log + "/" + name).value();
    host.restart();
    ASSERT_TRUE(group.acknowledge(150)) << group.told();
    ASSERT_TRUE(group.run_until([&] { return group.member(NodeId(3)) != nullptr; }));
    ASSERT_TRUE(group.settle()) << group.told();
    group.quiet = true;
    host.crash(sim::CrashMode::kKill);
    host.disk().drop_directory(log);
    for (const auto& [path, content] : old) host.disk().put_content(path, content);
    const LogIndex before = group.ledger.acknowledged_to();
    host.restart();
    ASSERT_TRUE(group.run_until([&] { return group.member(NodeId(3)) != nullptr; })) << group.told();
    EXPECT_TRUE(group.member(NodeId(3))->status().in_doubt);
    ASSERT_TRUE(group.run_until([&] { return group.member(NodeId(3))->status().last >= before; }));
    ASSERT_TRUE(group.run_until([&] { return !group.member(NodeId(3))->status().in_doubt; }));
    group.quiet = false;
    ASSERT_TRUE(group.acknowledge(50) && group.settle()) << group.told();
    EXPECT_TRUE(group.ends.empty()) << group.told();
  }
}

TEST(Member, NonsenseIsCountedAndDoesNothing) {
  GroupWorld group(10, 3);
  group.boot();
  ASSERT_TRUE(group.acknowledge(5)) << group.told();
  MemberNode& node = *group.node(NodeId(1));
  bool said = false;
  node.runtime().post(CoreId(0), [&] {
    std::string vote;
    const PeerMessage message{NodeId(2), NodeId(1), Term(1), Heartbeat{}};
    for (const Bytes& slice : encode(message)) vote += slice.view();
    node.member()->deliver(NodeId(2), Bytes::copy("nonsense"));
    node.member()->deliver(NodeId(3), Bytes::copy(vote));  // of another than who sends it
    said = true;
  });
  ASSERT_TRUE(group.run_until([&] { return said; }));
  EXPECT_EQ(node.member()->stats().messages_malformed, 2u);
  ASSERT_TRUE(group.acknowledge(5) && group.settle()) << group.told();
}

TEST(Member, TooManyProposalsAreRefusedAtOnce) {
  GroupWorld group(11, 3);
  group.defaults.member.proposals_max = 2;
  group.defaults.member.command_bytes_max = 100;
  group.boot();
  ASSERT_TRUE(group.acknowledge(20)) << group.told();
  EXPECT_GT(group.refused[ErrorCode::kUnavailable], 0);
  MemberNode& node = *group.node(NodeId(1));
  std::optional<ErrorCode> large;
  node.runtime().post(CoreId(0), [&] { node.scope().spawn(propose_large(node, large)); });
  ASSERT_TRUE(group.run_until([&] { return large.has_value(); }));
  EXPECT_EQ(*large, ErrorCode::kInvalidArgument);
}

TEST(Member, OneSeedIsOneHistory) {
  const auto hash = [](std::uint64_t seed) {
    GroupWorld group(seed, 3);
    group.boot();
    EXPECT_TRUE(group.acknowledge(50));
    group.hosts[NodeId(1)]->crash();
    EXPECT_TRUE(group.acknowledge(50));
    return group.world.hash();
  };
  EXPECT_EQ(hash(3), hash(3));
  EXPECT_NE(hash(3), hash(4));
}

}  // namespace
}  // namespace stele::raft
