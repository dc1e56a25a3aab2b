#include "broker/queue/queue_options.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>

namespace stele::broker::queue {

namespace {

constexpr std::int64_t kMaxTimer = 4'294'967'295;  // RabbitMQ's MAX_EXPIRY_TIMER
constexpr std::int64_t kMaxPriority = 255;

// A check gives nothing, or what is wrong as Erlang would print it.
using Wrong = std::optional<std::string>;
using Check = Wrong (*)(const Argument&, Arguments);

std::string tuple(std::string_view what, std::string_view value) {
  return "{" + std::string(what) + "," + std::string(value) + "}";
}
std::string quoted(std::string text) {
  return "\"" + std::move(text) + "\"";
}
std::string unacceptable(const Argument& argument) {
  return tuple("unacceptable_type", to_string(argument.type));
}

Wrong check_integer(const Argument& argument, Arguments /*all*/) {
  if (argument.integer()) return std::nullopt;
  return quoted("expected integer, got " + std::string(to_string(argument.type)));
}

Wrong check_not_negative(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_integer(argument, all)) return wrong;
  if (*argument.integer() < 0) return tuple("value_negative", value_text(argument));
  return std::nullopt;
}

Wrong check_ttl(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_not_negative(argument, all)) return wrong;
  if (*argument.integer() > kMaxTimer) return tuple("value_too_big", value_text(argument));
  return std::nullopt;
}

Wrong check_positive(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_integer(argument, all)) return wrong;
  if (*argument.integer() == 0) return tuple("value_zero", "0");
  return check_not_negative(argument, all);
}

Wrong check_expires(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_positive(argument, all)) return wrong;
  return check_ttl(argument, all);
}

Wrong check_max_priority(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_not_negative(argument, all)) return wrong;
  if (*argument.integer() > kMaxPriority) return tuple("max_value_exceeded", value_text(argument));
  return std::nullopt;
}

Wrong check_bool(const Argument& argument, Arguments /*all*/) {
  if (argument.boolean()) return std::nullopt;
  return unacceptable(argument);
}

Wrong check_text(const Argument& argument, Arguments /*all*/) {
  if (argument.text()) return std::nullopt;
  return unacceptable(argument);
}

Wrong check_dead_letter_key(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_text(argument, all)) return wrong;
  if (!find_argument(all, "x-dead-letter-exchange")) return "routing_key_but_no_dlx_defined";
  return std::nullopt;
}

std::optional<Overflow> overflow_of(std::string_view text) {
  if (text == "drop-head") return Overflow::kDropHead;
  if (text == "reject-publish") return Overflow::kRejectPublish;
  if (text == "reject-publish-dlx") return Overflow::kRejectPublishDlx;
  return std::nullopt;
}

std::optional<DeadLetterStrategy> strategy_of(std::string_view text) {
  if (text == "at-most-once") return DeadLetterStrategy::kAtMostOnce;
  if (text == "at-least-once") return DeadLetterStrategy::kAtLeastOnce;
  return std::nullopt;
}

std::optional<QueueType> type_of(std::string_view text) {
  if (text == "classic") return QueueType::kClassic;
  if (text == "quorum") return QueueType::kQuorum;
  if (text == "stream") return QueueType::kStream;
  return std::nullopt;
}

Wrong check_overflow(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_text(argument, all)) return wrong;
  return overflow_of(*argument.text()) ? Wrong() : "invalid_overflow";
}

Wrong check_strategy(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_text(argument, all)) return wrong;
  return strategy_of(*argument.text()) ? Wrong() : "invalid_dlx_strategy";
}

Wrong check_type(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_text(argument, all)) return wrong;
  if (type_of(*argument.text())) return std::nullopt;
  return quoted("unsupported queue type '" + std::string(*argument.text()) + "'");
}

// Both mean the same here: no queue keeps its messages in memory.
Wrong check_mode(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_text(argument, all)) return wrong;
  if (*argument.text() == "default" || *argument.text() == "lazy") return std::nullopt;
  return quoted("unsupported queue mode '" + std::string(*argument.text()) + "'");
}

Wrong check_version(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_not_negative(argument, all)) return wrong;
  if (*argument.integer() == 1 || *argument.integer() == 2) return std::nullopt;
  return quoted("unsupported queue version " + value_text(argument));
}

