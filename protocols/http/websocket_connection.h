// A runtime::Connection whose bytes travel in WebSocket frames, over any other runtime::Connection.
//
// What arrives is unmasked from where it was read to where the handler wants it, or into a slab of the
// core's; that is the only copy. What is written is gathered until the end of the turn and leaves as one
// frame. Pings are answered here, and the end of the WebSocket is the end of the connection.
//
// Lives on one core.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "protocols/http/websocket.h"
#include "runtime/network.h"
#include "runtime/runtime.h"

namespace stele::http {

// A connection that is started and can change hands: its handler can be replaced.
class LiveConnection final : private runtime::ConnectionHandler {
 public:
  // In the turn in which `connection` was obtained.
  LiveConnection(std::unique_ptr<runtime::Connection> connection, runtime::ConnectionHandler& handler)
      : connection_(std::move(connection)), handler_(&handler) {
    connection_->start(*this);
  }
  // Also from within one of the calls of the handler that it had.
  void hand_to(runtime::ConnectionHandler& handler) { handler_ = &handler; }
  runtime::Connection* operator->() const { return connection_.get(); }

 private:
  std::span<char> read_buffer() override { return handler_->read_buffer(); }
  void on_data(Bytes data) override { handler_->on_data(std::move(data)); }
  void on_drained() override { handler_->on_drained(); }
  void on_closed(const Error& why) override { handler_->on_closed(why); }

  const std::unique_ptr<runtime::Connection> connection_;
  runtime::ConnectionHandler* handler_;
};

// After the handshake. start() may come later than in the turn in which it was made.
class WebSocketConnection final : public runtime::Connection,
                                  private runtime::ConnectionHandler,
                                  private runtime::TurnEndHook {
 public:
  enum class Side : bool { kServer, kClient };
  // `behind`: what came with the handshake and is already of the WebSocket.
  WebSocketConnection(runtime::Runtime& runtime, std::unique_ptr<LiveConnection> socket, Side side,
                      std::string_view behind);
  ~WebSocketConnection() override;

  void start(runtime::ConnectionHandler& handler) override;
  void write(std::string_view copied) override;
  void write(Bytes slice) override;
  std::size_t queued_bytes() const override;
  void set_low_water(std::size_t bytes) override;
  void pause_reading() override;
  void resume_reading() override;
  void close(runtime::Duration grace) override;
  runtime::Endpoint local() const override { return (*socket_)->local(); }
  runtime::Endpoint remote() const override { return (*socket_)->remote(); }
  std::string_view peer_name() const override { return (*socket_)->peer_name(); }

 private:
  // From the socket. Its bytes go into its core's slab: what is for the handler is unmasked first.
  void on_data(Bytes data) override;
  void on_drained() override;
  void on_closed(const Error& why) override;
  void on_turn_end() override;

  bool silent() const { return closing_ || over_ || ended_; }
  void unwrap();
  void take_event(const WebSocketReader::Step& step);
  void keep_input();
  void send(WebSocketOpcode opcode, std::string_view head, Bytes tail);
  void flush();
  void answer_ping();
  void end(WebSocketClose code, Error why);
  void tell_end();

  runtime::Runtime& runtime_;
  const std::unique_ptr<LiveConnection> socket_;
  const Side side_;
  runtime::ConnectionHandler* handler_ = nullptr;
  WebSocketReader reader_;
  std::size_t low_water_ = kDefaultLowWater;
  Bytes input_;                      // not unwrapped yet
  std::string pending_;              // not in a frame yet
  std::optional<std::string> ping_;  // the last that is not answered
  std::optional<Error> end_;         // what the handler is to be told
  bool kept_ = false;                // input_ is ours, and not lent for the call
  bool paused_ = false;
  bool closing_ = false;  // close() was called
  bool over_ = false;     // the WebSocket has ended, the socket not yet
  bool ended_ = false;    // the socket has
  bool* gone_ = nullptr;  // tells unwrap() that the handler destroyed this
};

// The client's side of the handshake on a connection that was just obtained. `host` goes into Host. What it
// gives is to be started at once. kUnauthorized: refused, with the server's words; kMalformed; kTimedOut.
runtime::Task<Result<std::unique_ptr<runtime::Connection>>> open_websocket(
    runtime::Runtime& runtime, std::unique_ptr<runtime::Connection> connection, std::string host,
    std::string target, std::string protocol, runtime::Duration timeout);

}  // namespace stele::http
