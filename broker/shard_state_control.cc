// Control entries of the shard's state machine: streams, sessions, settles, forward progress.
#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/control_entries_generated.h"
#include "broker/shard_state.h"

namespace stele::broker {
namespace {

std::string text(const flatbuffers::String* string) {
  return string ? string->str() : std::string();
}

StreamConfig config_of(const fbs::StreamConfig& table) {
  StreamConfig config;
  config.tenant = TenantId(table.tenant());
  config.name = text(table.name());
  config.partition_count = std::max(table.partition_count(), 1);
  if (table.captures()) {
    for (const auto* filter : *table.captures()) config.captures.push_back(filter->str());
  }
  config.key = text(table.key());
  config.retention_ms = table.retention_ms();
  config.retention_bytes = table.retention_bytes();
  config.log_append_time = table.log_append_time();
  return config;
}

std::unexpected<Error> impossible(const char* what) {
  return error(ErrorCode::kCorrupt, std::string("shard log: ") + what);
}

std::unexpected<Error> missing(const char* what) {
  return error(ErrorCode::kCorrupt, std::string("shard log: control entry without ") + what);
}

StreamId id_of(const fbs::Stream& stream) {
  return {TopicId(stream.topic()), PartitionId(stream.partition())};
}

ShardLimits limits_of(const fbs::OwnerStarted& body) {
  ShardLimits limits;
  limits.session_queue = {body.session_queue_messages(), body.session_queue_bytes()};
  limits.queued_messages = body.queued_messages();
  limits.retained_messages = body.retained_messages();
  limits.retained_bytes = body.retained_bytes();
  limits.sessions = body.sessions();
  limits.subscriptions_per_session = body.subscriptions_per_session();
  limits.producers = body.producers();
  limits.unreleased_per_session = body.unreleased_per_session();
  limits.will_bytes = body.will_bytes();
  return limits;
}

Result<SubscribeRequest> request_of(const fbs::Subscription& one) {
  SubscribeRequest request;
  request.filter = text(one.filter());
  request.qos = one.qos();
  request.no_local = one.no_local();
  request.retain_as_published = one.retain_as_published();
  request.retain_handling = one.retain_handling();
  request.subscription_id = one.id();
  if (request.filter.empty() || request.qos > 2 || request.retain_handling > 2) {
    return impossible("a subscription that makes no sense");
  }
  return request;
}

ShardState::SessionKey key_of(const fbs::Session& session) {
  return {TenantId(session.tenant()), text(session.client_id())};
}

}  // namespace

Result<void> ShardState::apply_control(Lsn lsn, std::string_view control, ApplyResult& result) {
  const auto* entry = flatbuffers::GetRoot<fbs::ControlEntry>(control.data());
  // The verifier lets a union pass that names its kind and has no content.
  if (entry->body_type() != fbs::Body::NONE && !entry->body()) return missing("a body");
  switch (entry->body_type()) {
    case fbs::Body::OwnerStarted: {
      const auto* body = entry->body_as_OwnerStarted();
      start_owner(lsn, Epoch(body->epoch()), limits_of(*body));
      return {};
    }
    case fbs::Body::StreamSet: {
      const auto* body = entry->body_as_StreamSet();
      if (!body->stream() || !body->config()) return missing("a stream");
      return set_stream(id_of(*body->stream()), config_of(*body->config()));
    }
    case fbs::Body::StreamDeleted: {
      const auto* body = entry->body_as_StreamDeleted();
      if (!body->stream()) return missing("a stream");
      delete_stream(id_of(*body->stream()));
      return {};
    }
    case fbs::Body::StreamTrimmed: {
      const auto* body = entry->body_as_StreamTrimmed();
      if (!body->stream()) return missing("a stream");
      auto found = streams_.find(id_of(*body->stream()));
      if (found == streams_.end() || Offset(body->start()) > found->second.next()) {
        return impossible("a trim of what is not there");
      }
      found->second.trim(Offset(body->start()));
      return {};
    }
    case fbs::Body::SessionOpened: {
      const auto* body = entry->body_as_SessionOpened();
      if (!body->session()) return missing("a session");
      const SessionKey key = key_of(*body->session());
      STELE_CHECK(open_session(lsn, key, body->clean(), body->expiry_s(), result));
      return body->will() ? set_will(lsn, key, *body->will()) : Result<void>();
    }
    case fbs::Body::SessionClosed: {
      const auto* body = entry->body_as_SessionClosed();
      if (!body->session()) return missing("a session");
      return close_session(*body);
    }
    case fbs::Body::SessionRemoved: {
      const auto* body = entry->body_as_SessionRemoved();
      if (!body->session()) return missing("a session");
      const SessionKey key = key_of(*body->session());
      if (body->goodbye()) wills_.goodbye(key);
      remove_session(key, result);
      return {};
    }
    case fbs::Body::WillSet: {
      const auto* body = entry->body_as_WillSet();
      if (!body->session() || !body->will()) return missing("a will");
      const SessionKey key = key_of(*body->session());
      remove_session(key, result);
      return set_will(lsn, key, *body->will());
    }
    case fbs::Body::WillEnded: {
      const auto* body = entry->body_as_WillEnded();
      const Lsn will(body->lsn());
      const bool there = body->goodbye() ? wills_.goodbye(will) : wills_.lost(will, time_);
      return there ? Result<void>() : impossible("the end of a will that is not there");
    }
    case fbs::Body::Subscribed: {
      const auto* body = entry->body_as_Subscribed();
      if (!body->session() || !body->subscriptions()) return missing("a session");
      auto found = sessions_.find(key_of(*body->session()));
      if (found == sessions_.end()) return {};
      for (const auto* one : *body->subscriptions()) {
        STELE_TRY(SubscribeRequest request, request_of(*one));
        subscribe(found->second, std::move(request), result);
      }
      return {};
    }
    case fbs::Body::Unsubscribed: {
      const auto* body = entry->body_as_Unsubscribed();
      if (!body->session() || !body->filters()) return missing("a session");
      auto found = sessions_.find(key_of(*body->session()));
      if (found == sessions_.end()) return {};
      for (const auto* filter : *body->filters()) unsubscribe(found->second, filter->str(), result);
      return {};
    }
    case fbs::Body::Settled: {
      const auto* body = entry->body_as_Settled();
      if (!body->items()) return missing("items");
      for (const auto* item : *body->items()) {
        change_queue(item->session(),
                     [&](SessionState& session) { session.settle(Lsn(item->lsn()), item->index()); });
      }
      return {};
    }
    case fbs::Body::Released: {
      const auto* body = entry->body_as_Released();
      if (!body->ids()) return missing("identifiers");
      for (const auto* one : *body->ids()) {
        const auto found = by_number_.find(one->session());
        if (found != by_number_.end()) found->second->release(one->id());
      }
      return {};
    }
    case fbs::Body::Numbered: {
      const auto* body = entry->body_as_Numbered();
      if (!body->items()) return missing("items");
      for (const auto* item : *body->items()) STELE_CHECK(number(*item));
      return {};
    }
    case fbs::Body::Accepted: {
      const auto* body = entry->body_as_Accepted();
      if (!body->items()) return missing("items");
      for (const auto* item : *body->items()) {
        change_queue(item->session(),
                     [&](SessionState& session) { session.accept(Lsn(item->lsn()), item->index()); });
      }
      return {};
    }
    case fbs::Body::Completed: {
      const auto* body = entry->body_as_Completed();
      if (!body->ids()) return missing("identifiers");
      for (const auto* one : *body->ids()) {
        const auto found = by_number_.find(one->session());
        if (found != by_number_.end()) found->second->complete(one->id());
      }
      return {};
    }
    case fbs::Body::ForwardedUpTo: {
      const auto* body = entry->body_as_ForwardedUpTo();
      auto found = pending_forwards_.find(ShardId(body->target()));
      if (found == pending_forwards_.end()) return {};
      while (!found->second.empty() && found->second.front() < Lsn(body->end())) found->second.pop_front();
      if (found->second.empty()) pending_forwards_.erase(found);
      return {};
    }
    case fbs::Body::RetainedExpired: {
      const auto* body = entry->body_as_RetainedExpired();
      if (!body->messages()) return missing("messages");
      for (const auto* one : *body->messages()) {
        const RetainedKey key(TenantId(one->tenant()), text(one->address()));
        const auto there = retained_.find(key);
        // One that came in its place meanwhile stays.
        if (there == retained_.end() || there->second.lsn != Lsn(one->lsn())) continue;
        remove_retained(key);
        result.retained = true;
      }
      return {};
    }
    case fbs::Body::ProducersExpired: {
      producers_.expire(WallTime{entry->body_as_ProducersExpired()->silent_since()});
      return {};
    }
    default:
      if (auto applied = apply_group(entry)) return *std::move(applied);
      break;
  }
  return error(ErrorCode::kUnsupported, "shard log: a control entry of a newer version of Stele");
}

void ShardState::start_owner(Lsn lsn, Epoch epoch, const ShardLimits& limits) {
  epoch_ = epoch;
  limits_ = limits;
  producers_.shrink(limits.producers);
  // Whoever was connected to the owner before is not connected any more.
  wills_.all_lost(time_, [this](const SessionKey& key) {
    const SessionState* session = this->session(key.first, key.second);
    return session ? session->expiry_s : 0;
  });
  for (auto& [key, session] : sessions_) {
    if (!session.connected) continue;
    session.connected = false;
    session.closed_at_ms = time_.ms;
    session.sent_below = lsn;  // nobody knows what was
    note_expiry(session);
  }
}

// ---- streams --------------------------------------------------------------------------------------------

Result<void> ShardState::set_stream(StreamId id, StreamConfig config) {
  if (id.partition < PartitionId(0)) return impossible("a stream with a negative partition");
  auto [at, made] = streams_.try_emplace(id);
  if (!made) index_captures(id, at->second, false);
  at->second.set_config(std::move(config));
  index_captures(id, at->second, true);
  return {};
}

void ShardState::delete_stream(StreamId id) {
  auto found = streams_.find(id);
  if (found == streams_.end()) return;
  index_captures(id, found->second, false);
  streams_.erase(found);
  producers_.forget_stream(id);
}

void ShardState::index_captures(StreamId id, StreamState& stream, bool on) {
  FilterTrie& trie = captures_[stream.config().tenant];
  if (on) {
    stream.capture_number = next_capture_number_++;
    captured_by_[stream.capture_number] = id;
  } else {
    captured_by_.erase(stream.capture_number);
  }
  const auto index = [&](std::string_view filter) {
    if (on) {
      trie.insert(filter, stream.capture_number, 0);
    } else {
      trie.erase(filter, stream.capture_number);
    }
  };
  for (const std::string& filter : stream.config().captures) index(filter);
  // A topic without captures takes its own name.
  if (stream.config().captures.empty() && !stream.address().empty()) index(stream.address());
  if (trie.empty()) captures_.erase(stream.config().tenant);
}

// ---- sessions -------------------------------------------------------------------------------------------

Result<void> ShardState::open_session(Lsn lsn, const SessionKey& key, bool clean, std::uint32_t expiry_s,
                                      ApplyResult& result) {
  if (key.second.empty()) return impossible("a session without a client id");
  if (clean) remove_session(key, result);
  auto [at, made] = sessions_.try_emplace(key);
  SessionState& session = at->second;
  if (made) {
    if (next_session_number_ == UINT32_MAX) return impossible("more sessions than there are numbers");
    session.number = next_session_number_++;
    session.tenant = key.first;
    session.client_id = key.second;
    session.hash = client_hash(key.second);
    by_number_[session.number] = &session;
    wills_.session_ended(key, time_);
  } else {
    forget_expiry(session);
    wills_.came_back(key, time_);
  }
  if (mutant(Mutant::kUnreleasedForgottenAtTakeOver)) {
    while (!session.all_unreleased().empty()) session.release(session.all_unreleased().front().id);
  }
  session.epoch = lsn.value;
  session.expiry_s = expiry_s;
  session.connected = true;
  return {};
}

Result<void> ShardState::close_session(const fbs::SessionClosed& body) {
  const SessionKey key = key_of(*body.session());
  auto found = sessions_.find(key);
  if (found == sessions_.end() || found->second.epoch != body.epoch()) {
    STELE_MARK("shard: close of an earlier session ignored");
    return {};
  }
  SessionState& session = found->second;
  forget_expiry(session);
  session.connected = false;
  session.closed_at_ms = time_.ms;
  session.expiry_s = body.expiry_s();
  session.sent_below = Lsn(body.sent_below());
  note_expiry(session);
  if (body.goodbye()) {
    wills_.goodbye(key);
  } else {
    wills_.lost(key, time_, session.expiry_s);
  }
  return {};
}

// Behind the entry's other effects: no will of the client's waits any more.
Result<void> ShardState::set_will(Lsn lsn, const SessionKey& key, const fbs::Will& will) {
  const auto bytes = [](const flatbuffers::Vector<std::uint8_t>* vector) {
    return Bytes::copy({reinterpret_cast<const char*>(vector->data()), vector->size()});
  };
  if (key.second.empty() || !will.address() || !will.batch() || will.qos() > 2) {
    return impossible("a will that makes no sense");
  }
  wills_.set(key, lsn,
             {.delay_s = will.delay_s(),
              .qos = will.qos(),
              .retain = will.retain(),
              .address = bytes(will.address()),
              .batch = bytes(will.batch())},
             time_);
  return {};
}

template <class Change>
void ShardState::change_queue(std::uint32_t number, Change&& change) {
  auto found = by_number_.find(number);
  if (found == by_number_.end()) return;
  const std::size_t queued = found->second->queued();
  change(*found->second);
  queued_messages_ = queued_messages_ - queued + found->second->queued();
}

Result<void> ShardState::number(const fbs::NumberedItem& item) {
  auto found = by_number_.find(item.session());
  if (found == by_number_.end()) return {};
  if (!found->second->give_number(Lsn(item.lsn()), item.index(), item.id())) {
    return impossible("a packet identifier that is in use");
  }
  return {};
}

void ShardState::note_expiry(const SessionState& session) {
  if (session.expires_at_ms() != INT64_MAX) expiring_.emplace(session.expires_at_ms(), session.number);
}

void ShardState::set_interest(SessionState& session, const SubscribeRequest& request, bool on,
                              ApplyResult* result) {
  // QoS 0 is never kept; what is shared is kept for all of its members in another session.
  if (request.qos == 0 || is_shared(request.filter)) return;
  TenantSessions& tenant = tenants_[session.tenant];
  if (on) {
    if (!tenant.trie.insert(request.filter, session.number, packed::pack(request))) {
      return;
    }
    if (++tenant.uses[request.filter] == 1 && result) {
      result->routes.push_back({true, session.tenant, request.filter});
    }
    return;
  }
  if (!tenant.trie.erase(request.filter, session.number)) return;
  auto uses = tenant.uses.find(request.filter);
  STELE_ASSERT(uses != tenant.uses.end());
  if (--uses->second > 0) return;
  tenant.uses.erase(uses);
  if (tenant.uses.empty()) tenants_.erase(session.tenant);
  if (result) result->routes.push_back({false, session.tenant, request.filter});
}

void ShardState::subscribe(SessionState& session, SubscribeRequest request, ApplyResult& result) {
  if (auto there = session.subscriptions.find(request.filter); there != session.subscriptions.end()) {
    // Replaced [MQTT-3.8.4-3]; kept in the trie if only its options change.
    if (there->second.qos > 0 && request.qos == 0) set_interest(session, there->second, false, &result);
  }
  set_interest(session, request, true, &result);
  std::string filter = request.filter;
  session.subscriptions.insert_or_assign(std::move(filter), std::move(request));
}

void ShardState::unsubscribe(SessionState& session, std::string_view filter, ApplyResult& result) {
  auto found = session.subscriptions.find(filter);
  if (found == session.subscriptions.end()) return;
  set_interest(session, found->second, false, &result);
  session.subscriptions.erase(found);
}

void ShardState::remove_session(const SessionKey& key, ApplyResult& result) {
  wills_.session_ended(key, time_);
  auto found = sessions_.find(key);
  if (found == sessions_.end()) return;
  SessionState& session = found->second;
  for (const auto& [filter, request] : session.subscriptions) set_interest(session, request, false, &result);
  result.removed_sessions.push_back(session.number);
  queued_messages_ -= session.queued();
  forget_expiry(session);
  by_number_.erase(session.number);
  sessions_.erase(found);
}

void ShardState::index_session(SessionState& session) {
  by_number_[session.number] = &session;
  queued_messages_ += session.queued();
  note_expiry(session);
  for (const auto& [filter, request] : session.subscriptions) set_interest(session, request, true, nullptr);
}

}  // namespace stele::broker
