// Writes the corpus of replica_codec_fuzz: one of each, whole and cut. Run it again when the format changes:
//
//   bazel run //fuzz:make_replica_corpus -- $PWD/fuzz/corpus/replica_codec
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "journal/replica_codec.h"

namespace {

using namespace stele;                 // NOLINT: a program of its own
using namespace stele::journal::wire;  // NOLINT

std::string text_of(const std::vector<Bytes>& parts) {
  std::string all;
  for (const Bytes& part : parts) all += part.view();
  return all;
}
std::string text_of(const Bytes& whole) {
  return std::string(whole.view());
}

std::vector<storage::LogEntry> entries() {
  return {{.head = Bytes::copy("head"), .body = Bytes::copy("body")},
          {.head = {}, .body = {}},
          {.head = Bytes::copy(std::string(2100, 'h')), .body = Bytes::copy("b")}};
}
storage::SegmentInfo info(std::uint64_t id) {
  storage::SegmentInfo made;
  made.id = SegmentId(id);
  made.begin = 1;
  made.stored = 2;
  made.end = 3;
  made.fence = Epoch(4);
  made.bytes = 500;
  return made;
}

// In the order of replica_codec_fuzz.
std::vector<std::string> all() {
  FenceAnswers answers;
  answers.answers.emplace_back(storage::FenceAnswer{.begin = 1, .end = 5, .certain = false});
  answers.answers.emplace_back(std::unexpected(Error{ErrorCode::kFenced, "a higher epoch"}));
  return {
      text_of(encode(Append{1, SegmentId(2), Epoch(3), 4, entries()})),
      text_of(encode(Stored{7})),
      text_of(encode(Fence{1, {{SegmentId(2), Epoch(3)}, {SegmentId(4), Epoch(5), true}}})),
      text_of(encode(answers)),
      text_of(encode(Read{1, SegmentId(2), 3, 4})),
      text_of(encode(Entries{entries()})),
      text_of(encode(Describe{1, {SegmentId(2), SegmentId(3)}})),
      text_of(encode(Descriptions{{info(1), std::nullopt}})),
      text_of(encode(List{1, SegmentId(2), 3})),
      text_of(encode(Listed{{info(1), info(2)}, true})),
      text_of(encode(Status{1})),
      text_of(encode(StatusAnswer{true})),
      text_of(encode(Trim{1, SegmentId(2), 3})),
      text_of(encode(Remove{1, {SegmentId(2), SegmentId(3)}})),
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_replica_corpus FOLDER\n");
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  const auto write = [&](const std::string& name, const std::string& content) {
    std::ofstream(std::filesystem::path(argv[1]) / name, std::ios::binary) << content;
  };
  const auto whole = all();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::string kind(1, static_cast<char>(i));
    write("whole_" + std::to_string(i), kind + whole[i]);
    write("cut_" + std::to_string(i), kind + whole[i].substr(0, whole[i].size() * 2 / 3));
  }
  return 0;
}
