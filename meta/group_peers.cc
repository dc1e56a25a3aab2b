#include "meta/group_peers.h"

#include <string>
#include <utility>

#include "base/marks.h"
#include "base/wire.h"

namespace stele::meta {

using runtime::OneShot;
using runtime::Task;

namespace {

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
}

Task<void> GroupPeers::close() {
  log_ = nullptr;
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

}  // namespace stele::meta
