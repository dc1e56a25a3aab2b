// What calls and messages cost over a real connection on the loopback address. Both ends are on one core, so
// a number is the sum of both, system calls included.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/assert.h"
#include "rpc/channel.h"
#include "rpc/server.h"
#include "runtime/scope.h"
#include "runtime/uv/uv_process.h"

namespace stele::rpc {
namespace {

using namespace std::chrono_literals;
using runtime::Runtime;
using runtime::Task;
using runtime::uv::UvProcess;

constexpr MethodId kTake{1};
constexpr MessageId kWord{1};
constexpr std::size_t kRound = 1000;  // calls or messages of one run of the loop

Identity identity(std::uint32_t node) {
  return {.cluster = {1, 2}, .node = NodeId(node)};
}

Task<void> then_stop(UvProcess* process, Task<void> body) {
  co_await std::move(body);
  process->stop();
}

struct Both {
  Both() {
    run([this](Runtime* runtime) { return open(this, runtime); });
  }
  ~Both() {
    run([this](Runtime*) { return close(this); });
  }
  void run(const std::function<Task<void>(Runtime*)>& body) {
    runtime::Scope scope;
    process.run([&](Runtime& runtime) { scope.spawn(then_stop(&process, body(&runtime))); });
  }
  static Task<void> open(Both* both, Runtime* runtime) {
    both->server = std::make_unique<Server>(*runtime, identity(2), ServerOptions{});
    both->server->on_request(kTake, [](Request, Responder responder) { responder.answer(Bytes()); });
    both->server->on_message(kWord, [both](const Peer&, Bytes) { ++both->words; });
    STELE_ASSERT(both->server->listen(runtime->network(), {"127.0.0.1", 0}));
    both->channel = std::make_unique<Channel>(*runtime, identity(1), NodeId(2), both->server->local(),
                                              ChannelOptions{.max_output_bytes = 64 << 20});
    STELE_ASSERT(co_await both->channel->call(kTake, Bytes(), 10s));
  }
  static Task<void> close(Both* both) {
    co_await both->channel->close(1s);
    co_await both->server->stop(1s);
    both->channel.reset();
    both->server.reset();
  }

  UvProcess process{{.log_level = runtime::LogLevel::kError}};
  std::size_t words = 0;
  std::unique_ptr<Server> server;
  std::unique_ptr<Channel> channel;
};

Task<void> call_again_and_again(Channel* channel, Bytes payload, std::size_t* left) {
  while (*left > 0) {
    --*left;
    STELE_ASSERT(co_await channel->call(kTake, payload, 60s));
  }
}

Task<void> call_side_by_side(Channel* channel, std::size_t at_once, Bytes payload) {
  std::size_t left = kRound;
  runtime::Scope scope;
  for (std::size_t i = 0; i < at_once; ++i) scope.spawn(call_again_and_again(channel, payload, &left));
  co_await scope.join();
}

// So many calls at once, of so many bytes.
void BM_Calls(benchmark::State& state) {
  Both both;
  const Bytes payload = Bytes::copy(std::string(std::size_t(state.range(1)), 'x'));
  for (auto _ : state) {
    both.run([&](Runtime*) {
      return call_side_by_side(both.channel.get(), std::size_t(state.range(0)), payload);
    });
  }
  state.SetItemsProcessed(std::int64_t(state.iterations() * kRound));
  state.SetBytesProcessed(std::int64_t(state.iterations() * kRound * payload.size()));
}
BENCHMARK(BM_Calls)->Args({1, 100})->Args({100, 100})->Args({100, 4 << 10})->Args({16, 256 << 10});

Task<void> send_all(Both* both, Runtime* runtime, Bytes payload) {
  const std::size_t before = both->words;
  for (std::size_t i = 0; i < kRound; ++i) STELE_ASSERT(both->channel->send(kWord, {&payload, 1}));
  while (both->words < before + kRound) co_await runtime::sleep(*runtime, runtime::Duration(1));
}

// All of a round in one turn.
void BM_Messages(benchmark::State& state) {
  Both both;
  const Bytes payload = Bytes::copy(std::string(std::size_t(state.range(0)), 'x'));
  for (auto _ : state) {
    both.run([&](Runtime* runtime) { return send_all(&both, runtime, payload); });
  }
  state.SetItemsProcessed(std::int64_t(state.iterations() * kRound));
  state.SetBytesProcessed(std::int64_t(state.iterations() * kRound * payload.size()));
}
BENCHMARK(BM_Messages)->Arg(100)->Arg(4 << 10)->Arg(32 << 10);

}  // namespace
}  // namespace stele::rpc

BENCHMARK_MAIN();
