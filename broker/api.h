// What protocols see of the broker. One Broker per core; everything here is called on that core, and every
// callback comes on it, never from within the call that caused it unless said so.
//
// Hot paths (publish, settle, deliver) are synchronous and call back; the rest are tasks. Every action is
// asked of the one Authorizer inside the broker, so a protocol cannot forget to.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/access.h"
#include "broker/administration.h"
#include "broker/group.h"
#include "broker/group_options.h"
#include "broker/subscription.h"
#include "meta/types.h"
#include "model/ids.h"
#include "model/message.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::broker {

// ---- publishing ----------------------------------------------------------------------------------------

struct PublishResult {
  const Error* error = nullptr;  // null: accepted, and if it had to be kept, committed
  bool matched = true;           // somebody wanted it, now or later
  // With an error: it may be kept all the same, now or later. The caller ends the connection, and publishes
  // nothing more on it: a later message could come before this one.
  bool unknown = false;
};

class Session;

// The publishing side of one connection: keeps order per address, knows what is in flight. Owned by the
// connection; destroying it gives up the answers, but no message that was to be answered by then.
class Publisher {
 public:
  class Listener {
   public:
    // May come from within publish(): nothing to wait for. Answers of one publisher come in the order of
    // publishing.
    virtual void on_published(std::uint32_t token, const PublishResult& result) = 0;
    // After publish() gave false.
    virtual void on_publisher_ready() = 0;

   protected:
    ~Listener() = default;
  };
  virtual ~Publisher() = default;

  // Publishes a message whose views lie in `owner` (or anywhere, if `owner` is empty; then they are copied if
  // they must outlive the call). The address is valid and checked. With `answer`, on_published follows.
  // False: taken, but take no more before on_publisher_ready (the caller pauses its socket).
  //
  // QoS 2 is kept exactly once for a session that outlives its connection (join): `token` is then the packet
  // identifier, and what bears one that is not completed (Session::complete) is answered as the first was.
  virtual bool publish(const MessageView& message, const Bytes& owner, std::uint32_t token, bool answer) = 0;
  // Whose messages these are; before the first of them. The session outlives the publisher.
  virtual void join(const Session& session) = 0;
  // Messages whose answer is still to come.
  virtual std::size_t in_flight() const = 0;
};

// ---- subscribing ---------------------------------------------------------------------------------------

// Names one message that is kept until it is settled; zero for live copies, which nobody keeps.
struct SettleToken {
  Lsn lsn;
  std::uint32_t index = 0;      // of the record within the entry
  bool durable = false;         // it is in the log, and the window is minded by whoever sent it
  std::uint16_t packet_id = 0;  // in a persistent session's queue, with QoS 2: the one to be used, no smaller
                                // than kFirstLoggedId
  // Of a shared subscription, else 0. It goes to another member if it is not settled before the session ends.
  std::uint32_t share = 0;
  ShardId home{};  // with share and durable: of the subscription
  bool kept() const { return durable || share != 0; }
  // Its QoS 2 exchange outlives the connection.
  bool of_session() const { return durable && share == 0; }
};
// Of persistent sessions; below it is the connection's own.
inline constexpr std::uint16_t kFirstLoggedId = 0x8000;

struct Delivery {
  const MessageView& message;
  const Bytes& owner;    // what message.payload lies in, if not empty: owner.slice(message.payload) shares it
  std::uint8_t qos = 0;  // min(published, granted)
  bool retain = false;   // as the subscriber is to see it
  bool redelivered = false;  // sent before, perhaps: DUP
  SettleToken token;
  std::span<const std::uint32_t> subscription_ids;
  // Not 0: the same message goes to other clients of the core, next to each other, under this number, which
  // no other message has: what was encoded for one may serve the next.
  std::uint64_t serial = 0;
};

struct SubscribeAnswer {
  // QoS, per request, which may be less than what was asked for; kUnauthorized, kNoSpace (a limit), …
  std::vector<Result<std::uint8_t>> granted;
};

struct WillMessage {
  MessageView message;                             // without expires_at_ms:
  std::optional<std::uint32_t> expiry_interval_s;  // counts from its publication
  std::uint32_t delay_s = 0;
};

struct SessionOptions {
  Principal principal;
  std::string client_id;  // not empty: the protocol assigns one (Broker::new_client_id)
  bool clean_start = true;
  std::uint32_t expiry_s = 0;             // 0: ends with the connection; UINT32_MAX: never
  std::uint32_t receive_maximum = 65535;  // messages with QoS > 0 in flight to the client
  std::optional<WillMessage> will;        // copied before open_session completes
};

