// The meta service of a node: opens the log, and serves the clients of all cores.
//
// Lives on core 0. Clients (meta/client.h) reach it by Runtime::post. An answer leaves once every client has
// the view that the command led to, so that whoever hears of it may rely on any core knowing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "meta/log.h"
#include "meta/types.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::meta {

struct MetaServiceOptions {
  std::string directory;           // of the database; made if missing
  std::uint32_t shard_count = 64;  // of the cluster, when there is none yet
  // False where there has been a cluster: a database without one is then kCorrupt, and none is made.
  bool may_be_new = true;
  OneNodeLog::Limits limits;
  std::size_t max_calls = 8192;  // of clients, under way; more are refused
  // The database failed: every command and read from now on does too, and only a new process may tell what it
  // holds. Called once, in a turn of its own.
  std::function<void(const Error&)> on_failure = nullptr;
};

struct ServiceState;

class MetaService {
 public:
  // Opens the database, and makes a cluster if there is none and may be none. The caller holds the lock of
  // the directory.
  static runtime::Task<Result<std::unique_ptr<MetaService>>> open(runtime::Runtime& runtime,
                                                                  MetaServiceOptions options);
  // The same on a log that is open. Whoever does not found the cluster waits until it is seen there.
  enum class Founder { kYes, kNo };
  static runtime::Task<Result<std::unique_ptr<MetaService>>> serve(runtime::Runtime& runtime,
                                                                   MetaServiceOptions options,
                                                                   std::unique_ptr<MetaLog> log,
                                                                   Founder founder);
  MetaService(const MetaService&) = delete;
  MetaService& operator=(const MetaService&) = delete;
  ~MetaService();

  std::shared_ptr<const MetaView> view() const;

  // What clients connect to, from any core.
  std::shared_ptr<ServiceState> state() const { return state_; }

  // Takes no more commands, and completes when those under way are answered. The cores of the clients still
  // run.
  runtime::Task<void> close();

 private:
  explicit MetaService(std::shared_ptr<ServiceState> state) : state_(std::move(state)) {}
  std::shared_ptr<ServiceState> state_;
};

}  // namespace stele::meta
