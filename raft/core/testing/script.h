// A conversation between cores as text: one command in, what came of it out. For interaction_test.cc; the
// commands are listed in docs/raft.md. Nothing is random but the election timeouts, whose seed is the node's
// number.
#pragma once

#include <cstdint>
#include <deque>
#include <istream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/core/core.h"
#include "raft/core/testing/disk.h"

namespace stele::raft {

class Script {
 public:
  // One line; the answer ends with a newline, or is empty.
  std::string execute(const std::string& line);

 private:
  using Words = std::vector<std::string>;
  struct Write {
    std::optional<Store> store;
    std::vector<PeerMessage> after;
    std::vector<Entry> apply;
    std::optional<SnapshotInfo> cut;
  };
  struct Node {
    Options options;
    std::unique_ptr<Core> core;
    DiskImage disk;
    std::deque<Write> writes;
    std::deque<LogRead> reads;
    LogIndex applied;
    bool held = false;  // its disk does not finish anything
    bool deaf = false;  // it finishes, and the core is not told
    std::vector<std::pair<Term, LogIndex>> untold;
  };

  void command(const std::string& verb, const Words& words);
  bool act(const std::string& verb, const Words& words);
  void nodes(const Words& words);
  void disk(const Words& words);
  void start(NodeId id);
  void restart(const Words& words);
  void drive(NodeId id);
  void show(NodeId id, const Effects& effects);
  void finish_writes(NodeId id);
  void answer_reads(NodeId id);
  void run(int turns = 500);
  void deliver(const PeerMessage& message);
  void status();
  void progress(NodeId id);
  bool cut(const PeerMessage& message) const;
  void refused(Refusal refusal);
  void say(const std::string& line) { out_ += line + "\n"; }

  std::map<NodeId, Node> nodes_;
  std::deque<PeerMessage> network_;
  std::set<std::pair<NodeId, NodeId>> cuts_;
  std::string out_;
};

// A file of commands and answers again, with what comes of its commands now.
std::string replay(std::istream& in);

}  // namespace stele::raft
