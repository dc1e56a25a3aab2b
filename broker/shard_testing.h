// For tests of the shard's state machine: entries made by hand, and a log that is applied as it grows.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/control.h"
#include "broker/entry.h"
#include "broker/message_batch.h"
#include "broker/shard_state.h"

namespace stele::broker::testing {

// A message as it comes to a shard.
inline Data data_of(const MessageView& message, const KeyRule& rule = {}) {
  BlockArena memory;
  MessageBatch made = batch_for_entry(message, rule, memory);
  Data data;
  data.retain = message.retain;
  data.qos = message.qos;
  data.address = std::move(made.address);
  data.batch = std::move(made.batch);
  data.room = std::move(made.room);
  return data;
}

inline MessageView message(std::string_view address, std::string_view payload, std::uint8_t qos = 1) {
  MessageView view;
  view.address = address;
  view.payload = payload;
  view.qos = qos;
  view.timestamp_ms = 1000;
  return view;
}

struct LogAndState {
  std::vector<storage::LogEntry> log;
  ShardState state;
  ApplyResult result;
  WallTime time{1000};

  Lsn add(storage::LogEntry entry) {
    const Lsn lsn = state.next();
    auto view = parse_entry(entry);
    EXPECT_TRUE(view.has_value());
    auto applied = state.apply(lsn, *view, result);
    EXPECT_TRUE(applied.has_value()) << applied.error().to_string();
    log.push_back(std::move(entry));
    return lsn;
  }
  Lsn publish(const Data& data, DataEntryParts parts = {}) {
    parts.time = time;
    if (parts.stream) {
      parts.base_offset = state.stream(*parts.stream)->next();
      parts.leader_epoch = static_cast<std::int32_t>(state.epoch().value);
    }
    return add(encode_data(data, parts));
  }
  const SessionState& open(std::string_view client, bool clean = false, std::uint32_t expiry_s = 100) {
    add(control::session_opened(time, {}, client, clean, expiry_s));
    return *state.session({}, client);
  }
  void subscribe(std::string_view client, std::vector<SubscribeRequest> requests) {
    add(control::subscribed(time, {}, client, requests));
  }
};

inline SubscribeRequest request(std::string filter, std::uint8_t qos = 1, std::uint32_t id = 0) {
  SubscribeRequest made;
  made.filter = std::move(filter);
  made.qos = qos;
  made.subscription_id = id;
  return made;
}

// (LSN, index) of what is queued and not settled.
inline std::vector<std::pair<std::uint64_t, std::uint32_t>> queue_of(const SessionState& session) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> items;
  for (QueuePosition at = session.first(); at < session.end(); ++at) {
    if (!session.at(at).settled) items.emplace_back(session.at(at).lsn.value, session.at(at).index);
  }
  return items;
}

}  // namespace stele::broker::testing
