#include "protocols/mqtt/topic_aliases.h"

#include <algorithm>

#include "base/assert.h"

namespace stele::mqtt {

std::optional<std::string_view> ReceivedAliases::resolve(std::uint16_t alias, std::string_view topic) {
  STELE_ASSERT(is_valid(alias));
  if (topics_.size() < alias) {
    if (topic.empty()) return std::nullopt;
    topics_.resize(alias);
  }
  std::string& meant = topics_[alias - 1u];
  if (!topic.empty()) meant = topic;
  if (meant.empty()) return std::nullopt;
  return meant;
}

SentAliases::Choice SentAliases::choose(std::string_view topic) const {
  if (topic.size() < kWorthwhile || max_ == 0) return {};
  std::size_t oldest = 0;
  for (std::size_t i = 0; i < used_.size(); ++i) {
    if (used_[i].topic == topic) return {static_cast<std::uint16_t>(i + 1), true};
    if (used_[i].at < used_[oldest].at) oldest = i;
  }
  if (used_.size() < max_) oldest = used_.size();
  return {static_cast<std::uint16_t>(oldest + 1), false};
}

void SentAliases::sent(Choice choice, std::string_view topic) {
  if (choice.alias == 0) return;
  if (choice.alias > used_.size()) used_.emplace_back();
  Used& used = used_[choice.alias - 1u];
  if (!choice.known) used.topic = topic;
  used.at = ++now_;
}

}  // namespace stele::mqtt
