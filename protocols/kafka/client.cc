#include "protocols/kafka/client.h"

#include <algorithm>

#include "base/assert.h"
#include "base/base64.h"
#include "model/scram.h"

namespace stele::kafka {
namespace {

Error broken(std::string what) {
  return Error{ErrorCode::kMalformed, std::move(what)};
}

// The answer to a request that named one topic and one partition of it.
template <class Response>
Result<typename Response::Partition> only_partition(Response response, std::int32_t index) {
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      std::int32_t got;
      if constexpr (requires { partition.index; }) {
        got = partition.index;
      } else {
        got = partition.partition_index;
      }
      if (got == index) return std::move(partition);
    }
  }
  return std::unexpected(broken("a Kafka response without the partition that was asked for"));
}

}  // namespace

Client::Exchange::~Exchange() {
  if (client == nullptr) return;
  for (Pending& pending : client->pending_) {
    if (pending.exchange == this) pending.exchange = nullptr;
  }
}

Client::~Client() {
  if (gone_) *gone_ = true;
  for (Pending& pending : pending_) {
    if (pending.exchange) pending.exchange->client = nullptr;
  }
  runtime_.disarm(*this);
}

runtime::Task<Result<std::unique_ptr<Client>>> Client::connect(runtime::Runtime& runtime,
                                                               runtime::Endpoint to, ClientOptions options,
                                                               runtime::StopToken stop) {
  if (options.client_id.size() > INT16_MAX) {
    co_return error(ErrorCode::kInvalidArgument, "a Kafka client id has at most 32767 bytes");
  }
  STELE_CO_TRY(auto connection, co_await runtime::connect(runtime, options.dial, to, options.connect_timeout,
                                                          std::move(stop)));
  auto client = std::unique_ptr<Client>(new Client(runtime, std::move(options)));
  client->connection_ = std::move(connection);
  client->connection_->start(*client);
  STELE_CO_CHECK(co_await client->ask_versions());
  if (client->options_.sasl) STELE_CO_CHECK(co_await client->log_in(*client->options_.sasl));
  co_return client;
}

runtime::Task<Result<std::string>> Client::say(std::string message) {
  STELE_CO_TRY(auto answer, co_await call(SaslAuthenticateRequest{.auth_bytes = std::move(message)}));
  if (answer.error == KafkaError::kNone) co_return std::move(answer.auth_bytes);
  co_return error(ErrorCode::kUnauthorized,
                  answer.error_message.value_or(std::string(to_string(answer.error))));
}

runtime::Task<Result<void>> Client::log_in(SaslLogin login) {
  STELE_CO_TRY(const auto handshake, co_await call(SaslHandshakeRequest{.mechanism = login.mechanism}));
  if (handshake.error != KafkaError::kNone) {
    co_return error(ErrorCode::kUnsupported, "the broker answers to SASL " + login.mechanism + " with " +
                                                 std::string(to_string(handshake.error)));
  }
  const auto hash = scram::find_mechanism(login.mechanism);
  if (!hash) {  // PLAIN
    std::string message;
    message.append(1, '\0').append(login.user).append(1, '\0').append(login.password);
    STELE_CO_TRY([[maybe_unused]] const std::string nothing, co_await say(std::move(message)));
    co_return Result<void>();
  }
  std::string nonce(scram::kNonceBytes, '\0');
  runtime_.fill_secret(nonce);
  scram::Client conversation(*hash, login.user, login.password, base64_encode(nonce));
  STELE_CO_TRY(const std::string challenge, co_await say(conversation.first()));
  STELE_CO_TRY(std::string proof, conversation.answer(challenge));
  STELE_CO_TRY(const std::string final, co_await say(std::move(proof)));
  co_return conversation.check(final);
}

runtime::Task<Result<void>> Client::ask_versions() {
  const std::int16_t version = api_info(ApiKey::kApiVersions).max_version;
  const std::int32_t id = next_correlation_id_++;
  std::string frame;
  STELE_CO_CHECK(
      append_request(frame, id, version, options_.client_id,
                     ApiVersionsRequest{.client_software_name = "stele", .client_software_version = "1"}));
  Exchange exchange(this);
  send(std::move(frame), id, options_.request_timeout, &exchange);
  STELE_CO_TRY(const Bytes answer, co_await exchange);
  STELE_CO_TRY(const auto response, parse_response(answer, ApiKey::kApiVersions, version));
  STELE_CO_TRY(const auto versions, decode_api_versions_response(response.body, version));
  // An older broker says so, and what it has with it (KIP-511).
  if (versions.error != KafkaError::kNone && versions.error != KafkaError::kUnsupportedVersion) {
    co_return error(ErrorCode::kUnavailable,
                    "the broker answers ApiVersions with " + std::string(to_string(versions.error)));
  }
  for (const auto& api : versions.apis) versions_[api.api_key] = {api.min_version, api.max_version};
  co_return Result<void>();
}

