#include "journal/quorum_writer.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::journal {

using storage::LogEntry;

class QuorumWriter::Lane final : public AppendListener, public SpaceListener {
 public:
  Lane(QuorumWriter& owner, std::size_t number, SegmentReplica* at)
      : writer_of_all(owner), index(number), replica(at) {}
  void on_stored(std::uint64_t end) override { writer_of_all.stored(*this, end); }
  void on_append_failed(const Error& why) override { writer_of_all.lane_failed(*this, why); }
  void on_space() override {
    if (!out && !writer) writer_of_all.open(*this);
  }

  QuorumWriter& writer_of_all;
  const std::size_t index;
  SegmentReplica* const replica;
  std::unique_ptr<SegmentWriter> writer;  // null: waits for on_space, or is out
  std::uint64_t end = 0;                  // stored
  bool being_told = false;                // of the segment
  bool out = false;
};

QuorumWriter::QuorumWriter(runtime::Runtime& runtime, const std::vector<SegmentReplica*>& replicas,
                           SegmentId segment, Epoch epoch, AppendListener& listener,
                           QuorumWriterOptions options)
    : runtime_(runtime),
      quorum_(Quorum::of(replicas.size())),
      segment_(segment),
      epoch_(epoch),
      listener_(listener),
      options_(options),
      acks_(quorum_) {
  for (SegmentReplica* replica : replicas)
    lanes_.push_back(std::make_unique<Lane>(*this, lanes_.size(), replica));
  for (const auto& lane : lanes_) {
    if (lane->replica) {
      lane->replica->watch_space(*lane);
      open(*lane);
    } else {
      put_out(*lane);
    }
  }
}

QuorumWriter::~QuorumWriter() = default;

std::size_t QuorumWriter::out() const {
  return static_cast<std::size_t>(std::ranges::count_if(lanes_, [](const auto& lane) { return lane->out; }));
}

void QuorumWriter::append(LogEntry entry) {
  if (failed_) return;
  kept_bytes_ += entry.size();
  for (const auto& lane : lanes_) {
    if (lane->writer) lane->writer->append(entry);
  }
  kept_.push_back(std::move(entry));
  limit_kept();
}

void QuorumWriter::open(Lane& lane) {
  if (failed_) return;
  STELE_ASSERT(lane.end >= kept_from_);  // or it is out
  lane.writer = lane.replica->open_writer(segment_, epoch_, lane.end, lane);
  for (std::size_t i = lane.end - kept_from_; i < kept_.size(); ++i) lane.writer->append(kept_[i]);
  if (acks_.is_lost(lane.index)) note_change();
  acks_.rejoined(lane.index, lane.end);
  if (lane.end == 0 && !std::exchange(lane.being_told, true)) scope_.spawn(make_known(lane));
}

// It has acknowledged nothing to this writer, and there is no other: so nothing of it can be missing.
runtime::Task<void> QuorumWriter::make_known(Lane& lane) {
  while (lane.end == 0 && !lane.out && !failed_) {
    const auto answers =
        co_await lane.replica->fence({{.segment = segment_, .epoch = epoch_, .fresh = true}});
    const Error* why = nullptr;
    if (!answers) {
      why = &answers.error();
    } else if (!answers->at(0)) {
      why = &answers->at(0).error();
    }
    if (why && why->code == ErrorCode::kFenced && !failed_) fail(*why);
    // What else is wrong with the replica its writer will see.
    if (!why || (why->code != ErrorCode::kUnavailable && why->code != ErrorCode::kNoSpace)) break;
    co_await runtime::sleep(runtime_, std::chrono::seconds(1));
  }
  lane.being_told = false;
}

void QuorumWriter::stored(Lane& lane, std::uint64_t end) {
  STELE_ASSERT(end > lane.end && end <= kept_from_ + kept_.size());
  lane.end = end;
  if (acks_.stored(lane.index, end)) runtime_.at_turn_end(*this);
  forget_stored();
}

void QuorumWriter::lane_failed(Lane& lane, const Error& why) {
  lane.writer.reset();
  acks_.lost(lane.index);
  trouble_ = why;
  note_change();
  if (failed_ || why.code == ErrorCode::kUnavailable || why.code == ErrorCode::kNoSpace) {
    STELE_MARK("journal: a replica waits");
    return;
  }
  if (why.code == ErrorCode::kFenced) return fail(why);
  runtime_.log().write(runtime::LogLevel::kWarn, "journal",
                       "segment " + std::to_string(segment_.value) +
                           " goes on without one of its replicas: " + why.to_string());
  put_out(lane);
}

void QuorumWriter::put_out(Lane& lane) {
  STELE_MARK("journal: a replica is out");
  lane.out = true;
  lane.writer.reset();
  acks_.lost(lane.index);
  note_change();
  if (lanes_.size() == quorum_.replicas && lanes_.size() - out() < quorum_.acks && !failed_)
    fail({ErrorCode::kUnavailable,
          "too few replicas of segment " + std::to_string(segment_.value) + " are left"});
  forget_stored();
}

// What all that are not out have stored is needed no longer.
void QuorumWriter::forget_stored() {
  std::uint64_t needed = kept_from_ + kept_.size();
  for (const auto& lane : lanes_) {
    if (!lane->out) needed = std::min(needed, lane->end);
  }
  for (; kept_from_ < needed; ++kept_from_) {
    kept_bytes_ -= kept_.front().size();
    kept_.pop_front();
  }
}

// Who is furthest behind does not come along. What is not committed stays: its owner holds back by itself.
void QuorumWriter::limit_kept() {
  while (kept_bytes_ > options_.max_kept_bytes && !failed_) {
    Lane* slowest = nullptr;
    for (const auto& lane : lanes_) {
      if (!lane->out && (!slowest || lane->end < slowest->end)) slowest = lane.get();
    }
    if (!slowest || slowest->end >= acks_.committed() || lanes_.size() - out() <= quorum_.acks) return;
    STELE_MARK("journal: a replica is too far behind");
    put_out(*slowest);
  }
}

void QuorumWriter::note_change() {
  changed_ = true;
  runtime_.at_turn_end(*this);
}

void QuorumWriter::fail(Error why) {
  STELE_ASSERT(!failed_);
  failed_ = std::move(why);
  runtime_.at_turn_end(*this);
}

// A listener may destroy this: nothing is touched behind the call.
void QuorumWriter::on_turn_end() {
  if (ended_) return;
  // What was committed before the end counts; the listener hears of both, in two steps of one turn.
  if (told_ < acks_.committed()) {
    told_ = acks_.committed();
    if (failed_ || changed_) runtime_.at_turn_end(*this);
    return listener_.on_stored(told_);
  }
  if (failed_) {
    ended_ = true;
    const Error why = *failed_;
    return listener_.on_append_failed(why);
  }
  if (!std::exchange(changed_, false) || !on_change_) return;
  const auto tell = on_change_;  // outlives this
  tell();
}

}  // namespace stele::journal
