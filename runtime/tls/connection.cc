#include "runtime/tls/connection.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <coroutine>
#include <cstring>
#include <deque>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "runtime/one_shot.h"

namespace stele::runtime::tls {
namespace {

constexpr std::size_t kRecordBytes = 16 << 10;  // what one TLS record holds
constexpr std::size_t kSlabBytes = 64 << 10;

// Where plaintext goes that the handler has no buffer for. Filled again while nobody keeps a slice of it.
Buffer& slab() {
  thread_local Buffer buffer;
  if (!buffer.unique()) buffer = Buffer(kSlabBytes);
  return buffer;
}

class Stream final : public Connection, private ConnectionHandler, private TurnEndHook, private Timer {
 public:
  enum class Side { kServer, kClient };
  using Done = std::move_only_function<void(std::string failure)>;

  Stream(Runtime& runtime, std::shared_ptr<const Context> context, std::unique_ptr<Connection> plain,
         Side side, const std::string& server_name)
      : runtime_(runtime), context_(std::move(context)), plain_(std::move(plain)), side_(side) {
    ssl_ = SSL_new(context_->get());
    STELE_ASSERT(ssl_);
    BIO* bio = BIO_new(method());
    STELE_ASSERT(bio);
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    if (side_ == Side::kServer) {
      SSL_set_accept_state(ssl_);
    } else {
      SSL_set_connect_state(ssl_);
      // An address is verified as such, and is not asked for by name (RFC 6066, section 3).
      if (!server_name.empty() &&
          X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), server_name.c_str()) != 1) {
        SSL_set_tlsext_host_name(ssl_, server_name.c_str());
        SSL_set1_host(ssl_, server_name.c_str());
      }
    }
  }
  ~Stream() override {
    if (gone_) *gone_ = true;
    runtime_.disarm(*this);
    SSL_free(ssl_);
  }

  // Once. `done` comes in a later turn.
  void shake_hands(Duration timeout, Done done) {
    done_ = std::move(done);
    plain_->start(*this);
    runtime_.arm(*this, runtime_.now() + timeout);
    if (side_ == Side::kClient) advance_handshake();
  }

  // ---- Connection
  void start(ConnectionHandler& handler) override {
    STELE_ASSERT(!handler_ && open_);
    handler_ = &handler;
    runtime_.at_turn_end(*this);  // reads on, what came right behind the handshake first
  }
  void write(std::string_view copied) override {
    if (closing_ || ended_) return;
    pending_.append(copied);
    if (pending_.size() >= kRecordBytes) {
      encrypt();
    } else {
      runtime_.at_turn_end(*this);
    }
  }
  void write(Bytes slice) override {
    if (slice.size() < kRecordBytes) return write(slice.view());
    if (closing_ || ended_) return;
    encrypt();
    encrypt(slice.view());
  }
  std::size_t queued_bytes() const override {
    return pending_.size() + (ended_ ? 0 : plain_->queued_bytes());
  }
  void set_low_water(std::size_t bytes) override {
    if (!ended_) plain_->set_low_water(bytes);
  }
  void pause_reading() override {
    paused_ = true;
    if (!ended_) plain_->pause_reading();
  }
  void resume_reading() override {
    if (!paused_) return;
    paused_ = false;
    if (!ended_) plain_->resume_reading();
    resumed_ = true;
    runtime_.at_turn_end(*this);  // there may be something already
  }
  void close(Duration grace) override {
    if (std::exchange(closing_, true) || ended_) return;
    encrypt();
    ERR_clear_error();
    SSL_shutdown(ssl_);
    plain_->close(grace);
  }
  Endpoint local() const override { return plain_->local(); }
  Endpoint remote() const override { return plain_->remote(); }
  std::string_view peer_name() const override { return peer_name_; }

