#include "runtime/uv/socket.h"

#include <limits.h>
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "runtime/uv/system_error.h"

namespace stele::runtime::uv {
namespace {

constexpr std::size_t kFlushEarly = 256 << 10;
constexpr unsigned kKeepAliveSeconds = 60;

Socket& socket_of(void* data) {
  return *static_cast<Socket*>(data);
}

// What the owner holds.
class UvConnection final : public Connection {
 public:
  explicit UvConnection(Socket& socket) : socket_(socket) {}
  ~UvConnection() override { socket_.release(); }
  void start(ConnectionHandler& handler) override { socket_.start(handler); }
  void write(std::string_view copied) override { socket_.write(copied); }
  void write(Bytes slice) override { socket_.write(std::move(slice)); }
  std::size_t queued_bytes() const override { return socket_.queued_bytes(); }
  void set_low_water(std::size_t bytes) override { socket_.set_low_water(bytes); }
  void pause_reading() override { socket_.pause_reading(); }
  void resume_reading() override { socket_.resume_reading(); }
  void close(Duration grace) override { socket_.close(grace); }
  Endpoint local() const override { return socket_.local(); }
  Endpoint remote() const override { return socket_.remote(); }

 private:
  Socket& socket_;
};

}  // namespace

struct Socket::Closing final : Timer {
  explicit Closing(Socket& socket) : socket(socket) {}
  void on_timer() override { socket.end(Error{ErrorCode::kCancelled, "closed here, before the peer had"}); }
  Socket& socket;
  uv_shutdown_t shutdown;
  bool shut_down_asked = false, shut_down = false, peer_ended = false;
};

Endpoint endpoint_of(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (uv_ip_name(&address.any, text, sizeof(text)) != 0) return {};
  // Both kinds of address have their port in the same place.
  return {text, ntohs(address.v4.sin_port)};
}

void set_connection_options(uv_tcp_t& tcp) {
  uv_tcp_nodelay(&tcp, 1);
  uv_tcp_keepalive(&tcp, 1, kKeepAliveSeconds);
}

Socket::Socket(UvCore& core) : core_(core), low_water_(Connection::kDefaultLowWater) {
  STELE_ASSERT(uv_tcp_init(core.loop(), &tcp_) == 0);
  tcp_.data = this;
  core_.count_handle(+1);
}

Socket::~Socket() {
  core_.count_handle(-1);
}

std::unique_ptr<Connection> Socket::make_connection() {
  int size = sizeof(remote_);
  if (uv_tcp_getpeername(&tcp_, &remote_.any, &size) != 0) remote_ = {};
  return std::make_unique<UvConnection>(*this);
}

void Socket::release() {
  released_ = true;
  handler_ = nullptr;
  ended_ = true;
  let_go();
  close_handle();
}

void Socket::start(ConnectionHandler& handler) {
  STELE_ASSERT(!handler_);
  handler_ = &handler;
  if (!ended_) set_reading(true);
}

Endpoint Socket::local() const {
  Address address{};
  int size = sizeof(address);
  if (uv_tcp_getsockname(&tcp_, &address.any, &size) != 0) return {};
  return endpoint_of(address);
}

// --- Reading

void Socket::set_reading(bool reading) {
  if (reading == reading_) return;
  reading_ = reading;
  if (!reading) {
    uv_read_stop(stream());
    return;
  }
  const int status = uv_read_start(
      stream(), [](uv_handle_t* h, std::size_t, uv_buf_t* buffer) { socket_of(h->data).allocate(buffer); },
      [](uv_stream_t* s, ssize_t got, const uv_buf_t* buffer) { socket_of(s->data).have_read(got, buffer); });
  if (status != 0) end_later(uv_error(status, "reading from " + remote().to_string()));
}

void Socket::pause_reading() {
  if (ended_ || closing_) return;
  set_reading(false);
  if (broken_) end_later(Error{ErrorCode::kClosed, remote().to_string() + " no longer takes what is sent"});
}

void Socket::resume_reading() {
  if (!ended_ && !closing_ && handler_) set_reading(true);
}

void Socket::allocate(uv_buf_t* buffer) {
  std::span<char> to;
  if (!closing_) to = handler_->read_buffer();
  if (to.empty()) to = core_.read_slab().window();
  *buffer = uv_buf_init(to.data(), static_cast<unsigned>(std::min<std::size_t>(to.size(), INT_MAX)));
}

void Socket::have_read(ssize_t got, const uv_buf_t* buffer) {
  if (got == 0) return;
  if (got > 0) {
    if (closing_) return;  // discarded
    ReadSlab& slab = core_.read_slab();
    const auto size = static_cast<std::size_t>(got);
    if (slab.owns(buffer->base)) {
      handler_->on_data(slab.take(size));
      slab.settle();
    } else {
      handler_->on_data(Bytes::literal({buffer->base, size}));
    }
    return;
  }
  reading_ = false;  // libuv stops by itself
  if (closing_ && got == UV_EOF && !closing_->shut_down) {
    closing_->peer_ended = true;  // it may still take what is queued
    return;
  }
  if (closing_) return end(Error{ErrorCode::kCancelled, "closed here"});
  flush();  // what was answered to the peer's last words
  if (got == UV_EOF) {
    end(Error{ErrorCode::kClosed, remote().to_string() + " closed the connection"});
  } else {
    end(uv_error(static_cast<int>(got), "reading from " + remote().to_string()));
  }
}

// --- Writing

Output& Socket::output() {
  if (!collecting_) collecting_ = core_.outputs().take();
  return *collecting_;
}

void Socket::write(std::string_view copied) {
  if (ended_ || closing_ || broken_ || copied.empty()) return;
  output().append_copy(copied);
  after_write();
}

void Socket::write(Bytes slice) {
  if (ended_ || closing_ || broken_ || slice.empty()) return;
  output().append(std::move(slice));
  after_write();
}

void Socket::after_write() {
  if (queued_bytes() > low_water_) above_low_water_ = true;
  if (collecting_->size() >= kFlushEarly && !sending_) {
    flush();
  } else {
    core_.at_turn_end(*this);
  }
}

std::size_t Socket::queued_bytes() const {
  std::size_t bytes = collecting_ ? collecting_->size() : 0;
  if (sending_) bytes += uv_stream_get_write_queue_size(reinterpret_cast<const uv_stream_t*>(&tcp_));
  return bytes;
}

void Socket::on_turn_end() {
  flush();
  if (closing_ && !collecting_ && !sending_) shut_down();
}

void Socket::flush() {
  if (!collecting_ || sending_ || uv_is_closing(handle())) return;
  collecting_->seal();
  const std::size_t sent = send_now();
  if (!collecting_) return;  // it failed
  if (sent == collecting_->size()) {
    core_.outputs().give(std::move(collecting_));
    note_drained();
  } else {
    collecting_->drop_front(sent);
    send_rest();
  }
}

// Gives how much of the collected output the kernel took.
std::size_t Socket::send_now() {
  const std::span<const Bytes> slices = collecting_->slices();
  uv_buf_t parts[IOV_MAX];
  std::size_t sent = 0;
  for (std::size_t next = 0; next < slices.size();) {
    unsigned count = 0;
    std::size_t offered = 0;
    for (; next < slices.size() && count < IOV_MAX; ++next) {
      parts[count++] = {const_cast<char*>(slices[next].data()), slices[next].size()};
      offered += slices[next].size();
    }
    const int status = uv_try_write(stream(), parts, count);
    if (status == UV_EAGAIN) break;
    if (status < 0) {
      write_failed(status);
      return sent;
    }
    sent += static_cast<std::size_t>(status);
    if (static_cast<std::size_t>(status) < offered) break;
  }
  return sent;
}

void Socket::send_rest() {
  sending_ = std::move(collecting_);
  std::vector<uv_buf_t> parts;
  parts.reserve(sending_->slices().size());
  for (const Bytes& slice : sending_->slices()) {
    parts.push_back({const_cast<char*>(slice.data()), slice.size()});
  }
  const int status = uv_write(
      &sending_->request, stream(), parts.data(), static_cast<unsigned>(parts.size()),
      [](uv_write_t* request, int status) { socket_of(request->handle->data).have_written(status); });
  if (status != 0) {
    core_.outputs().give(std::move(sending_));
    write_failed(status);
  }
}

void Socket::have_written(int status) {
  core_.outputs().give(std::move(sending_));
  if (ended_) return;
  if (status != 0) return write_failed(status);
  if (collecting_ || closing_) core_.at_turn_end(*this);
  note_drained();
}

// When the peer has gone, its last words may still be there to be read; reading then tells the end.
void Socket::write_failed(int status) {
  broken_ = true;
  if (collecting_) core_.outputs().give(std::move(collecting_));
  if (closing_) {
    end_later(Error{ErrorCode::kCancelled, "closed here, after the peer had"});
  } else if (!reading_ || (status != UV_EPIPE && status != UV_ECONNRESET)) {
    end_later(uv_error(status, "writing to " + remote().to_string()));
  }
}

void Socket::note_drained() {
  if (!above_low_water_ || queued_bytes() > low_water_) return;
  above_low_water_ = false;
  drained_ = true;
  core_.later(*this);
}

// --- Ends

void Socket::close(Duration grace) {
  if (ended_ || closing_) return;
  closing_ = std::make_unique<Closing>(*this);
  core_.arm(*closing_, core_.now() + std::max(grace, Duration(0)));
  if (broken_) return end_later(Error{ErrorCode::kCancelled, "closed here, after the peer had"});
  set_reading(true);
  core_.at_turn_end(*this);
}

void Socket::shut_down() {
  if (std::exchange(closing_->shut_down_asked, true)) return;
  const int status = uv_shutdown(&closing_->shutdown, stream(), [](uv_shutdown_t* request, int) {
    socket_of(request->handle->data).have_shut_down();
  });
  if (status != 0) end_later(Error{ErrorCode::kCancelled, "closed here, after the peer had"});
}

void Socket::have_shut_down() {
  if (ended_) return;
  closing_->shut_down = true;
  if (closing_->peer_ended) end_later(Error{ErrorCode::kCancelled, "closed here"});
}

void Socket::end_later(Error why) {
  if (ended_ || end_with_) return;
  end_with_ = std::make_unique<Error>(std::move(why));
  core_.later(*this);
}

void Socket::on_later() {
  if (ended_) return;
  if (end_with_) {
    const auto why = std::move(end_with_);
    end(*why);
  } else if (std::exchange(drained_, false) && !closing_) {
    handler_->on_drained();
  }
}

// The last call of the handler comes before the handle is closed: remote() and local() still answer.
void Socket::end(const Error& why) {
  if (ended_) return;
  ended_ = true;
  let_go();
  if (handler_) std::exchange(handler_, nullptr)->on_closed(why);
  close_handle();
}

// Gives back what is held and leaves what is waited for.
void Socket::let_go() {
  if (reading_ && !uv_is_closing(handle())) uv_read_stop(stream());
  reading_ = false;
  if (collecting_) core_.outputs().give(std::move(collecting_));
  if (closing_) core_.disarm(*closing_);
  TurnEndHook::unlink();
  LaterHook::unlink();
}

void Socket::close_handle() {
  if (!uv_is_closing(handle())) {
    uv_close(handle(), [](uv_handle_t* h) {
      Socket& socket = socket_of(h->data);
      socket.handle_closed_ = true;
      if (socket.released_) delete &socket;
    });
  } else if (handle_closed_ && released_) {
    delete this;
  }
}

}  // namespace stele::runtime::uv
