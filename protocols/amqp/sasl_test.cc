#include "protocols/amqp/sasl.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "protocols/amqp/field_table.h"

namespace stele::amqp {
namespace {

using namespace std::string_literals;

TEST(Sasl, MechanismsByName) {
  for (const auto mechanism : {SaslMechanism::kPlain, SaslMechanism::kAmqplain, SaslMechanism::kExternal}) {
    EXPECT_EQ(sasl_mechanism(to_string(mechanism)), mechanism);
  }
  EXPECT_FALSE(sasl_mechanism("plain"));
  EXPECT_FALSE(sasl_mechanism(""));
}

// RFC 4616, section 2.
TEST(Sasl, Plain) {
  EXPECT_EQ(parse_plain("\0guest\0secret"s), (Credentials{"guest", "secret"}));
  EXPECT_EQ(parse_plain("guest\0guest\0secret"s), (Credentials{"guest", "secret"}));
  EXPECT_EQ(parse_plain("\0\0"s), (Credentials{"", ""}));
  for (const std::string& wrong : {""s, "guest"s, "\0guest"s, "root\0guest\0secret"s, "\0guest\0sec\0ret"s}) {
    const auto parsed = parse_plain(wrong);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, ReplyCode::kSyntaxError);
    EXPECT_EQ(parsed.error().text.find("sec"), std::string::npos);
  }
}

TEST(Sasl, AmqplainIsATableWithoutItsLength) {
  const std::string response = "\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x06secret"s;
  EXPECT_EQ(parse_amqplain(response), (Credentials{"guest", "secret"}));
  EXPECT_EQ(amqplain_response({"guest", "secret"}), response);
  for (std::size_t size = 0; size < response.size(); ++size) {
    const auto parsed = parse_amqplain(std::string_view(response).substr(0, size));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, ReplyCode::kSyntaxError);
  }
  Table other;
  other.add("LOGIN", "guest").add("PASSWORD", std::int32_t{1});
  EXPECT_FALSE(parse_amqplain(other.view().encoded()));
}

TEST(Sasl, External) {
  EXPECT_EQ(parse_external(""), "");
  EXPECT_EQ(parse_external("CN=x"), "CN=x");
  EXPECT_FALSE(parse_external("a\0b"s));
  EXPECT_FALSE(parse_external("\xFF"));
}

RC_GTEST_PROP(SaslProperties, WhatAClientSaysIsWhatIsRead, ()) {
  const auto text = rc::gen::container<std::string>(rc::gen::nonZero<char>());
  const std::string user = *text, password = *text;
  RC_ASSERT((parse_plain(plain_response({user, password})) == Credentials{user, password}));
  RC_ASSERT((parse_amqplain(amqplain_response({user, password})) == Credentials{user, password}));
}

}  // namespace
}  // namespace stele::amqp
