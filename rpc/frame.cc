#include "rpc/frame.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/wire.h"

namespace stele::rpc {
namespace {

constexpr std::string_view kMagic = "StRp";
constexpr std::size_t kKindAt = 4, kFlagsAt = 5, kControlAt = 6, kPayloadAt = 8, kTagAt = 12, kNumberAt = 16,
                      kBodyCrcAt = 24, kHeaderCrcAt = 28;

// A payload that is kept, and lies in memory shared with whatever else was read, is copied below this: the
// slab is four times as large.
constexpr std::size_t kCopyBelow = 16 << 10;

bool known(FrameKind kind) {
  return kind >= FrameKind::kHello && kind <= FrameKind::kGoodbye;
}
bool before_binding(FrameKind kind) {
  return kind == FrameKind::kHello || kind == FrameKind::kHelloAnswer;
}
bool has_payload(FrameKind kind) {
  return kind == FrameKind::kRequest || kind == FrameKind::kResponse || kind == FrameKind::kMessage;
}

}  // namespace

std::string_view to_string(Wrong wrong) {
  switch (wrong) {
    case Wrong::kNotOurs:
      return "not_ours";
    case Wrong::kGarbled:
      return "garbled";
    case Wrong::kReplayed:
      return "replayed";
    case Wrong::kTooLarge:
      return "too_large";
    case Wrong::kMalformed:
      return "malformed";
    case Wrong::kNoRoom:
      return "no_room";
  }
  return "unknown";
}

std::uint32_t tag_of(const Nonce& client, const Nonce& server, bool from_client) {
  std::uint32_t tag = crc32c({client.data(), client.size()});
  tag = crc32c({server.data(), server.size()}, tag);
  tag = crc32c(from_client ? "c" : "s", tag);
  return tag == 0 ? 1 : tag;
}

// ---- writing ---------------------------------------------------------------------------------------------

std::size_t size_of(std::span<const Bytes> payload) {
  std::size_t size = 0;
  for (const Bytes& slice : payload) size += slice.size();
  return size;
}

std::array<char, kFrameHeaderBytes> FrameStamp::next(FrameKind kind, std::string_view control,
                                                     std::span<const Bytes> payload) {
  STELE_ASSERT(control.size() <= kMaxControlBytes);
  STELE_ASSERT(before_binding(kind) == (tag_ == 0));
  std::uint32_t crc = crc32c(control);
  for (const Bytes& slice : payload) crc = crc32c(slice, crc);
  std::array<char, kFrameHeaderBytes> to;
  std::ranges::copy(kMagic, to.begin());
  to[kKindAt] = static_cast<char>(kind);
  to[kFlagsAt] = 0;
  store_le(&to[kControlAt], static_cast<std::uint16_t>(control.size()));
  store_le(&to[kPayloadAt], static_cast<std::uint32_t>(size_of(payload)));
  store_le(&to[kTagAt], tag_);
  store_le(&to[kNumberAt], number_++);
  store_le(&to[kBodyCrcAt], crc);
  store_le(&to[kHeaderCrcAt], crc32c({to.data(), kHeaderCrcAt}));
  return to;
}

// ---- control parts ---------------------------------------------------------------------------------------

void encode(const RequestControl& from, std::span<char, kRequestControlBytes> to) {
  store_le(&to[0], from.call);
  store_le(&to[8], from.method.value);
  store_le(&to[12], from.timeout_ms);
}
void encode(const ResponseControl& from, std::span<char, kResponseControlBytes> to) {
  store_le(&to[0], from.call);
  to[8] = static_cast<char>(from.status);
}
void encode(MessageId from, std::span<char, kMessageControlBytes> to) {
  store_le(&to[0], from.value);
}

bool decode(std::string_view from, RequestControl& to) {
  Reader r(from);
  to.call = r.le<std::uint64_t>();
  to.method = MethodId(r.le<std::uint32_t>());
  to.timeout_ms = r.le<std::uint32_t>();
  return r.ok();
}
bool decode(std::string_view from, ResponseControl& to) {
  Reader r(from);
  to.call = r.le<std::uint64_t>();
  to.status = static_cast<Status>(r.u8());
  return r.ok() && to.status <= Status::kNotTaken;
}
bool decode(std::string_view from, MessageId& to) {
  Reader r(from);
  to = MessageId(r.le<std::uint32_t>());
  return r.ok();
}

// ---- reading ---------------------------------------------------------------------------------------------

std::span<char> FrameReader::read_buffer() {
  if (!partial_ || partial_.capacity() - filled_ < kReadDirectly) return {};
  return {partial_.data() + filled_, partial_.capacity() - filled_};
}

void FrameReader::feed(Bytes data) {
  if (partial_ && data.data() == partial_.data() + filled_) {
    filled_ += data.size();
    STELE_ASSERT(filled_ <= partial_.capacity());
    return;
  }
  if (rest().empty()) {
    chunk_ = std::move(data);
    at_ = 0;
    return;
  }
  // Read while paused: a backend may have had it under way.
  Buffer joined(rest().size() + data.size());
  std::memcpy(joined.data(), rest().data(), rest().size());
  std::memcpy(joined.data() + rest().size(), data.data(), data.size());
  const std::size_t size = joined.capacity();
  chunk_ = std::move(joined).freeze(size);
  at_ = 0;
}

FrameReader::Next FrameReader::fail(Wrong wrong) {
  wrong_ = wrong;
  return Next::kWrong;
}

bool FrameReader::take_header(std::string_view bytes) {
  STELE_ASSERT(bytes.size() == kFrameHeaderBytes);
  const char* p = bytes.data();
  if (load_le<std::uint32_t>(p + kHeaderCrcAt) != crc32c(bytes.substr(0, kHeaderCrcAt))) {
    return fail(Wrong::kGarbled), false;
  }
  header_ = {.kind = static_cast<FrameKind>(p[kKindAt]),
             .control_bytes = load_le<std::uint16_t>(p + kControlAt),
             .payload_bytes = load_le<std::uint32_t>(p + kPayloadAt),
             .tag = load_le<std::uint32_t>(p + kTagAt),
             .number = load_le<std::uint64_t>(p + kNumberAt),
             .body_crc = load_le<std::uint32_t>(p + kBodyCrcAt)};
  if (header_.tag != tag_ || header_.number != number_) return fail(Wrong::kReplayed), false;
  if (!known(header_.kind) || p[kFlagsAt] != 0 || before_binding(header_.kind) != (tag_ == 0) ||
      (!has_payload(header_.kind) && header_.payload_bytes > 0)) {
    return fail(Wrong::kMalformed), false;
  }
  if (header_.control_bytes > kMaxControlBytes || header_.payload_bytes > max_payload_bytes_) {
    return fail(Wrong::kTooLarge), false;
  }
  ++number_;
  return true;
}

FrameReader::Next FrameReader::give(std::string_view body, const Bytes& block, Frame& frame) {
  if (crc32c(body) != header_.body_crc) return fail(Wrong::kGarbled);
  block_ = &block;
  frame = {.header = header_,
           .control = body.substr(0, header_.control_bytes),
           .payload = body.substr(header_.control_bytes)};
  return Next::kFrame;
}

FrameReader::Next FrameReader::next(Frame& frame) {
  done_ = {};
  if (partial_) return finish_partial(frame);
  // The header: where it lies, or out of pieces.
  std::string_view header;
  if (head_size_ == 0 && rest().size() >= kFrameHeaderBytes) {
    header = rest().substr(0, kFrameHeaderBytes);
    at_ += kFrameHeaderBytes;
  } else {
    const std::size_t take = std::min(kFrameHeaderBytes - head_size_, rest().size());
    std::ranges::copy(rest().substr(0, take), head_.begin() + head_size_);
    head_size_ += static_cast<std::uint8_t>(take);
    at_ += take;
    header = {head_.data(), head_size_};
  }
  // What is none of ours is told by its first bytes: nobody waits for more of it.
  const std::size_t seen = std::min(header.size(), kMagic.size());
  if (header.substr(0, seen) != kMagic.substr(0, seen)) return fail(Wrong::kNotOurs);
  if (header.size() < kFrameHeaderBytes) {
    chunk_ = {};
    at_ = 0;
    return Next::kMore;
  }
  head_size_ = 0;
  if (!take_header(header)) return Next::kWrong;
  const std::size_t body = header_.control_bytes + std::size_t(header_.payload_bytes);
  if (rest().size() >= body) {
    const std::string_view bytes = rest().substr(0, body);
    at_ += body;
    return give(bytes, chunk_, frame);
  }
  if (const Next begun = begin_body(); begun == Next::kWrong) return begun;
  return Next::kMore;
}

FrameReader::Next FrameReader::begin_body() {
  const std::size_t body = header_.control_bytes + std::size_t(header_.payload_bytes);
  STELE_ASSERT(!partial_ && rest().size() < body);
  if (body > budget_.limit - std::min(budget_.used, budget_.limit)) return fail(Wrong::kNoRoom);
  budget_.used += body;
  partial_ = Buffer(body);
  filled_ = rest().size();
  if (filled_ > 0) std::memcpy(partial_.data(), rest().data(), filled_);
  chunk_ = {};
  at_ = 0;
  return Next::kMore;
}

FrameReader::Next FrameReader::finish_partial(Frame& frame) {
  const std::size_t take = std::min(partial_.capacity() - filled_, rest().size());
  if (take > 0) std::memcpy(partial_.data() + filled_, rest().data(), take);
  filled_ += take;
  at_ += take;
  if (filled_ < partial_.capacity()) {
    chunk_ = {};
    at_ = 0;
    return Next::kMore;
  }
  const std::size_t size = partial_.capacity();
  budget_.used -= size;
  done_ = std::exchange(partial_, Buffer()).freeze(size);
  filled_ = 0;
  return give(done_, done_, frame);
}

Bytes FrameReader::keep_payload(const Frame& frame) const {
  if (frame.payload.empty()) return {};
  if (block_ == &done_ || frame.payload.size() >= kCopyBelow) return block_->slice(frame.payload);
  return Bytes::copy(frame.payload);
}

void FrameReader::pause() {
  done_ = {};
  chunk_ = rest().empty() ? Bytes() : Bytes::copy(rest());
  at_ = 0;
}

void FrameReader::forget() {
  drop_partial();
  done_ = chunk_ = {};
  at_ = 0;
}

void FrameReader::drop_partial() {
  if (!partial_) return;
  STELE_ASSERT(budget_.used >= partial_.capacity());
  budget_.used -= partial_.capacity();
  partial_ = Buffer();
  filled_ = 0;
}

}  // namespace stele::rpc
