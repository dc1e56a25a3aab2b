// SUBSCRIBE and UNSUBSCRIBE: sections 3.8 to 3.11. The broker answers when the change is known everywhere;
// the packets behind wait for that.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "protocols/mqtt/connection.h"

namespace stele::mqtt {

namespace {

// In the place of a reason that the broker is to give.
constexpr ReasonCode kToBeAsked = static_cast<ReasonCode>(0xFF);

ReasonCode reason_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnauthorized:
      return ReasonCode::kNotAuthorized;
    case ErrorCode::kNoSpace:
      return ReasonCode::kQuotaExceeded;
    case ErrorCode::kInvalidArgument:
      return ReasonCode::kTopicFilterInvalid;
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimedOut:
    case ErrorCode::kUnsupported:
      return ReasonCode::kImplementationSpecificError;
    default:
      return ReasonCode::kUnspecifiedError;
  }
}

broker::SubscribeRequest request_of(const Subscription& asked, std::optional<std::uint32_t> id) {
  return {.filter = std::string(asked.filter),
          .qos = static_cast<std::uint8_t>(asked.qos),
          .no_local = asked.no_local,
          .retain_as_published = asked.retain_as_published,
          .retain_handling = static_cast<std::uint8_t>(asked.retain_handling),
          .subscription_id = id.value_or(0)};
}

template <class Answer>
Answer answer_of(std::uint16_t packet_id, std::vector<ReasonCode> reasons) {
  Answer out;
  out.packet_id = packet_id;
  out.reasons = std::move(reasons);
  return out;
}

// Every level of a filter is a node of a trie, in each of several places.
constexpr std::ptrdiff_t kMaxFilterLevels = 128;
bool is_too_deep(std::string_view filter) {
  return std::count(filter.begin(), filter.end(), '/') >= kMaxFilterLevels;
}

}  // namespace

void MqttConnection::on_subscribe(const Frame& frame) {
  const Decoded<Subscribe> packet = decode_subscribe(frame, version_);
  if (!packet) return fail(packet.error());
  std::vector<ReasonCode> reasons;
  std::vector<broker::SubscribeRequest> requests;
  for (const Subscription& asked : packet->subscriptions) {
    if (is_too_deep(asked.filter)) {
      STELE_MARK("mqtt: filter of too many levels");
      reasons.push_back(ReasonCode::kTopicFilterInvalid);
    } else {
      reasons.push_back(kToBeAsked);
      requests.push_back(request_of(asked, packet->subscription_id));
    }
  }
  if (requests.empty()) return send(answer_of<Suback>(packet->packet_id, std::move(reasons)));
  begin_task(subscribe(packet->packet_id, std::move(reasons), std::move(requests)));
}

runtime::Task<void> MqttConnection::subscribe(std::uint16_t packet_id, std::vector<ReasonCode> reasons,
                                              std::vector<broker::SubscribeRequest> requests) {
  const std::size_t asked = requests.size();
  const broker::SubscribeAnswer answer = co_await session_->subscribe(std::move(requests));
  STELE_ASSERT(answer.granted.size() == asked);
  auto granted = answer.granted.begin();
  for (ReasonCode& reason : reasons) {
    if (reason != kToBeAsked) continue;
    reason = *granted ? static_cast<ReasonCode>(**granted) : reason_of(granted->error());
    ++granted;
  }
  if (open()) {
    send(answer_of<Suback>(packet_id, std::move(reasons)));
    co_await session_->give_retained();
  }
  end_task();
}

void MqttConnection::on_unsubscribe(const Frame& frame) {
  const Decoded<Unsubscribe> packet = decode_unsubscribe(frame, version_);
  if (!packet) return fail(packet.error());
  std::vector<std::string> filters(packet->filters.begin(), packet->filters.end());
  begin_task(unsubscribe(packet->packet_id, std::move(filters)));
}

runtime::Task<void> MqttConnection::unsubscribe(std::uint16_t packet_id, std::vector<std::string> filters) {
  const std::size_t asked = filters.size();
  const Result<std::vector<bool>> there = co_await session_->unsubscribe(std::move(filters));
  STELE_ASSERT(!there || there->size() == asked);
  std::vector<ReasonCode> reasons;
  for (std::size_t i = 0; i < asked; ++i) {
    if (!there) {
      reasons.push_back(reason_of(there.error()));
    } else {
      reasons.push_back((*there)[i] ? ReasonCode::kSuccess : ReasonCode::kNoSubscriptionExisted);
    }
  }
  if (open()) {
    if (there || v5()) {
      send(answer_of<Unsuback>(packet_id, std::move(reasons)));
    } else {
      // UNSUBACK of 3.1.1 can only say that it is done.
      disconnect(reason_of(there.error()), there.error().message);
    }
  }
  end_task();
}

}  // namespace stele::mqtt
