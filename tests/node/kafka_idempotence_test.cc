// An idempotent producer (KIP-98) against a whole node that crashes, restarts and writes snapshots: what is
// sent again is stored once and answered with the same offset, whichever owner of the partition it reaches.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/options.h"
#include "model/record_batch_builder.h"
#include "protocols/kafka/client.h"
#include "protocols/mqtt/client.h"
#include "runtime/scope.h"
#include "server/node.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele {
namespace {

using kafka::KafkaError;
using runtime::Task;
using namespace std::chrono_literals;

class NodeProgram final : public sim::Program {
 public:
  NodeProgram(sim::ProcessContext& process, server::NodeConfig config)
      : process_(process), node_(process.cores(), std::move(config)) {
    scope_.spawn(start(this));
  }
  void on_terminate() override { scope_.spawn(stop(this)); }

 private:
  static Task<void> start(NodeProgram* self) {
    const auto started = co_await self->node_.start();
    EXPECT_TRUE(started) << started.error().to_string();
  }
  static Task<void> stop(NodeProgram* self) {
    co_await self->node_.stop();
    self->process_.exit();
  }

  sim::ProcessContext& process_;
  server::Node node_;
  runtime::Scope scope_;
};

struct Batch {
  std::int64_t producer = 0;
  std::int16_t epoch = 0;
  std::int32_t sequence = 0;
  int records = 2;
  Bytes bytes() const {
    std::string out;
    RecordBatchOptions options;
    options.producer_id = producer;
    options.producer_epoch = epoch;
    options.base_sequence = sequence;
    RecordBatchBuilder builder(out, options);
    for (int i = 0; i < records; ++i) builder.append(1000, std::nullopt, "v");
    EXPECT_TRUE(builder.finish());
    return Bytes::copy(out);
  }
};

struct Received final : mqtt::ClientHandler {
  std::int64_t messages = 0;
  void on_publish(const mqtt::Publish&, const Bytes&) override { ++messages; }
};

class Scenario {
 public:
  explicit Scenario(std::uint64_t seed, broker::BrokerOptions options = {})
      : options_(std::move(options)),
        world_(seed),
        node_(world_.add_host("node")),
        client_host_(world_.add_host("client")) {}

  using Body = Task<void> (*)(Scenario* self, runtime::Runtime* runtime);
  void run(Body body) {
    node_.boot(1 + world_.seed() % 2, [this](sim::ProcessContext& process) {
      server::NodeConfig config;
      config.data = "/data";
      config.shards = 3;
      config.broker = options_;
      config.mqtt = {{process.host().ip(), 1883}};
      config.kafka = {{process.host().ip(), 9092}};
      config.advertise_kafka = runtime::Endpoint{process.host().ip(), 9092};
      return std::make_unique<NodeProgram>(process, config);
    });
    client_host_.boot(
        1, sim::program([this, body](sim::ProcessContext& process) { return body(this, &process.core(0)); }));
    const auto result = world_.run_until([this] { return done_; }, 10min);
    EXPECT_TRUE(done_) << sim::to_string(result.reason) << ": " << result.detail;
  }

  static Task<void> crashes(Scenario* self, runtime::Runtime* runtime) {
    co_await self->prepare(runtime);
    co_await self->subscribe();
    co_await self->store_once();
    co_await self->while_it_is_not_committed();
    // The tail of the log alone; a snapshot; a snapshot and a tail behind it.
    co_await self->restart(sim::CrashMode::kPowerLoss);
    co_await self->are_the_same();
    co_await self->restart(std::nullopt);
    co_await self->are_the_same();
    co_await self->write({.producer = self->first_, .sequence = self->next_});
    co_await self->restart(sim::CrashMode::kKill);
    co_await self->are_the_same();
    co_await self->epochs();
    co_await self->new_producer();
    const auto end = co_await self->client_->list_offset("t", 0, -1);
    EXPECT_EQ(end->offset, self->end_);
    co_await self->each_once();
    self->done_ = true;
  }

