// The state of a shard: a fold of apply over its log, and of nothing else. No clock, no I/O, no randomness,
// no order that hashes decide; equal entries give an equal state and an equal hash on every machine
// (docs/shard.md).
//
// The owner (shard.h) reads it to decide (decide.h), and applies what was decided; nothing else changes it.
// What only the owner knows (connections, what is in flight, what is committed) is not here.
//
// Not thread-safe; used by one core at a time. Pure.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/inlined_vector.h>
#include <absl/functional/function_ref.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/entry.h"
#include "broker/filter_trie.h"
#include "broker/group_state.h"
#include "broker/producer_table.h"
#include "broker/session_state.h"
#include "broker/stream_state.h"
#include "broker/will_table.h"
#include "model/ids.h"

namespace stele::broker {
namespace fbs {
struct NumberedItem;
struct SessionClosed;
struct Will;
}  // namespace fbs

// In force since the last OwnerStarted. What is over one of them costs the oldest queued messages; retained
// messages, sessions and subscriptions are refused before they become entries (decide.h).
struct ShardLimits {
  QueueLimits session_queue;                   // of one session
  std::uint64_t queued_messages = UINT64_MAX;  // of all sessions: then the longest queues give
  std::uint64_t retained_messages = UINT64_MAX;
  std::uint64_t retained_bytes = UINT64_MAX;  // addresses included
  std::uint64_t sessions = UINT64_MAX;
  std::uint64_t subscriptions_per_session = UINT64_MAX;
  std::uint64_t producers = UINT64_MAX;  // of all streams, each as often as it writes to: then the silent go
  std::uint64_t unreleased_per_session = UINT64_MAX;  // QoS 2 from the client; more are refused
  std::uint64_t will_bytes = UINT64_MAX;              // of all clients' wills; more are refused
  friend bool operator==(const ShardLimits&, const ShardLimits&) = default;
};

struct Retained {
  Lsn lsn;
  Bytes batch;                             // of one record
  std::int64_t expires_at_ms = INT64_MAX;  // of the message
};

// This shard began, or ceased, to be interested in a filter for its sessions.
struct RouteChange {
  bool interested;
  TenantId tenant;
  std::string filter;
};

// What one entry did, for the owner.
struct ApplyResult {
  bool duplicate = false;  // a forwarded entry that was here before
  bool matched = false;    // it went to a stream, a session, or the retained messages
  struct Appended {
    StreamId stream;
    Offset base;
    std::int32_t count = 0;
  };
  std::optional<Appended> appended;
  bool retained = false;                // a retained message came, went or was replaced
  std::vector<std::uint32_t> sessions;  // numbers of those whose queue grew, each once
  std::vector<RouteChange> routes;
  std::vector<std::uint32_t> removed_sessions;

  void clear() {
    duplicate = matched = retained = false;
    appended.reset();
    sessions.clear();
    routes.clear();
    removed_sessions.clear();
  }
};

class ShardState {
 public:
  using SessionKey = std::pair<TenantId, std::string>;
  using RetainedKey = std::pair<TenantId, std::string>;

  ShardState();
  ShardState(ShardState&&) noexcept;
  ShardState& operator=(ShardState&&) noexcept;
  ~ShardState();

  // `lsn` is next(). kCorrupt for an entry that this state cannot have been followed by, kUnsupported for a
  // newer version's; then the state is good for nothing any more.
  Result<void> apply(Lsn lsn, const EntryView& entry, ApplyResult& result);

  Lsn next() const { return next_; }
  WallTime time() const { return time_; }
  Epoch epoch() const { return epoch_; }
  const ShardLimits& limits() const { return limits_; }

  const std::map<StreamId, StreamState>& streams() const { return streams_; }
  const StreamState* stream(StreamId id) const;

  const std::map<SessionKey, SessionState>& sessions() const { return sessions_; }
  const SessionState* session(TenantId tenant, std::string_view client_id) const;
  const SessionState* session(std::uint32_t number) const;

  const std::map<RetainedKey, Retained>& retained() const { return retained_; }
  std::uint64_t retained_bytes() const { return retained_bytes_; }
  // Whether a retained message whose batch has that size may be kept. One that deletes always may.
  bool can_retain(TenantId tenant, std::string_view address, std::size_t bytes) const;

  // Idempotent producers, each with every stream that it writes to.
  const ProducerTable& producers() const { return producers_; }

  // Of the clients whose sessions this shard keeps, or would keep.
  const WillTable& wills() const { return wills_; }

  // Consumer groups whose home this shard is.
  const GroupTable& groups() const { return groups_; }

  // What is over at `now`, the earliest first, no more than `max`.
  std::vector<const SessionState*> expired_sessions(WallTime now, std::size_t max) const;
  std::vector<RetainedKey> expired_retained(WallTime now, std::size_t max) const;

  // Entries that another shard is still to be sent, by target, in order.
  const std::map<ShardId, Fifo<Lsn>>& pending_forwards() const { return pending_forwards_; }
  // The LSN that the next forwarded entry of that source must have at least.
  Lsn forward_cursor(ShardId source) const;
  // Whether that entry's copy for a further stream is here, although the entry itself may not be yet.
  bool copied(const ForwardSource& source, StreamId stream) const;

  // For metrics: over all sessions that there are.
  std::uint64_t queued_messages() const { return queued_messages_; }
  std::uint64_t dropped_messages() const { return dropped_messages_; }  // ever, at the limits

  // All filters of sessions with QoS > 0.
  std::vector<std::pair<TenantId, std::string>> interests() const;
  bool has_subscription(TenantId tenant, std::string_view filter) const;  // one of those
  bool any_session_interest(TenantId tenant) const;
  bool interested(TenantId tenant, std::string_view address) const;

