#include "journal/server.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "journal/server_impl.h"

namespace stele::journal {
namespace internal {

using runtime::Task;

ServerImpl::ServerImpl(runtime::Runtime& runtime, JournalOptions options,
                       std::unique_ptr<storage::SegmentStore> store)
    : runtime_(runtime),
      options_(std::move(options)),
      inbox_(std::make_shared<Inbox<ServerImpl>>(runtime, this)),
      store_(std::move(store)) {}

ServerImpl::~ServerImpl() {
  inbox_->reader = nullptr;
}

JournalStats ServerImpl::stats() const {
  JournalStats stats = stats_;
  stats.has_space = space_ == Space::kThere;
  return stats;
}

void ServerImpl::attach(ClientInbox client) {
  peers_.push_back({std::move(client), {}});
  if (space_ != Space::kThere) tell_space(peers_.back().client);
}

void ServerImpl::detach(const ClientInbox& client) {
  std::erase_if(peers_, [&](const Peer& peer) { return peer.client == client; });
}

void ServerImpl::submit(const ClientInbox& from, std::vector<AppendBatch> batches) {
  if (from->core != inbox_->core) ++stats_.posts_in;
  for (AppendBatch& batch : batches) {
    ++stats_.batches;
    const bool fits = in_flight_ == 0 || in_flight_bytes_ + batch.bytes <= options_.max_in_flight_bytes;
    if (held_.empty() && fits) {
      submit(from, std::move(batch));
    } else {
      ++stats_.held_batches;
      held_.push_back({from, std::move(batch)});
    }
  }
}

void ServerImpl::submit(const ClientInbox& from, AppendBatch batch) {
  if (auto fine = check(batch); !fine) return refuse(from, batch, std::move(fine.error()));
  if (batch.of_peer && cut_repeated(from, batch)) return;
  ++in_flight_;
  in_flight_bytes_ += batch.bytes;
  AppendAnswer answer{.writer = batch.writer, .end = batch.end(), .error = std::nullopt};
  store_->append(batch.segment, batch.epoch, batch.first, std::move(batch.entries),
                 [this, from, answer = std::move(answer), bytes = batch.bytes](Result<void> result) mutable {
                   stored(from, std::move(answer), bytes, std::move(result));
                 });
}

Result<void> ServerImpl::check(const AppendBatch& batch) const {
  if (closing_) return error(ErrorCode::kClosed, "the journal is closing");
  if (space_ == Space::kGone) return error(ErrorCode::kNoSpace, "the disk of the journal is full");
  if (batch.of_peer) STELE_CHECK(admitted(batch.segment));
  if (batch.first == 0) return {};
  const auto info = store_->info(batch.segment);
  if (!info) return std::unexpected(info.error().with_context("append to a segment"));
  if (info->fence <= batch.epoch && info->end < batch.first) {
    STELE_MARK("journal: append behind a gap");
    return error(ErrorCode::kUnavailable, "an append before this one was not stored");
  }
  return {};
}

Result<void> ServerImpl::admitted(SegmentId segment) const {
  if (store_->info(segment)) return {};
  const std::string name = "segment " + std::to_string(segment.value);
  if (!admission_)
    return error(ErrorCode::kUnavailable, name + " is not known, and the node is not ready yet");
  if (admission_->may_begin(segment)) return {};
  STELE_MARK("journal: segment of no chain refused");
  return error(ErrorCode::kFenced, "no chain has " + name + " any more");
}

namespace {
constexpr std::size_t kMaxRemovedFences = 1 << 16;
}

// A segment that was removed here may come back, by who copies it: its fence says in which epoch. It is as
// if it had never been removed then, and had lost its entries; a fence of its own writer, which would take it
// for a new one, is not enough.
Result<void> ServerImpl::admitted(const storage::FenceRequest& request) const {
  auto may = admitted(request.segment);
  if (may || request.fresh || mutant(mutants::kRemovedForGood)) return may;
  const auto removed = removed_fences_.find(request.segment);
  if (removed == removed_fences_.end() || request.epoch < removed->second) return may;
  STELE_MARK("journal: a removed segment comes back");
  return {};
}

void ServerImpl::remove(SegmentId segment) {
  if (const auto info = store_->info(segment)) {
    Epoch& fence = removed_fences_[segment];
    fence = std::max(fence, info->fence);
    // Whoever is forgotten does not come back: its copies go to another node.
    while (removed_fences_.size() > kMaxRemovedFences) removed_fences_.erase(removed_fences_.begin());
  }
  store_->remove(segment);
  if (admission_) admission_->removed(segment);
}

// Takes away what the segment has already. True: that was all, and it is answered once it is stored.
bool ServerImpl::cut_repeated(const ClientInbox& from, AppendBatch& batch) {
  const auto info = store_->info(batch.segment);
  if (!info || info->fence > batch.epoch || info->end <= batch.first) return false;
  STELE_MARK("journal: a peer's append repeated");
  const std::uint64_t end = batch.end();
  const auto there = batch.entries.begin() +
                     static_cast<std::ptrdiff_t>(std::min(info->end - batch.first, end - batch.first));
  for (auto entry = batch.entries.begin(); entry != there; ++entry) batch.bytes -= entry->size();
  batch.entries.erase(batch.entries.begin(), there);
  batch.first = end - batch.entries.size();
  // What is stored behind it is answered behind it.
  if (!batch.entries.empty()) return false;
  scope_.spawn(confirm(from, {.writer = batch.writer, .end = end, .error = std::nullopt},
                       {batch.segment, batch.epoch}));
  return true;
}

// A fence is answered when everything before it is stored.
Task<void> ServerImpl::confirm(ClientInbox from, AppendAnswer answer, storage::FenceRequest request) {
  const auto fenced = co_await store_->fence(request.segment, request.epoch);
  if (!fenced) {
    note_failure(fenced.error());
    answer.error = fenced.error();
  } else if (fenced->end < answer.end) {
    answer.error = Error{ErrorCode::kUnavailable, "an append before this one was not stored"};
  }
  this->answer(from, std::move(answer));
}

void ServerImpl::stored(const ClientInbox& from, AppendAnswer answer, std::size_t bytes,
                        Result<void> result) {
  STELE_ASSERT(in_flight_ > 0 && in_flight_bytes_ >= bytes);
  --in_flight_;
  in_flight_bytes_ -= bytes;
  if (result) {
    if (space_ == Space::kProbed) set_space(Space::kThere);
  } else {
    ++stats_.refused_batches;
    const ErrorCode code = result.error().code;
    if (code == ErrorCode::kNoSpace || code == ErrorCode::kUnavailable) no_space(result.error());
    note_failure(result.error());
    answer.error = std::move(result.error());
  }
  this->answer(from, std::move(answer));
  submit_held();
}

void ServerImpl::note_failure(const Error& why) {
  if (!store_->failed() || std::exchange(failed_, true)) return;
  STELE_MARK("journal: the store gave up");
  failure_ = why;
  runtime_.at_turn_end(*this);
}

void ServerImpl::submit_held() {
  while (!held_.empty()) {
    const std::size_t bytes = held_.front().batch.bytes;
    if (in_flight_ > 0 && in_flight_bytes_ + bytes > options_.max_in_flight_bytes) return;
    Held next = std::move(held_.front());
    held_.pop_front();
    submit(next.from, std::move(next.batch));
  }
}

void ServerImpl::refuse(const ClientInbox& to, const AppendBatch& batch, Error why) {
  ++stats_.refused_batches;
  answer(to, {.writer = batch.writer, .end = batch.first, .error = std::move(why)});
}

void ServerImpl::answer(const ClientInbox& to, AppendAnswer answer) {
  auto peer = std::find_if(peers_.begin(), peers_.end(), [&](const Peer& p) { return p.client == to; });
  if (peer == peers_.end()) return;  // gone
  peer->answers.push_back(std::move(answer));
  runtime_.at_turn_end(*this);
}

void ServerImpl::on_turn_end() {
  const ServerInbox self = inbox_;  // what is called here may close the journal
  if (failure_) {
    const Error why = *std::exchange(failure_, std::nullopt);
    if (options_.on_failure) options_.on_failure(why);
    if (!self->reader) return;
  }
  std::vector<Peer> answered;
  for (Peer& peer : peers_) {
    if (!peer.answers.empty()) answered.push_back({peer.client, std::exchange(peer.answers, {})});
  }
  for (Peer& peer : answered) {
    if (peer.client->core == self->core) {
      if (peer.client->reader) peer.client->reader->deliver(std::move(peer.answers));
      continue;
    }
    if (self->reader) ++stats_.posts_out;
    self->runtime.post(peer.client->core,
                       [client = peer.client, answers = std::move(peer.answers)]() mutable {
                         if (client->reader) client->reader->deliver(std::move(answers));
                       });
  }
}

// ---- room on the disk -----------------------------------------------------------------------------------

void ServerImpl::no_space(const Error& why) {
  if (space_ == Space::kGone) return;
  if (space_ == Space::kThere) {
    STELE_MARK("journal: disk full");
    runtime_.log().write(runtime::LogLevel::kError, "journal",
                         "writes are refused until there is room: " + why.to_string());
  }
  set_space(Space::kGone);
}

void ServerImpl::set_space(Space space) {
  STELE_ASSERT(space != space_);
  space_ = space;
  if (space_ == Space::kThere) {
    STELE_MARK("journal: room on the disk again");
    runtime_.log().write(runtime::LogLevel::kInfo, "journal", "there is room on the disk again");
    runtime_.disarm(*this);
  } else {
    runtime_.arm(*this, runtime_.now() + options_.space_retry);
  }
  for (const Peer& peer : peers_) tell_space(peer.client);
}

// Always by post: it comes up in the middle of other work, and clients act on it.
void ServerImpl::tell_space(const ClientInbox& client) const {
  runtime_.post(client->core, [client, there = space_ == Space::kThere, retry = space_ == Space::kProbed] {
    if (client->reader) client->reader->space(there, retry);
  });
}

void ServerImpl::on_timer() {
  // Nobody had anything to try with: the next append will show.
  if (space_ == Space::kProbed && in_flight_ == 0) return set_space(Space::kThere);
  if (space_ == Space::kGone) return set_space(Space::kProbed);
  runtime_.arm(*this, runtime_.now() + options_.space_retry);
}

Task<Result<void>> ServerImpl::close() {
  closing_ = true;
  runtime_.disarm(*this);
  for (Held& held : std::exchange(held_, {}))
    refuse(held.from, held.batch, {ErrorCode::kClosed, "the journal is closing"});
  co_await scope_.join();
  auto closed = co_await store_->close();
  inbox_->reader = nullptr;
  co_return closed;
}

}  // namespace internal

JournalServer::JournalServer(std::unique_ptr<internal::ServerImpl> impl) : impl_(std::move(impl)) {}
JournalServer::~JournalServer() = default;

runtime::Task<Result<std::unique_ptr<JournalServer>>> JournalServer::open(runtime::Runtime& journal_core,
                                                                          JournalOptions options) {
  // What the store refused for want of room in its queue would be answered behind appends of the same writer
  // that it took and has not stored: a writer that then begins anew does so at an end that is none any more.
  options.store.max_pending_bytes =
      std::max<std::uint64_t>(options.store.max_pending_bytes, options.max_in_flight_bytes);
  STELE_CO_TRY(auto store, co_await storage::SegmentStore::open(journal_core, options.store));
  auto impl = std::make_unique<internal::ServerImpl>(journal_core, std::move(options), std::move(store));
  co_return std::unique_ptr<JournalServer>(new JournalServer(std::move(impl)));
}

runtime::Task<Result<void>> JournalServer::close() {
  return impl_->close();
}

const storage::SegmentStore& JournalServer::store() const {
  return impl_->store();
}

JournalStats JournalServer::stats() const {
  return impl_->stats();
}

}  // namespace stele::journal
