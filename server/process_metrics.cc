#include "server/process_metrics.h"

#include <chrono>
#include <string>

#include "runtime/uv/process_stats.h"
#include "server/version.h"

namespace stele::server {

void add_process_metrics(std::vector<http::MetricFamily>& out) {
  using http::MetricKind;
  const auto add = [&out](const char* name, const char* help, MetricKind kind, double value) {
    out.push_back({name, help, kind, {{{}, value}}});
  };
  if (const auto stats = runtime::uv::process_stats()) {
    const std::chrono::duration<double> cpu = stats->cpu_user + stats->cpu_system;
    add("process_cpu_seconds_total", "CPU time, user and system.", MetricKind::kCounter, cpu.count());
    add("process_resident_memory_bytes", "Resident memory.", MetricKind::kGauge,
        static_cast<double>(stats->resident_bytes));
    add("process_virtual_memory_bytes", "Virtual memory.", MetricKind::kGauge,
        static_cast<double>(stats->virtual_bytes));
    add("process_open_fds", "Open files and connections.", MetricKind::kGauge,
        static_cast<double>(stats->open_files));
    add("process_max_fds", "How many may be open.", MetricKind::kGauge,
        static_cast<double>(stats->open_files_max));
    add("process_threads", "Threads.", MetricKind::kGauge, static_cast<double>(stats->threads));
    add("process_start_time_seconds", "When the process started, in seconds since 1970.", MetricKind::kGauge,
        static_cast<double>(stats->started_at_ms) / 1000);
  }
  out.push_back({"stele_build_info",
                 "1, labelled with what was built.",
                 MetricKind::kGauge,
                 {{{{"version", std::string(kVersion)}, {"build", std::string(build_type())}}, 1}}});
}

}  // namespace stele::server
