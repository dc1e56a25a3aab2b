// The ways of a core's publishes to shards in a cluster, where a shard's owner may be on any node, may
// change, and may be nobody for a while.
//
// There is one lane to each shard. What goes by it arrives in the order of sending, or not at all: the owner
// takes nothing of a lane behind something that it has refused, until the lane begins anew with what was
// refused first (its generation). So what an owner refuses because it does not serve, or what does not reach
// it, is sent again, to whoever owns the shard then; nothing overtakes it, and nothing is kept twice. After
// `patience` it is given up. What may have been kept is not sent again, unless the shard would know it (QoS 2
// of a session that outlives its connection): its publisher is told that nobody knows.
//
// What waits is bounded by the windows of the publishers. Lives on one core.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "broker/mail.h"
#include "broker/place.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"
#include "runtime/time.h"

namespace stele::broker {

class Lanes {
 public:
  // What lanes need of the broker.
  class Host {
   public:
    virtual runtime::Runtime& runtime() = 0;
    // None: nobody owns it now.
    virtual std::optional<Place> place_of(ShardId shard) const = 0;
    virtual Error nobody_owns(ShardId shard) const = 0;
    // The answer comes in any case, perhaps from within the call, by on_answer().
    virtual void send(Place to, DataMail mail) = 0;
    // To whom a publisher's mail is to be answered. May publish from within the call.
    virtual void answer(DataAnswerMail answer) = 0;

   protected:
    ~Host() = default;
  };

  Lanes(Host& host, runtime::Duration patience) : host_(host), patience_(patience) {}
  ~Lanes();

  // A publisher's. The answer goes to where `mail.reply` says.
  void publish(DataMail mail);
  // Of what was sent by a lane.
  void on_answer(const DataAnswerMail& answer);
  // Who owns what may be another by now.
  void on_view();
  // Nothing is sent again from now on.
  void give_up();

  std::size_t waiting() const;

 private:
  enum class State : std::uint8_t { kUnsent, kSent, kRefused, kDone };
  struct Waiting {
    DataMail mail;
    runtime::Instant since;
    State state = State::kUnsent;
    std::optional<Error> refused;  // why, the last time
    bool unknown = false;          // it may be kept, from an earlier time
  };
  struct Lane {
    std::deque<Waiting> waiting;  // in order; the first has number `first`
    std::uint64_t first = 0;
    std::size_t sent = 0;  // so many of them need not be looked at to send more
    std::uint32_t under_way = 0;
    std::uint32_t generation = 1;
    std::optional<Place> place;  // of those under way
    bool refused = false;        // something of this generation, or lost: nothing more is sent in it
    bool pausing = false;
  };

  void send(ShardId shard, Lane& lane);
  void finish(Waiting& one, const DataAnswerMail& answer);
  void begin_anew(ShardId shard, Lane& lane);
  runtime::Task<void> pause(ShardId shard);
  bool too_old(const Waiting& one) const;

  Host& host_;
  const runtime::Duration patience_;
  std::map<ShardId, Lane> lanes_;
  bool given_up_ = false;
  runtime::Scope scope_;  // last
};

}  // namespace stele::broker
