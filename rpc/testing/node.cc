#include "rpc/testing/node.h"

#include <utility>

#include "base/assert.h"

namespace stele::rpc::testing {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

Task<Result<Payload>> answer_slowly(runtime::Runtime* runtime, runtime::Duration max, Bytes payload) {
  co_await runtime::sleep(*runtime, runtime::Duration(runtime->random().between(0, max.count())));
  co_return Payload(std::move(payload));
}

Task<void> ask(Channel* channel, MethodId method, std::string payload, runtime::Duration timeout,
               std::shared_ptr<std::optional<CallResult>> result) {
  *result = co_await channel->call(method, Bytes::copy(payload), timeout);
}

}  // namespace

std::string host_of(std::uint32_t node) {
  return "node" + std::to_string(node);
}

Live::Live(sim::ProcessContext& process, Node& node)
    : runtime(process.core(0)),
      server(runtime, node.self, node.options.server),
      peers(runtime, node.self, node.options.channel) {
  server.on_request(kEcho, [&node](Request request, Responder responder) {
    if (node.served) node.served(std::string(request.payload.view()));
    responder.answer(request.payload);
  });
  server.serve(kSlow, [this, &node](Request request) {
    if (node.served) node.served(std::string(request.payload.view()));
    return answer_slowly(&runtime, node.options.slow_max, std::move(request.payload));
  });
  server.on_request(kFails, [](Request, Responder responder) {
    responder.fail(Error{ErrorCode::kNotFound, "it is not there"});
  });
  server.on_request(kKeeps, [this](Request, Responder responder) { kept.push_back(std::move(responder)); });
  server.on_request(kLarge, [](Request request, Responder responder) {
    responder.answer(Bytes::copy(std::string(std::stoul(std::string(request.payload.view())), 'x')));
  });
  server.on_message(kWord, [&node](const Peer& from, Bytes text) {
    node.words.push_back(
        {from.node, from.incarnation, from.connection, node.self.incarnation, std::string(text.view())});
  });
  if (node.before_listening) node.before_listening(*this);
  STELE_ASSERT(server.listen(runtime.network(), {"0.0.0.0", kPort}));
  for (const std::uint32_t other : node.knows) {
    Channel& channel = peers.set(NodeId(other), {host_of(other), kPort});
    channel.set_on_up([this](const Peer& peer) { ups.push_back(host_of(peer.node.value)); });
    channel.set_on_down([this](const Error& why) { downs.push_back(why.message); });
  }
  if (node.when_booted) node.when_booted(*this);
}

Node::Node(sim::World& world, std::uint32_t number, NodeOptions o)
    : options(std::move(o)), self(identity(number)), world_(world), host_(world.add_host(host_of(number))) {}

void Node::boot() {
  host_.boot(1, [this](sim::ProcessContext& process) {
    self.incarnation = process.incarnation();
    auto live = std::make_unique<Live>(process, *this);
    live_ = live.get();
    return live;
  });
  world_.run_for(1ms);
}

void Node::act(runtime::Work work) {
  live_->runtime.post(CoreId(0), std::move(work));
  world_.run_for(1ms);
}

std::shared_ptr<std::optional<CallResult>> Node::call(std::uint32_t node, MethodId method,
                                                      std::string payload, runtime::Duration timeout) {
  auto result = std::make_shared<std::optional<CallResult>>();
  act([=, this] { live_->scope.spawn(ask(&to(node), method, payload, timeout, result)); });
  return result;
}

}  // namespace stele::rpc::testing
