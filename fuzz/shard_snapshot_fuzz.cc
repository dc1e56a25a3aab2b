// Snapshots of a shard's state, bent in any way. Checksums are mended first: they keep chance away, and here
// the content is to be looked at. What is taken must work: entries are applied to it, and it has a snapshot.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "broker/entry.h"
#include "broker/shard_state.h"
#include "fuzz/shard_samples.h"

namespace {

using namespace stele;
using namespace stele::broker;

// docs/formats/shard-snapshot.md
void mend(std::string& bytes) {
  std::size_t at = 12;
  while (at + 13 <= bytes.size()) {
    const auto kind = static_cast<std::uint8_t>(bytes[at]);
    const auto length = load_le<std::uint64_t>(bytes.data() + at + 1);
    if (length > bytes.size() - at - 13) return;
    if (kind == 255 && length == 12) {
      store_le(bytes.data() + at + 9, static_cast<std::uint64_t>(at));
      store_le(bytes.data() + at + 17, crc32c(std::string_view(bytes).substr(0, at)));
    }
    store_le(bytes.data() + at + 9 + length, crc32c(std::string_view(bytes).substr(at, 9 + length)));
    at += 13 + length;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  mend(bytes);
  auto state = ShardState::decode_snapshot(bytes);
  if (!state) return 0;
  for (const std::string& entry : shard_samples()) {
    auto view = parse_entry(entry, {});
    ApplyResult result;
    if (!state->apply(state->next(), *view, result)) return 0;
    (void)state->expired_sessions(WallTime{1 << 30}, 10);
    (void)state->expired_retained(WallTime{1 << 30}, 10);
  }
  auto again = ShardState::decode_snapshot(state->encode_snapshot());
  STELE_ASSERT(again.has_value() && again->hash() == state->hash());
  return 0;
}
