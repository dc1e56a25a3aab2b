// stele bench mqtt: publishers and subscribers of MQTT in one process, on one core.
//
// Each payload begins with the time at which it was due: with --rate that is its place in the schedule, so
// that a broker which stalls is charged for all that should have come meanwhile (no coordinated omission).
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/wire.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "server/cli/bench.h"
#include "server/cli/mqtt_flags.h"
#include "server/cli/one_core.h"
#include "server/console.h"

namespace stele::server::cli {
namespace {

using namespace std::chrono_literals;
using runtime::Instant;
using runtime::Runtime;
using runtime::Task;

struct MqttBenchArguments {
  BenchFlags bench;
  MqttFlags mqtt;
  std::string mode = "pair";
  int pubs = 1;
  int subs = 1;
  int qos = 1;
  int window = 100;
  std::string topic = "bench";
};

// What one run counts. Everything that was due while it measured counts, whenever it arrives.
struct Counts {
  Instant from = runtime::kNever, until = runtime::kNever;
  std::uint64_t published = 0;  // in the measured time
  std::uint64_t delivered = 0;
  std::uint64_t refused = 0;
  std::uint64_t all_published = 0, all_acked = 0, all_delivered = 0;
  Histogram ack, deliver;
  std::optional<Error> failure;
  runtime::Notification changed;

  bool measures(Instant due) const { return due >= from && due < until; }
  void fail(const Error& why) {
    if (!failure) failure = why;
    changed.wake_all();
  }
};

std::uint64_t since(Instant then, Instant now) {
  return now > then ? static_cast<std::uint64_t>((now - then).count()) : 0;
}

class BenchSubscriber final : public mqtt::ClientHandler {
 public:
  BenchSubscriber(Runtime& runtime, Counts& counts) : runtime_(runtime), counts_(counts) {}
  std::unique_ptr<mqtt::Client> client;

  void on_publish(const mqtt::Publish& packet, const Bytes&) override {
    if (packet.payload.size() < 8) return;
    const Instant due{runtime::Duration(load_be<std::int64_t>(packet.payload.data()))};
    ++counts_.all_delivered;
    if (!counts_.measures(due)) return;
    ++counts_.delivered;
    counts_.deliver.add(since(due, runtime_.now()));
  }
  void on_closed(const Error& why) override { counts_.fail(why); }

 private:
  Runtime& runtime_;
  Counts& counts_;
};

class BenchPublisher final : public mqtt::ClientHandler {
 public:
  BenchPublisher(Runtime& runtime, Counts& counts, const MqttBenchArguments& given, std::string topic)
      : runtime_(runtime),
        counts_(counts),
        window_(static_cast<std::size_t>(given.window)),
        topic_(std::move(topic)),
        payload_(given.bench.size, 'x') {
    packet_.qos = qos_of(given.qos);
    packet_.topic = topic_;
  }
  std::unique_ptr<mqtt::Client> client;
  bool as_fast_as_it_goes = false;

  // False if it has to wait: then again from the caller's schedule, or by itself when there is room.
  bool publish(Instant due) {
    if (packet_.qos != mqtt::Qos::kAtMostOnce && client->in_flight() >= window_) return false;
    store_be(payload_.data(), static_cast<std::int64_t>(due.time_since_epoch().count()));
    packet_.payload = payload_;
    const mqtt::Sent sent =
        client->publish(packet_, static_cast<std::uint64_t>(due.time_since_epoch().count()));
    if (sent == mqtt::Sent::kNotSupported) {
      counts_.fail({ErrorCode::kUnsupported, "the broker does not take messages of this size or QoS"});
    }
    if (sent != mqtt::Sent::kYes) return false;
    ++counts_.all_published;
    if (counts_.measures(due)) ++counts_.published;
    return true;
  }
  void pump() {
    if (!as_fast_as_it_goes || counts_.failure) return;
    // No more than fits one turn: subscribers on this core want theirs too.
    for (int i = 0; i < 256 && runtime_.now() < counts_.until; ++i) {
      if (!publish(runtime_.now())) return;
    }
    if (std::exchange(pump_posted_, true)) return;
    runtime_.post(runtime_.core(), [this] {
      pump_posted_ = false;
      pump();
    });
  }

