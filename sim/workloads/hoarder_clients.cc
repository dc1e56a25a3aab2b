// Kafka clients that want more than there is room for (members of a group, offsets, commands at once), and
// that send what is not their turn. What is beyond a limit is refused, with the error that says so; what was
// taken before stays.
#include <array>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "protocols/kafka/client.h"
#include "runtime/scope.h"
#include "sim/workloads/rounds.h"

namespace stele::sim {

using kafka::KafkaError;
using runtime::Task;
using namespace std::chrono_literals;

namespace {

const std::string kTopic = "hoarder.turns";
constexpr std::uint64_t kBurst = 24;
// The last versions that name topics, and that let a member in without an id.
constexpr std::int16_t kNamedOffsets = 9, kJoinWithoutId = 3;
// Committed offsets of everybody else are fewer, in all shards.
constexpr std::uint64_t kOthers = 8;

class Hoarder final : public Rounds {
 public:
  Hoarder(runtime::Runtime& core, Workload& shared) : Rounds(core, shared, "hoarder") {}

  Task<Result<void>> round() override {
    switch (random().below(5)) {
      case 0:
        return members();
      case 1:
        return offsets();
      case 2:
        return turns();
      case 3:
        return epochs();
      default:
        return burst();
    }
  }

  Task<bool> tidy() override {
    auto client = co_await connect();
    if (!client) co_return false;
    while (!groups_.empty()) {
      kafka::DeleteGroupsRequest request;
      const std::string group = *groups_.begin();
      request.groups.push_back(group);
      const auto answer = co_await (*client)->call(std::move(request));
      if (!answer || answer->results.empty()) co_return false;
      const KafkaError error = answer->results.front().error;
      if (error != KafkaError::kNone && error != KafkaError::kGroupIdNotFound) co_return false;
      groups_.erase(group);
    }
    while (!topics_.empty()) {
      const std::string topic = *topics_.begin();
      const auto gone = co_await (*client)->delete_topic(topic);
      if (!gone || (gone->error != KafkaError::kNone && gone->error != KafkaError::kUnknownTopicOrPartition))
        co_return false;
      topics_.erase(topic);
    }
    (*client)->close();
    co_return true;
  }

 private:
  using Client = std::unique_ptr<kafka::Client>;
  Task<Result<Client>> connect() {
    return kafka::Client::connect(runtime_, workload_.kafka, kafka_options(workload_));
  }

  // ---- members of one group, which join at once

  struct Joining {
    std::uint64_t let_in = 0, refused = 0;
  };
  static Task<void> join(Hoarder& self, std::string group, std::uint64_t number, Joining& joining) {
    auto client = co_await self.connect();
    if (!client) co_return;
    kafka::JoinGroupRequest request;
    request.group_id = std::move(group);
    request.session_timeout_ms = request.rebalance_timeout_ms = 2000;
    request.protocol_type = "crowd";
    request.protocols.push_back({"none", std::to_string(number)});
    const auto joined = co_await (*client)->call(std::move(request), kJoinWithoutId);
    if (!joined) co_return;
    joining.refused += joined->error == KafkaError::kGroupMaxSizeReached;
    joining.let_in += joined->error == KafkaError::kNone;
    if (joined->members.size() > self.limit("group.members"))
      self.fail("a group has more members than it may have");
    (*client)->close();
  }
  Task<Result<void>> members() {
    if (!is_low("group.members")) co_return Result<void>();
    const std::uint64_t most = limit("group.members");
    Joining joining;
    const std::string group = "crowded-" + std::to_string(++made_);
    runtime::Scope all;
    for (std::uint64_t i = 0; i < most + 3; ++i) all.spawn(join(*this, group, i, joining));
    co_await all.join();
    for (std::uint64_t i = 0; i < joining.refused; ++i) show("members-refused");
    co_return Result<void>();
  }

  // ---- offsets of groups without members

  Task<Result<KafkaError>> commit(kafka::Client& client, std::string group, std::int64_t offset) {
    kafka::OffsetCommitRequest request;
    request.group_id = std::move(group);
    auto& topic = request.topics.emplace_back();
    topic.name = "orders.eu";
    topic.partitions.push_back({0, offset, -1, ""});
    STELE_CO_TRY(const auto answer, co_await client.call(std::move(request), kNamedOffsets));
    co_return answer.topics.at(0).partitions.at(0).error;
  }

