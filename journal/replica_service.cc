#include "journal/replica_service.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/marks.h"
#include "journal/replica_codec.h"

namespace stele::journal {
namespace {

using rpc::Payload;
using rpc::Request;
using rpc::Responder;
using runtime::Task;

// An answer stays far below what a channel takes, and so does what it needs in memory.
constexpr std::uint32_t kMaxReadBytes = 4 << 20;
constexpr std::uint32_t kMaxListed = 10'000;

// What was asked for, if it is this disk that was asked.
template <class T>
Result<T> asked(const Bytes& payload, const JournalClient& journal) {
  STELE_TRY(T what, wire::decode<T>(payload));
  if (what.disk != journal.disk()) {
    STELE_MARK("journal: another disk was meant");
    return error(ErrorCode::kNotFound, "this node has disk " + std::to_string(journal.disk()) +
                                           ", and disk " + std::to_string(what.disk) + " was asked for");
  }
  return what;
}

}  // namespace

ReplicaService::ReplicaService(rpc::Server& server, JournalClient& journal) : journal_(journal) {
  server.on_request(wire::kAppend, [this](Request request, Responder responder) {
    append(std::move(request), std::move(responder));
  });
  server.on_request(wire::kStatus,
                    [this](Request request, Responder responder) { status(request, std::move(responder)); });
  server.serve(wire::kFence, [this](Request request) { return fence(journal_, std::move(request)); });
  server.serve(wire::kRead, [this](Request request) { return read(journal_, std::move(request)); });
  server.serve(wire::kDescribe, [this](Request request) { return describe(journal_, std::move(request)); });
  server.serve(wire::kList, [this](Request request) { return list(journal_, std::move(request)); });
  server.on_message(wire::kTrim, [this](const rpc::Peer&, const Bytes& message) { trim(message); });
  server.on_message(wire::kRemove, [this](const rpc::Peer&, const Bytes& message) { remove(message); });
}

void ReplicaService::append(Request request, Responder responder) {
  auto append = asked<wire::Append>(request.payload, journal_);
  if (!append) return responder.fail(append.error());
  journal_.append_for_peer(append->segment, append->epoch, append->first, std::move(append->entries),
                           [responder = std::move(responder)](Result<std::uint64_t> end) mutable {
                             if (!end) return responder.fail(end.error());
                             responder.answer(wire::encode(wire::Stored{*end}));
                           });
}

void ReplicaService::status(const Request& request, Responder responder) const {
  if (auto status = asked<wire::Status>(request.payload, journal_); !status)
    return responder.fail(status.error());
  responder.answer(wire::encode(wire::StatusAnswer{journal_.has_space()}));
}

void ReplicaService::trim(const Bytes& message) {
  if (auto trim = asked<wire::Trim>(message, journal_)) journal_.trim(trim->segment, trim->below);
}

void ReplicaService::remove(const Bytes& message) {
  if (auto remove = asked<wire::Remove>(message, journal_)) journal_.remove(std::move(remove->segments));
}

Task<Result<Payload>> ReplicaService::fence(JournalClient& journal, Request request) {
  STELE_CO_TRY(auto fence, asked<wire::Fence>(request.payload, journal));
  STELE_CO_TRY(auto answers, co_await journal.fence_for_peer(std::move(fence.requests)));
  co_return Payload(wire::encode(wire::FenceAnswers{std::move(answers)}));
}

Task<Result<Payload>> ReplicaService::read(JournalClient& journal, Request request) {
  STELE_CO_TRY(auto read, asked<wire::Read>(request.payload, journal));
  STELE_CO_TRY(auto entries, co_await journal.read(read.segment, read.index,
                                                   std::min<std::size_t>(read.max_bytes, kMaxReadBytes)));
  co_return Payload(wire::encode(wire::Entries{std::move(entries)}));
}

Task<Result<Payload>> ReplicaService::describe(JournalClient& journal, Request request) {
  STELE_CO_TRY(auto describe, asked<wire::Describe>(request.payload, journal));
  STELE_CO_TRY(auto infos, co_await journal.describe(std::move(describe.segments)));
  co_return Payload(wire::encode(wire::Descriptions{std::move(infos)}));
}

Task<Result<Payload>> ReplicaService::list(JournalClient& journal, Request request) {
  STELE_CO_TRY(auto list, asked<wire::List>(request.payload, journal));
  STELE_CO_TRY(auto infos, co_await journal.list());
  const std::size_t limit = std::clamp<std::uint32_t>(list.limit, 1, kMaxListed);
  wire::Listed listed;
  for (storage::SegmentInfo& info : infos) {  // in order of their ids
    if (list.after && info.id <= *list.after) continue;
    listed.more = listed.segments.size() == limit;
    if (listed.more) break;
    listed.segments.push_back(info);
  }
  co_return Payload(wire::encode(listed));
}

}  // namespace stele::journal