  // Streams here that capture this message, by what their configuration says.
  using Capturing = absl::InlinedVector<StreamId, 2>;
  // `message` is asked for, once at most, if one of them has a key that is not the address. Its address is
  // `address`.
  Capturing capturing(TenantId tenant, std::string_view address,
                      absl::FunctionRef<MessageView()> message) const;

  // Nothing below it is needed by streams, sessions or forwards.
  Lsn lsn_needed() const;

  std::uint64_t hash() const;
  // docs/formats/shard-snapshot.md; the second is the chunks of the first in one string.
  std::vector<Bytes> encode_snapshot_chunks() const;
  std::string encode_snapshot() const;
  static Result<ShardState> decode_snapshot(std::string_view bytes);

 private:
  struct TenantSessions {
    FilterTrie trie;                                         // filters with QoS > 0 → session numbers
    std::map<std::string, std::uint32_t, std::less<>> uses;  // how many sessions have the filter
  };
  // How far another shard's entries have come. Copies of the entry on its way are told apart by stream.
  struct Cursor {
    Epoch epoch;
    Lsn next;
    Lsn copying;
    std::vector<StreamId> copied;  // in the order they came
  };

  // ---- shard_state.cc
  Result<void> apply_data(Lsn lsn, const DataEntry& entry, ApplyResult& result);
  bool take_forwarded(const DataEntry& entry);
  void note_received(Lsn lsn, const DataEntry& entry);
  Result<void> note_will(const DataEntry& entry);
  void queue_for_sessions(Lsn lsn, const DataEntry& entry, ApplyResult& result);
  void queue_message(QueueItem item, const FilterTrie& trie, std::string_view address,
                     std::uint64_t publisher_hash, ApplyResult& result);
  void queue_directed(Lsn lsn, const DataEntry& entry, ApplyResult& result);
  void push(SessionState& session, const QueueItem& item, ApplyResult& result);
  void shorten_longest_queue();
  void keep_retained(Lsn lsn, const DataEntry& entry, ApplyResult& result);
  void put_retained(RetainedKey key, Retained message);
  bool remove_retained(const RetainedKey& key);

  // ---- shard_state_control.cc
  Result<void> apply_control(Lsn lsn, std::string_view control, ApplyResult& result);
  // ---- shard_state_groups.cc
  // Nullopt if the entry is none of a group's.
  std::optional<Result<void>> apply_group(const void* control_entry);

  // ---- shard_state_control.cc
  void start_owner(Lsn lsn, Epoch epoch, const ShardLimits& limits);
  Result<void> set_stream(StreamId id, StreamConfig config);
  void delete_stream(StreamId id);
  Result<void> open_session(Lsn lsn, const SessionKey& key, bool clean, std::uint32_t expiry_s,
                            ApplyResult& result);
  Result<void> close_session(const fbs::SessionClosed& body);
  Result<void> set_will(Lsn lsn, const SessionKey& key, const fbs::Will& will);
  // Calls `change` with a session that there is, and keeps count of what is queued.
  template <class Change>
  void change_queue(std::uint32_t number, Change&& change);
  Result<void> number(const fbs::NumberedItem& item);
  void subscribe(SessionState& session, SubscribeRequest request, ApplyResult& result);
  void unsubscribe(SessionState& session, std::string_view filter, ApplyResult& result);
  void remove_session(const SessionKey& key, ApplyResult& result);
  void set_interest(SessionState& session, const SubscribeRequest& request, bool on, ApplyResult* result);
  // A change of what decides when the session expires happens between these two.
  void forget_expiry(const SessionState& session) {
    expiring_.erase({session.expires_at_ms(), session.number});
  }
  void note_expiry(const SessionState& session);
  void index_session(SessionState& session);
  void index_captures(StreamId id, StreamState& stream, bool on);

  // ---- shard_snapshot.cc
  template <class Sink>
  void encode_sections(Sink&& sink) const;
  void decode_section(std::uint8_t kind, std::uint32_t version, Reader& reader);
  void decode_general(std::uint32_t version, Reader& reader);
  void decode_stream(Reader& reader);
  void decode_session(std::uint32_t version, Reader& reader);
  void decode_retained(Reader& reader);
  void decode_cursor(Reader& reader);
  void decode_pending(Reader& reader);
  void decode_producer(Reader& reader);

  Lsn next_;
  WallTime time_;
  Epoch epoch_;
  ShardLimits limits_;
  std::map<StreamId, StreamState> streams_;
  std::map<SessionKey, SessionState> sessions_;
  std::uint32_t next_session_number_ = 1;
  std::uint64_t dropped_messages_ = 0;
  std::map<RetainedKey, Retained> retained_;
  std::map<ShardId, Cursor> cursors_;
  std::map<ShardId, Fifo<Lsn>> pending_forwards_;
  ProducerTable producers_;
  GroupTable groups_;
  WillTable wills_;

  // Derived from the above.
  std::uint64_t queued_messages_ = 0;
  std::uint64_t retained_bytes_ = 0;
  absl::flat_hash_map<std::uint32_t, SessionState*> by_number_;  // look-ups only
  std::set<std::pair<std::int64_t, std::uint32_t>> expiring_;    // (when, session number)
  std::set<std::pair<std::int64_t, RetainedKey>> retained_expiring_;
  std::map<TenantId, TenantSessions> tenants_;
  std::map<TenantId, FilterTrie> captures_;                   // filter → capture number
  absl::flat_hash_map<std::uint64_t, StreamId> captured_by_;  // capture number → stream, look-ups only
  std::uint64_t next_capture_number_ = 0;

  // Scratch.
  std::vector<FilterTrie::Match> matches_;
  std::vector<std::uint32_t> ids_;
};

}  // namespace stele::broker
