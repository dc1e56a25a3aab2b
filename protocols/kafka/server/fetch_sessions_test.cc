// KIP-227, as a broker has to keep it: against the KIP by hand, and against a slow model of clients and
// sessions.
#include "protocols/kafka/server/fetch_sessions.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace stele::kafka {
namespace {

using namespace std::chrono_literals;
using runtime::Instant;

constexpr std::int16_t kByName = 12, kById = 13;

FetchRequest asking(std::int32_t session, std::int32_t epoch,
                    std::vector<std::pair<std::int32_t, std::int64_t>> partitions = {},
                    std::vector<std::int32_t> forgotten = {}) {
  FetchRequest request;
  request.session_id = session;
  request.session_epoch = epoch;
  if (!partitions.empty()) {
    auto& topic = request.topics.emplace_back();
    topic.topic = "t";
    for (const auto& [partition, offset] : partitions) {
      auto& asked = topic.partitions.emplace_back();
      asked.partition = partition;
      asked.fetch_offset = offset;
    }
  }
  if (!forgotten.empty()) request.forgotten_topics.push_back({"t", {}, std::move(forgotten)});
  return request;
}

FetchResponse::Partition answer(std::int32_t partition, std::int64_t high_watermark, bool records = false,
                                KafkaError error = KafkaError::kNone, std::int64_t log_start = 0) {
  FetchResponse::Partition out;
  out.partition_index = partition;
  out.error = error;
  out.high_watermark = high_watermark;
  out.log_start_offset = log_start;
  out.records = Records(records ? std::vector<Bytes>{Bytes::literal("batch")} : std::vector<Bytes>());
  return out;
}

// The partitions that a response names.
std::vector<std::int32_t> named(const FetchResponse& response) {
  std::vector<std::int32_t> out;
  for (const auto& topic : response.topics) {
    for (const auto& partition : topic.partitions) out.push_back(partition.partition_index);
  }
  return out;
}

struct Server {
  FetchSessions sessions;
  runtime::Random random{1};
  Instant now{100s};
  broker::Principal who;

  explicit Server(FetchSessionOptions options = {}) : sessions(options) {}

