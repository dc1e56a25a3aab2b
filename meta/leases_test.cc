#include "meta/leases.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/random.h"

namespace stele::meta {
namespace {

using namespace std::chrono_literals;
using runtime::Instant;
using Ended = std::vector<std::pair<NodeId, Incarnation>>;

constexpr NodeId kOne{1}, kTwo{2};

std::shared_ptr<const MetaView> view_of(std::vector<Node> nodes) {
  MetaViewBuilder builder;
  for (Node& node : nodes) builder.put_node(std::move(node));
  return std::move(builder).finish(1);
}

Node node(NodeId id, std::uint64_t incarnation, bool lives = true) {
  Node out;
  out.id = id;
  out.incarnation = Incarnation(incarnation);
  out.lives = lives;
  return out;
}

Instant at(runtime::Duration since) {
  return Instant(since);
}

TEST(LeaseTable, EndsWhoWasNotHeardOf) {
  LeaseTable leases({.expiry = 3s});
  const auto view = view_of({node(kOne, 4), node(kTwo, 7)});
  EXPECT_EQ(leases.expired(*view, at(10s)), Ended());
  EXPECT_EQ(leases.expired(*view, at(12s)), Ended());
  EXPECT_EQ(leases.renew(*view, kOne, Incarnation(4), at(12s), at(12s)), LeaseTable::Renewal::kGranted);
  EXPECT_EQ(leases.expired(*view, at(13s)), (Ended{{kTwo, Incarnation(7)}}));
  EXPECT_EQ(leases.renew(*view, kTwo, Incarnation(7), at(14s), at(14s)), LeaseTable::Renewal::kTooLate);
  EXPECT_EQ(leases.expired(*view, at(15s)), (Ended{{kOne, Incarnation(4)}, {kTwo, Incarnation(7)}}));
}

TEST(LeaseTable, OnlyThePresentIncarnationCounts) {
  LeaseTable leases({.expiry = 3s});
  auto view = view_of({node(kOne, 4)});
  EXPECT_EQ(leases.renew(*view, kOne, Incarnation(3), at(2s), at(2s)), LeaseTable::Renewal::kEnded);
  EXPECT_EQ(leases.renew(*view, kTwo, Incarnation(1), at(2s), at(2s)), LeaseTable::Renewal::kEnded);
  EXPECT_EQ(leases.renew(*view, kOne, Incarnation(4), at(2s), at(2s)), LeaseTable::Renewal::kGranted);
  // What was heard of an earlier process says nothing of the next.
  view = view_of({node(kOne, 5)});
  EXPECT_EQ(leases.expired(*view, at(100s)), Ended());
  EXPECT_EQ(leases.expired(*view, at(103s)), (Ended{{kOne, Incarnation(5)}}));
  view = view_of({node(kOne, 5, false)});
  EXPECT_EQ(leases.expired(*view, at(199s)), Ended());
  EXPECT_EQ(leases.renew(*view, kOne, Incarnation(5), at(199s), at(199s)), LeaseTable::Renewal::kEnded)
      << "it has ended";
}

TEST(LeaseTable, ALeaderThatBeginsGivesEverybodyAWholeLease) {
  LeaseTable leases({.expiry = 3s});
  const auto view = view_of({node(kOne, 4)});
  EXPECT_EQ(leases.renew(*view, kOne, Incarnation(4), at(1s), at(1s)), LeaseTable::Renewal::kGranted);
  leases.begin();
  EXPECT_EQ(leases.expired(*view, at(100s)), Ended());
  EXPECT_EQ(leases.expired(*view, at(102s)), Ended());
  EXPECT_EQ(leases.expired(*view, at(103s)).size(), 1u);
}

// The node's clock runs at another speed, within what is allowed, and answers take their time or are lost.
RC_GTEST_PROP(Leases, ANodeKnowsOfItsEndBeforeTheLeaderActs, (std::uint64_t seed)) {
  runtime::Random random(seed);
  const LeaseOptions options{.expiry = 3s, .drift = 100};
  const auto view = view_of({node(kOne, 1)});
  LeaseTable leases(options);
  OwnLease own(options);
  // A slow clock of the node: 1000 of its units are up to 1010 of the leader's.
  const std::int64_t rate = random.between(1000, 1010);
  const auto real = [&](runtime::Duration own_time) { return own_time * rate / 1000; };
  (void)leases.expired(*view, at(0s));
  runtime::Duration now{};  // of the node
  Instant last_heard = at(0s);
  for (int i = 0; i < 50; ++i) {
    now += runtime::Duration(random.between(0, 1'500'000'000));
    const Instant asked = at(now);
    const Instant arrives =
        std::max(last_heard, at(real(now) + runtime::Duration(random.between(0, 800'000'000))));
    if (random.chance(1, 4)) continue;  // lost on its way
    if (leases.expired(*view, arrives).empty()) {
      RC_ASSERT(leases.renew(*view, kOne, Incarnation(1), arrives, arrives) == LeaseTable::Renewal::kGranted);
      last_heard = arrives;
      if (random.chance(3, 4)) own.granted(asked);
    }
    if (!own.until()) continue;
    // The first moment at which the leader may end it, and the last at which the node holds it.
    const Instant ends = last_heard + options.expiry;
    RC_ASSERT(leases.expired(*view, ends - 1ns).empty());
    RC_ASSERT(at(real(own.until()->time_since_epoch())) <= ends);
  }
}

TEST(OwnLease, HoldsFromWhenItWasAskedFor) {
  OwnLease own({.expiry = 3s, .drift = 100});
  EXPECT_FALSE(own.holds(at(0s)));
  own.granted(at(10s));
  own.granted(at(9s));
  EXPECT_TRUE(own.holds(at(12969ms)));
  EXPECT_FALSE(own.holds(at(12970ms)));
  own.ended();
  EXPECT_FALSE(own.holds(at(10s)));
}

}  // namespace
}  // namespace stele::meta
