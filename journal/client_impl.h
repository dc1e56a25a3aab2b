// Inside of JournalClient: the writers of one core, what they send in this turn, and the calls under way.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "journal/inbox.h"
#include "journal/segment_replica.h"
#include "runtime/runtime.h"

namespace stele::journal::internal {

class Writer;

class ClientImpl final : private runtime::TurnEndHook {
 public:
  ClientImpl(runtime::Runtime& runtime, ServerInbox server);
  ~ClientImpl();

  runtime::Runtime& runtime() { return runtime_; }
  const ServerInbox& server() const { return server_; }
  const ClientInbox& inbox() const { return inbox_; }
  bool on_journal_core() const { return runtime_.core() == server_->core; }

  std::unique_ptr<SegmentWriter> open_writer(SegmentId segment, Epoch epoch, std::uint64_t first,
                                             AppendListener& listener);
  using Stored = std::move_only_function<void(Result<std::uint64_t>)>;
  void append_for_peer(AppendBatch batch, Stored done);
  bool has_space() const { return has_space_; }
  void watch_space(SpaceListener& listener) { watchers_.push_back(listener); }

  // From the server, in a turn of this core.
  void deliver(std::vector<AppendAnswer> answers);
  // There is room, or there is none. `retry`: send again what was refused.
  void space(bool there, bool retry);

 private:
  friend class Writer;
  void on_turn_end() override;
  bool answer_peer(AppendAnswer& answer);

  runtime::Runtime& runtime_;
  const ServerInbox server_;
  const ClientInbox inbox_;
  std::uint64_t next_writer_ = 1;
  std::map<std::uint64_t, Writer*> writers_;
  std::vector<Writer*> dirty_;                 // in the order of their first append in this turn
  std::map<std::uint64_t, Stored> for_peers_;  // not answered
  std::vector<AppendBatch> of_peers_;          // of this turn
  bool has_space_ = true;
  IntrusiveList<SpaceListener, SpaceListenerTag> watchers_;
};

class Writer final : public SegmentWriter {
 public:
  Writer(ClientImpl& client, std::uint64_t number, SegmentId segment, Epoch epoch, std::uint64_t first,
         AppendListener& listener);
  ~Writer() override;
  void append(storage::LogEntry entry) override;

 private:
  friend class ClientImpl;
  ClientImpl& client_;
  const SegmentId segment_;
  const Epoch epoch_;
  AppendListener& listener_;
  const std::uint64_t number_;
  AppendBatch batch_;  // of this turn
  bool dirty_ = false;
  std::uint64_t stored_;    // told to the listener
  std::uint64_t answered_;  // stored by what the server said
  std::optional<Error> failed_;
  bool ended_ = false;  // the listener has heard of it
};

}  // namespace stele::journal::internal
