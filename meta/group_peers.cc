#include "meta/group_peers.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/marks.h"
#include "base/wire.h"
#include "meta/controller.h"

namespace stele::meta {

using runtime::OneShot;
using runtime::Task;

namespace {

// A renewal that waits for a leader that is lost would not be asked of the next one while the lease lasts.
constexpr runtime::Duration kRenewalWithin = std::chrono::milliseconds(500);

// docs/formats/meta-commands.md: u64 applied, answer.
constexpr std::size_t kHeader = 8;

std::string encode(const ProposalAnswer& from) {
  std::string out(kHeader, '\0');
  store_le(out.data(), from.applied);
  return out += from.answer;
}

Result<ProposalAnswer> decode(std::string_view from) {
  if (from.size() < kHeader) return error(ErrorCode::kMalformed, "an answer to a proposal is cut off");
  return ProposalAnswer{.answer = std::string(from.substr(kHeader)),
                        .applied = load_le<std::uint64_t>(from.data())};
}

}  // namespace

void GroupPeers::serve(runtime::Runtime& there, rpc::Server& server) {
  const CoreId home = runtime_.core();
  server.on_message(kRaftMessage, [this, &there, home](const rpc::Peer& from, Bytes message) {
    there.post(home, [this, node = from.node, message = std::move(message)] {
      if (log_) log_->member().deliver(node, message);
    });
  });
  server.serve(kProposeMethod,
               [this, &there](rpc::Request request) { return answer(there, std::move(request)); });
  server.serve(kRenewMethod,
               [this, &there](rpc::Request request) { return answer_renewal(there, std::move(request)); });
}

Task<void> GroupPeers::close() {
  log_ = nullptr;
  controller_ = nullptr;
  co_await taking_.join();
}

// On the server's core.
Task<Result<rpc::Payload>> GroupPeers::answer(runtime::Runtime& there, rpc::Request request) {
  OneShot<Result<ProposalAnswer>> reply;
  there.post(runtime_.core(),
             [this, proposal = std::move(request.payload), back = there.core(), reply]() mutable {
               taking_.spawn(take(std::move(proposal), back, std::move(reply)));
             });
  STELE_CO_TRY(const ProposalAnswer answer, co_await reply.wait());
  co_return rpc::Payload(Bytes::copy(encode(answer)));
}

Task<Result<rpc::Payload>> GroupPeers::answer_renewal(runtime::Runtime& there, rpc::Request request) {
  if (request.payload.size() != sizeof(std::uint64_t))
    co_return error(ErrorCode::kMalformed, "a renewal is an incarnation");
  const Incarnation incarnation(load_le<std::uint64_t>(request.payload.view().data()));
  OneShot<Result<bool>> reply;
  there.post(runtime_.core(), [this, incarnation, node = request.peer->node, back = there.core(), reply] {
    taking_.spawn(renew_here(node, incarnation, back, reply));
  });
  STELE_CO_TRY(const bool renewed, co_await reply.wait());
  const char byte = renewed ? 1 : 0;
  co_return rpc::Payload(Bytes::copy(std::string_view(&byte, 1)));
}

Task<void> GroupPeers::renew_here(NodeId node, Incarnation incarnation, CoreId back,
                                  OneShot<Result<bool>> reply) {
  Result<bool> renewed = error(ErrorCode::kUnavailable, "the meta service starts or stops");
  if (controller_) renewed = co_await controller_->renew(node, incarnation);
  runtime_.post(back, [reply = std::move(reply), renewed = std::move(renewed)]() mutable {
    reply.set(std::move(renewed));
  });
}

Task<void> GroupPeers::take(Bytes proposal, CoreId back, OneShot<Result<ProposalAnswer>> reply) {
  Result<ProposalAnswer> taken = error(ErrorCode::kUnavailable, "the meta service starts or stops");
  if (log_) taken = co_await log_->take(std::move(proposal));
  runtime_.post(
      back, [reply = std::move(reply), taken = std::move(taken)]() mutable { reply.set(std::move(taken)); });
}

void GroupPeers::send(NodeId to, std::vector<Bytes> message) {
  if (rpc::Channel* channel = peers_.find(to)) {
    channel->send(kRaftMessage, message);
  } else {
    STELE_MARK("meta: a message to a node whose address is unknown");
  }
}

Task<Result<ProposalAnswer>> GroupPeers::propose(NodeId leader, Bytes proposal) {
  rpc::Channel* channel = peers_.find(leader);
  if (!channel) {
    co_return error(ErrorCode::kUnavailable,
                    "the address of node " + std::to_string(leader.value) + " is not known");
  }
  auto answered = co_await channel->call(kProposeMethod, rpc::Payload(std::move(proposal)), timeout_);
  if (!answered) co_return std::unexpected(Error(std::move(answered).error()));
  co_return decode(answered->view());
}

Task<Result<bool>> GroupPeers::renew(NodeId leader, Incarnation incarnation) {
  rpc::Channel* channel = peers_.find(leader);
  if (!channel) {
    co_return error(ErrorCode::kUnavailable,
                    "the address of node " + std::to_string(leader.value) + " is not known");
  }
  std::string payload(sizeof(std::uint64_t), '\0');
  store_le(payload.data(), incarnation.value);
  auto answered = co_await channel->call(kRenewMethod, rpc::Payload(Bytes::copy(payload)),
                                         std::min(timeout_, kRenewalWithin));
  if (!answered) co_return std::unexpected(Error(std::move(answered).error()));
  if (answered->size() != 1) co_return error(ErrorCode::kMalformed, "an answer to a renewal is one byte");
  co_return answered->view()[0] == 1;
}

}  // namespace stele::meta
