#include "sim/workloads/node_program.h"

#include <utility>

namespace stele::sim {

using runtime::Task;

NodeProgram::NodeProgram(ProcessContext& process, server::NodeConfig config,
                         std::function<void(const Error&)> on_failed)
    : process_(process), on_failed_(std::move(on_failed)) {
  // As `stele serve` does: it ends, and the next process goes on from what is on the disk.
  config.on_failure = [this](const Error&) {
    storage_failed_ = true;
    if (node_ && node_->serving()) on_terminate();
  };
  node_ = std::make_unique<server::Node>(process.cores(), std::move(config));
  scope_.spawn(start(*this));
}

NodeProgram::~NodeProgram() = default;

Task<void> NodeProgram::start(NodeProgram& self) {
  auto started = co_await self.node_->start();
  if (self.stopping_ || (started && !self.storage_failed_)) co_return;
  if (!started) self.on_failed_(started.error());
  self.on_terminate();
}

void NodeProgram::on_terminate() {
  if (std::exchange(stopping_, true)) return;
  scope_.spawn(stop(*this));
}

Task<void> NodeProgram::stop(NodeProgram& self) {
  co_await self.node_->stop();
  self.process_.exit();
}

}  // namespace stele::sim
