// Writes the corpus of peer_codec_fuzz: some of each kind, whole, cut and bent. Run it again when the format
// changes:
//
//   bazel run //fuzz:make_peer_corpus -- $PWD/fuzz/corpus/peer_codec
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "broker/peer_codec.h"
#include "broker/testing/peer_samples.h"
#include "rpc/payload.h"

namespace {

using namespace stele;                // NOLINT: a program of its own
using namespace stele::broker;        // NOLINT
using namespace stele::broker::wire;  // NOLINT

using Inputs = std::map<std::string, std::string>;

std::string joined(const rpc::Payload& payload) {
  std::string all;
  for (const Bytes& slice : payload.slices()) all += slice.view();
  return all;
}

template <class T>
void add(Inputs& all, const std::string& name, char which) {
  std::string largest;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const std::string bytes = which + joined(encode(PeerSamples(seed).make<T>()));
    if (seed < 2) all[name + "_" + std::to_string(seed)] = bytes;
    if (bytes.size() > largest.size()) largest = bytes;
  }
  all[name + "_large"] = largest;
  all[name + "_cut"] = largest.substr(0, largest.size() - 1);
  largest[largest.size() / 2] = static_cast<char>(largest[largest.size() / 2] ^ 0x80);
  all[name + "_bent"] = largest;
}

// One of each kind.
template <class T>
void add_kinds(Inputs& all, const std::string& name, char which) {
  PeerSamples samples(1);
  std::size_t found = 0;
  while (found < std::variant_size_v<T>) {
    const auto one = samples.make<T>();
    std::string& input = all[name + "_kind_" + std::to_string(one.index())];
    if (!input.empty()) continue;
    input = which + joined(encode(one));
    ++found;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 1;
  }
  Inputs all;
  add<DataMail>(all, "publish", 'p');
  add<DataAnswerMail>(all, "publish_answer", 'q');
  add<ForwardMail>(all, "forward", 'f');
  add<ForwardAnswerMail>(all, "forward_answer", 'g');
  add<Live>(all, "live", 'l');
  add<Items>(all, "items", 'i');
  add<Settle>(all, "settle", 's');
  add<SessionAsk>(all, "ask", 'a');
  add<SessionAnswer>(all, "answer", 'z');
  add<RouteBatch>(all, "routes", 'r');
  add<RouteBatchAnswer>(all, "routes_answer", 't');
  add_kinds<SessionAsk>(all, "ask", 'a');
  add_kinds<SessionAnswer>(all, "answer", 'z');
  std::string bundle;
  for (std::uint64_t seed = 0; bundle.size() < 100; ++seed) bundle = PeerSamples(seed).bundle().bytes();
  all["bundle"] = "b" + bundle;
  all["bundle_cut"] = "b" + bundle.substr(0, bundle.size() - 1);
  bundle[34] = '\x7f';
  all["bundle_bent"] = "b" + bundle;
  std::filesystem::create_directories(argv[1]);
  for (const auto& [name, bytes] : all) {
    std::ofstream out(std::filesystem::path(argv[1]) / name, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (out.fail()) return std::fprintf(stderr, "cannot write %s\n", name.c_str()), 1;
  }
  std::printf("%zu inputs\n", all.size());
  return 0;
}
