// Opening a connection: resolve the name, send SYN until somebody answers, hand the connection over.
#include <algorithm>
#include <chrono>
#include <coroutine>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "sim/member_event.h"
#include "sim/network.h"
#include "sim/process.h"
#include "sim/stream.h"

namespace stele::sim {
namespace {

using ConnectResult = Result<std::unique_ptr<runtime::Connection>>;

class Connecting {
 public:
  Connecting(Core& core, runtime::Endpoint to, Duration timeout, runtime::StopToken stop)
      : core_(core),
        to_(std::move(to)),
        timeout_(timeout),
        stop_(std::move(stop)),
        step_(EventKind::kConnect, core.subject(), *this),
        timer_(EventKind::kTimeout, core.subject(), *this),
        ready_(*this) {}
  Connecting(const Connecting&) = delete;
  ~Connecting() {
    if (stream_ && core_.alive()) stream_->client().release();
  }

  bool await_ready() {
    if (stop_.stop_requested()) {
      fails(ErrorCode::kCancelled, "asked to stop");
    } else if (timeout_ <= Duration(0)) {
      fails(ErrorCode::kTimedOut, "no time to do it");
    }
    return failure_.has_value() && core_.alive();
  }
  void await_suspend(std::coroutine_handle<> waiter) {
    if (!core_.alive()) return;
    waiter_ = waiter;
    World& world = core_.world();
    if (timeout_ < kEndOfTime - world.now()) world.schedule_after(timer_, timeout_);
    on_stop_.emplace(stop_, [this] { give_up(ErrorCode::kCancelled, "asked to stop"); });
    if (Fabric::is_address(to_.host)) {
      resolve();
    } else {
      next_ = Next::kResolve;
      world.schedule_after(step_, world.config().network.resolve.draw(world.random(Concern::kNetwork)));
    }
  }
  // The connection is obtained in the turn in which its task goes on.
  ConnectResult await_resume() {
    if (failure_) return std::unexpected(*std::move(failure_));
    return std::exchange(stream_, nullptr)->client().make_connection();
  }

 private:
  enum class Next : std::uint8_t { kResolve, kSyn, kAnswer, kRefused };

  void fails(ErrorCode code, std::string_view why) {
    failure_ = Error{code, "connecting to " + to_.to_string() + ": " + std::string(why)};
  }
  // Not from within its caller: in a later turn.
  void give_up(ErrorCode code, std::string_view why) {
    if (done_) return;
    fails(code, why);
    finish();
  }
  void finish() {
    done_ = true;
    step_.cancel();
    timer_.cancel();
    if (failure_ && stream_) std::exchange(stream_, nullptr)->client().release();
    core_.make_ready(ready_);
  }
  void times_out() { give_up(ErrorCode::kTimedOut, "no answer in time"); }
  void deliver() { waiter_.resume(); }

  Fabric& fabric() { return core_.world().fabric(); }
  void step() {
    switch (next_) {
      case Next::kResolve:
        return resolve();
      case Next::kSyn:
        return syn_arrives();
      case Next::kAnswer:
        return answer_arrives();
      case Next::kRefused:
        return give_up(ErrorCode::kRefused, "refused");
    }
  }
  void resolve() {
    auto target = fabric().resolve(core_.host(), to_.host);
    if (!target) return give_up(target.error().code, target.error().message);
    target_ = *std::move(target);
    const Duration takes = fabric().latency(core_.host(), *target_->host);
    go_on(Next::kSyn, takes + fabric().connecting_takes(*target_->host));
  }
  void go_on(Next next, Duration after) {
    next_ = next;
    core_.world().schedule_after(step_, after);
  }
  // Sent again a second later, two, four …
  void try_again(Next next) {
    retry_after_ = std::min(retry_after_ * 2, Duration(std::chrono::seconds(64)));
    go_on(next, retry_after_ / 2 + fabric().latency(core_.host(), *target_->host));
  }
  void syn_arrives() {
    Host& server = *target_->host;
    if (!fabric().path_open(core_.host(), server)) return try_again(Next::kSyn);
    ListenerOfCore* listener = fabric().listener_at(*target_, to_.port);
    if (!listener) return go_on(Next::kRefused, fabric().latency(server, core_.host()));
    const bool told_full = fabric().backlog_full(server);
    if (told_full) ++fabric().count().unanswered;
    if (told_full || listener->full()) {
      STELE_MARK("sim: a full backlog drops a connection attempt");
      return try_again(Next::kSyn);
    }
    stream_ = fabric().make_stream(core_, *target_, to_.port);
    listener->enqueue(stream_);
    go_on(Next::kAnswer, fabric().latency(server, core_.host()));
  }
  void answer_arrives() {
    if (!fabric().path_open(*target_->host, core_.host())) return try_again(Next::kAnswer);
    finish();
  }

  Core& core_;
  const runtime::Endpoint to_;
  const Duration timeout_;
  const runtime::StopToken stop_;
  std::coroutine_handle<> waiter_;
  std::optional<runtime::StopCallback> on_stop_;
  std::optional<Fabric::Target> target_;
  std::shared_ptr<Stream> stream_;
  std::optional<Error> failure_;
  Next next_ = Next::kResolve;
  Duration retry_after_ = std::chrono::seconds(1);
  bool done_ = false;
  MemberEvent<Connecting, &Connecting::step> step_;
  MemberEvent<Connecting, &Connecting::times_out> timer_;
  MemberReady<Connecting, &Connecting::deliver> ready_;
};

}  // namespace

Result<std::unique_ptr<runtime::Listener>> NetworkOfCore::listen(const runtime::Endpoint& at,
                                                                 runtime::ListenOptions options,
                                                                 runtime::AcceptHandler& handler) {
  if (!core_.alive()) return error(ErrorCode::kUnavailable, "the process has crashed");
  return core_.world().fabric().listen(core_, at, options, handler);
}

runtime::Task<ConnectResult> NetworkOfCore::connect(runtime::Endpoint to, Duration timeout,
                                                    runtime::StopToken stop) {
  co_return co_await Connecting(core_, std::move(to), timeout, std::move(stop));
}

}  // namespace stele::sim
