#include "journal/replica_codec.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/wire.h"
#include "rpc/error_codec.h"

namespace stele::journal::wire {
namespace {

using storage::FenceAnswer;
using storage::FenceRequest;
using storage::LogEntry;
using storage::SegmentInfo;

// From here on a piece is a slice of its own: it would be sent without a copy.
constexpr std::size_t kOwnSlice = 2048;

// ---- writing ----------------------------------------------------------------------------------------------

std::vector<Bytes> with_entries(std::string head, const std::vector<LogEntry>& entries) {
  Writer w(head);
  w.le<std::uint32_t>(static_cast<std::uint32_t>(entries.size()));
  for (const LogEntry& entry : entries) w.le<std::uint32_t>(static_cast<std::uint32_t>(entry.size()));
  std::vector<Bytes> out;
  const auto put = [&](const Bytes& piece) {
    if (piece.size() < kOwnSlice) {
      w.bytes(piece.view());
      return;
    }
    if (!head.empty()) out.push_back(Bytes::copy(head));
    head.clear();
    out.push_back(piece);
  };
  for (const LogEntry& entry : entries) {
    put(entry.head);
    put(entry.body);
  }
  if (!head.empty()) out.push_back(Bytes::copy(head));
  return out;
}

void put(Writer& w, const std::vector<SegmentId>& segments) {
  w.le<std::uint32_t>(static_cast<std::uint32_t>(segments.size()));
  for (const SegmentId segment : segments) w.le(segment.value);
}

void put(Writer& w, const SegmentInfo& info) {
  w.le(info.id.value).le(info.begin).le(info.stored).le(info.end).le(info.fence.value).le(info.bytes);
  w.u8(info.certain ? 1 : 0);
}
constexpr std::size_t kInfoBytes = 49;

// ---- reading ----------------------------------------------------------------------------------------------

bool take_bool(Reader& r) {
  const std::uint8_t value = r.u8();
  if (value > 1) r.fail();
  return value == 1;
}

// How many follow, each of at least `bytes`.
std::size_t take_count(Reader& r, std::size_t bytes) {
  const auto count = r.le<std::uint32_t>();
  if (count > r.remaining() / bytes) r.fail();
  return r.failed() ? 0 : count;
}

std::vector<LogEntry> take_entries(Reader& r, const Bytes& from) {
  const std::size_t count = take_count(r, 4);
  Reader sizes(r.bytes(count * 4));
  std::vector<LogEntry> entries;
  entries.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view entry = r.bytes(sizes.le<std::uint32_t>());
    if (r.failed()) break;
    entries.push_back({.head = from.slice(entry), .body = {}});
  }
  return entries;
}

std::vector<SegmentId> take_segments(Reader& r) {
  std::vector<SegmentId> segments(take_count(r, 8));
  for (SegmentId& segment : segments) segment = SegmentId(r.le<std::uint64_t>());
  return segments;
}

SegmentInfo take_info(Reader& r) {
  SegmentInfo info;
  info.id = SegmentId(r.le<std::uint64_t>());
  info.begin = r.le<std::uint64_t>();
  info.stored = r.le<std::uint64_t>();
  info.end = r.le<std::uint64_t>();
  info.fence = Epoch(r.le<std::uint64_t>());
  info.bytes = r.le<std::uint64_t>();
  info.certain = take_bool(r);
  if (info.begin > info.stored || info.stored > info.end) r.fail();
  return info;
}

void take(Reader& r, const Bytes& from, Append& to) {
  to.disk = r.le<std::uint64_t>();
  to.segment = SegmentId(r.le<std::uint64_t>());
  to.epoch = Epoch(r.le<std::uint64_t>());
  to.first = r.le<std::uint64_t>();
  to.entries = take_entries(r, from);
  if (to.entries.empty() || to.first + to.entries.size() < to.first) r.fail();
}
void take(Reader& r, const Bytes& from, Entries& to) {
  to.entries = take_entries(r, from);
}
void take(Reader& r, const Bytes&, Stored& to) {
  to.end = r.le<std::uint64_t>();
}
void take(Reader& r, const Bytes&, Fence& to) {
  to.disk = r.le<std::uint64_t>();
  to.requests.resize(take_count(r, 17));
  for (FenceRequest& request : to.requests) {
    request.segment = SegmentId(r.le<std::uint64_t>());
    request.epoch = Epoch(r.le<std::uint64_t>());
    request.fresh = take_bool(r);
  }
}
void take(Reader& r, const Bytes&, FenceAnswers& to) {
  for (std::size_t count = take_count(r, 3); count > 0 && !r.failed(); --count) {
    if (take_bool(r)) {
      const std::string_view failure = r.bytes(r.le<std::uint16_t>());
      to.answers.push_back(std::unexpected(rpc::decode_error(failure)));
      continue;
    }
    FenceAnswer answer;
    answer.begin = r.le<std::uint64_t>();
    answer.end = r.le<std::uint64_t>();
    answer.certain = take_bool(r);
    if (answer.begin > answer.end) r.fail();
    to.answers.emplace_back(answer);
  }
}
void take(Reader& r, const Bytes&, Read& to) {
  to.disk = r.le<std::uint64_t>();
  to.segment = SegmentId(r.le<std::uint64_t>());
  to.index = r.le<std::uint64_t>();
  to.max_bytes = r.le<std::uint32_t>();
}
void take(Reader& r, const Bytes&, Describe& to) {
  to.disk = r.le<std::uint64_t>();
  to.segments = take_segments(r);
}
void take(Reader& r, const Bytes&, Descriptions& to) {
  to.segments.resize(take_count(r, 1));
  for (auto& segment : to.segments) {
    if (take_bool(r)) segment = take_info(r);
  }
}
void take(Reader& r, const Bytes&, List& to) {
  to.disk = r.le<std::uint64_t>();
  const bool later = take_bool(r);
  const SegmentId after(r.le<std::uint64_t>());
  if (later) to.after = after;
  to.limit = r.le<std::uint32_t>();
}
void take(Reader& r, const Bytes&, Listed& to) {
  to.more = take_bool(r);
  to.segments.resize(take_count(r, kInfoBytes));
  for (SegmentInfo& info : to.segments) info = take_info(r);
}
void take(Reader& r, const Bytes&, Status& to) {
  to.disk = r.le<std::uint64_t>();
}
void take(Reader& r, const Bytes&, StatusAnswer& to) {
  to.has_space = take_bool(r);
}
void take(Reader& r, const Bytes&, Trim& to) {
  to.disk = r.le<std::uint64_t>();
  to.segment = SegmentId(r.le<std::uint64_t>());
  to.below = r.le<std::uint64_t>();
}
void take(Reader& r, const Bytes&, Remove& to) {
  to.disk = r.le<std::uint64_t>();
  to.segments = take_segments(r);
}

}  // namespace

