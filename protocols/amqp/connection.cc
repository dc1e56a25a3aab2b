#include "protocols/amqp/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/marks.h"
#include "protocols/amqp/channel.h"
#include "protocols/amqp/content.h"

namespace stele::amqp {

namespace {

// Answers may fill the output further than deliveries may; beyond that nothing more is read.
constexpr std::size_t kOutputForAnswers = 4;
// A larger body goes out as slices of the block it lies in, a smaller one is copied behind its header.
constexpr std::size_t kShareBody = 1536;

}  // namespace

AmqpConnection::AmqpConnection(AmqpShared& shared, std::unique_ptr<runtime::Connection> connection)
    : shared_(shared),
      connection_(std::move(connection)),
      input_frame_max_(shared.options.initial_frame_max) {
  connection_->set_low_water(options().max_output_bytes / 2);
}

AmqpConnection::~AmqpConnection() {
  channels_.clear();
}

void AmqpConnection::start(Self self) {
  self_ = self;
  ++counters().connections;
  last_heard_ = runtime().now();
  runtime().arm(*this, last_heard_ + options().handshake_timeout);
  connection_->start(*this);
}

// ---- input ---------------------------------------------------------------------------------------------

std::span<char> AmqpConnection::read_buffer() {
  return reads() && state_ != State::kHeader ? input_.read_buffer() : std::span<char>();
}

void AmqpConnection::on_data(Bytes data) {
  if (!reads()) return;
  last_heard_ = runtime().now();
  counters().bytes_in += data.size();
  if (state_ == State::kHeader) data = take_header(std::move(data));
  if (!reads()) return;
  if (!data.empty()) input_.add(std::move(data));
  parse();
}

// Gives what is behind the protocol header.
Bytes AmqpConnection::take_header(Bytes data) {
  const std::size_t more = std::min(data.size(), kProtocolHeaderBytes - header_size_);
  std::memcpy(header_.data() + header_size_, data.data(), more);
  header_size_ = static_cast<std::uint8_t>(header_size_ + more);
  const HeaderCheck check = check_protocol_header({header_.data(), header_size_});
  switch (check.status) {
    case HeaderCheck::Status::kNeedMore:
      return {};
    case HeaderCheck::Status::kOurs:
      state_ = State::kStarting;
      send_start();
      return data.slice(more);
    case HeaderCheck::Status::kOther:
      break;
  }
  note("speaks something else", check.asked_for);
  ++counters().connection_errors;
  write(kProtocolHeader);
  close_socket();
  return {};
}

void AmqpConnection::parse() {
  STELE_ASSERT(!parsing_);
  parsing_ = true;
  while (reads() && state_ != State::kHeader && !holding()) {
    auto frame = input_.next(input_frame_max_);
    if (!frame) {  // what follows cannot be told apart: no answer can be read
      fail(frame.error());
      if (state_ == State::kClosing) close_socket();
      break;
    }
    if (!*frame) break;
    on_frame(**frame);
  }
  parsing_ = false;
  if (!reads()) return;
  if (latest_) latest_->pause_input();
  if (holding()) input_.pause();
  if (connection_->queued_bytes() > kOutputForAnswers * options().max_output_bytes) {
    STELE_MARK("amqp: a client does not take its answers");
    hold(kHoldOutput);
  }
  adjust_reading();
}

void AmqpConnection::on_frame(const Frame& frame) {
  if (frame.type == FrameType::kHeartbeat) return;
  if (frame.channel == 0) return on_method(frame);
  if (state_ == State::kRunning) return on_channel_frame(frame);
  if (state_ == State::kClosing) return;
  fail({ReplyCode::kUnexpectedFrame, "a channel before connection.open", 0, 0});
}

void AmqpConnection::on_channel_frame(const Frame& frame) {
  AmqpChannel* channel = find_channel(frame.channel);
  if (latest_ && latest_ != channel) latest_->pause_input();
  latest_ = channel;
  if (!channel) {
    channel = open_channel(frame);
    if (!channel) return;
  }
  channel->on_frame(frame, input_.block());
  if (channel->closed()) close_channel(frame.channel);
}

AmqpChannel* AmqpConnection::find_channel(std::uint16_t number) {
  if (latest_ && latest_->number() == number) return latest_;
  const auto found = channels_.find(number);
  return found == channels_.end() ? nullptr : found->second.get();
}

// A channel begins with channel.open, and with nothing else.
AmqpChannel* AmqpConnection::open_channel(const Frame& frame) {
  if (channel_max_ != 0 && channels_.size() >= channel_max_) {
    fail({ReplyCode::kNotAllowed,
          "number of channels opened (" + std::to_string(channels_.size()) +
              ") has reached the negotiated channel_max (" + std::to_string(channel_max_) + ")",
          0, 0});
    return nullptr;
  }
  const auto method = frame.type == FrameType::kMethod
                          ? peek_method(frame.payload)
                          : protocol_error(ReplyCode::kUnexpectedFrame, "expected a method frame");
  if (!method) {
    fail(method.error());
    return nullptr;
  }
  if ((*method)->id() != ChannelOpen::kInfo.id()) {
    fail({ReplyCode::kChannelError, "expected 'channel.open'", (*method)->class_id, (*method)->method});
    return nullptr;
  }
  auto channel = std::make_unique<AmqpChannel>(*this, frame.channel);
  if (auto opened = channel->open(); !opened) {
    fail(opened.error());
    return nullptr;
  }
  ++counters().channels;
  latest_ = channel.get();
  channels_.emplace(frame.channel, std::move(channel));
  return latest_;
}

void AmqpConnection::close_channel(std::uint16_t number) {
  latest_ = nullptr;
  channels_.erase(number);
  --counters().channels;
}

void AmqpConnection::change_input(std::size_t before, std::size_t now) {
  input_bytes_ += now - before;
  shared_.input_bytes += now - before;
  if (now <= before || shared_.input_bytes <= options().max_input_bytes) return;
  STELE_MARK("amqp: too many incomplete messages");
  fail({ReplyCode::kResourceError, "too many incomplete messages", kBasicClass, BasicPublish::kInfo.method});
}

// What waits is parsed at the end of the turn: whoever lets go is often in the middle of something.
void AmqpConnection::let_go(Hold why) {
  if (!(hold_ & why)) return;
  hold_ &= static_cast<std::uint8_t>(~why);
  if (reads() && !holding() && !parsing_) runtime().at_turn_end(*this);
}

void AmqpConnection::adjust_reading() {
  if (holding() == paused_) return;
  paused_ = holding();
  if (paused_) {
    connection_->pause_reading();
  } else {
    last_heard_ = runtime().now();  // it could not be heard
    connection_->resume_reading();
  }
}

void AmqpConnection::begin_task(runtime::Task<void> task) {
  STELE_ASSERT(!task_runs_);
  task_runs_ = true;
  hold(kHoldTask);
  shared_.tasks.spawn(std::move(task));
}

void AmqpConnection::end_task() {
  STELE_ASSERT(task_runs_);
  task_runs_ = false;
  let_go(kHoldTask);
  runtime().at_turn_end(*this);  // whatever waits for it to be over
}

void AmqpConnection::add_unanswered(std::size_t count) {
  unanswered_ += count;
  if (unanswered_ >= options().max_unanswered) hold(kHoldUnanswered);
}

void AmqpConnection::remove_unanswered(std::size_t count) {
  STELE_ASSERT(unanswered_ >= count);
  unanswered_ -= count;
  if (unanswered_ < options().max_unanswered) let_go(kHoldUnanswered);
}

void AmqpConnection::remove_not_ready() {
  STELE_ASSERT(not_ready_ > 0);
  if (--not_ready_ == 0) let_go(kHoldPublish);
}

void AmqpConnection::on_blocked(std::string_view reason) {
  blocked_reason_ = reason;
  to_block_ = true;
}

void AmqpConnection::note_publish() {
  if (!to_block_ || (hold_ & kHoldBlocked) || !running()) return;
  STELE_MARK("amqp: a publisher is blocked");
  hold(kHoldBlocked);
  if (connection_blocked_) send(0, ConnectionBlocked{std::string_view(blocked_reason_).substr(0, 255)});
}

void AmqpConnection::on_unblocked() {
  to_block_ = false;
  if (!(hold_ & kHoldBlocked)) return;
  if (connection_blocked_ && running()) send(0, ConnectionUnblocked{});
  let_go(kHoldBlocked);
}

// ---- output --------------------------------------------------------------------------------------------

void AmqpConnection::write(std::string_view bytes) {
  if (!connection_) return;
  wrote_ = true;
  counters().bytes_out += bytes.size();
  connection_->write(bytes);
}

// Behind the method that stands in the scratch.
void AmqpConnection::write_content(std::uint16_t channel, std::string_view properties, const Bytes& body) {
  std::string& out = shared_.frame;
  append_content_header(out, channel, body.size(), properties);
  if (body.size() <= kShareBody) {
    append_body(out, channel, body, frame_max_);
    return write(out);
  }
  write(out);
  BodyFrames frames(channel, body.size(), frame_max_);
  while (frames.next()) {
    write(frames.before());
    if (!connection_) return;
    counters().bytes_out += frames.size();
    connection_->write(body.slice(frames.begin(), frames.size()));
  }
  write(frames.after());
}

void AmqpConnection::on_drained() {
  if (!reads()) return;
  let_go(kHoldOutput);
  if (!running()) return;
  for (auto& [number, channel] : channels_) channel->go_on();
}

// ---- time ----------------------------------------------------------------------------------------------

void AmqpConnection::on_timer() {
  switch (state_) {
    case State::kHeader:
    case State::kStarting:
    case State::kTuning:
    case State::kOpening:
      ++counters().handshake_timeouts;
      note("the handshake takes too long", "");
      return close_socket();
    case State::kRunning:
      return tick();
    case State::kClosing:
      STELE_MARK("amqp: no close-ok came");
      return close_socket();
    case State::kRefusing:
      return close_socket();
    default:
      return;
  }
}

// Twice in each interval, as RabbitMQ: sends a heartbeat if nothing was sent since the last time, and ends
// the connection once nothing was heard for two intervals.
void AmqpConnection::tick() {
  // A client that we do not listen to cannot be heard; one that does not listen to us may be gone.
  if (hold_ & ~kHoldOutput) last_heard_ = runtime().now();
  const runtime::Duration interval = std::chrono::seconds(heartbeat_s_);
  if (runtime().now() >= last_heard_ + 2 * interval) {
    ++counters().heartbeat_timeouts;
    STELE_MARK("amqp: missed heartbeats");
    note("missed heartbeats", "");
    return close_socket();
  }
  if (!wrote_) write(kHeartbeatFrame);
  wrote_ = false;
  runtime().arm(*this, runtime().now() + interval / 2);
}

// ---- the end -------------------------------------------------------------------------------------------

void AmqpConnection::fail(const ProtocolError& error) {
  if (!reads() || state_ == State::kClosing) return;
  ++counters().connection_errors;
  note(to_string(error.code), error.text);
  // RabbitMQ (rabbit_reader.erl, handle_exception) trusts nobody before he is logged in: but for limits that
  // are not kept it says nothing.
  const bool told =
      state_ >= State::kOpening || (state_ == State::kTuning && error.code == ReplyCode::kNotAllowed);
  if (told) return close_with(error);
  refuse();
}

void AmqpConnection::close_with(const ProtocolError& error) {
  STELE_ASSERT(reads() && state_ != State::kClosing);
  for (auto& [number, channel] : channels_) channel->flush_confirms();
  ConnectionClose close;
  const std::string text = reply_text(error.code, error.text);
  close.reply_code = static_cast<std::uint16_t>(error.code);
  close.reply_text = text;
  close.failed_class = error.class_id;
  close.failed_method = error.method_id;
  send(0, close);
  state_ = State::kClosing;
  end_channels();
  runtime().arm(*this, runtime().now() + options().close_timeout);
  if (!parsing_) adjust_reading();
  runtime().at_turn_end(*this);
}

void AmqpConnection::refuse() {
  state_ = State::kRefusing;
  if (!paused_) connection_->pause_reading();
  paused_ = true;
  runtime().arm(*this, runtime().now() + options().refuse_delay);
}

void AmqpConnection::close_socket() {
  if (state_ >= State::kEnding) return;
  state_ = State::kEnding;
  runtime().disarm(*this);
  connection_->close(options().close_grace);
  end_channels();
  runtime().at_turn_end(*this);
}

void AmqpConnection::on_closed(const Error& why) {
  if (state_ < State::kEnding) {
    note("closed", why.message);
    runtime().disarm(*this);
  }
  state_ = State::kClosed;
  connection_.reset();
  end_channels();
  runtime().at_turn_end(*this);
}

void AmqpConnection::shut_down() {
  if (!reads() || state_ == State::kClosing) return;
  if (state_ < State::kOpening) return close_socket();
  close_with({ReplyCode::kConnectionForced, "broker forced connection closure with reason 'shutdown'", 0, 0});
}

void AmqpConnection::end_channels() {
  for (auto& [number, channel] : channels_) channel->end();
}

void AmqpConnection::call_at_turn_end(AmqpChannel& channel) {
  if (!channel.linked()) at_turn_end_.push_back(channel);
  runtime().at_turn_end(*this);
}

// Goes on with what waited; or takes down what the connection had, as far as it may by now.
void AmqpConnection::on_turn_end() {
  if (state_ == State::kRunning) {
    while (!at_turn_end_.empty()) at_turn_end_.pop_front().on_turn_end();
  } else if (state_ > State::kRunning) {
    tear_down();
    if (state_ == State::kClosed) {
      if (task_runs_) return;  // it works on what is left; comes back here
      --counters().connections;
      AmqpShared& shared = shared_;
      shared.connections.erase(self_);  // this
      if (shared.connections.empty()) shared.none_left.wake_all();
      return;
    }
  }
  if (reads() && !holding()) return parse();
  if (reads()) adjust_reading();
}

void AmqpConnection::tear_down() {
  if (task_runs_) return;
  latest_ = nullptr;
  counters().channels -= channels_.size();
  channels_.clear();
  host_.reset();
  user_.reset();
}

void AmqpConnection::note(std::string_view what, std::string_view why) {
  runtime::Log& log = runtime().log();
  if (!connection_ || !log.enabled(runtime::LogLevel::kDebug)) return;
  std::string line = connection_->remote().to_string();
  if (user_) line.append(" '").append(user_->name()).append("'");
  line.append(": ").append(what);
  if (!why.empty()) line.append(": ").append(why);
  log.write(runtime::LogLevel::kDebug, "amqp", line);
}

}  // namespace stele::amqp
