// Snapshots while one operation of the disk fails, whichever it is: the next start finds what the meta
// service names, and nothing else stays.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "model/record_batch_builder.h"
#include "protocols/kafka/client.h"
#include "runtime/task.h"
#include "tests/node/one_node.h"

namespace stele {
namespace {

using kafka::KafkaError;
using runtime::Task;
using testing::OneNode;
using namespace std::chrono_literals;

// Whether it was stored.
Task<bool> produce(kafka::Client& client) {
  std::string out;
  RecordBatchBuilder builder(out, {});
  builder.append(1000, std::nullopt, std::string(6000, 'v'));
  EXPECT_TRUE(builder.finish());
  const auto produced = co_await client.produce("t", 0, Bytes::copy(out));
  co_return produced && produced->error == KafkaError::kNone;
}

// False: so many operations were not made.
bool survives_a_failure(std::uint32_t operation) {
  OneNode node(7);
  node.configure = [](server::NodeConfig& config) { config.broker.snapshot_log_bytes = 4096; };
  bool failed = false;
  node.run([&](OneNode& running) -> Task<void> {
    auto client = co_await running.connect();
    EXPECT_TRUE(co_await client->create_topic("t", 1));
    EXPECT_TRUE(co_await produce(*client));
    co_await running.sleep(2s);
    running.disk().faults().fails_at = operation;
    (void)co_await produce(*client);
    co_await running.sleep(2s);
    failed = running.disk().effects().operations_failed > 0;
    running.disk().faults().fails_at = 0;
    client->close();
    co_await running.restart(sim::CrashMode::kKill);
    client = co_await running.connect();
    while (!co_await produce(*client)) co_await running.sleep(50ms);
    client->close();
    co_await running.sleep(2s);
    EXPECT_LE(running.disk().names_in("/data/snapshots").size(), 3U) << "operation " << operation;
  });
  return failed;
}

TEST(Snapshots, SurviveAFailureOfAnyOperation) {
  std::uint32_t operation = 1;
  while (survives_a_failure(operation)) ++operation;
  EXPECT_GT(operation, 20U);
}

}  // namespace
}  // namespace stele
