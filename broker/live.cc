#include "broker/live.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "broker/message_batch.h"

namespace stele::broker {
namespace {

const SettleToken kNothingToSettle;

}  // namespace

bool LiveTable::subscribe(std::uint64_t id, TenantId tenant, const SubscribeRequest& request) {
  ++version_;
  Tenant& owner = tenants_[tenant];
  if (!owner.trie.insert(request.filter, id, packed::pack(request))) return false;  // replaced
  return ++owner.subscribers_of[request.filter] == 1;
}

bool LiveTable::unsubscribe(std::uint64_t id, TenantId tenant, std::string_view filter) {
  ++version_;
  Tenant& owner = tenants_[tenant];
  if (!owner.trie.erase(filter, id)) return false;
  auto found = owner.subscribers_of.find(filter);
  STELE_ASSERT(found != owner.subscribers_of.end());
  if (--found->second > 0) return false;
  owner.subscribers_of.erase(found);
  return true;
}

std::size_t LiveTable::filters() const {
  std::size_t all = 0;
  for (auto& [id, tenant] : tenants_) all += tenant.trie.size();
  return all;
}

void LiveTable::match(TenantId tenant, std::string_view address, std::vector<LiveMatch>& out) {
  auto found = tenants_.find(tenant);
  if (found == tenants_.end()) return;
  matches_.clear();
  found->second.trie.match(address, matches_);
  if (matches_.size() > 1) {
    std::sort(matches_.begin(), matches_.end(), [](const auto& a, const auto& b) {
      return a.target != b.target ? a.target < b.target : a.data < b.data;
    });
  }
  for (const FilterTrie::Match& match : matches_) {
    const auto subscriber = subscribers_.find(match.target);
    STELE_ASSERT(subscriber != subscribers_.end());
    out.push_back({subscriber->second, match.data});
  }
}

bool LiveTable::deliver(std::span<const LiveMatch> matches, const MessageView& message, const Bytes& owner,
                        std::uint64_t publisher_hash) {
  const std::uint64_t serial = ++serial_;
  bool any = false;
  for (std::size_t i = 0; i < matches.size();) {
    std::uint8_t granted = 0;
    bool retain_as_published = false, wanted = false;
    LiveSubscriber& to = *matches[i].subscriber;
    ids_.clear();
    for (; i < matches.size() && matches[i].subscriber == &to; ++i) {
      const std::uint64_t options = matches[i].options;
      // [MQTT-3.8.3-3]
      if ((options & packed::kNoLocal) && publisher_hash != 0 && publisher_hash == to.publisher_hash)
        continue;
      wanted = true;
      granted = std::max(granted, static_cast<std::uint8_t>(options & packed::kQosMask));
      retain_as_published |= (options & packed::kRetainAsPublished) != 0;
      if (options >> packed::kIdShift)
        ids_.push_back(static_cast<std::uint32_t>(options >> packed::kIdShift));
    }
    if (!wanted) continue;
    any = true;
    const std::uint8_t qos = std::min(granted, message.qos);
    if (to.durable && qos > 0) continue;
    deliver_one(to, message, owner, qos, message.retain && retain_as_published, serial, kNothingToSettle);
  }
  return any;
}

void LiveTable::deliver_one(LiveSubscriber& to, const MessageView& message, const Bytes& owner,
                            std::uint8_t qos, bool retain, std::uint64_t serial, const SettleToken& token) {
  ++stats_.deliveries;
  if (to.detour == 0) [[likely]] {
    to.handler->on_message(Delivery{message, owner, qos, retain, false, token, ids_, serial});
    return;
  }
  const bool full = to.held.size() >= limits_.held_messages || to.held_bytes >= limits_.held_bytes;
  if (full && (to.detour & LiveSubscriber::kPromised)) {
    STELE_MARK("live: given before retained messages, which take long");
    release(to);
  }
  if (!to.holding()) {
    if (message.retain && to.notes) to.notes->note(message);
    to.handler->on_message(Delivery{message, owner, qos, retain, false, token, ids_, serial});
    return;
  }
  if (full) {
    STELE_MARK("live: dropped while a subscribe is under way");
    ++stats_.dropped_while_held;
    if (token.kept()) to.settle_shared(token.lsn.value);
    return;
  }
  MessageBatch copy = batch_of(message, KeyRule{});
  to.held_bytes += copy.batch.size();
  to.held.push_back({std::move(copy.batch), std::move(copy.address), qos, retain, token, ids_});
}

// ---- shared subscriptions -------------------------------------------------------------------------------

void LiveSubscriber::begin_noting() {
  detour |= kNoting;
  if (!notes) notes = std::make_unique<RetainedNotes>();
}

void LiveSubscriber::end_noting() {
  detour &= static_cast<std::uint8_t>(~kNoting);
  notes.reset();
}

void LiveSubscriber::settle_shared(std::uint64_t number) {
  if (!shared || number < shared->first || number - shared->first >= shared->copies.size()) return;
  SharedCopy& copy = shared->copies[number - shared->first];
  shared->bytes -= copy.batch.size();
  copy = {};
  while (!shared->copies.empty() && shared->copies.front().batch.empty()) {
    shared->copies.pop_front();
    ++shared->first;
  }
}

std::uint32_t LiveTable::join(std::uint64_t id, TenantId tenant, const SubscribeRequest& request) {
  auto& members = tenants_[tenant].shares[request.filter].members;
  const auto there = std::ranges::find(members, id, &std::pair<std::uint64_t, std::uint64_t>::first);
  if (there != members.end()) {
    there->second = packed::pack(request);
  } else {
    members.emplace_back(id, packed::pack(request));
  }
  return static_cast<std::uint32_t>(members.size());
}

std::uint32_t LiveTable::leave(std::uint64_t id, TenantId tenant, std::string_view share) {
  Tenant& owner = tenants_[tenant];
  const auto found = owner.shares.find(share);
  if (found == owner.shares.end()) return 0;
  auto& members = found->second.members;
  const auto there = std::ranges::find(members, id, &std::pair<std::uint64_t, std::uint64_t>::first);
  if (there != members.end()) {
    if (there - members.begin() < static_cast<std::ptrdiff_t>(found->second.turn)) --found->second.turn;
    members.erase(there);
  }
  const auto left = static_cast<std::uint32_t>(members.size());
  if (left == 0) owner.shares.erase(found);
  return left;
}

// The place of the next one that can be sent something at once; if none can, of the one whose turn it is.
std::size_t LiveTable::choose(const Tenant::Share& share) const {
  const std::size_t size = share.members.size();
  for (std::size_t tried = 0; tried < size; ++tried) {
    const std::size_t place = (share.turn + tried) % size;
    const LiveSubscriber& one = *subscribers_.find(share.members[place].first)->second;
    if (!one.holding() && (!one.shared || one.shared->bytes < limits_.shared_bytes) &&
        one.handler->has_room(1)) {
      return place;
    }
  }
  return share.turn % size;
}

bool LiveTable::deliver_shared(TenantId tenant, const Bytes& share, const MessageView& message,
                               const Bytes& owner, const Data* data) {
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) return false;
  const auto there = found->second.shares.find(share.view());
  if (there == found->second.shares.end()) return false;
  Tenant::Share& members = there->second;
  const std::size_t place = choose(members);
  members.turn = (place + 1) % members.members.size();
  const auto [id, options] = members.members[place];
  LiveSubscriber& to = *subscribers_.find(id)->second;
  const auto qos = std::min(message.qos, static_cast<std::uint8_t>(options & packed::kQosMask));
  ids_.clear();
  if (options >> packed::kIdShift) ids_.push_back(static_cast<std::uint32_t>(options >> packed::kIdShift));
  const bool retain = message.retain && (options & packed::kRetainAsPublished);
  if (qos == 0) {
    deliver_one(to, message, owner, qos, retain, 0, kNothingToSettle);
    return true;
  }
  if (!to.shared) to.shared = std::make_unique<LiveSubscriber::SharedCopies>();
  SettleToken token;
  if (to.shared->bytes < limits_.shared_bytes) {
    LiveSubscriber::SharedCopy copy{share, {}, {}};
    if (data && data->batch.size() > BlockArena::kLargestPiece) {
      copy.address = data->address;
      copy.batch = data->batch;
    } else {  // it may stay for long, and is not to hold what else came in its turn
      MessageBatch made = batch_of(message, KeyRule{});
      copy.address = std::move(made.address);
      copy.batch = std::move(made.batch);
    }
    to.shared->bytes += copy.batch.size();
    token.share = 1;
    token.lsn = Lsn(to.shared->first + to.shared->copies.size());
    to.shared->copies.push_back(std::move(copy));
  } else {
    STELE_MARK("live: a member keeps too many shared messages");
    ++stats_.shared_unkept;
  }
  deliver_one(to, message, owner, qos, retain, 0, token);
  return true;
}

void LiveTable::release(LiveSubscriber& subscriber) {
  subscriber.detour &= static_cast<std::uint8_t>(~(LiveSubscriber::kHolding | LiveSubscriber::kPromised));
  while (!subscriber.held.empty()) {
    const LiveSubscriber::Held held = subscriber.held.take_front();
    for_each_message(
        held.batch, held.address, false, [&](const MessageView& message, const Bytes& owner, std::uint32_t) {
          if (message.retain && subscriber.notes) subscriber.notes->note(message);
          subscriber.handler->on_message(
              Delivery{message, owner, held.qos, held.retain, false, held.token, held.subscription_ids});
        });
  }
  subscriber.held_bytes = 0;
}

}  // namespace stele::broker
