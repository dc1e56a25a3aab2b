#include "meta/state_machine.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "meta/command_codec.h"
#include "meta/commands.h"
#include "runtime/random.h"
#include "storage/memory_files.h"
#include "storage/sqlite.h"

namespace stele::meta {
namespace {

constexpr const char* kPath = "data/meta.db";
constexpr std::int64_t kNow = 1'700'000'000'000;

// A state machine on a disk in memory, fed command by command.
class Machine {
 public:
  explicit Machine(storage::MemoryFiles& files) : files_(files) {}

  Result<void> open() {
    STELE_TRY(machine_, StateMachine::open(files_, kPath, inputs()));
    return {};
  }
  template <class C>
  Result<typename C::Answer> operator()(C command) {
    STELE_TRY(const std::string answer, apply(bytes(std::move(command))));
    return decode_answer_to<C>(answer);
  }
  Result<std::string> apply(const std::string& command) { return propose({.command = command}); }
  Result<std::string> propose(const Proposal& proposal) {
    auto answers = machine_->apply(files_, machine_->applied() + 1, std::span(&proposal, 1), inputs());
    if (!answers) return std::unexpected(std::move(answers).error());
    return std::move(answers->front());
  }
  std::string bytes(Command command) {
    return encode_command({.time = WallTime{kNow}, .random = Uuid{++draws_, 7}}, command);
  }
  StateMachine& operator*() { return *machine_; }
  StateMachine* operator->() { return machine_.get(); }
  const MetaView& view() { return *machine_->view(); }
  Shard shard(std::uint32_t id) {
    const ShardId ids[] = {ShardId(id)};
    return machine_->read_shards(files_, ids, inputs())->front();
  }
  StateMachine::Inputs inputs() { return {.now = WallTime{kNow}, .random_seed = ++draws_}; }
  void crash() { machine_.reset(); }

 private:
  storage::MemoryFiles& files_;
  std::unique_ptr<StateMachine> machine_;
  std::uint64_t draws_ = 0;
};

class StateMachineTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(run.open());
    ASSERT_TRUE(run(CreateCluster{.shard_count = 8, .id = {}}));
    node = run(RegisterNode{.node = NodeId(1), .addresses = {{"kafka", "127.0.0.1", 9092}}})->incarnation;
  }
  void restart() {
    run.crash();
    ASSERT_TRUE(run.open());
  }
  Epoch take(std::uint32_t shard) {
    return run(TakeShards{.node = NodeId(1), .incarnation = node, .shards = {ShardId(shard)}})->front().epoch;
  }
  Result<SealAndOpenResult> seal(std::uint32_t shard, Epoch epoch, std::optional<SegmentId> last,
                                 std::uint64_t end) {
    return run(SealAndOpen{.items = {{.shard = ShardId(shard),
                                      .epoch = epoch,
                                      .last = last,
                                      .end = Lsn(end),
                                      .replicas = {{NodeId(1), 99}}}}})
        ->front();
  }
  Result<std::vector<SegmentId>> trim(std::uint32_t shard, Epoch epoch, std::uint64_t below) {
    return run(TrimChain{.items = {{ShardId(shard), epoch, Lsn(below)}}})->front();
  }
  Result<std::optional<Snapshot>> snapshot(std::uint32_t shard, Epoch epoch, std::uint64_t lsn,
                                           std::string file) {
    return run(SetSnapshot{
        .shard = ShardId(shard), .epoch = epoch, .snapshot = {.lsn = Lsn(lsn), .file = std::move(file)}});
  }

  storage::MemoryFiles files;
  Machine run{files};
  Incarnation node;
};

template <class T>
std::string refusal(const Result<T>& result, ErrorCode code) {
  if (result) return "accepted";
  EXPECT_EQ(result.error().code, code) << result.error().message;
  return result.error().message;
}

TEST_F(StateMachineTest, OneCluster) {
  const ClusterInfo cluster = run.view().cluster();
  EXPECT_EQ(cluster.id.size(), 22U);
  EXPECT_EQ(cluster.shard_count, 8U);
  EXPECT_EQ(run.view().find_tenant("default")->id, kDefaultTenant);
  EXPECT_EQ(refusal(run(CreateCluster{}), ErrorCode::kAlreadyExists),
            "there is a cluster already: " + cluster.id);
  restart();
  EXPECT_EQ(run.view().cluster(), cluster);
}

