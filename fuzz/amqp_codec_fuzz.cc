// Feeds a byte stream to the AMQP codec as a connection does. Byte 0: even a server reads, odd a client; one
// of 8 values and more begins with a protocol header. Byte 1: the size of the pieces that the stream comes
// in, 0 all at once. What the codec takes must be written again, and read again as the same.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "protocols/amqp/assembler.h"
#include "protocols/amqp/content.h"
#include "protocols/amqp/frame_reader.h"
#include "protocols/amqp/method_codec.h"
#include "protocols/amqp/protocol_header.h"
#include "protocols/amqp/routing.h"
#include "protocols/amqp/sasl.h"

namespace stele::amqp {
namespace {

constexpr std::uint32_t kFrameMax = 8192;
constexpr std::uint64_t kMaxBody = 1 << 16;

void check_error(const ProtocolError& error) {
  STELE_ASSERT(!error.text.empty());
  STELE_ASSERT(to_string(error.code) != "UNKNOWN_REPLY_CODE");
  STELE_ASSERT(reply_text(error.code, error.text).size() <= 255);
}

void check_table(TableView table);

void check_value(const FieldValue& value) {
  if (const auto* inner = std::get_if<TableView>(&value)) return check_table(*inner);
  if (const auto* array = std::get_if<ArrayView>(&value)) {
    Array again;
    for (const FieldValue& each : *array) {
      check_value(each);
      again.add(each);
    }
    STELE_ASSERT(again.view().encoded().size() == array->encoded().size());
  }
}

void check_table(TableView table) {
  Table again;
  for (const Field& field : table) {
    check_value(field.value);
    again.add(field.name, field.value);
  }
  STELE_ASSERT(again.view().encoded().size() == table.encoded().size());
  STELE_ASSERT(TableView::parse(again.view().encoded()).has_value());
  // Not where there is a float that is no number.
  const bool same_as_itself =
      std::ranges::all_of(table, [](const Field& field) { return same_value(field.value, field.value); });
  STELE_ASSERT(equivalent(table, again.view()) || !same_as_itself);
  for (const Field& field : table) STELE_ASSERT(table.find(field.name).has_value());
  if (const auto binding = HeadersBinding::parse(table)) {
    const bool all = binding->match() == HeadersBinding::Match::kAll;
    STELE_ASSERT(binding->matches(SortedHeaders(table)) || !all || !same_as_itself);
  }
}

// What has to hold for arguments of a kind, wherever they are.
struct CheckArguments {
  template <class T>
  void integer(const char*, T) {}
  void short_text(const char*, std::string_view value) {
    STELE_ASSERT(value.size() <= 255);
    STELE_ASSERT(topic_matches(value, value) || has_topic_wildcard(value));
    (void)topic_matches("a.#.*.b.#", value);
    (void)topic_matches(value, "a.b..c");
  }
  void long_text(const char*, std::string_view value) {
    if (const auto plain = parse_plain(value)) {
      STELE_ASSERT(parse_plain(plain_response(*plain)).has_value());
    }
    if (const auto plain = parse_amqplain(value)) {
      STELE_ASSERT(parse_amqplain(amqplain_response(*plain)).has_value());
    }
    (void)parse_external(value);
  }
  void table(const char*, TableView value) { check_table(value); }
  template <class... Flags>
  void flags(Flags...) {}
  template <class T>
  void reserved() {}
  void reserved_short_text() {}
  void reserved_long_text() {}
};

void check_method(std::string_view payload) {
  const auto method = decode_method(payload);
  if (!method) return check_error(method.error());
  CheckArguments check;
  std::visit([&]<class M>(const M& m) { M::describe(check, m); }, *method);
  std::string wire;
  STELE_ASSERT(append_method(wire, 7, *method));
  const auto frame = next_frame(wire, 0);
  STELE_ASSERT(frame && *frame && (*frame)->total_size() == wire.size());
  const auto again = decode_method((*frame)->payload);
  STELE_ASSERT(again && *again == *method);
}

void check_content(const ContentHeader& header, const Bytes& body) {
  STELE_ASSERT(header.body_size == body.size());
  const auto properties = decode_properties(header.properties);
  if (properties) {
    std::string again;
    STELE_ASSERT(append_properties(again, *properties));
    STELE_ASSERT(again == header.properties);
    std::string frame, passed_on;
    STELE_ASSERT(append_content_header(frame, 7, body.size(), *properties));
    append_content_header(passed_on, 7, body.size(), header.properties);
    STELE_ASSERT(frame == passed_on);
    if (properties->headers) check_table(*properties->headers);
  } else {
    check_error(properties.error());
  }
  std::string copied, joined;
  append_body(copied, 7, body, 100);
  std::vector<Bytes> slices;
  append_body_slices(slices, 7, body, 100);
  for (const Bytes& slice : slices) joined.append(slice.view());
  STELE_ASSERT(copied == joined);
}

// What came out of a stream, to hold one way of cutting it against another.
class Connection {
 public:
  explicit Connection(Side side) : side_(side) {}

