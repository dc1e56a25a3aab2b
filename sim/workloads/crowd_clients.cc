// Clients that want more than a shard or a session may have: sessions, subscriptions, wills. What is beyond
// the limit is refused, with the reason that says so; what was there before stays, and nobody else is
// refused.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "sim/workloads/rounds.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// Sessions of everybody else are fewer.
constexpr std::uint64_t kOthers = 16;
// One that was left may be there for so long after its expiry: nobody may have heard that it is over.
constexpr runtime::Duration kLeftFor = 5min;
constexpr std::uint32_t kKept = 3600;
constexpr std::size_t kWillBytes = 3000;

class Crowd final : public Rounds {
 public:
  Crowd(runtime::Runtime& core, Workload& shared) : Rounds(core, shared, "crowd") {}

  Task<Result<void>> round() override {
    switch (random().below(4)) {
      case 0:
        return sessions();
      case 1:
        return subscriptions();
      case 2:
        return members();
      default:
        return wills();
    }
  }

  Task<bool> tidy() override {
    while (!there_.empty()) {
      mqtt::Connect connect;
      const std::string id = *there_.begin();
      connect.client_id = id;
      auto last = co_await enter(std::move(connect));
      if (!last || !last->in()) co_return false;
      last->peer->send(mqtt::Disconnect{});
      there_.erase(id);
      until_[id] = runtime_.now() + kLeftFor;
    }
    co_return true;
  }

 private:
  // Of sessions, also those that are about to end, and refused ones.
  std::uint64_t may_be_there() const {
    return static_cast<std::uint64_t>(
        std::ranges::count_if(until_, [&](const auto& one) { return one.second > runtime_.now(); }));
  }
  void note(std::string_view id, std::uint32_t expiry_s) {
    auto& until = until_[std::string(id)];
    until = std::max(until, runtime_.now() + std::chrono::seconds(expiry_s) + kLeftFor);
  }
  Task<Result<Entered>> enter(mqtt::Connect connect) {
    note(connect.client_id, connect.session_expiry_s.value_or(0));
    return Rounds::enter(std::move(connect));
  }
  Task<Result<Peer>> open(mqtt::Connect connect) {
    note(connect.client_id, connect.session_expiry_s.value_or(0));
    return Rounds::open(std::move(connect));
  }

  // Their sessions stay, and are more than all shards together may have.
  Task<Result<void>> sessions() {
    if (!is_low("broker.sessions")) co_return Result<void>();
    const std::uint64_t most = limit("broker.sessions") * limit("node.shards") + 1;
    std::vector<std::string> kept;
    bool refused = false;
    for (std::uint64_t i = 0; i < most && !refused; ++i) {
      const std::string id = "crowd-" + std::to_string(i);
      mqtt::Connect connect;
      connect.client_id = id;
      connect.session_expiry_s = kKept;
      const bool new_one = there_.insert(id).second;
      STELE_CO_TRY(const Entered one, co_await enter(std::move(connect)));
      refused = one.reason == mqtt::ReasonCode::kQuotaExceeded;
      if (refused && may_be_there() + kOthers < limit("broker.sessions"))
        fail("too few sessions are refused");
      if (refused && new_one) there_.erase(id);
      if (one.in()) kept.push_back(id);
      if (!one.in() && !refused) co_return error(ErrorCode::kUnavailable, "refused for another reason");
      one.peer->send(mqtt::Disconnect{});
    }
    if (!refused) fail("there are more sessions than the shards may have");
    show("sessions-refused");
    if (!kept.empty()) STELE_CO_CHECK(co_await come_back(kept[random().below(kept.size())]));
    STELE_CO_CHECK(co_await without_session());
    (void)co_await tidy();
    co_return Result<void>();
  }

  Task<Result<void>> come_back(std::string id) {
    mqtt::Connect connect;
    connect.client_id = id;
    connect.clean_start = false;
    connect.session_expiry_s = kKept;
    STELE_CO_TRY(const Entered back, co_await enter(std::move(connect)));
    if (back.reason == mqtt::ReasonCode::kQuotaExceeded) fail("a session that is there is refused");
    if (back.in() && !back.session_present) fail("a session is gone");
    co_return Result<void>();
  }

