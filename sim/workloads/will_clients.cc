// Clients with wills, judged whatever fails: each round knows what must become of its will from what it did,
// what it was answered, and what was committed. A session that is kept, with QoS 2, sees all of them.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kFirstPublisher = 810;
constexpr int kRoundsInCalm = 3, kMostRoundsInCalm = 20;
// The longest delay of a will, and some more.
constexpr std::uint32_t kLongDelayS = 20;
constexpr auto kUntilNoneComes = 40s;

class WillClient {
 public:
  WillClient(runtime::Runtime& runtime, Workload& workload, std::uint32_t number)
      : runtime_(runtime), workload_(workload), publisher_(kFirstPublisher + number) {}

  // False: the will never was, as far as it is known.
  Task<bool> round() {
    calm_ = workload_.stopping && workload_.producing == 0;
    workload_.ledger.operation();
    Connection first = draw();
    if (!co_await open(first)) co_return false;
    switch (runtime_.random().below(6)) {
      case 0:
      case 1:
        co_await lose(first);
        break;
      case 2:
        co_await fall_silent(first);
        break;
      case 3:
        co_await say_goodbye(first);
        break;
      case 4:
        co_await come_back(first);
        break;
      default:
        co_await be_taken_over(first);
    }
    co_return true;
  }
  bool calm() const { return calm_; }

 private:
  struct Connection {
    std::string client_id, will;
    std::uint32_t delay_s = 0, expiry_s = 0;
    bool clean = true;
    bool v5 = true;
    bool watched = false;
    std::unique_ptr<MqttPeer> peer = nullptr;
    // Whether its client keeps it away by coming back.
    bool waits() const { return delay_s > 0 && expiry_s > 0; }
  };

  // Nobody ever had that client id before.
  Connection draw() {
    runtime::Random& random = runtime_.random();
    static constexpr std::uint32_t kDelays[] = {0, 0, 3, kLongDelayS}, kExpiries[] = {0, 10, 3600};
    Connection out{.client_id = "willed-" + std::to_string(publisher_) + "-" + std::to_string(sequence_),
                   .will = next_will()};
    out.delay_s = kDelays[random.below(std::size(kDelays))];
    out.expiry_s = kExpiries[random.below(std::size(kExpiries))];
    out.clean = random.chance(1, 2);
    return out;
  }
  std::string next_will() { return MessageId{publisher_, 0, sequence_++}.text(); }

  // From CONNACK on its will is kept.
  Task<bool> open(Connection& connection) {
    runtime::Random& random = runtime_.random();
    auto dialed = co_await MqttPeer::dial(runtime_, workload_.mqtt, workload_.login);
    if (!dialed) co_return false;
    connection.peer = *std::move(dialed);
    const std::string topic = "wills/" + std::to_string(random.below(6));
    mqtt::Connect connect;
    connect.client_id = connection.client_id;
    connect.clean_start = connection.clean;
    connect.keep_alive_s = 4;
    connect.session_expiry_s = connection.expiry_s;
    connect.will = mqtt::Will{.qos = static_cast<mqtt::Qos>(random.between(1, 2)),
                              .retain = random.chance(1, 4),
                              .topic = topic,
                              .payload = connection.will,
                              .delay_s = connection.delay_s,
                              .properties = {}};
    if (connection.expiry_s == 0 && connection.clean && random.chance(1, 3)) {
      connect.version = mqtt::Version::kV311;
      connection.v5 = false;
      connect.session_expiry_s.reset();
      connect.will->delay_s.reset();
    }
    connection.watched = workload_.wills.watched;
    const auto opened = co_await connection.peer->open(std::move(connect));
    co_return opened && opened->reason == mqtt::ReasonCode::kSuccess;
  }

  // It stays for a while, if the broker lets it.
  Task<void> stay() {
    const auto some = runtime_.random().chance(1, 2) ? 50ms : 3000ms;
    co_await runtime::sleep(runtime_, short_pause(runtime_, some.count()));
  }
  void lost(Connection& connection) {
    if (connection.watched) workload_.wills.must_come(connection.will);
    connection.peer->drop();
  }
  // What is committed says that it is gone and was not published. Where nobody sees that, it is when it must
  // be.
  bool is_gone(const Connection& connection, bool must_be) const {
    if (!workload_.has_will) return must_be;
    return !workload_.has_will(connection.will) && !workload_.wills.is_published(connection.will);
  }

