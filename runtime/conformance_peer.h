// Both ends of a connection, for the conformance tests of the network.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/conformance.h"

namespace stele::runtime {

// One end of a connection: owns it and keeps what happened to it.
struct Peer : ConnectionHandler {
  std::unique_ptr<Connection> connection;
  std::string received;
  std::optional<Error> closed;
  int times_closed = 0, times_drained = 0, times_read = 0;
  bool echo = false;
  std::span<char> own_buffer;
  std::function<void()> when_data, when_drained, when_closed;

  void start(std::unique_ptr<Connection> with) {
    connection = std::move(with);
    connection->start(*this);
  }
  std::span<char> read_buffer() override { return own_buffer; }
  void on_data(Bytes data) override {
    EXPECT_FALSE(data.empty());
    EXPECT_EQ(times_closed, 0);
    ++times_read;
    received += data.view();
    if (echo) connection->write(std::move(data));
    if (when_data) when_data();
  }
  void on_drained() override {
    EXPECT_EQ(times_closed, 0);
    ++times_drained;
    if (when_drained) when_drained();
  }
  void on_closed(const Error& why) override {
    ++times_closed;
    closed = why;
    if (when_closed) when_closed();
  }
};

// Accepts everything. The callback sets a peer up before it starts.
struct Acceptor : AcceptHandler {
  std::vector<std::unique_ptr<Peer>> peers;
  std::function<void(Peer&)> prepare;
  void on_accept(std::unique_ptr<Connection> connection) override {
    auto peer = std::make_unique<Peer>();
    if (prepare) prepare(*peer);
    peer->start(std::move(connection));
    peers.push_back(std::move(peer));
  }
};

inline Task<bool> dial(Runtime& runtime, Endpoint to, Peer* peer) {
  auto connection = co_await runtime.network().connect(to, std::chrono::seconds(30), {});
  if (!connection) {
    ADD_FAILURE() << connection.error().to_string();
    co_return false;
  }
  peer->start(std::move(*connection));
  co_return true;
}

// A listener with one connection to it, both ends started. connect_pair takes a client of the test's own too.
struct Pair {
  Acceptor acceptor;
  std::unique_ptr<Listener> listener;
  Peer client;
  Peer& server() { return *acceptor.peers.at(0); }
};

inline Task<bool> connect_pair(ConformanceProcess p, Pair* pair, Peer* client = nullptr) {
  auto listener = p.runtime().network().listen({p.host, 0}, {}, pair->acceptor);
  if (!listener) {
    ADD_FAILURE() << listener.error().to_string();
    co_return false;
  }
  pair->listener = std::move(*listener);
  if (!client) client = &pair->client;
  if (!co_await dial(p.runtime(), pair->listener->local(), client)) co_return false;
  co_return co_await until(p.runtime(), [pair] { return pair->acceptor.peers.size() == 1; });
}

inline std::string pattern(std::size_t size, std::uint64_t seed) {
  std::string result(size, '\0');
  Random random(seed);
  for (char& c : result) c = static_cast<char>(random.next());
  return result;
}

// Writes until the peer that does not read has filled what lies between. False if nothing ever fills.
inline Task<bool> fill_the_way(Runtime& runtime, Peer* from, std::string* sent) {
  const std::string block = pattern(1 << 20, 6);
  for (int i = 0; i < 64; ++i) {
    from->connection->write(std::string_view(block));
    *sent += block;
    co_await sleep(runtime, std::chrono::milliseconds(2));
    if (from->connection->queued_bytes() > 0) co_return true;
  }
  co_return false;
}

}  // namespace stele::runtime
