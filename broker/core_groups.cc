// Consumer groups, as protocols see them: who may ask, and the way to the coordinator in the group's home
// shard and back.
#include <algorithm>

#include "broker/core.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;

namespace {

template <class Answer>
Answer failed(GroupError error) {
  return {.error = error};
}
template <>
GroupError failed<GroupError>(GroupError error) {
  return error;
}

template <class Answer>
struct Asked {
  std::shared_ptr<RemoteCall<Answer>> call;
  bool await_ready() const { return call->value.has_value(); }
  void await_suspend(std::coroutine_handle<> waiter) { call->waiter = waiter; }
  Answer await_resume() { return *std::move(call->value); }
  ~Asked() { call->waiter = {}; }
};

template <class Answer>
void settle_call(RemoteCall<Answer>& call, Answer answer) {
  if (call.value) return;  // given up meanwhile
  call.value.emplace(std::move(answer));
  if (call.waiter) std::exchange(call.waiter, {}).resume();
}

}  // namespace

ShardId Core::home_of(const Principal& who, const std::string& group) const {
  return shard_of(who.tenant, group, routes_.shard_count());
}

bool Core::may(const Principal& who, Action action, const std::string& group) {
  return authorizer().allowed(who, action, group);
}

// Calls `ask(shard, done)` where the shard lives.
template <class Answer, class Ask>
Task<Answer> Core::ask_coordinator(ShardId shard, runtime::StopToken stop, Ask ask) {
  // Clients ask who has it, and go there.
  const std::optional<Place> place = place_of(shard);
  if (!place || !place->here())
    co_return failed<Answer>(place ? GroupError::kNotHere : GroupError::kUnavailable);
  auto call = std::make_shared<RemoteCall<Answer>>();
  // Not from within the call that stops: it may belong to what waits here.
  const runtime::StopCallback on_stop(stop, [this, call] {
    runtime_.post(runtime_.core(), [call] { settle_call(*call, failed<Answer>(GroupError::kUnavailable)); });
  });
  send(core_of(shard),
       CallMail([shard, call, back = runtime_.core(), ask = std::move(ask)](Core& there) mutable {
         auto done = [&there, call, back](Answer answer) {
           there.send(back, CallMail([call, answer = std::move(answer)](Core&) mutable {
                        settle_call(*call, std::move(answer));
                      }));
         };
         if (Shard* here = there.shard(shard)) {
           ask(*here, GroupCoordinator::Done<Answer>(std::move(done)));
         } else {
           done(failed<Answer>(GroupError::kUnavailable));
         }
       }));
  co_return co_await Asked<Answer>{std::move(call)};
}

Task<JoinedGroup> Core::join_group(Principal who, JoinGroup request, runtime::StopToken stop) {
  if (!may(who, Action::kUseGroup, request.group)) co_return failed<JoinedGroup>(GroupError::kUnauthorized);
  const ShardId home = home_of(who, request.group);
  co_return co_await ask_coordinator<JoinedGroup>(
      home, stop, [tenant = who.tenant, request = std::move(request)](Shard& here, auto done) mutable {
        here.join_group(tenant, std::move(request), std::move(done));
      });
}

Task<SyncedGroup> Core::sync_group(Principal who, SyncGroup request, runtime::StopToken stop) {
  if (!may(who, Action::kUseGroup, request.group)) co_return failed<SyncedGroup>(GroupError::kUnauthorized);
  const ShardId home = home_of(who, request.group);
  co_return co_await ask_coordinator<SyncedGroup>(
      home, stop, [tenant = who.tenant, request = std::move(request)](Shard& here, auto done) mutable {
        here.sync_group(tenant, std::move(request), std::move(done));
      });
}

Task<GroupError> Core::group_heartbeat(Principal who, GroupHeartbeat request) {
  if (!may(who, Action::kUseGroup, request.group)) co_return GroupError::kUnauthorized;
  const ShardId home = home_of(who, request.group);
  co_return co_await ask_coordinator<GroupError>(
      home, {}, [tenant = who.tenant, request = std::move(request)](Shard& here, auto done) {
        here.group_heartbeat(tenant, request, std::move(done));
      });
}

