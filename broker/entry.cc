#include "broker/entry.h"

#include <flatbuffers/flatbuffers.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/wire.h"
#include "broker/control_entries_generated.h"
#include "model/record_batch.h"

namespace stele::broker {
namespace {

// docs/formats/shard-entries.md:
// version u8 | kind u8 | time varint (ms, zig-zag) | …
// data: flags u16 | qos u8 | tenant uvarint | address sized | publisher hash u64 | [stream: topic uvarint,
//   partition uvarint] | [source: shard uvarint, epoch uvarint, lsn uvarint] | [directed: client id sized,
//   qos u8, subscription id uvarint] | [forwards: count uvarint, shard uvarint …] | [received: session
//   uvarint, packet id u16] | [will: LSN uvarint] | batch (the rest)
enum Flag : std::uint16_t {
  kKafkaBatch = 1,
  kRetain = 2,
  kRetainHere = 4,
  kAddressHeaders = 8,
  kStream = 16,
  kStreamOnly = 32,
  kSource = 64,
  kDirected = 128,
  kForwards = 256,
  kReceived = 512,  // version 2, which is written for these entries only
  kWill = 1024,     // version 3, likewise
};
constexpr std::uint16_t kAllFlags = 2047;
constexpr std::int64_t kTimeLimit = std::int64_t{1} << 60;  // so that sums of times stay in range

std::unexpected<Error> bad(const char* what) {
  return error(ErrorCode::kCorrupt, std::string("shard log entry: ") + what);
}

template <class Id>
Id id(Reader& reader) {
  const std::uint64_t value = reader.uvarint();
  if (value > std::numeric_limits<typename Id::Value>::max()) reader.fail();
  return Id(static_cast<typename Id::Value>(value));
}

std::uint32_t small(Reader& reader) {
  const std::uint64_t value = reader.uvarint();
  if (value > UINT32_MAX) reader.fail();
  return static_cast<std::uint32_t>(value);
}

// The fields behind the timestamps of a batch's header.
BatchProducer read_producer(const char* header, std::int32_t count) {
  return {.id = load_be<std::int64_t>(header + 43),
          .epoch = load_be<std::int16_t>(header + 51),
          .first_sequence = load_be<std::int32_t>(header + 53),
          .count = count};
}

// What apply relies on of the batch, whose first bytes and the rest may lie apart.
bool read_facts(DataEntry& data) {
  if (data.batch_size() < kRecordBatchHeaderSize) return false;
  char apart[kRecordBatchHeaderSize];
  const char* header = data.batch.data();
  if (data.batch.size() < kRecordBatchHeaderSize) {
    std::memcpy(apart, data.batch.data(), data.batch.size());
    std::memcpy(apart + data.batch.size(), data.batch_rest.data(), sizeof apart - data.batch.size());
    header = apart;
  }
  const auto base = load_be<std::int64_t>(header);
  const auto length = load_be<std::int32_t>(header + 8);
  const auto last_delta = load_be<std::int32_t>(header + 23);
  if (header[16] != kRecordBatchMagic || length < 0 ||
      kRecordBatchOverhead + static_cast<std::size_t>(length) != data.batch_size()) {
    return false;
  }
  // A stream of so many records is out of reach; what claims to be there is damaged.
  if (base < 0 || base > INT64_MAX / 2 || last_delta < 0 || last_delta == INT32_MAX) return false;
  data.facts = {.base_offset = Offset(base),
                .leader_epoch = load_be<std::int32_t>(header + 12),
                .count = last_delta + 1,
                .max_timestamp_ms = load_be<std::int64_t>(header + 35),
                .producer = read_producer(header, last_delta + 1)};
  return true;
}

std::uint8_t version_of(std::uint16_t flags) {
  if (!(flags & (kReceived | kWill))) return 1;
  return flags & kWill ? 3 : 2;
}

bool read_data(Reader& reader, std::uint8_t version, DataEntry& data) {
  const auto flags = reader.le<std::uint16_t>();
  if (flags & ~kAllFlags || version_of(flags) != version) reader.fail();
  data.kafka_batch = flags & kKafkaBatch;
  data.retain = flags & kRetain;
  data.retain_here = flags & kRetainHere;
  data.address_headers_allowed = flags & kAddressHeaders;
  data.stream_only = flags & kStreamOnly;
  if (data.stream_only && !(flags & kStream)) reader.fail();
  if (data.retain_here && (data.kafka_batch || data.stream_only)) reader.fail();
  data.qos = reader.u8();
  if (data.qos > 2) reader.fail();
  data.tenant = id<TenantId>(reader);
  data.address = reader.sized();
  data.publisher_hash = reader.le<std::uint64_t>();
  if (flags & kStream) {
    data.stream.emplace();
    data.stream->topic = id<TopicId>(reader);
    data.stream->partition = id<PartitionId>(reader);
  }
  if (flags & kSource) {
    data.source.emplace();
    data.source->shard = id<ShardId>(reader);
    data.source->epoch = Epoch(reader.uvarint());
    data.source->lsn = Lsn(reader.uvarint());
    if (data.source->lsn == Lsn(UINT64_MAX)) reader.fail();  // there is always a next one
  }
  if (flags & kDirected) {
    data.directed.emplace();
    data.directed->client_id = reader.sized();
    data.directed->qos = reader.u8();
    if (data.directed->qos > 2) reader.fail();
    data.directed->subscription_id = small(reader);
  }
  if (flags & kForwards) {
    data.forward_count = small(reader);
    const std::string_view before = reader.rest();
    for (std::uint32_t i = 0; i < data.forward_count && reader.ok(); ++i) id<ShardId>(reader);
    if (reader.ok()) data.forwards = before.substr(0, before.size() - reader.remaining());
  }
  if (flags & kReceived) {
    data.received.emplace();
    data.received->session = small(reader);
    data.received->packet_id = reader.le<std::uint16_t>();
    if (data.received->packet_id == 0 || data.source || data.directed || data.kafka_batch) reader.fail();
  }
  if (flags & kWill) {
    data.will = Lsn(reader.uvarint());
    if (data.received || data.source || data.directed || data.kafka_batch) reader.fail();
  }
  return reader.ok();
}

// What precedes the batch; valid until the next call on this thread.
std::string_view encode_head(const Data& data, const DataEntryParts& parts) {
  STELE_ASSERT(data.batch.size() >= kRecordBatchHeaderSize);
  thread_local std::string scratch;
  scratch.clear();
  Writer writer(scratch);
  const std::uint16_t flags = static_cast<std::uint16_t>(
      (data.kafka_batch ? kKafkaBatch : 0) | (data.retain ? kRetain : 0) |
      (parts.retain_here ? kRetainHere : 0) | (data.address_headers_allowed ? kAddressHeaders : 0) |
      (parts.stream ? kStream : 0) | (parts.stream_only ? kStreamOnly : 0) | (parts.source ? kSource : 0) |
      (parts.directed ? kDirected : 0) | (parts.forwards.empty() ? 0 : kForwards) |
      (parts.received ? kReceived : 0) | (parts.will ? kWill : 0));
  writer.u8(version_of(flags)).u8(static_cast<std::uint8_t>(EntryKind::kData)).varint(parts.time.ms);
  writer.le(flags).u8(data.qos).uvarint(data.tenant.value).sized(data.address).le(data.publisher_hash);
  if (parts.stream) {
    writer.uvarint(parts.stream->topic.value)
        .uvarint(static_cast<std::uint32_t>(parts.stream->partition.value));
  }
  if (parts.source) {
    writer.uvarint(parts.source->shard.value)
        .uvarint(parts.source->epoch.value)
        .uvarint(parts.source->lsn.value);
  }
  if (parts.directed) {
    writer.sized(parts.directed->client_id).u8(parts.directed->qos).uvarint(parts.directed->subscription_id);
  }
  if (!parts.forwards.empty()) {
    writer.uvarint(parts.forwards.size());
    for (ShardId shard : parts.forwards) writer.uvarint(shard.value);
  }
  if (parts.received) writer.uvarint(parts.received->session).le(parts.received->packet_id);
  if (parts.will) writer.uvarint(parts.will->value);
  return scratch;
}

// The fields that the partition's owner decides, outside the batch's CRC.
void set_owned_fields(char* batch, const DataEntryParts& parts) {
  set_base_offset(batch, parts.stream ? parts.base_offset : Offset(0));
  set_partition_leader_epoch(batch, parts.leader_epoch);
}

}  // namespace

Result<EntryView> parse_entry(std::string_view head, std::string_view body) {
  Reader reader(head);
  const std::uint8_t version = reader.u8();
  if (reader.ok() && version > kEntryVersion) {
    return error(ErrorCode::kUnsupported, "shard log entry: version " + std::to_string(version) +
                                              " was written by a newer version of Stele");
  }
  if (version == 0) return bad("unknown version");
  EntryView entry;
  entry.kind = static_cast<EntryKind>(reader.u8());
  entry.time = WallTime{reader.varint()};
  if (reader.failed()) return bad("cut short");
  if (entry.time.ms < -kTimeLimit || entry.time.ms > kTimeLimit) return bad("time out of range");
  if (entry.kind == EntryKind::kData) {
    if (!read_data(reader, version, entry.data)) return bad("fields make no sense");
    entry.data.batch = reader.rest();
    entry.data.batch_rest = body;
    if (!body.empty() && entry.data.batch.size() != kBatchPrefix) return bad("body in the wrong place");
    if (!read_facts(entry.data)) return bad("its record batch makes no sense");
    return entry;
  }
  if (entry.kind != EntryKind::kControl || version != 1) return bad("unknown kind");
  entry.control = reader.rest();
  if (entry.control.empty()) return bad("control entry without content");
  if (reinterpret_cast<std::uintptr_t>(entry.control.data()) % alignof(std::uint64_t) != 0) {
    entry.aligned.resize((entry.control.size() + 7) / 8);
    std::memcpy(entry.aligned.data(), entry.control.data(), entry.control.size());
    entry.control = {reinterpret_cast<const char*>(entry.aligned.data()), entry.control.size()};
  }
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(entry.control.data()),
                                 entry.control.size());
  if (!body.empty() || !fbs::VerifyControlEntryBuffer(verifier)) return bad("control entry is no FlatBuffer");
  return entry;
}

