#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/conformance.h"
#include "runtime/conformance_peer.h"
#include "runtime/scope.h"

namespace stele::runtime {
namespace {

using namespace std::chrono_literals;

// --- Bytes

STELE_CONFORMANCE(LargeDataIsEchoed, 1) {
  Pair pair;
  pair.acceptor.prepare = [](Peer& peer) { peer.echo = true; };
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  const std::string content = pattern(4 << 20, 1);
  std::size_t sent = 0;
  Random random(2);
  while (sent < content.size()) {  // copied and kept pieces in turn, of very different sizes
    const std::size_t size = std::min<std::size_t>(
        content.size() - sent, random.chance(1, 2) ? random.below(40) : random.below(90'000));
    const std::string_view part(content.data() + sent, size);
    if (random.chance(1, 2)) {
      pair.client.connection->write(part);
    } else {
      pair.client.connection->write(Bytes::copy(part));
    }
    sent += size;
    if (random.chance(1, 20)) co_await next_turn(p.runtime());
  }
  EXPECT_TRUE(co_await until(p.runtime(), [&] { return pair.client.received.size() >= content.size(); }));
  EXPECT_TRUE(pair.client.received == content);
  EXPECT_EQ(pair.client.connection->queued_bytes(), 0u);
}

STELE_CONFORMANCE(BytesKeptByTheHandlerStayAsTheyWere, 1) {
  struct Keeper : Peer {
    std::vector<Bytes> kept;
    void on_data(Bytes data) override {
      received += data.view();
      kept.push_back(data);
    }
  } keeper;
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair, &keeper));
  Peer& server = pair.server();
  const std::string content = pattern(1 << 20, 3);
  for (std::size_t at = 0; at < content.size(); at += 10'000) {
    server.connection->write(std::string_view(content).substr(at, 10'000));
    co_await next_turn(p.runtime());
  }
  EXPECT_TRUE(co_await until(p.runtime(), [&] { return keeper.received.size() == content.size(); }));
  std::string joined;
  for (const Bytes& bytes : keeper.kept) joined += bytes.view();
  EXPECT_TRUE(joined == content);
}

STELE_CONFORMANCE(BytesGoToTheHandlersOwnBuffer, 1) {
  struct Filler : Peer {
    std::string frame = std::string(100'000, '\0');
    std::size_t filled = 0;
    std::span<char> read_buffer() override { return std::span(frame).subspan(filled); }
    void on_data(Bytes data) override {
      if (filled < frame.size()) EXPECT_EQ(data.data(), frame.data() + filled);
      filled = std::min(frame.size(), filled + data.size());
      received += data.view();
    }
  } filler;
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair, &filler));
  Peer& server = pair.server();
  const std::string content = pattern(150'000, 4);
  server.connection->write(std::string_view(content));
  EXPECT_TRUE(co_await until(p.runtime(), [&] { return filler.received.size() == content.size(); }));
  EXPECT_TRUE(filler.received == content);
  EXPECT_TRUE(filler.frame == content.substr(0, filler.frame.size()));
}

STELE_CONFORMANCE(SmallWritesKeepTheirOrder, 1) {
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    const std::string text = std::to_string(i) + ";";
    expected += text;
    if (i % 7 == 0) {
      pair.client.connection->write(Bytes::copy(text));
    } else {
      pair.client.connection->write(text);
    }
    if (i % 11 == 0) pair.client.connection->write(Bytes());
  }
  EXPECT_TRUE(co_await until(p.runtime(), [&] { return pair.server().received.size() == expected.size(); }));
  EXPECT_TRUE(pair.server().received == expected);
}

// --- Back-pressure

STELE_CONFORMANCE(APausedConnectionReadsNothing, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  Peer& server = pair.server();
  server.connection->pause_reading();
  server.connection->pause_reading();
  pair.client.connection->write("while paused");
  co_await sleep(rt, 10ms);
  EXPECT_EQ(server.received, "");
  server.connection->resume_reading();
  server.connection->resume_reading();
  EXPECT_TRUE(co_await until(rt, [&] { return server.received == "while paused"; }));

  // From within on_data: nothing more of it.
  server.when_data = [&] { server.connection->pause_reading(); };
  const int before = server.times_read;
  const std::string content = pattern(3 << 20, 5);
  pair.client.connection->write(std::string_view(content));
  EXPECT_TRUE(co_await until(rt, [&] { return server.times_read == before + 1; }));
  co_await sleep(rt, 5ms);
  EXPECT_EQ(server.times_read, before + 1);
  server.when_data = nullptr;
  server.connection->resume_reading();
  EXPECT_TRUE(co_await until(rt, [&] { return server.received.size() == 12 + content.size(); }));
}

STELE_CONFORMANCE(OutputQueuesUpAndDrains, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  Peer& client = pair.client;
  Peer& server = pair.server();
  client.connection->set_low_water(64 << 10);
  server.connection->pause_reading();
  std::string sent;
  STELE_REQUIRE(co_await fill_the_way(rt, &client, &sent));
  const std::string more = pattern(2 << 20, 7);
  client.connection->write(std::string_view(more));
  sent += more;
  EXPECT_GE(client.connection->queued_bytes(), more.size());
  co_await next_turn(rt);
  co_await next_turn(rt);
  EXPECT_GE(client.connection->queued_bytes(), more.size());
  client.times_drained = 0;
  std::size_t queued_at_drain = SIZE_MAX;
  client.when_drained = [&] { queued_at_drain = client.connection->queued_bytes(); };
  server.connection->resume_reading();
  EXPECT_TRUE(co_await until(rt, [&] { return client.times_drained > 0; }));
  EXPECT_LE(queued_at_drain, std::size_t{64 << 10});
  EXPECT_TRUE(co_await until(rt, [&] { return server.received.size() == sent.size(); }));
  EXPECT_TRUE(server.received == sent);
  EXPECT_EQ(client.connection->queued_bytes(), 0u);
  EXPECT_EQ(client.times_drained, 1);
}

STELE_CONFORMANCE(WhoStopsAboveLowWaterIsAlwaysToldToGoOn, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  Peer& client = pair.client;
  client.connection->set_low_water(1000);
  // A producer that writes 3,000 bytes a time and waits to be told, even though the socket takes it at once.
  int left = 20;
  client.when_drained = [&] {
    if (left-- > 0) client.connection->write(std::string(3000, 'x'));
  };
  client.connection->write(std::string(3000, 'x'));
  EXPECT_TRUE(co_await until(rt, [&] { return pair.server().received.size() == 21 * 3000; }));
  EXPECT_TRUE(co_await until(rt, [&] { return client.times_drained == 21; }));
}

}  // namespace
}  // namespace stele::runtime
