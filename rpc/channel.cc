#include "rpc/channel.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "rpc/channel_parts.h"
#include "rpc/error_codec.h"

namespace stele::rpc {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

CallResult failure(Fate fate, ErrorCode code, std::string message) {
  return std::unexpected(CallError{{code, std::move(message)}, fate});
}

struct Alarm final : runtime::Timer {
  explicit Alarm(runtime::Notification& n) : notification(n) {}
  void on_timer() override { notification.wake_all(); }
  runtime::Notification& notification;
};

}  // namespace

// ---- Exchange --------------------------------------------------------------------------------------------

Channel::Exchange::Exchange(Channel& channel, MethodId m, Payload p, runtime::Instant d)
    : method(m),
      deadline(d),
      payload(std::move(p)),
      bytes(size_of(payload.slices())),
      runtime_(channel.runtime_),
      channel_(&channel) {
  ++channel.calls_;
  channel.waiting_bytes_ += bytes;
  runtime_.arm(*this, deadline);
}

Channel::Exchange::~Exchange() {
  leave();
}

void Channel::Exchange::leave() {
  runtime_.disarm(*this);
  if (!channel_) return;
  Channel& channel = *std::exchange(channel_, nullptr);
  ListNode<>::unlink();
  slot ? channel.release_slot(*slot) : void(channel.waiting_bytes_ -= bytes);
  --channel.calls_;
  channel.on_exchange_left();
}

void Channel::Exchange::finish(CallResult result) {
  STELE_ASSERT(!done_);
  leave();
  result_ = std::move(result);
  done_ = true;
}

void Channel::Exchange::orphan() {
  channel_ = nullptr;
  payload = {};
}

void Channel::Exchange::on_timer() {
  if (slot) {
    STELE_MARK("rpc: a call had no answer in time");
    finish(failure(Fate::kUnknown, ErrorCode::kTimedOut, "no answer in time"));
  } else {
    STELE_MARK("rpc: a call found no connection in time");
    std::string why = "no connection in time";
    if (channel_ && channel_->last_failure_) why += ": " + channel_->last_failure_->message;
    finish(failure(Fate::kNotDone, ErrorCode::kUnavailable, std::move(why)));
  }
  resume();
}

// ---- Channel ---------------------------------------------------------------------------------------------

Channel::Channel(runtime::Runtime& runtime, Identity self, NodeId to, runtime::Endpoint at,
                 ChannelOptions options)
    : runtime_(runtime),
      self_(std::move(self)),
      to_(to),
      address_(std::move(at)),
      options_(std::move(options)) {
  scope_.spawn(run());
}

Channel::~Channel() {
  if (gone_) *gone_ = true;
  while (!waiting_.empty()) waiting_.pop_front().orphan();
  while (!sent_.empty()) sent_.pop_front().orphan();
}

const Peer* Channel::peer() const {
  return up() ? &link_->peer() : nullptr;
}

void Channel::keep_open() {
  keep_ = true;
  want();
}

void Channel::set_address(runtime::Endpoint at) {
  if (at == address_) return;
  address_ = std::move(at);
  address_changed_ = true;
  failures_ = 0;
  want();
}

void Channel::want() {
  if (!link_) changed_.wake_all();
}

bool Channel::can_send() const {
  return up_ && link_->takes_calls() && link_->has_room();
}

// ---- sending ---------------------------------------------------------------------------------------------

bool Channel::send(MessageId message, std::span<const Bytes> payload) {
  if (!can_send() || size_of(payload) > link_->max_payload()) {
    ++stats_.messages_dropped;
    if (!link_ && !closing_) {
      demanded_ = true;
      want();
    }
    return false;
  }
  link_->output().send<MessageId, kMessageControlBytes>(FrameKind::kMessage, message, payload);
  ++stats_.messages;
  return true;
}

