#include "broker/peer_codec.h"

#include <string_view>
#include <utility>

#include "broker/peer_wire.h"

namespace stele::broker::wire {
namespace {

// Of DataMail.
constexpr std::uint8_t kOnce = 1;
constexpr std::uint8_t kDenied = 2;
constexpr std::uint8_t kAllOfPublish = 3;
// Of DataAnswerMail.
constexpr std::uint8_t kFailed = 1;
constexpr std::uint8_t kUnknown = 2;
constexpr std::uint8_t kMatched = 4;
constexpr std::uint8_t kAllOfAnswer = 7;
// Of SessionItem.
constexpr std::uint8_t kRetained = 1;
constexpr std::uint8_t kRedelivered = 2;
constexpr std::uint8_t kHeadersAllowed = 4;
constexpr std::uint8_t kAllOfItem = 7;

std::uint8_t bit(bool set, std::uint8_t value) {
  return set ? value : std::uint8_t{0};
}

// The first byte of a part of Live, and of Items.
enum class LiveKind : std::uint8_t { kBundle = 1, kMail = 2 };
enum class ItemsKind : std::uint8_t { kMail = 1, kTakenOver = 2, kLost = 3 };

constexpr std::size_t kTokenBytes = 23;
constexpr std::size_t kItemBytes = kTokenBytes + 12;
constexpr std::size_t kSettleBytes = 13 + kTokenBytes;

// ---- publishes and forwards -------------------------------------------------------------------------------

void take(In& in, DataMail& to) {
  to.shard = take_id<ShardId>(in);
  to.meta_version = in.le<std::uint64_t>();
  to.generation = in.le<std::uint32_t>();
  const std::uint8_t flags = in.u8();
  if (flags & ~kAllOfPublish) in.fail();
  if (flags & kOnce) {
    to.once.emplace();
    to.once->session = in.le<std::uint32_t>();
    to.once->epoch = in.le<std::uint64_t>();
    to.once->packet_id = in.le<std::uint16_t>();
    if (to.once->packet_id == 0) in.fail();
  }
  if (flags & kDenied) take(in, to.denied.emplace());
  to.forwards.resize(in.count(4));
  for (ShardId& shard : to.forwards) shard = take_id<ShardId>(in);
  const std::size_t shares = in.count(1);
  to.shares.reserve(shares);
  for (std::size_t i = 0; i < shares && in.ok(); ++i) to.shares.push_back(in.piece());
  in.item([&](In& part) { take(part, to.data, to.denied ? Batch::kOneOrNone : Batch::kOne); });
  // No entry can say that: an exactly-once batch of a Kafka producer is another thing.
  if (to.once && to.data.kafka_batch) in.fail();
}

void take(In& in, DataAnswerMail& to) {
  const std::uint8_t flags = in.u8();
  if (flags & ~kAllOfAnswer) in.fail();
  to.unknown = flags & kUnknown;
  to.matched = flags & kMatched;
  to.produced.base_offset = take_id<Offset>(in);
  to.produced.append_time_ms = in.le<std::int64_t>();
  to.produced.log_start = take_id<Offset>(in);
  if (flags & kFailed) take(in, to.error.emplace());
}

void take(In& in, ForwardMail& to) {
  to.source = take_id<ShardId>(in);
  to.target = take_id<ShardId>(in);
  to.source_epoch = take_id<Epoch>(in);
  to.lsn = take_id<Lsn>(in);
  if (to.lsn == Lsn(UINT64_MAX)) in.fail();  // there is always a next one
  if (in.flag()) {
    to.after = take_id<Lsn>(in);
    if (*to.after >= to.lsn) in.fail();
  }
  to.meta_version = in.le<std::uint64_t>();
  in.item([&](In& part) { take(part, to.data); });
}

void take(In& in, ForwardAnswerMail& to) {
  to.source = take_id<ShardId>(in);
  to.target = take_id<ShardId>(in);
  to.up_to = take_id<Lsn>(in);
  if (in.flag()) take(in, to.error.emplace());
}

// ---- live copies ------------------------------------------------------------------------------------------

void put(Out& out, const LiveBundle& from) {
  out.u8(static_cast<std::uint8_t>(LiveKind::kBundle)).piece(from.bytes());
}

void put(Out& out, const LiveMail& from) {
  out.u8(static_cast<std::uint8_t>(LiveKind::kMail));
  out.piece(from.share);
  out.le(from.tries);
  out.item([&] { put(out, from.data); });
}

void put(Out& out, const LiveHead& from) {
  out.le(from.core).le(from.number).le(from.after).flag(from.unsettled);
  out.le(from.last_of_cores).le(from.incarnation);
}

void take(In& in, LiveHead& to) {
  to.core = in.le<std::uint32_t>();
  to.number = in.le<std::uint64_t>();
  to.after = in.le<std::uint64_t>();
  if (to.after >= to.number) in.fail();
  to.unsettled = in.flag();
  to.last_of_cores = in.le<std::uint32_t>();
  if (to.last_of_cores > 0 && to.core >= to.last_of_cores) in.fail();
  to.incarnation = in.le<std::uint64_t>();
}

void take_part(In& in, Live& to) {
  switch (static_cast<LiveKind>(in.u8())) {
    case LiveKind::kBundle: {
      auto bundle = LiveBundle::from(in.piece());
      if (!bundle) return in.fail();
      to.parts.emplace_back(*std::move(bundle));
      return;
    }
    case LiveKind::kMail: {
      LiveMail mail;
      mail.share = in.piece();
      mail.tries = in.le<std::uint32_t>();
      in.item([&](In& part) { take(part, mail.data); });
      to.parts.emplace_back(std::move(mail));
      return;
    }
  }
  in.fail();
}

void take(In& in, Live& to) {
  in.item([&](In& part) { take(part, to.head); });
  const std::size_t count = in.count(4 + 2);
  to.parts.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    in.item([&](In& part) { take_part(part, to); });
  }
}

// ---- messages of sessions ---------------------------------------------------------------------------------

void put(Out& out, const SessionItem& from) {
  put(out, from.token);
  out.u8(from.qos);
  out.u8(static_cast<std::uint8_t>(bit(from.retain, kRetained) | bit(from.redelivered, kRedelivered) |
                                   bit(from.address_headers_allowed, kHeadersAllowed)));
  out.count(from.subscription_ids.size());
  for (const std::uint32_t id : from.subscription_ids) out.le(id);
  out.le(from.tenant.value);
  out.piece(from.address).piece(from.batch);
}

void take(In& in, SessionItem& to) {
  take(in, to.token);
  to.qos = take_qos(in);
  const std::uint8_t flags = in.u8();
  if (flags & ~kAllOfItem) in.fail();
  to.retain = flags & kRetained;
  to.redelivered = flags & kRedelivered;
  to.address_headers_allowed = flags & kHeadersAllowed;
  to.subscription_ids.resize(in.count(4));
  for (std::uint32_t& id : to.subscription_ids) id = in.le<std::uint32_t>();
  to.tenant = take_id<TenantId>(in);
  to.address = take_address(in);
  to.batch = take_batch(in);
}

void put(Out& out, const SessionMail& from) {
  out.u8(static_cast<std::uint8_t>(ItemsKind::kMail)).le(from.attachment);
  out.list(from.items, [&](const SessionItem& one) { put(out, one); });
  out.count(from.releases.size());
  for (const std::uint16_t packet_id : from.releases) out.le(packet_id);
  out.count(from.completed.size());
  for (const SessionMail::Completed& one : from.completed) out.le(one.packet_id).flag(one.known);
}
void put(Out& out, const TakenOver& from) {
  out.u8(static_cast<std::uint8_t>(ItemsKind::kTakenOver)).le(from.attachment);
}
void put(Out& out, const SessionLost& from) {
  out.u8(static_cast<std::uint8_t>(ItemsKind::kLost)).le(from.attachment);
  put(out, from.why);
}

std::uint16_t take_packet_id(In& in) {
  const auto packet_id = in.le<std::uint16_t>();
  if (packet_id == 0) in.fail();
  return packet_id;
}

void take(In& in, SessionMail& to) {
  in.list(to.items, kItemBytes, [](In& part, SessionItem& one) { take(part, one); });
  to.releases.resize(in.count(2));
  for (std::uint16_t& packet_id : to.releases) packet_id = take_packet_id(in);
  to.completed.resize(in.count(3));
  for (SessionMail::Completed& one : to.completed) {
    one.packet_id = take_packet_id(in);
    one.known = in.flag();
  }
}

void take(In& in, Items::Part& to) {
  const auto kind = static_cast<ItemsKind>(in.u8());
  const auto attachment = in.le<std::uint64_t>();
  switch (kind) {
    case ItemsKind::kMail: {
      auto& mail = to.emplace<SessionMail>();
      mail.attachment = attachment;
      return take(in, mail);
    }
    case ItemsKind::kTakenOver:
      to.emplace<TakenOver>(attachment);
      return;
    case ItemsKind::kLost:
      return take(in, to.emplace<SessionLost>(attachment).why);
  }
  in.fail();
}

// ---- what clients have settled ----------------------------------------------------------------------------

void put(Out& out, const SettleMail& from) {
  out.le(from.shard.value).le(from.attachment).u8(static_cast<std::uint8_t>(from.what));
  put(out, from.token);
}

void take(In& in, SettleMail& to) {
  to.shard = take_id<ShardId>(in);
  to.attachment = in.le<std::uint64_t>();
  const std::uint8_t what = in.u8();
  if (what > static_cast<std::uint8_t>(SettleMail::What::kShared)) in.fail();
  to.what = static_cast<SettleMail::What>(what);
  take(in, to.token);
}

}  // namespace

