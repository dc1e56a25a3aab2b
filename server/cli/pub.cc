// stele pub: publishes one message, or each line of standard input, over MQTT.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/notification.h"
#include "server/cli/cli.h"
#include "server/cli/mqtt_flags.h"
#include "server/cli/one_core.h"
#include "server/console.h"

namespace stele::server::cli {
namespace {

using runtime::Task;

struct PubArguments {
  MqttFlags mqtt;
  std::string topic;
  std::optional<std::string> message;
  bool lines = false;
  bool nothing = false;  // an empty payload
  int qos = 1;
  bool retain = false;
  std::string content_type, response_topic, correlation_data;
  std::uint32_t expiry_s = 0;
  std::vector<std::string> user_properties;  // NAME=VALUE
};

// Sends as fast as the broker takes, and keeps count of the answers.
class Publisher final : public mqtt::ClientHandler {
 public:
  void on_puback(std::uint64_t, mqtt::ReasonCode reason) override {
    ++answered_;
    if (mqtt::is_error(reason))
      failure_ = "the broker refuses a message: " + std::string(mqtt::to_string(reason));
    changed_.wake_all();
  }
  void on_ready() override { changed_.wake_all(); }
  void on_closed(const Error& why) override {
    if (!failure_) failure_ = why.message;
    closed_ = true;
    changed_.wake_all();
  }

  // Failures are told by failure().
  Task<void> publish(mqtt::Client& client, mqtt::Publish packet) {
    while (!failure_) {
      switch (client.publish(packet)) {
        case mqtt::Sent::kYes:
          if (packet.qos != mqtt::Qos::kAtMostOnce) ++sent_;
          co_return;
        case mqtt::Sent::kFull:
          co_await changed_.wait();
          break;
        case mqtt::Sent::kNotSupported:
          failure_ = "the broker does not take such a message: too long, or not with this QoS or retain flag";
          break;
        case mqtt::Sent::kClosed:
          if (!closed_) failure_ = "the connection is closed";
          break;
      }
    }
  }
  // Until all are answered, or no more can be.
  Task<void> settle() {
    while (!closed_ && answered_ < sent_) co_await changed_.wait();
  }
  const std::optional<std::string>& failure() const { return failure_; }

 private:
  std::uint64_t sent_ = 0, answered_ = 0;
  bool closed_ = false;
  std::optional<std::string> failure_;
  runtime::Notification changed_;
};

// Lines of standard input, read on a worker thread.
class Lines {
 public:
  explicit Lines(runtime::Runtime& runtime) : runtime_(runtime) {}

  // Without its end; nothing at the end of input. kNoSpace: a line is too long.
  Task<Result<std::optional<std::string>>> next() {
    while (true) {
      if (const auto end = buffer_.find('\n', searched_); end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        searched_ = 0;
        co_return line;
      }
      searched_ = buffer_.size();
      if (ended_) {
        if (buffer_.empty()) co_return std::nullopt;
        co_return std::exchange(buffer_, {});
      }
      if (buffer_.size() > kMaxLine) co_return error(ErrorCode::kNoSpace, "a line has more than 16 MiB");
      STELE_CO_CHECK(co_await read_more());
    }
  }

 private:
  static constexpr std::size_t kMaxLine = 16 << 20;
  Task<Result<void>> read_more() {
    auto chunk = std::make_shared<std::string>();
    auto number = std::make_shared<int>(0);
    co_await runtime::run_blocking(runtime_, [chunk, number](runtime::BlockingFiles&) {
      chunk->resize(64 << 10);
      const ssize_t got = ::read(STDIN_FILENO, chunk->data(), chunk->size());
      *number = got < 0 ? errno : 0;
      chunk->resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    });
    if (*number != 0)
      co_return error(ErrorCode::kIo, std::string("standard input: ") + std::strerror(*number));
    if (chunk->empty()) ended_ = true;
    buffer_ += *chunk;
    co_return Result<void>();
  }