TEST(StateMachine, NothingWithoutACluster) {
  storage::MemoryFiles files;
  Machine run(files);
  ASSERT_TRUE(run.open());
  EXPECT_TRUE(run.view().cluster().id.empty());
  EXPECT_EQ(refusal(run(CreateTopic{.tenant = {}, .name = "a", .config = {}}), ErrorCode::kNotFound),
            "there is no cluster yet");
  EXPECT_NE(refusal(run(CreateCluster{.shard_count = 0, .id = {}}), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_NE(refusal(run(CreateCluster{.shard_count = 4097, .id = {}}), ErrorCode::kInvalidArgument),
            "accepted");
  EXPECT_EQ(run(CreateCluster{.shard_count = 1, .id = Uuid{1, 2}})->id, (Uuid{1, 2}).to_string());
}

TEST_F(StateMachineTest, EachStartOfANodeIsANewIncarnation) {
  EXPECT_EQ(node, Incarnation(1));
  const Node again = *run(RegisterNode{.node = NodeId(1), .addresses = {{"mqtt", "::1", 1883}}});
  EXPECT_EQ(again.incarnation, Incarnation(2));
  EXPECT_EQ(run.view().nodes().at(NodeId(1)), again);
  EXPECT_EQ(refusal(run(TakeShards{NodeId(1), Incarnation(1), {ShardId(0)}}), ErrorCode::kFenced),
            "node 1 is in incarnation 2, not 1");
  EXPECT_EQ(refusal(run(TakeShards{NodeId(2), Incarnation(1), {ShardId(0)}}), ErrorCode::kNotFound),
            "there is no node 2");
  EXPECT_NE(refusal(run(RegisterNode{NodeId(1), {{"", "h", 1}}}), ErrorCode::kInvalidArgument), "accepted");
  restart();
  EXPECT_EQ(run.view().nodes().at(NodeId(1)), again);
}

TEST_F(StateMachineTest, ShardsAreTakenAllOrNone) {
  auto taken = *run(TakeShards{NodeId(1), node, {ShardId(3), ShardId(0)}});
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].id, ShardId(3));
  EXPECT_EQ(taken[0].epoch, Epoch(1));
  EXPECT_EQ(taken[0].owner, NodeId(1));
  EXPECT_TRUE(taken[0].chain.empty());
  EXPECT_NE(refusal(run(TakeShards{NodeId(1), node, {ShardId(3), ShardId(8)}}), ErrorCode::kNotFound),
            "accepted");
  EXPECT_NE(refusal(run(TakeShards{NodeId(1), node, {ShardId(3), ShardId(3)}}), ErrorCode::kInvalidArgument),
            "accepted");
  EXPECT_EQ(run.shard(3).epoch, Epoch(1));
  EXPECT_EQ(take(3), Epoch(2));
}

TEST_F(StateMachineTest, ChainsGrowByCompareAndSwap) {
  const Epoch epoch = take(0);
  EXPECT_NE(refusal(seal(0, epoch, std::nullopt, 5), ErrorCode::kInvalidArgument),
            "accepted");  // begins at 0
  const Segment first = seal(0, epoch, std::nullopt, 0)->opened;
  EXPECT_EQ(first.base, Lsn(0));
  EXPECT_EQ(first.replicas, (std::vector<Replica>{{NodeId(1), 99}}));
  EXPECT_NE(refusal(seal(0, epoch, std::nullopt, 0), ErrorCode::kFenced), "accepted");
  EXPECT_NE(refusal(seal(0, epoch + 1, first.id, 10), ErrorCode::kFenced), "accepted");
  EXPECT_NE(refusal(seal(0, Epoch(0), first.id, 10), ErrorCode::kFenced), "accepted");
  EXPECT_NE(refusal(seal(9, epoch, first.id, 10), ErrorCode::kNotFound), "accepted");
  const auto second = *seal(0, epoch, first.id, 10);
  EXPECT_EQ(second.opened.base, Lsn(10));
  EXPECT_EQ(second.dropped, std::nullopt);
  EXPECT_NE(refusal(seal(0, epoch, first.id, 10), ErrorCode::kFenced), "accepted");  // asked twice
  EXPECT_NE(refusal(seal(0, epoch, second.opened.id, 9), ErrorCode::kInvalidArgument), "accepted");

  // A new owner finds the last segment empty: it leaves the chain.
  const Epoch next = take(0);
  EXPECT_NE(refusal(seal(0, epoch, second.opened.id, 12), ErrorCode::kFenced), "accepted");
  const auto third = *seal(0, next, second.opened.id, 10);
  EXPECT_EQ(third.dropped, second.opened.id);
  EXPECT_GT(third.opened.id, second.opened.id);
  restart();
  const Shard shard = run.shard(0);
  ASSERT_EQ(shard.chain.size(), 2U);
  EXPECT_EQ(shard.chain[0].end, Lsn(10));
  EXPECT_EQ(shard.chain[0].epoch, epoch);
  EXPECT_EQ(shard.chain[1], third.opened);
}

