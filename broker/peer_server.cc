#include "broker/peer_server.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "broker/cluster.h"
#include "broker/core.h"
#include "broker/message_batch.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
// Pulls are answered with nothing after so long, well before who waits gives up.
constexpr runtime::Duration kPullFor = 5s;
// Of one answer to a pull; more goes with the next.
constexpr std::size_t kPullBytes = 1 << 20;

rpc::Payload nothing() {
  return wire::encode(SessionAnswer(std::monostate()));
}

std::size_t bytes_of(const wire::Items::Part& part) {
  std::size_t bytes = 64;
  if (const auto* mail = std::get_if<SessionMail>(&part)) {
    for (const SessionItem& item : mail->items) bytes += 64 + item.batch.size() + item.address.size();
    bytes += 2 * mail->releases.size() + 4 * mail->completed.size();
  }
  return bytes;
}

Error session_gone() {
  return {ErrorCode::kClosed, "the session has ended"};
}
}  // namespace

// A client of another node, to the shards of this one.
class PeerServer::PeerSession final : public Attached {
 public:
  PeerSession(PeerServer& server, std::uint64_t connection, std::uint64_t there)
      : server_(server), connection_(connection), there_(there), here_(server.core_->attach(*this)) {}
  PeerSession(const PeerSession&) = delete;
  PeerSession& operator=(const PeerSession&) = delete;
  ~PeerSession() { server_.core_->detach(here_); }

  std::uint64_t here() const { return here_; }
  void on_items(SessionMail&& mail) override {
    mail.attachment = there_;
    server_.pass_on(connection_, std::move(mail));
  }
  void on_taken_over() override { server_.pass_on(connection_, wire::TakenOver{there_}); }
  void on_session_lost(const Error& why) override {
    server_.pass_on(connection_, wire::SessionLost{there_, why});
  }
  // The client's own node looks after these.
  void on_live_missed(const Error&) override {}
  void on_rules() override {}

  std::optional<ask::EndSession> open;    // how it ends when its connection does; none: it was not opened
  std::map<std::string, ShardId> shares;  // joined; and their homes
  ShareMemberName member(const std::string& share) const { return {tenant, client_id, share}; }
  TenantId tenant;
  std::string client_id;

 private:
  PeerServer& server_;
  const std::uint64_t connection_, there_, here_;
};

PeerServer::PeerServer(rpc::Server& server) {
  const auto serve = [this, &server](rpc::MethodId method,
                                     void (PeerServer::*take)(rpc::Request, rpc::Responder)) {
    server.on_request(method, [this, take](rpc::Request request, rpc::Responder responder) {
      if (!core_ || closing_) return responder.not_taken(Error{ErrorCode::kUnavailable, "the broker does not serve"});
      (this->*take)(std::move(request), std::move(responder));
    });
  };
  serve(wire::kPublish, &PeerServer::on_publish);
  serve(wire::kForward, &PeerServer::on_forward);
  serve(wire::kLive, &PeerServer::on_live);
  serve(wire::kSettle, &PeerServer::on_settle);
  serve(wire::kItems, &PeerServer::on_pull);
  serve(wire::kAsk, &PeerServer::on_ask);
  serve(wire::kRoutes, &PeerServer::on_routes);
  // Not at once: it may be told from within an answer of ours.
  server.on_gone([this](const rpc::Peer& peer) {
    if (!core_) return;
    gone_.push_back(peer.connection);
    hook();
  });
}

PeerServer::~PeerServer() = default;

void PeerServer::attach(Core& core) {
  core_ = &core;
  scope_.spawn(answer_old_pulls());
}

Task<void> PeerServer::close() {
  closing_ = true;
  while (!connections_.empty()) end_connection(connections_.begin()->first);
  publishes_.clear();
  forwards_.clear();
  co_await scope_.close();
  TurnEndHook::unlink();
  core_ = nullptr;
}

std::size_t PeerServer::sessions() const {
  std::size_t all = 0;
  for (const auto& [id, connection] : connections_) all += connection.sessions.size();
  return all;
}

void PeerServer::hook() {
  if (!linked()) core_->runtime().at_turn_end(*this);
}

void PeerServer::on_turn_end() {
  for (const std::uint64_t id : std::exchange(gone_, {})) end_connection(id);
  for (const std::uint64_t id : std::exchange(fresh_, {})) {
    const auto found = connections_.find(id);
    if (found != connections_.end()) answer_pulls(found->second);
  }
}

