#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/record_batch.h"
#include "protocols/kafka/client.h"
#include "sim/workloads/clients.h"

namespace stele::sim {

using kafka::FetchResponse;
using kafka::KafkaError;
using runtime::Task;
using namespace std::chrono_literals;

namespace {

struct Position {
  std::int64_t next = 0;
  std::int64_t end = -1;           // the high watermark, as it was told last
  std::int32_t last_epoch = -1;    // leader epoch of the last record read
  std::int32_t leader_epoch = -1;  // of the partition, by the metadata
};

struct Consuming {
  Workload& workload;
  std::string topic;
  std::string name;
  std::vector<Position> at;  // by partition

  std::string where(std::int32_t partition) const { return topic + "-" + std::to_string(partition); }
  Position& of(std::int32_t partition) { return at[static_cast<std::size_t>(partition)]; }
  bool at_end() const {
    return static_cast<std::int32_t>(at.size()) >= workload.partitions.at(topic) &&
           std::ranges::all_of(at, [](const Position& one) { return one.end >= 0 && one.next >= one.end; });
  }
};

enum class Round { kFine, kError, kBroken };

std::int32_t last_epoch_of(std::string_view batches) {
  std::int32_t epoch = -1;
  RecordBatchSplitter splitter(batches);
  while (true) {
    const auto batch = splitter.next();
    if (!batch || !*batch) return epoch;
    epoch = (*batch)->header.partition_leader_epoch;
  }
}

// What a fetch says of one partition. False: it is an error.
bool take(Consuming& consuming, const FetchResponse::Partition& fetched) {
  Judge& judge = consuming.workload.judge;
  const std::int32_t partition = fetched.partition_index;
  Position& at = consuming.of(partition);
  consuming.workload.ledger.operation();
  if (fetched.error != KafkaError::kNone) {
    at.end = -1;
    if (fetched.error == KafkaError::kOffsetOutOfRange) {
      judge.fail(consuming.name + ": offset " + std::to_string(at.next) + " of " +
                 consuming.where(partition) + " is out of range, though nothing is ever removed there");
    }
    return false;
  }
  const std::string batches = fetched.records.flatten();
  const std::int64_t before = at.next;
  auto read = kafka::each_record(batches, Offset(at.next), [&](const RecordView& record) {
    if (record.offset.value != at.next) {
      judge.fail(consuming.name + ": offsets of " + consuming.where(partition) + " jump from " +
                 std::to_string(at.next) + " to " + std::to_string(record.offset.value));
    }
    note_record(consuming.workload, consuming.topic, partition, record, consuming.name);
    at.next = record.offset.value + 1;
  });
  if (!read) judge.fail(consuming.name + ": a fetched batch cannot be read: " + read.error().message);
  if (at.next > before) at.last_epoch = last_epoch_of(batches);
  at.end = fetched.high_watermark;
  return true;
}

// ---- one partition after the other ----------------------------------------------------------------------

Task<Round> fetch_each(Consuming& consuming, kafka::Client& client, std::int32_t max_wait_ms) {
  Round round = Round::kFine;
  for (std::size_t partition = 0; partition < consuming.at.size(); ++partition) {
    kafka::FetchOptions options;
    options.max_wait_ms = max_wait_ms;
    auto fetched = co_await client.fetch(consuming.topic, static_cast<std::int32_t>(partition),
                                         Offset(consuming.at[partition].next), options);
    if (!fetched) co_return Round::kBroken;
    if (!take(consuming, *fetched)) round = Round::kError;
  }
  co_return round;
}

// ---- in a fetch session (KIP-227) -----------------------------------------------------------------------

struct Session {
  std::int32_t id = 0, epoch = 0;
  // Partitions, with the offset that they are to be read from and the leader epoch.
  std::map<std::int32_t, std::pair<std::int64_t, std::int32_t>> said;
};

// Names what the broker does not know yet. `without`: a partition that is not wanted this time, or -1.
kafka::FetchRequest next_request(const Consuming& consuming, Session& session, std::int32_t without) {
  kafka::FetchRequest request;
  request.min_bytes = 1;
  request.session_id = session.id;
  request.session_epoch = session.epoch;
  kafka::FetchRequest::Topic topic;
  topic.topic = consuming.topic;
  kafka::FetchRequest::ForgottenTopic forgotten;
  forgotten.topic = consuming.topic;
  if (session.epoch == 0) session.said.clear();
  for (std::size_t i = 0; i < consuming.at.size(); ++i) {
    const auto partition = static_cast<std::int32_t>(i);
    const auto said = session.said.find(partition);
    const std::pair to_say(consuming.at[i].next, consuming.at[i].leader_epoch);
    if (partition == without) {
      if (said == session.said.end()) continue;
      forgotten.partitions.push_back(partition);
      session.said.erase(said);
    } else if (said == session.said.end() || said->second != to_say) {
      auto& asked = topic.partitions.emplace_back();
      asked.partition = partition;
      asked.fetch_offset = to_say.first;
      asked.current_leader_epoch = to_say.second;
      asked.partition_max_bytes = 1 << 20;
      session.said[partition] = to_say;
    }
  }
  if (!topic.partitions.empty()) request.topics.push_back(std::move(topic));
  if (!forgotten.partitions.empty()) request.forgotten_topics.push_back(std::move(forgotten));
  return request;
}

Task<Round> fetch_in_session(Consuming& consuming, Session& session, kafka::Client& client,
                             std::int32_t max_wait_ms, std::int32_t without) {
  kafka::FetchRequest request = next_request(consuming, session, without);
  request.max_wait_ms = max_wait_ms;
  const bool full = session.epoch == 0;
  auto response = co_await client.call(std::move(request), kafka::kLastNamedFetch);
  if (!response) co_return Round::kBroken;
  Judge& judge = consuming.workload.judge;
  if (response->error != KafkaError::kNone) {
    // It had to make room for others. Of one connection nothing is out of order.
    if (full || response->error != KafkaError::kFetchSessionIdNotFound) {
      judge.fail(consuming.name + ": a fetch session is answered with " +
                 std::string(kafka::to_string(response->error)));
    }
    session = {};
    co_return Round::kError;
  }
  if (!full && response->session_id != 0 && response->session_id != session.id)
    judge.fail(consuming.name + ": its fetch session has another id than before");
  Round round = Round::kFine;
  std::size_t told = 0;
  for (const auto& topic : response->topics) {
    for (const auto& partition : topic.partitions) {
      ++told;
      if (topic.topic != consuming.topic || !session.said.contains(partition.partition_index)) {
        judge.fail(consuming.name + ": a fetch is answered with what is not in its session");
        co_return Round::kError;
      }
      if (!take(consuming, partition)) round = Round::kError;
    }
  }
  if (full && told != session.said.size())
    judge.fail(consuming.name + ": the first fetch of a session is not answered in full");
  session.id = response->session_id;
  session.epoch = session.id == 0 ? 0 : session.epoch + 1;
  co_return round;
}

// ---- leaders (KIP-320) ----------------------------------------------------------------------------------

// And for partitions that there were not before. False: there is no answer.
Task<bool> ask_for_leaders(Consuming& consuming, kafka::Client& client) {
  const auto topic = co_await ask_for_topic(consuming.workload, client, consuming.topic);
  if (!topic) co_return false;
  if (topic->partitions.size() > consuming.at.size()) consuming.at.resize(topic->partitions.size());
  for (const auto& partition : topic->partitions) {
    if (partition.partition_index < static_cast<std::int32_t>(consuming.at.size()))
      consuming.of(partition.partition_index).leader_epoch = partition.leader_epoch;
  }
  co_return true;
}

// What was read is still there: the records of the ownership that it was of go up to there at least.
Task<void> check_what_was_read(Consuming& consuming, kafka::Client& client) {
  kafka::OffsetForLeaderEpochRequest request;
  request.replica_id = -1;
  auto& topic = request.topics.emplace_back();
  topic.topic = consuming.topic;
  for (std::size_t i = 0; i < consuming.at.size(); ++i) {
    const Position& at = consuming.at[i];
    if (at.next > 0)
      topic.partitions.push_back({static_cast<std::int32_t>(i), at.leader_epoch, at.last_epoch});
  }
  if (topic.partitions.empty()) co_return;
  const auto response = co_await client.call(std::move(request));
  if (!response) co_return;
  consuming.workload.ledger.operation();
  for (const auto& answer : response->topics.at(0).partitions) {
    if (answer.error != KafkaError::kNone) continue;
    const Position& at = consuming.of(answer.partition);
    if (answer.leader_epoch == at.last_epoch && answer.end_offset >= at.next) continue;
    consuming.workload.judge.fail(consuming.name + ": " + consuming.where(answer.partition) +
                                  " was read up to " + std::to_string(at.next) + " in leader epoch " +
                                  std::to_string(at.last_epoch) + ", and now it is said that epoch " +
                                  std::to_string(answer.leader_epoch) + " ends at " +
                                  std::to_string(answer.end_offset));
  }
}

}  // namespace

Task<void> run_kafka_consumer(runtime::Runtime& runtime, Workload& workload, std::string topic,
                              std::string name) {
  workload.running.insert(name);
  Consuming consuming{workload, topic, name, {}};
  bool complete = false;
  while (!complete) {
    auto client = co_await kafka::Client::connect(runtime, workload.kafka, kafka_options(workload));
    if (!client) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    if (co_await ask_for_leaders(consuming, **client)) co_await check_what_was_read(consuming, **client);
    // From the beginning again, sometimes: what was there must still be.
    const bool again = runtime.random().chance(1, 4);
    for (Position& at : consuming.at) {
      if (again) at.next = 0;
      at.end = -1;
    }
    const bool in_session = runtime.random().chance(1, 2);
    Session session;
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(50, 20'000));
    while (!(*client)->closed() && (runtime.now() < until || workload.stopping)) {
      if ((consuming.at.empty() || workload.stopping || runtime.random().chance(1, 10)) &&
          !co_await ask_for_leaders(consuming, **client)) {
        co_await runtime::sleep(runtime, short_pause(runtime, 300));
        continue;
      }
      const bool last_round = workload.stopping && workload.producing == 0;
      const std::int32_t max_wait_ms = last_round ? 10 : workload.busy() ? 200 : 3000;
      Round round;
      if (in_session) {
        const bool all = last_round || consuming.at.size() == 1 || !runtime.random().chance(1, 6);
        const auto without =
            all ? -1 : static_cast<std::int32_t>(runtime.random().below(consuming.at.size()));
        round = co_await fetch_in_session(consuming, session, **client, max_wait_ms, without);
      } else {
        for (Position& at : consuming.at) at.end = -1;
        round = co_await fetch_each(consuming, **client, max_wait_ms);
      }
      if (round == Round::kBroken) break;
      if (round == Round::kError) {
        co_await runtime::sleep(runtime, short_pause(runtime, 300));
        if (!(*client)->closed()) (void)co_await ask_for_leaders(consuming, **client);
      } else if (last_round && consuming.at_end() && !(*client)->closed()) {
        complete = true;
        break;
      }
    }
    (*client)->close();
    if (!complete) co_await runtime::sleep(runtime, short_pause(runtime, 200));
    if (runtime.random().chance(3, 4)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(name);
}

}  // namespace stele::sim
