// Members of a shared subscription: what one of them does not acknowledge another must get, and what one has
// with QoS 2 nobody else may ever see (section 4.8.2 of MQTT 5.0). Who has what changes with every connection
// that ends, so order is not asked for.
#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kCrew = "$share/crew/sensors/#";

class Member {
 public:
  Member(runtime::Runtime& runtime, Workload& workload, std::string client_id)
      : runtime_(runtime), workload_(workload), client_id_(std::move(client_id)) {}

  bool subscribed = false;
  Time began_at{};  // the connection: what comes on it was sent after that

  void take(MqttPeer& peer, const mqtt::Packet& packet) {
    if (const auto* suback = std::get_if<mqtt::Suback>(&packet)) take_suback(*suback);
    if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) take_publish(peer, *publish);
    if (const auto* pubrel = std::get_if<mqtt::Pubrel>(&packet)) {
      peer.send(mqtt::Pubcomp{.packet_id = pubrel->packet_id});
    }
  }

 private:
  void take_suback(const mqtt::Suback& suback) {
    subscribed = suback.reasons.size() == 1 && !mqtt::is_error(suback.reasons[0]);
    if (!subscribed || workload_.crew.exists) return;
    workload_.crew.exists = true;
    workload_.crew.sent_before = workload_.ledger.all_sent();
  }

  void take_publish(MqttPeer& peer, const mqtt::Publish& publish) {
    const auto id = MessageId::parse(publish.payload);
    if (!id) return workload_.judge.fail(client_id_ + ": received something that nobody sent");
    workload_.ledger.received_unordered("crew", *id);
    // What was sent on an earlier connection may lie in the network for long.
    const auto had = workload_.crew.had.find(*id);
    if (had != workload_.crew.had.end() && had->second < began_at) {
      return workload_.judge.fail(client_id_ + ": message " + id->text() +
                                  " was given to somebody with QoS 2 before");
    }
    const bool forgets = !workload_.stopping && runtime_.random().chance(1, 40);
    switch (publish.qos) {
      case mqtt::Qos::kAtMostOnce:
        return;
      case mqtt::Qos::kAtLeastOnce:
        if (!forgets) peer.send(mqtt::Puback{.packet_id = publish.packet_id});
        return;
      case mqtt::Qos::kExactlyOnce:
        if (workload_.exactly_once.contains(*id)) {
          workload_.crew.had.emplace(*id, workload_.judge.now());
        }
        if (!forgets) peer.send(mqtt::Pubrec{.packet_id = publish.packet_id});
        return;
    }
  }

  runtime::Runtime& runtime_;
  Workload& workload_;
  const std::string client_id_;
};

}  // namespace

std::set<MessageId> wanted_by_crew(const Workload& workload) {
  std::set<MessageId> wanted;
  if (!workload.crew.exists) return wanted;
  for (const MessageId& id : workload.ledger.acknowledged()) {
    if (!workload.mqtt_publishers.contains(id.publisher) || workload.crew.sent_before.contains(id)) continue;
    // What is on its way with QoS 2 is lost with the member.
    if (workload.crew.exactly_once && workload.exactly_once.contains(id)) continue;
    wanted.insert(wanted.end(), id);
  }
  return wanted;
}

Task<void> run_shared_member(runtime::Runtime& runtime, Workload& workload, std::string client_id,
                             CrewMember kind) {
  workload.running.insert(client_id);
  Member state(runtime, workload, client_id);
  const bool kept = kind != CrewMember::kBrief;
  bool complete = false;
  while (!complete) {
    const bool clean = !kept || (kind == CrewMember::kUnsteady && runtime.random().chance(1, 5));
    const mqtt::Version version = runtime.random().chance(1, 2) ? mqtt::Version::kV5 : mqtt::Version::kV311;
    // A clean session of 3.1.1 ends with its connection.
    state.began_at = workload.judge.now();
    auto connected = co_await come(runtime, workload, client_id, clean, kept ? UINT32_MAX : 0, version);
    if (!connected) continue;
    MqttPeer& peer = *connected->peer;
    if (kind == CrewMember::kSteady && state.subscribed && !connected->session_present) {
      workload.judge.fail(client_id + ": its session is gone");
      break;
    }
    // The one that stays subscribes first: then the group exists for good.
    if (kind != CrewMember::kSteady && !workload.crew.exists) {
      peer.drop();
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    if (!connected->session_present) state.subscribed = false;
    if (!state.subscribed || runtime.random().chance(1, 10)) {
      mqtt::Subscribe subscribe;
      subscribe.packet_id = 1;
      const auto qos = kind == CrewMember::kBrief && workload.crew.exactly_once ? mqtt::Qos::kExactlyOnce
                                                                                : mqtt::Qos::kAtLeastOnce;
      subscribe.subscriptions.push_back({.filter = kCrew, .qos = qos});
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
      complete =
          workload.stopping && workload.producing == 0 &&
          (kind != CrewMember::kSteady || workload.ledger.missing("crew", wanted_by_crew(workload)).empty());
      if (complete) break;
      if (workload.stopping && !is_alive(peer, pinged)) break;
    }
    if (kind == CrewMember::kUnsteady && state.subscribed && !peer.closed() &&
        runtime.random().chance(1, 8)) {
      mqtt::Unsubscribe unsubscribe;
      unsubscribe.packet_id = 2;
      unsubscribe.filters.push_back(kCrew);
      peer.send(unsubscribe);
      (void)co_await peer.next(1s);
      state.subscribed = false;
    }
    go(runtime, peer);
    if (!complete) co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping ? 50 : 2000));
    if (runtime.random().chance(1, 2)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(client_id);
}

}  // namespace stele::sim
