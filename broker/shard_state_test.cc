// What each kind of entry does to a shard's state, one at a time. All of them together, against a model:
// shard_state_model_test.cc.
#include "broker/shard_state.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/mutants.h"
#include "base/wire.h"
#include "broker/shard_testing.h"
#include "model/record_batch_builder.h"

namespace stele::broker {
namespace {

using testing::data_of;
using testing::LogAndState;
using testing::message;
using testing::queue_of;
using testing::request;

using Queue = std::vector<std::pair<std::uint64_t, std::uint32_t>>;

const StreamId kStream{TopicId(1), PartitionId(0)};

StreamConfig config(std::string name, std::vector<std::string> captures = {}) {
  StreamConfig made;
  made.name = std::move(name);
  made.captures = std::move(captures);
  return made;
}

// ---- streams --------------------------------------------------------------------------------------------

TEST(ShardState, StreamGetsDenseOffsets) {
  LogAndState shard;
  shard.add(control::owner_started(shard.time, Epoch(3), NodeId(1), {}));
  shard.add(control::stream_set(shard.time, kStream, config("t")));
  for (int i = 0; i < 5; ++i) {
    const Lsn lsn = shard.publish(data_of(message("t", "p")), {.stream = kStream});
    ASSERT_TRUE(shard.result.appended.has_value());
    EXPECT_EQ(shard.result.appended->base, Offset(i));
    EXPECT_TRUE(shard.result.matched);
    EXPECT_EQ(shard.state.lsn_needed(), Lsn(2)) << lsn.value;
  }
  EXPECT_EQ(shard.state.stream(kStream)->next(), Offset(5));
  EXPECT_EQ(shard.state.stream(kStream)->epoch_end(3)->offset, Offset(5));
  shard.add(control::stream_trimmed(shard.time, kStream, Offset(5)));
  EXPECT_EQ(shard.state.stream(kStream)->earliest(), Offset(5));
  EXPECT_EQ(shard.state.lsn_needed(), shard.state.next());
  shard.add(control::stream_deleted(shard.time, kStream));
  EXPECT_EQ(shard.state.stream(kStream), nullptr);
}

TEST(ShardState, RefusesWhatCannotHaveFollowed) {
  LogAndState shard;
  shard.add(control::stream_set(shard.time, kStream, config("t")));
  const auto refused = [&](const storage::LogEntry& entry) {
    // On a copy: a state that has refused an entry is good for nothing.
    auto copy = ShardState::decode_snapshot(shard.state.encode_snapshot());
    EXPECT_TRUE(copy.has_value());
    auto view = parse_entry(entry);
    EXPECT_TRUE(view.has_value());
    ApplyResult result;
    auto applied = copy->apply(copy->next(), *view, result);
    return applied.has_value() ? ErrorCode::kInternal : applied.error().code;
  };
  const Data data = data_of(message("t", "p"));
  EXPECT_EQ(refused(encode_data(data, {.stream = kStream, .base_offset = Offset(1)})), ErrorCode::kCorrupt);
  const StreamId other{TopicId(2), PartitionId(0)};
  EXPECT_EQ(refused(encode_data(data, {.stream = other})), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(control::stream_trimmed({}, kStream, Offset(1))), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(control::stream_set({}, {TopicId(1), PartitionId(-1)}, config("t"))),
            ErrorCode::kCorrupt);
  EXPECT_EQ(refused(control::session_opened({}, {}, "", false, 0)), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(control::will_set({}, {}, "", {})), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(control::will_set({}, {}, "c", {.qos = 3, .address = {}, .batch = {}})),
            ErrorCode::kCorrupt);
  EXPECT_EQ(refused(control::will_ended({}, Lsn(0), true)), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(control::will_ended({}, Lsn(0), false)), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(encode_data(data, {.will = Lsn(0)})), ErrorCode::kCorrupt);
  SubscribeRequest wrong = request("a", 3);
  shard.open("c");
  EXPECT_EQ(refused(control::subscribed({}, {}, "c", std::span(&wrong, 1))), ErrorCode::kCorrupt);
}

TEST(ShardState, TimeNeverGoesBack) {
  LogAndState shard;
  shard.add(control::stream_deleted(WallTime{500}, kStream));
  shard.add(control::stream_deleted(WallTime{300}, kStream));
  EXPECT_EQ(shard.state.time(), WallTime{500});
}

TEST(ShardState, CapturesFollowTheConfiguration) {
  LogAndState shard;
  const StreamId other{TopicId(2), PartitionId(0)};
  const auto captured = [&](std::string_view address) {
    const auto all = shard.state.capturing({}, address, [address] { return message(address, "p"); });
    return std::vector<StreamId>(all.begin(), all.end());
  };
  shard.add(control::stream_set(shard.time, kStream, config("orders.eu")));
  shard.add(control::stream_set(shard.time, other, config("all", {"orders/#", "+/eu"})));
  EXPECT_EQ(captured("orders/eu"), (std::vector{kStream, other}));
  EXPECT_EQ(captured("orders/us"), (std::vector{other}));
  EXPECT_EQ(captured("all"), (std::vector<StreamId>()));
  shard.add(control::stream_set(shard.time, other, config("all")));
  EXPECT_EQ(captured("orders/us"), (std::vector<StreamId>()));
  EXPECT_EQ(captured("all"), (std::vector{other}));
  shard.add(control::stream_deleted(shard.time, kStream));
  EXPECT_EQ(captured("orders/eu"), (std::vector<StreamId>()));
}

TEST(ShardState, APartitionOwnsItsKeys) {
  LogAndState shard;
  StreamConfig three = config("t", {"#"});
  three.partition_count = 3;
  for (std::int32_t p = 0; p < 3; ++p) {
    shard.add(control::stream_set(shard.time, {TopicId(1), PartitionId(p)}, three));
  }
  for (int i = 0; i < 20; ++i) {
    const std::string address = "a/" + std::to_string(i);
    EXPECT_EQ(shard.state.capturing({}, address, [address] { return message(address, "p"); }).size(), 1u);
  }
}

// ---- sessions -------------------------------------------------------------------------------------------

TEST(ShardState, QueuesForMatchingSessions) {
  LogAndState shard;
  shard.open("one");
  shard.open("two");
  shard.subscribe("one", {request("a/+"), request("b", 0)});
  shard.subscribe("two", {request("#", 2)});
  const Lsn first = shard.publish(data_of(message("a/x", "p")));
  EXPECT_EQ(shard.result.sessions, (std::vector<std::uint32_t>{1, 2}));
  const Lsn second = shard.publish(data_of(message("b", "p", 2)));
  EXPECT_EQ(shard.result.sessions, (std::vector<std::uint32_t>{2}));
  shard.publish(data_of(message("a/x", "p", 0)));  // QoS 0 is never kept
  EXPECT_FALSE(shard.result.matched);
  EXPECT_EQ(queue_of(*shard.state.session({}, "one")), (Queue{{first.value, 0}}));
  EXPECT_EQ(queue_of(*shard.state.session({}, "two")), (Queue{{first.value, 0}, {second.value, 0}}));
  EXPECT_EQ(shard.state.session({}, "two")->at(0).qos, 1);
  EXPECT_EQ(shard.state.session({}, "two")->at(1).qos, 2);
  EXPECT_EQ(shard.state.queued_messages(), 3u);
  EXPECT_EQ(shard.state.lsn_needed(), first);
}

TEST(ShardState, OverlappingSubscriptionsGiveOneCopy) {
  // [MQTT-3.3.4-2], [MQTT-3.3.4-3]: the highest QoS, and all identifiers.
  LogAndState shard;
  shard.open("c");
  SubscribeRequest published = request("a/#", 1, 7);
  published.retain_as_published = true;
  shard.subscribe("c", {published, request("a/b", 2, 3), request("+/b", 1)});
  MessageView view = message("a/b", "p", 2);
  view.retain = true;
  shard.publish(data_of(view));
  const SessionState& session = *shard.state.session({}, "c");
  ASSERT_EQ(session.queued(), 1u);
  EXPECT_EQ(session.at(0).qos, 2);
  EXPECT_TRUE(session.at(0).retain);
  auto ids = session.subscription_ids(session.at(0));
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(ids, (std::vector<std::uint32_t>{3, 7}));
}

TEST(ShardState, NoLocalKeepsAnOwnMessageAway) {
  // [MQTT-3.8.3-3]
  LogAndState shard;
  shard.open("me");
  shard.open("you");
  SubscribeRequest not_mine = request("a");
  not_mine.no_local = true;
  shard.subscribe("me", {not_mine});
  shard.subscribe("you", {not_mine});
  Data data = data_of(message("a", "p"));
  data.publisher_hash = client_hash("me");
  shard.publish(data);
  EXPECT_EQ(shard.state.session({}, "me")->queued(), 0u);
  EXPECT_EQ(shard.state.session({}, "you")->queued(), 1u);
  // Another subscription of the same client still wants it.
  shard.subscribe("me", {request("#")});
  shard.publish(data);
  EXPECT_EQ(shard.state.session({}, "me")->queued(), 1u);
}

TEST(ShardState, TenantsAreApart) {
  LogAndState shard;
  shard.open("c");
  shard.subscribe("c", {request("#")});
  Data data = data_of(message("a", "p"));
  data.tenant = TenantId(5);
  shard.publish(data);
  EXPECT_FALSE(shard.result.matched);
  EXPECT_FALSE(shard.state.interested(TenantId(5), "a"));
  EXPECT_TRUE(shard.state.interested({}, "a"));
}

TEST(ShardState, EachRecordOfAKafkaBatchIsAMessage) {
  LogAndState shard;
  shard.open("all");
  shard.open("some");
  shard.subscribe("all", {request("#")});
  shard.subscribe("some", {request("other")});
  std::string batch;
  RecordBatchBuilder builder(batch, {.base_offset = {}, .compression = Compression::kZstd});
  const std::string large(1000, 'x');
  for (int i = 0; i < 3; ++i) {
    const std::string_view topic = i == 1 ? "other" : i == 2 ? "$SYS/x" : "t";
    const RecordHeader headers[] = {{"mqtt.topic", topic}, {"mqtt.qos", i == 0 ? "2" : "1"}};
    builder.append(1000 + i, std::nullopt, large, headers);
  }
  ASSERT_TRUE(builder.finish().has_value());
  Data data;
  data.kafka_batch = true;
  data.address = Bytes::copy("t");
  data.batch = Bytes::copy(batch);
  const Lsn closed = shard.publish(data);
  // Its producer may not name addresses: all are the topic's.
  EXPECT_EQ(queue_of(*shard.state.session({}, "all")),
            (Queue{{closed.value, 0}, {closed.value, 1}, {closed.value, 2}}));
  EXPECT_EQ(shard.result.sessions, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(shard.state.session({}, "some")->queued(), 0u);
  data.address_headers_allowed = true;
  const Lsn open = shard.publish(data);
  EXPECT_EQ(queue_of(*shard.state.session({}, "some")), (Queue{{open.value, 1}}));
  EXPECT_EQ(shard.state.session({}, "all")->queued(), 6u);  // $SYS/x became the topic's address
}

TEST(ShardState, SettlesInAnyOrder) {
  LogAndState shard;
  shard.open("c");
  shard.subscribe("c", {request("#")});
  std::vector<Lsn> lsns;
  for (int i = 0; i < 3; ++i) lsns.push_back(shard.publish(data_of(message("a", "p"))));
  const auto settle = [&](std::vector<control::Settled> items) {
    shard.add(control::settled(shard.time, items));
  };
  settle({{lsns[1], 1, 0}, {lsns[1], 1, 0}, {lsns[2], 9, 0}, {Lsn(777), 1, 0}, {lsns[2], 1, 5}});
  EXPECT_EQ(queue_of(*shard.state.session({}, "c")), (Queue{{lsns[0].value, 0}, {lsns[2].value, 0}}));
  EXPECT_EQ(shard.state.lsn_needed(), lsns[0]);
  settle({{lsns[0], 1, 0}});
  EXPECT_EQ(shard.state.lsn_needed(), lsns[2]);
  settle({{lsns[2], 1, 0}});
  EXPECT_EQ(shard.state.queued_messages(), 0u);
  EXPECT_EQ(shard.state.lsn_needed(), shard.state.next());
}

TEST(ShardState, SessionEpochsTellConnectionsApart) {
  LogAndState shard;
  const std::uint64_t first = shard.open("c").epoch;
  shard.subscribe("c", {request("a")});
  const std::uint64_t second = shard.open("c").epoch;
  EXPECT_LT(first, second);
  EXPECT_EQ(shard.state.session({}, "c")->subscriptions.size(), 1u);
  // The close of the first connection comes late.
  shard.add(control::session_closed(shard.time, {}, "c", first, 0, {}));
  EXPECT_TRUE(shard.state.session({}, "c")->connected);
  shard.time.ms += 1000;
  shard.add(control::session_closed(shard.time, {}, "c", second, 5, Lsn(2)));
  EXPECT_FALSE(shard.state.session({}, "c")->connected);
  EXPECT_EQ(shard.state.session({}, "c")->sent_below, Lsn(2));
  EXPECT_TRUE(shard.state.expired_sessions(WallTime{6999}, 10).empty());
  ASSERT_EQ(shard.state.expired_sessions(WallTime{7000}, 10).size(), 1u);
  // A clean start forgets [MQTT-3.1.2-4].
  const std::uint32_t number = shard.state.session({}, "c")->number;
  shard.open("c", true);
  EXPECT_NE(shard.state.session({}, "c")->number, number);
  EXPECT_TRUE(shard.state.session({}, "c")->subscriptions.empty());
  EXPECT_EQ(shard.result.removed_sessions, (std::vector<std::uint32_t>{number}));
  EXPECT_TRUE(shard.state.expired_sessions(WallTime{1 << 30}, 10).empty());
}

TEST(ShardState, ANewOwnerKnowsNobodyConnected) {
  LogAndState shard;
  shard.open("c", false, 1);
  shard.time.ms = 9000;
  const Lsn lsn = shard.add(control::owner_started(shard.time, Epoch(2), NodeId(1), {}));
  const SessionState& session = *shard.state.session({}, "c");
  EXPECT_FALSE(session.connected);
  EXPECT_EQ(session.closed_at_ms, 9000);
  EXPECT_EQ(session.sent_below, lsn);
  EXPECT_EQ(shard.state.expired_sessions(WallTime{10000}, 10).size(), 1u);
}

TEST(ShardState, RoutesChangeWithTheFirstAndTheLast) {
  LogAndState shard;
  shard.open("one");
  shard.open("two");
  shard.subscribe("one", {request("a", 0)});
  EXPECT_TRUE(shard.result.routes.empty());
  shard.subscribe("one", {request("a", 1)});
  ASSERT_EQ(shard.result.routes.size(), 1u);
  EXPECT_TRUE(shard.result.routes[0].interested);
  shard.subscribe("two", {request("a", 2)});
  EXPECT_TRUE(shard.result.routes.empty());
  shard.subscribe("one", {request("a", 2)});  // replaced
  EXPECT_TRUE(shard.result.routes.empty());
  shard.subscribe("one", {request("a", 0)});
  EXPECT_TRUE(shard.result.routes.empty());
  EXPECT_EQ(shard.state.interests().size(), 1u);
  shard.add(control::session_removed(shard.time, {}, "two"));
  ASSERT_EQ(shard.result.routes.size(), 1u);
  EXPECT_FALSE(shard.result.routes[0].interested);
  EXPECT_EQ(shard.result.routes[0].filter, "a");
  EXPECT_FALSE(shard.state.any_session_interest({}));
}

TEST(ShardState, QueuesOfAllSessionsHaveALimit) {
  LogAndState shard;
  ShardLimits limits;
  limits.queued_messages = 16;
  shard.add(control::owner_started(shard.time, Epoch(1), NodeId(1), limits));
  shard.open("slow");
  shard.open("quick");
  shard.subscribe("slow", {request("slow/#"), request("both")});
  shard.subscribe("quick", {request("quick"), request("both")});
  for (int i = 0; i < 16; ++i) shard.publish(data_of(message("slow/x", "p")));
  for (int i = 0; i < 3; ++i) shard.publish(data_of(message("quick", "p")));
  // The long queue pays, also for what others get.
  EXPECT_EQ(shard.state.session({}, "quick")->queued(), 3u);
  EXPECT_EQ(shard.state.session({}, "slow")->queued(), 13u);
  EXPECT_EQ(shard.state.queued_messages(), 16u);
  EXPECT_EQ(shard.state.dropped_messages(), 3u);
  for (int i = 0; i < 100; ++i) {
    shard.publish(data_of(message("both", "p")));
    ASSERT_LE(shard.state.queued_messages(), 16u);
  }
}

// ---- retained messages ----------------------------------------------------------------------------------

TEST(ShardState, RetainedIsTheLastOne) {
  LogAndState shard;
  MessageView view = message("a", "first");
  view.retain = true;
  const DataEntryParts here{.retain_here = true};
  shard.publish(data_of(view), here);
  EXPECT_TRUE(shard.result.retained);
  const std::uint64_t bytes = shard.state.retained_bytes();
  EXPECT_GT(bytes, 0u);
  view.payload = "other";
  const Lsn second = shard.publish(data_of(view), here);
  EXPECT_EQ(shard.state.retained_bytes(), bytes);
  ASSERT_EQ(shard.state.retained().size(), 1u);
  EXPECT_EQ(shard.state.retained().begin()->second.lsn, second);
  shard.publish(data_of(view));  // kept by another shard
  EXPECT_EQ(shard.state.retained().begin()->second.lsn, second);
  view.payload = "";  // [MQTT-3.3.1-6]
  shard.publish(data_of(view), here);
  EXPECT_TRUE(shard.state.retained().empty());
  EXPECT_EQ(shard.state.retained_bytes(), 0u);
  EXPECT_EQ(shard.state.lsn_needed(), shard.state.next());
}

TEST(ShardState, RetainedExpires) {
  LogAndState shard;
  MessageView view = message("a", "p");
  view.retain = true;
  view.expires_at_ms = 5000;
  const Lsn first = shard.publish(data_of(view), {.retain_here = true});
  EXPECT_TRUE(shard.state.expired_retained(WallTime{4999}, 10).empty());
  ASSERT_EQ(shard.state.expired_retained(WallTime{5000}, 10).size(), 1u);
  const auto expire = [&](Lsn lsn) {
    const control::ExpiredRetained one{{}, "a", lsn};
    shard.add(control::retained_expired(shard.time, std::span(&one, 1)));
  };
  expire(first + 1);  // names another message
  EXPECT_EQ(shard.state.retained().size(), 1u);
  expire(first);
  EXPECT_TRUE(shard.state.retained().empty());
  EXPECT_TRUE(shard.state.expired_retained(WallTime{1 << 30}, 10).empty());
  // Replaced by one that stays.
  shard.publish(data_of(view), {.retain_here = true});
  view.expires_at_ms.reset();
  shard.publish(data_of(view), {.retain_here = true});
  EXPECT_TRUE(shard.state.expired_retained(WallTime{1 << 30}, 10).empty());
}

TEST(ShardState, RetainedHasLimits) {
  LogAndState shard;
  ShardLimits limits;
  limits.retained_messages = 1;
  limits.retained_bytes = 10000;
  shard.add(control::owner_started(shard.time, Epoch(1), NodeId(1), limits));
  MessageView view = message("a", "p");
  view.retain = true;
  shard.publish(data_of(view), {.retain_here = true});
  EXPECT_TRUE(shard.state.can_retain({}, "a", 9000));
  EXPECT_FALSE(shard.state.can_retain({}, "a", 10000));
  EXPECT_FALSE(shard.state.can_retain({}, "b", 100));
}

// A shared subscription is kept for all of its members in a session of its own (subscription.h).
TEST(ShardState, SharedSubscriptions) {
  EXPECT_EQ(subscribed_filter("$share/g/a/#"), "a/#");
  EXPECT_EQ(subscribed_filter("$shared/g/a"), "$shared/g/a");
  LogAndState shard;
  shard.open("member");
  shard.subscribe("member", {request("$share/g/a/#", 1)});
  EXPECT_TRUE(shard.state.interests().empty());
  shard.publish(data_of(message("$share/g/a/#", "p")), {});
  EXPECT_EQ(shard.state.session(kDefaultTenant, "member")->queued(), 0u);
  EXPECT_EQ(shard.state.session(kDefaultTenant, "member")->subscriptions.size(), 1u);

  const std::string group = share_session_id("$share/g/a/#");
  EXPECT_TRUE(is_share_session(group));
  EXPECT_FALSE(is_share_session("$share/g/a/#"));
  EXPECT_EQ(share_of_session(group), "$share/g/a/#");
  shard.open(group);
  shard.subscribe(group, {request("a/#", 2), request(share_member("member"), 0)});
  EXPECT_EQ(shard.state.interests().size(), 1u);
  shard.publish(data_of(message("a/b", "p")), {});
  EXPECT_EQ(shard.state.session(kDefaultTenant, group)->queued(), 1u);
  EXPECT_EQ(shard.state.session(kDefaultTenant, "member")->queued(), 0u);
  const auto copy = ShardState::decode_snapshot(shard.state.encode_snapshot());
  ASSERT_TRUE(copy.has_value());
  EXPECT_EQ(copy->hash(), shard.state.hash());
}

TEST(ShardState, DirectedGoesToOneSession) {
  LogAndState shard;
  shard.open("one");
  shard.open("two");
  shard.subscribe("one", {request("#")});
  shard.subscribe("two", {request("#")});
  MessageView view = message("a", "p");
  view.retain = true;
  shard.publish(data_of(view), {.directed = DirectedTo{"two", 1, 9}});
  EXPECT_EQ(shard.state.session({}, "one")->queued(), 0u);
  const SessionState& two = *shard.state.session({}, "two");
  ASSERT_EQ(two.queued(), 1u);
  EXPECT_TRUE(two.at(0).retain);
  EXPECT_EQ(two.subscription_ids(two.at(0)), (std::vector<std::uint32_t>{9}));
}

// ---- forwards -------------------------------------------------------------------------------------------

TEST(ShardState, ForwardedOnce) {
  LogAndState shard;
  shard.add(control::stream_set(shard.time, kStream, config("t")));
  const ForwardSource source{ShardId(4), Epoch(1), Lsn(10)};
  const DataEntryParts parts{.stream = kStream, .source = source};
  shard.publish(data_of(message("t", "p")), parts);
  EXPECT_FALSE(shard.result.duplicate);
  EXPECT_EQ(shard.state.forward_cursor(ShardId(4)), Lsn(11));
  shard.publish(data_of(message("t", "p")), parts);
  EXPECT_TRUE(shard.result.duplicate);
  EXPECT_EQ(shard.state.stream(kStream)->next(), Offset(1));
  // By a later owner of the source, too.
  DataEntryParts later = parts;
  later.source->epoch = Epoch(2);
  shard.publish(data_of(message("t", "p")), later);
  EXPECT_TRUE(shard.result.duplicate);
  later.source->lsn = Lsn(15);
  shard.publish(data_of(message("t", "p")), later);
  EXPECT_FALSE(shard.result.duplicate);
#ifdef STELE_MUTANTS
  select_mutant(Mutant::kForwardCursorNotStored);
  later.source->lsn = Lsn(16);
  shard.publish(data_of(message("t", "p")), later);
  shard.publish(data_of(message("t", "p")), later);
  EXPECT_FALSE(shard.result.duplicate);
  EXPECT_EQ(shard.state.stream(kStream)->next(), Offset(4));
  select_mutant(Mutant::kNone);
#endif
}

TEST(ShardState, CopiesForFurtherStreamsComeOnce) {
  LogAndState shard;
  const StreamId other{TopicId(2), PartitionId(0)};
  shard.add(control::stream_set(shard.time, kStream, config("t")));
  shard.add(control::stream_set(shard.time, other, config("u")));
  const ForwardSource source{ShardId(4), Epoch(1), Lsn(0)};
  const Data data = data_of(message("t", "p"));
  const DataEntryParts copy{.stream_only = true, .stream = other, .source = source};
  EXPECT_FALSE(shard.state.copied(source, other));
  shard.publish(data, copy);
  EXPECT_TRUE(shard.state.copied(source, other));
  EXPECT_FALSE(shard.state.copied(source, kStream));
  EXPECT_EQ(shard.state.forward_cursor(ShardId(4)), Lsn(0));
  // A crash here; the source sends it again.
  shard.publish(data, copy);
  EXPECT_TRUE(shard.result.duplicate);
  shard.publish(data, {.stream = kStream, .source = source});
  EXPECT_FALSE(shard.result.duplicate);
  EXPECT_EQ(shard.state.stream(other)->next(), Offset(1));
  EXPECT_EQ(shard.state.stream(kStream)->next(), Offset(1));
  EXPECT_TRUE(shard.state.copied(source, other));
  const ForwardSource next{ShardId(4), Epoch(1), Lsn(3)};
  EXPECT_FALSE(shard.state.copied(next, other));
}

TEST(ShardState, PendingForwardsHoldTheLog) {
  LogAndState shard;
  const ShardId targets[] = {ShardId(2), ShardId(3), ShardId(2)};
  const Lsn first = shard.publish(data_of(message("a", "p")), {.forwards = targets});
  const Lsn second = shard.publish(data_of(message("a", "p")), {.forwards = targets});
  ASSERT_EQ(shard.state.pending_forwards().size(), 2u);
  EXPECT_EQ(shard.state.pending_forwards().at(ShardId(2)).size(), 2u);
  shard.add(control::forwarded_up_to(shard.time, ShardId(2), second));
  EXPECT_EQ(shard.state.lsn_needed(), first);
  shard.add(control::forwarded_up_to(shard.time, ShardId(3), second + 1));
  EXPECT_EQ(shard.state.lsn_needed(), second);
  shard.add(control::forwarded_up_to(shard.time, ShardId(2), second + 1));
  EXPECT_TRUE(shard.state.pending_forwards().empty());
}

// ---- snapshots ------------------------------------------------------------------------------------------

TEST(ShardSnapshot, DamageIsNoticed) {
  LogAndState shard;
  shard.add(control::stream_set(shard.time, kStream, config("t")));
  shard.open("c");
  shard.subscribe("c", {request("a")});
  shard.publish(data_of(message("t", "p")), {.stream = kStream});
  const std::string snapshot = shard.state.encode_snapshot();
  ASSERT_TRUE(ShardState::decode_snapshot(snapshot).has_value());
  for (std::size_t i = 0; i < snapshot.size(); ++i) {
    EXPECT_FALSE(ShardState::decode_snapshot(snapshot.substr(0, i)).has_value()) << i;
    std::string bent = snapshot;
    bent[i] = static_cast<char>(bent[i] ^ 0x40);
    EXPECT_FALSE(ShardState::decode_snapshot(bent).has_value()) << i;
  }
  EXPECT_FALSE(ShardState::decode_snapshot(snapshot + "x").has_value());
  std::string newer = snapshot;
  newer[8] = 127;
  EXPECT_EQ(ShardState::decode_snapshot(newer).error().code, ErrorCode::kUnsupported);
}

namespace {

// The snapshot as an older version would have written it: without the last bytes of some of its sections, by
// kind.
std::string older(const std::string& snapshot, std::uint32_t version,
                  const std::map<std::uint8_t, std::size_t>& without) {
  std::string out = snapshot.substr(0, 8);
  Writer writer(out);
  writer.le(version);
  Reader reader(std::string_view(snapshot).substr(12));
  while (true) {
    const std::uint8_t kind = reader.u8();
    std::string payload(reader.bytes(reader.le<std::uint64_t>()));
    reader.le<std::uint32_t>();
    EXPECT_TRUE(reader.ok());
    if (kind == 255) {
      payload.clear();
      Writer(payload).le(static_cast<std::uint64_t>(out.size())).le(crc32c(out));
    }
    if (auto found = without.find(kind); found != without.end()) {
      payload.resize(payload.size() - found->second);
    }
    std::string section;
    Writer(section).u8(kind).le(static_cast<std::uint64_t>(payload.size())).bytes(payload);
    writer.bytes(section).le(crc32c(section));
    if (kind == 255) return out;
  }
}

}  // namespace

// Groups came with version 4.
TEST(ShardSnapshot, WithGroupsIsOfNoOlderVersion) {
  LogAndState shard;
  shard.add(control::stream_set(shard.time, kStream, config("t")));
  CommittedOffset offset;
  offset.offset = Offset(1);
  const std::pair<StreamId, CommittedOffset> offsets[] = {{kStream, offset}};
  shard.add(control::offsets_committed(shard.time, {TenantId(0), "g"}, offsets));
  const std::string now = shard.state.encode_snapshot();
  // Version 5 added the limit of wills, none.
  EXPECT_TRUE(ShardState::decode_snapshot(older(now, 4, {{1, 10}})).has_value());
  EXPECT_FALSE(ShardState::decode_snapshot(older(now, 3, {{1, 10}})).has_value());
}

// Wills came with version 5.
TEST(ShardSnapshot, WithWillsIsOfNoOlderVersion) {
  LogAndState shard;
  Data data = data_of(message("w", "gone"));
  shard.add(control::will_set(
      shard.time, {}, "c", {.qos = 1, .address = std::move(data.address), .batch = std::move(data.batch)}));
  const std::string now = shard.state.encode_snapshot();
  const auto state = ShardState::decode_snapshot(now);
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->wills().all().size(), 1u);
  EXPECT_EQ(state->wills().bytes(), shard.state.wills().bytes());
  EXPECT_FALSE(ShardState::decode_snapshot(older(now, 4, {{1, 10}})).has_value());
}

TEST(ShardSnapshot, OfOlderVersionsIsTaken) {
  LogAndState shard;
  shard.add(control::stream_set(shard.time, kStream, config("t")));
  shard.open("c");
  const std::string now = shard.state.encode_snapshot();
  // What version 3 added: at the end of the first section the limit of unreleased messages, none; at the end
  // of a session its QoS 2, empty. Version 2: the limit of producers, none, and how many were forgotten, 0.
  // Version 5: the limit of wills, none.
  using Without = std::map<std::uint8_t, std::size_t>;
  const Without version1{{1, 31}, {3, 6}};
  const std::vector<Without> of_version{version1, Without{{1, 20}, {3, 6}}, Without{{1, 10}},
                                        Without{{1, 10}}, Without{}};
  for (std::uint32_t version = 1; version <= 5; ++version) {
    const auto state = ShardState::decode_snapshot(older(now, version, of_version[version - 1]));
    ASSERT_TRUE(state.has_value()) << version << ": " << state.error().to_string();
    EXPECT_EQ(state->hash(), shard.state.hash());
  }
  EXPECT_FALSE(ShardState::decode_snapshot(older(now, 2, version1)).has_value());
}

TEST(ShardSnapshot, LargeStatesComeInChunks) {
  LogAndState shard;
  const std::string payload(10000, 'x');
  for (int i = 0; i < 200; ++i) {
    MessageView view = message("a", payload);
    const std::string address = "a/" + std::to_string(i);
    view.address = address;
    view.retain = true;
    shard.publish(data_of(view), {.retain_here = true});
  }
  std::string whole;
  for (const Bytes& chunk : shard.state.encode_snapshot_chunks()) {
    EXPECT_LT(chunk.size(), 300000u);
    whole.append(chunk);
  }
  EXPECT_EQ(whole, shard.state.encode_snapshot());
  auto again = ShardState::decode_snapshot(whole);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->hash(), shard.state.hash());
  EXPECT_EQ(again->retained_bytes(), shard.state.retained_bytes());
}

}  // namespace
}  // namespace stele::broker
