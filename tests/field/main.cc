// field --node PROGRAM --directory DIR [--seed N] [--seconds S] [--without-timed] [--without-wills]
//       [--plan FILE] [--library FILE] [--clock-library FILE]
// One field run (field_run.h). The last line is `field seed=N result=ok|fail ops=… faults=… starts=…`.
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/uv/uv_process.h"
#include "tests/field/field_run.h"
#include "tests/field/plan.h"
#include "tests/field/small_disk.h"

namespace stele::field {
namespace {

constexpr std::uint64_t kMostSeconds = 3600;

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<std::vector<sim::Fault>> read_plan(const std::string& file) {
  std::ifstream in(file);
  if (!in) return error(ErrorCode::kNotFound, file + " cannot be read");
  return sim::parse_faults(std::string(std::istreambuf_iterator<char>(in), {}));
}

Result<FieldOptions> parse(int argc, char** argv) {
  FieldOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--without-timed" || flag == "--without-wills") {
      (flag == "--without-timed" ? options.timed : options.wills) = false;
      continue;
    }
    if (i + 1 == argc) return error(ErrorCode::kInvalidArgument, std::string(flag) + " needs a value");
    const std::string value = argv[++i];
    const auto number = parse_number(value);
    if (flag == "--node") {
      options.node = value;
    } else if (flag == "--directory") {
      options.directory = value;
    } else if (flag == "--library") {
      options.library = value;
    } else if (flag == "--clock-library") {
      options.clock_library = value;
    } else if (flag == "--plan") {
      STELE_TRY(options.plan, read_plan(value));
    } else if (flag == "--seed" && number) {
      options.seed = *number;
    } else if (flag == "--seconds" && number && *number >= 5 && *number <= kMostSeconds) {
      options.load = std::chrono::seconds(*number);
    } else {
      return error(ErrorCode::kInvalidArgument, std::string(flag) + " " + value + " makes no sense");
    }
  }
  if (options.node.empty() || options.directory.empty())
    return error(ErrorCode::kInvalidArgument, "--node and --directory are needed");
  return options;
}

runtime::Task<void> drive(FieldRun& run, runtime::uv::UvProcess& process, FieldResult& result) {
  result = co_await run.run();
  process.stop();
}

int run_once(const FieldOptions& options) {
  std::printf("without a counterpart here: %s\n",
              what_cannot({!options.library.empty(), !options.clock_library.empty()}).c_str());
  FieldResult result;
  {
    runtime::uv::UvProcess process({.cores = 1, .log_level = runtime::LogLevel::kWarn, .seed = options.seed});
    std::optional<FieldRun> run;
    runtime::Scope scope;
    process.install_signals([&process](int) { process.stop(); });
    process.run([&](runtime::Runtime& core) {
      run.emplace(core, options);
      scope.spawn(drive(*run, process, result));
    });
    if (!result.ok && result.why.empty()) result.why = "interrupted";
    if (!result.ok) std::printf("%s\n", result.why.c_str());
  }
  std::printf("field seed=%llu result=%s ops=%llu faults=%llu starts=%llu\n",
              static_cast<unsigned long long>(options.seed), result.ok ? "ok" : "fail",
              static_cast<unsigned long long>(result.operations),
              static_cast<unsigned long long>(result.faults), static_cast<unsigned long long>(result.starts));
  return result.ok ? 0 : 1;
}

}  // namespace
}  // namespace stele::field

int main(int argc, char** argv) {
  auto options = stele::field::parse(argc, argv);
  if (!options) {
    std::fprintf(stderr, "field: %s\n", options.error().message.c_str());
    return 2;
  }
  if (const auto left = stele::field::SmallDisk::leave_shared_mounts(); !left)
    options->no_mounts = left.error().message;
  return stele::field::run_once(*options);
}
