// Retained messages: clients that set them, one address each, and what a fresh subscriber is given. The
// addresses differ in the way that their messages take to the shard which keeps the retained one.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "sim/workloads/careful_publisher.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kFirstPublisher = 1000;

std::string topic_of(std::uint32_t address) {
  return "state/" + std::to_string(address);
}
std::string topic_of_message(const MessageId& id) {
  return topic_of(id.publisher - kFirstPublisher);
}

// Retained messages come some time after SUBACK, once they are known to be committed: a subscriber that must
// be given one waits so long for it.
constexpr runtime::Duration kPatience = 60s;

// What a fresh subscriber is given last, if anything: retained, or live meanwhile, which a retained one that
// is older must not follow. An error when the connection did not live long enough to tell.
Task<Result<std::optional<MessageId>>> ask_for_retained(runtime::Runtime& runtime, Workload& workload,
                                                        std::string topic, bool there_is_one) {
  auto connected = co_await come(runtime, workload, "looker-" + std::to_string(runtime.random().next()), true,
                                 0, mqtt::Version::kV5);
  if (!connected) co_return error(ErrorCode::kUnavailable, "refused");
  MqttPeer& peer = *connected->peer;
  mqtt::Subscribe subscribe;
  subscribe.packet_id = 1;
  const std::string filter = runtime.random().chance(1, 2) ? topic : "state/#";
  subscribe.subscriptions.push_back({.filter = filter, .qos = mqtt::Qos::kAtMostOnce});
  peer.send(subscribe);
  bool answered = false;
  std::optional<MessageId> found;
  const runtime::Instant until = runtime.now() + (there_is_one ? kPatience : 0s);
  while (true) {
    STELE_CO_TRY(const ReceivedPacket packet, co_await peer.next(20s));
    if (const auto* suback = std::get_if<mqtt::Suback>(&packet.packet)) {
      if (suback->reasons[0] != mqtt::ReasonCode::kSuccess)
        co_return error(ErrorCode::kUnavailable, "refused");
      answered = true;
      peer.send(mqtt::Pingreq{});
    }
    if (const auto* publish = std::get_if<mqtt::Publish>(&packet.packet)) {
      if (publish->topic == topic) found = MessageId::parse(publish->payload);
    }
    if (!std::get_if<mqtt::Pingresp>(&packet.packet) || !answered) continue;
    if (found || runtime.now() >= until) break;
    co_await runtime::sleep(runtime, 500ms);
    peer.send(mqtt::Pingreq{});
  }
  co_return found;
}

// One message after the other, each in a new session.
Task<void> set_one_by_one(runtime::Runtime& runtime, Workload& workload, std::uint32_t address) {
  std::uint64_t sequence = 0;
  while (!workload.stopping) {
    auto connected =
        co_await come(runtime, workload, "retained-" + std::to_string(address), true, 0, mqtt::Version::kV5);
    if (connected) {
      const MessageId id{kFirstPublisher + address, 0, ++sequence};
      workload.retained_sent[address] = id.sequence;
      workload.ledger.operation();
      connected->peer->publish(topic_of(address), id.text(), 1 + address % 2, 1, false, true);
      auto packet = co_await connected->peer->next(20s);
      const auto* puback = packet ? std::get_if<mqtt::Puback>(&packet->packet) : nullptr;
      const auto* pubrec = packet ? std::get_if<mqtt::Pubrec>(&packet->packet) : nullptr;
      if ((puback && is_success(puback->reason)) || (pubrec && is_success(pubrec->reason)))
        workload.retained_acknowledged[address] = id.sequence;
    }
    co_await look_at_retained(runtime, workload, address);
    co_await runtime::sleep(runtime, short_pause(runtime, 2000));
    // Now and then in quiet times too.
    if (!runtime.random().chance(1, 8)) co_await wait_while_quiet(runtime, workload);
  }
}

// Several at a time out of one session, with QoS 1 and 2, which take different ways.
Task<void> set_in_session(runtime::Runtime& runtime, Workload& workload, std::uint32_t address) {
  const std::string name = "retained-" + std::to_string(address);
  CarefulPublisher publisher(runtime, workload,
                             {.publisher = kFirstPublisher + address,
                              .topic = topic_of_message,
                              .retain = true,
                              .qos_1_of_9 = 5,
                              .on_acknowledged = [&workload, address](const MessageId& id) {
                                std::uint64_t& highest = workload.retained_acknowledged[address];
                                highest = std::max(highest, id.sequence);
                              }});
  bool connected_before = false;
  while (!workload.stopping || !publisher.idle()) {
    if (publisher.idle()) co_await wait_while_quiet(runtime, workload);
    auto connected = co_await come(runtime, workload, name, false, UINT32_MAX, mqtt::Version::kV5);
    if (!connected) continue;
    MqttPeer& peer = *connected->peer;
    if (connected_before && !connected->session_present) {
      workload.judge.fail(name + ": its session is gone");
      break;
    }
    connected_before = true;
    publisher.resend(peer);
    const runtime::Instant until = stay(runtime, 5'000);
    while (!peer.closed() && (runtime.now() < until || workload.stopping)) {
      if (publisher.idle()) {
        if (!workload.busy()) break;
        for (std::uint64_t left = 1 + runtime.random().below(4); left > 0; --left)
          workload.retained_sent[address] = publisher.send(peer).sequence;
      }
      auto packet = co_await peer.next(30s);
      if (!packet) break;
      if (publisher.take(peer, packet->packet)) co_await runtime::sleep(runtime, short_pause(runtime, 500));
      if (!publisher.idle()) continue;
      co_await look_at_retained(runtime, workload, address);
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
    }
    go(runtime, peer);
    co_await runtime::sleep(runtime, short_pause(runtime, 50));
  }
}

}  // namespace

Task<void> look_at_retained(runtime::Runtime& runtime, Workload& workload, std::uint32_t address) {
  const std::uint64_t at_least = workload.retained_acknowledged[address];
  const auto found = co_await ask_for_retained(runtime, workload, topic_of(address), at_least > 0);
  if (!found) co_return;
  workload.ledger.operation();
  const std::uint64_t seen = *found ? (*found)->sequence : 0;
  // What has QoS 1 and was sent again may be stored again, behind what has QoS 2 and is not; of what has QoS
  // 2 one copy may have been refused, and a later one be stored.
  const bool later =
      *found && (workload.ledger.was_sent_again(**found) || workload.ledger.was_refused(**found));
  if ((seen < at_least && !later) || seen > workload.retained_sent[address]) {
    workload.judge.fail("retained message of " + topic_of(address) + ": " + std::to_string(at_least) +
                        " was acknowledged, a subscriber was given " + std::to_string(seen));
  }
  if (*found && !workload.ledger.is_committed(**found))
    workload.judge.fail("retained message " + (*found)->text() + " was given before it was committed");
}

Task<void> run_retained(runtime::Runtime& runtime, Workload& workload, std::uint32_t address) {
  const std::string name = "retained-" + std::to_string(address);
  workload.running.insert(name);
  if (address < kFirstInSession) {
    co_await set_one_by_one(runtime, workload, address);
  } else {
    co_await set_in_session(runtime, workload, address);
  }
  workload.running.erase(name);
}

}  // namespace stele::sim
