#include "sim/foreign/mosquitto_peer.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// What the system takes of output before it says that it is full.
constexpr std::size_t kSendBuffer = 4096;

// The library counts these calls.
class Library {
 public:
  Library() { mosquitto_lib_init(); }
  ~Library() { mosquitto_lib_cleanup(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
};

class Alarm final : public runtime::Timer {
 public:
  explicit Alarm(runtime::Notification& wakes) : wakes_(wakes) {}
  void on_timer() override { wakes_.wake_all(); }

 private:
  runtime::Notification& wakes_;
};

}  // namespace

// A socket, as the library sees it: what has come and not been read, and how it ended.
class MosquittoPeer::Socket final : private runtime::ConnectionHandler {
 public:
  Socket(MosquittoPeer& owner, std::unique_ptr<runtime::Connection> connection)
      : owner_(owner), connection_(std::move(connection)) {
    connection_->set_low_water(kSendBuffer);
    connection_->start(*this);
  }

  bool readable() const { return at_ < input_.size() || ended_; }

  std::ptrdiff_t read(char* to, std::size_t at_most) {
    if (at_ == input_.size()) return ended_ ? -error_ : -EAGAIN;
    const std::size_t some = std::min(at_most, input_.size() - at_);
    input_.copy(to, some, at_);
    at_ += some;
    if (at_ == input_.size()) {
      input_.clear();
      at_ = 0;
    }
    return static_cast<std::ptrdiff_t>(some);
  }

  std::ptrdiff_t write(std::string_view bytes) {
    if (!connection_) return -ECONNRESET;
    if (connection_->queued_bytes() > kSendBuffer) return -EAGAIN;
    runtime::Random& random = owner_.runtime_.random();
    if (random.chance(1, 8)) bytes = bytes.substr(0, 1 + random.below(bytes.size()));
    connection_->write(bytes);
    return static_cast<std::ptrdiff_t>(bytes.size());
  }

  void break_off() {
    connection_.reset();
    end(ECONNRESET);
  }

  // False: there is nothing to wait for.
  bool leave() {
    if (!connection_) return false;
    connection_->close(5s);
    return true;
  }

 private:
  void on_data(Bytes data) override {
    input_ += data.view();
    owner_.take_input();
  }
  void on_drained() override { owner_.may_write(); }
  void on_closed(const Error& why) override {
    connection_.reset();
    if (owner_.socket_.get() == this) {
      end(why.code == ErrorCode::kClosed ? 0 : ECONNRESET);
      return owner_.take_input();
    }
    std::erase_if(owner_.leaving_, [this](const auto& one) { return one.get() == this; });
  }
  void end(int error) {
    ended_ = true;
    error_ = error;
  }

