#include "broker/decide.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "broker/shard_testing.h"
#include "model/record_batch.h"
#include "model/record_batch_builder.h"

namespace stele::broker {
namespace {

using decide::Forward;
using testing::data_of;
using testing::LogAndState;
using testing::message;
using testing::request;

const StreamId kFirst{TopicId(1), PartitionId(0)};
const StreamId kSecond{TopicId(2), PartitionId(0)};
const decide::Owner kOwner{WallTime{5000}, Epoch(7)};

void add_stream(LogAndState& shard, StreamId id, std::string name, std::vector<std::string> captures,
                std::string key = "address", bool log_append_time = false) {
  StreamConfig config;
  config.name = std::move(name);
  config.captures = std::move(captures);
  config.key = std::move(key);
  config.log_append_time = log_append_time;
  shard.add(control::stream_set(shard.time, id, config));
}

// What the owner does with a decision.
void carry_out(LogAndState& shard, decide::Publish&& made) {
  for (storage::LogEntry& copy : made.copies) shard.add(std::move(copy));
  shard.add(std::move(made.entry));
}

struct Stored {
  RecordBatchHeader header;
  std::optional<std::string> key;
  std::optional<StreamId> stream;
};
Stored stored(const storage::LogEntry& entry) {
  auto view = parse_entry(entry);
  EXPECT_TRUE(view.has_value());
  const Bytes bytes = batch_bytes(entry, view->data);
  auto batch = parse_record_batch(bytes);
  EXPECT_TRUE(batch.has_value() && check_crc(*batch).has_value());
  RecordIterator records(batch->header, batch->records());
  EXPECT_TRUE(records.next());
  Stored out{batch->header, std::nullopt, view->data.stream};
  if (records.record().key) out.key = std::string(*records.record().key);
  return out;
}

TEST(Decide, PublishGoesToEveryCapturingStream) {
  LogAndState shard;
  add_stream(shard, kFirst, "first", {"a/#"});
  add_stream(shard, kSecond, "second", {"+/b"}, "none", true);
  for (std::int64_t i = 0; i < 3; ++i) {
    auto made = decide::publish(shard.state, kOwner, data_of(message("a/b", "p")), {}, false);
    ASSERT_TRUE(made.has_value());
    ASSERT_EQ(made->copies.size(), 1u);
    EXPECT_EQ(made->data.stream, kFirst);
    EXPECT_EQ(made->base_offset, Offset(i));
    const Stored entry = stored(made->entry), copy = stored(made->copies.front());
    EXPECT_EQ(entry.stream, kFirst);
    EXPECT_EQ(entry.key, "a/b");
    EXPECT_EQ(entry.header.base_offset, Offset(i));
    EXPECT_EQ(entry.header.partition_leader_epoch, 7);
    EXPECT_EQ(entry.header.max_timestamp_ms, 1000);
    EXPECT_EQ(copy.stream, kSecond);
    EXPECT_EQ(copy.key, std::nullopt);
    EXPECT_TRUE(copy.header.log_append_time());
    EXPECT_EQ(copy.header.max_timestamp_ms, 5000);
    carry_out(shard, *std::move(made));
  }
  EXPECT_EQ(shard.state.stream(kFirst)->next(), Offset(3));
  EXPECT_EQ(shard.state.stream(kSecond)->next(), Offset(3));
}

TEST(Decide, TheStreamThePublisherMeantGoesFirst) {
  LogAndState shard;
  add_stream(shard, kFirst, "first", {"a/#"});
  add_stream(shard, kSecond, "second", {"a/#"}, "none");
  Data data = data_of(message("a/b", "p"), *KeyRule::parse("none"));
  data.keyed_by_address = false;
  data.stream = kSecond;
  const char* const batch = data.batch.data();
  auto made = decide::publish(shard.state, kOwner, data, {}, false);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->data.stream, kSecond);
  EXPECT_EQ(made->data.batch.data(), batch);  // its key is right already
  ASSERT_EQ(made->copies.size(), 1u);
  EXPECT_EQ(stored(made->copies.front()).key, "a/b");
  // Its view was old: there is no such stream any more.
  shard.add(control::stream_deleted(shard.time, kSecond));
  made = decide::publish(shard.state, kOwner, data, {}, false);
  EXPECT_EQ(made->data.stream, kFirst);
  EXPECT_EQ(stored(made->entry).key, "a/b");
  shard.add(control::stream_deleted(shard.time, kFirst));
  made = decide::publish(shard.state, kOwner, data, {}, false);
  EXPECT_EQ(made->data.stream, std::nullopt);
  EXPECT_EQ(made->base_offset, Offset(-1));
}

TEST(Decide, ProduceGoesToItsPartitionOnly) {
  LogAndState shard;
  add_stream(shard, kFirst, "first", {"#"});
  add_stream(shard, kSecond, "second", {}, "none", true);
  Data data = data_of(message("second", "p"));
  data.kafka_batch = true;
  data.stream = kSecond;
  auto made = decide::publish(shard.state, kOwner, data, {}, false);
  ASSERT_TRUE(made.has_value());
  EXPECT_TRUE(made->copies.empty());
  EXPECT_EQ(made->append_time_ms, 5000);
  EXPECT_EQ(stored(made->entry).key, "second");  // as the producer made it
  data.stream = StreamId{TopicId(9), PartitionId(0)};
  EXPECT_EQ(decide::publish(shard.state, kOwner, data, {}, false).error().code, ErrorCode::kNotFound);
}

Data produced(std::int64_t producer, std::int16_t epoch, std::int32_t sequence, int records) {
  std::string batch;
  RecordBatchOptions options;
  options.producer_id = producer;
  options.producer_epoch = epoch;
  options.base_sequence = sequence;
  RecordBatchBuilder builder(batch, options);
  for (int i = 0; i < records; ++i) builder.append(1000, std::nullopt, "v");
  EXPECT_TRUE(builder.finish().has_value());
  Data data;
  data.kafka_batch = true;
  data.stream = kFirst;
  data.address = Bytes::copy("first");
  data.batch = Bytes::copy(batch);
  return data;
}

TEST(Decide, AnIdempotentProducersBatchIsStoredOnce) {  // KIP-98
  LogAndState shard;
  add_stream(shard, kFirst, "first", {});
  std::vector<Lsn> lsns;
  for (std::int32_t i = 0; i < 3; ++i) {
    auto made = decide::publish(shard.state, kOwner, produced(5, 0, 2 * i, 2), {}, false);
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(made->base_offset, Offset(2 * i));
    EXPECT_EQ(made->duplicate_of, std::nullopt);
    lsns.push_back(shard.state.next());
    carry_out(shard, *std::move(made));
  }
  const auto again = decide::publish(shard.state, kOwner, produced(5, 0, 2, 2), {}, false);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->duplicate_of, lsns[1]);
  EXPECT_EQ(again->base_offset, Offset(2));
  EXPECT_EQ(again->append_time_ms, -1);
  const auto code = [&](const Data& data) {
    const auto made = decide::publish(shard.state, kOwner, data, {}, false);
    return made ? std::nullopt : std::optional(made.error().code);
  };
  EXPECT_EQ(code(produced(5, 0, 7, 1)), ErrorCode::kOutOfOrder);
  EXPECT_EQ(code(produced(5, 1, 6, 1)), ErrorCode::kOutOfOrder);
  EXPECT_EQ(code(produced(5, 1, 0, 1)), std::nullopt);
  EXPECT_EQ(code(produced(6, 3, 77, 1)), std::nullopt);  // KIP-360
  carry_out(shard, *decide::publish(shard.state, kOwner, produced(5, 1, 0, 1), {}, false));
  EXPECT_EQ(code(produced(5, 0, 6, 1)), ErrorCode::kFenced);
  // Without an id every batch is a new one.
  for (int i = 0; i < 2; ++i) {
    auto made = decide::publish(shard.state, kOwner, produced(-1, -1, -1, 1), {}, false);
    EXPECT_EQ(made->base_offset, Offset(7 + i));
    carry_out(shard, *std::move(made));
  }
}

