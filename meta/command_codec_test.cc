#include "meta/command_codec.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runtime/random.h"

namespace stele::meta {
namespace {

// Draws commands and answers; every field takes odd values.
struct Draw {
  runtime::Random random;

  std::uint64_t number() {
    switch (random.below(4)) {
      case 0:
        return random.below(3);
      case 1:
        return UINT64_MAX - random.below(2);
      default:
        return random.next() >> random.below(64);
    }
  }
  std::uint32_t small() { return static_cast<std::uint32_t>(number()); }
  bool flag() { return random.chance(1, 2); }
  std::string text() {
    std::string text(random.below(20), '\0');
    for (char& c : text) c = static_cast<char>(random.next());
    return text;
  }
  Uuid uuid() { return {number(), number()}; }
  template <class F>
  auto several(F one) {
    std::vector<decltype(one())> all;
    for (std::uint64_t n = random.below(4); n > 0; --n) all.push_back(one());
    return all;
  }
  Replica replica() { return {NodeId(small()), number()}; }
  Segment segment() {
    return {.id = SegmentId(number()),
            .base = Lsn(number()),
            .end = flag() ? std::optional(Lsn(number())) : std::nullopt,
            .epoch = Epoch(number()),
            .replicas = several([&] { return replica(); })};
  }
  NodeAddress address() { return {text(), text(), static_cast<std::uint16_t>(number())}; }
  Snapshot snapshot() { return {Lsn(number()), text()}; }
  Error failure() { return {flag() ? ErrorCode::kFenced : ErrorCode::kInvalidArgument, text()}; }
  scram::Credential credential() {
    return {flag() ? scram::Hash::kSha256 : scram::Hash::kSha512, text(), small(), text(), text()};
  }
  AclRule rule() {
    return {.id = AclId(number()),
            .tenant = TenantId(small()),
            .user = UserId(number()),
            .allow = flag(),
            .resource = static_cast<ResourceKind>(random.below(4)),
            .pattern_kind = static_cast<PatternKind>(random.below(3)),
            .pattern = text(),
            .operations = small()};
  }
  Token token() {
    return {.user = UserId(number()),
            .name = text(),
            .hash = text(),
            .created_ms = static_cast<std::int64_t>(number()),
            .expires_ms = static_cast<std::int64_t>(number())};
  }
  TopicConfig config() {
    TopicConfig config;
    if (flag()) config.retention_ms = static_cast<std::int64_t>(number() >> 1);
    if (flag()) config.retention_bytes = static_cast<std::int64_t>(number() >> 1);
    if (flag()) config.max_message_bytes = static_cast<std::int32_t>(small() >> 1);
    if (flag()) config.timestamp_type = TimestampType::kLogAppendTime;
    if (flag()) config.capture = {"a/+", "b/#"};
    if (flag()) config.key = *KeyRule::parse("property:x");
    return config;
  }

  std::optional<NodeId> some_node() { return flag() ? std::optional(NodeId(small())) : std::nullopt; }