Wrong check_locator(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_text(argument, all)) return wrong;
  constexpr std::array<std::string_view, 5> kKnown = {"client-local", "random", "least-leaders", "balanced",
                                                      "min-masters"};
  return std::ranges::find(kKnown, *argument.text()) != kKnown.end() ? Wrong() : "invalid_queue_locator_arg";
}

// Digits and one of Y M D h m s.
std::optional<std::int64_t> age_ms(std::string_view text) {
  constexpr std::int64_t kSecond = 1000, kHour = 3600 * kSecond, kDay = 24 * kHour;
  constexpr std::size_t kMaxDigits = 12;
  std::int64_t number = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    if (digits == kMaxDigits) return std::nullopt;
    number = number * 10 + (text[digits] - '0');
  }
  if (number == 0 || text.size() != digits + 1) return std::nullopt;
  constexpr std::array<std::pair<char, std::int64_t>, 6> kUnits = {
      {{'Y', 365 * kDay}, {'M', 30 * kDay}, {'D', kDay}, {'h', kHour}, {'m', 60 * kSecond}, {'s', kSecond}}};
  const auto unit = std::ranges::find(kUnits, text[digits], &std::pair<char, std::int64_t>::first);
  if (unit == kUnits.end()) return std::nullopt;
  return number <= INT64_MAX / unit->second ? number * unit->second : INT64_MAX;
}

Wrong check_max_age(const Argument& argument, Arguments all) {
  if (Wrong wrong = check_text(argument, all)) return wrong;
  return age_ms(*argument.text()) ? Wrong() : "invalid_max_age";
}

struct Known {
  std::string_view name;
  Check check;
  bool for_streams = false;  // means something to them; what does not is an error there
};

// In the order in which RabbitMQ looks at them. Where replicas lie is the cluster's own affair, and how much
// of a queue is in memory not a question, so these arguments are checked and have nothing to decide.
constexpr std::array kKnown = {
    Known{"x-expires", check_expires},
    Known{"x-message-ttl", check_ttl},
    Known{"x-dead-letter-exchange", check_text},
    Known{"x-dead-letter-routing-key", check_dead_letter_key},
    Known{"x-dead-letter-strategy", check_strategy},
    Known{"x-max-length", check_not_negative},
    Known{"x-max-length-bytes", check_not_negative, true},
    Known{"x-max-in-memory-length", check_not_negative},
    Known{"x-max-in-memory-bytes", check_not_negative},
    Known{"x-max-priority", check_max_priority},
    Known{"x-overflow", check_overflow},
    Known{"x-queue-mode", check_mode},
    Known{"x-queue-version", check_version},
    Known{"x-single-active-consumer", check_bool},
    Known{"x-queue-type", check_type, true},
    Known{"x-quorum-initial-group-size", check_positive},
    Known{"x-max-age", check_max_age, true},
    Known{"x-stream-max-segment-size-bytes", check_not_negative, true},
    Known{"x-initial-cluster-size", check_positive, true},
    Known{"x-queue-leader-locator", check_locator, true},
    Known{"x-queue-master-locator", check_locator},
    Known{"x-delivery-limit", check_integer},
    Known{"x-consumer-timeout", check_not_negative},
};

std::unexpected<std::string> invalid(std::string_view name, std::string_view queue, std::string_view why) {
  return std::unexpected("invalid arg '" + std::string(name) + "' for " + std::string(queue) + ": " +
                         std::string(why));
}

std::optional<std::int64_t> integer_of(Arguments arguments, std::string_view name) {
  const Argument* found = find_argument(arguments, name);
  return found ? found->integer() : std::nullopt;
}
std::optional<std::uint64_t> limit_of(Arguments arguments, std::string_view name) {
  const auto number = integer_of(arguments, name);
  if (!number) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}
std::optional<std::string_view> text_of(Arguments arguments, std::string_view name) {
  const Argument* found = find_argument(arguments, name);
  return found ? found->text() : std::nullopt;
}
std::optional<std::string> string_of(Arguments arguments, std::string_view name) {
  const auto text = text_of(arguments, name);
  if (!text) return std::nullopt;
  return std::string(*text);
}

