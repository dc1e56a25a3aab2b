// One TCP connection: two sockets, each in its host's kernel, and the bytes under way between them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "runtime/network.h"
#include "sim/member_event.h"
#include "sim/network.h"

namespace stele::sim {

// One end. Outlives the Connection through which its process uses it: what was handed to the kernel still
// travels.
class Socket final : public runtime::TurnEndHook {
 public:
  Socket(Stream& stream, Host& host, Core* core, runtime::Endpoint local, runtime::Endpoint remote);

  // --- What the process does. Nothing once the socket ended, was closed, or the process died.
  std::unique_ptr<runtime::Connection> make_connection();
  void start(runtime::ConnectionHandler& handler);
  void write(std::string_view copied);
  void write(Bytes slice);
  std::size_t queued_bytes() const { return queued_; }
  void set_low_water(std::size_t bytes) { low_water_ = bytes; }
  void pause_reading();
  void resume_reading();
  void close(Duration grace);
  // The process gives it up: the kernel closes it.
  void release();
  const runtime::Endpoint& local() const { return local_; }
  const runtime::Endpoint& remote() const { return remote_; }

  // --- What happens to it.
  void assign(Core& core) { core_ = &core; }
  Core* core() const { return core_; }
  Host& host() const { return host_; }
  // The process was killed, or exits.
  void close_by_kernel();
  // Power is lost: it is no more, and nobody is told.
  void vanish(bool keep_what_is_under_way);
  // A reset is on its way to it.
  void reset_soon(bool even_if_split);
  void end_with(Error why);
  void path_changed();
  void look_for_the_peer();
  bool gone() const { return gone_; }
  // Used by a process, and not known to have ended.
  bool in_use() const { return !gone_ && !released_ && !ended_; }
  // Nothing will come of it any more.
  bool finished() const { return (released_ || ended_ || gone_) && flight_.empty() && !reset_.scheduled(); }

 private:
  friend class Stream;
  struct Segment {
    Time at;
    Bytes bytes;
    bool end = false;  // of the outgoing side
  };

  Socket& peer() const;
  void on_turn_end() override;
  bool usable() const;
  void after_write();
  void flush();
  std::string take(std::size_t bytes);
  void send(Bytes bytes, bool end);
  void send_end();
  void arrive();
  void receive(Segment segment);
  void consumed(std::size_t bytes);
  void window_opens();
  void note_drained();
  void deliver();
  void deliver_data();
  void deliver_drained();
  void end(const Error& why);
  void abort();
  void kernel_close();
  void drop_flight();
  void give_up();
  void reset_arrives();
  void grace_over();
  void keep_alive();

  Stream& stream_;
  Host& host_;
  Core* core_;
  const runtime::Endpoint local_, remote_;
  runtime::ConnectionHandler* handler_ = nullptr;
  std::uint64_t obtained_in_turn_ = 0;

  // Outgoing: queued by the process, then in the window until the peer's process has read it.
  std::deque<Bytes> queue_;
  std::string copied_;  // collected small writes, after what is in queue_
  std::size_t queued_ = 0;
  std::size_t low_water_ = runtime::Connection::kDefaultLowWater;
  bool above_low_water_ = false;
  std::size_t in_window_ = 0;
  std::size_t to_be_freed_ = 0;  // read by the peer, of which this side will hear
  std::deque<Segment> flight_;
  Time sending_until_{};
  Time last_arrival_{};
  bool held_ = false;  // the path is split
  bool end_sent_ = false;

  // Incoming.
  std::deque<Bytes> received_;
  std::size_t received_bytes_ = 0;
  bool peer_ended_ = false;
  bool paused_ = false;

  bool closing_ = false;
  bool ended_ = false;     // on_closed was said, or never will be
  bool released_ = false;  // by its process
  bool gone_ = false;      // unknown to its kernel
  std::optional<Error> end_with_;
  int probes_ = 0;
  bool reset_even_if_split_ = false;

  MemberReady<Socket, &Socket::deliver> ready_;
  MemberReady<Socket, &Socket::deliver_drained> drained_;
  MemberEvent<Socket, &Socket::arrive> arrival_;
  MemberEvent<Socket, &Socket::window_opens> window_;
  MemberEvent<Socket, &Socket::give_up> give_up_;
  MemberEvent<Socket, &Socket::reset_arrives> reset_;
  MemberEvent<Socket, &Socket::grace_over> grace_;
  MemberEvent<Socket, &Socket::keep_alive> keep_alive_;
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Fabric& fabric, std::uint64_t number, Core& client, Host& server, runtime::Endpoint client_at,
         runtime::Endpoint server_at);

  std::uint64_t number() const { return number_; }
  Fabric& fabric() { return fabric_; }
  World& world() { return fabric_.world(); }
  Socket& client() { return client_; }
  Socket& server() { return server_; }
  Socket& other(const Socket& socket) { return &socket == &client_ ? server_ : client_; }
  // It carries nothing, whatever its path does.
  void set_stalled(bool stalled) { stalled_ = stalled; }
  bool stalled() const { return stalled_; }
  bool carries(const Host& from, const Host& to) const { return !stalled_ && fabric_.path_open(from, to); }
  bool established() const { return client_.in_use() && server_.in_use(); }
  bool finished() const { return client_.finished() && server_.finished(); }

 private:
  Fabric& fabric_;
  const std::uint64_t number_;
  bool stalled_ = false;
  Socket client_, server_;
};

// A listening socket of one core, with its queue of connections not yet accepted.
class ListenerOfCore final : public runtime::Listener {
 public:
  ListenerOfCore(Core& core, runtime::Endpoint at, runtime::ListenOptions options,
                 runtime::AcceptHandler& handler)
      : core_(core), at_(std::move(at)), options_(options), handler_(handler), ready_(*this) {}
  ~ListenerOfCore() override;
  runtime::Endpoint local() const override { return at_; }

  Core& core() { return core_; }
  bool shares_port() const { return options_.share_port; }
  bool full() const { return queue_.size() >= static_cast<std::size_t>(options_.backlog); }
  void enqueue(std::shared_ptr<Stream> stream);
  // Its process is gone, or it is destroyed: what waits is turned away.
  void stop(bool silently);

 private:
  void deliver();

  Core& core_;
  const runtime::Endpoint at_;
  const runtime::ListenOptions options_;
  runtime::AcceptHandler& handler_;
  std::deque<std::shared_ptr<Stream>> queue_;
  bool stopped_ = false;
  MemberReady<ListenerOfCore, &ListenerOfCore::deliver> ready_;
};

}  // namespace stele::sim
