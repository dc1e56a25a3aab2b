// The clients of scenario `node`: coroutines on client hosts that speak the real protocols through the real
// codecs, note in the ledger what they did and saw, and go on whatever happens to their connections.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "model/record_batch.h"
#include "model/record_batch_builder.h"
#include "protocols/kafka/client.h"
#include "runtime/dial.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "sim/knobs.h"
#include "sim/workloads/group_ledger.h"
#include "sim/workloads/judge.h"
#include "sim/workloads/ledger.h"
#include "sim/workloads/mqtt_peer.h"
#include "sim/workloads/will_ledger.h"

namespace stele::sim {

struct Contention;

// What the clients share. Lives as long as they do.
struct Workload {
  Judge& judge;
  Ledger& ledger;
  MqttPeer::Address mqtt;
  runtime::Endpoint kafka;
  std::vector<runtime::Endpoint> other_kafkas = {};  // more brokers of the cluster
  runtime::Dial kafka_dial = {};                     // none: the network
  // To its listener with TLS, with the certificate of `certified`, and with one of nobody.
  runtime::Dial dial_certified = {}, dial_uncertified = {};
  runtime::Endpoint http;
  // With users: the super user that all but those of run_denied log in as.
  std::optional<MqttPeer::Login> login;
  bool neighbour = false;                                        // with users: one of another tenant, too
  std::map<std::string, std::uint64_t, std::less<>> shown = {};  // of showings(): how often
  std::uint64_t denials = 0;                                     // that run_denied has met
  std::uint64_t newcomers = 0;    // subscriptions and topics of run_newcomer that were confirmed
  bool little_output = false;     // what waits for an MQTT client may be more than its output holds
  bool loaded = false;            // an episode of load is on
  std::uint64_t send_until = 0;   // so many messages in all before the next episode
  bool stopping = false;          // no new work; finish what is under way
  std::uint32_t producing = 0;    // clients that may still send something
  std::set<std::string> running;  // clients that are not done, by name
  std::set<std::string> clients;  // that were started, by kind and number (client_kinds.h)
  // Publishers whose messages go to a Kafka topic by capture, and who produce to it.
  std::set<std::uint32_t> mqtt_publishers, kafka_producers;
  // What a producer was told: (topic, partition, offset) → message.
  std::map<std::tuple<std::string, std::int32_t, std::int64_t>, MessageId> produced;
  // Messages sent with QoS 2: each comes exactly once to whoever asked for QoS 2, and into each topic.
  std::set<MessageId> exactly_once;
  std::set<MessageId> refused_exactly_once;  // and those of them that nobody may ever see
  // What a shadow of the system knows. Without one these are empty, and what is held against them is not
  // checked (docs/testing.md lists it).
  //
  // Whether the committed state of that client's session has a queued message with that packet identifier.
  std::function<bool(const std::string&, std::uint16_t)> is_numbered;
  // Where the committed records of a partition end.
  std::function<std::int64_t(const std::string& topic, std::int32_t partition)> end_of;
  // How many partitions somebody was told that a topic has: it never has fewer again.
  std::map<std::string, std::int32_t> partitions = {{"orders.eu", 2}, {"sensors", 3}};
  // What readers saw there; every later reader must see the same.
  std::map<std::tuple<std::string, std::int32_t, std::int64_t>, std::string> records;
  // Where readers saw messages of idempotent producers.
  std::map<MessageId, std::tuple<std::string, std::int32_t, std::int64_t>> places;
  // What was sent before the second topic was there, which captures what `sensors` does; none: there is none.
  std::optional<MessageSet> second_topic = std::nullopt;
  const Knobs* knobs = nullptr;      // of the run, where clients are about them
  Contention* contention = nullptr;  // what those of contenders.h share
  GroupLedger group{judge};
  WillLedger wills{judge};
  // Whether the committed state has a will with that payload.
  std::function<bool(const std::string&)> has_will;
  // Whether that client's session has that subscription, likewise.
  std::function<bool(const std::string& client_id, const std::string& filter)> is_subscribed;
  // The shared subscription `$share/crew/sensors/#`.
  struct Crew {
    bool exists = false;            // from its first SUBACK on
    MessageSet sent_before;         // need not come
    bool exactly_once = false;      // some of its members have QoS 2
    std::map<MessageId, Time> had;  // received with QoS 2, and when: on no later connection of anybody
  };
  Crew crew;
  // Retained messages: per address the highest sequence sent and acknowledged.
  std::map<std::uint32_t, std::uint64_t> retained_sent, retained_acknowledged;

  // When a shard last refused something new, for want of room or as its log waits for the meta service. A
  // message may be refused while a later one of the same connection is taken, and the answer that says so may
  // be lost.
  std::function<Time()> refused_at = [] { return Time::min(); };
  // Likewise a process whose disk fails: one shard may be lost, and another take what is sent later with
  // another QoS. The processes that there were, and whether this is one.
  std::vector<std::pair<Time, Time>> disk_failed;
  std::function<bool()> disk_fails;
  bool may_be_refused_since(Time when) const {
    const auto within = [&](const auto& span) { return span.first <= judge.now() && when <= span.second; };
    return refused_at() >= when || disk_fails() || std::ranges::any_of(disk_failed, within);
  }

