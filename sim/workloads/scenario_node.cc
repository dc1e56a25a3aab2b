// Scenario `node`: one node, whole and unchanged, with MQTT and Kafka clients, while its machine and its
// network fail. Judged throughout and at the end (clients.h, shadow.h, ledger.h).
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "broker/message_batch.h"
#include "protocols/kafka/client.h"
#include "sim/faults.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/scenario.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/node_program.h"
#include "sim/workloads/pace.h"
#include "sim/workloads/shadow.h"
#include "sim/world.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Duration;

namespace {

// A run of half an hour in which less happened shows nothing; a shorter one is held to a part of that.
constexpr std::uint64_t kOperations = 1500;
constexpr std::uint64_t kFaults = 12;
constexpr std::uint64_t kCrashes = 2;
constexpr std::uint64_t kDenials = 20;    // where there are users
constexpr std::uint64_t kNewcomers = 20;  // where there are any
// So many messages are sent in all.
constexpr std::uint64_t kMessages = 20'000;
// The menu's rates are for ordinary hours; episodes are none.
constexpr std::uint32_t kFaultsTimes = 12;
// After the faults everything must be done within so much virtual time.
constexpr Duration kCalmDown = 10min;

// Knobs that came later. They are not drawn, and so all seeds stay what they were but for what is new.
struct LateKnobs {
  explicit LateKnobs(std::uint64_t seed) : bits(mix64(seed)) {}
  const std::uint64_t bits;
  const std::size_t live_bytes = 256ULL << bits % 16;
  // With newcomers there are several cores, of which one may stand still, or mail between them be slow.
  const std::uint32_t newcomers = (bits >> 32) % 2 * 2;
  const std::uint32_t cores = static_cast<std::uint32_t>(2 + (bits >> 33) % 3);
  const bool slow_mail = newcomers > 0 && (bits >> 40) % 2 != 0;
  const bool neighbour = (bits >> 48) % 4 == 0;
};

WorldConfig world_of(std::uint64_t seed) {
  WorldConfig config = WorldConfig::draw(seed);
  if (LateKnobs(seed).slow_mail) config.schedule.post.max = 20ms;
  return config;
}

class NodeScenario {
 public:
  explicit NodeScenario(const ScenarioOptions& options)
      : options_(options),
        late_(options.seed),
        world_(options.seed, world_of(options.seed)),
        shadow_(world_),
        ledger_(world_),
        workload_{.world = world_, .ledger = ledger_, .mqtt = {}, .kafka = {}, .http = {}, .login = {}},
        node_(world_.add_host("node")),
        clients_(world_.add_host("clients")) {
    shadow_.on_data = [this](const broker::DataEntry& data, std::string_view batch) {
      note_committed(data, batch);
    };
    shadow_.on_control = [this](const broker::ShardState& state) { note_offsets(state); };
    workload_.end_of = [this](const std::string& topic, std::int32_t partition) {
      return shadow_.end_of(topic, partition);
    };
    workload_.is_numbered = [this](const std::string& client_id, std::uint16_t packet_id) {
      return shadow_.is_numbered(client_id, packet_id);
    };
    workload_.disk_fails = [this] { return disk_failed(); };
    workload_.is_subscribed = [this](const std::string& client_id, const std::string& filter) {
      return shadow_.is_subscribed(client_id, filter);
    };
    workload_.has_will = [this](const std::string& payload) { return shadow_.has_will(payload); };
  }

  ScenarioResult run();

 private:
  server::NodeConfig config(ProcessContext& process);
  void boot_node();
  std::vector<Fault> draw_plan();
  void begin_load(Duration base);
  void start_failed(const Error& error, std::uint64_t incarnation);
  bool serves() const;
  std::uint64_t disk_faults_met();
  // In this process, or the last one.
  bool disk_failed() { return disk_faults_met() > disk_faults_before_; }
  void note_committed(const broker::DataEntry& data, std::string_view batch);
  void note_offsets(const broker::ShardState& state);
  void check_produced();
  void check_exactly_once();
  std::uint64_t for_this_long(std::uint64_t at_least) const;
  void check_enough_happened();
  std::string unfinished();
  bool finished() const { return workload_.running.empty(); }

