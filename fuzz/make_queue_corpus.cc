// Writes the corpus of queue_snapshot_fuzz: make_queue_corpus fuzz/corpus/queue_snapshot
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/wire.h"
#include "broker/queue/queue_state.h"

namespace {

using namespace stele;
using namespace stele::broker::queue;

constexpr WallTime kNow{1'600'000'000'000};

void write(const std::string& path, const QueueState& state) {
  std::string bytes;
  state.encode([&](std::string_view record) { Writer(bytes).sized(record); });
  std::ofstream(path, std::ios::binary) << bytes;
}

void fill(QueueState& state, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    Arrival arrival;
    arrival.place = {Lsn(10 + i * 3), static_cast<std::uint32_t>(i % 2)};
    arrival.bytes = static_cast<std::uint32_t>(i * 7 % 100);
    arrival.priority = static_cast<std::uint8_t>(i % 3);
    if (i % 5 == 0) arrival.ttl_ms = 1000;
    state.enqueue(arrival, kNow);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: make_queue_corpus FOLDER\n"), 2;
  const std::string folder = std::string(argv[1]) + "/";
  QueueState state;
  write(folder + "empty", state);
  fill(state, 5);
  write(folder + "few", state);

  QueueOptions options;
  options.max_priority = 2;
  options.max_length = 20;
  options.message_ttl_ms = 50'000;
  options.delivery_limit = 3;
  options.dead_letter_exchange = "dlx";
  options.dead_letter_key = "key";
  options.consumer_timeout_ms = 1000;
  options.single_active_consumer = true;
  state = QueueState(options);
  fill(state, 600);
  state.take_over(Epoch(4));
  const std::vector<MessageKey> returned = {{2, 40}, {1, 7}, {2, 3}, {0, 0}, {2, 40}};
  state.apply(Returned{returned, true}, kNow);
  state.apply(Removed{Why::kExpired, {{0, 5, 10}}}, kNow);
  state.apply(Removed{Why::kSettled, {{1, 100, 20}}}, kNow);
  state.forwarded(2, 3);
  write(folder + "much", state);

  options.overflow = Overflow::kRejectPublish;
  options.dead_letter_strategy = DeadLetterStrategy::kAtLeastOnce;
  options.expires_ms = 5;
  options.max_length_bytes = 4;
  state = QueueState(options);
  fill(state, 30);
  state.apply(Removed{Why::kRejected, {{0, 0, 8}, {2, 1, 1}}}, kNow);
  write(folder + "dead", state);
  return 0;
}