// ---- data -----------------------------------------------------------------------------------------------

void PeerServer::on_publish(rpc::Request request, rpc::Responder responder) {
  auto mail = wire::decode<DataMail>(request.payload);
  if (!mail) return responder.fail(mail.error());
  if (mail->shard.value >= core_->routes().shard_count())
    return responder.fail(Error{ErrorCode::kInvalidArgument, "there is no such shard"});
  const std::uint64_t ticket = next_publish_++;
  publishes_.emplace(ticket, std::move(responder));
  mail->reply = {ReplyTo::Kind::kPeer, core_->runtime().core(), 0, ticket};
  mail->lane = Core::lane_of_peer(core_->runtime().core(), request.peer->connection);
  core_->send(core_->core_of(mail->shard), *std::move(mail));
}

void PeerServer::on_answer(const DataAnswerMail& answer) {
  const auto found = publishes_.find(answer.reply.ticket);
  if (found == publishes_.end()) return;
  rpc::Responder responder = std::move(found->second);
  publishes_.erase(found);
  responder.answer(wire::encode(answer));
}

void PeerServer::on_forward(rpc::Request request, rpc::Responder responder) {
  auto mail = wire::decode<ForwardMail>(request.payload);
  if (!mail) return responder.fail(mail.error());
  if (mail->target.value >= core_->routes().shard_count())
    return responder.fail(Error{ErrorCode::kInvalidArgument, "there is no such shard"});
  forwards_[{mail->source, mail->target}].emplace_back(mail->lsn, std::move(responder));
  mail->reply_core = core_->runtime().core();
  mail->of_peer = true;
  core_->send(core_->core_of(mail->target), *std::move(mail));
}

void PeerServer::on_answer(const ForwardAnswerMail& answer) {
  const auto found = forwards_.find({answer.source, answer.target});
  if (found == forwards_.end()) return;
  Forwards waiting = std::move(found->second);
  forwards_.erase(found);
  Forwards left;
  for (auto& [lsn, responder] : waiting) {
    if (answer.error || lsn <= answer.up_to) {
      responder.answer(wire::encode(answer));
    } else {
      left.emplace_back(lsn, std::move(responder));
    }
  }
  if (left.empty()) return;
  Forwards& now = forwards_[{answer.source, answer.target}];
  for (auto& one : now) left.push_back(std::move(one));
  now = std::move(left);
}

void PeerServer::on_live(rpc::Request request, rpc::Responder responder) {
  auto live = wire::decode<wire::Live>(request.payload);
  if (!live) return responder.fail(live.error());
  const LiveHead head = live->head;
  Connection& connection = connections_[request.peer->connection];
  connection.node = request.peer->node;
  connection.live_core = head.core;
  core_->cluster().inlet().take(*request.peer, *std::move(live));
  if (head.last_of_cores == 0) return responder.answer({});
  scope_.spawn(note_last(request.peer->node, head, std::move(responder)));
}

// Answered when that is known where it is needed: then the node may be gone.
Task<void> PeerServer::note_last(NodeId from, LiveHead head, rpc::Responder responder) {
  (void)co_await core_->on_core<bool>(CoreId(0), [from, head](Core& first) -> Task<bool> {
    first.cluster().inlet().note_last(from, head);
    co_return true;
  });
  responder.answer({});
}

// ---- sessions -------------------------------------------------------------------------------------------

PeerServer::PeerSession& PeerServer::stand_for(const rpc::Peer& peer, std::uint64_t attachment) {
  Connection& connection = connections_[peer.connection];
  connection.node = peer.node;
  std::unique_ptr<PeerSession>& session = connection.sessions[attachment];
  if (!session) session = std::make_unique<PeerSession>(*this, peer.connection, attachment);
  return *session;
}

PeerServer::PeerSession* PeerServer::find(const rpc::Peer& peer, std::uint64_t attachment) {
  const auto connection = connections_.find(peer.connection);
  if (connection == connections_.end()) return nullptr;
  const auto session = connection->second.sessions.find(attachment);
  return session == connection->second.sessions.end() ? nullptr : session->second.get();
}

void PeerServer::drop_if_idle(const rpc::Peer& peer, std::uint64_t attachment) {
  const PeerSession* session = find(peer, attachment);
  if (!session || session->open || !session->shares.empty()) return;
  connections_.at(peer.connection).sessions.erase(attachment);
}

