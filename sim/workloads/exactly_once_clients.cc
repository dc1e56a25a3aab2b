// Clients with QoS 2 and sessions that outlive their connections: as careful as section 4.3.3 of MQTT 5.0
// wants them, so that whatever comes twice, or not at all, is the broker's doing.
#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// So few that each is soon used again.
constexpr std::uint16_t kPacketIds = 6;

bool is_success(mqtt::ReasonCode reason) {
  return reason == mqtt::ReasonCode::kSuccess || reason == mqtt::ReasonCode::kNoMatchingSubscribers;
}

class Publisher {
 public:
  Publisher(runtime::Runtime& runtime, Workload& workload, std::uint32_t number, bool mixed)
      : runtime_(runtime), workload_(workload), number_(number), mixed_(mixed) {}

  bool idle() const { return pending_.empty(); }

  // What is not answered goes out again, in order. What had QoS 0 does not, and may still be on its way
  // through the broker, where what has QoS 2 passes it: order is that of one QoS [MQTT-4.6.0-6].
  void resend(MqttPeer& peer) {
    for (const MessageId& id : std::exchange(sent_once_, {})) workload_.ledger.refused(id);
    for (const Pending& one : pending_) {
      if (one.qos == 1) workload_.ledger.sent_again(one.id);
      // The answer that said so may be lost, and what was sent behind it be kept.
      if (!one.released && workload_.may_be_refused_since(one.sent_at)) workload_.ledger.refused(one.id);
      if (one.released) {
        peer.send(mqtt::Pubrel{.packet_id = one.packet_id});
      } else {
        peer.publish(sensor_topic(one.id), payload_of(one.id), one.qos, one.packet_id, true, false);
      }
    }
  }

  void send_more(MqttPeer& peer) {
    while (workload_.busy() && pending_.size() + 2 <= kPacketIds) {
      const auto address = static_cast<std::uint32_t>(runtime_.random().below(3));
      const MessageId id{number_, address, next_sequence_[address]++};
      std::uint8_t qos = 2;
      if (mixed_ && runtime_.random().chance(1, 3)) qos = runtime_.random().chance(1, 3) ? 0 : 1;
      workload_.ledger.sent(id);
      if (qos == 0) {
        sent_once_.push_back(id);
        peer.publish(sensor_topic(id), payload_of(id), 0, 0, false, false);
        continue;
      }
      if (qos == 2) workload_.exactly_once.insert(id);
      pending_.push_back({id, free_packet_id(), qos, false, workload_.world.now()});
      peer.publish(sensor_topic(id), payload_of(id), qos, pending_.back().packet_id, false, false);
      // Sent twice on one connection it is still one message.
      if (qos == 2 && runtime_.random().chance(1, 20)) {
        peer.publish(sensor_topic(id), payload_of(id), qos, pending_.back().packet_id, true, false);
      }
    }
  }

  // True if it was refused.
  bool take(MqttPeer& peer, const mqtt::Packet& packet) {
    if (const auto* puback = std::get_if<mqtt::Puback>(&packet)) {
      const auto found = find(puback->packet_id, 1);
      if (found == pending_.end()) return false;
      return settle(found, puback->reason);
    }
    if (const auto* pubrec = std::get_if<mqtt::Pubrec>(&packet)) {
      const auto found = find(pubrec->packet_id, 2);
      if (found == pending_.end() || found->released) return false;
      if (!is_success(pubrec->reason)) return settle(found, pubrec->reason);
      workload_.ledger.acknowledged(found->id);
      found->released = true;
      peer.send(mqtt::Pubrel{.packet_id = found->packet_id});
    }
    if (const auto* pubcomp = std::get_if<mqtt::Pubcomp>(&packet)) {
      const auto found = find(pubcomp->packet_id, 2);
      if (found == pending_.end()) return false;
      if (!found->released) {
        workload_.world.fail("PUBCOMP for message " + found->id.text() + ", which was not released");
      }
      pending_.erase(found);
    }
    return false;
  }

