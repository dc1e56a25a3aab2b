// Writers to a replica on another node, while connections are cut, stall and split, the node's host crashes,
// pauses and fills up, and the segments are taken over by others while the writer still lives. Whatever
// happens:
//
//   - what a writer was told is stored is there, at its place, as it was appended, and is what later fences
//   find;
//   - nobody appends in an epoch that is over;
//   - when all is well again, everything gets stored, once.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "journal/testing/replica_node.h"
#include "runtime/random.h"
#include "sim/network.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Random;
using runtime::Task;
using testing::HeardStored;
using testing::OwnerProgram;
using testing::ReplicaNode;
using testing::ReplicaNodeOptions;

struct Totals {
  std::uint64_t stored = 0, writers_lost = 0, fenced_out = 0, taken = 0;
};

std::string text_of_entry(SegmentId segment, std::uint64_t index) {
  const std::uint64_t mixed = (segment.value * 31 + index) * 2654435761u;
  return std::to_string(segment.value) + "." + std::to_string(index) + std::string(mixed % 2500, 'x');
}

// Writes a segment, and when the writer ends for what is no reason to stop, goes on with another.
class SegmentOwner final : private SpaceListener {
 public:
  SegmentOwner(RemoteReplica& replica, SegmentId segment, Epoch epoch, Totals& totals)
      : replica_(replica), segment_(segment), epoch_(epoch), totals_(totals) {
    replica_.watch_space(*this);
    open();
  }
  void append(std::uint64_t count) {
    next_ += count;
    feed();
  }
  SegmentId segment() const { return segment_; }
  Epoch epoch() const { return epoch_; }
  std::uint64_t next() const { return next_; }
  std::uint64_t stored() const { return heard_ ? heard_->stored : stored_; }
  bool over() const { return over_; }
  std::vector<std::string> wrong;

  void fence_sent() { fence_sent_ = true; }
  // What a fence of a later epoch has found.
  void fenced_at(std::uint64_t end) {
    if (end < stored()) wrong.push_back("a fence does not find what was acknowledged");
    if (end > next_) wrong.push_back("a fence finds what nobody appended");
    fenced_at_ = end;
  }

 private:
  void open() {
    heard_ = std::make_unique<HeardStored>();
    heard_->stored = stored_;
    heard_->when_stored = [this] { feed(); };
    heard_->when_failed = [this] { failed(); };
    writer_ = replica_.open_writer(segment_, epoch_, stored_, *heard_);
    given_ = stored_;
    feed();
  }
  // No more than a writer holds.
  void feed() {
    while (writer_ && given_ < next_ && given_ < heard_->stored + 20)
      writer_->append(entry_of(text_of_entry(segment_, given_++)));
  }
  void failed() {
    const Error why = *heard_->failed;
    stored_ = heard_->stored;
    if (fenced_at_ && stored_ > *fenced_at_) wrong.push_back("stored behind a fence");
    ++totals_.writers_lost;
    writer_.reset();
    if (why.code == ErrorCode::kNoSpace || why.code == ErrorCode::kUnavailable) return;
    over_ = true;
    if (why.code == ErrorCode::kFenced && fence_sent_) {
      ++totals_.fenced_out;
    } else {
      wrong.push_back("ended with " + why.to_string());
    }
  }
  void on_space() override {
    if (!writer_ && !over_) open();
  }

  RemoteReplica& replica_;
  const SegmentId segment_;
  const Epoch epoch_;
  Totals& totals_;
  std::unique_ptr<HeardStored> heard_;
  std::unique_ptr<SegmentWriter> writer_;
  std::uint64_t next_ = 0;
  std::uint64_t given_ = 0;  // to the writer
  std::uint64_t stored_ = 0;
  bool fence_sent_ = false;
  std::optional<std::uint64_t> fenced_at_;
  bool over_ = false;
};

