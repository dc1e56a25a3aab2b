// One node, whole and unchanged, with MQTT and Kafka clients, while its machine and its network fail; or
// three of them that are a cluster, and clients that go to any of them. Judged throughout and at the end
// (clients.h, shadow.h, ledger.h, end_checks.h).
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/message_batch.h"
#include "sim/faults.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/scenario.h"
#include "sim/workloads/case.h"
#include "sim/workloads/client_kinds.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/contenders.h"
#include "sim/workloads/end_checks.h"
#include "sim/workloads/node_config.h"
#include "sim/workloads/node_knobs.h"
#include "sim/workloads/node_program.h"
#include "sim/workloads/shadow.h"
#include "sim/workloads/tls_material.h"
#include "sim/workloads/world_judge.h"
#include "sim/world.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Duration;

namespace {

// After the faults everything must be done within so much virtual time.
constexpr Duration kCalmDown = 10min;
constexpr std::uint16_t kRpcPort = 7000;

class NodeRun {
 public:
  NodeRun(const Case& of, const Observation& observe);
  ScenarioResult run();

 private:
  Host& add_hosts();
  void speak_tls();
  bool is_cluster() const { return nodes_.size() > 1; }
  server::NodeConfig config(ProcessContext& process, std::uint32_t number);
  void boot_nodes();
  void boot_node(std::uint32_t number);
  void prepare_clients();
  void begin_load();
  void begin_faults();
  void end_faults();
  void judge();
  void start_failed(std::uint32_t number, const Error& error, std::uint64_t incarnation);
  bool serves() const;         // all of them
  std::string silent() const;  // those that do not
  // Of a node's present process, or the last one.
  struct NodeOfRun {
    Host* host = nullptr;
    std::uint64_t disk_faults_before = 0;  // when the process began
    Time process_began{};
    std::uint64_t disk_faults_met() const { return host->disk().effects().errors(); }
    bool disk_failed() const { return disk_faults_met() > disk_faults_before; }
  };
  bool a_disk_failed() const {
    return std::ranges::any_of(nodes_, [](const NodeOfRun& node) { return node.disk_failed(); });
  }
  std::uint64_t crashes() const;
  void note_committed(const broker::DataEntry& data, std::string_view batch);
  void note_offsets(const broker::ShardState& state);
  std::uint64_t floor(const std::string& name) const;
  std::string too_little(bool of_clients) const;
  void check_enough_happened();
  ScenarioResult result(const RunResult& end);

  const Case& of_;
  World world_;
  std::optional<Observer> observer_;
  std::optional<SeededTls> tls_;
  Shadow shadow_;
  WorldJudge judge_;
  Ledger ledger_;
  Workload workload_;
  Contention contention_{workload_};
  std::vector<NodeOfRun> nodes_;  // n1, n2, …; or the one that there is
  Host& clients_;
  Host* strangers_ = nullptr;  // where the clients run that others do not share an address with
  std::optional<Faults> faults_;
  bool faulty_ = false;  // faults may come
};

// What the clients of a case run as.
class Clients final : public Program {
 public:
  Clients(ProcessContext& process, Workload& workload, const std::vector<ClientOfCase>& clients,
          bool strangers) {
    for (const ClientOfCase& client : clients) {
      if (is_stranger(client.kind) == strangers) start_client(scope_, process.core(0), workload, client);
    }
  }

