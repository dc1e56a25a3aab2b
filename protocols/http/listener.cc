#include "protocols/http/listener.h"

#include <utility>
#include <vector>

#include "protocols/http/connection.h"

namespace stele::http {

HttpListener::HttpListener(Backend backend, NodeInfo& node, HttpOptions options)
    : backend_(std::move(backend)), node_(node), options_(std::move(options)) {}

HttpListener::~HttpListener() = default;

Result<void> HttpListener::listen(const runtime::Endpoint& at) {
  runtime::Transport& transport = options_.transport ? *options_.transport : backend_.runtime.network();
  STELE_TRY(listener_, transport.listen(at, {}, *this));
  return {};
}

void HttpListener::on_accept(std::unique_ptr<runtime::Connection> connection) {
  if (connections_.size() >= options_.max_connections) {
    ++stats_.connections_refused;
    return;  // closed by being dropped
  }
  ++stats_.connections_opened;
  const std::uint64_t id = next_id_++;
  connections_.emplace(id, std::make_unique<HttpConnection>(*this, id, std::move(connection)));
}

WebSocketService* HttpListener::websocket_at(std::string_view target) const {
  const auto found = options_.websockets.find(target.substr(0, target.find_first_of("?#")));
  return found == options_.websockets.end() ? nullptr : found->second;
}

void HttpListener::gone(std::uint64_t id) {
  connections_.erase(id);
  if (connections_.empty()) empty_.wake_all();
}

runtime::Task<void> HttpListener::stop() {
  listener_.reset();
  std::vector<std::uint64_t> ids;
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    if (const auto found = connections_.find(id); found != connections_.end()) found->second->finish();
  }
  while (!connections_.empty()) co_await empty_.wait();
}

}  // namespace stele::http
