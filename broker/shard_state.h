// The state of a shard: a fold of apply over its log, and of nothing else. No clock, no I/O, no randomness,
// no order that hashes decide; equal entries give an equal state and an equal hash on every machine.
//
// The owner (shard.h) reads it to decide, encodes what it decided as an entry, and applies that; nothing else
// changes it. What only the owner knows (connections, what is in flight, what is committed) is not here.
//
// Not thread-safe; used by one core at a time. Pure.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/entry.h"
#include "broker/filter_trie.h"
#include "broker/session_state.h"
#include "broker/stream_state.h"
#include "model/ids.h"

namespace stele::broker {

// In force since the last OwnerStarted.
struct ShardLimits {
  QueueLimits session_queue;
  std::uint64_t retained_messages = UINT64_MAX;
  std::uint64_t retained_bytes = UINT64_MAX;
};

struct Retained {
  Lsn lsn;
  Bytes batch;  // of one record
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
  std::vector<std::uint32_t> sessions;  // numbers of those whose queue grew
  std::vector<RouteChange> routes;
  std::vector<std::uint32_t> removed_sessions;

  void clear() {
    duplicate = matched = false;
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

  // `lsn` is next(). kCorrupt for an entry that this state cannot have been followed by.
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
  // Whether a retained message of that size may be kept.
  bool can_retain(TenantId tenant, std::string_view address, std::size_t bytes) const;

  // Entries that another shard is still to be sent, by target, in order.
  const std::map<ShardId, std::deque<Lsn>>& pending_forwards() const { return pending_forwards_; }
  // The LSN that the next forwarded entry of that source must have at least.
  Lsn forward_cursor(ShardId source) const;

  // All filters of sessions with QoS > 0.
  std::vector<std::pair<TenantId, std::string>> interests() const;
  bool any_session_interest(TenantId tenant) const;
  bool interested(TenantId tenant, std::string_view address) const;

  // Streams here that capture this message, by what their configuration says.
  std::vector<StreamId> capturing(TenantId tenant, const MessageView& message) const;

  // Nothing below it is needed by streams, sessions or forwards.
  Lsn lsn_needed() const;

  std::uint64_t hash() const;
  // docs/formats/shard-snapshot.md
  std::string encode_snapshot() const;
  static Result<ShardState> decode_snapshot(std::string_view bytes);

 private:
  struct TenantSessions {
    FilterTrie trie;                                         // filters with QoS > 0 → session numbers
    std::map<std::string, std::uint32_t, std::less<>> uses;  // how many sessions have the filter
  };
  struct Cursor {
    Epoch epoch;
    Lsn next;
  };

  Result<void> apply_data(Lsn lsn, const DataEntry& entry, ApplyResult& result);
  Result<void> apply_control(Lsn lsn, std::string_view control, ApplyResult& result);
  void append_to_stream(Lsn lsn, const DataEntry& entry, StreamState& stream, ApplyResult& result);
  void queue_for_sessions(Lsn lsn, const DataEntry& entry, ApplyResult& result);
  void queue_message(Lsn lsn, std::uint32_t index, TenantId tenant, std::string_view address,
                     std::uint8_t qos, bool retain, std::uint64_t publisher_hash, std::uint32_t bytes,
                     ApplyResult& result);
  void queue_directed(Lsn lsn, const DataEntry& entry, ApplyResult& result);
  void keep_retained(Lsn lsn, const DataEntry& entry, ApplyResult& result);
  void subscribe(SessionState& session, SubscribeRequest request, ApplyResult& result);
  void unsubscribe(SessionState& session, std::string_view filter, ApplyResult& result);
  void remove_session(const SessionKey& key, ApplyResult& result);
  void index_session(SessionState& session);
  void set_interest(SessionState& session, const SubscribeRequest& request, bool on, ApplyResult* result);
  std::string encode_content() const;
  bool decode_content(Reader& reader);

  Lsn next_;
  WallTime time_;
  Epoch epoch_;
  ShardLimits limits_;
  std::map<StreamId, StreamState> streams_;
  std::map<SessionKey, SessionState> sessions_;
  std::uint32_t next_session_number_ = 1;
  std::map<RetainedKey, Retained> retained_;
  std::uint64_t retained_bytes_ = 0;
  std::map<ShardId, Cursor> cursors_;
  std::map<ShardId, std::deque<Lsn>> pending_forwards_;

  // Derived from the above.
  absl::flat_hash_map<std::uint32_t, SessionState*> by_number_;  // look-ups only
  std::map<TenantId, TenantSessions> tenants_;
  std::map<TenantId, FilterTrie> captures_;  // filter → its stream's number in capture_streams_
  std::vector<StreamId> capture_streams_;
  void index_captures();
  std::vector<FilterTrie::Match> matches_;  // scratch
};

}  // namespace stele::broker
