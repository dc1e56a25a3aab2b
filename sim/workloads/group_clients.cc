// Members of a consumer group: they join, share the partitions, read and commit, and do all that members do
// wrong: leave, vanish, come back, fall silent until they are taken for dead and then commit all the same,
// and ask for what a generation before was theirs.
#include <algorithm>

#include "protocols/kafka/client.h"
#include "sim/workloads/clients.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

constexpr const char* kTopic = "orders.eu";
constexpr const char* kGroup = "workers";
constexpr std::size_t kUuid = 36;
// The last versions that name topics.
constexpr std::int16_t kNamedOffsets = 9;

bool all_read(const Workload& workload) {
  return workload.stopping && workload.producing == 0 &&
         static_cast<std::int32_t>(workload.group.finished.size()) >= workload.partitions.at(kTopic);
}

// Static members keep their place under new ids; of them only the instance counts.
std::string identity(const std::string& member_id) {
  if (!member_id.starts_with("instance") || member_id.size() < kUuid + 1) return member_id;
  return member_id.substr(0, member_id.size() - kUuid - 1);
}

struct Self {
  std::string name;
  std::optional<std::string> instance;
  std::string id;         // empty: none yet
  std::string former_id;  // of the same instance
  std::int32_t generation = -1;
  std::int32_t partitions = 0;  // of the topic, that it knows
  bool leads = false;
  struct Read {
    std::int64_t next = 0;
    std::int64_t committed = -1;
    bool at_end = false;
  };
  std::map<std::int32_t, Read> owned;
};

enum class Step { kOn, kAgain, kBroken };  // go on; join anew; the connection is of no use

// ---- joining --------------------------------------------------------------------------------------------

kafka::JoinGroupRequest join_request(const Self& self) {
  kafka::JoinGroupRequest request;
  request.group_id = kGroup;
  request.session_timeout_ms = 10'000;
  request.rebalance_timeout_ms = 5'000;
  request.member_id = self.id;
  request.group_instance_id = self.instance;
  request.protocol_type = "simulated";
  request.protocols.push_back({"turns", self.name});
  return request;
}

// What a coordinator says of a member that it does not know, or no longer.
bool lost_membership(kafka::KafkaError error) {
  return error == kafka::KafkaError::kUnknownMemberId || error == kafka::KafkaError::kFencedInstanceId ||
         error == kafka::KafkaError::kIllegalGeneration;
}

Task<Step> sync(runtime::Runtime& runtime, Workload& workload, kafka::Client& client, Self& self,
                kafka::JoinGroupResponse joined) {
  kafka::SyncGroupRequest request;
  request.group_id = kGroup;
  request.generation_id = joined.generation_id;
  request.member_id = self.id;
  request.group_instance_id = self.instance;
  request.protocol_type = joined.protocol_type;
  request.protocol_name = joined.protocol_name;
  self.leads = joined.leader == self.id;
  // What its former self has assigned, it does not know.
  if (joined.skip_assignment) self.partitions = 0;
  if (self.leads && !joined.skip_assignment) {
    for (std::size_t i = 0; i < joined.members.size(); ++i) {
      std::string partitions;
      for (std::int32_t partition = 0; partition < self.partitions; ++partition) {
        if (static_cast<std::size_t>(partition) % joined.members.size() == i)
          partitions.push_back(static_cast<char>('0' + partition));
      }
      request.assignments.push_back({joined.members[i].member_id, partitions});
    }
  }
  auto synced = co_await client.call(std::move(request));
  if (!synced) co_return Step::kBroken;
  if (synced->error != kafka::KafkaError::kNone) {
    if (lost_membership(synced->error)) self.id.clear();
    co_await runtime::sleep(runtime, short_pause(runtime, 200));
    co_return Step::kAgain;
  }
  self.owned.clear();
  for (const char partition : synced->assignment) {
    self.owned[partition - '0'] = {};
    workload.group.assigned(self.generation, partition - '0', self.instance.value_or(self.id));
  }
  co_return Step::kOn;
}

