// What the backend costs per frame, connection and post. Both ends of each connection are on one core, so a
// number is the sum of both, system calls included.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "runtime/scope.h"
#include "runtime/uv/process_stats.h"
#include "runtime/uv/uv_process.h"

namespace stele::runtime::uv {
namespace {

using namespace std::chrono_literals;

struct End : ConnectionHandler {
  std::unique_ptr<Connection> connection;
  std::function<void(std::string_view)> when_data;
  explicit End(std::function<void(std::string_view)> when_data) : when_data(std::move(when_data)) {}
  void on_data(Bytes data) override { when_data(data); }
  void on_closed(const Error&) override { connection.reset(); }
  void start(std::unique_ptr<Connection> with) {
    connection = std::move(with);
    connection->start(*this);
  }
};

struct Ends : AcceptHandler {
  std::vector<std::unique_ptr<End>> accepted, connected;
  std::function<void(End&, std::string_view)> at_server;
  std::unique_ptr<Listener> listener;
  void on_accept(std::unique_ptr<Connection> connection) override {
    accepted.push_back(std::make_unique<End>(nullptr));
    End* end = accepted.back().get();
    end->when_data = [this, end](std::string_view data) { at_server(*end, data); };
    end->start(std::move(connection));
  }
};

Task<void> connect_ends(Runtime* rt, Ends* ends, std::size_t count) {
  auto listener = rt->network().listen({"127.0.0.1", 0}, {}, *ends);
  STELE_ASSERT(listener);
  ends->listener = std::move(*listener);
  for (std::size_t i = 0; i < count; ++i) {
    auto connection = co_await rt->network().connect(ends->listener->local(), 30s, {});
    STELE_ASSERT(connection);
    ends->connected.push_back(std::make_unique<End>(nullptr));
    ends->connected.back()->start(std::move(*connection));
  }
  while (ends->accepted.size() < count) co_await sleep(*rt, 1ms);
}

Task<void> then_stop(UvProcess* process, Task<void> body) {
  co_await std::move(body);
  process->stop();
}

void run_on_core(UvProcess& process, std::function<Task<void>(Runtime*)> body) {
  Scope scope;
  process.run([&](Runtime& rt) {
    if (rt.core() == CoreId(0)) scope.spawn(then_stop(&process, body(&rt)));
  });
}

// `per_turn` frames of 64 bytes in one go; the server answers each with 16 bytes of its own.
void BM_Frames(benchmark::State& state) {
  const auto per_turn = static_cast<std::size_t>(state.range(0));
  UvProcess process({});
  Ends ends;
  run_on_core(process, [&](Runtime* rt) { return connect_ends(rt, &ends, 1); });
  ends.at_server = [](End& end, std::string_view data) {
    for (std::size_t at = 0; at < data.size(); at += 64) end.connection->write("0123456789abcdef");
  };
  End& client = *ends.connected[0];
  const std::string frames(64 * per_turn, 'f');
  std::size_t back = 0;
  client.when_data = [&](std::string_view data) {
    back += data.size();
    if (back < 16 * per_turn) return;
    process.stop();
  };
  for (auto _ : state) {
    back = 0;
    process.run([&](Runtime&) { client.connection->write(std::string_view(frames)); });
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(per_turn));
}
BENCHMARK(BM_Frames)->Arg(1)->Arg(100)->Arg(10'000);

// One turn writes 100 bytes to each of many connections.
void BM_FanOut(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto each = static_cast<std::size_t>(state.range(1));
  UvProcess process({});
  Ends ends;
  STELE_ASSERT(raise_open_files_limit());
  run_on_core(process, [&](Runtime* rt) { return connect_ends(rt, &ends, count); });
  std::size_t arrived = 0;
  for (auto& client : ends.connected) {
    client->when_data = [&](std::string_view data) {
      arrived += data.size();
      if (arrived == count * each * 100) process.stop();
    };
  }
  const std::string message(100, 'm');
  for (auto _ : state) {
    arrived = 0;
    process.run([&](Runtime&) {
      for (std::size_t i = 0; i < each; ++i) {
        for (auto& server : ends.accepted) server->connection->write(std::string_view(message));
      }
    });
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count * each));
}
BENCHMARK(BM_FanOut)->Args({10, 1})->Args({1000, 1})->Args({1000, 100});

void BM_Stream(benchmark::State& state) {
  UvProcess process({});
  Ends ends;
  run_on_core(process, [&](Runtime* rt) { return connect_ends(rt, &ends, 1); });
  constexpr std::size_t kSize = 64 << 20;
  std::size_t arrived = 0;
  ends.at_server = [&](End&, std::string_view data) {
    arrived += data.size();
    if (arrived == kSize) process.stop();
  };
  const Bytes block = Bytes::copy(std::string(64 << 10, 'b'));
  for (auto _ : state) {
    arrived = 0;
    process.run([&](Runtime&) {
      for (std::size_t i = 0; i < kSize / block.size(); ++i) ends.connected[0]->connection->write(block);
    });
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSize));
}
BENCHMARK(BM_Stream);

void BM_IdleConnections(benchmark::State& state) {
  const auto limit = raise_open_files_limit();
  STELE_ASSERT(limit);
  const std::size_t count = std::min<std::size_t>(5000, (*limit - 100) / 2);
  for (auto _ : state) {
    UvProcess process({});
    Ends ends;
    std::size_t echoed = 0;
    ends.at_server = [&](End& end, std::string_view data) { end.connection->write(data); };
    ends.accepted.reserve(count);
    ends.connected.reserve(count);
    const std::size_t before = ::mallinfo2().uordblks;
    run_on_core(process, [&](Runtime* rt) { return connect_ends(rt, &ends, count); });
    for (auto& client : ends.connected) {
      client->when_data = [&](std::string_view) {
        if (++echoed == count) process.stop();
      };
    }
    process.run([&](Runtime&) {
      for (auto& client : ends.connected) client->connection->write("hello");
    });
    state.counters["bytes/connection"] =
        static_cast<double>(::mallinfo2().uordblks - before) / static_cast<double>(2 * count);
  }
}
BENCHMARK(BM_IdleConnections)->Iterations(1);

void BM_PostThereAndBack(benchmark::State& state) {
  UvProcess process({.cores = 2});
  constexpr int kCount = 10'000;
  for (auto _ : state) {
    int back = 0;
    process.run([&](Runtime& rt) {
      if (rt.core() != CoreId(0)) return;
      for (int i = 0; i < kCount; ++i) {
        rt.post(CoreId(1), [&] {
          process.core(CoreId(1)).post(CoreId(0), [&] {
            if (++back == kCount) process.stop();
          });
        });
      }
    });
  }
  state.SetItemsProcessed(state.iterations() * kCount);
}
BENCHMARK(BM_PostThereAndBack)->UseRealTime();

Task<void> write_many(Runtime* rt, std::string path, int count) {
  auto file = co_await rt->files().open(path, {OpenMode::kCreate, true});
  STELE_ASSERT(file);
  const Bytes block = Bytes::copy(std::string(4096, 'w'));
  for (int i = 0; i < count; ++i) {
    std::vector<Bytes> slices(4, block);
    const auto written = co_await (*file)->write(Position(0), std::move(slices));
    STELE_ASSERT(written);
  }
}

// Without the sync: what the way to the file's thread and back costs.
void BM_WriteOnOwnThread(benchmark::State& state) {
  UvProcess process({});
  constexpr int kCount = 1000;
  for (auto _ : state) {
    run_on_core(process, [](Runtime* rt) { return write_many(rt, "/tmp/stele-benchmark", kCount); });
  }
  state.SetItemsProcessed(state.iterations() * kCount);
}
BENCHMARK(BM_WriteOnOwnThread)->UseRealTime();

}  // namespace
}  // namespace stele::runtime::uv

BENCHMARK_MAIN();
