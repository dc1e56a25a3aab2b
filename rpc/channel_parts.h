// What a channel is made of: a call under way, and a connection.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "rpc/channel.h"
#include "rpc/frame.h"
#include "rpc/frame_output.h"
#include "rpc/hello.h"
#include "rpc/payload.h"
#include "runtime/network.h"
#include "runtime/runtime.h"

namespace stele::rpc {

// A call, in the frame of its coroutine, which awaits it.
class Channel::Exchange final : public ListNode<>, private runtime::Timer {
 public:
  Exchange(Channel& channel, MethodId method, Payload payload, runtime::Instant deadline);
  ~Exchange() override;

  bool await_ready() const { return done_; }
  void await_suspend(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  CallResult await_resume() { return std::move(result_); }

  // Has its result, and is the channel's no more. Whoever calls this resumes it.
  void finish(CallResult result);
  void resume() {
    if (waiter_) waiter_.resume();
  }
  // The channel is no more. The time limit stays.
  void orphan();

  // What the channel keeps of it.
  const MethodId method;
  const runtime::Instant deadline;
  Payload payload;  // until it is sent
  const std::size_t bytes;
  std::optional<std::uint32_t> slot;  // of its answer, once it is sent

 private:
  void on_timer() override;
  void leave();

  runtime::Runtime& runtime_;
  Channel* channel_;  // null: it left
  std::coroutine_handle<> waiter_;
  CallResult result_ = std::unexpected(CallError{});
  bool done_ = false;
};

// One connection, from the hello to its end. Tells the channel when it has ended, and is destroyed by it.
class Channel::Link final : private runtime::ConnectionHandler, private runtime::Timer {
 public:
  Link(Channel& channel, std::unique_ptr<runtime::Connection> connection);
  ~Link() override;
  // In the turn in which the connection was obtained.
  void start();

  const Peer& peer() const { return peer_; }
  bool takes_calls() const { return state_ == State::kOpen; }
  bool has_room() const;
  std::uint32_t max_payload() const { return max_payload_; }
  FrameOutput& output() { return output_; }
  bool ended() const { return state_ == State::kEnded; }

  // No more is sent: says goodbye, and ends when what is queued has left.
  void close();
  // Ends now, with a call of the channel's on_link_ended().
  void end(Error why);
  // Closes if the peer wants that and nothing is under way.
  void close_if_done();

 private:
  enum class State : std::uint8_t {
    kHello,  // the answer is to come
    kOpen,
    kLeaving,  // the peer takes no more requests
    kClosing,  // nothing is taken in any more
    kEnded,
  };

  std::span<char> read_buffer() override { return reader_.read_buffer(); }
  void on_data(Bytes data) override;
  void on_drained() override;
  void on_closed(const Error& why) override { end(why); }
  void on_timer() override;

  // Why the connection is to be ended, if it is.
  std::optional<Error> take(const Frame& frame, IntrusiveList<Exchange>& done);
  std::optional<Error> take_hello_answer(const Frame& frame);
  std::optional<Error> refused(const Refusal& refusal);
  Error wrong(Wrong what);
  std::string who() const;

  Channel& channel_;
  runtime::Runtime& runtime_;
  std::unique_ptr<runtime::Connection> connection_;
  FrameReader reader_;
  FrameOutput output_;
  Nonce nonce_{};
  Peer peer_;
  std::uint32_t max_payload_ = 0;
  runtime::Duration silent_after_{};
  State state_ = State::kHello;
  runtime::Instant heard_;
  runtime::Instant next_tick_;
};

}  // namespace stele::rpc