Task<Step> fetch_committed(Workload& workload, kafka::Client& client, Self& self) {
  if (self.owned.empty()) co_return Step::kOn;
  kafka::OffsetFetchRequest request;
  auto& group = request.groups.emplace_back();
  group.group_id = kGroup;
  auto& topic = group.topics->emplace_back();
  topic.name = kTopic;
  for (const auto& [partition, read] : self.owned) topic.partition_indexes.push_back(partition);
  const GroupLedger::Moment sent = workload.group.now();
  auto answer = co_await client.call(std::move(request), kNamedOffsets);
  if (!answer) co_return Step::kBroken;
  if (answer->groups.front().error != kafka::KafkaError::kNone) co_return Step::kAgain;
  for (const auto& one : answer->groups.front().topics) {
    for (const auto& partition : one.partitions) {
      if (partition.error != kafka::KafkaError::kNone) co_return Step::kAgain;
      workload.group.fetched(sent, partition.partition_index, partition.committed_offset);
      self.owned[partition.partition_index] = {.next = std::max<std::int64_t>(partition.committed_offset, 0),
                                               .committed = partition.committed_offset};
    }
  }
  co_return Step::kOn;
}

Task<Step> join(runtime::Runtime& runtime, Workload& workload, kafka::Client& client, Self& self) {
  const std::int32_t newest = workload.group.generation();
  auto joined = co_await client.call(join_request(self));
  if (!joined) co_return Step::kBroken;
  workload.ledger.operation();
  if (joined->error == kafka::KafkaError::kMemberIdRequired) self.id = joined->member_id;
  if (lost_membership(joined->error)) self.id.clear();
  if (joined->error != kafka::KafkaError::kNone) {
    co_await runtime::sleep(runtime, short_pause(runtime, 200));
    co_return Step::kAgain;
  }
  self.id = joined->member_id;
  self.generation = joined->generation_id;
  workload.group.joined(newest, self.generation, identity(joined->leader),
                        joined->protocol_name.value_or(""));
  const Step synced = co_await sync(runtime, workload, client, self, *std::move(joined));
  if (synced != Step::kOn) co_return synced;
  co_return co_await fetch_committed(workload, client, self);
}

// ---- working --------------------------------------------------------------------------------------------

Task<Step> commit(Workload& workload, kafka::Client& client, Self& self, std::int32_t partition,
                  std::int32_t generation) {
  const std::int64_t offset = self.owned[partition].next;
  kafka::OffsetCommitRequest request;
  request.group_id = kGroup;
  request.generation_id = generation;
  request.member_id = self.id;
  request.group_instance_id = self.instance;
  auto& topic = request.topics.emplace_back();
  topic.name = kTopic;
  topic.partitions.push_back({partition, offset, -1, "by " + self.name});
  const auto sent = workload.group.committing(generation, partition, offset);
  auto answer = co_await client.call(std::move(request), kNamedOffsets);
  workload.ledger.operation();
  if (!answer) co_return Step::kBroken;
  const kafka::KafkaError error = answer->topics.front().partitions.front().error;
  if (error == kafka::KafkaError::kNone) {
    workload.group.committed(sent, GroupLedger::Outcome::kAccepted);
    self.owned[partition].committed = offset;
    co_return Step::kOn;
  }
  const bool refused = lost_membership(error) || error == kafka::KafkaError::kRebalanceInProgress;
  workload.group.committed(sent, refused ? GroupLedger::Outcome::kRefused : GroupLedger::Outcome::kUnknown);
  if (lost_membership(error) && generation == self.generation) self.id.clear();
  co_return Step::kAgain;
}

