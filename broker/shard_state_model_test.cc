// Random logs against a model that is written the slow and obvious way; and for every log: whatever snapshot
// one starts from, the rest of the log leads to the same states (design: state(n) = fold(apply, entries ≤
// n)).
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "broker/decide.h"
#include "broker/shard_state.h"
#include "broker/shard_testing.h"
#include "model/record_batch_builder.h"
#include "model/topic_name.h"
#include "runtime/random.h"

namespace stele::broker {
namespace {

using runtime::Random;
using testing::data_of;
using testing::LogAndState;

// ---- the model ------------------------------------------------------------------------------------------

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words(1);
  for (char c : text) {
    if (c == '/') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

bool matches(const std::string& filter, const std::string& address) {
  const auto f = split(filter), a = split(address);
  if (a[0].starts_with('$') && (f[0] == "+" || f[0] == "#")) return false;
  for (std::size_t i = 0; i < f.size(); ++i) {
    if (f[i] == "#") return true;
    if (i == a.size() || (f[i] != "+" && f[i] != a[i])) return false;
  }
  return f.size() == a.size();
}

struct Item {
  Lsn lsn;
  std::uint32_t index;
  int qos;
  bool retain;
  std::vector<std::uint32_t> ids;
  bool settled = false;
  std::uint16_t packet_id = 0;
  friend bool operator==(const Item&, const Item&) = default;
};

using Key = std::pair<TenantId, std::string>;

struct ModelSession {
  std::uint32_t number;
  std::uint64_t epoch = 0;
  std::uint32_t expiry_s = 0;
  bool connected = false;
  std::int64_t closed_at_ms = 0;
  std::map<std::string, SubscribeRequest> subscriptions;
  std::deque<Item> queue;
  std::map<std::uint16_t, Lsn> unreleased;
  std::map<std::uint16_t, std::set<StreamId>> copied;  // of one message
  std::vector<std::uint16_t> releasing;
};

struct ModelStream {
  StreamConfig config;
  Offset start, next;
  std::vector<std::tuple<Lsn, Offset, std::int32_t>> batches;
};

struct ModelWill {
  Key client;
  Lsn lsn;
  std::uint32_t delay_s = 0;
  std::optional<std::int64_t> due_ms;  // none: its connection is there
  std::set<StreamId> copied;
};

struct Record {
  std::string address;
  int qos;
  bool retain;
};

struct Model {
  std::map<Key, ModelSession> sessions;
  std::map<StreamId, ModelStream> streams;
  std::map<Key, std::tuple<Lsn, std::string, std::int64_t>> retained;  // payload, expiry
  std::map<ShardId, Lsn> cursors;
  std::map<ShardId, std::set<StreamId>> copied;  // for the entry at the cursor
  std::map<ShardId, Lsn> copying;
  std::map<ShardId, std::vector<Lsn>> pending;
  std::uint32_t next_number = 1;
  std::uint64_t queue_limit = UINT64_MAX;
  std::uint64_t dropped = 0;
  std::vector<ModelWill> wills;

  // The one of a client that is not due yet.
  ModelWill* will_of(const Key& client, std::int64_t now) {
    for (ModelWill& one : wills) {
      if (one.client == client && (!one.due_ms || *one.due_ms > now)) return &one;
    }
    return nullptr;
  }
  ModelWill* armed(const Key& client) {
    ModelWill* will = will_of(client, INT64_MAX - 1);
    return will && !will->due_ms ? will : nullptr;
  }
  void forget_will(Lsn lsn) {
    std::erase_if(wills, [&](const ModelWill& one) { return one.lsn == lsn; });
  }
  static void lose(ModelWill& one, std::int64_t now, std::uint32_t expiry_s) {
    if (!one.due_ms) one.due_ms = now + std::int64_t{std::min(one.delay_s, expiry_s)} * 1000;
  }
  void end_session(const Key& client, std::int64_t now) {
    if (ModelWill* will = will_of(client, now)) will->due_ms = now;
    sessions.erase(client);
  }

  void push(ModelSession& session, Item item) {
    if (queue_limit == 0) {
      ++dropped;
      return;
    }
    while (session.queue.size() >= queue_limit) {
      ++dropped;
      if (session.queue.front().packet_id) session.releasing.push_back(session.queue.front().packet_id);
      session.queue.pop_front();
      leave(session);
    }
    session.queue.push_back(std::move(item));
  }
  static void leave(ModelSession& session) {
    while (!session.queue.empty() && session.queue.front().settled) session.queue.pop_front();
  }
  void deliver(Lsn lsn, std::uint32_t index, TenantId tenant, const Record& record, std::uint64_t publisher) {
    if (record.qos == 0) return;
    for (auto& [key, session] : sessions) {
      if (key.first != tenant) continue;
      Item item{lsn, index, 0, false, {}};
      for (const auto& [filter, request] : session.subscriptions) {
        if (request.qos == 0 || !matches(filter, record.address)) continue;
        if (request.no_local && publisher == client_hash(key.second)) continue;
        item.qos = std::max(item.qos, std::min<int>(record.qos, request.qos));
        item.retain |= record.retain && request.retain_as_published;
        if (request.subscription_id) item.ids.push_back(request.subscription_id);
      }
      std::sort(item.ids.begin(), item.ids.end());
      if (item.qos > 0) push(session, item);
    }
  }
  std::set<std::pair<TenantId, std::string>> interests() const {
    std::set<std::pair<TenantId, std::string>> all;
    for (const auto& [key, session] : sessions) {
      for (const auto& [filter, request] : session.subscriptions) {
        if (request.qos > 0) all.emplace(key.first, filter);
      }
    }
    return all;
  }
};

// ---- the comparison -------------------------------------------------------------------------------------

void compare_sessions(const ShardState& state, const Model& model) {
  ASSERT_EQ(state.sessions().size(), model.sessions.size());
  std::uint64_t queued = 0;
  for (const auto& [key, expected] : model.sessions) {
    const SessionState* session = state.session(key.first, key.second);
    ASSERT_NE(session, nullptr);
    ASSERT_EQ(state.session(session->number), session);
    ASSERT_EQ(session->number, expected.number);
    ASSERT_EQ(session->epoch, expected.epoch);
    ASSERT_EQ(session->expiry_s, expected.expiry_s);
    ASSERT_EQ(session->connected, expected.connected);
    if (!session->connected) ASSERT_EQ(session->closed_at_ms, expected.closed_at_ms);
    ASSERT_TRUE(std::equal(session->subscriptions.begin(), session->subscriptions.end(),
                           expected.subscriptions.begin(), expected.subscriptions.end()));
    ASSERT_EQ(session->releasing(), expected.releasing);
    ASSERT_EQ(session->all_unreleased().size(), expected.unreleased.size());
    for (const auto& [id, lsn] : expected.unreleased) {
      ASSERT_TRUE(session->unreleased(id));
      ASSERT_EQ(session->unreleased(id)->lsn, lsn);
    }
    for (std::uint16_t id = 1; id < 5; ++id) {
      const auto copied = expected.copied.find(id);
      for (std::uint64_t topic = 0; topic < 3; ++topic) {
        const StreamId stream{TopicId(topic), PartitionId(0)};
        ASSERT_EQ(session->copied(id, stream),
                  copied != expected.copied.end() && copied->second.contains(stream));
      }
    }
    ASSERT_EQ(session->queued(), expected.queue.size());
    queued += expected.queue.size();
    for (std::size_t i = 0; i < expected.queue.size(); ++i) {
      const QueueItem& item = session->at(session->first() + i);
      auto ids = session->subscription_ids(item);
      std::sort(ids.begin(), ids.end());
      const Item got{item.lsn, item.index, item.qos, item.retain, ids, item.settled, item.packet_id};
      ASSERT_EQ(got, expected.queue[i]);
    }
  }
  ASSERT_EQ(state.queued_messages(), queued);
  ASSERT_EQ(state.dropped_messages(), model.dropped);
}

void compare_wills(const ShardState& state, const Model& model) {
  ASSERT_EQ(state.wills().all().size(), model.wills.size());
  for (const ModelWill& expected : model.wills) {
    const auto* found = state.wills().find(expected.lsn);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->first.first, expected.client);
    ASSERT_EQ(found->second.due_at_ms, expected.due_ms.value_or(Will::kArmed));
    ASSERT_EQ(found->second.content.delay_s, expected.delay_s);
    const auto& copied = found->second.copied;
    ASSERT_EQ(std::set<StreamId>(copied.begin(), copied.end()), expected.copied);
  }
}

void compare(const ShardState& state, const Model& model) {
  compare_sessions(state, model);
  compare_wills(state, model);
  ASSERT_EQ(state.streams().size(), model.streams.size());
  Lsn needed = state.next();
  for (const auto& [id, expected] : model.streams) {
    const StreamState* stream = state.stream(id);
    ASSERT_NE(stream, nullptr);
    ASSERT_EQ(stream->config(), expected.config);
    ASSERT_EQ(stream->start(), expected.start);
    ASSERT_EQ(stream->next(), expected.next);
    for (const auto& [lsn, base, count] : expected.batches) {
      if (base + count <= expected.start) continue;
      const auto place = stream->place_for(base);
      ASSERT_TRUE(place && place->lsn <= lsn && place->offset <= base);
      needed = std::min(needed, lsn);
    }
  }
  ASSERT_EQ(state.retained().size(), model.retained.size());
  for (const auto& [key, expected] : model.retained) {
    const auto there = state.retained().find(key);
    ASSERT_NE(there, state.retained().end());
    ASSERT_EQ(there->second.lsn, std::get<0>(expected));
    ASSERT_EQ(there->second.expires_at_ms, std::get<2>(expected));
    std::string payload;
    for_each_message(there->second.batch, key.second, false,
                     [&](const MessageView& view, const Bytes&, std::uint32_t) { payload = view.payload; });
    ASSERT_EQ(payload, std::get<1>(expected));
  }
  for (const auto& [source, next] : model.cursors) ASSERT_EQ(state.forward_cursor(source), next);
  std::size_t targets = 0;
  for (const auto& [target, lsns] : model.pending) {
    if (lsns.empty()) continue;
    ++targets;
    const auto& got = state.pending_forwards().at(target);
    ASSERT_TRUE(std::equal(got.begin(), got.end(), lsns.begin(), lsns.end()));
    needed = std::min(needed, lsns.front());
  }
  ASSERT_EQ(state.pending_forwards().size(), targets);
  for (const auto& [key, session] : model.sessions) {
    if (!session.queue.empty()) needed = std::min(needed, session.queue.front().lsn);
  }
  ASSERT_LE(state.lsn_needed(), needed);  // never more than is safe
  const auto interests = state.interests();
  ASSERT_EQ(std::set(interests.begin(), interests.end()), model.interests());
  ASSERT_EQ(interests.size(), model.interests().size());
}

// ---- random steps ---------------------------------------------------------------------------------------

class RandomShard {
 public:
  explicit RandomShard(std::uint64_t seed) : random_(seed) {}