  Task<Result<void>> without_session() {
    mqtt::Connect connect;
    connect.client_id = "crowd-passer-by";
    STELE_CO_TRY(const Entered passer_by, co_await enter(std::move(connect)));
    if (passer_by.reason == mqtt::ReasonCode::kQuotaExceeded) fail("who wants no session is refused");
    co_return Result<void>();
  }

  // Those of one session.
  Task<Result<void>> subscriptions() {
    if (!is_low("broker.subscriptions_per_session")) co_return Result<void>();
    mqtt::Connect connect;
    connect.client_id = "crowd-subscriber";
    connect.session_expiry_s = 60;
    STELE_CO_TRY(const Peer peer, co_await open(std::move(connect)));
    const std::uint64_t limit = this->limit("broker.subscriptions_per_session");
    for (std::uint64_t i = 0; i < limit + 2; ++i) {
      STELE_CO_TRY(const auto reason, co_await subscribe(*peer, filter(i), mqtt::Qos::kAtLeastOnce));
      if (!is_error(reason) && i >= limit) fail("has more subscriptions than it may have");
      if (reason == mqtt::ReasonCode::kQuotaExceeded && i < limit) fail("too few subscriptions are refused");
      if (is_error(reason) && reason != mqtt::ReasonCode::kQuotaExceeded)
        co_return error(ErrorCode::kUnavailable, "refused for another reason");
    }
    show("subscriptions-refused");
    // One that it has is no other.
    STELE_CO_TRY(const auto again, co_await subscribe(*peer, filter(0), mqtt::Qos::kAtLeastOnce));
    if (again == mqtt::ReasonCode::kQuotaExceeded) fail("a subscription that is there is refused");
    STELE_CO_CHECK(co_await too_deep(*peer));
    STELE_CO_CHECK(co_await are_served(*peer, limit));
    mqtt::Disconnect end;
    end.session_expiry_s = 0;
    peer->send(end);
    co_return Result<void>();
  }
  static std::string filter(std::uint64_t i) { return "crowd/" + std::to_string(i); }

  Task<Result<void>> too_deep(MqttPeer& peer) {
    std::string filter = "crowd";
    for (int i = 0; i < 200; ++i) filter += "/+";
    STELE_CO_TRY(const auto reason, co_await subscribe(peer, filter, mqtt::Qos::kAtLeastOnce));
    if (!is_error(reason)) fail("subscribes to 200 levels");
    if (reason == mqtt::ReasonCode::kTopicFilterInvalid) show("deep-filters-refused");
    co_return Result<void>();
  }

  // The ones that were granted, and no others.
  Task<Result<void>> are_served(MqttPeer& peer, std::uint64_t limit) {
    const std::string text = std::to_string(++sent_);
    for (const std::uint64_t i : {std::uint64_t{0}, limit, limit - 1}) {
      mqtt::Publish packet;
      const std::string topic = filter(i);
      packet.topic = topic;
      packet.payload = text;
      packet.qos = mqtt::Qos::kAtLeastOnce;
      packet.packet_id = 1;
      peer.send(packet);
      // The answer may come before or behind the message.
      std::set<std::string> got;
      bool answered = false;
      while (!answered || (i < limit && got.empty())) {
        STELE_CO_TRY(const ReceivedPacket packet_in, co_await peer.next(10s));
        if (const auto* ack = std::get_if<mqtt::Puback>(&packet_in.packet)) {
          if (is_error(ack->reason)) co_return error(ErrorCode::kUnavailable, "refused");
          answered = true;
        }
        const auto* publish = std::get_if<mqtt::Publish>(&packet_in.packet);
        if (!publish) continue;
        if (publish->packet_id != 0) peer.send(mqtt::Puback{.packet_id = publish->packet_id});
        if (publish->payload == text) got.insert(std::string(publish->topic));
      }
      if (got.contains(filter(limit))) fail("is sent what it was refused");
    }
    co_return Result<void>();
  }

