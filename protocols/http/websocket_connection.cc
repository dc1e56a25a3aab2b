#include "protocols/http/websocket_connection.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/base64.h"
#include "base/marks.h"
#include "runtime/one_shot.h"

namespace stele::http {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kSlabBytes = 64 << 10;
// So much is gathered before it goes into a frame.
constexpr std::size_t kGathered = 16 << 10;
// Most turns have no more for one connection.
constexpr std::size_t kExpected = 500;
// A larger slice is not gathered, but handed on as it is.
constexpr std::size_t kCopied = 2 << 10;
// For the peer's own goodbye.
constexpr runtime::Duration kCloseGrace = 1s;

// Where payload goes that the handler has no buffer for. Filled again while nobody keeps a slice of it.
Buffer& slab() {
  thread_local Buffer buffer;
  if (!buffer.unique()) buffer = Buffer(kSlabBytes);
  return buffer;
}

}  // namespace

WebSocketConnection::WebSocketConnection(runtime::Runtime& runtime, std::unique_ptr<LiveConnection> socket,
                                         Side side, std::string_view behind)
    : runtime_(runtime),
      socket_(std::move(socket)),
      side_(side),
      reader_(side == Side::kServer ? WebSocketReader::From::kClient : WebSocketReader::From::kServer),
      input_(behind.empty() ? Bytes() : Bytes::copy(behind)),
      kept_(!behind.empty()) {
  socket_->hand_to(*this);
}

WebSocketConnection::~WebSocketConnection() {
  if (gone_) *gone_ = true;
}

void WebSocketConnection::start(runtime::ConnectionHandler& handler) {
  STELE_ASSERT(!handler_);
  handler_ = &handler;
  runtime_.at_turn_end(*this);  // there may be something already
}

// ---- input ----------------------------------------------------------------------------------------------

void WebSocketConnection::on_data(Bytes data) {
  if (closing_ || over_) return;
  if (input_.empty()) {
    input_ = std::move(data);
    kept_ = false;
  } else {
    Buffer joined(input_.size() + data.size());
    std::memcpy(joined.data(), input_.data(), input_.size());
    std::memcpy(joined.data() + input_.size(), data.data(), data.size());
    const std::size_t size = joined.capacity();
    input_ = std::move(joined).freeze(size);
    kept_ = true;
  }
  if (!handler_) return keep_input();
  unwrap();  // may destroy this
}

void WebSocketConnection::keep_input() {
  if (!input_.empty() && !kept_) input_ = Bytes::copy(input_);
  kept_ = !input_.empty();
}

// Hands on what there is, as far as the handler wants it. May destroy this.
void WebSocketConnection::unwrap() {
  bool gone = false;
  bool* const outer = std::exchange(gone_, &gone);
  while (!paused_ && !closing_ && !over_ && !input_.empty()) {
    std::span<char> place = handler_->read_buffer();
    const bool own = !place.empty();
    if (!own) place = {slab().data(), kSlabBytes};
    const WebSocketReader::Step step = reader_.feed(input_, place);
    // An empty slice would still keep the slab.
    input_ = step.taken == input_.size() ? Bytes() : input_.slice(step.taken);
    if (step.payload > 0) {
      handler_->on_data(own ? Bytes::literal({place.data(), step.payload}) : slab().slice(0, step.payload));
      if (gone) break;
    }
    if (step.event != WebSocketReader::Event::kNone) take_event(step);
  }
  if (gone) {
    if (outer) *outer = true;
    return;
  }
  gone_ = outer;
  if (closing_ || over_) input_ = {};
  keep_input();
}

void WebSocketConnection::take_event(const WebSocketReader::Step& step) {
  if (closing_) return;
  switch (step.event) {
    case WebSocketReader::Event::kPing:
      ping_ = reader_.control();
      return runtime_.at_turn_end(*this);
    case WebSocketReader::Event::kClose:
      return end(step.code, Error{ErrorCode::kClosed, "the peer closed the WebSocket"});
    case WebSocketReader::Event::kError:
      STELE_MARK("http: what is no WebSocket ends it");
      return end(step.code, Error{ErrorCode::kMalformed, step.code == WebSocketClose::kUnacceptable
                                                             ? "a WebSocket frame that is not binary"
                                                             : "not a WebSocket frame"});
    case WebSocketReader::Event::kNone:
      break;
  }
}

