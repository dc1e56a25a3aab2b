// Entries of a shard log as bytes (docs/formats/shard-entries.md). A data entry is one message or one
// producer's batch with everything that apply needs to know of it; a control entry is a FlatBuffer. Pure.
//
// An entry's bytes are one sequence; in memory the batch of a large data entry may lie in a slice of its own
// (storage::LogEntry), so that it is never copied. A reader takes both forms.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/wire.h"
#include "broker/data.h"
#include "model/ids.h"
#include "storage/log_entry.h"

namespace stele::broker {

inline constexpr std::uint8_t kEntryVersion = 3;
enum class EntryKind : std::uint8_t { kControl = 1, kData = 2 };

// Where a forwarded entry comes from.
struct ForwardSource {
  ShardId shard;
  Epoch epoch;
  Lsn lsn;
  friend bool operator==(const ForwardSource&, const ForwardSource&) = default;
};

// Only this session gets it: how a retained message enters a persistent session's queue.
struct DirectedTo {
  std::string_view client_id;
  std::uint8_t qos = 1;
  std::uint32_t subscription_id = 0;  // 0: none
};

// A QoS 2 message of a client whose session outlives its connection (section 4.3.3 of MQTT 5.0): the session,
// by its number, remembers the packet identifier until the client releases it.
struct ReceivedAs {
  std::uint32_t session = 0;
  std::uint16_t packet_id = 0;
  friend bool operator==(const ReceivedAs&, const ReceivedAs&) = default;
};

// Who wrote a batch, if it is an idempotent producer (KIP-98).
struct BatchProducer {
  std::int64_t id = -1;  // -1: it is none
  std::int16_t epoch = -1;
  std::int32_t first_sequence = -1;
  std::int32_t count = 0;  // of records, and so of sequence numbers
  bool idempotent() const { return id >= 0 && epoch >= 0 && first_sequence >= 0; }
  std::int32_t last_sequence() const;  // 0 follows 2^31 - 1
};
// Of a whole batch whose header has been checked.
BatchProducer producer_of(std::string_view batch);

// What of its batch's header is of interest without the records.
struct BatchFacts {
  Offset base_offset;
  std::int32_t leader_epoch = -1;
  std::int32_t count = 0;              // of offsets it takes
  std::int64_t max_timestamp_ms = -1;  // -1: none
  BatchProducer producer;
  Offset next_offset() const { return base_offset + count; }
};

// A parsed data entry; views of the entry's bytes.
struct DataEntry {
  TenantId tenant;
  std::string_view address;
  std::uint8_t qos = 0;
  bool kafka_batch = false;
  bool retain = false;       // the message bears the flag
  bool retain_here = false;  // and this shard keeps it as its address's retained message
  bool address_headers_allowed = false;
  std::uint64_t publisher_hash = 0;
  std::optional<StreamId> stream;
  bool stream_only = false;  // a further copy, for another stream that captures the same address
  std::optional<ForwardSource> source;
  std::optional<DirectedTo> directed;
  std::optional<ReceivedAs> received;  // never with `source`
  std::optional<Lsn> will;             // the will that is published with it; never with either
  std::string_view forwards;           // encoded shard ids: see for_each_forward
  std::uint32_t forward_count = 0;

  // The batch: either all in `batch`, or its first kBatchPrefix bytes there and the rest in `batch_rest`.
  std::string_view batch;
  std::string_view batch_rest;
  std::size_t batch_size() const { return batch.size() + batch_rest.size(); }
  BatchFacts facts;  // checked: a batch of format 2 that is exactly this long
};

// Moved, not copied: `control` may lie in `aligned`.
struct EntryView {
  EntryView() = default;
  EntryView(EntryView&&) = default;
  EntryView& operator=(EntryView&&) = default;

  EntryKind kind = EntryKind::kControl;
  WallTime time;
  DataEntry data;                      // of kData
  std::string_view control;            // of kControl: a verified FlatBuffer, aligned
  std::vector<std::uint64_t> aligned;  // where it lies if the entry's bytes were not
};

// What precedes the part of a batch that the partition's owner never changes: base offset, length, leader
// epoch.
inline constexpr std::size_t kBatchPrefix = 16;

// kCorrupt for bytes that are no entry, kUnsupported for a newer version's. Costs no allocation for data
// entries. Not looked at: the batch's CRC, its records, and whether the address makes sense.
Result<EntryView> parse_entry(const storage::LogEntry& entry);
Result<EntryView> parse_entry(std::string_view head, std::string_view body);

template <class Use>
void for_each_forward(const DataEntry& entry, Use&& use) {
  Reader reader(entry.forwards);
  for (std::uint32_t i = 0; i < entry.forward_count; ++i)
    use(ShardId(static_cast<std::uint32_t>(reader.uvarint())));
}

// The whole batch: as slices of `entry`, or as one, which is copied only when it lies in two places.
std::vector<Bytes> batch_slices(const storage::LogEntry& entry, const DataEntry& data);
Bytes batch_bytes(const storage::LogEntry& entry, const DataEntry& data);

// What a data entry is made of, besides the content. `base_offset` and `leader_epoch` are written into the
// batch, outside its CRC.
struct DataEntryParts {
  WallTime time{};
  bool retain_here = false;
  bool stream_only = false;
  std::optional<StreamId> stream{};
  Offset base_offset{};  // with stream: what its batch gets
  std::int32_t leader_epoch = -1;
  std::optional<ForwardSource> source{};
  std::optional<DirectedTo> directed{};
  std::optional<ReceivedAs> received{};
  std::optional<Lsn> will{};
  std::span<const ShardId> forwards{};
};
storage::LogEntry encode_data(const Data& data, const DataEntryParts& parts);
// The same around the batch where it lies, if it has room for that; the room is spent. `data.batch` is then a
// part of the entry, with what `parts` says written into it: no other copy of the batch may be in use.
storage::LogEntry encode_data_in_place(Data& data, const DataEntryParts& parts);
// `flatbuffer` is a finished ControlEntry.
storage::LogEntry encode_control(WallTime time, std::string_view flatbuffer);

}  // namespace stele::broker
