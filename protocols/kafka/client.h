// A Kafka client over one connection to one broker: what the command line's benchmarks and the simulator's
// workloads speak. It does what a program needs that knows where it wants to write and read (produce to and
// fetch from a named partition); it is no group consumer, and follows no leader.
//
//   auto client = co_await Client::connect(runtime, {"127.0.0.1", 9092}, {});
//   auto produced = co_await (*client)->produce("orders", 0, batch);
//
// Calls may overlap: their requests go out in the order of the calls, and the broker answers in that order.
// An Error of a call is one of the connection (or of the request's own form): what the broker did about it is
// unknown. What the broker answers, its errors included, is a value.
//
// Lives on one core. Destroying it leaves its waiting calls suspended for good, to be destroyed with their
// frames; close() fails them instead.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "base/result.h"
#include "model/ids.h"
#include "model/record_batch.h"
#include "protocols/kafka/all_messages.h"
#include "protocols/kafka/codec.h"
#include "protocols/kafka/frame_reader.h"
#include "runtime/dial.h"
#include "runtime/network.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"

namespace stele::kafka {

// "PLAIN", "SCRAM-SHA-256" or "SCRAM-SHA-512".
struct SaslLogin {
  std::string mechanism = "SCRAM-SHA-256";
  std::string user;
  std::string password;
};

struct ClientOptions {
  std::string client_id = "stele";
  runtime::Dial dial = {};  // none: the network
  runtime::Duration connect_timeout = std::chrono::seconds(10);
  // An answer comes within this time after the one before it (a Fetch: plus its max wait), or the connection
  // is given up.
  runtime::Duration request_timeout = std::chrono::seconds(30);
  // Calls beyond these wait.
  std::size_t max_in_flight = 16;
  std::size_t max_queued_bytes = 8 << 20;
  std::size_t max_response_bytes = 100 << 20;
  std::optional<SaslLogin> sasl = std::nullopt;
};

template <class Request>
struct ResponseTo;
#define STELE_KAFKA_RESPONSE_TO(Api) \
  template <>                        \
  struct ResponseTo<Api##Request> {  \
    using Type = Api##Response;      \
  }
STELE_KAFKA_RESPONSE_TO(AlterConfigs);
STELE_KAFKA_RESPONSE_TO(ApiVersions);
STELE_KAFKA_RESPONSE_TO(CreatePartitions);
STELE_KAFKA_RESPONSE_TO(CreateTopics);
STELE_KAFKA_RESPONSE_TO(DeleteGroups);
STELE_KAFKA_RESPONSE_TO(DeleteRecords);
STELE_KAFKA_RESPONSE_TO(DeleteTopics);
STELE_KAFKA_RESPONSE_TO(DescribeCluster);
STELE_KAFKA_RESPONSE_TO(DescribeConfigs);
STELE_KAFKA_RESPONSE_TO(DescribeGroups);
STELE_KAFKA_RESPONSE_TO(DescribeLogDirs);
STELE_KAFKA_RESPONSE_TO(Fetch);
STELE_KAFKA_RESPONSE_TO(FindCoordinator);
STELE_KAFKA_RESPONSE_TO(Heartbeat);
STELE_KAFKA_RESPONSE_TO(IncrementalAlterConfigs);
STELE_KAFKA_RESPONSE_TO(InitProducerId);
STELE_KAFKA_RESPONSE_TO(JoinGroup);
STELE_KAFKA_RESPONSE_TO(LeaveGroup);
STELE_KAFKA_RESPONSE_TO(ListGroups);
STELE_KAFKA_RESPONSE_TO(ListOffsets);
STELE_KAFKA_RESPONSE_TO(Metadata);
STELE_KAFKA_RESPONSE_TO(OffsetCommit);
STELE_KAFKA_RESPONSE_TO(OffsetDelete);
STELE_KAFKA_RESPONSE_TO(OffsetFetch);
STELE_KAFKA_RESPONSE_TO(OffsetForLeaderEpoch);
STELE_KAFKA_RESPONSE_TO(Produce);
STELE_KAFKA_RESPONSE_TO(SaslAuthenticate);
STELE_KAFKA_RESPONSE_TO(SaslHandshake);
STELE_KAFKA_RESPONSE_TO(SyncGroup);
#undef STELE_KAFKA_RESPONSE_TO

// The last versions of Produce and Fetch that name topics; later ones take ids out of Metadata.
inline constexpr std::int16_t kLastNamedProduce = 12;
inline constexpr std::int16_t kLastNamedFetch = 12;

struct FetchOptions {
  std::int32_t max_wait_ms = 500;
  std::int32_t min_bytes = 1;
  std::int32_t max_bytes = 1 << 20;
};

class Client final : private runtime::ConnectionHandler, private runtime::Timer {
 public:
  // Complete when the broker has said what it speaks, and has let the user in. kUnauthorized: it has not.
  static runtime::Task<Result<std::unique_ptr<Client>>> connect(runtime::Runtime& runtime,
                                                                runtime::Endpoint to, ClientOptions options,
                                                                runtime::StopToken stop = {});
  ~Client() override;

  // True once no call can succeed any more.
  bool closed() const { return closed_.has_value(); }
  std::size_t in_flight() const { return pending_.size(); }
  // Fails the calls under way and closes the connection.
  void close();

