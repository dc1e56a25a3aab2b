// The live subscribers of one core: clients connected here, and what they subscribed to. Matches exactly and
// hands each message to each interested client once, with the highest quality of service of its matching
// subscriptions. What is kept for a persistent session is not delivered from here: its shard does that.
//
// Lives on one core.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "broker/api.h"
#include "broker/filter_trie.h"
#include "model/ids.h"

namespace stele::broker {

// One connected client. Lives in the Session that the connection owns.
struct LiveSubscriber {
  SessionHandler* handler = nullptr;
  std::uint64_t publisher_hash = 0;
  bool durable = false;  // what has QoS > 0 comes from its shard

  // From the start of a subscribe until its release, live copies wait here.
  struct Held {
    Bytes batch;
    Bytes address;
    std::uint8_t qos;
    bool retain;
    std::vector<std::uint32_t> subscription_ids;
  };
  bool holding = false;
  std::deque<Held> held;
  std::size_t held_bytes = 0;
};

struct LiveStats {
  std::uint64_t deliveries = 0;
  std::uint64_t dropped_while_held = 0;
};

class LiveTable {
 public:
  void add(std::uint64_t id, LiveSubscriber& subscriber) { subscribers_[id] = &subscriber; }
  void remove(std::uint64_t id) { subscribers_.erase(id); }

  // True when this is the first, or was the last, subscriber of the core with that filter.
  bool subscribe(std::uint64_t id, TenantId tenant, const SubscribeRequest& request);
  bool unsubscribe(std::uint64_t id, TenantId tenant, std::string_view filter);

  // `batch` is the message as a batch of one record if the caller has that already (then `owner` is it too);
  // it is made when a copy must be kept. True if anybody matched.
  bool deliver(TenantId tenant, const MessageView& message, const Bytes& owner, std::uint64_t publisher_hash);
  // Hands over what waited and stops holding.
  void release(LiveSubscriber& subscriber);

  std::size_t filters() const;
  const LiveStats& stats() const { return stats_; }

 private:
  static constexpr std::size_t kMaxHeld = 1000;
  static constexpr std::size_t kMaxHeldBytes = 1 << 20;
  struct Tenant {
    FilterTrie trie;
    std::map<std::string, std::uint32_t, std::less<>> subscribers_of;  // by filter
  };
  void deliver_one(LiveSubscriber& to, const MessageView& message, const Bytes& owner, std::uint8_t qos,
                   bool retain);

  std::map<TenantId, Tenant> tenants_;
  absl::flat_hash_map<std::uint64_t, LiveSubscriber*> subscribers_;  // look-ups only
  std::vector<FilterTrie::Match> matches_;
  std::vector<std::uint32_t> ids_;
  LiveStats stats_;
};

}  // namespace stele::broker
