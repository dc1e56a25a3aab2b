// Arguments and policies of queues, with the words of RabbitMQ's errors.
#include "broker/queue/queue_options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace stele::broker::queue {
namespace {

constexpr std::string_view kQueue = "queue 'q' in vhost '/'";

Argument number(std::string_view name, std::int64_t value, ArgumentType type = ArgumentType::kSignedInt) {
  return {name, type, value};
}
Argument text(std::string_view name, std::string_view value) {
  return {name, ArgumentType::kLongString, value};
}
Argument truth(std::string_view name, bool value) {
  return {name, ArgumentType::kBool, value};
}

DeclaredQueue parsed(const std::vector<Argument>& arguments) {
  auto declared = parse_arguments(arguments, kQueue);
  EXPECT_TRUE(declared.has_value()) << declared.error();
  return declared.value_or(DeclaredQueue());
}
std::string wrong(const std::vector<Argument>& arguments) {
  const auto declared = parse_arguments(arguments, kQueue);
  return declared ? "" : declared.error();
}

TEST(QueueOptions, TakesAllArguments) {
  const DeclaredQueue declared = parsed(
      {number("x-message-ttl", 60000), number("x-expires", 1),
       number("x-max-length", 10, ArgumentType::kLong), number("x-max-length-bytes", 0, ArgumentType::kByte),
       text("x-overflow", "reject-publish"), text("x-dead-letter-exchange", "dlx"),
       text("x-dead-letter-routing-key", "key"), text("x-dead-letter-strategy", "at-least-once"),
       number("x-max-priority", 255), truth("x-single-active-consumer", true), number("x-delivery-limit", 3),
       text("x-queue-type", "quorum"), text("x-queue-mode", "lazy"), number("x-queue-version", 2),
       number("x-consumer-timeout", 5000), number("x-quorum-initial-group-size", 3),
       text("x-queue-leader-locator", "client-local"), number("x-max-in-memory-length", 3),
       text("x-of-somebody", "else")});
  DeclaredQueue expected;
  expected.type = QueueType::kQuorum;
  expected.settings.message_ttl_ms = 60000;
  expected.settings.expires_ms = 1;
  expected.settings.max_length = 10;
  expected.settings.max_length_bytes = 0;
  expected.settings.overflow = Overflow::kRejectPublish;
  expected.settings.dead_letter_exchange = "dlx";
  expected.settings.dead_letter_key = "key";
  expected.settings.dead_letter_strategy = DeadLetterStrategy::kAtLeastOnce;
  expected.settings.delivery_limit = 3;
  expected.settings.consumer_timeout_ms = 5000;
  expected.max_priority = 255;
  expected.single_active_consumer = true;
  EXPECT_EQ(declared, expected);
  EXPECT_TRUE(effective_options(declared, {}, {}).at_least_once());
  EXPECT_EQ(parsed({}), DeclaredQueue());
}

TEST(QueueOptions, SaysWhatIsWrongAsRabbitMqDoes) {
  const std::string for_queue = " for queue 'q' in vhost '/': ";
  const auto invalid = [&](std::string_view name, std::string_view why) {
    return "invalid arg '" + std::string(name) + "'" + for_queue + std::string(why);
  };
  EXPECT_EQ(wrong({number("x-message-ttl", -1)}), invalid("x-message-ttl", "{value_negative,-1}"));
  EXPECT_EQ(wrong({number("x-message-ttl", 4'294'967'296, ArgumentType::kLong)}),
            invalid("x-message-ttl", "{value_too_big,4294967296}"));
  EXPECT_EQ(wrong({text("x-message-ttl", "1")}),
            invalid("x-message-ttl", "\"expected integer, got longstr\""));
  EXPECT_EQ(wrong({number("x-expires", 0)}), invalid("x-expires", "{value_zero,0}"));
  EXPECT_EQ(wrong({number("x-expires", -5)}), invalid("x-expires", "{value_negative,-5}"));
  EXPECT_EQ(wrong({number("x-max-length", -1)}), invalid("x-max-length", "{value_negative,-1}"));
  EXPECT_EQ(wrong({number("x-max-priority", 256)}), invalid("x-max-priority", "{max_value_exceeded,256}"));
  EXPECT_EQ(wrong({text("x-overflow", "drop")}), invalid("x-overflow", "invalid_overflow"));
  EXPECT_EQ(wrong({number("x-overflow", 1)}), invalid("x-overflow", "{unacceptable_type,signedint}"));
  EXPECT_EQ(wrong({number("x-dead-letter-exchange", 1)}),
            invalid("x-dead-letter-exchange", "{unacceptable_type,signedint}"));
  EXPECT_EQ(wrong({text("x-dead-letter-routing-key", "k")}),
            invalid("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined"));
  EXPECT_EQ(wrong({text("x-queue-type", "fifo")}),
            invalid("x-queue-type", "\"unsupported queue type 'fifo'\""));
  EXPECT_EQ(wrong({text("x-queue-mode", "eager")}),
            invalid("x-queue-mode", "\"unsupported queue mode 'eager'\""));
  EXPECT_EQ(wrong({number("x-single-active-consumer", 1)}),
            invalid("x-single-active-consumer", "{unacceptable_type,signedint}"));
  EXPECT_EQ(wrong({text("x-max-age", "7")}), invalid("x-max-age", "invalid_max_age"));
  // The first in RabbitMQ's order, not in the client's.
  EXPECT_EQ(wrong({text("x-overflow", "?"), number("x-expires", 0)}), invalid("x-expires", "{value_zero,0}"));
}

TEST(QueueOptions, ADeliveryLimitBelowZeroIsNone) {  // RabbitMQ 4: "unlimited"
  EXPECT_FALSE(parsed({number("x-delivery-limit", -1)}).settings.delivery_limit);
  EXPECT_EQ(parsed({number("x-delivery-limit", 0)}).settings.delivery_limit, 0u);
  EXPECT_EQ(parsed({number("x-delivery-limit", INT64_MAX, ArgumentType::kLong)}).settings.delivery_limit,
            UINT32_MAX);
  EXPECT_FALSE(wrong({text("x-delivery-limit", "3")}).empty());
}

TEST(QueueOptions, AStreamHasOnlyItsOwn) {
  const DeclaredQueue declared =
      parsed({text("x-queue-type", "stream"), text("x-max-age", "7D"), number("x-max-length-bytes", 1000)});
  EXPECT_EQ(declared.type, QueueType::kStream);
  EXPECT_EQ(declared.max_age_ms, 7LL * 24 * 3600 * 1000);
  EXPECT_EQ(wrong({text("x-queue-type", "stream"), number("x-message-ttl", 1)}),
            "invalid arg 'x-message-ttl' for queue 'q' in vhost '/' of queue type rabbit_stream_queue");
  EXPECT_EQ(parsed({text("x-max-age", "2Y")}).max_age_ms, 2LL * 365 * 24 * 3600 * 1000);
  EXPECT_EQ(parsed({text("x-max-age", "999999999999Y")}).max_age_ms, INT64_MAX);
  EXPECT_FALSE(wrong({text("x-max-age", "1234567890123s")}).empty());
}

// ---- declared again

std::string different(const std::vector<Argument>& current, const std::vector<Argument>& received) {
  const auto same = check_equivalent(current, received, kQueue);
  return same ? "" : same.error();
}

TEST(QueueOptions, ComparesValuesWhateverTheirWidth) {
  EXPECT_EQ(different({number("x-max-length", 5)}, {number("x-max-length", 5, ArgumentType::kLong)}), "");
  EXPECT_EQ(different({number("x-max-length", 5), truth("x-single-active-consumer", true)},
                      {truth("x-single-active-consumer", true), number("x-max-length", 5)}),
            "");
  EXPECT_EQ(different({text("x-mine", "a")}, {text("x-mine", "b")}), "");  // nobody knows what it means
  EXPECT_EQ(different({}, {text("x-queue-type", "classic")}), "");
  EXPECT_EQ(different({text("x-queue-type", "classic")}, {}), "");
}

TEST(QueueOptions, SaysWhatIsReceivedAndWhatIsCurrent) {
  const std::string begin = "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received ";
  EXPECT_EQ(different({number("x-message-ttl", 60000)}, {}),
            begin + "none but current is the value '60000' of type 'signedint'");
  EXPECT_EQ(different({}, {number("x-message-ttl", 1, ArgumentType::kLong)}),
            begin + "the value '1' of type 'long' but current is none");
  EXPECT_EQ(different({number("x-message-ttl", 1)}, {number("x-message-ttl", 2)}),
            begin + "'2' but current is '1'");
  EXPECT_EQ(different({}, {text("x-queue-type", "quorum")}),
            "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received the value 'quorum' of type "
            "'longstr' but current is none");
  EXPECT_TRUE(check_equivalent("durable", true, true, kQueue));
  EXPECT_EQ(check_equivalent("durable", true, false, kQueue).error(),
            "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'");
}

// ---- policies

TEST(QueueOptions, OfNumbersTheSmallestCounts) {
  const DeclaredQueue declared = parsed({number("x-message-ttl", 100), number("x-max-length", 5)});
  const auto policy = parse_policy(std::vector{number("message-ttl", 50), number("max-length", 10),
                                               number("delivery-limit", 7), number("max-length-bytes", 9)},
                                   PolicyKind::kUser);
  const auto over = parse_policy(std::vector{number("message-ttl", 70), number("delivery-limit", 3)},
                                 PolicyKind::kOperator);
  ASSERT_TRUE(policy && over);
  const QueueOptions options = effective_options(declared, *policy, *over);
  EXPECT_EQ(options.message_ttl_ms, 50);
  EXPECT_EQ(options.max_length, 5u);
  EXPECT_EQ(options.max_length_bytes, 9u);
  EXPECT_EQ(options.delivery_limit, 3u);
  EXPECT_FALSE(options.expires_ms);
}

TEST(QueueOptions, OfAllElseTheArgumentCounts) {
  const DeclaredQueue declared = parsed({text("x-dead-letter-exchange", "mine")});
  const auto policy =
      parse_policy(std::vector{text("dead-letter-exchange", "theirs"), text("dead-letter-routing-key", "key"),
                               text("overflow", "reject-publish-dlx"), number("consumer-timeout", 4)},
                   PolicyKind::kUser);
  ASSERT_TRUE(policy);
  const QueueOptions options = effective_options(declared, *policy, {});
  EXPECT_EQ(options.dead_letter_exchange, "mine");
  EXPECT_EQ(options.dead_letter_key, "key");
  EXPECT_EQ(options.overflow, Overflow::kRejectPublishDlx);
  EXPECT_EQ(options.consumer_timeout_ms, 4);
}

TEST(QueueOptions, APolicyIsChecked) {
  const auto error = [](const Argument& argument, PolicyKind kind = PolicyKind::kUser) {
    const auto policy = parse_policy(std::vector{argument}, kind);
    return policy ? "" : policy.error();
  };
  EXPECT_EQ(error(number("message-ttl", -1)), "-1 is not a valid message TTL");
  EXPECT_EQ(error(text("overflow", "drop")), "drop is not a valid overflow value");
  EXPECT_EQ(error(text("expires", "soon")), "soon is not a valid queue expiry");
  EXPECT_EQ(error(text("dead-letter-exchange", "x")), "");
  EXPECT_EQ(error(text("dead-letter-exchange", "x"), PolicyKind::kOperator),
            "[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings");
  EXPECT_EQ(error(number("max-length", 1), PolicyKind::kOperator), "");
  EXPECT_EQ(parse_policy(std::vector{text("foo", "bar"), number("max-length", 1), number("x", 2)},
                         PolicyKind::kUser)
                .error(),
            "[{<<\"foo\">>,<<\"bar\">>},{<<\"x\">>,2}] are not recognised policy settings");
  EXPECT_EQ(parse_policy({}, PolicyKind::kUser).error(), "no policy provided");
}

TEST(QueueOptions, AreInSnapshotsAsTheyAre) {
  QueueOptions options;
  options.max_length = UINT64_MAX;
  options.message_ttl_ms = 0;
  options.dead_letter_exchange = "";
  options.max_priority = 0;
  options.overflow = Overflow::kRejectPublishDlx;
  options.dead_letter_strategy = DeadLetterStrategy::kAtLeastOnce;
  options.dead_letters_max = 4;
  std::string bytes;
  Writer writer(bytes);
  encode_options(writer, options);
  Reader reader(bytes);
  EXPECT_EQ(decode_options(reader), options);
  EXPECT_TRUE(reader.ok() && reader.at_end());
  bytes[1] = '\x7f';
  Reader damaged(bytes);
  decode_options(damaged);
  EXPECT_TRUE(damaged.failed());
}

}  // namespace
}  // namespace stele::broker::queue
