// For fakes of the Broker in tests that have nothing to do with consumer groups, nor with what else only
// Kafka has: asking for it ends the test.
#pragma once

#include <cstdlib>

#include "base/assert.h"
#include "broker/api.h"

namespace stele::broker::testing {

class WithoutGroups : public Broker {
 public:
  runtime::Task<JoinedGroup> join_group(Principal, JoinGroup, runtime::StopToken) override { unexpected(); }
  runtime::Task<SyncedGroup> sync_group(Principal, SyncGroup, runtime::StopToken) override { unexpected(); }
  runtime::Task<GroupError> group_heartbeat(Principal, GroupHeartbeat) override { unexpected(); }
  runtime::Task<LeftGroup> leave_group(Principal, LeaveGroup) override { unexpected(); }
  runtime::Task<OffsetsAnswer> commit_offsets(Principal, CommitOffsets) override { unexpected(); }
  runtime::Task<FetchedOffsets> fetch_offsets(Principal, FetchOffsets) override { unexpected(); }
  runtime::Task<OffsetsAnswer> delete_offsets(Principal, DeleteOffsets) override { unexpected(); }
  runtime::Task<GroupDescription> describe_group(Principal, std::string) override { unexpected(); }
  runtime::Task<GroupError> delete_group(Principal, std::string) override { unexpected(); }
  runtime::Task<Result<std::vector<ListedGroup>>> list_groups(Principal) override { unexpected(); }
  const GroupOptions& group_options() const override { unexpected(); }
  runtime::Task<std::vector<Result<StreamStatus>>> stream_statuses(Principal,
                                                                   std::vector<StreamId>) override {
    unexpected();
  }
  runtime::Task<Result<EpochEnd>> epoch_end(Principal, StreamId, std::int32_t) override { unexpected(); }
  runtime::Task<std::vector<Result<Offset>>> delete_records(
      Principal, std::vector<std::pair<StreamId, Offset>>) override {
    unexpected();
  }
  Epoch epoch_of(ShardId) const override { unexpected(); }
  std::optional<NodeId> owner_of(ShardId) const override { unexpected(); }
  std::optional<NodeId> coordinator_of(const Principal&, const std::string&) const override { unexpected(); }
  runtime::Task<Result<meta::Topic>> add_partitions(Principal, std::string, std::int32_t, bool) override {
    unexpected();
  }
  runtime::Task<Result<meta::Topic>> alter_topic(Principal, std::string, TopicChanges) override {
    unexpected();
  }

 private:
  [[noreturn]] static void unexpected() {
    STELE_ASSERT(false);
    std::abort();
  }
};

}  // namespace stele::broker::testing
