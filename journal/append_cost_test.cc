// What an entry costs in a log with one replica, in the process that has it: allocations, which are the same
// in every run of a simulated world. Those of more replicas must not be paid for here.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "journal/shard_log.h"
#include "journal/testing/test_node.h"

namespace {
std::uint64_t allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Task;

// Appends so many entries, ten in a turn, each turn's behind the commit of the one before. The allocations
// from the first to the last commit.
Task<void> append_all(sim::ProcessContext& process, std::uint32_t core, std::uint64_t turns,
                      std::uint64_t* count, bool* done) {
  ModelChains chains(1);
  TestNode node;
  node.process = &process;
  node.chains = &chains;
  JournalOptions options;
  options.store.directory = "/journal";
  EXPECT_TRUE(co_await node.open(options, {}));
  co_await go_to(node.core(0), CoreId(core));
  auto logs = co_await ShardLog::take_over_all(node.replicas(core), node.keeper(core), {ShardId(0)});
  EXPECT_TRUE(logs);
  if (!logs) co_return;
  ShardLog& log = *logs->at(0);
  const std::string text(200, 'x');
  std::uint64_t before = 0;
  for (std::uint64_t turn = 0; turn < turns + 100; ++turn) {
    if (turn == 100) before = allocations;
    for (int i = 0; i < 10; ++i) log.append(entry_of(text));
    while (log.committed() < log.next()) co_await runtime::sleep(node.core(core), 50us);
  }
  *count = allocations - before;
  *done = true;
  co_await runtime::sleep(node.core(core), 24h);  // what is left dies with the process
}

std::uint64_t cost_of(std::uint32_t core, std::uint64_t turns) {
  sim::World world(3);
  sim::Host& host = world.add_host("node");
  std::uint64_t count = 0;
  bool done = false;
  host.boot(2, sim::program([&](sim::ProcessContext& process) {
              return append_all(process, core, turns, &count, &done);
            }));
  world.run_until([&] { return done; }, 10min);
  EXPECT_TRUE(done);
  host.crash();
  return count;
}

// With the two that its bytes are made of, and what the simulated disk takes. One more would be seen.
TEST(AppendCost, OneReplicaCostsNothingMore) {
  for (const std::uint32_t core : {0u, 1u}) {
    const double each = double(cost_of(core, 2000) - cost_of(core, 1000)) / 10'000;
    std::printf("core %u: %.2f allocations for each entry\n", core, each);
    EXPECT_LT(each, 9);
  }
}

}  // namespace
}  // namespace stele::journal
