#include "journal/remote_replica.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/fifo.h"
#include "base/marks.h"
#include "journal/replica_codec.h"

namespace stele::journal {

using runtime::Task;
using storage::FenceAnswer;
using storage::LogEntry;
using storage::SegmentInfo;

namespace {

// What a failed call means to who uses the replica: the peer's own word, or that it is not to be had now.
Error told_by(NodeId node, const rpc::CallError& failure) {
  Error why = failure;
  const bool final = failure.code == ErrorCode::kInvalidArgument || failure.code == ErrorCode::kUnsupported ||
                     failure.code == ErrorCode::kCancelled;
  // A journal that closes has a successor.
  if (failure.fate == rpc::Fate::kAnswered ? why.code == ErrorCode::kClosed : !final)
    why.code = ErrorCode::kUnavailable;
  if (why.code == ErrorCode::kCancelled) why.code = ErrorCode::kClosed;
  return why.with_context("journal of node " + std::to_string(node.value));
}

template <class Answer>
Task<Result<Answer>> ask(rpc::Channel& channel, rpc::MethodId method, rpc::Payload payload,
                         runtime::Duration timeout) {
  const rpc::CallResult answer = co_await channel.call(method, std::move(payload), timeout);
  if (!answer) co_return std::unexpected(told_by(channel.to(), answer.error()));
  co_return wire::decode<Answer>(*answer);
}

// An answer to another question than was asked.
std::unexpected<Error> senseless(NodeId node) {
  return error(ErrorCode::kMalformed,
               "journal of node " + std::to_string(node.value) + " answers what was not asked");
}

}  // namespace

// ---- Writer ---------------------------------------------------------------------------------------------

class RemoteReplica::Writer final : public SegmentWriter {
 public:
  Writer(RemoteReplica& replica, SegmentId segment, Epoch epoch, std::uint64_t first,
         AppendListener& listener)
      : replica_(replica),
        segment_(segment),
        epoch_(epoch),
        listener_(listener),
        number_(replica.next_writer_++),
        next_(first),
        told_(first),
        stored_(first) {
    replica_.writers_[number_] = this;
  }
  ~Writer() override {
    replica_.writers_.erase(number_);
    replica_.in_flight_bytes_ -= in_flight_bytes_;
    // Others may have waited for that.
    if (in_flight_bytes_ > 0) replica_.runtime_.at_turn_end(replica_);
  }

  void append(LogEntry entry) override {
    if (failed_) return;
    held_bytes_ += entry.size();
    waiting_.push_back(std::move(entry));
    if (held_bytes_ > replica_.options_.max_held_bytes) {
      STELE_MARK("journal: replica too slow");
      ++replica_.stats_.writers_too_slow;
      fail({ErrorCode::kUnavailable, "node " + std::to_string(replica_.node().value) + " is too slow: " +
                                         std::to_string(held_bytes_) + " bytes are not stored there"});
    }
    replica_.touch(*this);
  }

  bool wants_to_send() const { return !failed_ && !waiting_.empty(); }
  void send_batch();
  // The listener may destroy this.
  void tell();

 private:
  friend class RemoteReplica;
  Task<void> send(std::vector<LogEntry> entries, std::uint64_t first, std::size_t bytes);
  void fail(Error why);