  Task<Result<std::int64_t>> committed(kafka::Client& client, std::string group) {
    kafka::OffsetFetchRequest request;
    auto& asked = request.groups.emplace_back();
    asked.group_id = std::move(group);
    auto& topic = asked.topics->emplace_back();
    topic.name = "orders.eu";
    topic.partition_indexes.push_back(0);
    STELE_CO_TRY(const auto answer, co_await client.call(std::move(request), kNamedOffsets));
    const auto& of = answer.groups.at(0);
    if (of.error != KafkaError::kNone || of.topics.at(0).partitions.at(0).error != KafkaError::kNone)
      co_return error(ErrorCode::kUnavailable, "refused");
    co_return of.topics.at(0).partitions.at(0).committed_offset;
  }

  Task<Result<void>> offsets() {
    if (!is_low("group.offsets")) co_return Result<void>();
    STELE_CO_TRY(const Client client, co_await connect());
    const std::uint64_t most = limit("group.offsets") * limit("node.shards") + 1;
    std::vector<std::string> taken;
    bool refused = false;
    for (std::uint64_t i = 0; i < most && !refused; ++i) {
      const std::string group = "hoard-" + std::to_string(i);
      groups_.insert(group);
      STELE_CO_TRY(const KafkaError answer, co_await commit(*client, group, 1));
      refused = answer == KafkaError::kInvalidCommitOffsetSize;
      if (refused && groups_.size() + kOthers < limit("group.offsets")) fail("too few offsets are refused");
      if (answer == KafkaError::kNone) taken.push_back(group);
      if (answer != KafkaError::kNone && !refused) co_return error(ErrorCode::kUnavailable, "another error");
    }
    if (!refused) fail("there are more offsets than the shards may have");
    show("offsets-refused");
    // What is there goes on.
    for (const std::string& group : taken) {
      STELE_CO_TRY(const KafkaError answer, co_await commit(*client, group, 2));
      if (answer == KafkaError::kInvalidCommitOffsetSize)
        fail("an offset that is there cannot be committed again");
      STELE_CO_TRY(const std::int64_t offset, co_await committed(*client, group));
      if (offset < 1 || (answer == KafkaError::kNone && offset != 2)) fail("a committed offset is gone");
    }
    client->close();
    (void)co_await tidy();
    co_return Result<void>();
  }

  // ---- a producer that skips a batch

  Task<Result<kafka::ProduceResponse::Partition>> produce(kafka::Client& client, std::int32_t sequence) {
    RecordBatchOptions options;
    options.producer_id = producer_;
    options.producer_epoch = 0;
    options.base_sequence = sequence;
    std::string batch;
    RecordBatchBuilder builder(batch, options);
    builder.append(runtime_.wall_now().ms, "key", "turn " + std::to_string(sequence));
    (void)builder.finish();
    return client.produce(kTopic, 0, Bytes::copy(batch));
  }

  Task<Result<void>> turns() {
    STELE_CO_TRY(const Client client, co_await connect());
    STELE_CO_TRY(const auto topic, co_await client->create_topic(kTopic, 1));
    (void)topic;
    STELE_CO_TRY(const auto given, co_await client->call(kafka::InitProducerIdRequest()));
    if (given.error != KafkaError::kNone) co_return error(ErrorCode::kUnavailable, "no producer id");
    producer_ = given.producer_id;
    STELE_CO_TRY(const auto first, co_await produce(*client, 0));
    if (first.error != KafkaError::kNone) co_return error(ErrorCode::kUnavailable, "refused");
    STELE_CO_TRY(const auto skipped, co_await produce(*client, 2));
    if (skipped.error == KafkaError::kNone)
      fail("a producer's batch is taken though the one before it is missing");
    if (skipped.error == KafkaError::kOutOfOrderSequenceNumber) show("turns-refused");
    STELE_CO_TRY(const auto twice, co_await produce(*client, 0));
    if (twice.error == KafkaError::kNone && twice.base_offset != first.base_offset)
      fail("a batch that was sent again is somewhere else");
    STELE_CO_TRY(const auto next, co_await produce(*client, 1));
    if (next.error == KafkaError::kOutOfOrderSequenceNumber)
      fail("a producer's batch is refused in its turn");
    if (next.error == KafkaError::kNone && next.base_offset != first.base_offset + 1)
      fail("there is something between two batches of one producer");
    client->close();
    co_return Result<void>();
  }

