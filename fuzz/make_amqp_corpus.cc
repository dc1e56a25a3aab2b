// Writes the corpus of amqp_codec_fuzz: each method of each class, contents, handshakes, and what is wrong.
//
//   bazel run -c opt //fuzz:make_amqp_corpus -- $PWD/fuzz/corpus/amqp_codec

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "protocols/amqp/content.h"
#include "protocols/amqp/field_table.h"
#include "protocols/amqp/generator.h"
#include "protocols/amqp/method_codec.h"
#include "protocols/amqp/protocol_header.h"
#include "protocols/amqp/sasl.h"

namespace {

using namespace stele::amqp;  // NOLINT: a program of its own

class Corpus {
 public:
  explicit Corpus(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void add(const std::string& name, std::uint8_t how, std::uint8_t piece, std::string_view stream) {
    std::ofstream out(folder_ / name, std::ios::binary);
    out.put(static_cast<char>(how)).put(static_cast<char>(piece));
    out.write(stream.data(), static_cast<std::streamsize>(stream.size()));
    out.close();
    failed_ = failed_ || out.fail();
  }
  bool failed() const { return failed_; }

 private:
  std::filesystem::path folder_;
  bool failed_ = false;
};

std::string entropy(unsigned seed, std::size_t size) {
  std::mt19937 random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

template <class M>
std::string frame_of(std::uint16_t channel, const M& method) {
  std::string out;
  STELE_ASSERT(append_method(out, channel, method));
  return out;
}

// A frame of a method with arbitrary arguments, with content if it has one.
template <class M>
std::string arbitrary_frames(unsigned seed) {
  const std::string drawn = entropy(seed, 120);
  Generator generator(drawn);
  const std::uint16_t channel = M::kInfo.class_id == kConnectionClass ? 0 : 1;
  std::string out = frame_of(channel, generator.method<M>());
  if (!M::kInfo.has_content()) return out;
  const std::string body(seed % 3 * 40, 'b');
  STELE_ASSERT(append_content_header(out, channel, body.size(), generator.properties()));
  append_body(out, channel, body, 8 + 50);
  return out;
}

// The methods of each class, those for a server and those for a client: one file each.
void add_methods(Corpus& corpus) {
  for_each_method([&]<class M>(std::type_identity<M>) {
    const auto seed = static_cast<unsigned>(M::kInfo.id());
    std::string name(M::kInfo.name);
    std::ranges::replace(name, '.', '_');
    std::ranges::replace(name, '-', '_');
    const std::string frames = arbitrary_frames<M>(seed) + arbitrary_frames<M>(seed + 1);
    corpus.add(name, M::kInfo.to_server() ? 0 : 1, static_cast<std::uint8_t>(seed % 20), frames);
  });
}

std::string handshake(std::string_view mechanism, std::string_view response) {
  ConnectionStartOk start;
  const Table capabilities = Table().add("publisher_confirms", true).add("connection.blocked", true);
  const Table properties = Table().add("product", "test").add("capabilities", capabilities.view());
  start.client_properties = properties.view();
  start.mechanism = mechanism;
  start.response = response;
  start.locale = "en_US";
  ConnectionOpen open;
  open.virtual_host = "/";
  return std::string(kProtocolHeader) + frame_of(0, start) + frame_of(0, ConnectionTuneOk{2047, 131072, 60}) +
         frame_of(0, open) + std::string(kHeartbeatFrame) + frame_of(1, ChannelOpen{});
}

std::string publish(std::string_view body) {
  std::string out = frame_of(1, BasicPublish{"amq.topic", "a.b.c", true, false});
  BasicProperties properties;
  properties.content_type = "text/plain";
  properties.delivery_mode = kPersistent;
  STELE_ASSERT(append_content_header(out, 1, body.size(), properties));
  append_body(out, 1, body, 8192);
  return out;
}

// A table of every type, as arguments of bindings and as headers.
void add_tables(Corpus& corpus) {
  const Array array = Array().add("x").add(std::int32_t{1}).add(Array().add(Void{}).view());
  Table all = Table().add("void", Void{}).add("bool", true).add("i8", std::int8_t{-1});
  all.add("u8", std::uint8_t{1}).add("i16", std::int16_t{-2}).add("u16", std::uint16_t{2});
  all.add("i32", std::int32_t{-3}).add("u32", std::uint32_t{3}).add("i64", std::int64_t{-4});
  all.add("float", 0.5f).add("double", -0.25).add("decimal", Decimal{2, 314}).add("time", Timestamp{1});
  all.add("text", "t").add("bytes", ByteArray{"b"}).add("array", array.view());
  all.add("table", Table(all).view()).add("text", "twice");
  for (const std::string match : {"all", "any", "all-with-x", "any-with-x", "none"}) {
    const Table arguments = Table(all).add("x-match", match).add("x-more", std::int32_t{1});
    QueueBind bind;
    bind.routing_key = "a.*.#";
    bind.arguments = arguments.view();
    BasicProperties properties;
    properties.headers = arguments.view();
    std::string content;
    STELE_ASSERT(append_content_header(content, 1, 0, properties));
    corpus.add("headers_" + match, 0, 13, frame_of(1, bind) + frame_of(1, BasicPublish{}) + content);
  }
}

void add_wrong_ones(Corpus& corpus) {
  const std::string good = publish("hello");
  corpus.add("wrong_end", 0, 0, good.substr(0, good.size() - 1) + "\xCD");
  corpus.add("wrong_cut", 0, 3, good.substr(0, good.size() - 4));
  corpus.add("wrong_order", 0, 0, good.substr(good.find('\xCE') + 1));
  corpus.add("wrong_twice", 0, 0, good.substr(0, good.find('\xCE') + 1) + good);
  corpus.add("wrong_side", 1, 0, good);
  corpus.add("wrong_type", 0, 0, "\x04");
  corpus.add("wrong_size", 0, 1, std::string("\x01\0\0\xFF\xFF\xFF\xFF", 7));
  corpus.add("wrong_heartbeat", 0, 0, std::string("\x08\0\1\0\0\0\0\xCE", 8));
  corpus.add("wrong_channel_of_content", 0, 0, std::string("\x02\0\0\0\0\0\0\xCE", 8));
  corpus.add("wrong_channel_of_method", 0, 0, frame_of(0, ChannelOpen{}) + frame_of(1, ConnectionClose{}));
  corpus.add("wrong_channel_of_close", 0, 0, frame_of(1, ConnectionClose{}));
  const auto with_octet = [&](const std::string& name, std::size_t at, char octet) {
    std::string changed = good;
    changed[good.find('\xCE') + 1 + kFrameHeadBytes + at] = octet;
    corpus.add("wrong_" + name, 0, 0, changed);
  };
  with_octet("class_of_content", 1, 50);
  with_octet("weight", 3, 1);
  with_octet("body", 11, 2);
  with_octet("body_too_large", 5, 1);
  with_octet("flags", 13, 1);
  with_octet("properties", 12, '\xFC');
  corpus.add("wrong_too_short", 0, 0, std::string("\x01\0\1\0\0\0\1\0\xCE", 9));
  corpus.add("wrong_unknown_method", 0, 0, std::string("\x01\0\1\0\0\0\4\0\x46\0\x0A\xCE", 12));
  corpus.add("wrong_bytes_behind", 0, 0, std::string("\x01\0\1\0\0\0\5\0\x5A\0\x0A!\xCE", 13));
  std::string deep;
  for (int i = 0; i < 40; ++i) {
    std::string outer("\1dF", 3);
    stele::Writer(outer).u32_be(static_cast<std::uint32_t>(deep.size())).bytes(deep);
    deep = outer;
  }
  std::string method("\0\x32\0\x32\0\0\1q\1e\1k", 12);
  stele::Writer(method).u32_be(static_cast<std::uint32_t>(deep.size())).bytes(deep);
  std::string frame;
  append_frame_head(frame, FrameType::kMethod, 1, static_cast<std::uint32_t>(method.size()));
  corpus.add("wrong_deep", 0, 0, frame + method + kFrameEnd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s <folder>\n", argv[0]);
    return 1;
  }
  std::filesystem::create_directories(argv[1]);
  Corpus corpus(argv[1]);
  add_methods(corpus);
  const std::string plain = handshake("PLAIN", plain_response({"guest", "guest"}));
  corpus.add("handshake", 8, 0, plain);
  corpus.add("handshake_in_pieces", 8, 7, plain);
  corpus.add("handshake_amqplain", 8, 8, handshake("AMQPLAIN", amqplain_response({"guest", "guest"})));
  corpus.add("handshake_external", 8, 1, handshake("EXTERNAL", ""));
  add_tables(corpus);
  corpus.add("header_of_1_0", 8, 0, std::string("AMQP\0\1\0\0", 8));
  corpus.add("header_of_http", 8, 0, "GET / HTTP/1.1");
  corpus.add("header_cut", 8, 0, "AMQ");
  corpus.add("publish", 0, 0, publish("hello") + publish("") + publish(std::string(9000, 'x')));
  corpus.add("publish_in_pieces", 0, 4, publish("hello") + publish("") + publish(std::string(9000, 'x')));
  corpus.add("publish_in_large_pieces", 0, 250, publish(std::string(9000, 'x')));
  corpus.add("publishes_one_at_a_time", 0, 230, publish("a") + publish("b") + publish("c") + publish("d"));
  add_wrong_ones(corpus);
  if (corpus.failed()) std::fprintf(stderr, "cannot write in %s\n", argv[1]);
  return corpus.failed() ? 1 : 0;
}
