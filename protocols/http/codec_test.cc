#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "protocols/http/message.h"
#include "protocols/http/metrics.h"
#include "protocols/http/parser.h"

namespace stele::http {
namespace {

using Kind = Parser::Kind;

// Feeds in pieces of the given sizes, in turn; all messages up to the end or an error.
struct Fed {
  std::vector<ParsedMessage> messages;
  int status = 0;  // of the error, if there was one
};
Fed feed(Parser& parser, std::string_view input, std::vector<std::size_t> pieces = {}) {
  Fed out;
  std::size_t turn = 0;
  while (!input.empty()) {
    std::string_view piece =
        pieces.empty() ? input : input.substr(0, std::max<std::size_t>(pieces[turn++ % pieces.size()], 1));
    input.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto taken = parser.feed(piece);
      if (!taken) {
        out.status = parser.status();
        return out;
      }
      piece.remove_prefix(*taken);
      if (parser.complete()) out.messages.push_back(parser.take());
    }
  }
  return out;
}
Fed feed(std::string_view input, ParserLimits limits = {}) {
  Parser parser(Kind::kRequest, limits);
  return feed(parser, input);
}

TEST(HttpParser, ReadsARequest) {
  const Fed fed =
      feed("POST /v1/topics?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-Y:  z \r\n\r\nabcGET");
  ASSERT_EQ(fed.messages.size(), 1u);
  const ParsedMessage& got = fed.messages[0];
  EXPECT_EQ(got.method, "POST");
  EXPECT_EQ(got.target, "/v1/topics?x=1");
  EXPECT_EQ(got.body, "abc");
  EXPECT_TRUE(got.keep_alive);
  ASSERT_TRUE(got.headers.find("x-y"));
  EXPECT_EQ(got.headers.find("x-y")->substr(0, 1), "z");
  EXPECT_EQ(got.headers.find("X-Y"), nullptr) << "names are kept in lower case";
}

TEST(HttpParser, KeepAliveFollowsTheVersionAndTheHeader) {
  const auto kept = [](std::string_view head) {
    return feed(std::string(head) + "\r\n\r\n").messages.at(0).keep_alive;
  };
  EXPECT_TRUE(kept("GET / HTTP/1.1"));
  EXPECT_FALSE(kept("GET / HTTP/1.1\r\nConnection: close"));
  EXPECT_FALSE(kept("GET / HTTP/1.0"));
  EXPECT_TRUE(kept("GET / HTTP/1.0\r\nConnection: keep-alive"));
}

TEST(HttpParser, ReadsChunksAndDropsTrailers) {
  const Fed fed = feed(
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nContent-Length: "
      "9\r\n\r\n");
  ASSERT_EQ(fed.messages.size(), 1u);
  EXPECT_EQ(fed.messages[0].body, "abcde");
  EXPECT_EQ(fed.messages[0].headers.find("content-length"), nullptr);
}

TEST(HttpParser, AnUpgradeIsNotTakenUp) {
  const Fed fed =
      feed("GET /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
  ASSERT_EQ(fed.messages.size(), 2u);
  EXPECT_EQ(fed.messages[1].target, "/b");
}

// RFC 9112 section 6.3: a message with both is the classic of request smuggling.
TEST(HttpParser, RefusesTwoLengths) {
  EXPECT_EQ(feed("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n").status, 400);
  EXPECT_EQ(feed("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n").status, 400);
}

TEST(HttpParser, RefusesWhatIsNoRequest) {
  for (const std::string input : {"\x16\x03\x01\x02", "GET\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                                  "FETCH / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                                  "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                                  "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    EXPECT_EQ(feed(input).status, 400) << input;
  }
  EXPECT_EQ(feed("GET / HTTP/2.0\r\n\r\n").status, 505);
  EXPECT_EQ(feed("GET / HTTP/1.2\r\n\r\n").status, 505);
}

TEST(HttpParser, KeepsItsLimits) {
  const ParserLimits limits{.target_bytes = 20, .header_bytes = 100, .header_count = 3, .body_bytes = 10};
  const std::string line = "GET / HTTP/1.1\r\n";
  EXPECT_EQ(feed("GET /" + std::string(20, 'a') + " HTTP/1.1\r\n\r\n", limits).status, 414);
  EXPECT_EQ(feed(line + "a: " + std::string(100, 'b') + "\r\n\r\n", limits).status, 431);
  EXPECT_EQ(feed(line + "a: b\r\nc: d\r\ne: f\r\n\r\n", limits).messages.size(), 1u);
  EXPECT_EQ(feed(line + "a: b\r\nc: d\r\ne: f\r\ng: h\r\n\r\n", limits).status, 431);
  EXPECT_EQ(feed("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", limits).status, 413)
      << "before the body comes";
  const std::string chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(feed(chunked + "6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n", limits).status, 413);
  std::string trailers = chunked + "0\r\n";
  for (int i = 0; i < 50; ++i) trailers += "t" + std::to_string(i) + ": v\r\n";
  EXPECT_EQ(feed(trailers + "\r\n", limits).status, 431) << "trailers count as well";
  EXPECT_EQ(feed(line + std::string(200 << 10, 'a')).status, 431);
  EXPECT_EQ(feed(std::string(200 << 10, 'A')).status, 400);
}

TEST(HttpParser, ExpectsContinueOnce) {
  Parser parser(Kind::kRequest, {});
  ASSERT_TRUE(parser.feed("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
  EXPECT_TRUE(parser.take_expects_continue());
  EXPECT_FALSE(parser.take_expects_continue());
}

TEST(HttpParser, AResponseMayEndWithTheConnection) {
  Parser parser(Kind::kResponse, {});
  const Fed fed = feed(parser, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
  EXPECT_TRUE(fed.messages.empty());
  ASSERT_TRUE(parser.feed_end());
  EXPECT_EQ(parser.take().body, "until the end");
  feed(parser, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_FALSE(parser.feed_end());
}

RC_GTEST_PROP(HttpParser, AnyPiecesGiveTheSame, ()) {
  const auto size = *rc::gen::inRange<std::size_t>(0, 200);
  const auto pieces =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 30)));
  std::string wire;
  append_request(wire, {.method = "PUT", .target = "/a/b", .body = std::string(size, 'x')}, "h");
  append_request(wire, {.method = "GET", .target = "/", .keep_alive = false}, "h");
  Parser parser(Kind::kRequest, {});
  const Fed fed = feed(parser, wire, pieces);
  RC_ASSERT(fed.messages.size() == 2u);
  RC_ASSERT(fed.messages[0].method == "PUT");
  RC_ASSERT(fed.messages[0].target == "/a/b");
  RC_ASSERT(fed.messages[0].body == std::string(size, 'x'));
  RC_ASSERT(fed.messages[0].keep_alive);
  RC_ASSERT(*fed.messages[1].headers.find("host") == "h");
  RC_ASSERT(!fed.messages[1].keep_alive);
}

RC_GTEST_PROP(HttpParser, RandomBytesAreRefusedOrWaitedFor, ()) {
  const auto noise = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  const auto head = *rc::gen::element<std::string>("", "GET / HTTP/1.1\r\n",
                                                   "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  feed(head + noise);
}

RC_GTEST_PROP(HttpMessage, AResponseReadsBackAsItWas, ()) {
  Response response;
  response.status = *rc::gen::element(200, 201, 400, 404, 503);
  response.body = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  response.headers.add("allow", "GET");
  std::string wire;
  append_response(wire, response, true, true);
  Parser parser(Kind::kResponse, {});
  const Fed fed = feed(parser, wire);
  RC_ASSERT(fed.messages.size() == 1u);
  RC_ASSERT(fed.messages[0].status == response.status);
  RC_ASSERT(fed.messages[0].body == response.body);
  RC_ASSERT(*fed.messages[0].headers.find("allow") == "GET");
}

RC_GTEST_PROP(HttpMessage, PathsSplitAndEscapeBack, ()) {
  const auto segments = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(
      rc::gen::container<std::string>(rc::gen::arbitrary<char>())));
  std::string target;
  for (const auto& segment : segments) target += "/" + escape_segment(segment);
  std::vector<std::string> got;
  RC_ASSERT(split_path(target + "?q=/x", got));
  RC_ASSERT(got == segments);
}

TEST(HttpMessage, BadPaths) {
  std::vector<std::string> got;
  for (const char* target : {"", "a", "*", "/%", "/%4", "/%zz", "http://x/"})
    EXPECT_FALSE(split_path(target, got)) << target;
}

// Prometheus' text format: backslash and newline are escaped in help, these and quotes in labels.
TEST(Metrics, RendersPrometheusText) {
  const std::vector<MetricFamily> families = {
      {"stele_a_total",
       "One\nline \\ \"x\"",
       MetricKind::kCounter,
       {{{}, 3}, {{{"core", "0"}, {"x", "a\"\\\n"}}, 0.5}}},
      {"stele_b", "Big", MetricKind::kGauge, {{{}, 1e15}}},
  };
  EXPECT_EQ(render(families),
            "# HELP stele_a_total One\\nline \\\\ \"x\"\n# TYPE stele_a_total counter\nstele_a_total 3\n"
            "stele_a_total{core=\"0\",x=\"a\\\"\\\\\\n\"} 0.5\n"
            "# HELP stele_b Big\n# TYPE stele_b gauge\nstele_b 1e+15\n");
}

}  // namespace
}  // namespace stele::http
