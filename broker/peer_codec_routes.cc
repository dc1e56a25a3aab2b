// What nodes tell each other of where messages go, as bytes.
#include "broker/peer_codec.h"
#include "broker/peer_wire.h"

namespace stele::broker::wire {
namespace {

constexpr std::size_t kNewsBytes = 22;

void put(Out& out, const RouteNews& from) {
  out.u8(static_cast<std::uint8_t>(from.kind)).le(from.shard.value).le(from.epoch.value);
  out.le(from.tenant.value).le(from.number).sized(from.text);
}

void take(In& in, RouteNews& to) {
  using Kind = RouteNews::Kind;
  to.kind = static_cast<Kind>(in.u8());
  if (to.kind < Kind::kShardBegins || to.kind > Kind::kShareMembers) in.fail();
  to.shard = take_id<ShardId>(in);
  to.epoch = take_id<Epoch>(in);
  to.tenant = take_id<TenantId>(in);
  to.number = in.le<std::uint32_t>();
  if (to.kind != Kind::kShareMembers && to.number > 1) in.fail();
  to.text = in.text();
}

void take(In& in, RouteBatch& to) {
  to.source_incarnation = in.le<std::uint64_t>();
  to.follower_incarnation = in.le<std::uint64_t>();
  to.number = in.le<std::uint64_t>();
  to.after = in.le<std::uint64_t>();
  to.first = in.le<std::uint64_t>();
  to.last = in.le<std::uint64_t>();
  to.anew = in.flag();
  to.complete = in.flag();
  in.list(to.news, kNewsBytes, [](In& part, RouteNews& one) { take(part, one); });
}

void take(In& in, RouteBatchAnswer& to) {
  to.source_incarnation = in.le<std::uint64_t>();
  to.number = in.le<std::uint64_t>();
  to.version = in.le<std::uint64_t>();
  to.gap = in.flag();
}

}  // namespace

rpc::Payload encode(const RouteBatch& from) {
  Out out;
  out.le(from.source_incarnation).le(from.follower_incarnation).le(from.number).le(from.after);
  out.le(from.first).le(from.last);
  out.flag(from.anew);
  out.flag(from.complete);
  out.list(from.news, [&](const RouteNews& one) { put(out, one); });
  return out.finish();
}

rpc::Payload encode(const RouteBatchAnswer& from) {
  Out out;
  out.le(from.source_incarnation).le(from.number).le(from.version);
  out.flag(from.gap);
  return out.finish();
}

template <>
Result<RouteBatch> decode(const Bytes& from) {
  return decoded<RouteBatch>(from, [](In& in, RouteBatch& to) { take(in, to); });
}
template <>
Result<RouteBatchAnswer> decode(const Bytes& from) {
  return decoded<RouteBatchAnswer>(from, [](In& in, RouteBatchAnswer& to) { take(in, to); });
}

}  // namespace stele::broker::wire
