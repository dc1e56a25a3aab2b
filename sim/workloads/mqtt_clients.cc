#include <algorithm>
#include <deque>

#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

Task<std::optional<Connected>> come(runtime::Runtime& runtime, Workload& workload, std::string client_id,
                                    bool clean, std::uint32_t expiry_s, mqtt::Version version) {
  auto dialed = co_await MqttPeer::dial(runtime, workload.mqtt, workload.login);
  if (dialed) {
    const auto opened = co_await (*dialed)->open(std::move(client_id), clean, expiry_s, version);
    if (opened && opened->reason == mqtt::ReasonCode::kSuccess)
      co_return Connected{*std::move(dialed), opened->session_present};
  }
  co_await runtime::sleep(runtime, short_pause(runtime, 500));
  co_return std::nullopt;
}

void go(runtime::Runtime& runtime, MqttPeer& peer) {
  if (runtime.random().chance(1, 2)) {
    peer.send(mqtt::Disconnect{});
  } else {
    peer.drop();
  }
}

runtime::Instant stay(runtime::Runtime& runtime, std::int64_t max_ms) {
  return runtime.now() + std::chrono::milliseconds(runtime.random().between(50, max_ms));
}

bool is_success(mqtt::ReasonCode reason) {
  return reason == mqtt::ReasonCode::kSuccess || reason == mqtt::ReasonCode::kNoMatchingSubscribers;
}

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

namespace {

std::uint16_t packet_id_of(const mqtt::Packet& packet) {
  if (const auto* ack = std::get_if<mqtt::Puback>(&packet)) return ack->packet_id;
  return 0;
}

}  // namespace

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
    auto connected =
        co_await come(runtime, workload, "publisher-" + std::to_string(publisher), true, 0, version);
    if (!connected) continue;
    MqttPeer& peer = *connected->peer;
    // What is not acknowledged may or may not have come through.
    for (Pending& one : pending) {
      workload.ledger.sent_again(one.id);
      if (workload.may_be_refused_since(one.sent_at)) workload.ledger.refused(one.id);
      peer.publish(sensor_topic(one.id), payload_of(one.id), 1, one.packet_id, true, false);
    }
    const runtime::Instant until = stay(runtime, 20'000);
    while (!peer.closed() && (runtime.now() < until || workload.stopping)) {
      while (workload.busy() && pending.size() < window) {
        const auto address = static_cast<std::uint32_t>(runtime.random().below(4));
        const MessageId id{publisher, address, next_sequence[address]++};
        pending.push_back({id, next_packet_id, workload.judge.now()});
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
      if (is_success(ack->reason)) {
        workload.ledger.acknowledged(found->id);
        pending.erase(found);
      } else {
        workload.ledger.refused(found->id);
        pending.erase(found);
        co_await runtime::sleep(runtime, short_pause(runtime, 500));
      }
      if (runtime.random().chance(1, 4)) co_await runtime::sleep(runtime, short_pause(runtime, 40));
    }
    go(runtime, peer);
    co_await runtime::sleep(runtime, short_pause(runtime, 50));
  }
  --workload.producing;
  workload.running.erase("publisher-" + std::to_string(publisher));
}

Task<void> run_persistent_subscriber(runtime::Runtime& runtime, Workload& workload, std::string client_id) {
  workload.running.insert(client_id);
  bool subscribed = false;
  MessageSet expected_from;  // acknowledged before the subscription: need not come
  bool complete = false;
  while (!complete) {
    auto connected = co_await come(runtime, workload, client_id, false, UINT32_MAX, mqtt::Version::kV5);
    if (!connected) continue;
    MqttPeer& peer = *connected->peer;
    if (subscribed && !connected->session_present) {
      workload.judge.fail(client_id + ": its session is gone");
      break;
    }
    if (!subscribed) {
      mqtt::Subscribe subscribe;
      subscribe.packet_id = 1;
      subscribe.subscriptions.push_back({.filter = "sensors/#", .qos = mqtt::Qos::kAtLeastOnce});
      peer.send(subscribe);
    }
    const runtime::Instant until = stay(runtime, 20'000);
    // What this connection has left unanswered is only asked for by the next one.
    const bool to_the_end = workload.stopping;
    bool pinged = false;
    while (!peer.closed() && (to_the_end || (runtime.now() < until && !workload.stopping))) {
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
            workload.judge.fail(client_id + ": received something that nobody sent");
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
            wanted.insert(wanted.end(), id);
        }
        if (workload.producing == 0 && workload.ledger.missing(client_id, wanted).empty()) {
          complete = true;
          break;
        }
      }
      if (packet) pinged = false;
      if (!packet && workload.stopping && !is_alive(peer, pinged)) break;
    }
    go(runtime, peer);
    // Away for a moment, or for the quiet time.
    if (!complete) co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping ? 50 : 3000));
    if (runtime.random().chance(1, 2)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(client_id);
}

Task<void> run_live_subscriber(runtime::Runtime& runtime, Workload& workload, std::string client_id) {
  workload.running.insert(client_id);
  while (!workload.stopping) {
    auto connected = co_await come(runtime, workload, client_id, true, 0, mqtt::Version::kV311);
    if (!connected) continue;
    MqttPeer& peer = *connected->peer;
    mqtt::Subscribe subscribe;
    subscribe.packet_id = 7;
    const auto qos = static_cast<mqtt::Qos>(runtime.random().below(3));
    subscribe.subscriptions.push_back({.filter = "sensors/+/+", .qos = qos});
    subscribe.subscriptions.push_back({.filter = "orders/eu", .qos = qos});
    peer.send(subscribe);
    const runtime::Instant until = stay(runtime, 20'000);
    while (!peer.closed() && runtime.now() < until && !workload.stopping) {
      auto packet = co_await peer.next(1s);
      if (!packet && packet.error().code != ErrorCode::kTimedOut) break;
      if (!packet) continue;
      if (const auto* publish = std::get_if<mqtt::Publish>(&packet->packet)) {
        const auto id = MessageId::parse(publish->payload);
        if (!id) {
          workload.judge.fail(client_id + ": received something that nobody sent");
          break;
        }
        // What has QoS 0 does not wait where the output has no room.
        workload.ledger.received(workload.little_output ? order_of(client_id, *publish) : client_id, *id,
                                 true, true);
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

}  // namespace stele::sim