  const ScenarioOptions options_;
  const LateKnobs late_;
  World world_;
  Shadow shadow_;
  Ledger ledger_;
  Workload workload_;
  Host& node_;
  Host& clients_;
  Pace pace_;
  std::optional<Faults> faults_;
  bool faulty_ = false;                   // faults may come
  std::uint64_t disk_faults_before_ = 0;  // when the process began
  Time process_began_{};
  std::uint32_t cores_ = 1;
  // Knobs of this run.
  std::uint64_t file_bytes_ = 0;
  std::uint64_t segment_bytes_ = 0;
  std::uint64_t snapshot_bytes_ = 0;
  std::uint64_t tail_bytes_ = 0;
  std::size_t live_bytes_ = 0;
  std::uint32_t shards_ = 0;
  Duration group_delay_{};
  kafka::FetchSessionOptions fetch_sessions_;
};

// ---- the system -----------------------------------------------------------------------------------------

server::NodeConfig NodeScenario::config(ProcessContext& process) {
  server::NodeConfig config;
  config.data = "/data";
  config.shards = shards_;
  config.mqtt = {{process.host().ip(), 1883}};
  config.kafka = {{process.host().ip(), 9092}};
  config.advertise_kafka = runtime::Endpoint{process.host().ip(), 9092};
  config.http = {{process.host().ip(), 8080}};
  config.journal.store.file_bytes = file_bytes_;
  config.journal.store.tail_cache_bytes = tail_bytes_;
  config.journal.store.max_batch_bytes = std::max<std::uint64_t>(file_bytes_ / 4, 4096);
  config.journal_client.tail_bytes = tail_bytes_;
  config.broker.log.segment_bytes = segment_bytes_;
  config.broker.snapshot_log_bytes = snapshot_bytes_;
  config.broker.replay_bytes = 2 * snapshot_bytes_;
  config.broker.max_live_bytes = live_bytes_;
  config.broker.observer = &shadow_;
  config.broker.default_partitions = 2;
  config.kafka_options.fetch_sessions = fetch_sessions_;
  config.broker.groups.min_session = 1s;
  config.broker.groups.initial_rebalance_delay = group_delay_;
  config.version = "simulated";
  if (workload_.login) config.administrator = {workload_.login->user, workload_.login->password};
  return config;
}

void NodeScenario::boot_node() {
  node_.boot(cores_, [this](ProcessContext& process) {
    if (disk_failed()) workload_.disk_failed.emplace_back(process_began_, world_.now());
    process_began_ = world_.now();
    disk_faults_before_ = disk_faults_met();
    // Now and then it does not get far.
    runtime::Random& random = world_.random(Concern::kFaults);
    if (faulty_ && random.chance(1, 6)) node_.crash_at_file_operation(1 + random.below(200));
    return std::make_unique<NodeProgram>(process, config(process), [this, &process](const Error& error) {
      start_failed(error, process.incarnation());
    });
  });
}

bool NodeScenario::serves() const {
  const auto* program = static_cast<const NodeProgram*>(node_.program());
  return program && program->serves();
}

std::uint64_t NodeScenario::disk_faults_met() {
  const DiskEffects& effects = node_.disk().effects();
  return effects.syncs_failed + effects.reads_failed + effects.writes_failed + effects.no_space;
}

// With a disk that fails it may; the next process tries again.
void NodeScenario::start_failed(const Error& error, std::uint64_t incarnation) {
  if (disk_failed()) return;
  world_.fail("the node does not start: " + error.to_string() + " (process " + std::to_string(incarnation) +
              ")");
}

class Clients final : public Program {
 public:
  Clients(ProcessContext& process, Workload& workload, std::uint32_t newcomers) {
    runtime::Runtime& core = process.core(0);
    for (std::uint32_t publisher = 0; publisher < 3; ++publisher) {
      workload.mqtt_publishers.insert(publisher);
      scope_.spawn(run_mqtt_publisher(core, workload, publisher, 1 + publisher * 8));
    }
    scope_.spawn(run_persistent_subscriber(core, workload, "keeper-of-all"));
    scope_.spawn(run_persistent_subscriber(core, workload, "keeper-too"));
    for (std::uint32_t publisher = 10; publisher < 12; ++publisher) {
      workload.mqtt_publishers.insert(publisher);
      scope_.spawn(run_exactly_once_publisher(core, workload, publisher, publisher % 2 == 0));
    }
    scope_.spawn(run_exactly_once_subscriber(core, workload, "keeper-once"));
    scope_.spawn(run_live_subscriber(core, workload, "live"));
    scope_.spawn(run_shared_member(core, workload, "crew-1", CrewMember::kSteady));
    scope_.spawn(run_shared_member(core, workload, "crew-2", CrewMember::kUnsteady));
    scope_.spawn(run_shared_member(core, workload, "crew-3", CrewMember::kBrief));
    scope_.spawn(run_shared_member(core, workload, "crew-4", CrewMember::kBrief));
    for (std::uint32_t publisher = 100; publisher < 102; ++publisher) {
      workload.kafka_producers.insert(publisher);
      scope_.spawn(run_kafka_producer(core, workload, publisher));
    }
    scope_.spawn(run_kafka_consumer(core, workload, "orders.eu", "consumer"));
    scope_.spawn(run_kafka_consumer(core, workload, "sensors", "sensor-consumer"));
    scope_.spawn(run_group_member(core, workload, "worker-1", std::nullopt));
    scope_.spawn(run_group_member(core, workload, "worker-2", std::nullopt));
    scope_.spawn(run_group_member(core, workload, "worker-3", "instance-3"));
    for (std::uint32_t address = 0; address < kRetainedAddresses; ++address)
      scope_.spawn(run_retained(core, workload, address));
    scope_.spawn(run_asker(core, workload));
    scope_.spawn(run_admin(core, workload, 200));
    scope_.spawn(run_timed(core, workload));
    scope_.spawn(run_will_watcher(core, workload));
    for (std::uint32_t number = 0; number < 3; ++number) {
      scope_.spawn(run_will_client(core, workload, number));
    }
    for (std::uint32_t number = 0; number < newcomers; ++number)
      scope_.spawn(run_newcomer(core, workload, number));
    if (workload.login) scope_.spawn(run_denied(core, workload));
    if (workload.neighbour) scope_.spawn(run_neighbour(core, workload));
  }

