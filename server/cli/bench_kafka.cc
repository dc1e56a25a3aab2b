// stele bench kafka: produces to a topic, or reads it from its beginning, over the Kafka protocol.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/record_batch_builder.h"
#include "protocols/kafka/client.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "server/cli/bench.h"
#include "server/cli/one_core.h"
#include "server/cli/tls_flags.h"
#include "server/console.h"
#include "server/password.h"

namespace stele::server::cli {
namespace {

using namespace std::chrono_literals;
using kafka::KafkaError;
using runtime::Instant;
using runtime::Runtime;
using runtime::Task;

struct KafkaBenchArguments {
  BenchFlags bench;
  std::string at = "127.0.0.1:9092";
  std::string user, password_file;
  TlsFlags tls;
  std::string topic = "bench";
  int partitions = 1;
  int connections = 1;
  int in_flight = 5;
  std::uint32_t batch_bytes = 16 << 10;
  int acks = -1;
};

Error refusal(std::string_view what, KafkaError error,
              const std::optional<std::string>& message = std::nullopt) {
  return {ErrorCode::kUnavailable, std::string(what) + ": the broker answers " +
                                       std::string(kafka::to_string(error)) +
                                       (message ? ": " + *message : "")};
}

class KafkaBench {
 public:
  KafkaBench(Runtime& runtime, const KafkaBenchArguments& given) : runtime_(runtime), given_(given) {}

  Task<Result<void>> produce() {
    STELE_CO_CHECK(co_await connect());
    STELE_CO_CHECK(co_await make_topic());
    per_batch_ = std::max<std::size_t>(1, given_.batch_bytes / given_.bench.size);
    start_ = runtime_.now();
    from_ = start_ + seconds(given_.bench.warmup_s);
    until_ = from_ + seconds(given_.bench.seconds);
    runtime::Scope workers;
    int worker = 0;
    for (auto& client : clients_) {
      for (int i = 0; i < given_.in_flight; ++i) workers.spawn(produce_batches(*client, worker++));
    }
    STELE_CO_CHECK(co_await measure_cpu());
    co_await workers.join();
    if (failure_) co_return std::unexpected(*failure_);
    co_return Result<void>();
  }

  Task<Result<void>> consume() {
    STELE_CO_CHECK(co_await connect());
    STELE_CO_TRY(const auto metadata, co_await clients_.front()->metadata({given_.topic}));
    if (metadata.topics.size() != 1 || metadata.topics[0].error != KafkaError::kNone) {
      co_return std::unexpected(
          refusal("topic '" + given_.topic + "'",
                  metadata.topics.empty() ? KafkaError::kUnknownTopicOrPartition : metadata.topics[0].error));
    }
    start_ = from_ = runtime_.now();
    until_ = from_ + seconds(given_.bench.seconds);
    STELE_CO_TRY(const auto cpu_before, co_await broker_cpu_seconds(runtime_, given_.bench));
    runtime::Scope readers;
    const auto count = metadata.topics[0].partitions.size();
    for (std::size_t i = 0; i < count; ++i) {
      readers.spawn(read_partition(*clients_[i % clients_.size()], static_cast<std::int32_t>(i)));
    }
    co_await readers.join();
    until_ = std::min(until_, runtime_.now());
    STELE_CO_TRY(const auto cpu_after, co_await broker_cpu_seconds(runtime_, given_.bench));
    if (cpu_before && cpu_after) cpu_seconds_ = *cpu_after - *cpu_before;
    if (failure_) co_return std::unexpected(*failure_);
    co_return Result<void>();
  }

  Report report(const char* mode) const {
    Report out;
    const double time = std::max(1e-9, std::chrono::duration<double>(until_ - from_).count());
    out.text("mode", mode);
    out.text("topic", given_.topic);
    out.number("connections", given_.connections, "");
    out.number("seconds", time, "");
    out.number("records", static_cast<double>(records_), "");
    out.number("records_per_s", static_cast<double>(records_) / time, "");
    out.number("batches_per_s", static_cast<double>(batches_) / time, "");
    out.number("megabytes_per_s", static_cast<double>(bytes_) / time / 1e6, "");
    out.latency(std::string(mode) == "produce" ? "ack_us" : "fetch_us", latency_);
    if (cpu_seconds_ && records_ > 0) {
      out.number("broker_cpu_cores", *cpu_seconds_ / time, "");
      out.number("broker_cpu_us_per_message", *cpu_seconds_ * 1e6 / static_cast<double>(records_), "us");
    }
    return out;
  }

