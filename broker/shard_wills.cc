// Wills (section 3.1.2.5 of MQTT 5.0). What there is to know of them is state of the shard that the client id
// belongs to (will_table.h); here is when its owner publishes one, and how.
//
// This shard is a will's home, whoever wants it: the entry that publishes it also removes it, and forwarders
// take it to the other shards that want it. So a crash neither loses one nor sends it twice. A client that
// comes back is answered when what it left behind is wherever it goes: what it publishes then, "online" say,
// comes after its "gone".
#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/control.h"
#include "broker/message_batch.h"
#include "broker/shard.h"
#include "broker/targets.h"

namespace stele::broker {

namespace {

// Before that this node does not know who wants them, or may not know it any more; due ones wait.
bool knows_who_wants(const Core& core) {
  return core.have_all_started() && core.may_accept();
}

}  // namespace

// The end of a connection that had one. A session's end has said it already.
void Shard::end_will(const Connected& connected, bool goodbye) {
  if (!connected.will) return;
  const auto* will = state_.wills().find(*connected.will);
  if (will && will->second.armed()) append(control::will_ended(now(), *connected.will, goodbye));
  will = state_.wills().find(*connected.will);
  if (!will || will->second.due_at_ms > state_.time().ms || !writable()) return;
  if (knows_who_wants(core_)) publish_will(*connected.will);
}

void Shard::publish_due_wills() {
  if (!knows_who_wants(core_) || mutant(Mutant::kWillForgotten)) return;
  for (const Lsn will : state_.wills().due(now(), kMaxExpiredAtOnce)) publish_will(will);
}

void Shard::publish_due_wills_of(const SessionKey& key) {
  for (const Lsn will : state_.wills().due_of(key, now())) {
    STELE_MARK("shard: will published because its client is back");
    publish_will(will);
  }
}

void Shard::publish_will(Lsn lsn) {
  const auto* found = state_.wills().find(lsn);
  STELE_ASSERT(found != nullptr);
  const SessionKey key = found->first.first;
  const WillContent& content = found->second.content;
  Data data;
  data.tenant = key.first;
  data.retain = content.retain;
  data.qos = content.qos;
  ShardList forwards;
  std::vector<Bytes> shares;
  const bool readable = for_each_message(
      content.batch, content.address, false, [&](const MessageView& kept, const Bytes&, std::uint32_t) {
        MessageView message = kept;
        message.timestamp_ms = core_.runtime().wall_now().ms;
        // What it may wait counts from now on: section 3.1.3.2.4 of MQTT 5.0.
        if (kept.expires_at_ms) {
          message.expires_at_ms = *kept.expires_at_ms - kept.timestamp_ms + message.timestamp_ms;
        }
        MessageBatch made = batch_of(message, KeyRule{});
        data.address = std::move(made.address);
        data.batch = std::move(made.batch);
        const Route& route = core_.routes().route(data.tenant, message.address);
        forwards = targets_of(route, message).shards;
        for (const ShareRoute* share : route.shares) {
          if (share->takes_live(message.qos)) shares.push_back(share->text());
        }
      });
  if (!readable || data.batch.empty()) {
    core_.runtime().log().write(runtime::LogLevel::kError, "broker",
                                "shard " + std::to_string(id_.value) + ": a will cannot be read");
    append(control::will_ended(now(), lsn, true));
    return;
  }
  forwards.erase(std::remove(forwards.begin(), forwards.end(), id_), forwards.end());
  ++core_.stats().wills_published;
  const bool retained_home = keeps_retained(data);
  decide::Publish made =
      decide::publish_will(state_, deciding(), lsn, std::move(data), forwards, retained_home);
  Reveal item;
  item.data = std::move(made.data);
  item.shares = std::move(shares);
  item.lsn = append(std::move(made));
  item.answering.forwards = forwards.size();
  if (!forwards.empty()) {
    item.answering.reply = {ReplyTo::Kind::kWill, core_.runtime().core(), 0, lsn.value};
    wills_under_way_.emplace(lsn, key);
    ++clients_[key].wills_under_way;
  }
  for (ShardId target : forwards) note_pending_forward(target, item.lsn);
  reveals_.push_back(std::move(item));
}

// In every shard that wants it.
void Shard::will_has_arrived(Lsn lsn) {
  const auto found = wills_under_way_.find(lsn);
  STELE_ASSERT(found != wills_under_way_.end());
  const SessionKey key = std::move(found->second);
  wills_under_way_.erase(found);
  Client& client = clients_.at(key);
  --client.wills_under_way;
  client.freed.wake_all();
  drop_client_if_idle(key);
}

}  // namespace stele::broker
