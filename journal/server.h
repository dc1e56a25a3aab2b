// The journal role of a node: its segment store, reached from every core of the process by JournalClient
// (client.h).
//
// Lives on the core it is opened on, the journal core. Work of the other cores comes in one post per turn and
// core; answers of one commit go back in one post per core.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "storage/segment_store.h"

namespace stele::journal {

namespace internal {
class ServerImpl;
}

struct JournalOptions {
  // Its max_pending_bytes is at least max_in_flight_bytes, whatever is asked for.
  storage::SegmentStoreOptions store;
  // Handed to the store and not yet answered; more waits here. Owners hold back before (ShardLog::congested).
  std::size_t max_in_flight_bytes = 32 << 20;
  // While the disk is full it is tried so often.
  runtime::Duration space_retry = std::chrono::seconds(1);
  // Called once, in a turn of the journal core, when the store has given up: every append and fence fails
  // from now on, and only another process can go on from what is on the disk.
  std::function<void(const Error&)> on_failure;
};

struct JournalStats {
  std::uint64_t batches = 0;          // appends handed in, one per shard and turn
  std::uint64_t posts_in = 0;         // from other cores
  std::uint64_t posts_out = 0;        // answers to other cores
  std::uint64_t held_batches = 0;     // waited for what was in flight
  std::uint64_t refused_batches = 0;  // fenced, no space, failed
  bool has_space = true;
};

class JournalServer {
 public:
  // Recovers the store. `journal_core` outlives the server. Errors as of storage::SegmentStore::open.
  static runtime::Task<Result<std::unique_ptr<JournalServer>>> open(runtime::Runtime& journal_core,
                                                                    JournalOptions options);
  // Without close(): a crash, nothing more is written.
  ~JournalServer();

  // Stores what has come in and closes the store. What comes later is answered with kClosed.
  runtime::Task<Result<void>> close();

  const storage::SegmentStore& store() const;
  JournalStats stats() const;

 private:
  friend class JournalClient;
  explicit JournalServer(std::unique_ptr<internal::ServerImpl> impl);
  std::unique_ptr<internal::ServerImpl> impl_;
};

}  // namespace stele::journal
