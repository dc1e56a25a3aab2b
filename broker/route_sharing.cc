#include "broker/route_sharing.h"

#include <utility>

#include "base/marks.h"
#include "broker/cluster.h"
#include "broker/core.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
constexpr std::size_t kBatchBytes = 256 << 10;
constexpr runtime::Duration kAgainAfter = 50ms;

std::vector<Epoch> epochs_of(const meta::MetaView& view) {
  std::vector<Epoch> epochs;
  for (const meta::ShardPlace& place : view.shards()) epochs.push_back(place.epoch);
  epochs.resize(view.cluster().shard_count);
  return epochs;
}
}  // namespace

RouteSharing::RouteSharing(Core& core)
    : core_(core),
      feed_(std::make_unique<RouteFeed>(core.options().incarnation.value)),
      shards_(core.routes().shard_count()),
      epochs_(epochs_of(*core.meta())) {}

void RouteSharing::apply(Place from, std::vector<RouteNews> changes) {
  if (changes.empty()) return;
  const auto all = std::make_shared<const std::vector<RouteNews>>(std::move(changes));
  for (std::uint32_t core = 0; core < core_.core_count(); ++core) {
    core_.send(CoreId(core), CallMail([from, all](Core& there) { there.hear_routes(from, *all); }));
  }
}

void RouteSharing::tell(CoreId from, std::vector<RouteNews> news) {
  std::vector<RouteNews> of_shards, of_core;
  for (RouteNews& one : news) {
    feed_->note(from, one);
    if (one.of_shard()) {
      shards_.apply(core_.node_id(), one, of_shards);
    } else {
      of_core.push_back(std::move(one));
    }
  }
  apply(from, std::move(of_shards));
  apply(from, std::move(of_core));
  news_.wake_all();
  progress_.wake_all();
}

Task<void> RouteSharing::everybody_knows() {
  const std::uint64_t incarnation = feed_->incarnation(), version = feed_->version();
  co_await core_.on_every_core([](Core&) {});
  while (!given_up_ && feed_->incarnation() == incarnation && !feed_->known_by_all(version)) {
    co_await progress_.wait();
  }
}

Task<std::optional<RouteBatchAnswer>> RouteSharing::take(NodeId source, RouteBatch batch) {
  const auto found = known_.find(source);
  if (found == known_.end()) co_return std::nullopt;  // not in the view here yet: it comes again
  std::vector<RouteNews> changes;
  const auto answer = found->second.follower->take(batch, changes);
  // What has begun elsewhere is not told of here any more.
  for (const RouteNews& change : changes) {
    if (change.kind == RouteNews::Kind::kShardBegins) feed_->forget_shard(change.shard, change.epoch);
  }
  apply(source, std::move(changes));
  if (!answer) co_return std::nullopt;
  co_await core_.on_every_core([](Core&) {});
  progress_.wake_all();
  co_return answer;
}

void RouteSharing::on_view(const meta::MetaView& view) {
  std::vector<RouteNews> changes;
  for (const auto& [id, node] : view.nodes()) {
    if (id == core_.node_id() || (node.roles & meta::kBrokerRole) == 0) continue;
    Known& known = known_[id];
    if (!known.follower) {
      known.follower = std::make_unique<RouteFollower>(id, core_.options().incarnation.value, shards_);
    }
    const FollowerId before{id, known.incarnation}, now{id, node.incarnation.value};
    if (known.lives && (!node.lives || before != now)) {
      STELE_MARK("broker: another broker has ended");
      known.lives = false;
      feed_->unfollow(before);
      changes.clear();
      known.follower->source_ended(before.incarnation, changes);
      apply(id, std::move(changes));
      core_.cluster().inlet().on_ended(id, before.incarnation);
    }
    if (node.lives && !known.lives) {
      known.lives = true;
      known.incarnation = now.incarnation;
      feed_->follow(now);
      if (!given_up_) scope_.spawn(feed(now));
    }
  }
  for (auto& [id, known] : known_) {
    if (!known.lives || view.nodes().contains(id)) continue;
    known.lives = false;
    feed_->unfollow({id, known.incarnation});
    changes.clear();
    known.follower->source_ended(known.incarnation, changes);
    apply(id, std::move(changes));
    core_.cluster().inlet().on_ended(id, known.incarnation);
  }
  news_.wake_all();
  progress_.wake_all();
}

bool RouteSharing::follows(const FollowerId& id) const {
  const auto found = known_.find(id.node);
  return found != known_.end() && found->second.lives && found->second.incarnation == id.incarnation;
}

Task<void> RouteSharing::feed(FollowerId to) {
  const std::uint64_t incarnation = feed_->incarnation();
  while (!given_up_ && follows(to) && feed_->incarnation() == incarnation) {
    const std::shared_ptr<const RouteBatch> found = feed_->next_batch(to, kBatchBytes);
    if (!found) {
      co_await news_.wait();
      continue;
    }
    RouteBatch batch = *found;
    batch.follower_incarnation = to.incarnation;
    PeerLink* link = core_.cluster().link(to.node);
    Result<RouteBatchAnswer> answer =
        link ? co_await link->send_routes(batch) : error(ErrorCode::kUnavailable, "it has no address");
    if (given_up_ || !follows(to) || feed_->incarnation() != incarnation) co_return;
    if (answer) {
      feed_->on_answer(to, *answer);
      progress_.wake_all();
      continue;
    }
    feed_->on_lost(to);
    if (!co_await runtime::sleep(core_.runtime(), kAgainAfter, scope_.token())) co_return;
  }
}

bool RouteSharing::complete() const {
  for (const auto& [id, known] : known_) {
    if (known.lives && !known.follower->complete(known.incarnation)) return false;
  }
  return shards_.complete(epochs_);
}

Task<void> RouteSharing::wait_until_complete() {
  while (!complete() && !given_up_) co_await progress_.wait();
}

// What shards want is known as before; what the other brokers have told of themselves is told again.
void RouteSharing::begin_anew() {
  for (auto& [id, known] : known_) {
    std::vector<RouteNews> changes;
    if (known.lives) known.follower->source_ended(known.incarnation, changes);
    apply(id, std::move(changes));
  }
  known_.clear();
  feed_ = std::make_unique<RouteFeed>(core_.options().incarnation.value);
  epochs_ = epochs_of(*core_.meta());
  news_.wake_all();
  progress_.wake_all();
  on_view(*core_.meta());
}

void RouteSharing::give_up() {
  given_up_ = true;
  news_.wake_all();
  progress_.wake_all();
}

Task<void> RouteSharing::close() {
  give_up();
  co_await scope_.close();
}

}  // namespace stele::broker
