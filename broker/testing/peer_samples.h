// All that brokers send each other, at random; and whether two of them say the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "broker/peer_codec.h"

namespace stele::broker::wire {

// The same for the same seed. Sense is made: what is made here is decoded.
class PeerSamples {
 public:
  // `large`: some batches are beyond the size from which they are not copied.
  explicit PeerSamples(std::uint64_t seed, bool large = false) : random_(seed), large_(large) {}

  template <class T>
  T make() {
    T to;
    fill(to);
    return to;
  }

  std::uint64_t number() { return random_(); }
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool coin() { return below(2) == 1; }

  void fill(DataMail& to);
  void fill(DataAnswerMail& to);
  void fill(ForwardMail& to);
  void fill(ForwardAnswerMail& to);
  void fill(LiveHead& to);
  void fill(Live& to);
  void fill(Items& to);
  void fill(Settle& to);
  void fill(SessionAsk& to);
  void fill(SessionAnswer& to);
  void fill(RouteBatch& to);
  void fill(RouteBatchAnswer& to);
  void fill(ask::OpenSession& to);
  void fill(ask::Subscribe& to);
  void fill(ask::Unsubscribe& to);
  void fill(ask::QueueRetained& to);
  void fill(ask::FinishRetained& to);
  void fill(ask::StartDelivery& to);
  void fill(ask::EndSession& to);
  void fill(ask::JoinShare& to);
  void fill(ask::LeaveShare& to);
  void fill(ask::StartShare& to);
  void fill(ask::AreMembers& to);
  void fill(ask::LookForRetained& to);
  void fill(Data& to);
  void fill(SessionItem& to);
  void fill(SettleToken& to);
  void fill(SubscribeRequest& to);
  void fill(ShareMemberName& to);
  void fill(RetainedMessage& to);
  void fill(RetainedPlace& to);
  void fill(RetainedPage& to);
  void fill(SessionOpened& to);
  void fill(RouteNews& to);
  void fill(Error& to);
  LiveBundle bundle();

 private:
  std::string text(std::size_t most);
  std::string address();
  std::string filter();
  std::string share();
  Bytes batch();
  template <class T>
  std::vector<T> some() {
    std::vector<T> made(below(4));
    for (T& one : made) fill(one);
    return made;
  }
  // One of the types of a variant.
  template <std::size_t kIndex = 0, class Variant>
  void fill_place(std::size_t place, Variant& to) {
    if constexpr (kIndex < std::variant_size_v<Variant>) {
      if (place == kIndex) {
        fill_answer(to.template emplace<kIndex>());
      } else {
        fill_place<kIndex + 1>(place, to);
      }
    }
  }
  template <class T>
  void fill_answer(T& to) {
    fill(to);
  }
  template <class T>
  void fill_answer(Result<T>& to) {
    if (below(3) == 0) {
      to = std::unexpected(make<Error>());
    } else if constexpr (!std::is_void_v<T>) {
      fill(*to);
    }
  }
  void fill(std::monostate&) {}
  void fill(bool& to) { to = coin(); }
  void fill(std::vector<bool>& to);