  // One request in the highest version that both sides have, no higher than `max_version`. Views in the
  // request are read when it goes out, which may be after the call has waited for its turn. kUnsupported: the
  // broker has no such version. Not for acks=0, which is not answered: produce() knows.
  template <class Request>
  runtime::Task<Result<typename ResponseTo<Request>::Type>> call(Request request,
                                                                 std::int16_t max_version = INT16_MAX);

  // No topics named: all there are.
  runtime::Task<Result<MetadataResponse>> metadata(std::vector<std::string> topics = {},
                                                   bool create_missing = false);
  runtime::Task<Result<CreateTopicsResponse::Topic>> create_topic(
      std::string name, std::int32_t partitions, std::vector<CreateTopicsRequest::Config> configs = {});
  runtime::Task<Result<DeleteTopicsResponse::Topic>> delete_topic(std::string name);
  // `batch` is one RecordBatch. With acks=0 the answer is empty and comes at once.
  runtime::Task<Result<ProduceResponse::Partition>> produce(std::string topic, std::int32_t partition,
                                                            Bytes batch, std::int16_t acks = -1);
  runtime::Task<Result<FetchResponse::Partition>> fetch(std::string topic, std::int32_t partition,
                                                        Offset from, FetchOptions options = {});
  // kLatestTimestamp, kEarliestTimestamp, …, or a time.
  runtime::Task<Result<ListOffsetsResponse::Partition>> list_offset(std::string topic, std::int32_t partition,
                                                                    std::int64_t timestamp);

 private:
  // A call that waits for its answer, in the frame of its coroutine.
  struct Exchange : ListNode<> {
    Client* client;
    std::coroutine_handle<> waiter;
    Result<Bytes> answer = error(ErrorCode::kClosed, "");

    explicit Exchange(Client* c) : client(c) {}
    ~Exchange();
    bool await_ready() const { return client == nullptr; }
    void await_suspend(std::coroutine_handle<> handle) { waiter = handle; }
    Result<Bytes> await_resume() { return std::move(answer); }
  };
  struct Pending {
    std::int32_t correlation_id;
    runtime::Duration limit;
    Exchange* exchange;  // null: nobody waits any more
  };
  struct VersionRange {
    std::int16_t min, max;
  };

  Client(runtime::Runtime& runtime, ClientOptions options)
      : runtime_(runtime), options_(std::move(options)) {}

  std::span<char> read_buffer() override { return reader_.read_buffer(); }
  void on_data(Bytes data) override;
  void on_drained() override { room_.wake_all(); }
  void on_closed(const Error& why) override;
  void on_timer() override;

  runtime::Task<Result<void>> ask_versions();
  runtime::Task<Result<void>> log_in(SaslLogin login);
  runtime::Task<Result<std::string>> say(std::string message);
  Result<std::int16_t> version_for(const ApiInfo& api, std::int16_t max_version) const;
  runtime::Task<Result<void>> room();
  // Sends the frame; the exchange, if there is one, will get the answer.
  void send(std::string frame, std::int32_t correlation_id, runtime::Duration limit, Exchange* exchange);
  Result<void> take(Bytes frame, IntrusiveList<Exchange>& answered);
  void fail(Error why);
  // Gives the answers to those who wait. The client may be gone afterwards.
  void resume(IntrusiveList<Exchange>& answered);
  void watch_front();

  runtime::Runtime& runtime_;
  ClientOptions options_;
  std::unique_ptr<runtime::Connection> connection_;
  FrameReader reader_;
  std::map<std::int16_t, VersionRange> versions_;
  std::int32_t next_correlation_id_ = 0;
  std::deque<Pending> pending_;  // in the order of sending
  runtime::Notification room_;
  std::optional<Error> closed_;
  bool* gone_ = nullptr;  // tells resume() that one of those it resumed destroyed the client
};

// Records from offset `from` on in what a Fetch gave. A batch that is cut off at the end is left out, as
// Kafka's clients do; a batch with a wrong CRC is kCorrupt. Views are valid during the call.
Result<void> each_record(std::string_view batches, Offset from,
                         const std::function<void(const RecordView&)>& use);

// ---- templates -----------------------------------------------------------------------------------------

template <class Request>
runtime::Task<Result<typename ResponseTo<Request>::Type>> Client::call(Request request,
                                                                       std::int16_t max_version) {
  using Response = typename ResponseTo<Request>::Type;
  STELE_CO_CHECK(co_await room());
  STELE_CO_TRY(const std::int16_t version, version_for(api_info(Request::kApi), max_version));
  const std::int32_t id = next_correlation_id_++;
  std::string frame;
  STELE_CO_CHECK(append_request(frame, id, version, options_.client_id, request));
  runtime::Duration limit = options_.request_timeout;
  if constexpr (requires { request.max_wait_ms; }) limit += std::chrono::milliseconds(request.max_wait_ms);
  Exchange exchange(this);
  send(std::move(frame), id, limit, &exchange);
  STELE_CO_TRY(const Bytes answer, co_await exchange);
  STELE_CO_TRY(const auto response, parse_response(answer, Request::kApi, version));
  co_return decode_shared<Response>(answer.slice(response.body), version);
}

}  // namespace stele::kafka