 private:
  struct Pending {
    MessageId id;
    std::uint16_t packet_id;
    std::uint8_t qos;
    bool released;
    Time sent_at;
  };
  using Place = std::deque<Pending>::iterator;

  Place find(std::uint16_t packet_id, std::uint8_t qos) {
    return std::ranges::find_if(
        pending_, [&](const Pending& one) { return one.packet_id == packet_id && one.qos == qos; });
  }
  std::uint16_t free_packet_id() {
    auto id = static_cast<std::uint16_t>(runtime_.random().between(1, kPacketIds));
    const auto in_use = [&] {
      return std::ranges::find(pending_, id, &Pending::packet_id) != pending_.end();
    };
    while (in_use()) id = static_cast<std::uint16_t>(id % kPacketIds + 1);
    return id;
  }
  bool settle(Place found, mqtt::ReasonCode reason) {
    const bool refused = !is_success(reason);
    if (refused) {
      workload_.ledger.refused(found->id);
      if (found->qos == 2) workload_.refused_exactly_once.insert(found->id);
    } else {
      workload_.ledger.acknowledged(found->id);
    }
    pending_.erase(found);
    return refused;
  }

  runtime::Runtime& runtime_;
  Workload& workload_;
  const std::uint32_t number_;
  const bool mixed_;
  std::deque<Pending> pending_;       // in order of sending
  std::vector<MessageId> sent_once_;  // with QoS 0, on this connection
  std::map<std::uint32_t, std::uint64_t> next_sequence_;
};

}  // namespace

Task<void> run_exactly_once_publisher(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher,
                                      bool mixed) {
  const std::string name = "exactly-once-" + std::to_string(publisher);
  workload.running.insert(name);
  ++workload.producing;
  Publisher state(runtime, workload, publisher, mixed);
  const mqtt::Version version = mixed ? mqtt::Version::kV5 : mqtt::Version::kV311;
  bool connected_before = false;
  while (!workload.stopping || !state.idle()) {
    if (state.idle()) co_await wait_while_quiet(runtime, workload);
    auto dialed = co_await MqttPeer::dial(runtime, workload.mqtt, workload.login);
    if (!dialed) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    MqttPeer& peer = **dialed;
    auto opened = co_await peer.open(name, false, UINT32_MAX, version);
    if (!opened || opened->reason != mqtt::ReasonCode::kSuccess) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    if (connected_before && !opened->session_present) {
      workload.world.fail(name + ": its session is gone");
      break;
    }
    connected_before = true;
    state.resend(peer);
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(50, 10'000));
    while (!peer.closed() && (runtime.now() < until || workload.stopping)) {
      state.send_more(peer);
      if (state.idle()) break;
      auto packet = co_await peer.next(30s);
      if (!packet) break;
      if (state.take(peer, packet->packet)) co_await runtime::sleep(runtime, short_pause(runtime, 500));
      if (runtime.random().chance(1, 4)) co_await runtime::sleep(runtime, short_pause(runtime, 40));
    }
    if (runtime.random().chance(1, 2)) {
      peer.send(mqtt::Disconnect{});
    } else {
      peer.drop();
    }
    co_await runtime::sleep(runtime, short_pause(runtime, 50));
  }
  --workload.producing;
  workload.running.erase(name);
}

namespace {

class Subscriber {
 public:
  Subscriber(runtime::Runtime& runtime, Workload& workload, std::string client_id)
      : runtime_(runtime), workload_(workload), client_id_(std::move(client_id)) {}

  bool subscribed = false;
  std::set<MessageId> sent_before;  // need not come

  void take(MqttPeer& peer, const mqtt::Packet& packet) {
    if (const auto* suback = std::get_if<mqtt::Suback>(&packet)) {
      if (suback->reasons.size() == 1 && suback->reasons[0] == mqtt::ReasonCode::kGrantedQos2) {
        if (!subscribed) sent_before = workload_.ledger.all_sent();
        subscribed = true;
      }
    }
    if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) take_publish(peer, *publish);
    if (const auto* pubrel = std::get_if<mqtt::Pubrel>(&packet)) {
      received_.erase(pubrel->packet_id);
      if (!forgets()) peer.send(mqtt::Pubcomp{.packet_id = pubrel->packet_id});
    }
  }

  bool complete() const {
    std::set<MessageId> wanted;
    for (const MessageId& id : workload_.ledger.acknowledged()) {
      if (workload_.mqtt_publishers.contains(id.publisher) && !sent_before.contains(id)) wanted.insert(id);
    }
    return subscribed && workload_.producing == 0 && workload_.ledger.missing(client_id_, wanted).empty();
  }

 private:
  bool forgets() { return !workload_.stopping && runtime_.random().chance(1, 40); }

  void take_publish(MqttPeer& peer, const mqtt::Publish& publish) {
    const auto id = MessageId::parse(publish.payload);
    if (!id) return workload_.world.fail(client_id_ + ": received something that nobody sent");
    const bool gaps = !subscribed || sent_before.contains(*id);
    const std::uint16_t packet_id = publish.packet_id;
    if (publish.qos != mqtt::Qos::kExactlyOnce) {
      workload_.ledger.received(order_of(client_id_, publish), *id, true, gaps);
      if (publish.qos == mqtt::Qos::kAtLeastOnce && !forgets()) {
        peer.send(mqtt::Puback{.packet_id = packet_id});
      }
      return;
    }
    const auto [at, is_new] = received_.emplace(packet_id, *id);
    if (is_new) {
      if (!workload_.is_numbered(client_id_, packet_id)) {
        workload_.world.fail(client_id_ + ": message " + id->text() +
                             " came before its packet identifier was committed");
      }
      workload_.ledger.received(client_id_, *id, false, gaps);
    } else if (at->second != *id || !publish.dup) {
      workload_.world.fail(client_id_ + ": packet identifier " + std::to_string(packet_id) + " of message " +
                           at->second.text() + " came again with message " + id->text());
    }
    if (!forgets()) peer.send(mqtt::Pubrec{.packet_id = packet_id});
  }

  runtime::Runtime& runtime_;
  Workload& workload_;
  const std::string client_id_;
  std::map<std::uint16_t, MessageId> received_;  // and not released
};

}  // namespace

