#include <algorithm>
#include <cstdlib>
#include <unordered_set>
#include <utility>

#include "base/assert.h"
#include "base/mutants.h"
#include "sim/files.h"
#include "sim/network.h"
#include "sim/process.h"

namespace stele::sim {

// A job on a worker thread: runs as an event of its own, so that a crash may come before it, in it, between
// it and its completion.
class Core::Offload final : public Event, public Ready, public ListNode<Core::Offload> {
 public:
  Offload(Core& core, runtime::BlockingWork job, runtime::Work done)
      : Event(EventKind::kOffload, core.subject()),
        core_(core),
        job_(std::move(job)),
        done_(std::move(done)) {}

  void fire() override {
    if (!job_) return core_.make_ready(*this);
    STELE_ASSERT(core_.alive());
    Process& process = core_.process();
    World& world = core_.world();
    Running running(process);
    BlockingFilesOfCore files(core_);
    process.begin_job();
    {
      runtime::BlockingWork job = std::exchange(job_, nullptr);
      job(files);
    }
    const Duration took = process.end_job();
    if (!process.alive()) return;
    const Duration back = world.config().schedule.offload.draw(world.random(Concern::kSchedule));
    world.schedule_after(*this, took + back);
  }

  void deliver() override {
    runtime::Work done = std::move(done_);
    delete this;
    done();
  }

