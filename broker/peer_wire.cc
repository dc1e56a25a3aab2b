#include "broker/peer_wire.h"

#include "model/address.h"
#include "model/record_batch.h"
#include "rpc/error_codec.h"

namespace stele::broker::wire {
namespace {

constexpr std::uint8_t kKafkaBatch = 1;
constexpr std::uint8_t kRetain = 2;
constexpr std::uint8_t kAddressHeaders = 4;
constexpr std::uint8_t kKeyedByAddress = 8;
constexpr std::uint8_t kStream = 16;
constexpr std::uint8_t kAllOfData = 31;

constexpr std::uint8_t kNoLocal = 1;
constexpr std::uint8_t kRetainAsPublished = 2;
constexpr std::uint8_t kAllOfRequest = 3;

std::uint8_t bit(bool set, std::uint8_t value) {
  return set ? value : std::uint8_t{0};
}

}  // namespace

// ---- writing ----------------------------------------------------------------------------------------------

Out& Out::piece(const Bytes& bytes) {
  if (bytes.size() < kOwnSlice) return sized(bytes.view());
  writer_.uvarint(bytes.size());
  large_.push_back({text_.size(), bytes});
  large_bytes_ += bytes.size();
  return *this;
}

rpc::Payload Out::finish() {
  const Bytes text = Bytes::copy(text_);
  if (large_.empty()) return text;
  std::vector<Bytes> slices;
  std::size_t at = 0;
  for (Large& large : large_) {
    if (large.at > at) slices.push_back(text.slice(at, large.at - at));
    slices.push_back(std::move(large.bytes));
    at = large.at;
  }
  if (at < text.size()) slices.push_back(text.slice(at));
  return slices;
}

void put(Out& out, const Data& from) {
  out.u8(static_cast<std::uint8_t>(bit(from.kafka_batch, kKafkaBatch) | bit(from.retain, kRetain) |
                                   bit(from.address_headers_allowed, kAddressHeaders) |
                                   bit(from.keyed_by_address, kKeyedByAddress) |
                                   bit(from.stream.has_value(), kStream)));
  out.u8(from.qos).le(from.tenant.value).le(from.publisher_hash);
  if (from.stream) out.le(from.stream->topic.value).le(from.stream->partition.value);
  out.piece(from.address).piece(from.batch);
}

void put(Out& out, const Error& from) {
  out.sized(rpc::encode_error(from));
}

void put(Out& out, const SettleToken& from) {
  out.le(from.lsn.value).le(from.index).flag(from.durable);
  out.le(from.packet_id).le(from.share).le(from.home.value);
}

void put(Out& out, const SubscribeRequest& from) {
  out.sized(from.filter).u8(from.qos);
  out.u8(static_cast<std::uint8_t>(bit(from.no_local, kNoLocal) |
                                   bit(from.retain_as_published, kRetainAsPublished)));
  out.u8(from.retain_handling).le(from.subscription_id);
}

// ---- reading ----------------------------------------------------------------------------------------------

Bytes take_batch(In& in) {
  Bytes batch = in.piece();
  const auto view = parse_record_batch(batch.view());
  if (!view || view->header.size() != batch.size()) in.fail();
  return batch;
}

Bytes take_address(In& in) {
  Bytes address = in.piece();
  if (!check_address(address.view(), true)) in.fail();
  return address;
}

std::uint8_t take_qos(In& in) {
  const std::uint8_t qos = in.u8();
  if (qos > 2) in.fail();
  return qos;
}

void take(In& in, Data& to, Batch batch) {
  const std::uint8_t flags = in.u8();
  if (flags & ~kAllOfData) in.fail();
  to.kafka_batch = flags & kKafkaBatch;
  to.retain = flags & kRetain;
  to.address_headers_allowed = flags & kAddressHeaders;
  to.keyed_by_address = flags & kKeyedByAddress;
  to.qos = take_qos(in);
  to.tenant = take_id<TenantId>(in);
  to.publisher_hash = in.le<std::uint64_t>();
  if (flags & kStream) {
    to.stream.emplace();
    to.stream->topic = take_id<TopicId>(in);
    to.stream->partition = take_id<PartitionId>(in);
    if (to.stream->partition.value < 0) in.fail();
  }
  to.address = take_address(in);
  if (batch == Batch::kOneOrNone && in.ok() && in.rest().starts_with('\0')) {
    (void)in.u8();
  } else {
    to.batch = take_batch(in);
  }
}

void take(In& in, Error& to) {
  to = rpc::decode_error(in.sized());
}

void take(In& in, SettleToken& to) {
  to.lsn = take_id<Lsn>(in);
  to.index = in.le<std::uint32_t>();
  to.durable = in.flag();
  to.packet_id = in.le<std::uint16_t>();
  to.share = in.le<std::uint32_t>();
  to.home = take_id<ShardId>(in);
}

void take(In& in, SubscribeRequest& to) {
  to.filter = in.text();
  to.qos = take_qos(in);
  const std::uint8_t flags = in.u8();
  if (flags & ~kAllOfRequest) in.fail();
  to.no_local = flags & kNoLocal;
  to.retain_as_published = flags & kRetainAsPublished;
  to.retain_handling = in.u8();
  if (to.retain_handling > 2) in.fail();
  to.subscription_id = in.le<std::uint32_t>();
}

std::unexpected<Error> makes_no_sense() {
  return error(ErrorCode::kMalformed, "what a broker of another node said makes no sense");
}

}  // namespace stele::broker::wire
