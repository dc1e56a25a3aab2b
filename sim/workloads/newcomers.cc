// Clients that subscribe to what nobody had subscribed to before, and are sent something at once, by somebody
// who may be on another core. From SUBACK on, and until what ends it is committed, every message is routed to
// the subscription; from UNSUBACK on, none is. Likewise what a topic captures, from the moment on in which it
// was said to be there.
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "protocols/kafka/client.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kFirstPublisher = 830;
// For an answer: longer than a core stands still. Episodes are short.
constexpr auto kPatience = 6s;

class Newcomer {
 public:
  Newcomer(runtime::Runtime& runtime, Workload& workload, std::uint32_t number)
      : runtime_(runtime),
        workload_(workload),
        publisher_(kFirstPublisher + number),
        name_("newcomer-" + std::to_string(number)) {}

  const std::string& name() const { return name_; }
  // Nothing that it must be given has not come.
  bool has_all() const { return awaited_.empty(); }

  Task<void> round() {
    if (!co_await be_there(sender_, name_ + "-sender", true)) co_return;
    switch (runtime_.random().below(8)) {
      case 0:
        co_await topic_that_captures();
        break;
      case 1:
      case 2:
        co_await live();
        break;
      default:
        co_await kept();
    }
    // Other connections come to other cores.
    if (runtime_.random().chance(1, 4)) sender_.reset();
    if (runtime_.random().chance(1, 4)) subscriber_.reset();
  }

  // What has not come yet.
  Task<void> collect() {
    if (!co_await be_there(subscriber_, name_, false)) co_return;
    while (!has_all()) {
      auto packet = co_await subscriber_->next(10s);
      if (!packet) break;
      take(packet->packet);
    }
    if (!has_all()) subscriber_.reset();
  }

 private:
  using Peer = std::unique_ptr<MqttPeer>;

  // False, after a moment: it is not. Without `clean` it is the session that is kept, which goes with
  // `clean` only when nothing has to come.
  Task<bool> be_there(Peer& peer, std::string client_id, bool clean) {
    if (peer && !peer->closed()) co_return true;
    peer.reset();
    const bool kept = !clean;
    if (kept && has_all() && runtime_.random().chance(1, 4)) clean = true;
    auto connected = co_await come(runtime_, workload_, std::move(client_id), clean, kept ? UINT32_MAX : 0,
                                   mqtt::Version::kV5);
    if (!connected) co_return false;
    peer = std::move(connected->peer);
    if (!kept) co_return true;
    if (!clean && has_session_ && !connected->session_present)
      workload_.judge.fail(name_ + ": its session is gone");
    has_session_ = true;
    co_return true;
  }

  MessageId next_id() { return {publisher_, 0, ++sequence_}; }

  void take(const mqtt::Packet& packet) {
    const auto* publish = std::get_if<mqtt::Publish>(&packet);
    if (!publish) return;
    const std::string text(publish->payload);
    awaited_.erase(text);
    if (unwanted_.contains(text))
      workload_.judge.fail("message " + text + " came to " + name_ +
                           ", which had unsubscribed before it was sent");
    if (publish->packet_id != 0) subscriber_->send(mqtt::Puback{.packet_id = publish->packet_id});
  }

  // The answer that is waited for; what comes before it is taken. None: the connection is given up.
  template <class Answer>
  Task<std::optional<Answer>> answer_of(Peer& peer) {
    while (true) {
      auto packet = co_await peer->next(kPatience);
      if (!packet) break;
      if (const auto* answer = std::get_if<Answer>(&packet->packet)) co_return *answer;
      if (&peer == &subscriber_) take(packet->packet);
    }
    peer.reset();
    co_return std::nullopt;
  }

  Task<bool> subscribe(Peer& peer, std::string filter, mqtt::Qos qos) {
    mqtt::Subscribe subscribe;
    subscribe.packet_id = 1;
    subscribe.subscriptions.push_back({.filter = filter, .qos = qos});
    peer->send(subscribe);
    const auto suback = co_await answer_of<mqtt::Suback>(peer);
    co_return suback&& static_cast<std::uint8_t>(suback->reasons[0]) <= 2;
  }

  void send(const std::string& topic, const MessageId& id) {
    sender_->publish(topic, id.text(), 1, 1, false, false);
  }
  // None: nobody knows what became of it, or it was refused.
  Task<std::optional<mqtt::ReasonCode>> acknowledged() {
    const auto puback = co_await answer_of<mqtt::Puback>(sender_);
    if (!puback || !is_success(puback->reason)) co_return std::nullopt;
    co_return puback->reason;
  }
  void check_kept(const MessageId& id, const std::string& because) {
    if (workload_.ledger.is_committed(id)) return;
    workload_.judge.fail("message " + id.text() + " was acknowledged and is not kept, though " + because);
  }

  // ---- a session that is kept