  void on_puback(std::uint64_t token, mqtt::ReasonCode reason) override {
    const Instant due{runtime::Duration(static_cast<std::int64_t>(token))};
    ++counts_.all_acked;
    if (mqtt::is_error(reason)) ++counts_.refused;
    if (counts_.measures(due)) counts_.ack.add(since(due, runtime_.now()));
    pump();
  }
  void on_ready() override { pump(); }
  void on_closed(const Error& why) override { counts_.fail(why); }

 private:
  Runtime& runtime_;
  Counts& counts_;
  const std::size_t window_;
  std::string topic_;
  std::string payload_;
  mqtt::Publish packet_;
  bool pump_posted_ = false;
};

class MqttBench {
 public:
  MqttBench(Runtime& runtime, const MqttBenchArguments& given) : runtime_(runtime), given_(given) {}

  Task<Result<void>> run() {
    STELE_CO_CHECK(co_await connect());
    const Instant start = runtime_.now();
    counts_.from = start + seconds(given_.bench.warmup_s);
    counts_.until = counts_.from + seconds(given_.bench.seconds);
    for (auto& publisher : publishers_) {
      publisher->as_fast_as_it_goes = given_.bench.rate <= 0;
      publisher->pump();
    }
    runtime::Scope pacing;
    if (given_.bench.rate > 0) pacing.spawn(pace(start));
    co_await sleep_until(counts_.from);
    STELE_CO_TRY(const auto cpu_before, co_await broker_cpu_seconds(runtime_, given_.bench));
    co_await sleep_until(counts_.until);
    STELE_CO_TRY(const auto cpu_after, co_await broker_cpu_seconds(runtime_, given_.bench));
    if (cpu_before && cpu_after) cpu_seconds_ = *cpu_after - *cpu_before;
    co_await pacing.close();
    co_await drain();
    if (counts_.failure) co_return std::unexpected(*counts_.failure);
    co_return Result<void>();
  }

  Report report() const {
    Report out;
    const double time = given_.bench.seconds;
    out.text("mode", given_.mode);
    out.number("publishers", given_.pubs, "");
    out.number("subscribers", given_.subs, "");
    out.number("qos", given_.qos, "");
    out.number("size", given_.bench.size, "bytes");
    out.number("published_per_s", static_cast<double>(counts_.published) / time, "");
    out.number("delivered_per_s", static_cast<double>(counts_.delivered) / time, "");
    out.number("missing", static_cast<double>(expected() - std::min(expected(), counts_.all_delivered)), "");
    out.number("refused", static_cast<double>(counts_.refused), "");
    out.latency("ack_us", counts_.ack);
    out.latency("deliver_us", counts_.deliver);
    const std::uint64_t handled = counts_.published + counts_.delivered;
    if (cpu_seconds_ && handled > 0) {
      out.number("broker_cpu_cores", *cpu_seconds_ / time, "");
      out.number("broker_cpu_us_per_message", *cpu_seconds_ * 1e6 / static_cast<double>(counts_.published),
                 "us");
      out.number("broker_cpu_us_per_packet", *cpu_seconds_ * 1e6 / static_cast<double>(handled), "us");
    }
    return out;
  }

 private:
  Task<Result<void>> connect() {
    STELE_CO_TRY(auto target, read(given_.mqtt));
    const std::string name = given_.mqtt.client_id.empty() ? "stele-bench" : given_.mqtt.client_id;
    for (int i = 0; i < given_.subs; ++i) {
      auto& one = subscribers_.emplace_back(std::make_unique<BenchSubscriber>(runtime_, counts_));
      target.options.client_id = name + "-sub-" + std::to_string(i);
      STELE_CO_TRY(one->client, co_await mqtt::Client::connect(runtime_, target.at, target.options, *one));
      const std::string filter = given_.mode == "pair" ? topic_of(i) : given_.topic + "/#";
      std::vector<mqtt::ClientSubscription> wanted(1);
      wanted[0].filter = filter;
      wanted[0].qos = qos_of(given_.qos);
      STELE_CO_TRY(const auto granted, co_await one->client->subscribe(std::move(wanted)));
      if (mqtt::is_error(granted.at(0))) {
        co_return error(ErrorCode::kUnavailable, "the broker refuses the subscription to '" + filter +
                                                     "': " + std::string(mqtt::to_string(granted[0])));
      }
    }
    for (int i = 0; i < given_.pubs; ++i) {
      auto& one =
          publishers_.emplace_back(std::make_unique<BenchPublisher>(runtime_, counts_, given_, topic_of(i)));
      target.options.client_id = name + "-pub-" + std::to_string(i);
      STELE_CO_TRY(one->client, co_await mqtt::Client::connect(runtime_, target.at, target.options, *one));
    }
    co_return Result<void>();
  }

