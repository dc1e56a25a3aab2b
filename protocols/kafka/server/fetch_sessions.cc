#include "protocols/kafka/server/fetch_sessions.h"

#include <iterator>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::kafka {
namespace {

// What a request says of its session instead of a number.
constexpr std::int32_t kNewSession = 0, kNoSession = -1;
constexpr std::int16_t kFirstByTopicId = 13;

std::int32_t epoch_after(std::int32_t epoch) {
  return epoch == INT32_MAX ? 1 : epoch + 1;
}

}  // namespace

// ---- one session ----------------------------------------------------------------------------------------

bool FetchSession::note(Partition& partition, const FetchResponse::Partition& answer) {
  bool news = answer.records.size() > 0;
  if (std::exchange(partition.high_watermark, answer.high_watermark) != answer.high_watermark) news = true;
  if (std::exchange(partition.log_start, answer.log_start_offset) != answer.log_start_offset) news = true;
  if (answer.error == KafkaError::kNone) return news;
  // Once it is over the client has to hear that, too.
  partition.high_watermark = -1;
  return true;
}

void FetchSession::tell(std::vector<FetchResponse::Partition> answers, FetchResponse& response) {
  STELE_ASSERT(answers.size() == partitions_.size());
  std::list<Partition> had_records;
  auto at = partitions_.begin();
  for (FetchResponse::Partition& answer : answers) {
    const auto one = at++;
    if (!note(*one, answer)) continue;
    if (answer.records.size() > 0) had_records.splice(had_records.end(), partitions_, one);
    if (response.topics.empty() || response.topics.back().topic != one->topic ||
        response.topics.back().topic_id != one->topic_id) {
      FetchResponse::Topic& topic = response.topics.emplace_back();
      topic.topic = one->topic;
      topic.topic_id = one->topic_id;
    }
    response.topics.back().partitions.push_back(std::move(answer));
  }
  partitions_.splice(partitions_.end(), had_records);
}

void FetchSession::told(const FetchResponse& response) {
  for (const FetchResponse::Topic& topic : response.topics) {
    for (const FetchResponse::Partition& partition : topic.partitions) {
      const auto found = places_.find({topic.topic, topic.topic_id, partition.partition_index});
      if (found != places_.end()) note(*found->second, partition);
    }
  }
}

void FetchSession::put(std::string_view topic, const Uuid& topic_id, const FetchRequest::Partition& asked) {
  if (const auto found = places_.find({topic, topic_id, asked.partition}); found != places_.end()) {
    found->second->asked = asked;
    return;
  }
  Partition& made = partitions_.emplace_back();
  made.topic = topic;
  made.topic_id = topic_id;
  made.asked = asked;
  places_.emplace(Key{made.topic, made.topic_id, asked.partition}, std::prev(partitions_.end()));
}

void FetchSession::update(const FetchRequest& request) {
  for (const auto& topic : request.topics) {
    for (const auto& partition : topic.partitions) put(topic.topic, topic.topic_id, partition);
  }
  for (const auto& topic : request.forgotten_topics) {
    for (const std::int32_t partition : topic.partitions) {
      const auto found = places_.find({topic.topic, topic.topic_id, partition});
      if (found == places_.end()) continue;
      const auto place = found->second;
      places_.erase(found);
      partitions_.erase(place);
    }
  }
}

// ---- all of them ----------------------------------------------------------------------------------------

FetchSession* FetchSessions::find(std::int32_t id, const broker::Principal& who) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return nullptr;
  FetchSession& session = *found->second;
  return session.tenant_ == who.tenant && session.user_ == who.name ? &session : nullptr;
}

void FetchSessions::close(FetchSession& session) {
  partitions_ -= session.partitions_.size();
  order_.erase(session.in_order_);
  sessions_.erase(session.id_);
}

bool FetchSessions::fits(const FetchSession& session, bool is_new) const {
  return sessions_.size() + (is_new ? 1 : 0) <= options_.sessions &&
         partitions_ + (is_new ? session.partitions_.size() : 0) <= options_.partitions;
}

bool FetchSessions::make_room(const FetchSession& session, bool is_new, runtime::Instant now) {
  while (!fits(session, is_new)) {
    if (order_.empty() || order_.front() == &session || now - order_.front()->used_ < options_.keep) {
      STELE_MARK("kafka: no room for a fetch session");
      ++stats_.refused;
      return false;
    }
    STELE_MARK("kafka: fetch session gave way");
    ++stats_.evicted;
    close(*order_.front());
  }
  return true;
}

FetchSessions::Begun FetchSessions::begin(const FetchRequest& request, std::int16_t version,
                                          const broker::Principal& who, runtime::Instant now) {
  FetchSession* session = find(request.session_id, who);
  if (request.session_epoch == kNewSession || request.session_epoch == kNoSession) {
    if (session) close(*session);
    return {};
  }
  if (!session) return {.error = KafkaError::kFetchSessionIdNotFound};
  if (session->epoch_ != request.session_epoch) {
    STELE_MARK("kafka: fetch of another epoch of its session");
    return {.error = KafkaError::kInvalidFetchSessionEpoch};
  }
  if (session->by_topic_id_ != (version >= kFirstByTopicId))
    return {.error = KafkaError::kFetchSessionTopicIdError};

  Begun begun{.session = sessions_.find(session->id_)->second};
  partitions_ -= session->partitions_.size();
  session->update(request);
  partitions_ += session->partitions_.size();
  session->used_ = now;
  order_.splice(order_.end(), order_, session->in_order_);
  session->epoch_ = begun.epoch = epoch_after(session->epoch_);
  if (session->partitions_.empty()) {
    // The answer is that of a request that names nothing, and that there is no session.
    close(*session);
    return {};
  }
  if (!make_room(*session, false, now)) {
    close(*session);
    return {.error = KafkaError::kFetchSessionIdNotFound};
  }
  return begun;
}

std::shared_ptr<FetchSession> FetchSessions::open(const FetchRequest& request, std::int16_t version,
                                                  const broker::Principal& who, runtime::Instant now,
                                                  runtime::Random& random) {
  if (request.session_epoch != kNewSession) return nullptr;
  auto session = std::make_shared<FetchSession>();
  session->update(request);
  if (session->partitions_.empty() || !make_room(*session, true, now)) return nullptr;
  do {
    session->id_ = static_cast<std::int32_t>(random.between(1, INT32_MAX));
  } while (sessions_.contains(session->id_));
  session->by_topic_id_ = version >= kFirstByTopicId;
  session->tenant_ = who.tenant;
  session->user_ = who.name;
  session->used_ = now;
  session->in_order_ = order_.insert(order_.end(), session.get());
  partitions_ += session->partitions_.size();
  sessions_.emplace(session->id_, session);
  ++stats_.opened;
  return session;
}

}  // namespace stele::kafka
