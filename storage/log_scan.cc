#include "storage/log_scan.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"

namespace stele::storage {

using runtime::Task;

Task<Result<Bytes>> FileWindow::at(Position position, std::size_t length) {
  if (position >= limit_) co_return Bytes();
  length = static_cast<std::size_t>(std::min<std::uint64_t>(length, limit_ - position));
  if (position < start_ || position.value + length > start_.value + bytes_.size()) {
    const std::uint64_t wanted = std::min<std::uint64_t>(std::max(length, step_), limit_ - position);
    step_ = std::min(2 * step_, chunk_);
    STELE_CO_TRY(Bytes read, co_await file_.read(position, static_cast<std::size_t>(wanted)));
    start_ = position;
    bytes_ = std::move(read);
  }
  co_return bytes_.slice(position - start_, length);
}

Task<Result<Bytes>> FileWindow::from(Position position, std::size_t least) {
  const std::uint64_t end = start_.value + bytes_.size();
  const bool inside = position >= start_ && position.value < end;
  return at(position, std::max(least, inside ? static_cast<std::size_t>(end - position.value) : 0));
}

Task<Result<std::optional<BlockHeader>>> find_block(FileWindow& window, FileSequence sequence,
                                                    Position from) {
  while (true) {
    STELE_CO_TRY(const Bytes bytes, co_await window.from(from, 2 * kBlockHeaderBytes));
    if (bytes.size() < kBlockHeaderBytes) co_return std::nullopt;
    const std::size_t last = bytes.size() - kBlockHeaderBytes;
    std::size_t offset = 0;
    for (; offset <= last; offset += kBlockAlignment) {
      auto header = decode_block_header(bytes.view().substr(offset), sequence, from + offset);
      if (header) co_return header;
    }
    from += offset;
  }
}

namespace {

// What is behind the last valid block. A block further on that was written when `bad` was already synced
// shows that `bad` was whole once; without one, the bad bytes may be part of the last write, which was torn:
// its sectors reach the disk in any order.
Task<Result<TailState>> judge_tail(runtime::File& file, ScanOptions options, Position bad) {
  if (bad < options.synced) co_return TailState::kDamaged;
  STELE_CO_TRY(const Bytes first, co_await file.read(bad, kBlockHeaderBytes));
  const bool remains = resembles_block_header(first, options.file, bad);
  TailState state = remains ? TailState::kTorn : TailState::kClean;
  FileWindow window(file, options.chunk, options.limit);
  for (Position at = bad;;) {
    auto found = co_await find_block(window, options.file, at);
    if (!found) co_return std::unexpected(std::move(found).error());
    if (!*found) co_return state;
    if ((*found)->synced > bad) co_return TailState::kDamaged;
    state = TailState::kTorn;
    at = (*found)->position + kBlockAlignment;
  }
}

}  // namespace

Task<Result<ScanEnd>> scan_blocks(runtime::File& file, ScanOptions options, BlockVisitor visit) {
  FileWindow window(file, options.chunk, options.limit);
  Position at = options.from;
  Position synced = std::min(options.synced, options.limit);
  while (at < options.limit) {
    std::string_view head = window.have(at, kBlockHeaderBytes);
    if (head.empty()) {
      STELE_CO_TRY(const Bytes read, co_await window.at(at, kBlockHeaderBytes));
      head = read;
    }
    const auto header = decode_block_header(head, options.file, at, options.check);
    if (!header || header->stored_bytes > options.limit - at) break;
    STELE_CO_TRY(const Bytes block, co_await window.at(at, kBlockHeaderBytes + header->payload_bytes));
    if (block.size() < kBlockHeaderBytes + header->payload_bytes) break;
    const Bytes payload = block.slice(kBlockHeaderBytes);
    if (options.check.crc && !payload_matches(*header, payload)) break;
    STELE_CO_CHECK(visit(*header, payload));
    synced = std::max(synced, header->synced);
    at += header->stored_bytes;
  }
  ScanEnd end{.end = at, .synced = synced};
  if (at < options.limit) {
    STELE_CO_TRY(end.tail, co_await judge_tail(file, options, at));
  }
  co_return end;
}

}  // namespace stele::storage
