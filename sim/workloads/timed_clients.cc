// Wills, and messages and sessions that end by time: clients that do what the time decides, and look what
// came of it. While there are faults nobody can say what should have; when they are over, it is known. What
// holds for wills in spite of them: will_clients.cc.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kPublisher = 800;
constexpr int kRoundsInCalm = 5;
// The owner's clock may go this much slower or faster, and is asked once in a while.
constexpr auto kTolerance = 5s;

class TimedClients {
 public:
  TimedClients(runtime::Runtime& runtime, Workload& workload) : runtime_(runtime), workload_(workload) {}

  // An error says that a connection ended, or that the broker refused: nothing is known then.
  Task<Result<void>> round() {
    // With faults it is a matter of luck; nothing is held against the broker.
    strict_ = workload_.stopping && workload_.producing == 0;
    workload_.ledger.operation();
    switch (runtime_.random().below(6)) {
      case 0:
        return will_of_lost_connection();
      case 1:
        return will_of_silent_client();
      case 2:
        return no_will_after_disconnect();
      case 3:
        return no_will_of_client_that_comes_back();
      case 4:
        return message_expires();
      default:
        return session_expires();
    }
  }
  bool strict() const { return strict_; }

 private:
  using Peer = std::unique_ptr<MqttPeer>;

  // ---- what rounds consist of

  void fail(const std::string& what) {
    if (strict_) workload_.judge.fail(what);
  }
  std::string next_text() { return MessageId{kPublisher, 0, sequence_++}.text(); }

  Task<Result<Peer>> open(mqtt::Connect connect, bool* session_present = nullptr) {
    STELE_CO_TRY(auto peer, co_await MqttPeer::dial(runtime_, workload_.mqtt, workload_.login));
    STELE_CO_TRY(const auto opened, co_await peer->open(std::move(connect)));
    if (opened.reason != mqtt::ReasonCode::kSuccess) co_return error(ErrorCode::kUnavailable, "refused");
    if (session_present) *session_present = opened.session_present;
    co_return std::move(peer);
  }

  Task<Result<void>> subscribe(MqttPeer& peer, std::string_view filter) {
    mqtt::Subscribe subscribe;
    subscribe.packet_id = 1;
    subscribe.subscriptions.push_back({.filter = filter, .qos = mqtt::Qos::kAtLeastOnce});
    peer.send(subscribe);
    STELE_CO_TRY(const ReceivedPacket packet, co_await peer.next(20s));
    const auto* suback = std::get_if<mqtt::Suback>(&packet.packet);
    if (!suback || suback->reasons[0] != mqtt::ReasonCode::kGrantedQos1) {
      co_return error(ErrorCode::kUnavailable, "refused");
    }
    co_return Result<void>();
  }

  Task<Result<Peer>> watcher() {
    mqtt::Connect connect;
    connect.client_id = "timed-watcher";
    STELE_CO_TRY(auto peer, co_await open(connect));
    STELE_CO_CHECK(co_await subscribe(*peer, "timed/#"));
    co_return std::move(peer);
  }

  // All that comes within the time, acknowledged; up to `until`, if that comes.
  struct Seen {
    std::string payload;
    std::optional<std::uint32_t> expiry_s;
  };
  Task<Result<std::vector<Seen>>> watch(MqttPeer& peer, runtime::Duration time,
                                        std::optional<std::string> until = std::nullopt) {
    std::vector<Seen> seen;
    const runtime::Instant end = runtime_.now() + time;
    while (runtime_.now() < end) {
      auto packet = co_await peer.next(end - runtime_.now());
      if (!packet && packet.error().code == ErrorCode::kTimedOut) break;
      if (!packet) co_return std::unexpected(packet.error());
      const auto* publish = std::get_if<mqtt::Publish>(&packet->packet);
      if (!publish) continue;
      seen.push_back({std::string(publish->payload), publish->properties.message_expiry_s});
      if (publish->packet_id != 0) peer.send(mqtt::Puback{.packet_id = publish->packet_id});
      if (until && publish->payload == *until) break;
    }
    co_return seen;
  }
  static const Seen* find(const std::vector<Seen>& seen, const std::string& text) {
    const auto found = std::ranges::find(seen, text, &Seen::payload);
    return found == seen.end() ? nullptr : &*found;
  }