  void step() {
    shard_.time.ms += random_.between(-5, 20);
    const std::set<std::pair<TenantId, std::string>> before = model_.interests();
    switch (random_.below(21)) {
      case 0:
        return set_stream();
      case 1:
        return trim_or_delete();
      case 2:
        return random_.chance(1, 4) ? owner_started() : open();
      case 3:
        open();
        break;
      case 4:
        close();
        break;
      case 5:
      case 6:
        subscribe();
        break;
      case 7:
        unsubscribe();
        break;
      case 8:
      case 9:
        return settle();
      case 10:
        return forwarded_up_to();
      case 11:
        return kafka_batch();
      case 12:
        return random_.chance(1, 2) ? number() : accept();
      case 13:
        return random_.chance(1, 2) ? complete() : release();
      case 14:
        return random_.chance(1, 3) ? expire_producers() : expire_retained();
      case 15:
        set_will();
        break;
      case 16:
        end_will();
        break;
      default:
        return publish();
    }
    expect_routes(before);
  }

  LogAndState shard_;
  Model model_;
  Random random_;

 private:
  std::string word(bool wild) {
    static const char* const kWords[] = {"a", "b", "", "$x", "+"};
    return kWords[random_.below(wild ? 5 : 4)];
  }
  std::string address() {
    std::string text = random_.chance(1, 3) ? "a" : word(false);
    while (random_.chance(1, 2)) text += "/" + word(false);
    return text.empty() ? "/" : text;
  }
  std::string filter() {
    if (random_.chance(1, 10)) return "#";
    std::string text = word(true);
    while (random_.chance(1, 2)) text += "/" + word(true);
    if (random_.chance(1, 4)) text += "/#";
    return text.empty() ? "/" : text;
  }
  Key client() { return {TenantId(random_.chance(1, 5)), std::string(1, char('p' + random_.below(4)))}; }
  StreamId stream_id() {
    return {TopicId(random_.below(3)), PartitionId(static_cast<int>(random_.below(2)))};
  }
  std::int64_t now() const { return shard_.state.time().ms; }