Task<LeftGroup> Core::leave_group(Principal who, LeaveGroup request) {
  if (!may(who, Action::kUseGroup, request.group)) co_return failed<LeftGroup>(GroupError::kUnauthorized);
  const ShardId home = home_of(who, request.group);
  co_return co_await ask_coordinator<LeftGroup>(
      home, {}, [tenant = who.tenant, request = std::move(request)](Shard& here, auto done) {
        here.leave_group(tenant, request, std::move(done));
      });
}

Task<OffsetsAnswer> Core::commit_offsets(Principal who, CommitOffsets request) {
  if (!may(who, Action::kUseGroup, request.group)) co_return failed<OffsetsAnswer>(GroupError::kUnauthorized);
  // Partitions that may not be read, or are not there, take no part.
  std::vector<GroupError> errors(request.offsets.size(), GroupError::kNone);
  std::vector<std::size_t> asked;
  std::vector<std::pair<StreamId, CommittedOffset>> offsets;
  for (std::size_t i = 0; i < request.offsets.size(); ++i) {
    const auto topic = find_stream(who, Action::kFetch, request.offsets[i].first);
    if (topic) {
      asked.push_back(i);
      offsets.push_back(std::move(request.offsets[i]));
    } else {
      errors[i] = topic.error().code == ErrorCode::kUnauthorized ? GroupError::kPartitionUnauthorized
                                                                 : GroupError::kUnknownPartition;
    }
  }
  request.offsets = std::move(offsets);
  const ShardId home = home_of(who, request.group);
  OffsetsAnswer answer = co_await ask_coordinator<OffsetsAnswer>(
      home, {}, [tenant = who.tenant, request = std::move(request)](Shard& here, auto done) mutable {
        here.commit_offsets(tenant, std::move(request), std::move(done));
      });
  for (std::size_t i = 0; i < answer.partitions.size(); ++i) errors[asked[i]] = answer.partitions[i];
  answer.partitions = std::move(errors);
  co_return answer;
}

Task<FetchedOffsets> Core::fetch_offsets(Principal who, FetchOffsets request) {
  if (!may(who, Action::kDescribeGroup, request.group))
    co_return failed<FetchedOffsets>(GroupError::kUnauthorized);
  const ShardId home = home_of(who, request.group);
  co_return co_await ask_coordinator<FetchedOffsets>(
      home, {}, [tenant = who.tenant, request = std::move(request)](Shard& here, auto done) {
        here.fetch_offsets(tenant, request, std::move(done));
      });
}

Task<OffsetsAnswer> Core::delete_offsets(Principal who, DeleteOffsets request) {
  if (!may(who, Action::kDeleteGroup, request.group))
    co_return failed<OffsetsAnswer>(GroupError::kUnauthorized);
  const ShardId home = home_of(who, request.group);
  co_return co_await ask_coordinator<OffsetsAnswer>(
      home, {}, [tenant = who.tenant, request = std::move(request)](Shard& here, auto done) {
        here.delete_offsets(tenant, request, std::move(done));
      });
}

Task<GroupDescription> Core::describe_group(Principal who, std::string group) {
  if (!may(who, Action::kDescribeGroup, group)) co_return failed<GroupDescription>(GroupError::kUnauthorized);
  const ShardId home = home_of(who, group);
  co_return co_await ask_coordinator<GroupDescription>(
      home, {}, [tenant = who.tenant, group = std::move(group)](Shard& here, auto done) {
        here.describe_group(tenant, group, std::move(done));
      });
}

Task<GroupError> Core::delete_group(Principal who, std::string group) {
  if (!may(who, Action::kDeleteGroup, group)) co_return GroupError::kUnauthorized;
  const ShardId home = home_of(who, group);
  co_return co_await ask_coordinator<GroupError>(
      home, {}, [tenant = who.tenant, group = std::move(group)](Shard& here, auto done) {
        here.delete_group(tenant, group, std::move(done));
      });
}

Task<Result<std::vector<ListedGroup>>> Core::list_groups(Principal who) {
  std::vector<ListedGroup> all;
  for (std::uint32_t core = 0; core < core_count(); ++core) {
    STELE_CO_TRY(auto here, co_await on_core<Result<std::vector<ListedGroup>>>(
                                CoreId(core), [tenant = who.tenant](Core& there) {
                                  return Shard::list_groups(there, tenant);
                                }));
    for (ListedGroup& one : here) {
      if (may(who, Action::kDescribeGroup, one.group)) all.push_back(std::move(one));
    }
  }
  std::ranges::sort(all, {}, &ListedGroup::group);
  co_return all;
}

}  // namespace stele::broker