 private:
  Task<Result<void>> connect() {
    STELE_CO_TRY(const auto at, runtime::parse_endpoint(given_.at));
    kafka::ClientOptions options;
    options.client_id = "stele-bench";
    STELE_CO_TRY(options.dial, read(given_.tls));
    if (!given_.user.empty()) {
      STELE_CO_TRY(auto password, read_password_file(given_.password_file));
      options.sasl = kafka::SaslLogin{.user = given_.user, .password = std::move(password)};
    }
    options.max_in_flight = static_cast<std::size_t>(given_.in_flight);
    for (int i = 0; i < given_.connections; ++i) {
      STELE_CO_TRY(auto client, co_await kafka::Client::connect(runtime_, at, options));
      clients_.push_back(std::move(client));
    }
    co_return Result<void>();
  }

  Task<Result<void>> make_topic() {
    STELE_CO_TRY(const auto made, co_await clients_.front()->create_topic(given_.topic, given_.partitions));
    if (made.error == KafkaError::kNone) co_return Result<void>();
    if (made.error != KafkaError::kTopicAlreadyExists) {
      co_return std::unexpected(
          refusal("creating topic '" + given_.topic + "'", made.error, made.error_message));
    }
    STELE_CO_TRY(const auto metadata, co_await clients_.front()->metadata({given_.topic}));
    if (!metadata.topics.empty())
      partitions_ = static_cast<std::int32_t>(metadata.topics[0].partitions.size());
    co_return Result<void>();
  }

  Task<Result<void>> measure_cpu() {
    co_await runtime::sleep(runtime_, from_ - runtime_.now());
    STELE_CO_TRY(const auto before, co_await broker_cpu_seconds(runtime_, given_.bench));
    co_await runtime::sleep(runtime_, until_ - runtime_.now());
    STELE_CO_TRY(const auto after, co_await broker_cpu_seconds(runtime_, given_.bench));
    if (before && after) cpu_seconds_ = *after - *before;
    co_return Result<void>();
  }

  Result<Bytes> make_batch() {
    std::string out;
    RecordBatchBuilder builder(out, {});
    const std::int64_t now_ms = runtime_.wall_now().ms;
    for (std::size_t i = 0; i < per_batch_; ++i) builder.append(now_ms, std::nullopt, payload_);
    STELE_CHECK(builder.finish());
    return Bytes::copy(out);
  }

  // One batch at a time; as many of these run as batches may be in flight.
  Task<void> produce_batches(kafka::Client& client, int worker) {
    for (std::uint64_t turn = 0; !failure_; ++turn) {
      Instant due = runtime_.now();
      if (given_.bench.rate > 0) {
        // Batches are due at even distances, whoever sends them.
        const double interval_ns = 1e9 * static_cast<double>(per_batch_) / given_.bench.rate;
        due = start_ +
              runtime::Duration(static_cast<std::int64_t>(static_cast<double>(scheduled_++) * interval_ns));
        if (due >= until_) co_return;
        if (due > runtime_.now()) co_await runtime::sleep(runtime_, due - runtime_.now());
      }
      if (due >= until_) co_return;
      auto batch = make_batch();
      if (!batch) {
        failure_ = batch.error();
        co_return;
      }
      const std::size_t size = batch->size();
      const auto partition = static_cast<std::int32_t>((static_cast<std::uint64_t>(worker) + turn) %
                                                       static_cast<std::uint64_t>(std::max(partitions_, 1)));
      const auto done = co_await client.produce(given_.topic, partition, *std::move(batch),
                                                static_cast<std::int16_t>(given_.acks));
      if (!done || done->error != KafkaError::kNone) {
        if (!failure_)
          failure_ = done ? refusal("producing", done->error, done->error_message) : done.error();
        co_return;
      }
      const Instant now = runtime_.now();
      if (due < from_ || due >= until_) continue;
      records_ += per_batch_;
      bytes_ += size;
      ++batches_;
      latency_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(0, (now - due).count())));
    }
  }

