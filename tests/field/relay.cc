#include "tests/field/relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "runtime/random.h"

namespace stele::field {

namespace {

using Clock = std::chrono::steady_clock;
using Instant = Clock::time_point;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// What waits in one direction of a connection before the sender is held up.
constexpr std::size_t kMostWaiting = 256 << 10;
// The longest that slowness makes of one chunk's way.
constexpr milliseconds kSlowest{2000};

// A socket. Closed with it.
class Socket {
 public:
  explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }
  bool open() const { return descriptor_ >= 0; }
  // The peer is told with a reset, and what is under way is dropped.
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    ::close(std::exchange(descriptor_, -1));
  }

 private:
  int descriptor_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Socket new_socket() {
  return Socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// Port 0: any. Not open: it cannot be.
Socket listen_at(std::uint16_t port) {
  Socket socket = new_socket();
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const sockaddr_in at = loopback(port);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0 ||
      ::listen(socket.get(), 512) != 0)
    return Socket();
  return socket;
}

void send_small_packets(const Socket& socket) {
  const int yes = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

// One direction of a connection.
struct Way {
  struct Chunk {
    std::string bytes;
    Instant due;
    bool counted_as_held = false;
  };
  std::deque<Chunk> chunks;
  std::size_t waiting = 0;  // bytes
  bool ended = false;       // the sender has
  bool broken = false;      // likewise, with a reset or an error
  bool passed_end = false;  // and the receiver was told
};

struct Link {
  Socket client, node;
  std::array<Way, 2> ways;              // by Direction
  std::optional<Instant> silent_until;  // the node's side is gone
  Way& way(Direction direction) { return ways[static_cast<std::size_t>(direction)]; }
  Socket& from(Direction direction) { return direction == Direction::kToNode ? client : node; }
  Socket& to(Direction direction) { return direction == Direction::kToNode ? node : client; }
  bool gone() const { return !client.open(); }
};

constexpr std::array kDirections = {Direction::kToNode, Direction::kToClients};

}  // namespace

class Relay::Inside {
 public:
  explicit Inside(RelayOptions options) : options_(options), random_(options.seed) {}
  ~Inside() {
    if (!thread_.joinable()) return;
    change([this] { stopping_ = true; });
    thread_.join();
  }

  Result<void> start() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return failed("pipe");
    wake_read_ = Socket(ends[0]);
    wake_write_ = Socket(ends[1]);
    for (std::size_t i = 0; i < options_.services; ++i) {
      Service& service = services_.emplace_back();
      service.listener = listen_at(0);
      sockaddr_in at{};
      socklen_t size = sizeof(at);
      if (::getsockname(service.listener.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0)
        return failed("listen");
      service.port = ntohs(at.sin_port);
    }
    thread_ = std::thread([this] { run(); });
    return {};
  }

  std::uint16_t port(std::size_t service) const { return services_[service].port; }

  // Does something to the state, and lets the thread look at it.
  template <class Function>
  void change(Function function) {
    {
      const std::scoped_lock lock(mutex_);
      function();
    }
    const char byte = 0;
    (void)!::write(wake_write_.get(), &byte, 1);
  }

  // ---- under the lock

  struct Service {
    Socket listener;
    std::uint16_t port = 0;
    std::optional<std::uint16_t> target;
  };

  void cut(bool all) {
    if (all) {
      for (Link& link : links_) reset(link);
    } else if (!links_.empty()) {
      reset(*std::next(links_.begin(), static_cast<std::ptrdiff_t>(random_.below(links_.size()))));
    }
  }

  void refuse(bool yes) {
    refusals_ += yes ? 1 : -1;
    listen_or_not();
  }

  void fall_silent(milliseconds how_long) {
    for (Link& link : links_) {
      link.node.reset();
      link.silent_until = Clock::now() + how_long;
    }
  }

  void heal() {
    held_ = {};
    slowness_ = 1;
    refusals_ = 0;
    for (Link& link : links_) {
      if (link.silent_until) reset(link);
    }
    listen_or_not();
  }

