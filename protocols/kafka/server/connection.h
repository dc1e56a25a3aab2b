// One Kafka connection: cuts its bytes into frames, hands each request to its handler, and sends the
// responses in the order of the requests, as clients rely on.
//
// Requests of one connection are handled one after the other, except that a response may still be waiting (a
// Produce for its commit, a Fetch for records) while the next request is read: produces pipeline.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "broker/api.h"
#include "protocols/kafka/codec.h"
#include "protocols/kafka/frame_reader.h"
#include "protocols/kafka/server/listener.h"
#include "protocols/kafka/server/sasl.h"
#include "runtime/network.h"
#include "runtime/scope.h"

namespace stele::kafka {

// What a handler works with. Lives as long as the connection, whose scope the handlers run in.
struct HandlerContext {
  broker::Broker& broker;
  const KafkaOptions& options;
  FetchSessions& fetch_sessions;
  const broker::Principal& principal;
  SaslState& sasl;
  runtime::StopToken stop;
  std::string client_host{};  // its address, as Kafka writes it: "/127.0.0.1"
};

// A request as handlers get it: the body points into `frame`.
struct IncomingRequest {
  Bytes frame;
  Request request;
};

// A response's bytes, to be sent one after the other; nothing at all for acks=0.
using ResponseBytes = std::vector<Bytes>;
using Handler = runtime::Task<Result<ResponseBytes>> (*)(HandlerContext& context, IncomingRequest request);
// Null for what is not served.
Handler find_handler(ApiKey api);

class KafkaConnection final : private runtime::ConnectionHandler, private runtime::Timer {
 public:
  KafkaConnection(KafkaListener& listener, std::uint64_t id, std::unique_ptr<runtime::Connection> connection);

  // Takes no more requests, answers those it has, and closes.
  void finish();
  // Users have changed: ends if it acts for one who is no more.
  void check_identity();

 private:
  friend class KafkaListener;
  struct Slot {
    bool done = false;
    ResponseBytes response;
  };

  std::span<char> read_buffer() override;
  void on_data(Bytes data) override;
  void on_drained() override;
  void on_closed(const Error& why) override;
  void on_timer() override;

  void take_frame(Bytes frame);
  void take_bare_message(const Bytes& message);
  runtime::Task<void> serve_bare(std::string message, std::uint64_t slot);
  void fail(std::string_view why);
  runtime::Task<void> serve(Handler handler, IncomingRequest request, std::uint64_t slot);
  void answer(std::uint64_t slot, ResponseBytes response);
  void send_ready();
  void update_reading();
  std::size_t max_frame_bytes() const;

  KafkaListener& listener_;
  const std::uint64_t id_;
  std::unique_ptr<runtime::Connection> connection_;
  SaslState sasl_;

  FrameReader reader_;
  std::deque<Slot> slots_;  // requests in order; the first has number first_slot_
  std::uint64_t first_slot_ = 0;
  bool paused_ = false;
  bool finishing_ = false;
  bool closing_ = false;
  const runtime::Instant opened_at_;
  runtime::Instant active_at_;
  runtime::Scope scope_;
  HandlerContext context_;
};

}  // namespace stele::kafka
