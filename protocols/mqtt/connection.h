// One MQTT client's connection, from the socket to the broker.
//
// Bytes → FrameInput → a handler per kind of packet → broker::Publisher and broker::Session; what they call
// back becomes packets again. All of it is synchronous and takes place within the turn in which the bytes
// arrived; what is written leaves at the turn's end. Only CONNECT, SUBSCRIBE, UNSUBSCRIBE and the DISCONNECT
// of a client with a will wait for the broker: while one is in flight the packets behind it wait too, and so
// does the socket.
//
// Life: made by MqttListener for an accepted connection; ends itself when the socket is closed and no task of
// the broker's is under way any more. Whatever ends it (the client, an error, a take-over) takes effect on
// Session and Publisher at the end of the turn, never within one of their calls. Lives on one core.
//
// The handlers are in connect.cc, publish.cc, subscribe.cc, deliver.cc and disconnect.cc.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "broker/api.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/frame_input.h"
#include "protocols/mqtt/options.h"
#include "protocols/mqtt/outbox.h"
#include "protocols/mqtt/packet.h"
#include "protocols/mqtt/topic_aliases.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"

namespace stele::mqtt {

class MqttConnection;

// What the connections of one listener share.
struct MqttShared {
  MqttShared(broker::Broker& broker, MqttOptions options)
      : broker(broker), options(options), input{.limit = options.max_input_bytes} {}

