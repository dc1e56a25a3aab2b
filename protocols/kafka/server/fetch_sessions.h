// Fetch sessions (KIP-227): what a consumer fetches again and again, and what it was last told of it, so that
// neither side has to repeat it. Pure: requests, time and random numbers come in.
//
// Of one listener, and so of one core: a client that comes back by way of another core begins a new session,
// as it does whenever it is told that its session is not known. A session is its user's, and outlives
// connections. When there is no room, the session that has not been used for longest goes, if that is long
// enough ago; otherwise the client gets none, and fetches in full each time.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/access.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/messages/fetch.h"
#include "runtime/random.h"
#include "runtime/time.h"

namespace stele::kafka {

struct FetchSessionOptions {
  // Of a core. `max.incremental.fetch.session.cache.slots`; 0: no sessions.
  std::uint32_t sessions = 1000;
  std::uint64_t partitions = 50'000;  // of all its sessions
  // One that was used since then gives way to nobody.
  runtime::Duration keep = std::chrono::minutes(2);
};

struct FetchSessionStats {
  std::uint64_t opened = 0;
  std::uint64_t evicted = 0;  // gave way to others
  std::uint64_t refused = 0;  // there was no room
};

// What one client fetches. Who is about to answer a fetch of it keeps it, also when it is over meanwhile.
class FetchSession {
 public:
  struct Partition {
    std::string topic;  // one of the two
    Uuid topic_id;
    FetchRequest::Partition asked;  // as it was said last
    // What the client was told last; -1: nothing, or an error.
    std::int64_t high_watermark = -1;
    std::int64_t log_start = -1;
  };

  std::int32_t id() const { return id_; }
  // Of the next fetch. It moves on when a fetch begins: who finds another one than when its own began is not
  // the last any more, and must not touch the rest.
  std::int32_t epoch() const { return epoch_; }
  // In the order in which they are to be read.
  const std::list<Partition>& partitions() const { return partitions_; }

  // Takes the answers for all partitions, in their order, and adds to `response` what the client has to be
  // told: records, errors, and what has changed. Partitions that had records go to the end, so that others
  // have some too when not all find room.
  void tell(std::vector<FetchResponse::Partition> answers, FetchResponse& response);
  // Notes that the client is told all of this.
  void told(const FetchResponse& response);

 private:
  friend class FetchSessions;
  struct Key {
    std::string_view topic;
    Uuid topic_id;
    std::int32_t partition;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  // Whether the answer says something new.
  static bool note(Partition& partition, const FetchResponse::Partition& answer);
  void put(std::string_view topic, const Uuid& topic_id, const FetchRequest::Partition& asked);
  void update(const FetchRequest& request);

  std::int32_t id_ = 0;
  std::int32_t epoch_ = 1;
  bool by_topic_id_ = false;  // version 13 on
  TenantId tenant_;
  std::string user_;
  std::list<Partition> partitions_;
  std::map<Key, std::list<Partition>::iterator> places_;  // keys point into partitions_
  runtime::Instant used_{};
  std::list<FetchSession*>::iterator in_order_;
};

class FetchSessions {
 public:
  explicit FetchSessions(FetchSessionOptions options) : options_(options) {}

  struct Begun {
    KafkaError error = KafkaError::kNone;     // the whole answer
    std::shared_ptr<FetchSession> session{};  // what is fetched; none: what the request names
    std::int32_t epoch = 0;                   // of the session
  };
  // The first thing to do with a request. `version` is the request's.
  Begun begin(const FetchRequest& request, std::int16_t version, const broker::Principal& who,
              runtime::Instant now);
  // A session for a request that names everything and asks for one, once it is answered. Null: there is none.
  std::shared_ptr<FetchSession> open(const FetchRequest& request, std::int16_t version,
                                     const broker::Principal& who, runtime::Instant now,
                                     runtime::Random& random);

  std::size_t sessions() const { return sessions_.size(); }
  std::uint64_t partitions() const { return partitions_; }
  const FetchSessionStats& stats() const { return stats_; }

 private:
  FetchSession* find(std::int32_t id, const broker::Principal& who);
  void close(FetchSession& session);
  bool fits(const FetchSession& session, bool is_new) const;
  // Closes sessions other than this one until it fits, if it may.
  bool make_room(const FetchSession& session, bool is_new, runtime::Instant now);

  const FetchSessionOptions options_;
  FetchSessionStats stats_;
  std::map<std::int32_t, std::shared_ptr<FetchSession>> sessions_;
  std::list<FetchSession*> order_;  // the one that was used longest ago first
  std::uint64_t partitions_ = 0;    // of all of them
};

}  // namespace stele::kafka
