// A client that goes on sending over its old connection while it opens another one. What the old one still
// brings must not be taken for what the new one sends under the same packet identifiers: each message comes
// exactly once.
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "runtime/scope.h"
#include "sim/workloads/rounds.h"

namespace stele::sim {

using mqtt::Qos;
using runtime::Task;
using namespace std::chrono_literals;

namespace {

// Fewer than any broker takes at once.
constexpr std::uint16_t kMessages = 24;

class Impatient final : public Rounds {
 public:
  Impatient(runtime::Runtime& core, Workload& shared) : Rounds(core, shared, "impatient") {}

  // In a place of its own: what an earlier round has sent may come late.
  Task<Result<void>> round() override {
    topic_ = "impatient/" + std::to_string(++rounds_);
    mqtt::Connect watch;
    watch.client_id = "impatient-watcher";
    STELE_CO_TRY(const Peer watcher, co_await open(std::move(watch)));
    STELE_CO_TRY(const auto granted, co_await subscribe(*watcher, topic_, Qos::kExactlyOnce));
    if (is_error(granted)) co_return error(ErrorCode::kUnavailable, "refused");
    STELE_CO_TRY(Peer old, co_await come(true));
    const std::uint64_t before = last_;
    stage_.clear();
    runtime::Scope opening;
    Peer next;
    bool opened = false;
    opening.spawn(open_another(*this, next, opened));
    for (std::uint16_t id = 1; id <= kMessages; ++id) {
      stage_.emplace(id, Stage{before + id});
      ++last_;
      old->publish(topic_, std::to_string(before + id), 2, id, false, false);
      if (!opened) co_await runtime::sleep(runtime_, short_pause(runtime_, 4));
    }
    co_await opening.join();
    if (!next) co_return error(ErrorCode::kUnavailable, "refused");
    old.reset();
    STELE_CO_CHECK(co_await finish(*next));
    co_return co_await look(*watcher, before);
  }

 private:
  struct Stage {
    std::uint64_t number = 0;
  };

  Task<Result<Peer>> come(bool clean) {
    mqtt::Connect connect;
    connect.client_id = "impatient";
    connect.clean_start = clean;
    connect.session_expiry_s = 60;
    co_return co_await open(std::move(connect));
  }
  static Task<void> open_another(Impatient& self, Peer& next, bool& opened) {
    auto made = co_await self.come(false);
    if (made) next = *std::move(made);
    opened = true;
  }

  // What the old connection may have brought, under its identifiers.
  Task<Result<void>> finish(MqttPeer& peer) {
    for (const auto& [id, stage] : stage_)
      peer.publish(topic_, std::to_string(stage.number), 2, id, true, false);
    while (!stage_.empty()) {
      STELE_CO_TRY(const ReceivedPacket packet, co_await peer.next(10s));
      if (const auto* received = std::get_if<mqtt::Pubrec>(&packet.packet)) {
        if (is_error(received->reason)) co_return error(ErrorCode::kUnavailable, "refused");
        peer.send(mqtt::Pubrel{.packet_id = received->packet_id});
      }
      if (const auto* complete = std::get_if<mqtt::Pubcomp>(&packet.packet))
        stage_.erase(complete->packet_id);
    }
    co_return Result<void>();
  }

  Task<Result<void>> look(MqttPeer& watcher, std::uint64_t before) {
    std::map<std::uint64_t, int> seen;
    while (true) {
      auto packet = co_await watcher.next(2s);
      if (!packet && packet.error().code == ErrorCode::kTimedOut) break;
      if (!packet) co_return std::unexpected(packet.error());
      if (const auto* publish = std::get_if<mqtt::Publish>(&packet->packet)) {
        ++seen[std::stoull(std::string(publish->payload))];
        watcher.send(mqtt::Pubrec{.packet_id = publish->packet_id});
      }
      if (const auto* release = std::get_if<mqtt::Pubrel>(&packet->packet))
        watcher.send(mqtt::Pubcomp{.packet_id = release->packet_id});
    }
    // Its connection has lasted, and so has the process.
    watcher.send(mqtt::Pingreq{});
    STELE_CO_TRY(const ReceivedPacket alive, co_await watcher.next(10s));
    if (!std::holds_alternative<mqtt::Pingresp>(alive.packet)) co_return Result<void>();
    for (const auto& [number, times] : seen) {
      if (times > 1) fail("message " + std::to_string(number) + " came " + std::to_string(times) + " times");
    }
    if (seen.size() != kMessages || seen.begin()->first != before + 1) {
      fail("of " + std::to_string(kMessages) + " messages " + std::to_string(seen.size()) + " came");
    }
    show("old-connections");
    co_return Result<void>();
  }

  std::map<std::uint16_t, Stage> stage_;  // by packet identifier, of what is not complete
  std::uint64_t last_ = 0, rounds_ = 0;
  std::string topic_;
};

}  // namespace

Task<void> run_impatient(runtime::Runtime& runtime, Workload& workload) {
  return run_rounds(runtime, workload, std::make_unique<Impatient>(runtime, workload));
}

}  // namespace stele::sim
