#include "tests/field/rdkafka_peer.h"

#include <array>
#include <cstdio>
#include <utility>

#include "base/assert.h"

namespace stele::field {

namespace {

struct ListDeleter {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDeleter>;

void forget(rd_kafka_error_t* error) {
  if (error != nullptr) rd_kafka_error_destroy(error);
}

}  // namespace

Result<std::unique_ptr<RdKafkaPeer>> RdKafkaPeer::make(bool producer, const RdSettings& settings,
                                                       Handlers handlers, const std::string& log) {
  std::unique_ptr<RdKafkaPeer> peer(new RdKafkaPeer);
  peer->inside_ = std::make_unique<Inside>();
  peer->inside_->handlers = std::move(handlers);
  peer->inside_->log.reset(std::fopen(log.c_str(), "ae"));
  if (!peer->inside_->log) return error(ErrorCode::kUnavailable, log + " cannot be written");
  const auto strategy = settings.find("partition.assignment.strategy");
  peer->inside_->fragile = strategy != settings.end() && strategy->second == "cooperative-sticky";
  peer->producer_ = producer;
  std::array<char, 512> why{};
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) == RD_KAFKA_CONF_OK)
      continue;
    rd_kafka_conf_destroy(conf);
    return error(ErrorCode::kInvalidArgument, why.data());
  }
  rd_kafka_conf_set_opaque(conf, peer->inside_.get());
  rd_kafka_conf_set_log_cb(conf, on_log);
  if (producer) {
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
  } else {
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, on_committed);
  }
  peer->rk_ = rd_kafka_new(producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, why.data(), why.size());
  if (peer->rk_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return error(ErrorCode::kInvalidArgument, why.data());
  }
  if (!producer) rd_kafka_poll_set_consumer(peer->rk_);
  return peer;
}

RdKafkaPeer::~RdKafkaPeer() {
  if (rk_ == nullptr) return;
  // The run has failed, and the process is about to end.
  if (!may_end()) {
    [[maybe_unused]] const Inside* const left = inside_.release();
    return;
  }
  if (producer_) rd_kafka_purge(rk_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_destroy_flags(rk_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

runtime::Task<void> RdKafkaPeer::end(runtime::Runtime& runtime, std::unique_ptr<RdKafkaPeer> peer) {
  co_await runtime::run_blocking(
      runtime, [ending = std::move(peer)](runtime::BlockingFiles&) mutable { ending.reset(); });
}

void RdKafkaPeer::poll(int most) {
  if (producer_) {
    rd_kafka_poll(rk_, 0);
    return;
  }
  for (; most > 0; --most) {
    rd_kafka_message_t* const message = rd_kafka_consumer_poll(rk_, 0);
    if (message == nullptr) return;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      inside_->handlers.received({.topic = rd_kafka_topic_name(message->rkt),
                                  .partition = message->partition,
                                  .offset = message->offset,
                                  .value = {static_cast<const char*>(message->payload), message->len}});
    } else {
      std::fprintf(inside_->log.get(), "consumer: %s\n", rd_kafka_message_errstr(message));
    }
    rd_kafka_message_destroy(message);
  }
}

bool RdKafkaPeer::produce(const std::string& topic, std::int32_t partition, std::string_view value,
                          std::uint64_t number) {
  STELE_ASSERT(producer_);
  return rd_kafka_producev(rk_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY("key", 3),
                           RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                           RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(number)),
                           RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void RdKafkaPeer::give_up() {
  rd_kafka_purge(rk_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

std::optional<std::string> RdKafkaPeer::fatal() const {
  std::array<char, 512> why{};
  const rd_kafka_resp_err_t error = rd_kafka_fatal_error(rk_, why.data(), why.size());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
  return std::string(rd_kafka_err2name(error)) + ": " + why.data();
}

Result<void> RdKafkaPeer::subscribe(const std::string& topic) {
  const List topics(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(topics.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  const rd_kafka_resp_err_t failure = rd_kafka_subscribe(rk_, topics.get());
  if (failure != RD_KAFKA_RESP_ERR_NO_ERROR)
    return error(ErrorCode::kInvalidArgument, rd_kafka_err2str(failure));
  return {};
}

void RdKafkaPeer::commit(const std::string& topic, std::int32_t partition, std::int64_t offset) {
  const List offsets(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(offsets.get(), topic.c_str(), partition)->offset = offset;
  // What comes of it comes to the callback; that it cannot be asked for now, too.
  if (rd_kafka_commit(rk_, offsets.get(), 1) != RD_KAFKA_RESP_ERR_NO_ERROR)
    inside_->handlers.committed(partition, offset, false);
}

void RdKafkaPeer::begin_close() {
  rd_kafka_queue_t* const queue = rd_kafka_queue_get_consumer(rk_);
  forget(rd_kafka_consumer_close_queue(rk_, queue));
  rd_kafka_queue_destroy(queue);
  closing_ = true;
}

bool RdKafkaPeer::closed() const {
  return closing_ && rd_kafka_consumer_closed(rk_) != 0;
}

// ---- what it calls --------------------------------------------------------------------------------------

void RdKafkaPeer::on_delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto* const inside = static_cast<Inside*>(opaque);
  inside->handlers.delivered(
      {.number = reinterpret_cast<std::uint64_t>(message->_private),
       .problem = message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? "" : rd_kafka_err2name(message->err),
       .offset = message->offset});
}

void RdKafkaPeer::on_rebalance(rd_kafka_t* rk, rd_kafka_resp_err_t what,
                               rd_kafka_topic_partition_list_t* partitions, void* opaque) {
  auto* const inside = static_cast<Inside*>(opaque);
  const bool more = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  if (more) inside->fragile = false;
  for (int i = 0; i < partitions->cnt; ++i) inside->handlers.assigned(partitions->elems[i].partition, more);
  if (std::string_view(rd_kafka_rebalance_protocol(rk)) == "COOPERATIVE") {
    forget(more ? rd_kafka_incremental_assign(rk, partitions)
                : rd_kafka_incremental_unassign(rk, partitions));
  } else {
    rd_kafka_assign(rk, more ? partitions : nullptr);
  }
}

void RdKafkaPeer::on_committed(rd_kafka_t*, rd_kafka_resp_err_t error,
                               rd_kafka_topic_partition_list_t* partitions, void* opaque) {
  auto* const inside = static_cast<Inside*>(opaque);
  for (int i = 0; partitions != nullptr && i < partitions->cnt; ++i) {
    const rd_kafka_topic_partition_t& one = partitions->elems[i];
    inside->handlers.committed(one.partition, one.offset,
                               error == RD_KAFKA_RESP_ERR_NO_ERROR && one.err == RD_KAFKA_RESP_ERR_NO_ERROR);
  }
}

// On one of its threads.
void RdKafkaPeer::on_log(const rd_kafka_t* rk, int, const char* facility, const char* text) {
  const auto* const inside = static_cast<const Inside*>(rd_kafka_opaque(rk));
  std::fprintf(inside->log.get(), "%s %s %s\n", rd_kafka_name(rk), facility, text);
}

}  // namespace stele::field
