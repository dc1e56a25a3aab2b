// Shard: the owner of one shard. Drives the pure state machine (shard_state.h) over the shard's log: decides,
// appends, applies at once, and reveals nothing before it is committed. What it knows of connected clients,
// of forwards under way and of waiting readers is volatile and begins empty with every ownership.
//
// Lives on its core. Everything that can wait holds the Shard by shared_ptr and looks at serving() when it
// goes on: a lost shard answers kUnavailable and is replaced by a new one (core.h).
//
// Parts: shard.cc (log, commit, time, snapshots), shard_data.cc (publishes and forwards), shard_sessions.cc
// (connected clients and their queues), shard_wills.cc (their wills), shard_shares.cc (shared subscriptions),
// shard_qos2.cc (packet identifiers that outlive a connection), shard_retained.cc (retained messages for new
// subscriptions), shard_streams.cc (reading), shard_groups.cc
// (consumer groups).
#pragma once

#include <absl/container/flat_hash_set.h>

#include <coroutine>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/buggify.h"
#include "base/fifo.h"
#include "base/intrusive_list.h"
#include "broker/api.h"
#include "broker/control.h"
#include "broker/core.h"
#include "broker/decide.h"
#include "broker/group_coordinator.h"
#include "broker/mail.h"
#include "broker/owner_clock.h"
#include "broker/resume_points.h"
#include "broker/retained.h"
#include "broker/retained_notes.h"
#include "broker/session.h"
#include "broker/shard_state.h"
#include "broker/share_group.h"
#include "journal/shard_log.h"
#include "journal/snapshot_segment.h"
#include "runtime/notification.h"
#include "runtime/scope.h"

