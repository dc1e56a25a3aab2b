// The only user of another tenant in scenario `node`. Its topic, its addresses, its session and its group
// have the names that others use in the tenant `default`, and nothing to do with them.
#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "protocols/http/client.h"
#include "protocols/kafka/client.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/mqtt_clients.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

const MqttPeer::Login kNeighbour{"neighbour", "the password of neighbour"};
const std::string kTopic = "sensors";
const std::string kGroup = "workers";
const std::string kClientId = "keeper-of-all";
const std::string kSubscriber = "the neighbour's session";
const std::string kReader = kNeighbourReader;
constexpr std::size_t kWindow = 4;

kafka::ClientOptions login() {
  kafka::ClientOptions options;
  options.sasl =
      kafka::SaslLogin{.mechanism = "PLAIN", .user = kNeighbour.user, .password = kNeighbour.password};
  return options;
}

class Neighbour {
 public:
  Neighbour(runtime::Runtime& runtime, Workload& workload) : runtime_(runtime), workload_(workload) {}

  // Publishes to itself, out of a session that is kept.
  Task<void> mqtt() {
    auto dialed = co_await MqttPeer::dial(runtime_, workload_.mqtt, kNeighbour);
    if (!dialed) co_return;
    MqttPeer& peer = **dialed;
    const bool came_before = std::exchange(came_, true);
    const auto opened = co_await peer.open(kClientId, false, UINT32_MAX, mqtt::Version::kV5);
    if (!opened || opened->reason != mqtt::ReasonCode::kSuccess) co_return;
    if (!came_before && opened->session_present) co_return fail("finds a session of its client id");
    if (subscribed_ && !opened->session_present) co_return fail("has lost its session");
    if (!subscribed_) {
      mqtt::Subscribe subscribe;
      subscribe.packet_id = kSubscribeId;
      subscribe.subscriptions.push_back({.filter = "#", .qos = mqtt::Qos::kAtLeastOnce});
      peer.send(subscribe);
    }
    for (const Pending& one : pending_) {
      workload_.ledger.sent_again(one.id);
      if (workload_.may_be_refused_since(one.sent_at)) workload_.ledger.refused(one.id);
      send(peer, one, true);
    }
    const runtime::Instant until = stay(runtime_, 10'000);
    while (!peer.closed() && runtime_.now() < until) {
      while (wants_to_send() && pending_.size() < kWindow) {
        pending_.push_back(
            {{kNeighbourPublisher, 0, next_sequence_++}, next_packet_id(), workload_.judge.now()});
        workload_.ledger.sent(pending_.back().id);
        send(peer, pending_.back(), false);
      }
      auto packet = co_await peer.next(1s);
      if (!packet && packet.error().code != ErrorCode::kTimedOut) break;
      if (packet) take(peer, packet->packet);
      if (runtime_.random().chance(1, 4)) co_await runtime::sleep(runtime_, short_pause(runtime_, 100));
    }
    go(runtime_, peer);
  }

  // Reads its topic from where it was, and keeps its place in the group.
  Task<void> kafka() {
    auto client = co_await kafka::Client::connect(runtime_, workload_.kafka, login());
    if (!client) co_return;
    if (runtime_.random().chance(1, 4)) {
      (void)co_await look_around(**client);
    } else {
      // At the end all of it, in one go.
      std::int64_t before = 0;
      do before = next_offset_;
      while (co_await read(**client) && workload_.stopping && next_offset_ > before);
    }
    (*client)->close();
  }

  Task<void> http() {
    http::Request request{.method = "GET", .target = "/v1/users"};
    request.headers.add("authorization", basic(kNeighbour));
    const auto response = co_await http::send_request(runtime_, workload_.http, std::move(request));
    if (!response || response->status != 200) co_return;
    workload_.ledger.operation();
    if (response->body.find(kNeighbour.user) == std::string::npos) co_return fail("is not shown itself");
    if (response->body.find("\"" + workload_.login->user + "\"") != std::string::npos)
      fail("is shown the users of another tenant");
  }

  // Everything that was acknowledged has come.
  bool finished() const {
    if (!pending_.empty() || !subscribed_ || next_sequence_ < kNeighbourMessages) return false;
    std::set<MessageId> to_read, to_come;
    for (const MessageId& id : workload_.ledger.acknowledged()) {
      if (id.publisher != kNeighbourPublisher) continue;
      to_read.insert(id);
      if (!sent_before_.contains(id)) to_come.insert(id);
    }
    return workload_.ledger.missing(kReader, to_read).empty() &&
           workload_.ledger.missing(kSubscriber, to_come).empty();
  }

 private:
  static constexpr std::uint16_t kSubscribeId = 1;
  struct Pending {
    MessageId id;
    std::uint16_t packet_id;
    Time sent_at;
  };

  bool wants_to_send() const {
    return workload_.busy() || (workload_.stopping && next_sequence_ < kNeighbourMessages);
  }
  static void send(MqttPeer& peer, const Pending& one, bool again) {
    peer.publish("sensors/0/0", payload_of(one.id), 1, one.packet_id, again, false);
  }
  std::uint16_t next_packet_id() {
    last_packet_id_ = last_packet_id_ == UINT16_MAX ? kSubscribeId + 1 : last_packet_id_ + 1;
    return last_packet_id_;
  }

  void take(MqttPeer& peer, const mqtt::Packet& packet) {
    if (const auto* suback = std::get_if<mqtt::Suback>(&packet)) {
      if (suback->reasons.front() != mqtt::ReasonCode::kGrantedQos1) return;
      // What was sent before need not come.
      if (!subscribed_) sent_before_ = workload_.ledger.all_sent();
      subscribed_ = true;
    } else if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
      const auto id = MessageId::parse(publish->payload);
      if (!id) return fail("is sent '" + std::string(publish->payload) + "'");
      workload_.ledger.received(kSubscriber, *id, true, !subscribed_ || sent_before_.contains(*id));
      if (publish->packet_id != 0) peer.send(mqtt::Puback{.packet_id = publish->packet_id});
    } else if (const auto* puback = std::get_if<mqtt::Puback>(&packet)) {
      const auto found = std::ranges::find(pending_, puback->packet_id, &Pending::packet_id);
      if (found == pending_.end()) return;
      is_success(puback->reason) ? workload_.ledger.acknowledged(found->id)
                                 : workload_.ledger.refused(found->id);
      pending_.erase(found);
    }
  }

