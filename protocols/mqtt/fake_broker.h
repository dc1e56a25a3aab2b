// A broker of one core in memory, for tests of what stands in front of it. Answers at once, or when it is
// told to. Notes what it was asked.
//
// What an address begins with decides how publishing to it ends: `denied/` kUnauthorized, `full/` kNoSpace,
// `gone/` kUnavailable, `lost/`
// likewise, and nobody knows whether it is kept. A filter that begins with `denied/` is not allowed, one with
// `full/` is over a limit. Client id `denied` may not connect.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/api.h"
#include "broker/testing/anybody.h"
#include "broker/without_groups.h"
#include "runtime/notification.h"

namespace stele::mqtt {

// A message that owns what it says.
class OwnedMessage {
 public:
  OwnedMessage(const MessageView& message, const Bytes& owner);
  MessageView view() const;
  const Bytes& payload() const { return payload_; }

 private:
  MessageView flags_;
  std::string address_;
  Bytes payload_;
  std::optional<std::string> content_type_, reply_to_, correlation_id_;
  std::vector<std::pair<std::string, std::string>> user_;
  mutable std::vector<::stele::UserProperty> user_views_;
};

class FakeBroker : public broker::testing::WithoutGroups, private broker::Authorizer {
 public:
  explicit FakeBroker(runtime::Runtime& runtime) : runtime_(runtime) {}

  // While set, publishes are answered by answer(), and tasks complete by complete().
  bool hold_answers = false;
  bool hold_tasks = false;
  bool slow_tasks = false;        // they complete in a later turn
  std::size_t window = SIZE_MAX;  // publishes that one publisher may have in flight before it is to wait
  bool stop = false;
  broker::testing::Anybody anybody;
  std::vector<std::string> notes;

  void answer();
  void complete() { tasks_.wake_all(); }
  void lose_session(const std::string& client_id);
  // As a client of another protocol would.
  void publish(const MessageView& message, const Bytes& owner = {}, std::string_view client_id = {});
  // How the last payload that was published came: in a block that was shared, or to be copied.
  bool last_was_shared = false;

  runtime::Runtime& runtime() override { return runtime_; }
  broker::Authorizer& authorizer() override { return *this; }
  broker::Authenticator& authenticator() override { return anybody; }
  broker::Administration& administration() override;
  std::shared_ptr<const meta::MetaView> meta() override { return nullptr; }
  NodeId node_id() const override { return NodeId(1); }
  bool stopping() const override { return stop; }
  std::unique_ptr<broker::Publisher> make_publisher(const broker::Principal& who, std::string_view client_id,
                                                    broker::Publisher::Listener& listener) override;
  runtime::Task<Result<std::unique_ptr<broker::Session>>> open_session(
      broker::SessionOptions options, broker::SessionHandler& handler) override;
  std::string new_client_id() override { return "assigned-" + std::to_string(++assigned_); }

  // Not for MQTT.
  void produce(const broker::Principal& who, StreamId stream, Bytes batch,
               std::move_only_function<void(Result<broker::ProduceOk>)> done) override;
  runtime::Task<std::vector<Result<broker::FetchOk>>> fetch(broker::Principal who,
                                                            std::vector<broker::FetchRead> reads,
                                                            std::size_t min_bytes, std::size_t max_bytes,
                                                            runtime::Instant deadline,
                                                            runtime::StopToken stop) override;
  runtime::Task<Result<broker::OffsetAndTime>> list_offset(broker::Principal who, StreamId stream,
                                                           std::int64_t timestamp_ms) override;
  runtime::Task<Result<broker::StreamStatus>> stream_status(broker::Principal who, StreamId stream) override;
  runtime::Task<Result<meta::Topic>> create_topic(broker::Principal who, std::string name,
                                                  std::int32_t partitions, meta::TopicConfig config,
                                                  bool validate_only) override;
  runtime::Task<Result<void>> delete_topic(broker::Principal who, std::string name) override;
  runtime::Task<Result<std::int64_t>> new_producer_id(broker::Principal who) override;
  runtime::Duration producer_expiry() const override { return broker::kDefaultProducerExpiry; }
  bool auto_create_topics() const override { return false; }
  std::int32_t default_partitions() const override { return 1; }

 private:
  class FakePublisher;
  class FakeSession;
  struct Item {
    OwnedMessage message;
    std::uint8_t qos;
    bool retain;
    std::vector<std::uint32_t> ids;
    broker::SettleToken token;
    bool in_flight = false;
    bool sent_before = false;
  };
  // Of one client id. Kept while its session is.
  struct Client {
    std::uint32_t expiry_s = 0;
    std::map<std::string, broker::SubscribeRequest> subscriptions;
    std::deque<Item> queue;
    std::set<std::uint16_t> unreleased;    // QoS 2 from the client
    std::vector<std::uint16_t> releasing;  // QoS 2 to the client
    std::uint16_t last_packet_id = broker::kFirstLoggedId - 1;
    FakeSession* attached = nullptr;
  };
  bool allowed(const broker::Principal& who, broker::Action action, std::string_view resource) override;
  bool may_publish_anywhere(const broker::Principal&) override { return false; }
  bool route(const MessageView& message, const Bytes& owner, std::string_view client_id);
  bool route_shared(const OwnedMessage& message);
  void deliver_queue(Client& client);
  runtime::Task<void> wait_if_told();
  void note(std::string line) { notes.push_back(std::move(line)); }

  runtime::Runtime& runtime_;
  std::map<std::string, Client> clients_;
  std::map<std::string, OwnedMessage> retained_;
  std::set<FakePublisher*> publishers_;  // answered in the order of publishing, across all
  std::deque<std::pair<FakePublisher*, std::move_only_function<void()>>> unanswered_;
  runtime::Notification tasks_;
  runtime::Notification detached_;
  std::map<std::string, std::size_t> turns_;  // of shared subscriptions
  std::uint64_t next_lsn_ = 1;
  std::uint64_t last_serial_ = 0;
  int assigned_ = 0;
};

}  // namespace stele::mqtt
