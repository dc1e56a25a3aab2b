#include "protocols/mqtt/topic.h"

#include <algorithm>

namespace stele::mqtt {

namespace {

constexpr std::string_view kSharePrefix = "$share/";

// Takes the first level off `rest`; `more` says whether another one (possibly empty) follows.
struct Level {
  std::string_view text;
  std::string_view rest;
  bool more;
};
Level first_level(std::string_view levels) {
  const std::size_t slash = levels.find('/');
  if (slash == std::string_view::npos) return {levels, {}, false};
  return {levels.substr(0, slash), levels.substr(slash + 1), true};
}

}  // namespace

bool is_valid_topic_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxTopicSize) return false;
  return std::none_of(name.begin(), name.end(), [](char c) { return c == '+' || c == '#' || c == '\0'; });
}

bool is_valid_topic_filter(std::string_view filter) {
  if (filter.empty() || filter.size() > kMaxTopicSize) return false;
  for (std::size_t i = 0; i < filter.size(); ++i) {
    const char c = filter[i];
    if (c == '\0') return false;
    if (c != '+' && c != '#') continue;
    const bool starts_level = i == 0 || filter[i - 1] == '/';
    const bool is_last = i + 1 == filter.size();
    if (!starts_level) return false;
    if (!is_last && (c == '#' || filter[i + 1] != '/')) return false;
  }
  return true;
}

bool has_wildcard(std::string_view filter) {
  return filter.find_first_of("+#") != std::string_view::npos;
}

std::optional<SubscribedFilter> parse_subscribed_filter(std::string_view text) {
  SubscribedFilter out{{}, text};
  if (text.starts_with(kSharePrefix)) {
    if (text.size() > kMaxTopicSize) return std::nullopt;
    const Level name = first_level(text.substr(kSharePrefix.size()));
    if (name.text.empty() || !name.more || has_wildcard(name.text)) return std::nullopt;
    out = {name.text, name.rest};
  }
  if (!is_valid_topic_filter(out.filter)) return std::nullopt;
  return out;
}

bool matches(std::string_view filter, std::string_view topic) {
  if (topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'))) return false;
  for (;;) {
    const Level wanted = first_level(filter);
    if (wanted.text == "#") return true;
    const Level given = first_level(topic);
    if (wanted.text != "+" && wanted.text != given.text) return false;
    if (!given.more) return !wanted.more || wanted.rest == "#";  // `#` also matches the parent level
    if (!wanted.more) return false;
    filter = wanted.rest;
    topic = given.rest;
  }
}

}  // namespace stele::mqtt
