#include "sim/workloads/end_checks.h"

#include <set>
#include <string>
#include <tuple>

#include "broker/subscription.h"

namespace stele::sim {

namespace {

std::string fate_of(const Workload& workload, const std::string& will) {
  if (workload.wills.is_published(will)) return "published";
  if (!workload.has_will) return "nobody knows";
  return workload.has_will(will) ? "still kept" : "neither kept nor published";
}

}  // namespace

std::string missing_at_the_end(const Workload& workload,
                               const std::function<std::string(const std::string&)>& describe) {
  std::set<MessageId> wanted;
  for (const MessageId& id : workload.ledger.acknowledged()) {
    if (workload.mqtt_publishers.contains(id.publisher)) wanted.insert(id);
  }
  std::string out;
  if (workload.wills.missing() > 0) {
    out += "; " + std::to_string(workload.wills.missing()) + " wills have not come, the first " +
           workload.wills.first_missing() + " (" + fate_of(workload, workload.wills.first_missing()) + ")";
  }
  const auto crew_lacks = workload.ledger.missing("crew", wanted_by_crew(workload));
  if (!crew_lacks.empty()) {
    out +=
        "; the crew lacks " + std::to_string(crew_lacks.size()) + ", the first " + crew_lacks.front().text();
    if (describe) out += " (" + describe(broker::share_session_id("$share/crew/sensors/#")) + ")";
  }
  for (const char* who : {"keeper-of-all", "keeper-too", "keeper-once", "keeper-mosquitto",
                          "keeper-mosquitto-old", "sensor-consumer-sensors"}) {
    const auto missing = workload.ledger.missing(who, wanted);
    if (missing.empty()) continue;
    out += "; " + std::string(who) + " lacks " + std::to_string(missing.size()) + " of " +
           std::to_string(wanted.size()) + " from " + missing.front().text() + " to " +
           missing.back().text() + (describe ? describe(who) : "");
  }
  return out;
}

namespace {

// What a producer was told is where it is.
void check_produced(Workload& workload) {
  // Where somebody reads.
  const bool orders_are_read = workload.clients.contains("kafka-consumer 0");
  const bool sensors_are_read = workload.clients.contains("kafka-consumer 1");
  const auto member = workload.clients.lower_bound("group-member ");
  const bool group_reads = member != workload.clients.end() && member->starts_with("group-member ");
  for (const auto& [place, id] : workload.produced) {
    if (!orders_are_read) break;
    auto found = workload.records.find(place);
    const auto& [topic, partition, offset] = place;
    const std::string where =
        topic + "-" + std::to_string(partition) + " at offset " + std::to_string(offset);
    if (found == workload.records.end()) {
      return workload.judge.fail("message " + id.text() + " was acknowledged for " + where +
                                 " and is not there");
    }
    if (MessageId::parse(found->second) != id) {
      return workload.judge.fail("message " + id.text() + " was acknowledged for " + where +
                                 ", which holds another");
    }
  }
  for (const MessageId& id : workload.ledger.acknowledged()) {
    if (group_reads && workload.kafka_producers.contains(id.publisher) &&
        !workload.ledger.has_received("group-orders.eu", id)) {
      return workload.judge.fail("message " + id.text() +
                                 " was acknowledged and no member of the group has read it");
    }
    if (!sensors_are_read || !workload.mqtt_publishers.contains(id.publisher)) continue;
    if (!workload.ledger.has_received("sensor-consumer-sensors", id)) {
      return workload.judge.fail("message " + id.text() +
                                 " was acknowledged and is not in the topic that captures it");
    }
  }
}

// What `sensors` captured the second topic did, from when it was there.
void check_second_topic(Workload& workload) {
  if (!workload.second_topic) return;
  for (const MessageId& id : workload.ledger.acknowledged()) {
    if (!workload.mqtt_publishers.contains(id.publisher) || workload.second_topic->contains(id)) continue;
    if (!workload.ledger.has_received("second-" + std::string(kSecondTopic), id)) {
      return workload.judge.fail("message " + id.text() +
                                 " was acknowledged and is not in the second topic that captures it");
    }
  }
}

// No message with QoS 2 is twice in the topic that captures it, and none that was refused is there at all.
void check_exactly_once(Workload& workload) {
  std::set<std::pair<std::string, MessageId>> seen;
  for (const auto& [place, payload] : workload.records) {
    const std::string& topic = std::get<0>(place);
    if (topic != "sensors" && topic != kSecondTopic) continue;
    const auto id = MessageId::parse(payload);
    if (!id || !workload.exactly_once.contains(*id)) continue;
    if (!seen.emplace(topic, *id).second) {
      return workload.judge.fail("message " + id->text() +
                                 ", sent with QoS 2, is twice in the topic that captures it");
    }
    if (workload.refused_exactly_once.contains(*id)) {
      return workload.judge.fail("message " + id->text() +
                                 ", sent with QoS 2, was refused and is kept all the same");
    }
  }
}

}  // namespace

void check_end(Workload& workload) {
  check_produced(workload);
  if (!workload.judge.failed()) check_second_topic(workload);
  if (!workload.judge.failed()) check_exactly_once(workload);
}

}  // namespace stele::sim
