#include "sim/workloads/client_kinds.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "base/assert.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/contenders.h"

namespace stele::sim {
namespace {

using runtime::Runtime;
using runtime::Task;

struct Kind {
  std::string_view name;
  std::uint32_t most;
  Task<void> (*run)(Runtime& core, Workload& workload, std::uint32_t number);
  std::string_view knob = {};  // without it there are none of them
  bool stranger = false;
};

std::string numbered(std::string_view name, std::uint32_t number) {
  return std::string(name) + "-" + std::to_string(number + 1);
}

Task<void> publisher(Runtime& core, Workload& workload, std::uint32_t number) {
  workload.mqtt_publishers.insert(number);
  return run_mqtt_publisher(core, workload, number, 1 + number * 8);
}

Task<void> persistent_subscriber(Runtime& core, Workload& workload, std::uint32_t number) {
  return run_persistent_subscriber(core, workload, number == 0 ? "keeper-of-all" : "keeper-too");
}

Task<void> exactly_once_publisher(Runtime& core, Workload& workload, std::uint32_t number) {
  const std::uint32_t name = 10 + number;
  workload.mqtt_publishers.insert(name);
  return run_exactly_once_publisher(core, workload, name, number % 2 == 0);
}

Task<void> crew_member(Runtime& core, Workload& workload, std::uint32_t number) {
  constexpr CrewMember kKinds[] = {CrewMember::kSteady, CrewMember::kUnsteady};
  return run_shared_member(core, workload, numbered("crew", number),
                           number < std::size(kKinds) ? kKinds[number] : CrewMember::kBrief);
}

Task<void> producer(Runtime& core, Workload& workload, std::uint32_t number) {
  const std::uint32_t name = 100 + number;
  workload.kafka_producers.insert(name);
  return run_kafka_producer(core, workload, name);
}

Task<void> consumer(Runtime& core, Workload& workload, std::uint32_t number) {
  return number == 0 ? run_kafka_consumer(core, workload, "orders.eu", "consumer")
                     : run_kafka_consumer(core, workload, "sensors", "sensor-consumer");
}

Task<void> group_member(Runtime& core, Workload& workload, std::uint32_t number) {
  std::optional<std::string> instance;
  if (number == 2) instance = "instance-3";
  return run_group_member(core, workload, numbered("worker", number), std::move(instance));
}

Task<void> mqtt_contender(Runtime& core, Workload& workload, std::uint32_t number) {
  return run_mqtt_contender(core, *workload.contention, number);
}

Task<void> kafka_contender(Runtime& core, Workload& workload, std::uint32_t number) {
  return run_kafka_contender(core, *workload.contention, number);
}

Task<void> mosquitto_publisher(Runtime& core, Workload& workload, std::uint32_t number) {
  const std::uint32_t name = 20 + number;
  workload.mqtt_publishers.insert(name);
  return run_mosquitto_publisher(core, workload, name, number % 2 == 0);
}

Task<void> mosquitto_subscriber(Runtime& core, Workload& workload, std::uint32_t number) {
  return number == 0 ? run_mosquitto_subscriber(core, workload, "keeper-mosquitto", true)
                     : run_mosquitto_subscriber(core, workload, "keeper-mosquitto-old", false);
}

// Shows that a failure is seen as one.
Task<void> canary(Runtime& core, Workload& workload, std::uint32_t) {
  workload.judge.fail("the canary fails always");
  co_return;
}

constexpr Kind kKinds[] = {
    {"mqtt-publisher", 8, publisher},
    {"persistent-subscriber", 2, persistent_subscriber},
    {"exactly-once-publisher", 8, exactly_once_publisher},
    {"exactly-once-subscriber", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) {
       return run_exactly_once_subscriber(core, workload, "keeper-once");
     }},
    {"mosquitto-publisher", 8, mosquitto_publisher},
    {"mosquitto-subscriber", 2, mosquitto_subscriber},
    {"live-subscriber", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) {
       return run_live_subscriber(core, workload, "live");
     }},
    {"crew-member", 8, crew_member},
    {"kafka-producer", 8, producer},
    {"kafka-consumer", 2, consumer},
    {"group-member", 8, group_member},
    {"retained", kRetainedAddresses, run_retained},
    {"asker", 1, [](Runtime& core, Workload& workload, std::uint32_t) { return run_asker(core, workload); }},
    {"administrator", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_admin(core, workload, 200); }},
    {"timed", 1, [](Runtime& core, Workload& workload, std::uint32_t) { return run_timed(core, workload); }},
    {"will-watcher", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_will_watcher(core, workload); }},
    {"will-client", 8, run_will_client},
    {"newcomer", 8, run_newcomer, "clients.newcomers"},
    {"mqtt-contender", kContenders, mqtt_contender},
    {"kafka-contender", kContenders, kafka_contender},
    {"denied", 1, [](Runtime& core, Workload& workload, std::uint32_t) { return run_denied(core, workload); },
     "clients.log_in"},
    {"neighbour", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_neighbour(core, workload); },
     "clients.neighbour"},
    {"crowd", 1, [](Runtime& core, Workload& workload, std::uint32_t) { return run_crowd(core, workload); }},
    {"hoarder", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_hoarder(core, workload); }},
    {"second-topic", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_second_topic(core, workload); }},
    {"nonsense", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_nonsense(core, workload); }, "", true},
    {"guesser", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_guesser(core, workload); },
     "clients.log_in", true},
    {"passing", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_passing(core, workload); },
     "clients.log_in"},
    {"overrun", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_overrun(core, workload); }},
    {"slow", 1, [](Runtime& core, Workload& workload, std::uint32_t) { return run_slow(core, workload); }},
    {"forgotten", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_forgotten(core, workload); }},
    {"impatient", 1,
     [](Runtime& core, Workload& workload, std::uint32_t) { return run_impatient(core, workload); }},
    {"canary", 1, canary},
};

