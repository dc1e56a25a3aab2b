#include "rpc/peers.h"

#include <utility>

#include "base/assert.h"

namespace stele::rpc {

using runtime::Task;

Peers::Peers(runtime::Runtime& runtime, Identity self, ChannelOptions options, DialFor dial)
    : runtime_(runtime), self_(std::move(self)), options_(std::move(options)), dial_(std::move(dial)) {}

Channel& Peers::set(NodeId node, const runtime::Endpoint& at) {
  STELE_ASSERT(node != self_.node);
  std::unique_ptr<Channel>& channel = channels_[node];
  if (channel) {
    channel->set_address(at);
  } else {
    ChannelOptions options = options_;
    if (dial_) options.dial = dial_(node);
    channel = std::make_unique<Channel>(runtime_, self_, node, at, std::move(options));
  }
  return *channel;
}

Channel* Peers::find(NodeId node) {
  const auto found = channels_.find(node);
  return found == channels_.end() ? nullptr : found->second.get();
}

void Peers::remove(NodeId node, runtime::Duration grace) {
  auto gone = channels_.extract(node);
  if (gone) closing_.spawn(close_one(std::move(gone.mapped()), grace));
}

Task<void> Peers::close_one(std::unique_ptr<Channel> channel, runtime::Duration grace) {
  co_await channel->close(grace);
}

Task<void> Peers::close(runtime::Duration grace) {
  while (!channels_.empty()) remove(channels_.begin()->first, grace);
  co_await closing_.join();
}

}  // namespace stele::rpc