TEST(Decide, ADuplicateIsAnsweredWithTheTimeOfTheFirst) {
  LogAndState shard;
  add_stream(shard, kFirst, "first", {}, "address", true);
  auto made = decide::publish(shard.state, kOwner, produced(5, 0, 0, 1), {}, false);
  EXPECT_EQ(made->append_time_ms, 5000);
  carry_out(shard, *std::move(made));
  const auto again =
      decide::publish(shard.state, {WallTime{9000}, Epoch(7)}, produced(5, 0, 0, 1), {}, false);
  EXPECT_TRUE(again->duplicate_of.has_value());
  EXPECT_EQ(again->append_time_ms, 5000);
}

TEST(Decide, RetainedBeyondTheLimitIsRefused) {
  LogAndState shard;
  ShardLimits limits;
  limits.retained_messages = 1;
  shard.add(control::owner_started(shard.time, Epoch(1), NodeId(1), limits));
  MessageView view = message("a", "p");
  view.retain = true;
  carry_out(shard, *decide::publish(shard.state, kOwner, data_of(view), {}, true));
  EXPECT_EQ(shard.state.retained().size(), 1u);
  view.address = "b";
  const auto refused = decide::publish(shard.state, kOwner, data_of(view), {}, true);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kNoSpace);
  EXPECT_TRUE(decide::publish(shard.state, kOwner, data_of(view), {}, false).has_value());
  // Forwarded, it goes to those who are there, and is not kept.
  const Forward forward =
      decide::forwarded(shard.state, kOwner, {ShardId(3), Epoch(1), Lsn(0)}, {}, data_of(view), true);
  EXPECT_FALSE(parse_entry(forward.publish.entry)->data.retain_here);
  // What deletes is never too much.
  view.payload = "";
  EXPECT_TRUE(decide::publish(shard.state, kOwner, data_of(view), {}, true).has_value());
}

