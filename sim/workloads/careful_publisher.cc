#include "sim/workloads/careful_publisher.h"

#include <algorithm>
#include <utility>

#include "sim/workloads/mqtt_clients.h"

namespace stele::sim {

void CarefulPublisher::publish(MqttPeer& peer, const MessageId& id, std::uint8_t qos, std::uint16_t packet_id,
                               bool dup) {
  peer.publish(options_.topic(id), payload_of(id), qos, packet_id, dup, options_.retain);
}

// What had QoS 0 does not go out again, and may still be on its way through the broker, where what has QoS 2
// passes it: order is that of one QoS [MQTT-4.6.0-6].
void CarefulPublisher::resend(MqttPeer& peer) {
  for (const MessageId& id : std::exchange(sent_once_, {})) workload_.ledger.refused(id);
  for (Pending& one : pending_) {
    one.copies = 1;
    if (one.qos == 1) workload_.ledger.sent_again(one.id);
    // The answer that said so may be lost, and what was sent behind it be kept.
    if (!one.released && workload_.may_be_refused_since(one.sent_at)) workload_.ledger.refused(one.id);
    if (one.released) {
      peer.send(mqtt::Pubrel{.packet_id = one.packet_id});
    } else {
      publish(peer, one.id, one.qos, one.packet_id, true);
    }
  }
}

std::uint8_t CarefulPublisher::draw_qos() {
  if (options_.qos_0_of_9 + options_.qos_1_of_9 == 0) return 2;
  const std::uint64_t pick = runtime_.random().below(9);
  if (pick < options_.qos_0_of_9) return 0;
  return pick < options_.qos_0_of_9 + options_.qos_1_of_9 ? 1 : 2;
}

MessageId CarefulPublisher::send(MqttPeer& peer) {
  const auto address = static_cast<std::uint32_t>(runtime_.random().below(options_.addresses));
  const MessageId id{options_.publisher, address, ++last_sequence_[address]};
  const std::uint8_t qos = draw_qos();
  workload_.ledger.sent(id, qos);
  if (qos == 0) {
    sent_once_.push_back(id);
    // What is sent behind it passes it where a connection between nodes breaks.
    if (workload_.ledger.order_of_each_qos) workload_.ledger.refused(id);
    publish(peer, id, 0, 0, false);
    return id;
  }
  if (qos == 2) workload_.exactly_once.insert(id);
  pending_.push_back({id, free_packet_id(), qos, false, workload_.judge.now()});
  publish(peer, id, qos, pending_.back().packet_id, false);
  // Sent twice on one connection it is still one message.
  if (qos == 2 && runtime_.random().chance(1, 20)) {
    publish(peer, id, qos, pending_.back().packet_id, true);
    ++pending_.back().copies;
  }
  return id;
}

bool CarefulPublisher::take(MqttPeer& peer, const mqtt::Packet& packet) {
  if (const auto* puback = std::get_if<mqtt::Puback>(&packet)) {
    const auto found = find(puback->packet_id, 1);
    if (found == pending_.end()) return false;
    return settle(found, puback->reason);
  }
  if (const auto* pubrec = std::get_if<mqtt::Pubrec>(&packet)) {
    const auto found = find(pubrec->packet_id, 2);
    if (found == pending_.end() || found->released) return false;
    // Refused, the identifier is not free while another copy may still be taken, which then comes later.
    if (!is_success(pubrec->reason)) {
      workload_.ledger.refused(found->id);
      return --found->copies == 0 && settle(found, pubrec->reason);
    }
    acknowledged(found->id);
    found->released = true;
    peer.send(mqtt::Pubrel{.packet_id = found->packet_id});
  }
  if (const auto* pubcomp = std::get_if<mqtt::Pubcomp>(&packet)) {
    const auto found = find(pubcomp->packet_id, 2);
    if (found == pending_.end()) return false;
    if (!found->released) {
      workload_.judge.fail("PUBCOMP for message " + found->id.text() + ", which was not released");
    }
    pending_.erase(found);
  }
  return false;
}

CarefulPublisher::Place CarefulPublisher::find(std::uint16_t packet_id, std::uint8_t qos) {
  return std::ranges::find_if(
      pending_, [&](const Pending& one) { return one.packet_id == packet_id && one.qos == qos; });
}

std::uint16_t CarefulPublisher::free_packet_id() {
  auto id = static_cast<std::uint16_t>(runtime_.random().between(1, kPacketIds));
  const auto in_use = [&] { return std::ranges::find(pending_, id, &Pending::packet_id) != pending_.end(); };
  while (in_use()) id = static_cast<std::uint16_t>(id % kPacketIds + 1);
  return id;
}

void CarefulPublisher::acknowledged(const MessageId& id) {
  workload_.ledger.acknowledged(id);
  if (options_.on_acknowledged) options_.on_acknowledged(id);
}

bool CarefulPublisher::settle(Place found, mqtt::ReasonCode reason) {
  const bool refused = !is_success(reason);
  if (refused) {
    workload_.ledger.refused(found->id);
    if (found->qos == 2) workload_.refused_exactly_once.insert(found->id);
  } else {
    acknowledged(found->id);
  }
  pending_.erase(found);
  return refused;
}

}  // namespace stele::sim
