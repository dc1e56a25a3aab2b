// The user with hardly a right of scenario `node`, and how the others log in.
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "base/base64.h"
#include "model/record_batch_builder.h"
#include "protocols/http/client.h"
#include "protocols/kafka/messages/join_group.h"
#include "protocols/kafka/messages/offset_fetch.h"
#include "sim/workloads/clients.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

const MqttPeer::Login kDenied{"denied", "the password of denied"};
// The one thing that it may do: write here. It only ever tries to reach other places from it.
const std::string kOwnTopic = "denied.own";

class Attempts {
 public:
  Attempts(runtime::Runtime& runtime, Workload& workload) : runtime_(runtime), workload_(workload) {}

  Task<void> mqtt() {
    MqttPeer::Login login = kDenied;
    const bool wrong = runtime_.random().chance(1, 8);
    if (wrong) login.password += "?";
    auto dialed = co_await MqttPeer::dial(runtime_, workload_.mqtt, login);
    if (!dialed) co_return;
    MqttPeer& peer = **dialed;
    const auto version = runtime_.random().chance(1, 2) ? mqtt::Version::kV5 : mqtt::Version::kV311;
    auto opened = co_await peer.open("denied", true, 0, version);
    if (!opened) co_return;
    if (wrong && opened->reason == mqtt::ReasonCode::kSuccess)
      co_return fail("logs in with a wrong password");
    if (opened->reason != mqtt::ReasonCode::kSuccess) {
      workload_.denials += wrong;
      co_return;
    }
    if (runtime_.random().chance(1, 2)) {
      peer.publish("sensors/0/0", next().text(), 1, 1, false, runtime_.random().chance(1, 4));
      auto answer = co_await peer.next(20s);
      const auto* ack = answer ? std::get_if<mqtt::Puback>(&answer->packet) : nullptr;
      if (ack && ack->reason != mqtt::ReasonCode::kNotAuthorized) co_return fail("publishes");
      workload_.denials += ack != nullptr;
    } else {
      mqtt::Subscribe subscribe;
      subscribe.packet_id = 1;
      const std::string filter = runtime_.random().chance(1, 2) ? "#" : "sensors/#";
      subscribe.subscriptions.push_back({.filter = filter, .qos = mqtt::Qos::kAtLeastOnce});
      peer.send(subscribe);
      const runtime::Instant until = runtime_.now() + 2s;
      while (runtime_.now() < until) {
        auto answer = co_await peer.next(2s);
        if (!answer) break;
        if (std::holds_alternative<mqtt::Publish>(answer->packet)) co_return fail("is sent a message");
        const auto* ack = std::get_if<mqtt::Suback>(&answer->packet);
        if (ack && !is_error(ack->reasons.front())) co_return fail("subscribes");
        workload_.denials += ack != nullptr;
      }
    }
  }

  Task<void> kafka() {
    kafka::ClientOptions options;
    const bool scram = runtime_.random().chance(1, 8);
    options.sasl = kafka::SaslLogin{
        .mechanism = scram ? "SCRAM-SHA-256" : "PLAIN", .user = kDenied.user, .password = kDenied.password};
    if (runtime_.random().chance(1, 8)) options.sasl.reset();
    auto client = co_await kafka::Client::connect(runtime_, workload_.kafka, std::move(options));
    if (!client) co_return;
    switch (runtime_.random().below(6)) {
      case 0: {
        auto read = co_await (*client)->fetch("orders.eu", 0, Offset(0));
        if (read) note("fetches", read->error, kafka::KafkaError::kTopicAuthorizationFailed);
        break;
      }
      case 1:
        co_await produce(**client, "orders.eu", {});
        break;
      case 2: {
        const RecordHeader named{"mqtt.topic", "sensors/0/0"};
        co_await produce(**client, kOwnTopic, std::span(&named, 1));
        break;
      }
      case 3:
        co_await grow(**client);
        break;
      case 4:
        co_await alter(**client);
        break;
      default:
        co_await use_group(**client);
    }
    (*client)->close();
  }

  Task<void> http() {
    http::Request request{.method = "GET", .target = "/v1/users"};
    request.headers.add("authorization", basic(kDenied));
    const auto response = co_await http::send_request(runtime_, workload_.http, std::move(request));
    if (!response) co_return;
    if (response->status == 200) co_return fail("is shown the users");
    workload_.denials += response->status == 403;
  }

 private:
  Task<void> produce(kafka::Client& client, const std::string& topic, std::span<const RecordHeader> headers) {
    std::string batch;
    RecordBatchBuilder builder(batch, {});
    builder.append(runtime_.wall_now().ms, "key", next().text(), headers);
    (void)builder.finish();
    auto written = co_await client.produce(topic, 0, Bytes::copy(batch));
    if (written) note("produces to " + topic, written->error, kafka::KafkaError::kTopicAuthorizationFailed);
  }

