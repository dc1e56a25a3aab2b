// Random histories of some nodes that tell each other of routes: batches and answers get lost, come twice and
// late; nodes end and come back; shards move while their old owners still speak; few changes are kept.
// Whatever happens:
// - What is confirmed (its version is known by all) everybody knows that accepts publishes, until it ends.
// - What a follower acknowledged is in what it applied.
// - Nothing is forgotten by a batch that the source wanted all the time that the batch speaks of, and nothing
//   that always was wanted is ever forgotten.
// - Each change that is given out is one.
// - When all has arrived, everybody knows exactly what is so.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "broker/route_feed.h"
#include "broker/route_follower.h"
#include "broker/route_testing.h"
#include "runtime/random.h"

namespace stele::broker {
namespace {

using namespace testing;
using runtime::Random;

constexpr std::uint32_t kShards = 3;
constexpr std::uint32_t kNodes = 4;
constexpr CoreId kCore{0};

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {
    if (random_.chance(3, 4)) limits_.max_changes = random_.below(10);
    if (random_.chance(1, 4)) limits_.max_change_bytes = random_.below(800);
    trouble_ = random_.below(4);
    for (std::uint32_t i = 0; i < kNodes; ++i) nodes_[i].id = NodeId(i + 1);
    for (Node& node : nodes_) start(node);
    for (std::uint32_t i = 0; i < kShards; ++i) take_over(ShardId(i));
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      check_routed();
    }
    settle();
  }

 private:
  Node& node(NodeId id) { return nodes_[id.value - 1]; }
  Node& any_node() { return nodes_[random_.below(kNodes)]; }
  Node* any_up() {
    Node& one = any_node();
    return one.up ? &one : nullptr;
  }
  // `e`: never ends while its owner lives, and as long as its shard's log says.
  std::string any_text(bool may_be_eternal) {
    const std::uint64_t number = random_.below(6);
    return (may_be_eternal && random_.chance(1, 4) ? "e" : "f") + std::string(number * number, 'x') +
           std::to_string(number);
  }
  void step() {
    switch (random_.below(20)) {
      case 0:
      case 1:
      case 2:
        return change_shard();
      case 3:
      case 4:
      case 5:
        return change_own();
      case 6:
      case 7:
      case 8:
        return send(any_node(), any_node());
      case 9:
      case 10:
      case 11:
        return deliver();
      case 12:
      case 13:
      case 14:
        return deliver_answer();
      case 15:
        return lose(any_node(), any_node());
      case 16:
      case 17:
        if (Node* at = any_up()) tell_more(*at);
        return;
      case 18:
        return notice(any_node(), any_node());
      default:
        if (random_.chance(trouble_, 3)) return disturb();
        return be_well();
    }
  }

  void be_well() {
    for (Node& from : nodes_) {
      for (Node& to : nodes_) {
        if (random_.chance(1, 4)) notice(from, to);
        if (random_.chance(1, 2)) exchange(from, to);
      }
      if (from.up) tell_more(from);
    }
  }
  void disturb() {
    switch (random_.below(5)) {
      case 0: {
        Node& one = any_node();
        if (!one.up) return start(one);
        if (random_.chance(1, 2)) stop(one);
        if (!one.up && random_.chance(1, 2)) start(one);
        return;
      }
      case 4:
      case 1:
        return take_over(ShardId(static_cast<std::uint32_t>(random_.below(kShards))));
      case 2:
        return speak_as_old_owner();
      default:
        return forget_old();
    }
  }

