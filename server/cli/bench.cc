#include "server/cli/bench.h"

#include <unistd.h>

#include <fmt/format.h>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "protocols/http/client.h"
#include "server/cli/table.h"

namespace stele::server::cli {
namespace {

// User and system time of all threads: fields 14 and 15 of /proc/PID/stat, counted behind the command's name,
// which may hold anything (proc(5)).
Result<double> cpu_seconds_of(int pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::ifstream file(path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::size_t at = text.rfind(')');
  for (int field = 2; at != std::string::npos && field < 14; ++field) at = text.find(' ', at + 1);
  if (at == std::string::npos) return error(ErrorCode::kNotFound, "--pid: " + path + " cannot be read");
  unsigned long user = 0, system = 0;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data() + at + 1, end, user);
  std::from_chars(first.ptr + 1, end, system);
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Result<double> cpu_seconds_in(std::string_view metrics) {
  constexpr std::string_view kName = "\nprocess_cpu_seconds_total ";
  const auto at = metrics.find(kName);
  double value = 0;
  if (at == std::string_view::npos ||
      std::from_chars(metrics.data() + at + kName.size(), metrics.data() + metrics.size(), value).ec !=
          std::errc()) {
    return error(ErrorCode::kMalformed, "--http: /metrics has no process_cpu_seconds_total");
  }
  return value;
}

}  // namespace

void add_measure_flags(CLI::App& command, BenchFlags& flags) {
  command.add_option("--seconds", flags.seconds, "how long it measures")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  command.add_option("--pid", flags.pid, "process of the broker: tells its CPU time per message");
  command.add_option("--http", flags.http, "the same from a Stele node's /metrics")->type_name("HOST:PORT");
  command.add_flag("--json", flags.json, "print the report as JSON");
}

void add_load_flags(CLI::App& command, BenchFlags& flags, const char* what) {
  add_measure_flags(command, flags);
  command.add_option("--warmup", flags.warmup_s, "seconds of load before it measures")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command
      .add_option("--rate", flags.rate,
                  std::string(what) + " per second, of all together; 0: as fast as it goes")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  command.add_option("--size", flags.size, "bytes of a payload")
      ->check(CLI::Range(16, 16 << 20))
      ->capture_default_str();
}

runtime::Task<Result<std::optional<double>>> broker_cpu_seconds(runtime::Runtime& runtime, BenchFlags flags) {
  if (flags.pid != 0) {
    STELE_CO_TRY(const double value, cpu_seconds_of(flags.pid));
    co_return value;
  }
  if (flags.http.empty()) co_return std::nullopt;
  STELE_CO_TRY(const auto at, runtime::parse_endpoint(flags.http));
  STELE_CO_TRY(const auto response,
               co_await http::send_request(runtime, at, {.method = "GET", .target = "/metrics"}));
  STELE_CO_TRY(const double value, cpu_seconds_in(response.body));
  co_return value;
}

runtime::Duration seconds(double value) {
  return std::chrono::duration_cast<runtime::Duration>(std::chrono::duration<double>(value));
}

void Report::text(std::string name, std::string value) {
  nlohmann::json json = value;
  lines_.push_back({std::move(name), std::move(value), json.dump()});
}

void Report::number(std::string name, double value, std::string unit) {
  const bool whole = std::floor(value) == value && std::abs(value) < 1e15;
  std::string shown =
      whole || std::abs(value) >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.2f}", value);
  if (!unit.empty()) shown += " " + unit;
  lines_.push_back({std::move(name), std::move(shown), fmt::format("{}", value)});
}

void Report::latency(std::string name, const Histogram& histogram) {
  if (histogram.count() == 0) return;
  std::string shown, json;
  constexpr std::pair<const char*, double> kShares[] = {
      {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};
  const auto add = [&](const char* label, std::uint64_t nanoseconds) {
    const double us = static_cast<double>(nanoseconds) / 1000;
    shown += fmt::format("{}{} {:.0f}", shown.empty() ? "" : "  ", label, us);
    json += fmt::format("{}\"{}\":{:.1f}", json.empty() ? "" : ",", label, us);
  };
  for (const auto& [label, share] : kShares) add(label, histogram.percentile(share));
  add("max", histogram.max());
  lines_.push_back({std::move(name), shown + " us", "{" + json + "}"});
}

std::string Report::render(bool json) const {
  if (json) {
    std::string out;
    for (const Line& line : lines_) {
      out += fmt::format("{}{}:{}", out.empty() ? "{" : ",", nlohmann::json(line.name).dump(), line.as_json);
    }
    return out + "}\n";
  }
  std::size_t width = 0;
  for (const Line& line : lines_) width = std::max(width, line.name.size());
  std::string out;
  for (const Line& line : lines_) out += fmt::format("{:<{}}  {}\n", line.name, width, line.shown);
  return out;
}

void add_bench(CLI::App& app, Chosen& chosen) {
  CLI::App* bench = app.add_subcommand("bench", "Drives load and reports what became of it");
  bench->require_subcommand(1);
  add_bench_mqtt(*bench, chosen);
  add_bench_kafka(*bench, chosen);
}

}  // namespace stele::server::cli