void PeerServer::pass_on(std::uint64_t connection, wire::Items::Part part) {
  connections_.at(connection).items.push_back(std::move(part));
  fresh_.push_back(connection);
  hook();
}

void PeerServer::on_pull(rpc::Request request, rpc::Responder responder) {
  Connection& connection = connections_[request.peer->connection];
  connection.node = request.peer->node;
  connection.pulls.emplace_back(std::move(responder), core_->runtime().now());
  answer_pulls(connection);
}

void PeerServer::answer_pulls(Connection& connection) {
  while (!connection.items.empty() && !connection.pulls.empty()) {
    wire::Items items;
    for (std::size_t bytes = 0; !connection.items.empty() && bytes < kPullBytes;) {
      bytes += bytes_of(connection.items.front());
      items.parts.push_back(std::move(connection.items.front()));
      connection.items.pop_front();
    }
    rpc::Responder responder = std::move(connection.pulls.front().first);
    connection.pulls.pop_front();
    responder.answer(wire::encode(items));
  }
}

// So that who waits knows that he is still heard.
Task<void> PeerServer::answer_old_pulls() {
  while (co_await runtime::sleep(core_->runtime(), 1s, scope_.token())) {
    const runtime::Instant before = core_->runtime().now() - kPullFor;
    for (auto& [id, connection] : connections_) {
      while (!connection.pulls.empty() && connection.pulls.front().second <= before) {
        rpc::Responder responder = std::move(connection.pulls.front().first);
        connection.pulls.pop_front();
        responder.answer(wire::encode(wire::Items()));
      }
    }
  }
}

void PeerServer::on_settle(rpc::Request request, rpc::Responder responder) {
  auto settle = wire::decode<wire::Settle>(request.payload);
  if (!settle) return responder.fail(settle.error());
  for (SettleMail& one : settle->settled) {
    const PeerSession* session = find(*request.peer, one.attachment);
    if (!session || one.shard.value >= core_->routes().shard_count()) continue;
    one.attachment = session->here();
    core_->send(core_->core_of(one.shard), Mail(one));
  }
  responder.answer({});
}

void PeerServer::on_ask(rpc::Request request, rpc::Responder responder) {
  auto asked = wire::decode<SessionAsk>(request.payload);
  if (!asked) return responder.fail(asked.error());
  std::visit([&](auto& one) { take(*request.peer, std::move(one), std::move(responder)); }, *asked);
}

template <class Ask>
void PeerServer::ask(ShardId shard, Ask asked, rpc::Responder responder) {
  if (shard.value >= core_->routes().shard_count())
    return responder.fail(Error{ErrorCode::kInvalidArgument, "there is no such shard"});
  scope_.spawn(ask_shard(shard, std::move(asked), std::move(responder)));
}

template <class Ask>
Task<void> PeerServer::ask_shard(ShardId shard, Ask asked, rpc::Responder responder) {
  auto answer = co_await core_->on_core<AnswerTo<Ask>>(
      core_->core_of(shard), [asked = std::move(asked), from = core_->runtime().core()](Core& there) {
        return answer_here(there, asked, from);
      });
  responder.answer(wire::encode(SessionAnswer(std::move(answer))));
}

template <class Ask>
void PeerServer::tell(ShardId shard, Ask told, rpc::Responder responder) {
  if (shard.value >= core_->routes().shard_count())
    return responder.fail(Error{ErrorCode::kInvalidArgument, "there is no such shard"});
  core_->send(core_->core_of(shard),
              CallMail([told = std::move(told)](Core& there) { hear_here(there, told); }));
  responder.answer(nothing());
}

void PeerServer::take(const rpc::Peer& peer, ask::OpenSession asked, rpc::Responder responder) {
  PeerSession& session = stand_for(peer, asked.attachment);
  session.tenant = asked.options.principal.tenant;
  session.client_id = asked.options.client_id;
  asked.attachment = session.here();
  session.open = ask::EndSession{.shard = asked.shard,
                                 .tenant = session.tenant,
                                 .client_id = session.client_id,
                                 .attachment = session.here(),
                                 .ending = {},
                                 .wait = false};
  ask(asked.shard, std::move(asked), std::move(responder));
}

