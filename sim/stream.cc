#include "sim/stream.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::sim {
namespace {

// Linux asks a silent peer after an idle minute, then every 75 seconds, nine times.
constexpr Duration kKeepAliveIdle = std::chrono::seconds(60);
constexpr Duration kKeepAliveInterval = std::chrono::seconds(75);
constexpr int kKeepAliveProbes = 9;
constexpr std::size_t kLargestRead = 64 * 1024;

// What the owner holds.
class SocketConnection final : public runtime::Connection {
 public:
  SocketConnection(std::shared_ptr<Stream> stream, Socket& socket)
      : stream_(std::move(stream)), socket_(socket) {}
  ~SocketConnection() override { socket_.release(); }
  void start(runtime::ConnectionHandler& handler) override { socket_.start(handler); }
  void write(std::string_view copied) override { socket_.write(copied); }
  void write(Bytes slice) override { socket_.write(std::move(slice)); }
  std::size_t queued_bytes() const override { return socket_.queued_bytes(); }
  void set_low_water(std::size_t bytes) override { socket_.set_low_water(bytes); }
  void pause_reading() override { socket_.pause_reading(); }
  void resume_reading() override { socket_.resume_reading(); }
  void close(Duration grace) override { socket_.close(grace); }
  runtime::Endpoint local() const override { return socket_.local(); }
  runtime::Endpoint remote() const override { return socket_.remote(); }

 private:
  std::shared_ptr<Stream> stream_;
  Socket& socket_;
};

Subject subject_of(const Host& host, const Stream& stream) {
  return Subject{host.id().value, static_cast<std::uint32_t>(stream.number())};
}

Error closed_here() {
  return Error{ErrorCode::kCancelled, "closed here"};
}

}  // namespace

Stream::Stream(Fabric& fabric, std::uint64_t number, Core& client, Host& server, runtime::Endpoint client_at,
               runtime::Endpoint server_at)
    : fabric_(fabric),
      number_(number),
      client_(*this, client.host(), &client, client_at, server_at),
      server_(*this, server, nullptr, server_at, client_at) {}

Socket::Socket(Stream& stream, Host& host, Core* core, runtime::Endpoint local, runtime::Endpoint remote)
    : stream_(stream),
      host_(host),
      core_(core),
      local_(std::move(local)),
      remote_(std::move(remote)),
      ready_(*this),
      drained_(*this),
      arrival_(EventKind::kSegment, subject_of(host, stream), *this),
      window_(EventKind::kWindow, subject_of(host, stream), *this),
      give_up_(EventKind::kTimeout, subject_of(host, stream), *this),
      reset_(EventKind::kSegment, subject_of(host, stream), *this),
      grace_(EventKind::kClose, subject_of(host, stream), *this),
      keep_alive_(EventKind::kTimeout, subject_of(host, stream), *this) {}

Socket& Socket::peer() const {
  return stream_.other(*this);
}

std::unique_ptr<runtime::Connection> Socket::make_connection() {
  obtained_in_turn_ = core_->turn();
  return std::make_unique<SocketConnection>(stream_.shared_from_this(), *this);
}

bool Socket::usable() const {
  return !ended_ && !closing_ && !released_ && core_ && core_->alive();
}

void Socket::start(runtime::ConnectionHandler& handler) {
  if (!core_->alive()) return;
  STELE_ASSERT(!handler_);
  STELE_ASSERT(core_->in_turn() && core_->turn() == obtained_in_turn_);
  handler_ = &handler;
  if (received_bytes_ > 0 || peer_ended_ || end_with_) core_->make_ready(ready_);
}

// --- Outgoing

void Socket::write(std::string_view copied) {
  if (!usable() || gone_ || copied.empty()) return;
  copied_.append(copied);
  queued_ += copied.size();
  after_write();
}

void Socket::write(Bytes slice) {
  if (!usable() || gone_ || slice.empty()) return;
  if (!copied_.empty()) queue_.push_back(Bytes::copy(std::exchange(copied_, {})));
  queued_ += slice.size();
  queue_.push_back(std::move(slice));
  after_write();
}

void Socket::after_write() {
  if (queued_ > low_water_) above_low_water_ = true;
  core_->at_turn_end(*this);
}

void Socket::on_turn_end() {
  flush();
}

// Hands the kernel what the window lets through.
void Socket::flush() {
  if (gone_) return;
  World& world = stream_.world();
  runtime::Random& random = world.random(Concern::kNetwork);
  Fabric& fabric = stream_.fabric();
  const std::size_t window = fabric.window_bytes(host_, peer().host_);
  while (queued_ > 0 && in_window_ < window) {
    std::size_t bytes = std::min(queued_, window - in_window_);
    if (random.chance(1, 8)) bytes = 1 + random.below(bytes);
    in_window_ += bytes;
    send(Bytes::copy(take(bytes)), false);
  }
  if (queued_ > 0 && fabric.tiny_window(host_, peer().host_)) ++fabric.count().throttled;
  if (closing_ && queued_ == 0) send_end();
  note_drained();
}

