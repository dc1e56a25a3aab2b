// What the node of a connection asks of the node of a shard, for a client's session, its shared
// subscriptions and its retained messages; and one shard of another (ask::AreMembers). Plain values; each is
// answered once. What is said here of shards of the same node goes from core to core as calls (shard.h).
//
// All name the client's connection by its attachment, which is unique on its node for as long as that runs;
// who asks is known by the connection between the nodes. In a ShareJoin `core` means nothing: the attachment
// tells its node the core.
//
// Not being there, not owning the shard, and not knowing (yet) are errors of the call itself where the answer
// has no place for one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "broker/api.h"
#include "broker/retained.h"
#include "broker/session_values.h"
#include "broker/subscription.h"
#include "broker/will_table.h"
#include "model/ids.h"

namespace stele::broker {

namespace ask {

// A client has said CONNECT: asked of the shard of its client id, before CONNACK. It takes over whoever is
// connected, and is answered when that one is gone. `options.will` is not there: it is `will`.
// Answer: Result<SessionOpened>.
struct OpenSession {
  ShardId shard;
  SessionOptions options;
  std::optional<WillContent> will;
  std::uint64_t attachment = 0;
};

// Of a durable session, asked of its shard before the subscriptions are routed. Answer: Result<void>, once
// committed.
struct Subscribe {
  ShardId shard;
  std::uint64_t attachment = 0;
  std::vector<SubscribeRequest> requests;
};
// Likewise, after the filters are no longer routed.
struct Unsubscribe {
  ShardId shard;
  std::uint64_t attachment = 0;
  std::vector<std::string> filters;
};

// Of a durable session, asked of its shard after Subscribe and before SUBACK, a page of LookForRetained at a
// time: they are to go into its queue by that subscription. Answer: Result<void>, once committed.
struct QueueRetained {
  ShardId shard;
  std::uint64_t attachment = 0;
  std::vector<RetainedMessage> page;
  SubscribeRequest request;
};
// After the last page: its shard no longer notes what is queued meanwhile. Answer: none (monostate).
struct FinishRetained {
  ShardId shard;
  std::uint64_t attachment = 0;
};

// CONNACK is out: asked of the session's shard. Answer: none (monostate).
struct StartDelivery {
  ShardId shard;
  std::uint64_t attachment = 0;
};

// The connection has ended: told to the session's shard. `wait`: answered once that is committed, for a
// client that said goodbye to its will. Answer: bool; false: nobody knows.
struct EndSession {
  ShardId shard;
  TenantId tenant;
  std::string client_id;
  std::uint64_t attachment = 0;
  SessionEnd ending;
  bool wait = false;
};

// Of any session, asked of the home of a shared subscription, which sends nothing before StartShare. Answer:
// Result<void>, once committed.
struct JoinShare {
  ShardId home;
  ShareJoin join;
};
// The connection has ended, or what was joined is not to be: told to the home of the shared subscription.
// `for_good`: an unsubscribe; asked, and answered with Result<void> once that is committed.
struct LeaveShare {
  ShardId home;
  ShareMemberName member;
  std::uint64_t attachment = 0;
  bool for_good = false;
};
// The subscription is routed, and SUBACK may be out. Answer: none (monostate).
struct StartShare {
  ShardId home;
  ShareMemberName member;
  std::uint64_t attachment = 0;
};

// The home of shared subscriptions asks, from time to time, the node of the shards of members that are not
// connected: which of them still have a session with the subscription. Answer: std::vector<bool>, in order;
// true also where it is not known.
struct AreMembers {
  std::vector<ShareMemberName> members;
};

// For a new subscription, a page at a time, asked of every node that has shards. Answer:
// Result<RetainedPage>.
struct LookForRetained {
  RetainedAsk ask;
  std::vector<ShardId> shards;  // in these; empty: in all that live on the node
};

}  // namespace ask

// The places in these lists are what is sent: only ever appended to.
using SessionAsk = std::variant<ask::OpenSession, ask::Subscribe, ask::Unsubscribe, ask::QueueRetained,
                                ask::FinishRetained, ask::StartDelivery, ask::EndSession, ask::JoinShare,
                                ask::LeaveShare, ask::StartShare, ask::AreMembers, ask::LookForRetained>;
using SessionAnswer = std::variant<std::monostate, Result<void>, bool, std::vector<bool>,
                                   Result<SessionOpened>, Result<RetainedPage>>;

}  // namespace stele::broker