void PeerServer::take(const rpc::Peer& peer, ask::Subscribe asked, rpc::Responder responder) {
  const PeerSession* session = find(peer, asked.attachment);
  if (!session)
    return responder.answer(wire::encode(SessionAnswer(Result<void>(std::unexpected(session_gone())))));
  asked.attachment = session->here();
  ask(asked.shard, std::move(asked), std::move(responder));
}

void PeerServer::take(const rpc::Peer& peer, ask::Unsubscribe asked, rpc::Responder responder) {
  const PeerSession* session = find(peer, asked.attachment);
  if (!session)
    return responder.answer(wire::encode(SessionAnswer(Result<void>(std::unexpected(session_gone())))));
  asked.attachment = session->here();
  ask(asked.shard, std::move(asked), std::move(responder));
}

void PeerServer::take(const rpc::Peer& peer, ask::QueueRetained asked, rpc::Responder responder) {
  const PeerSession* session = find(peer, asked.attachment);
  if (!session)
    return responder.answer(wire::encode(SessionAnswer(Result<void>(std::unexpected(session_gone())))));
  asked.attachment = session->here();
  ask(asked.shard, std::move(asked), std::move(responder));
}

void PeerServer::take(const rpc::Peer& peer, ask::FinishRetained told, rpc::Responder responder) {
  const PeerSession* session = find(peer, told.attachment);
  if (!session) return responder.answer(nothing());
  told.attachment = session->here();
  tell(told.shard, told, std::move(responder));
}

void PeerServer::take(const rpc::Peer& peer, ask::StartDelivery told, rpc::Responder responder) {
  const PeerSession* session = find(peer, told.attachment);
  if (!session) return responder.answer(nothing());
  told.attachment = session->here();
  tell(told.shard, told, std::move(responder));
}

void PeerServer::take(const rpc::Peer& peer, ask::EndSession asked, rpc::Responder responder) {
  const std::uint64_t attachment = asked.attachment;
  PeerSession* session = find(peer, attachment);
  if (!session && !asked.wait) return responder.answer(wire::encode(SessionAnswer(false)));
  if (!session) {
    asked.attachment = 0;  // nobody's: whether anything is left of it
    return ask(asked.shard, std::move(asked), std::move(responder));
  }
  asked.attachment = session->here();
  session->open.reset();
  if (asked.wait) {
    ask(asked.shard, std::move(asked), std::move(responder));
  } else if (asked.shard.value < core_->routes().shard_count()) {
    core_->send(core_->core_of(asked.shard),
                CallMail([told = std::move(asked)](Core& there) { hear_here(there, told); }));
    responder.answer(wire::encode(SessionAnswer(false)));
  } else {
    responder.fail(Error{ErrorCode::kInvalidArgument, "there is no such shard"});
  }
  drop_if_idle(peer, attachment);
}

void PeerServer::take(const rpc::Peer& peer, ask::JoinShare asked, rpc::Responder responder) {
  PeerSession& session = stand_for(peer, asked.join.attachment);
  session.tenant = asked.join.tenant;
  session.client_id = asked.join.client_id;
  session.shares[asked.join.request.filter] = asked.home;
  asked.join.core = core_->runtime().core();
  asked.join.attachment = session.here();
  ask(asked.home, std::move(asked), std::move(responder));
}

void PeerServer::take(const rpc::Peer& peer, ask::LeaveShare asked, rpc::Responder responder) {
  const std::uint64_t attachment = asked.attachment;
  PeerSession* session = find(peer, attachment);
  if (!session)
    return responder.answer(wire::encode(SessionAnswer(Result<void>(std::unexpected(session_gone())))));
  session->shares.erase(asked.member.share);
  asked.attachment = session->here();
  if (asked.for_good) {
    ask(asked.home, std::move(asked), std::move(responder));
  } else {
    tell(asked.home, std::move(asked), std::move(responder));
  }
  drop_if_idle(peer, attachment);
}

void PeerServer::take(const rpc::Peer& peer, ask::StartShare told, rpc::Responder responder) {
  const PeerSession* session = find(peer, told.attachment);
  if (!session) return responder.answer(nothing());
  told.attachment = session->here();
  tell(told.home, std::move(told), std::move(responder));
}

void PeerServer::take(const rpc::Peer&, ask::AreMembers asked, rpc::Responder responder) {
  scope_.spawn(check(std::move(asked), std::move(responder)));
}