TEST(Decide, WhatWasSentBeforeIsKnownUntilItIsReleased) {
  LogAndState shard;
  auto opened = decide::open_session(shard.state, shard.time, {}, "c", false, 3600);
  ASSERT_TRUE(opened.has_value() && opened->entry.has_value());
  shard.add(*std::move(opened->entry));
  const SessionState* session = shard.state.session({}, "c");
  ASSERT_NE(session, nullptr);
  const OnceId once{session->number, session->epoch, 7};
  EXPECT_EQ(*decide::sent_before(shard.state, once), std::nullopt);
  const Lsn lsn = shard.state.next();
  carry_out(shard, *decide::publish(shard.state, kOwner, data_of(message("a", "p")), {}, false, once));
  EXPECT_EQ(*decide::sent_before(shard.state, once), lsn);
  EXPECT_EQ(*decide::sent_before(shard.state, {once.session, once.epoch, 8}), std::nullopt);
  EXPECT_EQ(decide::sent_before(shard.state, {once.session, once.epoch + 1, 7}).error().code,
            ErrorCode::kClosed);
}

TEST(Decide, ForwardedOnceAndInOrder) {
  LogAndState shard;
  const Data data = data_of(message("a", "p"));
  const auto forward = [&](std::uint64_t lsn, std::optional<Lsn> after) {
    Forward made =
        decide::forwarded(shard.state, kOwner, {ShardId(3), Epoch(1), Lsn(lsn)}, after, data, false);
    if (made.what == Forward::What::kNew) carry_out(shard, std::move(made.publish));
    return made.what;
  };
  EXPECT_EQ(forward(4, std::nullopt), Forward::What::kNew);
  EXPECT_EQ(forward(4, std::nullopt), Forward::What::kHere);
  EXPECT_EQ(forward(9, Lsn(6)), Forward::What::kGap);
  EXPECT_EQ(forward(6, Lsn(4)), Forward::What::kNew);
  EXPECT_EQ(forward(9, Lsn(6)), Forward::What::kNew);
}