Task<void> run_exactly_once_subscriber(runtime::Runtime& runtime, Workload& workload, std::string client_id) {
  workload.running.insert(client_id);
  Subscriber state(runtime, workload, client_id);
  bool complete = false;
  while (!complete) {
    auto dialed = co_await MqttPeer::dial(runtime, workload.mqtt, workload.login);
    if (!dialed) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    MqttPeer& peer = **dialed;
    auto opened = co_await peer.open(client_id, false, UINT32_MAX, mqtt::Version::kV5);
    if (!opened || opened->reason != mqtt::ReasonCode::kSuccess) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    if (state.subscribed && !opened->session_present) {
      workload.world.fail(client_id + ": its session is gone");
      break;
    }
    if (!state.subscribed) {
      mqtt::Subscribe subscribe;
      subscribe.packet_id = 1;
      subscribe.subscriptions.push_back({.filter = "sensors/#", .qos = mqtt::Qos::kExactlyOnce});
      peer.send(subscribe);
    }
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(50, 15'000));
    bool pinged = false;
    while (!peer.closed() && (runtime.now() < until || workload.stopping)) {
      auto packet = co_await peer.next(workload.stopping ? 2s : 5s);
      if (packet) {
        state.take(peer, packet->packet);
        pinged = false;
        continue;
      }
      if (packet.error().code != ErrorCode::kTimedOut) break;
      complete = workload.stopping && state.complete();
      if (complete) break;
      if (workload.stopping && !is_alive(peer, pinged)) break;
    }
    if (runtime.random().chance(1, 2)) {
      peer.send(mqtt::Disconnect{});
    } else {
      peer.drop();
    }
    if (!complete) co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping ? 50 : 2000));
    if (runtime.random().chance(1, 2)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(client_id);
}

}  // namespace stele::sim
