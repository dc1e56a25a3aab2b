#include "protocols/mqtt/fake_broker.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "protocols/mqtt/topic.h"

namespace stele::mqtt {

using broker::Action;
using broker::Delivery;
using broker::SettleToken;
using broker::SubscribeRequest;
using runtime::Task;

namespace {

std::optional<std::string> owned(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  return std::string(*text);
}

std::optional<Error> publish_error(std::string_view address) {
  if (address.starts_with("denied/")) return Error{ErrorCode::kUnauthorized, "not allowed"};
  if (address.starts_with("full/")) return Error{ErrorCode::kNoSpace, "no space"};
  if (address.starts_with("gone/") || address.starts_with("lost/"))
    return Error{ErrorCode::kUnavailable, "shard is gone"};
  return std::nullopt;
}

}  // namespace

OwnedMessage::OwnedMessage(const MessageView& message, const Bytes& owner)
    : address_(message.address),
      payload_(owner.empty() ? Bytes::copy(message.payload) : owner.slice(message.payload)),
      content_type_(owned(message.content_type)),
      reply_to_(owned(message.reply_to)),
      correlation_id_(owned(message.correlation_id)) {
  flags_.qos = message.qos;
  flags_.retain = message.retain;
  flags_.payload_format = message.payload_format;
  flags_.expires_at_ms = message.expires_at_ms;
  auto cursor = message.user_properties.cursor();
  while (auto property = cursor.next()) user_.emplace_back(property->name, property->value);
}

MessageView OwnedMessage::view() const {
  MessageView out = flags_;
  out.address = address_;
  out.payload = payload_;
  out.content_type = content_type_;
  out.reply_to = reply_to_;
  out.correlation_id = correlation_id_;
  user_views_.clear();
  for (const auto& [name, value] : user_) user_views_.push_back({name, value});
  out.user_properties = ::stele::UserProperties(std::span<const ::stele::UserProperty>(user_views_));
  return out;
}

// ---- publishing ----------------------------------------------------------------------------------------

class FakeBroker::FakePublisher final : public broker::Publisher {
 public:
  FakePublisher(FakeBroker& broker, std::string client_id, Listener& listener)
      : broker_(broker), client_id_(std::move(client_id)), listener_(listener) {
    broker_.publishers_.insert(this);
  }
  ~FakePublisher() override {
    broker_.publishers_.erase(this);
    for (auto& waiting : broker_.unanswered_) {
      if (waiting.first == this) waiting.first = nullptr;
    }
  }
  bool publish(const MessageView& message, const Bytes& owner, std::uint32_t token, bool answer) override {
    broker_.last_was_shared = !owner.empty();
    auto failed = publish_error(message.address);
    const bool once = message.qos == 2 && durable_;
    const auto packet_id = static_cast<std::uint16_t>(token);
    const bool again = once && !failed && !broker_.clients_[client_id_].unreleased.insert(packet_id).second;
    const bool matched = !failed && (again || broker_.route(message, owner, client_id_));
    const bool unknown = message.address.starts_with("lost/");
    if (!answer) return true;
    if (!broker_.hold_answers) {
      listener_.on_published(token, {failed ? &*failed : nullptr, matched, unknown});
      return true;
    }
    ++in_flight_;
    broker_.unanswered_.emplace_back(this, [this, token, matched, unknown, failed] {
      --in_flight_;
      listener_.on_published(token, {failed ? &*failed : nullptr, matched, unknown});
    });
    asked_to_wait_ = in_flight_ >= broker_.window;
    return !asked_to_wait_;
  }
  void join(const broker::Session& session) override { durable_ = session.durable(); }
  std::size_t in_flight() const override { return in_flight_; }
  void ready() {
    if (std::exchange(asked_to_wait_, false)) listener_.on_publisher_ready();
  }

