// Inside of JournalServer: takes batches from the clients of all cores, hands them to the store, and gathers
// the answers of a turn for each client.
//
// Space. When the store has no room it refuses an append and everything behind it; nothing of them is stored.
// The server then answers all appends with kNoSpace itself, tells all clients, and opens the door again after
// a while: the clients send what they still have, from the first entry that is not stored. What got in proves
// that there is room. A batch that left before its writer knew of the refusal leaves a gap, and is refused
// for it whenever it comes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "journal/admission.h"
#include "journal/client_impl.h"
#include "journal/inbox.h"
#include "journal/server.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::journal::internal {

class ServerImpl final : private runtime::TurnEndHook, private runtime::Timer {
 public:
  ServerImpl(runtime::Runtime& runtime, JournalOptions options, std::unique_ptr<storage::SegmentStore> store);
  ~ServerImpl() override;

  const ServerInbox& inbox() const { return inbox_; }
  runtime::Runtime& runtime() { return runtime_; }
  storage::SegmentStore& store() { return *store_; }
  runtime::Scope& scope() { return scope_; }
  JournalStats stats() const;
  runtime::Task<Result<void>> close();

  void attach(ClientInbox client);
  void detach(const ClientInbox& client);
  void submit(const ClientInbox& from, std::vector<AppendBatch> batches);
  void admit(SegmentAdmission admission) { admission_ = std::move(admission); }
  // Whether a peer may use the segment: it is known, or may be begun. kFenced: it may not, ever.
  Result<void> admitted(SegmentId segment) const;
  // Likewise of a fence.
  Result<void> admitted(const storage::FenceRequest& request) const;
  void remove(SegmentId segment);
  // An append or a fence has failed.
  void note_failure(const Error& why);

 private:
  // What is known of the room on the disk.
  enum class Space {
    kThere,
    kGone,    // nothing is handed to the store
    kProbed,  // the next answer tells
  };
  struct Peer {
    ClientInbox client;
    std::vector<AppendAnswer> answers;
  };
  struct Held {
    ClientInbox from;
    AppendBatch batch;
  };
  void submit(const ClientInbox& from, AppendBatch batch);
  Result<void> check(const AppendBatch& batch) const;
  bool cut_repeated(const ClientInbox& from, AppendBatch& batch);
  runtime::Task<void> confirm(ClientInbox from, AppendAnswer answer, storage::FenceRequest request);
  void stored(const ClientInbox& from, AppendAnswer answer, std::size_t bytes, Result<void> result);
  void answer(const ClientInbox& to, AppendAnswer answer);
  void refuse(const ClientInbox& to, const AppendBatch& batch, Error why);
  void submit_held();
  void no_space(const Error& why);
  void set_space(Space space);
  void tell_space(const ClientInbox& client) const;
  void on_turn_end() override;
  void on_timer() override;

  runtime::Runtime& runtime_;
  const JournalOptions options_;
  const ServerInbox inbox_;
  std::vector<Peer> peers_;
  std::deque<Held> held_;
  std::size_t in_flight_bytes_ = 0;
  std::size_t in_flight_ = 0;
  Space space_ = Space::kThere;
  bool closing_ = false;
  std::optional<Error> failure_;  // not told yet
  bool failed_ = false;
  std::optional<SegmentAdmission> admission_;
  std::map<SegmentId, Epoch> removed_fences_;  // while this process lives: of segments that it has removed
  JournalStats stats_;
  std::unique_ptr<storage::SegmentStore> store_;
  runtime::Scope scope_;  // last: its tasks use all of the above
};

}  // namespace stele::journal::internal
