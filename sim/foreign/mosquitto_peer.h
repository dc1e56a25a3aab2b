// A client made of libmosquitto, as Debian has it: its codec, its sessions, its retries, its keep-alive, over
// a simulated connection and on virtual time. What it does is its own; this only carries bytes and calls.
//
// Lives on one core of a client host.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/result.h"
#include "runtime/network.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "sim/foreign/system.h"

struct mosquitto;

namespace stele::sim {

class MosquittoPeer final : private ForeignSystem {
 public:
  struct Options {
    std::string client_id;  // of a session that is kept
    bool v5 = false;
    std::string user = {}, password = {};  // none if empty
    int keep_alive_s = 10;                 // 5 at least, the library says
  };
  // What the library tells. A packet identifier is the one it gave when it was asked.
  struct Published {
    int packet_id = 0;  // QoS 0: it has left. QoS 1 and 2: it is settled, or refused for that reason
    int reason = 0;
  };
  struct Subscribed {
    int granted = 0;
  };
  struct Message {
    int qos = 0;
    std::string payload;
  };
  using Event = std::variant<Published, Subscribed, Message>;

  MosquittoPeer(runtime::Runtime& runtime, Options options);
  ~MosquittoPeer();
  MosquittoPeer(const MosquittoPeer&) = delete;
  MosquittoPeer& operator=(const MosquittoPeer&) = delete;

  // Connects, or connects again, up to CONNACK: whether there was a session. The library then sends by itself
  // what was not answered. kClosed if nothing came of it.
  runtime::Task<Result<bool>> connect(runtime::Endpoint to);
  bool connected() const { return socket_ != nullptr; }
  // The packet identifier. What has QoS 1 or 2 is the library's from here on, whatever becomes of the
  // connection. Only while connected.
  int publish(const std::string& topic, const std::string& payload, int qos);
  void subscribe(const std::string& filter, int qos);
  // With DISCONNECT.
  void disconnect();
  // The connection breaks.
  void drop();
  // What it told next. kTimedOut, and it has looked at its keep-alive; kClosed: nothing more comes of this
  // connection.
  runtime::Task<Result<Event>> next(runtime::Duration timeout);

 private:
  class Socket;
  struct Callbacks;
  struct Connack {
    int reason = 0;
    bool session_present = false;
  };

  int connect() override;
  std::ptrdiff_t read(char* to, std::size_t at_most) override;
  std::ptrdiff_t write(std::string_view bytes) override;
  void close() override;
  runtime::Instant now() const override { return runtime_.now(); }

  void take_input();
  void may_write();

  runtime::Runtime& runtime_;
  const Options options_;
  mosquitto* library_;
  bool asked_ = false;  // to connect, once
  std::optional<Connack> connack_;
  std::unique_ptr<runtime::Connection> dialed_;
  std::unique_ptr<Socket> socket_;              // what the library takes for its socket
  std::list<std::unique_ptr<Socket>> leaving_;  // it has closed them; what it wrote last still leaves
  std::deque<Event> events_;
  runtime::Notification changed_;  // woken last of all: who waits may destroy the peer
};

}  // namespace stele::sim