 private:
  Core& core_;
  runtime::BlockingWork job_;
  runtime::Work done_;
};

bool CoreLog::enabled(runtime::LogLevel level) const {
  return level != runtime::LogLevel::kOff && level >= core_.world().config().log_level;
}

void CoreLog::write(runtime::LogLevel level, std::string_view component, std::string_view line) {
  if (!core_.alive() || !enabled(level)) return;
  static constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error", "off"};
  std::string text(kNames[static_cast<std::size_t>(level)]);
  text.append(" ").append(component).append(": ").append(line);
  core_.world().trace().line(core_.world().now(), EventKind::kLog, core_.subject(), text);
}

Core::Core(Process& process, std::uint32_t index, runtime::Random random)
    : Event(EventKind::kTurn, Subject{process.host().id().value, index}),
      process_(process),
      host_(process.host()),
      world_(process.host().world()),
      index_(index),
      random_(random),
      log_(*this),
      network_(std::make_unique<NetworkOfCore>(*this)),
      files_(std::make_unique<FilesOfCore>(*this)) {}

Core::~Core() {
  forget();
}

bool Core::alive() const {
  return process_.alive();
}

std::uint32_t Core::core_count() const {
  return process_.core_count();
}

runtime::Instant Core::now() const {
  if (!process_.alive()) return last_now_;
  return in_turn_ ? turn_now_ : host_.clock().monotonic(world_.now());
}

WallTime Core::wall_now() const {
  return host_.clock().wall(world_.now());
}

void Core::arm(runtime::Timer& timer, runtime::Instant deadline) {
  if (!alive()) return;
  timers_.arm(timer, deadline);
  if (!in_turn_) wake_by(host_.clock().when(deadline));
}

void Core::disarm(runtime::Timer& timer) {
  timers_.disarm(timer);
}

void Core::post(CoreId to, runtime::Work work) {
  if (!alive()) return;
  STELE_ASSERT(to.value < process_.core_count());
  Core& target = process_.core_at(to.value);
  const bool own = &target == this;
  const ScheduleConfig& config = world_.config().schedule;
  const Latency latency = own ? Latency{Duration(0), config.own_post_max} : config.post;
  const bool at_once = latency.max == Duration(0);
  const Duration delay = at_once ? Duration(0) : latency.draw(world_.random(Concern::kSchedule));
  target.receive(index_, Posted{world_.now() + delay, target.turn_, std::move(work)});
}

// What others post is seen in the order of posting, what the core itself posts in its own.
void Core::receive(std::uint32_t from, Posted work) {
  Time& up_to = from == index_ ? own_up_to_ : others_up_to_;
  work.visible = up_to = std::max(work.visible, up_to);
  const auto at = std::ranges::upper_bound(posted_, work.visible, {}, &Posted::visible);
  posted_.insert(at, std::move(work));
  if (!in_turn_) wake_by(posted_.front().visible);
}

void Core::at_turn_end(runtime::TurnEndHook& hook) {
  if (!alive()) return;
  if (!hook.linked()) hooks_.push_back(hook);
  if (!in_turn_) wake_by(world_.now());
}

void Core::offload(runtime::BlockingWork job, runtime::Work done) {
  if (!alive()) return;
  auto* offload = new Offload(*this, std::move(job), std::move(done));
  offloads_.push_back(*offload);
  world_.schedule_after(*offload, world_.config().schedule.offload.draw(world_.random(Concern::kSchedule)));
}

void Core::make_ready(Ready& ready) {
  if (!alive() || ready.linked()) return;
  ready.turn_ = turn_;
  ready_.push_back(ready);
  if (!in_turn_) wake_by(world_.now());
}

void Core::stand_still_until(Time time) {
  busy_until_ = std::max(busy_until_, time);
  if (!in_turn_) {
    cancel();
    plan_next_turn();
  }
}

void Core::wake_by(Time time) {
  time = std::max(time, busy_until_);
  if (time == kEndOfTime || (scheduled() && at() <= time)) return;
  world_.schedule(*this, time);
}

void Core::plan_next_turn() {
  if (!ready_.empty() || !hooks_.empty()) wake_by(world_.now());
  if (!posted_.empty()) wake_by(posted_.front().visible);
  if (timers_.size() > 0) wake_by(host_.clock().when(timers_.next()));
}

namespace {

// What lies where a block of memory begins that was somebody else's.
std::uint8_t unset_byte() {
  void* const block = std::malloc(24);
  const std::uint8_t byte = *static_cast<volatile std::uint8_t*>(block);
  std::free(block);
  return byte;
}

}  // namespace

void Core::shuffle_hooks() {
  std::unordered_set<runtime::TurnEndHook*> all;
  while (!hooks_.empty()) all.insert(&hooks_.pop_front());
  for (runtime::TurnEndHook* hook : all)
    hooks_.push_back(*hook);  // NOLINT: in any order, which is what is planted
}

void Core::fire() {
  Running running(process_);
  run_turn();
}

void Core::run_turn() {
  ++world_.count().turns;
  in_turn_ = true;
  const std::uint64_t this_turn = ++turn_;
  turn_now_ = last_now_ = host_.clock().monotonic(world_.now());
  const auto due = [&](std::uint64_t since) { return since < this_turn; };

  timers_.fire(turn_now_);
  while (!ready_.empty() && due(ready_.front().turn_)) ready_.pop_front().deliver();
  while (alive() && !posted_.empty() && due(posted_.front().turn) &&
         posted_.front().visible <= world_.now()) {
    runtime::Work work = std::move(posted_.front().work);
    posted_.pop_front();
    work();
  }
  if (mutant(Mutant::kOrderOfHashMap)) shuffle_hooks();
  while (!hooks_.empty()) hooks_.pop_front().on_turn_end();

  in_turn_ = false;
  if (!alive()) return;
  Duration took = world_.config().schedule.turn.draw(world_.random(Concern::kSchedule));
  if (mutant(Mutant::kUninitialisedByte)) took += Duration(unset_byte());
  busy_until_ = std::max(busy_until_, world_.now() + took * host_.slowness());
  world_.trace().busy(world_.now(), busy_until_ - world_.now(), subject());
  plan_next_turn();
}

void Core::silence() {
  last_now_ = in_turn_ ? turn_now_ : host_.clock().monotonic(world_.now());
  cancel();
  timers_.clear();
  while (!ready_.empty()) ready_.pop_front();
  while (!hooks_.empty()) hooks_.pop_front();
}

void Core::forget() {
  // Their captures' destructors may call back.
  std::deque<Posted> posted = std::exchange(posted_, {});
  posted.clear();
  while (!offloads_.empty()) delete &offloads_.pop_front();
  slab_ = Slab();
}

}  // namespace stele::sim
