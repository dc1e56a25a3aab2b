// For tests: a simulated host whose process runs a journal, with one coroutine that goes from core to core.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "journal/client.h"
#include "journal/replicas.h"
#include "journal/server.h"
#include "journal/shard_log.h"
#include "journal/testing/model_keeper.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "sim/disk.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::journal {

inline LogEntry entry_of(std::string_view text) {
  return {.head = Bytes::copy(text.substr(0, text.size() / 2)),
          .body = Bytes::copy(text.substr(text.size() / 2))};
}
inline std::string text_of(const LogEntry& entry) {
  return std::string(entry.head.view()) + std::string(entry.body.view());
}

// Goes on in a later turn of another core (or of the same).
inline auto go_to(runtime::Runtime& from, CoreId to) {
  struct Awaiter {
    runtime::Runtime& from;
    CoreId to;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      from.post(to, [waiter] { waiter.resume(); });
    }
    void await_resume() const {}
  };
  return Awaiter{from, to};
}

struct Heard final : ShardLog::Listener {
  Lsn committed;
  int commits = 0, unblocked = 0;
  std::optional<Error> lost;
  std::function<void(Lsn)> when_committed;
  void on_committed(Lsn end) override {
    EXPECT_FALSE(lost);
    EXPECT_GT(end, committed);
    committed = end;
    ++commits;
    if (when_committed) when_committed(end);
  }
  void on_lost(const Error& why) override {
    EXPECT_FALSE(lost);
    lost = why;
  }
  void on_unblocked() override { ++unblocked; }
};

// What a process has. The logs go first when it dies.
struct TestNode {
  sim::ProcessContext* process = nullptr;
  ModelChains* chains = nullptr;
  std::unique_ptr<JournalServer> server;
  std::vector<std::unique_ptr<JournalClient>> clients;  // one per core
  std::vector<std::unique_ptr<LocalReplicas>> locals;   // likewise

  runtime::Runtime& core(std::uint32_t index) const { return process->core(index); }
  JournalClient& client(std::uint32_t index) const { return *clients.at(index); }
  LocalReplicas& replicas(std::uint32_t index) const { return *locals.at(index); }
  std::shared_ptr<ChainKeeper> keeper(std::uint32_t index) const {
    return std::make_shared<ModelKeeper>(core(index), *chains, NodeId(1));
  }
  // Both on core 0, and back to it.
  runtime::Task<Result<void>> open(JournalOptions options, JournalClientOptions client_options) {
    STELE_CO_TRY(server, co_await JournalServer::open(core(0), options));
    for (std::uint32_t i = 0; i < process->cores().size(); ++i) {
      co_await go_to(core(i == 0 ? 0 : i - 1), CoreId(i));
      clients.push_back(std::make_unique<JournalClient>(core(i), *server, client_options));
      locals.push_back(std::make_unique<LocalReplicas>(*clients.back(), NodeId(1)));
    }
    co_await go_to(core(static_cast<std::uint32_t>(clients.size()) - 1), CoreId(0));
    co_return Result<void>();
  }
  // From core 0, once the logs are gone.
  runtime::Task<Result<void>> close() {
    for (std::uint32_t i = 0; i < clients.size(); ++i) {
      co_await go_to(core(i == 0 ? 0 : i - 1), CoreId(i));
      locals[i].reset();
      clients[i].reset();
    }
    co_await go_to(core(static_cast<std::uint32_t>(clients.size()) - 1), CoreId(0));
    co_return co_await server->close();
  }
};

// Resumes when `condition` holds. A minute is a hang.
inline runtime::Task<bool> until(runtime::Runtime& core, std::function<bool()> condition) {
  const runtime::Instant deadline = core.now() + std::chrono::minutes(1);
  while (!condition()) {
    if (core.now() > deadline) {
      ADD_FAILURE() << "waited in vain";
      co_return false;
    }
    co_await runtime::sleep(core, std::chrono::microseconds(100));
  }
  co_return true;
}

inline runtime::Task<std::vector<std::string>> read_all(const ShardLog& log, Lsn from,
                                                        std::size_t max_bytes) {
  std::vector<std::string> all;
  for (Lsn at = from; at < log.next();) {
    auto entries = co_await log.read(at, max_bytes);
    if (!entries || entries->empty()) {
      ADD_FAILURE() << "entry " << at.value << ": " << (entries ? "none" : entries.error().to_string());
      co_return all;
    }
    for (const LogEntry& entry : *entries) all.push_back(text_of(entry));
    at += entries->size();
  }
  co_return all;
}

}  // namespace stele::journal