TEST(Decide, ACrashBetweenCopiesDuplicatesNothing) {
  const Data data = data_of(message("a/b", "p"));
  const ForwardSource source{ShardId(3), Epoch(1), Lsn(4)};
  // However many entries of the first try were stored, and whatever became of the configuration since.
  for (std::size_t stored_entries = 0; stored_entries <= 2; ++stored_entries) {
    for (bool first_gone : {false, true}) {
      LogAndState shard;
      const StreamId third{TopicId(3), PartitionId(0)};
      add_stream(shard, kFirst, "first", {"a/#"});
      add_stream(shard, kSecond, "second", {"a/#"});
      add_stream(shard, third, "third", {"a/#"});
      Forward once = decide::forwarded(shard.state, kOwner, source, {}, data, false);
      ASSERT_EQ(once.publish.copies.size(), 2u);
      for (std::size_t i = 0; i < stored_entries; ++i) shard.add(std::move(once.publish.copies[i]));
      if (first_gone) shard.add(control::stream_deleted(shard.time, kFirst));
      Forward again = decide::forwarded(shard.state, kOwner, source, {}, data, false);
      ASSERT_EQ(again.what, Forward::What::kNew);
      carry_out(shard, std::move(again.publish));
      for (StreamId id : {kFirst, kSecond, third}) {
        if (const StreamState* stream = shard.state.stream(id)) {
          EXPECT_EQ(stream->next(), Offset(1));
        }
      }
      EXPECT_EQ(decide::forwarded(shard.state, kOwner, source, {}, data, false).what, Forward::What::kHere);
    }
  }
}

TEST(Decide, SessionsAreOpenedAndClosed) {
  LogAndState shard;
  const auto open = [&](bool clean, std::uint32_t expiry_s) {
    auto made = decide::open_session(shard.state, shard.time, {}, "c", clean, expiry_s);
    EXPECT_TRUE(made.has_value());
    if (made->entry) shard.add(*std::move(made->entry));
    return *std::move(made);
  };
  const auto close = [&](std::optional<std::uint32_t> expiry_s) {
    const SessionState* session = shard.state.session({}, "c");
    auto entry = decide::close_session(shard.state, shard.time, {}, "c", session->epoch, expiry_s, {});
    if (entry) shard.add(*std::move(entry));
    return entry.has_value();
  };
  EXPECT_FALSE(open(true, 0).durable);  // nothing is kept of it
  EXPECT_TRUE(shard.state.sessions().empty());
  EXPECT_FALSE(open(false, 10).present);
  EXPECT_TRUE(close(std::nullopt));
  EXPECT_FALSE(close(std::nullopt));  // is closed
  shard.time.ms += 9999;
  const decide::OpenSession continued = open(false, 0);
  EXPECT_TRUE(continued.present);
  EXPECT_TRUE(continued.durable);
  EXPECT_TRUE(close(10));
  shard.time.ms += 10000;
  EXPECT_FALSE(open(false, 10).present);  // its time was over
  EXPECT_EQ(shard.state.session({}, "c")->number, 2u);
  EXPECT_FALSE(decide::close_session(shard.state, shard.time, {}, "c", 1, {}, {}).has_value());
  EXPECT_TRUE(close(0));
  EXPECT_TRUE(shard.state.sessions().empty());
  open(false, 10);
  EXPECT_FALSE(open(true, 0).durable);  // removes it
  EXPECT_TRUE(shard.state.sessions().empty());
}