void WebSocketConnection::pause_reading() {
  paused_ = true;
  if (!ended_) (*socket_)->pause_reading();
}

void WebSocketConnection::resume_reading() {
  if (!std::exchange(paused_, false)) return;
  if (!ended_) (*socket_)->resume_reading();
  if (!input_.empty()) runtime_.at_turn_end(*this);
}

// ---- output ---------------------------------------------------------------------------------------------

void WebSocketConnection::write(std::string_view copied) {
  if (silent() || copied.empty()) return;
  if (pending_.empty()) pending_.reserve(std::max(copied.size(), kExpected));
  pending_.append(copied);
  if (pending_.size() >= kGathered) return flush();
  runtime_.at_turn_end(*this);
}

void WebSocketConnection::write(Bytes slice) {
  if (slice.size() < kCopied) return write(slice.view());
  if (silent()) return;
  send(WebSocketOpcode::kBinary, std::exchange(pending_, {}), std::move(slice));
}

void WebSocketConnection::flush() {
  if (pending_.empty()) return;
  send(WebSocketOpcode::kBinary, std::exchange(pending_, {}), {});
}

// One frame.
void WebSocketConnection::send(WebSocketOpcode opcode, std::string_view head, Bytes tail) {
  if (ended_) return;
  std::string header;
  if (side_ == Side::kServer) {
    append_frame_header(header, opcode, head.size() + tail.size());
    (*socket_)->write(std::string_view(header));
    (*socket_)->write(head);
    return (*socket_)->write(std::move(tail));
  }
  WebSocketMask mask;  // nobody may guess it (section 10.3)
  runtime_.fill_secret(mask);
  append_frame_header(header, opcode, head.size() + tail.size(), &mask);
  const std::size_t begin = header.size();
  header.append(head).append(tail.view());
  apply_mask(header.data() + begin, header.data() + begin, header.size() - begin, mask, 0);
  (*socket_)->write(std::string_view(header));
}

// The last one only, if there were several (section 5.5.3); and none to a peer that does not take what it is
// sent.
void WebSocketConnection::answer_ping() {
  if (!ping_ || silent() || queued_bytes() > low_water_) return;
  send(WebSocketOpcode::kPong, *std::exchange(ping_, std::nullopt), {});
}

std::size_t WebSocketConnection::queued_bytes() const {
  return pending_.size() + (ended_ ? 0 : (*socket_)->queued_bytes());
}

void WebSocketConnection::set_low_water(std::size_t bytes) {
  low_water_ = bytes;
  if (!ended_) (*socket_)->set_low_water(bytes);
}

void WebSocketConnection::on_drained() {
  if (silent()) return;
  answer_ping();
  if (handler_) handler_->on_drained();
}

// ---- ends -----------------------------------------------------------------------------------------------

void WebSocketConnection::close(runtime::Duration grace) {
  if (std::exchange(closing_, true) || ended_) return;
  flush();
  if (!over_) send(WebSocketOpcode::kClose, close_payload(WebSocketClose::kNormal), {});
  input_ = {};
  (*socket_)->close(grace);
}

// From now on nothing counts that comes. The handler hears of it when the peer has heard too.
void WebSocketConnection::end(WebSocketClose code, Error why) {
  if (silent()) return;
  flush();
  send(WebSocketOpcode::kClose, close_payload(code), {});
  over_ = true;
  end_ = std::move(why);
  (*socket_)->close(kCloseGrace);
}

void WebSocketConnection::on_closed(const Error& why) {
  ended_ = true;
  if (closing_ || !end_) end_ = why;
  // What came before goes first, unless nobody reads; then the socket would not tell of an ordinary end.
  if (!handler_ || (!input_.empty() && !paused_ && !over_ && !closing_)) return runtime_.at_turn_end(*this);
  tell_end();  // may destroy this
}

