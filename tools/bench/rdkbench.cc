// Kafka load through librdkafka, the same for every broker.
//
//   rdkbench BROKERS TOPIC produce|consume|latency SIZE COUNT RATE [NAME=VALUE…]
//
// RATE 0 is as fast as it goes. NAME=VALUE is librdkafka's configuration; `p.` or `c.` before a name keeps it
// to the producer or the consumer. The topic must exist. Prints one line of JSON.
#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "tools/bench/histogram.h"

namespace stele::bench {
namespace {

constexpr std::uint64_t kIdleNs = 15'000'000'000;

struct Options {
  std::string brokers;
  std::string topic;
  std::size_t size = 0;
  std::uint64_t count = 0;
  double rate = 0;
  std::vector<std::string> settings;
};

std::uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "rdkbench: %s\n", what.c_str());
  std::exit(1);
}

rd_kafka_conf_t* configuration(const Options& options, char side) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char error[512];
  const auto set = [&](const std::string& name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK)
      fail(error);
  };
  set("bootstrap.servers", options.brokers);
  for (const std::string& setting : options.settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) fail("NAME=VALUE expected, got " + setting);
    std::string name = setting.substr(0, equals);
    if (name.starts_with("p.") || name.starts_with("c.")) {
      if (name[0] != side) continue;
      name = name.substr(2);
    }
    set(name, setting.substr(equals + 1));
  }
  return conf;
}

rd_kafka_t* create(rd_kafka_type_t type, rd_kafka_conf_t* conf) {
  char error[512];
  rd_kafka_t* client = rd_kafka_new(type, conf, error, sizeof error);
  if (client == nullptr) fail(error);
  return client;
}

// Counts what was acknowledged; librdkafka calls back from rd_kafka_poll, on the producing thread.
struct Deliveries {
  std::uint64_t acked = 0;
  std::uint64_t failed = 0;

  static void on_report(rd_kafka_t* /*client*/, const rd_kafka_message_t* message, void* self) {
    auto* deliveries = static_cast<Deliveries*>(self);
    ++(message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? deliveries->acked : deliveries->failed);
  }
};

Deliveries produce(const Options& options) {
  Deliveries deliveries;
  rd_kafka_conf_t* conf = configuration(options, 'p');
  rd_kafka_conf_set_opaque(conf, &deliveries);
  rd_kafka_conf_set_dr_msg_cb(conf, Deliveries::on_report);
  rd_kafka_t* client = create(RD_KAFKA_PRODUCER, conf);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, options.topic.c_str(), nullptr);
  std::string payload(options.size, 'x');
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>('a' + i % 26);
  const std::uint64_t from = now_ns();
  for (std::uint64_t i = 0; i < options.count; ++i) {
    std::uint64_t due = now_ns();
    if (options.rate > 0) {
      due = from + static_cast<std::uint64_t>(static_cast<double>(i) * 1e9 / options.rate);
      for (std::uint64_t now = now_ns(); now < due; now = now_ns()) {
        rd_kafka_poll(client, 0);
        if (due - now > 60'000) usleep(static_cast<useconds_t>((due - now) / 1000 - 40));
      }
    }
    if (payload.size() >= sizeof due) std::memcpy(payload.data(), &due, sizeof due);
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, payload.data(), payload.size(),
                            nullptr, 0, nullptr) == -1) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        fail(rd_kafka_err2str(rd_kafka_last_error()));
      rd_kafka_poll(client, 5);
    }
    if (i % 256 == 0) rd_kafka_poll(client, 0);
  }
  rd_kafka_flush(client, 60'000);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(client);
  return deliveries;
}

