// The data path of a shard: publishes and produces, what is revealed at their commit, and the forwarders that
// feed the other shards that want a message.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/control.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

// ---- publishes ------------------------------------------------------------------------------------------

void Shard::refuse(const ReplyTo& to, Error error, bool unknown) {
  if (!to.by_mail()) return;
  DataAnswerMail mail;
  mail.reply = to;
  mail.error = std::move(error);
  mail.unknown = unknown;
  core_.send(to.core, std::move(mail));
}

bool Shard::keeps_retained(const Data& data) const {
  return data.retain && !data.kafka_batch &&
         shard_of(data.tenant, data.address, core_.routes().shard_count()) == id_;
}

Lsn Shard::append(decide::Publish&& made) {
  for (storage::LogEntry& copy : made.copies) append(std::move(copy));
  return append(std::move(made.entry));
}

void Shard::accept(DataMail&& mail) {
  Answering answering;
  answering.reply = mail.reply;
  if (mail.once) {
    // What came before is answered as it was, whatever stands in the way of what is new: an error would tell
    // the client that its identifier is free.
    const auto before = decide::sent_before(state_, *mail.once);
    if (!before) return refuse(mail.reply, before.error(), true);
    if (*before) {
      ++core_.stats().published_again;
      return answer_duplicate(**before, std::move(answering));
    }
  }
  if (mail.denied) return refuse(mail.reply, *std::move(mail.denied));
  if (auto can = writable(); !can) {
    if (can.error().code == ErrorCode::kNoSpace) ++core_.stats().refused_no_space;
    if (auto* observer = core_.options().observer) observer->on_refused(id_);
    return refuse(mail.reply, can.error());
  }
  const bool retained_home = keeps_retained(mail.data);
  auto made =
      decide::publish(state_, deciding(), std::move(mail.data), mail.forwards, retained_home, mail.once);
  if (!made) {
    const ErrorCode code = made.error().code;
    if (code == ErrorCode::kOutOfOrder || code == ErrorCode::kFenced) ++core_.stats().produced_out_of_order;
    return refuse(mail.reply, std::move(made).error());
  }
  answering.produced = {made->base_offset, made->append_time_ms, made->log_start};
  if (made->duplicate_of) {
    ++core_.stats().produced_duplicates;
    return answer_duplicate(*made->duplicate_of, std::move(answering));
  }

  Reveal item;
  item.answering = std::move(answering);
  item.answering.forwards = mail.forwards.size();
  item.data = std::move(made->data);
  item.shares = std::move(mail.shares);
  item.lsn = append(*std::move(made));
  item.answering.matched =
      applied_.matched || !mail.forwards.empty() || !item.shares.empty() || core_.any_live(item.data);
  if (mutant(Mutant::kDeliverBeforeCommit)) core_.deliver_live(item.data, item.shares);
  if (mutant(Mutant::kPubrecBeforeCommit) && mail.once) {
    answer(std::move(item.answering));
    item.answering = {};
  }
  for (ShardId target : mail.forwards) note_pending_forward(target, item.lsn);
  reveals_.push_back(std::move(item));
}

void Shard::reveal(Reveal&& item) {
  if (!mutant(Mutant::kDeliverBeforeCommit)) core_.deliver_live(item.data, item.shares);
  if (item.answering.forwards == 0) return answer(std::move(item.answering));
  awaiting_forwards_.emplace(item.lsn, std::move(item.answering));
}

void Shard::answer(Answering&& answering) {
  if (!answering.reply.by_mail()) {
    if (answering.reply.kind == ReplyTo::Kind::kWill) will_has_arrived(Lsn(answering.reply.ticket));
    return;
  }
  DataAnswerMail mail;
  mail.reply = answering.reply;
  mail.matched = answering.matched;
  mail.produced = answering.produced;
  core_.send(answering.reply.core, std::move(mail));
}

// When the one that was sent first is: once it is committed, here and wherever it is forwarded to.
void Shard::answer_duplicate(Lsn original, Answering&& answering) {
  if (original >= log_->committed() && !mutant(Mutant::kDuplicateBeforeCommit)) {
    STELE_MARK("shard: sent again before it was committed");
    duplicates_.emplace(original, std::move(answering));
    return;
  }
  answering.forwards = 0;
  for (const auto& [target, lsns] : state_.pending_forwards()) {
    const auto found = forwarding_.find(target);
    if (found != forwarding_.end() && original < found->second.answered) continue;
    answering.forwards += std::binary_search(lsns.begin(), lsns.end(), original) ? 1 : 0;
  }
  if (answering.forwards == 0) return answer(std::move(answering));
  awaiting_forwards_.emplace(original, std::move(answering));
}

