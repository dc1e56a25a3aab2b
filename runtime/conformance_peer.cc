#include "runtime/conformance_peer.h"

namespace stele::runtime {

using namespace std::chrono_literals;

Task<bool> until(Runtime& runtime, std::function<bool()> condition) {
  const Instant deadline = runtime.now() + 60s;
  while (!condition()) {
    if (runtime.now() >= deadline) co_return false;
    co_await sleep(runtime, 1ms);
  }
  co_return true;
}

Task<bool> dial(Runtime& runtime, Endpoint to, Peer* peer) {
  auto connection = co_await runtime.network().connect(to, 30s, {});
  if (!connection) {
    ADD_FAILURE() << connection.error().to_string();
    co_return false;
  }
  peer->start(std::move(*connection));
  co_return true;
}

Task<bool> connect_pair(Runtime& runtime, std::string host, Pair* pair, Peer* client) {
  auto listener = runtime.network().listen({host, 0}, {}, pair->acceptor);
  if (!listener) {
    ADD_FAILURE() << listener.error().to_string();
    co_return false;
  }
  pair->listener = std::move(*listener);
  if (!client) client = &pair->client;
  if (!co_await dial(runtime, pair->listener->local(), client)) co_return false;
  co_return co_await until(runtime, [pair] { return pair->acceptor.peers.size() == 1; });
}

std::string pattern(std::size_t size, std::uint64_t seed) {
  std::string result(size, '\0');
  Random random(seed);
  for (char& c : result) c = static_cast<char>(random.next());
  return result;
}

Task<bool> fill_the_way(Runtime& runtime, Peer* from, std::string* sent) {
  const std::string block = pattern(1 << 20, 6);
  for (int i = 0; i < 64; ++i) {
    from->connection->write(std::string_view(block));
    *sent += block;
    co_await sleep(runtime, 2ms);
    if (from->connection->queued_bytes() > 0) co_return true;
  }
  co_return false;
}

}  // namespace stele::runtime