namespace stele::broker {

// What a shard says that is not there (yet).
Error starting(ShardId shard);

using SessionInterest = std::pair<TenantId, std::string>;

class Shard final : public std::enable_shared_from_this<Shard>,
                    private journal::ShardLog::Listener,
                    private runtime::TurnEndHook,
                    private runtime::Timer,
                    private GroupCoordinator::Host {
 public:
  // Loads the snapshot and replays the log.
  static runtime::Task<Result<std::shared_ptr<Shard>>> start(Core& core, ShardId id,
                                                             std::unique_ptr<journal::ShardLog> log);
  ~Shard();

  // Replayed; from here on it takes work.
  void serve();
  bool serving() const { return serving_ && !leaving_; }
  // It still hears what its forwards have come to.
  bool owned() const { return serving_; }
  ShardId id() const { return id_; }
  const ShardState& state() const { return state_; }
  const journal::ShardLog& log() const { return *log_; }
  std::vector<SessionInterest> interests() const;
  // Shared subscriptions that have a queue here: tenant and `$share/NAME/FILTER`.
  std::vector<SessionInterest> kept_shares() const;

  // Retention, expiry, wills, forward progress, snapshots, trimming.
  void tick();
  // The node stops: if anybody waits for an answer, here or of a shard that this one forwards to, that is
  // over, as if the log were lost.
  void give_up();
  // What a start would replay, in bytes of the log; and whether a snapshot would save more than it costs.
  std::uint64_t replay_bytes() const { return log_bytes_; }
  bool worth_a_snapshot() const { return serving_ && !snapshotting_ && log_bytes_ >= snapshot_size_; }
  void start_snapshot();
  // A new view of the metadata: streams are made, changed and deleted.
  void on_view();
  // Gives up what is under way, which would otherwise keep the Shard. The caller holds it.
  void abandon() { scope_.reset(); }
  // Writes a snapshot if there is something new, so that the next start is quick.
  runtime::Task<void> stop();
  // Another node owns it by now: nothing of it commits any more.
  void end_ownership(const Error& why);
  // Another node is to own it: writes a snapshot while it still serves, then takes no more, and ends once
  // what is under way is committed, and has arrived where it is forwarded to, if that does not take long.
  // Whoever is connected is told that the session is lost here.
  runtime::Task<void> leave();
  static constexpr runtime::Duration kForwardsMayTake = std::chrono::seconds(1);  // of leave()

  // Entries that other shards want and have not said to have taken.
  std::size_t forwards_unanswered() const;

  // ---- data
  void accept(DataMail&& mail);
  void accept(ForwardMail&& mail);
  void accept(ForwardAnswerMail&& mail);

  // ---- sessions; `there` is the core of the shard
  static runtime::Task<Result<SessionOpened>> open_session(Core& there, ShardId shard, SessionOptions options,
                                                           std::optional<WillContent> will, CoreId from,
                                                           std::uint64_t attachment);
  static runtime::Task<Result<void>> subscribe(Core& there, ShardId shard, std::uint64_t attachment,
                                               std::vector<SubscribeRequest> requests);
  static runtime::Task<Result<void>> unsubscribe(Core& there, ShardId shard, std::uint64_t attachment,
                                                 std::vector<std::string> filters);
  // Retained messages for a subscription of a persistent session: they are in its queue, and committed, when
  // it is complete. subscribe() began to note what else is queued, and finish_retained() ends that.
  static runtime::Task<Result<void>> queue_retained(Core& there, ShardId shard, std::uint64_t attachment,
                                                    std::vector<RetainedMessage> messages,
                                                    SubscribeRequest request);
  void finish_retained(std::uint64_t attachment);
  // Of these, which live on that core, in ascending order.
  static runtime::Task<Result<RetainedPage>> retained(Core& there, RetainedAsk ask,
                                                      std::vector<ShardId> shards);
  static void end_session(Core& there, ShardId shard, TenantId tenant, const std::string& client_id,
                          std::uint64_t attachment, const SessionEnd& ending);
  // Complete once that is committed; false: nobody knows.
  static runtime::Task<bool> end_session_for_good(Core& there, ShardId shard, TenantId tenant,
                                                  std::string client_id, std::uint64_t attachment,
                                                  SessionEnd ending);
  void start_delivery(std::uint64_t attachment);
  void settle(std::uint64_t attachment, SettleToken token);
  // QoS 2: PUBREC and PUBCOMP of the client, and PUBREL of its own messages.
  void accept(std::uint64_t attachment, SettleToken token);
  void release(std::uint64_t attachment, std::uint16_t packet_id);
  void complete(std::uint64_t attachment, std::uint16_t packet_id);
  std::size_t connected() const { return by_attachment_.size(); }

  // ---- shared subscriptions; the shard is the subscription's. Complete when every publish accepted from now
  // on reaches a member.
  static runtime::Task<Result<void>> join_share(Core& there, ShardId shard, ShareJoin join);
  // A member that has unsubscribed.
  static runtime::Task<Result<void>> leave_share(Core& there, ShardId shard, ShareMemberName member,
                                                 std::uint64_t attachment);
  void start_share(const ShareMemberName& member, std::uint64_t attachment);
  // Its connection has ended.
  void leave_share(const ShareMemberName& member, std::uint64_t attachment);
  void settle_shared(std::uint64_t attachment, SettleToken token);
  // Of sessions whose shards are on this core: whether each has that subscription. Yes if it is not known.
  static runtime::Task<std::vector<bool>> are_members(Core& there, std::vector<ShareMemberName> members);
  std::size_t shares() const { return shares_.size(); }

  // ---- streams
  static runtime::Task<Result<FetchOk>> read_stream(Core& there, ShardId shard, FetchRead read);
  static runtime::Task<Result<OffsetAndTime>> list_offset(Core& there, ShardId shard, StreamId stream,
                                                          std::int64_t timestamp_ms);
  static runtime::Task<Result<StreamStatus>> stream_status(Core& there, ShardId shard, StreamId stream);
  // Moves the stream's start, and gives it. That holds once kept() says so.
  Result<Offset> delete_records(StreamId stream, Offset before);
  // What is appended by now, for those who wait until it is committed. kUnavailable: the shard was lost,
  // or its log waits for the meta service; kNoSpace: the disk is full.
  struct Kept {
    std::shared_ptr<Shard> shard;
    Lsn end;
  };
  Kept all() { return {shared_from_this(), state_.next()}; }
  static runtime::Task<Result<void>> kept(Kept what);
  static runtime::Task<Result<EpochEnd>> epoch_end(Core& there, ShardId shard, StreamId stream,
                                                   std::int32_t leader_epoch);

  // Tells `core` once, by Core::wake_fetch(wait), when the stream has committed records above `beyond`, or
  // the shard is lost.
  void add_reader(StreamId stream, Offset beyond, CoreId core, std::uint64_t wait);
  void remove_reader(StreamId stream, CoreId core, std::uint64_t wait);

  // ---- groups; `done` is called on this core, when what was decided on is committed
  template <class Answer>
  using Done = GroupCoordinator::Done<Answer>;
  void join_group(TenantId tenant, JoinGroup request, Done<JoinedGroup> done);
  void sync_group(TenantId tenant, SyncGroup request, Done<SyncedGroup> done);
  void group_heartbeat(TenantId tenant, const GroupHeartbeat& request, Done<GroupError> done);
  void leave_group(TenantId tenant, const LeaveGroup& request, Done<LeftGroup> done);
  void commit_offsets(TenantId tenant, CommitOffsets request, Done<OffsetsAnswer> done);
  void fetch_offsets(TenantId tenant, const FetchOffsets& request, Done<FetchedOffsets> done);
  void delete_offsets(TenantId tenant, const DeleteOffsets& request, Done<OffsetsAnswer> done);
  void describe_group(TenantId tenant, const std::string& group, Done<GroupDescription> done);
  void delete_group(TenantId tenant, const std::string& group, Done<GroupError> done);
  static runtime::Task<Result<std::vector<ListedGroup>>> list_groups(Core& there, TenantId tenant);

 private:
  Shard(Core& core, ShardId id, std::unique_ptr<journal::ShardLog> log);

  // ---- shard.cc
  // co_await committed(end): true once everything below `end` is committed, false if the shard is lost, when
  // nothing of it may be touched any more, or if the disk is full and stays so (see not_committed()).
  struct Committed : ListNode<> {
    Shard& shard;
    Lsn end;
    bool fine = true;
    std::coroutine_handle<> waiter;
    Committed(Shard& s, Lsn e) : shard(s), end(e) {}
    bool await_ready() {
      fine = shard.serving_;
      return !fine || shard.log_->committed() >= end;
    }
    void await_suspend(std::coroutine_handle<> handle) {
      waiter = handle;
      shard.waiters_.push_back(*this);
    }
    bool await_resume() const { return fine; }
    void resume(bool how) {
      fine = how;
      waiter.resume();
    }
  };
  Committed committed(Lsn end) { return Committed(*this, end); }
  // Why committed() said false.
  Error not_committed() const;
  void watch_room();
  void answer_for_want_of_room();
  void on_committed(Lsn end) override;
  void on_lost(const Error& why) override;
  void end(const Error& unavailable);
  void on_turn_end() override;
  void wake_at_turn_end();
  WallTime now();
  decide::Owner deciding() { return {now(), log_->epoch()}; }
  // Appends and applies. Every change of the state goes through here.
  Lsn append(storage::LogEntry entry);
  void after_apply(Lsn lsn);
  Result<void> writable() const;
  runtime::Task<Result<void>> load_snapshot();
  runtime::Task<void> remove_other_snapshots();
  std::string snapshot_prefix() const;
  runtime::Task<Result<void>> replay();
  std::string snapshot_path(const std::string& file) const;
  runtime::Task<void> write_snapshot();
  void look_after_snapshot();
  bool snapshot_is_in_place();
  bool stop_waits_too_long() const;
  runtime::Task<Result<std::string>> read_snapshot(std::string name);
  runtime::Task<Result<std::string>> write_snapshot_file(Lsn lsn, Bytes bytes);
  runtime::Task<void> remove_snapshot(std::string name);
  runtime::Task<Result<void>> publish_snapshot(Lsn lsn, Bytes bytes);
  void trim();
  runtime::Task<void> trim_below(Lsn below);
  void note_routes(Lsn lsn, std::vector<RouteChange> changes);
  void announce(std::vector<RouteChange> changes);
  void retain_streams();
  void expire_retained();
  void expire_producers();
  static constexpr std::size_t kMaxExpiredAtOnce = 1000;  // sessions, retained messages, or wills, per tick

  // ---- shard_data.cc
  struct Answering {  // what a publisher is told once all is done
    ReplyTo reply;
    std::size_t forwards = 0;
    ProduceOk produced;
    bool matched = true;
  };
  struct Reveal {  // appended, not committed
    Lsn lsn;
    Data data;
    Answering answering;
    std::vector<Bytes> shares;
  };
  struct Forwarding {                                     // to one target
    Lsn next_to_read;                                     // pending entries below it are sent
    Lsn answered;                                         // the target has committed all below
    std::deque<std::pair<Lsn, std::uint64_t>> in_flight;  // with their bytes
    std::uint64_t bytes = 0;
    std::uint64_t round = 0;  // grows when it begins again
    bool reading = false;
    runtime::Instant again_at{};  // after a refusal
  };
  struct Taken {  // of another shard, appended, not committed
    Lsn own;
    ShardId source;
    Lsn lsn;
    CoreId reply_core;
    bool of_peer = false;
  };
  void refuse(const ReplyTo& to, Error error, bool unknown = false);
  bool keeps_retained(const Data& data) const;
  Lsn append(decide::Publish&& made);
  void reveal(Reveal&& item);
  void answer(Answering&& answering);
  void answer_duplicate(Lsn original, Answering&& answering);
  void note_pending_forward(ShardId target, Lsn lsn);
  void forward_more();
  std::optional<Lsn> next_to_forward(ShardId target, const Forwarding& forwarding) const;
  std::optional<Lsn> before_in_pending(ShardId target, Lsn lsn) const;
  runtime::Task<void> forward_to(ShardId target);
  void send_forward(ShardId target, Lsn lsn, const storage::LogEntry& entry);
  void retry_forwards_later();
  runtime::Task<void> retry_forwards();
  void note_forward_progress();
  void answer_taken(Lsn end);
  void refuse_taken(const Error& why);

  // ---- shard_sessions.cc
  using SessionKey = std::pair<TenantId, std::string>;
  struct Connected {
    SessionKey key;
    CoreId core;
    std::uint64_t attachment = 0;
    bool durable = false;
    bool started = false;
    bool told_to_go = false;
    std::uint32_t receive_maximum = 0;
    std::uint32_t session_number = 0;
    std::uint64_t session_epoch = 0;
    std::optional<Lsn> will;  // the entry that brought it
    // Delivery: items of the queue below `next` are sent; those below `fresh` may have been sent before.
    QueuePosition next = 0;
    QueuePosition fresh = 0;
    struct Sent {
      SettleToken token;
      std::uint64_t bytes;
      bool settled = false;
    };
    Fifo<Sent, 64> sent;  // in the order of the queue; of its front nothing is settled
    std::uint32_t in_flight = 0;
    std::uint64_t in_flight_bytes = 0;
    // QoS 2. Messages below `numbered` have packet identifiers, as far as they need some; those from the
    // first position of `numbering` on got them by entries that are not committed.
    QueuePosition numbered = 0;
    Fifo<std::pair<QueuePosition, Lsn>> numbering;
    absl::flat_hash_set<std::uint16_t>
        under_way;  // look-ups only: told to the client, each a part of in_flight
    bool look_for_releases = false;
    bool reading = false;
    bool unread = false;  // what is next could not be read; until the next tick
    bool dirty = false;
    std::unique_ptr<RetainedNotes> notes;  // while a subscription of it looks for retained messages
  };
  struct Client {  // one client id
    std::unique_ptr<Connected> connected;
    Fifo<std::uint64_t> waiting;       // attachments whose CONNECT waits for the one before
    std::set<std::uint64_t> given_up;  // of them: gone meanwhile
    runtime::Notification freed;
    std::uint32_t wills_under_way = 0;  // published, and not yet wherever they go
  };
  bool anybody_waits() const;
  runtime::Task<Result<SessionOpened>> open(SessionOptions options, std::optional<WillContent> will,
                                            CoreId from, std::uint64_t attachment);
  void take_over(Connected& connected);
  void disconnect(const SessionKey& key, std::uint64_t attachment, const SessionEnd& ending);
  Lsn sent_below(const Connected& connected, const SessionState& session) const;
  void drop_client_if_idle(const SessionKey& key);
  void expire_sessions();
  Connected* connection(std::uint64_t attachment);
  void wake(std::uint32_t session_number);
  void mark_dirty(Connected& connected);
  void deliver_dirty();
  void pump(Connected& to);
  bool may_send(const Connected& to) const;
  void note_sent(Connected& to, const SessionItem& item);
  bool take_sent(Connected& connected, SettleToken token);
  const SessionState* session_of(const Connected& connected) const;
  bool add_item(SessionMail& mail, const SessionState& session, const QueueItem& item,
                const storage::LogEntry& entry, bool redelivered);
  runtime::Task<void> deliver_from_log(std::uint64_t attachment, Lsn from);
  void say_unread(std::string_view what, const Error* why);
  void read_again();
  void flush_settled();

  // ---- shard_retained.cc
  struct RetainedSearch;
  Lsn look_for_retained(RetainedSearch& search) const;
  void begin_retained(Connected& connected);
  void finish_retained(Connected& connected);
  void note_retained(const storage::LogEntry& entry, const EntryView& view);

  // ---- shard_wills.cc
  void end_will(const Connected& connected, bool goodbye);
  void publish_due_wills();
  void publish_due_wills_of(const SessionKey& key);
  void publish_will(Lsn will);
  void will_has_arrived(Lsn will);

  // ---- shard_shares.cc
  struct Share {
    ShareGroup group;          // connected members
    std::uint32_t number = 0;  // of its session, if it has one
    bool dirty = false;
    bool reading = false;
    bool unread = false;   // what is next could not be read; until the next tick
    bool waiting = false;  // for the next commit
  };
  struct FinalMail {  // with QoS 2: leaves when it is committed that it is nobody else's
    Lsn lsn;
    CoreId core;
    SessionMail mail;
  };
  static constexpr std::size_t kMaxCheckedMembers = 256;  // at a time
  static constexpr runtime::Duration kCheckMembers = std::chrono::seconds(2);
  void load_shares();
  Result<void> keep_member(const SessionKey& key, const ShareJoin& join);
  void forget_member(const SessionKey& key, std::string_view client_id);
  void drop_share_if_unused(const SessionKey& key);
  void announce_share(const SessionKey& key, bool keeps);
  void mark_dirty(const SessionKey& key, Share& share);
  void wait_for_commit(const SessionKey& key, Share& share);
  void mark_shares_dirty();
  void deliver_dirty_shares();
  void pump_share(const SessionKey& key, Share& share, Lsn from, std::span<const storage::LogEntry> entries);
  const storage::LogEntry* entry_at(Lsn lsn, Lsn from, std::span<const storage::LogEntry> entries);
  runtime::Task<void> deliver_share_from_log(SessionKey key, Lsn from);
  void send_final(Lsn committed);
  void lose_shares(const Error& why);
  void look_after_shares();
  runtime::Task<void> check_members(std::vector<std::pair<ShareMemberName, std::uint64_t>> members);

  // ---- shard_qos2.cc
  struct Told {  // to a connection, once what it says is committed
    Lsn lsn;
    std::uint64_t attachment;
    std::uint16_t packet_id;
    enum class What : std::uint8_t { kRelease, kCompleted, kUnknown } what;
  };
  struct OfClient {
    std::uint64_t attachment;
    std::uint16_t packet_id;
    bool known;
  };
  void number(std::span<const std::uint64_t> attachments);
  bool is_numbered(Connected& to, const QueueItem& item, Lsn committed) const;
  void look_for_releases(Connected& to, const SessionState& session);
  void flush_qos2();
  void tell(Lsn committed);

  // ---- shard_streams.cc
  Offset high_watermark(StreamId stream) const;
  Offset log_start(StreamId stream) const;
  void trim_stream(StreamId stream, Offset start);
  void wake_readers(StreamId stream);
  template <class Use>
  runtime::Task<Result<void>> walk_stream(StreamId stream, Lsn from, Use use);

  // ---- shard_groups.cc
  const GroupTable& groups() const override { return state_.groups(); }
  runtime::Instant monotonic_now() override { return core_.runtime().now(); }
  WallTime wall_now() override { return now(); }
  bool can_append() override { return serving_ && log_->writable() && !buggify(Buggify::kGroupBusy); }
  void append_for_groups(storage::LogEntry entry) override { append(std::move(entry)); }
  std::string unique_id() override;
  bool stream_exists(const StreamId& stream) override;
  void on_timer() override;
  void watch_groups();
  void drop_offsets_of_deleted_topics();
  template <class Answer>
  Done<Answer> once_committed(Done<Answer> done);
  template <class Answer>
  runtime::Task<void> tell(Done<Answer> done, Answer answer, bool wait);

  Core& core_;
  const ShardId id_;
  std::unique_ptr<journal::ShardLog> log_;
  ShardState state_;
  std::optional<OwnerClock> clock_;
  bool serving_ = false;
  bool letting_go_ = false;  // leave() has begun
  bool leaving_ = false;     // takes no more
  ApplyResult applied_;   // of the latest append
  Lsn retained_end_;      // behind the latest entry of this ownership that changed a retained message
  std::optional<runtime::Instant> no_room_since_;

  static constexpr std::size_t kKeptRoom = 64;  // in the queues that each message goes through
  IntrusiveList<Committed> waiters_;
  Fifo<Reveal, kKeptRoom> reveals_;
  struct RouteChanges {
    Lsn lsn;
    std::vector<RouteChange> changes;
  };
  std::deque<RouteChanges> route_changes_;  // interest that ended; not committed
  std::multimap<Lsn, Answering> awaiting_forwards_;
  std::multimap<Lsn, Answering> duplicates_;  // of what is not committed
  std::map<ShardId, Forwarding> forwarding_;
  bool retrying_forwards_ = false;
  Fifo<Taken, kKeptRoom> taken_;

  std::map<SessionKey, Client> clients_;
  std::map<std::uint64_t, Connected*> by_attachment_;
  std::map<std::uint32_t, std::uint64_t> attachment_of_;  // by session number
  std::map<Lsn, SessionKey> wills_under_way_;             // by the entry that brought it: whose
  std::map<SessionKey, Share> shares_;                    // by tenant and the client id of its session
  std::map<std::uint32_t, SessionKey> share_of_;          // by session number
  std::vector<SessionKey> dirty_shares_;
  std::vector<SessionKey> waiting_shares_;  // for the next commit
  Fifo<FinalMail, kKeptRoom> final_;        // in the order of their LSNs
  bool checking_members_ = false;
  runtime::Instant check_members_at_{};
  SessionKey checked_up_to_;
  std::vector<control::Settled> settled_;
  std::vector<control::Settled> accepted_;  // with, in the same order:
  std::vector<OfClient> accepted_by_;
  std::vector<control::PacketId> released_;   // by the client, of messages to it
  std::vector<control::PacketId> completed_;  // by the client, of its own messages; with:
  std::vector<OfClient> completed_by_;
  std::vector<control::Numbered> numbered_;  // scratch
  Fifo<Told, kKeptRoom> told_;               // in the order of their LSNs
  std::vector<std::uint64_t> dirty_;
  std::size_t noting_ = 0;  // connections that have notes
  bool anything_unread_ = false;
  runtime::Instant say_unread_at_{};     // not before
  std::vector<storage::LogEntry> read_;  // scratch

  std::map<StreamId, Offset> high_watermarks_;  // committed
  std::map<StreamId, Offset> log_starts_;       // committed
  std::map<StreamId, ResumePoints> resume_points_;
  struct Appended {
    Lsn lsn;
    StreamId stream;
    Offset next;
  };
  std::deque<Appended> appended_;  // not committed
  struct Trimmed {
    Lsn lsn;
    StreamId stream;
    Offset start;
  };
  std::deque<Trimmed> trimmed_;  // not committed
  std::map<StreamId, std::map<std::pair<CoreId, std::uint64_t>, Offset>> readers_;

  GroupCoordinator coordinator_;
  runtime::Instant groups_due_ = runtime::kNever;  // the timer is set for then

  Lsn snapshot_lsn_;
  std::uint64_t snapshot_size_ = 0;
  std::uint64_t log_bytes_ = 0;  // appended since the snapshot
  bool snapshotting_ = false;
  bool snapshot_is_a_file_ = false;                           // of this node alone
  std::optional<journal::SnapshotSegment> snapshot_segment_;  // else, if there is any
  std::optional<runtime::Instant> snapshot_lacks_since_;      // replicas; or it is a file
  runtime::Instant snapshot_tried_;                           // last, for that
  std::uint64_t snapshots_written_ = 0;
  std::optional<runtime::Instant> stop_began_;
  Lsn trimmable_;  // nothing below it is needed, whatever crashes
  bool trimming_ = false;
  // Last: its tasks use all of the above, and each holds the Shard.
  std::unique_ptr<runtime::Scope> scope_ = std::make_unique<runtime::Scope>();
};

}  // namespace stele::broker