Result<EntryView> parse_entry(const storage::LogEntry& entry) {
  return parse_entry(entry.head, entry.body);
}

BatchProducer producer_of(std::string_view batch) {
  STELE_ASSERT(batch.size() >= kRecordBatchHeaderSize);
  return read_producer(batch.data(), load_be<std::int32_t>(batch.data() + 23) + 1);
}

std::vector<Bytes> batch_slices(const storage::LogEntry& entry, const DataEntry& data) {
  std::vector<Bytes> slices;
  slices.push_back(entry.head.slice(data.batch));
  if (!data.batch_rest.empty()) slices.push_back(entry.body);
  return slices;
}

Bytes batch_bytes(const storage::LogEntry& entry, const DataEntry& data) {
  if (data.batch_rest.empty()) return entry.head.slice(data.batch);
  Buffer whole(data.batch_size());
  std::memcpy(whole.data(), data.batch.data(), data.batch.size());
  std::memcpy(whole.data() + data.batch.size(), data.batch_rest.data(), data.batch_rest.size());
  const std::size_t size = data.batch_size();
  return std::move(whole).freeze(size);
}

namespace {

// Whether a batch is copied behind the head, so that its entry is one block; of others, only what changes is.
// The entry stays in the log's caches: it may not keep much more memory than it has bytes, as a slice of what
// connections are read into would.
bool is_copied(const Bytes& batch) {
  constexpr std::size_t kAlways = 2 << 10;  // cheaper than a piece of its own
  constexpr std::size_t kNever = 32 << 10;
  return batch.size() < kAlways || (batch.size() < kNever && batch.held() > 2 * batch.size());
}

}  // namespace