  Task<void> lose(Connection& connection) {
    co_await stay();
    // DISCONNECT with a will is as good as none [MQTT-3.14.2-1].
    if (runtime_.random().chance(1, 3)) {
      connection.peer->send(mqtt::Disconnect{.reason = mqtt::ReasonCode::kDisconnectWithWill,
                                             .session_expiry_s = {},
                                             .reason_string = {},
                                             .server_reference = {},
                                             .user_properties = {}});
    }
    lost(connection);
  }

  Task<void> fall_silent(Connection& connection) {
    // One and a half times its keep alive [MQTT-3.1.2-22].
    const runtime::Instant until = runtime_.now() + 10s;
    while (!connection.peer->closed() && runtime_.now() < until) {
      (void)co_await connection.peer->next(until - runtime_.now());
    }
    lost(connection);
  }

  Task<void> say_goodbye(Connection& connection) {
    co_await stay();
    connection.peer->send(mqtt::Disconnect{});
    const runtime::Instant until = runtime_.now() + 5s;
    // A node whose shards move ends connections by itself. It says so, but not with 3.1.1.
    bool for_goodbye = connection.v5 || workload_.mqtt.others.empty();
    while (!connection.peer->closed() && runtime_.now() < until) {
      const auto packet = co_await connection.peer->next(until - runtime_.now());
      if (packet && std::holds_alternative<mqtt::Disconnect>(packet->packet))
        for_goodbye = workload_.mqtt.others.empty();
    }
    const bool must_be = calm_ && for_goodbye && connection.peer->closed();
    const bool gone = is_gone(connection, must_be);
    if (must_be && workload_.has_will && !gone) {
      workload_.judge.fail("the connection of " + connection.client_id +
                           " was closed before its will was gone for good");
    }
    if (gone) workload_.wills.must_not_come(connection.will, "its client had said goodbye");
    connection.peer->drop();
  }

  Task<void> come_back(Connection& first) {
    co_await stay();
    Connection second{.client_id = first.client_id, .will = next_will()};
    second.expiry_s = first.expiry_s;
    second.clean = !first.waits() || runtime_.random().chance(1, 4);
    if (second.clean) {
      lost(first);  // its session ends, at the latest with the next connection
    } else {
      first.peer->drop();
    }
    co_await runtime::sleep(runtime_, short_pause(runtime_, 2000));
    const bool opened = co_await open(second);
    if (!second.clean) judge_return(first, opened);
    if (!opened) co_return;
    if (runtime_.random().chance(1, 2)) co_return co_await lose(second);
    co_await say_goodbye(second);
  }

  Task<void> be_taken_over(Connection& first) {
    co_await stay();
    Connection second{.client_id = first.client_id, .will = next_will()};
    second.expiry_s = first.expiry_s;
    second.clean = !first.waits() || runtime_.random().chance(1, 2);
    const bool opened = co_await open(second);
    if (second.clean) {
      lost(first);
    } else {
      judge_return(first, opened);
      first.peer->drop();
    }
    if (opened) co_await lose(second);
  }

  // The client went on with its session, if that was in time.
  void judge_return(const Connection& first, bool opened) {
    // Three seconds may pass under load.
    const bool in_time = calm_ && first.delay_s == kLongDelayS && first.expiry_s > kLongDelayS;
    const bool gone = opened && is_gone(first, in_time);
    if (in_time && !gone) {
      workload_.judge.fail("the will " + first.will + " is kept although its client has come back");
    }
    if (gone) workload_.wills.must_not_come(first.will, "its client had come back");
  }

  runtime::Runtime& runtime_;
  Workload& workload_;
  const std::uint32_t publisher_;
  std::uint64_t sequence_ = 1;
  bool calm_ = false;
};

std::string name_of(std::uint32_t number) {
  return "willed-" + std::to_string(number);
}

}  // namespace

Task<void> run_will_client(runtime::Runtime& runtime, Workload& workload, std::uint32_t number) {
  workload.running.insert(name_of(number));
  WillClient client(runtime, workload, number);
  int rounds_in_calm = 0;
  const auto goes_on = [&] {
    return rounds_in_calm < kRoundsInCalm ||
           (rounds_in_calm < kMostRoundsInCalm &&
            (workload.wills.came() < kWillsThatCome || workload.wills.kept_away() < kWillsKeptAway));
  };
  while (goes_on() && !workload.judge.failed()) {
    const bool done = co_await client.round();
    if (done && client.calm()) ++rounds_in_calm;
    co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping || !done ? 100 : 1000));
    if (!workload.stopping && runtime.random().chance(1, 3)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(name_of(number));
}

