#include "broker/filter_trie.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace stele::broker {
namespace {

std::vector<std::uint64_t> targets(const FilterTrie& trie, std::string_view address) {
  std::vector<FilterTrie::Match> found;
  trie.match(address, found);
  std::vector<std::uint64_t> out;
  for (auto& match : found) out.push_back(match.target);
  std::sort(out.begin(), out.end());
  EXPECT_EQ(trie.matches(address), !out.empty());
  return out;
}
using List = std::vector<std::uint64_t>;

TEST(FilterTrie, ExamplesOfTheSpecification) {  // MQTT 5.0 section 4.7.1
  FilterTrie trie;
  trie.insert("sport/tennis/player1/#", 1, 0);
  trie.insert("sport/#", 2, 0);
  trie.insert("#", 3, 0);
  trie.insert("sport/tennis/+", 4, 0);
  trie.insert("sport/+", 5, 0);
  trie.insert("+/+", 6, 0);
  trie.insert("/+", 7, 0);
  trie.insert("+", 8, 0);
  EXPECT_EQ(targets(trie, "sport/tennis/player1"), (List{1, 2, 3, 4}));
  EXPECT_EQ(targets(trie, "sport/tennis/player1/ranking"), (List{1, 2, 3}));
  EXPECT_EQ(targets(trie, "sport"), (List{2, 3, 8}));
  EXPECT_EQ(targets(trie, "sport/"), (List{2, 3, 5, 6}));
  EXPECT_EQ(targets(trie, "/finance"), (List{3, 6, 7}));
}

TEST(FilterTrie, WildcardsDoNotReachDollarAddresses) {  // [MQTT-4.7.2-1]
  FilterTrie trie;
  trie.insert("#", 1, 0);
  trie.insert("+/monitor/Clients", 2, 0);
  trie.insert("$SYS/#", 3, 0);
  trie.insert("$SYS/monitor/+", 4, 0);
  EXPECT_EQ(targets(trie, "$SYS/monitor/Clients"), (List{3, 4}));
}

TEST(FilterTrie, InsertReplacesDataAndEraseFreesNodes) {
  FilterTrie trie;
  EXPECT_TRUE(trie.insert("a/+/c", 1, 7));
  EXPECT_FALSE(trie.insert("a/+/c", 1, 8));
  std::vector<FilterTrie::Match> found;
  trie.match("a/b/c", found);
  EXPECT_EQ(found, (std::vector<FilterTrie::Match>{{1, 8}}));
  EXPECT_FALSE(trie.erase("a/b/c", 1));
  EXPECT_FALSE(trie.erase("a/+/c", 2));
  EXPECT_TRUE(trie.erase("a/+/c", 1));
  EXPECT_EQ(trie.node_count(), 1u);
  EXPECT_TRUE(trie.empty());
}

TEST(FilterTrie, LongFiltersNeedNoStack) {
  // As many words as fit an MQTT string: what a client may send must not end the broker.
  const std::string slashes(65535, '/');
  std::string pluses = "+";
  while (pluses.size() + 2 <= 65535) pluses += "/+";
  std::string literals = "a";
  while (literals.size() + 2 <= 65535) literals += "/a";
  FilterTrie trie;
  trie.insert(slashes, 1, 0);
  trie.insert(pluses, 2, 0);
  trie.insert(literals, 3, 0);
  std::vector<FilterTrie::Match> found;
  trie.match(slashes, found);
  EXPECT_EQ(found.size(), 1u);
  trie.match(literals, found);
  EXPECT_EQ(found.size(), 3u);
  EXPECT_TRUE(trie.erase(slashes, 1));
  FilterTrie other;
  other.insert(slashes, 1, 0);
  trie = std::move(other);
  EXPECT_TRUE(trie.matches(slashes));
}

// The rules once more, the slow way.
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words(1);
  for (char c : text) {
    if (c == '/') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}
bool brute_force(const std::string& filter, const std::string& address) {
  const auto f = split(filter), a = split(address);
  if (a[0].starts_with('$') && (f[0] == "+" || f[0] == "#")) return false;
  for (std::size_t i = 0; i < f.size(); ++i) {
    if (f[i] == "#") return true;
    if (i == a.size()) return false;
    if (f[i] != "+" && f[i] != a[i]) return false;
  }
  return f.size() == a.size();
}

rc::Gen<std::string> words(std::vector<std::string> alphabet) {
  return rc::gen::map(rc::gen::resize(4, rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(
                                             rc::gen::elementOf(std::move(alphabet))))),
                      [](const std::vector<std::string>& list) {
                        std::string text;
                        for (std::size_t i = 0; i < list.size(); ++i) text += (i ? "/" : "") + list[i];
                        return text.empty() ? std::string("/") : text;
                      });
}

TEST(FilterTrie, AgreesWithBruteForce) {
  EXPECT_TRUE(rc::check([] {
    FilterTrie trie;
    std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> model;
    const int steps = *rc::gen::inRange(1, 60);
    for (int i = 0; i < steps; ++i) {
      std::string filter = *words({"a", "b", "", "+", "$x"});
      if (*rc::gen::inRange(0, 3) == 0) filter += "/#";
      if (*rc::gen::inRange(0, 20) == 0) filter = "#";
      const auto target = *rc::gen::inRange<std::uint64_t>(0, 4);
      if (*rc::gen::inRange(0, 3) == 0) {
        RC_ASSERT(trie.erase(filter, target) == (model.erase({filter, target}) > 0));
      } else {
        const auto data = *rc::gen::inRange<std::uint64_t>(0, 100);
        RC_ASSERT(trie.insert(filter, target, data) == !model.contains({filter, target}));
        model[{filter, target}] = data;
      }
      RC_ASSERT(trie.size() == model.size());
      const std::string address = *words({"a", "b", "", "c", "$x"});
      std::vector<FilterTrie::Match> found;
      trie.match(address, found);
      std::vector<std::pair<std::uint64_t, std::uint64_t>> got, expected;
      for (auto& match : found) got.emplace_back(match.target, match.data);
      for (auto& [key, data_of] : model) {
        if (brute_force(key.first, address)) expected.emplace_back(key.second, data_of);
      }
      std::sort(got.begin(), got.end());
      std::sort(expected.begin(), expected.end());
      RC_ASSERT(got == expected);
    }
    for (auto& [key, data_of] : model) RC_ASSERT(trie.erase(key.first, key.second));
    RC_ASSERT(trie.node_count() == 1u);
  }));
}

}  // namespace
}  // namespace stele::broker