storage::LogEntry encode_data(const Data& data, const DataEntryParts& parts) {
  const std::string_view head = encode_head(data, parts);
  const std::size_t copied = is_copied(data.batch) ? data.batch.size() : kBatchPrefix;
  Buffer block(head.size() + copied);
  std::memcpy(block.data(), head.data(), head.size());
  std::memcpy(block.data() + head.size(), data.batch.data(), copied);
  set_owned_fields(block.data() + head.size(), parts);
  storage::LogEntry entry{std::move(block).freeze(head.size() + copied), {}};
  if (copied < data.batch.size()) entry.body = data.batch.slice(copied);
  return entry;
}

storage::LogEntry encode_data_in_place(Data& data, const DataEntryParts& parts) {
  EntryRoom room = std::exchange(data.room, {});
  const std::string_view head = encode_head(data, parts);
  if (!room.fits(head.size())) return encode_data(data, parts);
  STELE_ASSERT(room.batch() == data.batch.data());
  std::memcpy(room.batch() - head.size(), head.data(), head.size());
  set_owned_fields(room.batch(), parts);
  return {std::move(room).entry(head.size()), {}};
}

storage::LogEntry encode_control(WallTime time, std::string_view flatbuffer) {
  std::string head;
  Writer writer(head);
  writer.u8(1).u8(static_cast<std::uint8_t>(EntryKind::kControl)).varint(time.ms).bytes(flatbuffer);
  return {Bytes::copy(head), {}};
}

}  // namespace stele::broker
