// One AMQP client's connection, from the socket to the broker (docs/amqp.md).
//
// Bytes -> FrameReader -> channel 0 here, the others by number to AmqpChannel; what the broker calls back
// becomes frames again. All of it is synchronous and takes place within the turn in which the bytes arrived,
// but for the broker's tasks: while one runs, for whichever channel, no frame is taken in and the socket
// waits, so methods take effect in the order in which they were sent.
//
// Life: made by AmqpListener for an accepted connection; ends itself when the socket is closed and no task of
// the broker's is under way. Whatever ends it, or one of its channels, takes effect on the broker's objects
// at the end of the turn, never within one of their calls. Lives on one core.
//
// What channel 0 says is in handshake.cc, the rest in connection.cc.
#pragma once

#include <absl/container/btree_map.h>

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "protocols/amqp/all_methods.h"
#include "protocols/amqp/amqp_broker.h"
#include "protocols/amqp/frame_reader.h"
#include "protocols/amqp/method_codec.h"
#include "protocols/amqp/options.h"
#include "protocols/amqp/protocol_header.h"
#include "protocols/amqp/unsettled.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"

namespace stele::amqp {

class AmqpChannel;
class AmqpConnection;

// What the connections of one listener share.
struct AmqpShared {
  AmqpShared(AmqpBroker& broker, AmqpOptions options) : broker(broker), options(options) {}

