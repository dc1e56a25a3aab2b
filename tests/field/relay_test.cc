// What the relay promises: no byte is lost or out of place, whatever it does to connections.
#include "tests/field/relay.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

namespace stele::field {
namespace {

using namespace std::chrono_literals;

constexpr int kPatienceMs = 20'000;

class Peer {
 public:
  explicit Peer(int descriptor) : descriptor_(descriptor) {}
  Peer(Peer&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Peer& operator=(Peer&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Peer() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  static sockaddr_in at(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  // errno instead, if there is no connection.
  static std::pair<Peer, int> dial(std::uint16_t port) {
    Peer peer(::socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in to = at(port);
    const int failed = ::connect(peer.descriptor_, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    return {std::move(peer), failed == 0 ? 0 : errno};
  }
  void send(const std::string& bytes) {
    ASSERT_EQ(::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void end() { ::shutdown(descriptor_, SHUT_WR); }
  bool has_something(int within_ms) {
    pollfd one{descriptor_, POLLIN, 0};
    return ::poll(&one, 1, within_ms) == 1;
  }
  // So many bytes, or all up to the end; "reset" where that comes.
  std::string receive(std::size_t size) {
    std::string all;
    while (all.size() < size && has_something(kPatienceMs)) {
      char bytes[4096];
      const ssize_t got = ::recv(descriptor_, bytes, std::min(sizeof(bytes), size - all.size()), 0);
      if (got < 0) return "reset";
      if (got == 0) break;
      all.append(bytes, static_cast<std::size_t>(got));
    }
    return all;
  }

 protected:
  int descriptor_;
};

class Server : public Peer {
 public:
  Server() : Peer(::socket(AF_INET, SOCK_STREAM, 0)) {
    const sockaddr_in any = at(0);
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&any), sizeof(any)), 0);
    EXPECT_EQ(::listen(descriptor_, 16), 0);
  }
  std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    EXPECT_EQ(::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    return ntohs(address.sin_port);
  }
  Peer accept() {
    EXPECT_TRUE(has_something(kPatienceMs));
    return Peer(::accept(descriptor_, nullptr, nullptr));
  }
};

class RelayTest : public ::testing::Test {
 protected:
  void begin(RelayOptions options = {}) {
    auto started = Relay::start(options);
    ASSERT_TRUE(started) << started.error().to_string();
    relay_ = *std::move(started);
    relay_->set_target(0, server_.port());
  }
  std::pair<Peer, Peer> connect() {
    auto [client, failed] = Peer::dial(relay_->port(0));
    EXPECT_EQ(failed, 0);
    return {std::move(client), server_.accept()};
  }

  Server server_;
  std::unique_ptr<Relay> relay_;
};

TEST_F(RelayTest, PassesAllBytesAndBothEnds) {
  begin({.latency_max = 300us, .chunk_bytes = 7});
  auto [client, node] = connect();
  std::string sent;
  for (int i = 0; i < 500; ++i) sent += std::to_string(i) + " ";
  client.send(sent);
  client.end();
  EXPECT_EQ(node.receive(sent.size() + 1), sent);
  node.send("and back");
  node.end();
  EXPECT_EQ(client.receive(100), "and back");
}

TEST_F(RelayTest, HoldsOneDirection) {
  begin();
  auto [client, node] = connect();
  relay_->hold(Direction::kToClients);
  client.send("one way");
  EXPECT_EQ(node.receive(7), "one way");
  node.send("late");
  EXPECT_FALSE(client.has_something(100));
  relay_->release(Direction::kToClients);
  EXPECT_EQ(client.receive(4), "late");
}

TEST_F(RelayTest, CutsWithAReset) {
  begin();
  auto [client, node] = connect();
  client.send("x");
  EXPECT_EQ(node.receive(1), "x");
  relay_->cut(true);
  EXPECT_EQ(client.receive(1), "reset");
  EXPECT_EQ(node.receive(1), "reset");
  EXPECT_EQ(relay_->counts().resets, 1U);
}

TEST_F(RelayTest, RefusesAndTakesAgain) {
  begin();
  relay_->refuse(true);
  EXPECT_EQ(Peer::dial(relay_->port(0)).second, ECONNREFUSED);
  relay_->refuse(false);
  auto [client, node] = connect();
  client.send("y");
  EXPECT_EQ(node.receive(1), "y");
}

TEST_F(RelayTest, WithoutATargetConnectionsAreReset) {
  begin();
  relay_->set_target(0, std::nullopt);
  auto [client, failed] = Peer::dial(relay_->port(0));
  if (failed == 0) {
    EXPECT_EQ(client.receive(1), "reset");
  }
}

TEST_F(RelayTest, ASilentNodeIsNotNoticedUntilItIsHealed) {
  begin();
  auto [client, node] = connect();
  client.send("z");
  EXPECT_EQ(node.receive(1), "z");
  relay_->fall_silent(1h);
  EXPECT_EQ(node.receive(1), "reset");
  EXPECT_FALSE(client.has_something(100));
  relay_->heal();
  EXPECT_EQ(client.receive(1), "reset");
}

TEST_F(RelayTest, WhatIsHeldIsLostWithItsConnection) {
  begin();
  auto [client, node] = connect();
  relay_->hold(Direction::kToClients);
  node.send("lost");
  client.send("q");
  EXPECT_EQ(node.receive(1), "q");
  EXPECT_FALSE(client.has_something(50));
  relay_->cut(true);
  EXPECT_EQ(client.receive(1), "reset");
}

}  // namespace
}  // namespace stele::field
