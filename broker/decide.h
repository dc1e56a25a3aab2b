// Decisions of a shard's owner that need nothing but the shard's state: what a request comes to, as entries.
// They read the state and never write it; who appends the entries applies them. Pure.
//
// Each is made on the state that its entries are applied to, with nothing in between.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/control.h"
#include "broker/data.h"
#include "broker/entry.h"
#include "broker/shard_state.h"
#include "broker/subscription.h"
#include "model/ids.h"
#include "storage/log_entry.h"

namespace stele::broker::decide {

// ---- publishes ------------------------------------------------------------------------------------------

// Who decides, and when.
struct Owner {
  WallTime now;
  Epoch epoch;
  // KIP-101's, in 31 bits.
  std::int32_t leader_epoch() const { return static_cast<std::int32_t>(epoch.value & 0x7fffffff); }
};

struct Publish {
  // Copies for further streams that capture the message. They go before the entry, so that what waits for the
  // entry has waited for them.
  std::vector<storage::LogEntry> copies;
  storage::LogEntry entry;
  Data data;  // as it was logged: with the stream that took it, its key and its time
  // With data.stream:
  Offset base_offset{-1};
  Offset log_start;
  std::int64_t append_time_ms = -1;  // of streams that set it
  // A batch that its producer, or a QoS 2 message that its client sends again: this is the LSN of the one
  // that is stored, and the offsets are its. There is nothing to append.
  std::optional<Lsn> duplicate_of;
};

// The LSN of the QoS 2 message that a client's session holds under this identifier and that the client has
// not released. kClosed: the session has been opened anew or removed.
Result<std::optional<Lsn>> sent_before(const ShardState& state, const OnceId& once);

// A message or batch whose home this shard is. `retained_home`: it is also the home of retained messages of
// the address. `once`: of QoS 2 and a session of this shard; kClosed if that has been opened anew or removed,
// kNoSpace if the client has released too few. kNotFound: data.stream is not here; kNoSpace: too many
// retained messages; of an idempotent producer's batch kOutOfOrder: not the next one, kFenced: of an old
// epoch.
Result<Publish> publish(const ShardState& state, Owner owner, Data data, std::span<const ShardId> forwards,
                        bool retained_home, const std::optional<OnceId>& once = {});

// The will with that LSN, which is there; `data` is what is to be published of it. It goes with its entry. A
// retained one beyond the limit is published without being retained: nobody waits for an answer.
Publish publish_will(const ShardState& state, Owner owner, Lsn will, Data data,
                     std::span<const ShardId> forwards, bool retained_home);

struct Forward {
  enum class What {
    kNew,
    kHere,  // was here before: nothing to do but to answer
    kGap,   // an entry before it is missing: refuse, and have it sent again from there
  };
  What what = What::kNew;
  Publish publish;
};

// An entry of another shard. `after`: the one that went before it to this shard, if it may not have arrived.
// A retained message beyond the limit is forwarded without being retained: its home has answered for it.
Forward forwarded(const ShardState& state, Owner owner, const ForwardSource& source, std::optional<Lsn> after,
                  Data data, bool retained_home);

// ---- sessions -------------------------------------------------------------------------------------------

struct OpenSession {
  bool present = false;  // continues what was there
  bool durable = false;  // will outlive its connection
  std::optional<storage::LogEntry> entry;
};
// CONNECT [MQTT-3.1.2-4]ff. A session whose time is over is not continued, although it is still there. One
// that ends with its connection leaves no trace in the log, except that it removes the one before, and for
// its will; null: it has none. kNoSpace: the shard has too many sessions, or too much of wills.
Result<OpenSession> open_session(const ShardState& state, WallTime now, TenantId tenant,
                                 std::string_view client_id, bool clean_start, std::uint32_t expiry_s,
                                 const WillContent* will = nullptr);

// The end of the connection that opened `epoch`; none if that is not the session's latest. `expiry_s`
// replaces the session's. `goodbye`: its will is not to be published.
std::optional<storage::LogEntry> close_session(const ShardState& state, WallTime now, TenantId tenant,
                                               std::string_view client_id, std::uint64_t epoch,
                                               std::optional<std::uint32_t> expiry_s, Lsn sent_below,
                                               bool goodbye = false);

// Packet identifiers for the session's QoS 2 messages that have none, from `from` up to `horizon`, as long as
// no more than `max` are in use. Gives the first position that was not looked at.
QueuePosition number(const SessionState& session, QueuePosition from, QueuePosition horizon, std::size_t max,
                     std::vector<control::Numbered>& items);

// kNotFound: no such session; kNoSpace: it would have too many subscriptions.
Result<storage::LogEntry> subscribe(const ShardState& state, WallTime now, TenantId tenant,
                                    std::string_view client_id, std::span<const SubscribeRequest> requests);

}  // namespace stele::broker::decide
