// What tests of coroutines and connections on any backend need: waiting, and both ends of a connection.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/runtime.h"

namespace stele::runtime {

// ASSERT_TRUE for coroutines. EXPECT_* works as it is.
#define STELE_REQUIRE(condition)    \
  if (!(condition)) {               \
    ADD_FAILURE() << "" #condition; \
    co_return;                      \
  }

// The code a failed call gave, kInternal with a test failure if it succeeded.
template <class T>
ErrorCode code_of(const Result<T>& result) {
  if (result) {
    ADD_FAILURE() << "succeeded";
    return ErrorCode::kInternal;
  }
  return result.error().code;
}

// Resumes in a later turn of this core.
inline auto next_turn(Runtime& runtime) {
  struct Awaiter {
    Runtime& runtime;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      runtime.post(runtime.core(), [waiter] { waiter.resume(); });
    }
    void await_resume() const {}
  };
  return Awaiter{runtime};
}

// Waits until `condition` holds. False if it does not within a minute of this core's clock.
Task<bool> until(Runtime& runtime, std::function<bool()> condition);

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

// Connects and starts `peer`. False with a test failure if that fails.
Task<bool> dial(Runtime& runtime, Endpoint to, Peer* peer);

// A listener with one connection to it.
struct Pair {
  Acceptor acceptor;
  std::unique_ptr<Listener> listener;
  Peer client;
  Peer& server() { return *acceptor.peers.at(0); }
};

// Makes a pair and starts both ends; `client` takes the place of the pair's own.
Task<bool> connect_pair(Runtime& runtime, std::string host, Pair* pair, Peer* client = nullptr);

// Bytes that look like none of their neighbours.
std::string pattern(std::size_t size, std::uint64_t seed);

// Writes until the peer that does not read has filled what lies between. False if nothing ever fills.
Task<bool> fill_the_way(Runtime& runtime, Peer* from, std::string* sent);

}  // namespace stele::runtime
