#include "sim/workloads/meta_member.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "sim/workloads/raft_options.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Task;

namespace {
constexpr Uuid kCluster{1, 2};
// How long a command waits for a leader: whoever waits longer for a group that is cut off learns nothing.
constexpr Duration kPatience = 10s;
}  // namespace

MetaMemberOptions meta_options(const Knobs& knobs, std::uint32_t voters, std::uint32_t members,
                               const std::function<std::string(std::uint32_t)>& host_of) {
  MetaMemberOptions out;
  out.group.directory = "/meta";
  out.group.member = raft_options(knobs);
  // A copy of the database is much larger than what a part of a register may be.
  out.group.member.snapshot_part_bytes = std::max<std::size_t>(out.group.member.snapshot_part_bytes, 4096);
  out.group.patience = kPatience;
  for (std::uint32_t number = 1; number <= members; ++number) {
    out.hosts[NodeId(number)] = host_of(number);
    (number <= voters ? out.group.member.founders.voters : out.group.member.founders.learners)
        .insert(NodeId(number));
  }
  out.leases = {.expiry = 3s, .drift = 20};  // clocks drift by up to five in a hundred
  return out;
}

WorldConfig meta_world(const Knobs& knobs) {
  WorldConfig config = WorldConfig::of(knobs);
  config.network.latency.max = std::min<Duration>(config.network.latency.max, 20ms);
  config.network.window_bytes = std::max<std::size_t>(config.network.window_bytes, 16 << 10);
  config.network.read_bytes = std::max<std::size_t>(config.network.read_bytes, 1500);
  return config;
}

MetaMember::MetaMember(ProcessContext& process, MetaMemberOptions options, NodeId self)
    : process_(process),
      options_(std::move(options)),
      self_(self),
      identity_{.cluster = kCluster, .node = self, .incarnation = process.incarnation()},
      channels_(process.core(0), identity_, {}),
      peers_(process.core(0), channels_, 2s) {
  for (runtime::Runtime* core : process.cores()) {
    auto& on = *cores_.emplace_back(std::make_unique<OnCore>(*core, identity_));
    peers_.serve(*core, on.server);
  }
}

MetaMember::~MetaMember() = default;

Task<void> MetaMember::listen(RegisterServices register_services) {
  runtime::Runtime& first = core(0);
  for (const auto& [node, host] : options_.hosts) {
    if (node != self_) channels_.set(node, {host, kPort}).keep_open();
  }
  for (std::size_t i = 0; i < cores_.size(); ++i) {
    OnCore& there = *cores_[i];
    co_await go_to(first, there.runtime);
    if (register_services) register_services(i, there.server);
    // Not by its name, which may not be found.
    const auto listening = there.server.listen(there.runtime.network(), {"0.0.0.0", kPort});
    // Unless the process has just crashed.
    if (!listening && listening.error().code != ErrorCode::kUnavailable)
      process_.host().world().fail("a node cannot listen: " + listening.error().to_string());
    co_await go_to(there.runtime, first);
  }
}

Task<bool> MetaMember::serve() {
  runtime::Runtime& first = core(0);
  meta::GroupOptions group = options_.group;
  group.member.core.self = self_;
  auto log = co_await meta::GroupLog::open(first, std::move(group), peers_, peers_);
  if (!log) co_return false;
  log_ = log->get();
  controller_.emplace(first, *log_,
                      meta::ControllerOptions{.leases = options_.leases, .balance = 5s, .balance_moves = 1});
  keeper_.emplace(first, *log_, *controller_, peers_, options_.leases);
  peers_.attach(log_, &*controller_);
  auto service = co_await meta::MetaService::serve(
      first,
      {.directory = options_.group.directory,
       .shard_count = options_.shards,
       .limits = {},
       .on_failure = [this](const Error&) { process_.exit(); }},
      *std::move(log),
      self_ == NodeId(1) ? meta::MetaService::Founder::kYes : meta::MetaService::Founder::kNo);
  if (!service) {
    peers_.attach(nullptr, nullptr);
    co_return false;
  }
  service_ = *std::move(service);
  for (auto& there : cores_) {
    co_await go_to(first, there->runtime);
    auto client = co_await meta::MetaClient::connect(there->runtime, service_->state());
    if (client) there->client = *std::move(client);
    co_await go_to(there->runtime, first);
    if (!client) co_return false;
  }
  serving_ = true;
  co_return true;
}

void MetaMember::enter(std::uint64_t disk) {
  scope_.spawn(stay(*this, disk));
}

// What a broker does: registers, keeps its lease, and begins anew when it is told that it has ended.
Task<void> MetaMember::stay(MetaMember& self, std::uint64_t disk) {
  OnCore& here = *self.cores_.front();
  while (!self.closing_) {
    auto node = co_await here.client->execute(
        meta::RegisterNode{.node = self.self_,
                           .addresses = {{"rpc", self.process_.host().name(), kPort}},
                           .roles = self.options_.group.member.founders.voters.contains(self.self_)
                                        ? meta::kAllRoles
                                        : meta::kJournalRole | meta::kBrokerRole,
                           .zone = {},
                           .disk = disk,
                           .product = {}});
    if (!node) {
      co_await runtime::sleep(here.runtime, 50ms);
      continue;
    }
    self.incarnation_ = node->incarnation;
    if (self.on_incarnation) self.on_incarnation(node->incarnation);
    auto ended = std::make_shared<bool>(false);
    self.keeper_->keep(node->incarnation, [ended] { *ended = true; });
    while (!*ended && !self.closing_) co_await runtime::sleep(here.runtime, 50ms);
    self.incarnation_ = meta::Incarnation(0);
  }
}

std::optional<runtime::Instant> MetaMember::holds_until(meta::Incarnation incarnation) const {
  return keeper_ && incarnation_ == incarnation ? keeper_->until() : std::nullopt;
}

Task<void> MetaMember::close() {
  closing_ = true;
  if (!service_) co_return;
  co_await keeper_->close();
  co_await controller_->close();
  co_await service_->close();
  co_await peers_.close();
  serving_ = false;
}

}  // namespace stele::sim