class SessionHandler {
 public:
  // One message for the client. Views are valid during the call only. Comes from within turns of this core,
  // never from within a call of Session.
  virtual void on_message(const Delivery& delivery) = 0;
  // Whether a message with that QoS would be sent at once: shared subscriptions ask, and retained messages.
  virtual bool has_room(std::uint8_t) const { return true; }
  // It had none: Session::go_on() is to be called once when it may have some.
  virtual void call_when_room() {}
  // The client's release of a QoS 2 message (Session::complete) is committed. `known`: there was one to be
  // released.
  virtual void on_completed(std::uint16_t packet_id, bool known) = 0;
  // To be released by the client now (PUBREL): Session::accept is committed, or was on an earlier connection.
  virtual void on_release(std::uint16_t packet_id) = 0;
  // Another CONNECT with this client id: close the connection (reason "session taken over"), then destroy the
  // Session. The new one waits for that.
  virtual void on_taken_over() = 0;
  // The session's shard is gone (lost log, shutdown): close the connection; the client comes back.
  virtual void on_session_lost(const Error& why) = 0;

 protected:
  ~SessionHandler() = default;
};

enum class EndOfSession { kNormal, kWithWill };

// A client's session while it is connected. Owned by the connection; destroying it without end() is an
// ungraceful end: the will is published, if start() was called.
class Session {
 public:
  virtual ~Session() = default;
  virtual bool present() const = 0;  // was there before this CONNECT

  // Deliveries of persistent messages begin, and the will counts; called once CONNACK is out.
  virtual void start() = 0;

  // One at a time. Completes when the subscriptions are routed on every core: each publish accepted from now
  // on reaches them. Retained messages that a session which outlives its connection gets with QoS > 0 are in
  // its queue by then, and committed.
  //
  // Live copies may be held back from the call on: send SUBACK, then call give_retained(). It gives, a page
  // at a time, the retained messages that are in no queue, then what was held; if that is much, it comes
  // between. Where the handler has no room they wait for go_on(). It is complete when all are given, or have
  // to wait. No retained message comes behind a newer one of its address. They end with an unsubscribe of
  // their filter, and with the session.
  virtual runtime::Task<SubscribeAnswer> subscribe(std::vector<SubscribeRequest> requests) = 0;
  virtual runtime::Task<void> give_retained() = 0;
  // The client is gone: what is under way of them ends as soon as it can.
  virtual void give_up() {}
  // SessionHandler::call_when_room() asked for it. Messages may come from within this call.
  virtual void go_on() = 0;
  // Whether each was there. One at a time with subscribe.
  virtual runtime::Task<Result<std::vector<bool>>> unsubscribe(std::vector<std::string> filters) = 0;

  // The client has acknowledged it, or will not have it. Only for tokens that are kept(). Of a live copy with
  // QoS 2 and a share: PUBLISH is sent, and nobody else may have it [MQTT-4.8.2-5].
  virtual void settle(SettleToken token) = 0;
  // Of QoS 2, with a token of_session(): the client has the message (PUBREC); SessionHandler::on_release
  // follows. Then it has let go of the packet identifier (PUBCOMP).
  virtual void accept(SettleToken token) = 0;
  virtual void released(std::uint16_t packet_id) = 0;
  // QoS 2 from the client of a session that outlives its connection: its PUBREL. on_completed follows.
  virtual void complete(std::uint16_t packet_id) = 0;
  // Whether it outlives its connection.
  virtual bool durable() const = 0;

  // DISCONNECT: `expiry_s` replaces the session's if given. Afterwards the Session may be destroyed at once.
  virtual void end(EndOfSession how, std::optional<std::uint32_t> expiry_s) = 0;
  // The same, kNormal, for a client with a will. Complete when that can never be published any more, or if
  // nobody can say so. The session must not be destroyed before.
  virtual runtime::Task<void> leave(std::optional<std::uint32_t> expiry_s) = 0;
};

// ---- streams -------------------------------------------------------------------------------------------

struct ProduceOk {
  Offset base_offset;
  std::int64_t append_time_ms = -1;  // of LogAppendTime topics, else -1
  Offset log_start;
};

