// Writes the corpora of shard_log_fuzz and shard_snapshot_fuzz: the samples one by one and together, and a
// snapshot behind each of them. Run it again when the formats change:
//
//   bazel run //fuzz:make_shard_corpus -- $PWD/fuzz/corpus
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/wire.h"
#include "broker/entry.h"
#include "broker/shard_state.h"
#include "fuzz/shard_samples.h"

namespace {

using namespace stele;
using namespace stele::broker;

bool write_file(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  return !out.fail();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_shard_corpus FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  ShardState state;
  std::string all;
  bool fine = true;
  int number = 0;
  for (const std::string& entry : shard_samples()) {
    std::string framed;
    Writer(framed).le(static_cast<std::uint16_t>(entry.size())).bytes(entry);
    all += framed;
    auto view = parse_entry(entry, {});
    ApplyResult result;
    if (!view || !state.apply(state.next(), *view, result)) {
      std::fprintf(stderr, "sample %d is not taken\n", number);
      return 1;
    }
    const std::string name = "sample_" + std::to_string(number++);
    fine &= write_file(folder / "shard_log" / name, framed);
    fine &= write_file(folder / "shard_snapshot" / name, state.encode_snapshot());
  }
  fine &= write_file(folder / "shard_log" / "all", all);
  fine &= write_file(folder / "shard_log" / "cut", all.substr(0, all.size() / 2));
  fine &= write_file(folder / "shard_log" / "empty", "");
  fine &= write_file(folder / "shard_snapshot" / "cut", state.encode_snapshot().substr(0, 200));
  return fine ? 0 : 1;
}
