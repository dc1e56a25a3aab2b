#include "broker/publisher.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/core.h"
#include "broker/message_batch.h"
#include "broker/session.h"
#include "broker/targets.h"
#include "model/address.h"

namespace stele::broker {
PublisherImpl::PublisherImpl(Core& core, std::uint32_t id, Principal who, Listener& listener)
    : core_(core), id_(id), who_(std::move(who)), listener_(listener) {}

// With much in flight on the core, each publisher keeps a small part of its window.
bool PublisherImpl::full() {
  if (core_.live_is_behind()) [[unlikely]] {
    if (!std::exchange(waits_for_live_, true)) core_.wait_for_live(id_);
    return true;
  }
  return in_flight() >= kMaxWaiting || waiting_bytes_ >= kMaxWaitingBytes ||
         (core_.publishing_too_much() && waiting_bytes_ >= kMaxWaitingBytes / 64);
}

PublisherImpl::~PublisherImpl() {
  core_.publishing_bytes() -= waiting_bytes_;
  core_.forget_publisher(id_);
}

bool PublisherImpl::publish(const MessageView& message, const Bytes& owner, std::uint32_t token,
                            bool answer) {
  if (lost_order_ || !deferred_.empty() || !try_publish(message, owner, token, answer))
    defer(message, token, answer);
  asked_to_wait_ |= full();
  return !asked_to_wait_;
}

void PublisherImpl::join(const Session& session) {
  // Sessions are ours.
  const auto& joined = static_cast<const SessionImpl&>(session);
  if (!joined.durable()) return;
  exactly_once_ = true;
  session_shard_ = joined.shard();
  session_number_ = joined.number();
  session_epoch_ = joined.epoch();
}

bool PublisherImpl::try_publish(const MessageView& message, const Bytes& owner, std::uint32_t token,
                                bool answer) {
  if (!core_.may_accept()) [[unlikely]] {
    if (auto* observer = core_.options().observer) observer->on_refused(session_shard_);
    if (message.qos != 2 || !exactly_once_) {
      done_now(token, answer, false, core_.not_accepting());
      return true;
    }
    // The session's shard may have it from before: a refusal would say that its identifier is free. That is for
    // the next connection to find out.
    STELE_MARK("publisher: QoS 2 of unknown fate where nothing is accepted");
    waiting_.push_back({.address_hash = 0,
                        .token = token,
                        .bytes = 0,
                        .answer = answer,
                        .done = true,
                        .unknown = true,
                        .error = std::make_unique<Error>(core_.not_accepting())});
    lost_order_ = true;
    if (waiting_.size() == 1) drain();
    return true;
  }
  if (!mutant(Mutant::kAclNotAsked) && !core_.authorizer().allowed(who_, Action::kPublish, message.address))
      [[unlikely]] {
    deny(message, token, answer);
    return true;
  }
  Route& route = core_.routes().route(who_.tenant, message.address, memo_);
  const bool capture = !route.captures.empty() && !is_mqtt_only(message.address);
  const bool kept = capture || message.retain || (message.qos > 0 && !route.session_shards.empty());
  const InFlight* earlier = nullptr;
  if (!in_flight_.empty()) {
    auto found = in_flight_.find(route.address_hash);
    if (found != in_flight_.end()) earlier = &found->second;
  }
  // That a QoS 2 message was here is kept even if nobody wants it.
  if (kept || earlier || (message.qos == 2 && exactly_once_)) {
    return commit_first(message, route, earlier, token, answer);
  }
  const bool matched = core_.deliver_live(route, who_.tenant, message, owner, hash_);
  ++core_.stats().published_live;
  done_now(token, answer, matched, std::nullopt);
  return true;
}

void PublisherImpl::deny(const MessageView& message, std::uint32_t token, bool answer) {
  Error why{ErrorCode::kUnauthorized,
            "'" + who_.name + "' may not publish to '" + std::string(message.address) + "'"};
  if (message.qos != 2 || !exactly_once_) return done_now(token, answer, false, std::move(why));
  // Unless it was allowed before: then the session's shard holds its identifier.
  DataMail mail;
  mail.reply = {ReplyTo::Kind::kPublisher, core_.runtime().core(), id_, first_ticket_ + waiting_.size()};
  mail.shard = session_shard_;
  mail.meta_version = core_.meta_version();
  mail.once = OnceId{session_number_, session_epoch_, static_cast<std::uint16_t>(token)};
  mail.denied = std::move(why);
  const std::uint64_t address_hash = hash64(message.address);
  const auto [in_flight, added] = in_flight_.try_emplace(address_hash);
  if (added) {
    in_flight->second.home = session_shard_;
    in_flight->second.once = true;
  }
  ++in_flight->second.count;
  waiting_.push_back(
      {.address_hash = address_hash, .token = token, .bytes = 0, .answer = answer, .error = {}});
  core_.publish(std::move(mail));
}

void PublisherImpl::defer(const MessageView& message, std::uint32_t token, bool answer) {
  STELE_MARK("publisher: QoS 2 waits for what is in flight elsewhere");
  MessageView timed = message;
  if (timed.timestamp_ms == kNoTimestamp) timed.timestamp_ms = core_.runtime().wall_now().ms;
  Deferred one{batch_of(timed, KeyRule{}), token, answer};
  waiting_bytes_ += one.message.batch.size();
  core_.publishing_bytes() += one.message.batch.size();
  deferred_.push_back(std::move(one));
}

void PublisherImpl::publish_deferred() {
  if (publishing_deferred_) return;
  publishing_deferred_ = true;
  bool sent = true;
  while (sent && !deferred_.empty()) {
    const Deferred& next = deferred_.front();
    for_each_message(next.message.batch, next.message.address, false,
                     [&](const MessageView& message, const Bytes& owner, std::uint32_t) {
                       sent = try_publish(message, owner, next.token, next.answer);
                     });
    if (!sent) break;
    const std::size_t bytes = next.message.batch.size();
    waiting_bytes_ -= bytes;
    core_.publishing_bytes() -= bytes;
    deferred_.pop_front();
  }
  publishing_deferred_ = false;
}

bool PublisherImpl::commit_first(const MessageView& message, Route& route, const InFlight* earlier,
                                 std::uint32_t token, bool answer) {
  DataMail mail;
  KeyRule rule;
  std::optional<StreamId> stream;
  ShardId home = route.address_shard;
  Targets found = targets_of(route, message);
  ShardList& targets = found.shards;
  if (found.capture) {
    stream = StreamId{found.capture->topic->id, PartitionId(found.partition)};
    home = found.capture_shard();
    rule = found.capture->topic->key;
  }
  if (!stream && targets.size() == 1) home = targets.front();
  // Where a property is the key, order is per key and not per address.
  const bool keyed = stream && rule.kind == KeyRule::Kind::kProperty;
  const bool once = message.qos == 2 && exactly_once_ && !mutant(Mutant::kQos2HomeMoves);
  if (once) {
    if (earlier && (earlier->home != session_shard_ || (keyed && !earlier->once))) return false;
    if (home != session_shard_) stream.reset();
    home = session_shard_;
  } else if (earlier && earlier->home != home && (!keyed || earlier->once) &&
             !(mutant(Mutant::kRetainedOverwritten) && message.retain)) {
    STELE_MARK("publisher: home kept while in flight");
    home = earlier->home;
    stream.reset();  // found by whoever the home forwards it to
  }
  targets.erase(std::remove(targets.begin(), targets.end(), home), targets.end());

  BlockArena& memory = core_.memory_for(core_.core_of(home));
  MessageBatch batch;
  if (message.timestamp_ms == kNoTimestamp) {
    MessageView timed = message;
    timed.timestamp_ms = core_.runtime().wall_now().ms;
    batch = batch_for_entry(timed, rule, memory);
  } else {
    batch = batch_for_entry(message, rule, memory);
  }
  const auto bytes = static_cast<std::uint32_t>(batch.batch.size());
  mail.reply = {ReplyTo::Kind::kPublisher, core_.runtime().core(), id_, first_ticket_ + waiting_.size()};
  mail.shard = home;
  mail.meta_version = core_.meta_version();
  mail.forwards = std::move(targets);
  for (const ShareRoute* share : route.shares) {
    if (share->takes_live(message.qos)) mail.shares.push_back(share->text());
  }
  if (once) mail.once = OnceId{session_number_, session_epoch_, static_cast<std::uint16_t>(token)};
  mail.data = {.tenant = who_.tenant,
               .kafka_batch = false,
               .retain = message.retain,
               .address_headers_allowed = false,
               .keyed_by_address = rule.kind == KeyRule::Kind::kAddress,
               .qos = message.qos,
               .publisher_hash = hash_,
               .stream = stream,
               .address = std::move(batch.address),
               .batch = std::move(batch.batch),
               .room = std::move(batch.room)};
  const std::uint64_t address_hash = route.address_hash;
  InFlight& in_flight = in_flight_[address_hash];
  in_flight.home = home;
  in_flight.once |= once;
  ++in_flight.count;
  waiting_.push_back(
      {.address_hash = address_hash, .token = token, .bytes = bytes, .answer = answer, .error = {}});
  waiting_bytes_ += bytes;
  core_.publishing_bytes() += bytes;
  ++core_.stats().published_kept;
  core_.publish(std::move(mail));
  return true;
}

void PublisherImpl::done_now(std::uint32_t token, bool answer, bool matched, std::optional<Error> error) {
  if (!answer) return;
  if (waiting_.empty()) {
    listener_.on_published(token, {error ? &*error : nullptr, matched});
    return;
  }
  waiting_.push_back({.address_hash = 0,
                      .token = token,
                      .bytes = 0,
                      .answer = true,
                      .done = true,
                      .matched = matched,
                      .error = error ? std::make_unique<Error>(*std::move(error)) : nullptr});
}

void PublisherImpl::on_answer(const DataAnswerMail& answer) {
  const std::uint64_t index = answer.reply.ticket - first_ticket_;
  STELE_ASSERT(index < waiting_.size());
  Waiting& waiting = waiting_[index];
  STELE_ASSERT(!waiting.done);
  waiting.done = true;
  waiting.matched = answer.matched;
  waiting.unknown = answer.unknown;
  if (answer.error) waiting.error = std::make_unique<Error>(*answer.error);
  waiting_bytes_ -= waiting.bytes;
  core_.publishing_bytes() -= waiting.bytes;
  auto in_flight = in_flight_.find(waiting.address_hash);
  STELE_ASSERT(in_flight != in_flight_.end());
  auto* observer = core_.options().observer;
  if (answer.error && observer) observer->on_refused(in_flight->second.home);
  if (--in_flight->second.count == 0) in_flight_.erase(in_flight);
  // Whether it will be there nobody knows: what waits for it must not come before it. The listener is told,
  // and ends the connection.
  lost_order_ |= waiting.error && waiting.unknown && waiting.answer;
  if (!deferred_.empty() && !lost_order_) publish_deferred();
  if (index == 0) drain();
}

void PublisherImpl::on_live_ready() {
  waits_for_live_ = false;
  drain();
}

void PublisherImpl::drain() {
  while (!waiting_.empty() && waiting_.front().done) {
    const Waiting first = waiting_.take_front();
    ++first_ticket_;
    if (first.answer) listener_.on_published(first.token, {first.error.get(), first.matched, first.unknown});
  }
  if (asked_to_wait_ && in_flight() <= kMaxWaiting / 2 && waiting_bytes_ <= kMaxWaitingBytes / 2 && !full()) {
    asked_to_wait_ = false;
    listener_.on_publisher_ready();
  }
}

}  // namespace stele::broker
