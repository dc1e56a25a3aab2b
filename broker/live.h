// The live subscribers of one core: clients connected here, and what they subscribed to. Matches exactly and
// hands each message to each interested client once, with the highest quality of service of its matching
// subscriptions. What is kept for a persistent session is not delivered from here: its shard does that.
//
// Lives on one core.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fifo.h"
#include "broker/api.h"
#include "broker/data.h"
#include "broker/filter_trie.h"
#include "broker/live_limits.h"
#include "broker/live_match.h"
#include "broker/retained_notes.h"
#include "model/ids.h"

namespace stele::broker {

// One connected client. Lives in the Session that the connection owns.
struct LiveSubscriber {
  SessionHandler* handler = nullptr;
  std::uint64_t publisher_hash = 0;
  bool durable = false;  // what has QoS > 0 comes from its shard

  // Why live copies do not simply go to the handler. For most there is no reason.
  static constexpr std::uint8_t kHolding = 1;   // they wait in `held`: a subscribe is under way
  static constexpr std::uint8_t kNoting = 2;    // there are `notes`: retained messages are on their way
  static constexpr std::uint8_t kPromised = 4;  // with kHolding: SUBACK is out, and none of them may be lost
  std::uint8_t detour = 0;
  bool holding() const { return (detour & kHolding) != 0; }
  void hold() { detour |= kHolding; }
  void promise() {
    if (holding()) detour |= kPromised;
  }
  void begin_noting();
  void end_noting();
  std::unique_ptr<RetainedNotes> notes;

  struct Held {
    Bytes batch;
    Bytes address;
    std::uint8_t qos;
    bool retain;
    SettleToken token;
    std::vector<std::uint32_t> subscription_ids;
  };
  Fifo<Held> held;
  std::size_t held_bytes = 0;

  // Live copies with QoS > 0 of shared subscriptions, until they are settled; what is left at the end goes to
  // other members. In the order of sending.
  struct SharedCopy {
    Bytes share;
    Bytes address;
    Bytes batch;  // empty once it is settled
  };
  struct SharedCopies {
    Fifo<SharedCopy, 64> copies;
    std::uint64_t first = 1;  // the number of the first one, in its token
    std::size_t bytes = 0;
  };
  std::unique_ptr<SharedCopies> shared;  // from the first of them on
  void settle_shared(std::uint64_t number);
};

struct LiveStats {
  std::uint64_t deliveries = 0;
  std::uint64_t dropped_while_held = 0;
  std::uint64_t shared_unkept = 0;  // sent to a member that keeps too many already
};

class LiveTable {
 public:
  explicit LiveTable(LiveLimits limits = {}) : limits_(limits) {}
  void add(std::uint64_t id, LiveSubscriber& subscriber) { subscribers_[id] = &subscriber; }
  void remove(std::uint64_t id) {
    ++version_;
    subscribers_.erase(id);
  }

  // True when this is the first, or was the last, subscriber of the core with that filter.
  bool subscribe(std::uint64_t id, TenantId tenant, const SubscribeRequest& request);
  bool unsubscribe(std::uint64_t id, TenantId tenant, std::string_view filter);

  // The same for shared subscriptions, by `$share/NAME/FILTER`; gives how many members this core has now.
  std::uint32_t join(std::uint64_t id, TenantId tenant, const SubscribeRequest& request);
  std::uint32_t leave(std::uint64_t id, TenantId tenant, std::string_view share);
  // To one member, in turn; one that could not be sent it at once loses its turn if another can. False: there
  // is none. `data` if the message is a batch already.
  bool deliver_shared(TenantId tenant, const Bytes& share, const MessageView& message, const Bytes& owner,
                      const Data* data);

  // Who gets what is published to the address; of one subscriber several times, next to each other, if
  // several of its filters match. In the order of their numbers.
  void match(TenantId tenant, std::string_view address, std::vector<LiveMatch>& out);
  // Grows when match() may give something else.
  std::uint64_t version() const { return version_; }
  // To those that match() gave, at this version. True if anybody is to have it.
  bool deliver(std::span<const LiveMatch> matches, const MessageView& message, const Bytes& owner,
               std::uint64_t publisher_hash);
  // Hands over what waited and stops holding.
  void release(LiveSubscriber& subscriber);

  std::size_t filters() const;
  const LiveStats& stats() const { return stats_; }

 private:
  struct Tenant {
    FilterTrie trie;
    std::map<std::string, std::uint32_t, std::less<>> subscribers_of;  // by filter
    struct Share {
      std::vector<std::pair<std::uint64_t, std::uint64_t>> members;  // and their options, packed
      std::size_t turn = 0;
    };
    std::map<std::string, Share, std::less<>> shares;
  };
  void deliver_one(LiveSubscriber& to, const MessageView& message, const Bytes& owner, std::uint8_t qos,
                   bool retain, std::uint64_t serial, const SettleToken& token);
  std::size_t choose(const Tenant::Share& share) const;

  const LiveLimits limits_;
  std::map<TenantId, Tenant> tenants_;
  absl::flat_hash_map<std::uint64_t, LiveSubscriber*> subscribers_;  // look-ups only
  std::uint64_t version_ = 1;
  std::uint64_t serial_ = 0;
  std::vector<FilterTrie::Match> matches_;
  std::vector<std::uint32_t> ids_;
  LiveStats stats_;
};

}  // namespace stele::broker
