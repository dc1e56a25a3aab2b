// Clients whose name or password is wrong, or that lose what they were allowed: they are refused for the
// reason that there is, and nobody of another address is. They have a host of their own.
#include <array>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocols/http/client.h"
#include "protocols/kafka/client.h"
#include "runtime/scope.h"
#include "sim/workloads/rounds.h"

namespace stele::sim {

using kafka::KafkaError;
using mqtt::ReasonCode;
using runtime::Task;
using namespace std::chrono_literals;

namespace {

// ---- who guesses -----------------------------------------------------------------------------------------

class Guesser final : public Rounds {
 public:
  Guesser(runtime::Runtime& core, Workload& shared) : Rounds(core, shared, "guesser") {}

  Task<Result<void>> round() override {
    switch (random().below(3)) {
      case 0:
        return one_after_the_other();
      case 1:
        return all_at_once();
      default:
        return over_kafka();
    }
  }

 private:
  static MqttPeer::Login wrong(std::uint64_t number) {
    return {number % 2 == 0 ? "root" : "nobody-" + std::to_string(number),
            "a guess: " + std::to_string(number)};
  }

  // What is said to a wrong password.
  void judge(ReasonCode reason) {
    switch (reason) {
      case ReasonCode::kBadUserNameOrPassword:
        return show("guesses-refused");
      case ReasonCode::kServerUnavailable:
        return show("guesses-unseen");
      case ReasonCode::kServerBusy:
        return;
      default:
        fail("a wrong password is answered with " + std::string(to_string(reason)));
    }
  }
  Task<Result<ReasonCode>> guess() {
    mqtt::Connect connect;
    connect.client_id = "guesser";
    STELE_CO_TRY(const Entered entered, co_await enter(std::move(connect), wrong(++guesses_)));
    co_return entered.reason;
  }

  // More than an address may. Then the right one does not help either.
  Task<Result<void>> one_after_the_other() {
    for (std::uint64_t i = 0; i < limit("access.failures_at_once") * limit("node.cores") + 3; ++i) {
      STELE_CO_TRY(const ReasonCode reason, co_await guess());
      judge(reason);
    }
    co_return Result<void>();
  }

  static Task<void> guess_once(Guesser& self) {
    const auto reason = co_await self.guess();
    if (reason) self.judge(*reason);
  }
  Task<Result<void>> all_at_once() {
    runtime::Scope all;
    for (std::uint64_t i = 0; i < 12; ++i) all.spawn(guess_once(*this));
    co_await all.join();
    // Until the address may try again.
    co_await runtime::sleep(runtime_, 20s);
    co_return Result<void>();
  }

  Task<Result<void>> over_kafka() {
    const MqttPeer::Login login = wrong(++guesses_);
    kafka::ClientOptions options = kafka_options(workload_);
    options.sasl = kafka::SaslLogin{.mechanism = random().chance(1, 2) ? "PLAIN" : "SCRAM-SHA-256",
                                    .user = login.user,
                                    .password = login.password};
    const auto client = co_await kafka::Client::connect(runtime_, workload_.kafka, std::move(options));
    if (client) fail("logs in to Kafka with a wrong password");
    if (!client && client.error().code == ErrorCode::kUnauthorized) show("kafka-guesses-refused");
    co_return Result<void>();
  }

  std::uint64_t guesses_ = 0;
};

// ---- who loses what he may
// ---------------------------------------------------------------------------------

const MqttPeer::Login kPassing{"passing", "the password of passing"};

class Passing final : public Rounds {
 public:
  Passing(runtime::Runtime& core, Workload& shared) : Rounds(core, shared, "passing") {}

  Task<Result<void>> round() override {
    STELE_CO_CHECK(co_await forget());
    STELE_CO_CHECK(co_await ask("POST", "/v1/users", user_of(kPassing), 201));
    switch (random().below(workload_.mqtt.tls ? 5 : 4)) {
      case 0:
        co_return co_await user_goes();
      case 1:
        co_return co_await rule_goes();
      case 2:
        co_return co_await session_of_another();
      case 3:
        co_return co_await captures();
      default:
        co_return co_await certificates();
    }
  }
  Task<bool> tidy() override { co_return (co_await forget()).has_value(); }

