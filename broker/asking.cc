#include "broker/asking.h"

#include <utility>

#include "broker/core.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;

Task<Result<SessionOpened>> answer_here(Core& there, ask::OpenSession asked, CoreId from) {
  return Shard::open_session(there, asked.shard, std::move(asked.options), std::move(asked.will), from,
                             asked.attachment);
}

Task<Result<void>> answer_here(Core& there, ask::Subscribe asked, CoreId) {
  return Shard::subscribe(there, asked.shard, asked.attachment, std::move(asked.requests));
}

Task<Result<void>> answer_here(Core& there, ask::Unsubscribe asked, CoreId) {
  return Shard::unsubscribe(there, asked.shard, asked.attachment, std::move(asked.filters));
}

Task<Result<void>> answer_here(Core& there, ask::QueueRetained asked, CoreId) {
  return Shard::queue_retained(there, asked.shard, asked.attachment, std::move(asked.page),
                               std::move(asked.request));
}

Task<bool> answer_here(Core& there, ask::EndSession asked, CoreId) {
  return Shard::end_session_for_good(there, asked.shard, asked.tenant, std::move(asked.client_id),
                                     asked.attachment, asked.ending);
}

Task<Result<void>> answer_here(Core& there, ask::JoinShare asked, CoreId) {
  return Shard::join_share(there, asked.home, std::move(asked.join));
}

Task<Result<void>> answer_here(Core& there, ask::LeaveShare asked, CoreId) {
  return Shard::leave_share(there, asked.home, std::move(asked.member), asked.attachment);
}

Task<std::vector<bool>> answer_here(Core& there, ask::AreMembers asked, CoreId) {
  return Shard::are_members(there, std::move(asked.members));
}

Task<Result<RetainedPage>> answer_here(Core& there, ask::LookForRetained asked, CoreId) {
  return Shard::retained(there, std::move(asked.ask), std::move(asked.shards));
}

void hear_here(Core& there, const ask::FinishRetained& told) {
  if (Shard* here = there.shard(told.shard)) here->finish_retained(told.attachment);
}

void hear_here(Core& there, const ask::StartDelivery& told) {
  if (Shard* here = there.shard(told.shard)) here->start_delivery(told.attachment);
}

void hear_here(Core& there, const ask::EndSession& told) {
  Shard::end_session(there, told.shard, told.tenant, told.client_id, told.attachment, told.ending);
}

void hear_here(Core& there, const ask::LeaveShare& told) {
  if (Shard* here = there.shard(told.home)) here->leave_share(told.member, told.attachment);
}

void hear_here(Core& there, const ask::StartShare& told) {
  if (Shard* here = there.shard(told.home)) here->start_share(told.member, told.attachment);
}

}  // namespace stele::broker
