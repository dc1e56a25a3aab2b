#include "broker/stream_state.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "model/murmur2.h"
#include "model/topic_name.h"

namespace stele::broker {

StreamState::StreamState(StreamConfig config) {
  set_config(std::move(config));
}

void StreamState::set_config(StreamConfig config) {
  config_ = std::move(config);
  if (auto rule = KeyRule::parse(config_.key)) key_rule_ = *std::move(rule);
  if (auto address = address_of_topic(config_.name)) address_ = address->text();
}

bool StreamState::owns(std::int32_t partition, const MessageView& message) const {
  const std::string_view key = key_rule_.key_of(message).value_or(message.address);
  return partition_for_key(key, config_.partition_count) == partition;
}

std::uint64_t StreamState::bytes() const {
  return index_.empty() ? 0 : end_bytes_ - index_.front().bytes;
}

std::int64_t StreamState::max_timestamp_ms() const {
  std::int64_t max = -1;
  for (const Place& place : index_) max = std::max(max, place.max_timestamp_ms);
  return max;
}

void StreamState::append(Lsn lsn, const BatchFacts& batch, std::uint64_t bytes, std::int64_t timestamp_ms) {
  STELE_ASSERT(batch.count > 0 && batch.base_offset == next_);
  if (index_.empty() || end_bytes_ - index_.back().bytes >= grain_) {
    if (index_.size() == kMaxPlaces) thin_index();
    index_.push_back({next_, lsn, end_bytes_, timestamp_ms});
  }
  index_.back().max_timestamp_ms = std::max(index_.back().max_timestamp_ms, timestamp_ms);
  if (epochs_.empty() || epochs_.back().epoch != batch.leader_epoch) {
    if (epochs_.size() == kMaxEpochs) epochs_.erase(epochs_.begin() + 1);
    epochs_.push_back({batch.leader_epoch, next_});
  }
  next_ += batch.count;
  end_bytes_ += bytes;
}

void StreamState::thin_index() {
  STELE_MARK("stream: index thinned out");
  for (std::size_t i = 0; i + 1 < index_.size(); i += 2) {
    index_[i].max_timestamp_ms = std::max(index_[i].max_timestamp_ms, index_[i + 1].max_timestamp_ms);
  }
  index_.thin();
  grain_ *= 2;
}

void StreamState::trim(Offset start) {
  if (start <= start_) return;
  STELE_ASSERT(start <= next_);
  start_ = start;
  // The place that holds `start` stays.
  while (index_.size() > 1 && index_[1].offset <= start_) index_.pop_front();
  if (start_ == next_) index_.clear();
  std::size_t gone = 0;
  while (gone + 1 < epochs_.size() && epochs_[gone + 1].offset <= start_) ++gone;
  epochs_.erase(epochs_.begin(), epochs_.begin() + static_cast<std::ptrdiff_t>(gone));
}

std::optional<StreamState::Place> StreamState::place_for(Offset offset) const {
  auto after = std::upper_bound(index_.begin(), index_.end(), offset,
                                [](Offset o, const Place& place) { return o < place.offset; });
  if (after == index_.begin()) return std::nullopt;
  return *--after;
}

std::optional<StreamState::Place> StreamState::place_for_timestamp(std::int64_t timestamp_ms) const {
  auto found = std::find_if(index_.begin(), index_.end(),
                            [&](const Place& place) { return place.max_timestamp_ms >= timestamp_ms; });
  return found == index_.end() ? std::nullopt : std::optional(*found);
}

Offset StreamState::earliest() const {
  if (mutant(Mutant::kListOffsetsOffByOne) && start_ > Offset(0)) return start_ - 1;
  return start_;
}

std::int32_t StreamState::epoch_at(Offset offset) const {
  std::int32_t epoch = -1;
  for (const EpochStart& start : epochs_) {
    if (start.offset > offset) break;
    epoch = start.epoch;
  }
  return epoch;
}

std::optional<StreamState::EpochStart> StreamState::epoch_end(std::int32_t epoch) const {
  std::optional<EpochStart> found;
  for (const EpochStart& start : epochs_) {
    if (start.epoch > epoch) return found ? std::optional(EpochStart{found->epoch, start.offset}) : found;
    found = start;
  }
  return found ? std::optional(EpochStart{found->epoch, next_}) : found;
}

std::optional<Offset> StreamState::retention_cut(WallTime now) const {
  const auto too_old = [&](const Place& place) {
    if (config_.retention_ms < 0) return false;
    // now - retention, without leaving the range
    if (config_.retention_ms > INT64_MAX / 2 || now.ms < INT64_MIN / 2) return false;
    return place.max_timestamp_ms < now.ms - config_.retention_ms;
  };
  std::optional<Offset> cut;
  for (std::size_t i = 0; i < index_.size(); ++i) {
    const bool last = i + 1 == index_.size();
    const std::uint64_t left = last ? 0 : end_bytes_ - index_[i + 1].bytes;
    // The last stretch is being written: size alone never takes it.
    const bool too_much =
        !last && config_.retention_bytes >= 0 && left >= static_cast<std::uint64_t>(config_.retention_bytes);
    if (!too_much && !too_old(index_[i])) break;
    cut = last ? next_ : index_[i + 1].offset;
  }
  return cut && *cut > start_ ? cut : std::nullopt;
}

std::optional<Lsn> StreamState::lsn_needed() const {
  if (index_.empty()) return std::nullopt;
  return index_.front().lsn;
}

void encode_config(Writer& writer, const StreamConfig& config) {
  writer.uvarint(config.tenant.value)
      .sized(config.name)
      .uvarint(static_cast<std::uint32_t>(config.partition_count));
  writer.uvarint(config.captures.size());
  for (const std::string& filter : config.captures) writer.sized(filter);
  writer.sized(config.key).varint(config.retention_ms).varint(config.retention_bytes);
  writer.u8(config.log_append_time ? 1 : 0);
}

StreamConfig decode_config(Reader& reader) {
  StreamConfig config;
  config.tenant = TenantId(static_cast<std::uint32_t>(reader.uvarint()));
  config.name = reader.sized();
  const std::uint64_t partitions = reader.uvarint();
  if (partitions == 0 || partitions > INT32_MAX) reader.fail();
  config.partition_count = static_cast<std::int32_t>(partitions);
  const std::uint64_t captures = reader.uvarint();
  for (std::uint64_t i = 0; i < captures && reader.ok(); ++i) config.captures.emplace_back(reader.sized());
  config.key = reader.sized();
  config.retention_ms = reader.varint();
  config.retention_bytes = reader.varint();
  config.log_append_time = reader.u8() != 0;
  return config;
}

void StreamState::encode(Writer& writer) const {
  encode_config(writer, config_);
  writer.varint(start_.value).varint(next_.value).uvarint(end_bytes_).uvarint(grain_);
  writer.uvarint(index_.size());
  Place before;
  for (const Place& place : index_) {
    writer.varint(place.offset - before.offset)
        .uvarint(place.lsn - before.lsn)
        .uvarint(place.bytes - before.bytes)
        .varint(place.max_timestamp_ms);
    before = place;
  }
  writer.uvarint(epochs_.size());
  for (const EpochStart& start : epochs_) writer.varint(start.epoch).varint(start.offset.value);
}

void StreamState::decode_index(Reader& reader) {
  const std::uint64_t places = reader.uvarint();
  if (places > kMaxPlaces || (places == 0) != (start_ == next_)) return reader.fail();
  Place before;
  for (std::uint64_t i = 0; i < places && reader.ok(); ++i) {
    Place place;
    const std::int64_t offsets = reader.varint();
    const std::uint64_t lsns = reader.uvarint(), bytes = reader.uvarint();
    place.max_timestamp_ms = reader.varint();
    // Each holds something, and all lie below the end.
    if (offsets < 0 || offsets >= next_ - before.offset || bytes > end_bytes_ - before.bytes) reader.fail();
    if (i > 0 && (offsets == 0 || lsns == 0)) reader.fail();
    if (lsns > UINT64_MAX - before.lsn.value) reader.fail();
    if (reader.failed()) return;
    place.offset = before.offset + offsets;
    place.lsn = before.lsn + lsns;
    place.bytes = before.bytes + bytes;
    index_.push_back(place);
    before = place;
  }
  if (!index_.empty() && index_.front().offset > start_) reader.fail();
}

StreamState StreamState::decode(Reader& reader, Lsn end) {
  StreamState stream;
  stream.set_config(decode_config(reader));
  stream.start_ = Offset(reader.varint());
  stream.next_ = Offset(reader.varint());
  stream.end_bytes_ = reader.uvarint();
  stream.grain_ = reader.uvarint();
  if (stream.start_ < Offset(0) || stream.start_ > stream.next_ || stream.next_ > Offset(INT64_MAX / 2) ||
      stream.grain_ < kIndexBytes) {
    reader.fail();
  }
  if (reader.ok()) stream.decode_index(reader);
  if (!stream.index_.empty() && stream.index_.back().lsn >= end) reader.fail();
  const std::uint64_t epochs = reader.uvarint();
  if (epochs > kMaxEpochs) reader.fail();
  for (std::uint64_t i = 0; i < epochs && reader.ok(); ++i) {
    const std::int64_t epoch = reader.varint();
    const Offset offset(reader.varint());
    const bool ordered = stream.epochs_.empty() || stream.epochs_.back().offset < offset;
    if (epoch < INT32_MIN || epoch > INT32_MAX || !ordered || offset > stream.next_) reader.fail();
    stream.epochs_.push_back({static_cast<std::int32_t>(epoch), offset});
  }
  return stream;
}

}  // namespace stele::broker
