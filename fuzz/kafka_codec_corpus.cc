// Writes the corpus of kafka_codec_fuzz into a folder:
//   bazel run //fuzz:kafka_codec_corpus -- $PWD/fuzz/corpus/kafka_codec
// The same messages every time: nothing in it is random.

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/hash.h"
#include "protocols/kafka/all_messages.h"
#include "protocols/kafka/codec.h"
#include "protocols/kafka/message_generator.h"

namespace {

using namespace stele;         // NOLINT: a program of its own
using namespace stele::kafka;  // NOLINT
using namespace std::string_literals;

std::string folder;

void write(const std::string& name, const std::string& content) {
  std::ofstream(folder + "/" + name, std::ios::binary) << content;
}

std::string entropy(std::uint64_t seed) {
  std::string bytes;
  for (std::uint64_t i = 0; i < 300; ++i) bytes.push_back(static_cast<char>(mix64(seed * 1000 + i)));
  return bytes;
}

// One file with a frame per version and message, ending with one that is cut off.
template <class Message>
void write_requests(const ApiInfo& api) {
  std::string stream(1, '\0');
  std::string last;
  for (std::int16_t version = api.min_version; version <= api.max_version; ++version) {
    for (std::uint64_t variant = 0; variant < 2; ++variant) {
      std::string bytes = entropy(std::uint64_t(api.key) * 100 + std::uint64_t(version) * 2 + variant);
      MessageGenerator filler(bytes);
      Message message;
      walk(message, version, filler);
      last.clear();
      if (append_request(last, version, version, "corpus", message)) stream += last;
    }
  }
  std::string name(api.name);
  write(name + "_requests", stream);
  // Cut, but with the full length said: an honest frame around a dishonest body.
  std::string cut = last.substr(0, last.size() - last.size() / 3);
  cut[3] = static_cast<char>(cut.size() - 4);
  cut[2] = static_cast<char>((cut.size() - 4) >> 8);
  write(name + "_request_cut", std::string(1, '\0') + cut);
  std::string bent = last;
  bent[bent.size() / 2] = '\x7f';
  bent[bent.size() * 2 / 3] = '\xff';
  write(name + "_request_bent", std::string(1, '\0') + bent);
}

template <class Message>
void write_responses(const ApiInfo& api) {
  for (std::int16_t version = api.min_version; version <= api.max_version; ++version) {
    std::string bytes = entropy(std::uint64_t(api.key) * 100 + 50 + std::uint64_t(version));
    MessageGenerator filler(bytes);
    Message message;
    walk(message, version, filler);
    std::string wire;
    if (!append_response(wire, 1, version, message)) continue;
    auto response = parse_response(std::string_view(wire).substr(kLengthBytes), Message::kApi, version);
    std::string file = {'\1', static_cast<char>(api.key), static_cast<char>(version)};
    file += response->body;
    std::string name = std::string(api.name) + "_response_" + std::to_string(version);
    write(name, file);
    if (version != api.max_version) continue;
    write(name + "_cut", file.substr(0, file.size() - file.size() / 3));
    file[file.size() / 2] = '\xff';
    write(name + "_bent", file);
  }
}

// What the frame layer and the length fields have to refuse.
void write_hostile() {
  write("frame_negative", "\0\xff\xff\xff\xff"s);
  write("frame_too_long", "\0\x7f\xff\xff\xff"s);
  write("frame_header_cut", "\0\0\0\0\3\0\3\0"s);
  write("frame_unknown_api", "\0\0\0\0\x0a\x03\xe7\0\0\0\0\0\x2a\0\0"s);
  write("frame_client_id_negative", "\0\0\0\0\x0a\0\3\0\1\0\0\0\x2a\xff\xfe"s);
  write("frame_api_versions_of_the_future", "\0\0\0\0\x0c\0\x12\0\x63\0\0\0\x2a\0\0\0\0"s);
  write("frame_header_tags", "\0\0\0\0\x12\0\x12\0\3\0\0\0\x2a\xff\xff\1\5\2zz\1\1\0"s);
  write("frame_header_tags_cut", "\0\0\0\0\x0e\0\x12\0\3\0\0\0\x2a\xff\xff\1\5\x7fz"s);
  write("array_negative", "\0\0\0\0\x0e\0\3\0\1\0\0\0\x2a\xff\xff\xff\xff\xff\xfe"s);
  write("array_too_long", "\0\0\0\0\x0e\0\3\0\1\0\0\0\x2a\xff\xff\x7f\xff\xff\xff"s);
  write("string_negative", "\0\0\0\0\x10\0\3\0\1\0\0\0\x2a\xff\xff\0\0\0\1\xff\xfe"s);
  write("string_null", "\0\0\0\0\x10\0\3\0\1\0\0\0\x2a\xff\xff\0\0\0\1\xff\xff"s);
  write("compact_string_too_long", "\0\0\0\0\x0e\0\x12\0\3\0\0\0\x2a\xff\xff\0\x81\x80\x02"s);
  write("compact_length_of_36_bits", "\0\0\0\0\x11\0\x12\0\3\0\0\0\x2a\xff\xff\0\xff\xff\xff\xff\xff\x7f"s);
  write("tags_cut", "\0\0\0\0\x10\0\x12\0\3\0\0\0\x2a\xff\xff\0\1\1\3\5\1"s);
  write("tags_unknown", "\0\0\0\0\x12\0\x12\0\3\0\0\0\x2a\xff\xff\0\1\1\1\5\2zz"s);
  // ReplicaState with a byte too many in its tagged field.
  write("tag_too_long",
        "\0\0\0\0\x34\0\1\0\x0f\0\0\0\x2a\xff\xff\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\1\1\1\x0e\0\0\0\5\0\0\0\0\0\0\0\6\0\0"s);
  write("api_versions_in_version_0", "\1\x12\4\0\x23\0\0\0\0"s);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s <folder>\n", argv[0]);
    return 1;
  }
  folder = argv[1];
  for_each_message([]<class Message>(std::type_identity<Message>) {
    const ApiInfo& api = api_info(Message::kApi);
    if constexpr (Message::kIsRequest) {
      write_requests<Message>(api);
    } else {
      write_responses<Message>(api);
    }
  });
  write_hostile();
  return 0;
}