  void expect_routes(std::set<std::pair<TenantId, std::string>> before) {
    for (const RouteChange& change : shard_.result.routes) {
      const std::pair key(change.tenant, change.filter);
      ASSERT_EQ(change.interested ? before.insert(key).second : before.erase(key) > 0, true);
    }
    ASSERT_EQ(before, model_.interests());
  }

  void owner_started() {
    ShardLimits limits;
    limits.session_queue.messages = random_.chance(1, 2) ? UINT64_MAX : random_.below(6);
    model_.queue_limit = limits.session_queue.messages;
    if (random_.chance(1, 2)) limits.producers = random_.below(4);
    shard_.add(control::owner_started(shard_.time, shard_.state.epoch() + 1, NodeId(1), limits));
    for (ModelWill& one : model_.wills) {
      const auto session = model_.sessions.find(one.client);
      Model::lose(one, now(), session == model_.sessions.end() ? 0 : session->second.expiry_s);
    }
    for (auto& [key, session] : model_.sessions) {
      if (session.connected) session.closed_at_ms = now();
      session.connected = false;
    }
  }
  WillContent will() {
    Data data = data_of(testing::message("w", "gone"));
    return {.delay_s = static_cast<std::uint32_t>(random_.below(3)),
            .qos = 1,
            .address = std::move(data.address),
            .batch = std::move(data.batch)};
  }
  // Of a client whose session ends with its connection.
  void set_will() {
    const Key key = client();
    const WillContent set = will();
    const Lsn lsn = shard_.add(control::will_set(shard_.time, key.first, key.second, set));
    model_.end_session(key, now());
    model_.wills.push_back({key, lsn, set.delay_s, std::nullopt, {}});
  }
  void end_will() {
    std::vector<Lsn> ends;
    for (const ModelWill& one : model_.wills) ends.push_back(one.lsn);
    if (ends.empty()) return set_will();
    const Lsn lsn = ends[random_.below(ends.size())];
    const bool goodbye = random_.chance(1, 2);
    shard_.add(control::will_ended(shard_.time, lsn, goodbye));
    if (goodbye) return model_.forget_will(lsn);
    for (ModelWill& one : model_.wills) {
      if (one.lsn == lsn) Model::lose(one, now(), 0);
    }
  }
  void set_stream() {
    const StreamId id = stream_id();
    StreamConfig config;
    config.name = "t" + std::to_string(id.topic.value);
    config.tenant = TenantId(random_.chance(1, 3));
    if (random_.chance(1, 2)) config.captures = {filter(), filter()};
    config.retention_ms = random_.between(-1, 100);
    shard_.add(control::stream_set(shard_.time, id, config));
    model_.streams[id].config = config;
  }
  void trim_or_delete() {
    const StreamId id = stream_id();
    auto found = model_.streams.find(id);
    if (found == model_.streams.end() || random_.chance(1, 6)) {
      shard_.add(control::stream_deleted(shard_.time, id));
      model_.streams.erase(id);
      return;
    }
    const Offset start = found->second.start + random_.between(0, found->second.next - found->second.start);
    shard_.add(control::stream_trimmed(shard_.time, id, start));
    found->second.start = start;
  }
  void open() {
    const Key key = client();
    const bool clean = random_.chance(1, 4);
    const auto expiry_s = static_cast<std::uint32_t>(random_.below(3));
    std::optional<WillContent> with;
    if (random_.chance(1, 3)) with = will();
    const Lsn lsn = shard_.add(control::session_opened(shard_.time, key.first, key.second, clean, expiry_s,
                                                       with ? &*with : nullptr));
    if (clean || !model_.sessions.contains(key)) model_.end_session(key, now());
    if (const ModelWill* will = model_.will_of(key, now())) model_.forget_will(will->lsn);
    if (with) model_.wills.push_back({key, lsn, with->delay_s, std::nullopt, {}});
    auto [at, made] = model_.sessions.try_emplace(key);
    if (made) at->second.number = model_.next_number++;
    at->second.epoch = lsn.value;
    at->second.expiry_s = expiry_s;
    at->second.connected = true;
  }
  void close() {
    const Key key = client();
    auto found = model_.sessions.find(key);
    if (random_.chance(1, 3)) {
      const bool goodbye = random_.chance(1, 2);
      shard_.add(control::session_removed(shard_.time, key.first, key.second, goodbye));
      if (const ModelWill* will = goodbye ? model_.armed(key) : nullptr) model_.forget_will(will->lsn);
      model_.end_session(key, now());
      return;
    }
    std::uint64_t epoch = found == model_.sessions.end() ? 0 : found->second.epoch;
    if (random_.chance(1, 5)) --epoch;
    const bool goodbye = random_.chance(1, 2);
    shard_.add(control::session_closed(shard_.time, key.first, key.second, epoch, 1, {}, goodbye));
    if (found == model_.sessions.end() || found->second.epoch != epoch) return;
    if (const ModelWill* will = goodbye ? model_.armed(key) : nullptr) model_.forget_will(will->lsn);
    if (ModelWill* will = goodbye ? nullptr : model_.will_of(key, now())) Model::lose(*will, now(), 1);
    found->second.connected = false;
    found->second.closed_at_ms = now();
    found->second.expiry_s = 1;
    // The expiry index against the sessions themselves.
    std::set<std::uint32_t> expired, expected;
    const WallTime later{now() + random_.between(-1000, 1000)};
    for (const SessionState* one : shard_.state.expired_sessions(later, SIZE_MAX))
      expired.insert(one->number);
    for (const auto& [other, session] : shard_.state.sessions()) {
      if (session.expired(later)) expected.insert(session.number);
    }
    ASSERT_EQ(expired, expected);
  }
  void subscribe() {
    const Key key = client();
    std::vector<SubscribeRequest> requests;
    do {
      SubscribeRequest request;
      request.filter = filter();
      request.qos = static_cast<std::uint8_t>(random_.below(3));
      request.no_local = random_.chance(1, 3);
      request.retain_as_published = random_.chance(1, 2);
      request.subscription_id = random_.chance(1, 2) ? 0 : static_cast<std::uint32_t>(random_.below(4));
      requests.push_back(request);
    } while (random_.chance(1, 2));
    shard_.add(control::subscribed(shard_.time, key.first, key.second, requests));
    auto found = model_.sessions.find(key);
    if (found == model_.sessions.end()) return;
    for (const auto& request : requests) found->second.subscriptions[request.filter] = request;
  }
  void unsubscribe() {
    const Key key = client();
    auto found = model_.sessions.find(key);
    std::vector<std::string> filters{filter()};
    if (found != model_.sessions.end() && !found->second.subscriptions.empty()) {
      auto at = found->second.subscriptions.begin();
      std::advance(at, random_.below(found->second.subscriptions.size()));
      filters.push_back(at->first);
    }
    shard_.add(control::unsubscribed(shard_.time, key.first, key.second, filters));
    if (found == model_.sessions.end()) return;
    for (const std::string& one : filters) found->second.subscriptions.erase(one);
  }
  void settle() {
    std::vector<control::Settled> items;
    for (auto& [key, session] : model_.sessions) {
      for (Item& item : session.queue) {
        if (!random_.chance(1, 3)) continue;
        items.push_back({item.lsn, session.number, item.index});
        item.settled = true;
        item.packet_id = 0;
      }
      Model::leave(session);
    }
    if (random_.chance(1, 4)) items.push_back({Lsn(random_.below(1000000)), 1, 9});
    if (items.size() > 1) std::swap(items.front(), items.back());
    shard_.add(control::settled(shard_.time, items));
  }
  // Packet identifiers for some of what has none.
  void number() {
    std::vector<control::Numbered> items;
    for (auto& [key, session] : model_.sessions) {
      const SessionState& state = *shard_.state.session(session.number);
      const std::size_t before = items.size();
      const std::size_t max = random_.below(6);
      const auto reached = decide::number(state, 0, state.first() + random_.below(6), max, items);
      ASSERT_LE(reached, state.end());
      for (std::size_t i = before; i < items.size(); ++i) {
        for (Item& item : session.queue) {
          if (item.lsn != items[i].lsn || item.index != items[i].index) continue;
          ASSERT_TRUE(item.qos == 2 && !item.settled && item.packet_id == 0);
          item.packet_id = items[i].packet_id;
        }
      }
      std::set<std::uint16_t> in_use(session.releasing.begin(), session.releasing.end());
      std::size_t numbered = session.releasing.size();
      for (const Item& item : session.queue) {
        if (item.packet_id == 0) continue;
        ++numbered;
        in_use.insert(item.packet_id);
      }
      ASSERT_EQ(in_use.size(), numbered);  // each once
      if (items.size() > before) ASSERT_LE(numbered, max);
    }
    shard_.add(control::numbered(shard_.time, items));
  }
  void accept() {
    std::vector<control::Settled> items;
    for (auto& [key, session] : model_.sessions) {
      for (Item& item : session.queue) {
        if (!random_.chance(1, 3)) continue;
        items.push_back({item.lsn, session.number, item.index});
        if (item.settled || item.packet_id == 0) continue;
        session.releasing.push_back(std::exchange(item.packet_id, 0));
        item.settled = true;
      }
      Model::leave(session);
    }
    shard_.add(control::accepted(shard_.time, items));
  }
  void complete() {
    std::vector<control::PacketId> ids{{99, 40000}, {1, 7}};
    for (auto& [key, session] : model_.sessions) {
      std::erase_if(session.releasing, [&, number = session.number](std::uint16_t id) {
        if (random_.chance(1, 2)) return false;
        ids.push_back({number, id});
        return true;
      });
    }
    shard_.add(control::completed(shard_.time, ids));
  }
  void release() {
    std::vector<control::PacketId> ids{{99, 1}};
    for (auto& [key, session] : model_.sessions) {
      const auto id = static_cast<std::uint16_t>(random_.between(1, 4));
      ids.push_back({session.number, id});
      session.unreleased.erase(id);
      session.copied.erase(id);
    }
    shard_.add(control::released(shard_.time, ids));
  }
  void forwarded_up_to() {
    const ShardId target(static_cast<std::uint32_t>(random_.below(3)));
    const Lsn end(random_.below(shard_.state.next().value + 1));
    shard_.add(control::forwarded_up_to(shard_.time, target, end));
    std::erase_if(model_.pending[target], [&](Lsn lsn) { return lsn < end; });
  }
  void expire_producers() {
    const WallTime since{now() - random_.between(0, 300)};
    shard_.add(control::producers_expired(shard_.time, since));
    const auto oldest = shard_.state.producers().oldest();
    ASSERT_TRUE(!oldest || *oldest > since);
  }
  void expire_retained() {
    const WallTime later{now() + random_.between(-20, 20)};
    const auto keys = shard_.state.expired_retained(later, SIZE_MAX);
    std::set<Key> expected;
    for (const auto& [key, message] : model_.retained) {
      if (std::get<2>(message) <= later.ms) expected.insert(key);
    }
    ASSERT_EQ(std::set<Key>(keys.begin(), keys.end()), expected);
    std::vector<control::ExpiredRetained> list;
    for (const Key& key : keys) list.push_back({key.first, key.second, std::get<0>(model_.retained[key])});
    shard_.add(control::retained_expired(shard_.time, list));
    for (const Key& key : keys) model_.retained.erase(key);
  }

