#include "protocols/mqtt/fake_runtime.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace stele::mqtt {

FakeConnection::FakeConnection(FakeNetwork& network) : network(network), id_(network.next_id_++) {
  network.connections_[id_] = this;
}

FakeConnection::~FakeConnection() {
  network.connections_.erase(id_);
  if (!peer) return;
  peer->peer_ended = true;
  peer->peer = nullptr;
}

void FakeConnection::start(runtime::ConnectionHandler& with) {
  STELE_ASSERT(!handler);
  handler = &with;
}

void FakeConnection::write(std::string_view copied) {
  if (closing || ended) return;
  written += copied;
  if (written.size() > low_water) above_low_water = true;
}

bool FakeConnection::step() {
  if (!handler || ended) return false;
  if (!written.empty() && !stuck) {
    if (peer && !peer->closing) peer->inbox += written;
    written.clear();
    return true;
  }
  if (above_low_water && written.size() <= low_water && !closing) {
    above_low_water = false;
    handler->on_drained();
    return true;
  }
  if (closing && (written.empty() || !peer || stuck)) {  // without any grace
    end(ErrorCode::kCancelled);
    return true;
  }
  if (closing || paused) return false;
  if (!inbox.empty()) {
    std::size_t size = std::min(inbox.size(), chunk);
    const std::span<char> own = handler->read_buffer();
    Bytes data;
    if (own.empty()) {
      data = Bytes::copy(inbox.substr(0, size));
    } else {
      size = std::min(size, own.size());
      std::memcpy(own.data(), inbox.data(), size);
      data = Bytes::literal({own.data(), size});
    }
    inbox.erase(0, size);
    handler->on_data(std::move(data));
    return true;
  }
  if (!peer_ended) return false;
  end(ErrorCode::kClosed);
  return true;
}

void FakeConnection::end(ErrorCode code) {
  ended = true;
  if (peer) peer->peer_ended = true;
  handler->on_closed(Error{code, "closed"});
}

struct FakeNetwork::Listening final : runtime::Listener {
  Listening(FakeNetwork& network, std::uint16_t port) : network(network), port(port) {}
  ~Listening() override { network.listening_.erase(port); }
  runtime::Endpoint local() const override { return {"fake", port}; }
  FakeNetwork& network;
  std::uint16_t port;
};

Result<std::unique_ptr<runtime::Listener>> FakeNetwork::listen(const runtime::Endpoint& at,
                                                               runtime::ListenOptions,
                                                               runtime::AcceptHandler& handler) {
  const std::uint16_t port = at.port != 0 ? at.port : next_port_++;
  if (!listening_.emplace(port, &handler).second) return error(ErrorCode::kAddressInUse, "port in use");
  return std::make_unique<Listening>(*this, port);
}

std::unique_ptr<FakeConnection> FakeNetwork::dial(std::uint16_t port) {
  auto found = listening_.find(port);
  if (found == listening_.end()) return nullptr;
  auto here = std::make_unique<FakeConnection>(*this);
  auto there = std::make_unique<FakeConnection>(*this);
  here->peer = there.get();
  there->peer = here.get();
  found->second->on_accept(std::move(there));
  return here;
}

runtime::Task<Result<std::unique_ptr<runtime::Connection>>> FakeNetwork::connect(runtime::Endpoint to,
                                                                                 runtime::Duration,
                                                                                 runtime::StopToken) {
  auto connection = dial(to.port);
  if (!connection) co_return error(ErrorCode::kRefused, "nobody listens on " + to.to_string());
  co_return std::move(connection);
}

bool FakeNetwork::step() {
  bool any = false;
  // A step may add and remove connections.
  for (auto it = connections_.begin(); it != connections_.end();) {
    const std::uint64_t id = it->first;
    any |= it->second->step();
    it = connections_.upper_bound(id);
  }
  return any;
}

WallTime FakeRuntime::wall_now() const {
  constexpr std::int64_t kStart = 1'700'000'000'000;
  return WallTime{kStart +
                  std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count()};
}

runtime::Files& FakeRuntime::files() {
  assertion_failed(__FILE__, __LINE__, "no files here");
}

void FakeRuntime::at_turn_end(runtime::TurnEndHook& hook) {
  if (!hook.linked()) hooks_.push_back(hook);
}

void FakeRuntime::offload(runtime::BlockingWork, runtime::Work) {
  assertion_failed(__FILE__, __LINE__, "no worker threads here");
}

void FakeRuntime::end_turn() {
  while (!hooks_.empty()) hooks_.pop_front().on_turn_end();
}

void FakeRuntime::settle() {
  bool busy = true;
  while (busy) {
    busy = !posted_.empty();
    if (busy) {
      runtime::Work work = std::move(posted_.front());
      posted_.pop_front();
      work();
    }
    end_turn();
    busy |= network_.step();
    end_turn();
  }
}

void FakeRuntime::advance(runtime::Duration duration) {
  const runtime::Instant target = now_ + duration;
  settle();
  while (timers_.next() <= target) {
    now_ = std::max(now_, timers_.next());
    timers_.fire(now_);
    settle();
  }
  now_ = target;
  settle();
}

}  // namespace stele::mqtt
