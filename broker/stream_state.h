// One stream (a partition of a topic) as its shard's state machine knows it: what offsets there are and where
// in the shard's log they lie. The records themselves are in the log. Pure.
//
// The index is sparse: one place per grain() bytes of the stream, so that a reader starts at a place and
// walks the log, and retention cuts at places. It has at most kMaxPlaces: when it is full, every second one
// goes and the grain doubles. Memory so stays bounded whatever a stream keeps, at the price of longer walks
// in a large one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fifo.h"
#include "base/wire.h"
#include "broker/entry.h"
#include "model/ids.h"
#include "model/message.h"

namespace stele::broker {

struct StreamConfig {
  TenantId tenant;
  std::string name;                   // of the topic
  std::int32_t partition_count = 1;   // over which captured messages are spread
  std::vector<std::string> captures;  // filters in MQTT form
  std::string key = "address";        // KeyRule's text
  std::int64_t retention_ms = -1;     // -1: for ever
  std::int64_t retention_bytes = -1;  // -1: any number
  bool log_append_time = false;
  friend bool operator==(const StreamConfig&, const StreamConfig&) = default;
};

class StreamState {
 public:
  struct Place {
    Offset offset;  // first of the entry at `lsn`
    Lsn lsn;
    std::uint64_t bytes = 0;             // of the stream before it, since it was made
    std::int64_t max_timestamp_ms = -1;  // of the records from here to the next place
    friend bool operator==(const Place&, const Place&) = default;
  };
  static constexpr std::uint64_t kIndexBytes = 16 << 10;  // the first grain
  static constexpr std::size_t kMaxPlaces = 16 << 10;
  // Where an ownership's records begin. Past this many the oldest two become one.
  struct EpochStart {
    std::int32_t epoch;  // the partition leader epoch of its batches
    Offset offset;
    friend bool operator==(const EpochStart&, const EpochStart&) = default;
  };
  static constexpr std::size_t kMaxEpochs = 1024;

  StreamState() = default;
  explicit StreamState(StreamConfig config);

  const StreamConfig& config() const { return config_; }
  const KeyRule& key_rule() const { return key_rule_; }
  const std::string& address() const { return address_; }  // of the topic's name
  void set_config(StreamConfig config);
  // Whether a message belongs to this partition, if its address is captured at all.
  bool owns(std::int32_t partition, const MessageView& message) const;

  Offset start() const { return start_; }
  Offset next() const { return next_; }
  std::uint64_t bytes() const;  // retained, at the index's grain
  std::uint64_t grain() const { return grain_; }
  std::size_t places() const { return index_.size(); }
  // The largest timestamp of what is retained, at the index's grain; -1 if there is none.
  std::int64_t max_timestamp_ms() const;

  // A batch was appended at `lsn`, with the offsets from next() on. `timestamp_ms` is its largest.
  void append(Lsn lsn, const BatchFacts& batch, std::uint64_t bytes, std::int64_t timestamp_ms);
  // Records below `start` are gone.
  void trim(Offset start);

  // Where to begin to read for `offset`: the last place at or below it. None when the stream is empty.
  std::optional<Place> place_for(Offset offset) const;
  // Where to begin to look for the first record with at least that timestamp; none if there is none.
  std::optional<Place> place_for_timestamp(std::int64_t timestamp_ms) const;
  // What ListOffsets calls the earliest offset.
  Offset earliest() const;
  // The leader epoch of the record at `offset`, which is below next(); -1: it is not known any more.
  std::int32_t epoch_at(Offset offset) const;
  // KIP-101: the latest ownership that is not after `epoch`, and where its records end. None if all that is
  // retained is of later ones.
  std::optional<EpochStart> epoch_end(std::int32_t epoch) const;

  // Where retention would cut now: the new start, or none. Cuts at places, and behind the last record once
  // even that is too old.
  std::optional<Offset> retention_cut(WallTime now) const;
  // The lowest LSN that holds a record still there; none when empty.
  std::optional<Lsn> lsn_needed() const;

  void encode(Writer& writer) const;
  // The reader has failed if it is none, or if it is not of a log that ends at `end`.
  static StreamState decode(Reader& reader, Lsn end);

  // By which number the shard's captures know it: derived, not state.
  std::uint64_t capture_number = 0;

 private:
  void thin_index();
  void decode_index(Reader& reader);

  StreamConfig config_;
  KeyRule key_rule_;
  std::string address_;
  Offset start_;
  Offset next_;
  std::uint64_t end_bytes_ = 0;
  std::uint64_t grain_ = kIndexBytes;
  Fifo<Place> index_;  // empty when nothing is retained; the first is at or below start_
  std::vector<EpochStart> epochs_;
};

void encode_config(Writer& writer, const StreamConfig& config);
StreamConfig decode_config(Reader& reader);

}  // namespace stele::broker
