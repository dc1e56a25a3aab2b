// Speaks to one other node, from one core, over one connection that is opened when it is needed, or kept
// open, and opened again after it was lost.
//
//   Channel channel(runtime, identity, NodeId(2), {"10.0.0.2", 7000}, {});
//   channel.keep_open();
//   channel.send(kRaft, raft::encode(message));                     // best effort
//   auto answer = co_await channel.call(kAppend, payload, 2s);      // answered, or an error that says how
//   far … co_await channel.close(5s);
//
// What is sent over one connection arrives in order. Between connections nothing is sent again: a call that
// was on its way when the connection was lost has an unknown outcome, and messages are lost. Whoever must not
// wait behind large requests uses a channel of its own.
//
// All methods on its core. Nothing is called back within a method, but who waits in call() may be resumed
// within close().
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "base/result.h"
#include "rpc/frame.h"
#include "rpc/hello.h"
#include "rpc/payload.h"
#include "runtime/dial.h"
#include "runtime/network.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::rpc {

struct ChannelOptions {
  // To ask for a place in a cluster: whoever is at the address is wanted, of whatever cluster. Nothing but
  // methods for that is served (Server::serve_joining).
  bool joins = false;
  runtime::Dial dial = {};    // none: the network
  bool certificates = false;  // `dial` gives connections whose peer has proven its name
  runtime::Duration connect_timeout = std::chrono::seconds(5);
  runtime::Duration hello_timeout = std::chrono::seconds(5);
  // Before the next attempt: doubled after each that failed, up to the maximum; a random half of it is left
  // out.
  runtime::Duration back_off = std::chrono::milliseconds(50);
  runtime::Duration back_off_max = std::chrono::seconds(3);
  runtime::Duration ping_interval = std::chrono::seconds(2);
  runtime::Duration silent_after = std::chrono::seconds(10);  // nothing was heard: it is lost
  std::uint32_t max_payload_bytes = 16 << 20;                 // of answers
  std::size_t max_calls = 4096;                               // that are not answered
  std::size_t max_waiting_bytes = 16 << 20;                   // of calls that are not sent
  // Not yet taken by the peer. Beyond it calls wait, and messages are dropped.
  std::size_t max_output_bytes = 4 << 20;
};

struct ChannelStats {
  std::uint64_t connects = 0;          // that got past the hello
  std::uint64_t connect_failures = 0;  // nobody was reached
  std::array<std::uint64_t, kReasons> refused{};
  std::array<std::uint64_t, kWrongs> wrong{};  // closed for what the peer sent
  std::uint64_t lost = 0;                      // connections that were past the hello
  std::uint64_t silent = 0;                    // of these, given up because nothing was heard
  std::uint64_t calls = 0;                     // sent
  std::uint64_t answers = 0;
  std::uint64_t late_answers = 0;   // nobody waited any more
  std::uint64_t calls_refused = 0;  // too many of them
  std::uint64_t messages = 0;       // sent
  std::uint64_t messages_dropped = 0;
};

// How far a call that failed has come.
enum class Fate : std::uint8_t {
  kNotDone,   // nobody has begun with it, and nobody will
  kUnknown,   // it may have been done, or may still be
  kAnswered,  // the peer has answered with this error
};
// kUnavailable: no connection in time, too many calls, or the peer takes none (kNotDone); kTimedOut, kClosed:
// no answer (kUnknown); kCancelled: the channel closes; kInvalidArgument: too large; else what the peer
// answered.
struct CallError : Error {
  Fate fate = Fate::kUnknown;
};
using CallResult = std::expected<Bytes, CallError>;

class Channel final {
 public:
  Channel(runtime::Runtime& runtime, Identity self, NodeId to, runtime::Endpoint at, ChannelOptions options);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  // Drops the connection at once. Calls under way hear of it when their time is over.
  ~Channel();

