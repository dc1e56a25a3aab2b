#include "sim/workloads/rounds.h"

#include <variant>

namespace stele::sim {

using runtime::Task;

namespace {
std::unexpected<Error> no_answer() {
  return error(ErrorCode::kUnavailable, "another answer than was waited for");
}
}  // namespace

Task<Result<Rounds::Entered>> Rounds::enter(mqtt::Connect connect, std::optional<MqttPeer::Login> login) {
  Entered out;
  STELE_CO_TRY(out.peer, co_await MqttPeer::dial(runtime_, workload_.mqtt, std::move(login)));
  STELE_CO_TRY(const auto opened, co_await out.peer->open(std::move(connect)));
  out.reason = opened.reason;
  out.session_present = opened.session_present;
  co_return out;
}

Task<Result<Rounds::Peer>> Rounds::open(mqtt::Connect connect) {
  STELE_CO_TRY(Entered entered, co_await enter(std::move(connect)));
  if (!entered.in()) co_return error(ErrorCode::kUnavailable, "refused");
  co_return std::move(entered.peer);
}

Task<Result<mqtt::ReasonCode>> Rounds::subscribe(MqttPeer& peer, std::string filter, mqtt::Qos qos) {
  mqtt::Subscribe packet;
  packet.packet_id = 60'000;
  packet.subscriptions.push_back({.filter = filter, .qos = qos});
  peer.send(packet);
  while (true) {
    STELE_CO_TRY(const ReceivedPacket answer, co_await peer.next(kPatience));
    const auto* suback = std::get_if<mqtt::Suback>(&answer.packet);
    if (suback && suback->reasons.size() == 1) co_return suback->reasons[0];
    if (suback || std::holds_alternative<mqtt::Disconnect>(answer.packet)) co_return no_answer();
  }
}

Task<Result<mqtt::ReasonCode>> Rounds::publish(MqttPeer& peer, mqtt::Publish packet) {
  packet.qos = mqtt::Qos::kAtLeastOnce;
  packet.packet_id = 50'000;
  peer.send(packet);
  while (true) {
    STELE_CO_TRY(const ReceivedPacket answer, co_await peer.next(kPatience));
    if (const auto* ack = std::get_if<mqtt::Puback>(&answer.packet)) co_return ack->reason;
    if (std::holds_alternative<mqtt::Disconnect>(answer.packet)) co_return no_answer();
  }
}

Task<Result<Rounds::Received>> Rounds::receive(MqttPeer& peer, runtime::Duration within) {
  const runtime::Instant end = runtime_.now() + within;
  while (true) {
    STELE_CO_TRY(const ReceivedPacket packet, co_await peer.next(end - runtime_.now()));
    const auto* publish = std::get_if<mqtt::Publish>(&packet.packet);
    if (!publish) continue;
    co_return Received{std::string(publish->topic), std::string(publish->payload), publish->packet_id,
                       publish->qos, publish->retain};
  }
}

Task<Result<std::vector<Rounds::Received>>> Rounds::all_until_ping(MqttPeer& peer) {
  peer.send(mqtt::Pingreq{});
  std::vector<Received> all;
  while (true) {
    STELE_CO_TRY(const ReceivedPacket packet, co_await peer.next(kPatience));
    if (std::holds_alternative<mqtt::Pingresp>(packet.packet)) co_return all;
    const auto* publish = std::get_if<mqtt::Publish>(&packet.packet);
    if (!publish) continue;
    all.push_back({std::string(publish->topic), std::string(publish->payload), publish->packet_id,
                   publish->qos, publish->retain});
  }
}

Task<void> run_rounds(runtime::Runtime& runtime, Workload& workload, std::unique_ptr<Rounds> client) {
  workload.running.insert(client->name());
  while (!workload.stopping) {
    co_await wait_while_quiet(runtime, workload);
    if (workload.stopping) break;
    (void)co_await client->round();
    workload.ledger.operation();
    co_await runtime::sleep(runtime, short_pause(runtime, 500));
  }
  while (!co_await client->tidy()) co_await runtime::sleep(runtime, short_pause(runtime, 500));
  workload.running.erase(client->name());
}

}  // namespace stele::sim
