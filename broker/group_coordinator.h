// The coordinator of the consumer groups of one shard: decides what members ask for by the rules of Kafka's
// classic group protocol, and knows what only the owner of the shard knows: who waits for a generation or an
// assignment, and whose time runs out. No I/O and no clock of its own: time, ids and the log come from its
// Host, so that tests drive it by hand.
//
// A group goes round: Empty → Rebalancing (members join, up to a deadline) → Assigning (the generation is in
// the log; the leader works out who gets what) → Stable → Rebalancing … What must outlast the owner is
// GroupState and changes by entries alone: a generation before any member hears of it, the assignment,
// members that left, committed offsets. While members join for the next generation the state is still that of
// the one before; if the owner ends there, its successor goes on from that, and the members ask again.
//
// Answers are given when they are decided. Whoever passes them on waits until the log has committed what they
// were decided on.
//
// Lives on the shard's core; called by its Shard only.
//
// Parts: group_coordinator.cc (the groups, looking at them), group_coordinator_join.cc (joining,
// generations), group_coordinator_leave.cc (staying and leaving), group_coordinator_offsets.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/group.h"
#include "broker/group_options.h"
#include "broker/group_state.h"
#include "runtime/time.h"
#include "storage/log_entry.h"

namespace stele::broker {

struct GroupStats {
  std::uint64_t generations = 0;      // begun with members
  std::uint64_t members_expired = 0;  // fell silent, or did not join or sync in time
  std::uint64_t offset_commits = 0;   // partitions
  std::uint64_t offsets_expired = 0;
  std::uint64_t refused_at_limit = 0;
};

class GroupCoordinator {
 public:
  class Host {
   public:
    virtual const GroupTable& groups() const = 0;
    virtual runtime::Instant monotonic_now() = 0;
    virtual WallTime wall_now() = 0;
    // False: nothing can be appended now.
    virtual bool can_append() = 0;
    // Applied when it returns.
    virtual void append_for_groups(storage::LogEntry entry) = 0;
    // Never given before, by any owner.
    virtual std::string unique_id() = 0;
    virtual bool stream_exists(const StreamId& stream) = 0;

   protected:
    ~Host() = default;
  };
  // Called once, perhaps from within the call it was given to.
  template <class Answer>
  using Done = std::move_only_function<void(Answer)>;

  GroupCoordinator(Host& host, GroupOptions options, GroupStats& stats)
      : host_(host), options_(options), stats_(stats) {}

  // Once, when the state is all there: every member of every group has its whole session timeout.
  void start();
  // The shard is lost: everybody who waits is told.
  void stop();

  void join(TenantId tenant, JoinGroup request, Done<JoinedGroup> done);
  void sync(TenantId tenant, SyncGroup request, Done<SyncedGroup> done);
  GroupError heartbeat(TenantId tenant, const GroupHeartbeat& request);
  LeftGroup leave(TenantId tenant, const LeaveGroup& request);
  OffsetsAnswer commit_offsets(TenantId tenant, CommitOffsets request);
  FetchedOffsets fetch_offsets(TenantId tenant, const FetchOffsets& request) const;
  OffsetsAnswer delete_offsets(TenantId tenant, const DeleteOffsets& request);
  GroupError remove(TenantId tenant, const std::string& group);
  GroupDescription describe(TenantId tenant, const std::string& group) const;
  std::vector<ListedGroup> list(TenantId tenant) const;

  // Offsets that nobody has used for too long, and groups that have nothing any more.
  void expire_offsets();
  // Topics that some group has offsets of and that do not exist any more.
  void drop_topics(const std::function<bool(TopicId)>& exists);

  // When run_due() has something to do next; kNever: not as things are.
  runtime::Instant next_due() const { return due_.empty() ? runtime::kNever : due_.begin()->first; }
  void run_due();

