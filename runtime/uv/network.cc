#include "runtime/uv/network.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <uv.h>

#include <algorithm>
#include <climits>
#include <coroutine>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "runtime/uv/core.h"
#include "runtime/uv/socket.h"
#include "runtime/uv/system_error.h"

namespace stele::runtime::uv {
namespace {

std::optional<Address> parse_address(const std::string& host, std::uint16_t port) {
  Address address{};
  if (uv_ip4_addr(host.c_str(), port, &address.v4) == 0) return address;
  if (uv_ip6_addr(host.c_str(), port, &address.v6) == 0) return address;
  return std::nullopt;
}

// --- Listening

// A connection with this descriptor or a higher one is refused: descriptors are given lowest first, and those
// above are left for files, for connections that the process makes, and for one accepted by each core.
// Without any, libuv 1.44 would try to accept for ever, and the core do nothing else, if another core took
// the one that it keeps for that.
int first_refused_descriptor() {
  constexpr rlim_t kKept = 64;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return INT_MAX;
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur - std::min(kKept, limit.rlim_cur / 4), INT_MAX));
}

// The handle of a listener, which outlives it by a turn.
class ListeningSocket {
 public:
  ListeningSocket(UvCore& core, AcceptHandler& handler) : core_(core), handler_(&handler) {
    core.count_handle(+1);
  }

  Result<Endpoint> open(const Address& at, const ListenOptions& options, const std::string& doing) {
    if (const int status = bind_and_listen(at, options); status != 0) {
      return std::unexpected(uv_error(status, doing));
    }
    Address local{};
    int size = sizeof(local);
    if (const int status = uv_tcp_getsockname(&tcp_, &local.any, &size); status != 0) {
      return std::unexpected(uv_error(status, doing));
    }
    return endpoint_of(local);
  }

  void close() {
    handler_ = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&tcp_), [](uv_handle_t* h) {
      auto* self = static_cast<ListeningSocket*>(h->data);
      self->core_.count_handle(-1);
      delete self;
    });
  }

 private:
  int bind_and_listen(const Address& at, const ListenOptions& options) {
    const unsigned family = at.any.sa_family;
    int status = uv_tcp_init_ex(core_.loop(), &tcp_, family);
    tcp_.data = this;
    if (status != 0) {
      STELE_ASSERT(uv_tcp_init(core_.loop(), &tcp_) == 0);  // something to close
      tcp_.data = this;
      return status;
    }
    if (options.share_port) {
      uv_os_fd_t descriptor;
      STELE_ASSERT(uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp_), &descriptor) == 0);
      const int on = 1;
      if (::setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) return -errno;
    }
    if (status = uv_tcp_bind(&tcp_, &at.any, 0); status != 0) return status;
    set_connection_options(tcp_);
    status =
        uv_listen(reinterpret_cast<uv_stream_t*>(&tcp_), options.backlog,
                  [](uv_stream_t* s, int status) { static_cast<ListeningSocket*>(s->data)->accept(status); });
    if (status == 0) uv_tcp_simultaneous_accepts(&tcp_, 1);
    return status;
  }

  void accept(int status) {
    if (status != 0) return accept_failed(status);
    auto* socket = new Socket(core_);
    status = uv_accept(reinterpret_cast<uv_stream_t*>(&tcp_), reinterpret_cast<uv_stream_t*>(socket->tcp()));
    if (status != 0) {
      socket->release();
      return accept_failed(status);
    }
    uv_os_fd_t descriptor;
    STELE_ASSERT(uv_fileno(reinterpret_cast<uv_handle_t*>(socket->tcp()), &descriptor) == 0);
    if (descriptor >= refused_from_) {
      socket->release();
      return complain(
          "a connection is refused: of the open files that are allowed (ulimit -n, LimitNOFILE=) "
          "the last are kept for other things");
    }
    handler_->on_accept(socket->make_connection());
  }

  void accept_failed(int status) { complain(uv_error(status, "accepting a connection").message); }

  // One line a second at most.
  void complain(const std::string& what) {
    if (core_.now() < next_complaint_) return;
    next_complaint_ = core_.now() + std::chrono::seconds(1);
    core_.log().write(LogLevel::kWarn, "network", what);
  }

  uv_tcp_t tcp_;
  UvCore& core_;
  AcceptHandler* handler_;
  Instant next_complaint_{};
  const int refused_from_ = first_refused_descriptor();
};

