// What clients share that do something again and again, each time from nothing, and judge what they see of
// it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/mqtt/packet.h"
#include "runtime/runtime.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

// An error of a round or of a step says that a connection ended, or that an answer did not come: nothing is
// known then.
class Rounds {
 public:
  Rounds(runtime::Runtime& core, Workload& shared, std::string client)
      : runtime_(core), workload_(shared), name_(std::move(client)) {}
  virtual ~Rounds() = default;
  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;

  virtual runtime::Task<Result<void>> round() = 0;
  // After the last one. False: try again.
  virtual runtime::Task<bool> tidy() { co_return true; }
  const std::string& name() const { return name_; }

 protected:
  using Peer = std::unique_ptr<MqttPeer>;
  // For an answer; the network may be split.
  static constexpr runtime::Duration kPatience = std::chrono::seconds(10);

  void fail(const std::string& what) { workload_.judge.fail(name_ + ": " + what); }
  void show(std::string_view what) { ++workload_.shown[std::string(what)]; }
  runtime::Random& random() { return runtime_.random(); }
  std::uint64_t limit(std::string_view knob) const { return (*workload_.knobs)[knob]; }
  // Whether a client can come to it.
  bool is_low(std::string_view knob) const { return limit(knob) <= 1000; }

  // Its reason is the broker's; the peer is there whatever it is.
  struct Entered {
    Peer peer;
    mqtt::ReasonCode reason = mqtt::ReasonCode::kSuccess;
    bool session_present = false;
    bool in() const { return reason == mqtt::ReasonCode::kSuccess; }
  };
  runtime::Task<Result<Entered>> enter(mqtt::Connect connect, std::optional<MqttPeer::Login> login);
  runtime::Task<Result<Entered>> enter(mqtt::Connect connect) {
    return enter(std::move(connect), workload_.login);
  }
  // Of somebody who is let in, or it is an error.
  runtime::Task<Result<Peer>> open(mqtt::Connect connect);
  runtime::Task<Result<mqtt::ReasonCode>> subscribe(MqttPeer& peer, std::string filter, mqtt::Qos qos);
  // With QoS 1, and its answer; what comes before it is forgotten.
  runtime::Task<Result<mqtt::ReasonCode>> publish(MqttPeer& peer, mqtt::Publish packet);
  // The next PUBLISH, its payload; kTimedOut.
  struct Received {
    std::string topic, payload;
    std::uint16_t packet_id = 0;
    mqtt::Qos qos = mqtt::Qos::kAtMostOnce;
    bool retain = false;
  };
  runtime::Task<Result<Received>> receive(MqttPeer& peer, runtime::Duration within);
  // All that came before the answer to a PING, which is asked for now.
  runtime::Task<Result<std::vector<Received>>> all_until_ping(MqttPeer& peer);

  runtime::Runtime& runtime_;
  Workload& workload_;

 private:
  const std::string name_;
};

// Rounds while the run is busy, and what is to be tidied up when it ends.
runtime::Task<void> run_rounds(runtime::Runtime& runtime, Workload& workload, std::unique_ptr<Rounds> client);

}  // namespace stele::sim
