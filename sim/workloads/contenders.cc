// Linearizability is promised for
//
//  - the retained message of an address that no topic captures: written with QoS 1 and 2, within a connection
//    and within a session, and read by subscribing;
//  - the offset that a group without members has committed for a partition.
//
// Contenders work in bursts, all at the same moments: what overlaps nothing shows little.
#include "sim/workloads/contenders.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocols/kafka/client.h"
#include "sim/workloads/mqtt_clients.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kRegisters = 2;  // of each kind
constexpr runtime::Duration kBetweenBursts = 400ms;
constexpr std::uint64_t kMostInABurst = 4;
// For an answer: longer than a core stands still.
constexpr auto kPatience = 6s;
// An honest history of a run takes about two steps for each operation.
constexpr std::uint64_t kMaxSteps = 500'000;

// Each value is written once, but for 0, which is nothing. They go up and down.
std::uint64_t next_value(Contention& contention) {
  constexpr std::uint64_t kPrime = 999'983;
  return 1 + ++contention.values * 618'033 % kPrime;
}

Task<void> wait_for_burst(runtime::Runtime& runtime, Workload& workload) {
  co_await wait_while_quiet(runtime, workload);
  const runtime::Duration since = runtime.now().time_since_epoch() % kBetweenBursts;
  co_await runtime::sleep(runtime, kBetweenBursts - since + short_pause(runtime, 2));
}

// ---- retained messages ----------------------------------------------------------------------------------

std::string address_of(std::uint32_t number) {
  return "contended/" + std::to_string(number);
}

std::uint64_t value_of(std::string_view payload) {
  std::uint64_t value = 0;
  std::from_chars(payload.data(), payload.data() + payload.size(), value);
  return value;
}

class MqttContender {
 public:
  MqttContender(runtime::Runtime& runtime, Contention& contention, std::string name)
      : runtime_(runtime), contention_(contention), workload_(contention.workload), name_(std::move(name)) {}

  Task<void> burst() {
    for (std::uint64_t left = 1 + runtime_.random().below(kMostInABurst); left > 0; --left) {
      if (runtime_.random().chance(1, 2)) {
        co_await write(static_cast<std::uint32_t>(runtime_.random().below(kRegisters)));
      } else {
        (void)co_await read(runtime_.random().chance(1, 3) ? std::nullopt
                                                           : std::optional(static_cast<std::uint32_t>(
                                                                 runtime_.random().below(kRegisters))));
      }
    }
    // Other connections come to other cores.
    if (runtime_.random().chance(1, 3)) writer_.reset();
    if (runtime_.random().chance(1, 3)) reader_.reset();
  }

  // One register, or all of them at once. False if there is no answer.
  Task<bool> read(std::optional<std::uint32_t> number) {
    if (!co_await be_there(reader_, name_ + "-reads", 0)) co_return false;
    std::map<std::string, RegisterHistory::Call, std::less<>> asked;
    for (std::uint32_t i = 0; i < kRegisters; ++i) {
      if (!number || *number == i) asked[address_of(i)] = history(i).reading(name_, workload_.judge.now());
    }
    mqtt::Subscribe subscribe;
    subscribe.packet_id = 1;
    const std::string filter = number ? address_of(*number) : "contended/+";
    subscribe.subscriptions.push_back({.filter = filter, .qos = mqtt::Qos::kAtLeastOnce});
    reader_->send(subscribe);
    bool answered = false;
    while (true) {
      auto packet = co_await reader_->next(kPatience);
      if (!packet) break;
      if (const auto* suback = std::get_if<mqtt::Suback>(&packet->packet)) {
        if (suback->reasons[0] != mqtt::ReasonCode::kGrantedQos1) break;
        answered = true;
        reader_->send(mqtt::Pingreq{});
      }
      if (const auto* publish = std::get_if<mqtt::Publish>(&packet->packet)) take(*publish, asked);
      // Retained messages come some time after SUBACK. Of what is not there by the next answer nothing is
      // known: there may be none, or it may come yet.
      if (!answered || !std::get_if<mqtt::Pingresp>(&packet->packet)) continue;
      co_return true;
    }
    reader_.reset();
    co_return false;
  }

 private:
  using Peer = std::unique_ptr<MqttPeer>;

