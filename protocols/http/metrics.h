// Metrics as values, and Prometheus' text format 0.0.4. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stele::http {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

enum class MetricKind { kCounter, kGauge };

struct MetricSample {
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

// All samples of one name. Names are [a-zA-Z_:][a-zA-Z0-9_:]*, chosen by us.
struct MetricFamily {
  std::string name;
  std::string help;
  MetricKind kind = MetricKind::kCounter;
  std::vector<MetricSample> samples;
};

std::string render(const std::vector<MetricFamily>& families);

}  // namespace stele::http