  // A connection with a will.
  struct Willed {
    Peer peer;
    std::string text;
    runtime::Duration delay{};  // until the will goes
  };
  Task<Result<Willed>> open_with_will(std::uint32_t delay_s, std::uint32_t expiry_s) {
    Willed out{
        .peer = nullptr, .text = next_text(), .delay = std::chrono::seconds(std::min(delay_s, expiry_s))};
    mqtt::Connect connect;
    connect.client_id = "timed-will";
    connect.version =
        expiry_s == 0 && runtime_.random().chance(1, 3) ? mqtt::Version::kV311 : mqtt::Version::kV5;
    connect.clean_start = connect.version == mqtt::Version::kV311 || runtime_.random().chance(1, 2);
    connect.keep_alive_s = 4;
    connect.will = mqtt::Will{.qos = mqtt::Qos::kAtLeastOnce, .topic = "timed/will", .payload = out.text};
    if (connect.version == mqtt::Version::kV5) {
      connect.session_expiry_s = expiry_s;
      connect.will->delay_s = delay_s;
    }
    STELE_CO_TRY(out.peer, co_await open(connect));
    co_return out;
  }

  Task<Result<void>> expect_will(MqttPeer& watcher, const Willed& willed, runtime::Duration ended_within,
                                 const std::string& of) {
    const runtime::Instant begun = runtime_.now();
    STELE_CO_TRY(const auto seen,
                 co_await watch(watcher, ended_within + willed.delay * 2 + kTolerance, willed.text));
    if (!find(seen, willed.text)) {
      fail("the will " + willed.text + " of " + of + " did not come");
    } else if (runtime_.now() - begun < willed.delay * 8 / 10) {
      fail("the will " + willed.text + " of " + of + " came before its delay");
    }
    co_return Result<void>();
  }

  Task<Result<void>> expect_no_will(MqttPeer& watcher, const Willed& willed, const std::string& of) {
    STELE_CO_TRY(const auto seen, co_await watch(watcher, willed.delay * 2 + kTolerance));
    if (find(seen, willed.text)) fail("the will " + willed.text + " of " + of + " came");
    co_return Result<void>();
  }

  std::uint32_t some_delay_s() { return static_cast<std::uint32_t>(runtime_.random().below(2) * 6); }
  std::uint32_t some_expiry_s() { return runtime_.random().chance(1, 2) ? 0 : 3600; }

  // ---- the rounds

  Task<Result<void>> will_of_lost_connection() {
    STELE_CO_TRY(auto watcher, co_await this->watcher());
    STELE_CO_TRY(auto willed, co_await open_with_will(some_delay_s(), some_expiry_s()));
    // DISCONNECT with a will is as good as none [MQTT-3.14.2-1], in 5.0.
    if (runtime_.random().chance(1, 2)) {
      willed.peer->send(mqtt::Disconnect{.reason = mqtt::ReasonCode::kDisconnectWithWill});
      willed.peer->drop();
    } else {
      willed.peer->drop();
    }
    co_return co_await expect_will(*watcher, willed, kTolerance, "a lost connection");
  }

  Task<Result<void>> will_of_silent_client() {
    STELE_CO_TRY(auto watcher, co_await this->watcher());
    STELE_CO_TRY(auto willed, co_await open_with_will(0, 0));
    // One and a half times its keep alive [MQTT-3.1.2-22].
    co_return co_await expect_will(*watcher, willed, 6s + kTolerance, "a silent client");
  }

  Task<Result<void>> no_will_after_disconnect() {
    STELE_CO_TRY(auto watcher, co_await this->watcher());
    STELE_CO_TRY(auto willed, co_await open_with_will(some_delay_s(), some_expiry_s()));
    willed.peer->send(mqtt::Disconnect{});
    (void)co_await willed.peer->next(kTolerance);  // the broker closes
    co_return co_await expect_no_will(*watcher, willed, "a client that said goodbye");
  }

  Task<Result<void>> no_will_of_client_that_comes_back() {
    STELE_CO_TRY(auto watcher, co_await this->watcher());
    STELE_CO_TRY(auto willed, co_await open_with_will(6, 3600));
    willed.peer->drop();
    co_await runtime::sleep(runtime_, 1s);
    mqtt::Connect again;
    again.client_id = "timed-will";
    again.clean_start = false;
    bool session_present = false;
    STELE_CO_TRY(auto peer, co_await open(again, &session_present));
    if (!session_present) fail("the session of timed-will is gone");
    co_return co_await expect_no_will(*watcher, willed, "a client that came back");
  }

