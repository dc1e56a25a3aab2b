// The channels of one core to the other nodes, by node.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "model/ids.h"
#include "rpc/channel.h"
#include "rpc/hello.h"
#include "runtime/dial.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::rpc {

class Peers final {
 public:
  // How each node is reached; none: by the network.
  using DialFor = std::function<runtime::Dial(NodeId)>;

  // `options` are those of each channel; their `dial` is not used.
  Peers(runtime::Runtime& runtime, Identity self, ChannelOptions options, DialFor dial = {});

  // The channel to `node`, which is at `at` from now on. Never of oneself: what is here is called here.
  Channel& set(NodeId node, const runtime::Endpoint& at);
  // Null: unknown.
  Channel* find(NodeId node);
  // Closes it; no longer to be found, nor to be used.
  void remove(NodeId node, runtime::Duration grace);

  const std::map<NodeId, std::unique_ptr<Channel>>& all() const { return channels_; }

  // Closes all of them. Once.
  runtime::Task<void> close(runtime::Duration grace);

 private:
  static runtime::Task<void> close_one(std::unique_ptr<Channel> channel, runtime::Duration grace);

  runtime::Runtime& runtime_;
  const Identity self_;
  const ChannelOptions options_;
  const DialFor dial_;
  std::map<NodeId, std::unique_ptr<Channel>> channels_;
  runtime::Scope closing_;  // last: it runs channels that are being closed
};

}  // namespace stele::rpc