Task<void> PeerServer::check(ask::AreMembers asked, rpc::Responder responder) {
  std::vector<bool> answers(asked.members.size(), true);
  for (std::uint32_t core = 0; core < core_->core_count(); ++core) {
    std::vector<std::size_t> places;
    ask::AreMembers here;
    for (std::size_t i = 0; i < asked.members.size(); ++i) {
      const ShareMemberName& member = asked.members[i];
      const ShardId home = shard_of(member.tenant, member.client_id, core_->routes().shard_count());
      if (core_->core_of(home) != CoreId(core)) continue;
      places.push_back(i);
      here.members.push_back(member);
    }
    if (places.empty()) continue;
    const auto found = co_await core_->on_core<std::vector<bool>>(
        CoreId(core),
        [here, from = core_->runtime().core()](Core& there) { return answer_here(there, here, from); });
    for (std::size_t i = 0; i < places.size(); ++i) answers[places[i]] = found[i];
  }
  responder.answer(wire::encode(SessionAnswer(std::move(answers))));
}

void PeerServer::take(const rpc::Peer&, ask::LookForRetained asked, rpc::Responder responder) {
  scope_.spawn(look(std::move(asked), std::move(responder)));
}

// One shard after the other, in their order: so who asks knows what is done with when one of them moves away.
Task<void> PeerServer::look(ask::LookForRetained asked, rpc::Responder responder) {
  std::ranges::sort(asked.shards);
  const std::uint32_t count = core_->routes().shard_count();
  std::erase_if(asked.shards,
                [&](ShardId shard) { return shard < asked.ask.from.shard || shard.value >= count; });
  Result<RetainedPage> all;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < asked.shards.size(); ++i) {
    const ShardId shard = asked.shards[i];
    if (all->messages.size() >= core_->options().retained_page_messages ||
        bytes >= core_->options().retained_page_bytes) {
      all->more = true;
      all->next = {shard, {}};
      break;
    }
    ask::LookForRetained here{asked.ask, {shard}};
    if (here.ask.from.shard != shard) here.ask.from = {};
    auto page = co_await core_->on_core<Result<RetainedPage>>(
        core_->core_of(shard),
        [here, from = core_->runtime().core()](Core& there) { return answer_here(there, here, from); });
    if (!page) {
      // What was found is told; the next question finds out again.
      if (all->messages.empty()) {
        all = std::move(page);
      } else {
        all->more = true;
        all->next = {shard, std::move(here.ask.from.behind)};
      }
      break;
    }
    for (RetainedMessage& message : page->messages) {
      bytes += message.batch.size();
      all->messages.push_back(std::move(message));
    }
    if (page->more) {
      all->more = true;
      all->next = std::move(page->next);
      break;
    }
  }
  responder.answer(wire::encode(SessionAnswer(std::move(all))));
}

void PeerServer::end_connection(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  if (found->second.live_core)
    core_->cluster().inlet().on_gone(found->second.node, *found->second.live_core, id);
  if (!found->second.sessions.empty()) STELE_MARK("broker: sessions of another node end with its connection");
  for (const auto& [attachment, session] : found->second.sessions) {
    for (const auto& [share, home] : session->shares) {
      core_->send(core_->core_of(home),
                  CallMail([told = ask::LeaveShare{home, session->member(share), session->here()}](
                               Core& there) { hear_here(there, told); }));
    }
    if (session->open) {
      core_->send(core_->core_of(session->open->shard),
                  CallMail([told = *session->open](Core& there) { hear_here(there, told); }));
    }
  }
  connections_.erase(id);
}

// ---- routes ---------------------------------------------------------------------------------------------

void PeerServer::on_routes(rpc::Request request, rpc::Responder responder) {
  auto batch = wire::decode<RouteBatch>(request.payload);
  if (!batch) return responder.fail(batch.error());
  scope_.spawn(answer_routes(request.peer->node, *std::move(batch), std::move(responder)));
}

Task<void> PeerServer::answer_routes(NodeId from, RouteBatch batch, rpc::Responder responder) {
  const auto answer = co_await core_->on_core<std::optional<RouteBatchAnswer>>(
      CoreId(0),
      [from, batch = std::move(batch)](Core& first) { return first.cluster().routes().take(from, batch); });
  if (answer) co_return responder.answer(wire::encode(*answer));
  responder.fail(Error{ErrorCode::kFenced, "this is for, or of, another process of the node"});
}

}  // namespace stele::broker
