// A TCP connection of a core: libuv's handle and what Connection promises.
//
// libuv lets go of a handle only in a later turn, while a Connection may be destroyed at any time. So there
// are two objects: the Connection that the owner holds, and the Socket behind it, which lives until both the
// owner and libuv are done with it.
//
// Reading: bytes land in the handler's own buffer or in the core's slab. Writing: the output of a turn is
// collected in an Output lent by the core, and at the turn's end goes out by uv_try_write; what the kernel
// does not take goes to libuv as one write request, and while that is under way a second Output collects.
// An idle connection holds neither.
#pragma once

#include <uv.h>

#include <memory>
#include <optional>
#include <span>

#include "runtime/network.h"
#include "runtime/uv/core.h"

namespace stele::runtime::uv {

// The address of a peer, in less space than sockaddr_storage.
union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};
Endpoint endpoint_of(const Address& address);

// Sets what every connection has: no delay of small writes, keep-alive probes. Accepted sockets inherit it
// from the listening one.
void set_connection_options(uv_tcp_t& tcp);

class Socket final : private TurnEndHook, private LaterHook {
 public:
  explicit Socket(UvCore& core);
  uv_tcp_t* tcp() { return &tcp_; }

  // Once it is connected: the object for the owner. Its destructor calls release().
  std::unique_ptr<Connection> make_connection();
  // The owner is done with it: closes at once, says nothing more, and is gone once libuv is done as well.
  void release();

  void start(ConnectionHandler& handler);
  void write(std::string_view copied);
  void write(Bytes slice);
  std::size_t queued_bytes() const;
  void set_low_water(std::size_t bytes) { low_water_ = bytes; }
  void pause_reading();
  void resume_reading();
  void close(Duration grace);
  Endpoint local() const;
  Endpoint remote() const { return endpoint_of(remote_); }

 private:
  // What a graceful close needs.
  struct Closing;
  ~Socket();
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp_); }
  uv_handle_t* handle() { return reinterpret_cast<uv_handle_t*>(&tcp_); }

  void on_turn_end() override;
  void on_later() override;
  void set_reading(bool reading);
  void allocate(uv_buf_t* buffer);
  void have_read(ssize_t got, const uv_buf_t* buffer);
  Output& output();
  void after_write();
  void flush();
  std::size_t send_now();
  void send_rest();
  void have_written(int status);
  void write_failed(int status);
  void note_drained();
  void shut_down();
  void have_shut_down();
  void end_later(Error why);
  void end(const Error& why);
  void let_go();
  void close_handle();

  uv_tcp_t tcp_;
  UvCore& core_;
  ConnectionHandler* handler_ = nullptr;
  std::unique_ptr<Output> collecting_, sending_;
  std::unique_ptr<Closing> closing_;
  std::unique_ptr<Error> end_with_;  // to be told in a later turn
  std::size_t low_water_;
  Address remote_{};
  bool reading_ = false;
  bool broken_ = false;  // a write failed: what can still be read tells why
  bool above_low_water_ = false;
  bool drained_ = false;  // to be told in a later turn
  bool ended_ = false;
  bool released_ = false;
  bool handle_closed_ = false;
};

}  // namespace stele::runtime::uv