 private:
  // ---- what OpenSSL reads from and writes to
  static BIO_METHOD* method() {
    static BIO_METHOD* const the = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stele");
      STELE_ASSERT(made);
      BIO_meth_set_read_ex(made, read_input);
      BIO_meth_set_write_ex(made, write_output);
      BIO_meth_set_ctrl(made, control);
      return made;
    }();
    return the;
  }
  static int read_input(BIO* bio, char* to, std::size_t size, std::size_t* got) {
    auto& self = *static_cast<Stream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *got = std::min(size, self.input_.size());
    if (*got == 0) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(to, self.input_.data(), *got);
    // An empty slice would still keep the slab.
    self.input_ = *got == self.input_.size() ? Bytes() : self.input_.slice(*got);
    return 1;
  }
  static int write_output(BIO* bio, const char* from, std::size_t size, std::size_t* written) {
    auto& self = *static_cast<Stream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *written = size;
    if (!self.ended_) self.plain_->write(std::string_view(from, size));
    return 1;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  // ---- the handshake
  void advance_handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) {
      open_ = true;
      note_peer();
      runtime_.disarm(*this);
      keep_input();
      plain_->pause_reading();  // until start()
      runtime_.at_turn_end(*this);
      return;
    }
    const int why = SSL_get_error(ssl_, result);
    if (why == SSL_ERROR_WANT_READ) return keep_input();
    std::string failure = take_errors();
    fail(failure.empty() ? "the handshake failed" : std::move(failure));
  }
  void note_peer() {
    X509* certificate = SSL_get0_peer_certificate(ssl_);
    if (!certificate || SSL_get_verify_result(ssl_) != X509_V_OK) return;
    X509_NAME* subject = X509_get_subject_name(certificate);
    const int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (place < 0) return;
    unsigned char* text = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
    if (size > 0) peer_name_.assign(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
    if (peer_name_.find('\0') != std::string::npos) peer_name_.clear();  // nobody's name
  }
  // In a later turn: whoever shook hands may destroy this.
  void fail(std::string why) {
    if (failed_) return;
    failed_ = true;
    failure_ = std::move(why);
    runtime_.disarm(*this);
    runtime_.at_turn_end(*this);
  }
  void on_timer() override { fail("no handshake in time"); }

  // ---- ConnectionHandler: from the plain side
  void on_data(Bytes data) override {
    if (closing_ || failed_ || ended_) return;
    if (input_.empty()) {
      input_ = std::move(data);
    } else {
      join_input(data);
    }
    if (!open_) return advance_handshake();
    if (!handler_) return keep_input();
    decrypt();
  }
  void on_drained() override {
    if (handler_ && !closing_) handler_->on_drained();
  }
  void on_closed(const Error& why) override {
    gone_below_ = true;
    if (ended_) return runtime_.at_turn_end(*this);
    end(why);
  }

  // What came before the end is handed over first, at the end of the turn.
  void end(const Error& why) {
    if (std::exchange(ended_, true)) return;
    end_ = why;
    if (!open_) return fail("the connection ended: " + why.message);
    runtime_.at_turn_end(*this);
  }

  // What is kept beyond the call must be ours: it was lent.
  void keep_input() {
    if (!input_.empty() && !kept_) input_ = Bytes::copy(input_);
    kept_ = !input_.empty();
  }
  void join_input(const Bytes& data) {
    Buffer joined(input_.size() + data.size());
    std::memcpy(joined.data(), input_.data(), input_.size());
    std::memcpy(joined.data() + input_.size(), data.data(), data.size());
    const std::size_t size = joined.capacity();
    input_ = std::move(joined).freeze(size);
    kept_ = true;
  }

  void decrypt() {
    bool gone = false;
    bool* const outer = std::exchange(gone_, &gone);
    while (!gone && !paused_ && !closing_) {
      std::span<char> place = handler_->read_buffer();
      const bool own = !place.empty();
      if (!own) place = {slab().data(), kSlabBytes};
      std::size_t filled = 0;
      const bool more = fill(place, filled);
      if (filled > 0) {
        handler_->on_data(own ? borrowed(place.first(filled)) : slab().slice(0, filled));
        if (gone) break;
      }
      if (!more) break;
    }
    if (gone) {
      if (outer) *outer = true;
      return;
    }
    gone_ = outer;
    keep_input();
  }
  static Bytes borrowed(std::span<char> place) { return Bytes::literal({place.data(), place.size()}); }

  // As much as there is. False: no more for now, or for good.
  bool fill(std::span<char> place, std::size_t& filled) {
    while (filled < place.size()) {
      std::size_t got = 0;
      ERR_clear_error();
      const int result = SSL_read_ex(ssl_, place.data() + filled, place.size() - filled, &got);
      if (result == 1) {
        filled += got;
        continue;
      }
      switch (SSL_get_error(ssl_, result)) {
        case SSL_ERROR_WANT_READ:
          return false;
        case SSL_ERROR_ZERO_RETURN:
          end(Error{ErrorCode::kClosed, "the peer closed the connection"});
          return false;
        default:
          break_down("a TLS record that is none");
          return false;
      }
    }
    return true;
  }

  void encrypt() {
    if (pending_.empty()) return;
    encrypt(pending_);
    pending_.clear();
    if (pending_.capacity() > 4 * kRecordBytes) pending_ = {};
  }
  void encrypt(std::string_view bytes) {
    while (!bytes.empty() && !ended_) {
      std::size_t written = 0;
      ERR_clear_error();
      // Output always has room, so this fails only when the connection is beyond use.
      if (SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written) != 1) {
        return break_down("it cannot be written");
      }
      bytes.remove_prefix(written);
    }
  }

  void break_down(const char* what) {
    const std::string why = take_errors();
    end(Error{ErrorCode::kMalformed, "TLS: " + (why.empty() ? what : why)});
  }

  void on_turn_end() override {
    if (done_ && (open_ || failed_)) {
      auto done = std::exchange(done_, {});
      done(failed_ ? std::move(failure_) : std::string());  // may destroy this
      return;
    }
    if (!handler_) return;
    if (!closing_) encrypt();
    if (!paused_ && !closing_ && (!input_.empty() || SSL_has_pending(ssl_))) {
      bool gone = false;
      bool* const outer = std::exchange(gone_, &gone);
      decrypt();
      if (gone) {
        if (outer) *outer = true;
        return;
      }
      gone_ = outer;
    }
    // While nobody reads, nobody hears of an end that was read.
    if (ended_ && (closing_ || !paused_ || gone_below_)) {
      const Error why = end_;
      return std::exchange(handler_, nullptr)->on_closed(why);  // may destroy this
    }
    if (!resumed_ && !paused_) {
      resumed_ = true;
      plain_->resume_reading();
    }
  }

  Runtime& runtime_;
  const std::shared_ptr<const Context> context_;
  std::unique_ptr<Connection> plain_;
  const Side side_;
  SSL* ssl_ = nullptr;
  ConnectionHandler* handler_ = nullptr;
  Done done_;
  Bytes input_;          // not decrypted yet
  bool kept_ = false;    // input_ is ours, and not lent for the call
  std::string pending_;  // not encrypted yet
  std::string peer_name_;
  std::string failure_;
  Error end_;
  bool open_ = false;  // the handshake is done
  bool failed_ = false;
  bool resumed_ = false;
  bool paused_ = false;
  bool closing_ = false;
  bool ended_ = false;
  bool gone_below_ = false;  // the plain connection has ended
  bool* gone_ = nullptr;     // tells decrypt() that the handler destroyed this
};

