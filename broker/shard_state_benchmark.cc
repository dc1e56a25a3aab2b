// The data path of a shard's state machine: what one message costs from its batch to the state, without the
// log. One message per entry, as MQTT publishes come.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/wire.h"
#include "broker/control.h"
#include "broker/decide.h"
#include "broker/entry.h"
#include "broker/message_batch.h"
#include "broker/shard_state.h"

namespace stele::broker {
namespace {

const StreamId kStream{TopicId(1), PartitionId(0)};

struct Setup {
  ShardState state;
  ApplyResult result;
  Data data;

  explicit Setup(std::size_t payload_bytes) {
    StreamConfig config;
    config.name = "t";
    config.captures = {"sensors/#"};
    apply(control::stream_set({}, kStream, config));
    const std::string payload(payload_bytes, 'p');
    MessageView view;
    view.address = "sensors/hall/7/temperature";
    view.payload = payload;
    view.timestamp_ms = 1'700'000'000'000;
    MessageBatch made = batch_of(view, {});
    data.address = std::move(made.address);
    data.batch = std::move(made.batch);
  }
  void apply(const storage::LogEntry& entry) {
    auto view = parse_entry(entry);
    if (!view || !state.apply(state.next(), *view, result)) std::abort();
  }
  void subscribe(std::size_t sessions) {
    for (std::size_t i = 0; i < sessions; ++i) {
      const std::string client = "client" + std::to_string(i);
      apply(control::session_opened({}, {}, client, true, 100));
      SubscribeRequest request;
      request.filter = "sensors/+/7/#";
      request.qos = 1;
      apply(control::subscribed({}, {}, client, std::span(&request, 1)));
    }
  }
  DataEntryParts into_stream() const {
    return {.time = {}, .stream = kStream, .base_offset = state.stream(kStream)->next(), .leader_epoch = 1};
  }
};

void BM_EncodeParseApplyIntoStream(benchmark::State& run) {
  Setup setup(static_cast<std::size_t>(run.range(0)));
  for (auto _ : run) setup.apply(encode_data(setup.data, setup.into_stream()));
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_EncodeParseApplyIntoStream)->Arg(64)->Arg(1024)->Arg(16384);

void BM_ParseApplyIntoStream(benchmark::State& run) {
  Setup setup(64);
  storage::LogEntry entry = encode_data(setup.data, setup.into_stream());
  auto view = parse_entry(entry);
  const std::size_t at = static_cast<std::size_t>(view->data.batch.data() - entry.head.data());
  char* batch = const_cast<char*>(entry.head.data()) + at;
  for (auto _ : run) {
    set_base_offset(batch, setup.state.stream(kStream)->next());
    setup.apply(entry);
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_ParseApplyIntoStream);

// A Kafka batch of one record, decided and applied. So many idempotent producers take turns; 0: none is.
void BM_Produce(benchmark::State& run) {
  Setup setup(64);
  setup.data.kafka_batch = true;
  setup.data.stream = kStream;
  char* header = const_cast<char*>(setup.data.batch.data());
  const std::int64_t producers = run.range(0);
  std::int64_t sent = 0;
  for (auto _ : run) {
    if (producers > 0) {
      store_be(header + 43, sent % producers);
      store_be(header + 51, std::int16_t{0});
      store_be(header + 53, static_cast<std::int32_t>(sent / producers));
      ++sent;
    }
    auto made = decide::publish(setup.state, {WallTime{1000}, Epoch(1)}, setup.data, {}, false);
    if (!made || made->duplicate_of) std::abort();
    setup.apply(made->entry);
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_Produce)->Arg(0)->Arg(1)->Arg(1000)->Arg(50000);

// One message queued for so many sessions, then settled by all.
void BM_QueueAndSettle(benchmark::State& run) {
  Setup setup(64);
  const auto sessions = static_cast<std::uint32_t>(run.range(0));
  setup.subscribe(sessions);
  std::vector<control::Settled> items;
  for (auto _ : run) {
    const Lsn lsn = setup.state.next();
    setup.apply(encode_data(setup.data, {}));
    items.clear();
    for (std::uint32_t number = 1; number <= sessions; ++number) items.push_back({lsn, number, 0});
    setup.apply(control::settled({}, items));
  }
  run.SetItemsProcessed(run.iterations() * sessions);
}
BENCHMARK(BM_QueueAndSettle)->Arg(1)->Arg(100)->Arg(10000);

void BM_Capturing(benchmark::State& run) {
  Setup setup(64);
  MessageView view;
  view.address = "sensors/hall/7/temperature";
  for (auto _ : run)
    benchmark::DoNotOptimize(setup.state.capturing({}, view.address, [&view] { return view; }));
}
BENCHMARK(BM_Capturing);

}  // namespace
}  // namespace stele::broker

BENCHMARK_MAIN();
