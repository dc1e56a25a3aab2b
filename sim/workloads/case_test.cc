// Cases and scenarios as text, both ways, and what is wrong with a file.
#include "sim/workloads/case.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "sim/workloads/built_in.h"

namespace stele::sim {
namespace {

using namespace std::chrono_literals;

ScenarioFile node() {
  return find_scenario("node").value();
}

TEST(Case, IsReadAsItWasWritten) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Case drawn = draw_case(node(), seed * 0x9e3779b97f4a7c15ULL, std::nullopt);
    drawn.found = "a \"thing\" with a \\";
    const std::string text = format_case(drawn);
    const auto read = parse_case("case", text);
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(format_case(*read), text);
    EXPECT_EQ(read->seed, drawn.seed);
    EXPECT_EQ(read->duration, drawn.duration);
    EXPECT_EQ(read->faults, drawn.faults);
    EXPECT_EQ(read->clients, drawn.clients);
    EXPECT_EQ(read->knobs, drawn.knobs);
    EXPECT_EQ(read->floors, drawn.floors);
    EXPECT_EQ(read->found, drawn.found);
    EXPECT_EQ(read->episodes.size(), drawn.episodes.size());
  }
}

std::string why_not_a_case(const std::string& text) {
  const auto read = parse_case("x.toml", "duration = \"1\"\n" + text);
  return read ? "it is one" : read.error().message;
}

TEST(Case, SaysWhatIsWrong) {
  EXPECT_EQ(why_not_a_case("seeds = 1\n"), "x.toml:2: there is no key 'seeds' (did you mean 'seed'?)");
  EXPECT_EQ(why_not_a_case("seed = -1\n"), "x.toml:2: needs a whole number");
  EXPECT_EQ(why_not_a_case("clients = [\"mqtt-publishr 1\"]\n"),
            "x.toml:2: no kind of client 'mqtt-publishr' (did you mean 'mqtt-publisher'?)");
  EXPECT_EQ(why_not_a_case("clients = [\"mqtt-publisher\"]\n"),
            "x.toml:2: 'mqtt-publisher' is not a kind of client and its number");
  EXPECT_EQ(why_not_a_case("episodes = [\"begin=2 load-end=1 end=3\"]\n"),
            "x.toml:2: 'begin=2 load-end=1 end=3' is not an episode");
  EXPECT_EQ(why_not_a_case("faults = '''\nat=1 kil host=node\n'''\n"),
            "x.toml:2: line 1 of the faults: 'kil' makes no sense");
  EXPECT_EQ(why_not_a_case("[knobs]\n\"node.core\" = 1\n"),
            "x.toml:2: no knob 'node.core' (did you mean 'node.cores'?)");
  EXPECT_EQ(why_not_a_case("[knobs]\n\"node.cores\" = 99\n"),
            "x.toml:2: knob 'node.cores' does not take 99; it takes 1 to 4, 1, 4");
  EXPECT_EQ(why_not_a_case("[floors]\noperation = 99\n"),
            "x.toml:2: no floor 'operation' (did you mean 'operations'?)");
  EXPECT_NE(why_not_a_case("seed = \n").find("x.toml:2: not TOML"), std::string::npos);
  EXPECT_EQ(parse_case("x.toml", "seed = 1\n").error().message, "x.toml: there is no duration in seconds");
}

std::string why_not_a_scenario(const std::string& text) {
  const auto read = parse_scenario("x", "x.toml", "minutes = 1\n" + text);
  return read ? "it is one" : read.error().message;
}

TEST(Scenario, SaysWhatIsWrong) {
  EXPECT_EQ(why_not_a_scenario("[clients]\nasker = 2\n"), "x.toml:2: there can be 1 of asker");
  EXPECT_EQ(why_not_a_scenario("[faults]\nmenus = [\"ordinari\"]\n"),
            "x.toml:3: no menu of faults 'ordinari' (did you mean 'ordinary'?)");
  EXPECT_EQ(why_not_a_scenario("[faults.per-hour]\nkils = 1\n"),
            "x.toml:2: no kind of fault 'kils' (did you mean 'kill'?)");
  EXPECT_EQ(parse_scenario("x", "x.toml", "messages = 1\n").error().message,
            "x.toml: there is no length in minutes");
}

TEST(Scenario, IsFoundByName) {
  EXPECT_EQ(find_scenario("nod").error().message.substr(0, 39), "no scenario 'nod' (did you mean 'node'?");
}

TEST(Scenario, SetsKnobsAndLeavesOutWhomTheyForbid) {
  const auto scenario = parse_scenario(
      "x", "x.toml", "minutes = 1\n[clients]\nnewcomer = 2\n[knobs]\n\"clients.newcomers\" = 0\n");
  ASSERT_TRUE(scenario) << scenario.error().to_string();
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    const Case of = draw_case(*scenario, seed, std::nullopt);
    EXPECT_EQ(of.knobs["clients.newcomers"], 0U);
    EXPECT_TRUE(of.clients.empty());
  }
}

}  // namespace
}  // namespace stele::sim
