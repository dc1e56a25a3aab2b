#include "sim/workloads/mqtt_peer.h"

#include <utility>

#include "base/assert.h"
#include "protocols/http/websocket_connection.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

// More than a broker may have under way to a client that does not answer.
constexpr std::size_t kMaxReceived = 100'000;

Task<Result<std::unique_ptr<MqttPeer>>> MqttPeer::dial(runtime::Runtime& runtime, Address to,
                                                       std::optional<Login> login) {
  std::unique_ptr<MqttPeer> peer(new MqttPeer(runtime));
  peer->login_ = std::move(login);
  if (to.websocket && runtime.random().chance(1, 2)) {
    const std::string host = to.websocket->to_string();
    STELE_CO_TRY(auto plain, co_await runtime.network().connect(*std::move(to.websocket), 5s, {}));
    STELE_CO_TRY(peer->connection_,
                 co_await http::open_websocket(runtime, std::move(plain), host, "/mqtt", "mqtt", 5s));
  } else if (to.tls && runtime.random().chance(1, 2)) {
    STELE_CO_TRY(peer->connection_, co_await to.dial_tls(runtime, *std::move(to.tls), 5s, {}));
  } else {
    STELE_CO_TRY(peer->connection_, co_await runtime.network().connect(to.any(runtime.random()), 5s, {}));
  }
  peer->connection_->start(*peer);
  co_return peer;
}

Task<Result<std::unique_ptr<MqttPeer>>> MqttPeer::over(runtime::Runtime& runtime, runtime::Dial dial,
                                                       runtime::Endpoint to) {
  std::unique_ptr<MqttPeer> peer(new MqttPeer(runtime));
  STELE_CO_TRY(peer->connection_, co_await dial(runtime, std::move(to), 5s, {}));
  peer->connection_->start(*peer);
  co_return peer;
}

MqttPeer::MqttPeer(runtime::Runtime& runtime)
    : runtime_(runtime), received_(std::make_shared<runtime::Channel<ReceivedPacket>>(kMaxReceived)) {}

MqttPeer::~MqttPeer() = default;

Task<Result<MqttPeer::Opened>> MqttPeer::open(std::string client_id, bool clean, std::uint32_t expiry_s,
                                              mqtt::Version version) {
  mqtt::Connect connect;
  connect.version = version;
  connect.clean_start = clean;
  connect.client_id = client_id;
  connect.keep_alive_s = 60;
  if (version == mqtt::Version::kV5) connect.session_expiry_s = expiry_s;
  co_return co_await open(std::move(connect));
}

Task<Result<MqttPeer::Opened>> MqttPeer::open(mqtt::Connect connect) {
  version_ = connect.version;
  if (login_) {
    connect.user_name = login_->user;
    connect.password = login_->password;
  }
  std::string out;
  mqtt::encode(out, connect);
  if (closed()) co_return error(ErrorCode::kClosed, "the connection ended");
  connection_->write(out);
  STELE_CO_TRY(const ReceivedPacket answer, co_await next(20s));
  const auto* connack = std::get_if<mqtt::Connack>(&answer.packet);
  if (!connack) co_return error(ErrorCode::kMalformed, "CONNECT was answered with another packet");
  co_return Opened{connack->session_present, connack->reason};
}

void MqttPeer::publish(std::string_view topic, std::string_view payload, std::uint8_t qos,
                       std::uint16_t packet_id, bool dup, bool retain) {
  mqtt::Publish packet;
  packet.topic = topic;
  packet.payload = payload;
  packet.qos = static_cast<mqtt::Qos>(qos);
  packet.packet_id = packet_id;
  packet.dup = dup;
  packet.retain = retain;
  send(packet);
}

Task<Result<ReceivedPacket>> MqttPeer::next(runtime::Duration timeout) {
  return received_->receive(runtime_, runtime_.now() + timeout);
}

void MqttPeer::drop() {
  connection_.reset();
  received_->close();
}

void MqttPeer::on_data(Bytes data) {
  input_ += data.view();
  const std::weak_ptr<runtime::Channel<ReceivedPacket>> mine = received_;
  while (const auto received = mine.lock()) {
    if (received->is_closed()) return;
    const mqtt::FrameResult frame = mqtt::next_frame(input_, mqtt::kMaxVarint);
    if (frame.status != mqtt::FrameResult::Status::kFrame) break;
    auto bytes = std::make_unique<std::string>(input_.substr(0, frame.frame.total_size));
    const mqtt::FrameResult own = mqtt::next_frame(*bytes, mqtt::kMaxVarint);
    auto packet = mqtt::decode(own.frame, version_);
    input_.erase(0, frame.frame.total_size);
    if (!packet) continue;  // the workload waits for it and says so
    STELE_ASSERT(!received->full());
    (void)received->try_send({std::move(bytes), *std::move(packet)});
  }
}

void MqttPeer::on_closed(const Error&) {
  connection_.reset();
  received_->close();
}

}  // namespace stele::sim
