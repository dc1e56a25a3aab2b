// What cores of one broker send each other. A core collects the mail for each other core during a turn and
// posts it as one bundle at the turn's end, so that a message costs a move and no allocation of its own. Mail
// from one core to another arrives in the order in which it was sent, but for live copies, which go before
// all else of their turn, to all cores: see Core::on_turn_end. Mail to the own core is handled at once where
// the caller can take it, else by the same way.
#pragma once

#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/api.h"
#include "broker/data.h"
#include "broker/live_bundle.h"
#include "model/ids.h"

namespace stele::broker {

class Core;

// Shards of one publish besides its home. Nearly always empty.
using ShardList = absl::InlinedVector<ShardId, 4>;

// Who waits for the answer to a DataMail. A publisher's `ticket` is its own sequence; a produce's is a key
// into the core's table of produces. A will's is its LSN: only its shard itself waits, for the forwards. In a
// cluster a publisher's mail goes by a lane (lanes.h), and that of another node comes by its peer
// (peer_server.h).
struct ReplyTo {
  enum class Kind : std::uint8_t { kNobody, kWill, kPublisher, kProduce, kLane, kPeer };
  Kind kind = Kind::kNobody;
  CoreId core;
  std::uint32_t publisher = 0;
  std::uint64_t ticket = 0;
  bool by_mail() const { return kind > Kind::kWill; }
};

struct DataMail {
  ReplyTo reply;
  ShardId shard;
  std::uint64_t meta_version = 0;  // of the view it was routed by; the shard waits until it has seen that too
  ShardList forwards;
  std::optional<OnceId> once;   // of QoS 2; the shard is the session's
  std::optional<Error> denied;  // why it may not be published: only that it has been is answered otherwise
  std::vector<Bytes> shares;    // shared subscriptions that get a live copy
  // In a cluster: the lane it comes by, as the receiver names it, and its generation there. Once one of a
  // generation is refused, so are all behind it.
  std::uint64_t lane = 0;
  std::uint32_t generation = 0;
  Data data;
};

struct DataAnswerMail {
  ReplyTo reply;
  std::optional<Error> error;
  bool unknown = false;  // with an error: what was sent may be kept all the same
  bool matched = true;
  ProduceOk produced;
};

// From a home to another shard that wants the message: in order of `lsn`, resent after a restart of either.
struct ForwardMail {
  ShardId source;
  ShardId target;
  Epoch source_epoch;
  Lsn lsn;
  // The entry for this target that precedes it, if that may still be on its way: a target that has not got it
  // takes nothing behind it.
  std::optional<Lsn> after;
  CoreId reply_core;
  bool of_peer = false;  // the source is another node's shard
  std::uint64_t meta_version = 0;
  Data data;
};
struct ForwardAnswerMail {
  ShardId source;
  ShardId target;
  bool for_peer = false;       // the source is another node's shard
  Lsn up_to;                   // all of the source's entries for the target up to here are committed there
  std::optional<Error> error;  // not taken now: send again, from the first that is not answered
};

// A copy for the live subscribers of one core, after the home's commit or where nothing had to be kept. What
// fits in a LiveBundle goes there instead.
struct LiveMail {
  Data data;
  Bytes share{};  // not empty: for one member of this shared subscription
  std::uint32_t tries = 0;
};

// Messages of one persistent session for the core its client is connected to.
struct SessionItem {
  SettleToken token;
  std::uint8_t qos = 1;
  bool retain = false;
  bool redelivered = false;
  absl::InlinedVector<std::uint32_t, 2> subscription_ids;
  TenantId tenant;
  Bytes address;  // of the entry; a record of a Kafka batch may name another
  bool address_headers_allowed = false;
  Bytes batch;
};
struct SessionMail {
  std::uint64_t attachment = 0;  // of the connected session, on its core
  std::vector<SessionItem> items;
  std::vector<std::uint16_t> releases;  // QoS 2: PUBREL may leave
  struct Completed {                    // QoS 2 of the client: PUBCOMP may leave
    std::uint16_t packet_id;
    bool known;
  };
  std::vector<Completed> completed;
};
struct SettleMail {
  enum class What : std::uint8_t {
    kSettled,
    kAccepted,   // PUBREC of the client
    kReleased,   // PUBCOMP of the client, by the token's packet_id
    kCompleted,  // PUBREL of the client, by the token's packet_id
    kShared,     // kSettled, of a shared subscription
  };
  ShardId shard;
  std::uint64_t attachment = 0;
  What what = What::kSettled;
  SettleToken token;
};

using CallMail = std::move_only_function<void(Core&)>;

using Mail = std::variant<DataMail, DataAnswerMail, ForwardMail, ForwardAnswerMail, LiveMail, LiveBundle,
                          SessionMail, SettleMail, CallMail>;

}  // namespace stele::broker