class Trial {
 public:
  Trial(std::uint64_t seed, Totals& totals)
      : totals_(totals),
        world_(seed, config_of(seed)),
        node_(world_, 2, options()),
        owner_host_(world_.add_host("node1")) {
    Random& knobs = world_.random(sim::Concern::kKnobs);
    const auto pick = [&](std::initializer_list<std::size_t> of) {
      return of.begin()[knobs.below(of.size())];
    };
    node_.options.journal.store.file_bytes = pick({64 << 10, 1 << 20});
    node_.options.journal.store.max_batch_bytes = pick({1, 10'000, 1 << 20});
    node_.options.journal.max_in_flight_bytes = pick({1, 20'000, 1 << 20});
    node_.options.server.max_requests = pick({1, 8, 1000});
    node_.options.cores = static_cast<std::uint32_t>(pick({1, 2, 3}));
    node_.boot();
    world_.run_until([&] { return node_.serves(); }, 1min);
    const RemoteReplicaOptions options{.timeout = 2s,
                                       .probe = 100ms,
                                       .max_batch_bytes = pick({1, 4000, 1 << 20}),
                                       .max_in_flight_bytes = pick({1, 20'000, 8 << 20}),
                                       .max_held_bytes = pick({60'000, 32 << 20})};
    owner_host_.boot(1, [&](sim::ProcessContext& process) {
      auto program =
          std::make_unique<OwnerProgram>(process, node_.id(), node_.disk(), options, rpc::ChannelOptions{});
      owner_ = program.get();
      return program;
    });
    world_.run_for(10ms);
  }
  ~Trial() { owners_.clear(); }

  std::vector<std::string> run() {
    Random& faults = world_.random(sim::Concern::kFaults);
    Random& work = world_.random(sim::Concern::kWorkload);
    act([&] {
      for (int i = 0; i < 3; ++i) begin_segment();
    });
    for (int i = 0; i < 60; ++i) {
      act([&] { step(work); });
      world_.run_for(runtime::Duration(faults.between(0, 300'000'000)));
      if (faults.chance(1, 2)) fault(faults);
    }
    calm();
    check();
    for (const auto& owner : owners_) {
      for (const std::string& wrong : owner->wrong) wrong_.push_back(wrong);
      totals_.stored += owner->stored();
    }
    return wrong_;
  }
  std::uint64_t hash() const { return world_.hash(); }

 private:
  static ReplicaNodeOptions options() {
    ReplicaNodeOptions options;
    options.journal.store.directory = "/journal";
    return options;
  }
  static sim::WorldConfig config_of(std::uint64_t seed) {
    sim::WorldConfig config = sim::WorldConfig::draw(seed);
    config.network.window_bytes = std::max<std::size_t>(config.network.window_bytes, 16 << 10);
    config.network.read_bytes = std::max<std::size_t>(config.network.read_bytes, 1500);
    return config;
  }
  void act(runtime::Work work) {
    bool done = false;
    owner_->runtime.post(CoreId(0), [&] {
      work();
      done = true;
    });
    world_.run_until([&] { return done; }, 1min);
  }
  void begin_segment() {
    ++segments_;
    owners_.push_back(
        std::make_unique<SegmentOwner>(owner_->replica, SegmentId(segments_), Epoch(segments_), totals_));
    present_.push_back(owners_.back().get());
    if (present_.size() > 3) present_.erase(present_.begin());
  }

  void step(Random& random) {
    // Those that were replaced still live.
    for (const auto& owner : owners_) {
      if (random.chance(1, 2) && owner->next() < 2000) owner->append(random.below(30));
    }
    if (random.chance(1, 6)) owner_->scope.spawn(take_over(present_[random.below(present_.size())]));
  }

  // As a later owner does: fence, and look what is there. Then it has a segment of its own.
  Task<void> take_over(SegmentOwner* from) {
    const Epoch epoch(from->epoch().value + 1000);
    from->fence_sent();
    auto answers = co_await owner_->replica.fence({{from->segment(), epoch}});
    if (!answers || !answers->at(0)) co_return;
    from->fenced_at(answers->at(0)->end);
    ++totals_.taken;
    if (std::erase(present_, from) > 0) begin_segment();
  }

  void fault(Random& random) {
    sim::Fabric& fabric = world_.fabric();
    sim::Host &a = owner_host_, &b = node_.host();
    switch (random.below(12)) {
      case 0:
        fabric.cut(a, b, random);
        break;
      case 1:
        random.chance(1, 2)   ? fabric.split(a, b)
        : random.chance(1, 2) ? fabric.split_one_way(a, b)
                              : fabric.split_one_way(b, a);
        break;
      case 2:
        fabric.half_open(a, b, random);
        break;
      case 3:
        fabric.stall_one(a, b, random);
        break;
      case 4:
        fabric.slow(a, b, 1u << random.below(8));
        break;
      case 5:
        fabric.corrupt(a, b, 1 + std::uint32_t(random.below(3)));
        break;
      case 6:
        fabric.close_late(a, b, 2s);
        break;
      case 7:
        if (b.running()) b.pause(runtime::Duration(random.between(0, 5'000'000'000)));
        break;
      case 8:
        if (b.running()) b.crash(random.chance(1, 2) ? sim::CrashMode::kKill : sim::CrashMode::kPowerLoss);
        break;
      case 9:
        b.disk().set_free_bytes(random.chance(1, 2) ? UINT64_MAX : random.below(200'000));
        break;
      default:
        fabric.heal_all();
        revive();
    }
  }
  void revive() {
    if (node_.host().running() && node_.serves() && node_.program().failed())
      node_.host().crash(sim::CrashMode::kKill);
    if (node_.host().down()) node_.restart();
  }

  void calm() {
    world_.fabric().heal_all();
    node_.host().disk().set_free_bytes(UINT64_MAX);
    revive();
    const auto settled = [&] {
      return std::ranges::all_of(
          owners_, [](const auto& owner) { return owner->over() || owner->stored() == owner->next(); });
    };
    for (int i = 0; i < 100 && !settled(); ++i) {
      world_.run_until(settled, 3s);
      revive();
    }
    if (!settled()) wrong_.push_back("not everything was stored though all is well");
  }

  // From the node itself.
  void check() {
    bool done = false;
    owner_->scope.spawn(compare(&done));
    world_.run_until([&] { return done; }, 10min);
    if (!done) wrong_.push_back("no answer though all is well");
    if (owner_->replica.in_flight_bytes() > 0) wrong_.push_back("something is left on its way");
  }
  Task<void> compare(bool* done) {
    for (const auto& owner : owners_) {
      std::uint64_t at = 0;
      while (true) {
        auto entries = co_await owner_->replica.read(owner->segment(), at, 100'000);
        if (!entries && entries.error().code == ErrorCode::kUnavailable) {
          co_await runtime::sleep(owner_->runtime, 1s);  // a connection of before that ends now
          continue;
        }
        if (!entries && entries.error().code != ErrorCode::kNotFound) {
          wrong_.push_back(entries.error().to_string());
          break;
        }
        if (!entries || entries->empty()) break;
        for (const LogEntry& entry : *entries) {
          if (text_of(entry) != text_of_entry(owner->segment(), at++))
            wrong_.push_back("another entry than was appended");
        }
      }
      if (at < owner->stored()) wrong_.push_back("what was acknowledged is not there");
      if (at > owner->next()) wrong_.push_back("something is there twice");
    }
    *done = true;
  }

  Totals& totals_;
  sim::World world_;
  ReplicaNode node_;
  sim::Host& owner_host_;
  OwnerProgram* owner_ = nullptr;
  std::uint64_t segments_ = 0;
  std::vector<std::unique_ptr<SegmentOwner>> owners_;
  std::vector<SegmentOwner*> present_;
  std::vector<std::string> wrong_;
};

TEST(RemoteReplicaInASimulation, WhatIsAcknowledgedIsThere) {
  Totals totals;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    EXPECT_EQ(Trial(seed, totals).run(), std::vector<std::string>()) << "seed " << seed;
  }
  std::printf(
      "%llu entries stored, %llu writers lost, %llu fenced out, %llu fences\n",
      static_cast<unsigned long long>(totals.stored), static_cast<unsigned long long>(totals.writers_lost),
      static_cast<unsigned long long>(totals.fenced_out), static_cast<unsigned long long>(totals.taken));
  EXPECT_GT(totals.stored, 20'000u);
  EXPECT_GT(totals.writers_lost, 200u);
  EXPECT_GT(totals.fenced_out, 40u);
}

TEST(RemoteReplicaInASimulation, OneSeedIsOneHistory) {
  const auto hash = [](std::uint64_t seed) {
    Totals totals;
    Trial trial(seed, totals);
    trial.run();
    return trial.hash();
  };
  EXPECT_EQ(hash(3), hash(3));
  EXPECT_NE(hash(3), hash(4));
}

}  // namespace
}  // namespace stele::journal