// A consumer by assignment, of all partitions.
rd_kafka_t* consumer(const Options& options, std::int64_t offset) {
  rd_kafka_conf_t* conf = configuration(options, 'c');
  char error[512];
  rd_kafka_conf_set(conf, "group.id", "rdkbench", error, sizeof error);
  rd_kafka_conf_set(conf, "enable.auto.commit", "false", error, sizeof error);
  rd_kafka_conf_set(conf, "enable.auto.offset.store", "false", error, sizeof error);
  rd_kafka_t* client = create(RD_KAFKA_CONSUMER, conf);
  rd_kafka_poll_set_consumer(client);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, options.topic.c_str(), nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(client, 0, topic, &metadata, 10'000) != RD_KAFKA_RESP_ERR_NO_ERROR)
    fail("no metadata");
  const int partitions = metadata->topics[0].partition_cnt;
  if (partitions == 0) fail("topic " + options.topic + " does not exist");
  rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(topic);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
  for (int i = 0; i < partitions; ++i) {
    rd_kafka_topic_partition_list_add(list, options.topic.c_str(), i)->offset = offset;
  }
  if (rd_kafka_assign(client, list) != RD_KAFKA_RESP_ERR_NO_ERROR) fail("assign");
  rd_kafka_topic_partition_list_destroy(list);
  return client;
}

template <class Each>
void consume(rd_kafka_t* client, std::uint64_t count, const std::atomic<bool>* hurry, Each each) {
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(client);
  std::vector<rd_kafka_message_t*> batch(1000);
  std::uint64_t got = 0;
  std::uint64_t last = now_ns();
  while (got < count && now_ns() - last < kIdleNs) {
    const ssize_t n =
        rd_kafka_consume_batch_queue(queue, hurry != nullptr ? 1 : 100, batch.data(), batch.size());
    for (ssize_t i = 0; i < n; ++i) {
      rd_kafka_message_t* message = batch[static_cast<std::size_t>(i)];
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ++got;
        each(*message);
      }
      rd_kafka_message_destroy(message);
    }
    if (n > 0) last = now_ns();
    if (hurry != nullptr && hurry->load() && now_ns() - last > kIdleNs / 5) break;
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(client);
  rd_kafka_destroy(client);
}

void run_produce(const Options& options) {
  const std::uint64_t from = now_ns();
  const Deliveries deliveries = produce(options);
  const double seconds = static_cast<double>(now_ns() - from) / 1e9;
  std::printf("{\"messages\":%lu,\"failed\":%lu,\"seconds\":%.3f,\"per_s\":%.0f}\n", deliveries.acked,
              deliveries.failed, seconds, static_cast<double>(deliveries.acked) / seconds);
}

void run_consume(const Options& options) {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t messages = 0;
  consume(consumer(options, RD_KAFKA_OFFSET_BEGINNING), options.count, nullptr,
          [&](const rd_kafka_message_t&) {
            last = now_ns();
            if (messages++ == 0) first = last;
          });
  const double seconds = static_cast<double>(last - first) / 1e9;
  std::printf("{\"messages\":%lu,\"seconds\":%.3f,\"per_s\":%.0f}\n", messages, seconds,
              static_cast<double>(messages) / seconds);
}

void run_latency(const Options& options) {
  rd_kafka_t* client = consumer(options, RD_KAFKA_OFFSET_END);
  rd_kafka_message_t* early = rd_kafka_consumer_poll(client, 2000);  // so that it stands at the end
  if (early != nullptr) rd_kafka_message_destroy(early);
  Histogram latency;
  std::atomic<bool> sent = false;
  std::thread reader([&] {
    consume(client, options.count, &sent, [&latency](const rd_kafka_message_t& message) {
      std::uint64_t due = 0;
      if (message.len < sizeof due) return;
      std::memcpy(&due, message.payload, sizeof due);
      latency.add(now_ns() - due);
    });
  });
  const Deliveries deliveries = produce(options);
  sent = true;
  reader.join();
  const auto us = [&latency](double share) { return static_cast<double>(latency.percentile(share)) / 1e3; };
  std::printf("{\"messages\":%lu,\"received\":%lu,\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f}\n",
              deliveries.acked, latency.count(), us(0.5), us(0.99), us(0.999));
}

}  // namespace
}  // namespace stele::bench

int main(int argc, char** argv) {
  using stele::bench::Options;
  if (argc < 7) {
    std::fprintf(stderr,
                 "usage: rdkbench BROKERS TOPIC produce|consume|latency SIZE COUNT RATE [NAME=VALUE...]\n");
    return 2;
  }
  const Options options{.brokers = argv[1],
                        .topic = argv[2],
                        .size = std::strtoul(argv[4], nullptr, 10),
                        .count = std::strtoul(argv[5], nullptr, 10),
                        .rate = std::strtod(argv[6], nullptr),
                        .settings = {argv + 7, argv + argc}};
  const std::string what = argv[3];
  if (what == "produce") {
    stele::bench::run_produce(options);
  } else if (what == "consume") {
    stele::bench::run_consume(options);
  } else if (what == "latency") {
    stele::bench::run_latency(options);
  } else {
    stele::bench::fail("produce, consume or latency expected, got " + what);
  }
  return 0;
}
