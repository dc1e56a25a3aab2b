#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "rpc/channel_parts.h"

namespace stele::rpc {

using namespace std::chrono_literals;

namespace {
// Until the peer has ended its side.
constexpr runtime::Duration kCloseGrace = 1s;
}  // namespace

Channel::Link::Link(Channel& channel, std::unique_ptr<runtime::Connection> connection)
    : channel_(channel),
      runtime_(channel.runtime_),
      connection_(std::move(connection)),
      reader_(channel.budget_),
      output_(*connection_),
      heard_(runtime_.now()) {}

Channel::Link::~Link() {
  runtime_.disarm(*this);
}

void Channel::Link::start() {
  const ChannelOptions& options = channel_.options_;
  connection_->set_low_water(options.max_output_bytes / 2);
  connection_->start(*this);
  runtime_.fill_secret(nonce_);
  output_.send(FrameKind::kHello,
               encode(Hello{.from = channel_.self_,
                            .to = channel_.to_,
                            .nonce = nonce_,
                            .terms = terms_of(options.max_payload_bytes, options.ping_interval),
                            .joins = options.joins}));
  runtime_.arm(*this, runtime_.now() + options.hello_timeout);
}

std::string Channel::Link::who() const {
  const std::string at = connection_->remote().to_string();
  return channel_.options_.joins ? "the node at " + at
                                 : "node " + std::to_string(channel_.to_.value) + " at " + at;
}

bool Channel::Link::has_room() const {
  return connection_->queued_bytes() <= channel_.options_.max_output_bytes;
}

// ---- the end ---------------------------------------------------------------------------------------------

void Channel::Link::end(Error why) {
  if (state_ == State::kEnded) return;
  state_ = State::kEnded;
  runtime_.disarm(*this);
  channel_.on_link_ended(std::move(why));
}

void Channel::Link::close() {
  if (state_ == State::kClosing || state_ == State::kEnded) return;
  STELE_ASSERT(state_ != State::kHello);
  output_.send(FrameKind::kGoodbye, encode_goodbye({Reason::kStopping, "no more requests come"}));
  state_ = State::kClosing;
  runtime_.disarm(*this);
  connection_->close(kCloseGrace);
}

void Channel::Link::close_if_done() {
  if (state_ == State::kLeaving && channel_.sent_.empty()) close();
}

void Channel::Link::on_timer() {
  const ChannelOptions& options = channel_.options_;
  const runtime::Instant now = runtime_.now();
  if (state_ == State::kHello) {
    STELE_MARK("rpc: no answer to a hello in time");
    return end(Error{ErrorCode::kTimedOut, who() + " does not answer the hello"});
  }
  // A process that stood still has heard nobody.
  if (now > next_tick_ + options.ping_interval) heard_ = now;
  if (now - heard_ > silent_after_) {
    STELE_MARK("rpc: a client gave up a silent connection");
    ++channel_.stats_.silent;
    return end(Error{ErrorCode::kTimedOut, "nothing was heard of " + who()});
  }
  if (!output_.take_sent()) output_.send(FrameKind::kPing, {});
  output_.take_sent();
  next_tick_ = now + options.ping_interval;
  runtime_.arm(*this, next_tick_);
}

// ---- input -----------------------------------------------------------------------------------------------

void Channel::Link::on_data(Bytes data) {
  heard_ = runtime_.now();
  reader_.feed(std::move(data));
  IntrusiveList<Exchange> done;
  std::optional<Error> failed;
  Frame frame;
  while (!failed && state_ != State::kClosing && state_ != State::kEnded) {
    const FrameReader::Next next = reader_.next(frame);
    if (next == FrameReader::Next::kMore) break;
    failed = next == FrameReader::Next::kWrong ? wrong(reader_.wrong()) : take(frame, done);
  }
  if (!channel_.resume(done)) return;  // the channel, and this with it, is gone
  if (failed) return end(*std::move(failed));
  close_if_done();
}

void Channel::Link::on_drained() {
  IntrusiveList<Exchange> done;
  channel_.send_waiting(done);
  channel_.resume(done);
}

Error Channel::Link::wrong(Wrong what) {
  STELE_MARK("rpc: a client closed a connection for what came");
  ++channel_.stats_.wrong[static_cast<std::size_t>(what)];
  Error why{ErrorCode::kMalformed, "what came from " + who() + " is " + std::string(to_string(what))};
  channel_.note(why.message);
  return why;
}

std::optional<Error> Channel::Link::take(const Frame& frame, IntrusiveList<Exchange>& done) {
  switch (frame.header.kind) {
    case FrameKind::kHelloAnswer: {
      auto failed = take_hello_answer(frame);
      if (!failed) channel_.on_welcome(done);
      return failed;
    }
    case FrameKind::kResponse: {
      ResponseControl control;
      if (!decode(frame.control, control)) break;
      if (!channel_.take_answer(control, reader_, frame, done)) break;
      return std::nullopt;
    }
    case FrameKind::kPing:
      return std::nullopt;
    case FrameKind::kGoodbye: {
      const auto why = decode_goodbye(frame.control);
      if (!why) break;
      if (why->reason == Reason::kMalformed)
        channel_.note(who() + " closes, for what it got is " + why->text);
      channel_.last_failure_ =
          Error{ErrorCode::kUnavailable, who() + " takes no more requests: " + why->text};
      state_ = State::kLeaving;
      return std::nullopt;
    }
    case FrameKind::kHello:
    case FrameKind::kRequest:
    case FrameKind::kMessage:
      break;
  }
  return wrong(Wrong::kMalformed);
}

std::optional<Error> Channel::Link::refused(const Refusal& refusal) {
  STELE_MARK("rpc: a client was refused, or refused who answered");
  ++channel_.stats_.refused[static_cast<std::size_t>(refusal.reason)];
  Error why{ErrorCode::kUnauthorized, who() + ": refused, " + refusal.text};
  channel_.note(why.message);
  return why;
}

std::optional<Error> Channel::Link::take_hello_answer(const Frame& frame) {
  const auto answer = decode_hello_answer(frame.control);
  if (!answer) return wrong(Wrong::kMalformed);
  if (answer->refusal.reason != Reason::kNone) return refused(answer->refusal);
  std::optional<std::string> certificate;
  if (channel_.options_.certificates) certificate = connection_->peer_name();
  const Welcome& welcome = answer->welcome;
  const std::optional<NodeId> to = channel_.options_.joins ? std::nullopt : std::optional(channel_.to_);
  if (const auto no = check(welcome, channel_.self_, to, certificate)) return refused(*no);
  peer_ = {.node = welcome.from.node,
           .incarnation = welcome.from.incarnation,
           .version = welcome.version,
           .product = welcome.from.product,
           .certificate = std::string(connection_->peer_name()),
           .connection = channel_.stats_.connects + 1};
  const ChannelOptions& options = channel_.options_;
  output_.bind(tag_of(nonce_, welcome.nonce, true));
  reader_.bind(tag_of(nonce_, welcome.nonce, false), options.max_payload_bytes);
  max_payload_ = welcome.terms.max_payload_bytes;
  silent_after_ = silence_allowed(options.silent_after, welcome.terms);
  state_ = State::kOpen;
  next_tick_ = runtime_.now() + options.ping_interval;
  runtime_.arm(*this, next_tick_);
  return std::nullopt;
}

}  // namespace stele::rpc
