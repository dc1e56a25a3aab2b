// Scenario `node`: one node, whole and unchanged, with MQTT and Kafka clients, while its machine and its
// network fail. Judged throughout and at the end (clients.h, shadow.h, ledger.h).
#include <algorithm>
#include <memory>
#include <utility>

#include "base/assert.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/scenario.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/node_program.h"
#include "sim/workloads/shadow.h"
#include "sim/world.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Duration;

namespace {

// A run in which less happened shows nothing; per virtual minute.
constexpr std::uint64_t kOperationsPerMinute = 100;
constexpr std::uint64_t kFaultsPerMinute = 1;
// After the faults everything must be done within so much virtual time.
constexpr Duration kCalmDown = 10min;

class NodeScenario {
 public:
  explicit NodeScenario(const ScenarioOptions& options)
      : options_(options),
        world_(options.seed, WorldConfig::draw(options.seed)),
        shadow_(world_),
        ledger_(world_),
        workload_{.world = world_, .ledger = ledger_, .mqtt = {}, .kafka = {}},
        node_(world_.add_host("node")),
        clients_(world_.add_host("clients")) {
    shadow_.on_data = [this](const broker::DataEntry& data, std::string_view batch) { note_committed(data, batch); };
  }

  ScenarioResult run();

 private:
  server::NodeConfig config(ProcessContext& process);
  void boot_node();
  void boot_clients();
  void plan_fault();
  void inject();
  void node_came_down();
  void heal();
  void note_committed(const broker::DataEntry& data, std::string_view batch);
  void check_produced();
  bool finished() const { return workload_.running == 0; }

  const ScenarioOptions options_;
  World world_;
  Shadow shadow_;
  Ledger ledger_;
  Workload workload_;
  Host& node_;
  Host& clients_;
  bool faults_ = true;
  std::uint64_t injected_ = 0;
  Duration mean_between_faults_{};
  std::uint32_t cores_ = 1;
  // Knobs of this run.
  std::uint64_t file_bytes_ = 0;
  std::uint64_t segment_bytes_ = 0;
  std::uint64_t snapshot_bytes_ = 0;
  std::uint64_t tail_bytes_ = 0;
  std::uint32_t shards_ = 0;
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
  config.broker.observer = &shadow_;
  config.broker.default_partitions = 2;
  config.version = "simulated";
  return config;
}

void NodeScenario::boot_node() {
  node_.boot(cores_, [this](ProcessContext& process) {
    return std::make_unique<NodeProgram>(process, config(process), [this, &process](const Error& error) {
      world_.fail("the node does not start: " + error.to_string() + " (process " +
                  std::to_string(process.incarnation()) + ")");
    });
  });
}

void NodeScenario::boot_clients() {
  workload_.mqtt = {node_.ip(), 1883};
  workload_.kafka = {node_.ip(), 9092};
  clients_.boot(1, program([this](ProcessContext& process) -> runtime::Task<void> {
                  return drive(process, workload_);
                }));
}

runtime::Task<void> drive_all(ProcessContext& process, Workload& workload, runtime::Scope& scope);

}  // namespace
}  // namespace stele::sim
