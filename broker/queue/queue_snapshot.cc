// A queue's state as records of a snapshot, and back. A record begins with its kind; numbers are varints:
//
//   1 head      options | epoch | next turn | next dead letter | counts
//   2 level     level | next number | redelivered below                            highest level first
//   3 messages  count | messages                                                   of that level
//   4 marks     count | (number - the one before | deliveries | turn) each         of that level
//   5 dead      count | messages
//   6 end
//
// Records of messages, marks and dead letters are as full as they can be, so equal states have equal records,
// whatever way they came about.
#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "broker/queue/queue_state.h"

namespace stele::broker::queue {

namespace {

enum Record : std::uint8_t { kHead = 1, kLevel = 2, kMessages = 3, kMarks = 4, kDead = 5, kEnd = 6 };

std::uint32_t small(Reader& reader) {
  const std::uint64_t value = reader.uvarint();
  if (value > UINT32_MAX) reader.fail();
  return static_cast<std::uint32_t>(value);
}

// Numbers that are counted up: no log is long enough for these.
constexpr std::uint64_t kTooMany = std::uint64_t{1} << 60;

std::uint64_t count_of(Reader& reader) {
  const std::uint64_t count = reader.uvarint();
  if (count == 0 || count > QueueLevel::kPerRecord) reader.fail();
  return reader.ok() ? count : 0;
}

}  // namespace

// ---- messages -------------------------------------------------------------------------------------------

namespace {
constexpr std::uint8_t kExpires = 1, kIndexed = 2, kTagged = 4;
}  // namespace

void encode_message(Writer& writer, const StoredMessage& message, StoredMessage& before) {
  const auto flags =
      static_cast<std::uint8_t>((message.time_ms != kNever ? kExpires : 0) |
                                (message.index != 0 ? kIndexed : 0) | (message.tag != 0 ? kTagged : 0));
  writer.u8(flags).uvarint(message.number - before.number);
  writer.varint(static_cast<std::int64_t>(message.lsn.value - before.lsn.value)).uvarint(message.bytes);
  if (flags & kExpires) writer.varint(message.time_ms);
  if (flags & kIndexed) writer.uvarint(message.index);
  if (flags & kTagged) writer.uvarint(message.tag);
  before = message;
}

bool decode_message(Reader& reader, StoredMessage& before, StoredMessage& message) {
  const std::uint8_t flags = reader.u8();
  message = {};
  const std::uint64_t step = reader.uvarint();
  message.number = before.number + step;
  message.lsn = Lsn(before.lsn.value + static_cast<std::uint64_t>(reader.varint()));
  message.bytes = small(reader);
  if (flags & kExpires) message.time_ms = reader.varint();
  if (flags & kIndexed) message.index = small(reader);
  if (flags & kTagged) message.tag = small(reader);
  // Nothing is written twice in different ways.
  if (flags > 7 || message.number < before.number || (flags & kExpires && message.time_ms == kNever) ||
      (flags & kIndexed && message.index == 0) || (flags & kTagged && message.tag == 0)) {
    reader.fail();
  }
  before = message;
  return reader.ok();
}

// ---- a level --------------------------------------------------------------------------------------------

namespace {

// Messages one after another, where for_each has them all at once.
template <class Source>
void encode_messages(std::uint8_t kind, const Source& source, const QueueState::Sink& sink) {
  std::string record;
  std::uint64_t left = source.size(), in_record = 0;
  StoredMessage before;
  source.for_each([&](const StoredMessage& message) {
    Writer writer(record);
    if (in_record == 0) {
      in_record = std::min(left, QueueLevel::kPerRecord);
      left -= in_record;
      before = {};
      writer.u8(kind).uvarint(in_record);
    }
    encode_message(writer, message, before);
    if (--in_record == 0) {
      sink(record);
      record.clear();
    }
  });
  STELE_ASSERT(left == 0 && in_record == 0);
}

}  // namespace

void QueueLevel::encode(std::uint8_t level, const Sink& sink) const {
  std::string head;
  Writer(head).u8(kLevel).u8(level).uvarint(next_).uvarint(redelivered_below_);
  sink(head);
  encode_messages(kMessages, messages_, sink);
  auto at = marks_.begin();
  for (std::uint64_t left = marks_.size(); left > 0;) {
    const std::uint64_t count = std::min(left, kPerRecord);
    std::string record;
    Writer writer(record);
    writer.u8(kMarks).uvarint(count);
    std::uint64_t before = 0;
    for (std::uint64_t i = 0; i < count; ++i, ++at) {
      writer.uvarint(at->first - before).uvarint(at->second.deliveries).uvarint(at->second.turn);
      before = at->first;
    }
    sink(record);
    left -= count;
  }
}

void QueueLevel::decode_head(Reader& reader) {
  next_ = reader.uvarint();
  redelivered_below_ = reader.uvarint();
  if (redelivered_below_ > next_ || next_ >= kTooMany) reader.fail();
}

void QueueLevel::decode_messages(Reader& reader, Lsn end) {
  StoredMessage before, message;
  for (std::uint64_t i = count_of(reader); i > 0; --i) {
    if (!decode_message(reader, before, message)) return;
    const StoredMessage* last = messages_.latest();
    const bool ascends = !last || (message.number > last->number &&
                                   std::pair(last->lsn, last->index) < std::pair(message.lsn, message.index));
    if (!ascends || message.number >= next_ || message.lsn >= end || message.tag != 0) return reader.fail();
    messages_.push_back(message);
  }
}

void QueueLevel::decode_marks(Reader& reader, std::uint64_t turns_end) {
  std::uint64_t before = 0;
  for (std::uint64_t i = count_of(reader); i > 0; --i) {
    const std::uint64_t number = before + reader.uvarint();
    Mark mark;
    mark.deliveries = small(reader);
    mark.turn = reader.uvarint();
    const bool ascends = marks_.empty() || marks_.rbegin()->first < number;
    if (reader.failed() || !ascends || mark.turn == 0 || mark.turn >= turns_end || !has(number) ||
        !returned_.emplace(mark.turn, number).second) {
      return reader.fail();
    }
    marks_.emplace(number, mark);
    before = number;
  }
}

// ---- the whole ------------------------------------------------------------------------------------------

void QueueState::encode_head(const Sink& sink) const {
  std::string head;
  Writer writer(head);
  writer.u8(kHead);
  encode_options(writer, options_);
  writer.uvarint(epoch_.value).uvarint(next_turn_).uvarint(next_dead_);
  writer.uvarint(counts_.arrived).uvarint(counts_.refused);
  for (const std::uint64_t count : counts_.left) writer.uvarint(count);
  writer.uvarint(counts_.forwarded).uvarint(counts_.lost);
  sink(head);
}

void QueueState::encode(const Sink& sink) const {
  encode_head(sink);
  for (const auto& [id, level] : levels_) level.encode(id, sink);
  encode_messages(kDead, dead_, sink);
  sink(std::string(1, static_cast<char>(kEnd)));
}

void QueueState::decode_head(Reader& reader) {
  options_ = decode_options(reader);
  epoch_ = Epoch(reader.uvarint());
  next_turn_ = reader.uvarint();
  next_dead_ = reader.uvarint();
  counts_.arrived = reader.uvarint();
  counts_.refused = reader.uvarint();
  for (std::uint64_t& count : counts_.left) count = reader.uvarint();
  counts_.forwarded = reader.uvarint();
  counts_.lost = reader.uvarint();
  if (next_turn_ == 0 || next_turn_ >= kTooMany || next_dead_ >= kTooMany) reader.fail();
}

void QueueState::decode_dead(Reader& reader, Lsn end) {
  StoredMessage before, message;
  for (std::uint64_t i = count_of(reader); i > 0; --i) {
    if (!decode_message(reader, before, message)) return;
    const StoredMessage* last = dead_.latest();
    const bool ascends = !last || message.number > last->number;
    const std::uint32_t why = message.tag & 7;
    if (!ascends || message.number >= next_dead_ || message.lsn >= end || why >= kWhys ||
        !is_death(static_cast<Why>(why))) {
      return reader.fail();
    }
    dead_.push_back(message);
  }
}

void QueueStateDecoder::add(Reader& reader) {
  const std::uint8_t kind = reader.u8();
  // In order, the head first and once, a level's records behind it.
  const bool fits = !done_ && (before_ == 0 ? kind == kHead : kind > kHead && kind <= kEnd) &&
                    (kind >= before_ || kind == kLevel) && (kind != kLevel || before_ < kDead) &&
                    ((kind != kMessages && kind != kMarks) || level_);
  if (!fits) return reader.fail();
  before_ = kind;
  switch (kind) {
    case kHead:
      return state_.decode_head(reader);
    case kLevel: {
      const std::uint8_t id = reader.u8();
      if (reader.failed() || (level_ && id >= *level_) || id > state_.options_.max_priority.value_or(0)) {
        return reader.fail();
      }
      level_ = id;
      return state_.levels_[id].decode_head(reader);
    }
    case kMessages:
      return state_.levels_[*level_].decode_messages(reader, end_);
    case kMarks:
      return state_.levels_[*level_].decode_marks(reader, state_.next_turn_);
    case kDead:
      return state_.decode_dead(reader, end_);
    default:
      done_ = true;
  }
}

QueueState QueueStateDecoder::take() {
  STELE_ASSERT(done_);
  for (const auto& [id, level] : state_.levels_) {
    state_.size_ += level.size();
    state_.bytes_ += level.bytes();
  }
  return std::move(state_);
}

}  // namespace stele::broker::queue
