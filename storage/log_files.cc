#include "storage/log_files.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace stele::storage {

using runtime::OpenMode;
using runtime::Task;

Task<Result<std::shared_ptr<runtime::File>>> LogFiles::open(FileSequence file) {
  if (const auto it = open_.find(file); it != open_.end()) {
    it->second.used = ++uses_;
    co_return it->second.file;
  }
  STELE_CO_TRY(auto opened, co_await files_.open(path(wal_name(file)), {.mode = OpenMode::kRead}));
  std::shared_ptr<runtime::File> shared = std::move(opened);
  open_[file] = {.file = shared, .used = ++uses_};
  if (open_.size() > max_open_) {
    open_.erase(std::min_element(open_.begin(), open_.end(),
                                 [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  }
  co_return shared;
}

Task<void> LogFiles::retire(FileSequence file, std::uint64_t spare_bytes, std::uint32_t max_spares) {
  forget(file);
  const std::string from = path(wal_name(file));
  bool keep = spares_.size() < max_spares;
  if (keep) {
    auto opened = co_await files_.open(from, {.mode = OpenMode::kRead});
    const auto size = opened ? co_await (*opened)->size() : Result<std::uint64_t>(0);
    keep = size && *size >= spare_bytes;
  }
  // Neither needs to last: a file that the log does not name is retired again at the next start.
  if (keep && co_await files_.rename(from, path(numbered_name("spare", file.value)))) {
    spares_.push_back(file.value);
  } else {
    [[maybe_unused]] const auto removed = co_await files_.remove(from);
  }
}

Task<Result<void>> LogFiles::make_spare(std::uint64_t bytes) {
  constexpr std::uint64_t kStep = 1 << 20;
  const std::uint64_t number = next_sequence().value;
  const std::string name = numbered_name("spare", number);
  const std::string unfinished = path(name + ".tmp");
  STELE_CO_TRY(auto file, co_await files_.open(unfinished, {.mode = OpenMode::kCreate}));
  Buffer buffer(static_cast<std::size_t>(std::min(kStep, bytes)));
  std::memset(buffer.data(), 0, buffer.capacity());
  const Bytes zeros = std::move(buffer).freeze(static_cast<std::size_t>(std::min(kStep, bytes)));
  Result<void> written;
  for (std::uint64_t at = 0; at < bytes && written; at += zeros.size()) {
    std::vector<Bytes> slices{zeros.slice(0, static_cast<std::size_t>(bytes - at))};
    written = co_await file->write(Position(at), std::move(slices));
  }
  if (written) written = co_await file->sync();
  file.reset();
  if (written) written = co_await files_.rename(unfinished, path(name));
  if (!written) {
    [[maybe_unused]] const auto removed = co_await files_.remove(unfinished);
    co_return written;
  }
  spares_.push_back(number);
  co_return Result<void>();
}

}  // namespace stele::storage