  Task<void> kept() {
    if (!co_await be_there(subscriber_, name_, false)) co_return;
    const MessageId id = next_id();
    const std::string topic = "fresh/" + id.text();
    const std::string filter = runtime_.random().chance(1, 4) ? topic + "/#" : topic;
    if (!co_await subscribe(subscriber_, filter, mqtt::Qos::kAtLeastOnce)) co_return;
    ++workload_.newcomers;
    send(topic, id);
    if (!co_await acknowledged()) co_return;
    check_kept(id, "a session had subscribed to it");
    awaited_.insert(id.text());
    if (runtime_.random().chance(3, 4)) co_await unsubscribe(topic, filter);
  }

  // While it ends, what is sent may come or not; it must be kept as long as the end is not committed.
  Task<void> unsubscribe(std::string topic, std::string filter) {
    mqtt::Unsubscribe unsubscribe;
    unsubscribe.packet_id = 2;
    unsubscribe.filters.push_back(filter);
    subscriber_->send(unsubscribe);
    if (runtime_.random().chance(1, 2)) co_await runtime::sleep(runtime_, short_pause(runtime_, 2));
    const MessageId during = next_id();
    send(topic, during);
    if (co_await acknowledged() && workload_.is_subscribed && workload_.is_subscribed(name_, filter))
      check_kept(during, "its subscription has not ended");
    if (!subscriber_) co_return;
    const auto unsuback = co_await answer_of<mqtt::Unsuback>(subscriber_);
    if (!unsuback || unsuback->reasons[0] != mqtt::ReasonCode::kSuccess || !sender_) co_return;
    const MessageId after = next_id();
    unwanted_.insert(after.text());
    send(topic, after);
    (void)co_await acknowledged();
  }

  // ---- a subscription of a connection

  Task<void> live() {
    Peer peer;
    if (!co_await be_there(peer, name_ + "-live", true)) co_return;
    const MessageId id = next_id();
    const std::string topic = "live/" + id.text();
    if (!co_await subscribe(peer, topic, mqtt::Qos::kAtMostOnce)) co_return;
    ++workload_.newcomers;
    send(topic, id);
    if (!co_await acknowledged()) co_return;
    // It is on its way, and passes from core to core within that time; then the connection must stand still.
    const bool came = co_await comes(*peer, id, 30s);
    for (int i = 0; i < 2 && !came; ++i) {
      peer->send(mqtt::Pingreq{});
      if (!co_await answer_of<mqtt::Pingresp>(peer)) co_return;
    }
    if (!came) {
      workload_.judge.fail("message " + id.text() + " was acknowledged and did not come to " + name_ +
                           "-live, which had subscribed to it");
    }
  }
  Task<bool> comes(MqttPeer& peer, MessageId id, runtime::Duration within) {
    const runtime::Instant end = runtime_.now() + within;
    while (runtime_.now() < end) {
      auto packet = co_await peer.next(end - runtime_.now());
      if (!packet) break;
      const auto* publish = std::get_if<mqtt::Publish>(&packet->packet);
      if (publish && publish->payload == id.text()) co_return true;
    }
    co_return false;
  }

  // ---- a topic

  Task<void> topic_that_captures() {
    auto client = co_await kafka::Client::connect(runtime_, workload_.kafka, kafka_options(workload_));
    if (!client) co_return;
    const MessageId id = next_id();
    const std::string address = "caught/" + id.text();
    const std::string topic = name_ + "-" + std::to_string(id.sequence);
    std::vector<kafka::CreateTopicsRequest::Config> configs;
    configs.push_back({"stele.capture", address});
    const auto made = co_await (*client)->create_topic(topic, 1, std::move(configs));
    if (made && made->error == kafka::KafkaError::kNone) {
      ++workload_.newcomers;
      send(address, id);
      if (co_await acknowledged()) check_kept(id, "a topic had been made that captures it");
    }
    (void)co_await (*client)->delete_topic(topic);
    (*client)->close();
  }

  runtime::Runtime& runtime_;
  Workload& workload_;
  const std::uint32_t publisher_;
  const std::string name_;
  std::uint64_t sequence_ = 0;
  bool has_session_ = false;
  Peer sender_, subscriber_;
  std::set<std::string> awaited_;   // by the session that is kept
  std::set<std::string> unwanted_;  // likewise: they must not come
};

}  // namespace

Task<void> run_newcomer(runtime::Runtime& runtime, Workload& workload, std::uint32_t number) {
  Newcomer newcomer(runtime, workload, number);
  workload.running.insert(newcomer.name());
  while (!workload.stopping || !newcomer.has_all()) {
    // In quiet times too, not often.
    const runtime::Instant until = runtime.now() + 20s;
    while (!workload.busy() && !workload.stopping && runtime.now() < until)
      co_await runtime::sleep(runtime, 500ms);
    if (workload.stopping) {
      co_await newcomer.collect();
    } else {
      co_await newcomer.round();
    }
    co_await runtime::sleep(runtime, short_pause(runtime, 200));
  }
  workload.running.erase(newcomer.name());
}

}  // namespace stele::sim
