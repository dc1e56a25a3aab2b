#include "journal/copy_entries.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/notification.h"

namespace stele::journal {
namespace {

using runtime::Task;
using storage::LogEntry;

constexpr std::uint64_t kSkippedAtOnce = 4096;

class Copied final : public AppendListener {
 public:
  explicit Copied(std::uint64_t begin) : stored_(begin) {}
  void on_stored(std::uint64_t end) override {
    stored_ = end;
    changed_.wake_all();
  }
  void on_append_failed(const Error& why) override {
    failed_ = why;
    changed_.wake_all();
  }
  Task<Result<void>> until(std::uint64_t end) {
    while (stored_ < end && !failed_) co_await changed_.wait();
    if (failed_) co_return std::unexpected(*failed_);
    co_return Result<void>();
  }

 private:
  std::uint64_t stored_;
  std::optional<Error> failed_;
  runtime::Notification changed_;
};

}  // namespace

Task<Result<void>> copy_entries(SegmentReplica& from, SegmentReplica& to, SegmentId segment, Epoch epoch,
                                std::uint64_t begin, std::uint64_t end, std::size_t piece_bytes,
                                const std::function<bool()>& over) {
  Copied copied(begin);
  const auto writer = to.open_writer(segment, epoch, begin, copied);
  while (begin < end && !over()) {
    STELE_CO_TRY(auto entries, co_await from.read(segment, begin, piece_bytes));
    if (entries.empty()) co_return error(ErrorCode::kCorrupt, "a replica does not hold what it said");
    if (entries.size() > end - begin) entries.resize(end - begin);
    begin += entries.size();
    for (LogEntry& entry : entries) writer->append(std::move(entry));
    STELE_CO_CHECK(co_await copied.until(begin));
  }
  co_return Result<void>();
}

Task<Result<void>> skip_entries(SegmentReplica& to, SegmentId segment, Epoch epoch, std::uint64_t begin,
                                std::uint64_t end) {
  Copied copied(begin);
  const auto writer = to.open_writer(segment, epoch, begin, copied);
  const std::uint64_t below = end;
  while (begin < end) {
    const std::uint64_t step = std::min(end - begin, kSkippedAtOnce);
    for (std::uint64_t i = 0; i < step; ++i) writer->append({});
    begin += step;
    STELE_CO_CHECK(co_await copied.until(begin));
  }
  to.trim(segment, below);
  co_return Result<void>();
}

}  // namespace stele::journal
