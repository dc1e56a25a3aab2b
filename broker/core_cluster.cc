// A core among the brokers of a cluster: where shards are, and the ways there and back. On a node alone all
// of it comes down to the cores of the process.
#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/cluster.h"
#include "broker/core.h"
#include "broker/message_batch.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;

void Core::join(ClusterOptions options, PeerServer& server) {
  STELE_ASSERT(options_.by_assignment && !cluster_);
  cluster_ = std::make_unique<Cluster>(*this, std::move(options), server);
}

Cluster& Core::cluster() {
  STELE_ASSERT(cluster_);
  return *cluster_;
}

void Core::lease(runtime::Instant until) {
  lease_until_ = until;
}

Error Core::not_accepting() const {
  return {ErrorCode::kUnavailable,
          "this node is not part of its cluster at the moment; try again, or another"};
}

void Core::begin_anew(meta::Incarnation incarnation) {
  STELE_MARK("broker: goes on as another incarnation");
  options_.incarnation = incarnation;
  accepting_ = false;
  if (!cluster_) return;  // it has not begun yet
  if (cluster_->shares_routes()) cluster_->routes().begin_anew();
  const Error why{ErrorCode::kUnavailable, "the other nodes have taken this one for gone"};
  std::vector<std::shared_ptr<Shard>> shards;
  for (auto& [id, shard] : shards_) shards.push_back(shard);
  for (auto& shard : shards) shard->end_ownership(why);
  cluster_->inlet().begin_anew();
  for (const std::uint64_t attachment : attachments()) {
    if (Attached* session = attached(attachment)) session->on_session_lost(why);
  }
  assignments_changed_.wake_all();
  if (cluster_->shares_routes()) scope_.spawn(accept_when_complete());
}

std::vector<std::uint64_t> Core::attachments() const {
  std::vector<std::uint64_t> all;
  for (const auto& [attachment, session] : sessions_) all.push_back(attachment);
  std::ranges::sort(all);
  return all;
}

// On core 0, for all.
Task<void> Core::accept_when_complete() {
  const meta::Incarnation incarnation = options_.incarnation;
  co_await cluster_->routes().wait_until_complete();
  if (incarnation != options_.incarnation || stopping_ || given_up_) co_return;
  co_await on_every_core([](Core& there) { there.accepting_ = true; });
}

std::optional<Place> Core::place_of(ShardId shard) const {
  if (!cluster_) return core_of(shard);
  const std::optional<NodeId> owner = owner_of(shard);
  if (!owner) return std::nullopt;
  return *owner == options_.node ? Place(core_of(shard)) : Place(*owner);
}

Error Core::nobody_owns(ShardId shard) const {
  return {ErrorCode::kUnavailable,
          "shard " + std::to_string(shard.value) + " has no owner at the moment; try again"};
}

// ---- asking ---------------------------------------------------------------------------------------------

Task<Result<SessionAnswer>> Core::ask_node(NodeId node, SessionAsk asked) {
  if (PeerLink* link = cluster().link(node)) co_return co_await link->ask(std::move(asked));
  co_return error(ErrorCode::kUnavailable,
                  "node " + std::to_string(node.value) + " has no address for other nodes");
}

void Core::tell_node(NodeId node, SessionAsk told) {
  if (PeerLink* link = cluster().link(node)) link->tell(std::move(told));
}

void Core::settle(SettleMail mail) {
  const std::optional<Place> owner = place_of(mail.shard);
  if (!owner) return;  // its next owner sends again what is not settled
  if (owner->here()) return send(owner->core(), mail);
  if (PeerLink* link = cluster().link(owner->node())) link->settle(mail);
}

// ---- data -----------------------------------------------------------------------------------------------

void Core::publish(DataMail mail) {
  if (cluster_) return cluster_->lanes().publish(std::move(mail));
  const CoreId home = core_of(mail.shard);
  send(home, Mail(std::move(mail)));
}

void Core::forward(ForwardMail mail) {
  const std::optional<Place> owner = place_of(mail.target);
  if (owner && owner->here()) return send(owner->core(), std::move(mail));
  PeerLink* link = owner ? cluster().link(owner->node()) : nullptr;
  if (link) return link->forward(std::move(mail));
  // Not in the call: the shard is at work.
  ForwardAnswerMail refused{mail.source, mail.target, false, {}, nobody_owns(mail.target)};
  runtime_.post(runtime_.core(),
                [this, refused = std::move(refused)]() mutable { handle(Mail(std::move(refused))); });
}

void Core::answer_to(const ReplyTo& to, Error error, bool unknown) {
  answer(to, std::move(error), unknown);
}

void Core::answer_publisher(DataAnswerMail mail) {
  handle(Mail(std::move(mail)));
}

// A lane begins anew only when nothing of it is under way, so one generation behind is enough to know.
bool Core::refused_before(const DataMail& mail) const {
  if (mail.lane == 0) return false;
  const auto found = refused_lanes_.find({mail.lane, mail.shard});
  return found != refused_lanes_.end() && found->second == mail.generation;
}

