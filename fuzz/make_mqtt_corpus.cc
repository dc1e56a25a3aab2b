// Writes the corpus of mqtt_codec_fuzz: each sample packet in a file, and a few streams of several packets.
// Run it again when the samples change:
//
//   bazel run //fuzz:make_mqtt_corpus -- $PWD/fuzz/corpus/mqtt_codec

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "protocols/mqtt/sample_frames.h"

namespace {

using stele::mqtt::SampleFrame;
using stele::mqtt::Version;

std::string version_byte(Version version) {
  return std::string(1, version == Version::kV5 ? '\5' : '\4');
}

bool write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  return !out.fail();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s <folder>\n", argv[0]);
    return 1;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  std::string v3_stream = version_byte(Version::kV311);
  std::string v5_stream = version_byte(Version::kV5);
  bool written = true;
  for (const SampleFrame& s : stele::mqtt::sample_frames()) {
    written &= write_file(folder / s.name, version_byte(s.version) + s.bytes);
    if (!s.error) (s.version == Version::kV5 ? v5_stream : v3_stream) += s.bytes;
  }
  written &= write_file(folder / "stream_v3", v3_stream);
  v3_stream[0] = '\3';
  written &= write_file(folder / "stream_v31", v3_stream);
  written &= write_file(folder / "stream_v5", v5_stream);
  written &= write_file(folder / "stream_cut", v5_stream.substr(0, v5_stream.size() - 3));
  written &= write_file(folder / "empty", "");
  written &= write_file(folder / "bad_length_5_bytes", "\4\x30\xFF\xFF\xFF\xFF\x7F");
  written &= write_file(folder / "bad_length_too_large", "\4\x30\xFF\xFF\xFF\x7F");
  written &= write_file(folder / "cut_length", "\4\x30\xFF");
  written &= write_file(folder / "cut_body", "\4\x30\x05x");
  if (!written) std::fprintf(stderr, "cannot write in %s\n", folder.c_str());
  return written ? 0 : 1;
}