 private:
  runtime::Scope scope_;
};

NodeRun::NodeRun(const Case& of, const Observation& observe)
    : of_(of),
      world_(of.seed, WorldConfig::of(of.knobs)),
      shadow_(world_),
      judge_(world_),
      ledger_(judge_),
      workload_{.judge = judge_, .ledger = ledger_, .mqtt = {}, .kafka = {}, .http = {}, .login = {}},
      nodes_(of.system == System::kCluster ? kClusterNodes : 1),
      clients_(add_hosts()) {
  if (observe.any()) observer_.emplace(world_, observe);
  shadow_.several_nodes = ledger_.order_of_each_qos = is_cluster();
  if (is_cluster()) {
    ledger_.owner_has_changed_since = [this](Time when) { return shadow_.owner_began_at() >= when; };
  }
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
  workload_.disk_fails = [this] { return a_disk_failed(); };
  workload_.refused_at = [this] { return shadow_.refused_at(); };
  workload_.is_subscribed = [this](const std::string& client_id, const std::string& filter) {
    return shadow_.is_subscribed(client_id, filter);
  };
  workload_.has_will = [this](const std::string& payload) { return shadow_.has_will(payload); };
  workload_.contention = &contention_;
  workload_.knobs = &of.knobs;
  workload_.little_output = of.knobs["mqtt.output_bytes"] < mqtt::MqttOptions().max_output_bytes;
  workload_.crew.exactly_once = of.knobs["clients.crew_exactly_once"] != 0;
  if (of.knobs["clients.log_in"] != 0) workload_.login = MqttPeer::Login{"root", "the password of root"};
  workload_.neighbour = workload_.login && of.knobs["clients.neighbour"] != 0;
  const std::string& ip = nodes_.front().host->ip();
  workload_.mqtt = {.tcp = {ip, 1883}};
  if (of.knobs["clients.websocket"] != 0) workload_.mqtt.websocket = runtime::Endpoint{ip, 8080};
  workload_.kafka = {ip, 9092};
  workload_.http = {ip, 8080};
  for (std::size_t i = 1; i < nodes_.size(); ++i) {
    workload_.mqtt.others.push_back({nodes_[i].host->ip(), 1883});
    workload_.other_kafkas.push_back({nodes_[i].host->ip(), 9092});
  }
  if (of.knobs["clients.tls"] != 0) speak_tls();
  if (std::ranges::any_of(of.clients, [](const ClientOfCase& one) { return is_stranger(one.kind); }))
    strangers_ = &world_.add_host("strangers");
}

// Those of the nodes; and gives that of the clients.
Host& NodeRun::add_hosts() {
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    nodes_[i].host = &world_.add_host(nodes_.size() == 1 ? "node" : "n" + std::to_string(i + 1));
  return world_.add_host("clients");
}

// MQTT and Kafka clients come to both listeners.
void NodeRun::speak_tls() {
  tls_.emplace(of_.seed);
  const std::string& ip = nodes_.front().host->ip();
  workload_.mqtt.tls = runtime::Endpoint{ip, 8883};
  workload_.mqtt.dial_tls = dial_tls(client_tls());
  workload_.dial_certified = dial_tls(client_tls_of_certified());
  workload_.dial_uncertified = dial_tls(client_tls_of_stranger());
  workload_.kafka_dial = [with = workload_.mqtt.dial_tls, tls = runtime::Endpoint{ip, 9093}](
                             runtime::Runtime& runtime, runtime::Endpoint to, Duration timeout,
                             runtime::StopToken stop) {
    if (runtime.random().chance(1, 2)) return with(runtime, tls, timeout, std::move(stop));
    return runtime.network().connect(std::move(to), timeout, std::move(stop));
  };
}

// ---- the system -----------------------------------------------------------------------------------------

server::NodeConfig NodeRun::config(ProcessContext& process, std::uint32_t number) {
  server::NodeConfig config = node_config(of_.knobs, process.host().ip());
  config.broker.observer = &shadow_;
  if (workload_.login && number == 1)
    config.administrator = {workload_.login->user, workload_.login->password};
  if (!is_cluster()) return config;
  server::ClusterConfig& cluster = config.cluster.emplace();
  cluster.node = NodeId(number);
  cluster.rpc = {process.host().ip(), kRpcPort};
  cluster.open_without_certificates = true;
  if (number > 1) cluster.join = {{nodes_.front().host->ip(), kRpcPort}};
  return config;
}

// The first is there before the others, who ask it for a place.
void NodeRun::boot_nodes() {
  for (std::uint32_t number = 1; number <= nodes_.size(); ++number) boot_node(number);
}

void NodeRun::boot_node(std::uint32_t number) {
  NodeOfRun& node = nodes_[number - 1];
  const auto cores = static_cast<std::uint32_t>(of_.knobs["node.cores"]);
  node.host->boot(cores, [this, number, &node](ProcessContext& process) {
    if (node.disk_failed()) workload_.disk_failed.emplace_back(node.process_began, world_.now());
    node.process_began = world_.now();
    node.disk_faults_before = node.disk_faults_met();
    // Now and then it does not get far.
    runtime::Random& random = world_.random(Concern::kFaults);
    const std::uint64_t one_in = of_.knobs["node.start_crash_one_in"];
    if (faulty_ && one_in > 0 && random.chance(1, one_in))
      node.host->crash_at_file_operation(1 + random.below(200));
    return std::make_unique<NodeProgram>(
        process, config(process, number),
        [this, number, &process](const Error& error) { start_failed(number, error, process.incarnation()); });
  });
}

bool NodeRun::serves() const {
  return std::ranges::all_of(nodes_, [](const NodeOfRun& node) {
    const auto* program = static_cast<const NodeProgram*>(node.host->program());
    return program && program->serves();
  });
}

std::string NodeRun::silent() const {
  std::string out;
  for (const NodeOfRun& node : nodes_) {
    const auto* program = static_cast<const NodeProgram*>(node.host->program());
    if (program && program->serves()) continue;
    out += " " + node.host->name() + (program ? "" : " (no process)");
  }
  return out;
}

std::uint64_t NodeRun::crashes() const {
  std::uint64_t all = 0;
  for (const NodeOfRun& node : nodes_) all += node.host->crashes();
  return all;
}

// With a disk that fails it may; the next process tries again.
void NodeRun::start_failed(std::uint32_t number, const Error& error, std::uint64_t incarnation) {
  const NodeOfRun& node = nodes_[number - 1];
  if (node.disk_failed()) return;
  world_.fail(node.host->name() + " does not start: " + error.to_string() + " (process " +
              std::to_string(incarnation) + ")");
}

// ---- clients and faults ---------------------------------------------------------------------------------

void NodeRun::prepare_clients() {
  bool ready = false;
  clients_.boot(1, program([this, &ready](ProcessContext& process) {
                  return prepare(process.core(0), workload_, ready);
                }));
  const RunResult result = world_.run_until([&] { return ready; }, 1min);
  if (result.reason == StopReason::kTime) world_.fail("the node does not serve within a minute");
  clients_.crash(CrashMode::kKill);
}

void NodeRun::begin_load() {
  clients_.boot(1, [this](ProcessContext& process) {
    return std::make_unique<Clients>(process, workload_, of_.clients, false);
  });
  if (strangers_) {
    strangers_->boot(1, [this](ProcessContext& process) {
      return std::make_unique<Clients>(process, workload_, of_.clients, true);
    });
  }
  for (const Episode& episode : of_.episodes) {
    world_.after(episode.begin, [this, &episode] {
      workload_.loaded = true;
      workload_.send_until = ledger_.sent_count() + episode.messages;
    });
    world_.after(episode.load_end, [this] { workload_.loaded = false; });
  }
}

void NodeRun::begin_faults() {
  for (std::uint32_t i = 0; i < of_.faults_drawn; ++i) (void)world_.random(Concern::kFaults).next();
  std::vector<Fault> plan = of_.faults;
  for (Fault& fault : plan) fault.at += world_.elapsed();
  faults_.emplace(world_, std::move(plan));
  for (const NodeOfRun& node : nodes_) faults_->supervise(*node.host);
  faulty_ = true;
}

// Everything is healed, and the clients come to an end.
void NodeRun::end_faults() {
  faulty_ = false;
  faults_->stop();
  // The calm begins with a node that serves: one that was asked to end may not have come to it.
  if (!world_.failed()) {
    const RunResult result = world_.run_until([this] { return serves(); }, kCalmDown);
    if (result.reason == StopReason::kTime) world_.fail("after the faults, there are nodes that do not serve:" + silent());
  }
  // In an unlucky run hardly anybody was served: its clients go on until they have shown something.
  if (!world_.failed() && !too_little(true).empty()) {
    workload_.loaded = true;
    workload_.send_until = UINT64_MAX;
    world_.run_until([this] { return too_little(true).empty(); }, kCalmDown);
    workload_.loaded = false;
  }
  workload_.stopping = true;
  if (world_.failed()) return;
  const RunResult result = world_.run_until([this] { return workload_.running.empty(); }, kCalmDown);
  if (result.reason != StopReason::kTime) return;
  std::string who;
  for (const std::string& name : workload_.running) who += " " + name;
  world_.fail("after the faults, clients are not done within the time:" + who +
              missing_at_the_end(workload_, [this](const std::string& client_id) {
                return " (" + shadow_.describe(client_id) + ")";
              }));
}

// ---- judging --------------------------------------------------------------------------------------------

void NodeRun::note_committed(const broker::DataEntry& data, std::string_view batch) {
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

void NodeRun::note_offsets(const broker::ShardState& state) {
  const broker::GroupState* group = state.groups().find({kDefaultTenant, "workers"});
  if (!group) return;
  for (const auto& [stream, committed] : group->offsets)
    workload_.group.logged(stream.partition.value, committed.offset.value);
}

std::uint64_t NodeRun::floor(const std::string& name) const {
  const auto found = of_.floors.find(name);
  return found == of_.floors.end() ? 0 : found->second;
}

// What there is too little of; empty if of nothing. `of_clients`: only of what they do while they are loaded.
std::string NodeRun::too_little(bool of_clients) const {
  struct Floor {
    const char* name;
    std::uint64_t happened;
    bool possible = true;
    bool of_clients = true;
  };
  const std::uint64_t pauses_of_cores = faults_->injected(FaultKind::kCorePauses);
  const Floor floors[] = {
      {"operations", ledger_.operations()},
      {"faults", faults_->injected() - pauses_of_cores, true, false},
      {"crashes", crashes(), true, false},
      {"denials", workload_.denials, of_.has_any("denied")},
      {"messages-of-the-neighbour", ledger_.received_count(kNeighbourReader), of_.has_any("neighbour"),
       false},
      // Known once histories are judged.
      {"contended", contention_.contended, of_.has_any("mqtt-contender"), false},
      {"newcomers", workload_.newcomers, of_.has_any("newcomer")},
      {"wills", workload_.wills.came(), of_.has_any("will-client"), false},
      {"wills-kept-away", workload_.wills.kept_away(), of_.has_any("will-client"), false},
  };
  for (const auto& [name, happened, possible, by_clients] : floors) {
    if (!possible || (of_clients && !by_clients) || happened >= floor(name)) continue;
    return std::to_string(happened) + " " + name;
  }
  for (const Showing& showing : showings()) {
    const auto shown = workload_.shown.find(showing.name);
    const std::uint64_t happened = shown == workload_.shown.end() ? 0 : shown->second;
    if (!of_.has_any(showing.client) || happened >= floor(std::string(showing.name))) continue;
    return std::to_string(happened) + " " + std::string(showing.name);
  }
  return "";
}

void NodeRun::check_enough_happened() {
  if (const std::string what = too_little(false); !what.empty())
    world_.fail("too little happened to show anything: " + what);
}

void NodeRun::judge() {
  if (!world_.failed()) check_end(workload_);
  if (!world_.failed()) judge_histories(contention_);
  if (!world_.failed()) check_enough_happened();
}

ScenarioResult NodeRun::run() {
  boot_nodes();
  prepare_clients();
  begin_load();
  begin_faults();
  RunResult end;
  if (!world_.failed()) end = world_.run_for(of_.duration);
  end_faults();
  judge();
  world_.mix(shadow_.hash());
  world_.mix(ledger_.operations());
  end = world_.run_for(0ns);
  return result(end);
}

ScenarioResult NodeRun::result(const RunResult& end) {
  ScenarioResult out;
  out.ok = !world_.failed() && !end.broken();
  out.why = end.detail;
  if (!out.ok) out.lines = world_.trace().lines();
  out.operations = ledger_.operations();
  out.faults = faults_->injected();
  for (const auto& [kind, injected, skipped, met] : faults_->counts())
    out.fault_counts.push_back({to_string(kind), injected, skipped, met});
  out.crashes = crashes();
  out.histories = contention_.histories.size();
  out.undecided = contention_.undecided;
  out.contended = contention_.contended;
  out.events = world_.counters().events;
  out.buggified = world_.counters().buggified;
  out.hash = world_.hash();
  out.simulated = world_.elapsed();
  return out;
}

}  // namespace

ScenarioResult run_node(const Case& of, const Observation& observe) {
  return NodeRun(of, observe).run();
}

}  // namespace stele::sim
