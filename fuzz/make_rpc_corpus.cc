// Writes the corpus of rpc_fuzz: what is right, and what lacks or bends something. Run it again when the
// format changes:
//
//   bazel run //fuzz:make_rpc_corpus -- $PWD/fuzz/corpus/rpc
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/wire.h"
#include "rpc/error_codec.h"
#include "rpc/frame.h"
#include "rpc/hello.h"

namespace {

using namespace stele;       // NOLINT: a program of its own
using namespace stele::rpc;  // NOLINT

using Inputs = std::map<std::string, std::string>;

// A frame of a conversation, as rpc_fuzz reads it.
std::string said(FrameKind kind, std::string_view control = {}, std::string_view payload = {}) {
  std::string out;
  Writer w(out);
  w.u8(static_cast<std::uint8_t>(kind)).u8(static_cast<std::uint8_t>(control.size())).bytes(control);
  w.u8(static_cast<std::uint8_t>(payload.size())).bytes(payload);
  return out;
}
std::string request(std::uint64_t call, std::uint32_t method, std::string_view payload = {}) {
  char control[kRequestControlBytes];
  encode(RequestControl{.call = call, .method = MethodId(method), .timeout_ms = 100}, control);
  return said(FrameKind::kRequest, {control, sizeof control}, payload);
}
std::string response(std::uint32_t slot, std::uint8_t status, std::string_view payload = {},
                     std::uint64_t generation = 1) {
  char control[kResponseControlBytes];
  encode(ResponseControl{.call = generation << 32 | slot, .status = static_cast<Status>(status)}, control);
  return said(FrameKind::kResponse, {control, sizeof control}, payload);
}
std::string message(std::uint32_t id, std::string_view payload) {
  char control[kMessageControlBytes];
  encode(MessageId(id), control);
  return said(FrameKind::kMessage, {control, sizeof control}, payload);
}
std::string frame(FrameStamp& stamp, FrameKind kind, std::string_view control) {
  const auto header = stamp.next(kind, control, {});
  return std::string(header.data(), header.size()) + std::string(control);
}

Identity identity() {
  return {.cluster = {1, 2}, .node = NodeId(1), .incarnation = 3, .product = "stele"};
}
std::string hello() {
  return encode(Hello{.from = identity(), .to = NodeId(2), .nonce = Nonce{1, 2}, .terms = {1 << 20, 2000}});
}

void add_parts(Inputs& all) {
  all["hello"] = "h" + hello();
  all["hello_cut"] = "h" + hello().substr(0, 40);
  all["hello_of_nothing"] = "h" + encode(Hello{});
  HelloAnswer answer;
  answer.welcome = {.from = identity(), .version = 1, .nonce = Nonce{3}, .terms = {1 << 20, 2000}};
  all["answer_welcome"] = "a" + encode(answer);
  answer.refusal = {Reason::kVersion, "upgrade node 1"};
  all["answer_refused"] = "a" + encode(answer);
  all["goodbye"] = "g" + encode_goodbye({Reason::kStopping, "the node stops"});
  all["error"] = "e" + encode_error({ErrorCode::kUnavailable, "try again"});
  all["error_code"] = "e\xff";
  all["error_empty"] = "e";
}

void add_streams(Inputs& all) {
  FrameStamp stamp;
  std::string stream = frame(stamp, FrameKind::kHello, hello());
  const std::string first = stream;
  all["frames_cut"] = "f\x07" + stream.substr(0, stream.size() - 3);
  stream += frame(stamp, FrameKind::kHelloAnswer, std::string(4000, 'x'));
  stream += frame(stamp, FrameKind::kHello, "");
  all["frames_in_pieces"] = "f\x01" + stream;
  all["frames_in_place"] = "f\xff" + stream;
  all["frames_twice"] = "f\x08" + first + first;
  std::string bent = stream;
  bent[9] = '\x7f';
  all["frames_bent_length"] = "f\x03" + bent;
  bent = stream;
  bent[50] = static_cast<char>(bent[50] ^ 1);
  all["frames_bent_body"] = "f\x04" + bent;
  FrameStamp bound;
  bound.bind(5);
  all["frames_of_another"] = "f\x05" + frame(bound, FrameKind::kPing, "");
  all["frames_nonsense"] = "f\x05GET / HTTP/1.1";
  all["frames_short_magic"] = "f\x01StR";
}

void add_conversations(Inputs& all) {
  std::string slow;
  for (std::uint64_t i = 0; i < 6; ++i) slow += request(i, 2, "hello");
  all["server_request"] = "s" + request(1, 1, "hello");
  all["server_slow"] = "s" + slow;
  all["server_dropped"] = "s" + request(1, 3);
  all["server_no_such_method"] = "s" + request(1, 99);
  all["server_answer_too_large"] = "s" + request(1, 1, std::string(200, 'x'));
  all["server_request_short"] = "s" + said(FrameKind::kRequest, "abc");
  all["server_message"] = "s" + message(1, "word");
  all["server_message_unknown"] = "s" + message(9, "word");
  all["server_message_short"] = "s" + said(FrameKind::kMessage, "a");
  all["server_ping"] = "s" + said(FrameKind::kPing) + said(FrameKind::kPing);
  all["server_ping_with_payload"] = "s" + said(FrameKind::kPing, "", "x");
  all["server_response"] = "s" + response(0, 0);
  all["server_raw"] = "s" + said(FrameKind{}, "StRp" + std::string(40, '\0'));
  all["server_no_such_kind"] = "s" + said(static_cast<FrameKind>(77));
  all["server_goodbye"] = "s" + request(1, 2) + said(FrameKind::kGoodbye, encode_goodbye({}));
  all["server_request_after_goodbye"] =
      "s" + request(1, 2) + said(FrameKind::kGoodbye, encode_goodbye({})) + request(2, 2);
  all["server_goodbye_nonsense"] = "s" + said(FrameKind::kGoodbye, "nonsense");
  std::string answers;
  for (std::uint32_t slot = 0; slot < 5; ++slot) answers += response(slot, 0, "answer");
  all["client_answers"] = "c" + answers;
  all["client_answer_twice"] = "c" + response(1, 0, "a") + response(1, 0, "a");
  all["client_errors"] = "c" + response(0, 1, encode_error({ErrorCode::kNotFound, "not there"})) +
                         response(1, 2) + response(2, 3);
  all["client_never_asked"] = "c" + response(99, 0);
  all["client_later_generation"] = "c" + response(0, 0, "", 2);
  all["client_ping"] = "c" + said(FrameKind::kPing);
  all["client_request"] = "c" + request(1, 1);
  const std::string goodbye =
      said(FrameKind::kGoodbye, encode_goodbye({Reason::kStopping, "the node stops"}));
  all["client_goodbye"] = "c" + goodbye + answers;
  all["client_goodbye_nonsense"] = "c" + said(FrameKind::kGoodbye, "x");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 1;
  }
  Inputs all;
  add_parts(all);
  add_streams(all);
  add_conversations(all);
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