  // From its beginning to where it ended when this began.
  Task<void> read_partition(kafka::Client& client, std::int32_t partition) {
    const auto first = co_await client.list_offset(given_.topic, partition, kafka::kEarliestTimestamp);
    const auto end = co_await client.list_offset(given_.topic, partition, kafka::kLatestTimestamp);
    if (!first || !end) {
      failure_ = first ? end.error() : first.error();
      co_return;
    }
    Offset at(first->offset);
    while (!failure_ && at.value < end->offset && runtime_.now() < until_) {
      const Instant asked = runtime_.now();
      const auto got = co_await client.fetch(given_.topic, partition, at, {.max_bytes = 4 << 20});
      if (!got || got->error != KafkaError::kNone) {
        if (!failure_) failure_ = got ? refusal("fetching", got->error) : got.error();
        co_return;
      }
      latency_.add(static_cast<std::uint64_t>((runtime_.now() - asked).count()));
      at = count_batches(*got, at);
    }
  }

  Offset count_batches(const kafka::FetchResponse::Partition& got, Offset at) {
    std::string joined;
    std::string_view all;
    if (got.records.slices().size() == 1) {
      all = got.records.slices().front();
    } else {
      joined = got.records.flatten();
      all = joined;
    }
    RecordBatchSplitter splitter(all);
    while (true) {
      const auto batch = splitter.next();
      if (!batch || !*batch) break;  // a cut one at the end comes whole with the next
      if (const auto intact = check_crc(**batch); !intact) {
        failure_ = intact.error();
        break;
      }
      ++batches_;
      records_ += static_cast<std::uint64_t>((*batch)->header.record_count);
      bytes_ += (*batch)->bytes.size();
      at = std::max(at, (*batch)->header.next_offset());
    }
    return at;
  }

  Runtime& runtime_;
  const KafkaBenchArguments& given_;
  const std::string payload_ = std::string(given_.bench.size, 'x');
  std::int32_t partitions_ = given_.partitions;
  std::size_t per_batch_ = 1;
  Instant start_, from_, until_;
  std::uint64_t scheduled_ = 0;
  std::uint64_t records_ = 0, batches_ = 0, bytes_ = 0;
  Histogram latency_;
  std::optional<double> cpu_seconds_;
  std::optional<Error> failure_;
  std::vector<std::unique_ptr<kafka::Client>> clients_;
};

Task<int> bench_kafka(Runtime& runtime, std::shared_ptr<KafkaBenchArguments> given, bool produce) {
  KafkaBench bench(runtime, *given);
  const auto done = produce ? co_await bench.produce() : co_await bench.consume();
  if (!done) {
    complain(done.error().message);
    co_return kFailed;
  }
  co_return print(bench.report(produce ? "produce" : "consume").render(given->bench.json)) ? kDone : kFailed;
}

CLI::App* add(CLI::App& kafka, Chosen& chosen, std::shared_ptr<KafkaBenchArguments> given, bool produce) {
  CLI::App* command =
      kafka.add_subcommand(produce ? "produce" : "consume",
                           produce ? "Writes batches of records" : "Reads a topic from its beginning");
  command->add_option("--kafka", given->at, "where the broker listens for Kafka")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  auto* user = command->add_option("-u,--user", given->user, "who logs in");
  auto* password =
      command->add_option("--password-file", given->password_file, "its first line is the password")
          ->type_name("FILE")
          ->needs(user);
  user->needs(password);
  add_tls_flags(*command, given->tls);
  command->add_option("--topic", given->topic, "the topic")->capture_default_str();
  command->add_option("--connections", given->connections, "connections")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  if (produce) {
    add_load_flags(*command, given->bench, "records");
  } else {
    add_measure_flags(*command, given->bench);
  }
  command->callback([&chosen, given, produce] {
    chosen.run = [given, produce] {
      return run_on_one_core([given, produce](Runtime& runtime, const runtime::StopToken&) {
        return bench_kafka(runtime, given, produce);
      });
    };
  });
  return command;
}

}  // namespace

void add_bench_kafka(CLI::App& bench, Chosen& chosen) {
  CLI::App* kafka = bench.add_subcommand("kafka", "Kafka's protocol: produce or consume");
  kafka->require_subcommand(1);
  auto given = std::make_shared<KafkaBenchArguments>();
  CLI::App* produce = add(*kafka, chosen, given, true);
  produce->add_option("--partitions", given->partitions, "of the topic, if it is to be made")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  produce->add_option("--in-flight", given->in_flight, "batches of a connection without an answer")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  produce->add_option("--batch-bytes", given->batch_bytes, "payloads of one batch")
      ->check(CLI::Range(1, 16 << 20))
      ->capture_default_str();
  produce->add_option("--acks", given->acks, "-1: committed; 0: not answered")
      ->check(CLI::IsMember({-1, 0, 1}))
      ->capture_default_str();
  add(*kafka, chosen, given, false);
}

}  // namespace stele::server::cli