namespace {

class Watcher {
 public:
  Watcher(runtime::Runtime& runtime, Workload& workload) : runtime_(runtime), workload_(workload) {}

  // One connection, until it ends.
  Task<void> connect() {
    auto dialed = co_await MqttPeer::dial(runtime_, workload_.mqtt, workload_.login);
    if (!dialed) co_return;
    MqttPeer& peer = **dialed;
    mqtt::Connect connect;
    connect.client_id = "will-watcher";
    connect.clean_start = false;
    connect.session_expiry_s = UINT32_MAX;
    const auto opened = co_await peer.open(std::move(connect));
    if (!opened || opened->reason != mqtt::ReasonCode::kSuccess) co_return;
    if (connected_before_ && !opened->session_present) {
      workload_.judge.fail("will-watcher: its session is gone");
    }
    connected_before_ = true;
    if (!workload_.wills.watched) subscribe(peer);
    const runtime::Instant until =
        runtime_.now() + runtime::Duration(runtime_.random().between(
                             50'000'000, workload_.loaded ? 3'000'000'000 : 60'000'000'000));
    while (!peer.closed() && !done() && (workload_.stopping || runtime_.now() < until)) {
      auto packet = co_await peer.next(workload_.stopping ? 1s : until - runtime_.now());
      look();
      if (packet) take(peer, packet->packet);
      if (!packet && packet.error().code != ErrorCode::kTimedOut) co_return;
      // A reset that was lost leaves nobody there.
      if (!packet && workload_.stopping && ++silent_ % 30 == 0) co_return;
    }
    if (runtime_.random().chance(1, 2)) peer.send(mqtt::Disconnect{});
  }

  // All that must come is here, and nothing else came for so long that nothing will.
  bool done() const {
    return workload_.stopping && clients_done() && workload_.wills.watched &&
           workload_.wills.missing() == 0 && runtime_.now() - clients_ended_ >= kUntilNoneComes;
  }
  void look() {
    if (!clients_done()) clients_ended_ = runtime_.now();
  }

 private:
  bool clients_done() const {
    return std::ranges::none_of(workload_.running,
                                [](const std::string& name) { return name.starts_with("willed-"); });
  }
  void subscribe(MqttPeer& peer) {
    mqtt::Subscribe subscribe;
    subscribe.packet_id = 1;
    // What is retained was seen, perhaps.
    subscribe.subscriptions.push_back({.filter = "wills/#",
                                       .qos = mqtt::Qos::kExactlyOnce,
                                       .retain_handling = mqtt::RetainHandling::kDoNotSend});
    peer.send(subscribe);
  }
  void take(MqttPeer& peer, const mqtt::Packet& packet) {
    silent_ = 0;
    if (const auto* suback = std::get_if<mqtt::Suback>(&packet)) {
      if (suback->reasons[0] == mqtt::ReasonCode::kGrantedQos2) workload_.wills.watched = true;
    }
    if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
      const std::string will(publish->payload);
      if (publish->qos == mqtt::Qos::kExactlyOnce) {
        if (received_.emplace(publish->packet_id, will).second) workload_.wills.received(will);
        peer.send(mqtt::Pubrec{.packet_id = publish->packet_id});
      } else {
        // Once with QoS 1, and what is sent again says so.
        if (!publish->dup || !taken_.contains(will)) workload_.wills.received(will);
        taken_.insert(will);
        peer.send(mqtt::Puback{.packet_id = publish->packet_id});
      }
    }
    if (const auto* pubrel = std::get_if<mqtt::Pubrel>(&packet)) {
      received_.erase(pubrel->packet_id);
      peer.send(mqtt::Pubcomp{.packet_id = pubrel->packet_id});
    }
  }

  runtime::Runtime& runtime_;
  Workload& workload_;
  bool connected_before_ = false;
  std::uint64_t silent_ = 0;
  runtime::Instant clients_ended_{};
  std::map<std::uint16_t, std::string> received_;  // with QoS 2, not released
  std::set<std::string> taken_;                    // with QoS 1
};

}  // namespace

Task<void> run_will_watcher(runtime::Runtime& runtime, Workload& workload) {
  workload.running.insert("will-watcher");
  Watcher watcher(runtime, workload);
  while (!watcher.done() && !workload.judge.failed()) {
    watcher.look();
    co_await watcher.connect();
    co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping ? 200 : 2000));
  }
  workload.running.erase("will-watcher");
}

}  // namespace stele::sim
