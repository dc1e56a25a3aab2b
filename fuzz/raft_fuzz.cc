// What a member of a Raft group reads from others and from its own disk: messages and records of its log. The
// first byte of the input says which.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/assert.h"
#include "base/bytes.h"
#include "raft/log_codec.h"
#include "raft/message_codec.h"

namespace {

using namespace stele;

std::string joined(const raft::MemberMessage& message) {
  std::string all;
  const auto slices = std::visit([](const auto& one) { return raft::encode(one); }, message);
  for (const Bytes& slice : slices) all += slice.view();
  return all;
}
std::size_t kind_of(const raft::MemberMessage& message) {
  return std::visit([](const auto& one) { return one.body.index(); }, message);
}

void message(std::string_view input) {
  const auto heard = raft::decode_message(Bytes::copy(input));
  if (!heard) return;
  const std::string said = joined(*heard);
  const auto again = raft::decode_message(Bytes::copy(said));
  STELE_ASSERT(again && again->index() == heard->index() && kind_of(*again) == kind_of(*heard) &&
               joined(*again) == said);
}

void record(std::string_view input) {
  const auto read = raft::decode_log_record({.head = Bytes::copy(input), .body = {}});
  if (!read) return;
  const auto again = raft::decode_log_record(raft::encode(*read));
  STELE_ASSERT(again && again->type == read->type && again->state == read->state);
  STELE_ASSERT(again->entry.index == read->entry.index && again->entry.term == read->entry.term);
  STELE_ASSERT(again->entry.payload.view() == read->entry.payload.view());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 65536) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  data[0] == 'm' ? message(input) : record(input);
  return 0;
}