  std::mutex mutex_;
  std::vector<Service> services_;
  std::array<int, 2> held_{};
  std::uint64_t slowness_ = 1;
  RelayCounts counts_;

 private:
  static std::unexpected<Error> failed(const char* what) {
    return error(ErrorCode::kUnavailable, std::string("the relay: ") + what + ": " + std::strerror(errno));
  }

  void listen_or_not() {
    for (Service& service : services_) {
      if (refusals_ > 0) {
        service.listener = Socket();
      } else if (!service.listener.open()) {
        service.listener = listen_at(service.port);  // not open: tried again by and by
      }
    }
  }

  void reset(Link& link) {
    if (link.gone()) return;
    ++counts_.resets;
    link.client.reset();
    if (link.node.open()) link.node.reset();
  }

  void accept_all(Service& service) {
    while (true) {
      Socket client(::accept4(service.listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!client.open()) return;
      Socket node = new_socket();
      const sockaddr_in to = loopback(service.target.value_or(0));
      if (!service.target ||
          (::connect(node.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 &&
           errno != EINPROGRESS)) {
        ++counts_.refused;
        client.reset();
        continue;
      }
      send_small_packets(client);
      send_small_packets(node);
      ++counts_.connections;
      Link& link = links_.emplace_back();
      link.client = std::move(client);
      link.node = std::move(node);
    }
  }

  bool is_held(Direction direction) const { return held_[static_cast<std::size_t>(direction)] > 0; }

  Instant due_after(const Way& way, Instant now) {
    const auto usual = options_.latency_max.count();
    auto takes = microseconds(usual == 0 ? 0 : random_.between(0, usual));
    // The rare slow one turns the order of things around.
    if (random_.chance(1, 128)) takes *= random_.between(1, 10);
    if (slowness_ > 1) {
      takes = std::max(takes, microseconds(random_.between(1, 100))) * static_cast<std::int64_t>(slowness_);
      takes = std::min<microseconds>(takes, kSlowest);
    }
    const Instant due = now + takes;
    return way.chunks.empty() ? due : std::max(due, way.chunks.back().due);
  }

  void read_some(Link& link, Direction direction, Instant now) {
    Way& way = link.way(direction);
    std::string bytes(options_.chunk_bytes, 0);
    while (!way.ended && way.waiting < kMostWaiting) {
      const ssize_t got = ::recv(link.from(direction).get(), bytes.data(), bytes.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) return;
      if (got <= 0) {
        way.ended = true;
        way.broken = got < 0;
        return;
      }
      const auto size = static_cast<std::size_t>(got);
      way.chunks.push_back({bytes.substr(0, size), due_after(way, now)});
      way.waiting += size;
    }
  }

  // False: the connection is over.
  bool pass_on(Link& link, Direction direction, Instant now) {
    Way& way = link.way(direction);
    while (!way.chunks.empty() && way.chunks.front().due <= now) {
      Way::Chunk& chunk = way.chunks.front();
      if (is_held(direction)) {
        counts_.held += !std::exchange(chunk.counted_as_held, true);
        return true;
      }
      const ssize_t put =
          ::send(link.to(direction).get(), chunk.bytes.data(), chunk.bytes.size(), MSG_NOSIGNAL);
      if (put < 0) return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
      const auto size = static_cast<std::size_t>(put);
      counts_.bytes += size;
      way.waiting -= size;
      if (size < chunk.bytes.size()) {
        chunk.bytes.erase(0, size);
        return true;
      }
      way.chunks.pop_front();
    }
    if (way.ended && way.chunks.empty() && !way.passed_end && !is_held(direction)) {
      way.passed_end = true;
      ::shutdown(link.to(direction).get(), SHUT_WR);
    }
    return true;
  }

  void serve(Link& link, Instant now) {
    if (link.silent_until) {
      if (*link.silent_until <= now) reset(link);
      return;
    }
    for (const Direction direction : kDirections) {
      read_some(link, direction, now);
      // Where bytes are held, so is a reset.
      if (link.way(direction).broken) {
        if (!is_held(direction)) return reset(link);
      } else if (!pass_on(link, direction, now)) {
        return reset(link);
      }
    }
    if (link.ways[0].passed_end && link.ways[1].passed_end) {
      link.client = Socket();
      link.node = Socket();
    }
  }

  // When something of it is due that no socket will tell of.
  Instant next_of(Link& link) {
    Instant next = link.silent_until.value_or(Instant::max());
    for (const Direction direction : kDirections) {
      const Way& way = link.way(direction);
      if (!way.chunks.empty() && !way.broken && !is_held(direction))
        next = std::min(next, way.chunks.front().due);
    }
    return next;
  }

  void poll_link(std::vector<pollfd>& all, Link& link, Instant now) {
    if (link.silent_until) return;
    for (const Direction direction : kDirections) {
      const Way& way = link.way(direction);
      if (!way.ended && way.waiting < kMostWaiting) all.push_back({link.from(direction).get(), POLLIN, 0});
      if (!way.broken && !way.chunks.empty() && way.chunks.front().due <= now && !is_held(direction))
        all.push_back({link.to(direction).get(), POLLOUT, 0});
    }
  }

  void run() {
    while (true) {
      std::vector<pollfd> all{{wake_read_.get(), POLLIN, 0}};
      Instant next = Clock::now() + milliseconds(100);
      {
        const std::scoped_lock lock(mutex_);
        if (stopping_) return;
        const Instant now = Clock::now();
        for (Service& service : services_) {
          if (service.listener.open()) accept_all(service);
        }
        for (Link& link : links_) {
          if (!link.gone()) serve(link, now);
        }
        std::erase_if(links_, [](const Link& link) { return link.gone(); });
        listen_or_not();
        for (const Service& service : services_) {
          if (service.listener.open()) all.push_back({service.listener.get(), POLLIN, 0});
        }
        for (Link& link : links_) {
          poll_link(all, link, now);
          next = std::min(next, std::max(next_of(link), now + microseconds(200)));
        }
      }
      wait(all, next);
    }
  }

  void wait(std::vector<pollfd>& all, Instant until) {
    const auto left = std::max<std::chrono::nanoseconds>(until - Clock::now(), std::chrono::nanoseconds(0));
    const timespec time{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
    ::ppoll(all.data(), all.size(), &time, nullptr);
    std::array<char, 64> bytes{};
    while (::read(wake_read_.get(), bytes.data(), bytes.size()) > 0) {
    }
  }

  const RelayOptions options_;
  runtime::Random random_;
  Socket wake_read_, wake_write_;
  std::list<Link> links_;
  int refusals_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

Result<std::unique_ptr<Relay>> Relay::start(RelayOptions options) {
  auto inside = std::make_unique<Inside>(options);
  STELE_CHECK(inside->start());
  return std::unique_ptr<Relay>(new Relay(std::move(inside)));
}

Relay::Relay(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Relay::~Relay() = default;

std::uint16_t Relay::port(std::size_t service) const {
  return inside_->port(service);
}

void Relay::set_target(std::size_t service, std::optional<std::uint16_t> port) {
  inside_->change([&] { inside_->services_[service].target = port; });
}

void Relay::cut(bool all) {
  inside_->change([&] { inside_->cut(all); });
}

void Relay::hold(Direction direction) {
  inside_->change([&] { ++inside_->held_[static_cast<std::size_t>(direction)]; });
}

void Relay::release(Direction direction) {
  inside_->change([&] {
    int& held = inside_->held_[static_cast<std::size_t>(direction)];
    held = std::max(held - 1, 0);
  });
}

void Relay::set_slowness(std::uint64_t times) {
  inside_->change([&] { inside_->slowness_ = std::max<std::uint64_t>(times, 1); });
}

void Relay::refuse(bool yes) {
  inside_->change([&] { inside_->refuse(yes); });
}

void Relay::fall_silent(std::chrono::milliseconds how_long) {
  inside_->change([&] { inside_->fall_silent(how_long); });
}

void Relay::heal() {
  inside_->change([&] { inside_->heal(); });
}

RelayCounts Relay::counts() const {
  const std::scoped_lock lock(inside_->mutex_);
  return inside_->counts_;
}

}  // namespace stele::field
