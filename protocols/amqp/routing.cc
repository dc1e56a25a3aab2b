#include "protocols/amqp/routing.h"

#include <optional>

namespace stele::amqp {

namespace {

constexpr std::string_view kXMatch = "x-match";

// The words that are left of a routing key or a pattern.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text), at_end_(text.empty()) {}
  bool at_end() const { return at_end_; }
  std::string_view first() const { return text_.substr(0, text_.find('.')); }
  void advance() {
    const std::size_t dot = text_.find('.');
    at_end_ = dot == std::string_view::npos;
    if (!at_end_) text_.remove_prefix(dot + 1);
  }

 private:
  std::string_view text_;
  bool at_end_;
};

std::optional<HeadersBinding::Match> match_by_name(std::string_view name) {
  using Match = HeadersBinding::Match;
  if (name == "all") return Match::kAll;
  if (name == "any") return Match::kAny;
  if (name == "all-with-x") return Match::kAllWithX;
  if (name == "any-with-x") return Match::kAnyWithX;
  return std::nullopt;
}

}  // namespace

bool topic_matches(std::string_view pattern, std::string_view routing_key) {
  // A `#` takes as few words as it can. When that fails, the last one takes one more: an earlier one need
  // not, for what is between them has been found as far to the left as possible.
  struct Choice {
    Words pattern, key;  // behind the `#`, and the words that it has not taken
  };
  Words wanted(pattern), given(routing_key);
  std::optional<Choice> last;
  while (!given.at_end()) {
    if (!wanted.at_end()) {
      const std::string_view word = wanted.first();
      if (word == "#") {
        wanted.advance();
        last = {wanted, given};
        continue;
      }
      if (word == "*" || word == given.first()) {
        wanted.advance();
        given.advance();
        continue;
      }
    }
    if (!last) return false;
    last->key.advance();
    wanted = last->pattern;
    given = last->key;
  }
  while (!wanted.at_end() && wanted.first() == "#") wanted.advance();
  return wanted.at_end();
}

bool has_topic_wildcard(std::string_view pattern) {
  for (Words words(pattern); !words.at_end(); words.advance()) {
    if (words.first() == "*" || words.first() == "#") return true;
  }
  return false;
}

Decoded<HeadersBinding> HeadersBinding::parse(TableView arguments) {
  HeadersBinding binding;
  if (const auto x_match = arguments.find(kXMatch)) {
    const auto* name = std::get_if<std::string_view>(&*x_match);
    const auto match = name ? match_by_name(*name) : std::nullopt;
    if (!match) {
      return protocol_error(ReplyCode::kPreconditionFailed,
                            "x-match must be the text all, any, all-with-x or any-with-x");
    }
    binding.match_ = *match;
  }
  const bool with_x = binding.match_ == Match::kAllWithX || binding.match_ == Match::kAnyWithX;
  for (const Field& field : sorted_fields(arguments)) {
    if (field.name == kXMatch || (!with_x && field.name.starts_with("x-"))) continue;
    binding.wanted_.add(field.name, field.value);
  }
  return binding;
}

bool HeadersBinding::matches(const SortedHeaders& headers) const {
  const bool wants_all = match_ == Match::kAll || match_ == Match::kAllWithX;
  auto given = headers.fields_.begin();
  for (const Field& wanted : wanted_.view()) {
    while (given != headers.fields_.end() && given->name < wanted.name) ++given;
    bool found = false;
    if (given != headers.fields_.end() && given->name == wanted.name) {
      found = std::holds_alternative<Void>(wanted.value) || same_value(wanted.value, given->value);
      ++given;  // a name that is wanted twice has to be there twice
    }
    if (found != wants_all) return found;
  }
  return wants_all;
}

}  // namespace stele::amqp
