#include "journal/client.h"

#include <coroutine>
#include <utility>

#include "base/assert.h"
#include "base/mutants_of_raft.h"
#include "journal/client_impl.h"
#include "journal/server.h"
#include "journal/server_impl.h"

namespace stele::journal {
namespace {

using internal::ClientInbox;
using internal::ServerImpl;
using runtime::Task;
using storage::FenceAnswer;
using storage::FenceRequest;
using storage::LogEntry;
using storage::SegmentInfo;

// A call to the journal core. Both fields are touched on the caller's core only.
template <class T>
struct Call {
  std::optional<Result<T>> value;
  std::coroutine_handle<> waiter;
};

template <class T>
void finish(const std::shared_ptr<Call<T>>& call, Result<T> value) {
  call->value.emplace(std::move(value));
  if (call->waiter) std::exchange(call->waiter, {}).resume();
}

template <class T>
Task<void> serve(ServerImpl& server, Task<Result<T>> work, CoreId back, std::shared_ptr<Call<T>> call) {
  Result<T> value = co_await std::move(work);
  server.runtime().post(
      back, [call = std::move(call), value = std::move(value)]() mutable { finish(call, std::move(value)); });
}

template <class T>
struct CallAwaiter {
  std::shared_ptr<Call<T>> call;
  bool await_ready() const { return call->value.has_value(); }
  void await_suspend(std::coroutine_handle<> waiter) { call->waiter = waiter; }
  Result<T> await_resume() { return *std::move(call->value); }
  ~CallAwaiter() { call->waiter = {}; }
};

std::unexpected<Error> closed() {
  return error(ErrorCode::kClosed, "the journal is closed");
}

// Runs the task that `make` gives on the journal core.
template <class T, class Make>
Task<Result<T>> on_journal_core(runtime::Runtime& here, internal::ServerInbox to, Make make) {
  if (to->core == here.core()) {
    if (!to->reader) co_return closed();
    co_return co_await make(*to->reader);
  }
  auto call = std::make_shared<Call<T>>();
  here.post(to->core, [to, call, make = std::move(make), back = here.core()]() mutable {
    if (!to->reader) {
      to->runtime.post(back, [call = std::move(call)] { finish<T>(call, closed()); });
      return;
    }
    ServerImpl& server = *to->reader;
    server.scope().spawn(serve<T>(server, make(server), back, std::move(call)));
  });
  co_return co_await CallAwaiter<T>{std::move(call)};
}

Task<void> fence_later(ServerImpl& server, std::vector<FenceRequest> requests) {
  (void)co_await server.store().fence_many(std::move(requests));
}

Task<Result<std::vector<Result<FenceAnswer>>>> fence_there(ServerImpl& server,
                                                           std::vector<FenceRequest> requests) {
  if (mutant(mutants::kFenceNotStored)) {
    std::vector<Result<FenceAnswer>> early;
    for (const FenceRequest& request : requests) {
      const auto info = server.store().info(request.segment);
      if (!info || info->fence > request.epoch) break;
      early.emplace_back(FenceAnswer{.begin = info->begin, .end = info->end, .certain = info->certain});
    }
    if (early.size() == requests.size()) {
      server.scope().spawn(fence_later(server, std::move(requests)));
      co_return early;
    }
  }
  auto answers = co_await server.store().fence_many(std::move(requests));
  for (auto& answer : answers) {
    if (!answer) server.note_failure(answer.error());
    if (answer && mutant(mutants::kDamagedTailCertain)) answer->certain = true;
  }
  co_return answers;
}

// Those of segments that no chain has any more would make them known again.
Task<Result<std::vector<Result<FenceAnswer>>>> fence_there_for_peer(ServerImpl& server,
                                                                    std::vector<FenceRequest> requests) {
  std::vector<FenceRequest> asked;
  std::vector<Result<void>> admitted;
  for (const FenceRequest& request : requests) {
    admitted.push_back(server.admitted(request));
    if (admitted.back()) asked.push_back(request);
  }
  std::vector<Result<FenceAnswer>> answers;
  if (!asked.empty()) {
    STELE_CO_TRY(answers, co_await fence_there(server, std::move(asked)));
  }
  for (std::size_t i = 0; i < admitted.size(); ++i) {
    if (admitted[i]) continue;
    Error why = admitted[i].error();
    if (why.code == ErrorCode::kFenced) why.code = ErrorCode::kNotFound;
    answers.insert(answers.begin() + static_cast<std::ptrdiff_t>(i), std::unexpected(std::move(why)));
  }
  co_return answers;
}

Task<Result<std::vector<std::optional<SegmentInfo>>>> describe_there(ServerImpl& server,
                                                                     std::vector<SegmentId> segments) {
  std::vector<std::optional<SegmentInfo>> answer;
  answer.reserve(segments.size());
  for (SegmentId segment : segments) {
    auto info = server.store().info(segment);
    answer.push_back(info ? std::optional(*info) : std::nullopt);
  }
  co_return answer;
}

Task<Result<std::vector<SegmentInfo>>> list_there(ServerImpl& server) {
  co_return server.store().segments();
}

}  // namespace

JournalClient::JournalClient(runtime::Runtime& runtime, const JournalServer& server,
                             JournalClientOptions options)
    : runtime_(runtime),
      disk_(server.store().incarnation()),
      tails_(runtime, options.tail_bytes, options.max_pending_bytes),
      impl_(std::make_unique<internal::ClientImpl>(runtime, server.impl_->inbox())) {}

JournalClient::~JournalClient() = default;

std::unique_ptr<SegmentWriter> JournalClient::open_writer(SegmentId segment, Epoch epoch, std::uint64_t first,
                                                          AppendListener& listener) {
  return impl_->open_writer(segment, epoch, first, listener);
}

Task<Result<std::vector<Result<FenceAnswer>>>> JournalClient::fence(std::vector<FenceRequest> requests) {
  return on_journal_core<std::vector<Result<FenceAnswer>>>(
      runtime_, impl_->server(), [requests = std::move(requests)](ServerImpl& server) mutable {
        return fence_there(server, std::move(requests));
      });
}

Task<Result<std::vector<LogEntry>>> JournalClient::read(SegmentId segment, std::uint64_t index,
                                                        std::size_t max_bytes) {
  return on_journal_core<std::vector<LogEntry>>(runtime_, impl_->server(),
                                                [segment, index, max_bytes](ServerImpl& server) {
                                                  return server.store().read(segment, index, max_bytes);
                                                });
}

Task<Result<std::vector<std::optional<SegmentInfo>>>> JournalClient::describe(
    std::vector<SegmentId> segments) {
  return on_journal_core<std::vector<std::optional<SegmentInfo>>>(
      runtime_, impl_->server(), [segments = std::move(segments)](ServerImpl& server) mutable {
        return describe_there(server, std::move(segments));
      });
}

Task<Result<std::vector<SegmentInfo>>> JournalClient::list() {
  return on_journal_core<std::vector<SegmentInfo>>(runtime_, impl_->server(),
                                                   [](ServerImpl& server) { return list_there(server); });
}

void JournalClient::trim(SegmentId segment, std::uint64_t below) {
  runtime_.post(impl_->server()->core, [server = impl_->server(), segment, below] {
    if (server->reader) server->reader->store().trim(segment, below);
  });
}

void JournalClient::remove(std::vector<SegmentId> segments) {
  runtime_.post(impl_->server()->core, [server = impl_->server(), segments = std::move(segments)] {
    if (!server->reader) return;
    for (SegmentId segment : segments) server->reader->remove(segment);
  });
}

void JournalClient::append_for_peer(SegmentId segment, Epoch epoch, std::uint64_t first,
                                    std::vector<LogEntry> entries,
                                    std::move_only_function<void(Result<std::uint64_t>)> done) {
  internal::AppendBatch batch;
  batch.segment = segment;
  batch.epoch = epoch;
  batch.first = first;
  for (const LogEntry& entry : entries) batch.bytes += entry.size();
  batch.entries = std::move(entries);
  impl_->append_for_peer(std::move(batch), std::move(done));
}

Task<Result<std::vector<Result<FenceAnswer>>>> JournalClient::fence_for_peer(
    std::vector<FenceRequest> requests) {
  return on_journal_core<std::vector<Result<FenceAnswer>>>(
      runtime_, impl_->server(), [requests = std::move(requests)](ServerImpl& server) mutable {
        return fence_there_for_peer(server, std::move(requests));
      });
}

void JournalClient::admit(SegmentAdmission admission) {
  runtime_.post(impl_->server()->core,
                [server = impl_->server(), admission = std::move(admission)]() mutable {
                  if (server->reader) server->reader->admit(std::move(admission));
                });
}

bool JournalClient::has_space() const {
  return impl_->has_space();
}

void JournalClient::watch_space(SpaceListener& listener) {
  impl_->watch_space(listener);
}

}  // namespace stele::journal