  Command command() {
    switch (random.below(std::variant_size_v<Command>)) {
      case 0:
        return CreateCluster{.shard_count = small(), .id = uuid()};
      case 1:
        return RegisterNode{.node = NodeId(small()),
                            .addresses = several([&] { return address(); }),
                            .roles = small(),
                            .zone = text(),
                            .disk = number(),
                            .product = text(),
                            .directory = uuid()};
      case 2:
        return TakeShards{.node = NodeId(small()),
                          .incarnation = Incarnation(number()),
                          .shards = several([&] { return ShardId(small()); })};
      case 3:
        return SealAndOpen{.items = several([&] {
                             return SealAndOpenItem{
                                 .shard = ShardId(small()),
                                 .epoch = Epoch(number()),
                                 .last = flag() ? std::optional(SegmentId(number())) : std::nullopt,
                                 .end = Lsn(number()),
                                 .replicas = several([&] { return replica(); })};
                           })};
      case 4:
        return TrimChain{.items = several([&] {
                           return TrimChainItem{ShardId(small()), Epoch(number()), Lsn(number())};
                         })};
      case 5:
        return SetSnapshot{.shard = ShardId(small()), .epoch = Epoch(number()), .snapshot = snapshot()};
      case 6:
        return CreateTopic{.tenant = TenantId(small()),
                           .name = text(),
                           .partitions = static_cast<std::int32_t>(small()),
                           .config = config(),
                           .validate_only = flag()};
      case 7:
        return DeleteTopic{.tenant = TenantId(small()),
                           .name = text(),
                           .id = flag() ? std::optional(TopicId(number() | 1)) : std::nullopt};
      case 8:
        return CreatePartitions{.tenant = TenantId(small()),
                                .name = text(),
                                .count = static_cast<std::int32_t>(small()),
                                .validate_only = flag()};
      case 9:
        return AlterTopicConfig{.tenant = TenantId(small()),
                                .name = text(),
                                .changes = several([&] {
                                  return ConfigChange{text(), static_cast<ConfigOp>(random.below(4)), text()};
                                }),
                                .reset_others = flag(),
                                .validate_only = flag()};
      case 10:
        return AllocateProducerIds{.count = small()};
      case 11:
        return CreateTenant{.name = text()};
      case 12:
        return DeleteTenant{.name = text()};
      case 13:
        return CreateUser{.tenant = TenantId(small()),
                          .name = text(),
                          .super_user = flag(),
                          .credentials = several([&] { return credential(); })};
      case 14: {
        AlterUser alter{
            .name = text(), .super_user = std::nullopt, .credentials = std::nullopt, .id = UserId(number())};
        if (flag()) alter.super_user = flag();
        if (flag()) alter.credentials = several([&] { return credential(); });
        return alter;
      }
      case 15:
        return DeleteUser{.name = text(), .id = UserId(number())};
      case 16:
        return CreateAcl{.rule = rule()};
      case 17:
        return DeleteAcl{.tenant = TenantId(small()), .id = AclId(number())};
      case 18:
        return CreateToken{.token = token()};
      case 19:
        return DeleteToken{.user = UserId(number()), .name = text()};
      case 20:
        return EndIncarnation{.node = NodeId(small()), .incarnation = Incarnation(number())};
      case 21:
        return DrainNode{.node = NodeId(small()), .draining = flag(), .leaving = flag()};
      case 22:
        return RemoveNode{.node = NodeId(small())};
      case 23:
        return AdmitNode{.node = NodeId(small()),
                         .directory = uuid(),
                         .addresses = several([&] { return address(); }),
                         .roles = small(),
                         .zone = text(),
                         .product = text()};
      case 25:
        return ReleaseShard{.shard = ShardId(small()), .epoch = Epoch(number())};
      case 24:
        return MoveSegment{.shard = ShardId(small()),
                           .epoch = Epoch(number()),
                           .segment = SegmentId(number()),
                           .before = several([&] { return Replica{NodeId(small()), number()}; }),
                           .after = several([&] { return Replica{NodeId(small()), number()}; })};
      default:
        return AssignShards{.items = several([&] {
                              return AssignShards::Item{ShardId(small()), some_node(), NodeId(small())};
                            })};
    }
  }