  // What a source has for this shard: at random a duplicate, the next, or a copy for another stream.
  std::optional<ForwardSource> source() {
    if (!random_.chance(1, 3)) return std::nullopt;
    const ShardId shard(static_cast<std::uint32_t>(random_.below(2)));
    const std::uint64_t next = model_.cursors[shard].value;
    const std::uint64_t lsn =
        random_.chance(1, 3) && next > 0 ? random_.below(next) : next + random_.below(3);
    return ForwardSource{shard, Epoch(1), Lsn(lsn)};
  }
  bool taken(const DataEntryParts& parts) {
    if (!parts.source) return true;
    const auto& [shard, epoch, lsn] = *parts.source;
    if (lsn < model_.cursors[shard]) return false;
    if (parts.stream_only) {
      if (model_.copying[shard] != lsn) model_.copied[shard].clear();
      if (model_.copied[shard].contains(*parts.stream)) return false;
      model_.copying[shard] = lsn;
      model_.copied[shard].insert(*parts.stream);
      return true;
    }
    model_.cursors[shard] = lsn + 1;
    model_.copied[shard].clear();
    model_.copying[shard] = Lsn();
    return true;
  }
  DataEntryParts parts() {
    DataEntryParts made;
    if (const StreamId id = stream_id(); model_.streams.contains(id) && random_.chance(1, 2)) {
      made.stream = id;
      made.stream_only = random_.chance(1, 4);
    }
    made.source = source();
    if (!made.source && !model_.wills.empty() && random_.chance(1, 4)) {
      made.will = model_.wills[random_.below(model_.wills.size())].lsn;
    } else if (!made.source && random_.chance(1, 3)) {
      made.received = ReceivedAs{static_cast<std::uint32_t>(random_.below(6)),
                                 static_cast<std::uint16_t>(random_.between(1, 4))};
    }
    forwards_.clear();
    while (random_.chance(1, 4)) forwards_.push_back(ShardId(static_cast<std::uint32_t>(random_.below(3))));
    made.forwards = forwards_;
    return made;
  }
  // What every data entry does. False: a duplicate.
  bool data_applied(Lsn lsn, const DataEntryParts& parts, std::int32_t count) {
    EXPECT_EQ(shard_.result.duplicate, !taken(parts));
    if (shard_.result.duplicate) return false;
    for (ShardId target : parts.forwards) {
      auto& pending = model_.pending[target];
      if (pending.empty() || pending.back() != lsn) pending.push_back(lsn);
    }
    if (parts.received) received(lsn, parts);
    if (parts.will) published(parts);
    if (!parts.stream || parts.directed) return true;
    ModelStream& stream = model_.streams[*parts.stream];
    stream.batches.emplace_back(lsn, stream.next, count);
    stream.next += count;
    return true;
  }
  void received(Lsn lsn, const DataEntryParts& parts) {
    for (auto& [key, session] : model_.sessions) {
      if (session.number != parts.received->session) continue;
      const std::uint16_t id = parts.received->packet_id;
      if (parts.stream_only) {
        std::set<StreamId> copied = std::move(session.copied[id]);
        copied.insert(*parts.stream);
        session.copied = {{id, std::move(copied)}};
      } else {
        session.unreleased.emplace(id, lsn);
        session.copied.erase(id);
      }
    }
  }
  void published(const DataEntryParts& parts) {
    if (!parts.stream_only) return model_.forget_will(*parts.will);
    for (ModelWill& one : model_.wills) {
      if (one.lsn == *parts.will) one.copied.insert(*parts.stream);
    }
  }
  void publish() {
    const std::string to = address();
    const std::string payload = random_.chance(1, 4) ? "" : std::to_string(random_.below(100));
    const Key publisher = client();
    MessageView view = testing::message(to, payload, static_cast<std::uint8_t>(random_.below(3)));
    view.retain = random_.chance(1, 3);
    if (random_.chance(1, 3)) view.expires_at_ms = now() + random_.between(0, 50);
    Data data = data_of(view);
    data.tenant = TenantId(random_.chance(1, 4));
    data.publisher_hash = client_hash(publisher.second);
    DataEntryParts made = parts();
    made.retain_here = view.retain && !made.stream_only && random_.chance(2, 3);
    const Key session = client();
    const bool directed = !made.stream && !made.received && !made.will && random_.chance(1, 6);
    if (directed) {
      data.tenant = session.first;
      made.retain_here = false;
      made.directed = DirectedTo{session.second, 1, 3};
    }
    const Lsn lsn = shard_.publish(data, made);
    if (!data_applied(lsn, made, 1) || made.stream_only) return;
    if (directed) {
      auto found = model_.sessions.find(session);
      if (found != model_.sessions.end()) model_.push(found->second, {lsn, 0, 1, true, {3}});
      return;
    }
    if (made.retain_here) {
      model_.retained.erase({data.tenant, to});
      if (!payload.empty()) {
        model_.retained[{data.tenant, to}] = {lsn, payload, view.expires_at_ms.value_or(INT64_MAX)};
      }
    }
    model_.deliver(lsn, 0, data.tenant, {to, view.qos, view.retain}, data.publisher_hash);
  }
  void kafka_batch() {
    const std::string topic = address();
    std::string batch;
    RecordBatchOptions options;
    options.compression = random_.chance(1, 2) ? Compression::kLz4 : Compression::kNone;
    if (random_.chance(2, 3)) {  // what becomes of these: producer_table_test.cc
      options.producer_id = random_.between(0, 3);
      options.producer_epoch = static_cast<std::int16_t>(random_.below(2));
      options.base_sequence = static_cast<std::int32_t>(random_.below(4));
    }
    RecordBatchBuilder builder(batch, options);
    std::vector<Record> records;
    const bool allowed = random_.chance(1, 2);
    do {
      const std::string named = address(), qos = std::to_string(random_.below(3));
      std::vector<RecordHeader> headers{{"mqtt.qos", qos}};
      if (random_.chance(1, 2)) headers.push_back({"mqtt.topic", named});
      const bool by_header = headers.size() == 2 && allowed && !named.starts_with('$');
      builder.append(now(), std::nullopt, "value", headers);
      records.push_back({by_header ? named : topic, qos[0] - '0', false});
    } while (random_.chance(2, 3));
    ASSERT_TRUE(builder.finish().has_value());
    Data data;
    data.kafka_batch = true;
    data.address_headers_allowed = allowed;
    data.address = Bytes::copy(topic);
    data.batch = Bytes::copy(batch);
    DataEntryParts made = parts();
    made.received.reset();
    made.will.reset();
    const Lsn lsn = shard_.publish(data, made);
    const auto count = static_cast<std::int32_t>(records.size());
    if (!data_applied(lsn, made, count) || made.stream_only) return;
    for (std::uint32_t i = 0; i < records.size(); ++i) model_.deliver(lsn, i, {}, records[i], 0);
  }
  std::vector<ShardId> forwards_;
};

TEST(ShardStateModel, RandomLogsAgreeWithTheModel) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    RandomShard run(seed);
    for (int i = 0; i < 200; ++i) {
      SCOPED_TRACE(i);
      run.step();
      compare(run.shard_.state, run.model_);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(ShardStateModel, AnySnapshotAndItsTailGiveTheSameStates) {
  for (std::uint64_t seed = 1000; seed < 1040; ++seed) {
    SCOPED_TRACE(seed);
    RandomShard run(seed);
    std::vector<std::uint64_t> hashes{run.shard_.state.hash()};
    std::vector<std::string> snapshots{run.shard_.state.encode_snapshot()};
    while (run.shard_.log.size() < 120) {
      const std::size_t before = run.shard_.log.size();
      run.step();
      ASSERT_EQ(run.shard_.log.size(), before + 1);
      hashes.push_back(run.shard_.state.hash());
      snapshots.push_back(run.shard_.state.encode_snapshot());
      // The lengthy description has no two forms.
      ASSERT_EQ(hashes.back() == hashes[before], snapshots.back() == snapshots[before]);
    }
    for (std::size_t n = 0; n < snapshots.size(); n += 1 + seed % 7) {
      auto state = ShardState::decode_snapshot(snapshots[n]);
      ASSERT_TRUE(state.has_value()) << state.error().to_string();
      ASSERT_EQ(state->next(), Lsn(n));
      ASSERT_EQ(state->hash(), hashes[n]);
      ASSERT_EQ(state->encode_snapshot(), snapshots[n]);
      ApplyResult result;
      for (std::size_t i = n; i < run.shard_.log.size(); ++i) {
        // As read back from the disk: in one piece.
        const std::string bytes =
            std::string(run.shard_.log[i].head.view()) + std::string(run.shard_.log[i].body.view());
        auto view = parse_entry(bytes, {});
        ASSERT_TRUE(view.has_value());
        ASSERT_TRUE(state->apply(Lsn(i), *view, result).has_value());
        ASSERT_EQ(state->hash(), hashes[i + 1]) << "from " << n << " to " << i + 1;
      }
    }
  }
}

}  // namespace
}  // namespace stele::broker
