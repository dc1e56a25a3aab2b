// A broker of one core in memory, for tests of what stands in front of it: exchanges, queues and consumers,
// enough of each to talk with. Answers at once, or when it is told to. Notes what it was asked that clients
// cannot see.
//
// Users: `guest` with password `guest`, whom EXTERNAL may be, too; virtual hosts: `/`. A queue whose name
// begins with `full` refuses what is published to it; an exchange, or a queue to be read from, whose name
// begins with `denied` is not allowed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "protocols/amqp/amqp_broker.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"

namespace stele::amqp {

class FakeAmqpBroker final : public AmqpBroker, private runtime::TurnEndHook {
 public:
  explicit FakeAmqpBroker(runtime::Runtime& runtime);
  ~FakeAmqpBroker() override;

  bool hold_answers = false;      // to publishes, and to get: until answer()
  bool hold_tasks = false;        // until complete()
  std::size_t window = SIZE_MAX;  // publishes of a channel that may be unanswered before it is to wait
  bool stop = false;
  std::vector<std::string> notes;

  void answer();
  void complete() { tasks_.wake_all(); }
  void block(std::string_view reason);
  void unblock();
  // As somebody else would.
  void delete_queue(const std::string& name);
  // Every channel, or every connection by its code, ends with it.
  void fail_channels(const ProtocolError& error);
  void force_close();
  // For tests of order: what was published and settled, by queue.
  std::size_t ready(const std::string& queue) const;
  std::size_t channels() const { return channels_.size(); }
  std::size_t hosts() const { return hosts_.size(); }

  runtime::Runtime& runtime() override { return runtime_; }
  bool stopping() const override { return stop; }
  runtime::Task<Decoded<std::unique_ptr<AmqpUser>>> authenticate(AmqpLogin login) override;

 private:
  class User;
  class Host;
  class Channel;

  struct Message {
    std::string exchange, routing_key, properties;
    Bytes body;
    bool redelivered = false;
  };
  struct Consumer {
    Channel* channel = nullptr;
    ConsumeRequest request;
    std::size_t out = 0;
  };
  struct Queue {
    std::uint64_t id = 0;
    const Host* owner = nullptr;  // of an exclusive one
    bool auto_delete = false;
    Table arguments;
    std::deque<Message> messages;
    std::vector<Consumer> consumers;
    std::size_t next = 0;  // whose turn it is
  };
  struct Binding {
    std::string destination;
    bool to_exchange = false;
    std::string routing_key;
    Table arguments;
  };
  struct Exchange {
    std::string type;
    bool internal = false;
    std::vector<Binding> bindings;
  };
  struct Reply {
    std::string name;
    Message message;
  };

  void on_turn_end() override;
  bool deliver_one(Queue& queue);
  void route(const std::string& exchange, std::string_view key, const BasicProperties& properties,
             std::set<std::string>& queues, unsigned depth) const;
  void remove_queue(const std::string& name);
  void remove_consumer(Queue& queue, std::size_t at);
  void remove_if_abandoned(const std::string& name);
  void wake() { runtime_.at_turn_end(*this); }
  runtime::Task<void> pause();

  runtime::Runtime& runtime_;
  runtime::Notification tasks_;
  std::map<std::string, Exchange> exchanges_;
  std::map<std::string, Queue> queues_;
  std::map<std::string, std::pair<Channel*, ConsumerKey>> replies_;
  std::deque<Reply> reply_mail_;
  std::set<Channel*> channels_;
  std::set<Host*> hosts_;
  std::uint64_t last_id_ = 0;
  std::uint64_t named_ = 0;
};

}  // namespace stele::amqp
