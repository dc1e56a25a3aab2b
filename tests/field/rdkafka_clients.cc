#include "tests/field/rdkafka_clients.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "model/record_batch.h"
#include "protocols/kafka/client.h"
#include "tests/field/rdkafka_peer.h"

namespace stele::field {

using runtime::Task;
using sim::MessageId;
using sim::short_pause;
using namespace std::chrono_literals;

namespace {

constexpr const char* kTopic = "orders.eu";
constexpr const char* kGroup = "foreigners";
constexpr std::size_t kUnderWay = 100;
constexpr int kAtOnce = 200;
// The last version of OffsetFetch that names topics.
constexpr std::int16_t kNamedOffsets = 9;
// A member that says goodbye to a node that is not there.
constexpr runtime::Duration kLeaves = 5s;

RdSettings common_settings(const RdKafkaClients& clients, const std::string& name) {
  RdSettings settings = {
      {"bootstrap.servers", clients.workload.kafka.to_string()},
      {"client.id", name},
      // Times of a run that lasts a minute.
      {"socket.timeout.ms", "8000"},
      {"reconnect.backoff.ms", "20"},
      {"reconnect.backoff.max.ms", "200"},
      {"topic.metadata.refresh.interval.ms", "2000"},
      {"metadata.max.age.ms", "6000"},
  };
  if (const auto& login = clients.workload.login) {
    settings["security.protocol"] = "sasl_plaintext";
    settings["sasl.mechanisms"] = "PLAIN";
    settings["sasl.username"] = login->user;
    settings["sasl.password"] = login->password;
  }
  return settings;
}

// ---- producing ------------------------------------------------------------------------------------------

class Producer {
 public:
  Producer(runtime::Runtime& runtime, RdKafkaClients& clients, std::uint32_t publisher)
      : runtime_(runtime), clients_(clients), workload_(clients.workload), publisher_(publisher) {}

  bool idle() const { return pending_.empty(); }
  bool has_peer() const { return peer_ != nullptr; }

  void start(const std::string& name) {
    constexpr const char* kCodecs[] = {"none", "none", "lz4", "zstd", "gzip", "snappy"};
    RdSettings settings = common_settings(clients_, name);
    settings.insert({{"enable.idempotence", "true"},
                     // It tries until it is told otherwise.
                     {"message.timeout.ms", "0"},
                     {"request.timeout.ms", "5000"},
                     {"retry.backoff.ms", "50"},
                     {"linger.ms", std::to_string(runtime_.random().below(20))},
                     {"batch.num.messages", std::to_string(1 + runtime_.random().below(50))},
                     {"compression.codec", kCodecs[runtime_.random().below(6)]}});
    auto made = RdKafkaPeer::make(true, settings,
                                  {.delivered = [this](const RdKafkaPeer::Delivered& one) { take(one); },
                                   .received = {},
                                   .assigned = {},
                                   .committed = {}},
                                  clients_.log);
    if (!made) return workload_.judge.fail("librdkafka: " + made.error().message);
    peer_ = *std::move(made);
    ++clients_.starts;
  }

  void send_some() {
    const std::int32_t partitions = workload_.partitions.at(kTopic);
    for (std::uint64_t left = 1 + runtime_.random().below(8); left > 0 && pending_.size() < kUnderWay;
         --left) {
      const auto partition =
          static_cast<std::uint32_t>(runtime_.random().below(static_cast<std::uint64_t>(partitions)));
      std::uint64_t& next = next_sequence_[partition];
      const MessageId id{publisher_, partition, next};
      const std::string padding(runtime_.random().chance(1, 30) ? 2000 : 0, 'y');
      // It may not have heard of that partition yet.
      if (!peer_->produce(kTopic, static_cast<std::int32_t>(partition),
                          id.text() + (padding.empty() ? "" : " " + padding), number_))
        continue;
      ++next;
      pending_.emplace(number_++, id);
      workload_.ledger.sent(id);
    }
  }

  void poll() {
    peer_->poll(kAtOnce);
    const auto why = peer_->fatal();
    // Where the node has lost nothing, nothing is out of order.
    if (why)
      workload_.judge.fail("librdkafka's producer " + std::to_string(publisher_) + " gives up: " + *why);
  }

  // Nobody knows what became of what is under way; it may still be on its way, and be passed.
  Task<void> stop() {
    peer_->give_up();
    for (int tries = 0; tries < 200 && !pending_.empty(); ++tries) {
      peer_->poll(kAtOnce);
      co_await runtime::sleep(runtime_, 5ms);
    }
    co_await RdKafkaPeer::end(runtime_, std::move(peer_));
    for (const auto& [number, id] : std::exchange(pending_, {})) workload_.ledger.refused(id);
  }

