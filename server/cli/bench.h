// What the benchmarks share: measuring the broker's CPU time, pacing, and the report.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "server/cli/cli.h"
#include "server/cli/histogram.h"

namespace stele::server::cli {

struct BenchFlags {
  double seconds = 10;
  double warmup_s = 1;
  double rate = 0;  // messages or records per second, of all together; 0: as fast as it goes
  std::uint32_t size = 100;
  int pid = 0;
  std::string http;  // "": not asked
  bool json = false;
};
// All of them, or, for who only reads, those without a load.
void add_load_flags(CLI::App& command, BenchFlags& flags, const char* what);
void add_measure_flags(CLI::App& command, BenchFlags& flags);

// CPU time of the broker so far, of the process `pid` or as its /metrics says; nothing if neither is given.
runtime::Task<Result<std::optional<double>>> broker_cpu_seconds(runtime::Runtime& runtime, BenchFlags flags);

runtime::Duration seconds(double value);

// What was measured, in the order in which it is to be shown.
class Report {
 public:
  void text(std::string name, std::string value);
  void number(std::string name, double value, std::string unit);
  // Percentiles in microseconds, of nanoseconds; nothing if nothing was counted.
  void latency(std::string name, const Histogram& histogram);
  std::string render(bool json) const;

 private:
  struct Line {
    std::string name;
    std::string shown;  // for people
    std::string as_json;
  };
  std::vector<Line> lines_;
};

void add_bench_mqtt(CLI::App& bench, Chosen& chosen);
void add_bench_kafka(CLI::App& bench, Chosen& chosen);

}  // namespace stele::server::cli