void WebSocketConnection::tell_end() {
  const Error why = *end_;
  std::exchange(handler_, nullptr)->on_closed(why);
}

void WebSocketConnection::on_turn_end() {
  if (!handler_) return;
  if (!input_.empty()) {
    bool gone = false;
    bool* const outer = std::exchange(gone_, &gone);
    unwrap();
    if (gone) {
      if (outer) *outer = true;
      return;
    }
    gone_ = outer;
  }
  flush();
  answer_ping();
  if (!ended_ || (!input_.empty() && !paused_)) return;
  tell_end();  // may destroy this
}

// ---- the client -----------------------------------------------------------------------------------------

namespace {

class ClientHandshake final : private runtime::ConnectionHandler, private runtime::Timer {
 public:
  using Opened = Result<std::unique_ptr<runtime::Connection>>;
  ClientHandshake(runtime::Runtime& runtime, std::unique_ptr<runtime::Connection> connection,
                  const std::string& host, std::string target, const std::string& protocol,
                  runtime::Duration timeout, runtime::OneShot<Opened> done)
      : runtime_(runtime), done_(std::move(done)), protocol_(protocol), parser_(Parser::Kind::kResponse, {}) {
    std::array<char, 16> nonce;
    runtime_.fill_secret(nonce);
    const std::string key = base64_encode({nonce.data(), nonce.size()});
    accept_ = websocket_accept(key);
    socket_.reset(new LiveConnection(std::move(connection), *this));
    std::string out = "GET " + std::move(target) + " HTTP/1.1\r\nhost: " + host;
    out +=
        "\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ";
    out += key + "\r\nsec-websocket-protocol: " + protocol + "\r\n\r\n";
    (*socket_)->write(std::string_view(out));
    runtime_.arm(*this, runtime_.now() + timeout);
  }
  ~ClientHandshake() override { runtime_.disarm(*this); }

 private:
  void on_data(Bytes data) override {
    if (!socket_) return;
    const auto taken = parser_.feed(data);
    if (!taken) return fail(taken.error());
    if (!parser_.complete()) return;
    const ParsedMessage answer = parser_.take();
    const std::string* accept = answer.headers.find("sec-websocket-accept");
    const std::string* protocol = answer.headers.find("sec-websocket-protocol");
    if (answer.status != 101) {
      return fail(
          {ErrorCode::kUnauthorized, "no WebSocket: " + std::to_string(answer.status) + ", " + answer.body});
    }
    if (!accept || *accept != accept_ || !protocol || *protocol != protocol_) {
      return fail({ErrorCode::kMalformed, "the answer to the WebSocket's handshake is another's"});
    }
    runtime_.disarm(*this);
    done_.set(std::make_unique<WebSocketConnection>(
        runtime_, std::move(socket_), WebSocketConnection::Side::kClient, data.view().substr(*taken)));
  }
  void on_closed(const Error& why) override { fail(why); }
  void on_timer() override { fail({ErrorCode::kTimedOut, "no WebSocket in time"}); }
  void fail(Error why) {
    runtime_.disarm(*this);
    if (!std::exchange(failed_, true)) done_.set(std::unexpected(std::move(why)));
  }

  runtime::Runtime& runtime_;
  runtime::OneShot<Opened> done_;
  const std::string protocol_;
  std::string accept_;
  Parser parser_;
  bool failed_ = false;
  std::unique_ptr<LiveConnection> socket_;
};

}  // namespace

runtime::Task<Result<std::unique_ptr<runtime::Connection>>> open_websocket(
    runtime::Runtime& runtime, std::unique_ptr<runtime::Connection> connection, std::string host,
    std::string target, std::string protocol, runtime::Duration timeout) {
  runtime::OneShot<ClientHandshake::Opened> opened;
  ClientHandshake handshake(runtime, std::move(connection), host, std::move(target), protocol, timeout,
                            opened);
  co_return co_await opened.wait();
}

}  // namespace stele::http