  MosquittoPeer& owner_;
  std::unique_ptr<runtime::Connection> connection_;
  std::string input_;
  std::size_t at_ = 0;  // so much of it was read
  bool ended_ = false;
  int error_ = 0;  // 0: by the peer's end
};

struct MosquittoPeer::Callbacks {
  static void on_connect(mosquitto*, void* peer, int reason, int flags, const mosquitto_property*) {
    static_cast<MosquittoPeer*>(peer)->connack_ = {.reason = reason, .session_present = (flags & 1) != 0};
  }
  static void on_publish(mosquitto*, void* peer, int packet_id, int reason, const mosquitto_property*) {
    static_cast<MosquittoPeer*>(peer)->events_.emplace_back(Published{packet_id, reason});
  }
  static void on_subscribe(mosquitto*, void* peer, int, int count, const int* granted) {
    static_cast<MosquittoPeer*>(peer)->events_.emplace_back(Subscribed{count == 1 ? granted[0] : -1});
  }
  static void on_message(mosquitto*, void* peer, const mosquitto_message* message) {
    std::string payload(static_cast<const char*>(message->payload),
                        static_cast<std::size_t>(message->payloadlen));
    static_cast<MosquittoPeer*>(peer)->events_.emplace_back(Message{message->qos, std::move(payload)});
  }
};

MosquittoPeer::MosquittoPeer(runtime::Runtime& runtime, Options options)
    : runtime_(runtime), options_(std::move(options)) {
  static const Library library;
  const ForeignCall call(*this);
  library_ = mosquitto_new(options_.client_id.c_str(), false, this);
  STELE_ASSERT(library_ != nullptr);
  mosquitto_int_option(library_, MOSQ_OPT_PROTOCOL_VERSION,
                       options_.v5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
  if (!options_.user.empty()) {
    mosquitto_username_pw_set(library_, options_.user.c_str(), options_.password.c_str());
  }
  mosquitto_connect_v5_callback_set(library_, Callbacks::on_connect);
  mosquitto_publish_v5_callback_set(library_, Callbacks::on_publish);
  mosquitto_subscribe_callback_set(library_, Callbacks::on_subscribe);
  mosquitto_message_callback_set(library_, Callbacks::on_message);
}

MosquittoPeer::~MosquittoPeer() {
  socket_.reset();
  const ForeignCall call(*this);
  mosquitto_destroy(library_);
}

Task<Result<bool>> MosquittoPeer::connect(runtime::Endpoint to) {
  auto dialed = co_await runtime_.network().connect(to, 5s, {});
  if (dialed) dialed_ = *std::move(dialed);
  connack_.reset();
  {
    const ForeignCall call(*this);
    if (std::exchange(asked_, true)) {
      mosquitto_reconnect(library_);
    } else {
      mosquitto_property* properties = nullptr;
      if (options_.v5) {
        mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, UINT32_MAX);
      }
      mosquitto_connect_bind_v5(library_, to.host.c_str(), to.port, options_.keep_alive_s, nullptr,
                                properties);
      mosquitto_property_free_all(&properties);
    }
  }
  Alarm alarm(changed_);
  runtime_.arm(alarm, now() + 20s);
  while (connected() && !connack_ && alarm.armed()) co_await changed_.wait();
  if (connected() && connack_ && connack_->reason == 0) co_return connack_->session_present;
  drop();
  co_return error(ErrorCode::kClosed, "no connection");
}

int MosquittoPeer::publish(const std::string& topic, const std::string& payload, int qos) {
  STELE_ASSERT(connected());
  int packet_id = 0;
  const ForeignCall call(*this);
  mosquitto_publish_v5(library_, &packet_id, topic.c_str(), static_cast<int>(payload.size()), payload.data(),
                       qos, false, nullptr);
  STELE_ASSERT(packet_id != 0);
  return packet_id;
}

void MosquittoPeer::subscribe(const std::string& filter, int qos) {
  const ForeignCall call(*this);
  mosquitto_subscribe(library_, nullptr, filter.c_str(), qos);
}

void MosquittoPeer::disconnect() {
  const ForeignCall call(*this);
  mosquitto_disconnect(library_);
}

void MosquittoPeer::drop() {
  if (!socket_) return;
  socket_->break_off();
  take_input();
}

Task<Result<MosquittoPeer::Event>> MosquittoPeer::next(runtime::Duration timeout) {
  Alarm alarm(changed_);
  runtime_.arm(alarm, now() + timeout);
  while (events_.empty() && connected() && alarm.armed()) co_await changed_.wait();
  if (events_.empty() && connected()) {
    const ForeignCall call(*this);
    mosquitto_loop_misc(library_);
  }
  if (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    co_return event;
  }
  if (!connected()) co_return error(ErrorCode::kClosed, "the connection ended");
  co_return error(ErrorCode::kTimedOut, "nothing came");
}

int MosquittoPeer::connect() {
  if (!dialed_) return -ECONNREFUSED;
  socket_ = std::make_unique<Socket>(*this, std::move(dialed_));
  return 0;
}

std::ptrdiff_t MosquittoPeer::read(char* to, std::size_t at_most) {
  return socket_ ? socket_->read(to, at_most) : -ENOTCONN;
}

std::ptrdiff_t MosquittoPeer::write(std::string_view bytes) {
  return socket_ ? socket_->write(bytes) : -ENOTCONN;
}

void MosquittoPeer::close() {
  if (socket_ && socket_->leave()) leaving_.push_back(std::move(socket_));
  socket_.reset();
}

void MosquittoPeer::take_input() {
  {
    const ForeignCall call(*this);
    // It takes a packet or so at a time; the end of input makes it close the socket.
    while (socket_ && socket_->readable()) mosquitto_loop_read(library_, 1);
  }
  changed_.wake_all();
}

void MosquittoPeer::may_write() {
  {
    const ForeignCall call(*this);
    if (socket_) mosquitto_loop_write(library_, 1);
  }
  changed_.wake_all();
}

}  // namespace stele::sim
