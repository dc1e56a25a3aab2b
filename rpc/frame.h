// What two nodes say to each other, cut into frames (docs/formats/rpc.md). Pure: bytes in, frames out.
//
// A frame is a header, a control part and a payload. The header has a checksum of its own, so that a length
// is believed, and memory taken, only when it is what was sent; then a checksum of the rest. It also carries
// a number and the tag of its connection: a frame that comes twice, is left out, comes from another
// connection or is sent back to its sender is refused.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/strong_id.h"

namespace stele::rpc {

// What a request asks for, and what a message that nobody answers is about. Whoever serves them gives the
// numbers; they are never used for anything else again.
using MethodId = StrongId<struct MethodIdTag, std::uint32_t>;
using MessageId = StrongId<struct MessageIdTag, std::uint32_t>;

enum class FrameKind : std::uint8_t {
  kHello = 1,        // the client's first
  kHelloAnswer = 2,  // the server's first: welcome, or refused
  kRequest = 3,
  kResponse = 4,
  kMessage = 5,
  kPing = 6,     // nothing else was sent for a while
  kGoodbye = 7,  // sends no more requests, or takes no more
};

// Why what came is refused. Each is counted by itself.
enum class Wrong : std::uint8_t {
  kNotOurs,    // does not begin as a frame does
  kGarbled,    // a checksum does not match
  kReplayed,   // not the next of this connection: seen before, left out, or meant for another one
  kTooLarge,   // beyond what was agreed on
  kMalformed,  // intact, and makes no sense here
  kNoRoom,     // all connections together hold too much of frames that are not complete
};
constexpr std::size_t kWrongs = 6;
std::string_view to_string(Wrong wrong);

struct FrameHeader {
  FrameKind kind{};
  std::uint16_t control_bytes = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t tag = 0;     // of the connection and direction; 0 in hello and its answer
  std::uint64_t number = 0;  // counts the frames of a direction from 0, the hello
  std::uint32_t body_crc = 0;
};
constexpr std::size_t kFrameHeaderBytes = 32;
// Of hello, its answer and goodbye; other control parts are far below.
constexpr std::size_t kMaxControlBytes = 4096;

using Nonce = std::array<char, 16>;
// Binds frames to the connection and the direction; both ends know both nonces. Never 0.
std::uint32_t tag_of(const Nonce& client, const Nonce& server, bool from_client);

// ---- writing ---------------------------------------------------------------------------------------------

std::size_t size_of(std::span<const Bytes> payload);

// Numbers, stamps and checksums the frames of one direction. `control` fits kMaxControlBytes.
class FrameStamp {
 public:
  void bind(std::uint32_t tag) { tag_ = tag; }
  // The next frame's header.
  std::array<char, kFrameHeaderBytes> next(FrameKind kind, std::string_view control,
                                           std::span<const Bytes> payload);

 private:
  std::uint32_t tag_ = 0;
  std::uint64_t number_ = 0;
};

// ---- control parts of the frequent frames
// ------------------------------------------------------------------ Fixed, little-endian. A longer one, of a
// later version, is read as far as it is known.

enum class Status : std::uint8_t {
  kOk = 0,
  kFailed = 1,    // the payload is code (u8) and text of an Error
  kNotTaken = 2,  // likewise; nobody has begun with it
};

struct RequestControl {
  std::uint64_t call = 0;
  MethodId method;
  std::uint32_t timeout_ms = 0;  // how long the caller will wait
};
constexpr std::size_t kRequestControlBytes = 16;
struct ResponseControl {
  std::uint64_t call = 0;
  Status status{};
};
constexpr std::size_t kResponseControlBytes = 9;
constexpr std::size_t kMessageControlBytes = 4;

void encode(const RequestControl& from, std::span<char, kRequestControlBytes> to);
void encode(const ResponseControl& from, std::span<char, kResponseControlBytes> to);
void encode(MessageId from, std::span<char, kMessageControlBytes> to);
// False: it makes no sense.
bool decode(std::string_view from, RequestControl& to);
bool decode(std::string_view from, ResponseControl& to);
bool decode(std::string_view from, MessageId& to);

// ---- reading ---------------------------------------------------------------------------------------------

struct Frame {
  FrameHeader header;
  std::string_view control;  // valid until the next call of the reader
  std::string_view payload;  // likewise
};

// What all connections of a core may hold of frames that are not complete.
struct InputBudget {
  std::size_t limit = SIZE_MAX;
  std::size_t used = 0;
};

// Bytes of a connection, cut into frames. One that lies whole in what was read is used where it lies; one
// that is cut gets a block of exactly its size once its header is there and right, and the rest is read
// straight into it. Between frames nothing is held.
class FrameReader {
 public:
  explicit FrameReader(InputBudget& budget) : budget_(budget) {}
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;
  ~FrameReader() { drop_partial(); }

  // Frames from now on carry this tag and may have so large a payload. Before, only a hello and its answer
  // are taken, without payload.
  void bind(std::uint32_t tag, std::uint32_t max_payload_bytes) {
    tag_ = tag;
    max_payload_bytes_ = max_payload_bytes;
  }

  // Where the rest of a large frame is to be read to; empty otherwise.
  std::span<char> read_buffer();
  // Bytes were read, perhaps into read_buffer().
  void feed(Bytes data);

  enum class Next : std::uint8_t { kFrame, kMore, kWrong };
  Next next(Frame& frame);
  Wrong wrong() const { return wrong_; }

  // Of the frame that next() gave: a slice to keep. Copied where keeping would pin far more than it.
  Bytes keep_payload(const Frame& frame) const;

  // Before next() is left off in the middle of what was read: copies the rest, so that it does not pin the
  // core's slab.
  void pause();
  // Forgets everything; nothing may be fed any more. The budget may go then.
  void forget();
  bool idle() const { return !partial_ && head_size_ == 0 && at_ == chunk_.size() && done_.empty(); }

 private:
  static constexpr std::size_t kReadDirectly = 4096;

  std::string_view rest() const { return chunk_.view().substr(at_); }
  Next fail(Wrong wrong);
  // Of a whole header.
  bool take_header(std::string_view bytes);
  Next begin_body();
  Next finish_partial(Frame& frame);
  Next give(std::string_view body, const Bytes& block, Frame& frame);
  void drop_partial();

  InputBudget& budget_;
  std::uint32_t tag_ = 0;
  std::uint32_t max_payload_bytes_ = 0;
  std::uint64_t number_ = 0;  // of the next frame
  FrameHeader header_;        // of a frame whose body is cut
  Bytes chunk_;               // as read; from at_ on not looked at
  std::size_t at_ = 0;
  Bytes done_;  // the body of a frame that had a block of its own
  const Bytes* block_ = nullptr;
  Buffer partial_;
  std::size_t filled_ = 0;
  std::array<char, kFrameHeaderBytes> head_{};
  std::uint8_t head_size_ = 0;
  Wrong wrong_{};
};

}  // namespace stele::rpc