 private:
  static std::string user_of(const MqttPeer::Login& login) {
    return R"({"name": ")" + login.user + R"(", "password": ")" + login.password + R"("})";
  }

  // As the super user. Another status than that is an error, for anything may have come between.
  Task<Result<std::string>> ask(std::string method, std::string target, std::string body, int status) {
    http::Request request{.method = std::move(method), .target = std::move(target)};
    request.headers.add("authorization", basic(*workload_.login));
    request.body = std::move(body);
    STELE_CO_TRY(auto response, co_await http::send_request(runtime_, workload_.http, std::move(request)));
    if (response.status != status) co_return error(ErrorCode::kUnavailable, "refused");
    co_return std::move(response.body);
  }
  // Nobody of that name, and so no rules of his.
  Task<Result<void>> forget() {
    http::Request request{.method = "DELETE", .target = "/v1/users/" + kPassing.user};
    request.headers.add("authorization", basic(*workload_.login));
    STELE_CO_TRY(const auto response,
                 co_await http::send_request(runtime_, workload_.http, std::move(request)));
    if (response.status != 204 && response.status != 404) co_return error(ErrorCode::kUnavailable, "refused");
    co_return Result<void>();
  }
  Task<Result<std::string>> allow(std::string what) {
    return ask("POST", "/v1/acls", R"({"user": ")" + kPassing.user + R"(", )" + what + "}", 201);
  }
  Task<Result<Entered>> enter_passing(const char* client_id, bool clean, std::uint32_t expiry_s) {
    mqtt::Connect connect;
    connect.client_id = client_id;
    connect.clean_start = clean;
    connect.session_expiry_s = expiry_s;
    connect.keep_alive_s = 10;
    return enter(std::move(connect), kPassing);
  }

  // What ends the connection. An error: it ended in another way, as it may if something fails.
  Task<Result<ReasonCode>> end_of(MqttPeer& peer) {
    while (true) {
      STELE_CO_TRY(const ReceivedPacket packet, co_await peer.next(30s));
      if (const auto* end = std::get_if<mqtt::Disconnect>(&packet.packet)) co_return end->reason;
    }
  }

  Task<Result<void>> user_goes() {
    STELE_CO_TRY(const Entered there, co_await enter_passing("passing", true, 0));
    if (!there.in()) co_return error(ErrorCode::kUnavailable, "refused");
    STELE_CO_CHECK(co_await ask("DELETE", "/v1/users/" + kPassing.user, "", 204));
    STELE_CO_TRY(const ReasonCode reason, co_await end_of(*there.peer));
    if (reason == ReasonCode::kNotAuthorized) show("users-sent-away");
    STELE_CO_TRY(const Entered again, co_await enter_passing("passing", true, 0));
    if (again.in()) fail("a user who was deleted is let in");
    co_return Result<void>();
  }