  std::string topic_of(int i) const { return given_.topic + "/" + std::to_string(i); }
  std::uint64_t expected() const {
    return given_.mode == "pair" ? counts_.all_published
                                 : counts_.all_published * static_cast<std::uint64_t>(given_.subs);
  }

  // A message is due every 1/rate seconds, publishers in turn; those that are late go out as soon as there is
  // room, and keep the time at which they were due.
  Task<void> pace(Instant start) {
    const double interval_ns = 1e9 / given_.bench.rate;
    std::uint64_t next = 0;
    while (!counts_.failure) {
      while (true) {
        const Instant due =
            start + runtime::Duration(static_cast<std::int64_t>(static_cast<double>(next) * interval_ns));
        if (due >= counts_.until) co_return;
        if (due > runtime_.now() || !publishers_[next % publishers_.size()]->publish(due)) break;
        ++next;
      }
      co_await runtime::sleep(runtime_, 1ms);
      if (runtime_.now() > counts_.until + 5s) co_return;
    }
  }

  Task<void> sleep_until(Instant when) {
    while (runtime_.now() < when && !counts_.failure) {
      co_await runtime::sleep(runtime_, std::min<runtime::Duration>(when - runtime_.now(), 100ms));
    }
  }

  // What is under way arrives, or five seconds pass without anything.
  Task<void> drain() {
    std::uint64_t before = 0;
    Instant quiet_since = runtime_.now();
    while (!counts_.failure) {
      const bool acked = given_.qos == 0 || counts_.all_acked >= counts_.all_published;
      if (acked && counts_.all_delivered >= expected()) co_return;
      const std::uint64_t seen = counts_.all_acked + counts_.all_delivered;
      if (std::exchange(before, seen) != seen) quiet_since = runtime_.now();
      if (runtime_.now() - quiet_since > 5s) co_return;
      co_await runtime::sleep(runtime_, 10ms);
    }
  }

  Runtime& runtime_;
  const MqttBenchArguments& given_;
  Counts counts_;
  std::optional<double> cpu_seconds_;
  std::vector<std::unique_ptr<BenchSubscriber>> subscribers_;
  std::vector<std::unique_ptr<BenchPublisher>> publishers_;
};

Task<int> bench_mqtt(Runtime& runtime, std::shared_ptr<MqttBenchArguments> given) {
  if (given->mode == "pair" && given->pubs != given->subs) {
    complain("--mode pair has as many subscribers as publishers");
    co_return kWrongUse;
  }
  MqttBench bench(runtime, *given);
  const auto done = co_await bench.run();
  if (!done) {
    complain(done.error().message);
    co_return kFailed;
  }
  co_return print(bench.report().render(given->bench.json)) ? kDone : kFailed;
}

}  // namespace

void add_bench_mqtt(CLI::App& bench, Chosen& chosen) {
  auto given = std::make_shared<MqttBenchArguments>();
  CLI::App* command = bench.add_subcommand("mqtt", "Publishers and subscribers of MQTT");
  command
      ->add_option("--mode", given->mode,
                   "pair: each publisher has its subscriber; fanin, fanout: every subscriber gets everything")
      ->check(CLI::IsMember({"pair", "fanin", "fanout"}))
      ->capture_default_str();
  command->add_option("--pubs", given->pubs, "publishers")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command->add_option("--subs", given->subs, "subscribers")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  command->add_option("-q,--qos", given->qos, "0, 1 or 2")->check(CLI::Range(0, 2))->capture_default_str();
  command->add_option("--window", given->window, "QoS 1 or 2 messages of a publisher without an answer")
      ->check(CLI::Range(1, 65'535))
      ->capture_default_str();
  command->add_option("--topic", given->topic, "the first word of all topics")->capture_default_str();
  add_load_flags(*command, given->bench, "messages");
  add_mqtt_flags(*command, given->mqtt);
  command->callback([&chosen, given] {
    chosen.run = [given] {
      return run_on_one_core(
          [given](Runtime& runtime, const runtime::StopToken&) { return bench_mqtt(runtime, given); });
    };
  });
}

}  // namespace stele::server::cli