  // With one producer remembered.
  static Task<void> forgets_at_the_limit(Scenario* self, runtime::Runtime* runtime) {
    co_await self->prepare(runtime);
    co_await self->write({.producer = self->first_, .sequence = 0});
    const auto early = co_await self->send({.producer = self->first_, .sequence = 50});
    EXPECT_EQ(early.error, KafkaError::kOutOfOrderSequenceNumber);
    co_await self->write({.producer = self->second_, .sequence = 0});
    co_await self->write({.producer = self->first_, .sequence = 50});
    self->done_ = true;
  }

  // After a second.
  static Task<void> forgets_the_silent(Scenario* self, runtime::Runtime* runtime) {
    co_await self->prepare(runtime);
    co_await self->write({.producer = self->first_, .sequence = 0});
    const auto early = co_await self->send({.producer = self->first_, .sequence = 50});
    EXPECT_EQ(early.error, KafkaError::kOutOfOrderSequenceNumber);
    co_await runtime::sleep(*runtime, 10s);
    co_await self->write({.producer = self->first_, .sequence = 50});
    self->done_ = true;
  }

 private:
  Task<void> prepare(runtime::Runtime* runtime) {
    runtime_ = runtime;
    co_await connect();
    EXPECT_TRUE(co_await client_->create_topic("t", 1));
    first_ = co_await new_producer();
    second_ = co_await new_producer();
    EXPECT_NE(first_, second_);
  }

  Task<void> connect() {
    while (true) {
      auto made = co_await kafka::Client::connect(*runtime_, {node_.ip(), 9092}, {});
      if (made) {
        client_ = *std::move(made);
        co_return;
      }
      co_await runtime::sleep(*runtime_, 50ms);
    }
  }
  // None: in good order.
  Task<void> restart(std::optional<sim::CrashMode> crash) {
    client_->close();
    world_.after(1ms, [this, crash] { crash ? node_.crash(*crash) : node_.terminate(); });
    while (node_.running()) co_await runtime::sleep(*runtime_, 10ms);
    world_.after(1ms, [this] { node_.restart(); });
    co_await connect();
  }
  Task<std::int64_t> new_producer() {
    const auto made = co_await client_->call(kafka::InitProducerIdRequest());
    EXPECT_TRUE(made && made->error == KafkaError::kNone && made->producer_epoch == 0);
    EXPECT_TRUE(ids_.insert(made->producer_id).second);  // whatever crashed
    co_return made->producer_id;
  }

  Task<kafka::ProduceResponse::Partition> send(Batch batch) {
    const auto answer = co_await client_->produce("t", 0, batch.bytes());
    EXPECT_TRUE(answer) << answer.error().to_string();
    co_return *answer;
  }
  Task<void> write(Batch batch) {
    const auto answer = co_await send(batch);
    EXPECT_EQ(answer.error, KafkaError::kNone) << batch.sequence;
    EXPECT_EQ(answer.base_offset, end_) << batch.sequence;
    if (batch.producer == first_) {
      written_.emplace_back(batch, end_);
      next_ = batch.sequence + batch.records;
    }
    end_ += batch.records;
  }
  Task<void> store_once() {
    for (std::int32_t i = 0; i < 7; ++i) co_await write({.producer = first_, .sequence = 2 * i});
    co_await write({.producer = second_, .sequence = 0, .records = 3});
    co_await are_the_same();
    const auto early = co_await send({.producer = first_, .sequence = next_ + 1});
    EXPECT_EQ(early.error, KafkaError::kOutOfOrderSequenceNumber);
    EXPECT_TRUE(early.error_message.has_value());
  }
  // The last five are known, those before are not, and nothing is stored.
  Task<void> are_the_same() {
    const std::size_t known = written_.size() - 5;
    for (std::size_t i = 0; i < written_.size(); ++i) {
      const auto [batch, base] = written_[i];
      const auto answer = co_await send(batch);
      EXPECT_EQ(answer.error, i < known ? KafkaError::kOutOfOrderSequenceNumber : KafkaError::kNone) << i;
      if (i >= known) EXPECT_EQ(answer.base_offset, base) << i;
    }
    const auto end = co_await client_->list_offset("t", 0, -1);
    EXPECT_EQ(end->offset, end_);
  }
  // Sent twice, and again while both wait.
  Task<void> while_it_is_not_committed() {
    const Batch batch{.producer = first_, .sequence = next_};
    std::vector<std::int64_t> bases;
    runtime::Scope scope;
    for (int i = 0; i < 3; ++i) scope.spawn(send_and_note(this, batch, &bases));
    co_await scope.join();
    EXPECT_EQ(bases, std::vector<std::int64_t>(3, end_));
    written_.emplace_back(batch, end_);
    next_ += batch.records;
    end_ += batch.records;
  }
  static Task<void> send_and_note(Scenario* self, Batch batch, std::vector<std::int64_t>* bases) {
    const auto answer = co_await self->send(batch);
    EXPECT_EQ(answer.error, KafkaError::kNone);
    bases->push_back(answer.base_offset);
  }
  Task<void> epochs() {
    const auto wrong = co_await send({.producer = first_, .epoch = 1, .sequence = next_});
    EXPECT_EQ(wrong.error, KafkaError::kOutOfOrderSequenceNumber);
    co_await write({.producer = first_, .epoch = 1, .sequence = 0});
    const auto old = co_await send({.producer = first_, .epoch = 0, .sequence = 2});
    EXPECT_EQ(old.error, KafkaError::kInvalidProducerEpoch);
  }

