// A whole group of cores from one seed, without any I/O: a bag for a network that loses, repeats, delays and
// reorders, disks whose completions come late, nodes that crash and keep what was stored, changes of who
// takes part. It checks the invariants of core.h after every step.
//
// First chaos, then calm: all nodes are up, nothing is lost, and the group must elect, commit, read, and not
// be disturbed by one that was away.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/core/core.h"
#include "raft/core/testing/disk.h"

namespace stele::raft {

struct GroupOptions {
  std::uint64_t seed = 0;
  std::uint32_t nodes = 5;
  std::uint32_t steps = 5000;  // of chaos
  bool trace = false;          // prints everything that happens
};

class Group {
 public:
  explicit Group(const GroupOptions& options);
  // What was violated; empty if nothing was.
  std::string run();

  struct Counts {
    std::uint64_t committed = 0, elections = 0, snapshots = 0, reads = 0, changes = 0, transfers = 0,
                  repaired = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Write {
    std::optional<Store> store;
    std::vector<PeerMessage> after;
    std::vector<Entry> apply;
    std::optional<SnapshotInfo> cut;
  };
  struct Node {
    NodeId id;
    std::unique_ptr<Core> core;  // null while it is down
    DiskImage disk;              // durable
    DiskImage written;           // with what is on its way to the disk
    std::deque<Write> writes;
    std::deque<std::pair<Term, LogIndex>> completions;  // of writes that are done, and the core not told of
    std::vector<LogRead> reads;
    LogIndex applied;  // of the state machine
    std::uint64_t state = 0;
    LogIndex told_applied;
    std::set<LogPoint> ever_durable;
    LogIndex commit;
    std::map<std::uint64_t, LogIndex> open_reads;  // context → what was committed when it was asked
    bool doomed = false;                           // its disk failed
  };

  // Chaos.
  std::uint64_t random(std::uint64_t below);
  bool one_in(std::uint64_t n) { return random(n) == 0; }
  Node& any();
  Node& node(NodeId id) { return nodes_[id.value - 1]; }
  void chaos_step();
  void network_step();
  void client_step();
  void fault_step();
  void propose_change(Node& leader);
  void start(Node& node);
  void crash(Node& node);
  void lose_slots(Node& node);
  void take_snapshot(Node& node);
  void finish_write(Node& node);
  void tell_completions(Node& node);
  void answer_read(Node& node);
  void deliver(PeerMessage message);
  void lose(const PeerMessage& message);
  bool cut_off(const PeerMessage& message) const;

  // The driver.
  void drive(Node& node);
  void put(std::vector<PeerMessage> messages);
  void finish(Node& node, Write write);
  void apply(Node& node, const Entry& entry);

  // Checks.
  void trace(const std::string& what) const;
  void fail(const std::string& what);
  void check(Node& node);
  void check_commit(Node& node);
  void check_leader(Node& node);
  void check_promise(const Node& node, const PeerMessage& message);
  void check_logs_match(const Node& a, const Node& b);
  void check_membership(const Node& node);

  // Calm.
  void calm();
  void round(bool ticks);
  Node* leader();
  bool settle();
  void check_undisturbed();

  GroupOptions options_;
  std::uint64_t random_state_;
  std::vector<Node> nodes_;
  std::vector<PeerMessage> bag_;
  std::set<NodeId> isolated_;
  std::optional<NodeId> victim_;  // the only one whose disk loses slots
  std::optional<NodeId> slow_;    // whose disk is slow
  std::optional<NodeId> lazy_;    // whose clock is
  std::uint64_t ticks_ = 0;       // of a thousand steps
  std::uint64_t patience_ = 1;    // how late the slow one's completions are told
  bool durable_state_machines_ = false;
  bool changes_ = false;
  std::uint64_t next_context_ = 1;
  std::uint64_t next_value_ = 1;

  // What is true of the group, whoever asks.
  struct Committed {
    Term term;
    std::optional<std::pair<EntryKind, Bytes>> entry;
    std::uint64_t state = 0;
  };
  std::map<LogIndex, Committed> committed_;
  LogIndex commit_;
  std::map<Term, NodeId> leaders_;
  std::string violation_;
  Counts counts_;
};

}  // namespace stele::raft