// `prefix`: "x-" for arguments, nothing for policies.
QueueSettings settings_of(Arguments arguments, const std::string& prefix) {
  QueueSettings settings;
  settings.message_ttl_ms = integer_of(arguments, prefix + "message-ttl");
  settings.expires_ms = integer_of(arguments, prefix + "expires");
  settings.max_length = limit_of(arguments, prefix + "max-length");
  settings.max_length_bytes = limit_of(arguments, prefix + "max-length-bytes");
  // Below 0 there is none, as in RabbitMQ 4.
  if (const auto limit = integer_of(arguments, prefix + "delivery-limit"); limit && *limit >= 0) {
    settings.delivery_limit = static_cast<std::uint32_t>(std::min<std::int64_t>(*limit, UINT32_MAX));
  }
  settings.consumer_timeout_ms = integer_of(arguments, prefix + "consumer-timeout");
  if (const auto text = text_of(arguments, prefix + "overflow")) settings.overflow = overflow_of(*text);
  settings.dead_letter_exchange = string_of(arguments, prefix + "dead-letter-exchange");
  settings.dead_letter_key = string_of(arguments, prefix + "dead-letter-routing-key");
  if (const auto text = text_of(arguments, prefix + "dead-letter-strategy")) {
    settings.dead_letter_strategy = strategy_of(*text);
  }
  return settings;
}

}  // namespace

// ---- queue.declare --------------------------------------------------------------------------------------

Declared<DeclaredQueue> parse_arguments(Arguments arguments, std::string_view queue) {
  for (const Known& known : kKnown) {
    const Argument* argument = find_argument(arguments, known.name);
    if (!argument) continue;
    if (const Wrong wrong = known.check(*argument, arguments)) return invalid(known.name, queue, *wrong);
  }
  DeclaredQueue declared;
  if (const auto type = text_of(arguments, "x-queue-type")) declared.type = *type_of(*type);
  if (declared.type == QueueType::kStream) {
    for (const Known& known : kKnown) {
      if (known.for_streams || !find_argument(arguments, known.name)) continue;
      return std::unexpected("invalid arg '" + std::string(known.name) + "' for " + std::string(queue) +
                             " of queue type rabbit_stream_queue");
    }
  }
  declared.settings = settings_of(arguments, "x-");
  if (const auto levels = integer_of(arguments, "x-max-priority")) {
    declared.max_priority = static_cast<std::uint8_t>(*levels);
  }
  if (const Argument* single = find_argument(arguments, "x-single-active-consumer")) {
    declared.single_active_consumer = *single->boolean();
  }
  if (const auto age = text_of(arguments, "x-max-age")) declared.max_age_ms = age_ms(*age);
  return declared;
}

namespace {

// With what is not there on the other side, RabbitMQ names the type; else only the values.
std::string shown(const Argument* argument, bool with_type) {
  if (!argument) return "none";
  if (!with_type) return "'" + value_text(*argument) + "'";
  return "the value '" + value_text(*argument) + "' of type '" + std::string(to_string(argument->type)) + "'";
}

std::unexpected<std::string> inequivalent(std::string_view name, std::string_view queue,
                                          std::string_view received, std::string_view current) {
  return std::unexpected("inequivalent arg '" + std::string(name) + "' for " + std::string(queue) +
                         ": received " + std::string(received) + " but current is " + std::string(current));
}

}  // namespace

Declared<void> check_equivalent(Arguments current, Arguments received, std::string_view queue) {
  for (const Known& known : kKnown) {
    const Argument* before = find_argument(current, known.name);
    const Argument* now = find_argument(received, known.name);
    if (!before && !now) continue;
    if (before && now && same_argument(*before, *now)) continue;
    // A classic queue need not say that it is one.
    const Argument* only = before ? before : now;
    if (known.name == "x-queue-type" && (!before || !now) && only->text() == "classic") continue;
    const bool with_type = !before || !now;
    return inequivalent(known.name, queue, shown(now, with_type), shown(before, with_type));
  }
  return {};
}

Declared<void> check_equivalent(std::string_view name, bool current, bool received, std::string_view queue) {
  if (current == received) return {};
  return inequivalent(name, queue, received ? "'true'" : "'false'", current ? "'true'" : "'false'");
}

// ---- policies -------------------------------------------------------------------------------------------

