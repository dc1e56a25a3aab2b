#include "raft/testing/tcp_peers.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "base/crc32c.h"
#include "base/wire.h"

namespace stele::raft::testing {

using namespace std::chrono_literals;
using runtime::Task;

namespace {

constexpr std::size_t kHeader = 8;
constexpr std::size_t kFrameMax = std::size_t{32} << 20;
constexpr std::size_t kQueueMax = std::size_t{4} << 20;
constexpr runtime::Duration kPatience = 3s;

}  // namespace

class TcpPeers::Outgoing final : public runtime::ConnectionHandler {
 public:
  Outgoing(runtime::Runtime& runtime, runtime::Endpoint to) : endpoint(std::move(to)), runtime_(runtime) {}

  void use(std::unique_ptr<runtime::Connection> connection, NodeId self) {
    connection_ = std::move(connection);
    connection_->start(*this);
    answered_ = sent_ = 0;
    std::string hello;
    Writer(hello).le(self.value);
    write({Bytes::copy(hello)});
  }
  // False: there is no connection.
  bool write(const std::vector<Bytes>& message) {
    if (connection_ && sent_ > answered_ && runtime_.now() - heard_ > kPatience) connection_.reset();
    if (!connection_) return false;
    if (connection_->queued_bytes() > kQueueMax) return true;
    std::size_t length = 0;
    std::uint32_t checksum = 0;
    for (const Bytes& slice : message) {
      length += slice.size();
      checksum = crc32c(slice.view(), checksum);
    }
    std::string header;
    Writer(header).le(static_cast<std::uint32_t>(length)).le(checksum);
    connection_->write(header);
    for (const Bytes& slice : message) connection_->write(slice);
    if (sent_++ == answered_) heard_ = runtime_.now();
    return true;
  }

  const runtime::Endpoint endpoint;
  bool connecting = false;

 private:
  void on_data(Bytes data) override {
    answered_ += data.size();
    heard_ = runtime_.now();
  }
  void on_closed(const Error&) override { connection_.reset(); }

  runtime::Runtime& runtime_;
  std::unique_ptr<runtime::Connection> connection_;
  std::uint64_t sent_ = 0, answered_ = 0;  // frames
  runtime::Instant heard_{};               // or nothing was to be heard
};

class TcpPeers::Incoming final : public runtime::ConnectionHandler {
 public:
  Incoming(TcpPeers& peers, std::uint64_t number, std::unique_ptr<runtime::Connection> connection)
      : peers_(peers), number_(number), connection_(std::move(connection)) {
    connection_->start(*this);
  }

 private:
  void on_data(Bytes data) override {
    buffer_ += data.view();
    std::string_view rest = buffer_;
    std::string answers;
    while (rest.size() >= kHeader) {
      const auto length = load_le<std::uint32_t>(rest.data());
      const auto checksum = load_le<std::uint32_t>(rest.data() + 4);
      if (length > kFrameMax) return end();
      if (rest.size() < kHeader + length) break;
      const std::string_view frame = rest.substr(kHeader, length);
      if (crc32c(frame) != checksum) return end();
      answers.push_back('.');
      if (!take(frame)) return end();
      rest.remove_prefix(kHeader + length);
    }
    buffer_.erase(0, buffer_.size() - rest.size());
    if (!answers.empty()) connection_->write(std::string_view(answers));
  }
  bool take(std::string_view frame) {
    if (from_.value != 0) {
      peers_.deliver_(from_, Bytes::copy(frame));
      return true;
    }
    if (frame.size() != 4) return false;
    from_ = NodeId(load_le<std::uint32_t>(frame.data()));
    return from_.value != 0;
  }
  void on_closed(const Error&) override { end(); }
  void end() { peers_.incoming_.erase(number_); }  // and with it this

  TcpPeers& peers_;
  const std::uint64_t number_;
  std::unique_ptr<runtime::Connection> connection_;
  NodeId from_;
  std::string buffer_;
};

TcpPeers::TcpPeers(runtime::Runtime& runtime, NodeId self, std::map<NodeId, runtime::Endpoint> peers,
                   Deliver deliver)
    : runtime_(runtime), self_(self), deliver_(std::move(deliver)) {
  for (auto& [node, endpoint] : peers) {
    if (node != self) outgoing_[node] = std::make_unique<Outgoing>(runtime, std::move(endpoint));
  }
}
TcpPeers::~TcpPeers() = default;

Result<void> TcpPeers::listen(const runtime::Endpoint& at) {
  STELE_TRY(listener_, runtime_.network().listen(at, {}, *this));
  return {};
}

void TcpPeers::on_accept(std::unique_ptr<runtime::Connection> connection) {
  const std::uint64_t number = next_incoming_++;
  incoming_[number] = std::make_unique<Incoming>(*this, number, std::move(connection));
}

void TcpPeers::send(NodeId to, std::vector<Bytes> message) {
  const auto at = outgoing_.find(to);
  if (at == outgoing_.end() || at->second->write(message)) return;
  if (!std::exchange(at->second->connecting, true)) scope_.spawn(connect(*at->second));
}

Task<void> TcpPeers::connect(Outgoing& peer) {
  auto connection = co_await runtime_.network().connect(peer.endpoint, 1s, scope_.token());
  if (connection) {
    peer.use(*std::move(connection), self_);
  } else {
    co_await runtime::sleep(runtime_, 100ms, scope_.token());
  }
  peer.connecting = false;
}

Task<void> TcpPeers::close() {
  listener_.reset();
  co_await scope_.close();
  incoming_.clear();
  outgoing_.clear();
}

}  // namespace stele::raft::testing
