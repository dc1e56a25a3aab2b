// Three nodes that call each other and send each other messages while connections are cut, stall and carry
// garbled bytes, hosts crash, and paths split. Whatever a caller was told must be true of what was done,
// nothing is done twice, and when all is well again everything works and nothing is left.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rpc/testing/node.h"
#include "runtime/conformance_peer.h"
#include "sim/network.h"
#include "sim/world.h"

namespace stele::rpc {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using runtime::Random;
using runtime::Task;

constexpr std::uint32_t kNodes = 3;
constexpr int kWorkers = 4;  // of a node

enum class Told : std::uint8_t { kNothing, kDone, kNotDone, kUnknown };

struct Called {
  Told told = Told::kNothing;
  int served = 0;
};

struct Ledger {
  std::vector<Called> calls;
  std::uint64_t words = 0;
  std::vector<std::string> wrong;
  bool calm = false;  // workers end

  std::size_t begin() {
    calls.emplace_back();
    return calls.size() - 1;
  }
};

// Says which call it is, and can be told whole.
std::string text_of(std::size_t number, std::size_t size) {
  return std::to_string(number) + ":" + runtime::pattern(size, number);
}
std::optional<std::size_t> number_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon > 9) return std::nullopt;  // or there is none
  const std::size_t number = std::stoul(text.substr(0, colon));
  if (text.substr(colon + 1) != runtime::pattern(text.size() - colon - 1, number)) return std::nullopt;
  return number;
}