namespace {

struct PolicyKey {
  std::string_view name;
  Check check;
  std::string_view what;  // as the error has it
  bool for_operators = false;
};

constexpr std::array kPolicyKeys = {
    PolicyKey{"dead-letter-exchange", check_text, "dead letter exchange name"},
    PolicyKey{"dead-letter-routing-key", check_text, "dead letter routing key"},
    PolicyKey{"dead-letter-strategy", check_strategy, "dead letter strategy"},
    PolicyKey{"message-ttl", check_ttl, "message TTL", true},
    PolicyKey{"expires", check_expires, "queue expiry", true},
    PolicyKey{"max-length", check_not_negative, "maximum length", true},
    PolicyKey{"max-length-bytes", check_not_negative, "maximum length in bytes", true},
    PolicyKey{"max-in-memory-length", check_not_negative, "maximum memory in bytes", true},
    PolicyKey{"max-in-memory-bytes", check_not_negative, "maximum memory in bytes", true},
    PolicyKey{"queue-mode", check_mode, "queue-mode value"},
    PolicyKey{"queue-version", check_version, "queue version"},
    PolicyKey{"overflow", check_overflow, "overflow value"},
    PolicyKey{"delivery-limit", check_integer, "delivery limit", true},
    PolicyKey{"consumer-timeout", check_not_negative, "consumer timeout"},
    PolicyKey{"queue-leader-locator", check_locator, "queue leader locator value"},
    PolicyKey{"queue-master-locator", check_locator, "queue master locator value"},
};

}  // namespace

Declared<QueueSettings> parse_policy(Arguments definition, PolicyKind kind) {
  if (definition.empty()) return std::unexpected("no policy provided");
  std::string unknown;
  for (const Argument& entry : definition) {
    const auto known = std::ranges::find(kPolicyKeys, entry.name, &PolicyKey::name);
    if (known == kPolicyKeys.end() || (kind == PolicyKind::kOperator && !known->for_operators)) {
      const std::string value = value_text(entry);
      unknown += unknown.empty() ? "" : ",";
      unknown +=
          tuple("<<\"" + std::string(entry.name) + "\">>", entry.text() ? "<<\"" + value + "\">>" : value);
    } else if (known->check(entry, definition)) {
      return std::unexpected(value_text(entry) + " is not a valid " + std::string(known->what));
    }
  }
  if (!unknown.empty()) return std::unexpected("[" + unknown + "] are not recognised policy settings");
  return settings_of(definition, "");
}

namespace {

template <class T>
std::optional<T> smallest(const std::optional<T>& a, const std::optional<T>& b, const std::optional<T>& c) {
  std::optional<T> found;
  for (const std::optional<T>& one : {a, b, c}) {
    if (one) found = found ? std::min(*found, *one) : *one;
  }
  return found;
}

template <class T>
std::optional<T> first_of(const std::optional<T>& a, const std::optional<T>& b) {
  return a ? a : b;
}

}  // namespace

QueueOptions effective_options(const DeclaredQueue& declared, const QueueSettings& policy,
                               const QueueSettings& operator_policy) {
  const QueueSettings& own = declared.settings;
  const auto least = [&](auto member) {
    return smallest(own.*member, policy.*member, operator_policy.*member);
  };
  QueueOptions options;
  options.message_ttl_ms = least(&QueueSettings::message_ttl_ms);
  options.expires_ms = least(&QueueSettings::expires_ms);
  options.max_length = least(&QueueSettings::max_length);
  options.max_length_bytes = least(&QueueSettings::max_length_bytes);
  options.delivery_limit = least(&QueueSettings::delivery_limit);
  options.consumer_timeout_ms = first_of(own.consumer_timeout_ms, policy.consumer_timeout_ms);
  options.overflow = first_of(own.overflow, policy.overflow).value_or(Overflow::kDropHead);
  options.dead_letter_exchange = first_of(own.dead_letter_exchange, policy.dead_letter_exchange);
  options.dead_letter_key = first_of(own.dead_letter_key, policy.dead_letter_key);
  options.dead_letter_strategy = first_of(own.dead_letter_strategy, policy.dead_letter_strategy)
                                     .value_or(DeadLetterStrategy::kAtMostOnce);
  options.max_priority = declared.max_priority;
  options.single_active_consumer = declared.single_active_consumer;
  options.type = declared.type;
  return options;
}

}  // namespace stele::broker::queue
