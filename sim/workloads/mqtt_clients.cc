#include <algorithm>
#include <deque>

#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

std::string sensor_topic(const MessageId& id) {
  return "sensors/" + std::to_string(id.publisher) + "/" + std::to_string(id.address);
}

std::string payload_of(const MessageId& id) {
  std::string text = id.text();
  const std::uint64_t pick = (id.publisher * 7 + id.sequence * 13) % 50;
  if (pick == 0) text.append(" ").append(5000, 'x');
  if (pick == 1) text.append(" ").append(1500, 'y');
  return text;
}

std::string order_of(const std::string& client_id, const mqtt::Publish& publish) {
  return publish.qos == mqtt::Qos::kAtMostOnce ? client_id + " (QoS 0)" : client_id;
}

bool is_alive(MqttPeer& peer, bool& pinged) {
  if (pinged) return false;
  pinged = true;
  peer.send(mqtt::Pingreq{});
  return true;
}

runtime::Duration short_pause(runtime::Runtime& runtime, std::int64_t max_ms) {
  return std::chrono::microseconds(runtime.random().between(100, max_ms * 1000));
}

namespace {

std::uint16_t packet_id_of(const mqtt::Packet& packet) {
  if (const auto* ack = std::get_if<mqtt::Puback>(&packet)) return ack->packet_id;
  return 0;
}

}  // namespace

Task<void> wait_while_quiet(runtime::Runtime& runtime, Workload& workload) {
  while (!workload.busy() && !workload.stopping) co_await runtime::sleep(runtime, 500ms);
}