  // ---- nodes
  void start(Node& at) {
    const NodeId id = at.id;
    at = Node();
    at.id = id;
    at.up = true;
    at.incarnation = ++incarnations_;
    at.feed = std::make_unique<RouteFeed>(at.incarnation, limits_);
    at.shards = std::make_unique<ShardKnowledge>(kShards);
    for (Node& other : nodes_) {
      if (other.id == id) continue;
      at.sources[other.id] = std::make_unique<RouteFollower>(other.id, at.incarnation, *at.shards);
      // It confirms nothing that those who were there before it do not know.
      if (other.up) follow(at, other);
    }
  }
  void follow(Node& at, const Node& other) {
    at.feed->follow({other.id, other.incarnation});
    at.seen[other.id] = other.incarnation;
  }
  void stop(Node& at) {
    at.up = at.accepting = false;
    std::erase_if(waiting_, [&](const Waiting& one) { return one.node == at.id; });
  }
  // That another one has ended, or is there in another incarnation.
  void notice(Node& at, Node& other) {
    if (!at.up || at.id == other.id) return;
    const std::uint64_t ended = other.up ? other.incarnation - 1 : other.incarnation;
    std::vector<RouteNews> changes;
    at.sources[other.id]->source_ended(ended, changes);
    for (const RouteNews& change : changes) apply(at, other.id, change);
    const auto seen = at.seen.find(other.id);
    if (seen != at.seen.end() && seen->second <= ended) {
      at.feed->unfollow({other.id, seen->second});
      at.seen.erase(seen);
    }
    if (other.up) follow(at, other);
    confirm(at);
  }

  // ---- what is so
  // Returns the version to wait for.
  std::uint64_t note(Node& at, CoreId core, RouteNews news, std::uint32_t total) {
    const std::uint64_t before = at.feed->version();
    const std::uint64_t version = at.feed->note(core, news);
    RC_ASSERT(version <= at.feed->version());
    if (at.feed->version() > before) {
      RC_ASSERT(at.feed->version() == before + 1);
      Past& past = at.past[said_by(news)];
      past.values.emplace_back(before + 1, total);
      if (total == 0) past.on_since = 0;
      if (total > 0 && past.on_since == 0) past.on_since = before + 1;
    }
    RC_ASSERT(at.feed->changes() <= limits_.max_changes);
    RC_ASSERT(at.feed->change_bytes() <= limits_.max_change_bytes);
    if (news.of_shard()) {
      std::vector<RouteNews> changes;
      at.shards->apply(at.id, news, changes);
      for (const RouteNews& change : changes) apply(at, at.id, change);
    }
    return version;
  }
  static RouteNews of_shard(ShardId shard, Epoch epoch, OfShard thing, bool on) {
    return {thing.first, shard, epoch, kDefaultTenant, std::move(thing.second), on ? 1U : 0U};
  }

  void change_own() {
    Node* at = any_up();
    if (!at) return;
    const bool live = random_.chance(2, 3);
    const OfShard thing(live ? Kind::kLiveInterest : Kind::kShareMembers, any_text(live));
    const CoreId core(static_cast<std::uint32_t>(random_.below(2)));
    const bool on = eternal(thing) || random_.chance(1, 2);
    const std::uint32_t number = !on ? 0 : live ? 1 : static_cast<std::uint32_t>(1 + random_.below(3));
    auto& cores = at->own[thing];
    cores[core] = number;
    std::uint32_t total = 0;
    for (const auto& [of, part] : cores) total = live ? std::max(total, part) : total + part;
    const RouteNews news{.kind = thing.first, .text = thing.second, .number = number};
    const std::uint64_t version = note(*at, core, news, total);
    if (total == 0) {
      at->own_wanted.erase(thing);
    } else if (on) {
      const auto wanted = at->own_wanted.try_emplace(thing, Wanted{++serials_, false}).first;
      waiting_.push_back({at->id, at->incarnation, version, {}, thing, wanted->second.serial});
    }
    confirm(*at);
  }

  void change_shard() {
    const ShardId shard(static_cast<std::uint32_t>(random_.below(kShards)));
    Node& owner = node(owners_[shard]);
    if (!owner.up || !owner.owns.contains(shard)) return;
    Ownership& ownership = owner.owns.at(shard);
    const OfShard thing(random_.chance(2, 3) ? Kind::kSessionInterest : Kind::kShareKeeps, any_text(true));
    const bool on = eternal(thing) || random_.chance(1, 2);
    const bool untold = std::erase(ownership.to_tell, thing) > 0;
    auto& wanted = wanted_[shard];
    if (on || !untold) {
      const std::uint64_t version =
          note(owner, kCore, of_shard(shard, ownership.epoch, thing, on), on ? 1 : 0);
      if (on) {
        const auto entry = wanted.try_emplace(thing, Wanted{++serials_, false}).first;
        waiting_.push_back({owner.id, owner.incarnation, version, shard, thing, entry->second.serial});
      }
    }
    if (!on) wanted.erase(thing);
    confirm(owner);
  }