rpc::Payload encode(const DataMail& from) {
  Out out;
  out.le(from.shard.value).le(from.meta_version).le(from.generation);
  out.u8(
      static_cast<std::uint8_t>(bit(from.once.has_value(), kOnce) | bit(from.denied.has_value(), kDenied)));
  if (from.once) out.le(from.once->session).le(from.once->epoch).le(from.once->packet_id);
  if (from.denied) put(out, *from.denied);
  out.count(from.forwards.size());
  for (const ShardId shard : from.forwards) out.le(shard.value);
  out.count(from.shares.size());
  for (const Bytes& share : from.shares) out.piece(share);
  out.item([&] { put(out, from.data); });
  return out.finish();
}

rpc::Payload encode(const DataAnswerMail& from) {
  Out out;
  out.u8(static_cast<std::uint8_t>(bit(from.error.has_value(), kFailed) | bit(from.unknown, kUnknown) |
                                   bit(from.matched, kMatched)));
  out.le(from.produced.base_offset.value).le(from.produced.append_time_ms).le(from.produced.log_start.value);
  if (from.error) put(out, *from.error);
  return out.finish();
}

rpc::Payload encode(const ForwardMail& from) {
  Out out;
  out.le(from.source.value).le(from.target.value).le(from.source_epoch.value).le(from.lsn.value);
  out.flag(from.after.has_value());
  if (from.after) out.le(from.after->value);
  out.le(from.meta_version);
  out.item([&] { put(out, from.data); });
  return out.finish();
}

