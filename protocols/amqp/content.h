// Content: the header and the bodies that follow basic.publish, deliver, return and get-ok (section 4.2.6).
// Bytes to properties and back, and cutting a body into frames. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "protocols/amqp/field_table.h"
#include "protocols/amqp/frame.h"
#include "protocols/amqp/reply_code.h"

namespace stele::amqp {

inline constexpr std::uint8_t kTransient = 1;
inline constexpr std::uint8_t kPersistent = 2;

// All fourteen. Views point into the frame. Texts are whatever bytes the sender put there: nobody checks
// that they are UTF-8.
struct BasicProperties {
  std::optional<std::string_view> content_type;
  std::optional<std::string_view> content_encoding;
  std::optional<TableView> headers;
  std::optional<std::uint8_t> delivery_mode;  // kTransient, kPersistent
  std::optional<std::uint8_t> priority;
  std::optional<std::string_view> correlation_id;
  std::optional<std::string_view> reply_to;
  std::optional<std::string_view> expiration;  // milliseconds, in digits
  std::optional<std::string_view> message_id;
  std::optional<std::uint64_t> timestamp;  // seconds since 1970
  std::optional<std::string_view> type;
  std::optional<std::string_view> user_id;
  std::optional<std::string_view> app_id;
  std::optional<std::string_view> cluster_id;  // reserved by 0-9-1, and still passed on

  // In wire order, each with its bit of the flags. Archive: p.text(bit, name, m.x), p.octet, p.time, p.table.
  template <class Archive, class M>
  static void describe(Archive& p, M& m) {
    p.text(15, "content_type", m.content_type);
    p.text(14, "content_encoding", m.content_encoding);
    p.table(13, "headers", m.headers);
    p.octet(12, "delivery_mode", m.delivery_mode);
    p.octet(11, "priority", m.priority);
    p.text(10, "correlation_id", m.correlation_id);
    p.text(9, "reply_to", m.reply_to);
    p.text(8, "expiration", m.expiration);
    p.text(7, "message_id", m.message_id);
    p.time(6, "timestamp", m.timestamp);
    p.text(5, "type", m.type);
    p.text(4, "user_id", m.user_id);
    p.text(3, "app_id", m.app_id);
    p.text(2, "cluster_id", m.cluster_id);
  }
  friend bool operator==(const BasicProperties&, const BasicProperties&) = default;
};

// A content header whose properties nobody has looked at: who passes a message on needs no more.
struct ContentHeader {
  std::uint16_t class_id = 0;
  std::uint64_t body_size = 0;
  std::string_view properties;  // flags and values, for decode_properties()
};

// Of the payload of a header frame. FRAME_ERROR if it is too short, UNEXPECTED_FRAME if its weight is not 0
// (as RabbitMQ). Which class it must be of is known to who has the method.
Decoded<ContentHeader> parse_content_header(std::string_view payload);

// FRAME_ERROR if they are cut short or too long, SYNTAX_ERROR for flags that there are no properties of, and
// for headers that make no sense.
Decoded<BasicProperties> decode_properties(std::string_view encoded);

// Append flags and values, or the whole header frame. False, and `out` left as it was, if a text has more
// than 255 bytes.
[[nodiscard]] bool append_properties(std::string& out, const BasicProperties& properties);
[[nodiscard]] bool append_content_header(std::string& out, std::uint16_t channel, std::uint64_t body_size,
                                         const BasicProperties& properties);
// Of class basic, with properties that are encoded already.
void append_content_header(std::string& out, std::uint16_t channel, std::uint64_t body_size,
                           std::string_view properties);

// Cuts a body into frames that are no larger than frame_max (0: no limit), without looking at the bytes:
//
//   BodyFrames frames(channel, body.size(), frame_max);
//   while (frames.next()) { send(frames.before()); send(body.substr(frames.begin(), frames.size())); }
//   send(frames.after());
//
// An empty body has no frames, and nothing before or after.
class BodyFrames {
 public:
  BodyFrames(std::uint16_t channel, std::uint64_t body_size, std::uint32_t frame_max);

  bool next();
  // The end of the frame before it, if there is one, and the head of this one; until the next call of next().
  std::string_view before() const {
    return {before_.data() + (begin_ == 0 ? 1 : 0), kMaxBefore - (begin_ == 0 ? 1 : 0)};
  }
  // Which part of the body it has.
  std::uint64_t begin() const { return begin_; }
  std::uint32_t size() const { return size_; }
  // The end of the last one.
  std::string_view after() const {
    return body_size_ == 0 ? std::string_view() : std::string_view(&kFrameEnd, 1);
  }

  // How many there are.
  std::uint64_t count() const { return body_size_ / part_max_ + (body_size_ % part_max_ != 0); }

 private:
  static constexpr std::size_t kMaxBefore = 1 + kFrameHeadBytes;

  std::uint64_t body_size_;
  std::uint32_t part_max_;
  std::uint64_t begin_ = 0;
  std::uint32_t size_ = 0;
  std::array<char, kMaxBefore> before_;
};

// Appends the frames of a body, copied: for one that is small.
void append_body(std::string& out, std::uint16_t channel, std::string_view body, std::uint32_t frame_max);

// The same as slices, to be sent one after the other; those of the body share its block.
void append_body_slices(std::vector<Bytes>& out, std::uint16_t channel, const Bytes& body,
                        std::uint32_t frame_max);

}  // namespace stele::amqp
