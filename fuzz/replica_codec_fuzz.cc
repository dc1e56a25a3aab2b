// What journals ask of each other. The first byte says which of the requests, answers and messages the rest
// is. What is taken must come out again as it was, and be taken in proportion to the input.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "journal/replica_codec.h"

namespace stele::journal::wire {
namespace {

std::string text_of(const std::vector<Bytes>& parts) {
  std::string all;
  for (const Bytes& part : parts) all += part.view();
  return all;
}
std::string text_of(const Bytes& whole) {
  return std::string(whole.view());
}

std::size_t bytes_of(const std::vector<storage::LogEntry>& entries) {
  std::size_t bytes = 0;
  for (const storage::LogEntry& entry : entries) bytes += entry.size();
  return bytes;
}

template <class T>
void both_ways(const Bytes& input) {
  const auto first = decode<T>(input);
  if (!first) return;
  if constexpr (requires { first->entries; }) STELE_ASSERT(bytes_of(first->entries) <= input.size());
  const std::string again = text_of(encode(*first));
  const auto second = decode<T>(Bytes::copy(again));
  STELE_ASSERT(second);
  STELE_ASSERT(text_of(encode(*second)) == again);
}

void decode_one(std::uint8_t which, const Bytes& input) {
  using Try = void (*)(const Bytes&);
  static constexpr Try kAll[] = {both_ways<Append>,       both_ways<Stored>,       both_ways<Fence>,
                                 both_ways<FenceAnswers>, both_ways<Read>,         both_ways<Entries>,
                                 both_ways<Describe>,     both_ways<Descriptions>, both_ways<List>,
                                 both_ways<Listed>,       both_ways<Status>,       both_ways<StatusAnswer>,
                                 both_ways<Trim>,         both_ways<Remove>};
  kAll[which % std::size(kAll)](input);
}

}  // namespace
}  // namespace stele::journal::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  stele::journal::wire::decode_one(data[0], stele::Bytes::copy(rest));
  return 0;
}