  std::mt19937_64 random_;
  bool large_;
};

// What of a struct travels: all fields, but for those that peer_codec.h names. A new field does not compile
// here.
inline auto travels(const SettleToken& of) {
  const auto& [lsn, index, durable, packet_id, share, home] = of;
  return std::tie(lsn, index, durable, packet_id, share, home);
}
inline auto travels(const OnceId& of) {
  const auto& [session, epoch, packet_id] = of;
  return std::tie(session, epoch, packet_id);
}
inline auto travels(const Error& of) {
  const auto& [code, message] = of;
  return std::tie(code, message);
}
inline auto travels(const Data& of) {
  const auto& [tenant, kafka_batch, retain, allowed, keyed, qos, hash, stream, address, batch, room] = of;
  return std::tie(tenant, kafka_batch, retain, allowed, keyed, qos, hash, stream, address, batch);
}
inline auto travels(const DataMail& of) {
  const auto& [reply, shard, meta_version, forwards, once, denied, shares, lane, generation, data] = of;
  return std::tie(shard, meta_version, forwards, once, denied, shares, generation, data);
}
inline auto travels(const ProduceOk& of) {
  const auto& [base_offset, append_time_ms, log_start] = of;
  return std::tie(base_offset, append_time_ms, log_start);
}
inline auto travels(const DataAnswerMail& of) {
  const auto& [reply, error, unknown, matched, produced] = of;
  return std::tie(error, unknown, matched, produced);
}
inline auto travels(const ForwardMail& of) {
  const auto& [source, target, source_epoch, lsn, after, reply_core, of_peer, meta_version, data] = of;
  return std::tie(source, target, source_epoch, lsn, after, meta_version, data);
}
inline auto travels(const ForwardAnswerMail& of) {
  const auto& [source, target, for_peer, up_to, error] = of;
  return std::tie(source, target, up_to, error);
}
inline auto travels(const LiveMail& of) {
  const auto& [data, share, tries] = of;
  return std::tie(data, share, tries);
}
inline auto travels(const LiveHead& of) {
  const auto& [core, number, after, unsettled, last_of_cores, incarnation] = of;
  return std::tie(core, number, after, unsettled, last_of_cores, incarnation);
}
inline auto travels(const Live& of) {
  const auto& [head, parts] = of;
  return std::tie(head, parts);
}
inline auto travels(const SessionItem& of) {
  const auto& [token, qos, retain, redelivered, ids, tenant, address, allowed, batch] = of;
  return std::tie(token, qos, retain, redelivered, ids, tenant, address, allowed, batch);
}
inline auto travels(const SessionMail::Completed& of) {
  const auto& [packet_id, known] = of;
  return std::tie(packet_id, known);
}
inline auto travels(const SessionMail& of) {
  const auto& [attachment, items, releases, completed] = of;
  return std::tie(attachment, items, releases, completed);
}
inline auto travels(const TakenOver& of) {
  const auto& [attachment] = of;
  return std::tie(attachment);
}
inline auto travels(const SessionLost& of) {
  const auto& [attachment, why] = of;
  return std::tie(attachment, why);
}
inline auto travels(const Items& of) {
  const auto& [parts] = of;
  return std::tie(parts);
}
inline auto travels(const SettleMail& of) {
  const auto& [shard, attachment, what, token] = of;
  return std::tie(shard, attachment, what, token);
}
inline auto travels(const Settle& of) {
  const auto& [settled] = of;
  return std::tie(settled);
}
inline auto travels(const Principal& of) {
  const auto& [name, tenant, user] = of;
  return std::tie(name, tenant, user);
}
inline auto travels(const SessionOptions& of) {
  const auto& [principal, client_id, clean_start, expiry_s, receive_maximum, will] = of;
  return std::tie(principal, client_id, clean_start, expiry_s, receive_maximum);
}
inline auto travels(const WillContent& of) {
  const auto& [delay_s, qos, retain, address, batch] = of;
  return std::tie(delay_s, qos, retain, address, batch);
}
inline auto travels(const RetainedMessage& of) {
  const auto& [address, batch, qos] = of;
  return std::tie(address, batch, qos);
}
inline auto travels(const RetainedPlace& of) {
  const auto& [shard, behind] = of;
  return std::tie(shard, behind);
}
inline auto travels(const RetainedAsk& of) {
  const auto& [tenant, filter, which, from] = of;
  return std::tie(tenant, filter, which, from);
}
inline auto travels(const RetainedPage& of) {
  const auto& [messages, more, next] = of;
  return std::tie(messages, more, next);
}
inline auto travels(const SessionOpened& of) {
  const auto& [present, durable, number, epoch, subscriptions] = of;
  return std::tie(present, durable, number, epoch, subscriptions);
}
inline auto travels(const ShareMemberName& of) {
  const auto& [tenant, client_id, share] = of;
  return std::tie(tenant, client_id, share);
}
inline auto travels(const ShareJoin& of) {
  const auto& [tenant, client_id, durable, request, core, attachment, receive_maximum] = of;
  return std::tie(tenant, client_id, durable, request, attachment, receive_maximum);
}
inline auto travels(const SessionEnd& of) {
  const auto& [expiry_s, goodbye] = of;
  return std::tie(expiry_s, goodbye);
}
inline auto travels(const ask::OpenSession& of) {
  const auto& [shard, options, will, attachment] = of;
  return std::tie(shard, options, will, attachment);
}
inline auto travels(const ask::Subscribe& of) {
  const auto& [shard, attachment, requests] = of;
  return std::tie(shard, attachment, requests);
}
inline auto travels(const ask::Unsubscribe& of) {
  const auto& [shard, attachment, filters] = of;
  return std::tie(shard, attachment, filters);
}
inline auto travels(const ask::QueueRetained& of) {
  const auto& [shard, attachment, page, request] = of;
  return std::tie(shard, attachment, page, request);
}
inline auto travels(const ask::FinishRetained& of) {
  const auto& [shard, attachment] = of;
  return std::tie(shard, attachment);
}
inline auto travels(const ask::StartDelivery& of) {
  const auto& [shard, attachment] = of;
  return std::tie(shard, attachment);
}
inline auto travels(const ask::EndSession& of) {
  const auto& [shard, tenant, client_id, attachment, ending, wait] = of;
  return std::tie(shard, tenant, client_id, attachment, ending, wait);
}
inline auto travels(const ask::JoinShare& of) {
  const auto& [home, join] = of;
  return std::tie(home, join);
}
inline auto travels(const ask::LeaveShare& of) {
  const auto& [home, member, attachment, for_good] = of;
  return std::tie(home, member, attachment, for_good);
}
inline auto travels(const ask::StartShare& of) {
  const auto& [home, member, attachment] = of;
  return std::tie(home, member, attachment);
}
inline auto travels(const ask::AreMembers& of) {
  const auto& [members] = of;
  return std::tie(members);
}
inline auto travels(const ask::LookForRetained& of) {
  const auto& [ask, shards] = of;
  return std::tie(ask, shards);
}
inline auto travels(const RouteBatch& of) {
  const auto& [source, follower, number, after, first, last, anew, complete, news] = of;
  return std::tie(source, follower, number, after, first, last, anew, complete, news);
}
inline auto travels(const RouteBatchAnswer& of) {
  const auto& [source, number, version, gap] = of;
  return std::tie(source, number, version, gap);
}

template <class T>
bool same(const T& a, const T& b);
template <class T>
bool same(const Result<T>& a, const Result<T>& b);
template <class T>
bool same(const std::optional<T>& a, const std::optional<T>& b);
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b);
template <class... T>
bool same(const std::variant<T...>& a, const std::variant<T...>& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&]<class One>(const One& one) {
        const One* other = std::get_if<One>(&b);
        return other && same(one, *other);
      },
      a);
}
template <class T>
bool same(const Result<T>& a, const Result<T>& b) {
  if (a.has_value() != b.has_value()) return false;
  if (!a) return same(a.error(), b.error());
  if constexpr (std::is_void_v<T>) {
    return true;
  } else {
    return same(*a, *b);
  }
}
template <class T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!same(a[i], b[i])) return false;
  }
  return true;
}
template <class T>
bool same(const T& a, const T& b) {
  if constexpr (requires { travels(a); }) {
    const auto of_a = travels(a), of_b = travels(b);
    return [&]<std::size_t... kIndices>(std::index_sequence<kIndices...>) {
      return (same(std::get<kIndices>(of_a), std::get<kIndices>(of_b)) && ...);
    }(std::make_index_sequence<std::tuple_size_v<decltype(of_a)>>());
  } else if constexpr (std::is_same_v<T, LiveBundle>) {
    // By what it would send.
    return a.bytes() == b.bytes();
  } else {
    return a == b;
  }
}

}  // namespace stele::broker::wire