TEST(Decide, LimitsOfSessions) {
  LogAndState shard;
  ShardLimits limits;
  limits.sessions = 1;
  limits.subscriptions_per_session = 2;
  shard.add(control::owner_started(shard.time, Epoch(1), NodeId(1), limits));
  shard.add(*decide::open_session(shard.state, shard.time, {}, "c", false, 10)->entry);
  EXPECT_EQ(decide::open_session(shard.state, shard.time, {}, "d", false, 10).error().code,
            ErrorCode::kNoSpace);
  EXPECT_TRUE(decide::open_session(shard.state, shard.time, {}, "d", false, 0).has_value());
  EXPECT_TRUE(decide::open_session(shard.state, shard.time, {}, "c", true, 10).has_value());
  const auto subscribe = [&](std::vector<SubscribeRequest> requests) {
    auto made = decide::subscribe(shard.state, shard.time, {}, "c", requests);
    if (made) shard.add(*std::move(made));
    return made.has_value();
  };
  EXPECT_TRUE(subscribe({request("a"), request("a", 2), request("b")}));
  EXPECT_TRUE(subscribe({request("a", 0)}));  // replaced
  EXPECT_FALSE(subscribe({request("c")}));
  EXPECT_EQ(shard.state.session({}, "c")->subscriptions.size(), 2u);
  const SubscribeRequest one = request("a");
  EXPECT_EQ(decide::subscribe(shard.state, {}, {}, "nobody", std::span(&one, 1)).error().code,
            ErrorCode::kNotFound);
}

// Section 4.3.3 of MQTT 5.0: what the client has not released is the message it was.
TEST(Decide, QoS2IsStoredOnce) {
  LogAndState shard;
  const SessionState& session = shard.open("c");
  const OnceId once{session.number, session.epoch, 9};
  const auto publish = [&](const OnceId& id) {
    return decide::publish(shard.state, kOwner, data_of(message("a", "p", 2)), {}, false, id);
  };
  auto first = publish(once);
  ASSERT_TRUE(first && !first->duplicate_of);
  const Lsn stored_at = shard.state.next();
  carry_out(shard, *std::move(first));
  auto again = publish(once);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->duplicate_of, stored_at);
  OnceId other = once;
  other.packet_id = 10;
  EXPECT_FALSE(publish(other)->duplicate_of);
  // On the client's next connection too, and not for the one before any more.
  const OnceId anew{session.number, shard.open("c").epoch, 9};
  EXPECT_EQ(publish(anew)->duplicate_of, stored_at);
  EXPECT_EQ(publish(once).error().code, ErrorCode::kClosed);
  const control::PacketId released[] = {{session.number, 9}};
  shard.add(control::released(shard.time, released));
  EXPECT_FALSE(publish(anew)->duplicate_of);
  shard.add(control::session_removed(shard.time, {}, "c"));
  EXPECT_EQ(publish(anew).error().code, ErrorCode::kClosed);
}

TEST(Decide, TooManyUnreleasedAreRefused) {
  LogAndState shard;
  ShardLimits limits;
  limits.unreleased_per_session = 2;
  shard.add(control::owner_started(shard.time, Epoch(1), NodeId(1), limits));
  const SessionState& session = shard.open("c");
  for (std::uint16_t id = 1; id <= 3; ++id) {
    auto made = decide::publish(shard.state, kOwner, data_of(message("a", "p", 2)), {}, false,
                                OnceId{session.number, session.epoch, id});
    if (id == 3) {
      EXPECT_EQ(made.error().code, ErrorCode::kNoSpace);
    } else {
      carry_out(shard, *std::move(made));
    }
  }
  EXPECT_TRUE(decide::publish(shard.state, kOwner, data_of(message("a", "p", 2)), {}, false,
                              OnceId{session.number, session.epoch, 2})
                  ->duplicate_of);
}