Task<void> run_mqtt_publisher(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher,
                              std::uint32_t window) {
  workload.running.insert("publisher-" + std::to_string(publisher));
  ++workload.producing;
  struct Pending {
    MessageId id;
    std::uint16_t packet_id;
    Time sent_at;
  };
  std::deque<Pending> pending;  // in order of sending
  std::map<std::uint32_t, std::uint64_t> next_sequence;
  std::uint16_t next_packet_id = 1;
  const mqtt::Version version = publisher % 2 == 0 ? mqtt::Version::kV5 : mqtt::Version::kV311;
  while (!workload.stopping || !pending.empty()) {
    if (pending.empty()) co_await wait_while_quiet(runtime, workload);
    auto dialed = co_await MqttPeer::dial(runtime, workload.mqtt, workload.login);
    if (!dialed) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    MqttPeer& peer = **dialed;
    auto opened = co_await peer.open("publisher-" + std::to_string(publisher), true, 0, version);
    if (!opened || opened->reason != mqtt::ReasonCode::kSuccess) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    // What is not acknowledged may or may not have come through.
    for (Pending& one : pending) {
      workload.ledger.sent_again(one.id);
      if (workload.may_be_refused_since(one.sent_at)) workload.ledger.refused(one.id);
      peer.publish(sensor_topic(one.id), payload_of(one.id), 1, one.packet_id, true, false);
    }
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(50, 20'000));
    bool pinged = false;
    while (!peer.closed() && (runtime.now() < until || workload.stopping)) {
      while (workload.busy() && pending.size() < window) {
        const auto address = static_cast<std::uint32_t>(runtime.random().below(4));
        const MessageId id{publisher, address, next_sequence[address]++};
        pending.push_back({id, next_packet_id, workload.world.now()});
        next_packet_id = next_packet_id == UINT16_MAX ? 1 : next_packet_id + 1;
        workload.ledger.sent(id);
        peer.publish(sensor_topic(id), payload_of(id), 1, pending.back().packet_id, false, false);
      }
      if (pending.empty()) break;
      auto packet = co_await peer.next(30s);
      if (!packet) break;
      const std::uint16_t acknowledged = packet_id_of(packet->packet);
      auto found = std::find_if(pending.begin(), pending.end(),
                                [&](const Pending& one) { return one.packet_id == acknowledged; });
      if (found == pending.end()) continue;
      const auto* ack = std::get_if<mqtt::Puback>(&packet->packet);
      if (ack->reason == mqtt::ReasonCode::kSuccess ||
          ack->reason == mqtt::ReasonCode::kNoMatchingSubscribers) {
        workload.ledger.acknowledged(found->id);
        pending.erase(found);
      } else {
        workload.ledger.refused(found->id);
        pending.erase(found);
        co_await runtime::sleep(runtime, short_pause(runtime, 500));
      }
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
  workload.running.erase("publisher-" + std::to_string(publisher));
}

Task<void> run_persistent_subscriber(runtime::Runtime& runtime, Workload& workload, std::string client_id) {
  workload.running.insert(client_id);
  bool subscribed = false;
  std::set<MessageId> expected_from;  // acknowledged before the subscription: need not come
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
    if (subscribed && !opened->session_present) {
      workload.world.fail(client_id + ": its session is gone");
      break;
    }
    if (!subscribed) {
      mqtt::Subscribe subscribe;
      subscribe.packet_id = 1;
      subscribe.subscriptions.push_back({.filter = "sensors/#", .qos = mqtt::Qos::kAtLeastOnce});
      peer.send(subscribe);
    }
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(50, 20'000));
    bool pinged = false;
    while (!peer.closed() && (runtime.now() < until || workload.stopping)) {
      auto packet = co_await peer.next(workload.stopping ? 2s : 5s);
      if (!packet) {
        if (packet.error().code != ErrorCode::kTimedOut) break;
        if (!workload.stopping) continue;
      }
      if (packet) {
        if (const auto* suback = std::get_if<mqtt::Suback>(&packet->packet)) {
          if (suback->reasons.size() == 1 && suback->reasons[0] == mqtt::ReasonCode::kGrantedQos1) {
            // What was sent before may have been accepted before.
            if (!subscribed) expected_from = workload.ledger.all_sent();
            subscribed = true;
          }
        }
        if (const auto* publish = std::get_if<mqtt::Publish>(&packet->packet)) {
          const auto id = MessageId::parse(publish->payload);
          if (!id) {
            workload.world.fail(client_id + ": received something that nobody sent");
            break;
          }
          // Publishers repeat what was not acknowledged: copies are to be expected. What was acknowledged
          // before the subscription may be missing from the front.
          workload.ledger.received(order_of(client_id, *publish), *id, true,
                                   !subscribed || expected_from.contains(*id));
          // Sometimes not acknowledged: it comes again on the next connection.
          if (publish->packet_id != 0 && (workload.stopping || !runtime.random().chance(1, 50)))
            peer.send(mqtt::Puback{.packet_id = publish->packet_id});
        }
      }
      // Looked at when nothing comes any more: it goes through all that was ever acknowledged.
      if (!packet && workload.stopping && subscribed && workload.producing == 0) {
        std::set<MessageId> wanted;
        for (const MessageId& id : workload.ledger.acknowledged()) {
          if (workload.mqtt_publishers.contains(id.publisher) && !expected_from.contains(id))
            wanted.insert(id);
        }
        if (workload.producing == 0 && workload.ledger.missing(client_id, wanted).empty()) {
          complete = true;
          break;
        }
      }
      if (packet) pinged = false;
      if (!packet && workload.stopping && !is_alive(peer, pinged)) break;
    }
    if (runtime.random().chance(1, 2)) {
      peer.send(mqtt::Disconnect{});
    } else {
      peer.drop();
    }
    // Away for a moment, or for the quiet time.
    if (!complete) co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping ? 50 : 3000));
    if (runtime.random().chance(1, 2)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(client_id);
}

Task<void> run_live_subscriber(runtime::Runtime& runtime, Workload& workload, std::string client_id) {
  workload.running.insert(client_id);
  while (!workload.stopping) {
    auto dialed = co_await MqttPeer::dial(runtime, workload.mqtt, workload.login);
    if (!dialed) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    MqttPeer& peer = **dialed;
    auto opened = co_await peer.open(client_id, true, 0, mqtt::Version::kV311);
    if (!opened || opened->reason != mqtt::ReasonCode::kSuccess) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    mqtt::Subscribe subscribe;
    subscribe.packet_id = 7;
    const auto qos = static_cast<mqtt::Qos>(runtime.random().below(3));
    subscribe.subscriptions.push_back({.filter = "sensors/+/+", .qos = qos});
    subscribe.subscriptions.push_back({.filter = "orders/eu", .qos = qos});
    peer.send(subscribe);
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(50, 20'000));
    while (!peer.closed() && runtime.now() < until && !workload.stopping) {
      auto packet = co_await peer.next(1s);
      if (!packet && packet.error().code != ErrorCode::kTimedOut) break;
      if (!packet) continue;
      if (const auto* publish = std::get_if<mqtt::Publish>(&packet->packet)) {
        const auto id = MessageId::parse(publish->payload);
        if (!id) {
          workload.world.fail(client_id + ": received something that nobody sent");
          break;
        }
        workload.ledger.received(client_id, *id, true, true);
        if (publish->qos == mqtt::Qos::kAtLeastOnce) peer.send(mqtt::Puback{.packet_id = publish->packet_id});
        if (publish->qos == mqtt::Qos::kExactlyOnce) peer.send(mqtt::Pubrec{.packet_id = publish->packet_id});
      }
      if (const auto* pubrel = std::get_if<mqtt::Pubrel>(&packet->packet)) {
        peer.send(mqtt::Pubcomp{.packet_id = pubrel->packet_id});
      }
    }
    peer.drop();
    co_await runtime::sleep(runtime, short_pause(runtime, 200));
    if (runtime.random().chance(1, 2)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(client_id);
}

// ---- retained -------------------------------------------------------------------------------------------

namespace {

bool accepts(const mqtt::Packet& packet) {
  const auto good = [](mqtt::ReasonCode reason) {
    return reason == mqtt::ReasonCode::kSuccess || reason == mqtt::ReasonCode::kNoMatchingSubscribers;
  };
  if (const auto* puback = std::get_if<mqtt::Puback>(&packet)) return good(puback->reason);
  if (const auto* pubrec = std::get_if<mqtt::Pubrec>(&packet)) return good(pubrec->reason);
  return false;
}

// What a fresh subscriber is given: the sequence, or none; an error when the connection did not live long
// enough to tell.
Task<Result<std::optional<std::uint64_t>>> look_at_retained(runtime::Runtime& runtime, Workload& workload,
                                                            std::uint32_t address) {
  STELE_CO_TRY(auto peer, co_await MqttPeer::dial(runtime, workload.mqtt, workload.login));
  STELE_CO_TRY(const auto opened,
               co_await peer->open("looker-" + std::to_string(address), true, 0, mqtt::Version::kV5));
  if (opened.reason != mqtt::ReasonCode::kSuccess) co_return error(ErrorCode::kUnavailable, "refused");
  const std::string topic = "state/" + std::to_string(address);
  mqtt::Subscribe subscribe;
  subscribe.packet_id = 1;
  const std::string filter = runtime.random().chance(1, 2) ? topic : "state/#";
  subscribe.subscriptions.push_back({.filter = filter, .qos = mqtt::Qos::kAtMostOnce});
  peer->send(subscribe);
  bool answered = false;
  std::optional<std::uint64_t> found;
  // Retained messages follow the SUBACK; a ping behind it tells that they are all there.
  while (true) {
    STELE_CO_TRY(const ReceivedPacket packet, co_await peer->next(20s));
    if (const auto* suback = std::get_if<mqtt::Suback>(&packet.packet)) {
      if (suback->reasons[0] != mqtt::ReasonCode::kSuccess)
        co_return error(ErrorCode::kUnavailable, "refused");
      answered = true;
      peer->send(mqtt::Pingreq{});
    }
    if (const auto* publish = std::get_if<mqtt::Publish>(&packet.packet)) {
      if (publish->topic != topic || !publish->retain) continue;
      if (auto id = MessageId::parse(publish->payload)) found = id->sequence;
    }
    if (std::get_if<mqtt::Pingresp>(&packet.packet) && answered) break;
  }
  co_return found;
}

}  // namespace

Task<void> run_retained(runtime::Runtime& runtime, Workload& workload, std::uint32_t address) {
  workload.running.insert("retained-" + std::to_string(address));
  std::uint64_t sequence = 1;
  const std::string topic = "state/" + std::to_string(address);
  while (!workload.stopping) {
    auto dialed = co_await MqttPeer::dial(runtime, workload.mqtt, workload.login);
    if (dialed) {
      MqttPeer& peer = **dialed;
      auto opened = co_await peer.open("keeper-" + std::to_string(address), true, 0, mqtt::Version::kV5);
      if (opened && opened->reason == mqtt::ReasonCode::kSuccess) {
        const MessageId id{1000 + address, 0, sequence};
        workload.retained_sent[address] = sequence++;
        workload.ledger.operation();
        peer.publish(topic, id.text(), 1 + address % 2, 1, false, true);
        auto packet = co_await peer.next(20s);
        if (packet && accepts(packet->packet)) workload.retained_acknowledged[address] = id.sequence;
      }
    }
    const std::uint64_t at_least = workload.retained_acknowledged[address];
    auto found = co_await look_at_retained(runtime, workload, address);
    if (found) {
      workload.ledger.operation();
      const std::uint64_t seen = found->value_or(0);
      if (seen < at_least || seen > workload.retained_sent[address]) {
        workload.world.fail("retained message of " + topic + ": " + std::to_string(at_least) +
                            " was acknowledged, a subscriber was given " + std::to_string(seen));
      }
    }
    co_await runtime::sleep(runtime, short_pause(runtime, 2000));
    // Now and then in quiet times too.
    if (!runtime.random().chance(1, 8)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase("retained-" + std::to_string(address));
}

}  // namespace stele::sim
