// A node of tests: a server with some methods on a host of a simulated world, and channels to others. The
// test acts for it, in turns of its core.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rpc/channel.h"
#include "rpc/peers.h"
#include "rpc/server.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::rpc::testing {

constexpr MethodId kEcho{1};     // answers with what it was asked
constexpr MethodId kSlow{2};     // likewise, a drawn time later
constexpr MethodId kFails{3};    // kNotFound
constexpr MethodId kKeeps{4};    // answers when it is told to
constexpr MethodId kLarge{5};    // answers with as many bytes as it is asked for
constexpr MethodId kNobodys{9};  // is not served
constexpr MessageId kWord{1};
constexpr std::uint16_t kPort = 7000;

inline Identity identity(std::uint32_t node) {
  return {.cluster = {1, 2}, .node = NodeId(node), .incarnation = 0, .product = "stele test"};
}

// A message as it came.
struct Word {
  NodeId from;
  std::uint64_t incarnation = 0;
  std::uint64_t connection = 0;
  std::uint64_t life = 0;  // of the process that it came to
  std::string text;
};

struct NodeOptions {
  ServerOptions server = {.open_without_certificates = true};
  ChannelOptions channel = {};
  runtime::Duration slow_max = std::chrono::milliseconds(50);
};

// What there is of a node while its process lives.
class Live final : public sim::Program {
 public:
  Live(sim::ProcessContext& process, class Node& node);
  runtime::Runtime& runtime;
  Server server;
  Peers peers;
  std::vector<Responder> kept;  // of kKeeps
  std::vector<std::string> ups, downs;
  runtime::Scope scope;  // last
};

class Node {
 public:
  Node(sim::World& world, std::uint32_t number, NodeOptions options = {});

  void boot();
  sim::Host& host() { return host_; }
  Live& live() { return *live_; }
  Server& server() { return live_->server; }
  Channel& to(std::uint32_t node) { return *live_->peers.find(NodeId(node)); }
  // In a turn of its core.
  void act(runtime::Work work);
  // A call whose result comes later.
  std::shared_ptr<std::optional<CallResult>> call(std::uint32_t node, MethodId method, std::string payload,
                                                  runtime::Duration timeout = std::chrono::seconds(10));

  NodeOptions options;
  Identity self;
  std::vector<std::uint32_t> knows;                          // a channel to each
  std::function<void(Live&)> before_listening, when_booted;  // within the process
  std::function<void(std::string)> served;  // each request of kEcho and kSlow, as it is begun
  std::vector<Word> words;                  // over all processes

 private:
  friend class Live;
  sim::World& world_;
  sim::Host& host_;
  Live* live_ = nullptr;
};

// "node" and the number.
std::string host_of(std::uint32_t node);

}  // namespace stele::rpc::testing
