// What all shards of a core together would replay is bounded (--replay-bytes): those with the most write a
// snapshot, whatever each has by itself.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "broker/observer.h"
#include "model/record_batch_builder.h"
#include "protocols/kafka/client.h"
#include "tests/node/one_node.h"

namespace stele {
namespace {

using kafka::KafkaError;
using runtime::Task;
using testing::OneNode;
using namespace std::chrono_literals;

class Snapshots final : public broker::ShardObserver {
 public:
  std::vector<ShardId> of;
  void on_owner(ShardId, Epoch, Lsn, std::uint64_t) override {}
  void on_append(ShardId, Epoch, Lsn, std::string_view, std::string_view) override {}
  void on_commit(ShardId, Epoch, Lsn) override {}
  bool wants_hash(ShardId) override { return false; }
  void on_hash(ShardId, Epoch, Lsn, std::uint64_t) override {}
  void on_refused(ShardId) override {}
  void on_snapshot(ShardId shard, Epoch, Lsn, std::uint64_t) override { of.push_back(shard); }
};

Task<void> produce(kafka::Client& client, std::int32_t partition, int kib) {
  for (; kib > 0; --kib) {
    std::string out;
    RecordBatchBuilder builder(out, {});
    builder.append(1000, std::nullopt, std::string(1024, 'v'));
    EXPECT_TRUE(builder.finish());
    const auto produced = co_await client.produce("t", partition, Bytes::copy(out));
    EXPECT_TRUE(produced && produced->error == KafkaError::kNone);
  }
}

// Shards that wrote a snapshot after each of three loads: 100 KiB, 20 KiB, 60 KiB, of which the last two go
// to the same.
std::vector<std::vector<ShardId>> snapshots_with(std::uint64_t replay_bytes) {
  Snapshots seen;
  std::vector<std::vector<ShardId>> after;
  OneNode node(7);
  node.configure = [&](server::NodeConfig& config) {
    config.broker.replay_bytes = replay_bytes;
    config.broker.snapshot_log_bytes = 1 << 30;
    config.broker.observer = &seen;
  };
  node.run([&](OneNode& running) -> Task<void> {
    auto client = co_await running.connect();
    EXPECT_TRUE(co_await client->create_topic("t", 2));
    for (const auto& [partition, kib] : {std::pair(0, 70), std::pair(1, 20), std::pair(1, 60)}) {
      seen.of.clear();
      co_await produce(*client, partition, kib);
      co_await running.sleep(10s);
      after.push_back(seen.of);
    }
    client->close();
  });
  return after;
}

TEST(Replay, IsBoundedOverAllShards) {
  const auto after = snapshots_with(64 * 1024);
  ASSERT_EQ(after.size(), 3U);
  ASSERT_EQ(after[0].size(), 1U);
  // With what the first has left that is within the limit.
  EXPECT_TRUE(after[1].empty());
  // The second has the most now, and without it there is little.
  ASSERT_EQ(after[2].size(), 1U);
  EXPECT_NE(after[2][0], after[0][0]);
}

TEST(Replay, OfLittleNeedsNoSnapshot) {
  for (const auto& of : snapshots_with(1 << 30)) EXPECT_TRUE(of.empty());
}

}  // namespace
}  // namespace stele