  broker::Broker& broker;
  const MqttOptions options;
  MqttCounters counters;
  InputBudget input;
  // Scratch for a packet that is being encoded, and for its properties.
  std::string packet;
  std::string properties;
  // A message that goes to many clients: as it was encoded for the latest of them, without its packet
  // identifier. Serves the next one that sees the same.
  struct Encoded {
    std::uint64_t serial = 0;
    Version version{};
    Qos qos{};
    bool retain = false;
    std::string packet;  // with the payload if it is copied
    PublishHeader at;
  };
  Encoded encoded;
  std::list<MqttConnection> connections;
  runtime::Notification none_left;
  runtime::Scope tasks;  // last: what runs in it refers to the others
};

class MqttConnection final : public runtime::ConnectionHandler,
                             private broker::Publisher::Listener,
                             private broker::SessionHandler,
                             private runtime::Timer,
                             private runtime::TurnEndHook {
 public:
  using Self = std::list<MqttConnection>::iterator;
  MqttConnection(MqttShared& shared, std::unique_ptr<runtime::Connection> connection);
  ~MqttConnection() override;
  // Once it stands in the list.
  void start(Self self);

  // The node stops: says so and closes.
  void shut_down();
  // Users have changed: ends if it acts for one who is no more.
  void check_identity();

 private:
  enum class State : std::uint8_t {
    kConnecting,  // CONNECT is to come
    kOpening,     // the broker opens the session
    kConnected,
    kClosing,  // nothing is taken in any more
    kClosed,   // the socket is gone
  };
  // Why nothing is parsed and read for now.
  enum Hold : std::uint8_t {
    kHoldTask = 1,       // an answer must come first
    kHoldPublisher = 2,  // the broker wants no more publishes
    kHoldOutput = 4,     // the client does not take its answers
  };

  // runtime::ConnectionHandler
  std::span<char> read_buffer() override { return input_.read_buffer(); }
  void on_data(Bytes data) override;
  void on_drained() override;
  void on_closed(const Error& why) override;
  // broker::Publisher::Listener (publish.cc)
  void on_published(std::uint32_t token, const broker::PublishResult& result) override;
  void on_publisher_ready() override;
  // broker::SessionHandler (deliver.cc, publish.cc, disconnect.cc)
  void on_message(const broker::Delivery& delivery) override;
  bool has_room(std::uint8_t qos) const override;
  void call_when_room() override { room_awaited_ = true; }
  void on_release(std::uint16_t packet_id) override;
  void on_completed(std::uint16_t packet_id, bool known) override;
  void on_taken_over() override;
  void on_session_lost(const Error& why) override;
  // runtime::Timer, runtime::TurnEndHook
  void on_timer() override;
  void on_turn_end() override;

  // connection.cc: input
  void parse();
  void handle(const Frame& frame);
  void handle_connected(const Frame& frame);
  bool holding() const { return hold_ != 0; }
  void hold(Hold why) { hold_ |= why; }
  void let_go(Hold why);
  void adjust_reading();
  void begin_task(runtime::Task<void> task);
  void end_task();

  // connection.cc: output
  template <class Packet>
  void send(const Packet& packet);
  // A packet with a reason string, which is left out if it would be too large for the client.
  // False if it is too large all the same, and not sent.
  template <class Packet>
  bool send_with_reason(Packet packet, std::string_view why);
  void write(PacketType type, std::string_view bytes);
  bool fits_client(std::size_t size) const { return size <= client_max_packet_size_; }

  // connection.cc: the end
  void fail(ReasonCode reason, std::string_view why);
  void fail(const DecodeError& error) { fail(error.reason, error.what); }
  // DISCONNECT with the reason (5.0 only), then close.
  void disconnect(ReasonCode reason, std::string_view why);
  void close();
  void note(std::string_view what, std::string_view why);
  bool open() const { return state_ < State::kClosing; }
  bool v5() const { return version_ == Version::kV5; }

  // connect.cc
  void on_connect(const Frame& frame);
  void refuse_undecoded(const Frame& frame, const DecodeError& error);
  void refuse(ReasonCode reason, std::string_view why);
  void refuse(const Error& error);
  runtime::Task<Result<broker::Principal>> log_in(const Connect& packet);
  void refuse_login(const Connect& packet, const Error& error);
  std::optional<DecodeError> check(const Connect& packet) const;
  broker::SessionOptions session_options(const Connect& packet, broker::Principal who);
  runtime::Task<void> open_session(std::string body);
  void accept(const Connect& packet);
  void set_keep_alive(const Connect& packet, Connack& answer);

  // publish.cc
  void on_publish(const Frame& frame);
  bool resolve_alias(Publish& packet);
  void on_received(std::uint16_t packet_id, const broker::PublishResult& result);
  void answer_publish(PacketType type, std::uint16_t packet_id, ReasonCode reason);
  void end_for_unknown(const Error& error);
  void refuse_publish(PacketType type, std::uint16_t packet_id, const Error& error);
  bool begin_exchange(std::uint16_t packet_id);
  void end_exchange(std::uint16_t packet_id);
  void on_pubrel(const Frame& frame);

  // subscribe.cc
  void on_subscribe(const Frame& frame);
  runtime::Task<void> subscribe(std::uint16_t packet_id, std::vector<ReasonCode> reasons,
                                std::vector<broker::SubscribeRequest> requests);
  void on_unsubscribe(const Frame& frame);
  runtime::Task<void> unsubscribe(std::uint16_t packet_id, std::vector<std::string> filters);

  // deliver.cc
  bool deliver_as_before(const broker::Delivery& delivery);
  void deliver_now(Publish& packet, const broker::Delivery& delivery);
  void send_publish(std::string& packet, const PublishHeader& at, Qos qos, const broker::Delivery& delivery);
  void deliver_later(const Publish& packet, const broker::Delivery& delivery);
  void drop(const broker::SettleToken& token, bool redelivered, std::uint64_t& counter);
  void pump();
  void send_waiting(Outbox::Waiting message, std::int64_t now_ms);
  std::uint16_t take_packet_id(const broker::SettleToken& token, bool exactly_once);
  void on_puback(const Frame& frame);
  void on_pubrec(const Frame& frame);
  void on_pubcomp(const Frame& frame);
  void send_pubrel(std::uint16_t packet_id, ReasonCode reason);
  Outbox& outbox();
  bool output_is_full() const { return connection_->queued_bytes() > shared_.options.max_output_bytes; }

  // disconnect.cc
  void on_disconnect(const Frame& frame);
  runtime::Task<void> leave(std::optional<std::uint32_t> expiry_s);
  void on_pingreq(const Frame& frame);

  runtime::Runtime& runtime() const { return shared_.broker.runtime(); }
  broker::Principal principal() const { return who_ ? *who_ : broker::Principal(); }
  MqttCounters& counters() { return shared_.counters; }

  MqttShared& shared_;
  Self self_;
  std::unique_ptr<runtime::Connection> connection_;
  FrameInput input_;
  std::unique_ptr<broker::Session> session_;
  std::unique_ptr<broker::Publisher> publisher_;  // from the first PUBLISH on
  std::unique_ptr<Outbox> outbox_;                // from the first QoS > 0 message to the client on
  // Exchanges of QoS 2 that the client has begun, on this connection. What outlives it is the session's.
  enum class Exchange : std::uint8_t {
    kPublished,  // the broker has not answered
    kReceived,   // PUBREC is sent
    kReleasing,  // PUBREL came, and is being stored
    kEarlier,    // likewise, of an earlier connection
  };
  using Exchanges = absl::flat_hash_map<std::uint16_t, Exchange>;  // look-ups only
  std::unique_ptr<Exchanges> exchanges_;                           // from the first of them on
  std::unique_ptr<ReceivedAliases> received_aliases_;              // likewise
  std::unique_ptr<SentAliases> sent_aliases_;                      // if the client takes any
  std::string client_id_;
  std::unique_ptr<const broker::Principal> who_;  // null: anonymous
  runtime::Instant last_heard_;
  std::uint32_t client_max_packet_size_ = UINT32_MAX;
  std::uint32_t session_expiry_s_ = 0;
  std::uint32_t unanswered_ = 0;  // PUBLISH with QoS 1 or 2 that has not had its last answer
  std::uint16_t in_flight_max_ = 0;
  std::uint16_t keep_alive_s_ = 0;
  Version version_ = Version::kV311;
  State state_ = State::kConnecting;
  std::uint8_t hold_ = 0;
  bool paused_ = false;   // the socket
  bool parsing_ = false;  // within parse()
  bool task_runs_ = false;
  bool has_will_ = false;
  bool room_awaited_ = false;  // by the session
};

}  // namespace stele::mqtt