  Task<Result<void>> read(kafka::Client& client) {
    STELE_CO_TRY(const auto fetched, co_await client.fetch(kTopic, 0, Offset(next_offset_)));
    workload_.ledger.operation();
    if (fetched.error != kafka::KafkaError::kNone) co_return Result<void>();
    const std::string batches = fetched.records.flatten();
    auto each = kafka::each_record(batches, Offset(next_offset_), [&](const RecordView& record) {
      const auto id = MessageId::parse(record.value.value_or(""));
      if (record.offset.value != next_offset_ || !id) return fail("reads something else");
      workload_.ledger.received(kReader, *id, true, false);
      ++next_offset_;
    });
    if (!each) fail("reads a batch that cannot be read: " + each.error().message);
    kafka::OffsetCommitRequest commit;
    commit.group_id = kGroup;
    commit.topics.push_back({.name = kTopic, .topic_id = {}, .partitions = {{0, next_offset_, -1, ""}}});
    const auto answer = co_await client.call(std::move(commit), 9);
    if (!answer) {
      // It may still arrive, after the next.
      if (!unanswered_) unanswered_ = next_offset_;
    } else if (answer->topics.front().partitions.front().error == kafka::KafkaError::kNone) {
      committed_ = next_offset_;
    }
    co_return Result<void>();
  }

  // All topics and all of its group's offsets.
  Task<Result<void>> look_around(kafka::Client& client) {
    STELE_CO_TRY(const auto metadata, co_await client.metadata());
    workload_.ledger.operation();
    for (const auto& topic : metadata.topics) {
      if (topic.name != kTopic || topic.partitions.size() != 1)
        fail("is shown topic " + topic.name.value_or(""));
    }
    kafka::OffsetFetchRequest ask;
    ask.groups.emplace_back().group_id = kGroup;
    ask.groups.back().topics.reset();
    STELE_CO_TRY(const auto told, co_await client.call(std::move(ask), 8));
    for (const auto& topic : told.groups.front().topics) {
      for (const auto& partition : topic.partitions) {
        if (topic.name != kTopic || partition.partition_index != 0)
          fail("is shown an offset of " + topic.name + "-" + std::to_string(partition.partition_index));
        if (partition.committed_offset < std::min(committed_, unanswered_.value_or(committed_)) ||
            partition.committed_offset > next_offset_)
          fail("is told offset " + std::to_string(partition.committed_offset));
      }
    }
    co_return Result<void>();
  }

  void fail(const std::string& what) { workload_.judge.fail("the user of another tenant " + what); }

  runtime::Runtime& runtime_;
  Workload& workload_;
  bool came_ = false, subscribed_ = false;
  MessageSet sent_before_;
  std::deque<Pending> pending_;  // in order of sending
  std::uint64_t next_sequence_ = 0;
  std::uint16_t last_packet_id_ = kSubscribeId;
  std::int64_t next_offset_ = 0, committed_ = 0;
  std::optional<std::int64_t> unanswered_;  // the first that was committed without an answer
};

}  // namespace

Task<bool> make_neighbour(runtime::Runtime& runtime, Workload& workload) {
  std::vector<std::pair<std::string, std::string>> made = {
      {"/v1/tenants", R"({"name": "next door"})"},
      {"/v1/users", R"({"name": ")" + kNeighbour.user + R"(", "password": ")" + kNeighbour.password +
                        R"(", "tenant": "next door", "super_user": true})"},
  };
  if (!co_await make_over_http(runtime, workload, std::move(made))) co_return false;
  auto client = co_await kafka::Client::connect(runtime, workload.kafka, login());
  if (!client) co_return false;
  const auto topic =
      co_await (*client)->create_topic(kTopic, 1, {{"stele.capture", "sensors/#"}, {"retention.ms", "-1"}});
  (*client)->close();
  co_return topic &&
      (topic->error == kafka::KafkaError::kNone || topic->error == kafka::KafkaError::kTopicAlreadyExists);
}

Task<void> run_neighbour(runtime::Runtime& runtime, Workload& workload) {
  workload.running.insert("neighbour");
  workload.ledger.keep_apart(kNeighbourPublisher, kNeighbourReceivers);
  Neighbour neighbour(runtime, workload);
  while (!workload.stopping || !neighbour.finished()) {
    const std::uint64_t kind = runtime.random().below(8);
    if (kind < 4) {
      co_await neighbour.mqtt();
    } else if (kind < 7) {
      co_await neighbour.kafka();
    } else {
      co_await neighbour.http();
    }
    co_await runtime::sleep(runtime, short_pause(runtime, workload.stopping ? 100 : 2000));
    if (runtime.random().chance(1, 2)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase("neighbour");
}

}  // namespace stele::sim
