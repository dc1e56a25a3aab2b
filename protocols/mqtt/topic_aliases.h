// Topic aliases of one connection, one class per direction (section 3.3.2.3.4 of MQTT 5.0). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stele::mqtt {

// What the client's aliases stand for. Bounded by the maximum that it was told.
class ReceivedAliases {
 public:
  explicit ReceivedAliases(std::uint16_t max) : max_(max) {}
  // Within the maximum, and not 0 [MQTT-3.3.2-8], [MQTT-3.3.2-9].
  bool is_valid(std::uint16_t alias) const { return alias != 0 && alias <= max_; }
  // A valid alias, with a topic: stands for it from now on. Without: gives what it stands for, valid until it
  // stands for something else; none if that is nothing.
  std::optional<std::string_view> resolve(std::uint16_t alias, std::string_view topic);

 private:
  const std::uint16_t max_;
  std::vector<std::string> topics_;  // by alias, from 1 on; empty: none
};

// Aliases for topics that are sent to the client: the ones used last keep theirs.
class SentAliases {
 public:
  explicit SentAliases(std::uint16_t max) : max_(max) {}
  struct Choice {
    std::uint16_t alias = 0;  // 0: the topic is sent without
    bool known = false;       // the client knows what it stands for: the topic is left out
  };
  Choice choose(std::string_view topic) const;
  // The packet with that choice is on its way.
  void sent(Choice choice, std::string_view topic);

 private:
  // An alias takes three bytes of a packet.
  static constexpr std::size_t kWorthwhile = 4;
  struct Used {
    std::string topic;
    std::uint64_t at = 0;
  };
  const std::uint16_t max_;
  std::vector<Used> used_;  // by alias, from 1 on
  std::uint64_t now_ = 0;
};

}  // namespace stele::mqtt
