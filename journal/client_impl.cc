#include "journal/client_impl.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "journal/server_impl.h"

namespace stele::journal::internal {

Writer::Writer(ClientImpl& client, std::uint64_t number, SegmentId segment, Epoch epoch, std::uint64_t first,
               AppendListener& listener)
    : client_(client),
      segment_(segment),
      epoch_(epoch),
      listener_(listener),
      number_(number),
      stored_(first),
      answered_(first) {
  batch_.first = first;
  client_.writers_[number_] = this;
}

Writer::~Writer() {
  client_.writers_.erase(number_);
  if (dirty_) std::erase(client_.dirty_, this);
}

void Writer::append(storage::LogEntry entry) {
  if (failed_) return;
  batch_.bytes += entry.size();
  batch_.entries.push_back(std::move(entry));
  if (std::exchange(dirty_, true)) return;
  client_.dirty_.push_back(this);
  client_.runtime_.at_turn_end(client_);
}

ClientImpl::ClientImpl(runtime::Runtime& runtime, ServerInbox server)
    : runtime_(runtime),
      server_(std::move(server)),
      inbox_(std::make_shared<Inbox<ClientImpl>>(runtime, this)) {
  if (on_journal_core()) {
    if (server_->reader) server_->reader->attach(inbox_);
    return;
  }
  runtime_.post(server_->core, [server = server_, inbox = inbox_] {
    if (server->reader) server->reader->attach(inbox);
  });
}

ClientImpl::~ClientImpl() {
  STELE_ASSERT(writers_.empty());
  inbox_->reader = nullptr;
  if (on_journal_core()) {
    if (server_->reader) server_->reader->detach(inbox_);
    return;
  }
  runtime_.post(server_->core, [server = server_, inbox = inbox_] {
    if (server->reader) server->reader->detach(inbox);
  });
}

std::unique_ptr<SegmentWriter> ClientImpl::open_writer(SegmentId segment, Epoch epoch, std::uint64_t first,
                                                       AppendListener& listener) {
  return std::make_unique<Writer>(*this, next_writer_++, segment, epoch, first, listener);
}

void ClientImpl::append_for_peer(AppendBatch batch, Stored done) {
  batch.writer = next_writer_++;
  batch.of_peer = true;
  for_peers_[batch.writer] = std::move(done);
  of_peers_.push_back(std::move(batch));
  runtime_.at_turn_end(*this);
}

bool ClientImpl::answer_peer(AppendAnswer& answer) {
  auto found = for_peers_.find(answer.writer);
  if (found == for_peers_.end()) return false;
  Stored done = std::move(found->second);
  for_peers_.erase(found);
  if (answer.error) {
    done(std::unexpected(*std::move(answer.error)));
  } else {
    done(answer.end);
  }
  return true;
}

void ClientImpl::on_turn_end() {
  std::vector<AppendBatch> batches = std::exchange(of_peers_, {});
  batches.reserve(batches.size() + dirty_.size());
  for (Writer* writer : dirty_) {
    AppendBatch& batch = writer->batch_;
    writer->dirty_ = false;
    const std::uint64_t end = batch.end();
    batches.push_back({.writer = writer->number_,
                       .segment = writer->segment_,
                       .epoch = writer->epoch_,
                       .first = batch.first,
                       .entries = std::exchange(batch.entries, {}),
                       .bytes = std::exchange(batch.bytes, 0),
                       .of_peer = false});
    batch.first = end;
  }
  dirty_.clear();
  if (batches.empty()) return;
  if (on_journal_core()) {
    if (server_->reader) server_->reader->submit(inbox_, std::move(batches));
    return;
  }
  runtime_.post(server_->core, [server = server_, inbox = inbox_, batches = std::move(batches)]() mutable {
    if (server->reader) server->reader->submit(inbox, std::move(batches));
  });
}

void ClientImpl::deliver(std::vector<AppendAnswer> answers) {
  // First take note of everything, so that each listener hears once.
  std::vector<std::uint64_t> touched;
  for (AppendAnswer& answer : answers) {
    auto found = writers_.find(answer.writer);
    if (found == writers_.end()) {
      answer_peer(answer);
      continue;  // or given up meanwhile
    }
    Writer& writer = *found->second;
    if (writer.failed_) continue;
    if (answer.error) {
      writer.failed_ = std::move(answer.error);
    } else {
      STELE_ASSERT(answer.end > writer.answered_);  // in order, and each once
      writer.answered_ = answer.end;
    }
    if (touched.empty() || touched.back() != answer.writer) touched.push_back(answer.writer);
  }
  // A listener may destroy any writer, and with the last one this client.
  const ClientInbox self = inbox_;
  for (std::uint64_t number : touched) {
    if (!self->reader) return;
    auto found = writers_.find(number);
    if (found == writers_.end()) continue;
    Writer* writer = found->second;
    if (writer->stored_ < writer->answered_) {
      writer->stored_ = writer->answered_;
      writer->listener_.on_stored(writer->stored_);
      if (!self->reader) return;
      found = writers_.find(number);
      if (found == writers_.end()) continue;
    }
    if (writer->failed_ && !std::exchange(writer->ended_, true)) {
      const Error why = *writer->failed_;
      writer->listener_.on_append_failed(why);
    }
  }
}

void ClientImpl::space(bool there, bool retry) {
  has_space_ = there;
  if (!there && !retry) return;
  IntrusiveList<SpaceListener, SpaceListenerTag> now;
  while (!watchers_.empty()) now.push_back(watchers_.pop_front());
  while (!now.empty()) {
    SpaceListener& watcher = now.pop_front();
    watchers_.push_back(watcher);
    watcher.on_space();
  }
}

}  // namespace stele::journal::internal