 private:
  FakeBroker& broker_;
  const std::string client_id_;
  Listener& listener_;
  std::size_t in_flight_ = 0;
  bool durable_ = false;
  bool asked_to_wait_ = false;
};

std::unique_ptr<broker::Publisher> FakeBroker::make_publisher(const broker::Principal&,
                                                              std::string_view client_id,
                                                              broker::Publisher::Listener& listener) {
  return std::make_unique<FakePublisher>(*this, std::string(client_id), listener);
}

void FakeBroker::answer() {
  auto now = std::exchange(unanswered_, {});
  std::vector<FakePublisher*> whose;
  for (auto& [publisher, tell] : now) {
    if (!publisher || !publishers_.contains(publisher)) continue;
    tell();
    whose.push_back(publisher);
  }
  for (FakePublisher* publisher : whose) {
    if (publishers_.contains(publisher)) publisher->ready();
  }
}

void FakeBroker::publish(const MessageView& message, const Bytes& owner, std::string_view client_id) {
  route(message, owner, client_id);
}

bool FakeBroker::allowed(const broker::Principal&, Action action, std::string_view resource) {
  return action == Action::kConnect ? resource != "denied" : !resource.starts_with("denied/");
}

// ---- sessions ------------------------------------------------------------------------------------------

class FakeBroker::FakeSession final : public broker::Session {
 public:
  FakeSession(FakeBroker& broker, std::string id, broker::SessionOptions options,
              broker::SessionHandler& handler, bool present)
      : handler(handler),
        options(std::move(options)),
        broker_(broker),
        id_(std::move(id)),
        present_(present) {
    // The message's views end with the call that opens the session.
    if (this->options.will) will_.emplace(this->options.will->message, Bytes());
  }
  ~FakeSession() override {
    if (!ended_) {
      end(started ? broker::EndOfSession::kWithWill : broker::EndOfSession::kNormal, std::nullopt);
    }
  }
  bool present() const override { return present_; }
  void start() override {
    started = true;
    for (std::uint16_t id : client().releasing) handler.on_release(id);
    broker_.deliver_queue(client());
  }

  Task<broker::SubscribeAnswer> subscribe(std::vector<SubscribeRequest> requests) override {
    holding = true;
    co_await broker_.wait_if_told();
    broker::SubscribeAnswer answer;
    for (SubscribeRequest& request : requests) {
      if (request.filter.starts_with("full/")) {
        answer.granted.push_back(error(ErrorCode::kNoSpace, "too many"));
      } else if (request.filter.starts_with("denied/")) {
        answer.granted.push_back(error(ErrorCode::kUnauthorized, "not allowed"));
      } else {
        answer.granted.emplace_back(request.qos);
        const bool is_new = client().subscriptions.insert_or_assign(request.filter, request).second;
        if (broker::is_shared(request.filter)) continue;
        if (request.retain_handling == 0 || (request.retain_handling == 1 && is_new)) look_up(request);
      }
    }
    co_return answer;
  }
  Task<void> give_retained() override {
    holding = false;
    for (const auto& send : std::exchange(held, {})) send();
    go_on();
    co_return;
  }
  void go_on() override {
    while (!retained_.empty()) {
      const auto& [message, request] = retained_.front();
      const std::uint8_t qos = std::min(message.view().qos, request.qos);
      if (!handler.has_room(qos)) return handler.call_when_room();
      std::vector<std::uint32_t> ids;
      if (request.subscription_id != 0) ids.push_back(request.subscription_id);
      deliver(message, qos, true, ids);
      retained_.pop_front();
    }
  }
  Task<Result<std::vector<bool>>> unsubscribe(std::vector<std::string> filters) override {
    co_await broker_.wait_if_told();
    std::vector<bool> there;
    for (const std::string& filter : filters) {
      if (filter.starts_with("gone/")) co_return error(ErrorCode::kUnavailable, "shard is gone");
      there.push_back(client().subscriptions.erase(filter) > 0);
      std::erase_if(retained_, [&](const auto& one) { return one.second.filter == filter; });
    }
    co_return there;
  }
  void settle(SettleToken token) override {
    STELE_ASSERT(token.kept());
    if (token.share != 0) return broker_.note("settled for its group " + std::to_string(token.lsn.value));
    broker_.note("settled " + std::to_string(token.lsn.value));
    std::erase_if(client().queue, [&](const Item& item) { return item.token.lsn == token.lsn; });
    broker_.deliver_queue(client());
  }
  void accept(SettleToken token) override {
    broker_.note("accepted " + std::to_string(token.lsn.value));
    std::erase_if(client().queue, [&](const Item& item) { return item.token.lsn == token.lsn; });
    client().releasing.push_back(token.packet_id);
    handler.on_release(token.packet_id);
  }
  void released(std::uint16_t packet_id) override {
    broker_.note("released " + std::to_string(packet_id));
    std::erase(client().releasing, packet_id);
    broker_.deliver_queue(client());
  }
  void complete(std::uint16_t packet_id) override {
    const bool known = client().unreleased.erase(packet_id) > 0;
    broker_.note((known ? "completed " : "unknown ") + std::to_string(packet_id));
    handler.on_completed(packet_id, known);
  }
  bool durable() const override { return options.expiry_s > 0 || present_; }
  void end(broker::EndOfSession how, std::optional<std::uint32_t> expiry_s) override {
    ended_ = true;
    const bool with_will = how == broker::EndOfSession::kWithWill;
    if (expiry_s) client().expiry_s = *expiry_s;
    broker_.note("session of " + id_ + " ends" + (with_will ? "" : " in good order") + ", expiry " +
                 std::to_string(client().expiry_s));
    client().attached = nullptr;
    for (Item& item : client().queue) item.in_flight = false;
    if (client().expiry_s == 0) broker_.clients_.erase(id_);
    if (with_will && will_) {
      const broker::WillMessage& will = *options.will;
      if (will.delay_s > 0) broker_.note("will delayed by " + std::to_string(will.delay_s) + " s");
      if (will.expiry_interval_s) {
        broker_.note("will expires after " + std::to_string(*will.expiry_interval_s) + " s");
      }
      broker_.publish(will_->view());
    }
    broker_.detached_.wake_all();
  }
  Task<void> leave(std::optional<std::uint32_t> expiry_s) override {
    end(broker::EndOfSession::kNormal, expiry_s);
    co_await broker_.wait_if_told();
  }

