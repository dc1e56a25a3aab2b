// What one connection costs between the socket and the broker: PUBLISH in (with its PUBACK), PUBLISH out
// (with its PUBACK in). No network, and a broker that does nothing.
//
//   bazel run -c opt //protocols/mqtt:connection_benchmark
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "base/assert.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/fake_broker.h"
#include "protocols/mqtt/fake_runtime.h"
#include "protocols/mqtt/listener.h"

namespace stele::mqtt {
namespace {

struct Idle final : broker::Publisher {
  explicit Idle(Listener& listener) : listener(listener) {}
  bool publish(const MessageView& message, const Bytes&, std::uint32_t token, bool answer) override {
    benchmark::DoNotOptimize(message.payload.data());
    if (answer) listener.on_published(token, {});
    return true;
  }
  void join(const broker::Session&) override {}
  std::size_t in_flight() const override { return 0; }
  Listener& listener;
};

struct IdleSession final : broker::Session {
  bool present() const override { return false; }
  void start() override {}
  runtime::Task<broker::SubscribeAnswer> subscribe(std::vector<broker::SubscribeRequest>) override {
    co_return broker::SubscribeAnswer();
  }
  runtime::Task<void> give_retained() override { co_return; }
  void go_on() override {}
  runtime::Task<Result<std::vector<bool>>> unsubscribe(std::vector<std::string>) override {
    co_return std::vector<bool>();
  }
  void settle(broker::SettleToken) override {}
  void accept(broker::SettleToken) override {}
  void released(std::uint16_t) override {}
  void complete(std::uint16_t) override {}
  bool durable() const override { return false; }
  void end(broker::EndOfSession, std::optional<std::uint32_t>) override {}
  runtime::Task<void> leave(std::optional<std::uint32_t>) override { co_return; }
};

struct IdleBroker final : FakeBroker {
  using FakeBroker::FakeBroker;
  std::unique_ptr<broker::Publisher> make_publisher(const broker::Principal&, std::string_view,
                                                    broker::Publisher::Listener& listener) override {
    return std::make_unique<Idle>(listener);
  }
  runtime::Task<Result<std::unique_ptr<broker::Session>>> open_session(
      broker::SessionOptions, broker::SessionHandler& with) override {
    handler = &with;
    co_return std::make_unique<IdleSession>();
  }
  broker::SessionHandler* handler = nullptr;
};

// A socket that takes and forgets everything.
struct Sink final : runtime::Connection {
  void start(runtime::ConnectionHandler& with) override { handler = &with; }
  void write(std::string_view bytes) override { written += bytes.size(); }
  void write(Bytes slice) override { written += slice.size(); }
  std::size_t queued_bytes() const override { return 0; }
  void set_low_water(std::size_t) override {}
  void pause_reading() override {}
  void resume_reading() override {}
  void close(runtime::Duration) override {}
  runtime::Endpoint local() const override { return {}; }
  runtime::Endpoint remote() const override { return {}; }
  runtime::ConnectionHandler* handler = nullptr;
  std::size_t written = 0;
};

struct Bench {
  FakeRuntime runtime;
  IdleBroker broker{runtime};
  std::unique_ptr<MqttListener> listener = *MqttListener::listen(broker, {"fake", 1}, {});
  Sink* sink = nullptr;

  explicit Bench(Version version) {
    auto connection = std::make_unique<Sink>();
    sink = connection.get();
    runtime.network().accept(1, std::move(connection));
    Connect packet;
    packet.version = version;
    packet.client_id = "bench";
    std::string bytes;
    encode(bytes, packet);
    sink->handler->on_data(Bytes::copy(bytes));
    runtime.settle();
    STELE_ASSERT(broker.handler);
  }
};

Version version_of(const benchmark::State& state) {
  return state.range(0) == 5 ? Version::kV5 : Version::kV311;
}

void publish_in(benchmark::State& state) {
  Bench bench(version_of(state));
  Publish packet;
  packet.qos = static_cast<Qos>(state.range(1));
  packet.packet_id = packet.qos == Qos::kAtMostOnce ? 0 : 7;
  packet.topic = "plant/7/line/3/temperature";
  const std::string payload(static_cast<std::size_t>(state.range(2)), 'x');
  packet.payload = payload;
  std::string one, chunk;
  if (!encode(one, packet, version_of(state))) return;
  int messages = 0;
  do {
    chunk += one;
    ++messages;
  } while (chunk.size() + one.size() < (64 << 10));
  const Bytes data = Bytes::copy(chunk);
  for (auto _ : state) bench.sink->handler->on_data(data);
  state.SetItemsProcessed(state.iterations() * messages);
}

void publish_out(benchmark::State& state) {
  Bench bench(version_of(state));
  const std::string payload(static_cast<std::size_t>(state.range(2)), 'x');
  const Bytes owner = Bytes::copy(payload);
  MessageView message;
  message.address = "plant/7/line/3/temperature";
  message.payload = owner;
  const auto qos = static_cast<std::uint8_t>(state.range(1));
  std::string pubacks;
  constexpr int kBatch = 100;
  std::uint16_t id = 0;
  for (auto _ : state) {
    pubacks.clear();
    for (int i = 0; i < kBatch; ++i) {
      bench.broker.handler->on_message({message, owner, qos, false, false, {}, {}});
      if (qos == 0) continue;
      if (++id == 0) ++id;
      pubacks += {0x40, 2, static_cast<char>(id >> 8), static_cast<char>(id)};
    }
    if (qos > 0) bench.sink->handler->on_data(Bytes::copy(pubacks));
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"version", "qos", "payload"});
  for (const int version : {3, 5}) {
    for (const int qos : {0, 1}) {
      for (const int payload : {100, 4000}) benchmark->Args({version, qos, payload});
    }
  }
}
BENCHMARK(publish_in)->Apply(shapes);
BENCHMARK(publish_out)->Apply(shapes);

}  // namespace
}  // namespace stele::mqtt

BENCHMARK_MAIN();
