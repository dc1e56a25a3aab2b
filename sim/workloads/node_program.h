// The production node as a process of a simulated host.
#pragma once

#include <memory>

#include "runtime/scope.h"
#include "server/node.h"
#include "sim/host.h"

namespace stele::sim {

class NodeProgram final : public Program {
 public:
  // `on_failed`: start() gave an error. The process then ends.
  NodeProgram(ProcessContext& process, server::NodeConfig config,
              std::function<void(const Error&)> on_failed);
  ~NodeProgram() override;
  void on_terminate() override;
  server::Node& node() { return *node_; }
  // It has started, and nobody has asked it to end.
  bool serves() const { return !stopping_ && node_->serving(); }

 private:
  static runtime::Task<void> start(NodeProgram& self);
  static runtime::Task<void> stop(NodeProgram& self);
  ProcessContext& process_;
  std::function<void(const Error&)> on_failed_;
  std::unique_ptr<server::Node> node_;
  bool stopping_ = false;
  bool storage_failed_ = false;
  runtime::Scope scope_;  // last
};

}  // namespace stele::sim