  AmqpBroker& broker;
  const AmqpOptions options;
  AmqpCounters counters;
  std::size_t input_bytes = 0;  // taken for incomplete messages
  // Scratch: a frame that is being encoded, and what is being settled.
  std::string frame;
  std::string properties;
  std::vector<UnsettledDelivery> taken;
  std::vector<DeliveryToken> tokens;
  std::list<AmqpConnection> connections;
  runtime::Notification none_left;
  runtime::Scope tasks;  // last: what runs in it refers to the others
};

class AmqpConnection final : public runtime::ConnectionHandler,
                             private AmqpHostListener,
                             private runtime::Timer,
                             private runtime::TurnEndHook {
 public:
  using Self = std::list<AmqpConnection>::iterator;
  AmqpConnection(AmqpShared& shared, std::unique_ptr<runtime::Connection> connection);
  ~AmqpConnection() override;
  // Once it stands in the list.
  void start(Self self);
  // The node stops: says so and closes.
  void shut_down();

  // ---- for its channels

  AmqpShared& shared() { return shared_; }
  const AmqpOptions& options() const { return shared_.options; }
  AmqpCounters& counters() { return shared_.counters; }
  runtime::Runtime& runtime() const { return shared_.broker.runtime(); }
  AmqpHost& host() { return *host_; }
  bool running() const { return state_ == State::kRunning; }
  // The client's capability of that name.
  bool tells_cancelled() const { return consumer_cancel_notify_; }

  // Why no frame is taken in, and nothing read, for now.
  enum Hold : std::uint8_t {
    kHoldTask = 1,        // an answer must come first
    kHoldAnswer = 2,      // likewise, by callback: basic.get, tx.commit
    kHoldPublish = 4,     // the broker wants no more publishes
    kHoldUnanswered = 8,  // too many wait for their answer
    kHoldOutput = 16,     // the client does not take its answers
    kHoldBlocked = 32,    // it publishes, and the broker is short of memory or disk
  };
  void hold(Hold why) { hold_ |= why; }
  void let_go(Hold why);
  // One at a time: the last thing that it does is end_task().
  void begin_task(runtime::Task<void> task);
  void end_task();
  bool task_runs() const { return task_runs_; }

  template <class M>
  void send(std::uint16_t channel, const M& method) {
    std::string& out = shared_.frame;
    out.clear();
    const bool fits = append_method(out, channel, method);
    STELE_ASSERT(fits);  // all names are short strings
    write(out);
  }
  // A method with content, whose properties are encoded.
  template <class M>
  void send_message(std::uint16_t channel, const M& method, std::string_view properties, const Bytes& body) {
    std::string& out = shared_.frame;
    out.clear();
    const bool fits = append_method(out, channel, method);
    STELE_ASSERT(fits);
    write_content(channel, properties, body);
  }
  bool output_is_full() const {
    return !connection_ || connection_->queued_bytes() > options().max_output_bytes;
  }

  // Ends the connection for an error of the client's, or of the broker's.
  void fail(const ProtocolError& error);
  // on_turn_end() of the channel is called at the end of the turn.
  void call_at_turn_end(AmqpChannel& channel);
  // A message was published: a connection that is to be blocked is from now on.
  void note_publish();
  void add_unanswered(std::size_t count);
  void remove_unanswered(std::size_t count);
  // So many of its channels wait for on_ready.
  void add_not_ready() { ++not_ready_, hold(kHoldPublish); }
  void remove_not_ready();
  // Bytes taken for messages that are not complete.
  void change_input(std::size_t before, std::size_t now);

 private:
  enum class State : std::uint8_t {
    kHeader,    // the protocol header is to come
    kStarting,  // connection.start is sent, or the login is being looked at
    kTuning,    // connection.tune is sent
    kOpening,   // connection.open is to come, or to be answered
    kRunning,
    kClosing,   // connection.close is sent: only close and close-ok count
    kRefusing,  // nothing counts any more; closed after a while
    kEnding,    // the socket is being closed
    kClosed,    // it is gone
  };
  bool reads() const { return state_ <= State::kClosing; }
  bool handshaking() const { return state_ <= State::kOpening; }

  // runtime::ConnectionHandler
  std::span<char> read_buffer() override;
  void on_data(Bytes data) override;
  void on_drained() override;
  void on_closed(const Error& why) override;
  // AmqpHostListener
  void on_blocked(std::string_view reason) override;
  void on_unblocked() override;
  void on_forced_close(const ProtocolError& why) override { fail(why); }
  // runtime::Timer, runtime::TurnEndHook
  void on_timer() override;
  void on_turn_end() override;

  // connection.cc: input
  Bytes take_header(Bytes data);
  void parse();
  void on_frame(const Frame& frame);
  void on_channel_frame(const Frame& frame);
  AmqpChannel* find_channel(std::uint16_t number);
  AmqpChannel* open_channel(const Frame& frame);
  void close_channel(std::uint16_t number);
  bool holding() const { return hold_ != 0 && state_ != State::kClosing; }
  void adjust_reading();

  // connection.cc: output
  void write(std::string_view bytes);
  void write_content(std::uint16_t channel, std::string_view properties, const Bytes& body);

  // connection.cc: the end
  // connection.close, and waits for its answer; or at once, if nothing can be read any more.
  void close_with(const ProtocolError& error);
  // Without a word, after a while.
  void refuse();
  void close_socket();
  void end_channels();
  void tear_down();
  void note(std::string_view what, std::string_view why);
  void tick();

  // handshake.cc
  void on_method(const Frame& frame);
  void on_connection_method(MethodId id, std::string_view payload);
  void send_start();
  void on_start_ok(std::string_view payload);
  runtime::Task<void> log_in(AmqpLogin login);
  void on_refused_login(const ProtocolError& error);
  void on_tune_ok(std::string_view payload);
  bool check_tuned(std::string_view what, std::uint32_t asked, std::uint32_t least, std::uint32_t most);
  void on_open(std::string_view payload);
  runtime::Task<void> open(std::string virtual_host);
  void on_close(std::string_view payload);
  void on_close_ok();
  void on_update_secret(std::string_view payload);
  runtime::Task<void> update_secret(std::string secret);
  void fail_method(MethodId method, ReplyCode code, std::string text);

  AmqpShared& shared_;
  Self self_;
  std::unique_ptr<runtime::Connection> connection_;
  FrameReader input_;
  std::unique_ptr<AmqpUser> user_;
  std::unique_ptr<AmqpHost> host_;
  IntrusiveList<AmqpChannel> at_turn_end_;
  absl::btree_map<std::uint16_t, std::unique_ptr<AmqpChannel>> channels_;
  AmqpChannel* latest_ = nullptr;  // of the last frame
  std::string blocked_reason_;
  std::string mechanism_;
  runtime::Instant last_heard_;
  std::size_t input_bytes_ = 0;  // counted in shared_.input_bytes
  std::size_t unanswered_ = 0;
  std::size_t not_ready_ = 0;
  std::uint32_t frame_max_ = 0;  // as negotiated; of ours
  std::uint32_t input_frame_max_;
  std::uint16_t channel_max_ = 0;
  std::uint16_t heartbeat_s_ = 0;
  State state_ = State::kHeader;
  std::uint8_t hold_ = 0;
  std::uint8_t header_size_ = 0;
  std::array<char, kProtocolHeaderBytes> header_{};
  bool paused_ = false;   // the socket
  bool parsing_ = false;  // within parse()
  bool task_runs_ = false;
  bool wrote_ = false;        // since the last tick
  bool to_block_ = false;     // the broker is short
  bool asked_login_ = false;  // start-ok came
  bool consumer_cancel_notify_ = false;
  bool connection_blocked_ = false;
  bool authentication_failure_close_ = false;
};

}  // namespace stele::amqp
