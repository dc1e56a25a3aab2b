// stele sub: subscribes over MQTT and prints what comes.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/notification.h"
#include "runtime/stop.h"
#include "server/cli/cli.h"
#include "server/cli/mqtt_flags.h"
#include "server/cli/one_core.h"
#include "server/console.h"

namespace stele::server::cli {
namespace {

using runtime::Task;

struct SubArguments {
  MqttFlags mqtt;
  std::vector<std::string> filters;
  int qos = 1;
  std::uint64_t count = 0;  // 0: for ever
  bool verbose = false;
  bool json = false;
  bool keep_session = false;
  bool no_retained = false;
};

class Printer final : public mqtt::ClientHandler {
 public:
  explicit Printer(const SubArguments& given) : given_(given) {}

  void on_publish(const mqtt::Publish& packet, const Bytes&) override {
    if (done_) return;
    std::string line = given_.json ? as_json(packet) : as_text(packet);
    if (!print(line)) end("standard output is closed");
    if (given_.count > 0 && ++seen_ == given_.count) end(std::nullopt);
  }
  void on_closed(const Error& why) override { end(why.message); }

  Task<void> wait() {
    while (!done_) co_await changed_.wait();
  }
  void end(std::optional<std::string> failure) {
    if (std::exchange(done_, true)) return;
    failure_ = std::move(failure);
    changed_.wake_all();
  }
  const std::optional<std::string>& failure() const { return failure_; }

 private:
  std::string as_text(const mqtt::Publish& packet) const {
    std::string line;
    if (given_.verbose) line.append(packet.topic).append(" ");
    return line.append(packet.payload).append("\n");
  }
  static std::string as_json(const mqtt::Publish& packet) {
    nlohmann::ordered_json out = {{"topic", packet.topic},
                                  {"qos", static_cast<int>(packet.qos)},
                                  {"retain", packet.retain},
                                  {"dup", packet.dup},
                                  {"payload", packet.payload}};
    const auto& properties = packet.properties;
    if (properties.content_type) out["content_type"] = *properties.content_type;
    if (properties.response_topic) out["response_topic"] = *properties.response_topic;
    if (properties.correlation_data) out["correlation_data"] = *properties.correlation_data;
    if (properties.message_expiry_s) out["expiry_s"] = *properties.message_expiry_s;
    auto user = nlohmann::ordered_json::array();
    for (const auto property : properties.user_properties) user.push_back({property.name, property.value});
    if (!user.empty()) out["user_properties"] = std::move(user);
    return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }

  const SubArguments& given_;
  std::uint64_t seen_ = 0;
  bool done_ = false;
  std::optional<std::string> failure_;
  runtime::Notification changed_;
};

Task<Result<void>> subscribe_and_print(runtime::Runtime& runtime, std::shared_ptr<SubArguments> given,
                                       runtime::StopToken stop) {
  STELE_CO_TRY(auto target, read(given->mqtt));
  if (given->keep_session) {
    if (given->mqtt.client_id.empty()) {
      co_return error(ErrorCode::kInvalidArgument, "-c keeps the session of a client id: give that with -i");
    }
    target.options.clean_start = false;
    target.options.session_expiry_s = UINT32_MAX;
  }
  Printer printer(*given);
  STELE_CO_TRY(auto client,
               co_await mqtt::Client::connect(runtime, target.at, target.options, printer, stop));
  std::vector<mqtt::ClientSubscription> subscriptions;
  for (const std::string& filter : given->filters) {
    mqtt::ClientSubscription& one = subscriptions.emplace_back();
    one.filter = filter;
    one.qos = qos_of(given->qos);
    if (given->no_retained) one.retain_handling = mqtt::RetainHandling::kDoNotSend;
  }
  STELE_CO_TRY(const auto granted, co_await client->subscribe(std::move(subscriptions)));
  for (std::size_t i = 0; i < granted.size(); ++i) {
    if (!mqtt::is_error(granted[i])) continue;
    co_return error(ErrorCode::kUnavailable, "the broker refuses the subscription to '" + given->filters[i] +
                                                 "': " + std::string(mqtt::to_string(granted[i])));
  }
  const runtime::StopCallback interrupted(stop, [&printer] { printer.end(std::nullopt); });
  co_await printer.wait();
  if (printer.failure()) co_return error(ErrorCode::kClosed, *printer.failure());
  co_await client->disconnect();
  co_return Result<void>();
}

Task<int> subscribe(runtime::Runtime& runtime, std::shared_ptr<SubArguments> given, runtime::StopToken stop) {
  const auto done = co_await subscribe_and_print(runtime, given, stop);
  if (done || stop.stop_requested()) co_return kDone;
  complain(done.error().message);
  co_return done.error().code == ErrorCode::kInvalidArgument ? kWrongUse : kFailed;
}

}  // namespace

void add_sub(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment) {
  auto given = std::make_shared<SubArguments>();
  CLI::App* command = app.add_subcommand("sub", "Subscribes over MQTT and prints each message on a line");
  command->add_option("-t,--topic,filter", given->filters, "MQTT topic filter; several are possible")
      ->required();
  command->add_option("-q,--qos", given->qos, "0, 1 or 2")->check(CLI::Range(0, 2))->capture_default_str();
  command->add_option("-C,--count", given->count, "end after so many messages");
  command->add_flag("-v,--verbose", given->verbose, "print the topic before the payload");
  command->add_flag("--json", given->json, "print each message as a JSON object");
  command->add_flag("-c,--keep-session", given->keep_session,
                    "persistent: what comes while it is away is delivered later");
  command->add_flag("-R,--no-retained", given->no_retained, "no retained messages (MQTT 5)");
  given->mqtt.environment = &environment;
  add_mqtt_flags(*command, given->mqtt);
  command->callback([&chosen, given] {
    chosen.run = [given] {
      return run_on_one_core([given](runtime::Runtime& runtime, const runtime::StopToken& stop) {
        return subscribe(runtime, given, stop);
      });
    };
  });
}

}  // namespace stele::server::cli