class Shaking final : public Handshake {
 public:
  Shaking(std::unique_ptr<Stream> stream, Duration timeout,
          std::move_only_function<void(HandshakeResult)> done)
      : stream_(std::move(stream)), done_(std::move(done)) {
    stream_->shake_hands(timeout, [this](std::string failure) {
      HandshakeResult result;
      result.failure = std::move(failure);
      if (result.failure.empty()) {
        result.connection = std::move(stream_);
      }
      auto done = std::move(done_);
      done(std::move(result));  // may destroy this
    });
  }

 private:
  std::unique_ptr<Stream> stream_;
  std::move_only_function<void(HandshakeResult)> done_;
};

}  // namespace

std::unique_ptr<Handshake> accept(Runtime& runtime, std::shared_ptr<const Context> context,
                                  std::unique_ptr<Connection> plain, Duration timeout,
                                  std::move_only_function<void(HandshakeResult)> done) {
  auto stream =
      std::make_unique<Stream>(runtime, std::move(context), std::move(plain), Stream::Side::kServer, "");
  return std::make_unique<Shaking>(std::move(stream), timeout, std::move(done));
}

Task<Result<std::unique_ptr<Connection>>> connect(Runtime& runtime, std::shared_ptr<const Context> context,
                                                  std::string name, Endpoint to, Duration timeout,
                                                  StopToken stop) {
  const Instant deadline = runtime.now() + timeout;
  STELE_CO_TRY(auto plain, co_await runtime.network().connect(to, timeout, std::move(stop)));
  auto stream =
      std::make_unique<Stream>(runtime, std::move(context), std::move(plain), Stream::Side::kClient, name);
  OneShot<std::string> shaken;
  stream->shake_hands(deadline - runtime.now(),
                      [shaken](std::string failure) { shaken.set(std::move(failure)); });
  const std::string failure = co_await shaken.wait();
  if (!failure.empty()) {
    co_return error(ErrorCode::kUnauthorized, "TLS with " + to.to_string() + ": " + failure);
  }
  co_return std::unique_ptr<Connection>(std::move(stream));
}

