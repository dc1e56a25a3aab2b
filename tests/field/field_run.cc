#include "tests/field/field_run.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <utility>

#include "sim/workloads/built_in.h"
#include "sim/workloads/client_kinds.h"
#include "sim/workloads/end_checks.h"
#include "tests/field/plan.h"

namespace stele::field {

using runtime::Duration;
using runtime::Instant;
using runtime::Task;
using sim::Fault;
using sim::FaultKind;
using namespace std::chrono_literals;

namespace {

// Bounds, not expectations: a busy machine takes its time.
constexpr Duration kStarts = 120s;    // until it serves
constexpr Duration kEnds = 120s;      // after SIGTERM
constexpr Duration kCalmDown = 300s;  // until all clients have everything
constexpr Duration kVerifies = 120s;
// Of a second of load: so many messages are sent at most, and so many operations there are at least.
constexpr std::uint64_t kMessages = 400, kOperations = 10;
constexpr Duration kLook = 10ms;
constexpr Duration kTriesAgain = 500ms;
// Some times what a run leaves behind.
constexpr std::uint64_t kSmallDiskBytes = 192 << 20;

std::string bytes_of(std::uint64_t mebibytes) {
  return std::to_string(mebibytes) + "MiB";
}

std::string seconds_of(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  const std::string rest = std::to_string(1000 + ms % 1000);
  return std::to_string(ms / 1000) + "." + rest.substr(1);
}

}  // namespace

FieldRun::FieldRun(runtime::Runtime& runtime, FieldOptions options)
    : runtime_(runtime),
      options_(std::move(options)),
      began_(runtime.now()),
      workload_{.judge = *this, .ledger = ledger_, .mqtt = {}, .kafka = {}, .http = {}, .login = {}},
      rdkafka_{.workload = workload_, .log = options_.directory + "/rdkafka.log", .read_to = {}, .began = {}},
      data_(options_.directory + "/data"),
      node_(options_.directory + "/node") {
  workload_.disk_fails = [this] { return disk_failed(); };
  // When a shard refused something is not seen from outside.
  workload_.refused_at = [this] { return short_of_space_until_; };
}

FieldRun::~FieldRun() {
  end_at_once();
}

void FieldRun::say(const std::string& line) const {
  std::printf("%s %s\n", seconds_of(runtime_.now() - began_).c_str(), line.c_str());
  std::fflush(stdout);
}

void FieldRun::fail(std::string why) {
  if (failed()) return;
  say("FAILED: " + why);
  failure_ = std::move(why);
}

Task<bool> FieldRun::wait_until(std::function<bool()> so, Duration at_most) {
  const Instant end = runtime_.now() + at_most;
  while (!so()) {
    if (failed() || runtime_.now() >= end) co_return false;
    co_await runtime::sleep(runtime_, kLook);
  }
  co_return true;
}

// ---- what is drawn --------------------------------------------------------------------------------------

void FieldRun::draw_knobs(runtime::Random knobs) {
  cores_ = static_cast<std::uint64_t>(knobs.between(1, 3));
  newcomers_ = static_cast<std::uint32_t>(knobs.below(2) * 2);
  const auto flag = [this](const char* name, const std::string& value) {
    flags_.emplace_back(std::string("--") + name);
    flags_.push_back(value);
  };
  for (const char* protocol : {"mqtt", "kafka", "http"}) flag(protocol, "127.0.0.1:0");
  flag("shards", std::to_string(1 << knobs.below(5)));
  flag("log-file-bytes", bytes_of(1 << knobs.below(4)));
  flag("segment-bytes", bytes_of(1 << knobs.below(4)));
  const std::uint64_t snapshot = 1 << knobs.below(4);
  flag("snapshot-log-bytes", bytes_of(snapshot));
  flag("replay-bytes", bytes_of(2 * snapshot));
  flag("tail-cache-bytes", bytes_of(1 << knobs.below(4)));
  flag("default-partitions", "2");
  flag("kafka-fetch-sessions", std::to_string(knobs.between(0, 4)));
  flag("group-min-session-timeout-ms", "1000");
  flag("group-initial-rebalance-delay-ms", std::to_string(knobs.chance(1, 2) ? 0 : knobs.between(0, 3000)));
  workload_.crew.exactly_once = knobs.chance(1, 2);
  rdkafka_.cooperative = knobs.chance(1, 2);
  if (knobs.chance(1, 2)) {
    workload_.login = sim::MqttPeer::Login{"root", "the password of root"};
    flag("admin-user", workload_.login->user);
    environment_.push_back("STELE_ADMIN_PASSWORD=" + workload_.login->password);
    workload_.neighbour = knobs.chance(1, 4);
  }
}

// What is preloaded into the node, and the file system that its data is on.
Result<void> FieldRun::make_means(runtime::Random knobs) {
  std::string preloaded;
  const auto preload = [&](const std::string& library, std::vector<std::string> variables) {
    preloaded += (preloaded.empty() ? "" : ":") + library;
    for (std::string& variable : variables) environment_.push_back(std::move(variable));
  };
  if (!options_.library.empty()) {
    STELE_TRY(disk_, Disk::make(options_.library, options_.directory));
    preload(disk_->library(), disk_->environment());
  }
  if (!options_.clock_library.empty()) {
    STELE_TRY(clock_, WallClock::make(options_.clock_library, options_.directory));
    preload(clock_->library(), clock_->environment());
  }
  if (!preloaded.empty()) environment_.push_back("LD_PRELOAD=" + preloaded);
  if (knobs.chance(1, 2) && disk_) make_small_disk();
  flags_.emplace_back("--data");
  flags_.push_back(data_);
  return {};
}

// Where that is not allowed the run goes on without it.
void FieldRun::make_small_disk() {
  std::string why = options_.no_mounts;
  if (why.empty()) {
    auto made = SmallDisk::make(options_.directory + "/disk", kSmallDiskBytes);
    if (made) {
      small_disk_ = *std::move(made);
      data_ = small_disk_->directory() + "/data";
      return say("the data is on a file system of " + std::to_string(kSmallDiskBytes >> 20) + " MiB");
    }
    why = made.error().message;
  }
  say("no file system can be mounted (" + why +
      "): instead of being full, it is said to be full by the preloaded library");
}

Result<void> FieldRun::start_relay(runtime::Random knobs) {
  RelayOptions options{.seed = knobs.next(), .services = 3};
  constexpr std::array<std::int64_t, 4> kLatenciesUs = {0, 500, 2'000, 10'000};
  constexpr std::array<std::size_t, 4> kChunks = {65'536, 65'536, 1'460, 301};
  options.latency_max = std::chrono::microseconds(kLatenciesUs[knobs.below(kLatenciesUs.size())]);
  options.chunk_bytes = kChunks[knobs.below(kChunks.size())];
  STELE_TRY(relay_, Relay::start(options));
  const auto at = [this](std::size_t service) {
    return runtime::Endpoint{"127.0.0.1", relay_->port(service)};
  };
  workload_.mqtt = {.tcp = at(0)};
  workload_.kafka = at(1);
  workload_.http = at(2);
  if (knobs.chance(1, 3)) workload_.mqtt.websocket = at(2);
  flags_.emplace_back("--advertise-kafka");
  flags_.push_back(at(1).to_string());
  say("the relay takes " + std::to_string(options.chunk_bytes) + " bytes at a time and up to " +
      std::to_string(options.latency_max.count()) + " us");
  return {};
}

// ---- the process ----------------------------------------------------------------------------------------

Task<void> FieldRun::supervise(FieldRun& self) {
  while (true) {
    self.look_at_node();
    if (self.clock_) self.clock_->tick();
    co_await runtime::sleep(self.runtime_, kLook);
  }
}

void FieldRun::look_at_node() {
  if (const auto ended = node_.look()) node_ended(*ended);
  if (!node_.running()) {
    if (kept_up_ && !failed() && runtime_.now() >= start_at_) start_node();
    return;
  }
  if (!serves_ && !terminated_) {
    if (const auto ports = node_.ready()) {
      serves_ = true;
      patience_until_ = runtime::kNever;
      relay_->set_target(0, ports->mqtt);
      relay_->set_target(1, ports->kafka);
      relay_->set_target(2, ports->http);
      say("the node serves");
    }
  }
  if (paused_ == 0 && runtime_.now() > patience_until_) {
    patience_until_ = runtime::kNever;
    fail(terminated_ ? "the node does not end" : "the node does not serve");
  }
}

void FieldRun::start_node() {
  if (disk_failed()) workload_.disk_failed.emplace_back(process_began_, now());
  process_began_ = now();
  if (disk_) disk_failures_before_ = disk_->failed();
  std::vector<std::string> argv = {options_.node, "serve", "--cores", std::to_string(cores_)};
  argv.insert(argv.end(), flags_.begin(), flags_.end());
  if (const auto started = node_.start(argv, environment_); !started)
    return fail(started.error().to_string());
  patience_until_ = runtime_.now() + kStarts;
  say("start " + std::to_string(node_.starts()) + ", on " + std::to_string(cores_) + " cores");
}

void FieldRun::node_ended(const NodeProcess::Ended& ended) {
  // Before it says that it serves it may not have come to take SIGTERM for itself.
  const bool in_order =
      terminated_ && (ended.signal == 0 ? ended.status == 0 : ended.signal == SIGTERM && !serves_);
  const bool by_disk = ended.signal == SIGKILL && disk_ && disk_->kills();
  const bool by_us = (killed_ && ended.signal == SIGKILL) || in_order || by_disk;
  if (by_disk) disk_->forget_kill();
  if (clock_) WallClock::clean_up_after(ended.process);
  // It ends itself when what it stores in has failed, or does not start; then SIGTERM is a second one to it.
  const bool at_once = terminated_ && ended.status == 128 + SIGTERM;
  const bool of_disk = ended.signal == 0 && (ended.status == 1 || at_once) && disk_failed();
  say("the node has ended, with " + ended.to_string());
  for (std::size_t service = 0; service < 3; ++service) relay_->set_target(service, std::nullopt);
  serves_ = killed_ = terminated_ = false;
  patience_until_ = runtime::kNever;
  start_at_ = runtime_.now() + std::exchange(down_for_, Duration(0)) + (of_disk ? kTriesAgain : Duration(0));
  if (!by_us && !of_disk) fail("the node ended by itself, with " + ended.to_string());
}

void FieldRun::end_node(int signal, Duration for_this_long, std::uint64_t cores_after) {
  (signal == SIGKILL ? killed_ : terminated_) = true;
  if (signal == SIGTERM) patience_until_ = runtime_.now() + kEnds;
  down_for_ = for_this_long;
  if (cores_after > 0) cores_ = cores_after;
  node_.signal(signal);
}

void FieldRun::end_at_once() {
  const pid_t process = node_.end_at_once();
  if (clock_ && process > 0) WallClock::clean_up_after(process);
}

void FieldRun::pause(bool yes) {
  paused_ = std::max(paused_ + (yes ? 1 : -1), 0);
  node_.signal(paused_ > 0 ? SIGSTOP : SIGCONT);
  if (paused_ == 0 && patience_until_ != runtime::kNever)
    patience_until_ = std::max(patience_until_, runtime_.now() + kStarts);
}

// ---- the run --------------------------------------------------------------------------------------------

Task<FieldResult> FieldRun::run() {
  runtime::Random random(options_.seed);
  draw_knobs(random.fork());
  auto prepared = make_means(random.fork());
  if (prepared) prepared = start_relay(random.fork());
  runtime::Random workload = random.fork(), faults = random.fork();
  const auto messages = kMessages * static_cast<std::uint64_t>(options_.load / 1s);
  pace_ = sim::Pace::draw(workload, options_.load, messages);
  plan_ = options_.plan ? *options_.plan : draw_plan(faults, pace_, means());
  std::ofstream(options_.directory + "/plan") << sim::format_faults(plan_);
  if (!prepared) {
    fail(prepared.error().to_string());
  } else {
    co_await go_through();
  }
  clients_.reset();
  if (failed()) keep_data();
  co_return FieldResult{.ok = !failed(),
                        .why = failure_.value_or(""),
                        .operations = ledger_.operations(),
                        .faults = injected(),
                        .starts = node_.starts()};
}

// What is mounted goes with this process; of a run that has failed somebody will want to see it.
void FieldRun::keep_data() {
  if (!small_disk_) return;
  kept_up_ = false;
  end_at_once();
  if (const auto copied = small_disk_->copy(options_.directory); !copied) say(copied.error().to_string());
}

Task<void> FieldRun::go_through() {
  kept_up_ = true;
  scope_.spawn(supervise(*this));
  scope_.spawn(sim::prepare(runtime_, workload_, prepared_));
  if (!co_await wait_until([this] { return prepared_; }, kStarts))
    co_return fail("the topics and the group cannot be made");
  start_clients();
  say("load and faults for " + seconds_of(options_.load) + " s");
  load_began_ = runtime_.now();
  loading_ = true;
  scope_.spawn(load_in_episodes(*this));
  for (const Fault& fault : plan_) scope_.spawn(inject(*this, fault));
  (void)co_await wait_until([this] { return runtime_.now() >= load_began_ + options_.load; }, options_.load);
  if (!failed()) co_await calm_down();
  if (!failed()) sim::check_end(workload_);
  if (!failed()) sim::judge_histories(contention_);
  if (!failed()) say_what_happened();
  clients_.reset();
  if (!failed()) co_await end_in_order();
}

// Those of scenario `node`, but for libmosquitto's, whose sockets are simulated ones; and librdkafka's.
void FieldRun::start_clients() {
  workload_.contention = &contention_;
  const auto wanted = [this](std::string_view kind) {
    if (kind.starts_with("mosquitto")) return false;
    if (kind == "newcomer") return newcomers_ > 0;
    if (kind == "denied") return workload_.login.has_value();
    if (kind == "neighbour") return workload_.neighbour;
    if (kind == "timed") return options_.timed;
    return !kind.starts_with("will") || options_.wills;
  };
  const auto scenario = sim::find_scenario("node");
  if (!scenario) return fail(scenario.error().to_string());
  clients_.emplace();
  for (const std::string_view kind : sim::client_kind_names()) {
    const auto count = scenario->clients.find(std::string(kind));
    if (count == scenario->clients.end() || !wanted(kind)) continue;
    for (std::uint32_t number = 0; number < count->second; ++number)
      sim::start_client(*clients_, runtime_, workload_, {std::string(kind), number});
  }
  for (std::uint32_t number = 0; number < kRdKafkaProducers; ++number)
    clients_->spawn(run_rdkafka_producer(runtime_, rdkafka_, number));
  for (std::uint32_t number = 0; number < kRdKafkaMembers; ++number)
    clients_->spawn(run_rdkafka_member(runtime_, rdkafka_, number));
}

Task<void> FieldRun::calm_down() {
  loading_ = workload_.loaded = false;
  relay_->heal();
  if (disk_) disk_->heal();
  if (small_disk_) small_disk_->make_room();
  if (clock_) clock_->heal();
  paused_ = 1;
  pause(false);
  say("calm, after " + std::to_string(ledger_.operations()) + " operations, " +
      std::to_string(ledger_.sent_count()) + " messages sent and " +
      std::to_string(ledger_.acknowledged_count()) + " acknowledged; " + rdkafka_.what_happened());
  if (!co_await wait_until([this] { return serves_ && !terminated_; }, kStarts + kEnds))
    co_return fail("after the faults, the node does not serve");
  // In an unlucky run hardly anybody was served: its clients go on until they have shown something.
  if (!enough_happened()) {
    say("too little happened to show anything: the clients go on");
    workload_.loaded = true;
    workload_.send_until = UINT64_MAX;
    if (!co_await wait_until([this] { return enough_happened(); }, kCalmDown))
      co_return fail("after the faults, too little happens to show anything");
    workload_.loaded = false;
  }
  workload_.stopping = true;
  if (co_await wait_until([this] { return workload_.running.empty(); }, kCalmDown)) co_return;
  std::string who;
  for (const std::string& name : workload_.running) who += " " + name;
  fail("after the faults, clients are not done within the time:" + who +
       sim::missing_at_the_end(workload_, nullptr));
}

Task<void> FieldRun::end_in_order() {
  say("all clients are done");
  kept_up_ = false;
  end_node(SIGTERM, Duration(0), 0);
  (void)co_await wait_until([this] { return !node_.running(); }, kEnds);
  if (failed()) co_return;
  NodeProcess verify(options_.directory + "/verify");
  const auto started = verify.start({options_.node, "verify", data_}, {});
  if (!started) co_return fail(started.error().to_string());
  std::optional<NodeProcess::Ended> ended;
  (void)co_await wait_until([&] { return (ended = verify.look()).has_value(); }, kVerifies);
  if (!ended || ended->signal != 0 || ended->status != 0)
    fail("what it has left cannot be verified: " + (ended ? ended->to_string() : "it takes too long"));
}

std::uint64_t FieldRun::injected() const {
  return std::accumulate(injected_.begin(), injected_.end(), std::uint64_t{0});
}

bool FieldRun::enough_happened() const {
  const auto seconds = static_cast<std::uint64_t>(options_.load / 1s);
  return ledger_.operations() >= kOperations * seconds && rdkafka_.acknowledged >= seconds &&
         rdkafka_.received >= seconds;
}

void FieldRun::say_what_happened() const {
  std::string counts;
  for (std::size_t i = 0; i < sim::kFaultKinds; ++i) {
    if (injected_[i] == 0) continue;
    counts +=
        " " + std::string(sim::to_string(static_cast<FaultKind>(i))) + "=" + std::to_string(injected_[i]);
  }
  if (disk_ && small_disk_)
    counts += "; " + std::to_string(disk_->full()) + " writes found no room, " +
              std::to_string(disk_->stopped()) + " room for a part";
  if (clock_) counts += "; the wall clock is " + std::to_string(clock_->ahead_s()) + " s ahead";
  say(rdkafka_.what_happened());
  const RelayCounts relay = relay_->counts();
  say("faults:" + counts + "; the relay: " + std::to_string(relay.connections) + " connections, " +
      std::to_string(relay.resets) + " reset, " + std::to_string(relay.refused) + " refused, " +
      std::to_string(relay.held) + " times bytes were held");
}

}  // namespace stele::field
