#include "sim/world.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/assert.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/process.h"

namespace stele::sim {
namespace {

std::array<runtime::Random, kConcerns> make_streams(std::uint64_t seed) {
  const auto stream = [seed](Concern concern) { return stream_of(seed, concern); };
  return {stream(Concern::kSchedule), stream(Concern::kNetwork), stream(Concern::kDisk),
          stream(Concern::kProcess),  stream(Concern::kClock),   stream(Concern::kFaults),
          stream(Concern::kWorkload), stream(Concern::kKnobs),   stream(Concern::kBuggify)};
}

}  // namespace

runtime::Random stream_of(std::uint64_t seed, Concern concern) {
  return runtime::Random(Hasher().add(seed).add(static_cast<std::uint64_t>(concern)).value());
}

std::string_view to_string(StopReason reason) {
  switch (reason) {
    case StopReason::kDone:
      return "done";
    case StopReason::kTime:
      return "time";
    case StopReason::kIdle:
      return "idle";
    case StopReason::kBudget:
      return "budget";
    case StopReason::kLivelock:
      return "livelock";
    case StopReason::kFailed:
      return "failed";
  }
  return "?";
}

class World::Action final : public Event, public ListNode<> {
 public:
  explicit Action(runtime::Work act) : Event(EventKind::kAction, Subject{}), act_(std::move(act)) {}
  void fire() override {
    runtime::Work act = std::move(act_);
    delete this;
    act();
  }

 private:
  runtime::Work act_;
};

World::World(std::uint64_t seed, WorldConfig config)
    : seed_(seed),
      config_(config),
      streams_(make_streams(seed)),
      trace_(config.trace_events, config.trace_lines),
      fabric_(std::make_unique<Fabric>(*this)) {
  hash_.add(seed);
  set_buggify([this](Buggify point) { return decide(point); });
}

World::~World() {
  set_buggify({});
  trace_.set_sink(nullptr);
  for (auto& host : hosts_) {
    if (host->running()) host->stop(CrashMode::kPowerLoss, false);
  }
  while (!actions_.empty()) delete &actions_.pop_front();
}

bool World::decide(Buggify point) {
  const auto at = static_cast<std::size_t>(point);
  const std::uint64_t one_in = config_.buggify_one_in.at(at);
  if (one_in == 0 || buggify_over_ || !random(Concern::kBuggify).chance(1, one_in)) return false;
  ++counters_.buggified.at(at);
  return true;
}

Host& World::add_host(std::string name, std::string ip) {
  const auto id = static_cast<std::uint32_t>(hosts_.size() + 1);
  if (ip.empty()) ip = "10.0." + std::to_string(id / 256) + "." + std::to_string(id % 256);
  STELE_ASSERT(!find_host(name) && !find_host(ip));
  trace_.name_host(id, name);
  hosts_.push_back(std::make_unique<Host>(*this, HostId(id), std::move(name), std::move(ip)));
  return *hosts_.back();
}

Host* World::find_host(std::string_view name_or_ip) {
  for (auto& host : hosts_) {
    if (host->name() == name_or_ip || host->ip() == name_or_ip) return host.get();
  }
  return nullptr;
}

void World::at(Time when, runtime::Work act) {
  auto* action = new Action(std::move(act));
  actions_.push_back(*action);
  schedule(*action, when);
}

void World::step() {
  const Time next = queue_.next();
  events_at_now_ = next == now_ ? events_at_now_ + 1 : 0;
  STELE_ASSERT(next >= now_);
  now_ = next;
  Event& event = queue_.pop();
  ++counters_.events;
  const Subject subject = event.subject();
  hash_.add((static_cast<std::uint64_t>(event.kind()) << 56) ^
            (static_cast<std::uint64_t>(subject.host) << 32) ^ subject.part);
  hash_.add(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  trace_.event(now_, event.kind(), subject);
  if (counters_.events == break_at_) __builtin_debugtrap();
  event.fire();
  if (fingerprints_ != nullptr) {
    const std::uint64_t now = hash();
    std::fwrite(&now, sizeof now, 1, fingerprints_);
  }
}

std::optional<RunResult> World::broken() {
  if (failure_) return RunResult{StopReason::kFailed, *failure_};
  if (counters_.events >= config_.event_budget) {
    return RunResult{StopReason::kBudget, "more than " + std::to_string(config_.event_budget) +
                                              " events, at " + format_time(now_)};
  }
  if (events_at_now_ >= config_.livelock_events) {
    return RunResult{StopReason::kLivelock, std::to_string(events_at_now_) +
                                                " events with no progress of time, at " + format_time(now_)};
  }
  return std::nullopt;
}

RunResult World::run_until(const std::function<bool()>& done, Duration limit) {
  STELE_ASSERT(!running_);
  const Time end = now_ + limit;
  events_at_now_ = 0;
  for (;;) {
    if (auto result = broken()) return *std::move(result);
    if (done && done()) return {StopReason::kDone, ""};
    if (queue_.next() > end || queue_.empty()) break;
    step();
  }
  now_ = end;
  return {queue_.empty() ? StopReason::kIdle : StopReason::kTime, ""};
}

RunResult World::run_for(Duration duration) {
  return run_until(nullptr, duration);
}

void World::note(std::string_view text, std::initializer_list<std::uint64_t> values) {
  hash_.add(text);
  std::string line(text);
  for (const std::uint64_t value : values) {
    hash_.add(value);
    line += " " + std::to_string(value);
  }
  const Subject subject = running_ ? Subject{running_->host().id().value, 0} : Subject{};
  trace_.line(now_, EventKind::kNote, subject, line);
}

void World::fail(std::string why) {
  if (failure_) return;
  trace_.line(now_, EventKind::kNote, Subject{}, "FAILED: " + why);
  failure_ = std::move(why);
}

std::uint64_t World::hash() const {
  Hasher hash = hash_;
  for (runtime::Random stream : streams_) hash.add(stream.next());
  for (const auto& host : hosts_) hash.add(host->disk().draws());
  return hash.add(counters_.events).value();
}

TraceOnAssert::TraceOnAssert(World& world, std::string headline)
    : world_(world), headline_(std::move(headline)) {
  set_assertion_hook(
      [](void* self) {
        const auto& report = *static_cast<TraceOnAssert*>(self);
        const std::string text = report.world_.trace().text() + report.headline_ + "\n";
        std::fwrite(text.data(), 1, text.size(), stderr);
      },
      this);
}

TraceOnAssert::~TraceOnAssert() {
  set_assertion_hook(nullptr, nullptr);
}

}  // namespace stele::sim
