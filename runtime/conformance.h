// One body of tests that every backend of the runtime passes: what runtime.h, files.h and network.h promise,
// as executable sentences. A backend instantiates it:
//
//   INSTANTIATE_TEST_SUITE_P(Uv, RuntimeConformance, testing::Values(&make_uv_environment));
//
// The bodies never measure time and never assume that something has not happened *yet*; they wait for what
// must happen, and check what must not happen by what can be seen afterwards.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/conformance_peer.h"
#include "runtime/runtime.h"

namespace stele::runtime {

// What a body gets: the process it runs in, on core 0. Runtimes of other cores are only used on their cores.
struct ConformanceProcess {
  std::vector<Runtime*> cores;
  std::string scratch;       // an empty directory
  std::string host;          // the local address to listen on and connect to
  Endpoint black_hole;       // connecting to it neither succeeds nor fails
  std::string foreign_host;  // an address that is not this machine's
  // The file that is written next can grow by so many bytes, and then there is no room; none: there is again.
  std::function<void(std::optional<std::uint64_t>)> leave_room;
  Runtime& runtime() const { return *cores[0]; }
};

class ConformanceEnvironment {
 public:
  using Body = std::function<Task<void>(ConformanceProcess)>;
  virtual ~ConformanceEnvironment() = default;
  // Starts a process of `cores` cores, runs `body` on core 0 and drives until it is done. False if that takes
  // too long to be anything but a hang. The process is gone afterwards.
  virtual bool run(std::uint32_t cores, Body body) = 0;
};

class RuntimeConformance
    : public testing::TestWithParam<std::function<std::unique_ptr<ConformanceEnvironment>()>> {
 protected:
  void run(std::uint32_t cores, ConformanceEnvironment::Body body) {
    EXPECT_TRUE(GetParam()()->run(cores, std::move(body))) << "the body did not come to its end";
  }
};

// Declares a test whose body is a coroutine: STELE_CONFORMANCE(Name, cores) { … p.runtime() … }
#define STELE_CONFORMANCE(name, core_count)    \
  Task<void> name##Body(ConformanceProcess p); \
  TEST_P(RuntimeConformance, name) {           \
    run(core_count, name##Body);               \
  }                                            \
  Task<void> name##Body(ConformanceProcess p)

}  // namespace stele::runtime