// The log ended between a copy and its message.
TEST(Decide, CopiesOfAnUnfinishedQoS2MessageAreNotMadeAgain) {
  LogAndState shard;
  add_stream(shard, kFirst, "first", {"a/#"});
  add_stream(shard, kSecond, "second", {"a/b"});
  const SessionState& session = shard.open("c");
  const OnceId once{session.number, session.epoch, 1};
  const auto publish = [&] {
    return decide::publish(shard.state, kOwner, data_of(message("a/b", "p", 2)), {}, false, once);
  };
  auto made = publish();
  ASSERT_EQ(made->copies.size(), 1u);
  shard.add(std::move(made->copies.front()));
  auto rest = publish();
  ASSERT_TRUE(rest && !rest->duplicate_of);
  EXPECT_TRUE(rest->copies.empty());
  carry_out(shard, *std::move(rest));
  EXPECT_EQ(shard.state.stream(kFirst)->next(), Offset(1));
  EXPECT_EQ(shard.state.stream(kSecond)->next(), Offset(1));
  EXPECT_TRUE(publish()->duplicate_of);
}

WillContent will(std::string_view address, std::uint32_t delay_s = 0) {
  Data data = data_of(message(address, "gone"));
  return {.delay_s = delay_s, .qos = 1, .address = std::move(data.address), .batch = std::move(data.batch)};
}

const Will* will_of(const LogAndState& shard, std::string_view client) {
  for (const auto& [id, will] : shard.state.wills().all()) {
    if (id.first == WillTable::ClientKey(TenantId(), client)) return &will;
  }
  return nullptr;
}

TEST(Decide, AWillIsPartOfWhatConnectWrites) {
  LogAndState shard;
  const auto open = [&](bool clean, std::uint32_t expiry_s, const WillContent* will) {
    auto made = decide::open_session(shard.state, shard.time, {}, "c", clean, expiry_s, will);
    EXPECT_TRUE(made.has_value());
    const bool wrote = made->entry.has_value();
    if (wrote) shard.add(*std::move(made->entry));
    return wrote;
  };
  const WillContent gone = will("w", 5);
  // A client without one writes nothing for its sake.
  EXPECT_FALSE(open(true, 0, nullptr));
  EXPECT_TRUE(open(true, 0, &gone));
  ASSERT_TRUE(will_of(shard, "c"));
  EXPECT_TRUE(will_of(shard, "c")->armed());
  EXPECT_EQ(shard.state.session({}, "c"), nullptr);
  shard.add(control::will_ended(shard.time, Lsn(0), true));
  EXPECT_FALSE(will_of(shard, "c"));
  EXPECT_FALSE(open(true, 0, nullptr));
  // With the session's own entry, where there is one.
  EXPECT_TRUE(open(false, 60, &gone));
  EXPECT_TRUE(will_of(shard, "c")->armed());
  EXPECT_TRUE(shard.state.session({}, "c")->connected);
  // [MQTT-3.14.4-3]
  const std::uint64_t epoch = shard.state.session({}, "c")->epoch;
  shard.add(*decide::close_session(shard.state, shard.time, {}, "c", epoch, {}, Lsn(), true));
  EXPECT_FALSE(will_of(shard, "c"));
  // The session before goes with the entry of the next connection's will.
  EXPECT_TRUE(open(true, 0, &gone));
  EXPECT_EQ(shard.state.session({}, "c"), nullptr);
  EXPECT_TRUE(will_of(shard, "c")->armed());
}

