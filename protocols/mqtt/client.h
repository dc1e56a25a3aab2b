// An MQTT client over one connection to one server: what the command line, the benchmarks and the simulator's
// workloads speak. MQTT 5.0, 3.1.1 and 3.1; QoS 0, 1 and 2.
//
//   struct Printer : mqtt::ClientHandler { void on_publish(const Publish& packet, const Bytes&) override … };
//   auto client = co_await Client::connect(runtime, {"127.0.0.1", 1883}, {.client_id = "me"}, printer);
//   co_await (*client)->subscribe({{.filter = "sensors/#", .qos = Qos::kAtLeastOnce}});
//   co_await (*client)->publish_and_wait({.topic = "sensors/1", .payload = "21.5"});
//
// publish() is the fast way: it takes a packet or says that too much is under way, and the handler is told of
// the PUBACK. The coroutine calls are for everything else. Nothing is kept beyond the connection: whoever
// wants a message delivered that was not acknowledged publishes it again on the next one, and QoS 2 is
// exactly once within a connection only.
//
// Lives on one core. The handler must not destroy the client in its calls, except in on_closed. Tasks that
// wait for the client may, once they are resumed; those that still wait stay suspended for good, to be
// destroyed with their frames; close() fails them instead.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/frame_input.h"
#include "protocols/mqtt/packet.h"
#include "runtime/dial.h"
#include "runtime/network.h"
#include "runtime/one_shot.h"
#include "runtime/runtime.h"

namespace stele::mqtt {

struct ClientWill {
  std::string topic;
  std::string payload;
  Qos qos = Qos::kAtMostOnce;
  bool retain = false;
  std::uint32_t delay_s = 0;
};

struct ClientOptions {
  Version version = Version::kV5;
  std::string client_id;  // empty: the server gives one
  bool clean_start = true;
  std::uint32_t session_expiry_s = 0;  // 5.0 only: 3.1.1 keeps a session unless clean_start
  std::uint16_t keep_alive_s = 60;     // 0: no pings
  std::optional<std::string> user_name;
  std::optional<std::string> password;
  std::optional<ClientWill> will;
  runtime::Dial dial = {};  // none: the network

  std::uint16_t receive_maximum = 65535;     // QoS > 0 from the server, unacknowledged; 5.0 only
  std::uint32_t max_packet_size = 16 << 20;  // of a packet from the server
  std::size_t max_in_flight = 65535;         // QoS > 0 to the server; it may want fewer
  std::size_t max_queued_bytes = 1 << 20;    // unsent
  bool acknowledge = true;                   // when on_publish returns; else by Client::acknowledge
  runtime::Duration connect_timeout = std::chrono::seconds(10);
  // If something is awaited and nothing at all was heard for this long, the connection is given up.
  runtime::Duration answer_timeout = std::chrono::seconds(30);
};

class ClientHandler {
 public:
  // A message. `packet` is a view of `block`, and valid during the call.
  virtual void on_publish(const Publish& packet, const Bytes& block) {}
  // The last answer to publish() with that token: PUBACK, PUBCOMP, or a PUBREC that refuses.
  virtual void on_puback(std::uint64_t token, ReasonCode reason) {}
  // After publish() said kFull: there is room again.
  virtual void on_ready() {}
  // The connection that connect() gave is over, whoever ended it. Last call.
  virtual void on_closed(const Error& why) {}

