// What is there before the load begins: topics that capture, a group with offsets, users.
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "protocols/kafka/client.h"
#include "sim/workloads/clients.h"

namespace stele::sim {

using namespace std::chrono_literals;

namespace {

// A group that has offsets is never forgotten within a run, and so its generations only grow.
runtime::Task<bool> prepare_group(Workload& workload, kafka::Client& client) {
  (void)co_await client.metadata({"orders.eu"}, true);
  kafka::OffsetCommitRequest request;
  request.group_id = "workers";
  auto& topic = request.topics.emplace_back();
  topic.name = "orders.eu";
  for (std::int32_t partition = 0; partition < 2; ++partition)
    topic.partitions.push_back({partition, 0, -1, ""});
  auto answer = co_await client.call(std::move(request), 9);
  if (!answer) co_return false;
  for (const auto& partition : answer->topics.front().partitions) {
    if (partition.error != kafka::KafkaError::kNone) co_return false;
  }
  for (std::int32_t partition = 0; partition < 2; ++partition) {
    workload.group.committed(workload.group.committing(-1, partition, 0), GroupLedger::Outcome::kAccepted);
  }
  co_return true;
}

bool is_there(const Result<kafka::CreateTopicsResponse::Topic>& made) {
  return made &&
         (made->error == kafka::KafkaError::kNone || made->error == kafka::KafkaError::kTopicAlreadyExists);
}

// The topics that capture are made before anything is published.
runtime::Task<bool> prepare_topics(kafka::Client& client) {
  std::vector<kafka::CreateTopicsRequest::Config> sensors, states;
  sensors.push_back({"stele.capture", "sensors/#"});
  sensors.push_back({"retention.ms", "-1"});
  states.push_back({"stele.capture", captured_states(true)});
  co_return is_there(co_await client.create_topic("sensors", 3, sensors)) &&
      is_there(co_await client.create_topic("states", 2, states));
}

}  // namespace

runtime::Task<void> prepare(runtime::Runtime& runtime, Workload& workload, bool& ready) {
  for (std::size_t turn = 0;; ++turn) {
    // Each in turn: one of them coordinates the group.
    const std::size_t which = turn % (workload.other_kafkas.size() + 1);
    const runtime::Endpoint to = which == 0 ? workload.kafka : workload.other_kafkas[which - 1];
    auto client = co_await kafka::Client::connect(runtime, to, kafka_options(workload));
    if (client) {
      const bool done = (!workload.login || co_await make_denied_user(runtime, workload)) &&
                        (!workload.neighbour || co_await make_neighbour(runtime, workload)) &&
                        co_await prepare_topics(**client) && co_await prepare_group(workload, **client);
      (*client)->close();
      if (done) break;
    }
    co_await runtime::sleep(runtime, 50ms);
  }
  ready = true;
}

}  // namespace stele::sim
