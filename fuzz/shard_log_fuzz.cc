// A shard's log with whatever may be in it: entries, each behind its length (two bytes, little-endian),
// applied to a state that has something of each kind. Whatever is taken must leave a state that its snapshot
// describes.
//
// The offset of a batch is mended where its stream is there: a fuzzer would hardly guess the next one.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/wire.h"
#include "broker/control.h"
#include "broker/entry.h"
#include "broker/shard_state.h"
#include "fuzz/shard_samples.h"
#include "model/record_batch.h"

namespace {

using namespace stele;
using namespace stele::broker;

// In memory a large batch may lie apart: the entry is the same.
void check_split(const std::string& bytes, const EntryView& whole) {
  if (whole.data.batch.size() <= kBatchPrefix) return;
  const std::size_t at = static_cast<std::size_t>(whole.data.batch.data() - bytes.data()) + kBatchPrefix;
  auto apart = parse_entry(std::string_view(bytes).substr(0, at), std::string_view(bytes).substr(at));
  STELE_ASSERT(apart.has_value());
  STELE_ASSERT(apart->data.batch_size() == whole.data.batch.size());
  STELE_ASSERT(apart->data.facts.next_offset() == whole.data.facts.next_offset());
  STELE_ASSERT(apart->data.facts.max_timestamp_ms == whole.data.facts.max_timestamp_ms);
}

// False when the log ends here.
bool take(ShardState& state, std::string bytes) {
  auto view = parse_entry(bytes, {});
  if (!view) return true;  // another one may be good
  if (view->kind == EntryKind::kData) {
    check_split(bytes, *view);
    const StreamState* stream = view->data.stream ? state.stream(*view->data.stream) : nullptr;
    if (stream) {
      const auto at = static_cast<std::size_t>(view->data.batch.data() - bytes.data());
      set_base_offset(bytes.data() + at, stream->next());
      view = parse_entry(bytes, {});
      if (!view) return true;
    }
  }
  ApplyResult result;
  return state.apply(state.next(), *view, result).has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ShardState state;
  for (const std::string& entry : shard_samples()) STELE_ASSERT(take(state, entry));
  Reader reader({reinterpret_cast<const char*>(data), size});
  bool good = true;
  while (good && reader.ok() && !reader.at_end()) {
    const std::size_t length = std::min<std::size_t>(reader.le<std::uint16_t>(), reader.remaining());
    good = take(state, std::string(reader.bytes(length)));
  }
  if (!good) return 0;
  auto again = ShardState::decode_snapshot(state.encode_snapshot());
  STELE_ASSERT(again.has_value() && again->hash() == state.hash());
  STELE_ASSERT(again->lsn_needed() == state.lsn_needed());
  return 0;
}
