#include "protocols/kafka/codec.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <type_traits>
#include <vector>

#include "protocols/kafka/all_messages.h"
#include "protocols/kafka/message_generator.h"

namespace stele::kafka {
namespace {

template <class Message>
Result<void> append_message(std::string& out, std::int16_t version, const Message& message) {
  if constexpr (Message::kIsRequest) {
    return append_request(out, 7, version, "test", message);
  } else {
    return append_response(out, 7, version, message);
  }
}

// The body of the one frame in `wire`.
template <class Message>
std::string_view body_of(std::string_view wire, std::int16_t version) {
  auto frame = next_frame(wire, wire.size());
  RC_ASSERT(frame && *frame);
  RC_ASSERT((*frame)->size() + kLengthBytes == wire.size());
  if constexpr (Message::kIsRequest) {
    auto request = parse_request(**frame);
    RC_ASSERT(request.has_value());
    RC_ASSERT(request->header.api_key == static_cast<std::int16_t>(Message::kApi));
    RC_ASSERT(request->header.version == version);
    RC_ASSERT(request->header.correlation_id == 7);
    RC_ASSERT(request->header.client_id == "test");
    return request->body;
  } else {
    auto response = parse_response(**frame, Message::kApi, version);
    RC_ASSERT(response.has_value());
    RC_ASSERT(response->correlation_id == 7);
    return response->body;
  }
}

std::string join(const std::vector<Bytes>& slices) {
  std::string all;
  for (const Bytes& slice : slices) all.append(slice.view());
  return all;
}

// Runs check(message, version) for arbitrary messages of every type in every version.
template <class Check>
void for_arbitrary_messages(Check check) {
  for_each_message([&]<class Message>(std::type_identity<Message>) {
    const ApiInfo& api = api_info(Message::kApi);
    for (std::int16_t version = api.min_version; version <= api.max_version; ++version) {
      std::string name = std::string(api.name) + (Message::kIsRequest ? " request v" : " response v");
      EXPECT_TRUE(rc::check(name + std::to_string(version), [&] {
        auto entropy = *rc::gen::resize(400, rc::gen::arbitrary<std::string>());
        MessageGenerator generator(entropy);
        Message message;
        walk(message, version, generator);
        check(message, version);
      }));
    }
  });
}

TEST(KafkaCodec, DecodesWhatItEncoded) {
  for_arbitrary_messages([]<class Message>(const Message& message, std::int16_t version) {
    std::string wire;
    RC_ASSERT(append_message(wire, version, message).has_value());
    auto decoded = decode<Message>(body_of<Message>(wire, version), version);
    if (!decoded) RC_FAIL(decoded.error().to_string());
    RC_ASSERT(*decoded == message);
  });
}

TEST(KafkaCodec, RefusesEveryTruncatedMessage) {
  for_arbitrary_messages([]<class Message>(const Message& message, std::int16_t version) {
    std::string wire;
    RC_ASSERT(append_message(wire, version, message).has_value());
    std::string_view body = body_of<Message>(wire, version);
    for (std::size_t size = 0; size < body.size(); ++size) {
      // A buffer of its own, so that the address sanitizer sees each byte read too much.
      std::vector<char> prefix(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size));
      auto decoded = decode<Message>({prefix.data(), prefix.size()}, version);
      if (decoded || decoded.error().code != ErrorCode::kMalformed)
        RC_FAIL("prefix of " + std::to_string(size));
    }
  });
}

TEST(KafkaCodec, RefusesBytesAfterTheMessage) {
  for_arbitrary_messages([]<class Message>(const Message& message, std::int16_t version) {
    std::string wire;
    RC_ASSERT(append_message(wire, version, message).has_value());
    std::string body(body_of<Message>(wire, version));
    body.push_back('\0');
    RC_ASSERT(!decode<Message>(body, version));
  });
}

TEST(KafkaCodec, SlicesOfAResponseAreTheResponse) {
  for_arbitrary_messages([]<class Message>(const Message& message, std::int16_t version) {
    if constexpr (!Message::kIsRequest) {
      std::string wire;
      RC_ASSERT(append_response(wire, 7, version, message).has_value());
      auto slices = response_slices(7, version, message);
      RC_ASSERT(slices.has_value());
      RC_ASSERT(join(*slices) == wire);
    }
  });
}

FetchResponse response_with_records(std::vector<Bytes> slices) {
  FetchResponse response;
  response.topics.emplace_back().topic = "orders";
  response.topics[0].partitions.emplace_back().records = Records(std::move(slices));
  return response;
}

TEST(KafkaCodec, RecordsOfAFetchAreNotCopied) {
  Bytes first = Bytes::copy(std::string(kCopyBelowBytes, 'a'));
  Bytes second = Bytes::copy(std::string(kCopyBelowBytes + 1, 'b'));
  Bytes small = Bytes::copy(std::string(kCopyBelowBytes - 1, 'c'));
  auto slices = response_slices(1, 11, response_with_records({first, second, small}));
  ASSERT_TRUE(slices);
  ASSERT_EQ(slices->size(), 4u);
  EXPECT_EQ((*slices)[1].data(), first.data());
  EXPECT_EQ((*slices)[2].data(), second.data());
  EXPECT_EQ((*slices)[3].view(), small.view());
  EXPECT_NE((*slices)[3].data(), small.data()) << "a small slice is cheaper to copy than to send on its own";
}

TEST(KafkaCodec, FetchedRecordsShareTheFrameIfAsked) {
  auto slices = response_slices(1, 11, response_with_records({Bytes::literal("batch")}));
  ASSERT_TRUE(slices);
  Bytes frame = Bytes::copy(join(*slices)).slice(kLengthBytes);
  auto response = parse_response(frame.view(), ApiKey::kFetch, 11);
  ASSERT_TRUE(response);
  auto decoded = decode_shared<FetchResponse>(frame.slice(response->body), 11);
  ASSERT_TRUE(decoded);
  const Records& records = decoded->topics[0].partitions[0].records;
  ASSERT_EQ(records.slices().size(), 1u);
  EXPECT_EQ(records.slices()[0].view(), "batch");
  EXPECT_EQ(records.slices()[0].data(), frame.data() + frame.size() - 5);

  auto copied = decode<FetchResponse>(response->body, 11);
  ASSERT_TRUE(copied);
  EXPECT_EQ(*copied, *decoded);
}

TEST(KafkaCodec, ProducedRecordsPointIntoTheFrame) {
  ProduceRequest request;
  request.topics.emplace_back().name = "orders";
  request.topics[0].partitions.push_back({.index = 3, .records = "a record batch"});
  std::string wire;
  ASSERT_TRUE(append_request(wire, 1, 9, std::nullopt, request));
  auto parsed = parse_request(std::string_view(wire).substr(kLengthBytes));
  ASSERT_TRUE(parsed);
  auto decoded = decode<ProduceRequest>(parsed->body, 9);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, request);
  std::string_view records = *decoded->topics[0].partitions[0].records;
  EXPECT_TRUE(records.data() > wire.data() && records.data() + records.size() <= wire.data() + wire.size());
}

