// Value types that several Kafka messages share.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace stele::kafka {

// A 128-bit id as Kafka writes it: topic ids (KIP-516), directory ids. Zero means "none".
struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool is_zero() const { return high == 0 && low == 0; }
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

// The record batches of a partition in a Fetch response: slices of the log, never copied together. Null and
// empty differ on the wire; clients take both for "nothing here".
class Records {
 public:
  Records() = default;
  explicit Records(std::vector<Bytes> slices) : null_(false), slices_(std::move(slices)) {}

  bool is_null() const { return null_; }
  const std::vector<Bytes>& slices() const { return slices_; }
  std::size_t size() const;
  // All slices copied into one string.
  std::string flatten() const;
  // Compares the bytes, not where they are cut.
  friend bool operator==(const Records& a, const Records& b) {
    return a.null_ == b.null_ && a.flatten() == b.flatten();
  }

 private:
  bool null_ = true;
  std::vector<Bytes> slices_;
};

// A broker's address, sent along with "not the leader" so that a client need not ask for metadata (KIP-951).
struct NodeEndpoint {
  std::int32_t node_id = -1;
  std::string host;
  std::int32_t port = 0;
  std::optional<std::string> rack;
  friend bool operator==(const NodeEndpoint&, const NodeEndpoint&) = default;
};

struct LeaderIdAndEpoch {
  std::int32_t leader_id = -1;
  std::int32_t leader_epoch = -1;
  friend bool operator==(const LeaderIdAndEpoch&, const LeaderIdAndEpoch&) = default;
};

// What `authorized operations` fields hold when nobody asked for them.
inline constexpr std::int32_t kOperationsNotAsked = INT32_MIN;

}  // namespace stele::kafka
