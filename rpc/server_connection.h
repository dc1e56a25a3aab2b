// One connection that another node has opened to this one.
//
// Life: made by the server for an accepted connection, and in its list until the socket is gone. Responders
// hold it beyond that; then it answers nobody.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "rpc/frame.h"
#include "rpc/frame_output.h"
#include "rpc/hello.h"
#include "rpc/server.h"
#include "runtime/network.h"
#include "runtime/runtime.h"

namespace stele::rpc {

class ServerConnection final : public ListNode<InServer>,
                               private runtime::ConnectionHandler,
                               private runtime::Timer,
                               private runtime::TurnEndHook {
 public:
  ServerConnection(Server& server, std::unique_ptr<runtime::Connection> connection);
  void start();

  void ref() { ++refs_; }
  void unref() {
    if (--refs_ == 0) delete this;
  }

  // The server takes no more requests: says so.
  void say_goodbye();
  // Sends what is queued, and ends.
  void close();
  // Ends at once. May delete this.
  void drop();

  // Of its responders.
  bool open() const { return state_ == State::kOpen; }
  void begin_request(std::size_t bytes);
  void respond(std::uint64_t call, Status status, std::span<const Bytes> payload, std::size_t request_bytes);

 private:
  enum class State : std::uint8_t {
    kHello,    // is to come
    kOpen,     // requests may come
    kClosing,  // nothing is taken in any more
    kGone,     // neither socket nor server
  };

  ~ServerConnection() override = default;

  // runtime::ConnectionHandler
  std::span<char> read_buffer() override { return reader_.read_buffer(); }
  void on_data(Bytes data) override;
  void on_drained() override;
  void on_closed(const Error& why) override;
  // runtime::Timer, runtime::TurnEndHook
  void on_timer() override;
  void on_turn_end() override;

  bool holding() const;
  // Takes the frames that there are. False: it has ended, and may be deleted.
  bool parse();
  bool take(const Frame& frame);
  bool take_hello(const Frame& frame);
  bool take_request(const Frame& frame);
  bool take_message(const Frame& frame);
  bool take_goodbye(const Frame& frame);
  void welcome(const Hello& hello);
  bool refuse(const Refusal& refusal);
  // What came is wrong: ends, and counts it. False.
  bool wrong(Wrong what);
  void close_if_done();
  std::string who() const;

  Server* server_;  // null: gone
  runtime::Runtime& runtime_;
  std::unique_ptr<runtime::Connection> connection_;
  FrameReader reader_;
  FrameOutput output_;
  std::shared_ptr<const Peer> peer_;  // null before the hello
  std::uint32_t peer_max_payload_ = 0;
  runtime::Duration ping_interval_{};
  runtime::Duration silent_after_{};
  std::uint32_t refs_ = 1;
  State state_ = State::kHello;
  bool held_ = false;         // not read from
  bool leaving_ = false;      // the peer sends no more requests
  std::size_t requests_ = 0;  // unanswered
  std::size_t request_bytes_ = 0;
  runtime::Instant heard_;
  runtime::Instant next_tick_;
  runtime::Instant took_;  // when the peer last took something of the output, or there was none
  std::size_t output_at_last_look_ = 0;
};

}  // namespace stele::rpc