void Core::note_refused(const DataMail& mail) {
  if (mail.lane == 0) return;
  if (refused_lanes_.size() >= kMaxRefusedLanes) refused_lanes_.clear();
  refused_lanes_[{mail.lane, mail.shard}] = mail.generation;
}

// ---- routes ---------------------------------------------------------------------------------------------

void Core::tell_routes(std::vector<RouteNews> news) {
  const CoreId from = runtime_.core();
  if (cluster_) {
    send(CoreId(0), CallMail([from, news = std::move(news)](Core& first) mutable {
           first.cluster().routes().tell(from, std::move(news));
         }));
    return;
  }
  const auto all = std::make_shared<const std::vector<RouteNews>>(std::move(news));
  for (std::uint32_t core = 0; core < core_count(); ++core) {
    send(CoreId(core), CallMail([from, all](Core& there) { there.hear_routes(from, *all); }));
  }
}

Task<void> Core::everybody_knows() {
  if (mutant(Mutant::kSubscribedBeforeRouted)) co_return;
  if (!cluster_) {
    co_await on_every_core([](Core&) {});
    co_return;
  }
  (void)co_await on_core<bool>(CoreId(0), [](Core& first) -> Task<bool> {
    co_await first.cluster().routes().everybody_knows();
    co_return true;
  });
}

void Core::hear_routes(Place from, std::span<const RouteNews> news) {
  using Kind = RouteNews::Kind;
  for (const RouteNews& one : news) {
    switch (one.kind) {
      case Kind::kShardBegins:
        shard_epochs_[one.shard.value] = std::max(shard_epochs_[one.shard.value], one.epoch);
        // In a cluster what its owner no longer wants is told by and by.
        if (!cluster_) routes_.forget_shard(one.shard);
        break;
      case Kind::kSessionInterest:
        routes_.set_session_interest(one.shard, one.tenant, one.text, one.number != 0);
        break;
      case Kind::kShareKeeps:
        routes_.set_share_keeps(one.tenant, one.text, one.number != 0);
        break;
      case Kind::kShardTold:
        break;
      case Kind::kLiveInterest:
        routes_.set_live_interest(from, one.tenant, one.text, one.number != 0);
        break;
      case Kind::kShareMembers:
        routes_.set_share_members(from, one.tenant, one.text, one.number);
        break;
    }
  }
}

// ---- live copies ----------------------------------------------------------------------------------------

// A node that is cut off does not hear that its shards have other owners by now, so sessions that are kept
// get nothing more either.
void Core::end_unkept(const Error& why) {
  const bool cut_off = !may_accept();
  for (const std::uint64_t attachment : attachments()) {
    if (Attached* session = attached(attachment)) session->on_live_missed(why);
    Attached* const kept = cut_off ? attached(attachment) : nullptr;
    if (kept) kept->on_session_lost(why);
  }
}

void Core::send_live_to_node(NodeId node, LiveMail mail) {
  if (abandoned_) return;
  if (PeerLink* link = cluster().link(node)) link->send_live(std::move(mail));
}

void Core::send_live_to_node(NodeId node, TenantId tenant, std::uint64_t publisher_hash,
                             const MessageView& message) {
  if (abandoned_) return;
  if (PeerLink* link = cluster().link(node)) link->send_live(tenant, publisher_hash, message);
}

// To those of this node: the one that it comes from has sent one to each node.
void Core::deliver_of_node(LiveMail mail) {
  if (!mail.share.empty()) {
    ShareRoute* share = routes_.share(mail.data.tenant, mail.share);
    if (!share || share->members_here() == 0) return deliver_shared(std::move(mail));
    const CoreId to = share->next_here();
    if (to != runtime_.core()) return send_live(to, std::move(mail));
    if (!take_shared(mail)) deliver_shared(std::move(mail));
    return;
  }
  const Data& data = mail.data;
  if (data.kafka_batch) {
    for (const Place place : routes_.live_places(data.tenant)) {
      if (place.here()) send_live(place.core(), LiveMail{data});
    }
    return;
  }
  const absl::InlinedVector<Place, 4> places = routes_.route(data.tenant, data.address).live_places;
  for (const Place place : places) {
    if (place.here()) send_live(place.core(), LiveMail{data});
  }
}

void Core::deliver_of_node(LiveBundle bundle) {
  std::move(bundle).for_each(
      [this](TenantId tenant, std::uint64_t publisher_hash, const MessageView& message, const Bytes& owner) {
        Route& route = routes_.route(tenant, message.address, live_memo_);
        bool here = false;
        for (const Place place : route.live_places) {
          if (!place.here()) break;  // cores come first
          if (place.core() == runtime_.core()) {
            here = true;
          } else {
            send_live(place.core(), tenant, publisher_hash, message);
          }
        }
        // Last: what is delivered here may change the routes.
        if (here) deliver_here(route, tenant, message, owner, publisher_hash);
      });
}

void Core::live_falls_behind() {
  ++stats_.live_behind;
  ++live_behind_;
}

void Core::live_catches_up() {
  if (--live_behind_ > 0) return;
  for (const std::uint32_t id : std::exchange(waiting_for_live_, {})) {
    const auto found = publishers_.find(id);
    if (found != publishers_.end()) found->second->on_live_ready();
  }
}

}  // namespace stele::broker
