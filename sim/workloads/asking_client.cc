// A client that asks at any time, most of all while what it asks for is being written. Whatever it is told
// must be committed by then: an answer out of a state that may still be lost is wrong, also if it is not
// lost.
#include <string>
#include <utility>

#include "protocols/kafka/client.h"
#include "sim/workloads/clients.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

Task<Result<void>> ask_for_end(runtime::Runtime& runtime, Workload& workload, kafka::Client& client) {
  const std::string topic = runtime.random().chance(1, 2) ? "orders.eu" : "sensors";
  const auto partition = static_cast<std::int32_t>(
      runtime.random().below(static_cast<std::uint64_t>(workload.partitions.at(topic))));
  STELE_CO_TRY(const auto told, co_await client.list_offset(topic, partition, kafka::kLatestTimestamp));
  workload.ledger.operation();
  if (told.error != kafka::KafkaError::kNone || !workload.end_of) co_return Result<void>();
  const std::int64_t end = workload.end_of(topic, partition);
  if (told.offset > end) {
    workload.judge.fail("partition " + std::to_string(partition) + " of topic " + topic +
                        " is said to end at " + std::to_string(told.offset) + ", and is committed up to " +
                        std::to_string(end));
  }
  co_return Result<void>();
}

Task<Result<void>> ask_for_offsets(Workload& workload, kafka::Client& client) {
  kafka::OffsetFetchRequest request;
  auto& group = request.groups.emplace_back();
  group.group_id = "workers";
  auto& topic = group.topics->emplace_back();
  topic.name = "orders.eu";
  for (std::int32_t partition = 0; partition < workload.partitions.at("orders.eu"); ++partition)
    topic.partition_indexes.push_back(partition);
  const GroupLedger::Moment sent = workload.group.now();
  STELE_CO_TRY(const auto told, co_await client.call(std::move(request), 9));
  workload.ledger.operation();
  if (told.groups.front().error != kafka::KafkaError::kNone) co_return Result<void>();
  for (const auto& one : told.groups.front().topics) {
    for (const auto& partition : one.partitions) {
      if (partition.error == kafka::KafkaError::kNone)
        workload.group.fetched(sent, partition.partition_index, partition.committed_offset);
    }
  }
  co_return Result<void>();
}

}  // namespace

Task<void> run_asker(runtime::Runtime& runtime, Workload& workload) {
  workload.running.insert("asker");
  while (!workload.stopping) {
    co_await wait_while_quiet(runtime, workload);
    auto client = co_await kafka::Client::connect(runtime, workload.kafka, kafka_options(workload));
    if (!client) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    while (!(*client)->closed() && workload.busy()) {
      switch (runtime.random().below(5)) {
        case 0:
          co_await look_at_retained(runtime, workload,
                                    static_cast<std::uint32_t>(runtime.random().below(kRetainedAddresses)));
          break;
        case 1:
        case 2:
          (void)co_await ask_for_end(runtime, workload, **client);
          break;
        default:
          (void)co_await ask_for_offsets(workload, **client);
      }
      co_await runtime::sleep(runtime, short_pause(runtime, 100));
    }
    (*client)->close();
  }
  workload.running.erase("asker");
}

}  // namespace stele::sim