  runtime::Runtime& runtime_;
  std::string buffer_;
  std::size_t searched_ = 0;
  bool ended_ = false;
};

Result<std::string> encode_user_properties(const std::vector<std::string>& pairs) {
  std::string out;
  for (const std::string& pair : pairs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos) {
      return error(ErrorCode::kInvalidArgument, "--user-property: '" + pair + "' is not NAME=VALUE");
    }
    if (!mqtt::append_user_property(out, pair.substr(0, equals), pair.substr(equals + 1))) {
      return error(ErrorCode::kInvalidArgument, "--user-property: longer than 65535 bytes");
    }
  }
  return out;
}

Task<Result<void>> publish_all(runtime::Runtime& runtime, std::shared_ptr<PubArguments> given) {
  STELE_CO_TRY(auto target, read(given->mqtt));
  STELE_CO_TRY(const std::string user_properties, encode_user_properties(given->user_properties));
  if (!given->message && !given->lines && !given->nothing) {
    co_return error(
        ErrorCode::kInvalidArgument,
        "there is no message: give one, or -n for an empty one, or -l for the lines of standard input");
  }
  Publisher publisher;
  STELE_CO_TRY(auto client, co_await mqtt::Client::connect(runtime, target.at, target.options, publisher));

  mqtt::Publish packet;
  packet.topic = given->topic;
  packet.qos = qos_of(given->qos);
  packet.retain = given->retain;
  if (!given->content_type.empty()) packet.properties.content_type = given->content_type;
  if (!given->response_topic.empty()) packet.properties.response_topic = given->response_topic;
  if (!given->correlation_data.empty()) packet.properties.correlation_data = given->correlation_data;
  if (given->expiry_s > 0) packet.properties.message_expiry_s = given->expiry_s;
  packet.properties.user_properties = mqtt::UserProperties::from_encoded(user_properties);

  if (!given->lines) {
    if (given->message) packet.payload = *given->message;
    co_await publisher.publish(*client, packet);
  } else {
    Lines lines(runtime);
    while (!publisher.failure()) {
      STELE_CO_TRY(const auto line, co_await lines.next());
      if (!line) break;
      packet.payload = *line;
      co_await publisher.publish(*client, packet);
    }
  }
  co_await publisher.settle();
  if (publisher.failure()) co_return error(ErrorCode::kClosed, *publisher.failure());
  co_await client->disconnect();
  co_return Result<void>();
}

Task<int> publish(runtime::Runtime& runtime, std::shared_ptr<PubArguments> given) {
  const auto done = co_await publish_all(runtime, given);
  if (done) co_return kDone;
  complain(done.error().message);
  co_return done.error().code == ErrorCode::kInvalidArgument ? kWrongUse : kFailed;
}

}  // namespace

void add_pub(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment) {
  auto given = std::make_shared<PubArguments>();
  CLI::App* command = app.add_subcommand("pub", "Publishes over MQTT");
  command->add_option("-t,--topic,topic", given->topic, "the MQTT topic")->required();
  command->add_option("-m,--message,message", given->message, "the payload");
  command->add_flag("-l,--lines", given->lines, "publish each line of standard input");
  command->add_flag("-n,--null", given->nothing, "publish an empty payload");
  command->add_option("-q,--qos", given->qos, "0, 1 or 2")->check(CLI::Range(0, 2))->capture_default_str();
  command->add_flag("-r,--retain", given->retain, "keep it as the topic's last message");
  command->add_option("--content-type", given->content_type, "MQTT 5 property");
  command->add_option("--response-topic", given->response_topic, "MQTT 5 property");
  command->add_option("--correlation-data", given->correlation_data, "MQTT 5 property");
  command->add_option("--expiry", given->expiry_s, "MQTT 5 property: seconds until nobody wants it any more");
  command->add_option("--user-property", given->user_properties, "MQTT 5 property (repeatable)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  given->mqtt.environment = &environment;
  add_mqtt_flags(*command, given->mqtt);
  command->callback([&chosen, given] {
    chosen.run = [given] {
      return run_on_one_core(
          [given](runtime::Runtime& runtime, const runtime::StopToken&) { return publish(runtime, given); });
    };
  });
}

}  // namespace stele::server::cli
