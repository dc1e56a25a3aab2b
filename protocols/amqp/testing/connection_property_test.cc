// Whatever a client sends in the way of methods, in and out of turn, on channels open, closed and closing,
// with a broker that answers at once or when it likes:
//
// - nothing crashes, and every frame that comes back is one that a server may send then (TestClient);
// - answers to the methods of a channel come in the order in which these were sent, without a gap;
// - confirms count up, each once; what is returned has been published;
// - at the end either side can close: connection.close is answered by close-ok, and the socket goes;
// - then the broker has nothing left of it.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "protocols/amqp/listener.h"
#include "protocols/amqp/testing/fake_amqp_broker.h"
#include "protocols/amqp/testing/test_client.h"

namespace stele::amqp {
namespace {

constexpr std::uint16_t kChannels = 3;

// What a client knows of its channels.
class Client final : public TestClient {
 public:
  struct Channel {
    std::deque<MethodId> asked;  // in order, not answered
    std::uint64_t confirmed = 0;
    std::uint64_t published = 0;  // since confirm.select was sent
    std::uint64_t delivered = 0;
    bool confirms = false;
    bool closing = false;  // by us: nothing more is sent until it is closed
    bool crossed = false;  // the server closed it meanwhile
    bool closed_by_server = false;
  };

  // Of a method that is answered.
  void ask(std::uint16_t channel, std::string_view text, MethodId answer) {
    channels[channel].asked.push_back(answer);
    send_text(channel, text);
  }

  void on_received(const Received& received) override {
    if (received.channel == 0) return on_connection(received);
    STELE_ASSERT(!connection_closed_by_server);
    Channel& channel = channels[received.channel];
    STELE_ASSERT(!channel.closed_by_server || received.id == ChannelCloseOk::kInfo.id());
    switch (received.id) {
      case ChannelClose::kInfo.id():
        ++channel_errors;
        channel = Channel{{}, 0, 0, 0, false, false, channel.closing, true};
        if (answers_close) {
          send_text(received.channel, "channel.close-ok");
          channel.closed_by_server = false;
          ask(received.channel, "channel.open", ChannelOpenOk::kInfo.id());
        }
        return;
      case BasicAck::kInfo.id(): {
        const auto ack = decode<BasicAck>(received.payload);
        return on_confirm(channel, ack->delivery_tag, ack->multiple);
      }
      case BasicNack::kInfo.id(): {
        const auto nack = decode<BasicNack>(received.payload);
        return on_confirm(channel, nack->delivery_tag, nack->multiple);
      }
      case BasicReturn::kInfo.id():
        STELE_ASSERT(received.body == "mandatory");
        return;
      case BasicDeliver::kInfo.id():
        STELE_ASSERT(decode<BasicDeliver>(received.payload)->delivery_tag == ++channel.delivered);
        return;
      case BasicCancel::kInfo.id():
        return;
      case BasicGetOk::kInfo.id():
        STELE_ASSERT(decode<BasicGetOk>(received.payload)->delivery_tag == ++channel.delivered);
        return on_answer(channel, BasicGetOk::kInfo.id());
      case BasicGetEmpty::kInfo.id():
        return on_answer(channel, BasicGetOk::kInfo.id());
      case ChannelCloseOk::kInfo.id():
        if (std::exchange(channel.crossed, false)) return;
        on_answer(channel, received.id);
        STELE_ASSERT(channel.closing && channel.asked.empty());
        channel = {};
        return ask(received.channel, "channel.open", ChannelOpenOk::kInfo.id());
      default:
        return on_answer(channel, received.id);
    }
  }
  void on_connection(const Received& received) {
    if (received.id == ConnectionOpenOk::kInfo.id()) opened = true;
    if (received.id == ConnectionCloseOk::kInfo.id()) close_ok = true;
    if (received.id != ConnectionClose::kInfo.id()) return;
    STELE_ASSERT(!connection_closed_by_server);
    connection_closed_by_server = true;
    if (answers_close) send_text(0, "connection.close-ok");
  }
  static void on_answer(Channel& channel, MethodId id) {
    STELE_ASSERT(!channel.asked.empty() && channel.asked.front() == id);
    channel.asked.pop_front();
  }
  static void on_confirm(Channel& channel, std::uint64_t tag, bool multiple) {
    STELE_ASSERT(channel.confirms && tag <= channel.published);
    STELE_ASSERT(multiple ? tag > channel.confirmed : tag == channel.confirmed + 1);
    channel.confirmed = tag;
  }

