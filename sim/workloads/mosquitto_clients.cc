// Clients that somebody else wrote: libmosquitto keeps the sessions, sends again what was not answered, and
// answers what comes, in its own way. What it should not have, or lacks in the end, is the broker's doing.
#include <map>
#include <utility>
#include <vector>

#include "sim/foreign/mosquitto_peer.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// As many as the library has under way, and some that it keeps until there is room.
constexpr std::size_t kUnderWay = 30;

// MQTT 5: so many and above are refusals. PUBCOMP says with one of them that the broker has settled it
// before.
constexpr int kFirstRefusal = 0x80, kPacketIdNotFound = 0x92;

MosquittoPeer::Options options_of(const Workload& workload, std::string client_id, bool v5) {
  MosquittoPeer::Options options{.client_id = std::move(client_id), .v5 = v5};
  if (workload.login) {
    options.user = workload.login->user;
    options.password = workload.login->password;
  }
  return options;
}

void leave(runtime::Runtime& runtime, MosquittoPeer& peer) {
  if (runtime.random().chance(1, 2)) {
    peer.disconnect();
  } else {
    peer.drop();
  }
}

class Publisher {
 public:
  Publisher(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher)
      : runtime_(runtime), workload_(workload), publisher_(publisher) {}

  bool idle() const { return pending_.empty(); }
  bool full() const { return pending_.size() >= kUnderWay; }

  // Each address has a QoS of its own: order is that of one QoS [MQTT-4.6.0-6].
  void send(MosquittoPeer& peer) {
    const auto address = static_cast<std::uint32_t>(runtime_.random().below(6));
    const int qos = static_cast<int>(address % 3);
    const MessageId id{publisher_, address, next_sequence_[address]++};
    workload_.ledger.sent(id);
    if (qos == 0 && workload_.ledger.order_of_each_qos) workload_.ledger.refused(id);
    if (qos == 2) workload_.exactly_once.insert(id);
    const int packet_id = peer.publish(sensor_topic(id), payload_of(id), qos);
    if (qos == 0) return sent_once_.push_back(id);
    pending_.emplace(packet_id, Pending{id, qos, workload_.judge.now()});
  }

  // What is not answered goes out again, and may have come through. What had QoS 0 does not; it may still be
  // on its way, and be passed.
  void connected_again() {
    for (const MessageId& id : std::exchange(sent_once_, {})) workload_.ledger.refused(id);
    for (const auto& [packet_id, one] : pending_) {
      if (one.qos == 1) workload_.ledger.sent_again(one.id);
      if (workload_.may_be_refused_since(one.sent_at)) workload_.ledger.refused(one.id);
    }
  }

  // True if a message was refused.
  bool take(const MosquittoPeer::Published& published) {
    const auto found = pending_.find(published.packet_id);
    if (found == pending_.end()) return false;  // QoS 0
    const auto [id, qos, sent_at] = found->second;
    pending_.erase(found);
    if (published.reason < kFirstRefusal || (qos == 2 && published.reason == kPacketIdNotFound)) {
      workload_.ledger.acknowledged(id);
      return false;
    }
    workload_.ledger.refused(id);
    if (qos == 2) workload_.refused_exactly_once.insert(id);
    return true;
  }

 private:
  struct Pending {
    MessageId id;
    int qos;
    Time sent_at;
  };
  runtime::Runtime& runtime_;
  Workload& workload_;
  const std::uint32_t publisher_;
  std::map<int, Pending> pending_;    // by packet identifier
  std::vector<MessageId> sent_once_;  // with QoS 0, on this connection
  std::map<std::uint32_t, std::uint64_t> next_sequence_;
};

class Subscriber {
 public:
  Subscriber(Workload& workload, std::string client_id)
      : workload_(workload), client_id_(std::move(client_id)) {}

  bool subscribed = false;