// ---- listening -------------------------------------------------------------------------------------------

class Server::TlsListener final : public Listener, private AcceptHandler {
 public:
  TlsListener(Server& server, AcceptHandler& handler) : server_(server), handler_(handler) {}
  ~TlsListener() override { server_.under_way_ -= shaking_.size(); }
  Result<void> listen(const Endpoint& at, ListenOptions options) {
    STELE_TRY(listener_, server_.runtime_.network().listen(at, options, *this));
    return {};
  }
  Endpoint local() const override { return listener_->local(); }

 private:
  void on_accept(std::unique_ptr<Connection> plain) override {
    if (server_.under_way_ >= server_.options_.max_handshakes) {
      STELE_MARK("tls: too many handshakes at once");
      ++server_.stats_.handshakes_refused;
      return;  // closed by being dropped
    }
    ++server_.under_way_;
    const Endpoint from = plain->remote();
    shaking_.emplace_back();
    const auto place = std::prev(shaking_.end());
    *place = accept(server_.runtime_, server_.context_, std::move(plain), server_.options_.handshake_timeout,
                    [this, place, from](HandshakeResult result) {
                      const auto ended = std::move(*place);  // is running: ends with this call
                      shaking_.erase(place);
                      --server_.under_way_;
                      if (result.connection) {
                        ++server_.stats_.handshakes;
                        handler_.on_accept(std::move(result.connection));
                      } else {
                        note_failure(from, result.failure);
                      }
                    });
  }
  void note_failure(const Endpoint& from, const std::string& why) {
    ++server_.stats_.handshakes_failed;
    const Instant now = server_.runtime_.now();
    if (now < server_.next_line_) return;
    server_.next_line_ = now + std::chrono::seconds(1);
    server_.runtime_.log().write(LogLevel::kInfo, "tls", from.to_string() + ": " + why);
  }

  Server& server_;
  AcceptHandler& handler_;
  std::unique_ptr<Listener> listener_;
  std::list<std::unique_ptr<Handshake>> shaking_;
};

Result<std::unique_ptr<Listener>> Server::listen(const Endpoint& at, ListenOptions options,
                                                 AcceptHandler& handler) {
  auto listener = std::make_unique<TlsListener>(*this, handler);
  STELE_CHECK(listener->listen(at, options));
  return listener;
}

}  // namespace stele::runtime::tls