  Task<Result<void>> message_expires() {
    mqtt::Connect reader;
    reader.client_id = "timed-reader";
    reader.clean_start = true;
    reader.session_expiry_s = 3600;
    STELE_CO_TRY(auto peer, co_await open(reader));
    STELE_CO_CHECK(co_await subscribe(*peer, "timed/message"));
    peer->send(mqtt::Disconnect{});
    (void)co_await peer->next(kTolerance);

    mqtt::Connect writer;
    writer.client_id = "timed-writer";
    STELE_CO_TRY(peer, co_await open(writer));
    const std::string brief = next_text(), lasting = next_text();
    constexpr std::uint32_t kBrief = 3, kLasting = 600;
    for (const auto& [text, expiry_s] : {std::pair(brief, kBrief), std::pair(lasting, kLasting)}) {
      mqtt::Publish publish;
      publish.topic = "timed/message";
      publish.payload = text;
      publish.qos = mqtt::Qos::kAtLeastOnce;
      publish.packet_id = 1;
      publish.properties.message_expiry_s = expiry_s;
      peer->send(publish);
      STELE_CO_TRY(const ReceivedPacket packet, co_await peer->next(20s));
      const auto* puback = std::get_if<mqtt::Puback>(&packet.packet);
      if (!puback || puback->reason != mqtt::ReasonCode::kSuccess) {
        co_return error(ErrorCode::kUnavailable, "refused");
      }
    }
    co_await runtime::sleep(runtime_, 10s);

    reader.clean_start = false;
    bool session_present = false;
    STELE_CO_TRY(peer, co_await open(reader, &session_present));
    if (!session_present) fail("the session of timed-reader is gone");
    STELE_CO_TRY(const auto seen, co_await watch(*peer, kTolerance, lasting));
    if (find(seen, brief)) fail("message " + brief + " came after it had expired");
    const Seen* const found = find(seen, lasting);
    if (!found) {
      fail("message " + lasting + " did not come, which had not expired");
    } else if (found->expiry_s.value_or(kLasting) > kLasting - 8 || *found->expiry_s < kLasting - 30) {
      // [MQTT-3.3.2-6]
      fail("message " + lasting + " waited for 10 s and has " + std::to_string(found->expiry_s.value_or(0)) +
           " of its 600 s left");
    }
    co_return Result<void>();
  }

  Task<Result<void>> session_expires() {
    mqtt::Connect connect;
    connect.client_id = "timed-session";
    connect.clean_start = true;
    connect.session_expiry_s = 8;
    STELE_CO_TRY(auto peer, co_await open(connect));
    connect.clean_start = false;
    for (const auto& [away, kept] : {std::pair(2s, true), std::pair(30s, false)}) {
      if (runtime_.random().chance(1, 2)) {
        peer->send(mqtt::Disconnect{});
        (void)co_await peer->next(kTolerance);
      } else {
        peer->drop();
      }
      co_await runtime::sleep(runtime_, away);
      bool session_present = false;
      STELE_CO_TRY(peer, co_await open(connect, &session_present));
      if (session_present != kept) {
        fail("a session that expires after 8 s is " +
             std::string(kept ? "gone after 2 s" : "there after 30 s"));
      }
    }
    co_return Result<void>();
  }

  runtime::Runtime& runtime_;
  Workload& workload_;
  bool strict_ = false;
  std::uint64_t sequence_ = 1;
};

}  // namespace

Task<void> run_timed(runtime::Runtime& runtime, Workload& workload) {
  workload.running.insert("timed");
  TimedClients clients(runtime, workload);
  int rounds_in_calm = 0;
  while (rounds_in_calm < kRoundsInCalm && !workload.judge.failed()) {
    const auto done = co_await clients.round();
    if (done && clients.strict()) ++rounds_in_calm;
    co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping ? 50 : 3000));
    if (!workload.stopping && runtime.random().chance(1, 2)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase("timed");
}

}  // namespace stele::sim
