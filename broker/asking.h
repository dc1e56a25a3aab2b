// What shards can be asked and told by the core of a client's connection, wherever their owner is
// (session_asks.h): the types of the answers, and who gives them.
#pragma once

#include <variant>
#include <vector>

#include "base/result.h"
#include "broker/session_asks.h"
#include "runtime/task.h"

namespace stele::broker {

class Core;

namespace internal {
template <class Ask>
struct AnswerOf {
  using Type = std::monostate;
};
template <>
struct AnswerOf<ask::OpenSession> {
  using Type = Result<SessionOpened>;
};
template <>
struct AnswerOf<ask::Subscribe> {
  using Type = Result<void>;
};
template <>
struct AnswerOf<ask::Unsubscribe> {
  using Type = Result<void>;
};
template <>
struct AnswerOf<ask::QueueRetained> {
  using Type = Result<void>;
};
template <>
struct AnswerOf<ask::EndSession> {
  using Type = bool;
};
template <>
struct AnswerOf<ask::JoinShare> {
  using Type = Result<void>;
};
template <>
struct AnswerOf<ask::LeaveShare> {
  using Type = Result<void>;
};
template <>
struct AnswerOf<ask::AreMembers> {
  using Type = std::vector<bool>;
};
template <>
struct AnswerOf<ask::LookForRetained> {
  using Type = Result<RetainedPage>;
};
}  // namespace internal

template <class Ask>
using AnswerTo = typename internal::AnswerOf<Ask>::Type;

// What is said where the owner cannot be asked.
template <class Ask>
AnswerTo<Ask> not_answered(const Ask&, Error why) {
  return std::unexpected(std::move(why));
}
inline bool not_answered(const ask::EndSession&, const Error&) {
  return false;
}
inline std::vector<bool> not_answered(const ask::AreMembers& asked, const Error&) {
  return std::vector<bool>(asked.members.size(), true);
}

// On the core `there` of the shard, for a session that `from` knows by its attachment.
runtime::Task<Result<SessionOpened>> answer_here(Core& there, ask::OpenSession asked, CoreId from);
runtime::Task<Result<void>> answer_here(Core& there, ask::Subscribe asked, CoreId from);
runtime::Task<Result<void>> answer_here(Core& there, ask::Unsubscribe asked, CoreId from);
runtime::Task<Result<void>> answer_here(Core& there, ask::QueueRetained asked, CoreId from);
runtime::Task<bool> answer_here(Core& there, ask::EndSession asked, CoreId from);
runtime::Task<Result<void>> answer_here(Core& there, ask::JoinShare asked, CoreId from);
runtime::Task<Result<void>> answer_here(Core& there, ask::LeaveShare asked, CoreId from);
runtime::Task<std::vector<bool>> answer_here(Core& there, ask::AreMembers asked, CoreId from);
runtime::Task<Result<RetainedPage>> answer_here(Core& there, ask::LookForRetained asked, CoreId from);
// The same where nobody waits. Nothing happens if the shard does not serve there.
void hear_here(Core& there, const ask::FinishRetained& told);
void hear_here(Core& there, const ask::StartDelivery& told);
void hear_here(Core& there, const ask::EndSession& told);
void hear_here(Core& there, const ask::LeaveShare& told);
void hear_here(Core& there, const ask::StartShare& told);

}  // namespace stele::broker
