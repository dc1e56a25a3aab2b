// The client against a scripted broker.
#include "protocols/kafka/client.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/wire.h"
#include "model/record_batch_builder.h"
#include "runtime/conformance_peer.h"
#include "runtime/scope.h"
#include "runtime/uv/uv_process.h"

namespace stele::kafka {
namespace {

using namespace std::chrono_literals;
using runtime::Endpoint;
using runtime::Runtime;
using runtime::Scope;
using runtime::Task;
using runtime::until;

// Takes requests as they come; `answer` says what goes back, if anything.
class ScriptedBroker {
 public:
  using Answer = std::function<void(ScriptedBroker&, const Request&)>;
  explicit ScriptedBroker(Runtime& runtime, Answer answer) : answer_(std::move(answer)) {
    acceptor_.prepare = [this](runtime::Peer& peer) {
      peer_ = &peer;
      peer.when_data = [this] { take(); };
    };
    listener_ = *runtime.network().listen({"127.0.0.1", 0}, {}, acceptor_);
  }
  Endpoint at() const { return listener_->local(); }
  runtime::Peer& peer() { return *peer_; }
  const std::vector<std::int16_t>& seen() const { return seen_; }  // API keys

  template <class Message>
  void respond(const Request& to, const Message& message, std::int32_t correlation_shift = 0) {
    std::string out;
    ASSERT_TRUE(
        append_response(out, to.header.correlation_id + correlation_shift, to.header.version, message));
    peer_->connection->write(std::string_view(out));
  }
  void respond_versions(const Request& to) { respond(to, make_api_versions_response()); }

 private:
  void take() {
    reader_.add(Bytes::copy(std::exchange(peer_->received, {})));
    while (true) {
      auto frame = reader_.next(1 << 20);
      ASSERT_TRUE(frame);
      if (!*frame) return;
      auto request = parse_request((*frame)->view());
      ASSERT_TRUE(request);
      seen_.push_back(request->header.api_key);
      answer_(*this, *request);
    }
  }