  RegisterHistory& history(std::uint32_t number) { return history(address_of(number)); }
  RegisterHistory& history(const std::string& address) {
    return contention_.histories["the retained message of " + address];
  }
  void note(const std::string& address, RegisterHistory::Call call, std::uint64_t value) {
    history(address).read(call, value, workload_.judge.now());
  }

  Task<bool> be_there(Peer& peer, std::string client_id, std::uint32_t expiry_s) {
    if (peer && !peer->closed()) co_return true;
    peer.reset();
    auto connected =
        co_await come(runtime_, workload_, std::move(client_id), true, expiry_s, mqtt::Version::kV5);
    if (!connected) co_return false;
    peer = std::move(connected->peer);
    co_return true;
  }

  void take(const mqtt::Publish& publish, std::map<std::string, RegisterHistory::Call, std::less<>>& asked) {
    if (publish.packet_id != 0) reader_->send(mqtt::Puback{.packet_id = publish.packet_id});
    const auto found = publish.retain ? asked.find(publish.topic) : asked.end();
    if (found == asked.end()) return;
    note(found->first, found->second, value_of(publish.payload));
    asked.erase(found);
  }

  // What is not answered, or refused, may be there all the same, or come yet. It is not sent again: then it
  // would be two.
  Task<void> write(std::uint32_t number) {
    // With a session that is kept QoS 2 goes by that session's shard.
    const std::uint32_t expiry_s = runtime_.random().chance(1, 2) ? 60 : 0;
    if (!co_await be_there(writer_, name_ + "-writes", expiry_s)) co_return;
    const bool deletes = runtime_.random().chance(1, 10);
    const std::uint64_t value = deletes ? 0 : next_value(contention_);
    const auto qos = static_cast<std::uint8_t>(1 + runtime_.random().below(2));
    const auto call = history(number).writing(name_, value, workload_.judge.now());
    const std::uint16_t packet_id = ++packet_id_;
    writer_->publish(address_of(number), deletes ? "" : std::to_string(value), qos, packet_id, false, true);
    while (true) {
      auto packet = co_await writer_->next(kPatience);
      if (!packet) break;
      const auto* puback = std::get_if<mqtt::Puback>(&packet->packet);
      const auto* pubrec = std::get_if<mqtt::Pubrec>(&packet->packet);
      if (!puback && !pubrec) continue;  // PUBCOMP of one before
      if (!is_success(puback ? puback->reason : pubrec->reason)) break;
      history(number).wrote(call, workload_.judge.now());
      if (pubrec) writer_->send(mqtt::Pubrel{.packet_id = packet_id});
      co_return;
    }
    writer_.reset();
  }

  runtime::Runtime& runtime_;
  Contention& contention_;
  Workload& workload_;
  const std::string name_;
  Peer writer_, reader_;
  std::uint16_t packet_id_ = 0;  // a run has fewer messages than there are of these
};

// ---- committed offsets ----------------------------------------------------------------------------------

class KafkaContender {
 public:
  KafkaContender(runtime::Runtime& runtime, Contention& contention, std::string name)
      : runtime_(runtime), contention_(contention), workload_(contention.workload), name_(std::move(name)) {}

  Task<void> burst() {
    for (std::uint64_t left = 1 + runtime_.random().below(kMostInABurst); left > 0; --left) {
      if (runtime_.random().chance(1, 2)) {
        co_await write(some());
      } else {
        (void)co_await read(some());
      }
    }
    if (runtime_.random().chance(1, 3)) client_.reset();
  }

  Task<bool> read_all() { return read({0, 1}); }

 private:
  using Partitions = std::vector<std::int32_t>;

  static constexpr const char* kTopic = "orders.eu";
  static constexpr const char* kGroup = "contended";
  static constexpr std::int16_t kNamedOffsets = 9;  // later versions go by topic ids

  RegisterHistory& history(std::int32_t partition) {
    return contention_.histories["the offset of group " + std::string(kGroup) + " in partition " +
                                 std::to_string(partition)];
  }

  // One, or both in one request.
  Partitions some() {
    if (runtime_.random().chance(1, 4)) return {0, 1};
    return {static_cast<std::int32_t>(runtime_.random().below(kRegisters))};
  }

  Task<bool> be_there() {
    if (client_ && !client_->closed()) co_return true;
    client_.reset();
    auto options = kafka_options(workload_);
    options.request_timeout = kPatience;
    auto client = co_await kafka::Client::connect(runtime_, workload_.kafka, std::move(options));
    if (!client) {
      co_await runtime::sleep(runtime_, short_pause(runtime_, 500));
      co_return false;
    }
    client_ = *std::move(client);
    co_return true;
  }

