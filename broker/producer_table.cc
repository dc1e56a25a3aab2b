#include "broker/producer_table.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::broker {
namespace {

// Sequence numbers are 31 bits and go on at 0.
constexpr std::int64_t kSequences = std::int64_t{1} << 31;
std::int32_t after(std::int32_t sequence) {
  return sequence == INT32_MAX ? 0 : sequence + 1;
}
std::int32_t first_of(const ProducerTable::Written& batch) {
  const std::int64_t first = std::int64_t{batch.last_sequence} - batch.count + 1;
  return static_cast<std::int32_t>(first < 0 ? first + kSequences : first);
}

}  // namespace

std::int32_t BatchProducer::last_sequence() const {
  const std::int64_t last = std::int64_t{first_sequence} + count - 1;
  return static_cast<std::int32_t>(last >= kSequences ? last - kSequences : last);
}

void ProducerTable::Slot::push(const Written& batch) {
  if (count == kWindow) {
    std::copy(window.begin() + 1, window.end(), window.begin());
    --count;
  }
  window[count++] = batch;
}

ProducerTable::Check ProducerTable::check(StreamId stream, const BatchProducer& batch) const {
  const auto found = places_.find(Key(stream, batch.id));
  if (found == places_.end()) return {};
  const Slot& slot = slots_[found->second];
  Check check{.written = {}, .epoch = slot.epoch, .last_sequence = slot.last().last_sequence};
  if (batch.epoch < slot.epoch) {
    check.what = Check::What::kOldEpoch;
  } else if (batch.epoch > slot.epoch) {
    // It began anew, and a new epoch begins at 0.
    if (batch.first_sequence != 0) check.what = Check::What::kOutOfOrder;
  } else {
    for (std::size_t i = slot.count; i-- > 0;) {
      const Written& written = slot.window[i];
      if (written.last_sequence != batch.last_sequence() || written.count != batch.count) continue;
      check.what = Check::What::kDuplicate;
      check.written = written;
      return check;
    }
    if (batch.first_sequence != after(slot.last().last_sequence)) check.what = Check::What::kOutOfOrder;
  }
  return check;
}

void ProducerTable::wrote(StreamId stream, const BatchProducer& batch, Offset base, Lsn lsn, WallTime time,
                          std::uint64_t limit) {
  const Written written{base, lsn, time, batch.last_sequence(), batch.count};
  const Key key(stream, batch.id);
  const auto found = places_.find(key);
  if (found == places_.end()) {
    if (limit == 0) return;
    shrink(limit - 1);
    Slot& slot = add(key);
    slot.epoch = batch.epoch;
    return slot.push(written);
  }
  const std::uint32_t at = found->second;
  Slot& slot = slots_[at];
  // The window never has a gap: a batch that is none of its producer's next begins a new one.
  if (slot.epoch != batch.epoch || batch.first_sequence != after(slot.last().last_sequence)) slot.count = 0;
  slot.epoch = batch.epoch;
  slot.push(written);
  if (at == last_) return;
  unlink(at);
  link_last(at);
}

// ---- who is remembered ----------------------------------------------------------------------------------

ProducerTable::Slot& ProducerTable::add(const Key& key) {
  std::uint32_t at = static_cast<std::uint32_t>(slots_.size());
  if (free_.empty()) {
    slots_.emplace_back();
  } else {
    at = free_.back();
    free_.pop_back();
  }
  slots_[at] = {};
  slots_[at].key = key;
  places_.emplace(key, at);
  link_last(at);
  return slots_[at];
}

void ProducerTable::remove(std::uint32_t at) {
  unlink(at);
  places_.erase(slots_[at].key);
  free_.push_back(at);
  if (!places_.empty()) return;
  slots_.clear();
  free_.clear();
}

void ProducerTable::link_last(std::uint32_t at) {
  slots_[at].before = last_;
  slots_[at].next = kNone;
  (last_ == kNone ? first_ : slots_[last_].next) = at;
  last_ = at;
}

