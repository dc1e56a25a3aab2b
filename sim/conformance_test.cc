// The simulated backend against the body of tests that every backend passes, once in an ordinary world and
// once in worlds whose knobs are drawn.
#include "runtime/conformance.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "sim/disk.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/world.h"

namespace stele::sim {
namespace {

using runtime::ConformanceEnvironment;
using runtime::ConformanceProcess;
using namespace std::chrono_literals;

class SimEnvironment final : public ConformanceEnvironment {
 public:
  SimEnvironment(std::uint64_t seed, WorldConfig config) : world_(seed, config) {}

  bool run(std::uint32_t cores, Body body) override {
    Host& host = world_.add_host("node");
    const Host& silent = world_.add_host("silent");  // never powered
    ConformanceProcess p;
    p.scratch = "/scratch";
    p.host = host.ip();
    p.black_hole = {silent.ip(), 1};
    p.foreign_host = silent.ip();
    p.leave_room = [&disk = host.disk()](std::optional<std::uint64_t> bytes) {
      disk.set_free_bytes(bytes.value_or(UINT64_MAX));
    };
    EXPECT_TRUE(host.disk().make_directory(p.scratch));
    bool done = false;
    host.boot(cores, program([&](ProcessContext& process) {
                p.cores.assign(process.cores().begin(), process.cores().end());
                return drive(body(p), &done);
              }));
    const RunResult result = world_.run_until([&] { return done; }, 24h);
    EXPECT_EQ(result.reason, StopReason::kDone) << result.detail << world_.trace().text();
    host.crash();
    world_.run_for(1h);
    return done;
  }

 private:
  static runtime::Task<void> drive(runtime::Task<void> body, bool* done) {
    co_await std::move(body);
    *done = true;
  }

  World world_;
};

std::unique_ptr<ConformanceEnvironment> make_ordinary() {
  return std::make_unique<SimEnvironment>(1, WorldConfig());
}

// Runs a body in one world after the other.
class DrawnEnvironment final : public ConformanceEnvironment {
 public:
  bool run(std::uint32_t cores, Body body) override {
    bool all = true;
    for (std::uint64_t seed = 2; seed < 22; ++seed) {
      WorldConfig config = WorldConfig::draw(seed);
      // Bodies that move megabytes would take a million events.
      config.network.window_bytes = std::max<std::size_t>(config.network.window_bytes, 16 << 10);
      config.network.read_bytes = std::max<std::size_t>(config.network.read_bytes, 1500);
      SCOPED_TRACE("seed " + std::to_string(seed));
      all = SimEnvironment(seed, config).run(cores, body) && all;
    }
    return all;
  }
};

std::unique_ptr<ConformanceEnvironment> make_drawn() {
  return std::make_unique<DrawnEnvironment>();
}

}  // namespace
}  // namespace stele::sim

namespace stele::runtime {
INSTANTIATE_TEST_SUITE_P(Sim, RuntimeConformance, testing::Values(&sim::make_ordinary));
INSTANTIATE_TEST_SUITE_P(SimDrawn, RuntimeConformance, testing::Values(&sim::make_drawn));
}  // namespace stele::runtime
