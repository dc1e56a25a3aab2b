// What a node asks of the replicas on another, as bytes (docs/formats/journal-rpc.md). Pure.
//
// Decoders answer kMalformed for what makes no sense, take memory in proportion to the input, and do
// not read what a later version may have appended. Entries that are decoded are slices of the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "rpc/frame.h"
#include "storage/segment_store.h"

namespace stele::journal::wire {

// Of requests.
constexpr rpc::MethodId kAppend{200};
constexpr rpc::MethodId kFence{201};
constexpr rpc::MethodId kRead{202};
constexpr rpc::MethodId kDescribe{203};
constexpr rpc::MethodId kList{204};
constexpr rpc::MethodId kStatus{205};
// Of messages.
constexpr rpc::MessageId kTrim{200};
constexpr rpc::MessageId kRemove{201};

// Each begins with the disk that is meant: the replica of a segment is on a disk, not only on a node.
struct Append {
  std::uint64_t disk = 0;
  SegmentId segment;
  Epoch epoch;
  std::uint64_t first = 0;
  std::vector<storage::LogEntry> entries;
};
// Answered with where the batch ends: [0, end) is stored.
struct Stored {
  std::uint64_t end = 0;
};
struct Fence {
  std::uint64_t disk = 0;
  std::vector<storage::FenceRequest> requests;
};
struct FenceAnswers {
  std::vector<Result<storage::FenceAnswer>> answers;
};
struct Read {
  std::uint64_t disk = 0;
  SegmentId segment;
  std::uint64_t index = 0;
  std::uint32_t max_bytes = 0;
};
struct Entries {
  std::vector<storage::LogEntry> entries;
};
struct Describe {
  std::uint64_t disk = 0;
  std::vector<SegmentId> segments;
};
struct Descriptions {
  std::vector<std::optional<storage::SegmentInfo>> segments;
};
// Those above `after`, in order of their ids, no more than `limit`; `more`: ask again behind the last.
struct List {
  std::uint64_t disk = 0;
  std::optional<SegmentId> after;
  std::uint32_t limit = 0;
};
struct Listed {
  std::vector<storage::SegmentInfo> segments;
  bool more = false;
};
struct Status {
  std::uint64_t disk = 0;
};
struct StatusAnswer {
  bool has_space = false;
};
struct Trim {
  std::uint64_t disk = 0;
  SegmentId segment;
  std::uint64_t below = 0;
};
struct Remove {
  std::uint64_t disk = 0;
  std::vector<SegmentId> segments;
};

// Large pieces of entries are slices of their own, small ones are gathered.
std::vector<Bytes> encode(const Append& from);
std::vector<Bytes> encode(const Entries& from);
Bytes encode(const Stored& from);
Bytes encode(const Fence& from);
Bytes encode(const FenceAnswers& from);
Bytes encode(const Read& from);
Bytes encode(const Describe& from);
Bytes encode(const Descriptions& from);
Bytes encode(const List& from);
Bytes encode(const Listed& from);
Bytes encode(const Status& from);
Bytes encode(const StatusAnswer& from);
Bytes encode(const Trim& from);
Bytes encode(const Remove& from);

// Result<Append> append = decode<Append>(payload);
template <class T>
Result<T> decode(const Bytes& from);

}  // namespace stele::journal::wire
