#include "raft/snapshot_sender.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/marks.h"

namespace stele::raft {

using runtime::Task;

SnapshotSender::SnapshotSender(SnapshotSenderOptions options, Hooks hooks)
    : options_(options), hooks_(std::move(hooks)) {}
SnapshotSender::~SnapshotSender() = default;

void SnapshotSender::start(NodeId to, Term term, LogIndex least) {
  TransferPtr& at = transfers_[to];
  if (at && at->term == term) return;  // it is on its way
  if (at) drop(*at);
  at = std::make_shared<Transfer>();
  at->to = to;
  at->term = term;
  at->least = least;
  if (copy_ && fits(*copy_, *at)) {
    STELE_MARK("raft: a copy is sent that was made before");
    begin(at);
  } else if (!std::exchange(copy_wanted_, true)) {
    hooks_.want_copy();
  }
}

void SnapshotSender::begin(const TransferPtr& transfer) {
  transfer->copy = copy_;
  scope_.spawn(run(transfer));
}

void SnapshotSender::copy_made(const SnapshotInfo& of, std::unique_ptr<SnapshotCopy> copy) {
  auto made = std::make_shared<Copy>();
  made->of = of;
  made->id.bytes = copy->bytes();
  made->data = std::move(copy);
  scope_.spawn(prepare(std::move(made)));
}

// Its checksum goes with every part, so it is read once before.
Task<void> SnapshotSender::prepare(std::shared_ptr<Copy> copy) {
  for (std::uint64_t at = 0; at < copy->id.bytes && !scope_.token().stop_requested();) {
    const std::size_t length = std::min<std::uint64_t>(options_.part_bytes, copy->id.bytes - at);
    auto part = co_await copy->data->read(at, length);
    if (!part) {
      co_await close(std::move(copy));
      copy_failed();
      co_return;
    }
    copy->id.checksum = crc32c(part->view(), copy->id.checksum);
    at += length;
  }
  if (scope_.token().stop_requested()) {
    co_await close(std::move(copy));
    co_return;
  }
  copy_wanted_ = false;
  put_copy_away();
  copy_ = std::move(copy);
  bool another = false;
  for (const auto& transfer : std::vector(transfers_.begin(), transfers_.end())) {
    if (transfer.second->copy) continue;
    if (fits(*copy_, *transfer.second)) {
      begin(transfer.second);
    } else {
      another = true;
    }
  }
  if (another && !std::exchange(copy_wanted_, true)) hooks_.want_copy();
}

void SnapshotSender::copy_failed() {
  copy_wanted_ = false;
  for (const auto& [to, transfer] : std::map(transfers_)) {
    if (!transfer->copy) end(to, false);
  }
}

bool SnapshotSender::may_send(const Transfer& transfer) const {
  return transfer.ask || (!transfer.asking && transfer.next < transfer.copy->id.bytes &&
                          transfer.next < transfer.acknowledged + options_.window * options_.part_bytes);
}

Task<void> SnapshotSender::run(TransferPtr transfer) {
  const std::shared_ptr<Copy> copy = transfer->copy;
  ++copy->readers;
  while (!transfer->over) {
    if (may_send(*transfer)) {
      co_await send(*transfer, *copy);
    } else {
      co_await transfer->changed.wait();
    }
  }
  if (--copy->readers == 0 && copy->unwanted) co_await close(copy);
}

Task<void> SnapshotSender::send(Transfer& transfer, Copy& copy) {
  transfer.ask = false;
  const std::uint64_t at = transfer.next;
  const std::size_t length = std::min<std::uint64_t>(options_.part_bytes, copy.id.bytes - at);
  transfer.next = at + length;
  Result<Bytes> data = Bytes();
  if (length > 0) data = co_await copy.data->read(at, length);
  if (transfer.over) co_return;
  if (!data) {
    STELE_MARK("raft: a copy cannot be read any more");
    if (copy_.get() == &copy) put_copy_away();
    end(transfer.to, false);
    co_return;
  }
  hooks_.send(transfer.to, transfer.term,
              {.snapshot = copy.of, .copy = copy.id, .offset = at, .data = *std::move(data)});
}

void SnapshotSender::answered(NodeId from, const SnapshotAnswer& answer) {
  const auto at = transfers_.find(from);
  if (at == transfers_.end() || !at->second->copy) return;
  Transfer& transfer = *at->second;
  const Copy& copy = *transfer.copy;
  if (answer.last != LogPoint{copy.of.term, copy.of.index} || answer.copy != copy.id) return;
  if (answer.state == SnapshotState::kDone) return end(from, true);
  if (answer.state == SnapshotState::kRefused) return end(from, false);
  if (answer.have > copy.id.bytes) return;
  transfer.unanswered = 0;
  if (answer.have > transfer.acknowledged) transfer.quiet = 0;
  if (answer.have < transfer.acknowledged && !transfer.asking) return;  // an old one
  if (answer.have < transfer.acknowledged) STELE_MARK("raft: a receiver began again with a snapshot");
  const bool asked = std::exchange(transfer.asking, false);
  transfer.acknowledged = answer.have;
  transfer.next = asked ? answer.have : std::max(transfer.next, answer.have);
  transfer.changed.wake_all();
}

void SnapshotSender::tick() {
  for (const auto& [to, transfer] : std::map(transfers_)) {
    if (!transfer->copy || transfer->over) continue;
    if (++transfer->quiet >= options_.patience_ticks) {
      STELE_MARK("raft: a snapshot's transfer was given up");
      end(to, false);
    } else if (++transfer->unanswered >= options_.retry_ticks) {
      STELE_MARK("raft: a part of a snapshot is sent again");
      transfer->unanswered = 0;
      transfer->asking = true;
      transfer->ask = true;
      transfer->next = transfer->acknowledged;
      transfer->changed.wake_all();
    }
  }
  if (!transfers_.empty()) unused_ = 0;
  if (copy_ && ++unused_ >= options_.kept_ticks) put_copy_away();
}

void SnapshotSender::end(NodeId to, bool delivered) {
  const auto at = transfers_.find(to);
  if (at == transfers_.end()) return;
  const TransferPtr transfer = std::move(at->second);
  transfers_.erase(at);
  drop(*transfer);
  hooks_.ended(to, delivered);
}

void SnapshotSender::drop(Transfer& transfer) {
  transfer.over = true;
  transfer.changed.wake_all();
}

void SnapshotSender::drop_all() {
  for (const auto& [to, transfer] : std::exchange(transfers_, {})) drop(*transfer);
}

void SnapshotSender::keep_only(const NodeSet& members) {
  for (const auto& [to, transfer] : std::map(transfers_)) {
    if (members.contains(to)) continue;
    drop(*transfer);
    transfers_.erase(to);
  }
}

void SnapshotSender::put_copy_away() {
  unused_ = 0;
  const auto copy = std::exchange(copy_, nullptr);
  if (!copy) return;
  copy->unwanted = true;
  if (copy->readers == 0) scope_.spawn(close(copy));
}

Task<void> SnapshotSender::close(std::shared_ptr<Copy> copy) {
  co_await copy->data->close();
}

Task<void> SnapshotSender::close() {
  drop_all();
  put_copy_away();
  co_await scope_.close();
}

}  // namespace stele::raft
