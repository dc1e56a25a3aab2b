// What workloads did and saw, outside all processes: the truth that the end of a run is held against.
//
// Every message of a workload names itself in its payload, "P:A:S": publisher, address of that publisher,
// sequence within it. Sequences are dense and sent in order, so order and loss can be told from the numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/workloads/judge.h"

namespace stele::sim {

struct MessageId {
  std::uint32_t publisher = 0;
  std::uint32_t address = 0;
  std::uint64_t sequence = 0;
  friend auto operator<=>(const MessageId&, const MessageId&) = default;
  std::string text() const;
  static std::optional<MessageId> parse(std::string_view payload);
};

// Messages, as bits: each publisher and address numbers its own without gaps.
class MessageSet {
 public:
  // False if it was there already.
  bool insert(const MessageId& id);
  bool contains(const MessageId& id) const;
  std::size_t size() const { return size_; }

 private:
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<bool>> by_address_;
  std::size_t size_ = 0;
};

class Ledger {
 public:
  explicit Ledger(Judge& judge) : judge_(judge) {}

  // ---- publishing
  void sent(const MessageId& id) {
    sent_.insert(id);
    if (owner_has_changed_since) sent_at_[id] = judge_.now();
  }
  void sent(const MessageId& id, std::uint8_t qos) {
    sent(id);
    if (order_of_each_qos) qos_[id] = qos;
  }
  // What has different QoS may overtake each other [MQTT-4.6.0-6], as it does between nodes; one node keeps
  // the order of all.
  bool order_of_each_qos = false;
  // Between nodes a live copy may be passed by one that comes from the next owner of its shard. True: one has
  // begun since. Null: there is one node.
  std::function<bool(Time)> owner_has_changed_since;
  // Once more: receivers that may miss messages can see it out of order from now on.
  void sent_again(const MessageId& id) { sent_again_.insert(id); }
  void acknowledged(const MessageId& id);
  // It may be there or not, and what follows need not wait for it.
  void refused(const MessageId& id) { refused_.insert(id); }
  // The shadow says so.
  void committed(const MessageId& id) { committed_.insert(id); }
  bool was_refused(const MessageId& id) const { return refused_.contains(id); }
  bool was_sent_again(const MessageId& id) const { return sent_again_.contains(id); }
  // True of all where nobody says so.
  bool is_committed(const MessageId& id) const { return !judge_.sees_commits() || committed_.contains(id); }
  bool is_acknowledged(const MessageId& id) const { return acknowledged_.contains(id); }
  std::size_t acknowledged_count() const { return acknowledged_.size(); }
  std::size_t sent_count() const { return sent_.size(); }

  // Messages of this publisher are seen by receivers whose names begin so, and they see no others.
  void keep_apart(std::uint32_t publisher, std::string receivers) {
    apart_.emplace(publisher, std::move(receivers));
  }

  // ---- receiving. `who` names a receiver, for whom order is kept over all its connections.
  // Only what is committed may be seen; the first copies of one publisher and address come in order.
  // `gaps`: the receiver may miss messages (it was not connected). Otherwise too one may be missing here, for
  // it may have been refused; what was acknowledged is asked for at the end.
  void received(const std::string& who, const MessageId& id, bool duplicate_allowed, bool gaps);
  // By one of a group: nothing is said of order and copies.
  void received_unordered(const std::string& who, const MessageId& id);
  bool has_received(const std::string& who, const MessageId& id) const;
  std::size_t received_count(const std::string& who) const;
  // Everything acknowledged of these publishers, sent after `from`, is there.
  std::vector<MessageId> missing(const std::string& who, const std::set<MessageId>& expected) const;
  const std::set<MessageId>& acknowledged() const { return acknowledged_; }
  const MessageSet& all_sent() const { return sent_; }

  void operation() { ++operations_; }
  std::uint64_t operations() const { return operations_; }

 private:
  // Whether that receiver may see it at all.
  bool may_see(const std::string& who, const MessageId& id);
  bool may_be_passed(const std::string& who, const MessageId& id) const;

  Judge& judge_;
  std::optional<std::pair<std::uint32_t, std::string>> apart_;
  MessageSet sent_, sent_again_, committed_, refused_;
  std::set<MessageId> acknowledged_;
  std::map<MessageId, std::uint8_t> qos_;
  std::map<MessageId, Time> sent_at_;
  struct Receiver {
    MessageSet seen;
    using Line = std::tuple<std::uint32_t, std::uint32_t, std::uint8_t>;  // publisher, address, QoS
    std::map<Line, std::uint64_t> highest;                                 // + 1
  };
  std::map<std::string, Receiver> receivers_;
  std::uint64_t operations_ = 0;
};

}  // namespace stele::sim
