// Clients with QoS 2 and sessions that outlive their connections: as careful as section 4.3.3 of MQTT 5.0
// wants them, so that whatever comes twice, or not at all, is the broker's doing.
#include <utility>

#include "sim/workloads/careful_publisher.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

Task<void> run_exactly_once_publisher(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher,
                                      bool mixed) {
  const std::string name = "exactly-once-" + std::to_string(publisher);
  workload.running.insert(name);
  ++workload.producing;
  CarefulPublisher state(runtime, workload,
                         {.publisher = publisher,
                          .addresses = 3,
                          .topic = sensor_topic,
                          .qos_0_of_9 = mixed ? 1U : 0U,
                          .qos_1_of_9 = mixed ? 2U : 0U});
  const mqtt::Version version = mixed ? mqtt::Version::kV5 : mqtt::Version::kV311;
  bool connected_before = false;
  while (!workload.stopping || !state.idle()) {
    if (state.idle()) co_await wait_while_quiet(runtime, workload);
    auto connected = co_await come(runtime, workload, name, false, UINT32_MAX, version);
    if (!connected) continue;
    MqttPeer& peer = *connected->peer;
    if (connected_before && !connected->session_present) {
      workload.judge.fail(name + ": its session is gone");
      break;
    }
    connected_before = true;
    state.resend(peer);
    const runtime::Instant until = stay(runtime, 10'000);
    while (!peer.closed() && (runtime.now() < until || workload.stopping)) {
      while (workload.busy() && !state.full()) state.send(peer);
      if (state.idle()) break;
      auto packet = co_await peer.next(30s);
      if (!packet) break;
      if (state.take(peer, packet->packet)) co_await runtime::sleep(runtime, short_pause(runtime, 500));
      if (runtime.random().chance(1, 4)) co_await runtime::sleep(runtime, short_pause(runtime, 40));
    }
    go(runtime, peer);
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
  MessageSet sent_before;  // need not come

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
      if (workload_.mqtt_publishers.contains(id.publisher) && !sent_before.contains(id))
        wanted.insert(wanted.end(), id);
    }
    return subscribed && workload_.producing == 0 && workload_.ledger.missing(client_id_, wanted).empty();
  }

 private:
  bool forgets() { return !workload_.stopping && runtime_.random().chance(1, 40); }

  void take_publish(MqttPeer& peer, const mqtt::Publish& publish) {
    const auto id = MessageId::parse(publish.payload);
    if (!id) return workload_.judge.fail(client_id_ + ": received something that nobody sent");
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
      if (workload_.is_numbered && !workload_.is_numbered(client_id_, packet_id)) {
        workload_.judge.fail(client_id_ + ": message " + id->text() +
                             " came before its packet identifier was committed");
      }
      workload_.ledger.received(client_id_, *id, false, gaps);
    } else if (at->second != *id || !publish.dup) {
      workload_.judge.fail(client_id_ + ": packet identifier " + std::to_string(packet_id) + " of message " +
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
    auto connected = co_await come(runtime, workload, client_id, false, UINT32_MAX, mqtt::Version::kV5);
    if (!connected) continue;
    MqttPeer& peer = *connected->peer;
    if (state.subscribed && !connected->session_present) {
      workload.judge.fail(client_id + ": its session is gone");
      break;
    }
    if (!state.subscribed) {
      mqtt::Subscribe subscribe;
      subscribe.packet_id = 1;
      subscribe.subscriptions.push_back({.filter = "sensors/#", .qos = mqtt::Qos::kExactlyOnce});
      peer.send(subscribe);
    }
    const runtime::Instant until = stay(runtime, 15'000);
    // What this connection has left unanswered is only asked for by the next one.
    const bool to_the_end = workload.stopping;
    bool pinged = false;
    while (!peer.closed() && (to_the_end || (runtime.now() < until && !workload.stopping))) {
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
    go(runtime, peer);
    if (!complete) co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping ? 50 : 2000));
    if (runtime.random().chance(1, 2)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(client_id);
}

}  // namespace stele::sim