  std::map<std::uint16_t, Channel> channels;
  std::size_t channel_errors = 0;
  bool answers_close = true;
  bool opened = false;
  bool close_ok = false;
  bool connection_closed_by_server = false;
};

struct Asked {
  const char* text;
  MethodId answer;
};
const Asked kAsked[] = {
    {"queue.declare queue=q", QueueDeclareOk::kInfo.id()},
    {"queue.declare queue=full", QueueDeclareOk::kInfo.id()},
    {"queue.declare exclusive", QueueDeclareOk::kInfo.id()},
    {"queue.declare queue=none passive", QueueDeclareOk::kInfo.id()},
    {"queue.declare queue=q arguments={x-max-length=1}", QueueDeclareOk::kInfo.id()},
    {"queue.bind exchange=amq.fanout", QueueBindOk::kInfo.id()},
    {"queue.unbind queue=q exchange=amq.fanout", QueueUnbindOk::kInfo.id()},
    {"queue.purge queue=q", QueuePurgeOk::kInfo.id()},
    {"queue.delete queue=q", QueueDeleteOk::kInfo.id()},
    {"exchange.declare exchange=e type=topic", ExchangeDeclareOk::kInfo.id()},
    {"exchange.bind destination=e source=amq.fanout", ExchangeBindOk::kInfo.id()},
    {"exchange.delete exchange=e", ExchangeDeleteOk::kInfo.id()},
    {"basic.qos prefetch_count=2", BasicQosOk::kInfo.id()},
    {"basic.qos prefetch_count=3 global", BasicQosOk::kInfo.id()},
    {"basic.consume queue=q", BasicConsumeOk::kInfo.id()},
    {"basic.consume queue=q consumer_tag=t", BasicConsumeOk::kInfo.id()},
    {"basic.consume queue=q no_ack", BasicConsumeOk::kInfo.id()},
    {"basic.consume queue=amq.rabbitmq.reply-to no_ack", BasicConsumeOk::kInfo.id()},
    {"basic.cancel consumer_tag=t", BasicCancelOk::kInfo.id()},
    {"basic.get queue=q", BasicGetOk::kInfo.id()},
    {"basic.get queue=q no_ack", BasicGetOk::kInfo.id()},
    {"basic.recover requeue", BasicRecoverOk::kInfo.id()},
    {"tx.select", TxSelectOk::kInfo.id()},
    {"tx.commit", TxCommitOk::kInfo.id()},
    {"tx.rollback", TxRollbackOk::kInfo.id()},
    {"access.request", AccessRequestOk::kInfo.id()},
    {"channel.flow active", ChannelFlowOk::kInfo.id()},
};
const char* const kSaid[] = {
    "basic.ack delivery_tag=0 multiple", "basic.nack delivery_tag=0 multiple requeue",
    "basic.recover-async requeue",       "queue.declare queue=q no_wait",
    "basic.consume queue=q no_wait",
};
// The connection's fault, mostly.
const char* const kWrong[] = {
    "channel.open",         "channel.flow",      "basic.publish immediate",
    "basic.deliver body=x", "channel.close-ok",  "basic.qos prefetch_size=1",
    "connection.close",     "confirm.select-ok",
};

class World {
 public:
  World() {
    AmqpOptions options;
    options.channel_max = 100;
    options.max_unanswered = 4;
    options.max_unsettled = 6;
    options.max_consumers = 4;
    options.max_tx_messages = 5;
    options.max_output_bytes = 600;
    listener = *AmqpListener::listen(broker, {"fake", 1}, options);
    connect();
  }
  void connect() {
    client = std::make_unique<Client>();
    client->start(runtime.network().dial(1));
    client->hello("consumer_cancel_notify");
    let_go();
    runtime.settle();
    RC_ASSERT(client->opened);
    for (std::uint16_t number = 1; number <= kChannels; ++number) open(number);
  }
  void open(std::uint16_t number) { client->ask(number, "channel.open", ChannelOpenOk::kInfo.id()); }
  void let_go() {
    broker.hold_tasks = false;
    broker.complete();
    broker.answer();
    broker.unblock();
    if (!client->open()) return;
    client->connection->paused = false;
    if (client->connection->peer) client->connection->peer->stuck = false;
  }

