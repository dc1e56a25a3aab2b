#include "protocols/kafka/server/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/wire.h"

namespace stele::kafka {

using namespace std::chrono_literals;

namespace {
// Who has not logged in yet is not given more memory.
constexpr std::size_t kMaxLoginFrameBytes = 64 << 10;
}  // namespace

KafkaConnection::KafkaConnection(KafkaListener& listener, std::uint64_t id,
                                 std::unique_ptr<runtime::Connection> connection)
    : listener_(listener),
      id_(id),
      connection_(std::move(connection)),
      opened_at_(listener.broker_.runtime().now()),
      active_at_(opened_at_),
      context_{listener.broker_,
               listener.options_,
               listener.fetch_sessions_,
               sasl_.principal,
               sasl_,
               scope_.token(),
               "/" + connection_->remote().host} {
  sasl_.address = connection_->remote().host;
  broker::Authenticator& authenticator = listener_.broker_.authenticator();
  const std::string_view certificate = connection_->peer_name();
  auto who = certificate.empty() ? authenticator.nobody() : authenticator.of_certificate(certificate);
  if (who) {
    sasl_.principal = *std::move(who);
    sasl_.may_act = true;
  }
  connection_->set_low_water(listener_.options_.max_response_bytes_queued / 2);
  connection_->start(*this);
  const KafkaOptions& options = listener_.options_;
  listener_.broker_.runtime().arm(
      *this, active_at_ + (sasl_.may_act ? options.idle_timeout : options.login_timeout));
}

std::size_t KafkaConnection::max_frame_bytes() const {
  const std::size_t most = listener_.options_.max_frame_bytes;
  return sasl_.may_act ? most : std::min(most, kMaxLoginFrameBytes);
}

// ---- input ----------------------------------------------------------------------------------------------

std::span<char> KafkaConnection::read_buffer() {
  return reader_.read_buffer();
}

void KafkaConnection::on_data(Bytes data) {
  listener_.stats_.bytes_in += data.size();
  active_at_ = listener_.broker_.runtime().now();
  if (closing_) return;
  reader_.add(std::move(data));
  while (!closing_) {
    auto frame = reader_.next(max_frame_bytes());
    if (!frame) return fail(frame.error().message);
    if (!*frame) return;
    take_frame(**std::move(frame));
  }
}

void KafkaConnection::take_frame(Bytes frame) {
  if (finishing_) return;
  ++listener_.stats_.requests;
  if (sasl_.bare && !sasl_.logged_in) return take_bare_message(frame);
  auto request = parse_request(frame);
  if (!request) {
    ++listener_.stats_.requests_malformed;
    return fail(request.error().message);
  }
  const std::uint64_t slot = first_slot_ + slots_.size();
  Handler handler = nullptr;
  switch (request->support) {
    case RequestSupport::kServed:
    case RequestSupport::kAnswerApiVersionsZero:
      handler = find_handler(static_cast<ApiKey>(request->header.api_key));
      break;
    case RequestSupport::kUnsupportedVersion:
    case RequestSupport::kUnknownApi:
      break;
  }
  if (!handler) {
    // The format of an answer is unknown to us: all that can be done is to close, as Kafka does.
    ++listener_.stats_.requests_unsupported;
    return fail("request of API " + std::to_string(request->header.api_key) + ", version " +
                std::to_string(request->header.version) + " is not served");
  }
  const auto api = static_cast<ApiKey>(request->header.api_key);
  if (!sasl_.may_act && api != ApiKey::kApiVersions && api != ApiKey::kSaslHandshake &&
      api != ApiKey::kSaslAuthenticate) {
    STELE_MARK("kafka: request before the login refused");
    ++listener_.stats_.requests_before_login;
    return fail("a request of API " + std::to_string(request->header.api_key) + " before SASL; log in first");
  }
  slots_.emplace_back();
  scope_.spawn(serve(handler, IncomingRequest{std::move(frame), *request}, slot));
  update_reading();
}

// A SASL message as it was before KIP-152: only its length in front, and a failure is the connection's end.
void KafkaConnection::take_bare_message(const Bytes& message) {
  if (sasl_.busy) return fail("a SASL message before the last was answered");
  const std::uint64_t slot = first_slot_ + slots_.size();
  slots_.emplace_back();
  scope_.spawn(serve_bare(std::string(message.view()), slot));
  update_reading();
}

runtime::Task<void> KafkaConnection::serve_bare(std::string message, std::uint64_t slot) {
  const auto said = co_await take_sasl_message(listener_.broker_, sasl_, std::move(message));
  if (closing_) co_return;
  if (!said) co_return fail(said.error().message);
  Buffer frame(kLengthBytes + said->size());
  store_be(frame.data(), static_cast<std::int32_t>(said->size()));
  std::memcpy(frame.data() + kLengthBytes, said->data(), said->size());
  answer(slot, {std::move(frame).freeze(kLengthBytes + said->size())});
}

void KafkaConnection::fail(std::string_view why) {
  if (std::exchange(closing_, true)) return;
  auto& log = listener_.broker_.runtime().log();
  if (log.enabled(runtime::LogLevel::kInfo)) {
    log.write(runtime::LogLevel::kInfo, "kafka",
              connection_->remote().to_string() + ": " + std::string(why) + "; connection closed");
  }
  scope_.request_stop();
  connection_->pause_reading();
  connection_->close(1s);
}

// ---- output ---------------------------------------------------------------------------------------------

runtime::Task<void> KafkaConnection::serve(Handler handler, IncomingRequest request, std::uint64_t slot) {
  auto response = co_await handler(context_, std::move(request));
  if (closing_) co_return;
  if (!response) {
    if (response.error().code == ErrorCode::kMalformed) ++listener_.stats_.requests_malformed;
    fail(response.error().message);
    co_return;
  }
  if (sasl_.failed) finishing_ = true;
  answer(slot, *std::move(response));
}

void KafkaConnection::answer(std::uint64_t slot, ResponseBytes response) {
  const std::uint64_t index = slot - first_slot_;
  STELE_ASSERT(index < slots_.size() && !slots_[index].done);
  slots_[index].done = true;
  slots_[index].response = std::move(response);
  if (index == 0) send_ready();
}

void KafkaConnection::send_ready() {
  while (!slots_.empty() && slots_.front().done) {
    for (Bytes& bytes : slots_.front().response) {
      listener_.stats_.bytes_out += bytes.size();
      connection_->write(std::move(bytes));
    }
    slots_.pop_front();
    ++first_slot_;
  }
  if (finishing_ && slots_.empty() && !std::exchange(closing_, true)) connection_->close(5s);
  update_reading();
}

void KafkaConnection::on_drained() {
  update_reading();
}

void KafkaConnection::update_reading() {
  if (closing_) return;
  const bool pause = slots_.size() >= listener_.options_.max_requests_in_flight ||
                     connection_->queued_bytes() > listener_.options_.max_response_bytes_queued;
  if (pause == paused_) return;
  paused_ = pause;
  if (pause) {
    STELE_MARK("kafka: connection not read because of its backlog");
    connection_->pause_reading();
  } else {
    connection_->resume_reading();
  }
}

// ---- end ------------------------------------------------------------------------------------------------

void KafkaConnection::on_timer() {
  auto& runtime = listener_.broker_.runtime();
  if (!sasl_.may_act && runtime.now() >= opened_at_ + listener_.options_.login_timeout) {
    return fail("it did not log in in time");
  }
  const runtime::Instant idle_at = active_at_ + listener_.options_.idle_timeout;
  if (runtime.now() < idle_at || !slots_.empty()) {
    runtime.arm(*this, std::max(idle_at, runtime.now() + 1s));
    return;
  }
  fail("idle for too long");
}

void KafkaConnection::finish() {
  finishing_ = true;
  scope_.request_stop();  // ends long polls
  send_ready();
}

void KafkaConnection::check_identity() {
  if (closing_ || !sasl_.may_act || listener_.broker_.authenticator().still_known(sasl_.principal)) return;
  fail("its user is no more");
}

void KafkaConnection::on_closed(const Error&) {
  closing_ = true;
  listener_.gone(this);  // destroys this
}

}  // namespace stele::kafka