 protected:
  ~ClientHandler() = default;
};

struct ClientSubscription {
  std::string filter;
  Qos qos = Qos::kAtMostOnce;
  bool no_local = false;
  bool retain_as_published = false;
  RetainHandling retain_handling = RetainHandling::kSend;
};

struct ClientMessage {
  std::string topic;
  std::string payload{};
  Qos qos = Qos::kAtLeastOnce;
  bool retain = false;
  bool dup = false;
};

enum class Sent {
  kYes,
  kFull,          // nothing was taken; on_ready follows
  kNotSupported,  // too large for the server, a QoS above its maximum, no retained messages, or no MQTT
  kClosed,
};

class Client final : private runtime::ConnectionHandler,
                     private runtime::Timer,
                     private runtime::TurnEndHook {
 public:
  // Complete when the server has accepted. kUnauthorized, kUnavailable, kUnsupported or kInvalidArgument if
  // it did not, and the errors of Network::connect.
  static runtime::Task<Result<std::unique_ptr<Client>>> connect(runtime::Runtime& runtime,
                                                                runtime::Endpoint to, ClientOptions options,
                                                                ClientHandler& handler,
                                                                runtime::StopToken stop = {});
  ~Client() override;

  const std::string& client_id() const { return options_.client_id; }  // as the server knows it
  bool session_present() const { return session_present_; }
  bool closed() const { return closed_.has_value(); }
  // What the server's DISCONNECT said, if it sent one.
  std::optional<ReasonCode> disconnect_reason() const { return disconnect_reason_; }
  std::size_t in_flight() const { return in_flight_; }

  // Sends at the end of the turn. The packet identifier is the client's to choose. With QoS > 0 on_puback
  // follows, unless the connection ends before.
  Sent publish(const Publish& packet, std::uint64_t token = 0);
  // Waits for room, sends, and waits for PUBACK or PUBCOMP; of QoS 0, until it is sent.
  runtime::Task<Result<ReasonCode>> publish_and_wait(ClientMessage message);

  // The server's reason for each: granted QoS, or an error.
  runtime::Task<Result<std::vector<ReasonCode>>> subscribe(std::vector<ClientSubscription> subscriptions,
                                                           std::uint32_t subscription_id = 0);
  // In 5.0 the reason for each, in 3.1.1 nothing.
  runtime::Task<Result<std::vector<ReasonCode>>> unsubscribe(std::vector<std::string> filters);
  runtime::Task<Result<void>> ping();

  // PUBACK or PUBREC to a message with QoS 1 or 2; only without ClientOptions::acknowledge.
  void acknowledge(std::uint16_t packet_id);

  // Says goodbye and completes when the connection is closed. What is in flight stays unanswered.
  runtime::Task<void> disconnect(ReasonCode reason = ReasonCode::kSuccess,
                                 std::optional<std::uint32_t> session_expiry_s = std::nullopt);
  // Without a goodbye: the server publishes the will. Fails the calls under way.
  void close();

 private:
  using Answer = Result<std::vector<ReasonCode>>;
  // Packet identifiers are given round and round. One is free unless the packet that had it a round ago is
  // still unanswered, which the number of the packet tells.
  struct InFlight {
    std::uint64_t number;
    std::uint64_t token;
    std::optional<runtime::OneShot<Answer>> waiter;
    bool exactly_once = false;
    bool released = false;  // of QoS 2
    bool done = false;
  };
  // A SUBSCRIBE, UNSUBSCRIBE or PINGREQ.
  struct Asked {
    PacketType answer;
    std::uint64_t number;
    runtime::OneShot<Answer> waiter;
  };

  Client(runtime::Runtime& runtime, ClientOptions options, ClientHandler& handler);

  std::span<char> read_buffer() override { return input_.read_buffer(); }
  void on_data(Bytes data) override;
  void on_drained() override { tell_ready(); }
  void on_closed(const Error& why) override;
  void on_timer() override;
  void on_turn_end() override;

  void send_connect();
  void take(const Frame& frame);
  void take_connack(const Connack& packet);
  void take_publish(const Publish& packet);
  // What an answer is to; null after the connection was given up for it.
  InFlight* in_flight_of(std::string_view answer, std::uint16_t packet_id, bool exactly_once);
  void take_puback(const Puback& packet);
  void take_pubrec(const Pubrec& packet);
  void take_pubcomp(const Pubcomp& packet);
  void take_pubrel(const Pubrel& packet);
  void answered(InFlight& publish, ReasonCode reason);
  void take_answer(PacketType type, std::uint16_t id, std::vector<ReasonCode> reasons);
  template <class Packet>
  runtime::Task<Answer> ask(PacketType answer, Packet packet);
  void send_ack(PacketType type, std::uint16_t packet_id);
  void write(std::string_view bytes);
  static std::uint16_t packet_id(std::uint64_t number) {
    return static_cast<std::uint16_t>(1 + number % 65535);
  }
  bool no_packet_id_is_free() const;
  bool full(Qos qos) const;
  void tell_ready();
  void broken(std::string why);
  void end(Error why);
  void resolve(runtime::OneShot<Answer> waiter, Answer answer);
  void watch();
  bool awaits_anything() const { return !connected_ || in_flight_ > 0 || !asked_.empty() || pinged_; }

  runtime::Runtime& runtime_;
  ClientOptions options_;
  ClientHandler& handler_;
  std::unique_ptr<runtime::Connection> connection_;
  InputBudget budget_;
  FrameInput input_;
  std::string scratch_;
  std::deque<InFlight> publishes_;  // in order of sending; the first is not done
  std::size_t in_flight_ = 0;
  absl::flat_hash_set<std::uint16_t> received_;  // QoS 2 from the server that it has not released
  std::deque<Asked> asked_;
  std::vector<std::function<void()>> resolved_;  // to be told at the end of the turn
  std::vector<runtime::OneShot<Answer>> wait_for_room_;
  std::vector<runtime::OneShot<Answer>> wait_for_end_;
  std::optional<runtime::OneShot<Answer>> wait_for_connack_;
  std::optional<Error> closed_;
  std::optional<ReasonCode> disconnect_reason_;
  runtime::Instant last_heard_;
  runtime::Instant last_sent_;
  runtime::Instant awaiting_since_;
  std::uint32_t server_max_packet_size_ = UINT32_MAX;
  std::uint64_t next_number_ = 0;
  Qos server_max_qos_ = Qos::kExactlyOnce;
  bool server_retains_ = true;
  bool connected_ = false;
  bool session_present_ = false;
  bool pinged_ = false;
  bool was_full_ = false;
  bool ended_ = false;  // the handler has been told
};

}  // namespace stele::mqtt