  void add(Bytes piece) { reader_.add(std::move(piece)); }
  std::span<char> read_buffer() { return reader_.read_buffer(); }
  // Reads at most so many frames; false when it is over.
  bool read(std::size_t frames = SIZE_MAX) {
    for (; frames > 0; --frames) {
      const auto frame = reader_.next(kFrameMax);
      if (!frame) return end(frame.error());
      if (!*frame) return true;
      log_ += "frame ";
      if ((*frame)->type != FrameType::kHeartbeat && !take(**frame)) return false;
    }
    return true;
  }
  void pause() {
    reader_.pause();
    for (auto& [number, channel] : channels_) channel.pause();
  }
  const std::string& log() const { return log_; }

 private:
  bool take(const Frame& frame) {
    Assembler& channel = channels_.try_emplace(frame.channel, side_, frame.channel, kMaxBody).first->second;
    const auto step = channel.on_frame(frame, reader_.block());
    if (!step) return end(step.error());
    STELE_ASSERT(channel.held() <= kMaxBody);
    if (*step == Assembler::Step::kMore) return true;
    log_.append(channel.method().name).append(channel.arguments());
    check_method(channel.arguments());
    if (*step == Assembler::Step::kMessage) {
      log_.append(channel.header().properties).append(channel.body());
      check_content(channel.header(), channel.body());
    }
    return true;
  }
  bool end(const ProtocolError& error) {
    check_error(error);
    log_.append(to_string(error.code));
    return false;
  }

  const Side side_;
  FrameReader reader_;
  std::map<std::uint16_t, Assembler> channels_;
  std::string log_;
};

std::string read_in_pieces(std::string_view rest, Side side, std::size_t size) {
  Connection connection(side);
  while (!rest.empty()) {
    std::size_t take = size == 0 ? rest.size() : std::min(size, rest.size());
    const std::span<char> place = connection.read_buffer();
    if (place.empty()) {
      connection.add(Bytes::copy(rest.substr(0, take)));
    } else {
      take = std::min(take, place.size());
      std::copy_n(rest.data(), take, place.data());
      connection.add(Bytes::literal({place.data(), take}));
    }
    rest.remove_prefix(take);
    if (!connection.read(size % 3 == 2 ? 1 : SIZE_MAX)) return connection.log();
    if (size % 3 != 0) connection.pause();
  }
  connection.read();
  return connection.log();
}

void run(std::uint8_t how, std::uint8_t piece, std::string_view stream) {
  if (how >= 8) {
    using Status = HeaderCheck::Status;
    const HeaderCheck check = check_protocol_header(stream);
    STELE_ASSERT((check.status == Status::kOurs) == stream.starts_with(kProtocolHeader));
    STELE_ASSERT((check.status == Status::kOther) == !check.asked_for.empty());
    if (check.status != Status::kOurs) return;
    stream.remove_prefix(kProtocolHeaderBytes);
  }
  const Side side = how % 2 == 0 ? Side::kServer : Side::kClient;
  STELE_ASSERT(read_in_pieces(stream, side, 0) == read_in_pieces(stream, side, piece));
}

}  // namespace
}  // namespace stele::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  stele::amqp::run(data[0], data[1], {reinterpret_cast<const char*>(data) + 2, size - 2});
  return 0;
}
