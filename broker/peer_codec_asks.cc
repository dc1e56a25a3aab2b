// What is asked for a session, and the answers, as bytes.
#include <array>
#include <string>
#include <type_traits>
#include <utility>

#include "broker/peer_codec.h"
#include "broker/peer_wire.h"

namespace stele::broker::wire {
namespace {

// ---- their parts ------------------------------------------------------------------------------------------

void put(Out& out, const SessionOptions& from) {
  out.sized(from.principal.name).le(from.principal.tenant.value).le(from.principal.user.value);
  out.sized(from.client_id);
  out.flag(from.clean_start);
  out.le(from.expiry_s).le(from.receive_maximum);
}
void take(In& in, SessionOptions& to) {
  to.principal.name = in.text();
  to.principal.tenant = take_id<TenantId>(in);
  to.principal.user = take_id<UserId>(in);
  to.client_id = in.text();
  // The sessions of shared subscriptions are nobody's to open.
  if (to.client_id.empty() || is_share_session(to.client_id)) in.fail();
  to.clean_start = in.flag();
  to.expiry_s = in.le<std::uint32_t>();
  to.receive_maximum = in.le<std::uint32_t>();
}

void put(Out& out, const WillContent& from) {
  out.le(from.delay_s).u8(from.qos);
  out.flag(from.retain);
  out.piece(from.address).piece(from.batch);
}
void take(In& in, WillContent& to) {
  to.delay_s = in.le<std::uint32_t>();
  to.qos = take_qos(in);
  to.retain = in.flag();
  to.address = take_address(in);
  to.batch = take_batch(in);
}

void put(Out& out, const std::vector<SubscribeRequest>& from) {
  out.list(from, [&](const SubscribeRequest& one) { put(out, one); });
}
void take(In& in, std::vector<SubscribeRequest>& to) {
  in.list(to, 8, [](In& part, SubscribeRequest& one) { take(part, one); });
}

void put(Out& out, const RetainedMessage& from) {
  out.u8(from.qos);
  out.piece(from.address).piece(from.batch);
}
void take(In& in, RetainedMessage& to) {
  to.qos = take_qos(in);
  to.address = take_address(in);
  to.batch = take_batch(in);
}
void put(Out& out, const std::vector<RetainedMessage>& from) {
  out.list(from, [&](const RetainedMessage& one) { put(out, one); });
}
void take(In& in, std::vector<RetainedMessage>& to) {
  in.list(to, 3, [](In& part, RetainedMessage& one) { take(part, one); });
}

void put(Out& out, const RetainedPlace& from) {
  out.le(from.shard.value).sized(from.behind);
}
void take(In& in, RetainedPlace& to) {
  to.shard = take_id<ShardId>(in);
  to.behind = in.text();
}

void put(Out& out, const ShareMemberName& from) {
  out.le(from.tenant.value).sized(from.client_id).sized(from.share);
}
void take(In& in, ShareMemberName& to) {
  to.tenant = take_id<TenantId>(in);
  to.client_id = in.text();
  to.share = in.text();
  if (!is_shared(to.share)) in.fail();
}

// ---- asks -------------------------------------------------------------------------------------------------

void put(Out& out, const ask::OpenSession& from) {
  out.le(from.shard.value).le(from.attachment);
  out.item([&] { put(out, from.options); });
  out.flag(from.will.has_value());
  if (from.will) out.item([&] { put(out, *from.will); });
}
void take(In& in, ask::OpenSession& to) {
  to.shard = take_id<ShardId>(in);
  to.attachment = in.le<std::uint64_t>();
  in.item([&](In& part) { take(part, to.options); });
  if (in.flag()) in.item([&](In& part) { take(part, to.will.emplace()); });
}

void put(Out& out, const ask::Subscribe& from) {
  out.le(from.shard.value).le(from.attachment);
  put(out, from.requests);
}
void take(In& in, ask::Subscribe& to) {
  to.shard = take_id<ShardId>(in);
  to.attachment = in.le<std::uint64_t>();
  take(in, to.requests);
}

void put(Out& out, const ask::Unsubscribe& from) {
  out.le(from.shard.value).le(from.attachment).count(from.filters.size());
  for (const std::string& filter : from.filters) out.sized(filter);
}
void take(In& in, ask::Unsubscribe& to) {
  to.shard = take_id<ShardId>(in);
  to.attachment = in.le<std::uint64_t>();
  to.filters.resize(in.count(1));
  for (std::string& filter : to.filters) filter = in.text();
}

void put(Out& out, const ask::QueueRetained& from) {
  out.le(from.shard.value).le(from.attachment);
  out.item([&] { put(out, from.request); });
  put(out, from.page);
}
void take(In& in, ask::QueueRetained& to) {
  to.shard = take_id<ShardId>(in);
  to.attachment = in.le<std::uint64_t>();
  in.item([&](In& part) { take(part, to.request); });
  take(in, to.page);
}

template <class Ask>
concept OfAttachment = std::is_same_v<Ask, ask::FinishRetained> || std::is_same_v<Ask, ask::StartDelivery>;
void put(Out& out, const OfAttachment auto& from) {
  out.le(from.shard.value).le(from.attachment);
}
void take(In& in, OfAttachment auto& to) {
  to.shard = take_id<ShardId>(in);
  to.attachment = in.le<std::uint64_t>();
}

void put(Out& out, const ask::EndSession& from) {
  out.le(from.shard.value).le(from.attachment).le(from.tenant.value).sized(from.client_id);
  out.flag(from.ending.expiry_s.has_value());
  out.le(from.ending.expiry_s.value_or(0));
  out.flag(from.ending.goodbye);
  out.flag(from.wait);
}
void take(In& in, ask::EndSession& to) {
  to.shard = take_id<ShardId>(in);
  to.attachment = in.le<std::uint64_t>();
  to.tenant = take_id<TenantId>(in);
  to.client_id = in.text();
  const bool expires = in.flag();
  const auto expiry_s = in.le<std::uint32_t>();
  if (expires) to.ending.expiry_s = expiry_s;
  to.ending.goodbye = in.flag();
  to.wait = in.flag();
}

void put(Out& out, const ask::JoinShare& from) {
  const ShareJoin& join = from.join;
  out.le(from.home.value).le(join.attachment).le(join.tenant.value).sized(join.client_id);
  out.flag(join.durable);
  out.le(join.receive_maximum);
  out.item([&] { put(out, join.request); });
}
void take(In& in, ask::JoinShare& to) {
  ShareJoin& join = to.join;
  to.home = take_id<ShardId>(in);
  join.attachment = in.le<std::uint64_t>();
  join.tenant = take_id<TenantId>(in);
  join.client_id = in.text();
  join.durable = in.flag();
  join.receive_maximum = in.le<std::uint32_t>();
  in.item([&](In& part) { take(part, join.request); });
  if (!is_shared(join.request.filter)) in.fail();
}

template <class Ask>
concept OfMember = std::is_same_v<Ask, ask::LeaveShare> || std::is_same_v<Ask, ask::StartShare>;
void put(Out& out, const OfMember auto& from) {
  out.le(from.home.value).le(from.attachment);
  out.item([&] { put(out, from.member); });
  if constexpr (requires { from.for_good; }) out.flag(from.for_good);
}
void take(In& in, OfMember auto& to) {
  to.home = take_id<ShardId>(in);
  to.attachment = in.le<std::uint64_t>();
  in.item([&](In& part) { take(part, to.member); });
  if constexpr (requires { to.for_good; }) to.for_good = in.flag();
}

void put(Out& out, const ask::AreMembers& from) {
  out.list(from.members, [&](const ShareMemberName& one) { put(out, one); });
}
void take(In& in, ask::AreMembers& to) {
  in.list(to.members, 6, [](In& part, ShareMemberName& one) { take(part, one); });
}

void put(Out& out, const ask::LookForRetained& from) {
  out.le(from.ask.tenant.value).sized(from.ask.filter).u8(static_cast<std::uint8_t>(from.ask.which));
  out.item([&] { put(out, from.ask.from); });
  out.count(from.shards.size());
  for (const ShardId shard : from.shards) out.le(shard.value);
}
void take(In& in, ask::LookForRetained& to) {
  using Which = RetainedAsk::Which;
  to.ask.tenant = take_id<TenantId>(in);
  to.ask.filter = in.text();
  to.ask.which = static_cast<Which>(in.u8());
  if (to.ask.which > Which::kUnqueued) in.fail();
  in.item([&](In& part) { take(part, to.ask.from); });
  to.shards.resize(in.count(4));
  for (ShardId& shard : to.shards) shard = take_id<ShardId>(in);
}

// ---- answers ----------------------------------------------------------------------------------------------

void put(Out&, std::monostate) {}
void take(In&, std::monostate&) {}

void put(Out& out, bool from) {
  out.flag(from);
}
void take(In& in, bool& to) {
  to = in.flag();
}

void put(Out& out, const std::vector<bool>& from) {
  out.count(from.size());
  for (const bool one : from) out.flag(one);
}
void take(In& in, std::vector<bool>& to) {
  to.resize(in.count(1));
  for (auto&& one : to) one = in.flag();
}

void put(Out& out, const SessionOpened& from) {
  out.flag(from.present);
  out.flag(from.durable);
  out.le(from.number).le(from.epoch);
  put(out, from.subscriptions);
}
void take(In& in, SessionOpened& to) {
  to.present = in.flag();
  to.durable = in.flag();
  to.number = in.le<std::uint32_t>();
  to.epoch = in.le<std::uint64_t>();
  take(in, to.subscriptions);
}

void put(Out& out, const RetainedPage& from) {
  out.flag(from.more);
  out.item([&] { put(out, from.next); });
  put(out, from.messages);
}
void take(In& in, RetainedPage& to) {
  to.more = in.flag();
  in.item([&](In& part) { take(part, to.next); });
  take(in, to.messages);
}

template <class T>
void put(Out& out, const Result<T>& from) {
  out.flag(from.has_value());
  if (!from) return put(out, from.error());
  if constexpr (!std::is_void_v<T>) put(out, *from);
}
template <class T>
void take(In& in, Result<T>& to) {
  if (!in.flag()) {
    Error why;
    take(in, why);
    to = std::unexpected(std::move(why));
  } else if constexpr (!std::is_void_v<T>) {
    take(in, *to);
  }
}

// ---- which it is ------------------------------------------------------------------------------------------

// The place of the type, counted from 1, then the content.
template <class Variant>
rpc::Payload encode_one_of(const Variant& from) {
  Out out;
  out.u8(static_cast<std::uint8_t>(from.index() + 1));
  std::visit([&](const auto& one) { put(out, one); }, from);
  return out.finish();
}

template <class Variant>
Result<Variant> decode_one_of(const Bytes& from) {
  const auto read = [](In& in, Variant& to) {
    const std::size_t place = in.u8();
    bool found = false;
    const auto try_place = [&]<std::size_t kIndex>() {
      if (place != kIndex + 1) return;
      found = true;
      take(in, to.template emplace<kIndex>());
    };
    [&]<std::size_t... kIndices>(std::index_sequence<kIndices...>) {
      (try_place.template operator()<kIndices>(), ...);
    }(std::make_index_sequence<std::variant_size_v<Variant>>());
    if (!found) in.fail();
  };
  return decoded<Variant>(from, read);
}

}  // namespace

rpc::Payload encode(const SessionAsk& from) {
  return encode_one_of(from);
}
rpc::Payload encode(const SessionAnswer& from) {
  return encode_one_of(from);
}

template <>
Result<SessionAsk> decode(const Bytes& from) {
  return decode_one_of<SessionAsk>(from);
}
template <>
Result<SessionAnswer> decode(const Bytes& from) {
  return decode_one_of<SessionAnswer>(from);
}

}  // namespace stele::broker::wire
