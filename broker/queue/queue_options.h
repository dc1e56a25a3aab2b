// What a queue is asked to be: the arguments of queue.declare, the policy and the operator policy that apply
// to it, and what follows from them together. Names, checks and texts are RabbitMQ's (3.10:
// rabbit_amqqueue.erl, rabbit_policies.erl, rabbit_misc.erl; 3.12 for x-consumer-timeout). Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/wire.h"
#include "broker/queue/arguments.h"

namespace stele::broker::queue {

enum class QueueType : std::uint8_t { kClassic = 0, kQuorum = 1, kStream = 2 };
enum class Overflow : std::uint8_t { kDropHead = 0, kRejectPublish = 1, kRejectPublishDlx = 2 };
enum class DeadLetterStrategy : std::uint8_t { kAtMostOnce = 0, kAtLeastOnce = 1 };

// One source of settings: the arguments, or a policy. What is not set leaves the word to the others.
struct QueueSettings {
  std::optional<std::int64_t> message_ttl_ms;     // 0..2^32-1
  std::optional<std::int64_t> expires_ms;         // 1..2^32-1: of an unused queue
  std::optional<std::uint64_t> max_length;        // ready messages
  std::optional<std::uint64_t> max_length_bytes;  // of their bodies
  std::optional<std::uint32_t> delivery_limit;    // failed deliveries
  std::optional<std::int64_t> consumer_timeout_ms;
  std::optional<Overflow> overflow;
  std::optional<std::string> dead_letter_exchange;
  std::optional<std::string> dead_letter_key;
  std::optional<DeadLetterStrategy> dead_letter_strategy;
  friend bool operator==(const QueueSettings&, const QueueSettings&) = default;
};

// What only arguments can say.
struct DeclaredQueue {
  QueueType type = QueueType::kClassic;
  QueueSettings settings;
  std::optional<std::uint8_t> max_priority;  // levels 0..max_priority
  bool single_active_consumer = false;
  std::optional<std::int64_t> max_age_ms;  // of a stream's messages
  friend bool operator==(const DeclaredQueue&, const DeclaredQueue&) = default;
};

// A queue as it runs.
struct QueueOptions {
  std::optional<std::int64_t> message_ttl_ms;
  std::optional<std::int64_t> expires_ms;
  std::optional<std::uint64_t> max_length;
  std::optional<std::uint64_t> max_length_bytes;
  std::optional<std::uint32_t> delivery_limit;
  std::optional<std::int64_t> consumer_timeout_ms;  // none: the node's; 0: none at all
  Overflow overflow = Overflow::kDropHead;
  std::optional<std::string> dead_letter_exchange;
  std::optional<std::string> dead_letter_key;  // none: the message's own keys
  DeadLetterStrategy dead_letter_strategy = DeadLetterStrategy::kAtMostOnce;
  std::optional<std::uint8_t> max_priority;
  bool single_active_consumer = false;
  QueueType type = QueueType::kClassic;
  // At most once: past this many that wait to be forwarded the oldest is lost.
  std::uint64_t dead_letters_max = 1'000'000;
  friend bool operator==(const QueueOptions&, const QueueOptions&) = default;

  // Only with reject-publish, as in RabbitMQ: else what a full queue drops could not be kept anywhere.
  bool at_least_once() const {
    return dead_letter_exchange && dead_letter_strategy == DeadLetterStrategy::kAtLeastOnce &&
           overflow == Overflow::kRejectPublish;
  }
};

// Errors are the text of PRECONDITION_FAILED (406), without that word.
template <class T>
using Declared = std::expected<T, std::string>;

// `queue`: as errors name it, "queue 'q' in vhost '/'". Arguments that are not known are ignored, as they are
// in RabbitMQ.
Declared<DeclaredQueue> parse_arguments(Arguments arguments, std::string_view queue);

// Declared again: whether the arguments say the same.
Declared<void> check_equivalent(Arguments current, Arguments received, std::string_view queue);
// `name`: durable, auto_delete, exclusive.
Declared<void> check_equivalent(std::string_view name, bool current, bool received, std::string_view queue);

// A policy's definition; of an operator's, only limits. Keys that are not known are an error.
enum class PolicyKind : std::uint8_t { kUser, kOperator };
Declared<QueueSettings> parse_policy(Arguments definition, PolicyKind kind);

// All together: of numbers the smallest, else the argument before the policy.
QueueOptions effective_options(const DeclaredQueue& declared, const QueueSettings& policy,
                               const QueueSettings& operator_policy);

void encode_options(Writer& writer, const QueueOptions& options);
// The reader has failed if there are none.
QueueOptions decode_options(Reader& reader);

}  // namespace stele::broker::queue