TEST(Decide, AWillWaitsForItsDelayUnlessItsClientComesBack) {  // [MQTT-3.1.3-9]
  LogAndState shard;
  const WillContent gone = will("w", 5);
  const auto open = [&](bool clean, std::uint32_t expiry_s, const WillContent* with) {
    shard.add(*decide::open_session(shard.state, shard.time, {}, "c", clean, expiry_s, with)->entry);
    return shard.state.session({}, "c") ? shard.state.session({}, "c")->epoch : 0;
  };
  const auto lose = [&](std::uint64_t epoch) {
    shard.add(*decide::close_session(shard.state, shard.time, {}, "c", epoch, {}, Lsn()));
  };
  const auto due = [&] { return shard.state.wills().due(shard.time, 10).size(); };
  lose(open(true, 60, &gone));
  EXPECT_EQ(will_of(shard, "c")->due_at_ms, shard.time.ms + 5000);
  shard.time.ms += 4999;
  EXPECT_EQ(due(), 0u);
  const std::uint64_t back = open(false, 60, nullptr);
  EXPECT_FALSE(will_of(shard, "c"));
  lose(back);
  // A new session: the old one has ended, and its will is due at once.
  lose(open(false, 60, &gone));
  EXPECT_EQ(due(), 0u);
  open(true, 60, &gone);
  EXPECT_EQ(due(), 1u);
  EXPECT_EQ(shard.state.wills().all().size(), 2u);
  // An owner that begins knows nobody connected: the other one's delay begins.
  shard.add(control::owner_started(shard.time, Epoch(2), NodeId(1), {}));
  EXPECT_EQ(due(), 1u);
  shard.time.ms += 5000;
  EXPECT_EQ(due(), 2u);
}

TEST(Decide, AWillOfASessionThatExpiresGoesWithIt) {
  LogAndState shard;
  const WillContent gone = will("w", 500);
  shard.add(*decide::open_session(shard.state, shard.time, {}, "c", true, 3, &gone)->entry);
  const std::uint64_t epoch = shard.state.session({}, "c")->epoch;
  // DISCONNECT with 0x04 may say another expiry.
  shard.add(*decide::close_session(shard.state, shard.time, {}, "c", epoch, 7, Lsn()));
  EXPECT_EQ(will_of(shard, "c")->due_at_ms, shard.time.ms + 7000);
  shard.add(control::session_removed(shard.time, {}, "c"));
  EXPECT_EQ(will_of(shard, "c")->due_at_ms, shard.time.ms);
}

TEST(Decide, AWillIsPublishedOnce) {
  LogAndState shard;
  add_stream(shard, kFirst, "first", {"w"});
  add_stream(shard, kSecond, "second", {"w"});
  shard.open("kept", false, 60);
  shard.subscribe("kept", {request("w")});
  const WillContent gone = will("w");
  const Lsn lsn = shard.add(*decide::open_session(shard.state, shard.time, {}, "c", true, 0, &gone)->entry);
  shard.add(control::will_ended(shard.time, lsn, false));
  ASSERT_EQ(shard.state.wills().due(shard.time, 10), std::vector{lsn});
  const auto publish = [&] {
    Data data = data_of(message("w", "gone"));
    data.retain = true;
    return decide::publish_will(shard.state, kOwner, lsn, std::move(data), std::vector{ShardId(3)}, true);
  };
  decide::Publish made = publish();
  ASSERT_EQ(made.copies.size(), 1u);
  // The owner ends after the first of its entries.
  shard.add(std::move(made.copies.front()));
  ASSERT_TRUE(will_of(shard, "c"));
  made = publish();
  EXPECT_TRUE(made.copies.empty());
  const storage::LogEntry again = made.entry;
  carry_out(shard, std::move(made));
  EXPECT_FALSE(will_of(shard, "c"));
  EXPECT_EQ(shard.state.stream(kFirst)->next(), Offset(1));
  EXPECT_EQ(shard.state.stream(kSecond)->next(), Offset(1));
  EXPECT_EQ(shard.state.retained().size(), 1u);
  EXPECT_EQ(shard.state.pending_forwards().at(ShardId(3)).size(), 1u);
  EXPECT_EQ(shard.state.session({}, "kept")->queued(), 1u);
  // No log has it twice.
  const auto view = parse_entry(again);
  ApplyResult result;
  EXPECT_EQ(shard.state.apply(shard.state.next(), *view, result).error().code, ErrorCode::kCorrupt);
}

