// For tests of handlers: a broker that knows topics and its principal's rights and does nothing else, and a
// request that goes through the codec there and back.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "broker/testing/anybody.h"
#include "protocols/kafka/codec.h"
#include "protocols/kafka/server/connection.h"
#include "protocols/kafka/server/handlers/common.h"
#include "runtime/scope.h"

namespace stele::kafka::testing {

class FakeBroker final : public broker::Broker, public broker::Authorizer {
 public:
  // What is not allowed.
  std::set<std::pair<broker::Action, std::string>> forbidden;
  std::int32_t partitions = broker::kDefaultPartitions;

  meta::Topic& add_topic(std::string name, meta::TopicConfig config = {}) {
    meta::Topic topic;
    topic.id = TopicId(topics_.size() + 1);
    topic.uuid = {1, topics_.size() + 1};
    topic.tenant = kDefaultTenant;
    topic.name = std::move(name);
    topic.shards = {ShardId(0)};
    topic.config = std::move(config);
    topics_.push_back(std::move(topic));
    return topics_.back();
  }

  // What new_producer_id fails with; else it counts from 1000.
  std::optional<Error> producer_ids_fail;

  // Of all shards.
  Epoch epoch{5};
  std::optional<NodeId> owner = NodeId(1);
  std::vector<meta::Node> nodes;  // besides this one
  // What is known of streams; of others there is nothing.
  std::map<StreamId, broker::StreamStatus> statuses;
  std::map<StreamId, broker::OffsetAndTime> offsets;
  // By stream and leader epoch.
  std::map<std::pair<StreamId, std::int32_t>, broker::EpochEnd> epoch_ends;

  bool allowed(const broker::Principal&, broker::Action action, std::string_view resource) override {
    return !forbidden.contains({action, std::string(resource)});
  }
  bool may_publish_anywhere(const broker::Principal&) override { return true; }
  broker::testing::Anybody anybody;
  broker::Authenticator& authenticator() override { return anybody; }
  broker::Administration& administration() override { return unexpected<broker::Administration&>(); }

  broker::Authorizer& authorizer() override { return *this; }
  std::shared_ptr<const meta::MetaView> meta() override {
    meta::MetaViewBuilder builder;
    builder.set_cluster({.id = "cluster-of-the-test", .shard_count = 1});
    for (const meta::Topic& topic : topics_) builder.put_topic(topic);
    for (const meta::Node& node : nodes) builder.put_node(node);
    return std::move(builder).finish(1);
  }
  NodeId node_id() const override { return NodeId(1); }
  bool stopping() const override { return false; }
  bool auto_create_topics() const override { return broker::kDefaultAutoCreateTopics; }
  std::int32_t default_partitions() const override { return partitions; }

  // Where streams begin once records are deleted there.
  std::map<std::pair<StreamId, Offset>, Result<Offset>> deletions;

  Epoch epoch_of(ShardId) const override { return epoch; }
  std::optional<NodeId> owner_of(ShardId) const override { return owner; }
  std::optional<NodeId> coordinator_of(const broker::Principal&, const std::string&) const override {
    return owner;
  }
  runtime::Task<std::vector<Result<Offset>>> delete_records(
      broker::Principal, std::vector<std::pair<StreamId, Offset>> asked) override {
    std::vector<Result<Offset>> out;
    for (const auto& one : asked) {
      const auto known = look_up(deletions, one);
      out.push_back(known ? *known : std::unexpected(known.error()));
    }
    co_return out;
  }
  runtime::Task<Result<broker::OffsetAndTime>> list_offset(broker::Principal, StreamId stream,
                                                           std::int64_t) override {
    co_return look_up(offsets, stream);
  }
  runtime::Task<std::vector<Result<broker::StreamStatus>>> stream_statuses(
      broker::Principal, std::vector<StreamId> streams) override {
    std::vector<Result<broker::StreamStatus>> out;
    for (const StreamId& stream : streams) out.push_back(look_up(statuses, stream));
    co_return out;
  }
  runtime::Task<Result<broker::EpochEnd>> epoch_end(broker::Principal, StreamId stream,
                                                    std::int32_t leader_epoch) override {
    co_return look_up(epoch_ends, std::pair(stream, leader_epoch));
  }