 private:
  struct Member {
    GroupMember as_joined;      // as it joined last; its assignment is the state's
    runtime::Instant deadline;  // it is gone unless it is heard of before, or waits
    std::uint64_t joined = 0;   // grows from join to join
    bool fresh = false;         // waits for its first generation: then too it may be gone
    bool synced = false;        // has asked for the assignment of its generation
    Done<JoinedGroup> join;     // waits
    Done<SyncedGroup> sync;     // likewise
  };
  struct Group {
    bool joining = false;  // the next generation is being gathered
    runtime::Instant join_deadline = runtime::kNever;
    bool first = false;              // of an empty group: waits for more members
    bool first_grew = false;         // a member came while it waited
    runtime::Duration first_left{};  // it may wait so much longer
    runtime::Instant sync_deadline = runtime::kNever;
    std::string protocol_type;                                      // of its members
    std::map<std::string, Member, std::less<>> members;             // those of the state, and who joins
    std::map<std::string, std::string, std::less<>> instances;      // instance id → member id
    std::map<std::string, runtime::Instant, std::less<>> promised;  // ids given out and not used (KIP-394)
    runtime::Instant due = runtime::kNever;                         // its place in due_
  };
  using Members = std::map<std::string, Member, std::less<>>;
  // What cannot be logged now is tried again.
  static constexpr runtime::Duration kTryAgain = std::chrono::seconds(1);

  const GroupState* state(const GroupKey& key) const { return host_.groups().find(key); }
  Group* find(const GroupKey& key);
  const Group* find(const GroupKey& key) const;
  Group& get(const GroupKey& key);
  GroupPhase phase(const GroupKey& key, const Group* group) const;
  void drop_if_idle(const GroupKey& key);
  void note_due(const GroupKey& key, Group& group, runtime::Instant at);
  static std::chrono::milliseconds session(const GroupMember& member);
  void heard_of(const GroupKey& key, Group& group, Member& member);
  GroupError verify(const Group* group, std::string_view id,
                    const std::optional<std::string>& instance) const;
  bool refuse(GroupError error, std::string_view id, Done<JoinedGroup>& done);

  // ---- joining
  bool may_enter(const Group& group, const JoinGroup& request) const;
  bool protocols_fit(const Group& group, const JoinGroup& request) const;
  void join_new(const GroupKey& key, Group& group, JoinGroup request, Done<JoinedGroup> done);
  void join_known(const GroupKey& key, Group& group, JoinGroup request, Done<JoinedGroup> done);
  void add_member(const GroupKey& key, Group& group, JoinGroup request, Done<JoinedGroup> done);
  void join_again(const GroupKey& key, Group& group, Member& member, JoinGroup request,
                  Done<JoinedGroup> done);
  void replace_static(const GroupKey& key, Group& group, std::string old_id, JoinGroup request,
                      Done<JoinedGroup> done);
  JoinedGroup joined(const GroupKey& key, std::string_view id, bool with_members) const;
  void begin_joining(const GroupKey& key, Group& group);
  void finish_if_all_joined(const GroupKey& key, Group& group);
  void on_join_deadline(const GroupKey& key, Group& group);
  void finish_joining(const GroupKey& key, Group& group);
  void begin_generation(const GroupKey& key, Group& group);
  static std::string choose_protocol(const Members& members);
  static runtime::Duration rebalance_timeout(const Group& group);

  // ---- leaving
  void remove_members(const GroupKey& key, Group& group, const std::vector<std::string>& ids);
  void expire_members(const GroupKey& key, Group& group);
  void answer_sync(const GroupKey& key, Group& group, GroupError error);

  Host& host_;
  const GroupOptions options_;
  GroupStats& stats_;
  // Groups with members, ids given out, or a generation being gathered.
  std::map<GroupKey, Group> groups_;
  std::set<std::pair<runtime::Instant, GroupKey>> due_;
  std::uint64_t joins_ = 0;
  runtime::Instant expired_at_{};  // offsets were looked at then
};

}  // namespace stele::broker