Result<std::int16_t> Client::version_for(const ApiInfo& api, std::int16_t max_version) const {
  const auto offered = versions_.find(static_cast<std::int16_t>(api.key));
  if (offered == versions_.end()) {
    return error(ErrorCode::kUnsupported, "the broker does not serve " + std::string(api.name));
  }
  const std::int16_t version = std::min({api.max_version, offered->second.max, max_version});
  if (version < std::max(api.min_version, offered->second.min)) {
    return error(ErrorCode::kUnsupported, "the broker serves " + std::string(api.name) + " in versions " +
                                              std::to_string(offered->second.min) + " to " +
                                              std::to_string(offered->second.max) +
                                              ", none of which can be used here");
  }
  return version;
}

runtime::Task<Result<void>> Client::room() {
  while (!closed_ && (pending_.size() >= options_.max_in_flight ||
                      connection_->queued_bytes() > options_.max_queued_bytes)) {
    co_await room_.wait();
  }
  if (closed_) co_return std::unexpected(*closed_);
  co_return Result<void>();
}

void Client::send(std::string frame, std::int32_t correlation_id, runtime::Duration limit,
                  Exchange* exchange) {
  STELE_ASSERT(!closed_);
  connection_->write(std::string_view(frame));
  if (!exchange) return;
  pending_.push_back({correlation_id, limit, exchange});
  if (pending_.size() == 1) watch_front();
}

void Client::on_data(Bytes data) {
  if (closed_) return;
  IntrusiveList<Exchange> answered;
  reader_.add(std::move(data));
  while (true) {
    auto frame = reader_.next(options_.max_response_bytes);
    if (!frame) return fail(std::move(frame).error());
    if (!*frame) break;
    if (auto taken = take(*std::move(*frame), answered); !taken) return fail(std::move(taken).error());
  }
  watch_front();
  resume(answered);
}

Result<void> Client::take(Bytes frame, IntrusiveList<Exchange>& answered) {
  STELE_TRY(const std::int32_t id, peek_correlation_id(frame));
  if (pending_.empty() || pending_.front().correlation_id != id) {
    return std::unexpected(broken("a Kafka response with correlation id " + std::to_string(id) +
                                  ", which is not the next to be answered"));
  }
  if (Exchange* exchange = pending_.front().exchange) {
    exchange->client = nullptr;
    exchange->answer = std::move(frame);
    answered.push_back(*exchange);
  }
  pending_.pop_front();
  return {};
}

void Client::resume(IntrusiveList<Exchange>& answered) {
  bool gone = false;
  bool* const outer = std::exchange(gone_, &gone);
  while (!answered.empty()) answered.pop_front().waiter.resume();
  if (!gone) room_.wake_all();
  if (!gone) {
    gone_ = outer;
  } else if (outer) {
    *outer = true;
  }
}

void Client::watch_front() {
  if (pending_.empty()) {
    runtime_.disarm(*this);
  } else {
    runtime_.arm(*this, runtime_.now() + pending_.front().limit);
  }
}

void Client::on_timer() {
  fail(Error{ErrorCode::kTimedOut,
             "no answer of " + connection_->remote().to_string() + " in time; the connection is given up"});
}

void Client::on_closed(const Error& why) {
  fail(why);
}

void Client::close() {
  fail(Error{ErrorCode::kCancelled, "the Kafka client was closed"});
}

void Client::fail(Error why) {
  if (closed_) return;
  closed_ = why;
  runtime_.disarm(*this);
  connection_->pause_reading();
  connection_->close(std::chrono::seconds(1));
  IntrusiveList<Exchange> failed;
  for (Pending& pending : pending_) {
    if (!pending.exchange) continue;
    pending.exchange->client = nullptr;
    pending.exchange->answer = std::unexpected(why);
    failed.push_back(*pending.exchange);
  }
  pending_.clear();
  resume(failed);
}

// ---- requests -------------------------------------------------------------------------------------------

runtime::Task<Result<MetadataResponse>> Client::metadata(std::vector<std::string> topics,
                                                         bool create_missing) {
  MetadataRequest request;
  request.allow_auto_topic_creation = create_missing;
  if (!topics.empty()) {
    auto& asked = request.topics.emplace();
    for (std::string& name : topics) asked.push_back({.topic_id = {}, .name = std::move(name)});
  }
  co_return co_await call(std::move(request));
}