  Result<Answer> answer() {
    switch (random.below(std::variant_size_v<Answer> + 1)) {
      case 0:
        return ClusterInfo{.id = text(), .shard_count = small()};
      case 1:
        return Node{.id = NodeId(small()),
                    .incarnation = Incarnation(number()),
                    .addresses = several([&] { return address(); }),
                    .roles = small(),
                    .zone = text(),
                    .disk = number(),
                    .product = text(),
                    .lives = flag(),
                    .draining = flag(),
                    .leaving = flag(),
                    .directory = uuid()};
      case 2:
        return several([&] {
          return Shard{.id = ShardId(small()),
                       .assigned = some_node(),
                       .owner = NodeId(small()),
                       .owner_incarnation = Incarnation(number()),
                       .epoch = Epoch(number()),
                       .chain = several([&] { return segment(); }),
                       .snapshot = flag() ? std::optional(snapshot()) : std::nullopt};
        });
      case 3:
        return several([&]() -> Result<SealAndOpenResult> {
          if (flag()) return std::unexpected(failure());
          return SealAndOpenResult{segment(), flag() ? std::optional(SegmentId(number() | 1)) : std::nullopt};
        });
      case 4:
        return several([&]() -> Result<std::vector<SegmentId>> {
          if (flag()) return std::unexpected(failure());
          return several([&] { return SegmentId(number()); });
        });
      case 5:
        return flag() ? std::optional(snapshot()) : std::nullopt;
      case 6:
        return Topic{.id = TopicId(number()),
                     .uuid = uuid(),
                     .tenant = TenantId(small()),
                     .name = text(),
                     .shards = several([&] { return ShardId(small()); }),
                     .config = config(),
                     .created_ms = static_cast<std::int64_t>(number())};
      case 7:
        return ProducerIds{static_cast<std::int64_t>(number()), small()};
      case 8:
        return Tenant{TenantId(small()), text()};
      case 9:
        return User{.id = UserId(number()),
                    .tenant = TenantId(small()),
                    .name = text(),
                    .super_user = flag(),
                    .credentials = several([&] { return credential(); }),
                    .created_ms = static_cast<std::int64_t>(number())};
      case 10:
        return rule();
      case 11:
        return token();
      default:
        return std::unexpected(failure());
    }
  }
};

RC_GTEST_PROP(CommandCodec, CommandsComeBack, (std::uint64_t seed)) {
  Draw draw{runtime::Random(seed)};
  const Command command = draw.command();
  const Envelope envelope{.time = WallTime{static_cast<std::int64_t>(draw.number())}, .random = draw.uuid()};
  const std::string bytes = encode_command(envelope, command);
  const auto entry = decode_command(bytes);
  RC_ASSERT(entry.has_value());
  RC_ASSERT(entry->command == command);
  RC_ASSERT(entry->envelope.time == envelope.time);
  RC_ASSERT(entry->envelope.random == envelope.random);
}

RC_GTEST_PROP(CommandCodec, AnswersComeBack, (std::uint64_t seed)) {
  Draw draw{runtime::Random(seed)};
  const Result<Answer> answer = draw.answer();
  const std::string bytes = encode_answer(answer);
  const auto back = decode_answer(bytes);
  RC_ASSERT(back.has_value() == answer.has_value());
  if (!answer) {
    RC_ASSERT(back.error().code == answer.error().code);
    RC_ASSERT(back.error().message == answer.error().message);
    return;
  }
  RC_ASSERT(back->index() == answer->index());
  RC_ASSERT(encode_answer(back) == bytes);
}

RC_GTEST_PROP(CommandCodec, DamageIsNoCommand, (std::uint64_t seed)) {
  Draw draw{runtime::Random(seed)};
  std::string bytes = encode_command({}, draw.command());
  bytes[draw.random.below(bytes.size())] ^= static_cast<char>(1 + draw.random.below(255));
  if (draw.flag()) bytes.resize(draw.random.below(bytes.size()));
  (void)decode_command(bytes);  // gets through
  (void)decode_answer(bytes);
}

TEST(CommandCodec, SaysWhatIsWrong) {
  EXPECT_EQ(decode_command("").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(decode_command("not a FlatBuffer, but long enough").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(decode_answer("").error().code, ErrorCode::kMalformed);
  const std::string tenant = encode_answer(Answer(Tenant{TenantId(1), "a"}));
  EXPECT_TRUE(decode_answer_to<CreateTenant>(tenant));
  EXPECT_EQ(decode_answer_to<CreateTopic>(tenant).error().code, ErrorCode::kMalformed);
}

TEST(CommandCodec, NamesCommands) {
  EXPECT_EQ(name_of(CreateCluster{}), "CreateCluster");
  EXPECT_EQ(name_of(DeleteTenant{}), "DeleteTenant");
  EXPECT_EQ(name_of(DeleteToken{}), "DeleteToken");
}

}  // namespace
}  // namespace stele::meta
