#include "protocols/amqp/content.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "base/wire.h"
#include "protocols/amqp/method_codec.h"

namespace stele::amqp {

namespace {

constexpr unsigned kAnyProperty = 0xFFFC;  // the two low bits have none; the last says that more flags follow

class PropertyReader {
 public:
  PropertyReader(ArgumentReader& values, std::uint16_t flags) : values_(values), flags_(flags) {}
  void text(unsigned bit, const char* name, std::optional<std::string_view>& value) {
    if (has(bit)) values_.short_bytes(name, value.emplace());
  }
  void table(unsigned bit, const char* name, std::optional<TableView>& value) {
    if (has(bit)) values_.table(name, value.emplace());
  }
  void octet(unsigned bit, const char* name, std::optional<std::uint8_t>& value) {
    if (has(bit)) values_.integer(name, value.emplace());
  }
  void time(unsigned bit, const char* name, std::optional<std::uint64_t>& value) {
    if (has(bit)) values_.integer(name, value.emplace());
  }

 private:
  bool has(unsigned bit) const { return flags_ >> bit & 1; }
  ArgumentReader& values_;
  std::uint16_t flags_;
};

class PropertyFlags {
 public:
  template <class T>
  void text(unsigned bit, const char*, const std::optional<T>& value) {
    flags_ |= value ? 1u << bit : 0u;
  }
  void table(unsigned bit, const char* name, const std::optional<TableView>& value) {
    text(bit, name, value);
  }
  void octet(unsigned bit, const char* name, const std::optional<std::uint8_t>& value) {
    text(bit, name, value);
  }
  void time(unsigned bit, const char* name, const std::optional<std::uint64_t>& value) {
    text(bit, name, value);
  }
  std::uint16_t flags() const { return static_cast<std::uint16_t>(flags_); }

 private:
  unsigned flags_ = 0;
};

class PropertyWriter {
 public:
  explicit PropertyWriter(ArgumentWriter& values) : values_(values) {}
  void text(unsigned, const char* name, const std::optional<std::string_view>& value) {
    if (value) values_.short_bytes(name, *value);
  }
  void table(unsigned, const char* name, const std::optional<TableView>& value) {
    if (value) values_.table(name, *value);
  }
  void octet(unsigned, const char* name, const std::optional<std::uint8_t>& value) {
    if (value) values_.integer(name, *value);
  }
  void time(unsigned, const char* name, const std::optional<std::uint64_t>& value) {
    if (value) values_.integer(name, *value);
  }

 private:
  ArgumentWriter& values_;
};

// The frame's head, and the header's fixed fields.
std::size_t begin_content_header(std::string& out, std::uint16_t channel, std::uint64_t body_size) {
  const std::size_t start = out.size();
  append_frame_head(out, FrameType::kHeader, channel, 0);
  Writer(out).u16_be(kBasicClass).u16_be(0).u64_be(body_size);
  return start;
}

}  // namespace

Decoded<ContentHeader> parse_content_header(std::string_view payload) {
  Reader reader(payload);
  ContentHeader header;
  header.class_id = reader.u16_be();
  const std::uint16_t weight = reader.u16_be();
  header.body_size = reader.u64_be();
  if (reader.failed()) return protocol_error(ReplyCode::kFrameError, "a content header is cut short");
  if (weight != 0) return protocol_error(ReplyCode::kUnexpectedFrame, "a content header has a weight");
  header.properties = reader.rest();
  return header;
}

Decoded<BasicProperties> decode_properties(std::string_view encoded) {
  ArgumentReader reader(encoded);
  std::uint16_t flags = 0;
  reader.integer("flags", flags);
  if (flags & ~kAnyProperty) {
    return protocol_error(ReplyCode::kSyntaxError,
                          "a content header has properties that basic does not have");
  }
  BasicProperties properties;
  PropertyReader values(reader, flags);
  BasicProperties::describe(values, properties);
  if (!reader.succeeded()) return std::unexpected(reader.error("the properties of content"));
  return properties;
}

bool append_properties(std::string& out, const BasicProperties& properties) {
  const std::size_t start = out.size();
  PropertyFlags flags;
  BasicProperties::describe(flags, properties);
  Writer(out).u16_be(flags.flags());
  ArgumentWriter arguments(out);
  PropertyWriter values(arguments);
  BasicProperties::describe(values, properties);
  if (arguments.failed()) out.resize(start);
  return !arguments.failed();
}

bool append_content_header(std::string& out, std::uint16_t channel, std::uint64_t body_size,
                           const BasicProperties& properties) {
  const std::size_t start = begin_content_header(out, channel, body_size);
  const bool written = append_properties(out, properties);
  return finish_frame(out, start, written);
}

void append_content_header(std::string& out, std::uint16_t channel, std::uint64_t body_size,
                           std::string_view properties) {
  const std::size_t start = begin_content_header(out, channel, body_size);
  out.append(properties);
  const bool finished = finish_frame(out, start, true);
  STELE_ASSERT(finished);
}

BodyFrames::BodyFrames(std::uint16_t channel, std::uint64_t body_size, std::uint32_t frame_max)
    : body_size_(body_size),
      part_max_((frame_max == 0 ? std::numeric_limits<std::uint32_t>::max() : frame_max) - kFrameOverhead) {
  STELE_ASSERT(frame_max == 0 || frame_max > kFrameOverhead);
  before_[0] = kFrameEnd;
  before_[1] = static_cast<char>(FrameType::kBody);
  store_be(before_.data() + 2, channel);
}

bool BodyFrames::next() {
  begin_ += size_;
  if (begin_ == body_size_) return false;
  size_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(part_max_, body_size_ - begin_));
  store_be(before_.data() + 4, size_);
  return true;
}

void append_body(std::string& out, std::uint16_t channel, std::string_view body, std::uint32_t frame_max) {
  BodyFrames frames(channel, body.size(), frame_max);
  while (frames.next()) out.append(frames.before()).append(body.substr(frames.begin(), frames.size()));
  out.append(frames.after());
}

void append_body_slices(std::vector<Bytes>& out, std::uint16_t channel, const Bytes& body,
                        std::uint32_t frame_max) {
  if (body.empty()) return;
  BodyFrames frames(channel, body.size(), frame_max);
  const std::size_t count = frames.count();
  Buffer heads(count * (1 + kFrameHeadBytes));  // of all frames, each head behind the end before it
  std::size_t filled = 0;
  while (frames.next()) {
    const std::string_view before = frames.before();
    std::memcpy(heads.data() + filled, before.data(), before.size());
    out.push_back(heads.slice(filled, before.size()));
    out.push_back(body.slice(frames.begin(), frames.size()));
    filled += before.size();
  }
  heads.data()[filled] = kFrameEnd;
  out.push_back(heads.slice(filled, 1));
}

}  // namespace stele::amqp