  // Somebody up becomes the owner. What was not confirmed may have been committed or not.
  void take_over(ShardId shard) {
    Node* at = any_up();
    if (!at) return;
    auto& wanted = wanted_[shard];
    for (auto it = wanted.begin(); it != wanted.end();) {
      const bool lost = !it->second.confirmed && !eternal(it->first) && random_.chance(1, 3);
      it = lost ? wanted.erase(it) : std::next(it);
    }
    const Epoch epoch = ++epochs_[shard];
    owners_[shard] = at->id;
    if (at->owns.contains(shard)) end_ownership(*at, shard);
    Ownership& ownership = at->owns[shard] = {.epoch = epoch, .to_tell = {}};
    for (const auto& [thing, entry] : wanted) {
      ownership.to_tell.insert(ownership.to_tell.begin() +
                                   static_cast<std::ptrdiff_t>(random_.below(ownership.to_tell.size() + 1)),
                               thing);
    }
    note(*at, kCore, of_shard(shard, epoch, {Kind::kShardBegins, ""}, true), 1);
  }
  void tell_more(Node& at) {
    for (auto& [shard, ownership] : at.owns) {
      if (ownership.told || random_.chance(1, 3)) continue;
      if (ownership.to_tell.empty()) {
        ownership.told = true;
        note(at, kCore, of_shard(shard, ownership.epoch, {Kind::kShardTold, ""}, true), 1);
      } else {
        const OfShard thing = ownership.to_tell.back();
        ownership.to_tell.pop_back();
        note(at, kCore, of_shard(shard, ownership.epoch, thing, true), 1);
      }
    }
  }
  // What waits is not confirmed any more: whoever asked is told that the shard is not here.
  void end_ownership(Node& at, ShardId shard) {
    std::erase_if(waiting_, [&](const Waiting& one) { return one.node == at.id && one.shard == shard; });
    std::erase_if(at.past,
                  [&](const auto& past) { return past.first.shard == shard && past.first.epoch > Epoch(0); });
  }
  // Of what it has lost. It tells of new interest as soon as that is appended, which will never be committed;
  // but of interest that ended only when that is committed: in its own time, so not of what holds still.
  void speak_as_old_owner() {
    Node* at = any_up();
    if (!at) return;
    for (auto& [shard, ownership] : at->owns) {
      if (ownership.epoch == epochs_[shard]) continue;
      const bool on = random_.chance(1, 2);
      const OfShard thing(Kind::kSessionInterest, any_text(false));
      if (!on && wanted_[shard].contains(thing)) continue;
      note(*at, kCore, of_shard(shard, ownership.epoch, thing, on), on ? 1 : 0);
    }
  }
  void forget_old() {
    Node* at = any_up();
    if (!at) return;
    for (auto it = at->owns.begin(); it != at->owns.end();) {
      const bool old = it->second.epoch != epochs_[it->first];
      if (old) {
        end_ownership(*at, it->first);
        at->feed->forget_shard(it->first, it->second.epoch);
      }
      it = old ? at->owns.erase(it) : std::next(it);
    }
  }