class UvListener final : public Listener {
 public:
  UvListener(ListeningSocket& socket, Endpoint local) : socket_(socket), local_(std::move(local)) {}
  ~UvListener() override { socket_.close(); }
  Endpoint local() const override { return local_; }

 private:
  ListeningSocket& socket_;
  Endpoint local_;
};

// --- Connecting

// One connect() under way: resolves the name, then tries address after address until one answers, time is up,
// or it is stopped. Whoever awaits it calls abandon() when done with it, finished or not; it frees itself
// once libuv is done with it as well.
class Dial final : private Timer {
 public:
  Dial(UvCore& core, Endpoint to, Instant deadline)
      : core_(core), to_(std::move(to)), deadline_(deadline), doing_("connecting to " + to_.to_string()) {
    core_.count_handle(+1);
  }

  void begin(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    core_.arm(*this, deadline_);
    if (const auto address = parse_address(to_.host, to_.port)) {
      single_ = *address;
      try_address(single_.any);
      return;
    }
    resolve_.data = this;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    const int status = uv_getaddrinfo(
        core_.loop(), &resolve_,
        [](uv_getaddrinfo_t* r, int status, addrinfo* found) {
          static_cast<Dial*>(r->data)->have_resolved(status, found);
        },
        to_.host.c_str(), std::to_string(to_.port).c_str(), &hints);
    if (status == 0) {
      resolving_ = true;
    } else {
      fail_later(uv_error(status, doing_));
    }
  }

  // Ends in a later turn with kCancelled.
  void stop() { fail_later(Error{ErrorCode::kCancelled, doing_ + ": stopped"}); }

  void abandon() {
    waiter_ = {};
    core_.disarm(*this);
    drop_socket();
    if (resolving_) uv_cancel(reinterpret_cast<uv_req_t*>(&resolve_));
    abandoned_ = true;
    maybe_delete();
  }

  Result<std::unique_ptr<Connection>> take_result() { return *std::move(result_); }

 private:
  ~Dial() {
    if (addresses_) uv_freeaddrinfo(addresses_);
    core_.count_handle(-1);
  }
  void maybe_delete() {
    if (abandoned_ && !resolving_ && !connecting_) delete this;
  }
  bool waited_for() const { return waiter_ && !fail_with_; }

  void have_resolved(int status, addrinfo* found) {
    resolving_ = false;
    if (status == 0) addresses_ = found;
    if (!waited_for()) return maybe_delete();
    if (status != 0) return finish(std::unexpected(uv_error(status, doing_)));
    next_ = addresses_;
    try_next(UV_EAI_NONAME);
  }

  // `last` is why the address before failed.
  void try_next(int last) {
    while (next_) {
      const addrinfo* address = std::exchange(next_, next_->ai_next);
      last = start_connecting(*address->ai_addr);
      if (last == 0) return;
    }
    finish(std::unexpected(connect_error(last)));
  }

  void try_address(const sockaddr& address) {
    if (const int status = start_connecting(address); status != 0) fail_later(connect_error(status));
  }

  int start_connecting(const sockaddr& address) {
    socket_ = new Socket(core_);
    connect_.data = this;
    const int status = uv_tcp_connect(&connect_, socket_->tcp(), &address, [](uv_connect_t* r, int status) {
      static_cast<Dial*>(r->data)->have_connected(status);
    });
    connecting_ = status == 0;
    if (status != 0) drop_socket();
    return status;
  }

  void have_connected(int status) {
    connecting_ = false;
    if (!waited_for()) {
      drop_socket();
      return maybe_delete();
    }
    if (status != 0) {
      drop_socket();
      return try_next(status);
    }
    set_connection_options(*socket_->tcp());
    finish(std::exchange(socket_, nullptr)->make_connection());
  }

