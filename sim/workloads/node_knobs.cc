#include "sim/workloads/node_knobs.h"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <vector>

#include "sim/config.h"

namespace stele::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t ns(Duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

std::vector<Knob> declare() {
  std::vector<Knob> knobs(world_knobs().begin(), world_knobs().end());
  const std::initializer_list<Knob> own = {
      // The node.
      {"node.cores", 2, {1, 4}, 1, 4},
      {"node.shards", 16, {1, 2, 4, 8, 16}},
      // Of the starts among the faults, one in so many crashes on its way, besides what the plan says; 0:
      // none.
      {"node.start_crash_one_in", 0, {0, 6}},
      {"log.file_bytes", 256 << 10, {16 << 10}, 16 << 10, 2 << 20},
      {"log.segment_bytes", 512 << 10, {8 << 10}, 8 << 10, 4 << 20},
      {"log.snapshot_bytes", 64 << 10, {16 << 10}, 16 << 10, 512 << 10},
      {"log.tail_bytes", 256 << 10, {16 << 10}, 16 << 10, 2 << 20},
      // Where there is only the log: whether it keeps its tail, which nobody else does; when it answers (0:
      // fsync, 1: flush, 2: memory); and what may wait for the disk.
      {"log.cache", 1, {0}},
      {"log.durability", 0, {1, 2}},
      {"storage.pending_bytes", 64 << 20, {16 << 10}, 16 << 10, 64 << 20},
      {"storage.block_bytes", 256 << 10, {512}, 512, 256 << 10},
      {"storage.read_bytes", 128 << 10, {512}, 512, 128 << 10},
      {"storage.index_own_bytes", 64 << 10, {1, 1 << 20}, 1 << 10, 1 << 20},
      {"storage.index_span_bytes", 4 << 20, {4 << 10}, 4 << 10, 4 << 20},
      {"storage.move_below_percent", 30, {1, 50}, 1, 50},
      {"storage.move_step_bytes", 1 << 20, {4 << 10}, 4 << 10, 1 << 20},
      {"storage.spare_files", 2, {0, 8}},
      {"storage.open_files", 64, {1, 2}, 1, 64},
      {"journal.in_flight_bytes", 32 << 20, {64 << 10}, 64 << 10, 32 << 20},
      {"broker.publishing_bytes", 32 << 20, {1, 64 << 10}, 4 << 10, 32 << 20},
      {"broker.delivery_read_bytes", 256 << 10, {1, 4 << 10}, 512, 256 << 10},
      {"broker.session_in_flight_bytes", 16 << 20, {1, 4 << 10}, 1 << 10, 16 << 20},
      {"broker.share_window", 256, {4}, 4, 256},
      {"broker.share_window_bytes", 1 << 20, {1}, 1 << 10, 1 << 20},
      {"broker.forward_window", 1024, {8}, 8, 1024},
      {"broker.forward_window_bytes", 4 << 20, {4 << 10}, 4 << 10, 4 << 20},
      {"broker.retained_page_messages", 256, {1, 2}, 1, 256},
      {"broker.retained_page_looked_at", 4096, {1, 2}, 1, 4096},
      {"mqtt.output_bytes", 1 << 20, {4 << 10}, 4 << 10, 1 << 20},
      {"mqtt.in_flight", 512, {4}, 4, 512},
      {"mqtt.receive_maximum", 1024, {32}, 32, 1024},
      {"mqtt.topic_aliases", 16, {0, 1}, 0, 16},
      {"kafka.requests_in_flight", 64, {1, 2}, 1, 64},
      {"kafka.response_bytes_queued", 32 << 20, {1}, 1 << 10, 32 << 20},
      {"broker.live_bytes", 256 << 10, {256, 8 << 20}, 256, 8 << 20},
      {"group.rebalance_delay_ns", 0, {0, ns(3s)}, 0, ns(3s)},
      {"kafka.fetch_sessions", 4, {0}, 0, 4},
      {"kafka.fetch_session_partitions", 12, {3}, 3, 12},
      {"kafka.fetch_session_keep_ns", ns(2s), {0}, 0, ns(2s)},
      // A Raft group, of which so many are a majority and one less is not; and what its members are given.
      {"raft.majority", 2, {1, 2, 2, 3, 4}},
      {"raft.clients", 2, {1, 4}},  // of each member
      {"raft.tick_ns", ns(50ms), {ns(10ms), ns(200ms)}, ns(10ms), ns(200ms)},
      {"raft.election_ticks", 20, {5, 40}, 5, 40},
      {"raft.append_bytes", 256 << 10, {1, 1 << 10}, 64, 256 << 10},
      {"raft.window_messages", 64, {1, 2}, 1, 64},
      {"raft.window_bytes", 1 << 20, {1, 1 << 10}, 64, 1 << 20},
      {"raft.cache_bytes", 4 << 20, {0}, 64, 4 << 20},
      {"raft.tail", 100, {0, 1, 100'000}, 1, 1'000},
      {"raft.applying_bytes", 1 << 20, {1, 1 << 10}, 64, 1 << 20},
      {"raft.uncommitted_bytes", 16 << 20, {1, 200}, 64, 16 << 20},
      {"raft.snapshot_every", 200, {1, 10, 100'000}, 1, 2'000},
      {"raft.snapshot_part_bytes", 128 << 10, {64, 512}, 64, 128 << 10},
      {"raft.snapshot_window", 8, {1}, 1, 8},
      {"raft.proposals", 4096, {1}, 1, 64},
      {"raft.disorder_one_in", 0, {0, 5, 50}, 5, 1'000},  // messages that are lost, repeated or late
      // Journals on several nodes, without brokers.
      {"journal.nodes", 4, {3, 4, 5}},
      {"journal.copy_bytes", 1 << 20, {1, 5'000}, 1 << 10, 1 << 20},
      {"journal.kept_bytes", 16 << 20, {20'000}, 20'000, 16 << 20},
      {"journal.batch_bytes", 1 << 20, {1, 4'000}, 1 << 10, 1 << 20},
      {"journal.peer_in_flight_bytes", 8 << 20, {1, 20'000}, 20'000, 8 << 20},
      {"journal.replace_after_ns", ns(5s), {ns(500ms), ns(10s)}, ns(500ms), ns(10s)},
      {"journal.repair_after_ns", ns(10s), {ns(1s), ns(60s)}, ns(1s), ns(60s)},
      {"journal.entry_bytes", 1'000, {20, 20'000}, 20, 5'000},
      {"journal.trims", 1, {0, 1}},  // 0: everything is read back in the end
      // Limits, which scenarios set low.
      {"broker.sessions", 1'000'000, {}, 1, 1'000'000, false},
      {"broker.subscriptions_per_session", 10'000, {}, 1, 10'000, false},
      {"broker.will_bytes", 256 << 20, {}, 1, 256 << 20, false},
      {"broker.session_queue_messages", 1'000'000, {}, 1, 1'000'000, false},
      {"broker.session_queue_bytes", 1 << 30, {}, 1, 1 << 30, false},
      {"broker.shard_queue_messages", 10'000'000, {}, 1, 10'000'000, false},
      {"broker.producers", 50'000, {}, 1, 50'000, false},
      {"broker.producer_expiry_ns", ns(24h), {}, ns(1s), ns(24h), false},
      {"broker.live_held_messages", 1000, {}, 0, 1000, false},
      {"broker.live_shared_bytes", 8 << 20, {}, 0, 8 << 20, false},
      {"mqtt.queue_messages", 10'000, {}, 1, 10'000, false},
      {"group.members", 10'000, {}, 1, 10'000, false},
      {"group.offsets", 1'000'000, {}, 1, 1'000'000, false},
      {"group.offsets_retention_ns", ns(7 * 24h), {}, ns(1s), ns(7 * 24h), false},
      {"group.retention_check_ns", ns(10min), {}, ns(1s), ns(10min), false},
      {"meta.queued", 4096, {}, 1, 4096, false},
      {"meta.calls", 8192, {}, 1, 8192, false},
      {"access.verifying", 2, {}, 1, 2, false},
      {"access.waiting", 1000, {}, 0, 1000, false},
      {"access.failures_at_once", 20, {}, 1, 20, false},
      {"tls.handshakes", 1000, {}, 1, 1000, false},
      {"http.request_timeout_ns", ns(30s), {}, ns(1s), ns(30s), false},
      // The clients. 0: no, 1: yes.
      {"clients.log_in", 0, {1}},
      {"clients.neighbour", 0, {1}},  // another tenant's, where they log in
      {"clients.websocket", 0, {0, 1, 1}},
      {"clients.tls", 0, {1}, 0, 0, false},
      {"clients.crew_exactly_once", 0, {1}},
      {"clients.newcomers", 0, {1}},
  };
  knobs.insert(knobs.end(), own);
  return knobs;
}

}  // namespace

std::span<const Knob> node_knobs() {
  static const std::vector<Knob> knobs = declare();
  return knobs;
}

std::uint32_t meta_members(const Knobs& knobs) {
  return std::clamp<std::uint32_t>(raft_members(knobs), 3, 5);
}

std::uint32_t journal_nodes(const Knobs& knobs) {
  return static_cast<std::uint32_t>(knobs["journal.nodes"]);
}

std::uint32_t raft_members(const Knobs& knobs) {
  return 2 * static_cast<std::uint32_t>(knobs["raft.majority"]) - 1;
}

}  // namespace stele::sim