rpc::Payload encode(const ForwardAnswerMail& from) {
  Out out;
  out.le(from.source.value).le(from.target.value).le(from.up_to.value).flag(from.error.has_value());
  if (from.error) put(out, *from.error);
  return out.finish();
}

rpc::Payload encode(const Live& from) {
  Out out;
  out.item([&] { put(out, from.head); });
  out.list(from.parts,
           [&](const Live::Part& part) { std::visit([&](const auto& one) { put(out, one); }, part); });
  return out.finish();
}

rpc::Payload encode(const Items& from) {
  Out out;
  out.list(from.parts,
           [&](const Items::Part& part) { std::visit([&](const auto& one) { put(out, one); }, part); });
  return out.finish();
}

rpc::Payload encode(const Settle& from) {
  Out out;
  out.list(from.settled, [&](const SettleMail& one) { put(out, one); });
  return out.finish();
}

template <>
Result<DataMail> decode(const Bytes& from) {
  return decoded<DataMail>(from, [](In& in, DataMail& to) { take(in, to); });
}
template <>
Result<DataAnswerMail> decode(const Bytes& from) {
  return decoded<DataAnswerMail>(from, [](In& in, DataAnswerMail& to) { take(in, to); });
}
template <>
Result<ForwardMail> decode(const Bytes& from) {
  return decoded<ForwardMail>(from, [](In& in, ForwardMail& to) { take(in, to); });
}
template <>
Result<ForwardAnswerMail> decode(const Bytes& from) {
  return decoded<ForwardAnswerMail>(from, [](In& in, ForwardAnswerMail& to) { take(in, to); });
}
template <>
Result<Live> decode(const Bytes& from) {
  return decoded<Live>(from, [](In& in, Live& to) { take(in, to); });
}
template <>
Result<Items> decode(const Bytes& from) {
  return decoded<Items>(from, [](In& in, Items& to) {
    in.list(to.parts, 9, [](In& part, Items::Part& one) { take(part, one); });
  });
}
template <>
Result<Settle> decode(const Bytes& from) {
  return decoded<Settle>(from, [](In& in, Settle& to) {
    in.list(to.settled, kSettleBytes, [](In& part, SettleMail& one) { take(part, one); });
  });
}

}  // namespace stele::broker::wire
