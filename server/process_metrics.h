// What the process takes from the machine, under the names that Prometheus' clients use.
#pragma once

#include <vector>

#include "protocols/http/metrics.h"

namespace stele::server {

void add_process_metrics(std::vector<http::MetricFamily>& out);

}  // namespace stele::server
