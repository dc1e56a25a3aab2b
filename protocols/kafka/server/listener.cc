#include "protocols/kafka/server/listener.h"

#include <utility>

#include "protocols/kafka/server/connection.h"

namespace stele::kafka {

KafkaListener::KafkaListener(broker::Broker& broker, KafkaOptions options)
    : broker_(broker), options_(std::move(options)), fetch_sessions_(options_.fetch_sessions) {}

KafkaListener::~KafkaListener() = default;

Result<void> KafkaListener::listen(const runtime::Endpoint& at) {
  runtime::ListenOptions options;
  options.share_port = broker_.runtime().core_count() > 1;
  runtime::Transport& transport = options_.transport ? *options_.transport : broker_.runtime().network();
  STELE_TRY(listener_, transport.listen(at, options, *this));
  if (options_.advertised.host.empty()) options_.advertised = listener_->local();
  if (options_.advertised.port == 0) options_.advertised.port = listener_->local().port;
  broker_.authenticator().watch(*this);
  return {};
}

void KafkaListener::on_accept(std::unique_ptr<runtime::Connection> connection) {
  if (connections_.size() >= options_.max_connections || broker_.stopping()) {
    ++stats_.connections_refused;
    return;  // closed by being dropped
  }
  ++stats_.connections_opened;
  const std::uint64_t id = next_id_++;
  connections_.emplace(id, std::make_unique<KafkaConnection>(*this, id, std::move(connection)));
}

void KafkaListener::gone(KafkaConnection* connection) {
  connections_.erase(connection->id_);
  if (connections_.empty()) empty_.wake_all();
}

void KafkaListener::on_identities_changed() {
  for (auto& [id, connection] : connections_) connection->check_identity();
}

runtime::Task<void> KafkaListener::stop() {
  listener_.reset();
  std::vector<std::uint64_t> ids;
  for (auto& [id, connection] : connections_) ids.push_back(id);
  for (std::uint64_t id : ids) {
    if (auto found = connections_.find(id); found != connections_.end()) found->second->finish();
  }
  while (!connections_.empty()) co_await empty_.wait();
}

}  // namespace stele::kafka
