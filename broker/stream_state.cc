#include "broker/stream_state.h"

#include <algorithm>

#include "base/assert.h"
#include "base/mutants.h"
#include "model/murmur2.h"
#include "model/topic_name.h"

namespace stele::broker {

StreamState::StreamState(StreamConfig config, Lsn) {
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

void StreamState::append(Lsn lsn, std::int32_t count, std::uint64_t bytes, std::int64_t max_timestamp_ms) {
  STELE_ASSERT(count > 0);
  if (index_.empty() || end_bytes_ - index_.back().bytes >= kIndexBytes) {
    index_.push_back({next_, lsn, end_bytes_, max_timestamp_ms_});
  }
  if (max_timestamp_ms > max_timestamp_ms_) {
    max_timestamp_ms_ = max_timestamp_ms;
    max_timestamp_offset_ = next_;
  }
  next_ += count;
  end_bytes_ += bytes;
}

void StreamState::trim(Offset start) {
  if (start <= start_) return;
  STELE_ASSERT(start <= next_);
  start_ = start;
  // The place that holds `start` stays.
  while (index_.size() > 1 && index_[1].offset <= start_) index_.pop_front();
  if (start_ == next_) index_.clear();
  start_bytes_ = index_.empty() ? end_bytes_ : index_.front().bytes;
}

std::optional<StreamState::Place> StreamState::place_for(Offset offset) const {
  auto after = std::upper_bound(index_.begin(), index_.end(), offset,
                                [](Offset o, const Place& place) { return o < place.offset; });
  if (after == index_.begin()) return std::nullopt;
  return *--after;
}

std::optional<StreamState::Place> StreamState::place_for_timestamp(std::int64_t timestamp_ms) const {
  if (index_.empty() || timestamp_ms > max_timestamp_ms_) return std::nullopt;
  // The first place before which some record is new enough; what is wanted begins in the one before it.
  auto after = std::partition_point(index_.begin(), index_.end(), [&](const Place& place) {
    return place.max_timestamp_ms < timestamp_ms;
  });
  return after == index_.begin() ? index_.front() : *--after;
}

Offset StreamState::earliest() const {
  if (mutant(Mutant::kListOffsetsOffByOne) && start_ > Offset(0)) return start_ - 1;
  return start_;
}

std::optional<Offset> StreamState::retention_cut(WallTime now) const {
  std::optional<Offset> cut;
  // Each place says what lies before it. The last stretch stays: it is being written.
  for (std::size_t i = 1; i < index_.size(); ++i) {
    const Place& place = index_[i];
    const bool too_old = config_.retention_ms >= 0 && place.max_timestamp_ms < now.ms - config_.retention_ms;
    const bool too_much = config_.retention_bytes >= 0 &&
                          end_bytes_ - place.bytes >= static_cast<std::uint64_t>(config_.retention_bytes);
    if (!too_old && !too_much) break;
    cut = place.offset;
  }
  // All of it, once even the last record is too old.
  if (config_.retention_ms >= 0 && next_ > start_ && max_timestamp_ms_ < now.ms - config_.retention_ms)
    cut = next_;
  if (cut && *cut <= start_) return std::nullopt;
  return cut;
}

std::optional<Lsn> StreamState::lsn_needed() const {
  if (index_.empty()) return std::nullopt;
  return index_.front().lsn;
}

void StreamState::add_to(Hasher& hasher) const {
  std::string bytes;
  Writer writer(bytes);
  encode(writer);
  hasher.add(bytes);
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
  config.partition_count = static_cast<std::int32_t>(reader.uvarint());
  if (config.partition_count <= 0) reader.fail();
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
  writer.varint(start_.value).varint(next_.value).uvarint(start_bytes_).uvarint(end_bytes_);
  writer.varint(max_timestamp_ms_).varint(max_timestamp_offset_.value).uvarint(index_.size());
  Place before;
  before.max_timestamp_ms = 0;
  for (const Place& place : index_) {
    writer.varint(place.offset - before.offset)
        .uvarint(place.lsn - before.lsn)
        .uvarint(place.bytes - before.bytes);
    writer.varint(place.max_timestamp_ms - before.max_timestamp_ms);
    before = place;
  }
}

std::optional<StreamState> StreamState::decode(Reader& reader) {
  StreamState stream;
  stream.set_config(decode_config(reader));
  stream.start_ = Offset(reader.varint());
  stream.next_ = Offset(reader.varint());
  stream.start_bytes_ = reader.uvarint();
  stream.end_bytes_ = reader.uvarint();
  stream.max_timestamp_ms_ = reader.varint();
  stream.max_timestamp_offset_ = Offset(reader.varint());
  const std::uint64_t places = reader.uvarint();
  Place place;
  place.max_timestamp_ms = 0;
  for (std::uint64_t i = 0; i < places && reader.ok(); ++i) {
    place.offset += reader.varint();
    place.lsn += reader.uvarint();
    place.bytes += reader.uvarint();
    place.max_timestamp_ms += reader.varint();
    stream.index_.push_back(place);
  }
  if (reader.failed() || stream.start_ > stream.next_ || stream.start_bytes_ > stream.end_bytes_)
    return std::nullopt;
  return stream;
}

}  // namespace stele::broker
