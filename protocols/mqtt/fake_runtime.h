// A core for tests: its time stands still until it is told to pass, its network is memory. Everything happens
// within settle(), advance() and what they call. One thread, no randomness but a fixed seed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "base/intrusive_list.h"
#include "runtime/runtime.h"
#include "runtime/timer_queue.h"

namespace stele::mqtt {

class FakeNetwork;

// One end of a connection. `written` leaves it at the end of a turn and waits in the other end's `inbox`.
class FakeConnection final : public runtime::Connection {
 public:
  explicit FakeConnection(FakeNetwork& network);
  ~FakeConnection() override;

  void start(runtime::ConnectionHandler& handler) override;
  void write(std::string_view copied) override;
  void write(Bytes slice) override { write(slice.view()); }
  std::size_t queued_bytes() const override { return written.size(); }
  void set_low_water(std::size_t bytes) override { low_water = bytes; }
  void pause_reading() override { paused = true; }
  void resume_reading() override { paused = false; }
  void close(runtime::Duration) override { closing = true; }
  runtime::Endpoint local() const override { return {"fake", 1}; }
  runtime::Endpoint remote() const override { return {"fake", 2}; }

  // Does one thing that is due; false if nothing is.
  bool step();

  FakeNetwork& network;
  runtime::ConnectionHandler* handler = nullptr;
  FakeConnection* peer = nullptr;  // null once it is gone
  std::string written;
  std::string inbox;
  std::size_t low_water = kDefaultLowWater;
  std::size_t chunk = SIZE_MAX;  // bytes that on_data gets at most
  bool above_low_water = false;
  bool paused = false;
  bool stuck = false;  // nothing that is written leaves
  bool closing = false;
  bool peer_ended = false;
  bool ended = false;

 private:
  void end(ErrorCode code);
  std::uint64_t id_;
};

class FakeNetwork final : public runtime::Network {
 public:
  Result<std::unique_ptr<runtime::Listener>> listen(const runtime::Endpoint& at, runtime::ListenOptions,
                                                    runtime::AcceptHandler& handler) override;
  runtime::Task<Result<std::unique_ptr<runtime::Connection>>> connect(runtime::Endpoint to, runtime::Duration,
                                                                      runtime::StopToken) override;
  // What connect() gives, without waiting; null if nobody listens.
  std::unique_ptr<FakeConnection> dial(std::uint16_t port);
  // As if somebody had connected.
  void accept(std::uint16_t port, std::unique_ptr<runtime::Connection> connection) {
    listening_.at(port)->on_accept(std::move(connection));
  }
  bool step();

 private:
  friend class FakeConnection;
  struct Listening;
  std::map<std::uint16_t, runtime::AcceptHandler*> listening_;
  std::uint16_t next_port_ = 1000;
  std::map<std::uint64_t, FakeConnection*> connections_;
  std::uint64_t next_id_ = 0;
};

class FakeRuntime final : public runtime::Runtime {
 public:
  CoreId core() const override { return CoreId(0); }
  std::uint32_t core_count() const override { return 1; }
  runtime::Instant now() const override { return now_; }
  WallTime wall_now() const override;
  runtime::Random& random() override { return random_; }
  runtime::Log& log() override { return log_; }
  FakeNetwork& network() override { return network_; }
  runtime::Files& files() override;
  void arm(runtime::Timer& timer, runtime::Instant deadline) override { timers_.arm(timer, deadline); }
  void disarm(runtime::Timer& timer) override { timers_.disarm(timer); }
  void post(CoreId, runtime::Work work) override { posted_.push_back(std::move(work)); }
  void at_turn_end(runtime::TurnEndHook& hook) override;
  void offload(runtime::BlockingWork job, runtime::Work done) override;

  // Runs turns until nothing is left to do.
  void settle();
  void advance(runtime::Duration duration);

 private:
  struct NoLog final : runtime::Log {
    bool enabled(runtime::LogLevel) const override { return true; }
    void write(runtime::LogLevel, std::string_view, std::string_view) override {}
  };
  void end_turn();

  runtime::Instant now_{};
  runtime::Random random_{1883};
  NoLog log_;
  FakeNetwork network_;
  runtime::TimerQueue timers_;
  std::deque<runtime::Work> posted_;
  IntrusiveList<runtime::TurnEndHook> hooks_;
};

}  // namespace stele::mqtt