  // ---- what is sent
  void send(Node& from, Node& to) {
    if (!from.up || !from.seen.contains(to.id)) return;
    const FollowerId follower(to.id, from.seen[to.id]);
    const auto batch = from.feed->next_batch(follower, 1 + random_.below(600));
    if (!batch) return;
    check_made(from, *batch);
    const std::size_t copies = random_.chance(1, 8) ? random_.below(3) : 1;
    for (std::size_t i = 0; i < copies; ++i) packets_.push_back({from.id, follower, batch});
  }
  // A snapshot ends with what holds then, all of it.
  void check_made(const Node& from, const RouteBatch& batch) {
    if (made_.contains({from.incarnation, batch.number})) return;
    made_.emplace(from.incarnation, batch.number);
    std::uint64_t& in_snapshot = in_snapshot_[{from.incarnation, batch.follower_incarnation}];
    if (batch.anew) in_snapshot = 1;
    if (in_snapshot > 0 && batch.complete) {
      RC_ASSERT(batch.last == from.feed->version());
      in_snapshot = 0;
    }
  }
  void lose(Node& from, Node& to) {
    if (from.up && from.seen.contains(to.id)) from.feed->on_lost({to.id, from.seen[to.id]});
  }
  template <class T>
  std::optional<T> draw(std::vector<T>& list) {
    if (list.empty()) return std::nullopt;
    const std::size_t at = random_.below(list.size());
    T one = list[at];
    // The network may have it still.
    if (!random_.chance(1, 10)) list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
    return one;
  }
  void deliver() {
    const auto packet = draw(packets_);
    if (!packet || !node(packet->to.node).up) return;
    if (const auto answer = take(node(packet->to.node), *packet)) {
      // Whom it goes back to takes it for one of whom it sent the batch to.
      answers_.push_back({packet->from, packet->to, *answer});
    }
  }
  void deliver_answer() {
    const auto packet = draw(answers_);
    if (!packet || !node(packet->to).up) return;
    hear(node(packet->to), packet->from, packet->answer);
  }
  void hear(Node& at, FollowerId from, const RouteBatchAnswer& answer) {
    at.feed->on_answer(from, answer);
    const Node& follower = node(from.node);
    if (follower.up && follower.incarnation == from.incarnation && !answer.gap &&
        answer.source_incarnation == at.incarnation && follower.sources.at(at.id)->complete(at.incarnation)) {
      check_acknowledged(at, follower, answer.version);
    }
    confirm(at);
  }

  // ---- what is taken
  std::optional<RouteBatchAnswer> take(Node& at, const Packet& packet) {
    const RouteBatch& batch = *packet.batch;
    RouteFollower& follower = *at.sources[packet.from];
    std::vector<RouteNews> changes;
    const auto answer = follower.take(batch, changes);
    RC_ASSERT((changes.empty() || (answer && !answer->gap)));
    if (!answer || answer->gap) return answer;
    const Node& source = node(packet.from);
    const bool current = source.incarnation == batch.source_incarnation;
    const bool increments =
        !batch.anew && batch.complete && batch.last + 1 - batch.first == batch.news.size();
    const std::uint64_t before = batch.anew   ? batch.last
                                 : increments ? batch.first - 1
                                              : at.previous_last[packet.from];
    for (const RouteNews& change : changes) {
      // Off, though it is on since before the batch.
      if (current && change.number == 0) check_not_on_since(source, change, before);
      apply(at, packet.from, change);
    }
    for (const RouteNews& change : changes) {
      if (current && change.number == 0 && missing(at, packet.from, change)) {
        check_not_on_since(source, change, batch.last);
      }
    }
    at.previous_last[packet.from] = batch.last;
    update_accepting(at);
    return answer;
  }
  // ---- what must be so
  std::vector<Epoch> epochs() const {
    std::vector<Epoch> epochs;
    for (const auto& [shard, epoch] : epochs_) epochs.push_back(epoch);
    return epochs;
  }
  void update_accepting(Node& at) const {
    if (at.accepting || !at.shards->complete(epochs())) return;
    at.accepting = std::ranges::all_of(nodes_, [&](const Node& other) {
      return !other.up || other.id == at.id || at.sources.at(other.id)->complete(other.incarnation);
    });
  }

  // Who subscribed there is told so.
  void confirm(Node& at) {
    std::erase_if(waiting_, [&](const Waiting& one) {
      if (one.node != at.id || !at.feed->known_by_all(one.version)) return false;
      auto& wanted = one.shard ? wanted_[*one.shard] : at.own_wanted;
      const auto found = wanted.find(one.thing);
      if (found != wanted.end() && found->second.serial == one.serial) found->second.confirmed = true;
      return true;
    });
  }