  Task<void> grow(kafka::Client& client) {
    kafka::CreatePartitionsRequest request;
    request.topics.push_back({runtime_.random().chance(1, 2) ? "sensors" : kOwnTopic, 20, {}});
    const auto answer = co_await client.call(std::move(request));
    if (answer)
      note("adds partitions", answer->results.at(0).error, kafka::KafkaError::kTopicAuthorizationFailed);
  }

  // What his own topic captured, he could go on with.
  Task<void> alter(kafka::Client& client) {
    kafka::IncrementalAlterConfigsRequest request;
    request.resources.push_back(
        {2, runtime_.random().chance(1, 2) ? "sensors" : kOwnTopic, {{"stele.capture", 0, "sensors/#"}}});
    const auto answer = co_await client.call(std::move(request));
    if (answer)
      note("alters a topic", answer->responses.at(0).error, kafka::KafkaError::kTopicAuthorizationFailed);
  }

  Task<void> use_group(kafka::Client& client) {
    if (runtime_.random().chance(1, 2)) {
      kafka::JoinGroupRequest join;
      join.group_id = "workers";
      join.session_timeout_ms = join.rebalance_timeout_ms = 10'000;
      join.protocol_type = "consumer";
      join.protocols = {{"range", ""}};
      auto joined = co_await client.call(std::move(join));
      if (joined) note("joins a group", joined->error, kafka::KafkaError::kGroupAuthorizationFailed);
    } else {
      kafka::OffsetFetchRequest ask;
      ask.groups.emplace_back().group_id = "workers";
      ask.groups.back().topics.reset();
      auto offsets = co_await client.call(std::move(ask), 8);
      if (offsets && !offsets->groups.empty()) {
        note("is told offsets", offsets->groups.front().error, kafka::KafkaError::kGroupAuthorizationFailed);
      }
    }
  }

  // What was answered to an attempt that must be refused. Any other error says that it did not come that far.
  void note(const std::string& what, kafka::KafkaError answer, kafka::KafkaError refusal) {
    if (answer == kafka::KafkaError::kNone || answer == kafka::KafkaError::kMemberIdRequired) fail(what);
    workload_.denials += answer == refusal;
  }

  MessageId next() { return {kDeniedPublisher, 0, sequence_++}; }
  void fail(const std::string& what) { workload_.judge.fail("a user without rights " + what); }

  runtime::Runtime& runtime_;
  Workload& workload_;
  std::uint64_t sequence_ = 1;
};

}  // namespace

kafka::ClientOptions kafka_options(const Workload& workload) {
  kafka::ClientOptions options;
  options.dial = workload.kafka_dial;
  if (!workload.login) return options;
  options.sasl = kafka::SaslLogin{
      .mechanism = "PLAIN", .user = workload.login->user, .password = workload.login->password};
  return options;
}

std::string basic(const MqttPeer::Login& login) {
  return "Basic " + base64_encode(login.user + ":" + login.password);
}

Task<bool> make_over_http(runtime::Runtime& runtime, Workload& workload,
                          std::vector<std::pair<std::string, std::string>> all) {
  for (auto& [target, body] : all) {
    http::Request request{.method = "POST", .target = target};
    request.headers.add("authorization", basic(*workload.login));
    request.body = std::move(body);
    const auto response = co_await http::send_request(runtime, workload.http, std::move(request));
    if (!response || (response->status != 201 && response->status != 409)) co_return false;
  }
  co_return true;
}

Task<bool> make_denied_user(runtime::Runtime& runtime, Workload& workload) {
  std::vector<std::pair<std::string, std::string>> made = {
      {"/v1/users", R"({"name": ")" + kDenied.user + R"(", "password": ")" + kDenied.password + R"("})"},
      {"/v1/topics", R"({"name": ")" + kOwnTopic + R"("})"},
      {"/v1/acls",
       R"({"user": ")" + kDenied.user + R"(", "operations": ["write"], "topic": ")" + kOwnTopic + R"("})"},
  };
  return make_over_http(runtime, workload, std::move(made));
}

Task<void> run_denied(runtime::Runtime& runtime, Workload& workload) {
  workload.running.insert("denied");
  Attempts attempts(runtime, workload);
  while (!workload.stopping) {
    const std::uint64_t kind = runtime.random().below(8);
    if (kind < 3) {
      co_await attempts.mqtt();
    } else if (kind < 7) {
      co_await attempts.kafka();
    } else {
      co_await attempts.http();
    }
    co_await runtime::sleep(runtime, std::chrono::milliseconds(runtime.random().between(100, 2000)));
    // Now and then while the others do nothing.
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(5'000, 60'000));
    while (runtime.now() < until && !workload.busy() && !workload.stopping) {
      co_await runtime::sleep(runtime, 500ms);
    }
  }
  workload.running.erase("denied");
}

}  // namespace stele::sim
