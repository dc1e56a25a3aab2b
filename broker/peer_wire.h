// How peer_codec.*.cc write and read what their messages share. Nobody else includes this.
//
// Integers are little-endian, texts and batches have their length (uvarint) in front. An item of a list has
// its length in front as a whole (u32), and who reads it does not look at what is behind what he knows.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/wire.h"
#include "broker/api.h"
#include "broker/data.h"
#include "broker/subscription.h"
#include "model/ids.h"
#include "rpc/payload.h"

namespace stele::broker::wire {

// ---- writing ----------------------------------------------------------------------------------------------

// Gathers what is small, and leaves large pieces where they are.
class Out {
 public:
  // From here on a piece is a slice of its own: it would be sent without a copy.
  static constexpr std::size_t kOwnSlice = 2048;

  Out() { text_.reserve(256); }
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;
  ~Out() = default;

  template <std::integral T>
  Out& le(T value) {
    return writer_.le(value), *this;
  }
  Out& u8(std::uint8_t value) { return writer_.u8(value), *this; }
  Out& flag(bool value) { return u8(value ? 1 : 0); }
  Out& count(std::size_t value) { return le(static_cast<std::uint32_t>(value)); }
  Out& sized(std::string_view text) { return writer_.sized(text), *this; }
  // With its length in front.
  Out& piece(const Bytes& bytes);
  // What `write` writes, with its length in front.
  template <class Write>
  void item(Write write) {
    const std::size_t at = text_.size(), before = written();
    count(0);
    write();
    writer_.patch_le(at, static_cast<std::uint32_t>(written() - before - 4));
  }
  template <class List, class Write>
  void list(const List& from, Write write) {
    count(from.size());
    for (auto&& one : from) item([&] { write(one); });
  }
  rpc::Payload finish();

 private:
  std::size_t written() const { return text_.size() + large_bytes_; }
  struct Large {
    std::size_t at;  // how much of the text is before it
    Bytes bytes;
  };
  std::string text_;
  Writer writer_{text_};
  std::vector<Large> large_;
  std::size_t large_bytes_ = 0;
};

// ---- reading ----------------------------------------------------------------------------------------------

class In : public Reader {
 public:
  explicit In(const Bytes& whole) : Reader(whole.view()), whole_(whole) {}

  bool flag() {
    const std::uint8_t value = u8();
    if (value > 1) fail();
    return value == 1;
  }
  // How many follow, each of at least so many bytes.
  std::size_t count(std::size_t least) {
    const auto value = le<std::uint32_t>();
    if (value > remaining() / least) fail();
    return failed() ? 0 : value;
  }
  std::string text() { return std::string(sized()); }
  Bytes piece() {
    const std::string_view part = sized();
    return part.empty() ? Bytes() : whole_.slice(part);
  }
  // `read(item)` reads an item.
  template <class Read>
  void item(Read read) {
    In part(whole_, bytes(le<std::uint32_t>()));
    if (failed()) return;
    read(part);
    if (part.failed()) fail();
  }
  // Items of at least `least` bytes without their length. An element takes no more memory than some dozens
  // of times that.
  template <class T, class Read>
  void list(std::vector<T>& to, std::size_t least, Read read) {
    const std::size_t size = count(4 + least);
    to.reserve(size);
    for (std::size_t i = 0; i < size && ok(); ++i) {
      item([&](In& part) { read(part, to.emplace_back()); });
    }
  }

 private:
  In(const Bytes& whole, std::string_view part) : Reader(part), whole_(whole) {}
  const Bytes& whole_;
};

// ---- what several messages have
// ----------------------------------------------------------------------------

void put(Out& out, const Data& from);
void put(Out& out, const Error& from);
void put(Out& out, const SettleToken& from);
void put(Out& out, const SubscribeRequest& from);

// Whether an empty batch passes: of what is not to be published.
enum class Batch : std::uint8_t { kOne, kOneOrNone };
void take(In& in, Data& to, Batch batch = Batch::kOne);
void take(In& in, Error& to);
void take(In& in, SettleToken& to);
void take(In& in, SubscribeRequest& to);
Bytes take_batch(In& in);
// Of a message: perhaps empty.
Bytes take_address(In& in);
std::uint8_t take_qos(In& in);
template <class Id>
Id take_id(In& in) {
  return Id(in.le<typename Id::Value>());
}

std::unexpected<Error> makes_no_sense();
// What `read(in, T&)` reads.
template <class T, class Read>
Result<T> decoded(const Bytes& from, Read read) {
  In in(from);
  T to;
  read(in, to);
  if (in.failed()) return makes_no_sense();
  return to;
}

}  // namespace stele::broker::wire