// A body in hexadecimal, blanks ignored.
std::string hex(std::string_view digits) {
  std::string out;
  int high = -1;
  for (char c : digits) {
    if (c == ' ') continue;
    int value = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high < 0) {
      high = value;
    } else {
      out.push_back(static_cast<char>(high << 4 | value));
      high = -1;
    }
  }
  return out;
}

template <class Message>
std::string failure(std::string_view digits, std::int16_t version) {
  auto decoded = decode<Message>(hex(digits), version);
  if (decoded) return "decoded";
  EXPECT_EQ(decoded.error().code, ErrorCode::kMalformed);
  return decoded.error().message;
}

TEST(KafkaCodec, ErrorsNameApiVersionAndField) {
  // One topic; its name is said to have 5 bytes, and there are 2.
  EXPECT_EQ(failure<MetadataRequest>("00000001 0005 6162", 1),
            "decoding Kafka Metadata v1 request: topics[0].name goes past the end");
  EXPECT_EQ(failure<MetadataRequest>("00000002 0001 61 ffff", 1),
            "decoding Kafka Metadata v1 request: topics[1].name is null");
  EXPECT_EQ(failure<MetadataRequest>("00000001 fffe", 1),
            "decoding Kafka Metadata v1 request: topics[0].name has a negative length");
  EXPECT_EQ(failure<MetadataRequest>("00000000 00", 1),
            "decoding Kafka Metadata v1 request: 1 bytes too many");
  EXPECT_EQ(failure<MetadataRequest>("fffffffe", 1),
            "decoding Kafka Metadata v1 request: topics has a negative length");
  EXPECT_EQ(failure<ApiVersionsRequest>("01 01 01", 3),
            "decoding Kafka ApiVersions v3 request: tagged fields goes past the end");
  EXPECT_EQ(failure<ApiVersionsRequest>("ffffffffff7f", 3),
            "decoding Kafka ApiVersions v3 request: client_software_name has a length of more than 32 bits");
  EXPECT_EQ(failure<ApiVersionsRequest>("818002", 3),
            "decoding Kafka ApiVersions v3 request: client_software_name is longer than 32767 bytes");
  EXPECT_EQ(failure<ApiVersionsRequest>("00", 3),
            "decoding Kafka ApiVersions v3 request: client_software_name is null");
}

