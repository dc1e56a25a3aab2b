// What the HTTP interface shows of the node it runs in, besides what the Broker says: implemented by the
// server, which alone knows all the parts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/http/cluster_info.h"
#include "protocols/http/metrics.h"
#include "runtime/task.h"

namespace stele::http {

struct NodeDescription {
  std::string version;
  std::string durability;
  std::uint32_t cores = 1;
  std::int64_t started_ms = 0;  // wall time
  // By protocol, in the order of the ready line; an address per listener, none where it is off.
  std::vector<std::pair<std::string, std::vector<std::string>>> listeners;
};

class NodeInfo {
 public:
  virtual ~NodeInfo() = default;
  // False while it starts and once it stops.
  virtual bool ready() const = 0;
  virtual NodeDescription describe() const = 0;
  // Of all cores.
  virtual runtime::Task<std::vector<MetricFamily>> metrics() = 0;
  // Null: the node is alone. As long as a listener.
  virtual ClusterAdministration* cluster_administration() { return nullptr; }
};

}  // namespace stele::http