  Client& client() { return broker_.clients_[id_]; }
  void deliver(const OwnedMessage& message, std::uint8_t qos, bool retain, std::vector<std::uint32_t> ids,
               SettleToken token = {}, bool again = false, std::uint64_t serial = 0) {
    auto send = [this, message, qos, retain, ids = std::move(ids), token, again](std::uint64_t number) {
      const MessageView view = message.view();
      handler.on_message(Delivery{view, message.payload(), qos, retain, again, token, ids, number});
    };
    if (holding) {
      held.push_back([send = std::move(send)]() mutable { send(0); });
    } else {
      send(serial);
    }
  }

  broker::SessionHandler& handler;
  const broker::SessionOptions options;
  bool holding = false;
  bool started = false;
  std::vector<std::function<void()>> held;

 private:
  void look_up(const SubscribeRequest& request) {
    for (const auto& [address, message] : broker_.retained_) {
      if (matches(request.filter, address)) retained_.emplace_back(message, request);
    }
  }

  FakeBroker& broker_;
  const std::string id_;
  const bool present_;
  bool ended_ = false;
  std::optional<OwnedMessage> will_;
  std::deque<std::pair<OwnedMessage, SubscribeRequest>> retained_;  // for new subscriptions
};

Task<Result<std::unique_ptr<broker::Session>>> FakeBroker::open_session(broker::SessionOptions options,
                                                                        broker::SessionHandler& handler) {
  co_await wait_if_told();
  const std::string id = options.client_id;
  if (!allowed(options.principal, Action::kConnect, id)) {
    co_return error(ErrorCode::kUnauthorized, "may not connect");
  }
  while (clients_[id].attached) {
    clients_[id].attached->handler.on_taken_over();
    co_await detached_.wait();
  }
  if (options.clean_start) clients_.erase(id);
  const bool present = clients_.contains(id) && clients_[id].expiry_s > 0;
  Client& client = clients_[id];
  client.expiry_s = options.expiry_s;
  auto session = std::make_unique<FakeSession>(*this, id, std::move(options), handler, present);
  client.attached = session.get();
  co_return std::move(session);
}

broker::Administration& FakeBroker::administration() {
  STELE_ASSERT(!"not for MQTT");
  std::abort();
}

Task<void> FakeBroker::wait_if_told() {
  if (slow_tasks) runtime_.post(CoreId(0), [this] { complete(); });
  if (hold_tasks || slow_tasks) co_await tasks_.wait();
}

void FakeBroker::lose_session(const std::string& client_id) {
  FakeSession* session = clients_[client_id].attached;
  STELE_ASSERT(session);
  session->handler.on_session_lost(Error{ErrorCode::kUnavailable, "the shard is gone"});
}

bool FakeBroker::route(const MessageView& message, const Bytes& owner, std::string_view client_id) {
  const OwnedMessage kept(message, owner);
  if (message.retain) {
    retained_.erase(std::string(message.address));
    if (!message.payload.empty()) retained_.emplace(message.address, kept);
  }
  bool matched = false;
  const std::uint64_t serial = ++last_serial_;
  for (auto& [id, client] : clients_) {
    std::uint8_t qos = 0;
    bool wanted = false, as_published = false;
    std::vector<std::uint32_t> ids;
    for (const auto& [filter, request] : client.subscriptions) {
      if (!matches(filter, message.address) || (request.no_local && id == client_id)) continue;
      wanted = true;
      qos = std::max(qos, std::min(request.qos, message.qos));
      as_published |= request.retain_as_published;
      if (request.subscription_id != 0) ids.push_back(request.subscription_id);
    }
    if (!wanted) continue;
    matched = true;
    const bool retain = as_published && message.retain;
    if (client.expiry_s > 0 && qos > 0) {
      SettleToken token{Lsn(next_lsn_++), 0, true};
      if (qos == 2) token.packet_id = ++client.last_packet_id;
      client.queue.push_back({kept, qos, retain, ids, token});
      deliver_queue(client);
    } else if (client.attached) {
      client.attached->deliver(kept, qos, retain, ids, {}, false, serial);
    }
  }
  return route_shared(kept) || matched;
}

// To one of the connected members, in turn.
bool FakeBroker::route_shared(const OwnedMessage& message) {
  std::map<std::string, std::vector<std::pair<FakeSession*, SubscribeRequest>>> members;
  for (auto& [id, client] : clients_) {
    for (const auto& [filter, request] : client.subscriptions) {
      if (!broker::is_shared(filter) || !client.attached) continue;
      if (!matches(broker::subscribed_filter(filter), message.view().address)) continue;
      members[filter].emplace_back(client.attached, request);
    }
  }
  for (auto& [share, all] : members) {
    auto& [session, request] = all[turns_[share]++ % all.size()];
    const std::uint8_t qos = std::min(request.qos, message.view().qos);
    std::vector<std::uint32_t> ids;
    if (request.subscription_id != 0) ids.push_back(request.subscription_id);
    SettleToken token;
    if (qos > 0) token = {.lsn = Lsn(next_lsn_++), .share = 1};
    session->deliver(message, qos, request.retain_as_published && message.view().retain, ids, token);
  }
  return !members.empty();
}

void FakeBroker::deliver_queue(Client& client) {
  if (!client.attached || !client.attached->started) return;
  std::size_t in_flight = std::ranges::count_if(client.queue, &Item::in_flight) + client.releasing.size();
  // What is delivered may be settled at once, which comes back here.
  for (std::size_t i = 0; i < client.queue.size(); ++i) {
    Item& item = client.queue[i];
    if (item.in_flight) continue;
    if (in_flight++ >= client.attached->options.receive_maximum) return;
    item.in_flight = true;
    const bool again = std::exchange(item.sent_before, true);
    const Item copy = item;
    client.attached->deliver(copy.message, copy.qos, copy.retain, copy.ids, copy.token, again);
  }
}

// ---- not for MQTT --------------------------------------------------------------------------------------

namespace {
std::unexpected<Error> not_here() {
  return error(ErrorCode::kUnsupported, "only for MQTT");
}
}  // namespace

void FakeBroker::produce(const broker::Principal&, StreamId, Bytes,
                         std::move_only_function<void(Result<broker::ProduceOk>)> done) {
  done(not_here());
}
Task<std::vector<Result<broker::FetchOk>>> FakeBroker::fetch(broker::Principal,
                                                             std::vector<broker::FetchRead>, std::size_t,
                                                             std::size_t, runtime::Instant,
                                                             runtime::StopToken) {
  co_return std::vector<Result<broker::FetchOk>>();
}
Task<Result<broker::OffsetAndTime>> FakeBroker::list_offset(broker::Principal, StreamId, std::int64_t) {
  co_return not_here();
}
Task<Result<broker::StreamStatus>> FakeBroker::stream_status(broker::Principal, StreamId) {
  co_return not_here();
}
Task<Result<meta::Topic>> FakeBroker::create_topic(broker::Principal, std::string, std::int32_t,
                                                   meta::TopicConfig, bool) {
  co_return not_here();
}
Task<Result<std::int64_t>> FakeBroker::new_producer_id(broker::Principal) {
  co_return not_here();
}
Task<Result<void>> FakeBroker::delete_topic(broker::Principal, std::string) {
  co_return not_here();
}

}  // namespace stele::mqtt