  runtime::Duration producer_expiry() const override { return broker::kDefaultProducerExpiry; }
  runtime::Task<Result<std::int64_t>> new_producer_id(broker::Principal) override {
    if (producer_ids_fail) co_return std::unexpected(*producer_ids_fail);
    co_return next_producer_id_++;
  }

  // ---- not for these tests
  runtime::Runtime& runtime() override { return unexpected<runtime::Runtime&>(); }
  std::unique_ptr<broker::Publisher> make_publisher(const broker::Principal&, std::string_view,
                                                    broker::Publisher::Listener&) override {
    return unexpected<std::unique_ptr<broker::Publisher>>();
  }
  runtime::Task<Result<std::unique_ptr<broker::Session>>> open_session(broker::SessionOptions,
                                                                       broker::SessionHandler&) override {
    return unexpected<runtime::Task<Result<std::unique_ptr<broker::Session>>>>();
  }
  std::string new_client_id() override { return unexpected<std::string>(); }
  void produce(const broker::Principal&, StreamId, Bytes,
               std::move_only_function<void(Result<broker::ProduceOk>)>) override {
    unexpected<int>();
  }
  runtime::Task<std::vector<Result<broker::FetchOk>>> fetch(broker::Principal, std::vector<broker::FetchRead>,
                                                            std::size_t, std::size_t, runtime::Instant,
                                                            runtime::StopToken) override {
    return unexpected<runtime::Task<std::vector<Result<broker::FetchOk>>>>();
  }
  runtime::Task<Result<broker::StreamStatus>> stream_status(broker::Principal, StreamId) override {
    return unexpected<runtime::Task<Result<broker::StreamStatus>>>();
  }
  runtime::Task<Result<meta::Topic>> create_topic(broker::Principal, std::string, std::int32_t,
                                                  meta::TopicConfig, bool) override {
    return unexpected<runtime::Task<Result<meta::Topic>>>();
  }
  runtime::Task<Result<void>> delete_topic(broker::Principal, std::string) override {
    return unexpected<runtime::Task<Result<void>>>();
  }

  // What topics were to become, and what is answered.
  struct Altered {
    std::string name;
    std::int32_t count = 0;
    std::vector<meta::ConfigChange> changes;
    bool validate_only = false;
    bool reset_others = false;
  };
  std::vector<Altered> altered;
  std::optional<Error> altering_fails;
  runtime::Task<Result<meta::Topic>> add_partitions(broker::Principal, std::string name, std::int32_t count,
                                                    bool validate_only) override {
    altered.push_back({std::move(name), count, {}, validate_only, false});
    if (altering_fails) co_return std::unexpected(*altering_fails);
    co_return meta::Topic();
  }
  runtime::Task<Result<meta::Topic>> alter_topic(broker::Principal, std::string name,
                                                 broker::TopicChanges changes) override {
    altered.push_back(
        {std::move(name), 0, std::move(changes.settings), changes.validate_only, changes.reset_others});
    if (altering_fails) co_return std::unexpected(*altering_fails);
    co_return meta::Topic();
  }

  broker::GroupOptions groups;
  const broker::GroupOptions& group_options() const override { return groups; }

  // ---- groups: what was asked, and what is answered
  broker::JoinGroup join_asked;
  broker::JoinedGroup join_answer;
  broker::SyncGroup sync_asked;
  broker::SyncedGroup sync_answer;
  broker::GroupError heartbeat_answer = broker::GroupError::kNone;
  broker::LeaveGroup leave_asked;
  broker::LeftGroup leave_answer;
  broker::CommitOffsets commit_asked;
  broker::OffsetsAnswer offsets_answer;
  broker::FetchOffsets fetch_offsets_asked;
  broker::FetchedOffsets fetch_offsets_answer;
  broker::DeleteOffsets delete_offsets_asked;
  broker::GroupDescription description;
  broker::GroupError delete_group_answer = broker::GroupError::kNone;
  Result<std::vector<broker::ListedGroup>> group_list;

