// The way of a message through the machine, publish to confirm and delivery to acknowledgement, takes no
// memory of its own once its buffers have grown.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "protocols/amqp/all_methods.h"
#include "protocols/amqp/listener.h"
#include "protocols/amqp/method_codec.h"
#include "protocols/amqp/protocol_header.h"
#include "protocols/mqtt/fake_runtime.h"

namespace {
std::size_t allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace stele::amqp {
namespace {

const std::string kName(40, 'n');  // longer than a string keeps without memory of its own

// A broker that takes everything, and asks nothing.
class Channel final : public AmqpBrokerChannel {
 public:
  explicit Channel(AmqpChannelListener& listener) : listener(listener) {}
  runtime::Task<Decoded<void>> declare_exchange(ExchangeDeclaration) override { co_return Decoded<void>(); }
  runtime::Task<Decoded<void>> delete_exchange(std::string, bool) override { co_return Decoded<void>(); }
  runtime::Task<Decoded<QueueDeclared>> declare_queue(QueueDeclaration what) override {
    co_return QueueDeclared{std::move(what.name), 0, 0};
  }
  runtime::Task<Decoded<std::uint32_t>> delete_queue(std::string, bool, bool) override { co_return 0u; }
  runtime::Task<Decoded<std::uint32_t>> purge_queue(std::string) override { co_return 0u; }
  runtime::Task<Decoded<void>> bind(BindingRequest) override { co_return Decoded<void>(); }
  runtime::Task<Decoded<void>> unbind(BindingRequest) override { co_return Decoded<void>(); }
  bool publish(const AmqpPublish& message) override {
    if (message.answer) listener.on_published(PublishOutcome::kTaken);
    return true;
  }
  runtime::Task<Decoded<void>> consume(ConsumeRequest what) override {
    consumer = what.key;
    co_return Decoded<void>();
  }
  runtime::Task<void> cancel(ConsumerKey) override { co_return; }
  void get(std::string_view, bool) override { listener.on_got(nullptr, 0); }
  void settle(std::span<const DeliveryToken> what, Settlement) override { settled += what.size(); }
  void set_limit(std::uint32_t) override {}
  void go_on() override {}
  std::string open_replies(ConsumerKey) override { return std::string(kReplyTo) + ".1"; }
  void close_replies() override {}

  AmqpChannelListener& listener;
  ConsumerKey consumer;
  std::size_t settled = 0;
};

class Broker final : public AmqpBroker {
 public:
  runtime::Runtime& runtime() override { return fake; }
  bool stopping() const override { return false; }
  runtime::Task<Decoded<std::unique_ptr<AmqpUser>>> authenticate(AmqpLogin) override {
    co_return std::make_unique<User>(*this);
  }
  mqtt::FakeRuntime fake;
  Channel* channel = nullptr;

 private:
  struct Host final : AmqpHost {
    explicit Host(Broker& broker) : broker(broker) {}
    Decoded<std::unique_ptr<AmqpBrokerChannel>> open_channel(std::uint16_t,
                                                             AmqpChannelListener& with) override {
      auto out = std::make_unique<Channel>(with);
      broker.channel = out.get();
      return out;
    }
    Broker& broker;
  };
  struct User final : AmqpUser {
    explicit User(Broker& broker) : broker(broker) {}
    std::string_view name() const override { return "u"; }
    runtime::Task<Decoded<std::unique_ptr<AmqpHost>>> open(std::string, AmqpHostListener&) override {
      co_return std::make_unique<Host>(broker);
    }
    runtime::Task<Decoded<void>> update_secret(std::string) override { co_return Decoded<void>(); }
    Broker& broker;
  };
};

// A socket that takes everything and keeps nothing.
struct Socket final : runtime::Connection {
  Socket(runtime::ConnectionHandler*& handler, std::size_t& written) : handler(handler), written(written) {}
  void start(runtime::ConnectionHandler& with) override { handler = &with; }
  void write(std::string_view copied) override { written += copied.size(); }
  void write(Bytes slice) override { written += slice.size(); }
  std::size_t queued_bytes() const override { return 0; }
  void set_low_water(std::size_t) override {}
  void pause_reading() override {}
  void resume_reading() override {}
  void close(runtime::Duration) override {}
  runtime::Endpoint local() const override { return {"here", 1}; }
  runtime::Endpoint remote() const override { return {"there", 1}; }
  runtime::ConnectionHandler*& handler;
  std::size_t& written;
};

template <class M>
void add(std::string& out, std::uint16_t channel, const M& method) {
  EXPECT_TRUE(append_method(out, channel, method));
}

TEST(MessagePath, TakesNoMemory) {
  Broker broker;
  auto listener = AmqpListener::without_endpoint(broker, {});
  runtime::ConnectionHandler* handler = nullptr;
  std::size_t written = 0;
  listener->take(std::make_unique<Socket>(handler, written));
  std::string out(kProtocolHeader);
  ConnectionStartOk start;
  start.mechanism = "PLAIN";
  start.response = std::string_view("\0g\0g", 4);
  add(out, 0, start);
  add(out, 0, ConnectionTuneOk{9, 8192, 0});
  add(out, 0, ConnectionOpen{"/"});
  add(out, 1, ChannelOpen{});
  add(out, 1, ConfirmSelect{});
  BasicConsume consume;
  consume.queue = consume.consumer_tag = kName;
  add(out, 1, consume);
  handler->on_data(Bytes::copy(out));
  broker.fake.settle();
  ASSERT_TRUE(broker.channel);
  ASSERT_EQ(broker.channel->consumer, ConsumerKey(1));

  BasicProperties properties;
  properties.message_id = kName;
  properties.reply_to = kName;
  std::string encoded;
  ASSERT_TRUE(append_properties(encoded, properties));
  const Bytes small = Bytes::copy(std::string(100, 's')), large = Bytes::copy(std::string(20'000, 'l'));
  out.clear();
  for (int i = 0; i < 3; ++i) {
    add(out, 1, BasicPublish{kName, kName});
    append_content_header(out, 1, small.size(), encoded);
    append_body(out, 1, small, 8192);
  }
  const Bytes publishes = Bytes::copy(out);

  std::uint64_t tag = 0;
  std::size_t taken = 0;
  for (int round = 0; round < 20; ++round) {
    std::string acks;
    add(acks, 1, BasicAck{tag + 2, false});
    add(acks, 1, BasicAck{tag + 3, true});
    tag += 3;
    const Bytes acknowledgements = Bytes::copy(acks);
    const std::size_t before = allocations;
    handler->on_data(publishes);
    broker.fake.settle();
    for (const Bytes* body : {&small, &large, &small}) {
      const AmqpDelivery delivery{ConsumerKey(1), {}, false, kName, kName, encoded, *body};
      EXPECT_TRUE(broker.channel->listener.has_room(false));
      broker.channel->listener.on_delivery(delivery);
    }
    handler->on_data(acknowledgements);
    broker.fake.settle();
    if (round >= 4) taken += allocations - before;
  }
  EXPECT_EQ(taken, 0u);
  EXPECT_EQ(broker.channel->settled, 60u);
  EXPECT_EQ(listener->counters().published, 60u);
  EXPECT_EQ(listener->counters().confirmed, 20u);  // three are told as one
  EXPECT_GT(written, 20u * 20'000);
}

}  // namespace
}  // namespace stele::amqp