runtime::Task<Result<CreateTopicsResponse::Topic>> Client::create_topic(
    std::string name, std::int32_t partitions, std::vector<CreateTopicsRequest::Config> configs) {
  CreateTopicsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = std::move(name);
  topic.num_partitions = partitions;
  topic.configs = std::move(configs);
  STELE_CO_TRY(auto response, co_await call(std::move(request)));
  if (response.topics.size() != 1) co_return std::unexpected(broken("CreateTopics: not one topic answered"));
  co_return std::move(response.topics.front());
}

runtime::Task<Result<DeleteTopicsResponse::Topic>> Client::delete_topic(std::string name) {
  DeleteTopicsRequest request;
  request.topics.push_back({.name = std::move(name), .topic_id = {}});
  STELE_CO_TRY(auto response, co_await call(std::move(request)));
  if (response.topics.size() != 1) co_return std::unexpected(broken("DeleteTopics: not one topic answered"));
  co_return std::move(response.topics.front());
}

runtime::Task<Result<ProduceResponse::Partition>> Client::produce(std::string topic, std::int32_t partition,
                                                                  Bytes batch, std::int16_t acks) {
  ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = static_cast<std::int32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.request_timeout).count());
  auto& named = request.topics.emplace_back();
  named.name = topic;
  named.partitions.push_back({.index = partition, .records = batch.view()});
  if (acks == 0) {
    STELE_CO_CHECK(co_await room());
    STELE_CO_TRY(const std::int16_t version, version_for(api_info(ApiKey::kProduce), kLastNamedProduce));
    std::string frame;
    STELE_CO_CHECK(append_request(frame, next_correlation_id_, version, options_.client_id, request));
    send(std::move(frame), next_correlation_id_++, {}, nullptr);
    ProduceResponse::Partition unanswered;
    unanswered.index = partition;
    co_return unanswered;
  }
  STELE_CO_TRY(auto response, co_await call(std::move(request), kLastNamedProduce));
  co_return only_partition(std::move(response), partition);
}

runtime::Task<Result<FetchResponse::Partition>> Client::fetch(std::string topic, std::int32_t partition,
                                                              Offset from, FetchOptions options) {
  FetchRequest request;
  request.max_wait_ms = options.max_wait_ms;
  request.min_bytes = options.min_bytes;
  request.max_bytes = options.max_bytes;
  auto& named = request.topics.emplace_back();
  named.topic = topic;
  auto& asked = named.partitions.emplace_back();
  asked.partition = partition;
  asked.fetch_offset = from.value;
  asked.partition_max_bytes = options.max_bytes;
  STELE_CO_TRY(auto response, co_await call(std::move(request), kLastNamedFetch));
  const KafkaError whole = response.error;
  if (whole != KafkaError::kNone) {
    FetchResponse::Partition answer;
    answer.partition_index = partition;
    answer.error = whole;
    co_return answer;
  }
  co_return only_partition(std::move(response), partition);
}

runtime::Task<Result<ListOffsetsResponse::Partition>> Client::list_offset(std::string topic,
                                                                          std::int32_t partition,
                                                                          std::int64_t timestamp) {
  ListOffsetsRequest request;
  auto& named = request.topics.emplace_back();
  named.name = std::move(topic);
  named.partitions.push_back({.partition_index = partition, .timestamp = timestamp});
  STELE_CO_TRY(auto response, co_await call(std::move(request)));
  co_return only_partition(std::move(response), partition);
}

// ---- records --------------------------------------------------------------------------------------------

Result<void> each_record(std::string_view batches, Offset from,
                         const std::function<void(const RecordView&)>& use) {
  constexpr std::size_t kDecompressedLimit = 256 << 20;
  RecordBatchSplitter splitter(batches);
  std::string scratch;
  while (true) {
    const auto batch = splitter.next();
    if (!batch && batch.error().code == ErrorCode::kMalformed) return {};  // cut off
    if (!batch) return std::unexpected(batch.error());
    if (!*batch) return {};
    STELE_CHECK(check_crc(**batch));
    if ((*batch)->header.control()) continue;
    STELE_TRY(const auto section, records_of(**batch, kDecompressedLimit, scratch));
    RecordIterator records((*batch)->header, section);
    while (records.next()) {
      if (records.record().offset >= from) use(records.record());
    }
    STELE_CHECK(records.status());
  }
}

}  // namespace stele::kafka