  // MQTT sessions, in all shards, whose clients are away: what is stored is forwarded to them.
  Task<std::unique_ptr<mqtt::Client>> session(std::string id, mqtt::ClientHandler* handler) {
    mqtt::ClientOptions options;
    options.client_id = std::move(id);
    options.clean_start = false;
    options.session_expiry_s = 100'000;
    auto made = co_await mqtt::Client::connect(*runtime_, {node_.ip(), 1883}, options, *handler);
    EXPECT_TRUE(made) << made.error().to_string();
    co_return *std::move(made);
  }
  Task<void> subscribe() {
    for (const char* id : kSessions) {
      Received nothing;
      const auto client = co_await session(id, &nothing);
      EXPECT_TRUE(co_await client->subscribe({{.filter = "t", .qos = mqtt::Qos::kAtLeastOnce}}));
      co_await client->disconnect();
    }
  }
  // Nobody has a record twice.
  Task<void> each_once() {
    for (const char* id : kSessions) {
      Received received;
      const auto client = co_await session(id, &received);
      while (received.messages < end_) co_await runtime::sleep(*runtime_, 10ms);
      co_await runtime::sleep(*runtime_, 1s);
      EXPECT_EQ(received.messages, end_) << id;
      co_await client->disconnect();
    }
  }

  static constexpr const char* kSessions[] = {"a", "b", "c", "d", "e"};
  const broker::BrokerOptions options_;
  bool done_ = false;
  runtime::Runtime* runtime_ = nullptr;
  std::int64_t first_ = -1, second_ = -1;
  std::set<std::int64_t> ids_;
  std::int32_t next_ = 0;  // sequence number of the first producer
  std::int64_t end_ = 0;
  std::vector<std::pair<Batch, std::int64_t>> written_;  // by the first producer, with its base offset
  sim::World world_;                                     // what its processes refer to is above
  sim::Host& node_;
  sim::Host& client_host_;
  std::unique_ptr<kafka::Client> client_;
};

TEST(KafkaIdempotence, ABatchIsStoredOnceWhateverCrashes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Scenario(seed).run(&Scenario::crashes);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(KafkaIdempotence, TheLongestSilentIsForgottenAtTheLimit) {
  broker::BrokerOptions options;
  options.producers = 1;
  Scenario(1, options).run(&Scenario::forgets_at_the_limit);
}

TEST(KafkaIdempotence, WhoIsSilentForTooLongIsForgotten) {
  broker::BrokerOptions options;
  options.producer_expiry = 1s;
  Scenario(1, options).run(&Scenario::forgets_the_silent);
}

}  // namespace
}  // namespace stele