 private:
  runtime::Scope scope_;
};

// A group that has offsets is never forgotten within a run, and so its generations only grow.
runtime::Task<bool> prepare_group(Workload& workload, kafka::Client& client) {
  (void)co_await client.metadata({"orders.eu"}, true);
  kafka::OffsetCommitRequest request;
  request.group_id = "workers";
  auto& topic = request.topics.emplace_back();
  topic.name = "orders.eu";
  for (std::int32_t partition = 0; partition < 2; ++partition)
    topic.partitions.push_back({partition, 0, -1, ""});
  auto answer = co_await client.call(std::move(request), 9);
  if (!answer) co_return false;
  for (const auto& partition : answer->topics.front().partitions) {
    if (partition.error != kafka::KafkaError::kNone) co_return false;
  }
  for (std::int32_t partition = 0; partition < 2; ++partition) {
    workload.group.committed(workload.group.committing(-1, partition, 0), GroupLedger::Outcome::kAccepted);
  }
  co_return true;
}

bool is_there(const Result<kafka::CreateTopicsResponse::Topic>& made) {
  return made &&
         (made->error == kafka::KafkaError::kNone || made->error == kafka::KafkaError::kTopicAlreadyExists);
}

// The topics that capture are made before anything is published.
runtime::Task<bool> prepare_topics(kafka::Client& client) {
  std::vector<kafka::CreateTopicsRequest::Config> sensors, states;
  sensors.push_back({"stele.capture", "sensors/#"});
  sensors.push_back({"retention.ms", "-1"});
  states.push_back({"stele.capture", captured_states(true)});
  co_return is_there(co_await client.create_topic("sensors", 3, sensors)) &&
      is_there(co_await client.create_topic("states", 2, states));
}

// `ready` ends it, wherever it is.
runtime::Task<void> prepare(runtime::Runtime& runtime, Workload& workload, bool& ready) {
  while (true) {
    auto client = co_await kafka::Client::connect(runtime, workload.kafka, kafka_options(workload));
    if (client) {
      const bool done = (!workload.login || co_await make_denied_user(runtime, workload)) &&
                        (!workload.neighbour || co_await make_neighbour(runtime, workload)) &&
                        co_await prepare_topics(**client) && co_await prepare_group(workload, **client);
      (*client)->close();
      if (done) break;
    }
    co_await runtime::sleep(runtime, 50ms);
  }
  ready = true;
}

// ---- faults ---------------------------------------------------------------------------------------------

// The faults of the episodes. A run without enough crashes gets some.
std::vector<Fault> NodeScenario::draw_plan() {
  FaultMenu menu = FaultMenu::ordinary({"node"}, {"clients"});
  for (std::uint32_t& rate : menu.per_hour) rate *= kFaultsTimes;
  menu.rate(FaultKind::kUnresolvable) = 0;  // clients go by addresses
  if (late_.newcomers == 0) menu.rate(FaultKind::kCorePauses) = 0;
  menu.until = pace_.busy();
  runtime::Random& random = world_.random(Concern::kFaults);
  std::vector<Fault> plan = draw_faults(random, menu);
  std::uint64_t crashes = 0;
  for (const Fault& fault : plan) {
    crashes += fault.kind == FaultKind::kPowerLoss || fault.kind == FaultKind::kKill;
  }
  for (; crashes < 2 * kCrashes; ++crashes) {
    plan.push_back({.at = Duration(random.between(0, menu.until.count())),
                    .kind = FaultKind::kPowerLoss,
                    .host = "node",
                    .lasts = Duration(random.between(1'000'000, 3'000'000'000))});
  }
  for (Fault& fault : plan) fault.at = world_.elapsed() + pace_.when(fault.at);
  std::ranges::sort(plan);
  for (const Fault& fault : plan) {
    if (fault.kind != FaultKind::kNoSpace) continue;
    workload_.short_of_space.emplace_back(Time(fault.at), Time(fault.at + fault.lasts + 10s));
  }
  return plan;
}

void NodeScenario::begin_load(Duration base) {
  for (const Episode& episode : pace_.episodes()) {
    world_.at(Time(base + episode.begin), [this, &episode] {
      workload_.loaded = true;
      workload_.send_until = ledger_.sent_count() + episode.messages;
    });
    world_.at(Time(base + episode.load_end), [this] { workload_.loaded = false; });
  }
}

// ---- judging --------------------------------------------------------------------------------------------

void NodeScenario::note_committed(const broker::DataEntry& data, std::string_view batch) {
  broker::for_each_message(Bytes::copy(batch), data.address, false,
                           [&](const MessageView& message, const Bytes&, std::uint32_t) {
                             const auto id = MessageId::parse(message.payload);
                             if (id && id->publisher == kDeniedPublisher) {
                               return world_.fail("a message of a user without rights was kept");
                             }
                             if (id) ledger_.committed(*id);
                             if (data.will && !data.stream_only) {
                               workload_.wills.published(std::string(message.payload));
                             }
                           });
}

void NodeScenario::note_offsets(const broker::ShardState& state) {
  const broker::GroupState* group = state.groups().find({kDefaultTenant, "workers"});
  if (!group) return;
  for (const auto& [stream, committed] : group->offsets)
    workload_.group.logged(stream.partition.value, committed.offset.value);
}

std::string NodeScenario::unfinished() {
  std::set<MessageId> wanted;
  for (const MessageId& id : ledger_.acknowledged()) {
    if (workload_.mqtt_publishers.contains(id.publisher)) wanted.insert(id);
  }
  std::string out;
  if (workload_.wills.missing() > 0) {
    out += "; " + std::to_string(workload_.wills.missing()) + " wills have not come, the first " +
           workload_.wills.first_missing();
  }
  const auto crew_lacks = ledger_.missing("crew", wanted_by_crew(workload_));
  if (!crew_lacks.empty()) {
    out +=
        "; the crew lacks " + std::to_string(crew_lacks.size()) + ", the first " + crew_lacks.front().text();
  }
  for (const char* who : {"keeper-of-all", "keeper-too", "keeper-once", "sensor-consumer-sensors"}) {
    const auto missing = ledger_.missing(who, wanted);
    if (missing.empty()) continue;
    out += "; " + std::string(who) + " lacks " + std::to_string(missing.size()) + " of " +
           std::to_string(wanted.size()) + " from " + missing.front().text() + " to " +
           missing.back().text() + " (" + shadow_.describe(who) + ")";
  }
  return out;
}

// What a producer was told is where it is.
void NodeScenario::check_produced() {
  for (const auto& [place, id] : workload_.produced) {
    auto found = workload_.records.find(place);
    const auto& [topic, partition, offset] = place;
    const std::string where =
        topic + "-" + std::to_string(partition) + " at offset " + std::to_string(offset);
    if (found == workload_.records.end()) {
      return world_.fail("message " + id.text() + " was acknowledged for " + where + " and is not there");
    }
    if (MessageId::parse(found->second) != id) {
      return world_.fail("message " + id.text() + " was acknowledged for " + where + ", which holds another");
    }
  }
  for (const MessageId& id : ledger_.acknowledged()) {
    if (workload_.kafka_producers.contains(id.publisher) && !ledger_.has_received("group-orders.eu", id)) {
      return world_.fail("message " + id.text() + " was acknowledged and no member of the group has read it");
    }
    if (!workload_.mqtt_publishers.contains(id.publisher)) continue;
    if (!ledger_.has_received("sensor-consumer-sensors", id)) {
      return world_.fail("message " + id.text() +
                         " was acknowledged and is not in the topic that captures it");
    }
  }
}

// No message with QoS 2 is twice in the topic that captures it, and none that was refused is there at all.
void NodeScenario::check_exactly_once() {
  std::set<MessageId> seen;
  for (const auto& [place, payload] : workload_.records) {
    if (std::get<0>(place) != "sensors") continue;
    const auto id = MessageId::parse(payload);
    if (!id || !workload_.exactly_once.contains(*id)) continue;
    if (!seen.insert(*id).second) {
      return world_.fail("message " + id->text() +
                         ", sent with QoS 2, is twice in the topic that captures it");
    }
    if (workload_.refused_exactly_once.contains(*id)) {
      return world_.fail("message " + id->text() + ", sent with QoS 2, was refused and is kept all the same");
    }
  }
}

// Of what is to happen within half an hour.
std::uint64_t NodeScenario::for_this_long(std::uint64_t at_least) const {
  const auto minutes = static_cast<std::uint64_t>(options_.duration / 1min);
  return at_least * std::min<std::uint64_t>(minutes, 30) / 30;
}

void NodeScenario::check_enough_happened() {
  struct Floor {
    const char* what;
    std::uint64_t happened, at_least;
  };
  const std::uint64_t pauses_of_cores = faults_->injected(FaultKind::kCorePauses);
  const Floor floors[] = {
      {"operations", ledger_.operations(), kOperations},
      {"faults", faults_->injected() - pauses_of_cores, kFaults},
      {"crashes", node_.crashes(), kCrashes},
      {"denials", workload_.denials, workload_.login ? kDenials : 0},
      {"messages of the neighbour", ledger_.received_count(kNeighbourReader),
       workload_.neighbour ? kNeighbourMessages / 2 : 0},
      {"newcomers", workload_.newcomers, late_.newcomers > 0 ? kNewcomers : 0},
      {"wills that came", workload_.wills.came(), kWillsThatCome},
      {"wills that had to stay away", workload_.wills.kept_away(), kWillsKeptAway},
  };
  for (const auto& [what, happened, at_least] : floors) {
    if (happened >= for_this_long(at_least)) continue;
    return world_.fail("too little happened to show anything: " + std::to_string(happened) + " " + what);
  }
}

ScenarioResult NodeScenario::run() {
  std::optional<Observer> observer;
  if (options_.observe.any()) observer.emplace(world_, options_.observe);
  runtime::Random& knobs = world_.random(Concern::kKnobs);
  cores_ = static_cast<std::uint32_t>(knobs.between(1, 3));
  shards_ = static_cast<std::uint32_t>(1) << knobs.below(5);
  file_bytes_ = 16384ULL << knobs.below(8);
  segment_bytes_ = 8192ULL << knobs.below(10);
  snapshot_bytes_ = 16384ULL << knobs.below(6);
  tail_bytes_ = 16384ULL << knobs.below(8);
  live_bytes_ = late_.live_bytes;
  if (late_.newcomers > 0) cores_ = late_.cores;
  workload_.crew.exactly_once = knobs.chance(1, 2);
  group_delay_ = knobs.chance(1, 2) ? Duration(0) : Duration(knobs.between(0, 3'000'000'000));
  if (knobs.chance(1, 2)) workload_.login = MqttPeer::Login{"root", "the password of root"};
  workload_.neighbour = workload_.login && late_.neighbour;
  fetch_sessions_.sessions = static_cast<std::uint32_t>(knobs.between(0, 4));
  fetch_sessions_.partitions = static_cast<std::uint64_t>(knobs.between(3, 12));
  fetch_sessions_.keep = Duration(knobs.between(0, 2'000'000'000));
  pace_ = Pace::draw(world_.random(Concern::kWorkload), options_.duration, kMessages);

  boot_node();
  bool ready = false;
  clients_.boot(1, program([this, &ready](ProcessContext& process) {
                  return prepare(process.core(0), workload_, ready);
                }));
  workload_.mqtt = {.tcp = {node_.ip(), 1883}};
  if (knobs.chance(1, 3)) workload_.mqtt.websocket = runtime::Endpoint{node_.ip(), 8080};
  workload_.kafka = {node_.ip(), 9092};
  workload_.http = {node_.ip(), 8080};
  RunResult result = world_.run_until([&] { return ready; }, 1min);
  if (result.reason == StopReason::kTime) world_.fail("the node does not serve within a minute");
  clients_.crash(CrashMode::kKill);
  clients_.boot(1, [this](ProcessContext& process) {
    return std::make_unique<Clients>(process, workload_, late_.newcomers);
  });
  begin_load(world_.elapsed());
  faults_.emplace(world_, draw_plan());
  faults_->supervise(node_);
  faulty_ = true;
  if (!world_.failed()) result = world_.run_for(options_.duration);
  faulty_ = false;
  faults_->stop();
  // The calm begins with a node that serves: one that was asked to end may not have come to it.
  if (!world_.failed()) {
    result = world_.run_until([this] { return serves(); }, kCalmDown);
    if (result.reason == StopReason::kTime) world_.fail("after the faults, the node does not serve");
  }
  // In an unlucky run hardly anybody was served: its clients go on until they have shown something.
  if (!world_.failed() && ledger_.operations() < for_this_long(kOperations)) {
    workload_.loaded = true;
    workload_.send_until = UINT64_MAX;
    result =
        world_.run_until([this] { return ledger_.operations() >= for_this_long(kOperations); }, kCalmDown);
    workload_.loaded = false;
  }
  workload_.stopping = true;
  if (!world_.failed()) {
    result = world_.run_until([this] { return finished(); }, kCalmDown);
    if (result.reason == StopReason::kTime) {
      std::string who;
      for (const std::string& name : workload_.running) who += " " + name;
      world_.fail("after the faults, clients are not done within the time:" + who + unfinished());
    }
  }
  if (!world_.failed()) check_produced();
  if (!world_.failed()) check_exactly_once();
  if (!world_.failed()) check_enough_happened();
  world_.mix(shadow_.hash());
  world_.mix(ledger_.operations());
  if (!world_.failed()) result = world_.run_for(0ns);
  ScenarioResult out;
  out.ok = !world_.failed() && !result.broken();
  out.why = result.detail;
  if (!out.ok) {
    if (out.why.empty()) out.why = world_.run_for(0ns).detail;
    out.lines = world_.trace().lines();
  }
  out.operations = ledger_.operations();
  out.faults = faults_->injected();
  for (const auto& [kind, injected, skipped, met] : faults_->counts())
    out.fault_counts.push_back({to_string(kind), injected, skipped, met});
  out.crashes = node_.crashes();
  out.events = world_.counters().events;
  out.hash = world_.hash();
  out.simulated = world_.elapsed();
  return out;
}

}  // namespace

ScenarioResult run_node(const ScenarioOptions& options) {
  return NodeScenario(options).run();
}

ScenarioResult run_canary(const ScenarioOptions& options) {
  World world(options.seed);
  std::optional<Observer> observer;
  if (options.observe.any()) observer.emplace(world, options.observe);
  world.fail("the canary fails always");
  const RunResult result = world.run_for(std::chrono::seconds(1));
  ScenarioResult out;
  out.why = result.detail;
  out.hash = world.hash();
  return out;
}

const std::vector<ScenarioInfo>& all_scenarios() {
  static const std::vector<ScenarioInfo> all = {
      {"node", "one node with MQTT and Kafka clients; crashes, restarts, network and disk faults", run_node},
      {"canary", "fails always: shows that a failure is seen as one", run_canary},
  };
  return all;
}

}  // namespace stele::sim
