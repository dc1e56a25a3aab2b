#include "sim/workloads/shadow.h"

#include <algorithm>

#include "base/hash.h"
#include "broker/message_batch.h"

namespace stele::sim {

void Shadow::fail(ShardId id, const std::string& why) {
  world_.fail("shard " + std::to_string(id.value) + ": " + why);
}

void Shadow::on_owner(ShardId id, Epoch epoch, Lsn next, std::uint64_t state_hash) {
  owner_began_at_ = world_.now();
  Shard& shard = shards_[id];
  // One that was long in taking over does not know yet that another has done so since.
  if (several_nodes && epoch < shard.epoch) return;
  if (epoch <= shard.epoch)
    return fail(id, "an owner begins in epoch " + std::to_string(epoch.value) + ", which is not above " +
                        std::to_string(shard.epoch.value));
  shard.epoch = epoch;
  if (next < shard.committed) {
    return fail(id, "committed entries are lost: " + std::to_string(shard.committed.value) +
                        " were committed, the new owner has " + std::to_string(next.value));
  }
  // What was appended and survived is committed by the take-over.
  advance(id, shard, next);
  shard.appended.clear();
  shard.hashes.clear();
  if (world_.failed()) return;
  ++hashes_compared_;
  if (shard.state.hash() != state_hash) fail(id, "snapshot and tail give another state than the whole log");
}

void Shadow::on_append(ShardId id, Epoch epoch, Lsn lsn, std::string_view head, std::string_view body) {
  Shard& shard = shards_[id];
  if (epoch != shard.epoch) return;  // an owner that is no more
  std::string entry(head);
  entry += body;
  shard.appended[lsn] = std::move(entry);
}

void Shadow::on_commit(ShardId id, Epoch epoch, Lsn end) {
  Shard& shard = shards_[id];
  if (epoch != shard.epoch) return;
  advance(id, shard, end);
}

void Shadow::advance(ShardId id, Shard& shard, Lsn end) {
  while (shard.committed < end && !world_.failed()) {
    const auto found = shard.appended.find(shard.committed);
    if (found == shard.appended.end()) {
      return fail(id,
                  "entry " + std::to_string(shard.committed.value) + " is committed but was never appended");
    }
    auto view = broker::parse_entry(found->second, {});
    if (!view) return fail(id, "a committed entry cannot be read: " + view.error().message);
    if (view->time < shard.time) {
      return fail(id, "time goes back: entry " + std::to_string(shard.committed.value) +
                          " is older than the one before");
    }
    shard.time = view->time;
    auto applied = shard.state.apply(shard.committed, *view, scratch_);
    if (!applied) return fail(id, "a committed entry cannot be applied: " + applied.error().message);
    if (on_data && view->kind == broker::EntryKind::kData && !scratch_.duplicate) {
      on_data(view->data, view->data.batch);
    }
    if (on_control && view->kind == broker::EntryKind::kControl) on_control(shard.state);
    ++entries_;
    shard.appended.erase(found);
    ++shard.committed;
    compare(id, shard);
  }
}

void Shadow::compare(ShardId id, Shard& shard) {
  auto expected = shard.hashes.find(shard.state.next());
  if (expected == shard.hashes.end()) return;
  ++hashes_compared_;
  if (expected->second != shard.state.hash()) fail(id, "the owner's state is not the fold of its log");
  shard.hashes.erase(expected);
}

// A hash costs as much as the state is large, and so comes the more seldom.
bool Shadow::wants_hash(ShardId id) {
  if (++asked_ < next_hash_) return false;
  next_hash_ = asked_ + 128 + shards_[id].state.queued_messages() / 4;
  return true;
}

void Shadow::on_hash(ShardId id, Epoch epoch, Lsn applied, std::uint64_t state_hash) {
  Shard& shard = shards_[id];
  if (epoch != shard.epoch) return;  // one that does not know yet that it owns the shard no more
  if (applied <= shard.committed) return;
  shard.hashes[applied] = state_hash;
}

void Shadow::on_snapshot(ShardId id, Epoch epoch, Lsn lsn, std::uint64_t state_hash) {
  on_hash(id, epoch, lsn, state_hash);
}

std::string Shadow::describe(const std::string& client_id) const {
  std::string out;
  for (const auto& [id, shard] : shards_) {
    const broker::SessionState* session = shard.state.session(kDefaultTenant, client_id);
    if (session == nullptr) continue;
    std::size_t numbered = 0;
    std::size_t settled = 0;
    for (auto at = session->first(); at < session->end(); ++at) {
      settled += session->at(at).settled ? 1 : 0;
      numbered += session->at(at).packet_id != 0 ? 1 : 0;
    }
    out += "shard " + std::to_string(id.value) + ": " + (session->connected ? "connected" : "away") + ", " +
           std::to_string(session->queued()) + " queued, " + std::to_string(settled) + " of them settled, " +
           std::to_string(numbered) + " numbered, " + std::to_string(session->releasing().size()) +
           " to be released";
  }
  return out;
}

std::int64_t Shadow::end_of(const std::string& topic, std::int32_t partition) const {
  for (const auto& [id, shard] : shards_) {
    for (const auto& [stream, state] : shard.state.streams()) {
      const broker::StreamConfig& config = state.config();
      if (config.tenant == kDefaultTenant && config.name == topic && stream.partition.value == partition)
        return state.next().value;
    }
  }
  return 0;
}

bool Shadow::is_subscribed(const std::string& client_id, const std::string& filter) const {
  return std::ranges::any_of(shards_, [&](const auto& one) {
    const broker::SessionState* session = one.second.state.session(kDefaultTenant, client_id);
    return session != nullptr && session->subscriptions.contains(filter);
  });
}

bool Shadow::is_numbered(const std::string& client_id, std::uint16_t packet_id) const {
  for (const auto& [id, shard] : shards_) {
    const broker::SessionState* session = shard.state.session(kDefaultTenant, client_id);
    if (!session) continue;
    for (auto at = session->first(); at < session->end(); ++at) {
      if (session->at(at).packet_id == packet_id) return true;
    }
  }
  return false;
}

bool Shadow::has_will(std::string_view payload) const {
  bool found = false;
  for (const auto& [id, shard] : shards_) {
    for (const auto& [of, will] : shard.state.wills().all()) {
      broker::for_each_message(will.content.batch, will.content.address, false,
                               [&](const MessageView& message, const Bytes&, std::uint32_t) {
                                 found |= message.payload == payload;
                               });
    }
  }
  return found;
}

std::uint64_t Shadow::hash() const {
  Hasher hasher;
  for (const auto& [id, shard] : shards_) {
    hasher.add(id.value).add(shard.committed.value).add(shard.state.hash());
  }
  return hasher.value();
}

}  // namespace stele::sim