  Task<Result<void>> rule_goes() {
    STELE_CO_TRY(const std::string rule,
                 co_await allow(R"("operations": ["subscribe"], "address": "passing/#")"));
    STELE_CO_TRY(const Entered there, co_await enter_passing("passing", true, 0));
    if (!there.in()) co_return error(ErrorCode::kUnavailable, "refused");
    STELE_CO_TRY(const auto granted, co_await subscribe(*there.peer, "passing/#", mqtt::Qos::kAtLeastOnce));
    if (granted == ReasonCode::kNotAuthorized) fail("may not subscribe to what a rule allows");
    if (is_error(granted)) co_return error(ErrorCode::kUnavailable, "refused");
    STELE_CO_CHECK(co_await ask("DELETE", "/v1/acls/" + id_of(rule), "", 204));
    STELE_CO_TRY(const ReasonCode reason, co_await end_of(*there.peer));
    if (reason == ReasonCode::kNotAuthorized) show("subscribers-sent-away");
    co_return Result<void>();
  }
  static std::string id_of(const std::string& rule) {
    const std::size_t key = rule.find("\"id\":");
    if (key == std::string::npos) return "";
    const std::size_t begin = rule.find_first_of("0123456789", key);
    return rule.substr(begin, rule.find_first_not_of("0123456789", begin) - begin);
  }

  // It has a subscription that he may not have.
  Task<Result<void>> session_of_another() {
    mqtt::Connect connect;
    connect.client_id = "passing-kept";
    connect.session_expiry_s = 3600;
    STELE_CO_TRY(const Peer owner, co_await open(std::move(connect)));
    STELE_CO_TRY(const auto granted, co_await subscribe(*owner, "secret/#", mqtt::Qos::kAtLeastOnce));
    if (is_error(granted)) co_return error(ErrorCode::kUnavailable, "refused");
    owner->send(mqtt::Disconnect{});
    STELE_CO_TRY(const Entered other, co_await enter_passing("passing-kept", false, 3600));
    if (other.in()) fail("goes on with a session whose subscription it may not have");
    if (other.reason == ReasonCode::kNotAuthorized) show("sessions-of-others-refused");
    STELE_CO_TRY(const Entered anew, co_await enter_passing("passing-kept", true, 0));
    if (anew.reason == ReasonCode::kNotAuthorized) fail("may not begin anew");
    co_return Result<void>();
  }

  // A topic would show him what it captures.
  Task<Result<void>> captures() {
    STELE_CO_CHECK(co_await allow(R"("operations": ["create", "read", "delete"], "topic": "passing.own")"));
    kafka::ClientOptions options = kafka_options(workload_);
    options.sasl =
        kafka::SaslLogin{.mechanism = "PLAIN", .user = kPassing.user, .password = kPassing.password};
    STELE_CO_TRY(const auto client,
                 co_await kafka::Client::connect(runtime_, workload_.kafka, std::move(options)));
    std::vector<kafka::CreateTopicsRequest::Config> configs;
    configs.push_back({"stele.capture", "sensors/#"});
    STELE_CO_TRY(const auto made, co_await client->create_topic("passing.own", 1, configs));
    if (made.error == KafkaError::kNone) fail("makes a topic that captures what it may not see");
    if (made.error == KafkaError::kTopicAuthorizationFailed) show("captures-refused");
    client->close();
    co_return Result<void>();
  }

  // One that names a user lets him in, one that names nobody does not.
  static constexpr std::array<bool, 2> kBoth = {true, false};
  Task<Result<void>> certificates() {
    auto made = co_await ask("POST", "/v1/users", R"({"name": "certified", "password": null})", 201);
    (void)made;  // it may be there
    for (const bool known : kBoth) {
      const runtime::Dial& dial = known ? workload_.dial_certified : workload_.dial_uncertified;
      STELE_CO_TRY(auto peer, co_await MqttPeer::over(runtime_, dial, *workload_.mqtt.tls));
      mqtt::Connect connect;
      connect.client_id = "of-a-certificate";
      STELE_CO_TRY(const auto opened, co_await peer->open(std::move(connect)));
      if (!known && opened.reason == ReasonCode::kSuccess) fail("a certificate that names nobody lets in");
      if (known && opened.reason == ReasonCode::kSuccess) show("certificates-taken");
      if (!known && opened.reason == ReasonCode::kNotAuthorized) show("certificates-refused");
    }
    co_return Result<void>();
  }
};

}  // namespace

Task<void> run_guesser(runtime::Runtime& runtime, Workload& workload) {
  return run_rounds(runtime, workload, std::make_unique<Guesser>(runtime, workload));
}

Task<void> run_passing(runtime::Runtime& runtime, Workload& workload) {
  return run_rounds(runtime, workload, std::make_unique<Passing>(runtime, workload));
}

}  // namespace stele::sim