  Task<void> write(Partitions partitions) {
    if (!co_await be_there()) co_return;
    kafka::OffsetCommitRequest request;
    request.group_id = kGroup;
    auto& topic = request.topics.emplace_back();
    topic.name = kTopic;
    std::map<std::int32_t, RegisterHistory::Call> asked;
    for (const std::int32_t partition : partitions) {
      const std::uint64_t value = next_value(contention_);
      topic.partitions.push_back({partition, static_cast<std::int64_t>(value), -1, ""});
      asked[partition] = history(partition).writing(name_, value, workload_.judge.now());
    }
    const auto told = co_await client_->call(std::move(request), kNamedOffsets);
    if (!told || told->topics.empty()) co_return;
    for (const auto& one : told->topics.front().partitions) {
      const auto found = asked.find(one.partition_index);
      if (found != asked.end() && one.error == kafka::KafkaError::kNone)
        history(found->first).wrote(found->second, workload_.judge.now());
    }
  }

  // False if there is no answer.
  Task<bool> read(Partitions partitions) {
    if (!co_await be_there()) co_return false;
    kafka::OffsetFetchRequest request;
    auto& group = request.groups.emplace_back();
    group.group_id = kGroup;
    auto& topic = group.topics->emplace_back();
    topic.name = kTopic;
    topic.partition_indexes = partitions;
    std::map<std::int32_t, RegisterHistory::Call> asked;
    for (const std::int32_t partition : partitions)
      asked[partition] = history(partition).reading(name_, workload_.judge.now());
    const auto told = co_await client_->call(std::move(request), kNamedOffsets);
    if (!told || told->groups.front().error != kafka::KafkaError::kNone) co_return false;
    for (const auto& one : told->groups.front().topics.at(0).partitions) {
      const auto found = asked.find(one.partition_index);
      if (found == asked.end() || one.error != kafka::KafkaError::kNone) co_return false;
      const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(one.committed_offset, 0));
      history(found->first).read(found->second, value, workload_.judge.now());
    }
    co_return true;
  }

  runtime::Runtime& runtime_;
  Contention& contention_;
  Workload& workload_;
  const std::string name_;
  std::unique_ptr<kafka::Client> client_;
};

}  // namespace

// At the end each looks once more: what was lost with the last fault is seen to be.
Task<void> run_mqtt_contender(runtime::Runtime& runtime, Contention& contention, std::uint32_t number) {
  Workload& workload = contention.workload;
  const std::string name = "mqtt-contender-" + std::to_string(number);
  workload.running.insert(name);
  MqttContender contender(runtime, contention, name);
  while (!workload.stopping) {
    co_await wait_for_burst(runtime, workload);
    if (workload.busy()) co_await contender.burst();
  }
  while (!co_await contender.read(std::nullopt)) co_await runtime::sleep(runtime, short_pause(runtime, 500));
  workload.running.erase(name);
}

Task<void> run_kafka_contender(runtime::Runtime& runtime, Contention& contention, std::uint32_t number) {
  Workload& workload = contention.workload;
  const std::string name = "kafka-contender-" + std::to_string(number);
  workload.running.insert(name);
  KafkaContender contender(runtime, contention, name);
  while (!workload.stopping) {
    co_await wait_for_burst(runtime, workload);
    if (workload.busy()) co_await contender.burst();
  }
  while (!co_await contender.read_all()) co_await runtime::sleep(runtime, short_pause(runtime, 500));
  workload.running.erase(name);
}

void judge_histories(Contention& contention) {
  Judge& judge = contention.workload.judge;
  for (const auto& [name, history] : contention.histories) {
    contention.contended += history.contended();
    const Judgement judged = judge_register(history.operations(), kMaxSteps);
    contention.undecided += judged.verdict == Verdict::kUndecided;
    if (judged.verdict != Verdict::kNotLinearizable) continue;
    std::string why = name + " is not linearizable:";
    for (const RegisterOperation& operation : judged.conflict) why += "\n  " + to_string(operation);
    return judge.fail(why);
  }
  if (contention.undecided > 0 && contention.undecided == contention.histories.size())
    judge.fail("of no history is it known whether it is linearizable");
}

}  // namespace stele::sim