Task<Step> read(runtime::Runtime& runtime, Workload& workload, kafka::Client& client, Self& self,
                std::int32_t partition, bool last_round) {
  Self::Read& mine = self.owned[partition];
  kafka::FetchOptions options;
  options.max_wait_ms = last_round ? 10 : workload.busy() ? 100 : 1000;
  auto fetched = co_await client.fetch(kTopic, partition, Offset(mine.next), options);
  if (!fetched) co_return Step::kBroken;
  mine.at_end = false;
  if (fetched->error == kafka::KafkaError::kOffsetOutOfRange) {
    workload.judge.fail(self.name + ": committed offset " + std::to_string(mine.next) + " of partition " +
                        std::to_string(partition) + " is out of range");
    co_return Step::kBroken;
  }
  if (fetched->error != kafka::KafkaError::kNone) {
    co_await runtime::sleep(runtime, short_pause(runtime, 200));
    co_return Step::kOn;
  }
  auto done =
      kafka::each_record(fetched->records.flatten(), Offset(mine.next), [&](const RecordView& record) {
        note_record(workload, kTopic, partition, record, "group");
        mine.next = record.offset.value + 1;
      });
  if (!done) workload.judge.fail(self.name + ": a fetched batch cannot be read: " + done.error().message);
  mine.at_end = mine.next >= fetched->high_watermark;
  co_return Step::kOn;
}

Task<Step> heartbeat(Workload& workload, kafka::Client& client, Self& self) {
  kafka::HeartbeatRequest request;
  request.group_id = kGroup;
  request.generation_id = self.generation;
  request.member_id = self.id;
  request.group_instance_id = self.instance;
  const std::int32_t newest = workload.group.generation();
  auto answer = co_await client.call(std::move(request));
  if (!answer) co_return Step::kBroken;
  if (answer->error == kafka::KafkaError::kNone) {
    workload.group.alive(newest, self.generation);
    co_return Step::kOn;
  }
  if (lost_membership(answer->error)) self.id.clear();
  co_return Step::kAgain;
}

// Whoever had this instance before is fenced. A dynamic member's former self may have joined beside it.
Task<Step> probe_former(Workload& workload, kafka::Client& client, Self& self) {
  if (!self.instance || self.former_id.empty()) co_return Step::kOn;
  kafka::HeartbeatRequest request;
  request.group_id = kGroup;
  request.generation_id = self.generation;
  request.member_id = self.former_id;
  request.group_instance_id = self.instance;
  auto answer = co_await client.call(std::move(request));
  if (!answer) co_return Step::kBroken;
  if (answer->error == kafka::KafkaError::kNone) {
    workload.judge.fail(self.name + ": a static member's former id is still accepted");
  }
  co_return Step::kOn;
}

Task<Step> leave(kafka::Client& client, Self& self) {
  kafka::LeaveGroupRequest request;
  request.group_id = kGroup;
  request.members.push_back({self.id, self.instance, std::nullopt});
  auto answer = co_await client.call(std::move(request));
  self.id.clear();
  co_return answer ? Step::kAgain : Step::kBroken;
}

// What is done now and then besides.
Task<Step> misbehave(runtime::Runtime& runtime, Workload& workload, kafka::Client& client, Self& self) {
  runtime::Random& random = runtime.random();
  if (workload.stopping) co_return Step::kOn;
  if (self.generation > 1 && !self.owned.empty() && random.chance(1, 12)) {
    // A request of a generation that is over comes late.
    const Step late = co_await commit(workload, client, self, self.owned.begin()->first, self.generation - 1);
    if (late == Step::kBroken) co_return late;
  }
  if (random.chance(1, 12)) {
    const Step probed = co_await probe_former(workload, client, self);
    if (probed == Step::kBroken) co_return probed;
  }
  if (random.chance(1, 60)) co_return co_await leave(client, self);
  if (random.chance(1, 80)) {
    // Longer than its session; the others go on without it.
    co_await runtime::sleep(runtime, 12s);
    if (!self.owned.empty())
      co_return co_await commit(workload, client, self, self.owned.begin()->first, self.generation);
  }
  co_return Step::kOn;
}