  // The connection is there, past the hello, or no longer. Must not destroy the channel.
  void set_on_up(std::function<void(const Peer&)> callback) { on_up_ = std::move(callback); }
  void set_on_down(std::function<void(const Error& why)> callback) { on_down_ = std::move(callback); }

  // From now on connects without being asked to. Otherwise the first call or message does, and a lost
  // connection comes back with the next one.
  void keep_open();
  // Where the node is from now on. A connection that is there stays.
  void set_address(runtime::Endpoint at);
  const runtime::Endpoint& address() const { return address_; }
  NodeId to() const { return to_; }

  // Waits for a connection and for the answer, `timeout` for both. A caller that goes (its task is destroyed)
  // leaves nothing behind.
  runtime::Task<CallResult> call(MethodId method, Payload payload, runtime::Duration timeout);
  // Sent at once, or dropped and counted: there is no connection, or its output is full. Slices are shared,
  // small ones copied.
  bool send(MessageId message, std::span<const Bytes> payload);

  bool up() const { return link_ != nullptr && up_; }
  const Peer* peer() const;  // null: not up
  const std::optional<Error>& last_failure() const {
    return last_failure_;
  }  // to connect, or why it was lost
  const ChannelStats& stats() const { return stats_; }
  std::size_t calls_under_way() const { return calls_; }

  // Takes no more calls, fails those that were not sent, waits for the answers to the others, no longer than
  // `grace`, and closes. Once; nothing else may be called from then on but the destructor.
  runtime::Task<void> close(runtime::Duration grace);

 private:
  class Link;
  class Exchange;
  struct Slot {
    Exchange* exchange = nullptr;
    std::uint32_t generation = 0;
  };

  runtime::Task<void> run();
  runtime::Task<void> connect_once();
  void want();
  bool can_send() const;
  bool wanted() const { return keep_ || demanded_ || !waiting_.empty(); }
  void submit(Exchange& exchange);
  void send_waiting(IntrusiveList<Exchange>& done);
  void send_call(Exchange& exchange);
  std::uint32_t take_slot(Exchange& exchange);
  void release_slot(std::uint32_t slot);
  void on_exchange_left();
  // Of the link. Calls that have their results are put into `done`, to be resumed.
  void on_welcome(IntrusiveList<Exchange>& done);
  bool take_answer(const ResponseControl& control, const FrameReader& reader, const Frame& frame,
                   IntrusiveList<Exchange>& done);
  void on_link_ended(Error why);
  // Gives results to those who wait. The channel may be gone afterwards: false.
  bool resume(IntrusiveList<Exchange>& done);
  void note(const std::string& line);

  runtime::Runtime& runtime_;
  const Identity self_;
  const NodeId to_;
  runtime::Endpoint address_;
  const ChannelOptions options_;
  std::function<void(const Peer&)> on_up_;
  std::function<void(const Error&)> on_down_;
  ChannelStats stats_;
  std::optional<Error> last_failure_;

  bool keep_ = false;
  bool demanded_ = false;  // by a message
  bool closing_ = false;
  bool up_ = false;
  bool address_changed_ = false;
  runtime::Instant up_since_{};
  std::uint32_t failures_ = 0;  // in a row
  runtime::Instant next_line_{};

  std::size_t calls_ = 0;
  std::size_t waiting_bytes_ = 0;
  IntrusiveList<Exchange> waiting_;  // for a connection, or for room
  IntrusiveList<Exchange> sent_;     // for the answer
  std::vector<Slot> slots_;          // of those in sent_
  std::vector<std::uint32_t> free_slots_;

  InputBudget budget_;
  std::unique_ptr<Link> link_;
  runtime::Notification changed_;            // something that run() or close() waits for
  runtime::Timer* closing_timer_ = nullptr;  // wakes close()
  bool* gone_ = nullptr;  // tells resume() that one of those it resumed destroyed the channel
  runtime::Scope scope_;  // last: run() uses all of the above
};

}  // namespace stele::rpc