void ProducerTable::unlink(std::uint32_t at) {
  const Slot& slot = slots_[at];
  (slot.before == kNone ? first_ : slots_[slot.before].next) = slot.next;
  (slot.next == kNone ? last_ : slots_[slot.next].before) = slot.before;
}

void ProducerTable::shrink(std::uint64_t limit) {
  while (places_.size() > limit) {
    STELE_MARK("shard: producer forgotten at the limit");
    ++evicted_;
    remove(first_);
  }
}

void ProducerTable::expire(WallTime silent_since) {
  while (first_ != kNone && slots_[first_].last().time <= silent_since) remove(first_);
}

void ProducerTable::forget_stream(StreamId stream) {
  for (std::uint32_t at = first_, next = kNone; at != kNone; at = next) {
    next = slots_[at].next;
    if (slots_[at].key.first == stream) remove(at);
  }
}

std::optional<WallTime> ProducerTable::oldest() const {
  if (first_ == kNone) return std::nullopt;
  return slots_[first_].last().time;
}

// ---- snapshots ------------------------------------------------------------------------------------------

void ProducerTable::encode_slot(Writer& writer, const Slot& slot) {
  const StreamId& stream = slot.key.first;
  writer.uvarint(stream.topic.value).uvarint(static_cast<std::uint32_t>(stream.partition.value));
  writer.uvarint(static_cast<std::uint64_t>(slot.key.second));
  writer.uvarint(static_cast<std::uint16_t>(slot.epoch)).u8(slot.count);
  for (std::size_t i = 0; i < slot.count; ++i) {
    const Written& batch = slot.window[i];
    writer.uvarint(static_cast<std::uint64_t>(batch.base.value)).uvarint(batch.lsn.value);
    writer.varint(batch.time.ms).uvarint(static_cast<std::uint32_t>(batch.last_sequence));
    writer.uvarint(static_cast<std::uint32_t>(batch.count));
  }
}

namespace {

// A number from `least` to 2^31 - 1.
std::int32_t number(Reader& reader, std::uint64_t least) {
  const std::uint64_t value = reader.uvarint();
  if (value < least || value > INT32_MAX) reader.fail();
  return static_cast<std::int32_t>(value);
}

}  // namespace

std::pair<StreamId, Offset> ProducerTable::decode(Reader& reader, Lsn end, WallTime time) {
  Key key;
  key.first.topic = TopicId(reader.uvarint());
  key.first.partition = PartitionId(number(reader, 0));
  const std::uint64_t id = reader.uvarint(), epoch = reader.uvarint();
  const std::uint8_t count = reader.u8();
  key.second = static_cast<std::int64_t>(id);
  if (id > INT64_MAX || epoch > INT16_MAX || count == 0 || count > kWindow || places_.contains(key))
    reader.fail();
  Slot read;
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    Written batch;
    const std::uint64_t base = reader.uvarint();
    if (base > INT64_MAX / 2) reader.fail();
    batch.base = Offset(static_cast<std::int64_t>(base));
    batch.lsn = Lsn(reader.uvarint());
    batch.time = WallTime{reader.varint()};
    batch.last_sequence = number(reader, 0);
    batch.count = number(reader, 1);
    if (batch.lsn >= end || batch.time > time) reader.fail();
    if (i > 0) {
      const Written& before = read.window[i - 1];
      if (batch.base < before.base + before.count || batch.lsn <= before.lsn || batch.time < before.time ||
          first_of(batch) != after(before.last_sequence)) {
        reader.fail();
      }
    }
    read.push(batch);
  }
  // The order is that of the last batches.
  if (reader.ok() && last_ != kNone) {
    const Written& before = slots_[last_].last();
    if (read.last().lsn <= before.lsn || read.last().time < before.time) reader.fail();
  }
  if (reader.failed()) return {};
  Slot& slot = add(key);
  slot.epoch = static_cast<std::int16_t>(epoch);
  slot.count = read.count;
  slot.window = read.window;
  return {key.first, read.last().base + read.last().count};
}

}  // namespace stele::broker