// A leader that finds more partitions joins anew, and assigns them.
Task<Step> look_for_partitions(Workload& workload, kafka::Client& client, Self& self) {
  const auto topic = co_await ask_for_topic(workload, client, kTopic);
  if (!topic) co_return client.closed() ? Step::kBroken : Step::kOn;
  const auto found = static_cast<std::int32_t>(topic->partitions.size());
  const bool more = found > std::exchange(self.partitions, found);
  co_return more&& self.leads ? Step::kAgain : Step::kOn;
}

Task<Step> round(runtime::Runtime& runtime, Workload& workload, kafka::Client& client, Self& self) {
  const bool last_round = workload.stopping && workload.producing == 0;
  std::vector<std::int32_t> partitions;
  for (const auto& [partition, mine] : self.owned) partitions.push_back(partition);
  for (const std::int32_t partition : partitions) {
    const Step done = co_await read(runtime, workload, client, self, partition, last_round);
    if (done != Step::kOn) co_return done;
    const Self::Read& mine = self.owned[partition];
    if (mine.next > mine.committed && (last_round || runtime.random().chance(2, 3))) {
      const Step committed = co_await commit(workload, client, self, partition, self.generation);
      if (committed != Step::kOn) co_return committed;
    }
    if (last_round && mine.at_end && mine.committed == mine.next)
      workload.group.finished[partition] = mine.next;
  }
  const Step wrong = co_await misbehave(runtime, workload, client, self);
  if (wrong != Step::kOn) co_return wrong;
  if (last_round || runtime.random().chance(1, 10)) {
    const Step looked = co_await look_for_partitions(workload, client, self);
    if (looked != Step::kOn) co_return looked;
  }
  const Step alive = co_await heartbeat(workload, client, self);
  if (alive != Step::kOn) co_return alive;
  const std::int64_t wait_ms = workload.busy() ? 100 : last_round ? 20 : self.owned.empty() ? 3000 : 1500;
  co_await runtime::sleep(runtime, short_pause(runtime, wait_ms));
  co_return Step::kOn;
}

Task<void> take_part(runtime::Runtime& runtime, Workload& workload, kafka::Client& client, Self& self) {
  const runtime::Instant until =
      runtime.now() + std::chrono::milliseconds(runtime.random().between(1'000, 60'000));
  while (!client.closed() && !all_read(workload) && (runtime.now() < until || workload.stopping)) {
    Step step = co_await join(runtime, workload, client, self);
    while (step == Step::kOn && !all_read(workload) && (runtime.now() < until || workload.stopping)) {
      step = co_await round(runtime, workload, client, self);
    }
    if (step == Step::kBroken) co_return;
  }
}

}  // namespace

Task<void> run_group_member(runtime::Runtime& runtime, Workload& workload, std::string name,
                            std::optional<std::string> instance_id) {
  workload.running.insert(name);
  Self self{.name = name, .instance = std::move(instance_id), .id = {}, .former_id = {}, .owned = {}};
  while (!all_read(workload)) {
    kafka::ClientOptions options = kafka_options(workload);
    options.client_id = name;
    auto client = co_await kafka::Client::connect(runtime, workload.kafka, std::move(options));
    if (!client) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    (void)co_await look_for_partitions(workload, **client, self);
    co_await take_part(runtime, workload, **client, self);
    if (all_read(workload) && !(*client)->closed() && !self.id.empty()) (void)co_await leave(**client, self);
    (*client)->close();
    if (all_read(workload)) break;
    // Another process in its place, which knows nothing of it.
    if (runtime.random().chance(1, 2)) {
      self.former_id = std::exchange(self.id, {});
      self.generation = -1;
    }
    co_await runtime::sleep(runtime, short_pause(runtime, runtime.random().chance(1, 4) ? 15'000 : 500));
    if (runtime.random().chance(1, 4)) co_await wait_while_quiet(runtime, workload);
  }
  workload.running.erase(name);
}

}  // namespace stele::sim
