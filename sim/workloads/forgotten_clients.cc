// Producers and offsets that are forgotten: those that were silent longest when there are too many, and those
// that were silent for too long. What they have written stays, and they can begin anew.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocols/kafka/client.h"
#include "sim/workloads/rounds.h"

namespace stele::sim {

using kafka::KafkaError;
using runtime::Task;
using namespace std::chrono_literals;

namespace {

const std::string kTopic = "forgotten";
constexpr std::int16_t kNamedOffsets = 9;

class Forgotten final : public Rounds {
 public:
  Forgotten(runtime::Runtime& core, Workload& shared) : Rounds(core, shared, "forgotten") {}

  Task<Result<void>> round() override {
    // In turn: one of them takes long, and a run has few.
    switch (++rounds_ % 3) {
      case 0:
        return offsets();
      case 1:
        return producers(false);
      default:
        return producers(true);
    }
  }
  // All that was acknowledged is where it was said to be.
  Task<bool> tidy() override {
    if (written_.empty()) co_return true;
    auto client = co_await connect();
    if (!client) co_return false;
    std::map<std::int64_t, std::string> found;
    std::int64_t next = 0;
    while (next <= written_.rbegin()->first) {
      const auto read = co_await (*client)->fetch(kTopic, 0, Offset(next));
      if (!read || read->error != KafkaError::kNone) co_return false;
      const std::int64_t before = next;
      const std::string batches = read->records.flatten();
      (void)kafka::each_record(batches, Offset(next), [&](const RecordView& record) {
        found[record.offset.value] = std::string(record.value.value_or(""));
        next = record.offset.value + 1;
      });
      if (next == before && next < read->high_watermark) fail("a fetch gives nothing before the end");
      if (next == before) break;
    }
    for (const auto& [offset, text] : written_) {
      if (found[offset] != text)
        fail("what was acknowledged for offset " + std::to_string(offset) + " is not there");
    }
    (*client)->close();
    co_return true;
  }

 private:
  using Client = std::unique_ptr<kafka::Client>;
  static std::unexpected<Error> refused() { return error(ErrorCode::kUnavailable, "refused"); }
  Task<Result<Client>> connect() {
    return kafka::Client::connect(runtime_, workload_.kafka, kafka_options(workload_));
  }

  struct Producer {
    std::int64_t id = kNoProducerId;
    std::int32_t next = 0;
  };
  Task<Result<Producer>> begin(kafka::Client& client) {
    STELE_CO_TRY(const auto given, co_await client.call(kafka::InitProducerIdRequest()));
    if (given.error != KafkaError::kNone) co_return refused();
    co_return Producer{given.producer_id, 0};
  }
  Task<Result<KafkaError>> write(kafka::Client& client, Producer& producer) {
    RecordBatchOptions options;
    options.producer_id = producer.id;
    options.producer_epoch = 0;
    options.base_sequence = producer.next++;
    const std::string text = std::to_string(producer.id) + " " + std::to_string(options.base_sequence);
    std::string batch;
    RecordBatchBuilder builder(batch, options);
    builder.append(runtime_.wall_now().ms, "key", text);
    (void)builder.finish();
    STELE_CO_TRY(const auto written, co_await client.produce(kTopic, 0, Bytes::copy(batch)));
    if (written.error == KafkaError::kNone && !written_.emplace(written.base_offset, text).second)
      fail("two batches are at offset " + std::to_string(written.base_offset));
    co_return written.error;
  }

  // More than a shard remembers, and then the first one again: it goes on, or is told to begin anew.
  Task<Result<void>> producers(bool silent) {
    if (!is_low("broker.producers")) co_return Result<void>();
    STELE_CO_TRY(const Client client, co_await connect());
    STELE_CO_TRY(const auto topic, co_await client->create_topic(kTopic, 1));
    if (topic.error != KafkaError::kNone && topic.error != KafkaError::kTopicAlreadyExists)
      co_return refused();
    const std::uint64_t others = silent ? 0 : limit("broker.producers") + 1;
    std::vector<Producer> all;
    for (std::uint64_t i = 0; i <= others; ++i) {
      STELE_CO_TRY(Producer one, co_await begin(*client));
      STELE_CO_TRY(const KafkaError first, co_await write(*client, one));
      if (first == KafkaError::kOutOfOrderSequenceNumber)
        fail("a new producer's first batch is out of order");
      if (first != KafkaError::kNone) co_return refused();
      all.push_back(one);
    }
    if (silent) {
      co_await runtime::sleep(runtime_, runtime::Duration(limit("broker.producer_expiry_ns")) + 3s);
    }
    Producer& forgotten = all.front();
    STELE_CO_TRY(const KafkaError again, co_await write(*client, forgotten));
    // The one that wrote last is known.
    if (!silent) {
      STELE_CO_TRY(const KafkaError known, co_await write(*client, all.back()));
      if (known == KafkaError::kOutOfOrderSequenceNumber) fail("a producer that wrote last is forgotten");
    }
    if (again == KafkaError::kNone) show(silent ? "silent-forgotten" : "producers-forgotten");
    client->close();
    co_return Result<void>();
  }

  // Of a group without members.
  Task<Result<void>> offsets() {
    STELE_CO_TRY(const Client client, co_await connect());
    const std::string group = "forgotten-" + std::to_string(++groups_);
    kafka::OffsetCommitRequest request;
    request.group_id = group;
    auto& topic = request.topics.emplace_back();
    topic.name = "orders.eu";
    topic.partitions.push_back({0, 7, -1, ""});
    const runtime::Instant before = runtime_.now();
    STELE_CO_TRY(const auto answer, co_await client->call(std::move(request), kNamedOffsets));
    if (answer.topics.at(0).partitions.at(0).error != KafkaError::kNone) co_return refused();
    client->close();
    const runtime::Duration keep(limit("group.offsets_retention_ns"));
    STELE_CO_TRY(const std::int64_t kept, co_await committed(group));
    if (kept != 7 && runtime_.now() < before + keep) fail("a committed offset is gone before its time");
    co_await runtime::sleep(runtime_, keep + runtime::Duration(limit("group.retention_check_ns")) + 10s);
    STELE_CO_TRY(const std::int64_t later, co_await committed(group));
    if (later == -1) show("offsets-forgotten");
    co_return Result<void>();
  }
  Task<Result<std::int64_t>> committed(std::string group) {
    STELE_CO_TRY(const Client client, co_await connect());
    kafka::OffsetFetchRequest request;
    auto& asked = request.groups.emplace_back();
    asked.group_id = std::move(group);
    auto& topic = asked.topics->emplace_back();
    topic.name = "orders.eu";
    topic.partition_indexes.push_back(0);
    STELE_CO_TRY(const auto answer, co_await client->call(std::move(request), kNamedOffsets));
    client->close();
    const auto& of = answer.groups.at(0);
    if (of.error != KafkaError::kNone) co_return refused();
    const auto& one = of.topics.at(0).partitions.at(0);
    if (one.error != KafkaError::kNone) co_return refused();
    co_return one.committed_offset;
  }

  std::map<std::int64_t, std::string> written_;  // by offset, as it was acknowledged
  std::uint64_t groups_ = 0, rounds_ = 0;
};

}  // namespace

Task<void> run_forgotten(runtime::Runtime& runtime, Workload& workload) {
  return run_rounds(runtime, workload, std::make_unique<Forgotten>(runtime, workload));
}

}  // namespace stele::sim