 private:
  void take(const RdKafkaPeer::Delivered& one) {
    const auto found = pending_.find(one.number);
    if (found == pending_.end()) return;
    const MessageId id = found->second;
    pending_.erase(found);
    if (!one.problem.empty()) {
      ++clients_.not_acknowledged;
      return workload_.ledger.refused(id);
    }
    ++clients_.acknowledged;
    workload_.ledger.acknowledged(id);
    if (one.offset >= 0) workload_.produced[{kTopic, static_cast<std::int32_t>(id.address), one.offset}] = id;
  }

  runtime::Runtime& runtime_;
  RdKafkaClients& clients_;
  sim::Workload& workload_;
  const std::uint32_t publisher_;
  std::unique_ptr<RdKafkaPeer> peer_;
  std::uint64_t number_ = 1;
  std::map<std::uint64_t, MessageId> pending_;
  std::map<std::uint32_t, std::uint64_t> next_sequence_;
};

}  // namespace

Task<void> run_rdkafka_producer(runtime::Runtime& runtime, RdKafkaClients& clients, std::uint32_t number) {
  sim::Workload& workload = clients.workload;
  const std::string name = "rdkafka-producer-" + std::to_string(number + 1);
  const std::uint32_t publisher = kFirstRdKafkaPublisher + number;
  workload.kafka_producers.insert(publisher);
  workload.running.insert(name);
  ++workload.producing;
  Producer producer(runtime, clients, publisher);
  while (!workload.stopping && !workload.judge.failed()) {
    co_await sim::wait_while_quiet(runtime, workload);
    if (workload.stopping) break;
    producer.start(name);
    if (!producer.has_peer()) break;
    // Another life, now and then; the first one in the calm does not end before it is told of everything.
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(500, 20'000));
    while (!workload.judge.failed() && (workload.stopping ? !producer.idle() : runtime.now() < until)) {
      if (workload.busy()) producer.send_some();
      producer.poll();
      co_await runtime::sleep(runtime, short_pause(runtime, workload.busy() ? 60 : 20));
    }
    co_await producer.stop();
  }
  --workload.producing;
  workload.running.erase(name);
}

// ---- reading, in a group --------------------------------------------------------------------------------

namespace {

class Member {
 public:
  Member(runtime::Runtime& runtime, RdKafkaClients& clients, std::string name, bool is_static)
      : runtime_(runtime),
        clients_(clients),
        workload_(clients.workload),
        name_(std::move(name)),
        static_(is_static) {}

  bool has_peer() const { return peer_ != nullptr; }
  bool may_end() const { return peer_->may_end(); }

  void start() {
    RdSettings settings = common_settings(clients_, name_);
    settings.insert({{"group.id", kGroup},
                     {"auto.offset.reset", "earliest"},
                     {"enable.auto.commit", "false"},
                     {"session.timeout.ms", "2000"},
                     {"heartbeat.interval.ms", "300"},
                     {"max.poll.interval.ms", "6000"},
                     {"fetch.wait.max.ms", "200"},
                     {"fetch.error.backoff.ms", "50"},
                     {"check.crcs", "true"},
                     {"partition.assignment.strategy",
                      clients_.cooperative ? "cooperative-sticky" : "range,roundrobin"}});
    if (static_) settings["group.instance.id"] = name_;
    auto made =
        RdKafkaPeer::make(false, settings,
                          {.delivered = {},
                           .received = [this](const RdKafkaPeer::Record& record) { take(record); },
                           .assigned = [this](std::int32_t partition, bool owned) { own(partition, owned); },
                           .committed = [this](std::int32_t partition, std::int64_t offset,
                                               bool accepted) { note(partition, offset, accepted); }},
                          clients_.log);
    if (made) peer_ = *std::move(made);
    const auto subscribed = made ? peer_->subscribe(kTopic) : Result<void>(std::unexpected(made.error()));
    if (!subscribed) return workload_.judge.fail("librdkafka: " + subscribed.error().message);
    ++clients_.starts;
  }

  void poll() { peer_->poll(kAtOnce); }

  // One commit of a partition is under way at a time.
  void commit() {
    for (auto& [partition, mine] : owned_) {
      if (mine.committing || mine.next <= mine.committed) continue;
      mine.committing = true;
      peer_->commit(kTopic, partition, mine.next);
    }
  }

  // With a goodbye, or without one: then the group waits for it.
  Task<void> stop(bool says_goodbye) {
    const runtime::Instant until = runtime_.now() + kLeaves;
    if (says_goodbye) peer_->begin_close();
    while (says_goodbye && !peer_->closed() && runtime_.now() < until) {
      poll();
      co_await runtime::sleep(runtime_, 5ms);
    }
    co_await RdKafkaPeer::end(runtime_, std::move(peer_));
    owned_.clear();
  }

 private:
  struct Owned {
    bool begun = false;
    std::int64_t next = -1, committed = -1;
    bool committing = false;
  };

  void fail(std::int32_t partition, const std::string& what) {
    workload_.judge.fail("group " + std::string(kGroup) + " of librdkafka: partition " +
                         std::to_string(partition) + " " + what);
  }

  void own(std::int32_t partition, bool owned) {
    clients_.assignments += owned;
    owned_.erase(partition);
    if (owned) owned_[partition] = {};
  }

  void take(const RdKafkaPeer::Record& record) {
    ++clients_.received;
    Owned& mine = owned_[record.partition];
    if (!std::exchange(mine.begun, true)) {
      std::int64_t& began = clients_.began[record.partition];
      if (record.offset < began)
        fail(record.partition, "is read from " + std::to_string(record.offset) +
                                   ", though its owner before began at " + std::to_string(began));
      began = record.offset;
    } else if (record.offset != mine.next) {
      fail(record.partition,
           "goes from " + std::to_string(mine.next) + " to " + std::to_string(record.offset));
    }
    mine.next = record.offset + 1;
    std::int64_t& read_to = clients_.read_to[record.partition];
    if (record.offset > read_to)
      fail(record.partition, "is read from " + std::to_string(record.offset) + ", and nobody has read " +
                                 std::to_string(read_to));
    read_to = std::max(read_to, mine.next);
    RecordView view{.offset = Offset(record.offset), .key = {}, .value = record.value, .headers = {}};
    sim::note_record(workload_, record.topic, record.partition, view, kGroup);
  }

  void note(std::int32_t partition, std::int64_t offset, bool accepted) {
    const auto found = owned_.find(partition);
    if (found != owned_.end()) found->second.committing = false;
    if (!accepted) return;
    ++clients_.commits;
    clients_.committed[partition] = offset;
    if (found != owned_.end()) found->second.committed = std::max(found->second.committed, offset);
  }

  runtime::Runtime& runtime_;
  RdKafkaClients& clients_;
  sim::Workload& workload_;
  const std::string name_;
  const bool static_;
  std::unique_ptr<RdKafkaPeer> peer_;
  std::map<std::int32_t, Owned> owned_;
};

// The group has all that was acknowledged, and was told that its offsets say so.
bool has_everything(const RdKafkaClients& clients) {
  const sim::Workload& workload = clients.workload;
  if (!workload.stopping || workload.producing > 0 || clients.committed != clients.read_to) return false;
  const std::string who = std::string(kGroup) + "-" + kTopic;
  return std::ranges::all_of(workload.ledger.acknowledged(), [&](const MessageId& id) {
    return !workload.kafka_producers.contains(id.publisher) || workload.ledger.has_received(who, id);
  });
}

// Somebody else is told so too.
Task<bool> offsets_are_there(runtime::Runtime& runtime, const RdKafkaClients& clients) {
  auto client =
      co_await kafka::Client::connect(runtime, clients.workload.kafka, kafka_options(clients.workload));
  if (!client) co_return false;
  kafka::OffsetFetchRequest request;
  auto& group = request.groups.emplace_back();
  group.group_id = kGroup;
  auto& topic = group.topics->emplace_back();
  topic.name = kTopic;
  for (const auto& [partition, end] : clients.read_to) topic.partition_indexes.push_back(partition);
  auto answer = co_await (*client)->call(std::move(request), kNamedOffsets);
  (*client)->close();
  if (!answer || answer->groups.front().error != kafka::KafkaError::kNone) co_return false;
  std::map<std::int32_t, std::int64_t> told;
  for (const auto& one : answer->groups.front().topics) {
    for (const auto& partition : one.partitions) told[partition.partition_index] = partition.committed_offset;
  }
  co_return told == clients.read_to;
}

}  // namespace

Task<void> run_rdkafka_member(runtime::Runtime& runtime, RdKafkaClients& clients, std::uint32_t number) {
  sim::Workload& workload = clients.workload;
  const std::string name = "rdkafka-member-" + std::to_string(number + 1);
  workload.running.insert(name);
  Member member(runtime, clients, name, number + 1 == kRdKafkaMembers);
  bool complete = false;
  while (!complete && !workload.judge.failed()) {
    member.start();
    if (!member.has_peer()) break;
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(3'000, 30'000));
    while (!workload.judge.failed() &&
           (!member.may_end() || (!complete && (workload.stopping || runtime.now() < until)))) {
      member.poll();
      if (workload.stopping || runtime.random().chance(1, 8)) member.commit();
      complete = complete || (has_everything(clients) && co_await offsets_are_there(runtime, clients));
      co_await runtime::sleep(runtime, short_pause(runtime, 50));
    }
    if (workload.judge.failed()) break;
    co_await member.stop(complete || runtime.random().chance(2, 3));
    if (!complete) co_await runtime::sleep(runtime, short_pause(runtime, 1'000));
  }
  workload.running.erase(name);
}

std::string RdKafkaClients::what_happened() const {
  return "librdkafka " + std::string(rd_kafka_version_str()) + ": " + std::to_string(starts) + " starts, " +
         std::to_string(acknowledged) + " messages acknowledged, " + std::to_string(not_acknowledged) +
         " not, " + std::to_string(received) + " received, " + std::to_string(assignments) +
         " partitions assigned, " + std::to_string(commits) + " offsets committed";
}

}  // namespace stele::field