struct FetchRead {
  StreamId stream;
  Offset from;
  std::size_t max_bytes = 1 << 20;
};
struct FetchOk {
  Offset high_watermark;
  Offset log_start;
  std::vector<Bytes> batches;  // slices, to be sent one after the other; whole batches, the first may begin
                               // before `from`
  std::size_t bytes = 0;
};

struct OffsetAndTime {
  Offset offset{-1};
  std::int64_t timestamp_ms = -1;
  std::int32_t leader_epoch = -1;  // of the record there; -1: there is none
};
inline constexpr std::int64_t kLatestTimestamp = -1;
inline constexpr std::int64_t kEarliestTimestamp = -2;
inline constexpr std::int64_t kMaxTimestamp = -3;

// KIP-320: the latest ownership of a stream that is not after the one asked for, by the leader epoch of its
// batches, and where its records end. -1: not known.
struct EpochEnd {
  std::int32_t leader_epoch = -1;
  Offset end{-1};
};

struct StreamStatus {
  ShardId shard;
  Epoch epoch;
  Offset log_start;
  Offset high_watermark;
  std::uint64_t bytes = 0;
};

// What a topic made by first use gets, unless the node is told otherwise.
inline constexpr bool kDefaultAutoCreateTopics = true;
inline constexpr std::int32_t kDefaultPartitions = 1;
// An idempotent producer that has been silent for so long is forgotten.
inline constexpr runtime::Duration kDefaultProducerExpiry = std::chrono::hours(24);

// ---- the broker of one core ----------------------------------------------------------------------------

// What is to become of a topic's settings.
struct TopicChanges {
  std::vector<meta::ConfigChange> settings;
  bool reset_others =
      false;  // those that are not named get their defaults, but for what a topic has for life
  bool validate_only = false;
};

class Broker {
 public:
  virtual ~Broker() = default;

  virtual runtime::Runtime& runtime() = 0;
  virtual Authorizer& authorizer() = 0;
  virtual Authenticator& authenticator() = 0;
  // Users, rules, tenants.
  virtual Administration& administration() = 0;
  // Topics, tenants, cluster id: this core's copy, replaced as a whole when something changes.
  virtual std::shared_ptr<const meta::MetaView> meta() = 0;
  virtual NodeId node_id() const = 0;
  // For connections: refuses new ones while it stops.
  virtual bool stopping() const = 0;

  // `client_id`: whose subscriptions with no-local leave these messages out; empty: nobody's.
  virtual std::unique_ptr<Publisher> make_publisher(const Principal& who, std::string_view client_id,
                                                    Publisher::Listener& listener) = 0;

  // Takes over the client id, wherever it is connected, then opens the session. What it has of a will is
  // kept from then on. kUnauthorized (also who may not publish the will), kUnavailable, kNoSpace (a limit, or
  // the disk).
  virtual runtime::Task<Result<std::unique_ptr<Session>>> open_session(SessionOptions options,
                                                                       SessionHandler& handler) = 0;
  virtual std::string new_client_id() = 0;

  // An id that no producer of the cluster has had before (KIP-98). kUnauthorized, kUnavailable, kNoSpace,
  // kIo.
  virtual runtime::Task<Result<std::int64_t>> new_producer_id(Principal who) = 0;
  virtual runtime::Duration producer_expiry() const = 0;

  // A batch that check_produced_batch has passed. kUnauthorized, kNotFound (no such partition),
  // kInvalidArgument, kNoSpace, kUnavailable; of an idempotent producer also kOutOfOrder (its sequence number
  // is not the next) and kFenced (its epoch is an old one). `done` comes once it is committed; for a batch
  // that is there already, once that is.
  virtual void produce(const Principal& who, StreamId stream, Bytes batch,
                       std::move_only_function<void(Result<ProduceOk>)> done) = 0;