std::size_t some_size(Random& random) {
  constexpr std::array<std::size_t, 6> kSizes{0, 10, 1000, 5'000, 40'000, 300'000};
  return kSizes[random.below(kSizes.size())];
}

Task<void> call_once(Ledger* ledger, Channel* channel, MethodId method, std::size_t number, std::size_t size,
                     runtime::Duration timeout) {
  const std::string text = text_of(number, size);
  const CallResult result = co_await channel->call(method, Bytes::copy(text), timeout);
  Called& call = ledger->calls[number];
  if (call.told != Told::kNothing) ledger->wrong.push_back("a call ended twice");
  if (result) {
    call.told = Told::kDone;
    if (result->view() != text) ledger->wrong.push_back("another answer than the one to this call");
  } else {
    if (result.error().fate == Fate::kAnswered && result.error().code != ErrorCode::kUnavailable) {
      ledger->wrong.push_back("answered with " + result.error().to_string());
    }
    call.told = result.error().fate == Fate::kNotDone ? Told::kNotDone : Told::kUnknown;
  }
}

Task<void> work(Ledger* ledger, Live* live, std::uint32_t self) {
  Random random = live->runtime.random().fork();
  while (!ledger->calm) {
    std::uint32_t to = 1 + std::uint32_t(random.below(kNodes - 1));
    if (to >= self) ++to;
    Channel* const channel = live->peers.find(NodeId(to));
    const MethodId method = random.chance(1, 2) ? kEcho : kSlow;
    const runtime::Duration timeout(random.between(0, 3'000'000'000));
    switch (random.below(4)) {
      case 0: {  // a caller that goes away
        runtime::Scope scope;
        scope.spawn(call_once(ledger, channel, method, ledger->begin(), some_size(random), timeout));
        co_await runtime::sleep(live->runtime, runtime::Duration(random.between(0, 20'000'000)));
        break;
      }
      case 1: {
        const std::vector<Bytes> parts{Bytes::copy(std::to_string(ledger->words++) + ":"),
                                       Bytes::copy(std::string(some_size(random), 'w'))};
        channel->send(kWord, parts);
        co_await runtime::sleep(live->runtime, 1ms);
        break;
      }
      default:
        co_await call_once(ledger, channel, method, ledger->begin(), some_size(random), timeout);
        co_await runtime::sleep(live->runtime, 1ms);
    }
  }
}

class Trial {
 public:
  Trial(std::uint64_t seed, bool garble) : world_(seed, config_of(seed)), garble_(garble) {
    for (std::uint32_t number = 1; number <= kNodes; ++number) {
      auto& node = nodes_.emplace_back(std::make_unique<Node>(world_, number));
      node->options.server.max_requests = 8;
      node->options.channel.max_output_bytes = 200'000;
      for (std::uint32_t other = 1; other <= kNodes; ++other) {
        if (other != number) node->knows.push_back(other);
      }
      node->served = [this](const std::string& text) { serve(text); };
      node->when_booted = [this, number](Live& live) {
        for (int i = 0; i < kWorkers; ++i) live.scope.spawn(work(&ledger, &live, number));
      };
      node->boot();
    }
  }

  void run() {
    Random& faults = world_.random(sim::Concern::kFaults);
    for (int i = 0; i < 60; ++i) {
      world_.run_for(runtime::Duration(faults.between(0, 700'000'000)));
      fault(faults);
    }
    world_.fabric().heal_all();
    for (auto& node : nodes_) {
      if (node->host().down()) node->host().restart();
    }
    ledger.calm = true;
    world_.run_for(90s);
    check_words();
    check_calls();
    check_calm();
  }

  Ledger ledger;
  std::array<std::uint64_t, kWrongs> refused{};  // by those that live at the end
  std::uint64_t hash() const { return world_.hash(); }

 private:
  static sim::WorldConfig config_of(std::uint64_t seed) {
    sim::WorldConfig config = sim::WorldConfig::draw(seed);
    // Large payloads would take very many events.
    config.network.window_bytes = std::max<std::size_t>(config.network.window_bytes, 16 << 10);
    config.network.read_bytes = std::max<std::size_t>(config.network.read_bytes, 1500);
    return config;
  }

  void serve(const std::string& text) {
    const auto number = number_of(text);
    if (!number || *number >= ledger.calls.size()) {
      ledger.wrong.push_back("a request that nobody made");
    } else if (++ledger.calls[*number].served > 1) {
      ledger.wrong.push_back("a request was served twice");
    }
  }

  void fault(Random& random) {
    sim::Fabric& fabric = world_.fabric();
    const std::size_t first = random.below(kNodes), second = (first + 1 + random.below(kNodes - 1)) % kNodes;
    sim::Host &a = nodes_[first]->host(), &b = nodes_[second]->host();
    switch (random.below(garble_ ? 14 : 13)) {
      case 0:
        fabric.cut(a, b, random);
        break;
      case 1:
        fabric.cut_all(a, b);
        break;
      case 2:
        random.chance(1, 2) ? fabric.split(a, b) : fabric.split_one_way(a, b);
        break;
      case 3:
        fabric.half_open(a, b, random);
        break;
      case 4:
        fabric.stall_one(a, b, random);
        break;
      case 5:
        fabric.slow(a, b, 1u << random.below(8));
        break;
      case 6:
        fabric.limit_window(a, b, 1 + random.below(3000));
        break;
      case 7:
        fabric.close_late(a, b, 2s);
        break;
      case 8:
        if (a.running()) a.pause(runtime::Duration(random.between(0, 5'000'000'000)));
        break;
      case 9:
        if (a.running()) a.crash(random.chance(1, 2) ? sim::CrashMode::kKill : sim::CrashMode::kPowerLoss);
        break;
      case 10:
        if (a.down()) a.restart();
        break;
      case 11:
      case 12:
        fabric.heal_all();
        break;
      default:
        fabric.corrupt(a, b, 1 + std::uint32_t(random.below(3)));
    }
  }

  // Over one connection messages come in order, each once, as they were.
  void check_words() {
    for (const auto& node : nodes_) {
      std::map<std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>, std::uint64_t> last;
      for (const Word& word : node->words) {
        const std::size_t colon = word.text.find(':');
        if (colon == std::string::npos || word.text.find_first_not_of('w', colon + 1) != std::string::npos) {
          ledger.wrong.push_back("a message that nobody sent");
          continue;
        }
        // A server counts its connections anew in each of its lives.
        const std::uint64_t number = std::stoull(word.text.substr(0, colon));
        auto [at, fresh] =
            last.try_emplace({word.from.value, word.incarnation, word.connection << 32 | word.life}, number);
        if (!fresh && number <= std::exchange(at->second, number)) {
          ledger.wrong.push_back("messages out of order, or twice");
        }
      }
    }
  }

  void check_calls() {
    for (const Called& call : ledger.calls) {
      if (call.told == Told::kDone && call.served != 1) ledger.wrong.push_back("answered, and not served");
      if (call.told == Told::kNotDone && call.served != 0) {
        ledger.wrong.push_back("told that it was not done, and served");
      }
    }
  }

  void check_calm() {
    for (const auto& node : nodes_) {
      const Server& server = node->server();
      if (server.requests_under_way() > 0) ledger.wrong.push_back("a request is left");
      if (server.partial_bytes() > 0) ledger.wrong.push_back("half a frame is left");
      for (std::size_t i = 0; i < kWrongs; ++i) refused[i] += server.stats().wrong[i];
      for (const std::uint32_t other : node->knows) {
        for (std::size_t i = 0; i < kWrongs; ++i) refused[i] += node->to(other).stats().wrong[i];
        if (node->to(other).calls_under_way() > 0) ledger.wrong.push_back("a call is left");
        const auto last = node->call(other, kEcho, text_of(ledger.begin(), 10));
        world_.run_until([&] { return last->has_value(); }, 30s);
        if (!last->has_value() || !**last) ledger.wrong.push_back("no call gets through though all is well");
      }
    }
  }

  sim::World world_;
  const bool garble_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

TEST(RpcInASimulation, WhatCallersAreToldIsTrue) {
  std::map<Told, int> told;
  std::array<std::uint64_t, kWrongs> refused{};
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    Trial trial(seed, seed % 2 == 0);
    trial.run();
    EXPECT_EQ(trial.ledger.wrong, std::vector<std::string>()) << "seed " << seed;
    for (const Called& call : trial.ledger.calls) ++told[call.told];
    for (std::size_t i = 0; i < kWrongs; ++i) refused[i] += trial.refused[i];
    if (seed % 2 == 1) {
      for (const std::uint64_t count : trial.refused) EXPECT_EQ(count, 0u) << "seed " << seed;
    }
  }
  EXPECT_GT(told[Told::kDone], 10'000);
  EXPECT_GT(told[Told::kNotDone], 500);
  EXPECT_GT(told[Told::kUnknown], 500);
  EXPECT_GT(refused[std::size_t(Wrong::kGarbled)], 5u);
}

TEST(RpcInASimulation, OneSeedIsOneHistory) {
  const auto hash = [](std::uint64_t seed) {
    Trial trial(seed, true);
    trial.run();
    return trial.hash();
  };
  EXPECT_EQ(hash(2), hash(2));
  EXPECT_NE(hash(2), hash(4));
}

}  // namespace
}  // namespace stele::rpc