// ---- forwards: the source's side ------------------------------------------------------------------------

std::size_t Shard::forwards_unanswered() const {
  std::size_t count = 0;
  for (const auto& [target, lsns] : state_.pending_forwards()) {
    const auto found = forwarding_.find(target);
    const Lsn answered = found == forwarding_.end() ? Lsn(0) : found->second.answered;
    count += static_cast<std::size_t>(lsns.end() - std::lower_bound(lsns.begin(), lsns.end(), answered));
  }
  return count;
}

void Shard::note_pending_forward(ShardId target, Lsn lsn) {
  auto [at, added] = forwarding_.try_emplace(target);
  if (added) at->second.next_to_read = lsn;
  wake_at_turn_end();
}

void Shard::forward_more() {
  for (auto& [target, forwarding] : forwarding_) {
    if (forwarding.reading) continue;
    if (!next_to_forward(target, forwarding)) continue;
    forwarding.reading = true;
    scope_->spawn(forward_to(target));
  }
}

// The next committed entry that the target is to be sent, if the window has room and no refusal was just now.
std::optional<Lsn> Shard::next_to_forward(ShardId target, const Forwarding& forwarding) const {
  const BrokerOptions& options = core_.options();
  if (forwarding.in_flight.size() >= options.forward_window ||
      forwarding.bytes >= options.forward_window_bytes || core_.runtime().now() < forwarding.again_at) {
    return std::nullopt;
  }
  auto pending = state_.pending_forwards().find(target);
  if (pending == state_.pending_forwards().end()) return std::nullopt;
  auto next = std::lower_bound(pending->second.begin(), pending->second.end(), forwarding.next_to_read);
  if (next == pending->second.end() || *next >= log_->committed()) return std::nullopt;
  return *next;
}

Task<void> Shard::forward_to(ShardId target) {
  const auto self = shared_from_this();
  while (serving_) {
    Forwarding& forwarding = forwarding_[target];
    const auto lsn = next_to_forward(target, forwarding);
    if (!lsn) break;
    const std::uint64_t round = forwarding.round;
    std::vector<storage::LogEntry> entries;
    if (!log_->read_cached(*lsn, 1, entries)) {
      auto read = co_await log_->read(*lsn, 1);
      if (!serving_) break;
      if (!read || read->empty()) {
        core_.runtime().log().write(runtime::LogLevel::kError, "broker",
                                    "shard " + std::to_string(id_.value) +
                                        ": an entry to forward cannot be read: " +
                                        (read ? "it is not there" : read.error().to_string()));
        forwarding_[target].again_at = core_.runtime().now() + 1s;
        break;
      }
      entries = *std::move(read);
    }
    Forwarding& still = forwarding_[target];
    if (still.round != round) continue;  // began again meanwhile
    // First: a target on this core answers from within the call.
    still.next_to_read = *lsn + 1;
    still.in_flight.emplace_back(*lsn, entries.front().size());
    still.bytes += entries.front().size();
    send_forward(target, *lsn, entries.front());
  }
  forwarding_[target].reading = false;
}

std::optional<Lsn> Shard::before_in_pending(ShardId target, Lsn lsn) const {
  auto pending = state_.pending_forwards().find(target);
  if (pending == state_.pending_forwards().end()) return std::nullopt;
  auto at = std::lower_bound(pending->second.begin(), pending->second.end(), lsn);
  if (at == pending->second.begin()) return std::nullopt;
  return *--at;
}

void Shard::send_forward(ShardId target, Lsn lsn, const storage::LogEntry& entry) {
  const auto view = parse_entry(entry);
  STELE_ASSERT(view && view->kind == EntryKind::kData);
  ForwardMail mail;
  mail.source = id_;
  mail.target = target;
  mail.source_epoch = log_->epoch();
  mail.lsn = lsn;
  mail.after = before_in_pending(target, lsn);
  mail.reply_core = core_.runtime().core();
  mail.meta_version = core_.meta_version();
  mail.data.tenant = view->data.tenant;
  mail.data.kafka_batch = view->data.kafka_batch;
  mail.data.retain = view->data.retain;
  mail.data.address_headers_allowed = view->data.address_headers_allowed;
  mail.data.qos = view->data.qos;
  mail.data.publisher_hash = view->data.publisher_hash;
  mail.data.address = Bytes::copy(view->data.address);
  mail.data.batch = batch_bytes(entry, view->data);
  core_.forward(std::move(mail));
}

