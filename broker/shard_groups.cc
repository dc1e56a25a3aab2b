// Consumer groups of a shard: the coordinator (group_coordinator.h) on the shard's log, clock and timer.
#include "base/mutants.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;

namespace {

// What is told when nobody knows whether it was committed.
template <class Answer>
Answer unavailable() {
  return {.error = GroupError::kUnavailable};
}
template <>
GroupError unavailable<GroupError>() {
  return GroupError::kUnavailable;
}

}  // namespace

// ---- what the coordinator needs -------------------------------------------------------------------------

std::string Shard::unique_id() {
  std::string id;
  auto& random = core_.runtime().random();
  for (int half = 0; half < 2; ++half) {
    std::uint64_t bits = random.next();
    for (int digit = 0; digit < 16; ++digit, bits >>= 4) id.push_back("0123456789abcdef"[bits & 15]);
  }
  for (const std::size_t dash : {20, 16, 12, 8}) id.insert(dash, "-");
  return id;
}

bool Shard::stream_exists(const StreamId& stream) {
  const meta::Topic* topic = core_.meta()->find_topic(stream.topic);
  return topic && stream.partition >= PartitionId(0) &&
         stream.partition < PartitionId(topic->partition_count());
}

void Shard::drop_offsets_of_deleted_topics() {
  const auto view = core_.meta();
  coordinator_.drop_topics([&view](TopicId topic) { return view->find_topic(topic) != nullptr; });
}

void Shard::on_timer() {
  groups_due_ = runtime::kNever;
  if (!serving_) return;
  const auto self = shared_from_this();
  coordinator_.run_due();
  watch_groups();
}

void Shard::watch_groups() {
  const runtime::Instant due = coordinator_.next_due();
  if (due >= groups_due_) return;  // what is due later is looked at then
  groups_due_ = due;
  core_.runtime().arm(*this, due);
}

// ---- answers --------------------------------------------------------------------------------------------

template <class Answer>
Task<void> Shard::tell(Done<Answer> done, Answer answer, bool wait) {
  const auto self = shared_from_this();
  if (wait && !co_await committed(state_.next())) answer = unavailable<Answer>();
  done(std::move(answer));
}

// Everything that was decided on is below the end of the log when it is decided.
template <class Answer>
GroupCoordinator::Done<Answer> Shard::once_committed(Done<Answer> done) {
  return [this, done = std::move(done)](Answer answer) mutable {
    scope_->spawn(tell(std::move(done), std::move(answer), true));
  };
}

void Shard::join_group(TenantId tenant, JoinGroup request, Done<JoinedGroup> done) {
  coordinator_.join(tenant, std::move(request), once_committed(std::move(done)));
  watch_groups();
}

void Shard::sync_group(TenantId tenant, SyncGroup request, Done<SyncedGroup> done) {
  coordinator_.sync(tenant, std::move(request), once_committed(std::move(done)));
  watch_groups();
}

void Shard::group_heartbeat(TenantId tenant, const GroupHeartbeat& request, Done<GroupError> done) {
  once_committed(std::move(done))(coordinator_.heartbeat(tenant, request));
}

void Shard::leave_group(TenantId tenant, const LeaveGroup& request, Done<LeftGroup> done) {
  once_committed(std::move(done))(coordinator_.leave(tenant, request));
  watch_groups();
}

void Shard::commit_offsets(TenantId tenant, CommitOffsets request, Done<OffsetsAnswer> done) {
  OffsetsAnswer answer = coordinator_.commit_offsets(tenant, std::move(request));
  scope_->spawn(tell(std::move(done), std::move(answer), !mutant(Mutant::kOffsetCommitBeforeCommit)));
}

void Shard::fetch_offsets(TenantId tenant, const FetchOffsets& request, Done<FetchedOffsets> done) {
  scope_->spawn(tell(std::move(done), coordinator_.fetch_offsets(tenant, request),
                     !mutant(Mutant::kOffsetsBeforeCommit)));
}

void Shard::delete_offsets(TenantId tenant, const DeleteOffsets& request, Done<OffsetsAnswer> done) {
  once_committed(std::move(done))(coordinator_.delete_offsets(tenant, request));
}

void Shard::describe_group(TenantId tenant, const std::string& group, Done<GroupDescription> done) {
  once_committed(std::move(done))(coordinator_.describe(tenant, group));
}

void Shard::delete_group(TenantId tenant, const std::string& group, Done<GroupError> done) {
  once_committed(std::move(done))(coordinator_.remove(tenant, group));
}

Task<Result<std::vector<ListedGroup>>> Shard::list_groups(Core& there, TenantId tenant) {
  std::vector<ListedGroup> all;
  std::vector<std::shared_ptr<Shard>> shards;
  for (const auto& [id, shard] : there.shards()) shards.push_back(shard);
  for (const auto& shard : shards) {
    const Lsn end = shard->state_.next();
    std::vector<ListedGroup> here;
    if (shard->serving_) here = shard->coordinator_.list(tenant);
    if (!shard->serving_ || !co_await shard->committed(end))
      co_return std::unexpected(shard->not_committed());
    std::move(here.begin(), here.end(), std::back_inserter(all));
  }
  co_return all;
}

}  // namespace stele::broker