  runtime::Task<broker::JoinedGroup> join_group(broker::Principal, broker::JoinGroup request,
                                                runtime::StopToken) override {
    join_asked = std::move(request);
    co_return join_answer;
  }
  runtime::Task<broker::SyncedGroup> sync_group(broker::Principal, broker::SyncGroup request,
                                                runtime::StopToken) override {
    sync_asked = std::move(request);
    co_return sync_answer;
  }
  runtime::Task<broker::GroupError> group_heartbeat(broker::Principal, broker::GroupHeartbeat) override {
    co_return heartbeat_answer;
  }
  runtime::Task<broker::LeftGroup> leave_group(broker::Principal, broker::LeaveGroup request) override {
    leave_asked = std::move(request);
    co_return leave_answer;
  }
  runtime::Task<broker::OffsetsAnswer> commit_offsets(broker::Principal,
                                                      broker::CommitOffsets request) override {
    commit_asked = std::move(request);
    co_return offsets_answer;
  }
  runtime::Task<broker::FetchedOffsets> fetch_offsets(broker::Principal,
                                                      broker::FetchOffsets request) override {
    fetch_offsets_asked = std::move(request);
    co_return fetch_offsets_answer;
  }
  runtime::Task<broker::OffsetsAnswer> delete_offsets(broker::Principal,
                                                      broker::DeleteOffsets request) override {
    delete_offsets_asked = std::move(request);
    co_return offsets_answer;
  }
  runtime::Task<broker::GroupDescription> describe_group(broker::Principal, std::string) override {
    co_return description;
  }
  runtime::Task<broker::GroupError> delete_group(broker::Principal, std::string) override {
    co_return delete_group_answer;
  }
  runtime::Task<Result<std::vector<broker::ListedGroup>>> list_groups(broker::Principal) override {
    co_return group_list;
  }

 private:
  template <class Key, class Value>
  static Result<Value> look_up(const std::map<Key, Value>& all, const Key& key) {
    const auto found = all.find(key);
    if (found == all.end()) return error(ErrorCode::kNotFound, "there is no such topic and partition");
    return found->second;
  }
  template <class T>
  T unexpected() {
    STELE_ASSERT(false);
    std::abort();
  }

  std::vector<meta::Topic> topics_;
  std::int64_t next_producer_id_ = 1000;
};

// What a client gets that sends this. The handler must not have to wait.
class FakeClient {
 public:
  explicit FakeClient(FakeBroker& broker)
      : context_{broker, options, fetch_sessions_, sasl_.principal, sasl_, scope_.token()} {}
  KafkaOptions options{.advertised = {"broker.example", 9092}, .fetch_sessions = {}};
  const SaslState& sasl() const { return sasl_; }

  template <class Response, class Request>
  Response ask(std::int16_t version, const Request& message) {
    std::string sent;
    EXPECT_TRUE(append_request(sent, 7, version, "test", message));
    IncomingRequest request{Bytes::copy(std::string_view(sent).substr(kLengthBytes)), {}};
    auto parsed = parse_request(request.frame);
    EXPECT_TRUE(parsed && parsed->support == RequestSupport::kServed);
    request.request = *parsed;
    std::string answer;
    runtime::Scope scope;
    scope.spawn(run(find_handler(Request::kApi), std::move(request), &answer));
    EXPECT_EQ(scope.running(), 0U);
    auto response = parse_response(std::string_view(answer).substr(kLengthBytes), Request::kApi, version);
    EXPECT_TRUE(response && response->correlation_id == 7);
    auto body = decode<Response>(response->body, version);
    EXPECT_TRUE(body);
    return *std::move(body);
  }

 private:
  runtime::Task<void> run(Handler handler, IncomingRequest request, std::string* answer) {
    auto response = co_await handler(context_, std::move(request));
    EXPECT_TRUE(response);
    for (const Bytes& bytes : *response) answer->append(bytes);
  }

  FetchSessions fetch_sessions_{FetchSessionOptions()};
  SaslState sasl_;
  runtime::Scope scope_;
  HandlerContext context_;
};

}  // namespace stele::kafka::testing
