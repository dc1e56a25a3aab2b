// Control entries of the shard's state machine: streams, sessions, settles, forward progress.
#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/marks.h"
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

std::unexpected<Error> missing(const char* what) {
  return error(ErrorCode::kCorrupt, std::string("shard log: control entry without ") + what);
}

}  // namespace

Result<void> ShardState::apply_control(Lsn lsn, std::string_view control, ApplyResult& result) {
  const auto* entry = flatbuffers::GetRoot<fbs::ControlEntry>(control.data());
  const auto stream_id = [](const fbs::Stream* stream) {
    return StreamId{TopicId(stream->topic()), PartitionId(stream->partition())};
  };
  const auto session_key = [](const fbs::Session* session) {
    return SessionKey(TenantId(session->tenant()), text(session->client_id()));
  };
  switch (entry->body_type()) {
    case fbs::Body::OwnerStarted: {
      const auto* body = entry->body_as_OwnerStarted();
      epoch_ = Epoch(body->epoch());
      limits_.session_queue = {body->session_queue_messages(), body->session_queue_bytes()};
      limits_.retained_messages = body->retained_messages();
      limits_.retained_bytes = body->retained_bytes();
      // Whoever was connected to the owner before is not connected any more.
      for (auto& [key, session] : sessions_) {
        if (!session.connected) continue;
        session.connected = false;
        session.closed_at_ms = time_.ms;
      }
      return {};
    }
    case fbs::Body::StreamSet: {
      const auto* body = entry->body_as_StreamSet();
      if (!body->stream() || !body->config()) return missing("a stream");
      StreamConfig config = config_of(*body->config());
      auto [at, made] = streams_.try_emplace(stream_id(body->stream()), config, lsn);
      if (!made) at->second.set_config(std::move(config));
      index_captures();
      return {};
    }
    case fbs::Body::StreamDeleted: {
      const auto* body = entry->body_as_StreamDeleted();
      if (!body->stream()) return missing("a stream");
      streams_.erase(stream_id(body->stream()));
      index_captures();
      return {};
    }
    case fbs::Body::StreamTrimmed: {
      const auto* body = entry->body_as_StreamTrimmed();
      if (!body->stream()) return missing("a stream");
      auto found = streams_.find(stream_id(body->stream()));
      if (found == streams_.end() || Offset(body->start()) > found->second.next()) {
        return error(ErrorCode::kCorrupt, "shard log: a trim of what is not there");
      }
      found->second.trim(Offset(body->start()));
      return {};
    }
    case fbs::Body::SessionOpened: {
      const auto* body = entry->body_as_SessionOpened();
      if (!body->session()) return missing("a session");
      const SessionKey key = session_key(body->session());
      if (body->clean()) remove_session(key, result);
      SessionState& session = sessions_[key];
      if (session.number == 0) {
        session.number = next_session_number_++;
        session.tenant = key.first;
        session.client_id = key.second;
        session.hash = hash64(key.second) | 1;
        by_number_[session.number] = &session;
      }
      session.epoch = lsn.value;
      session.expiry_s = body->expiry_s();
      session.connected = true;
      return {};
    }
    case fbs::Body::SessionClosed: {
      const auto* body = entry->body_as_SessionClosed();
      if (!body->session()) return missing("a session");
      auto found = sessions_.find(session_key(body->session()));
      if (found == sessions_.end() || found->second.epoch != body->epoch()) {
        STELE_MARK("shard: close of an earlier session ignored");
        return {};
      }
      found->second.connected = false;
      found->second.closed_at_ms = time_.ms;
      found->second.expiry_s = body->expiry_s();
      return {};
    }
    case fbs::Body::SessionRemoved: {
      const auto* body = entry->body_as_SessionRemoved();
      if (!body->session()) return missing("a session");
      remove_session(session_key(body->session()), result);
      return {};
    }
    case fbs::Body::Subscribed: {
      const auto* body = entry->body_as_Subscribed();
      if (!body->session() || !body->subscriptions()) return missing("a session");
      auto found = sessions_.find(session_key(body->session()));
      if (found == sessions_.end()) return {};
      for (const auto* one : *body->subscriptions()) {
        SubscribeRequest request;
        request.filter = text(one->filter());
        request.qos = one->qos();
        request.no_local = one->no_local();
        request.retain_as_published = one->retain_as_published();
        request.retain_handling = one->retain_handling();
        request.subscription_id = one->id();
        subscribe(found->second, std::move(request), result);
      }
      return {};
    }
    case fbs::Body::Unsubscribed: {
      const auto* body = entry->body_as_Unsubscribed();
      if (!body->session() || !body->filters()) return missing("a session");
      auto found = sessions_.find(session_key(body->session()));
      if (found == sessions_.end()) return {};
      for (const auto* filter : *body->filters()) unsubscribe(found->second, filter->str(), result);
      return {};
    }
    case fbs::Body::Settled: {
      const auto* body = entry->body_as_Settled();
      if (!body->items()) return missing("items");
      for (const auto* item : *body->items()) {
        auto found = by_number_.find(item->session());
        if (found != by_number_.end()) found->second->settle(Lsn(item->lsn()), item->index());
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
    case fbs::Body::NONE:
      break;
  }
  return error(ErrorCode::kUnsupported, "shard log: a control entry of a newer version of Stele");
}

// ---- sessions -------------------------------------------------------------------------------------------

void ShardState::set_interest(SessionState& session, const SubscribeRequest& request, bool on,
                              ApplyResult* result) {
  // QoS 0 is never kept.
  if (request.qos == 0) return;
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
  auto found = sessions_.find(key);
  if (found == sessions_.end()) return;
  SessionState& session = found->second;
  for (const auto& [filter, request] : session.subscriptions) set_interest(session, request, false, &result);
  result.removed_sessions.push_back(session.number);
  by_number_.erase(session.number);
  sessions_.erase(found);
}

void ShardState::index_session(SessionState& session) {
  by_number_[session.number] = &session;
  for (const auto& [filter, request] : session.subscriptions) set_interest(session, request, true, nullptr);
}

}  // namespace stele::broker