Task<CallResult> Channel::call(MethodId method, Payload payload, runtime::Duration timeout) {
  if (closing_) co_return failure(Fate::kNotDone, ErrorCode::kCancelled, "the channel closes");
  if (calls_ >= options_.max_calls ||
      waiting_bytes_ + size_of(payload.slices()) > options_.max_waiting_bytes) {
    STELE_MARK("rpc: too many calls");
    ++stats_.calls_refused;
    co_return failure(Fate::kNotDone, ErrorCode::kUnavailable,
                      "too many calls to node " + std::to_string(to_.value) + " are under way");
  }
  Exchange exchange(*this, method, std::move(payload), runtime_.now() + timeout);
  submit(exchange);
  co_return co_await exchange;
}

void Channel::submit(Exchange& exchange) {
  if (waiting_.empty() && can_send()) return send_call(exchange);
  waiting_.push_back(exchange);
  want();
}

void Channel::send_call(Exchange& exchange) {
  if (exchange.bytes > link_->max_payload()) {
    return exchange.finish(failure(Fate::kNotDone, ErrorCode::kInvalidArgument,
                                   "a request of " + std::to_string(exchange.bytes) +
                                       " bytes is more than node " + std::to_string(to_.value) + " takes"));
  }
  const std::uint32_t slot = take_slot(exchange);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(exchange.deadline - runtime_.now());
  const RequestControl control{
      .call = std::uint64_t(slots_[slot].generation) << 32 | slot,
      .method = exchange.method,
      .timeout_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(left.count(), 0, UINT32_MAX))};
  link_->output().send<RequestControl, kRequestControlBytes>(FrameKind::kRequest, control,
                                                             exchange.payload.slices());
  exchange.payload = {};
  sent_.push_back(exchange);
  ++stats_.calls;
}

void Channel::send_waiting(IntrusiveList<Exchange>& done) {
  while (!waiting_.empty() && can_send()) {
    Exchange& exchange = waiting_.pop_front();
    send_call(exchange);
    if (exchange.await_ready()) done.push_back(exchange);
  }
}

std::uint32_t Channel::take_slot(Exchange& exchange) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  ++slots_[slot].generation;
  slots_[slot].exchange = &exchange;
  exchange.slot = slot;
  waiting_bytes_ -= exchange.bytes;
  return slot;
}

void Channel::release_slot(std::uint32_t slot) {
  slots_[slot].exchange = nullptr;
  free_slots_.push_back(slot);
}

void Channel::on_exchange_left() {
  if (link_) link_->close_if_done();
  // Not at once: this may be within the destructor of its frame.
  if (closing_timer_) runtime_.arm(*closing_timer_, runtime_.now());
}

// ---- what the link hears ---------------------------------------------------------------------------------

void Channel::on_welcome(IntrusiveList<Exchange>& done) {
  up_ = true;
  demanded_ = false;
  up_since_ = runtime_.now();
  ++stats_.connects;
  send_waiting(done);
  if (on_up_) on_up_(link_->peer());
}

bool Channel::take_answer(const ResponseControl& control, const FrameReader& reader, const Frame& frame,
                          IntrusiveList<Exchange>& done) {
  const auto slot = static_cast<std::uint32_t>(control.call);
  const auto generation = static_cast<std::uint32_t>(control.call >> 32);
  if (slot >= slots_.size() || generation > slots_[slot].generation) return false;  // was never asked
  Exchange* const exchange = slots_[slot].exchange;
  if (!exchange || generation != slots_[slot].generation) {
    STELE_MARK("rpc: an answer that nobody waits for");
    ++stats_.late_answers;
    return true;
  }
  ++stats_.answers;
  if (control.status == Status::kOk) {
    exchange->finish(reader.keep_payload(frame));
  } else {
    const Fate fate = control.status == Status::kNotTaken ? Fate::kNotDone : Fate::kAnswered;
    exchange->finish(std::unexpected(CallError{decode_error(frame.payload), fate}));
  }
  done.push_back(*exchange);
  return true;
}

