#include "protocols/amqp/routing.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <span>
#include <string>
#include <vector>

namespace stele::amqp {
namespace {

// 3.1.3.3
TEST(Topic, Examples) {
  EXPECT_TRUE(topic_matches("*.stock.#", "usd.stock"));
  EXPECT_TRUE(topic_matches("*.stock.#", "eur.stock.db"));
  EXPECT_FALSE(topic_matches("*.stock.#", "stock.nasdaq"));
}

TEST(Topic, Words) {
  EXPECT_TRUE(topic_matches("", ""));
  EXPECT_TRUE(topic_matches("#", ""));
  EXPECT_TRUE(topic_matches("#.#", ""));
  EXPECT_FALSE(topic_matches("*", ""));
  EXPECT_FALSE(topic_matches("", "a"));
  EXPECT_TRUE(topic_matches("*.*", "."));  // two empty words
  EXPECT_TRUE(topic_matches("a..b", "a..b"));
  EXPECT_FALSE(topic_matches("a.*.b", "a.b"));
  EXPECT_TRUE(topic_matches("a.*.b", "a..b"));
  EXPECT_TRUE(topic_matches("a.#.b", "a.b"));
  EXPECT_TRUE(topic_matches("a.#.b.#.c", "a.x.b.b.c.c"));
  EXPECT_FALSE(topic_matches("a.#.b.c", "a.x.b.c.d"));
  EXPECT_FALSE(topic_matches("a*", "ab"));
  EXPECT_TRUE(topic_matches("a*", "a*"));
  EXPECT_FALSE(topic_matches("a#", "a"));
}

TEST(Topic, Wildcards) {
  EXPECT_TRUE(has_topic_wildcard("a.*"));
  EXPECT_TRUE(has_topic_wildcard("#"));
  EXPECT_FALSE(has_topic_wildcard(""));
  EXPECT_FALSE(has_topic_wildcard("a*.#b"));
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> out;
  if (text.empty()) return out;
  out.emplace_back();
  for (const char c : text) {
    if (c == '.') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

bool model_matches(std::span<const std::string> pattern, std::span<const std::string> key) {
  if (pattern.empty()) return key.empty();
  if (pattern[0] == "#") {
    return model_matches(pattern.subspan(1), key) || (!key.empty() && model_matches(pattern, key.subspan(1)));
  }
  if (key.empty() || (pattern[0] != "*" && pattern[0] != key[0])) return false;
  return model_matches(pattern.subspan(1), key.subspan(1));
}

RC_GTEST_PROP(TopicProperties, AsTheModel, ()) {
  const auto pattern = *rc::gen::container<std::string>(rc::gen::element('a', 'b', '.', '.', '*', '#', '#'));
  const auto key = *rc::gen::container<std::string>(rc::gen::element('a', 'b', '.', '.'));
  const auto pattern_words = words_of(pattern), key_words = words_of(key);
  RC_ASSERT(topic_matches(pattern, key) == model_matches(pattern_words, key_words));
  RC_ASSERT(topic_matches(key, key));
}

// Words that are whole, so that patterns match often.
RC_GTEST_PROP(TopicProperties, AsTheModelByWords, ()) {
  const auto join = [](const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : ".") + word;
    return out;
  };
  const auto pattern =
      join(*rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>("a", "b", "*", "#")));
  const auto key =
      join(*rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>("a", "b")));
  const auto pattern_words = words_of(pattern), key_words = words_of(key);
  const bool expected = model_matches(pattern_words, key_words);
  RC_CLASSIFY(expected);
  RC_ASSERT(topic_matches(pattern, key) == expected);
}

bool headers_match(const Table& arguments, const Table& headers) {
  const auto binding = HeadersBinding::parse(arguments.view());
  EXPECT_TRUE(binding.has_value());
  return binding && binding->matches(SortedHeaders(headers.view()));
}

TEST(Headers, AllIsTheDefault) {
  Table binding;
  binding.add("format", "pdf").add("pages", std::int32_t{3});
  EXPECT_TRUE(
      headers_match(binding, Table().add("pages", std::int32_t{3}).add("format", "pdf").add("z", true)));
  EXPECT_FALSE(headers_match(binding, Table().add("format", "pdf")));
  EXPECT_FALSE(headers_match(binding, Table().add("pages", std::int32_t{4}).add("format", "pdf")));
  EXPECT_TRUE(headers_match(Table(), Table()));
  EXPECT_TRUE(headers_match(Table().add("x-match", "all"), Table().add("a", true)));
}

TEST(Headers, Any) {
  const Table binding = Table().add("x-match", "any").add("a", "1").add("b", "2");
  EXPECT_TRUE(headers_match(binding, Table().add("b", "2")));
  EXPECT_FALSE(headers_match(binding, Table().add("b", "1").add("c", "2")));
  EXPECT_FALSE(headers_match(Table().add("x-match", "any"), Table().add("a", true)));
}

TEST(Headers, VoidAsksForPresence) {
  const Table binding = Table().add("a", Void{});
  EXPECT_TRUE(headers_match(binding, Table().add("a", "anything")));
  EXPECT_TRUE(headers_match(binding, Table().add("a", Void{})));
  EXPECT_FALSE(headers_match(binding, Table().add("b", Void{})));
  EXPECT_FALSE(headers_match(Table().add("a", "x"), Table().add("a", Void{})));
}

TEST(Headers, NumbersAreComparedByValue) {
  EXPECT_TRUE(headers_match(Table().add("n", std::int64_t{7}), Table().add("n", std::uint8_t{7})));
  EXPECT_TRUE(headers_match(Table().add("n", std::int64_t{7}), Table().add("n", 7.0)));
  EXPECT_FALSE(headers_match(Table().add("n", std::int64_t{7}), Table().add("n", "7")));
}

TEST(Headers, NamesWithX) {
  Table binding = Table().add("x-match", "all").add("x-hop", "1");
  EXPECT_TRUE(headers_match(binding, Table()));
  binding = Table().add("x-match", "all-with-x").add("x-hop", "1");
  EXPECT_FALSE(headers_match(binding, Table()));
  EXPECT_TRUE(headers_match(binding, Table().add("x-hop", "1")));
  binding = Table().add("x-match", "any").add("x-hop", "1");
  EXPECT_FALSE(headers_match(binding, Table().add("x-hop", "1")));
  binding = Table().add("x-match", "any-with-x").add("x-hop", "1");
  EXPECT_TRUE(headers_match(binding, Table().add("x-hop", "1")));
  EXPECT_FALSE(headers_match(binding, Table().add("x-match", "any-with-x")));
}

TEST(Headers, XMatchThatIsNone) {
  for (const FieldValue& wrong :
       {FieldValue("every"), FieldValue(""), FieldValue(true), FieldValue(Void{})}) {
    const auto binding = HeadersBinding::parse(Table().add("x-match", wrong).view());
    ASSERT_FALSE(binding);
    EXPECT_EQ(binding.error().code, ReplyCode::kPreconditionFailed);
    EXPECT_FALSE(binding.error().ends_connection());
  }
}

// Names that appear once each, in any order: the model looks each of them up.
RC_GTEST_PROP(HeadersProperties, AsTheModel, ()) {
  using Numbers = std::vector<int>;  // by name; -1: not there, 0: void
  const std::vector<std::string> names = {"a", "b", "c", "x-a", "x-b"};
  const auto numbers = rc::gen::container<Numbers>(names.size(), rc::gen::inRange(-1, 3));
  const Numbers wanted = *numbers, given = *numbers;
  const std::string match = *rc::gen::element<std::string>("", "all", "any", "all-with-x", "any-with-x");
  const auto add_all = [&](Table& table, const Numbers& from) {
    const bool backwards = *rc::gen::arbitrary<bool>();
    for (std::size_t n = 0; n < names.size(); ++n) {
      const std::size_t i = backwards ? names.size() - 1 - n : n;
      if (from[i] >= 0) table.add(names[i], from[i] == 0 ? FieldValue(Void{}) : FieldValue(from[i]));
    }
  };
  bool all = true, any = false;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (wanted[i] < 0 || (!match.ends_with("-with-x") && names[i].starts_with("x-"))) continue;
    const bool found = given[i] >= 0 && (wanted[i] == 0 || wanted[i] == given[i]);
    all = all && found;
    any = any || found;
  }
  Table arguments, headers;
  if (!match.empty()) arguments.add("x-match", match);
  add_all(arguments, wanted);
  add_all(headers, given);
  RC_ASSERT(headers_match(arguments, headers) == (match.starts_with("any") ? any : all));
}

}  // namespace
}  // namespace stele::amqp
