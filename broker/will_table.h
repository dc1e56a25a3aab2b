// The wills of a shard's clients (section 3.1.2.5 of MQTT 5.0): each from the CONNECT that brought it until
// it is published or not to be any more. Pure; part of the shard's state, so that neither a crash loses one
// nor it is published twice.
//
// A will is *armed* while its connection is there. When that is lost it is *delayed*, until it is *due*:
// after its delay, or with the end of its session if that comes first [MQTT-3.1.3-9]. A client that comes
// back to its session before then takes a delayed will away. Once due it is published whatever comes, by one
// entry that also removes it. What time it is, entries say.
//
// A client has one will at most that is not due. They are named by the LSN of the entry that brought them.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/wire.h"
#include "model/ids.h"

namespace stele::broker {

// What CONNECT says.
struct WillContent {
  std::uint32_t delay_s = 0;
  std::uint8_t qos = 0;
  bool retain = false;
  Bytes address;
  Bytes batch;  // of one record; an expiry in it counts from its timestamp
};

struct Will {
  static constexpr std::int64_t kArmed = INT64_MAX;
  WillContent content;
  std::int64_t due_at_ms = kArmed;
  std::vector<StreamId> copied;  // streams that have their copy of it before it is published
  bool armed() const { return due_at_ms == kArmed; }
};

class WillTable {
 public:
  using ClientKey = std::pair<TenantId, std::string>;
  using Id = std::pair<ClientKey, Lsn>;

  const std::map<Id, Will>& all() const { return wills_; }
  // Null: it is not there (any more).
  const std::pair<const Id, Will>* find(Lsn lsn) const;
  bool any_of(const ClientKey& client) const;
  // What that client's will would be due by, the earliest first, no more than `max` in all.
  std::vector<Lsn> due(WallTime now, std::size_t max) const;
  std::vector<Lsn> due_of(const ClientKey& client, WallTime now) const;
  bool copied(Lsn lsn, StreamId stream) const;

  // About what they take in memory.
  std::uint64_t bytes() const { return bytes_; }
  static std::uint64_t bytes_of(const ClientKey& client, const WillContent& content);

  // Of each of these `time` is the shard's. The client has none that is not due.
  void set(const ClientKey& client, Lsn lsn, WillContent content, WallTime time);
  // Its connection was lost, and its session ends after so many seconds; or it has said goodbye.
  void lost(const ClientKey& client, WallTime time, std::uint32_t expiry_s);
  void goodbye(const ClientKey& client);
  // Likewise, for a client without a session. False: there is no such will.
  bool lost(Lsn lsn, WallTime time);
  bool goodbye(Lsn lsn);
  void session_ended(const ClientKey& client, WallTime time);
  // The client is back in its session.
  void came_back(const ClientKey& client, WallTime time);
  // Whoever was connected is not any more. `expiry_of(client)`: of its session, 0 if it has none.
  template <class ExpiryOf>
  void all_lost(WallTime time, ExpiryOf&& expiry_of) {
    for (auto at = wills_.begin(); at != wills_.end(); ++at) {
      if (at->second.armed()) delay(at, time, expiry_of(at->first.first));
    }
  }
  // False: it is not there.
  bool note_copied(Lsn lsn, StreamId stream);
  bool published(Lsn lsn);

  static void encode(Writer& writer, const Id& id, const Will& will);
  // One will, the next in order. The reader has failed if it is none, or cannot be of a state at (`end`,
  // `time`).
  void decode(Reader& reader, Lsn end, WallTime time);

 private:
  using Map = std::map<Id, Will>;
  Map::iterator find_open(const ClientKey& client, WallTime time);
  void delay(Map::iterator at, WallTime time, std::uint32_t expiry_s);
  void make_due(Map::iterator at, std::int64_t when_ms);
  void add(Id id, Will will);
  void remove(Map::iterator at);

  Map wills_;
  // Derived.
  absl::flat_hash_map<std::uint64_t, Map::iterator> by_lsn_;  // look-ups only
  std::set<std::pair<std::int64_t, Lsn>> due_;                // (when, which), of those that are not armed
  std::uint64_t bytes_ = 0;
};

}  // namespace stele::broker