TEST(Decide, WillsHaveALimit) {
  LogAndState shard;
  const WillContent gone = will("w");
  ShardLimits limits;
  limits.will_bytes = WillTable::bytes_of({TenantId(), "c"}, gone);
  limits.retained_messages = 0;
  shard.add(control::owner_started(shard.time, Epoch(1), NodeId(1), limits));
  const auto open = [&](std::string_view client, std::uint32_t expiry_s, const WillContent* with) {
    return decide::open_session(shard.state, shard.time, {}, client, true, expiry_s, with);
  };
  auto first = open("c", 0, &gone);
  ASSERT_TRUE(first.has_value());
  const Lsn lsn = shard.add(*std::move(first->entry));
  EXPECT_EQ(shard.state.wills().bytes(), limits.will_bytes);
  EXPECT_EQ(open("d", 0, &gone).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(open("d", 60, &gone).error().code, ErrorCode::kNoSpace);
  EXPECT_TRUE(open("d", 60, nullptr).has_value());
  // Too many retained messages: nobody waits for an answer, the message is published all the same.
  Data data = data_of(message("w", "gone"));
  data.retain = true;
  carry_out(shard, decide::publish_will(shard.state, kOwner, lsn, std::move(data), {}, true));
  EXPECT_TRUE(shard.state.retained().empty());
  EXPECT_EQ(shard.state.wills().bytes(), 0u);
  EXPECT_TRUE(open("d", 0, &gone).has_value());
}

// [MQTT-2.2.1-4]: what is in use is not given again; what was dropped stays in use until it is released.
TEST(Decide, PacketIdentifiersOfTheLog) {
  LogAndState shard;
  ShardLimits limits;
  limits.session_queue.messages = 3;
  shard.add(control::owner_started(shard.time, Epoch(1), NodeId(1), limits));
  const SessionState& session = shard.open("c");
  shard.subscribe("c", {request("#", 2)});
  const auto number = [&](std::size_t max) {
    std::vector<control::Numbered> items;
    decide::number(session, session.first(), session.end(), max, items);
    if (!items.empty()) shard.add(control::numbered(shard.time, items));
    return items.size();
  };
  shard.publish(data_of(message("a", "1", 2)));
  shard.publish(data_of(message("a", "2", 1)));
  shard.publish(data_of(message("a", "3", 2)));
  EXPECT_EQ(number(1), 1u);
  EXPECT_EQ(number(1), 0u);
  EXPECT_EQ(number(9), 1u);
  EXPECT_EQ(session.at(session.first()).packet_id, SessionState::kFirstNumber);
  EXPECT_EQ(session.at(session.first() + 1).packet_id, 0);  // QoS 1: not the log's
  EXPECT_EQ(session.at(session.first() + 2).packet_id, SessionState::kFirstNumber + 1);
  // PUBREC of the last, then the first is dropped at the limit.
  const control::Settled accepted[] = {{session.at(session.first() + 2).lsn, session.number, 0}};
  shard.add(control::accepted(shard.time, accepted));
  shard.publish(data_of(message("a", "4", 2)));
  EXPECT_EQ(session.dropped, 1u);
  EXPECT_EQ(session.releasing(),
            (std::vector<std::uint16_t>{SessionState::kFirstNumber + 1, SessionState::kFirstNumber}));
  EXPECT_EQ(session.numbers_in_use(), 2u);
  const control::PacketId done[] = {{session.number, SessionState::kFirstNumber}};
  shard.add(control::completed(shard.time, done));
  EXPECT_EQ(number(9), 1u);
  EXPECT_EQ(session.numbers_in_use(), 2u);
}

TEST(Decide, PacketIdentifiersGoRound) {
  LogAndState shard;
  const SessionState& session = shard.open("c");
  EXPECT_EQ(session.free_id_after(0), SessionState::kFirstNumber);
  EXPECT_EQ(session.free_id_after(UINT16_MAX), SessionState::kFirstNumber);
  EXPECT_EQ(session.free_id_after(0x9000), 0x9001);
}

}  // namespace
}  // namespace stele::broker