TEST(KafkaCodec, AnAnnouncedLengthAllocatesNothing) {
  EXPECT_EQ(failure<MetadataRequest>("7fffffff", 1),
            "decoding Kafka Metadata v1 request: topics announces more elements than there are bytes");
  // Four integers announced, three and a half there.
  EXPECT_EQ(
      failure<CreateTopicsRequest>("00000001 0001 74 00000001 0001 00000001 00000000 00000004"
                                   "00000001 00000002 00000003 0000",
                                   2),
      "decoding Kafka CreateTopics v2 request: topics[0].assignments[0].broker_ids announces more elements "
      "than there are bytes");
}

TEST(KafkaCodec, LimitsTheElementsOfAMessage) {
  // A frame of 2 MB could otherwise make a hundred times as much memory.
  std::string body = hex("00200000");
  body.resize(body.size() + 2 * 0x200000, '\0');
  auto decoded = decode<MetadataRequest>(body, 1);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().message,
            "decoding Kafka Metadata v1 request: topics takes the message over the limit of elements");
}

TEST(KafkaCodec, SkipsTaggedFieldsItDoesNotKnow) {  // KIP-482
  auto decoded = decode<ApiVersionsRequest>(hex("0261 0262 02 0003aabbcc ac0200"), 3);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->client_software_name, "a");
  EXPECT_EQ(decoded->client_software_version, "b");
}

TEST(KafkaCodec, ATaggedFieldFillsItsLength) {  // KIP-482
  // ReplicaState of a Fetch request: tag 1, replica 5, epoch 6, no tagged fields of its own.
  std::string start = "00000000 00000000 00000000 00 00000000 00000000 01 01 01";
  auto decoded = decode<FetchRequest>(hex(start + "01 01 0d 00000005 0000000000000006 00"), 15);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->replica_state, (FetchRequest::ReplicaState{5, 6}));
  EXPECT_EQ(failure<FetchRequest>(start + "01 01 0e 00000005 0000000000000006 00 00", 15),
            "decoding Kafka Fetch v15 request: tagged fields has a tagged field with bytes too many");
  EXPECT_EQ(failure<FetchRequest>(start + "01 01 0c 00000005 0000000000000006 00", 15),
            "decoding Kafka Fetch v15 request: replica_state goes past the end");
}

TEST(KafkaCodec, WhatAVersionCannotSayIsNotEncoded) {
  std::string out = "before";
  auto refused = [&](auto result) {
    EXPECT_FALSE(result);
    EXPECT_EQ(out, "before");
    if (result) return std::string("encoded");
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    return result.error().message;
  };
  DeleteTopicsRequest by_id;
  by_id.topics.push_back({.name = std::nullopt, .topic_id = {1, 2}});
  EXPECT_EQ(refused(append_request(out, 1, 5, "me", by_id)),
            "encoding Kafka DeleteTopics v5 request: topic_names.topic_names is null, which this version "
            "cannot say");
  FindCoordinatorRequest two_keys;
  two_keys.keys = {"a", "b"};
  EXPECT_EQ(
      refused(append_request(out, 1, 3, "me", two_keys)),
      "encoding Kafka FindCoordinator v3 request: key does not have exactly one element, which this version "
      "requires");
  ListOffsetsResponse long_name;
  long_name.topics.emplace_back().name.assign(40000, 'x');
  EXPECT_EQ(refused(append_response(out, 1, 6, long_name)),
            "encoding Kafka ListOffsets v6 response: topics.name is longer than 32767 bytes");
  ProduceResponse long_host;
  long_host.node_endpoints.emplace_back().host.assign(40000, 'x');
  EXPECT_EQ(refused(append_response(out, 1, 10, long_host)),
            "encoding Kafka Produce v10 response: node_endpoints.host is longer than 32767 bytes");
}

TEST(KafkaCodec, RefusesVersionsItLacks) {
  auto decoded = decode<ProduceRequest>("", 2);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(decoded.error().message, "Kafka Produce v2 request: only versions 3 to 13 are known");
  std::string out;
  EXPECT_FALSE(append_response(out, 1, 19, FetchResponse()));
  EXPECT_FALSE(response_slices(1, 3, FetchResponse()));
  EXPECT_TRUE(out.empty());
}

TEST(KafkaCodec, MetadataVersionZeroAsksForAllTopicsWithAnEmptyArray) {
  auto all = decode<MetadataRequest>(hex("00000000"), 0);
  ASSERT_TRUE(all);
  EXPECT_FALSE(all->topics);
  auto none = decode<MetadataRequest>(hex("00000000"), 1);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->topics && none->topics->empty());
}

}  // namespace
}  // namespace stele::kafka