  RemoteReplica& replica_;
  const SegmentId segment_;
  const Epoch epoch_;
  AppendListener& listener_;
  const std::uint64_t number_;
  Fifo<LogEntry> waiting_;
  std::uint64_t next_;               // index of the first of these
  std::size_t held_bytes_ = 0;       // waiting, and sent and not answered
  std::size_t in_flight_bytes_ = 0;  // sent and not answered
  std::uint64_t told_;               // to the listener
  std::uint64_t stored_;
  std::optional<Error> failed_;
  bool ended_ = false;    // the listener has heard of it
  bool touched_ = false;  // is in the replica's list
  runtime::Scope scope_;  // last: its tasks use all of the above
};

void RemoteReplica::Writer::send_batch() {
  STELE_ASSERT(wants_to_send());
  std::vector<LogEntry> entries;
  std::size_t bytes = 0;
  while (!waiting_.empty() &&
         (bytes == 0 || bytes + waiting_.front().size() <= replica_.options_.max_batch_bytes)) {
    bytes += waiting_.front().size();
    entries.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  const std::uint64_t first = next_;
  next_ += entries.size();
  in_flight_bytes_ += bytes;
  replica_.in_flight_bytes_ += bytes;
  ++replica_.stats_.batches;
  scope_.spawn(send(std::move(entries), first, bytes));
}

Task<void> RemoteReplica::Writer::send(std::vector<LogEntry> entries, std::uint64_t first,
                                       std::size_t bytes) {
  const std::uint64_t end = first + entries.size();
  wire::Append append{.disk = replica_.which_.disk,
                      .segment = segment_,
                      .epoch = epoch_,
                      .first = first,
                      .entries = std::move(entries)};
  rpc::Payload payload(wire::encode(append));
  append.entries.clear();
  const auto answer = co_await ask<wire::Stored>(replica_.channel_, wire::kAppend, std::move(payload),
                                                 replica_.options_.timeout);
  in_flight_bytes_ -= bytes;
  replica_.in_flight_bytes_ -= bytes;
  held_bytes_ -= bytes;
  replica_.touch(*this);
  if (failed_) co_return;
  if (!answer) {
    fail(answer.error());
  } else if (answer->end != end) {
    fail(senseless(replica_.node()).error());
  } else {
    // Answers may overtake each other; each is true of all before it.
    stored_ = std::max(stored_, end);
  }
}

void RemoteReplica::Writer::fail(Error why) {
  STELE_ASSERT(!failed_);
  ++replica_.stats_.writers_failed;
  replica_.refused(why);
  failed_ = std::move(why);
  waiting_ = {};
}

void RemoteReplica::Writer::tell() {
  const std::weak_ptr<int> alive = replica_.alive_;
  RemoteReplica& replica = replica_;
  const std::uint64_t number = number_;
  if (told_ < stored_) {
    told_ = stored_;
    listener_.on_stored(stored_);
    if (alive.expired() || !replica.writers_.contains(number)) return;
  }
  if (failed_ && !std::exchange(ended_, true)) {
    const Error why = *failed_;
    listener_.on_append_failed(why);
  }
}

// ---- RemoteReplica --------------------------------------------------------------------------------------

RemoteReplica::RemoteReplica(runtime::Runtime& runtime, rpc::Channel& channel, meta::Replica which,
                             RemoteReplicaOptions options)
    : runtime_(runtime), channel_(channel), which_(which), options_(options) {
  STELE_ASSERT(channel.to() == which.node);
}

RemoteReplica::~RemoteReplica() {
  STELE_ASSERT(writers_.empty());
}

std::unique_ptr<SegmentWriter> RemoteReplica::open_writer(SegmentId segment, Epoch epoch, std::uint64_t first,
                                                          AppendListener& listener) {
  return std::make_unique<Writer>(*this, segment, epoch, first, listener);
}

void RemoteReplica::touch(Writer& writer) {
  if (!std::exchange(writer.touched_, true)) touched_.push_back(writer.number_);
  runtime_.at_turn_end(*this);
}

void RemoteReplica::on_turn_end() {
  const std::weak_ptr<int> alive = alive_;
  send();
  tell_writers();
  if (!alive.expired()) tell_space();
}

// A batch of each in turn, so that one shard's flood does not shut the others out.
void RemoteReplica::send() {
  bool sent = true;
  while (std::exchange(sent, false)) {
    for (const auto& [number, writer] : writers_) {
      if (!writer->wants_to_send()) continue;
      if (in_flight_bytes_ > 0 && in_flight_bytes_ >= options_.max_in_flight_bytes) return;
      writer->send_batch();
      sent = true;
    }
  }
}

void RemoteReplica::tell_writers() {
  const std::weak_ptr<int> alive = alive_;
  for (const std::uint64_t number : std::exchange(touched_, {})) {
    auto found = writers_.find(number);
    if (found == writers_.end()) continue;
    found->second->touched_ = false;
    found->second->tell();
    if (alive.expired()) return;
  }
}

void RemoteReplica::tell_space() {
  if (!std::exchange(space_again_, false)) return;
  const std::weak_ptr<int> alive = alive_;
  IntrusiveList<SpaceListener, SpaceListenerTag> now;
  while (!watchers_.empty()) now.push_back(watchers_.pop_front());
  while (!now.empty()) {
    SpaceListener& watcher = now.pop_front();
    watchers_.push_back(watcher);
    watcher.on_space();
    if (alive.expired()) return;
  }
}

void RemoteReplica::refused(const Error& why) {
  if (why.code != ErrorCode::kNoSpace && why.code != ErrorCode::kUnavailable) return;
  if (!std::exchange(probing_, true)) scope_.spawn(probe());
}

// Until it says that it has room, or what will never change.
Task<void> RemoteReplica::probe() {
  while (true) {
    co_await runtime::sleep(runtime_, options_.probe);
    const auto answer = co_await ask<wire::StatusAnswer>(
        channel_, wire::kStatus, wire::encode(wire::Status{which_.disk}), options_.timeout);
    if (answer ? answer->has_space : answer.error().code != ErrorCode::kUnavailable) break;
  }
  probing_ = false;
  space_again_ = true;
  runtime_.at_turn_end(*this);
}

Task<Result<std::vector<Result<FenceAnswer>>>> RemoteReplica::fence(
    std::vector<storage::FenceRequest> requests) {
  const std::size_t count = requests.size();
  STELE_CO_TRY(auto answer,
               co_await ask<wire::FenceAnswers>(channel_, wire::kFence,
                                                wire::encode(wire::Fence{which_.disk, std::move(requests)}),
                                                options_.timeout));
  if (answer.answers.size() != count) co_return senseless(node());
  co_return std::move(answer.answers);
}

// Whoever reads on goes to another one first, until this one is reached again.
Task<Result<std::vector<LogEntry>>> RemoteReplica::read(SegmentId segment, std::uint64_t index,
                                                        std::size_t max_bytes) {
  const auto max = static_cast<std::uint32_t>(std::min<std::size_t>(max_bytes, UINT32_MAX));
  const std::weak_ptr<int> alive = alive_;
  auto answer = co_await ask<wire::Entries>(
      channel_, wire::kRead, wire::encode(wire::Read{which_.disk, segment, index, max}), options_.timeout);
  if (answer) co_return std::move(answer->entries);
  if (!alive.expired()) refused(answer.error());
  co_return std::unexpected(std::move(answer).error());
}

Task<Result<std::vector<std::optional<SegmentInfo>>>> RemoteReplica::describe(
    std::vector<SegmentId> segments) {
  const std::size_t count = segments.size();
  STELE_CO_TRY(auto answer,
               co_await ask<wire::Descriptions>(
                   channel_, wire::kDescribe, wire::encode(wire::Describe{which_.disk, std::move(segments)}),
                   options_.timeout));
  if (answer.segments.size() != count) co_return senseless(node());
  co_return std::move(answer.segments);
}

Task<Result<std::vector<SegmentInfo>>> RemoteReplica::list() {
  std::vector<SegmentInfo> all;
  std::optional<SegmentId> after;
  while (true) {
    STELE_CO_TRY(auto answer,
                 co_await ask<wire::Listed>(channel_, wire::kList,
                                            wire::encode(wire::List{which_.disk, after, UINT32_MAX}),
                                            options_.timeout));
    for (const SegmentInfo& info : answer.segments) {
      if (after && info.id <= *after) co_return senseless(node());
      after = info.id;
      all.push_back(info);
    }
    if (!answer.more) co_return all;
    if (answer.segments.empty()) co_return senseless(node());
  }
}

void RemoteReplica::trim(SegmentId segment, std::uint64_t below) {
  const Bytes message = wire::encode(wire::Trim{which_.disk, segment, below});
  channel_.send(wire::kTrim, {&message, 1});
}

void RemoteReplica::remove(std::vector<SegmentId> segments) {
  const Bytes message = wire::encode(wire::Remove{which_.disk, std::move(segments)});
  channel_.send(wire::kRemove, {&message, 1});
}

}  // namespace stele::journal