constexpr Showing kShowings[] = {
    {"sessions-refused", "crowd"},
    {"subscriptions-refused", "crowd"},
    {"share-members-refused", "crowd"},
    {"deep-filters-refused", "crowd"},
    {"wills-refused", "crowd"},
    {"members-refused", "hoarder"},
    {"offsets-refused", "hoarder"},
    {"turns-refused", "hoarder"},
    {"epochs-refused", "hoarder"},
    {"commands-refused", "hoarder"},
    {"too-large-left-out", "overrun"},
    {"oldest-dropped", "overrun"},
    {"queues-shortened", "overrun"},
    {"numbered-dropped", "overrun"},
    {"answers-waited", "slow"},
    {"outbox-dropped", "slow"},
    {"expired-in-the-outbox", "slow"},
    {"held-dropped", "slow"},
    {"shared-given-back", "slow"},
    {"shared-unkept", "slow"},
    {"retained-taken", "slow"},
    {"shares-ended", "slow"},
    {"producers-forgotten", "forgotten"},
    {"silent-forgotten", "forgotten"},
    {"offsets-forgotten", "forgotten"},
    {"old-connections", "impatient"},
    {"malformed-refused", "nonsense"},
    {"unfinished-refused", "nonsense"},
    {"websockets-refused", "nonsense"},
    {"websockets-ended", "nonsense"},
    {"handshakes-refused", "nonsense"},
    {"guesses-refused", "guesser"},
    {"guesses-unseen", "guesser"},
    {"kafka-guesses-refused", "guesser"},
    {"users-sent-away", "passing"},
    {"subscribers-sent-away", "passing"},
    {"sessions-of-others-refused", "passing"},
    {"captures-refused", "passing"},
    {"certificates-taken", "passing"},
    {"certificates-refused", "passing"},
};

const Kind& kind_of(std::string_view name) {
  const auto* found = std::ranges::find(kKinds, name, &Kind::name);
  STELE_ASSERT(found != std::end(kKinds));
  return *found;
}

}  // namespace

std::span<const std::string_view> client_kind_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> out;
    for (const Kind& kind : kKinds) out.push_back(kind.name);
    return out;
  }();
  return names;
}

std::uint32_t most_clients(std::string_view kind) {
  return kind_of(kind).most;
}

bool knobs_allow(std::string_view kind, const Knobs& knobs) {
  const std::string_view knob = kind_of(kind).knob;
  return knob.empty() || knobs[knob] != 0;
}

bool is_stranger(std::string_view kind) {
  return kind_of(kind).stranger;
}

std::span<const Showing> showings() {
  return kShowings;
}

void start_client(runtime::Scope& scope, Runtime& core, Workload& workload, const ClientOfCase& client) {
  workload.clients.insert(client.kind + " " + std::to_string(client.number));
  scope.spawn(kind_of(client.kind).run(core, workload, client.number));
}

}  // namespace stele::sim
