// What nodes read from each other. The first byte says which: 'h' a hello, 'a' the answer to one, 'g' a
// goodbye, 'e' an error, 'f' a stream of frames, cut into pieces of the second byte's size. 's' and 'c' are
// conversations: a list of frames (kind, length, control part; length, payload) which are numbered, stamped
// and checksummed as they should be, for a server and for a client that are past the hello; kind 0 is sent as
// it is. Another node at that server must not notice.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/wire.h"
#include "protocols/mqtt/fake_runtime.h"
#include "rpc/channel.h"
#include "rpc/error_codec.h"
#include "rpc/frame.h"
#include "rpc/hello.h"
#include "rpc/server.h"
#include "runtime/scope.h"

namespace stele::rpc {
namespace {

using namespace std::chrono_literals;
using mqtt::FakeRuntime;
using runtime::Task;

constexpr std::uint32_t kMaxPayload = 1 << 14;

// ---- decoders --------------------------------------------------------------------------------------------

void hello(std::string_view input) {
  const auto heard = decode_hello(input);
  if (!heard) return;
  const auto again = decode_hello(encode(*heard));
  STELE_ASSERT(again && encode(*again) == encode(*heard));
  (void)check(*heard, Identity{.cluster = {}, .node = heard->to}, "node-1");
}

void hello_answer(std::string_view input) {
  const auto heard = decode_hello_answer(input);
  if (!heard) return;
  const auto again = decode_hello_answer(encode(*heard));
  STELE_ASSERT(again && encode(*again) == encode(*heard));
  (void)check(heard->welcome, Identity(), heard->welcome.from.node, std::nullopt);
}

void goodbye(std::string_view input) {
  const auto heard = decode_goodbye(input);
  if (!heard) return;
  const auto again = decode_goodbye(encode_goodbye(*heard));
  STELE_ASSERT(again && again->reason == heard->reason && again->text == heard->text);
}

void an_error(std::string_view input) {
  const Error heard = decode_error(input);
  const Error again = decode_error(encode_error(heard));
  STELE_ASSERT(again.code == heard.code && again.message == heard.message);
}

// ---- frames ----------------------------------------------------------------------------------------------

struct Cut {
  std::vector<std::string> frames;
  std::optional<Wrong> wrong;
  friend bool operator==(const Cut&, const Cut&) = default;
};

Cut in_pieces(std::string_view rest, std::uint8_t size) {
  Cut cut;
  InputBudget budget;
  {
    FrameReader reader(budget);
    while (!rest.empty() && !cut.wrong) {
      const std::span<char> place = reader.read_buffer();
      std::size_t take = size == 0 ? rest.size() : std::min<std::size_t>(size, rest.size());
      if (!place.empty()) {
        take = std::min(place.size(), rest.size());
        std::memcpy(place.data(), rest.data(), take);
        reader.feed(Bytes::literal({place.data(), take}));
      } else {
        reader.feed(Bytes::copy(rest.substr(0, take)));
      }
      rest.remove_prefix(take);
      if (size % 3 == 1 && reader.read_buffer().empty()) reader.pause();
      Frame frame;
      FrameReader::Next next;
      while ((next = reader.next(frame)) == FrameReader::Next::kFrame) {
        cut.frames.emplace_back(frame.control);
      }
      if (next == FrameReader::Next::kWrong) cut.wrong = reader.wrong();
    }
  }
  STELE_ASSERT(budget.used == 0);
  return cut;
}

// ---- conversations ---------------------------------------------------------------------------------------

struct End final : runtime::ConnectionHandler {
  std::unique_ptr<runtime::Connection> connection;
  std::string received;
  bool closed = false;
  void start(std::unique_ptr<runtime::Connection> with) {
    connection = std::move(with);
    connection->start(*this);
  }
  void on_data(Bytes data) override { received += data.view(); }
  void on_closed(const Error&) override { closed = true; }
};

std::string stamped(FrameStamp& stamp, FrameKind kind, std::string_view control,
                    std::string_view payload = {}) {
  const Bytes bytes = Bytes::copy(payload);
  const auto header = stamp.next(kind, control, {&bytes, 1});
  return std::string(header.data(), header.size()) + std::string(control) + std::string(payload);
}

// Says what the input has, frame by frame.
void talk(FakeRuntime& runtime, End& end, FrameStamp& stamp, std::string_view input) {
  Reader r(input);
  while (!r.at_end() && !end.closed) {
    const auto kind = static_cast<FrameKind>(r.u8());
    const std::string_view control = r.bytes(std::min<std::size_t>(r.u8(), r.remaining()));
    const std::string_view payload = r.bytes(std::min<std::size_t>(r.u8(), r.remaining()));
    if (static_cast<int>(kind) == 0) {
      end.connection->write(control);
    } else if (kind != FrameKind::kHello && kind != FrameKind::kHelloAnswer) {
      end.connection->write(stamped(stamp, kind, control, payload));
    }
    runtime.settle();
  }
}

Identity identity(std::uint32_t node) {
  return {.cluster = {1, 2}, .node = NodeId(node), .incarnation = 1, .product = "fuzz"};
}

Task<void> ask(Channel* channel, std::string text, std::optional<CallResult>* result) {
  *result = co_await channel->call(MethodId(1), Bytes::copy(text), 1min);
}

Task<Result<Payload>> later(runtime::Runtime* runtime, Bytes payload) {
  co_await runtime::sleep(*runtime, 1ms);
  co_return Payload(std::move(payload));
}

void server(std::string_view input) {
  FakeRuntime runtime;
  Server server(runtime, identity(2),
                {.max_payload_bytes = kMaxPayload, .max_requests = 4, .open_without_certificates = true});
  server.on_request(MethodId(1),
                    [](Request request, Responder responder) { responder.answer(request.payload); });
  server.serve(MethodId(2), [&](Request request) { return later(&runtime, std::move(request.payload)); });
  server.on_request(MethodId(3), [](Request, Responder) {});
  server.on_message(MessageId(1), [](const Peer&, Bytes) {});
  STELE_ASSERT(server.listen(runtime.network(), {"fake", 1}));
  Channel witness(runtime, identity(3), NodeId(2), {"fake", 1}, {});
  witness.keep_open();
  End client;
  client.start(runtime.network().dial(1));
  FrameStamp stamp;
  const Hello said{.from = identity(1), .to = NodeId(2), .nonce = {}, .terms = {.max_payload_bytes = 100}};
  client.connection->write(stamped(stamp, FrameKind::kHello, encode(said)));
  runtime.settle();
  STELE_ASSERT(witness.up());
  const auto answer = decode_hello_answer(std::string_view(client.received).substr(kFrameHeaderBytes));
  STELE_ASSERT(answer && answer->refusal.reason == Reason::kNone);
  stamp.bind(tag_of({}, answer->welcome.nonce, true));
  talk(runtime, client, stamp, input);
  runtime.advance(10ms);
  std::optional<CallResult> result;
  {
    runtime::Scope scope;
    scope.spawn(ask(&witness, "still there", &result));
    runtime.settle();
  }
  STELE_ASSERT(result && *result && (*result)->view() == "still there");
  client.connection.reset();
  runtime.settle();
  STELE_ASSERT(server.requests_under_way() == 0 && server.connections() == 1);
}

struct Acceptor final : runtime::AcceptHandler {
  End end;
  void on_accept(std::unique_ptr<runtime::Connection> connection) override {
    if (!end.connection) end.start(std::move(connection));
  }
};

void client(std::string_view input) {
  FakeRuntime runtime;
  Acceptor acceptor;
  const auto listener = runtime.network().listen({"fake", 1}, {}, acceptor);
  Channel channel(runtime, identity(1), NodeId(2), {"fake", 1}, {.max_payload_bytes = kMaxPayload});
  runtime::Scope scope;
  std::vector<std::optional<CallResult>> results(5);
  for (auto& result : results) scope.spawn(ask(&channel, "what", &result));
  runtime.settle();
  const auto asked = decode_hello(std::string_view(acceptor.end.received).substr(kFrameHeaderBytes));
  STELE_ASSERT(asked);
  HelloAnswer answer;
  answer.welcome = {.from = identity(2), .version = 1, .nonce = {}, .terms = {.max_payload_bytes = 100}};
  FrameStamp stamp;
  acceptor.end.connection->write(stamped(stamp, FrameKind::kHelloAnswer, encode(answer)));
  stamp.bind(tag_of(asked->nonce, {}, false));
  runtime.settle();
  STELE_ASSERT(channel.up() && channel.stats().calls == 5);
  talk(runtime, acceptor.end, stamp, input);
  acceptor.end.connection.reset();
  runtime.settle();
  for (const auto& result : results) STELE_ASSERT(result.has_value());
  STELE_ASSERT(channel.calls_under_way() == 0);
}

}  // namespace
}  // namespace stele::rpc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 65536) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'h':
      stele::rpc::hello(input);
      break;
    case 'a':
      stele::rpc::hello_answer(input);
      break;
    case 'g':
      stele::rpc::goodbye(input);
      break;
    case 'e':
      stele::rpc::an_error(input);
      break;
    case 's':
      stele::rpc::server(input);
      break;
    case 'c':
      stele::rpc::client(input);
      break;
    default:
      if (size < 2) return 0;
      STELE_ASSERT(stele::rpc::in_pieces(input.substr(1), data[1]) ==
                   stele::rpc::in_pieces(input.substr(1), 0));
  }
  return 0;
}