  // Clients send; otherwise they wait, look around rarely, and cost nothing.
  bool busy() const { return loaded && !stopping && ledger.sent_count() < send_until; }
};

// Between a tenth of a millisecond and so many.
runtime::Duration short_pause(runtime::Runtime& runtime, std::int64_t max_ms);
// Until there is something to do.
runtime::Task<void> wait_while_quiet(runtime::Runtime& runtime, Workload& workload);

// Makes what is to be there before the load begins; `ready` ends it, wherever it is.
runtime::Task<void> prepare(runtime::Runtime& runtime, Workload& workload, bool& ready);

// MQTT QoS 1 into captured addresses `sensors/P/A`; unacknowledged ones are sent again, in order.
runtime::Task<void> run_mqtt_publisher(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher,
                                       std::uint32_t window);
// A persistent session on `sensors/#` that comes and goes; at the end it stays until it has everything.
runtime::Task<void> run_persistent_subscriber(runtime::Runtime& runtime, Workload& workload,
                                              std::string client_id);
// A live subscriber of both buses; misses what comes while it is away.
runtime::Task<void> run_live_subscriber(runtime::Runtime& runtime, Workload& workload, std::string client_id);
// Likewise with QoS 2, some of them among QoS 0 and 1, out of a session that is kept, with a handful of
// packet identifiers.
runtime::Task<void> run_exactly_once_publisher(runtime::Runtime& runtime, Workload& workload,
                                               std::uint32_t publisher, bool mixed);
// A persistent session with QoS 2 that remembers packet identifiers as a client must.
runtime::Task<void> run_exactly_once_subscriber(runtime::Runtime& runtime, Workload& workload,
                                                std::string client_id);
// Likewise a publisher with all QoS and a subscriber with QoS 1, with sessions that are kept: libmosquitto.
runtime::Task<void> run_mosquitto_publisher(runtime::Runtime& runtime, Workload& workload,
                                            std::uint32_t publisher, bool v5);
runtime::Task<void> run_mosquitto_subscriber(runtime::Runtime& runtime, Workload& workload,
                                             std::string client_id, bool v5);
// A member of the shared subscription. The steady one is there until the end, and then until the group has
// everything; the unsteady one leaves it, or begins a new session; brief ones have no session to come back
// to.
enum class CrewMember { kSteady, kUnsteady, kBrief };
runtime::Task<void> run_shared_member(runtime::Runtime& runtime, Workload& workload, std::string client_id,
                                      CrewMember kind);
// What the group must have received in the end.
std::set<MessageId> wanted_by_crew(const Workload& workload);
// Asks for a topic that grows, and notes how many partitions it has. Null: there is no answer.
runtime::Task<std::optional<kafka::MetadataResponse::Topic>> ask_for_topic(Workload& workload,
                                                                           kafka::Client& client,
                                                                           std::string topic);
// One record a message, with padding behind its name.
Bytes batch_of(const std::vector<MessageId>& ids, std::int64_t now_ms, Compression compression,
               std::size_t padding, RecordBatchOptions options = {});
// Batches into topic `orders.eu`, over the partitions that it finds there, each until it is acknowledged.
runtime::Task<void> run_kafka_producer(runtime::Runtime& runtime, Workload& workload,
                                       std::uint32_t publisher);
// One place in group `workers`, which reads topic `orders.eu`: a member that comes and goes, falls silent,
// and commits what it has read. With an instance id it is a static member. At the end the group has read all.
runtime::Task<void> run_group_member(runtime::Runtime& runtime, Workload& workload, std::string name,
                                     std::optional<std::string> instance_id);
// Notes one record that a reader saw; all readers must see the same at one offset. What is captured is in the
// partitions that its topic was made with.
bool note_record(Workload& workload, const std::string& topic, std::int32_t partition,
                 const RecordView& record, const std::string& who);
// Reads all partitions of a topic over and over, from the start or from where it was, one by one or in a
// fetch session. What it has read must stay, whoever leads.
runtime::Task<void> run_kafka_consumer(runtime::Runtime& runtime, Workload& workload, std::string topic,
                                       std::string name);
// Sessions that are away for longer than their queues last (overrun_clients.cc).
runtime::Task<void> run_overrun(runtime::Runtime& runtime, Workload& workload);
// Reads, acknowledges and subscribes too slowly for what it is sent (slow_clients.cc).
runtime::Task<void> run_slow(runtime::Runtime& runtime, Workload& workload);
// Producers and offsets that are forgotten (forgotten_clients.cc).
runtime::Task<void> run_forgotten(runtime::Runtime& runtime, Workload& workload);
// Goes on sending over its old connection while it opens another one (impatient_clients.cc).
runtime::Task<void> run_impatient(runtime::Runtime& runtime, Workload& workload);
// Says what is no HTTP, no WebSocket and no handshake (nonsense_clients.cc).
runtime::Task<void> run_nonsense(runtime::Runtime& runtime, Workload& workload);
// Guesses passwords; and a user who is made and deleted, is allowed something and then no more
// (stranger_clients.cc).
runtime::Task<void> run_guesser(runtime::Runtime& runtime, Workload& workload);
runtime::Task<void> run_passing(runtime::Runtime& runtime, Workload& workload);
// Wants more sessions, subscriptions and wills than there may be (crowd_clients.cc).
runtime::Task<void> run_crowd(runtime::Runtime& runtime, Workload& workload);
// Wants more members, offsets and commands at once than there is room for, and what is not its turn
// (hoarder_clients.cc).
runtime::Task<void> run_hoarder(runtime::Runtime& runtime, Workload& workload);
// Makes another topic that captures what `sensors` does, with other keys, and reads it like
// run_kafka_consumer().
inline constexpr const char* kSecondTopic = "sensors.too";
inline constexpr std::int32_t kSecondPartitions = 2;
runtime::Task<void> run_second_topic(runtime::Runtime& runtime, Workload& workload);
// Sets `state/A`, again and again, and looks what a fresh subscriber is given. From kFirstInSession on with
// several messages under way, of different QoS: these take different ways, all the more where topic `states`
// captures the address, always or now and then.
inline constexpr std::uint32_t kRetainedAddresses = 5, kFirstInSession = 2, kCapturedState = 3,
                               kSometimesCapturedState = 4;
runtime::Task<void> run_retained(runtime::Runtime& runtime, Workload& workload, std::uint32_t address);
// What a fresh subscriber is given now must be what was acknowledged last, or sent since; and committed.
runtime::Task<void> look_at_retained(runtime::Runtime& runtime, Workload& workload, std::uint32_t address);
// What topic `states` captures.
std::string captured_states(bool sometimes_too);
// Asks for ends of partitions, offsets of the group and retained messages at any time, most of all while they
// are being written: what it is told must be committed by then.
runtime::Task<void> run_asker(runtime::Runtime& runtime, Workload& workload);
// Makes, changes and deletes topics, deletes records, and asks topics that lose records for their offsets.
// What it was told of a change must be seen ever after.
runtime::Task<void> run_admin(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher);

// Clients with wills that go in every way, and the session that is kept and sees what came of each; until the
// end there are as many as there should be.
inline constexpr std::uint64_t kWillsThatCome = 20, kWillsKeptAway = 5;  // at least; so many must not come
runtime::Task<void> run_will_client(runtime::Runtime& runtime, Workload& workload, std::uint32_t number);
runtime::Task<void> run_will_watcher(runtime::Runtime& runtime, Workload& workload);
// Clients with wills, messages that expire and sessions that do.
runtime::Task<void> run_timed(runtime::Runtime& runtime, Workload& workload);

// Subscribes where nobody has before, and makes topics, and has something sent there at once by another
// connection: it must be routed.
runtime::Task<void> run_newcomer(runtime::Runtime& runtime, Workload& workload, std::uint32_t number);

// The options of a Kafka client that logs in, if there are users.
kafka::ClientOptions kafka_options(const Workload& workload);

// The value of `Authorization` for that user.
std::string basic(const MqttPeer::Login& login);
// POSTs each body to its path, as the super user: what is there already is fine. False: try again.
runtime::Task<bool> make_over_http(runtime::Runtime& runtime, Workload& workload,
                                   std::vector<std::pair<std::string, std::string>> all);

// A user who may write one topic and nothing else, whose name and password are right, mostly: whatever it
// tries in any protocol must be refused, also what it tries by way of that topic, and nothing of it may ever
// be seen. Its messages bear this publisher's number.
inline constexpr std::uint32_t kDeniedPublisher = 900;
runtime::Task<void> run_denied(runtime::Runtime& runtime, Workload& workload);
// Makes that user and its topic. False: try again.
runtime::Task<bool> make_denied_user(runtime::Runtime& runtime, Workload& workload);

// The user of another tenant, who does everything under names that are also used in `default`. Neither ever
// sees anything of the other: only receivers that are named so see messages of this publisher, and no others.
inline constexpr std::uint32_t kNeighbourPublisher = 901;
inline constexpr const char* kNeighbourReceivers = "the neighbour";
inline constexpr const char* kNeighbourReader = "the neighbour's reader";
inline constexpr std::uint64_t kNeighbourMessages = 30;  // at least, at the end if not before
runtime::Task<void> run_neighbour(runtime::Runtime& runtime, Workload& workload);
// Makes the tenant, that user and its topic. False: try again.
runtime::Task<bool> make_neighbour(runtime::Runtime& runtime, Workload& workload);

}  // namespace stele::sim