  FetchSessions::Begun begin(const FetchRequest& request, std::int16_t version = kByName) {
    return sessions.begin(request, version, who, now);
  }
  // The id of a new session of these partitions, at their beginning; 0 if there is none.
  std::int32_t open(std::vector<std::int32_t> partitions, std::int16_t version = kByName) {
    FetchRequest request = asking(0, 0);
    auto& topic = request.topics.emplace_back();
    if (version < kById) topic.topic = "t";
    if (version >= kById) topic.topic_id = {1, 2};
    for (const std::int32_t partition : partitions) topic.partitions.emplace_back().partition = partition;
    EXPECT_EQ(begin(request, version).error, KafkaError::kNone);
    const auto opened = sessions.open(request, version, who, now, random);
    return opened ? opened->id() : 0;
  }
  // An incremental fetch, answered with these.
  std::vector<std::int32_t> fetch(const FetchRequest& request,
                                  const std::map<std::int32_t, FetchResponse::Partition>& answers) {
    const auto begun = begin(request);
    EXPECT_EQ(begun.error, KafkaError::kNone);
    EXPECT_NE(begun.session, nullptr);
    std::vector<FetchResponse::Partition> all;
    for (const auto& one : begun.session->partitions()) all.push_back(answers.at(one.asked.partition));
    FetchResponse response;
    begun.session->tell(std::move(all), response);
    return named(response);
  }
};

TEST(FetchSessions, AreForThoseWhoAsk) {
  Server server;
  const FetchRequest none = asking(0, -1, {{0, 0}});
  EXPECT_EQ(server.begin(none).error, KafkaError::kNone);
  EXPECT_EQ(server.begin(none).session, nullptr);
  EXPECT_EQ(server.sessions.open(none, kByName, server.who, server.now, server.random), nullptr);
  EXPECT_EQ(server.sessions.sessions(), 0U);
  // Nothing to remember.
  EXPECT_EQ(server.open({}), 0);
  const std::int32_t id = server.open({0, 1});
  EXPECT_GT(id, 0);
  EXPECT_EQ(server.sessions.sessions(), 1U);
  EXPECT_EQ(server.sessions.partitions(), 2U);
  EXPECT_EQ(server.sessions.stats().opened, 1U);
}

TEST(FetchSessions, TellOnlyWhatIsNew) {
  Server server;
  const std::int32_t id = server.open({0, 1, 2});
  // Nothing was told yet.
  EXPECT_EQ(server.fetch(asking(id, 1), {{0, answer(0, 5)}, {1, answer(1, 0)}, {2, answer(2, 9)}}),
            (std::vector<std::int32_t>{0, 1, 2}));
  const std::map<std::int32_t, FetchResponse::Partition> same{
      {0, answer(0, 5)}, {1, answer(1, 0)}, {2, answer(2, 9)}};
  EXPECT_EQ(server.fetch(asking(id, 2), same), std::vector<std::int32_t>());
  // Records, whatever else; another high watermark; another start.
  EXPECT_EQ(server.fetch(asking(id, 3), {{0, answer(0, 5, true)}, {1, answer(1, 1)}, {2, answer(2, 9)}}),
            (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(
      server.fetch(asking(id, 4),
                   {{0, answer(0, 5)}, {1, answer(1, 1)}, {2, answer(2, 9, false, KafkaError::kNone, 3)}}),
      std::vector<std::int32_t>{2});
}

TEST(FetchSessions, AnErrorIsToldEachTimeAndSoIsItsEnd) {
  Server server;
  const std::int32_t id = server.open({0});
  EXPECT_EQ(server.fetch(asking(id, 1), {{0, answer(0, 5)}}), std::vector<std::int32_t>{0});
  const auto failed = answer(0, -1, false, KafkaError::kNotLeaderOrFollower, -1);
  EXPECT_EQ(server.fetch(asking(id, 2), {{0, failed}}), std::vector<std::int32_t>{0});
  EXPECT_EQ(server.fetch(asking(id, 3), {{0, failed}}), std::vector<std::int32_t>{0});
  EXPECT_EQ(server.fetch(asking(id, 4), {{0, answer(0, 5)}}), std::vector<std::int32_t>{0});
  EXPECT_EQ(server.fetch(asking(id, 5), {{0, answer(0, 5)}}), std::vector<std::int32_t>());
}

TEST(FetchSessions, WhatAFullAnswerSaidIsNotSaidAgain) {
  Server server;
  const FetchRequest request = asking(0, 0, {{0, 0}, {1, 0}});
  const auto opened = server.sessions.open(request, kByName, server.who, server.now, server.random);
  FetchResponse response;
  response.topics.push_back({"t", {}, {answer(0, 5, true), answer(1, 0)}});
  opened->told(response);
  EXPECT_EQ(server.fetch(asking(opened->id(), 1), {{0, answer(0, 5)}, {1, answer(1, 0)}}),
            std::vector<std::int32_t>());
}

TEST(FetchSessions, GrowShrinkAndMove) {
  Server server;
  const std::int32_t id = server.open({0, 1});
  const auto begun = server.begin(asking(id, 1, {{1, 7}, {2, 8}}, {0, 99}));
  ASSERT_NE(begun.session, nullptr);
  std::map<std::int32_t, std::int64_t> offsets;
  for (const auto& one : begun.session->partitions()) {
    EXPECT_EQ(one.topic, "t");
    offsets[one.asked.partition] = one.asked.fetch_offset;
  }
  EXPECT_EQ(offsets, (std::map<std::int32_t, std::int64_t>{{1, 7}, {2, 8}}));
  EXPECT_EQ(server.sessions.partitions(), 2U);
}

TEST(FetchSessions, PartitionsWithRecordsAreReadLastTheNextTime) {
  Server server;
  const std::int32_t id = server.open({0, 1, 2});
  (void)server.fetch(asking(id, 1), {{0, answer(0, 1, true)}, {1, answer(1, 1)}, {2, answer(2, 1, true)}});
  const auto begun = server.begin(asking(id, 2));
  std::vector<std::int32_t> order;
  for (const auto& one : begun.session->partitions()) order.push_back(one.asked.partition);
  EXPECT_EQ(order, (std::vector<std::int32_t>{1, 0, 2}));
}

TEST(FetchSessions, EpochsCount) {
  Server server;
  const std::int32_t id = server.open({0});
  EXPECT_EQ(server.begin(asking(id, 2)).error, KafkaError::kInvalidFetchSessionEpoch);
  EXPECT_EQ(server.begin(asking(id, 1)).error, KafkaError::kNone);
  EXPECT_EQ(server.begin(asking(id, 1)).error, KafkaError::kInvalidFetchSessionEpoch);
  EXPECT_EQ(server.begin(asking(id, -2)).error, KafkaError::kInvalidFetchSessionEpoch);
  // Who waits for records finds that the client has gone on.
  const auto first = server.begin(asking(id, 2));
  EXPECT_EQ(first.session->epoch(), first.epoch);
  const auto second = server.begin(asking(id, 3));
  EXPECT_NE(first.session->epoch(), first.epoch);
  EXPECT_EQ(second.session->epoch(), second.epoch);
}

TEST(FetchSessions, UnknownOnes) {
  Server server;
  EXPECT_EQ(server.begin(asking(0, 1)).error, KafkaError::kFetchSessionIdNotFound);
  EXPECT_EQ(server.begin(asking(77, 1)).error, KafkaError::kFetchSessionIdNotFound);
  const std::int32_t id = server.open({0});
  // Another user's is unknown, and is not closed by it.
  broker::Principal owner = std::exchange(server.who, {.name = "mallory"});
  EXPECT_EQ(server.begin(asking(id, 1)).error, KafkaError::kFetchSessionIdNotFound);
  EXPECT_EQ(server.begin(asking(id, -1)).error, KafkaError::kNone);
  server.who = {.name = owner.name, .tenant = TenantId(9)};
  EXPECT_EQ(server.begin(asking(id, 1)).error, KafkaError::kFetchSessionIdNotFound);
  server.who = owner;
  EXPECT_EQ(server.begin(asking(id, 1)).error, KafkaError::kNone);
}

TEST(FetchSessions, End) {
  Server server;
  // By a fetch without one, by a new one, and with their last partition.
  std::int32_t id = server.open({0});
  EXPECT_EQ(server.begin(asking(id, -1, {{0, 0}})).session, nullptr);
  EXPECT_EQ(server.sessions.sessions(), 0U);
  id = server.open({0});
  EXPECT_EQ(server.begin(asking(id, 0, {{0, 0}})).session, nullptr);
  EXPECT_EQ(server.sessions.sessions(), 0U);
  id = server.open({0});
  const auto begun = server.begin(asking(id, 1, {}, {0}));
  EXPECT_EQ(begun.error, KafkaError::kNone);
  EXPECT_EQ(begun.session, nullptr);
  EXPECT_EQ(server.sessions.sessions(), 0U);
  EXPECT_EQ(server.sessions.partitions(), 0U);
}

// KIP-516.
TEST(FetchSessions, NameTopicsInOneWay) {
  Server server;
  const std::int32_t by_name = server.open({0}), by_id = server.open({0}, kById);
  EXPECT_EQ(server.begin(asking(by_name, 1), kById).error, KafkaError::kFetchSessionTopicIdError);
  EXPECT_EQ(server.begin(asking(by_id, 1), kByName).error, KafkaError::kFetchSessionTopicIdError);
  EXPECT_EQ(server.begin(asking(by_name, 1), kByName).error, KafkaError::kNone);
  EXPECT_EQ(server.begin(asking(by_id, 1), kById).error, KafkaError::kNone);
}

TEST(FetchSessions, ThoseThatAreUsedDoNotGiveWay) {
  Server server({.sessions = 2, .partitions = 100, .keep = 2min});
  const std::int32_t first = server.open({0});
  server.now += 1min;
  const std::int32_t second = server.open({0});
  server.now += 59s;
  EXPECT_EQ(server.open({0}), 0);
  EXPECT_EQ(server.sessions.stats().refused, 1U);
  EXPECT_EQ(server.begin(asking(first, 1)).error, KafkaError::kNone);  // used
  server.now += 61s;
  EXPECT_NE(server.open({0}), 0);
  EXPECT_EQ(server.sessions.stats().evicted, 1U);
  EXPECT_EQ(server.begin(asking(second, 1)).error, KafkaError::kFetchSessionIdNotFound);
  EXPECT_EQ(server.begin(asking(first, 2)).error, KafkaError::kNone);
}

TEST(FetchSessions, PartitionsAreLimitedToo) {
  Server server({.sessions = 10, .partitions = 4, .keep = 2min});
  EXPECT_EQ(server.open({0, 1, 2, 3, 4}), 0);
  const std::int32_t first = server.open({0, 1});
  const std::int32_t second = server.open({0, 1});
  EXPECT_EQ(server.open({0}), 0);
  // One that grows beyond it ends: its client begins anew, and is told that there is no room.
  EXPECT_EQ(server.begin(asking(second, 1, {{2, 0}})).error, KafkaError::kFetchSessionIdNotFound);
  EXPECT_EQ(server.sessions.partitions(), 2U);
  EXPECT_EQ(server.open({0, 1, 2}), 0);
  // Unless others give way.
  const std::int32_t third = server.open({0, 1});
  server.now += 3min;
  EXPECT_EQ(server.begin(asking(third, 1, {{2, 0}})).error, KafkaError::kNone);
  EXPECT_EQ(server.begin(asking(first, 1)).error, KafkaError::kFetchSessionIdNotFound);
  EXPECT_EQ(server.sessions.partitions(), 3U);
}

// ---- against a model ------------------------------------------------------------------------------------

// A client that does as KIP-227 says and knows nothing but what it is told, and a broker whose partitions
// change at random. Whenever both agree on a session, the client knows all that there is to know.
struct World {
  struct Partition {
    std::int64_t high_watermark = 0, log_start = 0;
    bool failed = false;
  };
  struct Client {
    std::int32_t id = 0, epoch = 0;
    std::map<std::int32_t, std::int64_t> wants;  // partition, offset
    std::map<std::int32_t, std::int64_t> said;   // in its session
    std::map<std::int32_t, FetchResponse::Partition> knows;
  };
  runtime::Random random;
  Server server;
  std::vector<Partition> partitions{5};
  std::vector<Client> clients{3};

  explicit World(std::uint64_t seed)
      : random(seed),
        server({.sessions = 1 + static_cast<std::uint32_t>(random.below(3)),
                .partitions = 3 + random.below(10),
                .keep = 10s}) {}

  FetchResponse::Partition read(std::int32_t partition, std::int64_t offset) {
    const Partition& there = partitions[static_cast<std::size_t>(partition)];
    if (there.failed) return answer(partition, -1, false, KafkaError::kNotLeaderOrFollower, -1);
    return answer(partition, there.high_watermark, offset < there.high_watermark, KafkaError::kNone,
                  there.log_start);
  }

  void change() {
    for (Partition& one : partitions) {
      if (random.chance(1, 4)) ++one.high_watermark;
      if (random.chance(1, 10)) one.log_start = one.high_watermark;
      if (random.chance(1, 6)) one.failed = !one.failed;
    }
    server.now += std::chrono::seconds(random.below(6));
  }

  void change(Client& client) {
    const auto partition = static_cast<std::int32_t>(random.below(partitions.size()));
    if (random.chance(1, 3)) {
      client.wants.erase(partition);
    } else {
      client.wants[partition] = partitions[static_cast<std::size_t>(partition)].high_watermark -
                                static_cast<std::int64_t>(random.below(2));
    }
  }

  FetchRequest next_request(Client& client) {
    std::vector<std::pair<std::int32_t, std::int64_t>> asked;
    std::vector<std::int32_t> forgotten;
    for (const auto& [partition, offset] : client.wants) {
      const auto said = client.said.find(partition);
      if (client.epoch == 0 || said == client.said.end() || said->second != offset)
        asked.emplace_back(partition, offset);
    }
    for (const auto& [partition, offset] : client.said) {
      if (client.epoch > 0 && !client.wants.contains(partition)) forgotten.push_back(partition);
    }
    client.said = client.wants;
    return asking(client.id, client.epoch, std::move(asked), std::move(forgotten));
  }

  void fetch(Client& client) {
    const FetchRequest request = next_request(client);
    const auto begun = server.begin(request);
    if (begun.error != KafkaError::kNone) {
      RC_ASSERT(request.session_epoch > 0);
      RC_ASSERT(begun.error == KafkaError::kFetchSessionIdNotFound);
      client.id = client.epoch = 0;
      client.said.clear();
      return;
    }
    FetchResponse response;
    if (begun.session) {
      std::vector<FetchResponse::Partition> answers;
      std::map<std::int32_t, std::int64_t> there;
      for (const auto& one : begun.session->partitions()) {
        there[one.asked.partition] = one.asked.fetch_offset;
        answers.push_back(read(one.asked.partition, one.asked.fetch_offset));
      }
      RC_ASSERT(there == client.said);
      response.session_id = begun.session->id();
      begun.session->tell(std::move(answers), response);
    } else {
      for (const auto& topic : request.topics) {
        auto& out = response.topics.emplace_back();
        out.topic = topic.topic;
        for (const auto& one : topic.partitions)
          out.partitions.push_back(read(one.partition, one.fetch_offset));
      }
      const auto opened = server.sessions.open(request, kByName, server.who, server.now, server.random);
      if (opened) {
        opened->told(response);
        response.session_id = opened->id();
      }
      client.knows.clear();
    }
    hear(client, response);
  }

  void hear(Client& client, const FetchResponse& response) {
    for (const auto& topic : response.topics) {
      for (const auto& one : topic.partitions) {
        RC_ASSERT(client.said.contains(one.partition_index));
        client.knows[one.partition_index] = one;
      }
    }
    std::erase_if(client.knows, [&](const auto& one) { return !client.said.contains(one.first); });
    client.id = response.session_id;
    client.epoch = client.id == 0 ? 0 : client.epoch + 1;
    for (const auto& [partition, offset] : client.said) {
      const auto truth = read(partition, offset);
      RC_ASSERT(client.knows.contains(partition));
      const auto& known = client.knows.at(partition);
      RC_ASSERT(known.error == truth.error);
      RC_ASSERT(known.high_watermark == truth.high_watermark);
      RC_ASSERT(known.log_start_offset == truth.log_start_offset);
      if (truth.records.size() > 0) {
        const auto told = named(response);
        RC_ASSERT(std::ranges::find(told, partition) != told.end());
      }
    }
    if (client.epoch == 0) client.said.clear();
  }

  void run() {
    for (int step = 0; step < 200; ++step) {
      Client& client = clients[random.below(clients.size())];
      if (random.chance(1, 2)) change();
      if (random.chance(1, 2)) change(client);
      if (random.chance(1, 20)) client = {};  // starts again
      if (!client.wants.empty() || client.epoch > 0) fetch(client);
      RC_ASSERT(server.sessions.sessions() <= 3U);
      RC_ASSERT(server.sessions.partitions() <= 12U);
    }
  }
};

TEST(FetchSessions, ClientsKnowWhatThereIs) {
  EXPECT_TRUE(rc::check("of each session", [](std::uint64_t seed) { World(seed).run(); }));
}

}  // namespace
}  // namespace stele::kafka