  Answer answer_;
  runtime::Acceptor acceptor_;
  runtime::Peer* peer_ = nullptr;
  FrameReader reader_;
  std::vector<std::int16_t> seen_;
  std::unique_ptr<runtime::Listener> listener_;
};

bool is(const Request& request, ApiKey api) {
  return request.header.api_key == static_cast<std::int16_t>(api);
}

Task<void> run_and_stop(runtime::uv::UvProcess* process, Task<void> body) {
  co_await std::move(body);
  process->stop();
}

void run(Task<void> (*body)(Runtime&)) {
  runtime::uv::UvProcess process({.cores = 1});
  Scope scope;
  process.run([&](Runtime& runtime) { scope.spawn(run_and_stop(&process, body(runtime))); });
  EXPECT_EQ(scope.running(), 0u);
}

Bytes batch_of(std::vector<std::string> values, Offset base = Offset(0)) {
  std::string out;
  RecordBatchBuilder builder(out, {.base_offset = base});
  for (const auto& value : values) builder.append(1000, std::nullopt, value);
  EXPECT_TRUE(builder.finish());
  return Bytes::copy(out);
}

void answer_produce(ScriptedBroker& broker, const Request& request) {
  const auto body = decode<ProduceRequest>(request.body, request.header.version);
  ASSERT_TRUE(body);
  ProduceResponse response;
  auto& topic = response.topics.emplace_back();
  topic.name = body->topics.at(0).name;
  auto& partition = topic.partitions.emplace_back();
  partition.index = body->topics[0].partitions.at(0).index;
  partition.base_offset = std::int64_t(body->topics[0].partitions[0].records->size());
  broker.respond(request, response);
}

Task<void> produces_and_fetches(Runtime& rt) {
  const Bytes stored = batch_of({"a", "b", "c"}, Offset(5));
  ScriptedBroker broker(rt, [&](ScriptedBroker& b, const Request& request) {
    if (is(request, ApiKey::kApiVersions)) return b.respond_versions(request);
    if (is(request, ApiKey::kProduce)) return answer_produce(b, request);
    ASSERT_TRUE(is(request, ApiKey::kFetch));
    const auto body = decode<FetchRequest>(request.body, request.header.version);
    ASSERT_TRUE(body);
    EXPECT_EQ(body->topics.at(0).topic, "t");
    EXPECT_EQ(body->topics[0].partitions.at(0).fetch_offset, 6);
    FetchResponse response;
    auto& topic = response.topics.emplace_back();
    topic.topic = "t";
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index = 1;
    partition.high_watermark = 8;
    partition.records = Records({stored, stored.slice(0, 20)});
    b.respond(request, response);
  });
  auto client = co_await Client::connect(rt, broker.at(), {});
  STELE_REQUIRE(client);
  const auto produced = co_await (*client)->produce("t", 1, stored);
  STELE_REQUIRE(produced);
  EXPECT_EQ(produced->error, KafkaError::kNone);
  EXPECT_EQ(produced->base_offset, std::int64_t(stored.size())) << "the broker saw the whole batch";
  const auto fetched = co_await (*client)->fetch("t", 1, Offset(6));
  STELE_REQUIRE(fetched);
  EXPECT_EQ(fetched->high_watermark, 8);
  std::vector<std::string> values;
  EXPECT_TRUE(each_record(fetched->records.flatten(), Offset(6),
                          [&](const RecordView& r) { values.emplace_back(*r.value); }));
  EXPECT_EQ(values, (std::vector<std::string>{"b", "c"})) << "from the offset on, without the cut batch";
}
TEST(KafkaClient, ProducesAndFetches) {
  run(produces_and_fetches);
}

Task<void> note_base_offset(Client& client, std::size_t size, std::vector<std::int64_t>* sizes) {
  const auto produced = co_await client.produce("t", 0, batch_of({std::string(size, 'x')}));
  STELE_REQUIRE(produced);
  sizes->push_back(produced->base_offset);
}

Task<void> calls_overlap_within_their_limit(Runtime& rt) {
  std::vector<Request> held;
  std::vector<std::string> bodies;
  ScriptedBroker broker(rt, [&](ScriptedBroker& b, const Request& request) {
    if (is(request, ApiKey::kApiVersions)) return b.respond_versions(request);
    held.push_back(request);
    bodies.emplace_back(request.body);
  });
  auto client = co_await Client::connect(rt, broker.at(), {.max_in_flight = 3});
  STELE_REQUIRE(client);
  std::vector<std::int64_t> answers;
  Scope scope;
  for (std::size_t i = 0; i < 10; ++i) scope.spawn(note_base_offset(**client, i, &answers));
  EXPECT_EQ((*client)->in_flight(), 3u);
  STELE_REQUIRE(co_await until(rt, [&] { return held.size() == 3; }));
  for (std::size_t i = 0; i < 10; ++i) {
    STELE_REQUIRE(co_await until(rt, [&] { return held.size() > i; }));
    held[i].body = bodies[i];
    answer_produce(broker, held[i]);
    STELE_REQUIRE(co_await until(rt, [&] { return answers.size() > i; }));
    EXPECT_LE(held.size(), i + 4) << "never more than three unanswered";
  }
  co_await scope.join();
  for (std::size_t i = 1; i < 10; ++i) EXPECT_EQ(answers[i], answers[i - 1] + 1);
}
TEST(KafkaClient, CallsOverlapWithinTheirLimit) {
  run(calls_overlap_within_their_limit);
}

Task<void> note_error(Client& client, std::vector<ErrorCode>* errors) {
  const auto answer = co_await client.metadata();
  errors->push_back(runtime::code_of(answer));
}

enum class End { kReset, kWrongId, kGarbage, kSilence };
template <End end>
Task<void> all_calls_fail(Runtime& rt) {
  ScriptedBroker broker(rt, [&](ScriptedBroker& b, const Request& request) {
    if (is(request, ApiKey::kApiVersions)) return b.respond_versions(request);
    if (b.seen().size() != 3) return;
    switch (end) {
      case End::kReset:
        return b.peer().connection->close(1s);
      case End::kWrongId:
        return b.respond(request, MetadataResponse());  // of the second call, before the first
      case End::kGarbage:
        return b.peer().connection->write(std::string_view("\xff\xff\xff\xff", 4));
      case End::kSilence:
        return;
    }
  });
  auto client = co_await Client::connect(
      rt, broker.at(),
      {.request_timeout = end == End::kSilence ? 50ms : runtime::Duration(30s), .max_in_flight = 2});
  STELE_REQUIRE(client);
  std::vector<ErrorCode> errors;
  Scope scope;
  for (int i = 0; i < 4; ++i) scope.spawn(note_error(**client, &errors));
  co_await scope.join();
  const ErrorCode expected = end == End::kReset     ? ErrorCode::kClosed
                             : end == End::kSilence ? ErrorCode::kTimedOut
                                                    : ErrorCode::kMalformed;
  EXPECT_EQ(errors, std::vector<ErrorCode>(4, expected));
  EXPECT_TRUE((*client)->closed());
  EXPECT_EQ(runtime::code_of(co_await (*client)->metadata()), expected);
}
TEST(KafkaClient, AClosedConnectionFailsAllCalls) {
  run(all_calls_fail<End::kReset>);
}
TEST(KafkaClient, AnAnswerOutOfTurnFailsAllCalls) {
  run(all_calls_fail<End::kWrongId>);
}
TEST(KafkaClient, AFrameThatIsNoneFailsAllCalls) {
  run(all_calls_fail<End::kGarbage>);
}
TEST(KafkaClient, SilenceFailsAllCalls) {
  run(all_calls_fail<End::kSilence>);
}

Task<void> ask(Client& client) {
  (void)co_await client.metadata();
}

Task<void> destroy_the_client(std::unique_ptr<Client>* client, bool* done) {
  co_await (*client)->metadata();
  client->reset();
  *done = true;
}

Task<void> may_be_destroyed_by_who_waits(Runtime& rt) {
  ScriptedBroker broker(rt, [&](ScriptedBroker& b, const Request& request) {
    if (is(request, ApiKey::kApiVersions)) return b.respond_versions(request);
    b.respond(request, MetadataResponse());
  });
  auto client = co_await Client::connect(rt, broker.at(), {.max_in_flight = 2});
  STELE_REQUIRE(client);
  bool done = false;
  Scope scope;
  scope.spawn(destroy_the_client(&*client, &done));
  auto dropped = std::make_unique<Scope>();
  for (int i = 0; i < 3; ++i) dropped->spawn(ask(**client));
  STELE_REQUIRE(co_await until(rt, [&] { return done; }));
  dropped.reset();  // frames that outlived the client
}
TEST(KafkaClient, MayBeDestroyedByWhoWaits) {
  run(may_be_destroyed_by_who_waits);
}

Task<void> a_dropped_call_is_not_waited_for(Runtime& rt) {
  ScriptedBroker broker(rt, [&](ScriptedBroker& b, const Request& request) {
    if (is(request, ApiKey::kApiVersions)) return b.respond_versions(request);
    MetadataResponse response;
    response.controller_id = static_cast<std::int32_t>(b.seen().size());
    b.respond(request, response);
  });
  auto client = co_await Client::connect(rt, broker.at(), {});
  STELE_REQUIRE(client);
  std::vector<ErrorCode> errors;
  auto dropped = std::make_unique<Scope>();
  dropped->spawn(note_error(**client, &errors));
  dropped.reset();
  const auto second = co_await (*client)->metadata();
  STELE_REQUIRE(second);
  EXPECT_EQ(second->controller_id, 3);
  EXPECT_TRUE(errors.empty());
}
TEST(KafkaClient, ADroppedCallIsNotWaitedFor) {
  run(a_dropped_call_is_not_waited_for);
}

// KIP-511: a broker older than the client's ApiVersions answers in version 0 with what it has.
Task<void> an_older_broker(Runtime& rt) {
  ScriptedBroker broker(rt, [&](ScriptedBroker& b, const Request& request) {
    if (is(request, ApiKey::kApiVersions)) {
      ApiVersionsResponse response;
      response.error = KafkaError::kUnsupportedVersion;
      response.apis = {{3, 0, 5}, {0, 20, 21}};
      std::string out;
      ASSERT_TRUE(append_response(out, request.header.correlation_id, 0, response));
      return b.peer().connection->write(std::string_view(out));
    }
    EXPECT_EQ(request.header.version, 5) << "the highest that both have";
    b.respond(request, MetadataResponse());
  });
  auto client = co_await Client::connect(rt, broker.at(), {});
  STELE_REQUIRE(client);
  EXPECT_TRUE(co_await (*client)->metadata());
  EXPECT_EQ(runtime::code_of(co_await (*client)->fetch("t", 0, Offset(0))), ErrorCode::kUnsupported);
  EXPECT_EQ(runtime::code_of(co_await (*client)->produce("t", 0, batch_of({"x"}))), ErrorCode::kUnsupported);
  EXPECT_FALSE((*client)->closed());
}
TEST(KafkaClient, AnOlderBroker) {
  run(an_older_broker);
}

Task<void> acks_zero_is_not_answered(Runtime& rt) {
  ScriptedBroker broker(rt, [&](ScriptedBroker& b, const Request& request) {
    if (is(request, ApiKey::kApiVersions)) return b.respond_versions(request);
    if (is(request, ApiKey::kMetadata)) b.respond(request, MetadataResponse());
  });
  auto client = co_await Client::connect(rt, broker.at(), {});
  STELE_REQUIRE(client);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(co_await (*client)->produce("t", 0, batch_of({"x"}), 0));
  EXPECT_TRUE(co_await (*client)->metadata());
  EXPECT_EQ(broker.seen().size(), 102u);
}
TEST(KafkaClient, AcksZeroIsNotAnswered) {
  run(acks_zero_is_not_answered);
}

Task<void> nobody_listens(Runtime& rt) {
  runtime::Acceptor acceptor;
  auto listener = rt.network().listen({"127.0.0.1", 0}, {}, acceptor);
  STELE_REQUIRE(listener);
  const Endpoint at = (*listener)->local();
  listener->reset();
  co_await runtime::sleep(rt, 1ms);
  EXPECT_EQ(runtime::code_of(co_await Client::connect(rt, at, {})), ErrorCode::kRefused);
}
TEST(KafkaClient, NobodyListens) {
  run(nobody_listens);
}

}  // namespace
}  // namespace stele::kafka