  // Of one shared subscription whose members all have sessions: they are the subscriptions of its queue, and
  // so is what it is about. Nobody was ever a member of it.
  Task<Result<void>> members() {
    if (!is_low("broker.subscriptions_per_session")) co_return Result<void>();
    const std::string share = "$share/crowd-" + std::to_string(++sent_) + "/crowd/shared";
    const std::uint64_t most = limit("broker.subscriptions_per_session") - 1;
    note(share, 10);
    // A member whose connection is lost is one for so long.
    constexpr std::uint32_t kExpiryS = 10;
    const runtime::Instant began = runtime_.now();
    std::vector<Peer> all;
    for (std::uint64_t i = 0; i < most + 2; ++i) {
      mqtt::Connect connect;
      const std::string id = "crowd-member-" + std::to_string(i);
      connect.client_id = id;
      connect.session_expiry_s = kExpiryS;
      STELE_CO_TRY(Peer one, co_await open(std::move(connect)));
      STELE_CO_TRY(const auto reason, co_await subscribe(*one, share, mqtt::Qos::kAtLeastOnce));
      const bool all_are_members = runtime_.now() - began < std::chrono::seconds(kExpiryS);
      if (!is_error(reason) && i >= most && all_are_members)
        fail("a share has more members than it may have");
      // Its queue is a session, for which there may be no room.
      if (reason == mqtt::ReasonCode::kQuotaExceeded && i == 0)
        co_return error(ErrorCode::kUnavailable, "there are too many sessions");
      if (reason == mqtt::ReasonCode::kQuotaExceeded && i < most)
        fail("too few members of a share are refused");
      if (is_error(reason) && reason != mqtt::ReasonCode::kQuotaExceeded)
        co_return error(ErrorCode::kUnavailable, "refused for another reason");
      all.push_back(std::move(one));
    }
    show("share-members-refused");
    for (const Peer& one : all) {
      mqtt::Disconnect end;
      end.session_expiry_s = 0;
      one->send(end);
    }
    co_return Result<void>();
  }

  // More than a shard keeps of them. Who is refused has no will, and is not connected.
  Task<Result<void>> wills() {
    if (!is_low_of_wills()) co_return Result<void>();
    const std::uint64_t most =
        limit("broker.will_bytes") / kWillBytes * limit("node.shards") + limit("node.shards");
    std::vector<Peer> willed;
    bool refused = false;
    for (std::uint64_t i = 0; i <= most && !refused; ++i) {
      auto one = co_await enter_with_will(i);
      if (!one) break;
      refused = one->reason == mqtt::ReasonCode::kQuotaExceeded;
      if (one->in()) willed.push_back(std::move(one->peer));
    }
    if (refused) show("wills-refused");
    for (const Peer& peer : willed) peer->send(mqtt::Disconnect{});
    co_return Result<void>();
  }

  bool is_low_of_wills() const { return limit("broker.will_bytes") / kWillBytes <= 100; }
  Task<Result<Entered>> enter_with_will(std::uint64_t number) {
    const std::string id = "crowd-willed-" + std::to_string(number);
    std::string text = "crowd " + std::to_string(++sent_) + " ";
    text.resize(kWillBytes, 'w');
    mqtt::Connect connect;
    connect.client_id = id;
    connect.keep_alive_s = 4;
    connect.will = mqtt::Will{.qos = mqtt::Qos::kAtLeastOnce,
                              .topic = "crowd/wills",
                              .payload = text,
                              .delay_s = {},
                              .properties = {}};
    co_return co_await enter(std::move(connect));
  }

  std::set<std::string> there_;                                 // whose sessions may be, for an hour
  std::map<std::string, runtime::Instant, std::less<>> until_;  // sessions of this client and of its shares
  std::uint64_t sent_ = 0;
};

}  // namespace

Task<void> run_crowd(runtime::Runtime& runtime, Workload& workload) {
  return run_rounds(runtime, workload, std::make_unique<Crowd>(runtime, workload));
}

}  // namespace stele::sim