  // ---- a fetch session that is asked for an epoch that is not next

  Task<Result<kafka::FetchResponse>> fetch(kafka::Client& client, std::int32_t session, std::int32_t epoch) {
    kafka::FetchRequest request;
    request.max_wait_ms = 1;
    request.session_id = session;
    request.session_epoch = epoch;
    if (epoch == 0) {
      auto& topic = request.topics.emplace_back();
      topic.topic = "orders.eu";
      auto& partition = topic.partitions.emplace_back();
      partition.partition_max_bytes = 1000;
    }
    return client.call(std::move(request), kafka::kLastNamedFetch);
  }

  Task<Result<void>> epochs() {
    STELE_CO_TRY(const Client client, co_await connect());
    STELE_CO_TRY(const auto begun, co_await fetch(*client, 0, 0));
    const std::int32_t session = begun.session_id;
    if (begun.error != KafkaError::kNone || session == 0)
      co_return Result<void>();  // there was no room for it
    STELE_CO_TRY(const auto wrong, co_await fetch(*client, session, 5));
    if (wrong.error == KafkaError::kNone) fail("a fetch session is served in any epoch");
    if (wrong.error == KafkaError::kInvalidFetchSessionEpoch) show("epochs-refused");
    STELE_CO_TRY(const auto right, co_await fetch(*client, session, 1));
    if (right.error == KafkaError::kInvalidFetchSessionEpoch) fail("a fetch session is refused in its epoch");
    client->close();
    co_return Result<void>();
  }

  // ---- more commands at once than the meta service takes

  static Task<void> make_topic(Hoarder& self, kafka::Client& client, std::string topic) {
    while (!client.closed()) {
      const auto made = co_await client.create_topic(topic, 1);
      if (!made) co_return;
      if (made->error == KafkaError::kRequestTimedOut) {
        self.show("commands-refused");
        co_await runtime::sleep(self.runtime_, short_pause(self.runtime_, 300));
        continue;
      }
      if (made->error != KafkaError::kNone && made->error != KafkaError::kTopicAlreadyExists) co_return;
      const auto told = co_await client.metadata({topic});
      if (told && told->topics.at(0).error == KafkaError::kUnknownTopicOrPartition)
        self.fail("a topic that was made is not there");
      co_return;
    }
  }
  Task<Result<void>> burst() {
    std::vector<Client> clients;
    for (std::uint64_t i = 0; i < kBurst; ++i) {
      STELE_CO_TRY(Client one, co_await connect());
      clients.push_back(std::move(one));
    }
    runtime::Scope all;
    for (const Client& client : clients) {
      const std::string topic = "hoarder.burst." + std::to_string(++made_);
      topics_.insert(topic);
      all.spawn(make_topic(*this, *client, topic));
    }
    co_await all.join();
    for (const Client& client : clients) client->close();
    (void)co_await tidy();
    co_return Result<void>();
  }

  std::set<std::string> groups_, topics_;  // that may be there
  std::uint64_t made_ = 0;
  std::int64_t producer_ = kNoProducerId;
};

}  // namespace

Task<void> run_hoarder(runtime::Runtime& runtime, Workload& workload) {
  return run_rounds(runtime, workload, std::make_unique<Hoarder>(runtime, workload));
}

// ---- a second topic that captures the same --------------------------------------------------------------

Task<void> run_second_topic(runtime::Runtime& runtime, Workload& workload) {
  workload.running.insert("second-topic");
  while (true) {
    auto client = co_await kafka::Client::connect(runtime, workload.kafka, kafka_options(workload));
    if (client) {
      std::vector<kafka::CreateTopicsRequest::Config> configs;
      configs.push_back({"stele.capture", "sensors/#"});
      configs.push_back({"stele.key", "none"});
      configs.push_back({"retention.ms", "-1"});
      const auto made = co_await (*client)->create_topic(kSecondTopic, kSecondPartitions, configs);
      (*client)->close();
      if (made && (made->error == KafkaError::kNone || made->error == KafkaError::kTopicAlreadyExists)) break;
    }
    co_await runtime::sleep(runtime, short_pause(runtime, 500));
  }
  workload.partitions.emplace(kSecondTopic, kSecondPartitions);
  workload.second_topic = workload.ledger.all_sent();
  workload.running.erase("second-topic");
  co_await run_kafka_consumer(runtime, workload, kSecondTopic, "second");
}

}  // namespace stele::sim