TEST_F(StateMachineTest, ReplicasAreNamedOnce) {
  const Epoch epoch = take(0);
  const auto with = [&](std::vector<Replica> replicas) {
    return run(SealAndOpen{.items = {{ShardId(0), epoch, std::nullopt, Lsn(0), std::move(replicas)}}})
        ->front();
  };
  EXPECT_NE(refusal(with({}), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_NE(refusal(with({{NodeId(1), 1}, {NodeId(1), 1}}), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_TRUE(with({{NodeId(1), UINT64_MAX}, {NodeId(2), 1}}));
  EXPECT_EQ(run.shard(0).chain[0].replicas[0].disk, UINT64_MAX);
}

TEST_F(StateMachineTest, OnlyWhatASnapshotReplacesIsTrimmed) {
  const Epoch epoch = take(0);
  const SegmentId a = seal(0, epoch, std::nullopt, 0)->opened.id;
  const SegmentId b = seal(0, epoch, a, 10)->opened.id;
  const SegmentId c = seal(0, epoch, b, 20)->opened.id;
  EXPECT_NE(refusal(trim(0, epoch, 10), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_EQ(*trim(0, epoch, 0), (std::vector<SegmentId>{}));
  EXPECT_EQ(*snapshot(0, epoch, 19, "s19"), std::nullopt);
  EXPECT_EQ(*trim(0, epoch, 19), (std::vector<SegmentId>{a}));
  EXPECT_EQ(*snapshot(0, epoch, 25, "s25"), (Snapshot{Lsn(19), "s19"}));
  EXPECT_NE(refusal(snapshot(0, epoch, 24, "s24"), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_NE(refusal(snapshot(0, epoch + 1, 30, "s30"), ErrorCode::kFenced), "accepted");
  EXPECT_NE(refusal(snapshot(0, epoch, 30, ""), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_NE(refusal(trim(0, epoch + 1, 25), ErrorCode::kFenced), "accepted");
  EXPECT_EQ(*trim(0, epoch, 25), (std::vector<SegmentId>{b}));  // the open one stays
  EXPECT_EQ(refusal(seal(0, epoch, c, 24), ErrorCode::kInvalidArgument),
            "shard 0: sealing at 24 would lose entries that the snapshot at 25 was made of");
  EXPECT_EQ(run.shard(0).chain.size(), 1U);
  EXPECT_EQ(run.shard(0).snapshot, (Snapshot{Lsn(25), "s25"}));
}

TEST_F(StateMachineTest, TopicsAreMadeAndFound) {
  CreateTopic command{.tenant = {}, .name = "orders.eu", .partitions = 20, .config = {}};
  command.config.retention_ms = 5;
  const Topic topic = *run(command);
  EXPECT_EQ(topic.partition_count(), 20);
  EXPECT_EQ(topic.created_ms, kNow);
  EXPECT_EQ(topic.id, TopicId(1));
  EXPECT_NE(topic.uuid.to_string().front(), '-');
  EXPECT_EQ(*run.view().find_topic(kDefaultTenant, "orders.eu"), topic);
  restart();
  EXPECT_EQ(*run.view().find_topic(topic.uuid), topic);
  EXPECT_EQ(*run.view().find_topic(topic.id), topic);

  EXPECT_EQ(refusal(run(command), ErrorCode::kAlreadyExists), "there is a topic 'orders.eu' already");
  command.name = "orders_eu";
  EXPECT_EQ(refusal(run(command), ErrorCode::kInvalidArgument),
            "topic 'orders_eu' collides with topic 'orders.eu': names that differ only in '.' and '_' are "
            "taken for "
            "one in metrics");
  command.tenant = TenantId(7);
  EXPECT_EQ(refusal(run(command), ErrorCode::kNotFound), "there is no tenant with id 7");
}

TEST_F(StateMachineTest, PartitionsAreSpreadEvenly) {
  for (const char* name : {"a", "b", "c", "d"}) {
    const Topic topic = *run(CreateTopic{.tenant = {}, .name = name, .partitions = 20, .config = {}});
    std::map<ShardId, int> count;
    for (ShardId shard : topic.shards) ++count[shard];
    EXPECT_EQ(count.size(), 8U);
    for (auto [shard, partitions] : count) {
      EXPECT_LT(shard, ShardId(8));
      EXPECT_TRUE(partitions == 2 || partitions == 3);
    }
  }
}

TEST_F(StateMachineTest, RefusedTopicsLeaveNothing) {
  const auto version = run.view().version();
  const auto create = [&](std::string name, std::int32_t partitions) {
    return run(CreateTopic{.tenant = {}, .name = std::move(name), .partitions = partitions, .config = {}});
  };
  EXPECT_EQ(refusal(create("a", 0), ErrorCode::kInvalidArgument), "a topic has 1 to 10000 partitions, not 0");
  EXPECT_NE(refusal(create("a", 10'001), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_NE(refusal(create("", 1), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_NE(refusal(create("a/b", 1), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_NE(refusal(create("..", 1), ErrorCode::kInvalidArgument), "accepted");
  const Topic checked =
      *run(CreateTopic{.tenant = {}, .name = "a", .partitions = 3, .config = {}, .validate_only = true});
  EXPECT_EQ(checked.partition_count(), 3);
  EXPECT_TRUE(checked.uuid.is_zero());
  EXPECT_EQ(run.view().version(), version);
  EXPECT_TRUE(run.view().topics().empty());
}

TEST_F(StateMachineTest, TopicIdsAreNeverUsedTwice) {
  const auto create = CreateTopic{.tenant = {}, .name = "a", .config = {}};
  const Topic first = *run(create);
  EXPECT_EQ(*run(DeleteTopic{.tenant = {}, .name = "a", .id = {}}), first);
  EXPECT_EQ(run.view().find_topic(first.id), nullptr);
  EXPECT_NE(refusal(run(DeleteTopic{.tenant = {}, .name = "a", .id = {}}), ErrorCode::kNotFound), "accepted");
  const Topic second = *run(create);
  EXPECT_GT(second.id, first.id);
  EXPECT_NE(
      refusal(run(DeleteTopic{.tenant = TenantId(1), .name = "", .id = second.id}), ErrorCode::kNotFound),
      "accepted");
  EXPECT_TRUE(run(DeleteTopic{.tenant = {}, .name = "", .id = second.id}));
  restart();
  EXPECT_TRUE(run.view().topics().empty());
  EXPECT_GT(run(create)->id, second.id);
}

TEST_F(StateMachineTest, TopicsGetMorePartitions) {
  const Topic before = *run(CreateTopic{.tenant = {}, .name = "a", .partitions = 3, .config = {}});
  const auto grow = [&](std::int32_t count, bool validate_only = false) {
    return run(CreatePartitions{.tenant = {}, .name = "a", .count = count, .validate_only = validate_only});
  };
  EXPECT_EQ(refusal(grow(3), ErrorCode::kInvalidArgument),
            "topic 'a' has 3 partitions; it can only get more, not 3");
  EXPECT_NE(refusal(grow(10'001), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_EQ(grow(12, true)->partition_count(), 12);
  EXPECT_EQ(run.view().find_topic(before.id)->partition_count(), 3);
  EXPECT_EQ(run.view().find_topic(before.id)->capture_partition_count(), 3);
  const Topic after = *grow(12);
  EXPECT_TRUE(std::equal(before.shards.begin(), before.shards.end(), after.shards.begin()));
  EXPECT_EQ(*run.view().find_topic(before.id), after);
  // What it captures stays where it was, however often it grows.
  EXPECT_EQ(after.capture_partition_count(), 3);
  EXPECT_EQ(grow(13)->capture_partition_count(), 3);
  restart();
  EXPECT_EQ(run.view().find_topic(before.id)->partition_count(), 13);
  EXPECT_EQ(run.view().find_topic(before.id)->capture_partition_count(), 3);
  CreateTopic wrong{.tenant = {}, .name = "b", .partitions = 3, .config = {}};
  wrong.config.capture_partitions = 2;
  EXPECT_NE(refusal(run(wrong), ErrorCode::kInvalidArgument), "accepted");
}

TEST_F(StateMachineTest, WhatIsCapturedKeepsItsPlace) {
  ASSERT_TRUE(run(CreateTopic{.tenant = {}, .name = "a", .partitions = 3, .config = {}}));
  ASSERT_TRUE(run(CreatePartitions{.tenant = {}, .name = "a", .count = 5}));
  AlterTopicConfig alter{.tenant = {}, .name = "a", .changes = {{"stele.key", ConfigOp::kSet, "none"}}};
  EXPECT_NE(refusal(run(alter), ErrorCode::kInvalidArgument), "accepted");
  alter.changes = {{"stele.capture.partitions", ConfigOp::kSet, "5"}};
  EXPECT_NE(refusal(run(alter), ErrorCode::kInvalidArgument), "accepted");
  alter.changes = {{"stele.capture.partitions", ConfigOp::kDelete, ""}};
  EXPECT_NE(refusal(run(alter), ErrorCode::kInvalidArgument), "accepted");
  alter.changes = {{"stele.key", ConfigOp::kSet, "address"}, {"stele.capture", ConfigOp::kAppend, "x/#"}};
  alter.reset_others = true;
  const auto altered = run(alter);
  ASSERT_TRUE(altered);
  EXPECT_EQ(altered->config.capture, std::vector<std::string>{"x/#"});
  EXPECT_EQ(altered->capture_partition_count(), 3);
}

TEST_F(StateMachineTest, ConfigurationsChange) {
  CreateTopic create{.tenant = {}, .name = "a", .config = {}};
  create.config.retention_ms = 5;
  ASSERT_TRUE(run(create));
  AlterTopicConfig alter{.tenant = {}, .name = "a", .changes = {{"retention.bytes", ConfigOp::kSet, "7"}}};
  EXPECT_EQ(run(alter)->config.retention_ms, 5);
  EXPECT_EQ(run.view().find_topic(kDefaultTenant, "a")->config.retention_bytes, 7);
  alter.reset_others = true;
  alter.validate_only = true;
  EXPECT_EQ(run(alter)->config.retention_ms, TopicConfig().retention_ms);
  EXPECT_EQ(run.view().find_topic(kDefaultTenant, "a")->config.retention_ms, 5);
  alter.validate_only = false;
  ASSERT_TRUE(run(alter));
  alter.changes = {{"retention.mss", ConfigOp::kSet, "1"}};
  EXPECT_EQ(refusal(run(alter), ErrorCode::kInvalidArgument),
            "a topic has no setting 'retention.mss' (did you mean 'retention.ms'?)");
  restart();
  const TopicConfig& config = run.view().find_topic(kDefaultTenant, "a")->config;
  EXPECT_EQ(config.retention_ms, TopicConfig().retention_ms);
  EXPECT_EQ(config.retention_bytes, 7);
}

TEST_F(StateMachineTest, ProducerIdsAreGivenOutOnce) {
  EXPECT_EQ(*run(AllocateProducerIds{.count = 1000}), (ProducerIds{0, 1000}));
  restart();
  EXPECT_EQ(*run(AllocateProducerIds{.count = 1}), (ProducerIds{1000, 1}));
  EXPECT_NE(refusal(run(AllocateProducerIds{.count = 0}), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_NE(refusal(run(AllocateProducerIds{.count = 1'000'001}), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_EQ(run(AllocateProducerIds{.count = 1})->first, 1001);
}

TEST_F(StateMachineTest, TenantsHaveTheirOwnTopics) {
  const Tenant acme = *run(CreateTenant{.name = "acme"});
  EXPECT_NE(refusal(run(CreateTenant{.name = "acme"}), ErrorCode::kAlreadyExists), "accepted");
  for (const std::string& bad :
       {std::string(), std::string("a\nb"), std::string("\xff"), std::string(256, 'a')}) {
    EXPECT_NE(refusal(run(CreateTenant{.name = bad}), ErrorCode::kInvalidArgument), "accepted");
  }
  ASSERT_TRUE(run(CreateTopic{.tenant = {}, .name = "a.b", .config = {}}));
  ASSERT_TRUE(run(CreateTopic{.tenant = acme.id, .name = "a_b", .config = {}}));
  EXPECT_NE(refusal(run(DeleteTenant{.name = "acme"}), ErrorCode::kInvalidArgument), "accepted");
  ASSERT_TRUE(run(DeleteTopic{.tenant = acme.id, .name = "a_b", .id = {}}));
  EXPECT_EQ(*run(DeleteTenant{.name = "acme"}), acme);
  EXPECT_NE(refusal(run(DeleteTenant{.name = "acme"}), ErrorCode::kNotFound), "accepted");
  EXPECT_NE(refusal(run(DeleteTenant{.name = "default"}), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_GT(run(CreateTenant{.name = "acme"})->id, acme.id);
  restart();
  EXPECT_EQ(run.view().tenants().size(), 2U);
}

CreateUser administrator(std::string name) {
  return {.tenant = kDefaultTenant, .name = std::move(name), .super_user = true, .credentials = {}};
}

TEST_F(StateMachineTest, ThereIsAlwaysAnAdministrator) {
  EXPECT_EQ(
      refusal(run(CreateUser{.tenant = {}, .name = "alice", .credentials = {}}), ErrorCode::kInvalidArgument),
      "the first user is a super user of the tenant 'default': somebody must be able to make others");
  ASSERT_TRUE(run(administrator("root")));
  EXPECT_EQ(refusal(run(DeleteUser{.name = "root"}), ErrorCode::kInvalidArgument),
            "'root' is the last administrator; make another first");
  EXPECT_NE(refusal(run(AlterUser{.name = "root", .super_user = false, .credentials = {}}),
                    ErrorCode::kInvalidArgument),
            "accepted");
  ASSERT_TRUE(run(CreateTenant{"other"}));
  ASSERT_TRUE(run(CreateUser{.tenant = TenantId(1), .name = "x", .super_user = true, .credentials = {}}));
  EXPECT_NE(refusal(run(DeleteUser{.name = "root"}), ErrorCode::kInvalidArgument), "accepted");
  EXPECT_EQ(refusal(run(DeleteTenant{"other"}), ErrorCode::kInvalidArgument),
            "the tenant 'other' still has users; delete them first");
  ASSERT_TRUE(run(administrator("second")));
  ASSERT_TRUE(run(DeleteUser{.name = "root"}));
  // Another one of the same name is somebody else.
  EXPECT_EQ(run(administrator("root"))->id, UserId(4));
}

TEST_F(StateMachineTest, WhatIsNoUserOrRule) {
  ASSERT_TRUE(run(administrator("root")));
  for (const std::string& name :
       {std::string(), std::string("a:b"), std::string("a\n"), std::string(256, 'a')}) {
    EXPECT_NE(refusal(run(administrator(name)), ErrorCode::kInvalidArgument), "accepted") << name;
  }
  CreateUser weak = administrator("weak");
  weak.credentials = {{scram::Hash::kSha256, "salt", 100, std::string(32, 'a'), std::string(32, 'b')}};
  EXPECT_NE(refusal(run(weak), ErrorCode::kInvalidArgument), "accepted");
  const auto rule = [](ResourceKind resource, PatternKind kind, std::string pattern, Operations operations) {
    return CreateAcl{{.resource = resource,
                      .pattern_kind = kind,
                      .pattern = std::move(pattern),
                      .operations = operations}};
  };
  using enum Operation;
  for (const CreateAcl& wrong : {
           rule(ResourceKind::kAddress, PatternKind::kFilter, "a/#/b", bit(kPublish)),
           rule(ResourceKind::kAddress, PatternKind::kLiteral, "a", bit(kPublish)),
           rule(ResourceKind::kAddress, PatternKind::kFilter, "a", bit(kRead)),
           rule(ResourceKind::kTopic, PatternKind::kLiteral, "", bit(kRead)),
           rule(ResourceKind::kTopic, PatternKind::kFilter, "#", bit(kRead)),
           rule(ResourceKind::kTopic, PatternKind::kLiteral, "a", 0),
           rule(ResourceKind::kTopic, PatternKind::kLiteral, "a", bit(kAdminister)),
           rule(ResourceKind::kNode, PatternKind::kLiteral, "a", bit(kAdminister)),
           rule(static_cast<ResourceKind>(9), PatternKind::kLiteral, "a", bit(kRead)),
       }) {
    EXPECT_NE(refusal(run(wrong), ErrorCode::kInvalidArgument), "accepted");
  }
  ASSERT_TRUE(run(rule(ResourceKind::kTopic, PatternKind::kPrefix, "", bit(kRead))));
}

TEST_F(StateMachineTest, WhatAUserHadGoesWithHim) {
  ASSERT_TRUE(run(administrator("root")));
  const User alice = *run(CreateUser{.tenant = {}, .name = "alice", .credentials = {}});
  const AclRule rule{.user = alice.id, .pattern = "a/#", .operations = bit(Operation::kPublish)};
  ASSERT_TRUE(run(CreateAcl{rule}));
  EXPECT_NE(refusal(run(CreateAcl{rule}), ErrorCode::kAlreadyExists), "accepted");
  ASSERT_TRUE(run(CreateToken{{.user = alice.id, .name = "t", .hash = std::string(32, 'h')}}));
  EXPECT_EQ(run.view().identities()->tokens.size(), 1U);
  ASSERT_TRUE(run(DeleteUser{.name = "alice"}));
  restart();
  EXPECT_TRUE(run.view().identities()->rules.empty());
  EXPECT_TRUE(run.view().identities()->tokens.empty());
  EXPECT_EQ(refusal(run(CreateAcl{rule}), ErrorCode::kNotFound), "the tenant has no user with id 2");
}

// Who was looked up by name, and has been replaced by another of that name since.
TEST_F(StateMachineTest, AnotherUserOfThatNameIsNotMeant) {
  ASSERT_TRUE(run(administrator("root")));
  const auto alice = [] { return CreateUser{.tenant = {}, .name = "alice", .credentials = {}}; };
  const UserId first = run(alice())->id;
  ASSERT_TRUE(run(DeleteUser{.name = "alice", .id = first}));
  const UserId second = run(alice())->id;
  EXPECT_EQ(refusal(run(DeleteUser{.name = "alice", .id = first}), ErrorCode::kNotFound),
            "there is no user 'alice'");
  EXPECT_EQ(refusal(run(AlterUser{.name = "alice", .super_user = true, .credentials = {}, .id = first}),
                    ErrorCode::kNotFound),
            "there is no user 'alice'");
  ASSERT_TRUE(run(AlterUser{.name = "alice", .super_user = true, .credentials = {}, .id = second}));
}

// The first password there ever was decides, and no later one does.
TEST_F(StateMachineTest, TheDecoySecretStays) {
  const auto password = [](char c) {
    return std::vector<scram::Credential>{
        {scram::Hash::kSha256, "salt", 4096, std::string(32, c), std::string(32, c)}};
  };
  CreateUser root = administrator("root");
  root.credentials = password('a');
  ASSERT_TRUE(run(root));
  const std::string secret = run.view().identities()->decoy_secret;
  EXPECT_EQ(secret.size(), 32U);
  ASSERT_TRUE(run(AlterUser{.name = "root", .super_user = {}, .credentials = password('b')}));
  EXPECT_EQ(run.view().identities()->decoy_secret, secret);
  restart();
  EXPECT_EQ(run.view().identities()->decoy_secret, secret);
}

// What an earlier version has written.
TEST_F(StateMachineTest, VersionOneIsBroughtUpToDate) {
  ASSERT_TRUE(run(CreateTopic{.tenant = {}, .name = "kept", .config = {}}));
  const std::uint64_t applied = run->applied();
  run.crash();
  {
    storage::SqliteVfs vfs;
    const storage::SqliteVfs::Job job(vfs, files, run.inputs());
    auto database = *storage::Database::open(vfs, kPath);
    ASSERT_TRUE(database->run_script(
        "DROP TABLE users; DROP TABLE credentials; DROP TABLE rules; DROP TABLE tokens; DROP TABLE proposals;"
        "ALTER TABLE shards DROP COLUMN assigned;"
        "ALTER TABLE nodes DROP COLUMN roles; ALTER TABLE nodes DROP COLUMN zone;"
        "ALTER TABLE nodes DROP COLUMN disk; ALTER TABLE nodes DROP COLUMN product;"
        "ALTER TABLE nodes DROP COLUMN directory;"
        "ALTER TABLE nodes DROP COLUMN state; ALTER TABLE nodes DROP COLUMN draining;"
        "ALTER TABLE cluster DROP COLUMN next_user; ALTER TABLE cluster DROP COLUMN next_rule;"
        "ALTER TABLE cluster DROP COLUMN decoy_secret;"
        "PRAGMA user_version = 1"));
  }
  ASSERT_TRUE(run.open());
  EXPECT_EQ(run->applied(), applied);
  EXPECT_TRUE(run.view().find_topic(kDefaultTenant, "kept"));
  EXPECT_EQ(run(administrator("root"))->id, UserId(1));
  restart();
  EXPECT_TRUE(run.view().identities()->find("root"));
  EXPECT_TRUE(run->check(files, run.inputs())->empty());
}

// Of a data directory there is one, and a node is one data directory.
TEST_F(StateMachineTest, ANodeIsLetInWithItsDirectoryAndNoOther) {
  const NodeId node(7);
  const Uuid mine{1, 2}, other{3, 4};
  const auto registered = [&](const Uuid& directory) {
    return run(RegisterNode{.node = node, .addresses = {}, .directory = directory});
  };
  EXPECT_EQ(registered(mine).error().code, ErrorCode::kNotFound);
  const AdmitNode admit{.node = node, .directory = mine, .addresses = {{"rpc", "h", 1}}, .zone = "z"};
  const auto admitted = run(admit);
  ASSERT_TRUE(admitted);
  EXPECT_FALSE(admitted->lives);
  EXPECT_EQ(admitted->zone, "z");
  EXPECT_EQ(run(AdmitNode{.node = node, .directory = other}).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(run(AdmitNode{.node = node, .directory = {}}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(registered(other).error().code, ErrorCode::kAlreadyExists);
  const auto version = run.view().version();
  EXPECT_EQ(*run(admit), *admitted);
  EXPECT_EQ(run.view().version(), version) << "nothing was new";
  ASSERT_TRUE(
      run(RegisterNode{.node = node, .addresses = {{"rpc", "h", 1}, {"kafka", "h", 2}}, .directory = mine}));
  const auto moved = run(AdmitNode{.node = node, .directory = mine, .addresses = {{"rpc", "h", 9}}});
  ASSERT_TRUE(moved);
  EXPECT_TRUE(moved->lives) << "it goes on";
  EXPECT_EQ(moved->addresses, (std::vector<NodeAddress>{{"kafka", "h", 2}, {"rpc", "h", 9}}));
  restart();
  EXPECT_EQ(run.view().nodes().at(node), *moved);
  ASSERT_TRUE(run(EndIncarnation{.node = node, .incarnation = moved->incarnation}));
  ASSERT_TRUE(run(RemoveNode{.node = node}));
  EXPECT_EQ(registered(mine).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(run(AdmitNode{.node = node, .directory = other}));
  EXPECT_EQ(registered(other)->incarnation, moved->incarnation + 1);
}

TEST_F(StateMachineTest, AProposalThatComesAgainIsAnsweredAgainAndNotApplied) {
  const Proposal proposal{
      .command = run.bytes(CreateTenant{.name = "a"}), .id = Uuid{1, 2}, .seen = run->applied()};
  const auto answer = run.propose(proposal);
  ASSERT_TRUE(decode_answer_to<CreateTenant>(*answer));
  const auto version = run.view().version();
  EXPECT_EQ(*run.propose(proposal), *answer);
  restart();
  EXPECT_EQ(*run.propose(proposal), *answer);
  EXPECT_EQ(run.view().version(), version);
  // A refusal is remembered as well, though it would be none by now.
  const Proposal refused{
      .command = run.bytes(DeleteTenant{.name = "b"}), .id = Uuid{1, 3}, .seen = run->applied()};
  EXPECT_FALSE(decode_answer_to<DeleteTenant>(*run.propose(refused)));
  ASSERT_TRUE(run(CreateTenant{.name = "b"}));
  EXPECT_FALSE(decode_answer_to<DeleteTenant>(*run.propose(refused)));
  EXPECT_TRUE(run->check(files, run.inputs())->empty());
}

TEST_F(StateMachineTest, AProposalThatMayHaveBeenForgottenIsRefused) {
  const std::uint64_t seen = run->applied();
  const Proposal first{.command = run.bytes(CreateTenant{.name = "a"}), .id = Uuid{1, 2}, .seen = seen};
  ASSERT_TRUE(run.propose(first));
  std::vector<Proposal> nothing(StateMachine::kRemembered - 2);
  ASSERT_TRUE(run->apply(files, run->applied() + 1, nothing, run.inputs()));
  EXPECT_TRUE(decode_answer_to<CreateTenant>(*run.propose(first)))
      << "the last index at which it is remembered";
  // What is remembered goes with the next that is.
  const Proposal second{
      .command = run.bytes(CreateTenant{.name = "b"}), .id = Uuid{1, 3}, .seen = run->applied()};
  ASSERT_TRUE(decode_answer_to<CreateTenant>(*run.propose(second)));
  EXPECT_EQ(refusal(decode_answer_to<CreateTenant>(*run.propose(first)), ErrorCode::kUnavailable).empty(),
            false);
  EXPECT_TRUE(run->check(files, run.inputs())->empty());
}

TEST_F(StateMachineTest, AppliedAgainIsNothing) {
  std::vector<Proposal> commands;
  for (const char* name : {"a", "b", "b"})
    commands.push_back({.command = run.bytes(CreateTenant{.name = name})});
  const std::uint64_t first = run->applied() + 1;
  ASSERT_TRUE(run->apply(files, first, std::span(commands).first(2), run.inputs()));
  const auto version = run.view().version();
  auto answers = run->apply(files, first, commands, run.inputs());
  ASSERT_TRUE(answers);
  EXPECT_TRUE((*answers)[0].empty());
  EXPECT_TRUE((*answers)[1].empty());
  EXPECT_EQ(refusal(decode_answer_to<CreateTenant>((*answers)[2]), ErrorCode::kAlreadyExists),
            "there is a tenant 'b' already");
  EXPECT_EQ(run->applied(), first + 2);
  EXPECT_EQ(run.view().version(), version);
  restart();
  EXPECT_EQ(run->applied(), first + 2);
  EXPECT_EQ(run.view().version(), version);
}

TEST_F(StateMachineTest, AFullDiskAppliesNothingAndPasses) {
  files.capacity_bytes = 0;
  const auto command = CreateTopic{.tenant = {}, .name = "a", .partitions = 5000, .config = {}};
  const std::uint64_t before = run->applied();
  EXPECT_NE(refusal(run(command), ErrorCode::kNoSpace), "accepted");
  EXPECT_EQ(run->applied(), before);
  EXPECT_TRUE(run.view().topics().empty());
  files.capacity_bytes = UINT64_MAX;
  EXPECT_TRUE(run(command));
  EXPECT_EQ(run->applied(), before + 1);
}

TEST_F(StateMachineTest, AFailedSyncIsTheEnd) {
  files.fail_sync_at_call = files.calls();
  EXPECT_NE(refusal(run(CreateTenant{.name = "a"}), ErrorCode::kIo), "accepted");
  EXPECT_TRUE(run->failed());
  EXPECT_NE(refusal(run(CreateTenant{.name = "b"}), ErrorCode::kIo), "accepted");
  restart();
  EXPECT_TRUE(run(CreateTenant{.name = "b"}));
}

TEST_F(StateMachineTest, CommandsOfANewerVersionStopIt) {
  EXPECT_NE(refusal(run.apply("no command at all, but some bytes"), ErrorCode::kMalformed), "accepted");
  EXPECT_TRUE(run->failed());
}

TEST_F(StateMachineTest, OtherDatabasesAreRefused) {
  run.crash();
  const auto reopen = [&](const std::string& pragma) {
    {
      storage::SqliteVfs vfs;
      const storage::SqliteVfs::Job job(vfs, files, {});
      (*storage::Database::open(vfs, kPath))->run_script(pragma);
    }
    return run.open();
  };
  EXPECT_EQ(refusal(reopen("PRAGMA user_version = 5"), ErrorCode::kUnsupported),
            "data/meta.db: written in schema version 5 by another version of Stele; this one reads version 4 "
            "and older: "
            "use the version that wrote it, or a newer");
  EXPECT_EQ(refusal(reopen("PRAGMA application_id = 7"), ErrorCode::kUnsupported),
            "data/meta.db: an SQLite database, but not one of Stele's meta service");
}

TEST_F(StateMachineTest, CheckFindsWhatContradictsItself) {
  const Epoch epoch = take(0);
  const SegmentId first = seal(0, epoch, std::nullopt, 0)->opened.id;
  ASSERT_TRUE(seal(0, epoch, first, 10));
  ASSERT_TRUE(run(CreateTopic{.tenant = {}, .name = "a", .partitions = 3, .config = {}}));
  EXPECT_EQ(*run->check(files, run.inputs()), std::vector<std::string>());

  run.crash();
  {
    storage::SqliteVfs vfs;
    const storage::SqliteVfs::Job job(vfs, files, {});
    auto database = *storage::Database::open(vfs, kPath);
    database->run_script(
        "UPDATE segments SET base = 11 WHERE id = 2; UPDATE partitions SET shard = 8 WHERE partition = 1;"
        "DELETE FROM shards WHERE id = 7; DELETE FROM replicas WHERE segment = 1;");
    ASSERT_FALSE(database->failure());
  }
  ASSERT_TRUE(run.open());
  EXPECT_EQ(
      *run->check(files, run.inputs()),
      (std::vector<std::string>{
          "shard 0: segment 1 lies nowhere", "shard 0: segment 2 does not begin where the one before it ends",
          "shard 7 is missing", "topic 'a': a partition lies in shard 8, which there is not"}));
}

}  // namespace
}  // namespace stele::meta
