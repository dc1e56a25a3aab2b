#include "protocols/kafka/frame.h"

#include <gtest/gtest.h>

#include <string>

#include "protocols/kafka/codec.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/messages/api_versions.h"

namespace stele::kafka {
namespace {

using namespace std::string_view_literals;

TEST(KafkaFrame, WaitsForTheWholeFrame) {
  std::string wire("\0\0\0\3abcrest"sv);
  for (std::size_t size = 0; size < 7; ++size) {
    auto frame = next_frame(std::string_view(wire).substr(0, size), 100);
    ASSERT_TRUE(frame);
    EXPECT_FALSE(*frame) << size;
  }
  EXPECT_EQ(**next_frame(wire, 100), "abc");
  EXPECT_EQ(**frame_length(std::string_view(wire).substr(0, 4), 100), 3u);
  EXPECT_EQ(**next_frame("\0\0\0\0"sv, 100), "");
}

TEST(KafkaFrame, RefusesLengthsBeforeTheBytesArrive) {
  EXPECT_EQ(next_frame("\xff\xff\xff\xff"sv, 100).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(next_frame("\0\0\0\x65"sv, 100).error().message,
            "Kafka frame: length 101 is over the limit of 100");
  EXPECT_TRUE(next_frame("\0\0\0\x64"sv, 100));
  // What a browser or a TLS client says to the wrong port.
  EXPECT_FALSE(next_frame("GET / HTTP/1.1\r\n", 100 << 20));
}

TEST(KafkaFrame, HeaderOfAClassicRequest) {
  auto request = parse_request("\0\x03\0\x08\0\0\0\x2a\0\2meBODY"sv);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header, (RequestHeader{3, 8, 42, "me"}));
  EXPECT_EQ(request->support, RequestSupport::kServed);
  EXPECT_EQ(request->body, "BODY");
}

TEST(KafkaFrame, HeaderOfAFlexibleRequest) {  // KIP-482
  // Tagged fields: 1, with tag 9 and two bytes.
  auto request = parse_request("\0\x03\0\x09\0\0\0\x2a\xff\xff\1\x09\2zzBODY"sv);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header, (RequestHeader{3, 9, 42, std::nullopt}));
  EXPECT_EQ(request->body, "BODY");
}

TEST(KafkaFrame, MalformedHeaders) {
  std::string header("\0\x03\0\x09\0\0\0\x2a\0\2me\1\x09\2zz"sv);
  for (std::size_t size = 0; size < header.size(); ++size) {
    EXPECT_FALSE(parse_request(std::string_view(header).substr(0, size))) << size;
  }
  EXPECT_TRUE(parse_request(header));
  EXPECT_FALSE(parse_request("\0\x03\0\x08\0\0\0\x2a\xff\xfe"sv)) << "client id of -2 bytes";
  EXPECT_FALSE(parse_request("\0\x03\0\x09\0\0\0\x2a\xff\xff\xff\xff\xff\xff\x0f"sv)) << "4 G tagged fields";
}

TEST(KafkaFrame, WhatToDoWithOtherApisAndVersions) {
  auto unknown = parse_request("\x03\xe7\0\0\0\0\0\x2a"sv);
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->support, RequestSupport::kUnknownApi);
  EXPECT_EQ(unknown->header.correlation_id, 42);
  auto new_fetch = parse_request("\0\1\0\x64\0\0\0\x2a\0\2meBODY"sv);
  ASSERT_TRUE(new_fetch);
  EXPECT_EQ(new_fetch->support, RequestSupport::kUnsupportedVersion);
  EXPECT_EQ(new_fetch->body, "");
  EXPECT_EQ(request_support(0, 2), RequestSupport::kUnsupportedVersion) << "advertised, not served";
  EXPECT_EQ(request_support(24, 0), RequestSupport::kUnknownApi) << "AddPartitionsToTxn";
}

TEST(KafkaFrame, AnApiVersionsRequestOfTheFutureIsAnsweredInVersionZero) {  // KIP-511
  auto request = parse_request("\0\x12\0\x63\0\0\0\x2a\0\2me\0whatever it says"sv);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->support, RequestSupport::kAnswerApiVersionsZero);
  std::string out;
  ASSERT_TRUE(append_response(out, request->header.correlation_id, 0,
                              make_api_versions_response(KafkaError::kUnsupportedVersion)));
  // The client reads it as what it asked for, newest version and all.
  auto response = parse_response(std::string_view(out).substr(kLengthBytes), ApiKey::kApiVersions, 4);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->correlation_id, 42);
  auto decoded = decode_api_versions_response(response->body, 4);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->error, KafkaError::kUnsupportedVersion);
  EXPECT_FALSE(decoded->apis.empty());
}

TEST(KafkaFrame, ResponseHeaders) {
  EXPECT_EQ(response_header_version(api_info(ApiKey::kApiVersions), 4), 0);  // KIP-511
  EXPECT_EQ(response_header_version(api_info(ApiKey::kMetadata), 8), 0);
  EXPECT_EQ(response_header_version(api_info(ApiKey::kMetadata), 9), 1);
  EXPECT_EQ(*peek_correlation_id("\0\0\0\x2a..."sv), 42);
  EXPECT_FALSE(peek_correlation_id("\0\0\0"sv));
  EXPECT_FALSE(parse_response("\0\0\0"sv, ApiKey::kMetadata, 8));
  EXPECT_FALSE(parse_response("\0\0\0\1"sv, ApiKey::kMetadata, 9));
  EXPECT_EQ(parse_response("\0\0\0\1\0BODY"sv, ApiKey::kMetadata, 9)->body, "BODY");
}

TEST(KafkaApis, AdvertisesExactlyWhatIsServed) {
  std::string list;
  for (const auto& api : make_api_versions_response().apis) {
    list += std::to_string(api.api_key) + ":" + std::to_string(api.min_version) + "-" +
            std::to_string(api.max_version) + " ";
    EXPECT_EQ(request_support(api.api_key, api.max_version), RequestSupport::kServed);
  }
  // Produce from 0: KAFKA-18659.
  EXPECT_EQ(list,
            "0:0-13 1:4-18 2:1-11 3:0-13 8:2-10 9:1-10 10:0-6 11:0-9 12:0-4 13:0-5 14:0-5 15:0-6 16:0-5 "
            "17:0-1 18:0-4 19:2-7 20:1-6 21:0-2 22:0-5 23:2-4 32:1-4 33:0-2 35:1-4 36:0-2 37:0-3 42:0-2 "
            "44:0-1 47:0-0 60:0-2 ");
}

TEST(KafkaErrors, Names) {
  EXPECT_EQ(to_string(KafkaError::kUnknownServerError), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(to_string(KafkaError::kNone), "NONE");
  EXPECT_EQ(to_string(KafkaError::kNotLeaderOrFollower), "NOT_LEADER_OR_FOLLOWER");
  EXPECT_EQ(to_string(KafkaError::kUnknownTopicId), "UNKNOWN_TOPIC_ID");
  EXPECT_EQ(to_string(static_cast<KafkaError>(-2)), "UNKNOWN_ERROR_CODE");
  EXPECT_EQ(to_string(static_cast<KafkaError>(134)), "UNKNOWN_ERROR_CODE");
}

}  // namespace
}  // namespace stele::kafka