  Error connect_error(int status) const {
    Error why = uv_error(status, doing_);
    // The address is fine, we have no way to it.
    if (status == UV_EADDRNOTAVAIL || status == UV_EACCES || status == UV_EPERM) {
      why.code = ErrorCode::kUnavailable;
    }
    return why;
  }

  void on_timer() override {
    drop_socket();
    finish(std::unexpected(fail_with_ ? *std::move(fail_with_)
                                      : Error{ErrorCode::kTimedOut, doing_ + ": no answer in time"}));
  }

  void fail_later(Error why) {
    if (fail_with_ || result_) return;
    fail_with_ = std::move(why);
    core_.arm(*this, core_.now());
  }

  // The last thing done here: the waiter may abandon this before it returns.
  void finish(Result<std::unique_ptr<Connection>> result) {
    core_.disarm(*this);
    result_.emplace(std::move(result));
    std::exchange(waiter_, {}).resume();
  }

  void drop_socket() {
    if (socket_) std::exchange(socket_, nullptr)->release();
  }

  UvCore& core_;
  const Endpoint to_;
  const Instant deadline_;
  const std::string doing_;
  std::coroutine_handle<> waiter_;
  std::optional<Result<std::unique_ptr<Connection>>> result_;
  std::optional<Error> fail_with_;
  uv_getaddrinfo_t resolve_;
  uv_connect_t connect_;
  Address single_{};
  addrinfo* addresses_ = nullptr;
  const addrinfo* next_ = nullptr;
  Socket* socket_ = nullptr;
  bool resolving_ = false, connecting_ = false, abandoned_ = false;
};

class DialAwaiter {
 public:
  DialAwaiter(UvCore& core, Endpoint to, Instant deadline, StopToken stop)
      : dial_(new Dial(core, std::move(to), deadline)), stop_(std::move(stop)) {}
  DialAwaiter(const DialAwaiter&) = delete;
  ~DialAwaiter() { dial_->abandon(); }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    dial_->begin(waiter);
    on_stop_.emplace(stop_, [this] { dial_->stop(); });
  }
  Result<std::unique_ptr<Connection>> await_resume() {
    on_stop_.reset();
    return dial_->take_result();
  }

 private:
  Dial* dial_;
  StopToken stop_;
  std::optional<StopCallback> on_stop_;
};

}  // namespace

Result<std::unique_ptr<Listener>> UvNetwork::listen(const Endpoint& at, ListenOptions options,
                                                    AcceptHandler& handler) {
  const std::string doing = "listening on " + at.to_string();
  // A name would have to be resolved, which blocks; this one always means the same (RFC 6761, 6.3).
  const auto address = parse_address(at.host == "localhost" ? "127.0.0.1" : at.host, at.port);
  if (!address) {
    return error(
        ErrorCode::kInvalidArgument,
        doing + ": not an address of this machine; give one in numbers, as 0.0.0.0, 127.0.0.1, [::]");
  }
  auto* socket = new ListeningSocket(core_, handler);
  auto local = socket->open(*address, options, doing);
  if (!local) {
    socket->close();
    return std::unexpected(std::move(local).error());
  }
  return std::make_unique<UvListener>(*socket, *std::move(local));
}

Task<Result<std::unique_ptr<Connection>>> UvNetwork::connect(Endpoint to, Duration timeout, StopToken stop) {
  if (stop.stop_requested()) {
    co_return error(ErrorCode::kCancelled, "connecting to " + to.to_string() + ": stopped");
  }
  if (timeout <= Duration(0)) {
    co_return error(ErrorCode::kTimedOut, "connecting to " + to.to_string() + ": no time is left for it");
  }
  const Instant now = core_.now();
  const Instant deadline = timeout < kNever - now ? now + timeout : kNever;
  co_return co_await DialAwaiter(core_, std::move(to), deadline, std::move(stop));
}

}  // namespace stele::runtime::uv