  void step(unsigned what, std::uint16_t number, unsigned detail) {
    if (!client->open() || client->connection_closed_by_server) return connect();
    Client::Channel& channel = client->channels[number];
    if (what < 82 && (channel.closing || channel.closed_by_server)) return;
    if (what < 30) {
      const Asked& asked = kAsked[detail % std::size(kAsked)];
      // Several of what a client asks may be under way.
      client->ask(number, asked.text, asked.answer);
    } else if (what < 55) {
      static const char* const kKeys[] = {"q", "full", "nowhere", "q"};
      std::string text = std::string("basic.publish routing_key=") + kKeys[detail % 4];
      if (channel.confirms) ++channel.published;
      text += detail % 3 == 0 ? " mandatory body=mandatory" : " body=" + std::string(detail % 300, 'x');
      client->send_text(number, text);
    } else if (what < 63) {
      if (channel.confirms) return;
      channel.confirms = true;
      client->ask(number, "confirm.select", ConfirmSelectOk::kInfo.id());
    } else if (what < 72) {
      const std::uint64_t tag = 1 + detail % (channel.delivered + 1);
      client->send_text(
          number, "basic.ack delivery_tag=" + std::to_string(tag) + (detail % 2 == 0 ? " multiple" : ""));
    } else if (what < 77) {
      client->send_text(number, kSaid[detail % std::size(kSaid)]);
    } else if (what < 80) {
      client->ask(number, "channel.close reply_code=200", ChannelCloseOk::kInfo.id());
      channel.closing = true;
    } else if (what < 82) {
      if (detail % 4 == 0) client->send_text(number, kWrong[detail / 4 % std::size(kWrong)]);
    } else {
      world_step(what, detail);
    }
    if (detail % 3 != 0) runtime.settle();
  }

  void world_step(unsigned what, unsigned detail) {
    if (what < 86) {
      broker.hold_answers = detail % 2 == 0;
      if (!broker.hold_answers) broker.answer();
    } else if (what < 90) {
      broker.hold_tasks = detail % 2 == 0;
      if (!broker.hold_tasks) broker.complete();
    } else if (what < 92) {
      broker.window = detail % 2 == 0 ? 1 : 100;
    } else if (what < 94) {
      detail % 2 == 0 ? broker.block("low") : broker.unblock();
    } else if (what < 95) {
      broker.delete_queue("q");
    } else if (what < 96) {
      if (detail % 4 == 0) broker.fail_channels({ReplyCode::kPreconditionFailed, "too late", 0, 0});
    } else if (what < 98) {
      const bool stuck = detail % 2 == 0;
      client->connection->paused = stuck;
      if (client->connection->peer) client->connection->peer->stuck = stuck;
    } else if (what < 99) {
      client->answers_close = detail % 2 == 0;
    } else if (detail % 4 == 0) {
      client->connection.reset();
    }
  }

  // Everything is answered, and what is open can be closed.
  void finish() {
    let_go();
    runtime.settle();
    if (client->open() && !client->connection_closed_by_server) {
      for (const auto& [number, channel] : client->channels) {
        if (!channel.closed_by_server) RC_ASSERT(channel.asked.empty());
        if (!channel.closed_by_server) RC_ASSERT(channel.confirmed == channel.published);
      }
      client->send_text(0, "connection.close reply_code=200");
      runtime.settle();
      RC_ASSERT(client->close_ok);
    }
    runtime.advance(std::chrono::seconds(31));
    RC_ASSERT(!client->open() || client->closed);
    RC_ASSERT(broker.channels() == 0u && broker.hosts() == 0u);
    const AmqpCounters& counters = listener->counters();
    RC_ASSERT(counters.connections == 0u && counters.channels == 0u);
  }

  mqtt::FakeRuntime runtime;
  FakeAmqpBroker broker{runtime};
  std::unique_ptr<AmqpListener> listener;
  std::unique_ptr<Client> client;
};

TEST(AmqpConnection, KeepsOrderWhateverComes) {
  rc::check([] {
    World world;
    const auto steps = *rc::gen::scale(
        3.0, rc::gen::container<std::vector<std::tuple<unsigned, std::uint16_t, unsigned>>>(
                 rc::gen::tuple(rc::gen::inRange(0u, 100u), rc::gen::inRange<std::uint16_t>(1, kChannels + 1),
                                rc::gen::inRange(0u, 10'000u))));
    for (const auto& [what, channel, detail] : steps) world.step(what, channel, detail);
    world.finish();
  });
}

// The same, with nothing that is held: each method is answered in the turn in which it came.
TEST(AmqpConnection, IsDroppedAtAnyTime) {
  rc::check([] {
    auto world = std::make_unique<World>();
    const auto steps = *rc::gen::container<std::vector<std::tuple<unsigned, std::uint16_t, unsigned>>>(
        rc::gen::tuple(rc::gen::inRange(0u, 100u), rc::gen::inRange<std::uint16_t>(1, kChannels + 1),
                       rc::gen::inRange(0u, 10'000u)));
    for (const auto& [what, channel, detail] : steps) world->step(what, channel, detail);
    world->listener.reset();  // without stop(): everything goes at once
    RC_ASSERT(world->broker.channels() == 0u && world->broker.hosts() == 0u);
  });
}

}  // namespace
}  // namespace stele::amqp