  // Reads committed records of several partitions, waiting until `min_bytes` are there in all, or `deadline`,
  // or any partition has an error. Answers in the order of the reads. kUnauthorized, kNotFound,
  // kInvalidArgument (offset out of range).
  virtual runtime::Task<std::vector<Result<FetchOk>>> fetch(Principal who, std::vector<FetchRead> reads,
                                                            std::size_t min_bytes, std::size_t max_bytes,
                                                            runtime::Instant deadline,
                                                            runtime::StopToken stop) = 0;
  // `timestamp_ms`: kLatestTimestamp, kEarliestTimestamp, kMaxTimestamp, or a time: the first record not
  // before it; offset -1 if there is none.
  virtual runtime::Task<Result<OffsetAndTime>> list_offset(Principal who, StreamId stream,
                                                           std::int64_t timestamp_ms) = 0;
  virtual runtime::Task<Result<StreamStatus>> stream_status(Principal who, StreamId stream) = 0;
  // In the order of `streams`.
  virtual runtime::Task<std::vector<Result<StreamStatus>>> stream_statuses(Principal who,
                                                                           std::vector<StreamId> streams) = 0;
  virtual runtime::Task<Result<EpochEnd>> epoch_end(Principal who, StreamId stream,
                                                    std::int32_t leader_epoch) = 0;
  // Records below each offset go, for good, once that is committed; Offset(-1): all that are committed.
  // Answers with where the stream begins then, in the order of `asked`. kUnauthorized, kNotFound,
  // kInvalidArgument (beyond the high watermark), kNoSpace, kUnavailable.
  virtual runtime::Task<std::vector<Result<Offset>>> delete_records(
      Principal who, std::vector<std::pair<StreamId, Offset>> asked) = 0;
  // Of the ownership that serves the shard, as far as this core has heard; 0: nobody has served it yet.
  virtual Epoch epoch_of(ShardId shard) const = 0;
  // The node that has it, as far as is known here; none: nobody at the moment.
  virtual std::optional<NodeId> owner_of(ShardId shard) const = 0;
  // Likewise, of the shard with the coordinator of that group.
  virtual std::optional<NodeId> coordinator_of(const Principal& who, const std::string& group) const = 0;

  // Complete when every core of the node knows the topic, or has forgotten it.
  virtual runtime::Task<Result<meta::Topic>> create_topic(Principal who, std::string name,
                                                          std::int32_t partitions, meta::TopicConfig config,
                                                          bool validate_only) = 0;
  virtual runtime::Task<Result<void>> delete_topic(Principal who, std::string name) = 0;
  // To `count` partitions in all; kInvalidArgument: not more than there are. What the topic captures stays in
  // those that it had (meta::CreatePartitions). Answers with the topic as it is then, or would be.
  // kUnauthorized, kNotFound, kNoSpace.
  virtual runtime::Task<Result<meta::Topic>> add_partitions(Principal who, std::string name,
                                                            std::int32_t count, bool validate_only) = 0;
  // All changes or none. kInvalidArgument: a setting that there is not or that stays as it is, a value that
  // does not fit. kUnauthorized: also who may not subscribe to what the changes would capture. kNotFound.
  virtual runtime::Task<Result<meta::Topic>> alter_topic(Principal who, std::string name,
                                                         TopicChanges changes) = 0;
  // ---- consumer groups (group.h): each is asked of the coordinator, in the group's home shard, and answered
  // once what it was decided on is committed. Joining and syncing wait for the other members; when `stop`
  // comes they are given up as kUnavailable.
  virtual runtime::Task<JoinedGroup> join_group(Principal who, JoinGroup request,
                                                runtime::StopToken stop) = 0;
  virtual runtime::Task<SyncedGroup> sync_group(Principal who, SyncGroup request,
                                                runtime::StopToken stop) = 0;
  virtual runtime::Task<GroupError> group_heartbeat(Principal who, GroupHeartbeat request) = 0;
  virtual runtime::Task<LeftGroup> leave_group(Principal who, LeaveGroup request) = 0;
  // Of every partition also kPartitionUnauthorized: its topic may not be read.
  virtual runtime::Task<OffsetsAnswer> commit_offsets(Principal who, CommitOffsets request) = 0;
  virtual runtime::Task<FetchedOffsets> fetch_offsets(Principal who, FetchOffsets request) = 0;
  virtual runtime::Task<OffsetsAnswer> delete_offsets(Principal who, DeleteOffsets request) = 0;
  virtual runtime::Task<GroupDescription> describe_group(Principal who, std::string group) = 0;
  virtual runtime::Task<GroupError> delete_group(Principal who, std::string group) = 0;
  // Those that the principal may describe, of all shards that serve; kUnavailable if one does not.
  virtual runtime::Task<Result<std::vector<ListedGroup>>> list_groups(Principal who) = 0;
  virtual const GroupOptions& group_options() const = 0;

  // What a topic made by first use gets (`auto.create.topics.enable`, `num.partitions`).
  virtual bool auto_create_topics() const = 0;
  virtual std::int32_t default_partitions() const = 0;
};

}  // namespace stele::broker