  // Subscribed means routed.
  void check_routed() const {
    for (const Node& at : nodes_) {
      if (!at.accepting) continue;
      for (const auto& [shard, wanted] : wanted_) {
        for (const auto& [thing, entry] : wanted) {
          RC_ASSERT((!entry.confirmed || at.applied.has(shard, thing)));
        }
      }
      for (const Node& source : nodes_) {
        if (!source.up || source.id == at.id) continue;
        for (const auto& [thing, entry] : source.own_wanted) {
          RC_ASSERT((!entry.confirmed || at.applied.number(source.id, thing) > 0));
        }
      }
    }
  }

  // ---- the end
  void settle() {
    for (Node& at : nodes_) {
      if (!at.up) start(at);
    }
    for (auto& [shard, owner] : owners_) {
      if (!node(owner).owns.contains(shard)) take_over(shard);
    }
    for (Node& at : nodes_) {
      while (std::ranges::any_of(at.owns, [](const auto& own) { return !own.second.told; })) tell_more(at);
      for (Node& other : nodes_) notice(at, other);
    }
    bool quiet = false;
    for (int round = 0; !quiet; ++round) {
      RC_ASSERT(round < 2000);
      quiet = true;
      for (Node& from : nodes_) {
        for (Node& to : nodes_) quiet = exchange(from, to) && quiet;
      }
      check_routed();
    }
    while (!packets_.empty()) deliver();  // late
    while (!answers_.empty()) deliver_answer();
    check_end();
  }
  bool exchange(Node& from, Node& to) {
    if (from.id == to.id || !from.up || !to.up) return true;
    lose(from, to);
    const FollowerId follower(to.id, to.incarnation);
    const auto batch = from.feed->next_batch(follower, 1 + random_.below(600));
    if (!batch) return true;
    check_made(from, *batch);
    const auto answer = take(to, {from.id, follower, batch});
    RC_ASSERT(answer.has_value());
    hear(from, follower, *answer);
    return false;
  }
  void check_end() {
    for (Node& at : nodes_) {
      RC_ASSERT(at.feed->known_by_all(at.feed->version()));
      update_accepting(at);
      RC_ASSERT(at.accepting);
      std::set<std::tuple<ShardId, Kind, std::string>> wanted;
      for (const auto& [shard, things] : wanted_) {
        for (const auto& [thing, entry] : things) wanted.emplace(shard, thing.first, thing.second);
      }
      RC_ASSERT(at.applied.shards == wanted);
      for (const Node& source : nodes_) {
        if (source.id == at.id) continue;
        for (const auto& [thing, cores] : source.own) {
          std::uint32_t total = 0;
          for (const auto& [core, number] : cores) total += number;
          if (thing.first == Kind::kLiveInterest) total = std::min(total, 1U);
          RC_ASSERT(at.applied.number(source.id, thing) == total);
        }
        for (const auto& [thing, number] : at.applied.nodes[source.id]) {
          RC_ASSERT((number == 0 || source.own.contains(thing)));
        }
      }
    }
    RC_ASSERT(waiting_.empty());
  }

  Random random_;
  RouteFeedLimits limits_;
  Node nodes_[kNodes];
  std::map<ShardId, std::map<OfShard, Wanted>> wanted_;  // as the shards' logs say
  std::map<ShardId, Epoch> epochs_;
  std::map<ShardId, NodeId> owners_;
  std::vector<Waiting> waiting_;
  std::vector<Packet> packets_;
  std::vector<AnswerPacket> answers_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> made_;  // of an incarnation: the number
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> in_snapshot_;
  std::uint64_t incarnations_ = 0;
  std::uint64_t serials_ = 0;
  std::uint64_t trouble_ = 0;  // of 3
};

TEST(RouteModel, RandomHistories) {
  EXPECT_TRUE(rc::check("everybody knows what is confirmed", [](std::uint64_t seed) {
    for (int i = 0; i < 8; ++i) History(seed + static_cast<std::uint64_t>(i)).run(600);
  }));
}

}  // namespace
}  // namespace stele::broker
