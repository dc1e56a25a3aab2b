// What becomes of a message's headers when it is dead-lettered: x-death, x-first-death-*, x-last-death-*, and
// which queues it must not go to again. RabbitMQ's rules (3.10: rabbit_dead_letter.erl; x-last-death-* are
// 3.13's, mc.erl). In no protocol's encoding: whoever decodes x-death hands over its entries. Pure.
//
// An entry of x-death stands for a queue and a reason. The latest is first. The second death of the same kind
// counts the first one's entry up and moves it to the front; all else of it stays as it was then.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/queue/queue_values.h"

namespace stele::broker::queue {

// In x-death's words. Only of deaths.
std::string_view reason_text(Why why);

struct Death {
  // Not a table, so no entry of ours: a client has put it there. It stays where it is.
  bool foreign = false;
  std::string queue;
  std::string reason;
  std::string exchange;                   // to which it had been published
  std::vector<std::string> routing_keys;  // likewise, CC's behind the first
  std::int64_t time_s = 0;
  std::optional<std::int64_t> count;  // none: an entry of very old versions
  std::optional<std::string> original_expiration;
  // What else is in the entry, or all of a foreign one, as its protocol encodes it: carried along.
  std::string rest;
  friend bool operator==(const Death&, const Death&) = default;
};

struct DeathMark {  // x-first-death-*, x-last-death-*
  std::string reason;
  std::string queue;
  std::string exchange;
  friend bool operator==(const DeathMark&, const DeathMark&) = default;
};

// The part of a message's headers that deaths change.
struct DeathHeaders {
  enum class XDeath : std::uint8_t { kNone, kArray, kOther };  // kOther: a header of another type
  XDeath x_death = XDeath::kNone;
  std::vector<Death> deaths;
  std::optional<DeathMark> first;
  std::optional<DeathMark> last;
  friend bool operator==(const DeathHeaders&, const DeathHeaders&) = default;
};

// A message that dies, as it was published.
struct Dying {
  std::string_view queue;  // in which it dies
  Why why = Why::kExpired;
  WallTime now;                                // the time of the entry that removed it
  std::string_view exchange;                   // where it had been published to
  std::string_view routing_key;                // likewise
  std::span<const std::string> cc;             // its CC header
  std::span<const std::string> bcc;            // and what BCC had, which no header shows any more
  std::optional<std::string_view> expiration;  // its property
};

struct Burial {
  DeathHeaders headers;
  std::vector<std::string> routing_keys;  // to publish it with
  bool drop_cc = false;                   // the CC header goes
  // The expiration property goes always: a dead letter does not expire again by its own TTL.
};

// `dead_letter_key`: the queue's, if it has one.
Burial bury(const DeathHeaders& before, const Dying& dying, std::optional<std::string_view> dead_letter_key);

// Whether the message, with these deaths, has been in that queue before and came back without anybody having
// rejected it: then it does not go there again. A message that was just rejected goes anywhere.
bool is_death_cycle(std::span<const Death> deaths, Why why, std::string_view queue);

}  // namespace stele::broker::queue
