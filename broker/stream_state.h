// One stream (a partition of a topic) as its shard's state machine knows it: what offsets there are and where
// in the shard's log they lie. The records themselves are in the log. Pure.
//
// The index is sparse: one place per kIndexBytes of the stream. A place tells the LSN of the entry that holds
// `offset`, how many bytes of the stream precede it, and the largest timestamp before it; so a reader starts
// at a place and walks the log, and retention cuts at places.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/wire.h"
#include "model/ids.h"
#include "model/message.h"

namespace stele::broker {

struct StreamConfig {
  TenantId tenant;
  std::string name;  // of the topic
  std::int32_t partition_count = 1;
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
    std::int64_t max_timestamp_ms = -1;  // of all records before it
    friend bool operator==(const Place&, const Place&) = default;
  };
  static constexpr std::uint64_t kIndexBytes = 16 << 10;

  StreamState() = default;
  StreamState(StreamConfig config, Lsn made_at);

  const StreamConfig& config() const { return config_; }
  const KeyRule& key_rule() const { return key_rule_; }
  const std::string& address() const { return address_; }  // of the topic's name
  void set_config(StreamConfig config);
  // Whether a message belongs to this partition, if its address is captured at all.
  bool owns(std::int32_t partition, const MessageView& message) const;

  Offset start() const { return start_; }
  Offset next() const { return next_; }
  std::uint64_t bytes() const { return end_bytes_ - start_bytes_; }  // retained, at the index's grain
  std::int64_t max_timestamp_ms() const { return max_timestamp_ms_; }
  Offset max_timestamp_offset() const { return max_timestamp_offset_; }  // of the batch that has it

  // A batch of `count` records was appended at `lsn`, with the offsets from next() on.
  void append(Lsn lsn, std::int32_t count, std::uint64_t bytes, std::int64_t max_timestamp_ms);
  // Records below `start` are gone.
  void trim(Offset start);

  // Where to begin to read for `offset`: the last place at or below it. None when the stream is empty.
  std::optional<Place> place_for(Offset offset) const;
  // Where to begin to look for the first record with at least that timestamp; none if there is none.
  std::optional<Place> place_for_timestamp(std::int64_t timestamp_ms) const;
  // What ListOffsets calls the earliest offset.
  Offset earliest() const;

  // Where retention would cut now: the new start, or none. Never beyond `keep_from`, and never into the last
  // place.
  std::optional<Offset> retention_cut(WallTime now) const;
  // The lowest LSN that holds a record still there; none when empty.
  std::optional<Lsn> lsn_needed() const;

  void add_to(Hasher& hasher) const;
  void encode(Writer& writer) const;
  static std::optional<StreamState> decode(Reader& reader);

 private:
  StreamConfig config_;
  KeyRule key_rule_;
  std::string address_;
  Offset start_;
  Offset next_;
  std::uint64_t start_bytes_ = 0;  // before start_, at the index's grain
  std::uint64_t end_bytes_ = 0;
  std::int64_t max_timestamp_ms_ = -1;
  Offset max_timestamp_offset_{-1};
  std::deque<Place> index_;
};

void encode_config(Writer& writer, const StreamConfig& config);
StreamConfig decode_config(Reader& reader);

}  // namespace stele::broker
