// What goes between the journal core and the others. A post holds the inbox of whom it is for, and finds
// there whether that one still lives.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "storage/log_entry.h"

namespace stele::journal::internal {

// Runtime and reader are touched on `core` only.
template <class Reader>
struct Inbox {
  runtime::Runtime& runtime;
  const CoreId core;
  Reader* reader;
  Inbox(runtime::Runtime& where, Reader* who) : runtime(where), core(where.core()), reader(who) {}
};

// Consecutive entries of one segment, from one writer and turn.
struct AppendBatch {
  std::uint64_t writer = 0;  // a number of the client's
  SegmentId segment;
  Epoch epoch;
  std::uint64_t first = 0;
  std::vector<storage::LogEntry> entries;
  std::size_t bytes = 0;
  // On behalf of another node (JournalClient::append_for_peer): may begin below the segment's end.
  bool of_peer = false;
  std::uint64_t end() const { return first + entries.size(); }
};

struct AppendAnswer {
  std::uint64_t writer = 0;
  std::uint64_t end = 0;  // stored up to here, if there is no error
  std::optional<Error> error;
};

class ServerImpl;
class ClientImpl;
using ServerInbox = std::shared_ptr<Inbox<ServerImpl>>;
using ClientInbox = std::shared_ptr<Inbox<ClientImpl>>;

}  // namespace stele::journal::internal