void Channel::on_link_ended(Error why) {
  STELE_ASSERT(link_ && link_->ended());
  const bool was_up = std::exchange(up_, false);
  if (was_up) ++stats_.lost;
  demanded_ = false;
  // Who loses it again and again does not come back at once.
  failures_ = was_up && runtime_.now() - up_since_ >= options_.back_off_max ? 0 : failures_ + 1;
  IntrusiveList<Exchange> done;
  while (!sent_.empty()) {
    Exchange& exchange = sent_.front();
    exchange.finish(failure(Fate::kUnknown, ErrorCode::kClosed,
                            "the connection was lost before the answer came: " + why.message));
    done.push_back(exchange);
  }
  if (was_up && on_down_) on_down_(why);
  last_failure_ = std::move(why);
  if (resume(done)) changed_.wake_all();
}

bool Channel::resume(IntrusiveList<Exchange>& done) {
  bool gone = false;
  bool* const outer = std::exchange(gone_, &gone);
  while (!done.empty()) done.pop_front().resume();
  if (gone) {
    if (outer) *outer = true;
    return false;
  }
  gone_ = outer;
  return true;
}

// ---- connecting ------------------------------------------------------------------------------------------

Task<void> Channel::run() {
  Alarm alarm(changed_);
  while (!scope_.token().stop_requested()) {
    if (!wanted() || closing_) {
      co_await changed_.wait();
      continue;
    }
    co_await connect_once();
    // Twice as long after each failure, and a random part of it, so that nodes do not come all at once.
    const auto full = std::min<runtime::Duration>(options_.back_off * (1LL << std::min(failures_, 20u)),
                                                  options_.back_off_max);
    const runtime::Instant next =
        runtime_.now() + full / 2 +
        runtime::Duration(runtime_.random().below(static_cast<std::uint64_t>(full.count() / 2 + 1)));
    runtime_.arm(alarm, next);
    while (runtime_.now() < next && !address_changed_ && !scope_.token().stop_requested()) {
      co_await changed_.wait();
    }
    runtime_.disarm(alarm);
  }
}

Task<void> Channel::connect_once() {
  address_changed_ = false;
  auto connection =
      co_await runtime::connect(runtime_, options_.dial, address_, options_.connect_timeout, scope_.token());
  if (closing_) co_return;
  if (!connection) {
    ++stats_.connect_failures;
    ++failures_;
    demanded_ = false;
    note("node " + std::to_string(to_.value) + " is not reached: " + connection.error().message);
    last_failure_ = std::move(connection).error();
    co_return;
  }
  link_ = std::make_unique<Link>(*this, *std::move(connection));
  link_->start();
  while (!link_->ended()) co_await changed_.wait();
  link_.reset();
  changed_.wake_all();
}

Task<void> Channel::close(runtime::Duration grace) {
  STELE_ASSERT(!closing_);
  closing_ = true;
  IntrusiveList<Exchange> done;
  while (!waiting_.empty()) {
    Exchange& exchange = waiting_.front();
    exchange.finish(failure(Fate::kNotDone, ErrorCode::kCancelled, "the channel closes"));
    done.push_back(exchange);
  }
  STELE_ASSERT(resume(done));
  Alarm alarm(changed_);
  closing_timer_ = &alarm;
  const runtime::Instant end = runtime_.now() + grace;
  while (up_ && !sent_.empty() && runtime_.now() < end) {
    runtime_.arm(alarm, end);
    co_await changed_.wait();
  }
  closing_timer_ = nullptr;
  if (up_) link_->close();
  if (link_ && !link_->ended() && !up_) link_->end(Error{ErrorCode::kCancelled, "the channel closes"});
  while (link_) co_await changed_.wait();
  scope_.request_stop();
  changed_.wake_all();
  co_await scope_.join();
}

// An unreachable peer is tried again and again: one line in a while.
void Channel::note(const std::string& line) {
  if (runtime_.now() < next_line_) return;
  next_line_ = runtime_.now() + 10s;
  runtime_.log().write(runtime::LogLevel::kWarn, "rpc", line);
}

}  // namespace stele::rpc