std::vector<Bytes> encode(const Append& from) {
  std::string head;
  Writer(head).le(from.disk).le(from.segment.value).le(from.epoch.value).le(from.first);
  return with_entries(std::move(head), from.entries);
}

std::vector<Bytes> encode(const Entries& from) {
  return with_entries({}, from.entries);
}

Bytes encode(const Stored& from) {
  std::string out;
  Writer(out).le(from.end);
  return Bytes::copy(out);
}

Bytes encode(const Fence& from) {
  std::string out;
  Writer w(out);
  w.le(from.disk).le<std::uint32_t>(static_cast<std::uint32_t>(from.requests.size()));
  for (const FenceRequest& request : from.requests)
    w.le(request.segment.value).le(request.epoch.value).u8(request.fresh ? 1 : 0);
  return Bytes::copy(out);
}

Bytes encode(const FenceAnswers& from) {
  std::string out;
  Writer w(out);
  w.le<std::uint32_t>(static_cast<std::uint32_t>(from.answers.size()));
  for (const Result<FenceAnswer>& answer : from.answers) {
    if (answer) {
      w.u8(0).le(answer->begin).le(answer->end).u8(answer->certain ? 1 : 0);
    } else {
      const std::string failure = rpc::encode_error(answer.error());
      w.u8(1).le<std::uint16_t>(static_cast<std::uint16_t>(failure.size())).bytes(failure);
    }
  }
  return Bytes::copy(out);
}

Bytes encode(const Read& from) {
  std::string out;
  Writer(out).le(from.disk).le(from.segment.value).le(from.index).le(from.max_bytes);
  return Bytes::copy(out);
}

Bytes encode(const Describe& from) {
  std::string out;
  Writer w(out);
  w.le(from.disk);
  put(w, from.segments);
  return Bytes::copy(out);
}

Bytes encode(const Descriptions& from) {
  std::string out;
  Writer w(out);
  w.le<std::uint32_t>(static_cast<std::uint32_t>(from.segments.size()));
  for (const auto& segment : from.segments) {
    w.u8(segment ? 1 : 0);
    if (segment) put(w, *segment);
  }
  return Bytes::copy(out);
}

Bytes encode(const List& from) {
  std::string out;
  Writer(out).le(from.disk).u8(from.after ? 1 : 0).le(from.after.value_or(SegmentId(0)).value).le(from.limit);
  return Bytes::copy(out);
}

Bytes encode(const Listed& from) {
  std::string out;
  Writer w(out);
  w.u8(from.more ? 1 : 0).le<std::uint32_t>(static_cast<std::uint32_t>(from.segments.size()));
  for (const SegmentInfo& info : from.segments) put(w, info);
  return Bytes::copy(out);
}

Bytes encode(const Status& from) {
  std::string out;
  Writer(out).le(from.disk);
  return Bytes::copy(out);
}

Bytes encode(const StatusAnswer& from) {
  return Bytes::literal(from.has_space ? std::string_view("\1", 1) : std::string_view("\0", 1));
}

Bytes encode(const Trim& from) {
  std::string out;
  Writer(out).le(from.disk).le(from.segment.value).le(from.below);
  return Bytes::copy(out);
}

Bytes encode(const Remove& from) {
  std::string out;
  Writer w(out);
  w.le(from.disk);
  put(w, from.segments);
  return Bytes::copy(out);
}

template <class T>
Result<T> decode(const Bytes& from) {
  Reader r(from.view());
  T to;
  take(r, from, to);
  if (r.failed()) return error(ErrorCode::kMalformed, "what was said about a replica makes no sense");
  return to;
}

template Result<Append> decode(const Bytes&);
template Result<Stored> decode(const Bytes&);
template Result<Fence> decode(const Bytes&);
template Result<FenceAnswers> decode(const Bytes&);
template Result<Read> decode(const Bytes&);
template Result<Entries> decode(const Bytes&);
template Result<Describe> decode(const Bytes&);
template Result<Descriptions> decode(const Bytes&);
template Result<List> decode(const Bytes&);
template Result<Listed> decode(const Bytes&);
template Result<Status> decode(const Bytes&);
template Result<StatusAnswer> decode(const Bytes&);
template Result<Trim> decode(const Bytes&);
template Result<Remove> decode(const Bytes&);

}  // namespace stele::journal::wire