std::string Socket::take(std::size_t bytes) {
  if (!copied_.empty()) queue_.push_back(Bytes::copy(std::exchange(copied_, {})));
  STELE_ASSERT(bytes <= queued_);
  queued_ -= bytes;
  std::string taken;
  taken.reserve(bytes);
  while (taken.size() < bytes) {
    Bytes& front = queue_.front();
    const std::size_t part = std::min(front.size(), bytes - taken.size());
    taken.append(front.view().substr(0, part));
    if (part == front.size()) {
      queue_.pop_front();
    } else {
      front = front.slice(part);
    }
  }
  return taken;
}

void Socket::send(Bytes bytes, bool end) {
  Fabric& fabric = stream_.fabric();
  World& world = stream_.world();
  const std::uint64_t rate = fabric.bytes_per_second(host_, peer().host_);
  const auto sending = Duration(static_cast<std::int64_t>(bytes.size() * 1'000'000'000ULL / rate));
  sending_until_ = std::max(sending_until_, world.now()) + sending;
  last_arrival_ = std::max(last_arrival_, sending_until_ + fabric.latency(host_, peer().host_));
  if (end) last_arrival_ += fabric.closing_takes(host_, peer().host_);
  flight_.push_back(Segment{last_arrival_, fabric.carried(host_, peer().host_, std::move(bytes)), end});
  if (!held_ && !arrival_.scheduled()) world.schedule(arrival_, flight_.front().at);
}

void Socket::send_end() {
  if (std::exchange(end_sent_, true)) return;
  send(Bytes(), true);
  if (peer_ended_ && core_ && core_->alive()) core_->make_ready(ready_);
}

void Socket::arrive() {
  const auto keep = stream_.shared_from_this();
  World& world = stream_.world();
  if (flight_.empty()) return;
  if (!stream_.carries(host_, peer().host_)) {
    held_ = true;
    if (stream_.stalled()) {
      ++stream_.fabric().count().stalled;
    } else if (peer().host_.powered()) {
      stream_.fabric().count_held(host_, peer().host_);
    }
    if (!give_up_.scheduled()) world.schedule_after(give_up_, world.config().network.give_up);
    return;
  }
  give_up_.cancel();
  Segment segment = std::move(flight_.front());
  flight_.pop_front();
  if (!flight_.empty()) world.schedule(arrival_, flight_.front().at);
  peer().receive(std::move(segment));
  stream_.fabric().tidy(stream_);
}

void Socket::window_opens() {
  const auto keep = stream_.shared_from_this();
  if (!stream_.carries(peer().host_, host_)) return;  // said again when the path has healed
  STELE_ASSERT(in_window_ >= to_be_freed_);
  in_window_ -= std::exchange(to_be_freed_, 0);
  flush();
}

void Socket::note_drained() {
  if (!above_low_water_ || queued_ > low_water_) return;
  above_low_water_ = false;
  if (usable() && handler_) core_->make_ready(drained_);
}

void Socket::deliver_drained() {
  const auto keep = stream_.shared_from_this();
  if (usable() && handler_) handler_->on_drained();
}

// --- Incoming

void Socket::receive(Segment segment) {
  if (gone_) return peer().reset_soon(false);
  if (segment.end) {
    peer_ended_ = true;
  } else if (released_ || ended_) {
    STELE_MARK("sim: bytes for a closed socket are answered with a reset");
    return abort();
  } else if (closing_) {
    consumed(segment.bytes.size());
  } else {
    stream_.world().count().bytes += segment.bytes.size();
    received_bytes_ += segment.bytes.size();
    received_.push_back(std::move(segment.bytes));
  }
  if (!released_ && !ended_ && core_) core_->make_ready(ready_);
}

// The sender's window has room again; it hears of it in time when it waits for that.
void Socket::consumed(std::size_t bytes) {
  Socket& sender = peer();
  if (sender.gone_ || bytes == 0) return;
  if (sender.queued_ == 0 && sender.to_be_freed_ == 0) {
    STELE_ASSERT(sender.in_window_ >= bytes);
    sender.in_window_ -= bytes;
    return;
  }
  sender.to_be_freed_ += bytes;
  if (sender.window_.scheduled()) return;
  stream_.world().schedule_after(sender.window_, stream_.fabric().latency(host_, sender.host_));
}

// What the core's turn hands to the process: bytes first, then the end.
void Socket::deliver() {
  const auto keep = stream_.shared_from_this();
  if (ended_ || released_ || !handler_) return;
  if (received_bytes_ > 0 && !paused_ && !closing_) {
    deliver_data();
    if (ended_ || released_ || !core_->alive()) return;
  }
  if (received_bytes_ > 0 && !closing_ && !(paused_ && end_with_)) {
    if (!paused_) core_->make_ready(ready_);
    return;
  }
  if (end_with_) {
    end(closing_ ? closed_here() : Error(*end_with_));
  } else if (closing_) {
    if (peer_ended_ && end_sent_) end(closed_here());
  } else if (peer_ended_ && !paused_) {
    flush();  // what was answered to the peer's last words
    end(Error{ErrorCode::kClosed, remote_.to_string() + " closed the connection"});
  }
}

void Socket::deliver_data() {
  const NetworkConfig& config = stream_.world().config().network;
  runtime::Random& random = stream_.world().random(Concern::kNetwork);
  // Small pieces for small frames; a large backlog goes in pieces of its own scale.
  const std::size_t most = std::max(config.read_bytes, received_bytes_ / 32);
  std::size_t bytes = std::min({received_bytes_, most, kLargestRead});
  if (random.chance(config.partial_reads_of_8, 8)) bytes = 1 + random.below(bytes);
  const std::span<char> own = handler_->read_buffer();
  Core::Slab& slab = core_->slab();
  if (!own.empty()) {
    bytes = std::min(bytes, own.size());
  } else if (slab.buffer.capacity() < slab.used + bytes) {
    slab = {Buffer(kLargestRead), 0};
  }
  char* const to = own.empty() ? slab.buffer.data() + slab.used : own.data();
  for (std::size_t done = 0; done < bytes;) {
    Bytes& front = received_.front();
    const std::size_t part = std::min(front.size(), bytes - done);
    std::memcpy(to + done, front.data(), part);
    done += part;
    if (part == front.size()) {
      received_.pop_front();
    } else {
      front = front.slice(part);
    }
  }
  received_bytes_ -= bytes;
  consumed(bytes);
  if (!own.empty()) return handler_->on_data(Bytes::literal({own.data(), bytes}));
  handler_->on_data(slab.buffer.slice(slab.used, bytes));
  if (slab.buffer.unique()) {
    std::memset(to, 0xdb, bytes);  // who kept a view but no slice shall see it
    slab.used = 0;
  } else {
    slab.used += bytes;
  }
}

void Socket::pause_reading() {
  if (usable()) paused_ = true;
}

void Socket::resume_reading() {
  if (!usable()) return;
  paused_ = false;
  if (handler_) core_->make_ready(ready_);
}

// --- Ends

void Socket::close(Duration grace) {
  if (!usable()) return;
  closing_ = true;
  received_.clear();
  consumed(std::exchange(received_bytes_, 0));
  stream_.world().schedule_after(grace_, std::max(grace, Duration(0)));
  core_->at_turn_end(*this);
  core_->make_ready(ready_);
}

void Socket::grace_over() {
  const auto keep = stream_.shared_from_this();
  if (ended_ || released_) return;
  abort();
  end_with_ = closed_here();
  core_->make_ready(ready_);
}

void Socket::end(const Error& why) {
  STELE_ASSERT(!ended_);
  ended_ = true;
  grace_.cancel();
  TurnEndHook::unlink();
  ready_.unlink();
  drained_.unlink();
  std::exchange(handler_, nullptr)->on_closed(why);
  kernel_close();
  stream_.fabric().tidy(stream_);
}

void Socket::release() {
  if (std::exchange(released_, true)) return;
  handler_ = nullptr;
  grace_.cancel();
  TurnEndHook::unlink();
  ready_.unlink();
  drained_.unlink();
  if (!ended_ && core_->alive()) kernel_close();
  stream_.fabric().tidy(stream_);
}

// The process has no use for it any more. Unread bytes make it a reset, as on Linux.
void Socket::kernel_close() {
  queue_.clear();
  copied_.clear();
  queued_ = 0;
  if (gone_) return;
  if (received_bytes_ > 0) {
    received_.clear();
    received_bytes_ = 0;
    abort();
  } else {
    send_end();
  }
}

void Socket::drop_flight() {
  flight_.clear();
  arrival_.cancel();
  give_up_.cancel();
  held_ = false;
}

// Forgets the connection and tells the peer.
void Socket::abort() {
  if (gone_) return;
  gone_ = true;
  queue_.clear();
  copied_.clear();
  queued_ = 0;
  drop_flight();
  window_.cancel();
  peer().reset_soon(false);
}

void Socket::close_by_kernel() {
  if (ended_ || released_) return;
  ended_ = true;
  handler_ = nullptr;
  grace_.cancel();
  TurnEndHook::unlink();
  ready_.unlink();
  drained_.unlink();
  kernel_close();
}

void Socket::vanish(bool keep_what_is_under_way) {
  gone_ = ended_ = true;
  handler_ = nullptr;
  queue_.clear();
  copied_.clear();
  queued_ = 0;
  received_.clear();
  received_bytes_ = 0;
  TurnEndHook::unlink();
  ready_.unlink();
  drained_.unlink();
  for (Event* event : {static_cast<Event*>(&window_), static_cast<Event*>(&reset_),
                       static_cast<Event*>(&grace_), static_cast<Event*>(&keep_alive_)}) {
    event->cancel();
  }
  if (!keep_what_is_under_way) drop_flight();
}

void Socket::reset_soon(bool even_if_split) {
  if (gone_ || reset_.scheduled()) return;
  reset_even_if_split_ = even_if_split;
  Fabric& fabric = stream_.fabric();
  const Duration takes = fabric.latency(peer().host_, host_) + fabric.closing_takes(peer().host_, host_);
  stream_.world().schedule_after(reset_, takes);
}

void Socket::reset_arrives() {
  if (!reset_even_if_split_ && !stream_.carries(peer().host_, host_)) {
    STELE_MARK("sim: a reset is lost, its connection stays half open");
    return look_for_the_peer();
  }
  end_with(Error{ErrorCode::kClosed, remote_.to_string() + " reset the connection"});
}

void Socket::end_with(Error why) {
  const auto keep = stream_.shared_from_this();
  if (gone_) return;
  gone_ = true;
  drop_flight();
  window_.cancel();
  queue_.clear();
  copied_.clear();
  queued_ = 0;
  if (!released_ && !ended_) {
    end_with_ = std::move(why);
    if (stream_.world().random(Concern::kNetwork).chance(1, 2)) {
      received_.clear();
      received_bytes_ = 0;
    }
    if (core_) core_->make_ready(ready_);
  }
  stream_.fabric().tidy(stream_);
}

void Socket::give_up() {
  STELE_MARK("sim: TCP gives up on a silent peer");
  peer().look_for_the_peer();
  end_with(Error{ErrorCode::kTimedOut, remote_.to_string() + " does not answer"});
}

// The peer may have vanished without a word.
void Socket::look_for_the_peer() {
  if (!in_use() || keep_alive_.scheduled()) return;
  stream_.world().schedule_after(keep_alive_, kKeepAliveIdle);
}

void Socket::keep_alive() {
  if (!in_use() || !peer().gone_) return;
  if (stream_.carries(host_, peer().host_) && stream_.carries(peer().host_, host_)) {
    return end_with(Error{ErrorCode::kClosed, remote_.to_string() + " knows nothing of the connection"});
  }
  if (++probes_ >= kKeepAliveProbes) return give_up();
  stream_.world().schedule_after(keep_alive_, kKeepAliveInterval);
}

// What was held is sent again, a retransmission timeout later.
void Socket::path_changed() {
  World& world = stream_.world();
  Fabric& fabric = stream_.fabric();
  if (held_ && stream_.carries(host_, peer().host_)) {
    held_ = false;
    give_up_.cancel();
    const auto wait = Duration(world.random(Concern::kNetwork).between(1'000'000, 1'000'000'000));
    if (!flight_.empty()) world.schedule_after(arrival_, wait);
  }
  if (to_be_freed_ > 0 && !gone_ && !window_.scheduled() && stream_.carries(peer().host_, host_)) {
    world.schedule_after(window_, fabric.latency(peer().host_, host_));
  }
}

// --- Listening

ListenerOfCore::~ListenerOfCore() {
  if (stopped_) return;
  stop(false);
  core_.host().world().fabric().remove(*this);
}

void ListenerOfCore::enqueue(std::shared_ptr<Stream> stream) {
  stream->server().assign(core_);
  queue_.push_back(std::move(stream));
  core_.make_ready(ready_);
}

void ListenerOfCore::stop(bool silently) {
  stopped_ = true;
  ready_.unlink();
  auto waiting = std::exchange(queue_, {});
  if (silently) return;
  for (auto& stream : waiting) stream->server().release();
}

void ListenerOfCore::deliver() {
  const std::shared_ptr<Stream> stream = std::move(queue_.front());
  queue_.pop_front();
  if (!queue_.empty()) core_.make_ready(ready_);
  handler_.on_accept(stream->server().make_connection());  // may destroy this listener
}

}  // namespace stele::sim