void Shard::accept(ForwardAnswerMail&& mail) {
  auto found = forwarding_.find(mail.target);
  if (found == forwarding_.end()) return;
  Forwarding& forwarding = found->second;
  if (mail.error) {
    STELE_MARK("shard: forward refused, sent again");
    // From the first that is not answered.
    if (!forwarding.in_flight.empty()) forwarding.next_to_read = forwarding.in_flight.front().first;
    forwarding.in_flight.clear();
    forwarding.bytes = 0;
    ++forwarding.round;
    forwarding.again_at = core_.runtime().now() + 50ms;
    return retry_forwards_later();
  }
  while (!forwarding.in_flight.empty() && forwarding.in_flight.front().first <= mail.up_to) {
    const auto [lsn, bytes] = forwarding.in_flight.front();
    forwarding.in_flight.pop_front();
    forwarding.bytes -= bytes;
    forwarding.answered = lsn + 1;
    for (auto waiting = awaiting_forwards_.lower_bound(lsn);
         waiting != awaiting_forwards_.end() && waiting->first == lsn;) {
      if (--waiting->second.forwards > 0) {
        ++waiting;
        continue;
      }
      Answering done = std::move(waiting->second);
      waiting = awaiting_forwards_.erase(waiting);
      answer(std::move(done));
    }
  }
  wake_at_turn_end();
}

void Shard::retry_forwards_later() {
  if (retrying_forwards_) return;
  retrying_forwards_ = true;
  scope_->spawn(retry_forwards());
}

Task<void> Shard::retry_forwards() {
  const auto self = shared_from_this();
  const bool slept = co_await runtime::sleep(core_.runtime(), 60ms, scope_->token());
  retrying_forwards_ = false;
  if (slept && serving_) wake_at_turn_end();
}

// Lets the log forget what the targets have.
void Shard::note_forward_progress() {
  std::vector<std::pair<ShardId, Lsn>> done;
  for (const auto& [target, lsns] : state_.pending_forwards()) {
    auto found = forwarding_.find(target);
    if (found != forwarding_.end() && lsns.front() < found->second.answered) {
      done.emplace_back(target, found->second.answered);
    }
  }
  for (const auto& [target, end] : done) append(control::forwarded_up_to(now(), target, end));
}

// ---- forwards: the target's side ------------------------------------------------------------------------

void Shard::accept(ForwardMail&& mail) {
  ForwardAnswerMail answer;
  answer.source = mail.source;
  answer.target = id_;
  answer.for_peer = mail.of_peer;
  if (auto can = writable(); !can) {
    answer.error = can.error();
    return core_.send(mail.reply_core, std::move(answer));
  }
  const bool retained_home = keeps_retained(mail.data);
  decide::Forward made = decide::forwarded(state_, deciding(), {mail.source, mail.source_epoch, mail.lsn},
                                           mail.after, std::move(mail.data), retained_home);
  switch (made.what) {
    case decide::Forward::What::kHere:  // answered once that is committed
      ++core_.stats().forward_duplicates;
      taken_.push_back({log_->next() - 1, mail.source, mail.lsn, mail.reply_core, mail.of_peer});
      if (taken_.back().own < log_->committed()) answer_taken(log_->committed());
      return;
    case decide::Forward::What::kGap:
      STELE_MARK("shard: forward with a gap before it refused");
      answer.error = Error{ErrorCode::kUnavailable, "an earlier entry is missing"};
      return core_.send(mail.reply_core, std::move(answer));
    case decide::Forward::What::kNew:
      ++core_.stats().forwarded;
      taken_.push_back(
          {append(std::move(made.publish)), mail.source, mail.lsn, mail.reply_core, mail.of_peer});
  }
}

void Shard::answer_taken(Lsn end) {
  // One answer per source and commit.
  std::map<std::tuple<ShardId, bool, CoreId>, Lsn> answers;
  while (!taken_.empty() && taken_.front().own < end) {
    const Taken& taken = taken_.front();
    Lsn& up_to = answers[{taken.source, taken.of_peer, taken.reply_core}];
    up_to = std::max(up_to, taken.lsn);
    taken_.pop_front();
  }
  for (const auto& [to, up_to] : answers) {
    const auto& [source, for_peer, core] = to;
    core_.send(core, ForwardAnswerMail{source, id_, for_peer, up_to, {}});
  }
}

// Whether they were stored nobody knows: they are sent again.
void Shard::refuse_taken(const Error& why) {
  std::set<std::tuple<ShardId, bool, CoreId>> told;
  for (const Taken& taken : std::exchange(taken_, {})) {
    const std::tuple to(taken.source, taken.of_peer, taken.reply_core);
    if (told.insert(to).second) {
      core_.send(taken.reply_core, ForwardAnswerMail{taken.source, id_, taken.of_peer, {}, why});
    }
  }
}

}  // namespace stele::broker