  void take(const MosquittoPeer::Event& event) {
    if (const auto* answer = std::get_if<MosquittoPeer::Subscribed>(&event)) {
      if (answer->granted != 1) return;
      // What was sent before may have been accepted before.
      if (!subscribed) sent_before_ = workload_.ledger.all_sent();
      subscribed = true;
    }
    if (const auto* message = std::get_if<MosquittoPeer::Message>(&event)) {
      const auto id = MessageId::parse(message->payload);
      if (!id) return workload_.judge.fail(client_id_ + ": received something that nobody sent");
      const std::string who = message->qos == 0 ? client_id_ + " (QoS 0)" : client_id_;
      workload_.ledger.received(who, *id, true, !subscribed || sent_before_.contains(*id));
    }
  }

  bool complete() const {
    std::set<MessageId> wanted;
    for (const MessageId& id : workload_.ledger.acknowledged()) {
      if (workload_.mqtt_publishers.contains(id.publisher) && !sent_before_.contains(id))
        wanted.insert(wanted.end(), id);
    }
    return subscribed && workload_.producing == 0 && workload_.ledger.missing(client_id_, wanted).empty();
  }

 private:
  Workload& workload_;
  const std::string client_id_;
  MessageSet sent_before_;  // need not come
};

}  // namespace

Task<void> run_mosquitto_publisher(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher,
                                   bool v5) {
  const std::string name = "mosquitto-" + std::to_string(publisher);
  workload.running.insert(name);
  ++workload.producing;
  MosquittoPeer peer(runtime, options_of(workload, name, v5));
  Publisher state(runtime, workload, publisher);
  bool connected_before = false;
  while (!workload.stopping || !state.idle()) {
    if (state.idle()) co_await wait_while_quiet(runtime, workload);
    const auto session_present = co_await peer.connect(workload.mqtt.any(runtime.random()));
    if (!session_present) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    if (std::exchange(connected_before, true) && !*session_present) {
      workload.judge.fail(name + ": its session is gone");
      break;
    }
    state.connected_again();
    const runtime::Instant until = stay(runtime, 15'000);
    while (runtime.now() < until || workload.stopping) {
      while (workload.busy() && peer.connected() && !state.full()) state.send(peer);
      if (state.idle()) break;
      const auto event = co_await peer.next(2s);
      if (!event && event.error().code == ErrorCode::kClosed) break;
      const auto* published = event ? std::get_if<MosquittoPeer::Published>(&*event) : nullptr;
      if (published && state.take(*published)) co_await runtime::sleep(runtime, short_pause(runtime, 500));
      if (runtime.random().chance(1, 4)) co_await runtime::sleep(runtime, short_pause(runtime, 40));
    }
    leave(runtime, peer);
    co_await runtime::sleep(runtime, short_pause(runtime, 50));
  }
  --workload.producing;
  workload.running.erase(name);
}

Task<void> run_mosquitto_subscriber(runtime::Runtime& runtime, Workload& workload, std::string client_id,
                                    bool v5) {
  workload.running.insert(client_id);
  MosquittoPeer peer(runtime, options_of(workload, client_id, v5));
  Subscriber state(workload, client_id);
  bool complete = false;
  while (!complete) {
    const auto session_present = co_await peer.connect(workload.mqtt.any(runtime.random()));
    if (!session_present) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    if (state.subscribed && !*session_present) {
      workload.judge.fail(client_id + ": its session is gone");
      break;
    }
    if (!state.subscribed) peer.subscribe("sensors/#", 1);
    const runtime::Instant until = stay(runtime, 20'000);
    while (runtime.now() < until || workload.stopping) {
      const auto event = co_await peer.next(2s);
      if (event) {
        state.take(*event);
        continue;
      }
      if (event.error().code == ErrorCode::kClosed) break;
      complete = workload.stopping && state.complete();
      if (complete) break;
    }
    leave(runtime, peer);
    if (!complete) co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping ? 50 : 3000));
    if (runtime.random().chance(1, 2)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(client_id);
}

}  // namespace stele::sim
